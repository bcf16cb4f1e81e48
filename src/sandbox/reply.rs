//! What an endpoint answers, and the Errors JSON (wire notes §1). Knows nothing of endpoints.

use std::collections::BTreeMap;

use serde::Serialize;

/// Ok and Err are both answers; Err is the early return that also drops an uncommitted transaction.
pub type Outcome = Result<Reply, Reply>;

/// Status, body and the few headers that an endpoint decides on.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    pub content_type: Option<&'static str>,
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// An answer without a body: 401, 404, 405, most DELETEs.
    pub fn empty(status: u16) -> Self {
        Self { status, body: Vec::new(), content_type: None, headers: Vec::new() }
    }

    /// 200 with a JSON body.
    pub fn ok(body: &impl Serialize) -> Self {
        Self::json(200, body)
    }

    pub fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => Self::json_bytes(status, bytes),
            Err(_) => Self::empty(500),
        }
    }

    /// JSON that is serialised already.
    pub fn json_bytes(status: u16, body: Vec<u8>) -> Self {
        Self { status, body, content_type: Some("application/json;charset=UTF-8"), headers: Vec::new() }
    }

    pub fn not_found() -> Self {
        Self::empty(404)
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Debug, Clone, Serialize)]
struct Detail {
    code: String,
    message: String,
}

/// The Errors JSON: `fieldErrors` is a map of lists, `generalErrors` a list; both are always there.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Errors {
    #[serde(rename = "fieldErrors")]
    fields: BTreeMap<String, Vec<Detail>>,
    #[serde(rename = "generalErrors")]
    general: Vec<Detail>,
}

impl Errors {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error of a field; the code is `[kind]field`.
    pub fn field(&mut self, kind: &str, field: &str, message: impl Into<String>) {
        let detail = Detail { code: format!("[{kind}]{field}"), message: message.into() };
        self.fields.entry(field.to_owned()).or_default().push(detail);
    }

    /// Adds an error of a field with a code that does not follow the `[kind]field` form, as `[invalidJSON]`.
    pub fn field_code(&mut self, code: &str, field: &str, message: impl Into<String>) {
        let detail = Detail { code: format!("[{code}]"), message: message.into() };
        self.fields.entry(field.to_owned()).or_default().push(detail);
    }

    /// Adds an error of the request as a whole; the code is `[code]`.
    pub fn general(&mut self, code: &str, message: impl Into<String>) {
        self.general.push(Detail { code: format!("[{code}]"), message: message.into() });
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.general.is_empty()
    }

    pub fn extend(&mut self, other: Self) {
        for (field, mut details) in other.fields {
            self.fields.entry(field).or_default().append(&mut details);
        }
        self.general.extend(other.general);
    }

    /// Err(400) if there is any error.
    pub fn check(self) -> Result<(), Reply> {
        if self.is_empty() { Ok(()) } else { Err(self.reply()) }
    }

    pub fn reply(&self) -> Reply {
        self.reply_with(400)
    }

    pub fn reply_with(&self, status: u16) -> Reply {
        Reply::json(status, self)
    }
}

/// 400 with one field error.
pub fn field_error(kind: &str, field: &str, message: impl Into<String>) -> Reply {
    let mut errors = Errors::new();
    errors.field(kind, field, message);
    errors.reply()
}

/// An answer with one general error.
pub fn general_error(status: u16, code: &str, message: impl Into<String>) -> Reply {
    let mut errors = Errors::new();
    errors.general(code, message);
    errors.reply_with(status)
}
