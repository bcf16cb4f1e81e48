//! Kickstart (wire notes §8): a JSON file that fills an empty installation by API requests, in order. Knows the file
//! format; every request goes through the same endpoints as those from outside.

mod interpolate;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use uuid::Uuid;

use super::auth;
use super::bootstrap::{FUSIONAUTH_APPLICATION, stamp};
use super::config::Error;
use super::generic::{ADMIN_REGISTRATION_FORM, ADMIN_USER_FORM};
use super::journal::Message;
use super::numbers;
use super::reply::Reply;
use super::server::{Request, Server};
use super::signing_keys;
use super::store::{Object, State, Table, text_at, uuid_at};
use interpolate::{IncludeError, Interpolator};

/// A Kickstart file, read but not run.
pub struct Kickstart {
    path: PathBuf,
    variables: Interpolator,
    api_keys: Vec<Value>,
    requests: Vec<Value>,
    notices: Vec<String>,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests in the file.
    pub requests: usize,
    /// Those that were answered 2xx.
    pub succeeded: usize,
    /// Warnings and failures, one line each, without any value of a request.
    pub notices: Vec<String>,
}

impl Report {
    pub fn to_json(&self) -> Value {
        json!({ "requests": self.requests, "succeeded": self.succeeded, "notices": self.notices })
    }
}

