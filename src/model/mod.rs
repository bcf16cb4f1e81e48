//! What can be declared: one file a kind, plus the table of kinds. Knows neither tokio nor reqwest nor kube.
//!
//! Every kind has Kubernetes' resource shape; the types here are its `spec`. They derive serde and schemars:
//! the reader, the JSON Schemas and the custom resource definitions all come from them. Types deserialise
//! leniently where a message needs context (an e-mail is a `String` here); the rules that judge values stand
//! in `manifest`, which knows file and line.

mod address;
mod data;
mod declared;
mod entity;
mod entity_grant;
mod entity_type;
mod identity;
mod identity_provider_link;
mod instance;
mod kind;
mod lambda;
mod place;
mod policy;
mod reference;
mod scalar;
mod secret;
mod spec;
mod user;

pub use address::{Address, DEFAULT_NAMESPACE, ParseAddressError};
pub use data::{Data, Datum};
pub use declared::{Declared, NonNull};
pub use entity::EntitySpec;
pub use entity_grant::EntityGrantSpec;
pub use entity_type::{EntityTypePermission, EntityTypeSpec, JwtConfiguration};
pub use identity::{Owner, ParseOwnerError, derived_id, generation_id};
pub use identity_provider_link::{
    IdentityProviderLinkInitial, IdentityProviderLinkSpec, PendingLink, PendingLinkId,
};
pub use instance::{
    AllowedNamespaces, ApprovalMode, ClusterFusionAuthInstanceSpec, FusionAuthInstanceSpec, Guards,
    InstanceAllow, NamespaceSelector, NumberOrPercent, PlanApprovalSpec, Tls,
};
pub use kind::{
    Compare, Deletion, FieldRule, Kind, KindRow, Part, Scope, Sensitivity, Since, Write, field_rule, row,
};
pub use lambda::{BodySource, ConfigMapKeyRef, EngineType, LambdaSpec, LambdaType};
pub use place::{Place, SourceLine};
pub use policy::{Adoption, Drift, Ensure, InstanceKind, InstanceReference, ObjectReference, Policy};
pub use reference::{EntityReference, Reference, UserReference};
pub use scalar::{Id, Instant};
pub use secret::{InitialPassword, Password, SecretKeyRef, SecretSource};
pub use user::{Registration, SendSetPassword, UserInitial, UserSpec, UsernameStatus};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The API group of every kind.
pub const GROUP: &str = "fusionkeep.dev";
/// The version of every kind.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every kind.
pub const API_VERSION: &str = "fusionkeep.dev/v1alpha1";

/// A JSON object: fields by their wire names.
pub type Fields = Map<String, Value>;

/// A `spec` of any of the kinds that stand for an object in FusionAuth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Spec {
    EntityType(Box<EntityTypeSpec>),
    Lambda(Box<LambdaSpec>),
    User(Box<UserSpec>),
    Entity(Box<EntitySpec>),
    EntityGrant(Box<EntityGrantSpec>),
    IdentityProviderLink(Box<IdentityProviderLinkSpec>),
}

macro_rules! each {
    ($self:ident, $spec:ident => $value:expr) => {
        match $self {
            Spec::EntityType($spec) => $value,
            Spec::Lambda($spec) => $value,
            Spec::User($spec) => $value,
            Spec::Entity($spec) => $value,
            Spec::EntityGrant($spec) => $value,
            Spec::IdentityProviderLink($spec) => $value,
        }
    };
}

impl Spec {
    pub fn kind(&self) -> Kind {
        match self {
            Spec::EntityType(_) => Kind::EntityType,
            Spec::Lambda(_) => Kind::Lambda,
            Spec::User(_) => Kind::User,
            Spec::Entity(_) => Kind::Entity,
            Spec::EntityGrant(_) => Kind::EntityGrant,
            Spec::IdentityProviderLink(_) => Kind::IdentityProviderLink,
        }
    }

    pub fn policy(&self) -> &Policy {
        each!(self, spec => &spec.policy)
    }

    pub fn instance_ref(&self) -> Option<&InstanceReference> {
        each!(self, spec => spec.instance_ref.as_ref())
    }

    pub fn suspend(&self) -> bool {
        each!(self, spec => spec.suspend)
    }

    /// Paths that are removed on purpose, as written: `mobilePhone`, `data.team`.
    pub fn unset(&self) -> &[String] {
        each!(self, spec => &spec.unset)
    }

    /// The explicit id; links and grants have none, their key is their pair.
    pub fn id(&self) -> Option<uuid::Uuid> {
        match self {
            Spec::EntityType(spec) => spec.id.0.map(|id| id.0),
            Spec::Lambda(spec) => spec.id.0.map(|id| id.0),
            Spec::User(spec) => spec.id.0.map(|id| id.0),
            Spec::Entity(spec) => spec.id.0.map(|id| id.0),
            Spec::EntityGrant(_) | Spec::IdentityProviderLink(_) => None,
        }
    }

    /// The declared fields under their wire names, null where removal is declared; without references, parts
    /// (registrations, an entity type's permissions), secrets, `initial` and what is fusionkeep's own.
    pub fn wire_fields(&self) -> Result<Fields, serde_json::Error> {
        let value = each!(self, spec => serde_json::to_value(spec))?;
        let Value::Object(mut fields) = value else { return Ok(Fields::new()) };
        let row = row(self.kind());
        fields.retain(|name, _| row.fields.iter().any(|rule| rule.path == name && rule.on_wire()));
        Ok(fields)
    }
}
