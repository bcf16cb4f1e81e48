//! Secrets of the cluster: by `get`, by name, in the object's own namespace, and only those that carry the label. Who may
//! create our objects could otherwise read every Secret of a namespace through them.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::engine::secrets::{SecretError, SecretResolver, describe};
use crate::model::{ConfigMapKeyRef, SecretKeyRef, SecretSource};

/// What a Secret must carry to be read.
pub const READABLE: &str = "fusionkeep.dev/readable";

/// Reads Secrets as the operator's service account.
#[derive(Clone)]
pub struct ClusterSecrets {
    client: Client,
    require_label: bool,
}

impl ClusterSecrets {
    pub fn new(client: Client, require_label: bool) -> Self {
        ClusterSecrets { client, require_label }
    }

    async fn read(&self, namespace: &str, source: &SecretSource) -> Result<SecretString, SecretError> {
        let what = || describe(source);
        let Some(SecretKeyRef { name, key }) = &source.secret_key_ref else {
            return Err(SecretError::NotAllowed {
                what: what(),
                hint: "in a cluster only secretKeyRef is read: anything else would be the operator's own"
                    .into(),
            });
        };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(name).await.map_err(|error| unreadable(&what(), &error))?;
        // One that may not be read is told like one that does not exist: else its presence could be asked for.
        let readable = |secret: &Secret| {
            let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(READABLE));
            !self.require_label || label.is_some_and(|value| value == "true")
        };
        let secret = found.filter(readable).ok_or_else(|| SecretError::NotAllowed {
            what: what(),
            hint: format!("the Secret must exist in the namespace and carry the label {READABLE}: \"true\""),
        })?;
        let mut data: BTreeMap<String, ByteString> = secret.data.unwrap_or_default();
        let bytes = Zeroizing::new(data.remove(key).ok_or_else(|| SecretError::NoKey(what()))?.0);
        std::str::from_utf8(&bytes).map(SecretString::from).map_err(|_| SecretError::NotText(what()))
    }
}

impl SecretResolver for ClusterSecrets {
    fn resolve<'a>(
        &'a self,
        namespace: &'a str,
        source: &'a SecretSource,
    ) -> BoxFuture<'a, Result<SecretString, SecretError>> {
        Box::pin(self.read(namespace, source))
    }
}

/// The text of a ConfigMap's key.
///
/// # Errors
/// The ConfigMap or the key is not there, or cannot be read.
pub async fn config_map_text(
    client: &Client,
    namespace: &str,
    reference: &ConfigMapKeyRef,
) -> Result<String, SecretError> {
    let ConfigMapKeyRef { name, key } = reference;
    let what = format!("the key \"{key}\" of the ConfigMap \"{name}\"");
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| unreadable(&what, &error))?;
    let text = found.and_then(|map| map.data.unwrap_or_default().remove(key));
    text.ok_or(SecretError::NoKey(what))
}

/// The API server's own words, which hold no value.
fn unreadable(what: &str, error: &kube::Error) -> SecretError {
    SecretError::Unreadable { what: what.to_owned(), why: error.to_string() }
}
