//! What became of an object's turn. No text of FusionAuth's own stands here: it could hold anything.

use crate::reconcile::{Action, Problem, Reason};

/// What became of an object's turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// As declared; nothing was to do.
    Unchanged { id: Option<String> },
    /// As declared now.
    Changed(Change),
    /// It differs by others' doing, and the policy says to report that.
    Drifted { id: Option<String>, paths: Vec<String> },
    /// The change waits for an approval of its hash.
    AwaitsApproval { id: Option<String>, hash: String, diff: String },
    /// What it refers to is not there yet.
    Dependency { on: Vec<crate::model::Address>, message: String },
    /// A deletion is done: the object is gone or let go.
    Gone { changed: bool },
    /// A deletion that the guard holds.
    Held { message: String },
    /// Not without a person: what is declared cannot be.
    Refused { reason: &'static str, message: String },
    /// It is tried again.
    Failed { message: String },
    /// The instance cannot be used now; it tells when it can.
    Unavailable { reason: &'static str, message: String },
    /// The instance is suspended.
    Suspended,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub id: Option<String>,
    pub action: Action,
    pub reason: Reason,
    /// It undid others' doing.
    pub drift: bool,
    /// Paths of the fields that were written.
    pub paths: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl Answer {
    /// Whether a later look could find nothing to do, and the status has to say so then.
    pub fn is_unsettled(&self) -> bool {
        matches!(
            self,
            Answer::Drifted { .. }
                | Answer::AwaitsApproval { .. }
                | Answer::Held { .. }
                | Answer::Refused { .. }
                | Answer::Failed { .. }
        )
    }

    /// A short word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Answer::Unchanged { .. } => "Unchanged",
            Answer::Changed(change) => change.outcome(),
            Answer::Drifted { .. } => "DriftDetected",
            Answer::AwaitsApproval { .. } => "AwaitsApproval",
            Answer::Dependency { .. } => "DependencyNotReady",
            Answer::Gone { .. } => "Deleted",
            Answer::Held { .. } => "DeletionHeld",
            Answer::Refused { .. } => "Refused",
            Answer::Failed { .. } => "Failed",
            Answer::Unavailable { .. } => "InstanceNotReady",
            Answer::Suspended => "Suspended",
        }
    }
}

impl Change {
    /// The reason of the event, and the outcome in the status.
    pub fn outcome(&self) -> &'static str {
        match self.action {
            _ if self.drift => "DriftCorrected",
            Action::Create => "Created",
            Action::Update => "Updated",
            Action::Delete => "Deleted",
            Action::Adopt => "Adopted",
        }
    }
}

/// A problem of a plan or a run as a status may say it.
pub fn told(problem: &Problem) -> String {
    let message = without_answer(&problem.message);
    match problem.hint.as_deref().filter(|hint| !hint.is_empty()) {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    }
}

/// An error of the client ends with the status and what the server said to it: the status is the end here.
pub fn without_answer(message: &str) -> &str {
    const STATUS: &str = "status ";
    let Some(at) = message.find(STATUS) else { return message };
    let digits = message.get(at + STATUS.len()..).unwrap_or_default();
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    message.get(..at + STATUS.len() + length).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_said_is_not_repeated() {
        let said = "PATCH /api/user/{userId}: status 400: [canary]user.email: the canary";
        assert_eq!(without_answer(said), "PATCH /api/user/{userId}: status 400");
        assert_eq!(without_answer("no answer: timed out"), "no answer: timed out");
        assert_eq!(without_answer("status "), "status ");
    }
}
