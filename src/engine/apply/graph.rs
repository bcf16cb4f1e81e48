//! The order of a run: which changes may begin, and which never can. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::model::Address;
use crate::reconcile::Change;

/// Changes by what they wait for.
#[derive(Debug)]
pub struct Graph {
    /// How many changes each still waits for.
    waiting: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// In the plan's order.
    ready: BTreeSet<usize>,
    ended: Vec<bool>,
}

impl Graph {
    pub fn new(changes: &[Change]) -> Self {
        let mut by_address: HashMap<&Address, Vec<usize>> = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            by_address.entry(&change.address).or_default().push(index);
        }
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); changes.len()];
        let mut waiting = vec![0; changes.len()];
        for (index, change) in changes.iter().enumerate() {
            let needed: BTreeSet<usize> = change
                .depends_on
                .iter()
                .flat_map(|address| by_address.get(address).into_iter().flatten().copied())
                .filter(|needed| *needed != index)
                .collect();
            if let Some(count) = waiting.get_mut(index) {
                *count = needed.len();
            }
            for needed in needed {
                if let Some(list) = dependents.get_mut(needed) {
                    list.push(index);
                }
            }
        }
        let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| index);
        Graph { ready: ready.collect(), ended: vec![false; changes.len()], waiting, dependents }
    }

    /// The next change that may begin.
    pub fn next(&mut self) -> Option<usize> {
        self.ready.pop_first()
    }

    /// The change is done: what waited for it alone may begin.
    pub fn done(&mut self, index: usize) {
        self.end(index);
        for dependent in self.dependents.get(index).cloned().unwrap_or_default() {
            if let Some(count) = self.waiting.get_mut(dependent) {
                *count = count.saturating_sub(1);
                if *count == 0 && !self.has_ended(dependent) {
                    self.ready.insert(dependent);
                }
            }
        }
    }

    /// The change failed: all that depends on it, however far, is returned and never begins.
    pub fn failed(&mut self, index: usize) -> Vec<usize> {
        self.end(index);
        let mut blocked = Vec::new();
        let mut next = vec![index];
        while let Some(index) = next.pop() {
            for dependent in self.dependents.get(index).cloned().unwrap_or_default() {
                if !self.has_ended(dependent) {
                    self.end(dependent);
                    blocked.push(dependent);
                    next.push(dependent);
                }
            }
        }
        blocked
    }

    fn end(&mut self, index: usize) {
        self.ready.remove(&index);
        if let Some(ended) = self.ended.get_mut(index) {
            *ended = true;
        }
    }

    fn has_ended(&self, index: usize) -> bool {
        self.ended.get(index).copied().unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Deletion, Kind};
    use crate::reconcile::{Action, Entry, Key, Reason, RecordUpdate, Risk};
    use uuid::Uuid;

    fn change(name: &str, depends_on: &[&str]) -> Change {
        let address = |name: &str| Address::new(Kind::User, "default", name);
        let key = Key::Id(Uuid::nil());
        let entry = Entry::new(address(name), key.clone(), Deletion::Delete);
        Change {
            address: address(name),
            action: Action::Create,
            key,
            reason: Reason::Missing,
            risk: Risk::Reversible,
            risk_notes: vec![],
            fields: vec![],
            deletion: None,
            depends_on: depends_on.iter().map(|name| address(name)).collect(),
            calls: vec![],
            fingerprint: None,
            protected: false,
            notes: vec![],
            record: RecordUpdate::Put { entry: Box::new(entry), replaces: None },
        }
    }

    #[test]
    fn a_change_begins_when_all_that_it_needs_is_done() {
        let mut graph =
            Graph::new(&[change("a", &[]), change("b", &["a", "c"]), change("c", &["elsewhere"])]);
        assert_eq!((graph.next(), graph.next(), graph.next()), (Some(0), Some(2), None));
        graph.done(0);
        assert_eq!(graph.next(), None);
        graph.done(2);
        assert_eq!(graph.next(), Some(1));
    }

    #[test]
    fn a_failure_blocks_what_depends_on_it_however_far_and_nothing_else() {
        let mut graph =
            Graph::new(&[change("a", &[]), change("b", &["a"]), change("c", &["b"]), change("d", &[])]);
        assert_eq!(graph.next(), Some(0));
        assert_eq!(graph.failed(0), [1, 2]);
        assert_eq!((graph.next(), graph.next()), (Some(3), None));
    }
}
