//! A request as data: what to send, and how safe it is to send it again. Nothing here touches the network.

use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

/// Everything but RFC 3986's unreserved characters is escaped in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One request to FusionAuth. Plan steps are values of this type.
///
/// Its `Debug` shows method and route only: path, query and body can hold personal values and secrets.
#[derive(Clone)]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// The route's template, such as `/api/user/{userId}`: for logs, counting, and grouping refusals by route.
    pub route: &'static str,
    /// The values of the template's `{…}`, in order, not yet escaped.
    pub parameters: Vec<String>,
    /// Query parameters, not yet escaped.
    pub query: Vec<(&'static str, String)>,
    /// The JSON body, without its secrets.
    pub body: Option<Value>,
    /// The body's secrets, filled in while it is serialised.
    pub secrets: Vec<SecretField>,
    /// How the body is to be read by the server.
    pub content_type: ContentType,
    /// What may be done after a failure.
    pub idempotency: Idempotency,
    /// What a success looks like.
    pub answer: Answer,
    /// Instead of the target's request timeout, for calls that are known to take long.
    pub timeout: Option<Duration>,
}

/// A secret and its place in a body.
#[derive(Clone, Debug)]
pub struct SecretField {
    /// JSON pointer from the body's root, such as `/user/password`. The parent must exist in the body.
    pub pointer: String,
    /// The value; never printed.
    pub value: SecretString,
}

/// The body's media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentType {
    /// `application/json`.
    #[default]
    Json,
    /// RFC 7396, `application/merge-patch+json` (since 1.39, wire notes §3): arrays are replaced, null removes.
    MergePatch,
}

impl ContentType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            ContentType::Json => "application/json",
            ContentType::MergePatch => "application/merge-patch+json",
        }
    }
}

/// What may be done when an attempt fails.
#[derive(Debug, Clone)]
pub enum Idempotency {
    /// Changes nothing; repeated on every transient failure.
    SafeRead,
    /// Ends in the same state however often it is sent (PUT, DELETE, merge-patch with fixed values, upsert). Repeated on
    /// every transient failure; a DELETE that answers 404 when repeated has succeeded.
    Idempotent,
    /// A create whose object can be found again. After an answer that leaves open whether it was committed, the object is
    /// looked up and compared instead of being created twice.
    RecognisedCreate(Recovery),
    /// Repeated only when the server certainly did nothing (connection refused, 429, retryable conflict).
    Never,
}

/// How a create is recognised after a lost response.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The GET route's template.
    pub route: &'static str,
    /// The values of the template's `{…}`.
    pub parameters: Vec<String>,
    /// Query parameters of the GET.
    pub query: Vec<(&'static str, String)>,
    /// Where the object stands in the GET's answer.
    pub select: Select,
    /// The wrapper key under which the object was sent and would have been answered.
    pub wrapper: &'static str,
    /// Look up and compare even when the very first attempt answers "duplicate" or 409 (links, wire notes §7). Otherwise a
    /// duplicate on the first attempt is somebody else's object and an error.
    pub on_first_duplicate: bool,
}

