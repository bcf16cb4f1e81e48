//! What a change was computed from, and whether it still stands: so that a saved plan goes stale loudly, and only
//! for what it touches.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA256, digest as sha256};
use serde_json::Value;

use crate::model::{Compare, Fields, Kind, Sensitivity, Write, row};

use super::normalise::{canonical, is_unset, normalise};
use super::path::FieldPath;
use super::{Call, Change, FieldChange, Fingerprint, Key, Live, Purpose, Recipient, Shown};

/// The digest of a value: 128 bits of SHA-256 over its canonical JSON, in hexadecimal.
pub fn digest(value: &Value) -> String {
    let text = canonical(value).to_string();
    let digest = sha256(&SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The fingerprint of a live object by the paths that a change reads or writes.
pub(super) fn fingerprint(kind: Kind, live: &Live, paths: &BTreeSet<FieldPath>) -> Fingerprint {
    let mut digests: BTreeMap<String, String> = paths
        .iter()
        .filter(|path| path.sensitivity(kind) != Sensitivity::Secret)
        .map(|path| (path.to_string(), digest(&value(kind, live, path))))
        .collect();
    digests.insert("key".to_owned(), digest(&key(&live.key)));
    if kind == Kind::User {
        digests.insert("active".to_owned(), digest(&Value::Bool(live.active)));
    }
    Fingerprint(digests)
}

/// The paths that moved since the change was planned; empty when it may be applied. A path that already has the
/// value that the change wants has not moved: an earlier change of the same plan may have brought it there (a
/// deleted permission leaves its grants), or the lost response of this one.
pub fn stale(change: &Change, live: Option<&Live>) -> Vec<String> {
    let here = || vec!["key".to_owned()];
    match (&change.fingerprint, live) {
        (None, None) => vec![],
        // The old link or grant is what the change takes away.
        (None, Some(live)) if change.changes_key() && live.key != change.key => vec![],
        (None, Some(_)) | (Some(_), None) => here(),
        (Some(planned), Some(live)) => planned
            .0
            .iter()
            .filter(|(path, planned)| {
                let now = digest(&now(change.kind(), live, path));
                now != **planned && Some(now) != wanted(change, path)
            })
            .map(|(path, _)| path.clone())
            .collect(),
    }
}

/// The paths that a change wrote and that its live object, read again, has otherwise; empty when all of it arrived.
/// Secrets are never returned, so nothing is said of them.
pub fn unmet(change: &Change, live: &Live) -> Vec<String> {
    let lost = |field: &&FieldChange| {
        let after = match &field.after {
            Shown::Secret => return false,
            Shown::Absent => &Value::Null,
            Shown::Value(after) => after,
        };
        FieldPath::parse(&field.path).is_some_and(|path| !met(change.kind(), live, &path, after))
    };
    change.fields.iter().filter(lost).map(|field| field.path.to_string()).collect()
}

/// Whether the part that a call makes stands there as it wants it: its lost answer, or somebody else's work.
pub fn stands(change: &Change, call: &Call, live: &Live) -> bool {
    let made = call.part.as_deref().filter(|_| call.purpose == Purpose::CreatePart);
    made.is_some_and(|made| {
        let of_part = |path: &FieldPath| path.is_part() && path.part_key() == Some(made);
        let field = change.fields.iter().find_map(|field| {
            let path = FieldPath::parse(&field.path).filter(of_part)?;
            Some((path, &field.after))
        });
        matches!(field, Some((path, Shown::Value(after))) if met(change.kind(), live, &path, after))
    })
}

pub(super) fn met(kind: Kind, live: &Live, path: &FieldPath, after: &Value) -> bool {
    if let (true, Some(part)) = (path.is_part(), path.part_key()) {
        let found = live.parts.contains_key(part);
        return match after {
            Value::Object(fields) => found && all_met(kind, live, path, fields),
            _ => !found,
        };
    }
    // What the table does not know is a side of a pair, by which the object was found.
    let Some(rule) = path.rule(kind) else { return true };
    if matches!(
        rule.write,
        Write::CreateOnly | Write::WriteOnly | Write::ReadOnly | Write::ImmutableReference
    ) {
        return true;
    }
    // Not returned once the parent has claimed the child (wire notes §4).
    if rule.path == "parentEmail" && !live.fields.contains_key(rule.path) {
        return true;
    }
    match after {
        Value::Object(fields) if !fields.is_empty() => all_met(kind, live, path, fields),
        _ => digest(&value(kind, live, path)) == digest(&settled(kind, &path.to_string(), after)),
    }
}

fn all_met(kind: Kind, live: &Live, path: &FieldPath, fields: &Fields) -> bool {
    fields.iter().all(|(name, after)| met(kind, live, &path.child(name), after))
}

fn now(kind: Kind, live: &Live, path: &str) -> Value {
    match (path, FieldPath::parse(path)) {
        ("key", _) => key(&live.key),
        ("active", _) if kind == Kind::User => Value::Bool(live.active),
        (_, Some(path)) => value(kind, live, &path),
        (_, None) => Value::Null,
    }
}

fn wanted(change: &Change, path: &str) -> Option<String> {
    let field = change.fields.iter().find(|field| &*field.path == path)?;
    match &field.after {
        Shown::Absent => Some(digest(&Value::Null)),
        Shown::Value(after) => Some(digest(&settled(change.kind(), path, after))),
        Shown::Secret => None,
    }
}

/// A wanted value in the form in which a live one is digested.
fn settled(kind: Kind, path: &str, after: &Value) -> Value {
    match FieldPath::parse(path).map(|path| (path.rule(kind), path)) {
        Some((Some(rule), path)) => {
            let keys = path.inner().get(1..).unwrap_or_default();
            let after = normalise(rule.compare, after);
            if is_unset(kind, rule, keys, &after) { Value::Null } else { after }
        }
        _ => after.clone(),
    }
}

/// A key as a value.
fn key(key: &Key) -> Value {
    match key {
        Key::Id(id) => Value::from(id.to_string()),
        Key::Grant { entity, recipient: Recipient::User(id) } => Value::from(format!("{entity} user {id}")),
        Key::Grant { entity, recipient: Recipient::Entity(id) } => {
            Value::from(format!("{entity} entity {id}"))
        }
        Key::Link { identity_provider, identity_provider_user_id, user } => {
            Value::from(format!("{identity_provider} {identity_provider_user_id} {user}"))
        }
    }
}

/// The normalised live value at a path; null when nothing is set there.
pub(super) fn value(kind: Kind, live: &Live, path: &FieldPath) -> Value {
    let fields = match path.part_key() {
        Some(part) => match live.parts.get(part) {
            Some(fields) => fields,
            None => return Value::Null,
        },
        None => &live.fields,
    };
    if path.is_part() {
        return Value::Object(writable(kind, fields));
    }
    let Some((name, keys)) = path.inner().split_first() else { return Value::Null };
    let found = fields.get(name).and_then(|value| keys.iter().try_fold(value, |value, key| value.get(key)));
    let (Some(found), Some(rule)) = (found, path.rule(kind)) else {
        return found.cloned().unwrap_or_default();
    };
    let compare = if keys.is_empty() { rule.compare } else { Compare::Data };
    let found = normalise(compare, found);
    if is_unset(kind, rule, keys, &found) { Value::Null } else { found }
}

/// What of a live part can be written by us: no instants, no tokens, nothing that a login moves.
pub(super) fn writable(kind: Kind, fields: &Fields) -> Fields {
    let Some(part) = row(kind).part else { return Fields::new() };
    part.fields
        .iter()
        .filter(|rule| rule.write == Write::Body && rule.sensitivity != Sensitivity::Secret)
        .filter_map(|rule| {
            let value = normalise(rule.compare, fields.get(rule.path)?);
            (!is_unset(kind, rule, &[], &value)).then(|| (rule.path.to_owned(), value))
        })
        .collect()
}
