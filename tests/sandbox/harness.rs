//! A sandbox and a blocking HTTP client for it.

use std::sync::Once;

use fusionkeep::sandbox::{Config, Running, Sandbox};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A running sandbox, called with its unrestricted key unless said otherwise.
pub struct Api {
    pub running: Running,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub headers: HeaderMap,
}

/// A request in the making.
pub struct Call<'a> {
    api: &'a Api,
    method: &'a str,
    path: String,
    key: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Api {
    pub fn start() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let running = Sandbox::start(config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nobody polls the client between calls: a connection that the server closed meanwhile would look open.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { running, runtime, client }
    }

    /// A sandbox on the Elasticsearch engine that indexes at once.
    pub fn elasticsearch() -> Self {
        Self::with(Config {
            search_engine: fusionkeep::sandbox::SearchEngine::Elasticsearch,
            index_delay: std::time::Duration::ZERO,
            ..Config::default()
        })
    }

    /// A sandbox of a version.
    pub fn version(version: &str) -> Self {
        Self::with(Config { server_version: version.parse().unwrap(), ..Config::default() })
    }

    pub fn call<'a>(&'a self, method: &'a str, path: impl Into<String>) -> Call<'a> {
        let key = Some(self.running.api_key().to_owned());
        Call { api: self, method, path: path.into(), key, headers: Vec::new(), body: None }
    }

    pub fn get(&self, path: impl Into<String>) -> Answer {
        self.call("GET", path).send()
    }

    pub fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.call("POST", path).json(body).send()
    }

    pub fn put(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.call("PUT", path).json(body).send()
    }

    /// The legacy dialect: `application/json`.
    pub fn patch(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send()
    }

    pub fn merge_patch(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.call("PATCH", path).json_as("application/merge-patch+json", body).send()
    }

    pub fn json_patch(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.call("PATCH", path).json_as("application/json-patch+json", body).send()
    }

    pub fn delete(&self, path: impl Into<String>) -> Answer {
        self.call("DELETE", path).send()
    }

    /// Moves the sandbox's clock.
    pub fn advance_seconds(&self, seconds: i64) {
        self.post("/_sandbox/clock", &serde_json::json!({ "advanceSeconds": seconds })).ok();
    }
}

impl Call<'_> {
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn anonymous(mut self) -> Self {
        self.key = None;
        self
    }

    pub fn tenant(self, tenant: impl Into<String>) -> Self {
        self.header("X-FusionAuth-TenantId", tenant)
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.json_as("application/json", body)
    }

    pub fn json_as(self, content_type: &str, body: &Value) -> Self {
        self.header("Content-Type", content_type).bytes(serde_json::to_vec(body).unwrap())
    }

    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub fn send(self) -> Answer {
        self.try_send().unwrap()
    }

    /// Err when the connection or the body breaks.
    pub fn try_send(self) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{}", self.api.running.url(), self.path);
        let mut request = self.api.client.request(self.method.parse().unwrap(), url);
        if let Some(key) = self.key {
            request = request.header("Authorization", key);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        self.api.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Answer { status, headers, text: response.text().await? })
        })
    }
}

impl Answer {
    /// The body of a 200.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { serde_json::from_str(&self.text).unwrap() }
    }

    /// Asserts a status with an empty body.
    #[track_caller]
    pub fn empty(self, status: u16) {
        assert_eq!((self.status, self.text.as_str()), (status, ""));
    }

    /// The body of an Errors answer.
    #[track_caller]
    pub fn errors(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        let errors: Value = serde_json::from_str(&self.text).unwrap();
        assert!(errors["fieldErrors"].is_object() && errors["generalErrors"].is_array(), "{errors}");
        errors
    }

    /// Asserts a 400 with this code on this field.
    #[track_caller]
    pub fn field_error(self, field: &str, code: &str) {
        let errors = self.errors(400);
        let found = errors["fieldErrors"][field]
            .as_array()
            .is_some_and(|list| list.iter().any(|e| e["code"] == code));
        assert!(found, "no {code} on {field} in {errors}");
    }

    /// Asserts a general error of this code.
    #[track_caller]
    pub fn general_error(self, status: u16, code: &str) {
        let errors = self.errors(status);
        let found = errors["generalErrors"].as_array().unwrap().iter().any(|error| error["code"] == code);
        assert!(found, "no {code} in {errors}");
    }
}
