//! What each change can break: first what must be looked up to tell, then the class and the reasons.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use crate::model::{Deletion, Kind};

use super::path::FieldPath;
use super::{Action, Change, Facts, FieldChange, Key, Needs, Plan, Purpose, Risk, Shown};

/// FusionAuth's own application; its roles administer the server (wire notes §2).
pub const FUSIONAUTH_APPLICATION: Uuid = Uuid::from_u128(0x3c21_9e58_ed0e_4b18_ad48_f4f9_2793_ae32);

/// What must be known of the server before the plan can be judged.
pub fn needs(plan: &Plan) -> Needs {
    let mut needs = Needs::default();
    for change in &plan.changes {
        let deleted = is_deleted(change);
        match (change.kind(), &change.key) {
            (Kind::Lambda, Key::Id(id)) if deleted || is_written(change) => {
                needs.lambdas.insert(*id);
            }
            (Kind::EntityType, Key::Id(id)) => {
                let parts = change.calls.iter().filter(|call| call.purpose == Purpose::DeletePart);
                needs.permissions.extend(parts.filter_map(|call| Some((*id, call.part.clone()?))));
                if deleted {
                    needs.entity_types.insert(*id);
                }
            }
            _ => {}
        }
        if deleted && matches!(change.kind(), Kind::User | Kind::Entity | Kind::EntityType) {
            needs.cascades.insert(change.key.clone());
        }
        needs.users.extend(unlinked(change));
    }
    needs
}

/// Gives each change its risk and the reasons for it.
pub fn assess(plan: &mut Plan, facts: &Facts) {
    let mut judged = Vec::with_capacity(plan.changes.len());
    let links = Links::of(plan);
    for change in &plan.changes {
        let mut found = Found::default();
        judge(&links, change, facts, &mut found);
        judged.push(found);
    }
    for (change, found) in plan.changes.iter_mut().zip(judged) {
        change.risk = found.risk();
        change.risk_notes = found.notes();
    }
}

/// Deletes for good, with all that goes along.
pub(super) fn is_deleted(change: &Change) -> bool {
    change.action == Action::Delete && change.deletion == Some(Deletion::Delete)
}

/// Whether an existing object is written to.
pub(super) fn is_written(change: &Change) -> bool {
    change.action != Action::Create && change.action != Action::Delete && !change.calls.is_empty()
}

/// Whether a person can no longer sign in after the change, without being deleted.
pub(super) fn deactivates(change: &Change) -> bool {
    let switched_off = |field: &FieldChange| {
        &*field.path == "active" && field.after == Shown::Value(false.into()) && field.before != Shown::Absent
    };
    change.kind() == Kind::User && change.fields.iter().any(switched_off)
}

/// Roles of FusionAuth's own application that the change gives.
pub(super) fn admin_roles(change: &Change) -> Vec<String> {
    let of_fusionauth = |field: &&FieldChange| {
        FieldPath::parse(&field.path)
            .and_then(|path| path.part_key()?.parse().ok())
            .is_some_and(|id: Uuid| id == FUSIONAUTH_APPLICATION)
    };
    if change.kind() != Kind::User {
        return vec![];
    }
    change.fields.iter().filter(of_fusionauth).flat_map(|field| role_changes(field).0).collect()
}

#[derive(Default)]
struct Found(Vec<(Risk, String)>);

impl Found {
    fn add(&mut self, risk: Risk, note: impl Into<String>) {
        self.0.push((risk, note.into()));
    }

    fn risk(&self) -> Risk {
        self.0.iter().map(|(risk, _)| *risk).max().unwrap_or(Risk::Reversible)
    }

    /// The gravest first.
    fn notes(mut self) -> Vec<String> {
        self.0.sort_by_key(|(risk, _)| std::cmp::Reverse(*risk));
        self.0.into_iter().map(|(_, note)| note).collect()
    }
}

/// Links that the plan makes and takes away, by user.
#[derive(Default)]
struct Links {
    made: BTreeMap<Uuid, u64>,
    taken: BTreeMap<Uuid, u64>,
}

impl Links {
    fn of(plan: &Plan) -> Self {
        let mut links = Links::default();
        for change in &plan.changes {
            if let Some(user) = linked(change) {
                *links.made.entry(user).or_default() += 1;
            }
            if let Some(user) = unlinked(change) {
                *links.taken.entry(user).or_default() += 1;
            }
        }
        links
    }

    /// How many the user has when the plan is done.
    fn left(&self, user: Uuid, facts: &Facts) -> u64 {
        let count = |of: &BTreeMap<Uuid, u64>| of.get(&user).copied().unwrap_or_default();
        (count(&facts.links) + count(&self.made)).saturating_sub(count(&self.taken))
    }
}

fn judge(links: &Links, change: &Change, facts: &Facts, found: &mut Found) {
    match change.kind() {
        Kind::User => user(change, facts, found),
        Kind::IdentityProviderLink => link(links, change, facts, found),
        Kind::Lambda => lambda(change, facts, found),
        Kind::EntityType => entity_type(change, facts, found),
        Kind::Entity => entity(change, found),
        _ => {}
    }
    let along = facts.cascades.get(&change.key).copied().unwrap_or_default();
    if is_deleted(change) && along > 0 {
        let note =
            format!("FusionAuth deletes {along} registrations, links, grants or entities along with it");
        found.add(Risk::DeletesInUse, note);
    }
}

