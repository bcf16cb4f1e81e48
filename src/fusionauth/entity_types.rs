//! Entity types and their permissions (wire notes §5). Global objects: they need a key that is not locked to a tenant.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::Client;
use super::error::Error;

const TYPE: &str = "/api/entity/type/{entityTypeId}";
const PERMISSION: &str = "/api/entity/type/{entityTypeId}/permission/{permissionId}";

/// Creates an entity type under the client's id. `body` is `{"entityType": {…}}`, with its permissions if it has any.
#[must_use]
pub fn create(id: Uuid, body: Value) -> Call {
    Call::new(Method::POST, TYPE, vec![id.to_string()], Answer::Wrapper("entityType")).json(body).idempotency(
        Idempotency::RecognisedCreate(Recovery {
            route: TYPE,
            parameters: vec![id.to_string()],
            query: vec![],
            select: Select::Wrapper("entityType"),
            wrapper: "entityType",
            on_first_duplicate: false,
        }),
    )
}

/// Changes an entity type by a merge patch. `body` is `{"entityType": {…}}`, without permissions.
#[must_use]
pub fn patch(id: Uuid, body: Value) -> Call {
    Call::new(Method::PATCH, TYPE, vec![id.to_string()], Answer::Wrapper("entityType")).merge_patch(body)
}

/// Deletes an entity type, with all its entities and their grants.
#[must_use]
pub fn delete(id: Uuid) -> Call {
    Call::new(Method::DELETE, TYPE, vec![id.to_string()], Answer::EmptyOrJson)
}

/// Adds a permission under the client's id. `body` is `{"permission": {…}}`.
#[must_use]
pub fn create_permission(type_id: Uuid, permission_id: Uuid, body: Value) -> Call {
    let parameters = vec![type_id.to_string(), permission_id.to_string()];
    Call::new(Method::POST, PERMISSION, parameters, Answer::Wrapper("permission")).json(body).idempotency(
        Idempotency::RecognisedCreate(Recovery {
            // A single permission cannot be read (wire notes §5).
            route: TYPE,
            parameters: vec![type_id.to_string()],
            query: vec![],
            select: Select::Item { pointer: "/entityType/permissions", id: permission_id.to_string() },
            wrapper: "permission",
            on_first_duplicate: false,
        }),
    )
}

/// Changes a permission by a merge patch; its name cannot change. `body` is `{"permission": {…}}`.
#[must_use]
pub fn patch_permission(type_id: Uuid, permission_id: Uuid, body: Value) -> Call {
    let parameters = vec![type_id.to_string(), permission_id.to_string()];
    Call::new(Method::PATCH, PERMISSION, parameters, Answer::Wrapper("permission")).merge_patch(body)
}

/// Deletes a permission; grants lose it.
#[must_use]
pub fn delete_permission(type_id: Uuid, permission_id: Uuid) -> Call {
    let parameters = vec![type_id.to_string(), permission_id.to_string()];
    Call::new(Method::DELETE, PERMISSION, parameters, Answer::EmptyOrJson)
}

impl Client {
    /// All entity types with their permissions, in one request.
    ///
    /// # Errors
    /// As any read.
    pub async fn entity_types(&self) -> Result<Vec<Object>, Error> {
        let call = Call::get("/api/entity/type", vec![], Answer::Object);
        Ok(self.list(&call, "entityTypes").await?.unwrap_or_default())
    }

    /// The entity type with this id.
    ///
    /// # Errors
    /// As any read.
    pub async fn entity_type(&self, id: Uuid) -> Result<Option<Object>, Error> {
        self.optional(&Call::get(TYPE, vec![id.to_string()], Answer::Wrapper("entityType")), "entityType")
            .await
    }
}
