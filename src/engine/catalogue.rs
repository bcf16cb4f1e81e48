//! What one plan reads of the server as a whole, each at most once: applications, identity providers, tenants,
//! entity types, lambdas.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::fusionauth::{Client, Error, Object};

use super::references::{Application, Named};
use super::rows::{text, uuid};

/// Lists that are read when they are first asked for.
#[derive(Debug)]
pub struct Catalogue {
    client: Client,
    applications: OnceCell<Arc<Vec<Application>>>,
    identity_providers: OnceCell<Arc<Vec<Named>>>,
    tenants: OnceCell<Arc<Vec<Named>>>,
    entity_types: OnceCell<Arc<Vec<Object>>>,
    lambdas: OnceCell<Arc<Vec<Object>>>,
}

impl Catalogue {
    pub fn new(client: Client) -> Self {
        Catalogue {
            client,
            applications: OnceCell::new(),
            identity_providers: OnceCell::new(),
            tenants: OnceCell::new(),
            entity_types: OnceCell::new(),
            lambdas: OnceCell::new(),
        }
    }

    pub async fn applications(&self) -> Result<Arc<Vec<Application>>, Error> {
        let read = || async {
            let found = self.client.applications().await?;
            Ok(Arc::new(found.iter().filter_map(application).collect()))
        };
        self.applications.get_or_try_init(read).await.cloned()
    }

    pub async fn identity_providers(&self) -> Result<Arc<Vec<Named>>, Error> {
        let read = || async {
            let found = self.client.identity_providers().await?;
            Ok(Arc::new(found.iter().filter_map(named).collect()))
        };
        self.identity_providers.get_or_try_init(read).await.cloned()
    }

    pub async fn tenants(&self) -> Result<Arc<Vec<Named>>, Error> {
        let read = || async {
            let found = self.client.tenants().await?;
            Ok(Arc::new(found.iter().filter_map(named).collect()))
        };
        self.tenants.get_or_try_init(read).await.cloned()
    }

    /// As the API returns them, with their permissions.
    pub async fn entity_types(&self) -> Result<Arc<Vec<Object>>, Error> {
        let read = || async { self.client.entity_types().await.map(Arc::new) };
        self.entity_types.get_or_try_init(read).await.cloned()
    }

    /// As the API returns them.
    pub async fn lambdas(&self) -> Result<Arc<Vec<Object>>, Error> {
        let read = || async { self.client.lambdas().await.map(Arc::new) };
        self.lambdas.get_or_try_init(read).await.cloned()
    }
}

/// An application as far as it matters here.
pub fn application(object: &Object) -> Option<Application> {
    let roles = object.get("roles").and_then(Value::as_array).into_iter().flatten();
    let name = |role: &Value| role.get("name").and_then(Value::as_str).map(str::to_owned);
    let Named { id, name: application_name, lambdas } = named(object)?;
    Some(Application { id, name: application_name, roles: roles.filter_map(name).collect(), lambdas })
}

/// An object's id, name and lambdas. Everything else is left behind: identity providers hold client secrets.
pub fn named(object: &Object) -> Option<Named> {
    let mut lambdas = BTreeSet::new();
    lambdas_of(object, &mut lambdas);
    Some(Named { id: uuid(object, "id")?, name: text(object, "name").unwrap_or_default(), lambdas })
}

/// Every id that stands under a key which speaks of lambdas (`lambdaConfiguration.accessTokenPopulateId`, …).
fn lambdas_of(object: &Object, found: &mut BTreeSet<Uuid>) {
    for (key, value) in object {
        if key.to_ascii_lowercase().contains("lambda") {
            ids_of(value, found);
        } else if let Value::Object(inner) = value {
            lambdas_of(inner, found);
        }
    }
}

fn ids_of(value: &Value, found: &mut BTreeSet<Uuid>) {
    match value {
        Value::String(text) => found.extend(Uuid::try_parse(text).ok()),
        Value::Array(items) => items.iter().for_each(|item| ids_of(item, found)),
        Value::Object(inner) => inner.values().for_each(|value| ids_of(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn applications_keep_their_roles_and_lambdas_alone() {
        let id = Uuid::from_u128(1);
        let lambda = Uuid::from_u128(2);
        let object = json!({"id": id, "name": "Hooli Chat", "roles": [{"id": id, "name": "user"}],
            "lambdaConfiguration": {"accessTokenPopulateId": lambda},
            "oauthConfiguration": {"clientSecret": "canary"}});
        let found = application(object.as_object().unwrap()).unwrap();
        assert_eq!(found.roles, BTreeSet::from(["user".to_owned()]));
        assert_eq!(found.lambdas, BTreeSet::from([lambda]));
        assert!(!format!("{found:?}").contains("canary"));
    }
}
