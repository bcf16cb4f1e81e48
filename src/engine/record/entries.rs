//! The record's entries in memory, found by live object or by address.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{Address, Kind};
use crate::reconcile::{Entry, Key, RecordUpdate};

/// All entries of a record, one a live object. An entry never changes, it is replaced: whoever holds one has it as it
/// was.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    by_key: BTreeMap<Key, Arc<Entry>>,
    /// Usually one key; two while a link's or a grant's key changes.
    by_address: HashMap<Address, Vec<Key>>,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.shared().map(Arc::as_ref)
    }

    /// As [`Self::iter`], to be held.
    pub fn shared(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_key.values()
    }

    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.iter().filter(move |entry| entry.address.kind == kind)
    }

    /// The entry of a live object.
    pub fn by_key(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.by_key.get(key)
    }

    /// The entry at an address. While its key changes there are two: the confirmed one then.
    pub fn by_address(&self, address: &Address) -> Option<&Arc<Entry>> {
        let entries = || self.at(address);
        entries().find(|entry| !entry.intent).or_else(|| entries().next())
    }

    /// All entries at an address, intended ones too.
    pub fn at(&self, address: &Address) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_address.get(address).into_iter().flatten().filter_map(|key| self.by_key.get(key))
    }

    /// Puts an entry in the place of the one with its key, which is returned.
    pub fn put(&mut self, entry: impl Into<Arc<Entry>>) -> Option<Arc<Entry>> {
        let entry = entry.into();
        let previous = self.remove(&entry.key);
        self.by_address.entry(entry.address.clone()).or_default().push(entry.key.clone());
        self.by_key.insert(entry.key.clone(), entry);
        previous
    }

    pub fn remove(&mut self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.by_key.remove(key)?;
        if let Some(keys) = self.by_address.get_mut(&entry.address) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_address.remove(&entry.address);
            }
        }
        Some(entry)
    }

    /// Applies what a change did, and returns the keys whose entries it touched.
    pub fn apply(&mut self, update: RecordUpdate) -> Vec<Key> {
        match update {
            RecordUpdate::Put { entry, replaces } => {
                let mut touched = vec![entry.key.clone()];
                if let Some(old) = replaces.filter(|old| *old != entry.key) {
                    self.remove(&old);
                    touched.push(old);
                }
                self.put(entry);
                touched
            }
            RecordUpdate::Remove(key) => {
                self.remove(&key);
                vec![key]
            }
        }
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut all = Entries::default();
        for entry in entries {
            all.put(entry);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::Deletion;

    #[test]
    fn a_changed_key_has_two_entries_until_it_is_confirmed() {
        let address = Address::new(Kind::IdentityProviderLink, "default", "richard");
        let key = |id: &str| Key::Link {
            identity_provider: Uuid::nil(),
            identity_provider_user_id: id.to_owned(),
            user: Uuid::nil(),
        };
        let entry = |id, intent| Entry { intent, ..Entry::new(address.clone(), key(id), Deletion::Delete) };
        let mut entries: Entries = [entry("old", false)].into_iter().collect();
        entries.put(entry("new", true));
        assert_eq!(entries.by_address(&address).unwrap().key, key("old"));
        assert_eq!(entries.at(&address).count(), 2);
        let put = RecordUpdate::Put { entry: Box::new(entry("new", false)), replaces: Some(key("old")) };
        assert_eq!(entries.apply(put).len(), 2);
        assert_eq!(entries.by_address(&address).unwrap().key, key("new"));
        assert_eq!(entries.len(), 1);
        entries.apply(RecordUpdate::Remove(key("new")));
        assert!(entries.is_empty() && entries.by_address(&address).is_none());
    }
}
