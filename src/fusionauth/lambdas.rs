//! Lambdas (wire notes §6). Global objects: they need a key that is not locked to a tenant.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::Client;
use super::error::Error;

const LAMBDA: &str = "/api/lambda/{lambdaId}";

/// Creates a lambda under the client's id. `body` is `{"lambda": {…}}`.
#[must_use]
pub fn create(id: Uuid, body: Value) -> Call {
    Call::new(Method::POST, LAMBDA, vec![id.to_string()], Answer::Wrapper("lambda")).json(body).idempotency(
        Idempotency::RecognisedCreate(Recovery {
            route: LAMBDA,
            parameters: vec![id.to_string()],
            query: vec![],
            select: Select::Wrapper("lambda"),
            wrapper: "lambda",
            on_first_duplicate: false,
        }),
    )
}

/// Changes a lambda by a merge patch; its type cannot change. `body` is `{"lambda": {…}}`.
#[must_use]
pub fn patch(id: Uuid, body: Value) -> Call {
    Call::new(Method::PATCH, LAMBDA, vec![id.to_string()], Answer::Wrapper("lambda")).merge_patch(body)
}

/// Deletes a lambda; one that is in use refuses it.
#[must_use]
pub fn delete(id: Uuid) -> Call {
    Call::new(Method::DELETE, LAMBDA, vec![id.to_string()], Answer::EmptyOrJson)
}

impl Client {
    /// All lambdas, in one request.
    ///
    /// # Errors
    /// As any read.
    pub async fn lambdas(&self) -> Result<Vec<Object>, Error> {
        let call = Call::get("/api/lambda", vec![], Answer::Object);
        Ok(self.list(&call, "lambdas").await?.unwrap_or_default())
    }

    /// The lambda with this id.
    ///
    /// # Errors
    /// As any read.
    pub async fn lambda(&self, id: Uuid) -> Result<Option<Object>, Error> {
        self.optional(&Call::get(LAMBDA, vec![id.to_string()], Answer::Wrapper("lambda")), "lambda").await
    }
}
