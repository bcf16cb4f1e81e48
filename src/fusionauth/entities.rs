//! Entities (wire notes §5). A licensed feature. Answers hold client secrets in the clear.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::Client;
use super::error::Error;
use super::row::Row;
use super::search::{Query, Rows};

const ENTITY: &str = "/api/entity/{entityId}";
const SEARCH: &str = "/api/entity/search";
const ROWS: Rows = Rows { route: SEARCH, key: "entities", expand: None, one: (ENTITY, "entity") };

/// Creates an entity under the client's id. `body` is `{"entity": {…}}`.
#[must_use]
pub fn create(id: Uuid, body: Value) -> Call {
    Call::new(Method::POST, ENTITY, vec![id.to_string()], Answer::Wrapper("entity")).json(body).idempotency(
        Idempotency::RecognisedCreate(Recovery {
            route: ENTITY,
            parameters: vec![id.to_string()],
            query: vec![],
            select: Select::Wrapper("entity"),
            wrapper: "entity",
            on_first_duplicate: false,
        }),
    )
}

/// Changes an entity by a merge patch. `body` is `{"entity": {…}}`.
#[must_use]
pub fn patch(id: Uuid, body: Value) -> Call {
    Call::new(Method::PATCH, ENTITY, vec![id.to_string()], Answer::Wrapper("entity")).merge_patch(body)
}

/// Deletes an entity, with its grants.
#[must_use]
pub fn delete(id: Uuid) -> Call {
    Call::new(Method::DELETE, ENTITY, vec![id.to_string()], Answer::EmptyOrJson)
}

/// All entities, in an order that is total and that new ones do not disturb. It is the one search that both engines read
/// alike; a name with a blank in it cannot be searched for on a database (wire notes §5).
#[must_use]
pub fn all() -> Query {
    Query { query_string: "*".to_owned(), sort: vec!["insertInstant", "clientId"] }
}

impl Client {
    /// The entity with this id.
    ///
    /// # Errors
    /// As any read.
    pub async fn entity(&self, id: Uuid) -> Result<Option<Object>, Error> {
        self.optional(&Call::get(ENTITY, vec![id.to_string()], Answer::Wrapper("entity")), "entity").await
    }

    /// Reads the entities with these ids and hands each that exists to `row`, in no order. An id that is not handed out
    /// does not exist.
    ///
    /// # Errors
    /// As any read; also a page that stays incomplete.
    pub async fn entities_by_ids<T: DeserializeOwned>(
        &self,
        ids: &[Uuid],
        row: impl FnMut(T),
    ) -> Result<(), Error> {
        self.rows_by_ids(&ROWS, ids, row).await
    }

    /// The same, page by page, the rows not read yet.
    ///
    /// # Errors
    /// As any read; also a page that stays incomplete.
    pub async fn entities_in_pages(
        &self,
        ids: &[Uuid],
        take: impl FnMut(&[Row<'_>]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.pages_by_ids(&ROWS, ids, take).await
    }

    /// Pages through a search of entities. Returns their number. The index lags behind: flush it before, and read each hit
    /// again by its id.
    ///
    /// # Errors
    /// As any read; also a page that stays incomplete.
    pub async fn search_entities<T: DeserializeOwned>(
        &self,
        query: &Query,
        row: impl FnMut(T),
    ) -> Result<usize, Error> {
        self.rows_by_query(&ROWS, query, row).await
    }

    /// Makes what was written visible to searches by query.
    ///
    /// # Errors
    /// As any read.
    pub async fn flush_entity_search(&self) -> Result<(), Error> {
        self.flush(SEARCH).await
    }
}
