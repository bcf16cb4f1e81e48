//! What a target and its key are like: `fusionkeep doctor`. It changes nothing, needs no record, and goes on where a
//! run would end, so that everything that is wrong is told at once.

mod probes;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use jiff::Timestamp;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::fusionauth::{Answer, Call, Client, ServerVersion};
use crate::model::Kind;
use crate::reconcile::Problem;

use super::error::Error;
use super::session::{Connection, settle_tenant, version_of};
use probes::{Area, Probe, probes};

/// How far the clocks may be apart before it is told, in seconds.
const CLOCK_TOLERANCE: i64 = 30;

/// What will be asked of the target.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The kinds that will be declared; empty for all.
    pub kinds: BTreeSet<Kind>,
    /// The record is kept in a file, and needs no groups.
    pub record_in_file: bool,
}

impl Scope {
    fn needs(&self, area: Area) -> bool {
        let kinds = self.kinds.is_empty() || self.kinds.iter().any(|kind| area.serves(*kind));
        kinds && !(area == Area::Record && self.record_in_file)
    }

    /// Whether a missing licence is in the way: only of what the input declares, for many do without entities.
    fn needs_licence(&self) -> bool {
        [Kind::Entity, Kind::EntityGrant, Kind::EntityType].iter().any(|kind| self.kinds.contains(kind))
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    pub schema_version: u32,
    /// The base URL; `sandbox:` and the store's id for the embedded sandbox.
    pub url: String,
    pub tls: Tls,
    /// None: the key may not see it, or nothing answered.
    pub server_version: Option<String>,
    /// None: it could not be settled, and a problem says why. Where nothing answered: the one that was asked for.
    pub tenant_id: Option<String>,
    pub search_engine: SearchEngine,
    /// Whether entities can be used; none where it could not be seen.
    pub licensed: Option<bool>,
    /// How far the server's clock is ahead of this one, in seconds (its `Date` counts whole ones).
    pub clock_ahead_seconds: Option<i64>,
    pub permissions: Vec<Permission>,
    pub least_permissions: LeastPermissions,
    /// What stands in the way; nothing when all is well.
    pub problems: Vec<Finding>,
    /// What one should know besides.
    pub warnings: Vec<Finding>,
}

/// The version of the JSON that [`Examination`] is.
pub const SCHEMA_VERSION: u32 = 1;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tls {
    /// `https`, and the certificate is one that this machine trusts.
    Verified,
    /// `http`: the key goes in the clear.
    None,
    /// `https`, and the server did not come to answer.
    Unknown,
}

/// How the server searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SearchEngine {
    Elasticsearch,
    Database,
    Unknown,
}

/// Whether the key may call a method of an endpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    pub endpoint: &'static str,
    pub method: &'static str,
    pub allowed: Allowed,
    /// What fusionkeep needs it for.
    pub needed_for: &'static str,
}

/// What an endpoint said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Allowed {
    Yes,
    No,
    /// There is no way to see it without a write, or the server did not answer as it should.
    Unknown,
}

/// The least that an API key needs, as FusionAuth's `apiKey.permissions` takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeastPermissions {
    pub endpoints: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

/// One thing that is wrong, or that one should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// A stable word.
    pub code: String,
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Finding {
    pub fn new(code: &str, message: impl Into<String>, hint: &str) -> Self {
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        Finding { code: code.to_owned(), message: message.into(), hint }
    }

    /// As other commands tell it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let problem = Problem::error(&self.code, self.message.clone(), "");
        Problem { hint: self.hint.clone(), ..problem }
    }
}