fn user(change: &Change, facts: &Facts, found: &mut Found) {
    let roles = admin_roles(change);
    if !roles.is_empty() {
        let note = format!("gives the role {} of FusionAuth's own application", roles.join(", "));
        found.add(Risk::GivesAdministration, note);
    }
    if is_deleted(change) {
        found.add(Risk::HardDeletesPerson, "deletes a person for good");
        return;
    }
    if deactivates(change) {
        found.add(Risk::DeactivatesPerson, "deactivates a person");
    }
    for field in &change.fields {
        user_field(change, field, facts, found);
    }
}

fn user_field(change: &Change, field: &FieldChange, facts: &Facts, found: &mut Found) {
    let existing = change.action != Action::Create;
    match &*field.path {
        "expiry" => {
            let expiry = value(&field.after).and_then(Value::as_i64);
            if expiry.is_some_and(|expiry| expiry <= facts.now) {
                found.add(Risk::DeactivatesPerson, "sets an expiry that has passed");
            }
        }
        "email" | "username" | "phoneNumber" if existing && field.before != Shown::Absent => {
            found.add(Risk::BreaksSignIn, format!("changes the {} to sign in with", field.path));
        }
        "password" if existing => found.add(Risk::BreaksSignIn, "resets the password"),
        path => {
            let Some(path) = FieldPath::parse(path) else { return };
            let Some(application) = path.part_key() else { return };
            if path.is_part() && field.after == Shown::Absent {
                found.add(Risk::BreaksSignIn, format!("takes away the registration for {application}"));
            }
            let taken = role_changes(field).1;
            if !taken.is_empty() && field.after != Shown::Absent {
                let note = format!("takes away the role {} of {application}", taken.join(", "));
                found.add(Risk::BreaksSignIn, note);
            }
        }
    }
}

/// Roles given and roles taken away, of a registration's field or of a registration as a whole.
fn role_changes(field: &FieldChange) -> (Vec<String>, Vec<String>) {
    let whole = FieldPath::parse(&field.path).is_some_and(|path| path.is_part());
    if !whole && !field.path.ends_with("].roles") {
        return (vec![], vec![]);
    }
    let roles = |shown: &Shown| -> BTreeSet<String> {
        let value = value(shown);
        let roles = if whole { value.and_then(|value| value.get("roles")) } else { value };
        let roles = roles.and_then(Value::as_array).into_iter().flatten();
        roles.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (before, after) = (roles(&field.before), roles(&field.after));
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
    (only(&after, &before), only(&before, &after))
}

fn value(shown: &Shown) -> Option<&Value> {
    match shown {
        Shown::Value(value) => Some(value),
        Shown::Absent | Shown::Secret => None,
    }
}

/// The user who loses a link.
fn unlinked(change: &Change) -> Option<Uuid> {
    let unlink = change.calls.iter().find(|call| call.purpose == Purpose::Unlink)?;
    let (_, user) = unlink.query.iter().find(|(name, _)| name == "userId")?;
    user.parse().ok()
}

fn linked(change: &Change) -> Option<Uuid> {
    let links = |purpose| matches!(purpose, Purpose::Link | Purpose::CompletePendingLink);
    match &change.key {
        Key::Link { user, .. } if change.calls.iter().any(|call| links(call.purpose)) => Some(*user),
        _ => None,
    }
}

fn link(links: &Links, change: &Change, facts: &Facts, found: &mut Found) {
    let Some(user) = unlinked(change) else { return };
    if change.changes_key() {
        found.add(Risk::BreaksSignIn, "unlinks one account at the identity provider and links another");
    }
    if facts.without_password.contains(&user) && links.left(user, facts) == 0 {
        found.add(Risk::BreaksSignIn, "takes away the last link of a user without a password");
    }
}

fn lambda(change: &Change, facts: &Facts, found: &mut Found) {
    let id = change.key.id().unwrap_or_default();
    let uses = facts.lambda_uses.get(&id).map(Vec::as_slice).unwrap_or_default();
    if uses.is_empty() {
        return;
    }
    let uses = uses.join(", ");
    if change.action == Action::Delete && change.deletion != Some(Deletion::Orphan) {
        found.add(Risk::DeletesInUse, format!("it is in use by {uses}"));
    } else if is_written(change) {
        found.add(Risk::BreaksSignIn, format!("changes a lambda in use by {uses}"));
    }
}

fn entity_type(change: &Change, facts: &Facts, found: &mut Found) {
    let id = change.key.id().unwrap_or_default();
    for call in change.calls.iter().filter(|call| call.purpose == Purpose::DeletePart) {
        let name = call.part.clone().unwrap_or_default();
        let grants = facts.permission_grants.get(&(id, name.clone())).copied().unwrap_or_default();
        if grants > 0 {
            let grants = if grants == 1 { "1 grant".to_owned() } else { format!("{grants} grants") };
            found.add(Risk::DeletesInUse, format!("the permission \"{name}\" stands in {grants}"));
        }
    }
}

fn entity(change: &Change, found: &mut Found) {
    let secret = change.fields.iter().any(|field| &*field.path == "clientSecret");
    if secret && change.action != Action::Create {
        found.add(Risk::BreaksSignIn, "changes the client secret that the entity authenticates with");
    }
}
