//! The entries of a held record and which of them have yet to be written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Scope, row};
use crate::reconcile::{Entry, Key, RecordUpdate};

use super::Entries;

/// Entries, and the keys and scopes of those that changed since they were last written.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub entries: Entries,
    pub dirty: BTreeMap<Key, Scope>,
}

/// The state of a ledger at one moment.
pub(super) struct ToWrite {
    /// In the order of their keys.
    pub entries: Vec<Arc<Entry>>,
    /// What changed, with its scope; none where an entry was removed.
    pub changed: BTreeMap<Key, (Scope, Option<Arc<Entry>>)>,
}

impl Ledger {
    pub fn new(entries: Entries) -> Self {
        Ledger { entries, dirty: BTreeMap::new() }
    }

    /// Takes in what is about to be done. Of an object that is ours already only what a crash must not lose is
    /// taken: more written fields, a deactivation. A new one becomes an intent. Returns whether it is new.
    pub fn intend(&mut self, mut entry: Entry) -> bool {
        let Some(known) = self.entries.by_key(&entry.key) else {
            entry.intent = true;
            self.put(entry);
            return true;
        };
        let mut widened = Entry::clone(known);
        if !entry.written.is_subset(&known.written) {
            widened.written = Arc::new(known.written.union(&entry.written).cloned().collect());
        }
        if entry.deactivated_by_us && !known.deactivated_by_us {
            (widened.deactivated_by_us, widened.intent) = (true, true);
        }
        widened.tenants.extend(&entry.tenants);
        if widened != **known {
            self.put(widened);
        }
        false
    }

    /// Puts an entry, to be written.
    pub fn put(&mut self, entry: Entry) {
        self.dirty.insert(entry.key.clone(), scope_of(&entry));
        self.entries.put(entry);
    }

    /// Takes in what a change did, as it is.
    pub fn update(&mut self, update: RecordUpdate) {
        let scope = match &update {
            RecordUpdate::Put { entry, .. } => Some(scope_of(entry)),
            RecordUpdate::Remove(key) => self.entries.by_key(key).map(|entry| scope_of(entry)),
        };
        let touched = self.entries.apply(update);
        self.dirty
            .extend(scope.into_iter().flat_map(|scope| touched.iter().map(move |key| (key.clone(), scope))));
    }

    /// What is to be written: all entries as they stand, and the keys of those that changed. None when none did.
    pub fn to_write(&self) -> Option<ToWrite> {
        if self.dirty.is_empty() {
            return None;
        }
        let entry = |key: &Key| self.entries.by_key(key).cloned();
        let changed = self.dirty.iter().map(|(key, scope)| (key.clone(), (*scope, entry(key)))).collect();
        Some(ToWrite { entries: self.entries.shared().cloned().collect(), changed })
    }

    /// This was written; what changed since has yet to be.
    pub fn wrote(&mut self, written: &ToWrite) {
        for (key, (_, entry)) in &written.changed {
            if self.entries.by_key(key) == entry.as_ref() {
                self.dirty.remove(key);
            }
        }
    }

    /// Takes an intent back: nothing was begun.
    pub fn withdraw(&mut self, key: &Key) {
        if self.entries.by_key(key).is_some_and(|entry| entry.intent)
            && let Some(entry) = self.entries.remove(key)
        {
            self.dirty.insert(key.clone(), scope_of(&entry));
        }
    }
}

pub(super) fn scope_of(entry: &Entry) -> Scope {
    row(entry.address.kind).scope
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{Address, Deletion, Kind};

    fn entry(kind: Kind, fields: &[&str]) -> Entry {
        let key = Key::Id(Uuid::from_u128(1));
        let mut entry = Entry::new(Address::new(kind, "default", "x"), key, Deletion::Delete);
        entry.written = Arc::new(fields.iter().map(|field| (*field).to_owned()).collect());
        entry
    }

    fn put(entry: Entry) -> RecordUpdate {
        RecordUpdate::Put { entry: Box::new(entry), replaces: None }
    }

    #[test]
    fn intending_what_is_ours_only_widens_it() {
        let mut ledger = Ledger::default();
        assert!(ledger.intend(entry(Kind::User, &["email"])));
        assert!(ledger.entries.iter().all(|entry| entry.intent));
        ledger.update(put(entry(Kind::User, &["email"])));
        ledger.dirty.clear();
        assert!(!ledger.intend(entry(Kind::User, &["email"])));
        assert!(ledger.dirty.is_empty(), "nothing new, nothing to write");
        ledger.intend(entry(Kind::User, &["firstName"]));
        let known = ledger.entries.iter().next().unwrap();
        assert!(known.written.len() == 2 && !known.intent && ledger.dirty.len() == 1);
    }
}
