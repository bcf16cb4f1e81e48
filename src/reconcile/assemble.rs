//! From the plans of objects to the plan of a run: what only shows when all are seen together.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Address, Kind, Owner};

use super::order::order;
use super::{Action, Change, Key, Plan, Planned, Problem, Reason, Target, Unique, Verdict};

/// Puts the plan together. A permuted input gives the same plan.
///
/// Risks and guards are judged afterwards ([`super::assess`], [`super::guard`]): they need facts.
pub fn assemble(target: Target, owner: Owner, planned: impl IntoIterator<Item = Planned>) -> Plan {
    let mut planned: Vec<Planned> = planned.into_iter().collect();
    planned.sort_by(|one, other| (&one.address, &one.key).cmp(&(&other.address, &other.key)));
    let mut errors = one_object_two_addresses(&planned);
    errors.extend(kept_natural_keys(&planned, &errors));
    errors.extend(missing_references(&planned));
    let order = order(&planned).unwrap_or_else(|cycle| {
        errors.push(*cycle);
        Vec::new()
    });
    let mut plan = Plan::empty(target, owner);
    let mut changes = BTreeMap::new();
    for planned in planned {
        plan.withheld.extend(planned.withheld);
        plan.warnings.extend(planned.warnings);
        plan.errors.extend(planned.errors);
        match planned.verdict {
            Verdict::Unchanged => plan.unchanged += 1,
            Verdict::Record(update) => {
                if matches!(update, super::RecordUpdate::Put { .. }) {
                    plan.unchanged += 1;
                }
                plan.records.push(update);
            }
            Verdict::Change(change) => {
                changes.insert(planned.address, *change);
            }
            Verdict::Suspended => plan.suspended += 1,
            Verdict::Nothing | Verdict::Withheld | Verdict::Failed => {}
        }
    }
    plan.errors.extend(errors);
    plan.changes = ordered(changes, order);
    plan
}

/// A suspended object is not created, so nothing that refers to it can be.
fn missing_references(planned: &[Planned]) -> Vec<Problem> {
    let absent: BTreeSet<&Address> = planned
        .iter()
        .filter(|planned| planned.verdict == Verdict::Suspended && !planned.exists)
        .map(|planned| &planned.address)
        .collect();
    let changed = planned.iter().filter(|planned| planned.change().is_some());
    changed
        .filter_map(|planned| {
            let missing = planned.references.iter().find(|address| absent.contains(address))?;
            let message =
                format!("{} refers to {missing}, which is suspended and not there", planned.address);
            let hint = format!("take spec.suspend from {missing}, or suspend {} as well", planned.address);
            Some(Problem::error("reference-not-there", message, hint).of(&planned.address))
        })
        .collect()
}

/// With a cycle there is no order; the changes are shown by address then, and never applied.
fn ordered(mut changes: BTreeMap<Address, Change>, order: Vec<(Address, Vec<Address>)>) -> Vec<Change> {
    let mut sorted = Vec::with_capacity(changes.len());
    for (address, depends_on) in order {
        if let Some(change) = changes.remove(&address) {
            sorted.push(Change { depends_on, ..change });
        }
    }
    sorted.extend(changes.into_values());
    sorted
}

fn one_object_two_addresses(planned: &[Planned]) -> Vec<Problem> {
    let mut first: BTreeMap<(Kind, &Key), &Planned> = BTreeMap::new();
    let mut problems = Vec::new();
    for planned in planned.iter().filter(|planned| planned.verdict != Verdict::Nothing) {
        if matches!(&planned.key, Key::Link { identity_provider_user_id, .. } if identity_provider_user_id.is_empty())
        {
            continue;
        }
        let kind = planned.address.kind;
        if let Some(other) = first.insert((kind, &planned.key), planned) {
            let (one, two) = (&other.address, &planned.address);
            let id = planned.key.id().map(|id| format!(" (id {id})")).unwrap_or_default();
            problems.push(
                Problem::error(
                    "two-addresses",
                    format!("{one} and {two} are one {kind} in FusionAuth{id}"),
                    format!(
                        "keep one of them; if it was renamed, annotate the new one with fusionkeep.dev/moved-from: {}",
                        moved_from(if is_removed(other) { one } else { two })
                    ),
                )
                .of(two),
            );
        }
    }
    problems
}

/// Creating and pruning one natural key in one plan: nearly always a rename, and a deactivated person keeps the
/// e-mail address. `known`: addresses of which it was said already.
fn kept_natural_keys(planned: &[Planned], known: &[Problem]) -> Vec<Problem> {
    let mut removed: BTreeMap<&Unique, &Planned> = BTreeMap::new();
    for planned in planned {
        removed.extend(planned.keeps.iter().map(|value| (value, planned)));
        if planned.change().is_some_and(|change| change.reason == Reason::Pruned) {
            removed.extend(planned.frees.iter().map(|value| (value, planned)));
        }
    }
    let mut problems = Vec::new();
    for taking in planned {
        let Some(change) = taking.change() else { continue };
        let clash = taking.takes.iter().find_map(|value| {
            let holder = removed.get(value).filter(|holder| holder.address != taking.address)?;
            let freed = holder.frees.contains(value) && change.action != Action::Create;
            (!freed).then_some((value, *holder))
        });
        if let Some((value, holder)) = clash
            && !known.iter().any(|problem| problem.address.as_ref() == Some(&taking.address))
        {
            problems.push(kept(taking, holder, value));
        }
    }
    problems
}

fn kept(taking: &Planned, holder: &Planned, value: &Unique) -> Problem {
    let (new, old) = (&taking.address, &holder.address);
    let why = match holder.change() {
        Some(_) if holder.frees.contains(value) => "is deleted by this very plan",
        Some(_) => "is deactivated by this plan and keeps it",
        None => "is no longer declared and keeps it",
    };
    Problem::error(
        "natural-key-in-use",
        format!("{new} takes the {} of {old}, which {why}", value.field),
        format!(
            "if {old} was renamed, annotate {new} with fusionkeep.dev/moved-from: {}; else delete {old} for good in an apply of its own",
            moved_from(old)
        ),
    )
    .of(new)
}

fn is_removed(planned: &Planned) -> bool {
    match &planned.verdict {
        Verdict::Change(change) => change.action == Action::Delete,
        Verdict::Withheld => true,
        _ => false,
    }
}

/// An address as the annotation has it: `[NAMESPACE/]NAME`.
fn moved_from(address: &Address) -> String {
    address.to_string().split_once('/').map(|(_, name)| name.to_owned()).unwrap_or_default()
}
