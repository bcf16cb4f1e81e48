//! The engine against a sandbox, over real HTTP: manifests as values, plan, apply, and what the server was asked.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use fusionkeep::engine::apply::{Apply, Recheck, load_secrets};
use fusionkeep::engine::cancel::Cancel;
use fusionkeep::engine::error::Error;
use fusionkeep::engine::plan::{PlanOptions, Sources, plan};
use fusionkeep::engine::progress::Silent;
use fusionkeep::engine::secrets::CommandSecrets;
use fusionkeep::engine::session::{Connection, Session};
use fusionkeep::fusionauth;
use fusionkeep::manifest::Object;
use fusionkeep::model::{Address, Kind, Place, Spec};
use fusionkeep::reconcile::{Outcome, Plan, Status};
use fusionkeep::sandbox::{Config, Running, Sandbox};
use secrecy::SecretString;
use serde_json::{Value, json};

/// An id that a Kickstart file of the tests gives.
pub fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
}

/// A Kickstart file whose ids are the same in every sandbox: the tenant 1, the applications 2 and 3, the identity
/// provider 4, and the user 5, who is others'.
pub fn kickstart(api_key: &str, username: &str) -> Value {
    let application = |number: u8, name: &str| {
        json!({"method": "POST", "url": format!("/api/application/{}", id(number)), "body": {"application":
            {"name": name, "roles": [{"name": "user"}, {"name": "admin"}]}}})
    };
    json!({
        "variables": {"defaultTenantId": id(1)},
        "apiKeys": [{"key": api_key}],
        "requests": [
            application(2, "Hooli Chat"), application(3, "Hooli Mail"),
            {"method": "POST", "url": format!("/api/identity-provider/{}", id(4)), "body": {"identityProvider":
                {"name": "Google Work", "type": "OpenIDConnect", "enabled": true,
                 "oauth2": {"client_id": "x", "issuer": "https://idp.example.com"}}}},
            {"method": "POST", "url": format!("/api/user/{}", id(5)), "body": {"user":
                {"username": username, "data": {"others": true}}}},
        ]
    })
}

/// A sandbox and a session with it.
pub struct World {
    pub running: Running,
    pub session: Session,
    http: reqwest::Client,
    pub secrets: CommandSecrets,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let running = Sandbox::start(config).unwrap();
        let session = Session::connect(&connection(&running)).await.unwrap();
        let globs = globset::GlobSet::empty();
        let secrets = CommandSecrets::new(globs, vec![], BTreeMap::new())
            .with_environment(|name| Some(format!("value of {name}").into()));
        World { running, session, http: reqwest::Client::new(), secrets }
    }

    /// A new session with the same sandbox, as the next run has it.
    pub async fn again(&self) -> Next<'_> {
        Next { world: self, session: Session::connect(&connection(&self.running)).await.unwrap() }
    }

    pub fn sources(&self) -> Sources<'_> {
        Sources {
            session: &self.session,
            record: None,
            keys: None,
            secrets: &self.secrets,
            progress: &Silent,
        }
    }

    pub async fn plan(&self, objects: &[Object]) -> Plan {
        plan(self.sources(), objects.to_vec(), &PlanOptions::default()).await.unwrap()
    }

    /// A plan that must have neither errors nor changes.
    pub async fn assert_unchanged(&self, objects: &[Object]) {
        let plan = self.plan(objects).await;
        assert_eq!(plan.errors, vec![]);
        assert_eq!(plan.changes, vec![]);
        assert_eq!(plan.unchanged, objects.len() as u64);
    }

    pub async fn try_apply(&self, plan: &Plan, recheck: Recheck) -> Result<Outcome, Error> {
        let secrets = load_secrets(plan, &self.secrets).await.unwrap();
        let apply = Apply {
            plan,
            session: &self.session,
            secrets: &secrets,
            record: None,
            keys: None,
            progress: &Silent,
            cancel: &Cancel::default(),
            recheck,
            parallelism: 8,
            journal: None,
        };
        apply.run().await
    }

    pub async fn apply(&self, plan: &Plan) -> Outcome {
        assert_eq!(plan.errors, vec![], "a plan with errors");
        self.try_apply(plan, Recheck::Never).await.unwrap()
    }

    /// Plans and applies; everything must be done, by as many calls as were predicted.
    pub async fn converge(&self, objects: &[Object]) -> Plan {
        let plan = self.plan(objects).await;
        let outcome = self.apply(&plan).await;
        assert_done(&outcome);
        assert_eq!(outcome.calls.actual, outcome.calls.predicted, "calls");
        plan
    }

    pub async fn request(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.running.url());
        let request = self.http.request(method.parse().unwrap(), url);
        let request = request.header("Authorization", self.running.api_key());
        let request = if body.is_null() { request } else { request.json_body(&body) };
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.request("GET", path, Value::Null).await
    }

    pub async fn faults(&self, rules: Value) {
        self.request("PUT", "/_sandbox/faults", json!({ "rules": rules })).await;
    }

    /// Starts counting anew.
    pub async fn clear_requests(&self) {
        self.request("DELETE", "/_sandbox/requests", Value::Null).await;
    }

    /// How many requests the server got since.
    pub async fn requests(&self) -> u64 {
        count(&self.get("/_sandbox/requests").await)
    }

    pub async fn application(&self, name: &str, roles: &[&str]) -> String {
        let roles: Vec<Value> = roles.iter().map(|role| json!({ "name": role })).collect();
        let body = json!({"application": {"name": name, "roles": roles}});
        let made = self.request("POST", "/api/application", body).await;
        made["application"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn identity_provider(&self, name: &str) -> String {
        let body = json!({"identityProvider": {"name": name, "type": "OpenIDConnect", "enabled": true,
            "oauth2": {"client_id": "x", "issuer": "https://idp.example.com"}}});
        let made = self.request("POST", "/api/identity-provider", body).await;
        made["identityProvider"]["id"].as_str().unwrap().to_owned()
    }
}

/// A run after the first.
pub struct Next<'a> {
    world: &'a World,
    pub session: Session,
}

