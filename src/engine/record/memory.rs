//! A record in memory, for runs that leave none behind and for tests of what stands above it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{self, BoxFuture, FutureExt};

use crate::fusionauth::WriteGate;
use crate::reconcile::{Claim, Entry, Key, RecordUpdate};

use super::ledger::Ledger;
use super::{Acquire, Entries, HeldRecord, Holder, Loaded, Record, RecordError, Revision, Scopes, Trust};

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    written: bool,
    revision: u64,
    holder: Option<Holder>,
}

impl State {
    fn loaded(&self) -> Loaded {
        Loaded {
            entries: self.ledger.entries.clone(),
            trust: if self.written { Trust::Unsigned } else { Trust::Absent },
            holder: self.holder.clone(),
            revision: Revision { tenant: self.revision, global: 0 },
            absent: if self.written { Scopes::NONE } else { Scopes::ALL },
            ..Loaded::default()
        }
    }
}

/// A record in memory; clones share it.
#[derive(Clone, Debug)]
pub struct MemoryRecord {
    state: Arc<Mutex<State>>,
    holder: Holder,
}

impl MemoryRecord {
    /// An empty record.
    pub fn new(holder: Holder) -> Self {
        MemoryRecord { state: Arc::default(), holder }
    }

    /// The same record, for another runner.
    pub fn for_holder(&self, holder: Holder) -> Self {
        MemoryRecord { state: self.state.clone(), holder }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record for MemoryRecord {
    fn read(&self) -> BoxFuture<'_, Result<Loaded, RecordError>> {
        future::ready(Ok(self.state().loaded())).boxed()
    }

    fn claims<'a>(&'a self, _keys: &'a BTreeSet<Key>) -> BoxFuture<'a, Result<Vec<Claim>, RecordError>> {
        future::ready(Ok(Vec::new())).boxed()
    }

    fn acquire<'a>(&'a self, _how: &'a Acquire) -> BoxFuture<'a, Result<Box<dyn HeldRecord>, RecordError>> {
        let mut state = self.state();
        if let Some(holder) = &state.holder {
            return future::ready(Err(RecordError::Locked(holder.clone()))).boxed();
        }
        let loaded = state.loaded();
        state.holder = Some(self.holder.clone());
        let held = HeldMemoryRecord { record: self.clone(), loaded };
        future::ready(Ok(Box::new(held) as Box<dyn HeldRecord>)).boxed()
    }

    fn unlock(&self) -> BoxFuture<'_, Result<Option<Holder>, RecordError>> {
        future::ready(Ok(self.state().holder.take())).boxed()
    }
}

struct HeldMemoryRecord {
    record: MemoryRecord,
    loaded: Loaded,
}

impl Drop for HeldMemoryRecord {
    fn drop(&mut self) {
        let mut state = self.record.state();
        if state.holder.as_ref() == Some(&self.record.holder) {
            state.holder = None;
        }
    }
}

impl WriteGate for MemoryRecord {
    fn permit(&self, _longest: std::time::Duration) -> Result<(), String> {
        match &self.state().holder {
            Some(holder) if *holder == self.holder => Ok(()),
            _ => Err("the lock is lost".to_owned()),
        }
    }
}

impl HeldRecord for HeldMemoryRecord {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn gate(&self) -> Arc<dyn WriteGate> {
        Arc::new(self.record.clone())
    }

    fn intend(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Vec<Claim>, RecordError>> {
        let mut state = self.record.state();
        for entry in entries {
            state.ledger.intend(entry);
        }
        (state.written, state.revision) = (true, state.revision + 1);
        future::ready(Ok(Vec::new())).boxed()
    }

    fn update(&self, update: RecordUpdate) {
        let mut state = self.record.state();
        state.ledger.update(update);
        (state.written, state.revision) = (true, state.revision + 1);
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), RecordError>> {
        future::ready(Ok(())).boxed()
    }

    fn entries(&self) -> Entries {
        self.record.state().ledger.entries.clone()
    }

    fn lost(&self) -> BoxFuture<'_, RecordError> {
        future::pending().boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordError>> {
        future::ready(Ok(())).boxed()
    }
}
