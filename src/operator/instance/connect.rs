//! From an instance's spec to a connection: the URL judged, the keys read, the server asked for its version and tenant.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::engine::error::Error;
use crate::engine::keys::RunnerKeys;
use crate::engine::record::{GroupRecord, RecordContext, Runner};
use crate::engine::secrets::{SecretError, SecretResolver};
use crate::engine::session::{Connection, Session};
use crate::fusionauth::{Target, WriteGate};
use crate::model::{FusionAuthInstanceSpec, InstanceKind, SecretSource};

use super::super::address::{AddressRules, Permitted, UrlOf};
use super::super::conditions::Verdict;
use super::super::lease::Leadership;
use super::super::metrics::Metrics;
use super::super::secrets::ClusterSecrets;
use super::InstanceKey;
use super::answer::without_answer;

/// What every instance's task needs of the operator.
#[derive(Clone)]
pub struct Environment {
    pub rules: AddressRules,
    pub secrets: ClusterSecrets,
    pub leadership: Leadership,
    /// The longest that a write may take.
    pub write_deadline: Duration,
    /// The cluster's UID.
    pub cluster: String,
    /// This process, unique among all replicas and their starts.
    pub process: String,
    /// Replicas elect a leader.
    pub elected: bool,
    /// The operator's own namespace.
    pub namespace: String,
    pub metrics: Metrics,
}

/// The keys of an instance.
#[derive(Clone)]
pub struct Keys {
    api: SecretString,
    runner: Option<SecretString>,
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        let text = |key: &Option<SecretString>| key.as_ref().map(|key| key.expose_secret().to_owned());
        self.api.expose_secret() == other.api.expose_secret() && text(&self.runner) == text(&other.runner)
    }
}

/// Everything that a connected instance works with.
pub struct Connected {
    pub session: Session,
    pub record: GroupRecord,
    pub runner_keys: Option<Arc<RunnerKeys>>,
    pub keys: Keys,
}

/// Why an instance cannot be used.
#[derive(Debug)]
pub struct NotConnected {
    pub verdict: Verdict,
    /// There is no key to work with.
    pub key_missing: bool,
}

impl NotConnected {
    fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        NotConnected { verdict: Verdict::stalled(reason, message), key_missing: false }
    }
}