impl Next<'_> {
    pub async fn plan(&self, objects: &[Object]) -> Plan {
        let sources = Sources { session: &self.session, ..self.world.sources() };
        plan(sources, objects.to_vec(), &PlanOptions::default()).await.unwrap()
    }

    pub async fn assert_unchanged(&self, objects: &[Object]) {
        let plan = self.plan(objects).await;
        assert_eq!(plan.errors, vec![]);
        assert_eq!(plan.changes, vec![]);
    }

    pub async fn requests(&self) -> u64 {
        self.world.requests().await
    }
}

trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for reqwest::RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }
}

pub fn connection(running: &Running) -> Connection {
    let url = running.url().parse().unwrap();
    let key = SecretString::from(running.api_key().to_owned());
    Connection {
        server: fusionauth::Target::new(url, key),
        shown_url: None,
        tenant_id: None,
        owner: "tests".parse().unwrap(),
    }
}

/// The sum of all numbers under `count`-like leaves.
fn count(value: &Value) -> u64 {
    match value.get("total").and_then(Value::as_u64) {
        Some(total) => total,
        None => panic!("no total in {value}"),
    }
}

/// One manifest.
pub fn object(kind: Kind, name: &str, spec: Value) -> Object {
    let body = spec.get("body").and_then(Value::as_str).map(str::to_owned);
    let spec = match kind {
        Kind::EntityType => Spec::EntityType(serde_json::from_value(spec).unwrap()),
        Kind::Lambda => Spec::Lambda(serde_json::from_value(spec).unwrap()),
        Kind::User => Spec::User(serde_json::from_value(spec).unwrap()),
        Kind::Entity => Spec::Entity(serde_json::from_value(spec).unwrap()),
        Kind::EntityGrant => Spec::EntityGrant(serde_json::from_value(spec).unwrap()),
        Kind::IdentityProviderLink => Spec::IdentityProviderLink(serde_json::from_value(spec).unwrap()),
        _ => panic!("{kind} is no object"),
    };
    Object {
        address: Address::new(kind, "default", name),
        place: Place { file: Arc::from("test.yaml"), line: 1, column: 1 },
        labels: BTreeMap::new(),
        moved_from: None,
        spec,
        lambda_body: body,
    }
}

pub fn user(name: &str, spec: Value) -> Object {
    object(Kind::User, name, spec)
}

pub fn assert_done(outcome: &Outcome) {
    for change in &outcome.changes {
        assert_eq!(change.status, Status::Done, "{}: {:?}", change.address, change.problem);
    }
    assert_eq!(outcome.interrupted, None);
    assert_eq!(outcome.errors, vec![]);
}
