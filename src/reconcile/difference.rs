//! All that differs between one object's declaration and its live state: fields, parts, secrets, activity,
//! verification. What is done about it is decided in `object`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::{Fields, Kind, row};

use super::diff::{Delta, Immutable, Sides, compare};
use super::path::FieldPath;
use super::{Desired, DesiredSecret, Entry, Live, Observed, SecretComparison, SecretUse};

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Of the object's own fields.
    pub fields: Vec<Delta>,
    /// Of its parts, by their key.
    pub parts: BTreeMap<String, PartDifference>,
    /// Secrets to send with an update.
    pub secrets: Vec<DesiredSecret>,
    /// The user is to be verified by an administrative verification.
    pub verify: bool,
    pub activity: Activity,
    pub immutable: Vec<Immutable>,
    /// What is ours once all of it is done.
    pub written: BTreeSet<FieldPath>,
    /// Secrets that could not be compared, and why.
    pub unseen: Vec<Unseen>,
}

/// A secret of which nobody can tell whether it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    pub field: String,
    pub why: &'static str,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Activity {
    #[default]
    Keep,
    Reactivate,
    Deactivate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartAction {
    Create,
    Update,
    Delete,
}

/// What differs in one part: a registration, a permission.
#[derive(Debug)]
pub(super) struct PartDifference {
    pub action: PartAction,
    pub path: FieldPath,
    pub fields: Vec<Delta>,
    pub verify: bool,
}

impl Difference {
    /// Whether nothing is to be done on the server.
    pub fn is_empty(&self) -> bool {
        self.activity == Activity::Keep && self.is_profile_equal()
    }

    /// Whether everything but the activity is equal.
    pub fn is_profile_equal(&self) -> bool {
        self.fields.is_empty() && self.parts.is_empty() && self.secrets.is_empty() && !self.verify
    }
}

/// What creating the object sets: everything that is declared.
pub(super) fn for_create(desired: &Desired, observed: &Observed<'_>) -> Difference {
    let mut difference = match desired.address.kind {
        // All that a link has is its key, of which the record knows without being told that it was written.
        Kind::IdentityProviderLink => Difference::default(),
        _ => differences(desired, &Fields::new(), &BTreeMap::new(), &BTreeSet::new()),
    };
    if let Some(id) = observed.entity_type {
        difference.fields.push(Delta {
            path: FieldPath::field("type"),
            before: Value::Null,
            after: json!({ "id": id }),
            no_longer_declared: false,
        });
    }
    difference.secrets = desired.secrets.clone();
    difference
}

/// What differs from the live object. `entry` is what we wrote of it; none for an object that is being adopted.
pub(super) fn for_update(
    desired: &Desired,
    observed: &Observed<'_>,
    live: &Live,
    entry: Option<&Entry>,
) -> Difference {
    let written = entry.map(written_paths).unwrap_or_default();
    let mut difference = match desired.address.kind {
        // A link has nothing that can be changed; its key is compared before.
        Kind::IdentityProviderLink => Difference::default(),
        _ => differences(desired, &live.fields, &live.parts, &written),
    };
    if let Some(declared) = observed.entity_type {
        entity_type(live, declared, &mut difference);
    }
    if desired.address.kind == Kind::User {
        difference.activity = activity(desired, live, entry);
    }
    secrets(desired, observed, live, entry, &mut difference);
    difference
}

/// Paths that cannot be read are let go: the record is input.
fn written_paths(entry: &Entry) -> BTreeSet<FieldPath> {
    entry.written.iter().filter_map(|path| FieldPath::parse(path)).collect()
}

fn differences(
    desired: &Desired,
    live: &Fields,
    live_parts: &BTreeMap<String, Fields>,
    written: &BTreeSet<FieldPath>,
) -> Difference {
    let kind = desired.address.kind;
    let own = written.iter().filter(|path| path.part_key().is_none()).cloned().collect();
    let diff = compare(Sides {
        kind,
        rules: row(kind).fields,
        part: None,
        declared: &desired.fields,
        live,
        written: &own,
    });
    let mut difference = Difference {
        fields: diff.deltas,
        immutable: diff.immutable,
        written: diff.written,
        verify: declares_true(&desired.fields, "verified") && !is_true(live, "verified"),
        ..Difference::default()
    };
    parts(desired, live_parts, written, &mut difference);
    difference
}

fn parts(
    desired: &Desired,
    live: &BTreeMap<String, Fields>,
    written: &BTreeSet<FieldPath>,
    difference: &mut Difference,
) {
    let kind = desired.address.kind;
    let Some(row) = row(kind).part else { return };
    let nothing = BTreeMap::new();
    let declared = desired.parts.as_ref().unwrap_or(&nothing);
    let ours = written.iter().filter_map(FieldPath::part_key).map(str::to_owned);
    let keys: BTreeSet<String> = declared.keys().cloned().chain(ours).collect();
    for key in keys {
        let path = FieldPath::part(row.field, &key);
        let own: BTreeSet<FieldPath> = written.iter().filter(|other| path.covers(other)).cloned().collect();
        let fields = declared.get(&key);
        let Some(live) = live.get(&key) else {
            if let Some(fields) = fields {
                create_part(kind, row.fields, path, fields, difference);
            }
            continue;
        };
        if fields.is_none() && own.contains(&path) {
            difference.parts.insert(key, PartDifference::delete(path));
            continue;
        }
        let empty = Fields::new();
        let sides = Sides {
            kind,
            rules: row.fields,
            part: Some(&path),
            declared: fields.unwrap_or(&empty),
            live,
            written: &own,
        };
        let diff = compare(sides);
        let verify = declares_true(sides.declared, "verified") && !is_true(live, "verified");
        difference.written.extend(diff.written);
        if own.contains(&path) {
            difference.written.insert(path.clone());
        }
        if !diff.deltas.is_empty() || verify {
            let part = PartDifference { action: PartAction::Update, path, fields: diff.deltas, verify };
            difference.parts.insert(key, part);
        }
    }
}

