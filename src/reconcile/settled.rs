//! Whether an object is as declared, told without building what differs: of most runs most objects are. What it cannot
//! tell for certain it denies, and the comparison of `difference` decides; in debug builds that is asked each time, so
//! that every test holds the two together.

use serde_json::Value;

use crate::model::{Compare, FieldRule, Fields, Kind, Scope, Write, row};

use super::diff::is_compared;
use super::{Desired, Entry, Live, Observed, PlanContext};

/// The longest array without an order that is looked through item by item.
const SHORT: usize = 32;

/// Whether nothing is to be done for the live object, and what the record holds of it stays as it is.
pub(super) fn is_settled(
    desired: &Desired,
    observed: &Observed<'_>,
    live: &Live,
    entry: &Entry,
    context: &PlanContext,
) -> bool {
    let kind = desired.address.kind;
    let row = row(kind);
    // The pairs have little to compare and rules of their own.
    let has_id = live.key.id().is_some() && entry.key == live.key;
    has_id
        && desired.secrets.is_empty()
        && stays(desired, entry, context)
        && live.active
        && desired.fields.get("active") != Some(&Value::Bool(false))
        && observed.entity_type.is_none_or(|declared| has_type(live, declared))
        && are_equal(row.fields, &desired.fields, &live.fields)
        && desired.parts.iter().flatten().all(|(key, declared)| {
            let rules = row.part.map(|part| part.fields).unwrap_or_default();
            live.parts.get(key).is_some_and(|live| are_equal(rules, declared, live))
        })
        && entry.written.iter().all(|path| is_declared(kind, desired, path))
}

/// Whether the record would say the same but for the written fields.
fn stays(desired: &Desired, entry: &Entry, context: &PlanContext) -> bool {
    let kind = desired.address.kind;
    entry.address == desired.address
        && entry.deletion == desired.policy.deletion(kind)
        && entry.protected == desired.policy.protected()
        && !entry.intent
        && !entry.deactivated_by_us
        && entry.secrets.is_empty()
        && entry.pending_email.is_none()
        && (row(kind).scope != Scope::Global || entry.tenants.contains(&context.tenant_id))
}

fn has_type(live: &Live, declared: uuid::Uuid) -> bool {
    let id = live.fields.get("type").and_then(|of| of.get("id")).and_then(Value::as_str);
    id.and_then(|id| id.parse().ok()) == Some(declared)
}

fn are_equal(rules: &[FieldRule], declared: &Fields, live: &Fields) -> bool {
    declared.iter().all(|(name, declared)| {
        let Some(rule) = rules.iter().find(|rule| rule.path == name) else { return true };
        let live = live.get(name);
        match rule.write {
            Write::Body | Write::Immutable => live.is_some_and(|live| holds(rule, declared, live)),
            Write::OwnCall => declared != &Value::Bool(true) || name == "active" || live == Some(declared),
            Write::CreateOnly | Write::ImmutableReference | Write::WriteOnly | Write::ReadOnly => true,
        }
    })
}

/// Whether a live value has what is declared of it, in whichever way it is compared. A declared null is a removal.
fn holds(rule: &FieldRule, declared: &Value, live: &Value) -> bool {
    match (declared, live) {
        (Value::Null, _) => false,
        (Value::Object(declared), Value::Object(live)) if rule.compare == Compare::Data => declared
            .iter()
            .all(|(name, declared)| live.get(name).is_some_and(|live| holds(rule, declared, live))),
        (Value::Array(declared), Value::Array(live)) if rule.compare == Compare::Set => {
            let within = |some: &[Value], others: &[Value]| some.iter().all(|item| others.contains(item));
            declared == live
                || (declared.len().max(live.len()) <= SHORT
                    && within(declared, live)
                    && within(live, declared))
        }
        _ => declared == live,
    }
}

/// Whether the declaration has a value at a path that we wrote. Paths with quoted keys are left to the comparison.
fn is_declared(kind: Kind, desired: &Desired, path: &str) -> bool {
    let (head, rest) = match path.split_once(['.', '[']) {
        Some((head, _)) => (head, path.get(head.len()..).unwrap_or_default()),
        None => (path, ""),
    };
    let row = row(kind);
    match row.part.filter(|part| part.field == head) {
        Some(part) => {
            let Some((key, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                return false;
            };
            let fields = desired.parts.as_ref().and_then(|parts| parts.get(key));
            match (fields, rest.strip_prefix('.')) {
                (Some(fields), Some(inner)) => has_value(part.fields, fields, inner),
                (Some(_), None) => rest.is_empty(),
                (None, _) => false,
            }
        }
        None => has_value(row.fields, &desired.fields, path),
    }
}

fn has_value(rules: &[FieldRule], fields: &Fields, path: &str) -> bool {
    let mut steps = path.split('.');
    let Some(name) = steps.next() else { return false };
    let is_ours = rules.iter().any(|rule| rule.path == name && is_compared(rule));
    let value = steps.try_fold(fields.get(name), |value, step| Some(value?.get(step))).flatten();
    is_ours && value.is_some_and(|value| !value.is_null())
}
