//! Which FusionAuth a run is about, as whom, and where the API key may go. Pure: arguments and instances in, a
//! choice out; nothing is read or sent here.
//!
//! A run has one target: `--sandbox`, then `--url`, then `--instance`, then the only instance of the input. With
//! the first two an instance gives owner and guards only. The API key goes only where the operator of the
//! pipeline said, never where a manifest alone says: else a pull request could send the key of an administrator
//! anywhere.

use std::net::IpAddr;
use std::path::PathBuf;

use url::{Host, Url};
use uuid::Uuid;

use crate::manifest::{self, Instance};
use crate::model::{Address, Guards, Owner, Place, SecretSource};

use super::arguments::{IN_MEMORY, TargetArguments};

/// The owner in a sandbox that nobody names one for.
const SANDBOX_OWNER: &str = "sandbox";

/// Where a run goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Server {
    /// The embedded sandbox: in memory, or on a file.
    Sandbox { store: Option<PathBuf> },
    /// A FusionAuth. `api_key` is the instance's source, when the target is an instance that has one.
    FusionAuth { url: Url, api_key: Option<SecretSource> },
}

/// The target of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub server: Server,
    pub owner: Owner,
    pub tenant_id: Option<Uuid>,
    /// The instance whose objects the run is about; none when the input has none.
    pub instance: Option<Address>,
    pub guards: Guards,
    pub runner_key: Option<SecretSource>,
    pub ca_bundle: Option<String>,
}

