//! A connection that a run stands on: which server, which version, which tenant. Settled before anything else, and
//! shared by all that is planned and applied over it.

use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::fusionauth::{self, Client, Object, ServerVersion};
use crate::model::Owner;
use crate::reconcile::Target;

use super::error::{Error, Tenant};

/// Where a run goes, as whom.
#[derive(Clone, Debug)]
pub struct Connection {
    /// URL, key, certificates, deadlines, parallelism.
    pub server: fusionauth::Target,
    /// What plans and records call the server when it is not its URL: `sandbox:` and the store's id.
    pub shown_url: Option<String>,
    pub tenant_id: Option<Uuid>,
    pub owner: Owner,
}

impl Connection {
    /// What the server is called in plans, records and reports.
    pub fn url(&self) -> String {
        let base = || self.server.base_url.as_str().trim_end_matches('/').to_owned();
        self.shown_url.clone().unwrap_or_else(base)
    }
}

/// A server that has answered, and the tenant that was settled.
#[derive(Debug)]
pub struct Session {
    client: Client,
    version: ServerVersion,
    owner: Owner,
    target: Target,
    default_tenant: OnceCell<Option<Uuid>>,
}

impl Session {
    /// Proves the URL and the key, refuses servers that are too old, settles the tenant.
    ///
    /// # Errors
    /// The server cannot be reached or is too old, the key is refused, the tenant does not exist or is not chosen.
    pub async fn connect(connection: &Connection) -> Result<Self, Error> {
        let client = Client::new(&connection.server)?;
        let version = version_of(&client).await?;
        if !version.is_supported() {
            return Err(Error::OldServer(version));
        }
        let tenant_id = settle_tenant(&client, connection.tenant_id).await?;
        let target = Target { url: connection.url(), tenant_id, server_version: version.to_string() };
        Ok(Session {
            client: client.with_tenant(Some(tenant_id)),
            version,
            owner: connection.owner.clone(),
            target,
            default_tenant: OnceCell::new(),
        })
    }

    /// Scoped to the tenant.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn version(&self) -> &ServerVersion {
        &self.version
    }

    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    pub fn tenant_id(&self) -> Uuid {
        self.target.tenant_id
    }

    /// What plans and records call this target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The tenant of FusionAuth's own application, where the record of global kinds stands; None when the key may
    /// not see it. Where the application is not shown and there is one tenant, it is that. Asked for once.
    ///
    /// # Errors
    /// As any read.
    pub async fn default_tenant(&self) -> Result<Option<Uuid>, Error> {
        let find = || async {
            if let Some(id) = self.client.default_tenant_id().await? {
                return Ok::<_, fusionauth::Error>(Some(id));
            }
            let tenants = list(&self.client.with_tenant(None).tenants().await?);
            Ok(if let [only] = tenants.as_slice() { Some(only.id) } else { None })
        };
        let found = self.default_tenant.get_or_try_init(find).await?;
        Ok(*found)
    }
}

/// From the status when the key may not read the version, or the version stands nowhere else: with any key the status has
/// it too (wire notes §1).
pub(super) async fn version_of(client: &Client) -> Result<ServerVersion, Error> {
    let told = |status: &Object| status.get("version").and_then(Value::as_str)?.parse().ok();
    let quick = client.impatient();
    let refused = match quick.system_version().await {
        // A key that the server knows and that lacks this route need not be waited for.
        Err(error) if error.is_unauthorized() => match quick.status().await.as_ref().ok().and_then(told) {
            Some(version) => return Ok(version),
            None => client.system_version().await,
        },
        answer => answer,
    };
    let refused = match refused {
        Ok(version) => return Ok(version),
        Err(error) if error.is_unauthorized() || error.is_not_found() => error,
        Err(error) => return Err(error.into()),
    };
    let status = match client.status().await {
        // Neither is there: whatever answers is no FusionAuth, or has it under another path.
        Err(error) if error.is_not_found() => {
            let kind = fusionauth::ErrorKind::UnprovenBaseUrl;
            return Err(fusionauth::Error::new(&reqwest::Method::GET, "/api/status", kind).into());
        }
        answer => answer?,
    };
    told(&status).ok_or_else(|| refused.into())
}

/// The given tenant if it exists, else the only one.
pub(super) async fn settle_tenant(client: &Client, given: Option<Uuid>) -> Result<Uuid, Error> {
    if let Some(id) = given {
        return match client.tenant(id).await {
            Ok(Some(_)) => Ok(id),
            Ok(None) => {
                let tenants = list(&client.tenants().await.unwrap_or_default());
                // Every FusionAuth has a tenant: who sees none cannot tell, and the other calls judge the id.
                if tenants.is_empty() { Ok(id) } else { Err(Error::UnknownTenant { id, tenants }) }
            }
            // A key with the least permissions need not read tenants; the other calls judge the id then.
            Err(error) if error.is_unauthorized() => Ok(id),
            Err(error) => Err(error.into()),
        };
    }
    let tenants = match client.tenants().await {
        Ok(tenants) => list(&tenants),
        // A key that opens nothing at all is the trouble, and not that it sees no tenant.
        Err(error) if error.is_unauthorized() && client.key_is_proven() => return Err(Error::NoTenant),
        Err(error) => return Err(error.into()),
    };
    match tenants.as_slice() {
        [] => Err(Error::NoTenant),
        [only] => Ok(only.id),
        _ => Err(Error::AmbiguousTenant { tenants }),
    }
}

fn list(tenants: &[Object]) -> Vec<Tenant> {
    let text = |tenant: &Object, name: &str| tenant.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut listed: Vec<Tenant> = tenants
        .iter()
        .filter_map(|tenant| {
            let id = text(tenant, "id")?.parse().ok()?;
            Some(Tenant { id, name: text(tenant, "name").unwrap_or_default() })
        })
        .collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed
}
