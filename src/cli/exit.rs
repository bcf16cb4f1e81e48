//! The process's end: the exit status of a failure, from its type alone. What a plan or a run ends with is the
//! engine's to say, for the operator needs the same words ([`crate::engine::error`]).

use std::process::ExitCode;

pub use crate::engine::error::Exit;
use crate::manifest::LoadError;

use super::failure::Failure;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Of a command that could not do its work.
pub fn of_failure(failure: &Failure) -> Exit {
    match failure {
        Failure::Target(error) if error.is_refusal() => Exit::Guard,
        Failure::Manifests(LoadError::Empty { .. }) => Exit::Guard,
        Failure::NeedsRunnerKey(_) | Failure::NoTerminal | Failure::NotApproved => Exit::Guard,
        Failure::SavedPlan(error) if error.is_refusal() => Exit::Guard,
        Failure::RecordMoved => Exit::Stale,
        // As every run that is interrupted.
        Failure::Interrupted => Exit::Partly,
        // As every run that could not be written down.
        Failure::Untold { .. } => Exit::Partly,
        Failure::Engine(error) => error.exit(),
        Failure::Output(_)
        | Failure::Read { .. }
        | Failure::Manifests(LoadError::Invalid(_))
        | Failure::Instance(_)
        | Failure::Target(_)
        | Failure::SavedPlan(_)
        | Failure::NoApiKey
        | Failure::Answer(_)
        | Failure::RunnerKey(_)
        | Failure::Secret { .. }
        | Failure::Write { .. }
        | Failure::Generated { .. }
        | Failure::Argument { .. }
        | Failure::Runtime(_)
        | Failure::Sandbox(_) => Exit::Error,
        #[cfg(feature = "operator")]
        Failure::Operator(_) | Failure::Definitions(_) => Exit::Error,
    }
}
