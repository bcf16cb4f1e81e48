//! The record of an instance, as the task holds it: read once, locked with the first write, let go when nothing has been
//! written for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::engine::record::{
    Acquire, Entries, HeldRecord, Holder, Loaded, Record, RecordError, Scopes, Trust,
};
use crate::fusionauth::WriteGate;
use crate::reconcile::{Claim, Entry, RecordUpdate};

use super::super::lease::{BothGates, Leadership};

/// The lock is let go after this long without a write.
const IDLE: Duration = Duration::from_secs(30);
/// How long the lock is waited for: a command's run of the same cluster may be at work.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who this operator is in the lock.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// The cluster.
    pub id: &'a str,
    /// This process, unique among all replicas and their starts: what replicas of one operator share, `/`, the rest.
    pub host: &'a str,
    /// Replicas elect a leader, which this one is.
    pub elected: bool,
}

impl Runner<'_> {
    /// Whether nobody writes under this lock any more: it is an earlier connection's of this process, which has ended, or
    /// another replica's, whose lease this one has now and whose writes that lease refuses.
    fn is_dead(&self, holder: &Holder) -> bool {
        let replicas = |host: &str| host.rsplit_once('/').map(|(operator, _)| operator.to_owned());
        // Another operator of the same cluster has a lease of its own, and may well be at work.
        let replica = holder.runner == self.id && replicas(&holder.host) == replicas(self.host);
        holder.host == self.host || (self.elected && replica)
    }
}

/// The record as it is known, and the lock while it is held.
pub struct Ledger {
    loaded: Loaded,
    held: Option<Held>,
}

struct Held {
    record: LeasedRecord,
    scopes: Scopes,
    used: Instant,
}

impl Ledger {
    pub fn new(loaded: Loaded) -> Self {
        Ledger { loaded, held: None }
    }

    /// What the record says now.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Reads the record again, unless it is held: then nobody else writes it.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn refresh(&mut self, record: &dyn Record) -> Result<(), RecordError> {
        if self.held.is_none() {
            self.loaded = record.read().await?;
        }
        Ok(())
    }

    /// Takes the lock for these chains. Whether the record is another than the one that was known, so that plans made
    /// from that hold no more.
    ///
    /// # Errors
    /// The lock is another's, or the record is not ours to write.
    pub async fn hold(
        &mut self,
        record: &dyn Record,
        scopes: Scopes,
        take_over: bool,
        runner: &Runner<'_>,
        leadership: &Leadership,
    ) -> Result<bool, RecordError> {
        let wanted = match &self.held {
            Some(held) if covers(held.scopes, scopes) => return Ok(false),
            Some(held) => Scopes {
                tenant: held.scopes.tenant || scopes.tenant,
                global: held.scopes.global || scopes.global,
            },
            None => scopes,
        };
        self.release().await?;
        let how = Acquire { take_over, scopes: wanted, ..Acquire::default() };
        let held = match record.acquire(&how).await {
            Err(RecordError::Locked(holder)) if runner.is_dead(&holder) => {
                // It would be waited for until it expires, though nobody can be at work under it any more.
                tracing::info!(host = holder.host, "a lock was left behind by this operator");
                record.unlock().await?;
                record.acquire(&how).await?
            }
            Err(RecordError::Locked(_)) => record.acquire(&Acquire { wait: PATIENCE, ..how }).await?,
            held => held?,
        };
        let loaded = held.loaded().clone();
        // Taking the lock is itself a generation more; what counts is whether the entries are others.
        let moved = !same(&loaded.entries, &self.loaded.entries) || loaded.taken != self.loaded.taken;
        self.loaded = loaded;
        let gate: Arc<dyn WriteGate> = Arc::new(BothGates(held.gate(), Arc::new(leadership.clone())));
        self.held = Some(Held { record: LeasedRecord { held, gate }, scopes: wanted, used: Instant::now() });
        Ok(moved)
    }

    /// The held record, for a run that writes.
    pub fn held(&mut self) -> Option<&LeasedRecord> {
        self.held.as_mut().map(|held| {
            held.used = Instant::now();
            &held.record
        })
    }

    /// After a run: what the record holds now. `signed`: this runner has a key.
    pub fn settle(&mut self, signed: bool) {
        let Some(held) = &self.held else { return };
        self.loaded.entries = held.record.entries();
        self.loaded.foreign = None;
        if self.loaded.is_absent() && !self.loaded.entries.is_empty() {
            // The run has begun the record, as whoever reads it next will find it.
            self.loaded.trust = if signed { Trust::Verified } else { Trust::Unsigned };
        }
    }

    /// When the lock is to be let go.
    pub fn idle_at(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.used + IDLE)
    }

    /// Lets the lock go.
    ///
    /// # Errors
    /// What was done could not be recorded.
    pub async fn release(&mut self) -> Result<(), RecordError> {
        match self.held.take() {
            Some(held) => Box::new(held.record).close().await,
            None => Ok(()),
        }
    }
}

fn covers(held: Scopes, wanted: Scopes) -> bool {
    (held.tenant || !wanted.tenant) && (held.global || !wanted.global)
}

fn same(one: &Entries, other: &Entries) -> bool {
    one.len() == other.len() && one.iter().eq(other.iter())
}

/// A held record whose writes need this replica's lease too.
pub struct LeasedRecord {
    held: Box<dyn HeldRecord>,
    gate: Arc<dyn WriteGate>,
}

impl HeldRecord for LeasedRecord {
    fn loaded(&self) -> &Loaded {
        self.held.loaded()
    }

    fn gate(&self) -> Arc<dyn WriteGate> {
        self.gate.clone()
    }

    fn intend(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Vec<Claim>, RecordError>> {
        self.held.intend(entries)
    }

    fn update(&self, update: RecordUpdate) {
        self.held.update(update);
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), RecordError>> {
        self.held.flush()
    }

    fn entries(&self) -> Entries {
        self.held.entries()
    }

    fn lost(&self) -> BoxFuture<'_, RecordError> {
        self.held.lost()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordError>> {
        self.held.close()
    }
}
