//! Users (wire notes §4). PUT is never used on people: two-factor secrets are not returned, and it would wipe them.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::Client;
use super::error::Error;
use super::row::Row;
use super::search::{Query, Rows};
use super::version::ServerVersion;
use super::{Object, Response};

const USER: &str = "/api/user/{userId}";
const SEARCH: &str = "/api/user/search";
/// Imports validate and hash in one request.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(60);
/// Memberships are nobody's here, so only registrations are asked for.
const ROWS: Rows = Rows { route: SEARCH, key: "users", expand: Some("registrations"), one: (USER, "user") };

/// A sign-in name by which a user can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginId {
    /// The e-mail address.
    Email,
    /// The username, in any case.
    Username,
    /// The phone number (since 1.59).
    PhoneNumber,
}

/// Creates a user under the client's id. `body` is `{"user": {…}}` with the request's other top-level fields.
#[must_use]
pub fn create(id: Uuid, body: Value) -> Call {
    Call::new(Method::POST, USER, vec![id.to_string()], Answer::Wrapper("user"))
        .json(body)
        .idempotency(Idempotency::RecognisedCreate(recovery(id)))
}

/// How a user is found again after a lost response, for the combined create with a registration too.
pub(super) fn recovery(id: Uuid) -> Recovery {
    Recovery {
        route: USER,
        parameters: vec![id.to_string()],
        query: vec![],
        select: Select::Wrapper("user"),
        wrapper: "user",
        on_first_duplicate: false,
    }
}

/// Changes a user by a merge patch. `body` is `{"user": {…}}` with the request's other top-level fields. An inactive user
/// refuses it (400, or 404; wire notes §13).
#[must_use]
pub fn patch(id: Uuid, body: Value) -> Call {
    Call::new(Method::PATCH, USER, vec![id.to_string()], Answer::Wrapper("user")).merge_patch(body)
}

/// Deactivates a user (soft delete).
#[must_use]
pub fn deactivate(id: Uuid) -> Call {
    Call::new(Method::DELETE, USER, vec![id.to_string()], Answer::EmptyOrJson)
}

/// Deletes a user for good, with registrations, links and grants.
#[must_use]
pub fn hard_delete(id: Uuid) -> Call {
    deactivate(id).query("hardDelete", "true")
}

/// Reactivates a user.
#[must_use]
pub fn reactivate(id: Uuid) -> Call {
    Call::new(Method::PUT, USER, vec![id.to_string()], Answer::Wrapper("user")).query("reactivate", "true")
}

/// Imports users. `users` are the wire's import objects; the only way to create inactive users and those with hashed
/// passwords. Never two at once. It is not repeated once it may have been carried out: read the ids back instead.
#[must_use]
pub fn import(users: Vec<Value>) -> Call {
    // Without the validation a duplicate is a bare 500 (wire notes §4).
    Call::new(Method::POST, "/api/user/import", vec![], Answer::EmptyOrJson)
        .json(json!({ "users": users, "validateDbConstraints": true }))
        .timeout(IMPORT_TIMEOUT)
}

/// Marks a user's e-mail as verified by an administrator (since 1.37).
#[must_use]
pub fn verify_email(id: Uuid) -> Call {
    Call::new(Method::POST, "/api/user/verify-email", vec![], Answer::EmptyOrJson)
        .json(json!({ "userId": id }))
        .idempotency(Idempotency::Idempotent)
}

impl Client {
    /// The user with this id, deactivated ones too.
    ///
    /// # Errors
    /// As any read.
    pub async fn user(&self, id: Uuid) -> Result<Option<Object>, Error> {
        let call = Call::get(USER, vec![id.to_string()], Answer::Wrapper("user"));
        self.optional(&call, "user").await
    }

    /// The user with this sign-in name in the tenant, deactivated ones too.
    ///
    /// # Errors
    /// As any read.
    pub async fn user_by(&self, kind: LoginId, value: &str) -> Result<Option<Object>, Error> {
        let call = Call::get("/api/user", vec![], Answer::Wrapper("user"));
        let call = match kind {
            LoginId::Email => call.query("email", value),
            LoginId::Username => call.query("username", value),
            LoginId::PhoneNumber => call.query("loginId", value).query("loginIdTypes", "phoneNumber"),
        };
        self.optional(&call, "user").await
    }

    /// Reads the users with these ids, with their registrations, and hands each that exists to `row`, in no order. One
    /// request per [`super::PAGE_OF_IDS`] ids; an id that is not handed out does not exist.
    ///
    /// # Errors
    /// As any read; also a page that stays incomplete.
    pub async fn users_by_ids<T: DeserializeOwned>(
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
    pub async fn users_in_pages(
        &self,
        ids: &[Uuid],
        take: impl FnMut(&[Row<'_>]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.pages_by_ids(&ROWS, ids, take).await
    }

    /// Pages through a search of users, with their registrations. Returns the number of users.
    ///
    /// # Errors
    /// As any read; also a page that stays incomplete.
    pub async fn search_users<T: DeserializeOwned>(
        &self,
        query: &Query,
        row: impl FnMut(T),
    ) -> Result<usize, Error> {
        self.rows_by_query(&ROWS, query, row).await
    }

    /// How many users a search finds, in one request; `None` when the answer has no total. A search engine counts exactly
    /// only when asked to, which it is.
    ///
    /// # Errors
    /// As any read.
    pub async fn count_users(&self) -> Result<Option<u64>, Error> {
        let search = json!({"accurateTotal": true, "numberOfResults": 1, "queryString": "*", "startRow": 0});
        let call = Call::new(Method::POST, SEARCH, vec![], Answer::Object)
            .json(json!({ "search": search }))
            .idempotency(Idempotency::SafeRead);
        let total =
            |response: &Response| Ok(response.parse::<Object>()?.get("total").and_then(Value::as_u64));
        Ok(super::client::absent(self.run(&call, total).await)?.unwrap_or(Some(0)))
    }

    /// Makes what was written visible to searches by query.
    ///
    /// # Errors
    /// As any read.
    pub async fn flush_user_search(&self) -> Result<(), Error> {
        self.flush(SEARCH).await
    }
}

/// All users, in an order that new users do not disturb. Before 1.59 every user has a login, which is unique in its tenant.
#[must_use]
pub fn all(version: &ServerVersion) -> Query {
    let unique = if version.at_least(1, 59) { "id" } else { "login" };
    Query { query_string: "*".to_owned(), sort: vec!["insertInstant", unique] }
}
