//! What became of a plan.

use serde::{Deserialize, Serialize};

use crate::model::Address;

use super::Problem;

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    Done,
    Failed,
    /// Something it depends on failed.
    Blocked,
    /// Its live object moved since the plan.
    Stale,
    /// The run ended before its turn.
    NotStarted,
}

/// One change's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeOutcome {
    pub address: Address,
    pub status: Status,
    /// Why it failed or was blocked.
    pub problem: Option<Box<Problem>>,
    /// What a reader should know though it succeeded: a repeated lost write, a pending e-mail change.
    pub notes: Vec<String>,
}

/// Requests of a run, by what they were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCounts {
    /// Writes on objects that the plan predicted.
    pub predicted: u64,
    /// Writes on objects that were made, without retries.
    pub actual: u64,
    /// Reads.
    pub reads: u64,
    pub record: u64,
    pub lock: u64,
    pub retries: u64,
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// In the plan's order.
    pub changes: Vec<ChangeOutcome>,
    pub calls: CallCounts,
    /// What went wrong beside the changes: what was done stands, and is not written down as it should be.
    pub errors: Vec<Problem>,
    /// The run was ended by a signal or a hard answer before it was through.
    pub interrupted: Option<String>,
}

impl Outcome {
    pub fn count(&self, status: Status) -> u64 {
        self.changes.iter().filter(|change| change.status == status).count() as u64
    }
}
