//! What the record is to say of a change that has come part of its way: a crash or a failed call leaves nothing
//! that nobody knows of, and claims nothing that was not written.

use std::collections::BTreeSet;

use crate::model::Kind;

use super::path::FieldPath;
use super::{Action, Call, Change, Entry, Purpose, RecordUpdate};

/// What the calls that are done have written.
#[derive(Default)]
struct Scope {
    everything: bool,
    own_fields: bool,
    parts: BTreeSet<String>,
    reactivated: bool,
}

impl Change {
    /// What the record is told before the first write: the object as it will be held. What it does not hold yet is
    /// marked as an intent; of what it holds, a crash must lose neither fields that were written nor a deactivation.
    /// None for what is let go and for changes that write nothing.
    pub fn intent(&self) -> Option<Entry> {
        let takes = matches!(self.action, Action::Create | Action::Adopt) || self.changes_key();
        match &self.record {
            RecordUpdate::Put { entry, .. } if takes || !self.calls.is_empty() => {
                Some(Entry { intent: takes, ..(**entry).clone() })
            }
            _ => None,
        }
    }

    /// What the record is to say once the first `done` calls have succeeded and the others have not. `held` is
    /// what it said before the change, without its intent. None: nothing new.
    pub fn record_after(&self, held: Option<&Entry>, done: usize) -> Option<RecordUpdate> {
        if done >= self.calls.len() {
            return Some(self.record.clone());
        }
        if done == 0 {
            return None;
        }
        let RecordUpdate::Put { entry, replaces } = &self.record else { return None };
        let scope = Scope::of(self.kind(), self.calls.iter().take(done));
        let mut entry = (**entry).clone();
        let before = held.map(|held| held.written.clone()).unwrap_or_default();
        let in_scope = |path: &str| scope.contains(path);
        let written: BTreeSet<String> = entry
            .written
            .iter()
            .filter(|path| before.contains(*path) || in_scope(path))
            .chain(before.iter().filter(|path| !in_scope(path)))
            .cloned()
            .collect();
        entry.written = written.into();
        if !scope.own_fields && !scope.everything {
            entry.secrets = held.map(|held| held.secrets.clone()).unwrap_or_default();
            // Unlinked, and the new link not made yet.
            entry.intent = self.changes_key() || held.is_some_and(|held| held.intent);
        }
        if !scope.reactivated {
            entry.deactivated_by_us = held.is_some_and(|held| held.deactivated_by_us);
        }
        Some(RecordUpdate::Put { entry: Box::new(entry), replaces: replaces.clone() })
    }
}

impl Scope {
    fn of<'a>(kind: Kind, calls: impl Iterator<Item = &'a Call>) -> Self {
        let mut scope = Scope::default();
        for call in calls {
            match call.purpose {
                // A type comes with its permissions, an import with its registrations.
                Purpose::Create if kind == Kind::EntityType => scope.everything = true,
                Purpose::Import => scope.everything = true,
                Purpose::Create | Purpose::Update | Purpose::Grant => scope.own_fields = true,
                Purpose::Link | Purpose::CompletePendingLink => scope.own_fields = true,
                Purpose::Reactivate => scope.reactivated = true,
                _ => {}
            }
            scope.parts.extend(call.part.clone());
        }
        scope
    }

    fn contains(&self, path: &str) -> bool {
        self.everything
            || match FieldPath::parse(path) {
                Some(path) => match path.part_key() {
                    Some(part) => self.parts.contains(part),
                    None => self.own_fields,
                },
                None => false,
            }
    }
}