impl Kickstart {
    /// Reads a file; `Err` if it is no Kickstart file at all.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Kickstart { path: path.to_owned(), reason };
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let text = interpolate::without_mark(text);
        let whole: Value = serde_json::from_slice(&numbers::sheltered(&text.into_bytes().into()))
            .map_err(|error| wrong(format!("not JSON: {error}")))?;
        let Value::Object(mut whole) = whole else {
            return Err(wrong("a JSON object is expected".to_owned()));
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut variables = Interpolator::new(folder);
        let mut notices = Vec::new();
        match whole.remove("variables") {
            None | Some(Value::Null) => {}
            Some(Value::Object(given)) => {
                // Variables do not refer to each other: each is worked out with none defined.
                let alone = Interpolator::new(folder);
                for (name, value) in given {
                    let text = match value {
                        Value::String(text) => alone
                            .text(&numbers::plain(&text))
                            .map_err(|error| wrong(format!("variables.{name}: {error}")))?,
                        Value::Number(number) => number.to_string(),
                        Value::Bool(flag) => flag.to_string(),
                        _ => return Err(wrong(format!("variables.{name} is not a string"))),
                    };
                    variables.set(&name, text);
                }
                let undefined = alone.take_unknown().into_iter();
                notices.extend(undefined.map(|name| undefined_variable(path, &name)));
            }
            Some(_) => return Err(wrong("`variables` is not an object".to_owned())),
        }
        let mut list = |name: &str| match whole.remove(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong(format!("`{name}` is not an array"))),
        };
        let (api_keys, requests) = (list("apiKeys")?, list("requests")?);
        let foreign =
            whole.keys().filter(|name| !["license", "licenseId", "settings"].contains(&name.as_str()));
        notices.extend(
            foreign.map(|name| format!("{}: `{name}` is no part of a Kickstart file", path.display())),
        );
        Ok(Self { path: path.to_owned(), variables, api_keys, requests, notices })
    }

    /// The default tenant's id, if the file chooses it.
    pub fn default_tenant(&self) -> Result<Option<Uuid>, Error> {
        self.id_variable("defaultTenantId")
    }

    /// The id of the tenant manager's application, if the file chooses it.
    pub fn tenant_manager(&self) -> Result<Option<Uuid>, Error> {
        self.id_variable("tenantManagerApplicationId")
    }

    fn id_variable(&self, name: &str) -> Result<Option<Uuid>, Error> {
        let Some(text) = self.variables.get(name) else { return Ok(None) };
        let wrong =
            || Error::Kickstart { path: self.path.clone(), reason: format!("`{name}` is not a UUID") };
        super::call::parse_uuid(text).map(Some).ok_or_else(wrong)
    }

    /// Makes the keys and sends the requests. A request that fails is reported, and the next one goes on.
    pub fn run(mut self, server: &Server) -> Result<Report, Error> {
        self.set_built_ins(server);
        let key = self.first_key(server)?;
        let keys = std::mem::take(&mut self.api_keys);
        // A key may be locked to a tenant that a request makes, so those that cannot be made yet are made at the end.
        let later = self.make_keys(server, keys, false)?;
        let requests = std::mem::take(&mut self.requests);
        let mut report = Report { requests: requests.len(), ..Report::default() };
        for (index, request) in requests.into_iter().enumerate() {
            match self.send(server, &key, request) {
                Ok(()) => report.succeeded += 1,
                Err(reason) => {
                    let file = self.path.display();
                    self.notices.push(format!("{file}: request {} {reason}", index + 1));
                }
            }
        }
        self.make_keys(server, later, true)?;
        let unknown = self.variables.take_unknown();
        for name in unknown {
            let file = self.path.display();
            self.notices
                .push(format!("{file}: the variable `#{{{name}}}` is not defined and stays as it is"));
        }
        if report.succeeded == report.requests {
            announce(server);
        }
        report.notices = self.notices;
        Ok(report)
    }

    fn set_built_ins(&mut self, server: &Server) {
        let state = server.state.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let application = state.get(Table::APPLICATION, FUSIONAUTH_APPLICATION).unwrap_or_default();
        self.variables.set("FUSIONAUTH_APPLICATION_ID", FUSIONAUTH_APPLICATION.to_string());
        if let Some(tenant) = text_at(&application, "tenantId") {
            self.variables.set("FUSIONAUTH_TENANT_ID", tenant);
        }
        let named =
            |table: Table, name: &str| find(&state, table, |object| text_at(object, "name") == Some(name));
        let mut ids = vec![
            ("FUSIONAUTH_FORM[adminUser]_ID".to_owned(), named(Table("form"), ADMIN_USER_FORM)),
            (
                "FUSIONAUTH_FORM[adminRegistration]_ID".to_owned(),
                named(Table("form"), ADMIN_REGISTRATION_FORM),
            ),
            (
                "FUSIONAUTH_DEFAULT_SIGNING_KEY_ID".to_owned(),
                named(signing_keys::KEY, signing_keys::DEFAULT_NAME),
            ),
        ];
        let manager = named(Table::APPLICATION, super::bootstrap::TENANT_MANAGER);
        for name in ["FUSIONAUTH_TENANT_MANAGER_APPLICATION_ID", "TENANT_MANAGER_ID"] {
            ids.push((name.to_owned(), manager));
        }
        for kind in ["OpenID", "SAMLv2", "Apple", "Facebook", "Google", "Twitter"] {
            let wanted = format!("{kind}Reconcile");
            let id = find(&state, Table::LAMBDA, |lambda| text_at(lambda, "type") == Some(&wanted));
            ids.push((format!("FUSIONAUTH_LAMBDA[{kind}]_ID"), id));
        }
        for (name, id) in ids {
            if let Some(id) = id {
                self.variables.set(&name, id.to_string());
            }
        }
    }

    /// The key that requests run with: the first one, which must be global and unrestricted. Without any, the key
    /// that the sandbox was given.
    fn first_key(&mut self, server: &Server) -> Result<String, Error> {
        let wrong = |reason: &str| Error::Kickstart { path: self.path.clone(), reason: reason.to_owned() };
        match self.api_keys.first() {
            None if server.origin.key_was_given => {
                let file = self.path.display();
                let notice = format!(
                    "{file}: there are no `apiKeys`, with which FusionAuth would refuse to run it; the sandbox's own \
                     key is used"
                );
                self.notices.push(notice);
                Ok(server.origin.api_key.clone())
            }
            None => Err(wrong("there are no `apiKeys`; Kickstart cannot run without one")),
            Some(first) => {
                let first = self.key(first.clone())?;
                if !auth::is_unrestricted(&first) {
                    return Err(wrong(
                        "the first of `apiKeys` must be neither restricted nor locked to a tenant",
                    ));
                }
                match text_at(&first, "key").filter(|key| !key.is_empty()) {
                    Some(key) => Ok(key.to_owned()),
                    None => Err(wrong("the first of `apiKeys` has no `key`")),
                }
            }
        }
    }

    fn key(&self, given: Value) -> Result<Object, Error> {
        let wrong = |reason: String| Error::Kickstart { path: self.path.clone(), reason };
        match self.variables.value(given).map_err(|error| wrong(error.to_string()))? {
            Value::Object(mut key) => {
                if let Some(description) = key.remove("description") {
                    key.insert(
                        "metaData".to_owned(),
                        json!({ "attributes": { "description": description } }),
                    );
                }
                Ok(key)
            }
            _ => Err(wrong("one of `apiKeys` is not an object".to_owned())),
        }
    }

    /// Makes what can be made; gives back the keys whose tenant does not exist yet, or reports them at the end.
    fn make_keys(&mut self, server: &Server, keys: Vec<Value>, is_last: bool) -> Result<Vec<Value>, Error> {
        let mut later = Vec::new();
        for (index, given) in keys.into_iter().enumerate() {
            let key = self.key(given.clone())?;
            let id = uuid_at(&key, "id").unwrap_or_else(Uuid::new_v4);
            let mut tx = server.begin(false);
            let waits = uuid_at(&key, "tenantId").is_some_and(|tenant| !tx.contains(Table::TENANT, tenant));
            if waits && !is_last {
                later.push(given);
                continue;
            }
            match super::api_keys::checked(&tx, &key, id) {
                Ok(mut key) => {
                    stamp(&mut key, id, server.clock.now());
                    let written = tx.put(Table::API_KEY, id, &key).and_then(|()| tx.commit());
                    written.map_err(|error| Error::Write(error.to_string()))?;
                }
                // The sandbox may have been started with this very key.
                Err(_) if text_at(&key, "key") == Some(&server.origin.api_key) => {}
                Err(reply) => {
                    let file = self.path.display();
                    self.notices.push(format!("{file}: API key {}: {}", index + 1, summary(&reply)));
                }
            }
        }
        Ok(later)
    }

    /// Sends one request; Err says what was wrong with it.
    fn send(&self, server: &Server, key: &str, given: Value) -> Result<(), String> {
        let place = place(&given);
        let failed = |error: IncludeError| format!("{place}: {error}");
        let Value::Object(mut request) = self.variables.value(given.clone()).map_err(failed)? else {
            return Err(format!("{place}: an object is expected"));
        };
        let place = self::place(&Value::Object(request.clone()));
        let method = text_at(&request, "method").unwrap_or("").to_owned();
        if !["POST", "PUT", "PATCH"].contains(&method.as_str()) {
            return Err(format!("{place}: only POST, PUT and PATCH are methods of Kickstart"));
        }
        let url = text_at(&request, "url").unwrap_or("").trim();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let path = format!("/{}", path.trim_start_matches('/'));
        let query = query.to_owned();
        let body = match request.remove("body") {
            None | Some(Value::Null) => Vec::new(),
            Some(body) => serde_json::to_vec(&body).map_err(|error| format!("{place}: {error}"))?,
        };
        let content_type = text_at(&request, "contentType").unwrap_or("application/json").to_owned();
        let reply = server.serve_within(Request {
            method,
            path,
            query,
            authorization: Some(key.to_owned()),
            tenant: text_at(&request, "tenantId").map(str::to_owned),
            content_type: Some(content_type),
            user_agent: None,
            body: body.into(),
        });
        if (200..300).contains(&reply.status) { Ok(()) } else { Err(format!("{place}: {}", summary(&reply))) }
    }
}

