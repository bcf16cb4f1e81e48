//! What the API returns, cut to what is compared. Pure. Secrets are taken out here, before anything else sees a row.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::fusionauth::{Error, ErrorKind, Method, Object};
use crate::model::{Fields, Kind, KindRow, Sensitivity, Write, row};
use crate::reconcile::{Key, Live, Recipient};

/// A row that lacks what every object of its kind has. It is an error and never "absent": it could be the very object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {kind} of the answer has no {field}", .kind.article())]
pub struct IncompleteRow {
    pub kind: Kind,
    pub field: &'static str,
}

impl From<IncompleteRow> for Error {
    fn from(found: IncompleteRow) -> Self {
        Error::new(&Method::GET, row(found.kind).route, ErrorKind::UnexpectedShape(found.to_string()))
    }
}

/// Whether a field of a live object is of any use here; the others need not be kept while it is read.
pub fn is_read(kind: Kind, name: &str) -> bool {
    let row = row(kind);
    name == "id"
        || name == "active"
        || row.part.as_ref().is_some_and(|part| part.field == name)
        || row.fields.iter().any(|rule| rule.path == name)
}

/// A live object of a kind with an id. Compared secrets are compared here, and then dropped: `declared` gives the
/// value that the manifest asks for, if it could be read.
pub fn live_with_secret(
    kind: Kind,
    mut object: Object,
    declared: impl Fn(Uuid, &str) -> Option<SecretString>,
) -> Result<Live, IncompleteRow> {
    let mut equal = BTreeMap::new();
    for rule in row(kind).fields.iter().filter(|rule| rule.sensitivity == Sensitivity::Secret) {
        let Some(Value::String(found)) = object.remove(rule.path) else { continue };
        let found = Zeroizing::new(found);
        if let Some(wanted) = uuid(&object, "id").and_then(|id| declared(id, rule.path)) {
            equal.insert(rule.path.to_owned(), wanted.expose_secret() == found.as_str());
        }
    }
    live(kind, object).map(|live| Live { secrets_equal: equal, ..live })
}

/// A live object of a kind with an id, its secrets unseen.
pub fn live(kind: Kind, mut object: Object) -> Result<Live, IncompleteRow> {
    let id = uuid(&object, "id").ok_or(IncompleteRow { kind, field: "id" })?;
    let row = row(kind);
    let parts = take_parts(row, &mut object)?;
    let active = kind != Kind::User || object.get("active").and_then(Value::as_bool).unwrap_or(true);
    keep_known(row, &mut object);
    if kind == Kind::Entity {
        // The answer embeds the whole type; only its id is the entity's (wire notes §5).
        let type_id = object.get("type").and_then(|found| found.get("id")).cloned();
        object.insert("type".to_owned(), serde_json::json!({ "id": type_id.map(with_canonical_ids) }));
    }
    if let Some(configuration) = object.remove("jwtConfiguration") {
        object.insert("jwtConfiguration".to_owned(), with_canonical_ids(configuration));
    }
    Ok(Live { key: Key::Id(id), fields: object, parts, active, secrets_equal: BTreeMap::new() })
}

/// A live grant on an entity.
pub fn grant(entity: Uuid, mut object: Object) -> Result<Live, IncompleteRow> {
    let recipient = match (uuid(&object, "userId"), uuid(&object, "recipientEntityId")) {
        (Some(user), _) => Recipient::User(user),
        (None, Some(entity)) => Recipient::Entity(entity),
        (None, None) => return Err(IncompleteRow { kind: Kind::EntityGrant, field: "userId" }),
    };
    keep_known(row(Kind::EntityGrant), &mut object);
    Ok(of_pair(Key::Grant { entity, recipient }, object))
}

/// A live link. Its token is a secret and is dropped.
pub fn link(mut object: Object) -> Result<Live, IncompleteRow> {
    let kind = Kind::IdentityProviderLink;
    let field = |field| IncompleteRow { kind, field };
    let key = Key::Link {
        identity_provider: uuid(&object, "identityProviderId").ok_or(field("identityProviderId"))?,
        identity_provider_user_id: text(&object, "identityProviderUserId")
            .ok_or(field("identityProviderUserId"))?,
        user: uuid(&object, "userId").ok_or(field("userId"))?,
    };
    keep_known(row(kind), &mut object);
    Ok(of_pair(key, object))
}

fn of_pair(key: Key, fields: Fields) -> Live {
    Live { key, fields, parts: BTreeMap::new(), active: true, secrets_equal: BTreeMap::new() }
}