/// Why there is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("there is no target")]
    None,
    #[error("{origin} \"{text}\" is no base URL: {why}")]
    Url { origin: String, text: String, why: &'static str },
    /// A manifest names a URL that the operator of the pipeline has not allowed.
    #[error("{instance} has the URL {url}, to which the API key may not go")]
    NotAllowed { instance: Address, url: String, place: Place },
    #[error("the API key would go to {0} in the clear")]
    InsecureHttp(String),
    #[error("there is no owner")]
    NoOwner,
    #[error("{0}")]
    Owner(#[from] crate::model::ParseOwnerError),
    #[error("--tenant-id \"{0}\" is no UUID")]
    TenantId(String),
}

impl TargetError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            TargetError::None => {
                "give --url (with FUSIONKEEP_API_KEY), or declare a FusionAuthInstance, or try --sandbox"
            }
            TargetError::Url { .. } => "write http or https, a host, and an optional path",
            TargetError::NotAllowed { url, .. } => {
                return Some(format!(
                    "the pipeline's own settings say where its key may go, not the manifest: set FUSIONKEEP_ALLOWED_URLS \
                     to {url}, or give --url"
                ));
            }
            TargetError::InsecureHttp(_) => "use https, or --insecure-http if the network is yours alone",
            TargetError::NoOwner => "give --owner, or declare it in the instance",
            TargetError::Owner(_) | TargetError::TenantId(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether a guard refuses, rather than something being wrong.
    pub fn is_refusal(&self) -> bool {
        matches!(self, TargetError::NotAllowed { .. } | TargetError::InsecureHttp(_))
    }

    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            TargetError::None => "no-target",
            TargetError::Url { .. } => "invalid-url",
            TargetError::NotAllowed { .. } => "url-not-allowed",
            TargetError::InsecureHttp(_) => "insecure-http",
            TargetError::NoOwner => "no-owner",
            TargetError::Owner(_) => "invalid-owner",
            TargetError::TenantId(_) => "invalid-tenant-id",
        }
    }

    pub fn place(&self) -> Option<&Place> {
        match self {
            TargetError::NotAllowed { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// Which instance of the input the arguments ask for.
pub fn instance_choice(arguments: &TargetArguments) -> manifest::target::Choice<'_> {
    manifest::target::Choice {
        server_given: is_given(arguments.sandbox.as_deref()) || is_given(arguments.url.as_deref()),
        instance: given(arguments.instance.as_deref()),
    }
}

/// Decides on the target, with the instance that was chosen from the input.
pub fn choose(arguments: &TargetArguments, instance: Option<&Instance>) -> Result<Choice, TargetError> {
    let sandbox = given(arguments.sandbox.as_deref());
    let url = given(arguments.url.as_deref());
    let elsewhere = sandbox.is_some() || url.is_some();
    let given_url = url.map(|text| base_url("--url", text)).transpose()?;
    let server = match (sandbox, given_url, instance) {
        (Some(store), _, _) => Server::Sandbox { store: (store != IN_MEMORY).then(|| PathBuf::from(store)) },
        (None, Some(url), _) => fusionauth(arguments, url, None)?,
        (None, None, Some(instance)) => {
            let url = allowed(arguments, instance)?;
            fusionauth(arguments, url, instance.spec.api_key.clone())?
        }
        (None, None, None) => return Err(TargetError::None),
    };
    let spec = instance.map(|instance| &instance.spec);
    let is_sandbox = matches!(server, Server::Sandbox { .. });
    Ok(Choice {
        owner: owner(arguments, spec.map(|spec| spec.owner.as_str()), is_sandbox)?,
        tenant_id: tenant_id(arguments, spec.and_then(|spec| spec.tenant_id.0).map(|id| id.0), elsewhere)?,
        instance: instance.map(|instance| instance.address.clone()),
        guards: spec.map(|spec| spec.guards.clone()).unwrap_or_default(),
        runner_key: spec.filter(|_| !elsewhere).and_then(|spec| spec.runner_key.clone()),
        ca_bundle: spec.and_then(|spec| spec.tls.as_ref()).and_then(|tls| tls.ca_bundle.clone()),
        server,
    })
}

/// Empty text is what CI systems set for what is not set.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn is_given(text: Option<&str>) -> bool {
    given(text).is_some()
}

fn fusionauth(
    arguments: &TargetArguments,
    url: Url,
    api_key: Option<SecretSource>,
) -> Result<Server, TargetError> {
    if url.scheme() == "http" && !arguments.insecure_http && !is_loopback(&url) {
        return Err(TargetError::InsecureHttp(shown(&url)));
    }
    Ok(Server::FusionAuth { url, api_key })
}

/// The URL of an instance, if the operator of the pipeline has named it too.
fn allowed(arguments: &TargetArguments, instance: &Instance) -> Result<Url, TargetError> {
    let url = base_url("the instance's URL", &instance.spec.url)?;
    for text in arguments.allowed_urls.iter().filter(|text| !text.is_empty()) {
        if base_url("FUSIONKEEP_ALLOWED_URLS:", text.trim())? == url {
            return Ok(url);
        }
    }
    Err(TargetError::NotAllowed {
        instance: instance.address.clone(),
        url: shown(&url),
        place: instance.place.clone(),
    })
}

/// A base URL in the one form in which two are compared: path without a slash at its end.
fn base_url(origin: &str, text: &str) -> Result<Url, TargetError> {
    let error = |why| TargetError::Url { origin: origin.to_owned(), text: without_password(text), why };
    let mut url = Url::parse(text).map_err(|_| error("it cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(error("it is not http or https with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error("it holds a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(error("it has a query or fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Text that may be a URL, without what stands before an `@`.
fn without_password(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(start), Some(end)) if start + 3 <= end => {
            format!("{}…{}", &text[..start + 3], &text[end..])
        }
        _ => text.to_owned(),
    }
}

fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn owner(
    arguments: &TargetArguments,
    declared: Option<&str>,
    is_sandbox: bool,
) -> Result<Owner, TargetError> {
    match given(arguments.owner.as_deref()).or(declared) {
        Some(owner) => Ok(owner.parse()?),
        None if is_sandbox => Ok(SANDBOX_OWNER.parse()?),
        None => Err(TargetError::NoOwner),
    }
}

/// An instance's tenant belongs to the instance's own URL; elsewhere only the flag counts.
fn tenant_id(
    arguments: &TargetArguments,
    declared: Option<Uuid>,
    elsewhere: bool,
) -> Result<Option<Uuid>, TargetError> {
    match given(arguments.tenant_id.as_deref()) {
        Some(text) => Ok(Some(text.parse().map_err(|_| TargetError::TenantId(text.to_owned()))?)),
        None => Ok(declared.filter(|_| !elsewhere)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FusionAuthInstanceSpec, Kind, NonNull, NumberOrPercent};

    fn instance(name: &str, url: &str) -> Instance {
        Instance {
            address: Address::new(Kind::FusionAuthInstance, "default", name),
            place: Place { file: "instance.yaml".into(), line: 2, column: 1 },
            spec: FusionAuthInstanceSpec {
                url: url.to_owned(),
                owner: format!("{name}-owner"),
                guards: Guards {
                    max_deletes: NonNull(Some(NumberOrPercent::Number(1))),
                    ..Guards::default()
                },
                ..FusionAuthInstanceSpec::default()
            },
            allow: vec![],
        }
    }

    fn arguments(set: impl FnOnce(&mut TargetArguments)) -> TargetArguments {
        let mut arguments = TargetArguments::default();
        set(&mut arguments);
        arguments
    }

    const PROD: &str = "https://auth.example.com";

    fn url(choice: &Choice) -> &str {
        match &choice.server {
            Server::FusionAuth { url, .. } => url.as_str(),
            Server::Sandbox { .. } => "sandbox",
        }
    }

    #[test]
    fn the_key_goes_only_where_the_pipeline_said() {
        let evil = instance("prod", "https://evil.example");
        let input = Some(&evil);
        let error = choose(&arguments(|_| ()), input).unwrap_err();
        assert!(matches!(&error, TargetError::NotAllowed { url, .. } if url == "https://evil.example"));
        assert!(error.is_refusal());
        for near in
            ["https://evil.example:444", "http://evil.example", "https://evil.example/x", "https://example"]
        {
            let error = choose(&arguments(|a| a.allowed_urls = vec![near.into()]), input).unwrap_err();
            assert!(matches!(error, TargetError::NotAllowed { .. }), "{near}");
        }
        for same in ["https://evil.example", "https://EVIL.example:443/", " https://evil.example"] {
            let choice =
                choose(&arguments(|a| a.allowed_urls = vec![PROD.into(), same.into()]), input).unwrap();
            assert_eq!(url(&choice), "https://evil.example/", "{same}");
        }
        let choice = choose(&arguments(|a| a.url = Some(PROD.into())), input).unwrap();
        assert_eq!((url(&choice), choice.owner.as_str()), ("https://auth.example.com/", "prod-owner"));
        assert!(choice.guards.max_deletes.as_ref().is_some(), "the instance still gives owner and guards");
    }

    #[test]
    fn an_instances_key_is_not_for_another_url() {
        let mut input = instance("prod", PROD);
        input.spec.api_key = Some(SecretSource { from_env: Some("X".into()), ..SecretSource::default() });
        input.spec.tenant_id = NonNull(Some(crate::model::Id(Uuid::nil())));
        let choice =
            choose(&arguments(|a| a.url = Some("https://other.example".into())), Some(&input)).unwrap();
        assert!(matches!(choice.server, Server::FusionAuth { api_key: None, .. }));
        assert_eq!(choice.tenant_id, None);
    }

    #[test]
    fn http_is_for_loopback() {
        let at = |text: &str, insecure| {
            let set = |a: &mut TargetArguments| {
                a.url = Some(text.into());
                a.owner = Some("o".into());
                a.insecure_http = insecure;
            };
            choose(&arguments(set), None).map(|_| ())
        };
        for good in ["http://127.0.0.1:9011", "http://[::1]:9011", "http://localhost:9011", PROD] {
            assert_eq!(at(good, false), Ok(()), "{good}");
        }
        for bad in ["http://auth.example.com", "http://localhost.example.com", "http://10.0.0.1"] {
            assert!(matches!(at(bad, false), Err(TargetError::InsecureHttp(_))), "{bad}");
            assert_eq!(at(bad, true), Ok(()), "{bad}");
        }
        for wrong in ["ftp://x", "auth.example.com", "https://u:hunter2@x", "https://x?a=b", "https://x#a"] {
            let error = at(wrong, false).unwrap_err();
            assert!(matches!(error, TargetError::Url { .. }), "{wrong}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn the_sandbox_goes_first_and_names_its_owner() {
        let choice = choose(
            &arguments(|a| {
                a.sandbox = Some("target/x.db".into());
                a.url = Some(PROD.into());
            }),
            None,
        )
        .unwrap();
        assert_eq!(choice.server, Server::Sandbox { store: Some("target/x.db".into()) });
        assert_eq!(choice.owner.as_str(), "sandbox");
        let declared =
            choose(&arguments(|a| a.sandbox = Some(IN_MEMORY.into())), Some(&instance("prod", PROD)))
                .unwrap();
        assert_eq!(
            (declared.server, declared.owner.as_str()),
            (Server::Sandbox { store: None }, "prod-owner")
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(choose(&arguments(|_| ()), None), Err(TargetError::None));
        assert_eq!(choose(&arguments(|a| a.url = Some(PROD.into())), None), Err(TargetError::NoOwner));
        let set = |a: &mut TargetArguments| {
            a.url = Some(PROD.into());
            a.owner = Some("o".into());
            a.tenant_id = Some("nothing".into());
        };
        assert_eq!(choose(&arguments(set), None), Err(TargetError::TenantId("nothing".into())));
        let empty = |a: &mut TargetArguments| a.url = Some(String::new());
        assert_eq!(choose(&arguments(empty), None), Err(TargetError::None), "an empty variable is not set");
    }
}
