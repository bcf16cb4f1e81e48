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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;
    use uuid::Uuid;

    use crate::model::{Address, Deletion, Place};
    use crate::reconcile::{Key, KeyReference};

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    fn desired() -> Desired {
        let part = fields(json!({"roles": ["user", "admin"], "data": {"plan": "free"}}));
        let address = Address::new(Kind::User, "default", "richard");
        let place = Place { file: "users.yaml".into(), line: 1, column: 1 };
        Desired {
            fields: fields(json!({"email": "r@x.de", "data": {"team": {"lead": true}}, "verified": true})),
            parts: Some([("app".to_owned(), part)].into()),
            ..Desired::empty(address, place, KeyReference::Id(Uuid::nil()))
        }
    }

    fn live() -> Live {
        let part =
            fields(json!({"roles": ["admin", "user"], "data": {"plan": "free", "theirs": 1}, "id": "x"}));
        Live {
            key: Key::Id(Uuid::nil()),
            fields: fields(json!({"email": "r@x.de", "firstName": "R", "verified": true,
                "data": {"team": {"lead": true, "theirs": 1}}})),
            parts: [("app".to_owned(), part), ("other".to_owned(), Fields::new())].into(),
            active: true,
            secrets_equal: BTreeMap::new(),
        }
    }

    fn entry() -> Entry {
        let written = ["email", "data", "data.team", "data.team.lead", "registrations[app]"];
        let more = ["registrations[app].roles", "registrations[app].data.plan"];
        let written = written.iter().chain(&more).map(|path| (*path).to_owned()).collect();
        let address = Address::new(Kind::User, "default", "richard");
        Entry { written: Arc::new(written), ..Entry::new(address, live().key, Deletion::Deactivate) }
    }

    fn settled(desired: &Desired, live: &Live, entry: &Entry) -> bool {
        let context = PlanContext {
            owner: "acme".parse().unwrap(),
            tenant_id: Uuid::nil(),
            server_version: (1, 69),
            prune: false,
            adoption: None,
            take_from: None,
        };
        let observed = Observed {
            key: live.key.clone(),
            live: Some(live),
            previous: None,
            entry: Some(entry),
            claim: None,
            entity_type: None,
            secrets: BTreeMap::new(),
        };
        is_settled(desired, &observed, live, entry, &context)
    }

    #[test]
    fn what_is_as_declared_is_told_whatever_others_keep_beside_it() {
        assert!(settled(&desired(), &live(), &entry()));
    }

    #[test]
    fn each_difference_is_left_to_the_comparison() {
        let declared = |change: fn(&mut Desired)| {
            let mut desired = desired();
            change(&mut desired);
            settled(&desired, &live(), &entry())
        };
        assert!(!declared(|desired| drop(desired.fields.insert("firstName".into(), json!("S")))));
        assert!(!declared(|desired| drop(desired.fields.insert("firstName".into(), Value::Null))));
        assert!(!declared(|desired| drop(desired.fields.insert("active".into(), json!(false)))));
        assert!(!declared(|desired| drop(desired.fields.remove("email"))), "we wrote it");
        assert!(!declared(|desired| desired.parts = None), "we made its registration");
        assert!(!declared(|desired| desired.policy.protect.0 = Some(true)), "the record is to say so");
        let found = |change: fn(&mut Live)| {
            let mut live = live();
            change(&mut live);
            settled(&desired(), &live, &entry())
        };
        assert!(!found(|live| live.active = false));
        assert!(!found(|live| drop(live.fields.insert("verified".into(), json!(false)))));
        assert!(!found(|live| drop(live.parts.remove("app"))));
        assert!(!found(|live| drop(live.parts.insert("app".into(), fields(json!({"roles": ["user"]}))))));
        assert!(!found(|live| drop(live.fields.insert("data".into(), json!({"team": {"lead": 1}})))));
        let recorded = |change: fn(&mut Entry)| {
            let mut entry = entry();
            change(&mut entry);
            settled(&desired(), &live(), &entry)
        };
        assert!(!recorded(|entry| entry.intent = true));
        assert!(!recorded(|entry| entry.pending_email = Some("digest".into())));
        for path in ["lastName", "data.gone", "data[\"team\"]", "registrations[other]", "registrations[app"] {
            let mut entry = entry();
            entry.written = Arc::new(entry.written.iter().cloned().chain([path.to_owned()]).collect());
            assert!(!settled(&desired(), &live(), &entry), "{path}");
        }
    }
}
