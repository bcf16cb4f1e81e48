//! Identity providers, read only: links refer to them. Answers hold client secrets in the clear.

use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call};
use super::client::Client;
use super::error::Error;

impl Client {
    /// All identity providers, in one request.
    ///
    /// # Errors
    /// As any read.
    pub async fn identity_providers(&self) -> Result<Vec<Object>, Error> {
        let call = Call::get("/api/identity-provider", vec![], Answer::Object);
        Ok(self.list(&call, "identityProviders").await?.unwrap_or_default())
    }

    /// The identity provider with this id.
    ///
    /// # Errors
    /// As any read.
    pub async fn identity_provider(&self, id: Uuid) -> Result<Option<Object>, Error> {
        let route = "/api/identity-provider/{identityProviderId}";
        let call = Call::get(route, vec![id.to_string()], Answer::Wrapper("identityProvider"));
        self.optional(&call, "identityProvider").await
    }
}
