//! One drawn order of changes: what is referred to stands first, what hangs on something goes before it goes,
//! unique values are freed before they are taken.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::{Address, Deletion, Kind, row};

use super::{Action, Change, Planned, Problem, Unique};

/// Changes by address, each with what must be done before it.
type Edges<'a> = BTreeMap<&'a Address, BTreeSet<&'a Address>>;

/// The addresses of all changes in an order in which they can be applied, with their dependencies; or the cycles
/// that have none. The same for any order of the input.
pub(super) fn order(planned: &[Planned]) -> Result<Vec<(Address, Vec<Address>)>, Box<Problem>> {
    let by_address: BTreeMap<&Address, &Planned> =
        planned.iter().map(|planned| (&planned.address, planned)).collect();
    let mut edges: Edges<'_> = planned
        .iter()
        .filter(|planned| planned.change().is_some())
        .map(|planned| (&planned.address, BTreeSet::new()))
        .collect();
    references(&by_address, &mut edges);
    deletions(planned, &mut edges);
    handovers(planned, &mut edges);
    sort(&by_address, edges)
}

/// Through what does not change: a grant waits for its entity's type, even where the entity stands already.
fn references<'a>(by_address: &BTreeMap<&'a Address, &'a Planned>, edges: &mut Edges<'a>) {
    let changed: BTreeSet<&Address> = edges.keys().copied().collect();
    for (address, before) in edges.iter_mut() {
        let mut seen = BTreeSet::from([*address]);
        let mut waiting: Vec<&Address> =
            by_address.get(address).map(|planned| planned.references.iter().collect()).unwrap_or_default();
        while let Some(next) = waiting.pop() {
            if !seen.insert(next) {
                continue;
            }
            if changed.contains(next) {
                before.insert(next);
            } else if let Some(planned) = by_address.get(next) {
                waiting.extend(&planned.references);
            }
        }
    }
}

/// What hangs on an object now is dealt with before the object is deleted.
fn deletions<'a>(planned: &'a [Planned], edges: &mut Edges<'a>) {
    let mut users: BTreeMap<(Kind, Uuid), Vec<&Address>> = BTreeMap::new();
    for planned in planned.iter().filter(|planned| planned.change().is_some()) {
        for used in &planned.uses {
            users.entry(*used).or_default().push(&planned.address);
        }
    }
    for planned in planned {
        let Some((id, true)) = planned.key.id().zip(planned.change().map(deletes)) else { continue };
        let using = users.get(&(planned.address.kind, id)).into_iter().flatten();
        if let Some(before) = edges.get_mut(&planned.address) {
            before.extend(using.filter(|address| ***address != planned.address));
        }
    }
}

fn deletes(change: &Change) -> bool {
    change.action == Action::Delete && change.deletion != Some(Deletion::Orphan)
}

fn handovers<'a>(planned: &'a [Planned], edges: &mut Edges<'a>) {
    let mut freed: BTreeMap<&Unique, &Address> = BTreeMap::new();
    for planned in planned.iter().filter(|planned| planned.change().is_some()) {
        freed.extend(planned.frees.iter().map(|value| (value, &planned.address)));
    }
    for planned in planned {
        let Some(before) = edges.get_mut(&planned.address) else { continue };
        let from = planned.takes.iter().filter_map(|value| freed.get(value).copied());
        before.extend(from.filter(|address| **address != planned.address));
    }
}

/// Kahn's algorithm; among what is ready, the rank of the kinds decides, then the address.
fn sort(
    by_address: &BTreeMap<&Address, &Planned>,
    edges: Edges<'_>,
) -> Result<Vec<(Address, Vec<Address>)>, Box<Problem>> {
    let rank = |address: &Address| {
        let order = i16::from(row(address.kind).order);
        let delete = by_address
            .get(address)
            .and_then(|planned| planned.change())
            .is_some_and(|change| change.action == Action::Delete);
        if delete { (1, -order) } else { (0, order) }
    };
    let mut missing: BTreeMap<&Address, usize> =
        edges.iter().map(|(address, before)| (*address, before.len())).collect();
    let mut after: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for (address, before) in &edges {
        for earlier in before {
            after.entry(earlier).or_default().push(address);
        }
    }
    let mut ready: BTreeSet<_> = missing
        .iter()
        .filter(|(_, missing)| **missing == 0)
        .map(|(address, _)| (rank(address), *address))
        .collect();
    let mut sorted = Vec::with_capacity(edges.len());
    while let Some((_, address)) = ready.pop_first() {
        missing.remove(address);
        let before = edges.get(address).into_iter().flatten().map(|address| (*address).clone()).collect();
        sorted.push((address.clone(), before));
        for later in after.get(address).into_iter().flatten() {
            if let Some(left) = missing.get_mut(later) {
                *left -= 1;
                if *left == 0 {
                    ready.insert((rank(later), *later));
                }
            }
        }
    }
    if missing.is_empty() { Ok(sorted) } else { Err(Box::new(cycle(&missing, &edges))) }
}

/// The cycle itself, without what only waits for it.
fn cycle(left: &BTreeMap<&Address, usize>, edges: &Edges<'_>) -> Problem {
    let mut path: Vec<&Address> = Vec::new();
    let mut next = left.keys().next().copied();
    while let Some(address) = next {
        if let Some(start) = path.iter().position(|seen| *seen == address) {
            path.drain(..start);
            break;
        }
        path.push(address);
        next =
            edges.get(address).and_then(|before| before.iter().find(|one| left.contains_key(**one)).copied());
    }
    path.sort();
    let names: Vec<String> = path.iter().map(ToString::to_string).collect();
    let problem = Problem::error(
        "unique-value-cycle",
        format!(
            "{} wait for each other: each takes a unique value that another one still has",
            names.join(", ")
        ),
        "give one of them another value first, in an apply of its own",
    );
    match path.first() {
        Some(address) => problem.of(address),
        None => problem,
    }
}
