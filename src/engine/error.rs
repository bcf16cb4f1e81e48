//! What ends a run, and the exit status of every end, decided in one place.

use uuid::Uuid;

use crate::fusionauth::{self, ErrorKind, ServerVersion};
use crate::reconcile::{Blame, ChangeOutcome, Outcome, Plan, Problem, Status};

use super::journal::JournalError;
use super::record::RecordError;

/// How a run ended, as its exit status tells it (DESIGN §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    Error = 1,
    /// There are changes, and the caller asked to be told (`--detailed-exitcode`).
    Changes = 2,
    /// Refused by a guard.
    Guard = 3,
    /// The plan no longer fits what is live.
    Stale = 4,
    /// Some changes were made and others were not.
    Partly = 5,
    Unreachable = 6,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// A tenant, as it is listed for a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: Uuid,
    pub name: String,
}

/// What ends a run before there is a plan or an outcome. Errors of single objects are [`Problem`]s instead.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Api(#[from] fusionauth::Error),
    #[error("this FusionAuth is version {0}; fusionkeep needs {oldest} or newer", oldest = ServerVersion::OLDEST_SUPPORTED)]
    OldServer(ServerVersion),
    #[error("there is no tenant {id}{}", list(.tenants))]
    UnknownTenant { id: Uuid, tenants: Vec<Tenant> },
    #[error("there are {} tenants, and none was chosen{}", .tenants.len(), list(.tenants))]
    AmbiguousTenant { tenants: Vec<Tenant> },
    #[error("the API key sees no tenant")]
    NoTenant,
    /// The plan has errors; they were told with it.
    #[error("the plan has errors")]
    PlanHasErrors(Blame),
    /// A saved plan that does not fit this target.
    #[error("the plan is not for this target: {0}")]
    WrongTarget(String),
    /// Live objects moved since the plan was made.
    #[error("the plan is stale: {} changed since it was made", .0.len())]
    Stale(Vec<Problem>),
    /// Before-images cannot be kept, so nothing was written; or a journal cannot be used to undo its run.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The record or the lock refuses or fails.
    #[error("{0}")]
    Record(#[from] RecordError),
}

fn list(tenants: &[Tenant]) -> String {
    if tenants.is_empty() {
        return String::new();
    }
    let lines = tenants.iter().map(|tenant| format!("\n  {} {}", tenant.id, tenant.name));
    format!(":{}", lines.collect::<String>())
}

impl Error {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Api(error) => return error.hint(),
            Error::OldServer(_) => {
                "upgrade FusionAuth; merge-patch and group search are missing in older versions"
            }
            Error::UnknownTenant { .. } | Error::AmbiguousTenant { .. } => {
                "name one with --tenant-id, FUSIONKEEP_TENANT_ID or the instance's tenantId"
            }
            Error::NoTenant => "give the key GET on /api/tenant, or name the tenant with --tenant-id",
            Error::PlanHasErrors(_) => return None,
            Error::WrongTarget(_) | Error::Stale(_) => "make a new plan",
            Error::Journal(error) => error.hint(),
            Error::Record(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }

    pub fn exit(&self) -> Exit {
        match self {
            Error::Api(error) => match error.kind() {
                ErrorKind::WriteRefused(_) => Exit::Guard,
                _ if error.is_unreachable() => Exit::Unreachable,
                _ => Exit::Error,
            },
            Error::PlanHasErrors(Blame::Guard) => Exit::Guard,
            Error::Stale(_) => Exit::Stale,
            Error::Journal(error) if error.is_refusal() => Exit::Guard,
            Error::Record(error) => match error.api_error() {
                _ if error.is_refusal() => Exit::Guard,
                Some(error) if error.is_unreachable() => Exit::Unreachable,
                _ => Exit::Error,
            },
            Error::OldServer(_)
            | Error::UnknownTenant { .. }
            | Error::AmbiguousTenant { .. }
            | Error::NoTenant
            | Error::Journal(_)
            | Error::PlanHasErrors(Blame::Error)
            | Error::WrongTarget(_) => Exit::Error,
        }
    }
}

/// The exit of a plan that is only shown. An error goes before a guard: it must be mended first.
pub fn exit_of_plan(plan: &Plan, detailed: bool) -> Exit {
    if plan.errors.iter().any(|problem| problem.blame == Blame::Error) {
        Exit::Error
    } else if !plan.errors.is_empty() {
        Exit::Guard
    } else if detailed && !plan.changes.is_empty() {
        Exit::Changes
    } else {
        Exit::Done
    }
}

/// The code of a change that failed because nobody answered.
pub(super) const UNREACHABLE: &str = "unreachable";

/// The exit of a run that applied.
pub fn exit_of_outcome(outcome: &Outcome) -> Exit {
    let done = outcome.count(Status::Done);
    let all = outcome.changes.len() as u64;
    if done == all && outcome.interrupted.is_none() {
        return match outcome.errors.is_empty() {
            true => Exit::Done,
            // All of it is done, and not written down.
            false if done > 0 => Exit::Partly,
            false => Exit::Error,
        };
    }
    let failed = outcome.count(Status::Failed);
    if done > 0 {
        // Moved objects alone are what a stale plan is.
        return if failed == 0 && outcome.interrupted.is_none() && outcome.count(Status::Stale) > 0 {
            Exit::Stale
        } else {
            Exit::Partly
        };
    }
    if outcome.interrupted.is_some() && failed == 0 && outcome.count(Status::Stale) == 0 {
        // By a signal, before the first change was through.
        return Exit::Partly;
    }
    let unreachable =
        |change: &ChangeOutcome| change.problem.as_ref().is_some_and(|problem| problem.code == UNREACHABLE);
    if outcome.count(Status::Stale) > 0 && failed == 0 {
        Exit::Stale
    } else if outcome.changes.iter().any(unreachable) {
        Exit::Unreachable
    } else {
        Exit::Error
    }
}
