//! Tenants, read only.

use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call};
use super::client::Client;
use super::error::Error;

impl Client {
    /// All tenants that the key may see, in one request.
    ///
    /// # Errors
    /// As any read.
    pub async fn tenants(&self) -> Result<Vec<Object>, Error> {
        let call = Call::get("/api/tenant", vec![], Answer::Object);
        Ok(self.list(&call, "tenants").await?.unwrap_or_default())
    }

    /// The tenant with this id.
    ///
    /// # Errors
    /// As any read.
    pub async fn tenant(&self, id: Uuid) -> Result<Option<Object>, Error> {
        let call = Call::get("/api/tenant/{tenantId}", vec![id.to_string()], Answer::Wrapper("tenant"));
        self.optional(&call, "tenant").await
    }
}
