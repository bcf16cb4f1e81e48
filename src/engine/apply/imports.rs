//! Users who are created through import: never two requests at once (wire notes §4), in batches where the plan
//! says so, and checked by reading them back where it is not known what became of them.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::fusionauth::{self, Error};
use crate::reconcile::{Change, ImportGroup, import_group, is_batchable};

use super::change::never_sent;
use super::{Batch, Ended, Run, send};

/// How often, and after which waits, an import is repeated that certainly left nothing.
const REPEATS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// Imports that wait to be sent together.
#[derive(Debug)]
pub(super) struct Queue {
    /// None: each goes alone.
    size: Option<usize>,
    /// With what each must share with the others of its request.
    waiting: VecDeque<(usize, Option<ImportGroup>)>,
    under_way: HashSet<usize>,
}

impl Queue {
    pub fn new(size: Option<u32>) -> Self {
        let size = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX).max(1));
        Queue { size, waiting: VecDeque::new(), under_way: HashSet::new() }
    }

    /// Whether the change goes with others.
    pub fn takes(&self, change: &Change) -> bool {
        self.size.is_some() && is_batchable(change)
    }

    pub fn push(&mut self, index: usize, change: &Change) {
        self.waiting.push_back((index, change.calls.first().and_then(import_group)));
    }

    /// The next batch, when none is under way: users of one group, the first that waits saying which.
    pub fn next(&mut self) -> Option<Vec<usize>> {
        if !self.under_way.is_empty() {
            return None;
        }
        let (_, wanted) = self.waiting.front()?;
        let size = self.size.unwrap_or(1);
        let fits = self.waiting.iter().filter(|(_, group)| group == wanted).map(|(index, _)| *index);
        let batch: Vec<usize> = fits.take(size).collect();
        self.under_way.extend(&batch);
        self.waiting.retain(|(index, _)| !self.under_way.contains(index));
        Some(batch)
    }

    pub fn ended(&mut self, index: usize) {
        self.under_way.remove(&index);
    }
}

#[derive(Deserialize)]
struct WithId {
    id: Uuid,
}

impl Run<'_> {
    /// Imports one user. After a lost answer the user is looked for before anything is repeated.
    pub(super) async fn import_one(&self, change: &Change, ready: &fusionauth::Call) -> Result<(), Error> {
        let ids: Vec<Uuid> = change.key.id().into_iter().collect();
        let mut result = self.execute(ready).await;
        for wait in REPEATS {
            match &result {
                Err(error) if error.outcome_unknown() => {}
                _ => return result,
            }
            tokio::time::sleep(wait).await;
            match self.arrived(&ids).await {
                Ok(arrived) if !arrived.is_empty() => return Ok(()),
                Ok(_) => {}
                // What matters is that the import's outcome is unknown, not that it could not be looked up.
                Err(_) => return result,
            }
            result = self.client.execute(ready).await.map(drop);
        }
        result
    }

    /// Imports users together. One that FusionAuth refuses makes it refuse all: each is then sent alone, so that
    /// only the one fails.
    pub(super) async fn import(&self, batch: Vec<usize>) -> Batch {
        let changes: Vec<(usize, &Change)> =
            batch.iter().filter_map(|index| Some((*index, self.change(*index)?))).collect();
        let ready: Vec<fusionauth::Call> = changes
            .iter()
            .filter_map(|(_, change)| send::prepare(change, change.calls.first()?, self.apply.secrets).ok())
            .collect();
        let joined = if ready.len() == changes.len() { send::join_imports(&ready) } else { None };
        let mut rest = changes.clone();
        let mut ended: Batch = Vec::new();
        if let Some(joined) = joined {
            let result = {
                let _alone = self.importing.lock().await;
                self.execute(&joined).await
            };
            match result {
                Ok(()) => return changes.iter().map(|(index, _)| (*index, Ended::Done)).collect(),
                Err(error) if never_sent(&error) => {
                    return changes.iter().map(|(index, _)| (*index, Ended::NotStarted)).collect();
                }
                Err(error) if error.outcome_unknown() => {
                    let ids: Vec<Uuid> = changes.iter().filter_map(|(_, change)| change.key.id()).collect();
                    let arrived = match self.arrived(&ids).await {
                        Ok(arrived) => arrived,
                        Err(_) => return self.all_failed(&changes, &error).await,
                    };
                    let is_there = |change: &Change| change.key.id().is_some_and(|id| arrived.contains(&id));
                    let there = changes.iter().filter(|(_, change)| is_there(change));
                    ended.extend(there.map(|(index, _)| (*index, Ended::Done)));
                    rest.retain(|(_, change)| !is_there(change));
                }
                Err(error) if error.status() == Some(400) => {}
                Err(error) => return self.all_failed(&changes, &error).await,
            }
        }
        for (index, change) in rest {
            ended.push((index, self.one(change).await));
        }
        ended
    }

    async fn all_failed(&self, changes: &[(usize, &Change)], error: &Error) -> Batch {
        let mut ended = Batch::new();
        for (index, change) in changes {
            ended.push((*index, self.failed(change, error).await));
        }
        ended
    }

    /// Which of these users exist.
    async fn arrived(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
        let mut found = HashSet::new();
        self.client.users_by_ids(ids, |row: WithId| found.extend([row.id])).await?;
        Ok(found)
    }
}
