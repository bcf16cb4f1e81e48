//! Where an API key may be sent from a cluster: which base URLs, and which addresses their hosts may resolve to. Who may
//! create an instance chooses its URL, so that without these rules the operator would be a way to any address it can
//! reach. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use url::{Host, Url};

use crate::fusionauth::AddressFilter;

/// Addresses at which clouds answer with credentials and which are not link-local.
const METADATA: [IpAddr; 4] = [
    // Alibaba Cloud
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's wire server
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // AWS
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Google Cloud
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// One base URL of `--allowed-urls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedUrl(Url);

/// Text that is no base URL.
#[derive(Clone, Debug, thiserror::Error)]
#[error("\"{0}\" is no base URL; write https://auth.example.com, or http:// where http is meant")]
pub struct ParseAllowedUrlError(String);

impl FromStr for AllowedUrl {
    type Err = ParseAllowedUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAllowedUrlError(text.to_owned());
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| error())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain { Ok(AllowedUrl(url)) } else { Err(error()) }
    }
}

impl AllowedUrl {
    /// The same server, and a path below the entry's own.
    fn covers(&self, url: &Url) -> bool {
        let same = self.0.scheme() == url.scheme()
            && self.0.host() == url.host()
            && self.0.port_or_known_default() == url.port_or_known_default();
        let path = self.0.path().trim_end_matches('/');
        let rest = url.path().strip_prefix(path);
        same && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Why a URL may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    #[error("{0} is no http or https URL of a host, without user, query and fragment")]
    Form(String),
    #[error("the URL {0} is not among --allowed-urls (the chart's allowedUrls)")]
    NotAllowed(String),
    #[error(
        "the URL {0} would send the API key in the clear; use https, or name it with http:// in --allowed-urls"
    )]
    Clear(String),
    #[error("the URL {url} leads to {address}, {reason}")]
    Address { url: String, address: IpAddr, reason: &'static str },
}

/// The rules of one operator.
#[derive(Clone, Debug, Default)]
pub struct AddressRules {
    pub allowed: Vec<AllowedUrl>,
    /// Addresses of the cluster's API.
    pub cluster_api: Arc<BTreeSet<IpAddr>>,
}

/// Whose instance a URL stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlOf {
    /// Whoever may write in a namespace: only listed URLs.
    Namespace,
    /// The administrator.
    Administrator,
}

/// A URL that may be used, and what its host's addresses are judged by.
#[derive(Clone, Debug)]
pub struct Permitted {
    pub url: Url,
    /// http to another host than loopback is allowed.
    pub insecure_http: bool,
    pub filter: AddressFilter,
}

impl AddressRules {
    /// Judges an instance's URL.
    ///
    /// # Errors
    /// It may not be used.
    pub fn judge(&self, url: &str, of: UrlOf) -> Result<Permitted, UrlRefused> {
        // Parsed with the same rules as an entry of the list, but never completed.
        let parsed = Url::parse(url).map_err(|_| UrlRefused::Form(url.to_owned()))?;
        parsed.as_str().parse::<AllowedUrl>().map_err(|_| UrlRefused::Form(url.to_owned()))?;
        let listed = self.allowed.iter().any(|entry| entry.covers(&parsed));
        if of == UrlOf::Namespace && !listed {
            return Err(UrlRefused::NotAllowed(url.to_owned()));
        }
        if parsed.scheme() == "http" && !listed {
            return Err(UrlRefused::Clear(url.to_owned()));
        }
        let literal = literal(&parsed);
        // The list names this very literal address and port: the administrator means it.
        let exempt = literal.filter(|_| listed);
        if let Some(address) = literal.filter(|_| exempt.is_none())
            && let Err(reason) = self.judge_address(address)
        {
            return Err(UrlRefused::Address { url: url.to_owned(), address, reason });
        }
        let rules = self.clone();
        let filter = AddressFilter::new(move |address| {
            if exempt == Some(address) {
                return Ok(());
            }
            rules.judge_address(address).map_err(str::to_owned)
        });
        Ok(Permitted { url: parsed, insecure_http: listed, filter })
    }

