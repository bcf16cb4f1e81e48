//! What the operator is started with.

use std::net::SocketAddr;
use std::time::Duration;

use super::address::AllowedUrl;
use super::lease::Times;

/// All flags of `fusionkeep operator`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces that are served; all when empty.
    pub namespaces: Vec<String>,
    /// Base URLs that namespaced instances may name.
    pub allowed_urls: Vec<AllowedUrl>,
    /// Where metrics and probes are served; port 0 takes a free one.
    pub metrics_address: SocketAddr,
    /// None: no election, for a single replica.
    pub election: Option<Times>,
    /// The Lease that the replicas of one release share.
    pub lease_name: String,
    /// The operator's own namespace: its lease, and the Secrets of ClusterFusionAuthInstances.
    pub namespace: String,
    /// This replica, in events and in the lock.
    pub pod: String,
    /// Secrets without the label are read too.
    pub secrets_without_label: bool,
    /// Secrets are watched, so that a change is seen at once.
    pub watch_secrets: bool,
    /// How long writes under way may take at the end of the process.
    pub grace: Duration,
}
