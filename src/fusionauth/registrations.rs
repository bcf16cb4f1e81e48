//! Registrations of users for applications (wire notes §4).

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::Client;
use super::error::Error;
use super::users;

const OF_USER: &str = "/api/user/registration/{userId}";
const ONE: &str = "/api/user/registration/{userId}/{applicationId}";

/// Creates a user under the client's id together with a registration. `body` is `{"user": {…}, "registration":
/// {"applicationId": …, …}}` with the request's other top-level fields.
#[must_use]
pub fn create_with_user(user_id: Uuid, body: Value) -> Call {
    Call::new(Method::POST, OF_USER, vec![user_id.to_string()], Answer::Wrapper("user"))
        .json(body)
        .idempotency(Idempotency::RecognisedCreate(users::recovery(user_id)))
}

/// Registers an existing user. `body` is `{"registration": {…}}` with the request's other top-level fields; the
/// application's id is added to it.
#[must_use]
pub fn create(user_id: Uuid, application_id: Uuid, mut body: Value) -> Call {
    // The documented form has the application in the body.
    if let Some(registration) = body.get_mut("registration").and_then(Value::as_object_mut) {
        registration.insert("applicationId".to_owned(), json!(application_id));
    }
    let parameters = vec![user_id.to_string(), application_id.to_string()];
    Call::new(Method::POST, OF_USER, vec![user_id.to_string()], Answer::Wrapper("registration"))
        .json(body)
        .idempotency(Idempotency::RecognisedCreate(Recovery {
            route: ONE,
            parameters,
            query: vec![],
            select: Select::Wrapper("registration"),
            wrapper: "registration",
            on_first_duplicate: false,
        }))
}

/// Changes a registration by a merge patch. The application stands in the URL, or the patch would overwrite (wire notes §3).
#[must_use]
pub fn patch(user_id: Uuid, application_id: Uuid, body: Value) -> Call {
    let parameters = vec![user_id.to_string(), application_id.to_string()];
    Call::new(Method::PATCH, ONE, parameters, Answer::Wrapper("registration")).merge_patch(body)
}

/// Removes a registration.
#[must_use]
pub fn delete(user_id: Uuid, application_id: Uuid) -> Call {
    Call::new(Method::DELETE, ONE, vec![user_id.to_string(), application_id.to_string()], Answer::EmptyOrJson)
}

/// Marks a registration as verified by an administrator (wire notes §13).
#[must_use]
pub fn verify(user_id: Uuid, application_id: Uuid) -> Call {
    Call::new(Method::POST, "/api/user/verify-registration", vec![], Answer::EmptyOrJson)
        .json(json!({ "userId": user_id, "applicationId": application_id }))
        .idempotency(Idempotency::Idempotent)
}

impl Client {
    /// A user's registration for an application.
    ///
    /// # Errors
    /// As any read.
    pub async fn registration(&self, user_id: Uuid, application_id: Uuid) -> Result<Option<Object>, Error> {
        let parameters = vec![user_id.to_string(), application_id.to_string()];
        self.optional(&Call::get(ONE, parameters, Answer::Wrapper("registration")), "registration").await
    }
}
