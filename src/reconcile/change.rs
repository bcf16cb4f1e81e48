//! Putting one object's change together: shown fields, fingerprint, what the record will say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::{Address, Kind, Scope, Sensitivity, row};

use super::diff::Delta;
use super::difference::{Activity, Difference, PartAction, PartDifference, tree};
use super::fingerprint::{value, writable};
use super::path::FieldPath;
use super::{
    Desired, Entry, FieldChange, Key, Live, Observed, PlanContext, Recipient, SecretUse, SentSecret, Shown,
};

pub(super) fn shown(value: &Value) -> Shown {
    if value.is_null() { Shown::Absent } else { Shown::Value(value.clone()) }
}

pub(super) fn field(path: impl ToString, before: Value, after: Value) -> FieldChange {
    FieldChange {
        path: path.to_string().into(),
        before: shown(&before),
        after: shown(&after),
        sensitivity: Sensitivity::Public,
    }
}

fn of_delta(kind: Kind, delta: &Delta) -> FieldChange {
    let sensitivity = delta.path.sensitivity(kind);
    FieldChange { sensitivity, ..field(&delta.path, delta.before.clone(), delta.after.clone()) }
}

/// The difference as fields with before and after.
pub(super) fn fields(kind: Kind, difference: &Difference, live: Option<&Live>) -> Vec<FieldChange> {
    let mut fields: Vec<FieldChange> = difference.fields.iter().map(|delta| of_delta(kind, delta)).collect();
    for (key, part) in &difference.parts {
        fields.extend(of_part(kind, key, part, live));
    }
    for secret in &difference.secrets {
        fields.push(FieldChange {
            path: secret.field.as_str().into(),
            before: if live.is_some() { Shown::Secret } else { Shown::Absent },
            after: Shown::Secret,
            sensitivity: Sensitivity::Secret,
        });
    }
    match difference.activity {
        Activity::Keep => {}
        Activity::Reactivate => fields.push(field("active", json!(false), json!(true))),
        Activity::Deactivate => fields.push(field("active", json!(true), json!(false))),
    }
    if difference.verify {
        fields.push(field("verified", live.map_or(Value::Null, |_| json!(false)), json!(true)));
    }
    fields
}

fn of_part(kind: Kind, key: &str, part: &PartDifference, live: Option<&Live>) -> Vec<FieldChange> {
    let sensitivity = part.path.sensitivity(kind);
    let mut fields = match part.action {
        PartAction::Create => {
            let after = Value::Object(tree(&part.fields));
            vec![FieldChange { sensitivity, ..field(&part.path, Value::Null, after) }]
        }
        PartAction::Update => part.fields.iter().map(|delta| of_delta(kind, delta)).collect(),
        PartAction::Delete => {
            let live = live.and_then(|live| live.parts.get(key));
            let before = live.map_or(Value::Null, |live| Value::Object(writable(kind, live)));
            vec![FieldChange { sensitivity, ..field(&part.path, before, Value::Null) }]
        }
    };
    if part.verify {
        let before = if part.action == PartAction::Create { Value::Null } else { json!(false) };
        fields.push(field(part.path.child("verified"), before, json!(true)));
    }
    fields
}

/// The key of a grant or a link as fields, where it differs.
pub(super) fn key_fields(before: Option<&Key>, after: Option<&Key>) -> Vec<FieldChange> {
    let (before, after) = (before.map(named).unwrap_or_default(), after.map(named).unwrap_or_default());
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let value =
        |of: &BTreeMap<&str, String>, name: &str| of.get(name).cloned().map_or(Value::Null, Value::from);
    names
        .into_iter()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| {
            let personal = name == "identityProviderUserId";
            let sensitivity = if personal { Sensitivity::Personal } else { Sensitivity::Public };
            FieldChange { sensitivity, ..field(name, value(&before, name), value(&after, name)) }
        })
        .collect()
}

fn named(key: &Key) -> BTreeMap<&'static str, String> {
    match key {
        Key::Id(_) => BTreeMap::new(),
        Key::Grant { entity, recipient } => {
            let (name, id) = match recipient {
                Recipient::User(id) => ("user", id),
                Recipient::Entity(id) => ("recipientEntity", id),
            };
            BTreeMap::from([("entity", entity.to_string()), (name, id.to_string())])
        }
        Key::Link { identity_provider, identity_provider_user_id, user } => BTreeMap::from([
            ("identityProvider", identity_provider.to_string()),
            ("identityProviderUserId", identity_provider_user_id.clone()),
            ("user", user.to_string()),
        ]),
    }
}

