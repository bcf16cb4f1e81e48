//! Applications, read only: their roles, and the lambdas that they use.

use uuid::{Uuid, uuid};

use super::Object;
use super::call::{Answer, Call};
use super::client::Client;
use super::error::Error;

/// FusionAuth's own application, whose roles administer FusionAuth. It stands in the default tenant (wire notes §2).
pub const FUSIONAUTH_APPLICATION: Uuid = uuid!("3c219e58-ed0e-4b18-ad48-f4f92793ae32");

impl Client {
    /// The active applications of the tenant, with roles and lambda configuration, in one request.
    ///
    /// # Errors
    /// As any read.
    pub async fn applications(&self) -> Result<Vec<Object>, Error> {
        let call = Call::get("/api/application", vec![], Answer::Object);
        Ok(self.list(&call, "applications").await?.unwrap_or_default())
    }

    /// The application with this id, active or not.
    ///
    /// # Errors
    /// As any read.
    pub async fn application(&self, id: Uuid) -> Result<Option<Object>, Error> {
        let call = Call::get(
            "/api/application/{applicationId}",
            vec![id.to_string()],
            Answer::Wrapper("application"),
        );
        self.optional(&call, "application").await
    }

    /// The default tenant's id: that of FusionAuth's own application. `None` when the key may not see it.
    ///
    /// # Errors
    /// As any read.
    pub async fn default_tenant_id(&self) -> Result<Option<Uuid>, Error> {
        let application = self.with_tenant(None).application(FUSIONAUTH_APPLICATION).await?;
        let tenant_id =
            application.and_then(|application| application.get("tenantId")?.as_str()?.parse().ok());
        Ok(tenant_id)
    }
}
