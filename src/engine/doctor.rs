//! What a target and its key are like: `fusionkeep doctor`. It changes nothing: a write is tried on an object that
//! does not exist, or with a body that no server accepts, so that only the permission is judged. A refused
//! permission is a 401 before anything else is looked at (wire notes §1).

use futures::StreamExt;
use jiff::Timestamp;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fusionauth::{Answer, Call, Client, Idempotency};

use super::session::Session;

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    pub url: String,
    /// `https`, or `http`, which shows the key to whoever listens.
    pub scheme: String,
    pub server_version: String,
    pub tenant_id: Uuid,
    pub search_engine: SearchEngine,
    /// Whether entities can be used; none where it could not be seen.
    pub licensed: Option<bool>,
    /// How far the server's clock is ahead of this one, in seconds (its `Date` counts whole ones).
    pub clock_ahead_seconds: Option<i64>,
    pub permissions: Vec<Permission>,
    /// The least that the key needs, as FusionAuth's `permissions.endpoints`.
    pub least_permissions: Value,
}

/// How the server searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SearchEngine {
    Elasticsearch,
    Database,
    Unknown,
}

/// Whether the key may call a method of an endpoint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    pub endpoint: &'static str,
    pub method: &'static str,
    pub allowed: Allowed,
    /// What fusionkeep needs it for.
    pub needed_for: &'static str,
}

/// What an endpoint said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Allowed {
    Yes,
    No,
    /// The licence is missing: the key was not judged.
    NeedsLicense,
    /// The server did not answer as it should.
    Unknown,
}

impl Examination {
    /// Whether all that fusionkeep can need is allowed.
    pub fn is_sound(&self) -> bool {
        self.permissions.iter().all(|permission| permission.allowed == Allowed::Yes)
    }
}

/// One thing that fusionkeep does, and how to see whether the key allows it.
struct Probe {
    endpoint: &'static str,
    method: Method,
    route: &'static str,
    /// A body that is refused by every server, or that changes nothing.
    body: Option<Value>,
    /// Query parameters that name nothing.
    query: &'static [&'static str],
    needed_for: &'static str,
}

const USERS: &str = "users";
const ENTITIES: &str = "entities and grants";
const TYPES: &str = "entity types";
const LAMBDAS: &str = "lambdas";
const LINKS: &str = "identity-provider links";
const RECORD: &str = "the record and the lock; --record FILE does without";
const REFERENCES: &str = "references and the tenant";

fn probe(endpoint: &'static str, method: Method, route: &'static str, needed_for: &'static str) -> Probe {
    Probe { endpoint, method, route, body: None, query: &[], needed_for }
}

impl Probe {
    fn body(self, body: Value) -> Self {
        Probe { body: Some(body), ..self }
    }

    fn query(self, query: &'static [&'static str]) -> Self {
        Probe { query, ..self }
    }

    fn call(&self) -> Call {
        // An id that nobody has.
        let nobody = Uuid::new_v4().to_string();
        let parameters = self.route.matches('{').map(|_| nobody.clone()).collect();
        let mut call = Call::new(self.method.clone(), self.route, parameters, Answer::EmptyOrJson);
        for name in self.query {
            call = call.query(name, nobody.clone());
        }
        if let Some(body) = &self.body {
            call = call.json(body.clone());
        }
        if call.is_write() { call.idempotency(Idempotency::Never) } else { call }
    }
}

