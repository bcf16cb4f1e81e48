//! Guards: judged before the first write. A problem here ends the run with exit status 3 and nothing written.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Address, Deletion, Kind, NumberOrPercent};

use super::risk::{admin_roles, deactivates, is_deleted};
use super::{Action, Change, Facts, HeldAlong, Key, Limits, Plan, Problem, Purpose, Reason};

/// Without a limit of its own a run may delete ten objects, or a fifth of what is owned.
const DELETES: Usual = Usual { number: 10, percent: 20 };
/// Without a limit of its own a run may change ten users, or half of those owned.
const CHANGED_USERS: Usual = Usual { number: 10, percent: 50 };

struct Usual {
    number: u64,
    percent: u64,
}

impl Usual {
    /// Both bounds must be passed: over ten, and over the share.
    fn is_passed(&self, count: u64, total: u64) -> bool {
        count > self.number && count.saturating_mul(100) > total.saturating_mul(self.percent)
    }
}

/// Every guard that refuses the plan.
pub fn guard(plan: &Plan, facts: &Facts, limits: &Limits) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(deletes(plan, facts, limits));
    problems.extend(changed_users(plan, facts, limits));
    problems.extend(protected(plan));
    problems.extend(hard_deletes(plan, limits));
    let along = Along::of(plan, facts);
    problems.extend(along.protected());
    problems.extend(along.entities(facts, limits));
    problems.extend(admin(plan, limits));
    problems
}

/// Deletions of a plan as the guard counts them: objects, parts, and what FusionAuth deletes along with them.
pub fn deletions(plan: &Plan, facts: &Facts) -> u64 {
    let deleted: BTreeSet<&Address> =
        plan.changes.iter().filter(|change| is_deleted(change)).map(|change| &change.address).collect();
    let along = plan.changes.iter().filter(|change| deleted.contains(&change.address)).map(|change| {
        let cascade = facts.cascades.get(&change.key).copied().unwrap_or_default();
        // What the plan deletes by itself first does not go along any more.
        let own = change.depends_on.iter().filter(|address| deleted.contains(address)).count() as u64;
        cascade.saturating_sub(own)
    });
    plan.changes.iter().map(losses).sum::<u64>() + along.sum::<u64>()
}

/// What one change deletes by itself: its object, and parts of it.
pub fn losses(change: &Change) -> u64 {
    let object = change.action == Action::Delete && !change.calls.is_empty();
    let parts = change.calls.iter().filter(|call| call.purpose == Purpose::DeletePart);
    u64::from(object) + parts.count() as u64
}

fn deletes(plan: &Plan, facts: &Facts, limits: &Limits) -> Option<Problem> {
    let count = deletions(plan, facts);
    let what =
        format!("the plan deletes {count} objects (with what goes along), of {} that are owned", facts.owned);
    let bounds = Bounds {
        code: "max-deletes",
        flag: "--max-deletes",
        field: "guards.maxDeletes",
        chosen: limits.max_deletes,
        instance: limits.instance.max_deletes.0,
        usual: DELETES,
    };
    bounds.judge(count, facts.owned, &what)
}

fn changed_users(plan: &Plan, facts: &Facts, limits: &Limits) -> Option<Problem> {
    let changed = plan.changes.iter().filter(|change| {
        change.kind() == Kind::User && change.action != Action::Create && !change.calls.is_empty()
    });
    let count = changed.count() as u64;
    let what = format!("the plan changes {count} users, of {} that are owned", facts.owned_users);
    let bounds = Bounds {
        code: "max-changed-users",
        flag: "--max-changed-users",
        field: "guards.maxChangedUsers",
        chosen: limits.max_changed_users,
        instance: limits.instance.max_changed_users.0,
        usual: CHANGED_USERS,
    };
    bounds.judge(count, facts.owned_users, &what)
}

