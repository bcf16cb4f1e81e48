//! What the manifests ask of one object, in FusionAuth's terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Address, Fields, Place, Policy, SecretSource};

/// A reference to an object: one that is declared in the same input, whose live id is known only when it has
/// been observed (it may be adopted), or the id of one that is not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectRef {
    Declared(Address),
    Id(Uuid),
}

/// Who holds a grant, before references are resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecipientReference {
    User(ObjectRef),
    Entity(ObjectRef),
}

/// An object's identity as declared: of a grant or a link it is their pair, which may name declared objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyReference {
    Id(Uuid),
    Grant { entity: ObjectRef, recipient: RecipientReference },
    Link { identity_provider: Uuid, identity_provider_user_id: Option<String>, user: ObjectRef },
}

/// Who holds a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Recipient {
    User(Uuid),
    Entity(Uuid),
}

/// An object's identity in FusionAuth.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Key {
    Id(Uuid),
    Grant { entity: Uuid, recipient: Recipient },
    Link { identity_provider: Uuid, identity_provider_user_id: String, user: Uuid },
}

impl Key {
    /// The id, for the kinds that have one.
    pub fn id(&self) -> Option<Uuid> {
        match self {
            Key::Id(id) => Some(*id),
            Key::Grant { .. } | Key::Link { .. } => None,
        }
    }
}

/// How a declared secret is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretUse {
    /// Sent when the object is created, never again.
    Initial,
    /// Sent when its version or its fingerprint changes (an enforced password).
    Enforced,
    /// Compared with the live value, in memory (an entity's client secret).
    Compared,
}

/// A declared secret: where it comes from, never what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredSecret {
    /// The field's wire name: `password`, `salt`, `clientSecret`, `token`, `pendingIdPLinkId`.
    pub field: String,
    pub usage: SecretUse,
    pub source: SecretSource,
    /// Whether an empty value is allowed (a salt may be empty).
    pub may_be_empty: bool,
}

/// One declared object, lowered: references to applications, identity providers and undeclared objects are
/// resolved, those to declared objects are not yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    pub address: Address,
    pub place: Place,
    pub key: KeyReference,
    /// The id was declared by `spec.id`, not derived.
    pub explicit_id: bool,
    /// Declared fields by wire name; null declares a removal, at the top or as a key of `data`. `unset` is
    /// folded in. Without parts, references, `initial`, secrets.
    pub fields: Fields,
    /// Registrations by application id, an entity type's permissions by name: each with its declared fields.
    /// None when the array is not declared; an empty map when it is declared empty.
    pub parts: Option<BTreeMap<String, Fields>>,
    /// An entity's type.
    pub entity_type: Option<ObjectRef>,
    /// Object fields that are sent when it is created, never again, never compared.
    pub initial: Fields,
    /// Request options beside the object on create: `skipVerification`, `sendSetPasswordIdentityType`, ….
    pub options: Fields,
    pub secrets: Vec<DesiredSecret>,
    /// A pending link to complete, when its id is plain text.
    pub pending_link: Option<String>,
    pub policy: Policy,
    /// Where the object stood before it was renamed (`fusionkeep.dev/moved-from`).
    pub moved_from: Option<Address>,
    /// Left alone (`spec.suspend`).
    pub suspended: bool,
}

impl Desired {
    /// An object of which nothing is declared but that it is there.
    pub fn empty(address: Address, place: Place, key: KeyReference) -> Self {
        Desired {
            address,
            place,
            key,
            explicit_id: false,
            fields: Fields::new(),
            parts: None,
            entity_type: None,
            initial: Fields::new(),
            options: Fields::new(),
            secrets: Vec::new(),
            pending_link: None,
            policy: Policy::default(),
            moved_from: None,
            suspended: false,
        }
    }
}
