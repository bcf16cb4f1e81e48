//! All tables and indexes in memory, and what the search index sees of them. Reading only; writes go through a
//! [`super::Transaction`].

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::keys::{Keys, Relation, UniqueKey};
use super::table::Rows;
use super::{Object, Table};

/// The sandbox's whole content.
#[derive(Debug, Default)]
pub struct State {
    tables: BTreeMap<Table, Rows>,
    unique: HashMap<UniqueKey, Uuid>,
    related: HashMap<(Relation, Uuid), Vec<Uuid>>,
    /// What the search index still has of rows written since its last refresh; `None`: it does not know the row.
    unrefreshed: HashMap<(Table, Uuid), Option<Box<[u8]>>>,
    /// When the index refreshes next, by the sandbox's clock.
    refresh_at: i64,
}

/// What one change replaced, for undoing it.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) table: Table,
    pub(super) id: Uuid,
    pub(super) old: Option<Box<[u8]>>,
}

impl State {
    /// The object's JSON as it is stored.
    pub fn raw(&self, table: Table, id: Uuid) -> Option<&[u8]> {
        self.tables.get(&table)?.get(id)
    }

    /// The object, parsed.
    pub fn get(&self, table: Table, id: Uuid) -> Option<Object> {
        self.raw(table, id).and_then(parse)
    }

    pub fn contains(&self, table: Table, id: Uuid) -> bool {
        self.raw(table, id).is_some()
    }

    pub fn len(&self, table: Table) -> usize {
        self.tables.get(&table).map_or(0, Rows::len)
    }

    /// The holder of a unique value.
    pub fn holder(&self, key: &UniqueKey) -> Option<Uuid> {
        self.unique.get(key).copied()
    }

    /// The dependents of an object, oldest first.
    pub fn related(&self, relation: Relation, id: Uuid) -> &[Uuid] {
        self.related.get(&(relation, id)).map_or(&[], Vec::as_slice)
    }

    /// Every row of a table, oldest first.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = (Uuid, &[u8])> {
        self.tables.get(&table).into_iter().flat_map(Rows::iter)
    }

    /// Every object of a table, parsed, oldest first.
    pub fn objects(&self, table: Table) -> impl Iterator<Item = (Uuid, Object)> {
        self.rows(table).filter_map(|(id, bytes)| Some((id, parse(bytes)?)))
    }

    /// Every row as the search index sees it at `now`: a write is invisible until the next refresh, a deleted row
    /// stays until then (wire notes §4: eventually consistent).
    pub fn indexed_rows(&self, table: Table, now: i64) -> impl Iterator<Item = (Uuid, &[u8])> {
        let stale = now < self.refresh_at && !self.unrefreshed.is_empty();
        let current = self.rows(table).filter_map(move |(id, bytes)| {
            if !stale {
                return Some((id, bytes));
            }
            match self.unrefreshed.get(&(table, id)) {
                None => Some((id, bytes)),
                Some(old) => Some((id, old.as_deref()?)),
            }
        });
        let deleted = self
            .unrefreshed
            .iter()
            .filter(move |((owner, id), _)| stale && *owner == table && !self.contains(table, *id))
            .filter_map(|((_, id), old)| Some((*id, old.as_deref()?)));
        current.chain(deleted)
    }

    /// Makes the search index see everything.
    pub fn refresh_index(&mut self) {
        self.unrefreshed = HashMap::new();
        self.refresh_at = 0;
    }

    /// Remembers what the index saw of a row that is about to change.
    pub(super) fn note_unrefreshed(&mut self, replaced: &Replaced, now: i64, delay: i64) {
        if now >= self.refresh_at {
            self.unrefreshed.clear();
            self.refresh_at = now.saturating_add(delay);
        }
        self.unrefreshed.entry((replaced.table, replaced.id)).or_insert_with(|| replaced.old.clone());
    }

    /// Sets or removes a row and keeps the indexes right. Err is the holder of a unique value that the new object
    /// claims too; nothing is changed then.
    pub(super) fn replace(
        &mut self,
        table: Table,
        id: Uuid,
        new: Option<(&Object, Box<[u8]>)>,
    ) -> Result<Replaced, (UniqueKey, Uuid)> {
        let old_keys = self.get(table, id).map(|object| Keys::of(table, &object)).unwrap_or_default();
        let new_keys = new.as_ref().map(|(object, _)| Keys::of(table, object)).unwrap_or_default();
        for key in &new_keys.unique {
            if let Some(holder) = self.holder(key).filter(|holder| *holder != id) {
                return Err((key.clone(), holder));
            }
        }
        if old_keys != new_keys {
            for key in &old_keys.unique {
                self.unique.remove(key);
            }
            for key in &old_keys.related {
                self.unrelate(*key, id);
            }
            for key in new_keys.unique {
                self.unique.insert(key, id);
            }
            for key in new_keys.related {
                self.related.entry(key).or_default().push(id);
            }
        }
        let rows = self.tables.entry(table).or_default();
        let old = match new {
            Some((_, bytes)) => rows.set(id, bytes),
            None => rows.remove(id),
        };
        Ok(Replaced { table, id, old })
    }

    fn unrelate(&mut self, key: (Relation, Uuid), id: Uuid) {
        if let Some(ids) = self.related.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.related.remove(&key);
            }
        }
    }
}

/// Stored bytes are always an object that this program wrote; anything else would be a damaged store, which
/// [`super::Database`] refuses when it loads.
pub(super) fn parse(bytes: &[u8]) -> Option<Object> {
    serde_json::from_slice(bytes).ok()
}
