//! A grant: permissions of a user or an entity on an entity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{Compare, Deletion, FieldRule, KindRow, Scope, Sensitivity};
use super::spec::kind_spec;
use super::{Data, Declared, EntityReference, Kind, UserReference};

kind_spec! {
    /// Permissions of a user or an entity on an entity. The pair is the grant's identity.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[schemars(title = "EntityGrant", extend("x-exactly-one-of" = ["user", "recipientEntity"]))]
    pub struct EntityGrantSpec {
        /// The entity on which permissions are granted.
        pub entity: EntityReference,
        /// The user who holds the grant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub user: Option<UserReference>,
        /// The entity that holds the grant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub recipient_entity: Option<EntityReference>,
        /// Permissions of the entity's type. The whole set: one that was added by hand is drift.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form-of-items" = "filled"))]
        pub permissions: Declared<Vec<String>>,
        /// Data of your own about the grant.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub data: Declared<Data>,
    }
}

use Sensitivity::Public;

const FIELDS: &[FieldRule] = &[
    FieldRule::new("permissions", Public).compare(Compare::Set),
    FieldRule::new("data", Public).compare(Compare::Data),
];

pub(super) const ROW: KindRow = KindRow {
    kind: Kind::EntityGrant,
    plural: "entitygrants",
    route: "/api/entity/{entityId}/grant",
    wrapper: "grant",
    scope: Scope::Tenant,
    order: 3,
    deletion: Deletion::Delete,
    fields: FIELDS,
    part: None,
    natural_key: "entity and user or recipientEntity",
};