/// Where an object stands in an answer.
#[derive(Debug, Clone)]
pub enum Select {
    /// Under this key.
    Wrapper(&'static str),
    /// The element with this `id` of the array at the JSON pointer.
    Item {
        /// JSON pointer to the array.
        pointer: &'static str,
        /// The element's id.
        id: String,
    },
}

/// What a 2xx answer must look like; anything else is an error, however well it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A JSON object with this key.
    Wrapper(&'static str),
    /// A JSON object.
    Object,
    /// An empty body, or JSON (the documents disagree for some routes, wire notes §13).
    EmptyOrJson,
}

impl Call {
    /// A call of `route`, whose `{…}` are filled with `parameters` in order.
    #[must_use]
    pub fn new(method: Method, route: &'static str, parameters: Vec<String>, answer: Answer) -> Self {
        let idempotency = match method {
            Method::GET | Method::HEAD => Idempotency::SafeRead,
            Method::POST => Idempotency::Never,
            _ => Idempotency::Idempotent,
        };
        Self {
            method,
            route,
            parameters,
            query: Vec::new(),
            body: None,
            secrets: Vec::new(),
            content_type: ContentType::Json,
            idempotency,
            answer,
            timeout: None,
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(route: &'static str, parameters: Vec<String>, answer: Answer) -> Self {
        Self::new(Method::GET, route, parameters, answer)
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets the body and sends it as a merge patch.
    #[must_use]
    pub fn merge_patch(mut self, body: Value) -> Self {
        self.body = Some(body);
        self.content_type = ContentType::MergePatch;
        self
    }

    /// Sets what may be done after a failure.
    #[must_use]
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Puts a secret at `pointer` when the body is sent.
    #[must_use]
    pub fn secret(mut self, pointer: impl Into<String>, value: SecretString) -> Self {
        self.secrets.push(SecretField { pointer: pointer.into(), value });
        self
    }

    /// Sets a timeout for one attempt, instead of the target's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Whether the call changes something. A search by POST and the flush of a search index (PUT) do not; no other call
    /// can claim to be a read.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let reads = match self.method {
            Method::GET | Method::HEAD => true,
            Method::POST => self.route.ends_with("/search"),
            Method::PUT => matches!(self.route, "/api/user/search" | "/api/entity/search"),
            _ => false,
        };
        !reads
    }

    /// Whether the route is about objects that stand above tenants, so that no tenant header is sent (wire notes §2).
    #[must_use]
    pub fn is_global(&self) -> bool {
        let under = |prefix: &str| {
            self.route.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        under("/api/lambda")
            || under("/api/entity/type")
            || under("/api/tenant")
            || under("/api/system")
            || under("/api/status")
            || (under("/api/identity-provider") && !under("/api/identity-provider/link"))
    }

    /// The path with its parameters escaped and filled in. `None` when a parameter is missing, superfluous, or one that
    /// would lead to another route: empty, `.` and `..`, which no escaping protects.
    pub(super) fn path(&self) -> Option<String> {
        let mut values = self.parameters.iter();
        let mut segments = Vec::new();
        for segment in self.route.split('/') {
            if segment.starts_with('{') {
                let value = values.next().filter(|value| !matches!(value.as_str(), "" | "." | ".."))?;
                segments.push(utf8_percent_encode(value, SEGMENT).to_string());
            } else {
                segments.push(segment.to_owned());
            }
        }
        values.next().is_none().then(|| segments.join("/"))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {})", self.method, self.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_cannot_leave_its_segment() {
        let call = Call::get("/api/a/{x}/b/{y}", vec!["../é?#".into(), "1".into()], Answer::Object);
        assert_eq!(call.path().unwrap(), "/api/a/..%2F%C3%A9%3F%23/b/1");
        for parameters in [vec!["..", "1"], vec!["", "1"], vec!["1"], vec!["1", "2", "3"]] {
            let parameters = parameters.into_iter().map(str::to_owned).collect();
            assert_eq!(Call::get("/api/a/{x}/b/{y}", parameters, Answer::Object).path(), None);
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let call = Call::get("/api/user", vec![], Answer::Object).query("email", "a@b.c");
        assert_eq!(format!("{call:?}"), "Call(GET /api/user)");
    }

    #[test]
    fn global_routes() {
        for (route, global) in [
            ("/api/lambda", true),
            ("/api/lambda/{lambdaId}", true),
            ("/api/entity/type/{entityTypeId}/permission/{permissionId}", true),
            ("/api/entity/{entityId}", false),
            ("/api/identity-provider", true),
            ("/api/identity-provider/link", false),
            ("/api/identity-provider/link/pending/{pendingLinkId}", false),
            ("/api/user/{userId}", false),
            ("/api/group/search", false),
            ("/api/tenant/{tenantId}", true),
        ] {
            assert_eq!(Call::get(route, vec![], Answer::Object).is_global(), global, "{route}");
        }
    }

    #[test]
    fn only_searches_and_flushes_are_reads_beside_get() {
        let write = |method, route| Call::new(method, route, vec![], Answer::Object).is_write();
        assert!(!write(Method::POST, "/api/user/search"));
        assert!(!write(Method::PUT, "/api/entity/search"));
        assert!(write(Method::POST, "/api/user/{userId}"));
        assert!(write(Method::PUT, "/api/group/search"));
        assert!(write(Method::DELETE, "/api/user/search"));
    }
}