/// A limit from the command line, and the instance's, which can only tighten it.
struct Bounds {
    code: &'static str,
    flag: &'static str,
    field: &'static str,
    chosen: Option<NumberOrPercent>,
    instance: Option<NumberOrPercent>,
    usual: Usual,
}

impl Bounds {
    fn judge(&self, count: u64, total: u64, what: &str) -> Option<Problem> {
        if count == 0 {
            return None;
        }
        if let Some(limit) = self.instance.filter(|limit| count > limit.of(total)) {
            let message = format!("{what}; the instance allows {limit}");
            let hint = format!("raise {} in the instance's manifest to {count}", self.field);
            return Some(Problem::guard(self.code, message, hint));
        }
        let allowed = match self.chosen {
            Some(limit) if count > limit.of(total) => limit.to_string(),
            None if self.usual.is_passed(count, total) => {
                format!("{} or {} %, whichever is more", self.usual.number, self.usual.percent)
            }
            _ => return None,
        };
        let hint = format!("if that is meant, {} {count}", self.flag);
        Some(Problem::guard(self.code, format!("{what}; {allowed} are allowed"), hint))
    }
}

/// The instance's word counts only where it forbids.
fn allowed(chosen: bool, instance: Option<bool>) -> bool {
    chosen && instance != Some(false)
}

fn overriding(flag: &str, field: &str, instance: Option<bool>) -> String {
    match instance {
        Some(false) => format!("the instance forbids it (guards.{field}: false); with that removed, {flag}"),
        _ => format!("if that is meant, {flag}"),
    }
}

fn protected(plan: &Plan) -> Vec<Problem> {
    let removed = plan.changes.iter().filter(|change| {
        let deleted = change.action == Action::Delete && !change.calls.is_empty();
        change.protected && (deleted || deactivates(change) || replaces(change))
    });
    removed
        .map(|change| {
            let verb = match change.action {
                _ if deactivates(change) => "deactivates",
                Action::Delete => "deletes",
                _ => "replaces",
            };
            let hint = match change.reason {
                Reason::Tombstone => "if that is meant, say policy.protect: false beside ensure: Absent",
                _ => "apply its manifest with policy.protect: false first",
            };
            Problem::guard(
                "protected",
                format!("the plan {verb} {}, which is protected (policy.protect)", change.address),
                hint,
            )
            .of(&change.address)
        })
        .collect()
}

/// Of a link or grant with another key: the one that stands there is taken away.
fn replaces(change: &Change) -> bool {
    let removes = |purpose| matches!(purpose, Purpose::Unlink | Purpose::Delete);
    change.changes_key() && change.calls.iter().any(|call| removes(call.purpose))
}

fn hard_deletes(plan: &Plan, limits: &Limits) -> Option<Problem> {
    let people: Vec<&Address> = plan
        .changes
        .iter()
        .filter(|change| change.kind() == Kind::User && is_deleted(change))
        .map(|change| &change.address)
        .collect();
    let instance = limits.instance.allow_hard_delete.0;
    if people.is_empty() || allowed(limits.allow_hard_delete, instance) {
        return None;
    }
    let message = format!("the plan deletes {} for good: {}", count(&people), names(&people));
    Some(Problem::guard(
        "hard-delete",
        message,
        overriding("--allow-hard-delete", "allowHardDelete", instance),
    ))
}

fn count(people: &[&Address]) -> String {
    if people.len() == 1 { "1 person".to_owned() } else { format!("{} people", people.len()) }
}

/// The first few, and how many more.
fn names(addresses: &[&Address]) -> String {
    let shown: Vec<String> = addresses.iter().take(5).map(ToString::to_string).collect();
    let more = addresses.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// What goes along with what the plan deletes, and is not deleted by the plan itself.
struct Along<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    /// How the plan deletes by itself, by key.
    deleted: BTreeMap<&'a Key, Deletion>,
}

