//! Why a command could not do its work: typed, with a code, a hint and no secret.

use std::io;
use std::path::PathBuf;

use crate::reconcile::Blame;
use crate::report::{self, ProblemView, Style, View};
use crate::sandbox;

/// A command's error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// stdout is closed or full.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
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
}

impl Failure {
    /// A stable word.
    fn code(&self) -> &'static str {
        match self {
            Failure::Output(_) => "output",
            Failure::Write { .. } => "write",
            Failure::Generated { .. } => "generated-files",
            Failure::Argument { .. } => "argument",
            Failure::Runtime(_) => "runtime",
            Failure::Sandbox(_) => "sandbox",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Failure::Argument { hint, .. } => hint.clone(),
            Failure::Generated { directory, .. } => {
                Some(format!("run `fusionkeep schema --write {}` and commit the result", directory.display()))
            }
            Failure::Sandbox(error) => Some(error.hint().to_owned()),
            Failure::Output(_) | Failure::Write { .. } | Failure::Runtime(_) => None,
        }
    }

    /// The failure as a person reads it on stderr; nothing when the reader has gone.
    pub fn render(&self) -> String {
        match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => String::new(),
            _ => report::text_problems(&[self.problem()], "error", Style::ERROR),
        }
    }

    /// The failure as a report for machines; none when it was the report that could not be written.
    pub fn view(&self) -> Option<View> {
        match self {
            Failure::Output(_) => None,
            _ => Some(View::of_errors(vec![self.problem()], Vec::new())),
        }
    }

    fn problem(&self) -> ProblemView {
        ProblemView {
            code: self.code().to_owned(),
            message: self.to_string(),
            hint: self.hint(),
            address: None,
            place: None,
            blame: Blame::Error,
        }
    }
}