impl Examination {
    /// Of a target that gave no answer to judge by; `why` says what came instead.
    #[must_use]
    pub fn without_answer(connection: &Connection, why: Finding) -> Self {
        let secure = connection.server.base_url.scheme() == "https";
        Examination {
            schema_version: SCHEMA_VERSION,
            url: connection.url(),
            tls: if secure { Tls::Unknown } else { Tls::None },
            server_version: None,
            tenant_id: connection.tenant_id.map(|tenant| tenant.to_string()),
            search_engine: SearchEngine::Unknown,
            licensed: None,
            clock_ahead_seconds: None,
            permissions: Vec::new(),
            least_permissions: LeastPermissions::default(),
            problems: vec![why],
            warnings: Vec::new(),
        }
    }

    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Looks at a target. What is only wrong with it stands in the examination.
///
/// # Errors
/// It cannot be reached at all, or is no FusionAuth.
pub async fn examine(connection: &Connection, scope: &Scope) -> Result<Examination, Error> {
    let client = Client::new(&connection.server)?;
    let mut problems = Vec::new();
    let version = version(&client, &mut problems).await?;
    let tenant = match settle_tenant(&client, connection.tenant_id).await {
        Ok(tenant) => Some(tenant),
        Err(Error::Api(error)) if error.is_unreachable() => return Err(error.into()),
        Err(error) => {
            let code = match error {
                Error::UnknownTenant { .. } => "unknown-tenant",
                Error::AmbiguousTenant { .. } => "ambiguous-tenant",
                _ => "no-tenant",
            };
            problems.push(Finding::new(code, error.to_string(), &error.hint().unwrap_or_default()));
            None
        }
    };
    let client = client.with_tenant(tenant);
    let wanted = probes().into_iter().filter(|probe| scope.needs(probe.area));
    let answers: Vec<(Probe, Said)> = futures::stream::iter(wanted)
        .map(|probe| async { (ask(&client, &probe).await, probe) })
        .buffered(4)
        .map(|(said, probe)| (probe, said))
        .collect()
        .await;
    let search_engine = search_engine(&client).await;
    let mut examination = Examination {
        schema_version: SCHEMA_VERSION,
        url: connection.url(),
        tls: if client.base_url().scheme() == "https" { Tls::Verified } else { Tls::None },
        server_version: version.map(|version| version.to_string()),
        tenant_id: tenant.map(|tenant| tenant.to_string()),
        search_engine,
        licensed: licensed(&answers),
        clock_ahead_seconds: client
            .server_now()
            .map(|server| server.as_second() - Timestamp::now().as_second()),
        permissions: Vec::new(),
        least_permissions: least_permissions(&answers),
        problems,
        warnings: Vec::new(),
    };
    examination.judge_permissions(&answers);
    examination.judge_licence(scope);
    examination.judge_clock(scope);
    if tenant.is_some() && scope.needs(Area::Record) {
        examination.warnings.extend(record::left_over(connection).await);
    }
    Ok(examination)
}

async fn version(client: &Client, problems: &mut Vec<Finding>) -> Result<Option<ServerVersion>, Error> {
    match version_of(client).await {
        Ok(version) if version.is_supported() => Ok(Some(version)),
        Ok(version) => {
            let error = Error::OldServer(version.clone());
            problems.push(Finding::new("old-server", error.to_string(), &error.hint().unwrap_or_default()));
            Ok(Some(version))
        }
        Err(Error::Api(error)) if error.is_unauthorized() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a probe was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Allowed,
    Refused,
    /// The licence is missing: the key was not judged.
    Unlicensed,
    Unclear,
}

impl Said {
    fn allowed(self) -> Allowed {
        match self {
            Said::Allowed => Allowed::Yes,
            Said::Refused => Allowed::No,
            Said::Unlicensed | Said::Unclear => Allowed::Unknown,
        }
    }
}

async fn ask(client: &Client, probe: &Probe) -> Said {
    match client.send(&probe.call()).await {
        Err(error) if error.is_unauthorized() => Said::Refused,
        _ if probe.open => Said::Unclear,
        Ok(_) => Said::Allowed,
        Err(error) if error.is_license() => Said::Unlicensed,
        // Refused for what was sent, and so not for the key.
        Err(error) if matches!(error.status(), Some(400 | 404 | 409 | 500)) => Said::Allowed,
        Err(_) => Said::Unclear,
    }
}

/// Only the Elasticsearch engine takes a raw query (wire notes §4).
async fn search_engine(client: &Client) -> SearchEngine {
    let search = json!({ "search": { "query": "{\"match_all\":{}}", "numberOfResults": 1 } });
    let call = Call::new(Method::POST, "/api/user/search", Vec::new(), Answer::EmptyOrJson).json(search);
    match client.send(&call).await {
        Ok(_) => SearchEngine::Elasticsearch,
        Err(error) if error.status() == Some(400) => SearchEngine::Database,
        Err(_) => SearchEngine::Unknown,
    }
}

fn licensed(answers: &[(Probe, Said)]) -> Option<bool> {
    let of_entities = || answers.iter().filter(|(probe, _)| probe.endpoint.starts_with("/api/entity"));
    if of_entities().any(|(_, said)| *said == Said::Unlicensed) {
        return Some(false);
    }
    of_entities().any(|(_, said)| *said == Said::Allowed).then_some(true)
}

fn least_permissions(answers: &[(Probe, Said)]) -> LeastPermissions {
    let mut least = LeastPermissions::default();
    for (probe, _) in answers {
        least.endpoints.entry(probe.endpoint).or_default().insert(probe.method_name());
    }
    least
}

impl Examination {
    fn judge_permissions(&mut self, answers: &[(Probe, Said)]) {
        let mut permissions: BTreeMap<(&'static str, &'static str), (Allowed, Area)> = BTreeMap::new();
        for (probe, said) in answers {
            let key = (probe.endpoint, probe.method_name());
            permissions.entry(key).or_insert((said.allowed(), probe.area));
        }
        let refused: Vec<_> =
            permissions.iter().filter(|(_, (allowed, _))| *allowed == Allowed::No).collect();
        if !refused.is_empty() && refused.len() == permissions.len() {
            self.problems.push(Finding::new(
                "key-refused",
                "the API key is refused everywhere: it is wrong, expired, or locked to another tenant",
                "check FUSIONKEEP_API_KEY and the tenant of the key",
            ));
        } else {
            let mut lacking: BTreeMap<Area, Vec<String>> = BTreeMap::new();
            for ((endpoint, method), (_, area)) in refused {
                lacking.entry(*area).or_default().push(format!("{method} {endpoint}"));
            }
            for (area, lacking) in lacking {
                let message = format!("the API key lacks, for {}: {}", area.words(), lacking.join(", "));
                let hint = match area {
                    Area::Record => {
                        "add them to the key's permissions, or keep the record with --record FILE"
                    }
                    _ => "add them to the key's permissions, or declare nothing that needs them",
                };
                self.problems.push(Finding::new("key-lacks-permission", message, hint));
            }
        }
        let known = permissions.into_iter().map(|((endpoint, method), (allowed, area))| Permission {
            endpoint,
            method,
            allowed,
            needed_for: area.words(),
        });
        self.permissions = known.collect();
    }

    fn judge_licence(&mut self, scope: &Scope) {
        if self.licensed != Some(false) {
            return;
        }
        let hint = "entities, their types and grants need a FusionAuth licence";
        let finding = Finding::new("not-licensed", "this FusionAuth has no licence for entities", hint);
        if scope.needs_licence() {
            self.problems.push(finding);
        } else {
            self.warnings.push(finding);
        }
    }

    fn judge_clock(&mut self, scope: &Scope) {
        match self.clock_ahead_seconds {
            None if !scope.record_in_file => self.problems.push(Finding::new(
                "no-server-clock",
                "the server's answers carry no Date, by which the lock is judged",
                "let the proxy pass the Date header, or use --record FILE",
            )),
            Some(ahead) if ahead.abs() > CLOCK_TOLERANCE => {
                let (seconds, side) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
                self.warnings.push(Finding::new(
                    "clock-skew",
                    format!("the server's clock is {seconds} s {side} this machine's"),
                    "set both by NTP; fusionkeep judges locks by the server's clock alone",
                ));
            }
            _ => {}
        }
        if self.tls == Tls::None && !self.url.starts_with("sandbox:") {
            self.warnings.push(Finding::new(
                "no-tls",
                "the URL is http: the API key goes in the clear",
                "use https, except on this very machine",
            ));
        }
    }
}