impl<'a> Along<'a> {
    fn of(plan: &'a Plan, facts: &'a Facts) -> Self {
        let deletion = |change: &'a Change| {
            let deletion = change.deletion.filter(|_| change.action == Action::Delete)?;
            Some((&change.key, deletion))
        };
        Along { plan, facts, deleted: plan.changes.iter().filter_map(deletion).collect() }
    }

    /// Each change that takes others along, with those of them that we hold.
    fn held(&self) -> impl Iterator<Item = (&'a Change, &'a [HeldAlong])> {
        let facts = self.facts;
        self.plan
            .changes
            .iter()
            .filter(|change| is_deleted(change))
            .filter_map(move |change| Some((change, facts.held_along.get(&change.key)?.as_slice())))
    }

    /// An object that is protected stands where it is, whoever takes it along. What the plan deletes by itself is
    /// judged for itself.
    fn protected(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (change, held) in self.held() {
            let kept = held.iter().filter(|held| held.protected);
            for held in kept.filter(|held| self.deleted.get(&held.key) != Some(&Deletion::Delete)) {
                let message = format!(
                    "FusionAuth deletes {} along with {}, and it is protected (policy.protect)",
                    held.address, change.address
                );
                let hint = "apply its manifest with policy.protect: false first";
                problems.push(Problem::guard("protected", message, hint).of(&held.address));
            }
        }
        problems
    }

    /// Entities that go with their type: others', those that the plan itself lets go, and ours that it is not about.
    fn entities(&self, facts: &Facts, limits: &Limits) -> Vec<Problem> {
        let types =
            self.plan.changes.iter().filter(|change| change.kind() == Kind::EntityType && is_deleted(change));
        let mut problems = Vec::new();
        for change in types {
            let held = facts.held_along.get(&change.key).map(Vec::as_slice).unwrap_or_default();
            let entities = || held.iter().filter(|held| held.address.kind == Kind::Entity);
            let let_go = entities().filter(|held| self.deleted.get(&held.key) == Some(&Deletion::Orphan));
            let elsewhere: Vec<&Address> = entities()
                .filter(|held| !self.deleted.contains_key(&held.key))
                .map(|held| &held.address)
                .collect();
            let others = change.key.id().and_then(|id| facts.foreign_entities.get(&id)).copied();
            let foreign = others.unwrap_or_default() + let_go.count() as u64;
            if foreign > 0 && !limits.allow_foreign_entities {
                let message = format!(
                    "{} still has {foreign} entities that are not owned here, and FusionAuth deletes them along with it",
                    change.address
                );
                let hint = "delete or move them first, or let the type go with policy.deletion: Orphan; if their loss is meant, --allow-foreign-entities";
                problems.push(Problem::guard("foreign-entities", message, hint).of(&change.address));
            }
            if !elsewhere.is_empty() && !limits.allow_entities_elsewhere {
                let message = format!(
                    "{} still has {} entities of ours that the plan does not delete by itself ({}), and FusionAuth deletes them along with it",
                    change.address,
                    elsewhere.len(),
                    names(&elsewhere)
                );
                let hint = "plan them too (with --target, name them as well); if their loss is meant, --allow-foreign-entities";
                problems.push(Problem::guard("entities-elsewhere", message, hint).of(&change.address));
            }
        }
        problems
    }
}

fn admin(plan: &Plan, limits: &Limits) -> Vec<Problem> {
    let instance = limits.instance.allow_admin_roles.0;
    if allowed(limits.allow_admin_roles, instance) {
        return vec![];
    }
    let hint = overriding("--allow-admin-roles", "allowAdminRoles", instance);
    let given = plan.changes.iter().map(|change| (change, admin_roles(change)));
    given
        .filter(|(_, roles)| !roles.is_empty())
        .map(|(change, roles)| {
            let roles_given = roles.join(", ");
            let message =
                format!("{} gets the role {roles_given} of FusionAuth's own application", change.address);
            Problem::guard("admin-roles", message, hint.clone()).of(&change.address)
        })
        .collect()
}
