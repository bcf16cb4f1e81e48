//! Grants of permissions on entities, to users and to other entities (wire notes §5).

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency};
use super::client::Client;
use super::error::Error;

const GRANT: &str = "/api/entity/{entityId}/grant";
const SEARCH: &str = "/api/entity/grant/search";

/// Who holds a grant. With the entity it is the grant's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// A user.
    User(Uuid),
    /// Another entity.
    Entity(Uuid),
}

impl Grantee {
    fn parameter(self) -> (&'static str, String) {
        match self {
            Grantee::User(id) => ("userId", id.to_string()),
            Grantee::Entity(id) => ("recipientEntityId", id.to_string()),
        }
    }
}

/// Creates or replaces a grant. `body` is `{"grant": {…}}`; the grantee is added to it. Answers without a body.
#[must_use]
pub fn upsert(entity_id: Uuid, grantee: Grantee, mut body: Value) -> Call {
    if let Some(grant) = body.get_mut("grant").and_then(Value::as_object_mut) {
        let (name, id) = grantee.parameter();
        grant.insert(name.to_owned(), json!(id));
    }
    Call::new(Method::POST, GRANT, vec![entity_id.to_string()], Answer::EmptyOrJson)
        .json(body)
        .idempotency(Idempotency::Idempotent)
}

/// Deletes a grant.
#[must_use]
pub fn delete(entity_id: Uuid, grantee: Grantee) -> Call {
    let (name, id) = grantee.parameter();
    Call::new(Method::DELETE, GRANT, vec![entity_id.to_string()], Answer::EmptyOrJson).query(name, id)
}

impl Client {
    /// All grants on an entity; `None` when there is no such entity.
    ///
    /// # Errors
    /// As any read.
    pub async fn grants_of_entity(&self, entity_id: Uuid) -> Result<Option<Vec<Object>>, Error> {
        self.list(&Call::get(GRANT, vec![entity_id.to_string()], Answer::Object), "grants").await
    }

    /// One grant on an entity.
    ///
    /// # Errors
    /// As any read.
    pub async fn grant(&self, entity_id: Uuid, grantee: Grantee) -> Result<Option<Object>, Error> {
        let (name, id) = grantee.parameter();
        let call = Call::get(GRANT, vec![entity_id.to_string()], Answer::Wrapper("grant")).query(name, id);
        self.optional(&call, "grant").await
    }

    /// The grants that a user holds on any entity.
    ///
    /// # Errors
    /// As any read.
    pub async fn grants_of_user(&self, user_id: Uuid) -> Result<Vec<Object>, Error> {
        let mut criteria = Object::new();
        criteria.insert("userId".to_owned(), json!(user_id));
        criteria.insert("orderBy".to_owned(), json!("insertInstant ASC"));
        self.rows_by_criteria(SEARCH, "grants", &criteria).await
    }
}