/// By which a reader knows what is deleted.
pub(super) fn identifying(kind: Kind, live: &Live) -> Vec<FieldChange> {
    let names: &[&str] = match kind {
        Kind::User => &["email", "username", "phoneNumber"],
        Kind::EntityType => &["name"],
        Kind::Lambda => &["name", "type"],
        Kind::Entity => &["name", "clientId"],
        Kind::EntityGrant => &["permissions"],
        _ => &[],
    };
    let mut fields = key_fields(Some(&live.key), None);
    for name in names {
        let path = FieldPath::field(name);
        let before = value(kind, live, &path);
        if !before.is_null() {
            let sensitivity = path.sensitivity(kind);
            fields.push(FieldChange { sensitivity, ..field(path, before, Value::Null) });
        }
    }
    fields
}

/// The live paths that a change of the existing object reads or writes.
pub(super) fn touched(kind: Kind, difference: &Difference) -> BTreeSet<FieldPath> {
    let mut paths: BTreeSet<FieldPath> = difference.fields.iter().map(|delta| delta.path.clone()).collect();
    for part in difference.parts.values() {
        match part.action {
            PartAction::Create | PartAction::Delete => {
                paths.insert(part.path.clone());
            }
            PartAction::Update => paths.extend(part.fields.iter().map(|delta| delta.path.clone())),
        }
    }
    if kind == Kind::EntityGrant {
        // A grant is written whole, with what others keep in it.
        paths.extend([FieldPath::field("permissions"), FieldPath::field("data")]);
    }
    paths
}

/// Every declared path: what an adoption compares.
pub(super) fn declared(desired: &Desired, live: &Live) -> BTreeSet<FieldPath> {
    let kind = desired.address.kind;
    let mut paths = BTreeSet::new();
    for (name, value) in &desired.fields {
        super::diff::mark(&FieldPath::field(name), value, &mut paths);
    }
    for (key, fields) in desired.parts.iter().flatten() {
        let Some(part) = row(kind).part else { continue };
        let path = FieldPath::part(part.field, key);
        for (name, value) in fields {
            super::diff::mark(&path.child(name), value, &mut paths);
        }
    }
    // Objects are there for the paths below them, and hold what others add.
    paths.retain(|path| !value(kind, live, path).is_object());
    paths.retain(|path| path.rule(kind).is_some_and(super::diff::is_compared));
    paths
}

/// What the record says once the object is as declared.
pub(super) fn entry(
    desired: &Desired,
    observed: &Observed<'_>,
    context: &PlanContext,
    key: Key,
    difference: &Difference,
) -> Entry {
    let kind = desired.address.kind;
    let held = observed.entry;
    let written = difference.written.iter().map(ToString::to_string).collect();
    let mut entry = Entry::new(desired.address.clone(), key, desired.policy.deletion(kind));
    if let Some(held) = held {
        // Shared as it was where nothing changed.
        entry.written = if *held.written == written { held.written.clone() } else { written.into() };
        entry.adopted = held.adopted;
        entry.taken_from = held.taken_from.clone();
        entry.tenants = held.tenants.clone();
    } else {
        entry.written = written.into();
    }
    entry.protected = desired.policy.protected();
    if row(kind).scope == Scope::Global {
        entry.tenants.insert(context.tenant_id);
    }
    entry.secrets = sent_secrets(desired, held, difference);
    entry
}

/// What is remembered of enforced secrets; of those that are sent, the engine adds the fingerprints.
fn sent_secrets(
    desired: &Desired,
    held: Option<&Entry>,
    difference: &Difference,
) -> BTreeMap<String, SentSecret> {
    let enforced = desired.secrets.iter().filter(|secret| secret.usage == SecretUse::Enforced);
    enforced
        .filter_map(|secret| {
            let field = secret.field.clone();
            let version = secret.source.version;
            let sent = difference.secrets.iter().any(|sent| sent.field == field);
            let held = held.and_then(|held| held.secrets.get(&field)).cloned();
            match held {
                _ if sent => Some((field, SentSecret { version, fingerprint: None })),
                Some(held) => Some((field, SentSecret { version: version.or(held.version), ..held })),
                None => None,
            }
        })
        .collect()
}

/// `User/richard` and where it comes from.
pub(super) fn renamed(from: &Address) -> String {
    format!("renamed from {from}")
}
