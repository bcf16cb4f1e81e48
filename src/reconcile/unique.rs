//! Values that FusionAuth lets one object have at a time, and what an object hangs on.

use serde_json::Value;
use uuid::Uuid;

use crate::model::{Fields, Kind, row};

use super::diff::Delta;
use super::normalise::normalise;
use super::{Key, Live, Recipient, Unique};

/// The fields of a kind that are unique, over the tenant or over the server (wire notes §4, §5).
fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::User => &["email", "username", "phoneNumber"],
        Kind::EntityType => &["name"],
        Kind::Entity => &["clientId"],
        _ => &[],
    }
}

fn unique(kind: Kind, field: &'static str, value: &Value) -> Option<Unique> {
    let rule = row(kind).fields.iter().find(|rule| rule.path == field)?;
    match normalise(rule.compare, value) {
        // Usernames are unique in any case (wire notes §4); the others are lower-cased or exact already.
        Value::String(text) if field == "username" => {
            Some(Unique { field, kind, value: text.to_lowercase() })
        }
        Value::String(value) => Some(Unique { field, kind, value }),
        _ => None,
    }
}

/// The unique values among an object's fields.
pub(super) fn of_fields(kind: Kind, values: &Fields) -> Vec<Unique> {
    let names = fields(kind).iter();
    names.filter_map(|field| unique(kind, field, values.get(*field)?)).collect()
}

/// The unique values that a change takes, and those that it frees.
pub(super) fn of_deltas(kind: Kind, deltas: &[Delta]) -> (Vec<Unique>, Vec<Unique>) {
    let (mut takes, mut frees) = (Vec::new(), Vec::new());
    for field in fields(kind) {
        for delta in deltas.iter().filter(|delta| delta.path.to_string() == *field) {
            takes.extend(unique(kind, field, &delta.after));
            frees.extend(unique(kind, field, &delta.before));
        }
    }
    // The same value in another case is not handed over.
    frees.retain(|value| !takes.contains(value));
    (takes, frees)
}

/// The pair of a grant or the account of a link: one at a time each.
pub(super) fn of_key(key: &Key) -> Option<Unique> {
    match key {
        Key::Id(_) => None,
        Key::Grant { entity, recipient } => {
            let (Recipient::User(id) | Recipient::Entity(id)) = recipient;
            let value = format!("{entity} {id}");
            Some(Unique { field: "recipient", kind: Kind::EntityGrant, value })
        }
        Key::Link { identity_provider, identity_provider_user_id, .. } => {
            let value = format!("{identity_provider} {identity_provider_user_id}");
            Some(Unique { field: "identityProviderUserId", kind: Kind::IdentityProviderLink, value })
        }
    }
}

/// The live objects that an object hangs on.
pub(super) fn uses(key: &Key, live: Option<&Live>) -> Vec<(Kind, Uuid)> {
    match key {
        Key::Grant { entity, recipient } => {
            let recipient = match recipient {
                Recipient::User(id) => (Kind::User, *id),
                Recipient::Entity(id) => (Kind::Entity, *id),
            };
            vec![(Kind::Entity, *entity), recipient]
        }
        Key::Link { user, .. } => vec![(Kind::User, *user)],
        Key::Id(_) => {
            let entity_type = live.and_then(|live| live.fields.get("type")?.get("id")?.as_str());
            let id = entity_type.and_then(|id| id.parse().ok());
            id.map(|id| (Kind::EntityType, id)).into_iter().collect()
        }
    }
}