impl Environment {
    /// Reads the keys that the spec names.
    ///
    /// # Errors
    /// A key is not named, not there or may not be read.
    pub fn keys<'a>(
        &'a self,
        key: &'a InstanceKey,
        spec: &'a FusionAuthInstanceSpec,
    ) -> BoxFuture<'a, Result<Keys, NotConnected>> {
        Box::pin(self.read_keys(key, spec))
    }

    async fn read_keys(
        &self,
        key: &InstanceKey,
        spec: &FusionAuthInstanceSpec,
    ) -> Result<Keys, NotConnected> {
        let namespace = match key.kind {
            InstanceKind::FusionAuthInstance => &*key.namespace,
            InstanceKind::ClusterFusionAuthInstance => self.namespace.as_str(),
        };
        let Some(source) = &spec.api_key else {
            return Err(NotConnected::stalled("KeyMissing", "spec.apiKey names no Secret"));
        };
        let api = self.key(namespace, source).await?;
        let runner = match &spec.runner_key {
            Some(source) => Some(self.key(namespace, source).await?),
            None => None,
        };
        Ok(Keys { api, runner })
    }

    async fn key(&self, namespace: &str, source: &SecretSource) -> Result<SecretString, NotConnected> {
        let found = self.secrets.resolve(namespace, source).await.and_then(|value| {
            if value.expose_secret().is_empty() {
                return Err(SecretError::Empty("the key".to_owned()));
            }
            Ok(value)
        });
        found.map_err(|error| {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            let message = format!("{error}{hint}");
            match error {
                // The API server did not answer: that says nothing about the Secret.
                SecretError::Unreadable { .. } => NotConnected {
                    verdict: Verdict::reconciling("KeyUnreadable", message),
                    key_missing: false,
                },
                _ => NotConnected { verdict: Verdict::reconciling("KeyMissing", message), key_missing: true },
            }
        })
    }

    /// Judges the URL.
    ///
    /// # Errors
    /// It may not be used.
    pub fn judge(&self, key: &InstanceKey, spec: &FusionAuthInstanceSpec) -> Result<Permitted, NotConnected> {
        let of = match key.kind {
            InstanceKind::FusionAuthInstance => UrlOf::Namespace,
            InstanceKind::ClusterFusionAuthInstance => UrlOf::Administrator,
        };
        self.rules
            .judge(&spec.url, of)
            .map_err(|error| NotConnected::stalled("UrlRefused", error.to_string()))
    }

    /// Connects.
    ///
    /// # Errors
    /// The URL may not be used, a key has no form, the server does not answer or is not one that can be used.
    pub fn connect<'a>(
        &'a self,
        key: &'a InstanceKey,
        spec: &'a FusionAuthInstanceSpec,
        keys: Keys,
    ) -> BoxFuture<'a, Result<Connected, NotConnected>> {
        // Boxed: the compiler cannot show of so deep a future that it may move between threads.
        Box::pin(self.dial(key, spec, keys))
    }

    async fn dial(
        &self,
        key: &InstanceKey,
        spec: &FusionAuthInstanceSpec,
        keys: Keys,
    ) -> Result<Connected, NotConnected> {
        let permitted = self.judge(key, spec)?;
        let owner = spec.owner.parse().map_err(|_| {
            NotConnected::stalled("Invalid", "spec.owner has 1 to 63 characters of a to z, 0 to 9 and \"-\"")
        })?;
        let runner_keys = match &keys.runner {
            Some(text) => {
                let bytes = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
                let parsed = RunnerKeys::parse(&bytes)
                    .map_err(|error| NotConnected::stalled("RunnerKey", error.to_string()))?;
                Some(Arc::new(parsed))
            }
            None => None,
        };
        let server = Target {
            ca_pem: spec.tls.as_ref().and_then(|tls| tls.ca_bundle.clone()).map(String::into_bytes),
            insecure_http: permitted.insecure_http,
            environment_proxies: false,
            address_filter: Some(permitted.filter),
            request_timeout: self.write_deadline,
            // The task waits by its own backoff.
            wait_for_key: Duration::ZERO,
            exchanges: Some(self.metrics.exchanges()),
            user_agent: user_agent(&self.process),
            ..Target::new(permitted.url, keys.api.clone())
        };
        let tenant_id = spec.tenant_id.0.map(|id| id.0);
        let connection = Connection { server, shown_url: None, tenant_id, owner };
        let session = Session::connect(&connection).await.map_err(|error| not_connected(&error))?;
        let default_tenant = session.default_tenant().await.map_err(|error| not_connected(&error))?;
        let runner = Runner { id: self.cluster.clone(), host: self.process.clone() };
        let context = RecordContext::of(&session, runner, runner_keys.clone());
        let gate: Arc<dyn WriteGate> = Arc::new(self.leadership.clone());
        let record = GroupRecord::new(&session.client().with_write_gate(gate), default_tenant, context);
        Ok(Connected { session, record, runner_keys, keys })
    }
}

/// Names the replica, so that FusionAuth's access log tells one from another. A pod's name is ASCII; what is not is left
/// out, for a header could not carry it.
fn user_agent(process: &str) -> String {
    let process: String = process.chars().filter(char::is_ascii_graphic).collect();
    format!("{} (operator {process})", concat!("fusionkeep/", env!("CARGO_PKG_VERSION")))
}

/// An error of the engine that speaks of the whole instance.
pub fn not_connected(error: &Error) -> NotConnected {
    let said = error.to_string();
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    let message = format!("{}{hint}", without_answer(&said));
    let verdict = match error {
        Error::Api(api) if api.is_unauthorized() => Verdict::reconciling("KeyRefused", message),
        Error::Api(_) => Verdict::reconciling("Unreachable", message),
        Error::Record { .. } => Verdict::reconciling("Record", message),
        _ => Verdict::stalled("Refused", message),
    };
    NotConnected { verdict, key_missing: false }
}