/// Registrations by application id, permissions by name. They leave the object.
fn take_parts(row: &KindRow, object: &mut Object) -> Result<BTreeMap<String, Fields>, IncompleteRow> {
    let Some(part) = &row.part else { return Ok(BTreeMap::new()) };
    let Some(Value::Array(items)) = object.remove(part.field) else { return Ok(BTreeMap::new()) };
    let known = |name: &str| part.fields.iter().any(|rule| rule.path == name && shown(rule.sensitivity));
    let keyed = |item: Value| {
        let Value::Object(mut fields) = item else { return None };
        let Some(Value::String(key)) = fields.remove(part.key) else { return None };
        // The id is how the part is addressed, whether or not the table lets one compare it.
        fields.retain(|name, _| name == "id" || known(name));
        Some((canonical(key), fields))
    };
    let incomplete = IncompleteRow { kind: row.kind, field: part.key };
    items.into_iter().map(|item| keyed(item).ok_or(incomplete)).collect()
}

/// Ids in one spelling.
fn canonical(key: String) -> String {
    // The form without hyphens is no id on the wire, but could be a name.
    let id = if key.len() == 36 { Uuid::try_parse(&key).ok() } else { None };
    id.map_or(key, |id| id.to_string())
}

/// The ids of other objects in a value, in one spelling: they are compared with declared ones as text.
fn with_canonical_ids(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(canonical(text)),
        Value::Array(items) => items.into_iter().map(with_canonical_ids).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_canonical_ids(value))).collect()
        }
        other => other,
    }
}

fn keep_known(row: &KindRow, object: &mut Object) {
    let known = |name: &str| {
        row.fields
            .iter()
            .any(|rule| rule.path == name && shown(rule.sensitivity) && rule.write != Write::WriteOnly)
    };
    object.retain(|name, value| !value.is_null() && known(name));
}

fn shown(sensitivity: Sensitivity) -> bool {
    sensitivity != Sensitivity::Secret
}

pub fn uuid(object: &Object, name: &str) -> Option<Uuid> {
    object.get(name)?.as_str()?.parse().ok()
}

pub fn text(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn secrets_and_what_is_not_compared_never_leave_this_module() {
        let id = Uuid::from_u128(1);
        let user = object(json!({
            "id": id, "email": "a@b.c", "active": false, "password": "canary", "salt": "canary",
            "twoFactor": {"recoveryCodes": ["canary"]}, "lastLoginInstant": 1, "tenantId": id,
            "registrations": [{"applicationId": id, "id": id, "roles": ["user"], "tokens": {"x": "canary"},
                "authenticationToken": "canary", "lastLoginInstant": 2}],
        }));
        let live = live(Kind::User, user).unwrap();
        assert!(!format!("{live:?}").contains("canary"));
        assert!(!live.active);
        assert_eq!(live.fields.keys().collect::<Vec<_>>(), ["active", "email"]);
        let registration = &live.parts[&id.to_string()];
        assert_eq!(registration.keys().collect::<Vec<_>>(), ["id", "roles"]);
    }

    #[test]
    fn ids_of_other_objects_are_read_in_any_case() {
        let (id, key) = ("8174F72F-5ECD-4EAE-8DE8-7FEF597B3473", "30663132-6464-6665-3032-32646661393A");
        let entity = object(json!({"id": id, "type": {"id": id}}));
        assert_eq!(live(Kind::Entity, entity).unwrap().fields["type"], json!({"id": id.to_lowercase()}));
        let entity_type =
            object(json!({"id": id, "jwtConfiguration": {"enabled": true, "accessTokenKeyId": key}}));
        assert_eq!(
            live(Kind::EntityType, entity_type).unwrap().fields["jwtConfiguration"],
            json!({"enabled": true, "accessTokenKeyId": key.to_lowercase()})
        );
    }

    #[test]
    fn entities_lose_their_secret_and_the_body_of_their_type() {
        let id = Uuid::from_u128(1);
        let entity = object(json!({"id": id, "name": "Raviga", "clientSecret": "canary",
            "type": {"id": id, "name": "Company", "permissions": []}}));
        let live = super::live(Kind::Entity, entity.clone()).unwrap();
        assert_eq!(Value::Object(live.fields), json!({"name": "Raviga", "type": {"id": id}}));
        for (declared, equal) in [("canary", true), ("other", false)] {
            let live = live_with_secret(Kind::Entity, entity.clone(), |_, _| Some(declared.into())).unwrap();
            assert_eq!(live.secrets_equal["clientSecret"], equal);
        }
        let unseen = live_with_secret(Kind::Entity, entity, |_, _| None).unwrap();
        assert!(unseen.secrets_equal.is_empty());
    }

    #[test]
    fn links_and_grants_are_keyed_by_their_pair() {
        let id = Uuid::from_u128(1);
        let live =
            link(object(json!({"identityProviderId": id, "identityProviderUserId": "x", "userId": id,
            "token": "canary", "displayName": "R"})))
            .unwrap();
        assert!(!format!("{live:?}").contains("canary"));
        assert!(grant(id, object(json!({"permissions": []}))).is_err());
        let held = grant(id, object(json!({"userId": id, "permissions": ["read"]}))).unwrap();
        assert_eq!(held.key, Key::Grant { entity: id, recipient: Recipient::User(id) });
    }
}