fn undefined_variable(file: &Path, name: &str) -> String {
    format!("{}: the variable `#{{{name}}}` is not defined and stays as it is", file.display())
}

/// `(POST /api/theme/…)`, as far as the request says.
fn place(request: &Value) -> String {
    match request {
        Value::String(include) => format!("({include})"),
        _ => {
            let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or("?");
            format!("({} {})", text("method"), text("url"))
        }
    }
}

/// Status and error codes of an answer; messages may repeat values, so they are left out.
fn summary(reply: &Reply) -> String {
    let mut codes = Vec::new();
    if let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&reply.body) {
        let fields =
            body.get("fieldErrors").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
        let general = body.get("generalErrors").into_iter();
        for detail in fields.chain(general).filter_map(Value::as_array).flatten() {
            codes.extend(detail.get("code").and_then(Value::as_str).map(str::to_owned));
        }
    }
    if codes.is_empty() {
        format!("answered {}", reply.status)
    } else {
        format!("answered {}: {}", reply.status, codes.join(", "))
    }
}

fn find(state: &State, table: Table, fits: impl Fn(&Object) -> bool) -> Option<Uuid> {
    state.objects(table).find(|(_, object)| fits(object)).map(|(id, _)| id)
}

/// The webhook event of a Kickstart that went through.
fn announce(server: &Server) {
    let state = server.state.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    if state.len(super::events::WEBHOOK) > 0 {
        let now = server.clock.now();
        let content = json!({ "event": { "type": "kickstart.success", "createInstant": now } });
        let message = Message {
            channel: "webhook",
            name: "kickstart.success".to_owned(),
            tenant: None,
            recipient: None,
            content,
        };
        server.journal.message(now, message);
    }
}
