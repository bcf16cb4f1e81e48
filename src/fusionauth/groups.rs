//! Groups, in which the record and the lock stand (wire notes §14).

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::{Client, absent};
use super::error::Error;
use super::{Object, Response};

const GROUP: &str = "/api/group/{groupId}";

/// Creates a group under the client's id, which only one of several can do. `body` is `{"group": {…}}`. After a lost
/// response the group is ours only if its data is what was sent, so data should name its writer.
#[must_use]
pub fn create(id: Uuid, body: Value) -> Call {
    Call::new(Method::POST, GROUP, vec![id.to_string()], Answer::Wrapper("group")).json(body).idempotency(
        Idempotency::RecognisedCreate(Recovery {
            route: GROUP,
            parameters: vec![id.to_string()],
            query: vec![],
            select: Select::Wrapper("group"),
            wrapper: "group",
            on_first_duplicate: false,
        }),
    )
}

/// Changes a group by a merge patch. `body` is `{"group": {…}}`.
#[must_use]
pub fn patch(id: Uuid, body: Value) -> Call {
    Call::new(Method::PATCH, GROUP, vec![id.to_string()], Answer::Wrapper("group")).merge_patch(body)
}

/// Replaces a group. `body` is `{"group": {…}}`.
#[must_use]
pub fn put(id: Uuid, body: Value) -> Call {
    Call::new(Method::PUT, GROUP, vec![id.to_string()], Answer::Wrapper("group")).json(body)
}

/// Deletes a group.
#[must_use]
pub fn delete(id: Uuid) -> Call {
    Call::new(Method::DELETE, GROUP, vec![id.to_string()], Answer::EmptyOrJson)
}

impl Client {
    /// The group with this id.
    ///
    /// # Errors
    /// As any read.
    pub async fn group(&self, id: Uuid) -> Result<Option<Object>, Error> {
        Ok(self.group_at(id).await?.map(|(group, _)| group))
    }

    /// The group with this id, and the server's clock when it answered: by it a lease is judged.
    ///
    /// # Errors
    /// As any read.
    pub async fn group_at(&self, id: Uuid) -> Result<Option<(Object, Option<jiff::Timestamp>)>, Error> {
        let call = Call::get(GROUP, vec![id.to_string()], Answer::Wrapper("group"));
        let read = |response: &Response| Ok((response.object("group")?, response.date));
        absent(self.run(&call, read).await)
    }

    /// The groups whose name matches, where `*` stands for anything (since 1.45), in the order of `order_by` (such as
    /// `insertInstant DESC`). Names may match in other case or as a substring: compare them.
    ///
    /// # Errors
    /// As any read; also a page that stays incomplete.
    pub async fn search_groups(&self, name: &str, order_by: &str) -> Result<Vec<Object>, Error> {
        let mut criteria = Object::new();
        criteria.insert("name".to_owned(), json!(name));
        criteria.insert("orderBy".to_owned(), json!(order_by));
        self.rows_by_criteria("/api/group/search", "groups", &criteria).await
    }
}
