//! From the plans of objects to the plan of a run: what only shows when all are seen together.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::{Address, Kind, Owner};

use super::order::order;
use super::{
    Action, Change, FieldChange, Key, Plan, Planned, Problem, Reason, RecordUpdate, Shown, Target, Unique,
    Verdict, Withheld,
};

/// Puts the plan together. A permuted input gives the same plan.
///
/// Risks and guards are judged afterwards ([`super::assess`], [`super::guard`]): they need facts.
pub fn assemble(target: Target, owner: Owner, planned: impl IntoIterator<Item = Planned>) -> Plan {
    let mut planned: Vec<Planned> = planned.into_iter().collect();
    planned.sort_by(|one, other| (&one.address, &one.key).cmp(&(&other.address, &other.key)));
    let mut errors = one_object_two_addresses(&planned);
    // That our record holds the object under another address has been said, and is the better reason.
    for planned in planned.iter_mut().filter(|planned| says_of(&errors, &planned.address)) {
        planned.errors.retain(|problem| !problem.code.starts_with("adoption-"));
    }
    errors.extend(kept_natural_keys(&planned, &errors));
    errors.extend(renamed_without_annotation(&planned, &errors));
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

/// Of a plan of adoptions the rest is withheld: whoever takes over what exists asks for nothing else.
pub fn only_adoptions(plan: &mut Plan) {
    let changes = std::mem::take(&mut plan.changes);
    let (adopted, rest): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|change| change.action == Action::Adopt);
    let kept: BTreeSet<Address> = adopted.iter().map(|change| change.address.clone()).collect();
    plan.changes = adopted;
    for change in &mut plan.changes {
        change.depends_on.retain(|address| kept.contains(address));
    }
    plan.withheld.extend(rest.into_iter().map(|change| Withheld {
        address: change.address,
        action: change.action,
        why: "adopt only takes over what exists; apply does this".to_owned(),
        fields: change.fields,
    }));
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
            // The old one first.
            let (old, new) = if is_gone(planned) { (planned, other) } else { (other, planned) };
            let (one, two) = (&old.address, &new.address);
            let id = planned.key.id().map(|id| format!(" (id {id})")).unwrap_or_default();
            problems.push(
                Problem::error(
                    "two-addresses",
                    format!("{one} and {two} are one {kind} in FusionAuth{id}"),
                    format!(
                        "keep one of them; if it was renamed, annotate the new one with fusionkeep.dev/moved-from: {}",
                        moved_from(one)
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
            && !says_of(known, &taking.address)
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

/// What identifies a lambda, and an entity without a clientId of its own, though FusionAuth has no objection to a
/// second one: its name, and its type.
type Name = (Kind, String, String);

fn name_of(planned: &Planned, fields: &[FieldChange], type_id: Option<Uuid>) -> Option<Name> {
    let kind = planned.address.kind;
    let shown = |path: &str| {
        let field = fields.iter().find(|field| &*field.path == path)?;
        [&field.after, &field.before].into_iter().find_map(|shown| match shown {
            Shown::Value(value) => Some(value),
            _ => None,
        })
    };
    let type_of = |found: Uuid| found.to_string();
    let of_type = match kind {
        Kind::Lambda => shown("type")?.as_str()?.to_owned(),
        Kind::Entity => {
            type_id.map(type_of).or_else(|| Some(shown("type")?.get("id")?.as_str()?.to_owned()))?
        }
        _ => return None,
    };
    Some((kind, shown("name")?.as_str()?.to_owned(), of_type))
}

/// A lambda or an entity is created under the name of one that is no longer declared: nearly always a rename, and as
/// two objects the new one would have lost what others refer to. Where several have the name it says nothing.
fn renamed_without_annotation(planned: &[Planned], known: &[Problem]) -> Vec<Problem> {
    let (mut removed, mut created) = (Vec::new(), Vec::new());
    for planned in planned {
        let of_type = planned.uses.iter().find_map(|(kind, id)| (*kind == Kind::EntityType).then_some(*id));
        match &planned.verdict {
            Verdict::Change(change) if change.action == Action::Create => {
                let has_client_id = change.fields.iter().any(|field| &*field.path == "clientId");
                let name = name_of(planned, &change.fields, None).filter(|_| !has_client_id);
                created.extend(name.map(|name| (name, planned)));
            }
            Verdict::Change(change) if change.action == Action::Delete && change.reason == Reason::Pruned => {
                removed.extend(name_of(planned, &change.fields, of_type).map(|name| (name, planned)));
            }
            Verdict::Withheld => {
                let fields = planned.withheld.iter().filter(|withheld| withheld.action == Action::Delete);
                let name = fields.map(|withheld| name_of(planned, &withheld.fields, of_type)).next();
                removed.extend(name.flatten().map(|name| (name, planned)));
            }
            _ => {}
        }
    }
    let (removed, created) = (by_name(removed), by_name(created));
    let mut problems = Vec::new();
    for (name, new) in &created {
        let ([new], Some([old])) = (new.as_slice(), removed.get(name).map(Vec::as_slice)) else { continue };
        if says_of(known, &new.address) {
            continue;
        }
        let why = if old.change().is_some() { "deletes" } else { "no longer declares" };
        problems.push(
            Problem::error(
                "natural-key-in-use",
                format!("{} takes the name of {}, which this plan {why}", new.address, old.address),
                format!(
                    "if {0} was renamed, annotate {1} with fusionkeep.dev/moved-from: {2}; else delete {0} in an apply of its own",
                    old.address,
                    new.address,
                    moved_from(&old.address)
                ),
            )
            .of(&new.address),
        );
    }
    problems
}

fn by_name(named: Vec<(Name, &Planned)>) -> BTreeMap<Name, Vec<&Planned>> {
    named.into_iter().fold(BTreeMap::new(), |mut all, (name, planned)| {
        all.entry(name).or_default().push(planned);
        all
    })
}

fn says_of(problems: &[Problem], address: &Address) -> bool {
    problems.iter().any(|problem| problem.address.as_ref() == Some(address))
}

/// Whether it is no longer declared, or nothing is left of it under its own address.
fn is_gone(planned: &Planned) -> bool {
    match &planned.verdict {
        Verdict::Change(change) => change.action == Action::Delete,
        Verdict::Withheld | Verdict::Record(RecordUpdate::Remove(_)) => true,
        _ => false,
    }
}

/// An address as the annotation has it: `[NAMESPACE/]NAME`.
fn moved_from(address: &Address) -> String {
    address.to_string().split_once('/').map(|(_, name)| name.to_owned()).unwrap_or_default()
}
