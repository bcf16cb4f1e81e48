//! A type of entities, with the permissions that grants on such entities can name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{Compare, Deletion, FieldRule, KindRow, Part, Scope, Sensitivity, Write};
use super::spec::kind_spec;
use super::{Data, Declared, Fields, Id, Kind, NonNull};

kind_spec! {
    /// A type of entities. Deleting one deletes its entities and their grants in FusionAuth.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[schemars(title = "EntityType")]
    pub struct EntityTypeSpec {
        /// The id in FusionAuth; derived from owner, tenant, namespace and name when absent.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        pub id: NonNull<Id>,
        /// FusionAuth's name, unique; `metadata.name` when absent.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        #[schemars(extend("x-form" = "filled"))]
        pub name: NonNull<String>,
        /// Data of your own: a key that is not declared is not touched.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub data: Declared<Data>,
        /// How tokens for entities of this type are made.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub jwt_configuration: Declared<JwtConfiguration>,
        /// Permissions by name. Those that are not declared are others'.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub permissions: Declared<Vec<EntityTypePermission>>,
    }
}

/// How tokens for entities of a type are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JwtConfiguration {
    /// Whether this configuration is used instead of the tenant's.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub enabled: Declared<bool>,
    /// The id of the key that signs access tokens.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub access_token_key_id: Declared<Id>,
    /// How long access tokens are valid, in seconds.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    #[schemars(extend("x-least" = 1))]
    pub time_to_live_in_seconds: Declared<i64>,
}

/// A permission of an entity type. Its name is its key and cannot change in FusionAuth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntityTypePermission {
    /// The id, used when the permission is created.
    #[serde(default, skip_serializing_if = "NonNull::is_absent")]
    pub id: NonNull<Id>,
    /// The name, unique in the entity type.
    #[schemars(extend("x-form" = "filled"))]
    pub name: String,
    /// What the permission is for.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub description: Declared<String>,
    /// Whether the permission is a default one.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub is_default: Declared<bool>,
    /// Data of your own about the permission.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub data: Declared<Data>,
}

use Sensitivity::Public;

const FIELDS: &[FieldRule] = &[
    FieldRule::new("name", Public),
    FieldRule::new("data", Public).compare(Compare::Data),
    FieldRule::new("jwtConfiguration", Public).compare(Compare::Data),
];

// The name is not editable after creation (wire notes §5); as the key of the part it never needs to be.
const PERMISSION: &[FieldRule] = &[
    FieldRule::new("id", Public).write(Write::CreateOnly),
    FieldRule::new("description", Public),
    FieldRule::new("isDefault", Public),
    FieldRule::new("data", Public).compare(Compare::Data),
];

pub(super) const ROW: KindRow = KindRow {
    kind: Kind::EntityType,
    plural: "entitytypes",
    route: "/api/entity/type",
    wrapper: "entityType",
    scope: Scope::Global,
    order: 1,
    deletion: Deletion::Delete,
    fields: FIELDS,
    part: Some(Part { field: "permissions", key: "name", fields: PERMISSION }),
    natural_key: "name",
};

impl EntityTypePermission {
    /// The declared fields under their wire names, without the name.
    pub fn wire_fields(&self) -> Result<Fields, serde_json::Error> {
        let serde_json::Value::Object(mut fields) = serde_json::to_value(self)? else {
            return Ok(Fields::new());
        };
        fields.remove("name");
        Ok(fields)
    }
}
