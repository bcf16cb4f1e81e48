//! From a difference to the least calls with the least bodies, never a field that is not ours. The forms are
//! those of the wire notes (§3 to §7, §13); the tenant's header is the client's business.

mod link;
mod repair;
mod routes;
mod upsert;
mod user;
mod wrapped;

use serde_json::{Value, json};

use crate::model::{Deletion, Fields, Kind, row};

use super::difference::{Difference, tree};
use super::{Call, ContentType, Desired, DesiredSecret, Key, Live, Method, Purpose, Recipient, SecretSlot};
use link::Account;
pub use repair::repair;
use routes::Route;
pub(super) use wrapped::permission_id;

/// What the calls of one object are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making<'a> {
    pub desired: &'a Desired,
    pub key: &'a Key,
    pub difference: &'a Difference,
    /// What stands under `key`; none when the object is created.
    pub live: Option<&'a Live>,
}

/// The calls that create the object.
pub(super) fn create(making: Making<'_>) -> Vec<Call> {
    match (making.desired.address.kind, making.key) {
        (Kind::User, Key::Id(id)) => user::create(making, *id),
        (_, Key::Id(id)) => wrapped::create(making, *id),
        (_, Key::Grant { entity, recipient }) => vec![upsert::grant(making, *entity, *recipient)],
        (_, Key::Link { identity_provider, identity_provider_user_id, user }) => {
            let (identity_provider, id, user) = (*identity_provider, &**identity_provider_user_id, *user);
            vec![link::create(making, Account { identity_provider, id, user })]
        }
    }
}

/// The calls that close the difference; the object exists.
pub(super) fn update(making: Making<'_>) -> Vec<Call> {
    match (making.desired.address.kind, making.key) {
        (Kind::User, Key::Id(id)) => user::update(making, *id),
        (_, Key::Id(id)) => wrapped::update(making, *id),
        (_, Key::Grant { entity, recipient }) if !making.difference.fields.is_empty() => {
            vec![upsert::grant(making, *entity, *recipient)]
        }
        (_, Key::Grant { .. } | Key::Link { .. }) => vec![],
    }
}

/// The calls that delete what stands under a key; none for `Orphan`.
pub(super) fn delete(kind: Kind, key: &Key, deletion: Deletion) -> Vec<Call> {
    if deletion == Deletion::Orphan {
        return vec![];
    }
    let call = match key {
        Key::Id(id) if kind == Kind::User => {
            let route = Route::user(*id);
            if deletion == Deletion::Deactivate {
                route.call(Purpose::Deactivate, Method::Delete)
            } else {
                route.query("hardDelete", "true").call(Purpose::Delete, Method::Delete)
            }
        }
        Key::Id(id) => Route::object(kind, *id).call(Purpose::Delete, Method::Delete),
        Key::Grant { entity, recipient } => {
            let (name, id) = recipient_field(*recipient);
            Route::grant(*entity).query(name, id.to_string()).call(Purpose::Delete, Method::Delete)
        }
        Key::Link { identity_provider, identity_provider_user_id, user } => {
            let (identity_provider, id, user) = (*identity_provider, &**identity_provider_user_id, *user);
            link::delete(Account { identity_provider, id, user })
        }
    };
    vec![call]
}

fn recipient_field(recipient: Recipient) -> (&'static str, uuid::Uuid) {
    match recipient {
        Recipient::User(id) => ("userId", id),
        Recipient::Entity(id) => ("recipientEntityId", id),
    }
}

/// The body's object under its wrapper key.
fn wrap(kind: Kind, fields: Fields) -> Value {
    json!({ row(kind).wrapper: fields })
}

/// A merge-patch of the object's own fields and secrets; none when nothing of them differs.
fn patch(making: Making<'_>, route: Route) -> Option<Call> {
    let difference = making.difference;
    if difference.fields.is_empty() && difference.secrets.is_empty() {
        return None;
    }
    let kind = making.desired.address.kind;
    let mut fields = tree(&difference.fields);
    if difference.secrets.iter().any(|secret| secret.field == "password") {
        // How a rotated password is to be hashed is declared beside it and goes along.
        for name in ["encryptionScheme", "factor"] {
            if let Some(value) = making.desired.initial.get(name) {
                fields.insert(name.to_owned(), value.clone());
            }
        }
    }
    let secrets = slots(&difference.secrets, row(kind).wrapper);
    let mut call = route.call(Purpose::Update, Method::Patch).merge_patch(wrap(kind, fields));
    call.secrets = secrets;
    Some(call)
}

/// The slots of secrets that stand in the object at `place` of the body.
fn slots(secrets: &[DesiredSecret], place: &str) -> Vec<SecretSlot> {
    let slot = |secret: &DesiredSecret| SecretSlot {
        pointer: format!("/{place}/{}", secret.field),
        source: secret.source.clone(),
        may_be_empty: secret.may_be_empty,
    };
    secrets.iter().map(slot).collect()
}

impl Call {
    fn json(mut self, body: Value) -> Self {
        self.body = Some(body.into());
        self
    }

    fn merge_patch(mut self, body: Value) -> Self {
        self.content_type = ContentType::MergePatch;
        self.body = Some(body.into());
        self
    }

    fn of_part(mut self, key: &str) -> Self {
        self.part = Some(key.to_owned());
        self
    }
}