fn probes() -> Vec<Probe> {
    let (get, post, put, patch, delete) =
        (Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    let search = || json!({ "search": { "ids": [Uuid::new_v4()] } });
    let by_name = || json!({ "search": { "name": "fusionkeep/doctor", "numberOfResults": 1 } });
    let all = || json!({ "search": { "numberOfResults": 1 } });
    let mut probes = vec![
        probe("/api/system/version", get.clone(), "/api/system/version", REFERENCES),
        probe("/api/tenant", get.clone(), "/api/tenant", REFERENCES),
        probe("/api/application", get.clone(), "/api/application", REFERENCES),
        probe("/api/identity-provider", get.clone(), "/api/identity-provider", REFERENCES),
        probe("/api/user", get.clone(), "/api/user/{userId}", USERS),
        probe("/api/user", post.clone(), "/api/user", USERS).body(json!({ "user": {} })),
        probe("/api/user", put.clone(), "/api/user/{userId}", USERS).query(&["reactivate"]),
        probe("/api/user", patch.clone(), "/api/user/{userId}", USERS).body(json!({ "user": {} })),
        probe("/api/user", delete.clone(), "/api/user/{userId}", USERS),
        probe("/api/user/search", post.clone(), "/api/user/search", USERS).body(search()),
        probe("/api/user/import", post.clone(), "/api/user/import", USERS).body(json!({})),
        probe("/api/user/verify-email", post.clone(), "/api/user/verify-email", USERS)
            .body(json!({ "userId": Uuid::new_v4() })),
        probe("/api/entity/search", post.clone(), "/api/entity/search", ENTITIES).body(search()),
        probe("/api/entity/grant/search", post.clone(), "/api/entity/grant/search", ENTITIES)
            .body(json!({ "search": { "entityId": Uuid::new_v4() } })),
        probe("/api/lambda", get.clone(), "/api/lambda", LAMBDAS),
        probe("/api/entity/type", get.clone(), "/api/entity/type", TYPES),
        probe("/api/group/search", post.clone(), "/api/group/search", RECORD).body(by_name()),
        probe("/api/tenant/search", post.clone(), "/api/tenant/search", REFERENCES).body(all()),
        probe(
            "/api/identity-provider/link/pending",
            get.clone(),
            "/api/identity-provider/link/pending/{pendingLinkId}",
            LINKS,
        ),
    ];
    // The same verbs on each collection: nothing can be created from an empty object.
    let collections = [
        (
            "/api/user/registration",
            "/api/user/registration/{userId}/{applicationId}",
            "registration",
            USERS,
            false,
        ),
        ("/api/entity", "/api/entity/{entityId}", "entity", ENTITIES, true),
        ("/api/entity/type", "/api/entity/type/{entityTypeId}", "entityType", TYPES, true),
        (
            "/api/entity/type/permission",
            "/api/entity/type/{entityTypeId}/permission/{permissionId}",
            "permission",
            TYPES,
            true,
        ),
        ("/api/lambda", "/api/lambda/{lambdaId}", "lambda", LAMBDAS, true),
        ("/api/group", "/api/group/{groupId}", "group", RECORD, true),
    ];
    for (endpoint, route, wrapper, needed_for, create) in collections {
        let empty = json!({ wrapper: {} });
        if create || wrapper == "registration" {
            probes.push(probe(endpoint, post.clone(), route, needed_for).body(empty.clone()));
        }
        probes.push(probe(endpoint, patch.clone(), route, needed_for).body(empty));
        probes.push(probe(endpoint, delete.clone(), route, needed_for));
    }
    let grant = "/api/entity/{entityId}/grant";
    probes.push(probe("/api/entity/grant", get.clone(), grant, ENTITIES));
    probes.push(probe("/api/entity/grant", post.clone(), grant, ENTITIES).body(json!({ "grant": {} })));
    probes.push(probe("/api/entity/grant", delete.clone(), grant, ENTITIES).query(&["userId"]));
    let link = "/api/identity-provider/link";
    let pair = &["identityProviderId", "identityProviderUserId"];
    probes.push(probe(link, get.clone(), link, LINKS).query(pair));
    probes.push(probe(link, post, link, LINKS).body(json!({ "identityProviderLink": {} })));
    probes.push(probe(link, delete, link, LINKS).query(&[
        "identityProviderId",
        "identityProviderUserId",
        "userId",
    ]));
    probes.push(probe("/api/group", get, "/api/group/{groupId}", RECORD));
    probes.push(probe("/api/group", put, "/api/group/{groupId}", RECORD).body(json!({ "group": {} })));
    probes
}

/// Looks at a target that has answered.
pub async fn examine(session: &Session) -> Examination {
    let client = session.client();
    let permissions: Vec<Permission> = futures::stream::iter(probes())
        .map(|probe| async move {
            let allowed = ask(client, &probe).await;
            let method = name_of(&probe.method);
            Permission { endpoint: probe.endpoint, method, allowed, needed_for: probe.needed_for }
        })
        .buffered(4)
        .collect()
        .await;
    Examination {
        url: session.target().url.clone(),
        scheme: client.base_url().scheme().to_owned(),
        server_version: session.version().to_string(),
        tenant_id: session.tenant_id(),
        search_engine: search_engine(client).await,
        licensed: licensed(&permissions),
        clock_ahead_seconds: client
            .server_now()
            .map(|server| server.as_second() - Timestamp::now().as_second()),
        least_permissions: least_permissions(&permissions),
        permissions,
    }
}

async fn ask(client: &Client, probe: &Probe) -> Allowed {
    match client.send(&probe.call()).await {
        Ok(_) => Allowed::Yes,
        Err(error) if error.is_unauthorized() => Allowed::No,
        Err(error) if error.is_license() => Allowed::NeedsLicense,
        // Refused for what was sent, and so not for the key.
        Err(error) if matches!(error.status(), Some(400 | 404 | 405 | 409 | 500)) => Allowed::Yes,
        Err(_) => Allowed::Unknown,
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

fn licensed(permissions: &[Permission]) -> Option<bool> {
    let entities = || permissions.iter().filter(|permission| permission.endpoint.starts_with("/api/entity"));
    if entities().any(|permission| permission.allowed == Allowed::NeedsLicense) {
        return Some(false);
    }
    entities().any(|permission| permission.allowed == Allowed::Yes).then_some(true)
}

fn least_permissions(permissions: &[Permission]) -> Value {
    let mut endpoints: std::collections::BTreeMap<&str, std::collections::BTreeSet<&str>> =
        Default::default();
    for permission in permissions {
        endpoints.entry(permission.endpoint).or_default().insert(permission.method);
    }
    // The index is flushed before entities are looked up by name.
    endpoints.entry("/api/entity/search").or_default().insert("PUT");
    json!({ "endpoints": endpoints })
}

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "DELETE",
    }
}