    fn judge_address(&self, address: IpAddr) -> Result<(), &'static str> {
        let address = plain(address);
        if self.cluster_api.contains(&address) {
            return Err("an address of the cluster's API");
        }
        if METADATA.contains(&address) {
            return Err("a metadata address of a cloud");
        }
        let (loopback, link_local) = match address {
            IpAddr::V4(address) => (address.is_loopback(), address.is_link_local()),
            IpAddr::V6(address) => (address.is_loopback(), address.is_unicast_link_local()),
        };
        if loopback {
            return Err("a loopback address");
        }
        if link_local {
            return Err("a link-local address");
        }
        let this_network =
            matches!(address, IpAddr::V4(address) if address.octets()[0] == 0 || address.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || this_network {
            return Err("an address of no host");
        }
        Ok(())
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(plain(IpAddr::V6(address))),
        // "localhost" is resolved like any other name, and judged then.
        Host::Domain(_) => None,
    }
}

/// An IPv4 address that an IPv6 one carries (mapped, or NAT64's well-known prefix, RFC 6052), as what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
            }
            _ => IpAddr::V6(v6),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allowed: &[&str]) -> AddressRules {
        AddressRules {
            allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
            cluster_api: Arc::new(BTreeSet::from(["10.0.0.1".parse().unwrap()])),
        }
    }

    #[test]
    fn only_listed_urls_are_a_namespaces() {
        let rules =
            rules(&["https://auth.example.com/base", "http://plain.example.com:9011", "bare.example.com"]);
        for good in [
            "https://auth.example.com/base",
            "https://auth.example.com:443/base/",
            "https://auth.example.com/base/below",
            "http://plain.example.com:9011",
            "https://bare.example.com",
        ] {
            assert!(rules.judge(good, UrlOf::Namespace).is_ok(), "{good}");
        }
        for bad in [
            "https://auth.example.com",
            "https://auth.example.com/basement",
            "https://auth.example.com/base/../other",
            "http://auth.example.com/base",
            "https://auth.example.com:8443/base",
            "https://auth.example.com.evil.example/base",
            "https://auth.example.com@evil.example/base",
            "https://plain.example.com:9011",
            "https://other.example.com",
            "https://bare.example.com/?x=y",
            "file:///etc/passwd",
            "nothing",
        ] {
            assert!(rules.judge(bad, UrlOf::Namespace).is_err(), "{bad}");
        }
        assert!(AddressRules::default().judge("https://auth.example.com", UrlOf::Namespace).is_err());
    }

    #[test]
    fn an_administrator_is_bound_by_addresses_and_https_alone() {
        let rules = rules(&[]);
        assert!(rules.judge("https://auth.example.com", UrlOf::Administrator).is_ok());
        assert!(matches!(
            rules.judge("http://auth.example.com", UrlOf::Administrator),
            Err(UrlRefused::Clear(_))
        ));
        assert!(matches!(
            rules.judge("https://127.0.0.1", UrlOf::Administrator),
            Err(UrlRefused::Address { .. })
        ));
    }

    #[test]
    fn addresses_that_are_not_for_us_are_refused_in_every_form() {
        let rules = rules(&[]);
        for bad in [
            "https://127.0.0.1",
            "https://127.8.8.8",
            "https://2130706433",
            "https://0x7f.1",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://169.254.169.254",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://0.0.0.0",
            "https://[::]",
            "https://10.0.0.1",
            "https://100.100.100.200",
            "https://224.0.0.1",
            "https://255.255.255.255",
        ] {
            let judged = rules.judge(bad, UrlOf::Administrator);
            assert!(matches!(judged, Err(UrlRefused::Address { .. })), "{bad}: {judged:?}");
        }
        assert!(rules.judge("https://10.1.2.3", UrlOf::Administrator).is_ok());
    }

    #[test]
    fn a_literal_address_may_be_meant() {
        let rules = rules(&["http://127.0.0.1:9011"]);
        assert!(rules.judge("http://127.0.0.1:9011", UrlOf::Namespace).is_ok());
        for bad in ["http://127.0.0.1:9012", "http://127.0.0.2:9011", "http://localhost:9011"] {
            assert!(rules.judge(bad, UrlOf::Namespace).is_err(), "{bad}");
        }
    }
}