fn create_part(
    kind: Kind,
    rules: &'static [crate::model::FieldRule],
    path: FieldPath,
    fields: &Fields,
    difference: &mut Difference,
) {
    let (nothing, none) = (Fields::new(), BTreeSet::new());
    let diff =
        compare(Sides { kind, rules, part: Some(&path), declared: fields, live: &nothing, written: &none });
    difference.written.insert(path.clone());
    difference.written.extend(diff.written);
    let key = path.part_key().unwrap_or_default().to_owned();
    let verify = declares_true(fields, "verified");
    difference
        .parts
        .insert(key, PartDifference { action: PartAction::Create, path, fields: diff.deltas, verify });
}

impl PartDifference {
    fn delete(path: FieldPath) -> Self {
        PartDifference { action: PartAction::Delete, path, fields: Vec::new(), verify: false }
    }
}

fn entity_type(live: &Live, declared: uuid::Uuid, difference: &mut Difference) {
    let declared = Value::from(declared.to_string());
    match live.fields.get("type").and_then(|of| of.get("id")) {
        Some(live) if *live == declared => {}
        live => difference.immutable.push(Immutable {
            path: FieldPath::field("type"),
            live: live.cloned().unwrap_or_default(),
            declared,
        }),
    }
}

/// A user whom we deactivated comes back when declared again; one whom others deactivated only when `active:
/// true` asks for it.
fn activity(desired: &Desired, live: &Live, entry: Option<&Entry>) -> Activity {
    let declared = desired.fields.get("active").and_then(Value::as_bool);
    let by_us = entry.is_some_and(|entry| entry.deactivated_by_us);
    match (live.active, declared) {
        (true, Some(false)) => Activity::Deactivate,
        (false, Some(true)) => Activity::Reactivate,
        (false, None) if by_us => Activity::Reactivate,
        _ => Activity::Keep,
    }
}

fn secrets(
    desired: &Desired,
    observed: &Observed<'_>,
    live: &Live,
    entry: Option<&Entry>,
    difference: &mut Difference,
) {
    for secret in &desired.secrets {
        let sent = match secret.usage {
            SecretUse::Initial => Ok(false),
            SecretUse::Compared => live
                .secrets_equal
                .get(&secret.field)
                .map(|equal| !equal)
                .ok_or("its value or the live one could not be read"),
            SecretUse::Enforced => enforced(secret, observed, entry),
        };
        match sent {
            Ok(true) => difference.secrets.push(secret.clone()),
            Ok(false) => {}
            Err(why) => difference.unseen.push(Unseen { field: secret.field.clone(), why }),
        }
    }
}

/// Whether an enforced secret is to be sent, or why nobody can tell.
fn enforced(
    secret: &DesiredSecret,
    observed: &Observed<'_>,
    entry: Option<&Entry>,
) -> Result<bool, &'static str> {
    let comparison = observed.secrets.get(&secret.field).copied().unwrap_or(SecretComparison::NeverSent);
    let recorded = entry.and_then(|entry| entry.secrets.get(&secret.field)).map(|sent| sent.version);
    let (declared, recorded_version) = (secret.source.version, recorded.flatten());
    let raised = recorded.is_some() && declared.is_some() && declared != recorded_version;
    match comparison {
        // A version that is new on an equal value is only remembered; one that was raised asks for the send.
        SecretComparison::Equal => Ok(raised && recorded_version.is_some()),
        SecretComparison::Changed | SecretComparison::NeverSent => Ok(true),
        _ if raised => Ok(true),
        // The version is there to tell, and it tells that nothing changed.
        SecretComparison::NoKey | SecretComparison::NoValue if declared.is_some() && recorded.is_some() => {
            Ok(false)
        }
        SecretComparison::OtherKey => Err("its fingerprint was made under another runner key"),
        SecretComparison::NoKey => Err("it was recorded without a fingerprint, or there is no runner key"),
        SecretComparison::NoValue => Err("its value could not be read"),
        SecretComparison::NoRecord => Err("there is no record of what was sent"),
    }
}

fn declares_true(fields: &Fields, name: &str) -> bool {
    is_true(fields, name)
}

fn is_true(fields: &Fields, name: &str) -> bool {
    fields.get(name) == Some(&Value::Bool(true))
}

/// The fields as one object, nested as their paths say, without the path of their part.
pub(super) fn tree(deltas: &[Delta]) -> Fields {
    let mut fields = Fields::new();
    for delta in deltas {
        insert(&mut fields, delta.path.inner(), delta.after.clone());
    }
    fields
}

pub(super) fn insert(fields: &mut Fields, steps: &[String], value: Value) {
    match steps {
        [] => {}
        [name] => {
            fields.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = fields.entry(name.clone()).or_insert_with(|| Value::Object(Fields::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
