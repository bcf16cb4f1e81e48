//! Where to, with which key, within which bounds: all that a client is made from. Where the key may go at all is decided
//! before, by whoever makes a target; here it is only kept from leaving in the clear.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};
use uuid::Uuid;

use super::address::AddressFilter;
use super::retry::RetryPolicy;

/// A FusionAuth instance and how to talk to it.
#[derive(Clone)]
pub struct Target {
    /// FusionAuth's base URL, with an optional path; without query, fragment and user information.
    pub base_url: Url,
    /// The tenant that requests are scoped to, once it is known.
    pub tenant_id: Option<Uuid>,
    /// The API key, sent as it is in `Authorization` (wire notes §1).
    pub api_key: SecretString,
    /// Certificates in PEM that are trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Allows http to hosts other than loopback.
    pub insecure_http: bool,
    /// Obeys `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub environment_proxies: bool,
    /// Judges each resolved address before a connection is made to it.
    pub address_filter: Option<AddressFilter>,
    /// For making a connection, TLS included.
    pub connect_timeout: Duration,
    /// For one attempt, from sending to the end of the body.
    pub request_timeout: Duration,
    /// For all calls on objects together, from the client's making.
    pub run_deadline: Option<Duration>,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How long a 401 is repeated before the first success: new keys can need it (wire notes §1).
    pub wait_for_key: Duration,
    /// The bound of requests in flight.
    pub parallelism: usize,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Told what a person at a terminal would otherwise wonder about.
    pub notices: Option<NoticeSink>,
    /// Told of each attempt once it has ended, for metrics.
    pub exchanges: Option<ExchangeSink>,
}

/// Takes exchanges; called from whatever task makes the request.
pub type ExchangeSink = Arc<dyn Fn(Exchange<'_>) + Send + Sync>;

/// One attempt of a request. It says nothing of what was sent or answered.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    pub method: &'a reqwest::Method,
    /// The route's template.
    pub route: &'static str,
    /// None: no answer.
    pub status: Option<u16>,
}

/// Takes notices; called from whatever task makes the request.
pub type NoticeSink = Arc<dyn Fn(Notice) + Send + Sync>;

/// Something that takes time and is no error yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The key is refused; it is tried again for this long.
    WaitingForKey(Duration),
    /// The server asks to wait this long.
    Waiting(Duration),
}

impl Target {
    /// A target with the usual bounds.
    #[must_use]
    pub fn new(base_url: Url, api_key: SecretString) -> Self {
        Self {
            base_url,
            tenant_id: None,
            api_key,
            ca_pem: None,
            insecure_http: false,
            environment_proxies: true,
            address_filter: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            run_deadline: None,
            retry: RetryPolicy::default(),
            wait_for_key: Duration::from_secs(3),
            parallelism: 16,
            user_agent: concat!("fusionkeep/", env!("CARGO_PKG_VERSION")).to_owned(),
            notices: None,
            exchanges: None,
        }
    }

    /// What is wrong with the URL, if anything.
    pub(super) fn url_problem(&self) -> Option<String> {
        let url = &self.base_url;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Some("the URL must be http:// or https:// with a host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("the URL must not hold a user name or password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Some("the URL must not have a query or fragment".to_owned());
        }
        if url.scheme() == "http" && !self.insecure_http && !is_loopback(url) {
            return Some(
                "http would send the API key in the clear; use https, or --insecure-http".to_owned(),
            );
        }
        match (&self.address_filter, literal_address(url)) {
            (Some(filter), Some(address)) => filter.judge(address).err().map(|reason| reason.to_string()),
            _ => None,
        }
    }
}

fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        _ => literal_address(url).is_some_and(|address| address.is_loopback()),
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("base_url", &self.base_url.as_str())
            .field("tenant_id", &self.tenant_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> Option<String> {
        Target::new(Url::parse(url).unwrap(), SecretString::from("k")).url_problem()
    }

    #[test]
    fn the_key_does_not_leave_in_the_clear() {
        assert_eq!(problem("https://auth.example.com/base"), None);
        for loopback in ["http://127.0.0.1:9011", "http://[::1]:9011", "http://localhost:9011"] {
            assert_eq!(problem(loopback), None, "{loopback}");
        }
        for url in [
            "http://auth.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "https://a:b@auth.example.com",
            "https://auth.example.com/?a=b",
            "https://auth.example.com/#x",
            "ftp://auth.example.com",
            "file:///etc/passwd",
        ] {
            assert!(problem(url).is_some(), "{url}");
        }
    }
}
