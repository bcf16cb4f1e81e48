//! The exit status, decided in this one place, from typed errors alone.

use std::process::ExitCode;

use super::failure::Failure;

/// What the process says when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done, or nothing to do.
    Done = 0,
    /// Wrong usage, wrong input, or an error.
    Error = 1,
    /// There are changes, and `--detailed-exitcode` asks for them.
    Changes = 2,
    /// A guard refused, before anything was written.
    Refused = 3,
    /// The plan is stale.
    Stale = 4,
    /// Something was applied, but not all.
    Partly = 5,
    /// The target cannot be reached.
    Unreachable = 6,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// Of a command that could not do its work.
pub fn of_failure(failure: &Failure) -> ExitStatus {
    match failure {
        Failure::Output(_)
        | Failure::Write { .. }
        | Failure::Generated { .. }
        | Failure::Argument { .. }
        | Failure::Runtime(_)
        | Failure::Sandbox(_) => ExitStatus::Error,
    }
}
