//! What a plan and its outcome mean for each object of a batch: the answers.

use std::time::Instant;

use crate::model::{Address, Kind};
use crate::reconcile::{Blame, Change as Planned, FieldChange, Outcome, Plan, Problem, Reason, Risk, Status};

use super::answer::{Change, told, without_answer};
use super::batch::Batch;
use super::task::Task;
use super::{Answer, Wanted};

impl Task {
    /// Answers by what became of the changes.
    pub(super) fn settle(&mut self, batch: &mut Batch, plan: &Plan, outcome: &Outcome) {
        for (change, end) in plan.changes.iter().zip(&outcome.changes) {
            let message = end.problem.as_deref().map(told);
            let answer = match end.status {
                Status::Done => {
                    self.deletions.done(&change.address, Instant::now(), true);
                    done(batch, change, end.notes.clone())
                }
                Status::Failed => self.failed(change.kind(), end.problem.as_deref(), message),
                Status::Blocked => Answer::Dependency {
                    on: change.depends_on.clone(),
                    message: message.unwrap_or_else(|| "what it depends on failed".to_owned()),
                },
                Status::Stale | Status::NotStarted => {
                    let interrupted = outcome.interrupted.as_deref().map(without_answer);
                    let message = message.or_else(|| interrupted.map(str::to_owned));
                    Answer::Failed { message: message.unwrap_or_else(|| "it was not begun".to_owned()) }
                }
            };
            batch.answer(&change.address, answer);
        }
        for error in &outcome.errors {
            tracing::error!(code = error.code, why = without_answer(&error.message), "beside the objects");
        }
    }

    fn failed(&mut self, kind: Kind, problem: Option<&Problem>, message: Option<String>) -> Answer {
        let message = message.unwrap_or_else(|| "it failed".to_owned());
        match problem.map(|problem| problem.code.as_str()) {
            Some("not-permitted") => {
                self.stalled_kinds.insert(kind, message.clone());
                Answer::Refused { reason: "KeyLacksPermission", message }
            }
            Some("kind-stopped") => {
                let first = self.stalled_kinds.get(&kind).cloned();
                Answer::Refused { reason: "KeyLacksPermission", message: first.unwrap_or(message) }
            }
            Some("adoption-conflict" | "claimed") => Answer::Refused { reason: "Conflict", message },
            _ => Answer::Failed { message },
        }
    }

    /// What has no answer by now had nothing to be done about it.
    pub(super) fn settle_unchanged(&mut self, batch: &mut Batch) {
        for address in batch.open() {
            let answer = if batch.deleted.contains_key(&address) {
                self.deletions.done(&address, Instant::now(), false);
                Answer::Gone { changed: false }
            } else {
                Answer::Unchanged { id: self.id(&address) }
            };
            batch.answer(&address, answer);
        }
    }

    fn id(&self, address: &Address) -> Option<String> {
        let entry = self.ledger.as_ref()?.loaded().entries.by_address(address)?;
        entry.key.id().map(|id| id.to_string())
    }
}

fn done(batch: &Batch, change: &Planned, notes: Vec<String>) -> Answer {
    if batch.deleted.contains_key(&change.address) {
        return Answer::Gone { changed: true };
    }
    let drift = batch.wanted.get(&change.address).is_some_and(|wanted| is_drift(wanted, change));
    Answer::Changed(Change {
        id: change.key.id().map(|id| id.to_string()),
        action: change.action,
        reason: change.reason,
        drift,
        paths: paths(&change.fields),
        notes,
    })
}

/// Whether somebody else changed what stood as it was declared.
pub fn is_drift(wanted: &Wanted, change: &Planned) -> bool {
    // A secret that was rotated in the cluster is nobody else's doing.
    let secrets_only = !change.fields.is_empty()
        && change.fields.iter().all(|field| field.sensitivity == crate::model::Sensitivity::Secret);
    wanted.was_ready && !secrets_only && matches!(change.reason, Reason::Differs | Reason::Missing)
}

pub fn paths(fields: &[FieldChange]) -> Vec<String> {
    fields.iter().map(|field| field.path.to_string()).collect()
}

/// A guard speaks of the plan as a whole; what else happens to be planned with the object that it means goes on.
pub fn is_to_blame(change: &Planned, problem: &Problem) -> bool {
    match problem.code.as_str() {
        "hard-delete" => change.risk == Risk::HardDeletesPerson,
        "admin-roles" => change.risk == Risk::GivesAdministration,
        _ => true,
    }
}

pub fn refused(problem: &Problem) -> Answer {
    let hint = match problem.code.as_str() {
        "hard-delete" => Some("guards.allowHardDelete: true on the instance lets it pass"),
        "admin-roles" => Some("guards.allowAdminRoles: true on the instance lets it pass"),
        "max-changed-users" => Some("guards.maxChangedUsers on the instance is the limit"),
        _ => None,
    };
    let mut problem = problem.clone();
    if let Some(hint) = hint {
        problem.hint = Some(hint.to_owned());
    }
    let problem = &problem;
    let reason = match problem.code.as_str() {
        "adoption-conflict"
        | "ambiguous-adoption"
        | "claimed"
        | "claimed-by-another-owner"
        | "link-held-by-another-user" => "Conflict",
        "unresolved-reference" | "ambiguous-reference" => "ReferenceNotFound",
        "reference-outside-selection" => {
            return Answer::Dependency { on: Vec::new(), message: told(problem) };
        }
        _ if problem.blame == Blame::Guard => "Guard",
        _ => "Invalid",
    };
    Answer::Refused { reason, message: told(problem) }
}
