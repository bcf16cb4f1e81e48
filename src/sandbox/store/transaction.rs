//! All writes of one request, made visible and durable together or not at all.

use std::sync::{Mutex, PoisonError, RwLockWriteGuard};

use uuid::Uuid;

use super::database::Database;
use super::keys::UniqueKey;
use super::state::{Replaced, State, parse};
use super::{Object, Table};

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique value is held by another object: what a database answers with a constraint violation.
    #[error("{:?} `{}` is held by {holder}", key.kind, key.value)]
    Duplicate { key: UniqueKey, holder: Uuid },
    #[error("cannot serialise: {0}")]
    Serialise(#[from] serde_json::Error),
    #[error("cannot write the store: {0}")]
    Database(#[from] rusqlite::Error),
}

/// How commits behave, decided per request.
#[derive(Debug, Clone, Copy)]
pub struct CommitMode {
    pub now: i64,
    /// How long the search index does not see what is written; 0 for the database engine.
    pub index_delay: i64,
    /// A fault: the writes are answered and then lost, as to a concurrent writer (wire notes §1, concurrency).
    pub lose: bool,
}

/// Exclusive access to the state. Dropped without [`Transaction::commit`], every change is undone.
pub struct Transaction<'a> {
    state: RwLockWriteGuard<'a, State>,
    database: Option<&'a Mutex<Database>>,
    mode: CommitMode,
    replaced: Vec<Replaced>,
}

impl<'a> Transaction<'a> {
    pub fn new(
        state: RwLockWriteGuard<'a, State>,
        database: Option<&'a Mutex<Database>>,
        mode: CommitMode,
    ) -> Self {
        Self { state, database, mode, replaced: Vec::new() }
    }

    /// The instant of this transaction in milliseconds.
    pub fn now(&self) -> i64 {
        self.mode.now
    }

    /// Creates or replaces an object.
    pub fn put(&mut self, table: Table, id: Uuid, object: &Object) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(object)?.into_boxed_slice();
        self.replace(table, id, Some((object, bytes)))
    }

    /// Removes an object, if it is there. What depends on it is the caller's to remove.
    pub fn delete(&mut self, table: Table, id: Uuid) -> Result<(), StoreError> {
        if self.state.contains(table, id) { self.replace(table, id, None) } else { Ok(()) }
    }

    fn replace(
        &mut self,
        table: Table,
        id: Uuid,
        new: Option<(&Object, Box<[u8]>)>,
    ) -> Result<(), StoreError> {
        let replaced = self
            .state
            .replace(table, id, new)
            .map_err(|(key, holder)| StoreError::Duplicate { key, holder })?;
        self.replaced.push(replaced);
        Ok(())
    }

    /// Makes the search index see everything, the changes of this transaction included.
    pub fn refresh_index(&mut self) {
        self.state.refresh_index();
        self.mode.index_delay = 0;
    }

    /// Writes to the database in one transaction; after this the changes survive a kill of the process.
    pub fn commit(mut self) -> Result<(), StoreError> {
        if self.mode.lose {
            return Ok(());
        }
        if let Some(database) = self.database
            && !self.replaced.is_empty()
        {
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = self
                .replaced
                .iter()
                .map(|replaced| (replaced.table, replaced.id, self.state.raw(replaced.table, replaced.id)));
            database.write(rows)?;
        }
        let mode = self.mode;
        for replaced in std::mem::take(&mut self.replaced) {
            if mode.index_delay > 0 && replaced.table.is_indexed() {
                self.state.note_unrefreshed(&replaced, mode.now, mode.index_delay);
            }
        }
        Ok(())
    }
}

impl std::ops::Deref for Transaction<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        for Replaced { table, id, old } in std::mem::take(&mut self.replaced).into_iter().rev() {
            let object = old.as_deref().and_then(parse);
            let new = match (&object, old) {
                (Some(object), Some(bytes)) => Some((object, bytes)),
                _ => None,
            };
            // Undoing in reverse order passes only through states that have been valid before, so no key collides.
            drop(self.state.replace(table, id, new));
        }
    }
}
