//! Why a command could not do its work: typed, with a code, a hint and no secret.

use std::io;
use std::path::PathBuf;

use crate::engine;
use crate::engine::keys::{MAKE_A_KEY, ParseKeyError};
use crate::engine::saved::SavedPlanError;
use crate::engine::secrets::SecretError;
use crate::manifest::{Diagnostic, LoadError};
use crate::model::Place;
use crate::reconcile::Blame;
use crate::report::{self, ProblemView, Style, View};
use crate::sandbox;

use super::exit::{self, Exit};
use super::load;
use super::target::TargetError;

/// A command's error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// stdout is closed or full.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The same, when a run had done its work.
    #[error(
        "{done} of {all} changes were made, and the report of it cannot be written to standard output: {error}"
    )]
    Untold { done: u64, all: u64, error: io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Generated files that are not what this version would generate.
    #[error("{} under {} {} not what this version generates", files.join(", "), directory.display(), if files.len() == 1 { "is" } else { "are" })]
    Generated { directory: PathBuf, files: Vec<String> },
    /// An argument that clap cannot judge.
    #[error("{message}")]
    Argument { message: String, hint: Option<String> },
    /// The machine refuses threads or signals.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// Nothing of ours in the input, or what is wrong with it.
    #[error(transparent)]
    Manifests(#[from] LoadError),
    /// The instances of the input leave the target open.
    #[error("{}", .0.message)]
    Instance(Box<Diagnostic>),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("there is no API key")]
    NoApiKey,
    #[error("{0} needs a runner key: whoever may write groups could else add a person to the record")]
    NeedsRunnerKey(&'static str),
    #[error("there is no terminal to ask at")]
    NoTerminal,
    #[error("the answer cannot be read: {0}")]
    Answer(io::Error),
    #[error("not approved; nothing was written")]
    NotApproved,
    /// A signal came before the first write.
    #[error("interrupted before anything was written")]
    Interrupted,
    /// Another run wrote the record while a person was asked.
    #[error("another run has written the record since the plan was made")]
    RecordMoved,
    #[error(transparent)]
    SavedPlan(#[from] SavedPlanError),
    #[error("{0}")]
    RunnerKey(#[from] ParseKeyError),
    /// One of our own keys, where an instance says that it is.
    #[error("{what}: {source}")]
    Secret { what: String, source: SecretError },
    #[error(transparent)]
    Engine(#[from] engine::error::Error),
    #[cfg(feature = "operator")]
    #[error(transparent)]
    Operator(#[from] crate::operator::OperatorError),
    #[cfg(feature = "operator")]
    #[error(transparent)]
    Definitions(#[from] crate::operator::DefinitionError),
}

impl Failure {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::Output(_) | Failure::Untold { .. } => "output",
            Failure::Write { .. } => "write",
            Failure::Generated { .. } => "generated-files",
            Failure::Argument { .. } => "argument",
            Failure::Runtime(_) => "runtime",
            Failure::Sandbox(_) => "sandbox",
            Failure::Read { .. } => "read",
            Failure::Manifests(LoadError::Empty { .. }) => "no-manifests",
            Failure::Manifests(LoadError::Invalid(_)) => "invalid-manifests",
            Failure::Instance(diagnostic) => diagnostic.code,
            Failure::Target(error) => error.code(),
            Failure::NoApiKey => "no-api-key",
            Failure::NeedsRunnerKey(_) => "needs-runner-key",
            Failure::NoTerminal => "no-terminal",
            Failure::Answer(_) => "answer",
            Failure::NotApproved => "not-approved",
            Failure::Interrupted => "interrupted",
            Failure::RecordMoved => "stale-plan",
            Failure::SavedPlan(_) => "saved-plan",
            Failure::RunnerKey(_) => "runner-key",
            Failure::Secret { .. } => "secret",
            Failure::Engine(error) => engine_code(error),
            #[cfg(feature = "operator")]
            Failure::Operator(_) => "operator",
            #[cfg(feature = "operator")]
            Failure::Definitions(_) => "definitions",
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Failure::Argument { hint, .. } => hint.clone(),
            Failure::Generated { directory, .. } => {
                Some(format!("run `fusionkeep schema --write {}` and commit the result", directory.display()))
            }
            Failure::Sandbox(error) => Some(error.hint().to_owned()),
            Failure::Manifests(LoadError::Empty { hint, .. }) => Some(hint.clone()),
            Failure::Manifests(LoadError::Invalid(_)) => None,
            Failure::Instance(diagnostic) => diagnostic.hint.clone(),
            Failure::Target(error) => error.hint(),
            Failure::NoApiKey => Some(
                "set FUSIONKEEP_API_KEY or give --api-key-file; it is no argument, for those show in the process list"
                    .to_owned(),
            ),
            Failure::NeedsRunnerKey(_) => Some(MAKE_A_KEY.to_owned()),
            Failure::NoTerminal => Some("--auto-approve applies without asking".to_owned()),
            Failure::RecordMoved => Some("plan again".to_owned()),
            Failure::Answer(_) | Failure::NotApproved | Failure::Interrupted => None,
            Failure::SavedPlan(error) => Some(error.hint().to_owned()),
            Failure::RunnerKey(error) => Some(error.hint().to_owned()),
            Failure::Secret { source, .. } => source.hint(),
            Failure::Engine(error) => error.hint(),
            Failure::Output(_)
            | Failure::Untold { .. }
            | Failure::Read { .. }
            | Failure::Write { .. }
            | Failure::Runtime(_) => None,
            #[cfg(feature = "operator")]
            Failure::Operator(error) => error.hint().map(str::to_owned),
            #[cfg(feature = "operator")]
            Failure::Definitions(_) => None,
        }
    }

    /// The failure as a person reads it on stderr; nothing when the reader has gone.
    pub fn render(&self) -> String {
        match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => String::new(),
            Failure::Manifests(LoadError::Invalid(diagnostics)) => {
                format!("{}{self}\n", load::rendered(diagnostics))
            }
            _ => report::text_problems(&self.problems(), "error", Style::ERROR),
        }
    }

    /// The failure as a report for machines; none when it was the report that could not be written.
    pub fn view(&self) -> Option<View<'static>> {
        match self {
            Failure::Output(_) | Failure::Untold { .. } => None,
            Failure::Manifests(LoadError::Invalid(diagnostics)) => {
                let (errors, warnings) = diagnostics.iter().partition::<Vec<_>, _>(|one| one.is_error());
                let views = |list: Vec<&Diagnostic>| list.into_iter().map(ProblemView::from).collect();
                Some(View::of_errors(views(errors), views(warnings)))
            }
            _ => Some(View::of_errors(self.problems(), Vec::new())),
        }
    }

    /// The failure, and the objects that it is about.
    fn problems(&self) -> Vec<ProblemView> {
        let mut problems = vec![self.problem()];
        if let Failure::Engine(engine::error::Error::Stale(moved)) = self {
            problems.extend(moved.iter().map(ProblemView::from));
        }
        problems
    }

    fn problem(&self) -> ProblemView {
        ProblemView {
            code: self.code().to_owned(),
            message: self.to_string(),
            hint: self.hint(),
            address: None,
            place: self.place().map(|place| (place.file.to_string(), place.line, place.column)),
            source: None,
            blame: if exit::of_failure(self) == Exit::Guard { Blame::Guard } else { Blame::Error },
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Failure::Target(error) => error.place(),
            _ => None,
        }
    }
}

/// A stable word for what ends a run.
fn engine_code(error: &engine::error::Error) -> &'static str {
    use engine::error::Error;
    match error {
        Error::Api(error) if error.is_unreachable() => "unreachable",
        Error::Api(_) => "api",
        Error::OldServer(_) => "old-server",
        Error::UnknownTenant { .. } => "unknown-tenant",
        Error::AmbiguousTenant { .. } => "ambiguous-tenant",
        Error::NoTenant => "no-tenant",
        Error::Journal(_) => "journal",
        Error::PlanHasErrors(_) => "plan-has-errors",
        Error::WrongTarget(_) => "wrong-target",
        Error::Stale(_) => "stale-plan",
        Error::Record(_) => "record",
    }
}
