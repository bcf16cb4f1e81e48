//! References: by the name of a manifest in the same namespace, by a live name, or by id; exactly one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Id;

/// A reference by `name` or by `id`, exactly one of them. For our kinds `name` is the `metadata.name` of a
/// manifest in the same namespace; for applications, identity providers and tenants it is the live name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["name", "id"]))]
pub struct Reference {
    /// The name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub name: Option<String>,
    /// The id of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
}

/// A reference to a person: a manifest's `name`, an `id`, or the sign-in name of somebody who is not declared,
/// looked up live. Exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["name", "id", "email", "username", "phoneNumber"]))]
pub struct UserReference {
    /// The `metadata.name` of a User in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub name: Option<String>,
    /// The id of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The e-mail address of a user that is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "email"))]
    pub email: Option<String>,
    /// The username of a user that is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub username: Option<String>,
    /// The phone number of a user that is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "phone number"))]
    pub phone_number: Option<String>,
}

/// A reference to an entity: a manifest's `name`, an `id`, or the `clientId` of an entity that is not declared.
/// Exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["name", "id", "clientId"]))]
pub struct EntityReference {
    /// The `metadata.name` of an Entity in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub name: Option<String>,
    /// The id of the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The client id of an entity that is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub client_id: Option<String>,
}
