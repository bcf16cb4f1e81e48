//! Judges resolved addresses before a connection is made, so that a host name cannot lead the API key to an address that
//! is not allowed (DESIGN §7). Which addresses those are is not known here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

type Judge = dyn Fn(IpAddr) -> Result<(), String> + Send + Sync;

/// A rule for addresses. A host is refused when any of its addresses is.
#[derive(Clone)]
pub struct AddressFilter(Arc<Judge>);

/// An address that the filter does not allow.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the address {address} is not allowed: {reason}")]
pub(super) struct AddressRefused {
    address: IpAddr,
    reason: String,
}

impl AddressFilter {
    /// A filter from a function that gives the reason of a refusal.
    pub fn new(judge: impl Fn(IpAddr) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    pub(super) fn judge(&self, address: IpAddr) -> Result<(), AddressRefused> {
        // An IPv4 address in IPv6 clothes is judged as what it is.
        let address = address.to_canonical();
        (self.0)(address).map_err(|reason| AddressRefused { address, reason })
    }
}

impl fmt::Debug for AddressFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressFilter")
    }
}

impl Resolve for AddressFilter {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                filter.judge(address.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
