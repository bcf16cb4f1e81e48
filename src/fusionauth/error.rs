//! The one error of the API client: what was asked, what went wrong, what to do about it. It never holds a body, a path, a
//! query or a key.

use std::fmt;
use std::time::Duration;

use reqwest::Method;

use super::api_errors::ApiErrors;

/// A failed call.
#[derive(Debug, Clone)]
pub struct Error {
    /// The call, unless the client could not even be made.
    call: Option<(Method, &'static str)>,
    kind: Box<ErrorKind>,
    /// An attempt of the call may have been carried out.
    open: bool,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The client's settings or the call itself cannot be used; nothing was sent.
    #[error("{0}")]
    Configuration(String),
    /// No connection, or it was lost before the request could have been read.
    #[error("FusionAuth is unreachable: {detail}")]
    Unreachable {
        /// Why.
        cause: Unreachable,
        /// The cause in words, without URL.
        detail: String,
    },
    /// The connection was lost, or the time ran out, after the request went out: it may have been carried out.
    #[error("no answer: {detail}")]
    NoAnswer {
        /// Whether the time ran out, rather than the connection broke.
        timeout: bool,
        /// The cause in words, without URL.
        detail: String,
    },
    /// The answer's body was cut off.
    #[error("the answer (status {status}) was cut off")]
    CutOff {
        /// HTTP status.
        status: u16,
    },
    /// The answer's body is larger than any answer of FusionAuth.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A redirect, which is never followed.
    #[error(
        "the server redirects (status {status}) to {to}; the redirect was not followed and the API key was not sent there"
    )]
    Redirect {
        /// HTTP status.
        status: u16,
        /// The origin that the redirect points to, without path and query.
        to: String,
    },
    /// Something other than FusionAuth's JSON where JSON is due: a proxy's page, a login page, another service.
    #[error("not FusionAuth's answer: status {status} with {what}")]
    NotJson {
        /// HTTP status.
        status: u16,
        /// What came instead.
        what: &'static str,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// JSON of another shape than documented.
    #[error("unexpected answer: {0}")]
    UnexpectedShape(String),
    /// A page of a search does not hold what its total says, so that a missing row proves nothing.
    #[error("incomplete search page: {rows} rows where the total says {}", show_total(.total))]
    ShortPage {
        /// The total that the answer gave, if any.
        total: Option<u64>,
        /// The distinct rows received.
        rows: u64,
    },
    /// 404 although nothing has shown yet that FusionAuth answers under this URL.
    #[error("status 404, and nothing shows that FusionAuth answers under this base URL")]
    UnprovenBaseUrl,
    /// FusionAuth refused or failed.
    #[error("status {status}{}", show_errors(.errors))]
    Api {
        /// HTTP status.
        status: u16,
        /// The parsed errors; empty for the answers without a body.
        errors: ApiErrors,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// After a lost response an object was found under the id of the create, but it is not what was sent.
    #[error("an object with this id exists and differs from what was sent in `{field}`")]
    CreateDiffers {
        /// The first field that differs.
        field: String,
    },
    /// A write through a client that only reads; nothing was sent.
    #[error("refused: this client only reads")]
    ReadOnly,
    /// The write gate is closed (the lock is lost, or would run out during the write); nothing was sent.
    #[error("refused: {0}")]
    WriteRefused(String),
    /// The run was asked to stop before this call was made; nothing was sent.
    #[error("stopped before it was sent")]
    Stopped,
    /// The run's total deadline passed before this call was made; nothing was sent.
    #[error("the run's deadline has passed")]
    DeadlinePassed,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// The host name does not resolve.
    Dns,
    /// The TLS handshake failed: wrong certificate, unknown issuer, no TLS at all.
    Tls,
    /// The certificate is a CA's own, which counts for no server's, whoever trusts it.
    TlsByCa,
    /// The connection was refused, or could not be made in time.
    Connect,
    /// The address is not allowed for this client.
    AddressRefused,
}

fn show_total(total: &Option<u64>) -> String {
    total.map_or_else(|| "nothing".to_owned(), |total| total.to_string())
}

fn show_errors(errors: &ApiErrors) -> String {
    if errors.is_empty() { String::new() } else { format!(": {errors}") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            Some((method, route)) => write!(f, "{method} {route}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// An error of a call.
    #[must_use]
    pub fn new(method: &Method, route: &'static str, kind: ErrorKind) -> Self {
        Self { call: Some((method.clone(), route)), kind: Box::new(kind), open: false }
    }

    /// An error before any call.
    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self { call: None, kind: Box::new(ErrorKind::Configuration(message.into())), open: false }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The method of the call.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.call.as_ref().map(|(method, _)| method)
    }

    /// The route's template, by which refusals are grouped.
    #[must_use]
    pub fn route(&self) -> Option<&'static str> {
        self.call.as_ref().map(|(_, route)| *route)
    }

    /// The HTTP status, if the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match *self.kind {
            ErrorKind::Api { status, .. }
            | ErrorKind::NotJson { status, .. }
            | ErrorKind::Redirect { status, .. }
            | ErrorKind::CutOff { status } => Some(status),
            ErrorKind::UnprovenBaseUrl => Some(404),
            _ => None,
        }
    }

    /// FusionAuth's own errors, if it gave any.
    #[must_use]
    pub fn api_errors(&self) -> Option<&ApiErrors> {
        match &*self.kind {
            ErrorKind::Api { errors, .. } => Some(errors),
            _ => None,
        }
    }

    fn is_api(&self, wanted: u16) -> bool {
        matches!(*self.kind, ErrorKind::Api { status, .. } if status == wanted)
    }

    fn has_kind(&self, kind: &str) -> bool {
        self.api_errors().is_some_and(|errors| errors.has_kind(kind))
    }

    /// Transient, so that a call that is safe to repeat may be repeated: 409 retryable, 429, 500, 502, 503, 504, lost
    /// connections, timeouts, bodies cut off, incomplete pages.
    #[must_use]
    pub fn is_retryable_safe(&self) -> bool {
        match *self.kind {
            ErrorKind::Unreachable { cause, .. } => matches!(cause, Unreachable::Dns | Unreachable::Connect),
            ErrorKind::NoAnswer { .. } | ErrorKind::CutOff { .. } | ErrorKind::ShortPage { .. } => true,
            ErrorKind::NotJson { status, .. } | ErrorKind::Api { status, .. } => {
                matches!(status, 429 | 500 | 502 | 503 | 504) || self.is_retryable_conflict()
            }
            _ => false,
        }
    }

    /// The same error, at the end of a call of which an attempt may have been carried out.
    #[must_use]
    pub(super) fn after_open_attempts(self, open: bool) -> Self {
        Self { open: self.open || open, ..self }
    }

    /// Whether any attempt of the call may have been carried out although the call failed, as far as could be found
    /// out.
    #[must_use]
    pub fn may_have_been_done(&self) -> bool {
        self.open
    }

    /// Whether the last attempt may have been carried out although the call failed.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match *self.kind {
            ErrorKind::NoAnswer { .. }
            | ErrorKind::CutOff { .. }
            | ErrorKind::TooLarge { .. }
            | ErrorKind::UnexpectedShape(_) => true,
            ErrorKind::NotJson { status, .. } => (200..300).contains(&status) || status >= 500,
            ErrorKind::Api { status, .. } => status >= 500,
            _ => false,
        }
    }

    /// A value that another object holds: the field, such as `user.email`, or an empty text when FusionAuth names none. It
    /// answers `[duplicate]`, or `[inactive]` when the holder is deactivated (wire notes §1), which this is too.
    #[must_use]
    pub fn is_duplicate(&self) -> Option<&str> {
        let errors = self.api_errors()?;
        errors
            .field_of_kind("duplicate")
            .or_else(|| errors.field_of_kind("inactive"))
            .or_else(|| errors.has_kind("duplicate").then_some(""))
    }

    /// A value that a *deactivated* user holds.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        self.has_kind("inactive")
    }

    /// Whether the server turned the load away or did not answer in time: the limit on requests in flight is halved.
    pub(super) fn is_overload(&self) -> bool {
        match *self.kind {
            ErrorKind::Api { status, .. } | ErrorKind::NotJson { status, .. } => matches!(status, 429 | 503),
            ErrorKind::NoAnswer { timeout, .. } => timeout,
            _ => false,
        }
    }

    /// 401: no such key, or the key lacks this method on this route, or the route needs a global key.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.is_api(401)
    }

    /// 404 with FusionAuth's empty body, under a base URL that is proven.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is_api(404)
    }

    /// FusionAuth could not be talked to at all: DNS, TLS, no connection, no answer in time, no FusionAuth under the URL.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match *self.kind {
            ErrorKind::Unreachable { .. } | ErrorKind::NoAnswer { .. } | ErrorKind::UnprovenBaseUrl => true,
            ErrorKind::Redirect { .. } => true,
            // A proxy's page instead of FusionAuth; a firewall's refusal of one request is not.
            ErrorKind::NotJson { status, .. } => matches!(status, 200..=399 | 404 | 405 | 502..=504),
            ErrorKind::Api { status, ref errors, .. } => matches!(status, 502 | 503) && errors.is_empty(),
            _ => false,
        }
    }

    /// A feature that the instance's licence does not cover: codes `[notLicensed]` and `[notLicensedFor]` (vendor's issue
    /// tracker, fusionauth-issues 1555).
    #[must_use]
    pub fn is_license(&self) -> bool {
        // Their spelling is not documented, so any code that speaks of a licence counts.
        let speaks = |code: &str| code.to_ascii_lowercase().contains("licens");
        self.is_api(400) && self.api_errors().is_some_and(|errors| errors.codes().any(speaks))
    }

    /// 400 `[TenantIdRequired]`: there are several tenants and none was named.
    #[must_use]
    pub fn is_tenant_id_required(&self) -> bool {
        self.has_kind("TenantIdRequired")
    }

    /// Any 409.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.is_api(409)
    }

    /// 409 `[retryableConflict]`: the server's own optimistic lock was lost and nothing was written.
    #[must_use]
    pub fn is_retryable_conflict(&self) -> bool {
        self.is_conflict() && self.has_kind("retryableConflict")
    }

    /// 429, or a 503 that asks to wait; the wait that the server asks for, if it does.
    #[must_use]
    pub fn is_rate_limited(&self) -> Option<Option<Duration>> {
        match *self.kind {
            ErrorKind::Api { status, retry_after, .. } | ErrorKind::NotJson { status, retry_after, .. } => {
                match status {
                    429 => Some(retry_after),
                    503 => retry_after.map(Some),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// 512: a lambda failed while FusionAuth ran it (wire notes §1).
    #[must_use]
    pub fn is_lambda_failure(&self) -> bool {
        self.is_api(512) || self.has_kind("LambdaInvocationException")
    }

    /// 504 of FusionAuth itself: a webhook that is part of the transaction failed, and nothing was written.
    #[must_use]
    pub fn is_webhook_failure(&self) -> bool {
        self.is_api(504)
    }

    /// A link that would exceed the number a user may have with one identity provider (wire notes §7).
    #[must_use]
    pub fn is_link_limit(&self) -> bool {
        self.has_kind("LinkCountExceeded")
    }

    /// An object that others still use (a lambda in use, wire notes §6).
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.has_kind("inUse")
    }

    /// A write that this client may not send at all.
    #[must_use]
    pub fn is_refused_here(&self) -> bool {
        matches!(
            *self.kind,
            ErrorKind::ReadOnly | ErrorKind::WriteRefused(_) | ErrorKind::Stopped | ErrorKind::DeadlinePassed
        )
    }

    /// The wait that the server asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match *self.kind {
            ErrorKind::Api { retry_after, .. } | ErrorKind::NotJson { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match &*self.kind {
            ErrorKind::Unreachable { cause: Unreachable::Dns, .. } => "check the host name in the URL",
            ErrorKind::Unreachable { cause: Unreachable::Tls, .. } => {
                "check that the URL speaks TLS and that its certificate is valid; give a private CA with --ca-file"
            }
            ErrorKind::Unreachable { cause: Unreachable::TlsByCa, .. } => {
                "the server shows a CA's certificate (CA:TRUE), and --ca-file does not make a server's of it; have the CA \
                 sign one for the server, or make a self-signed one with -addext basicConstraints=critical,CA:FALSE"
            }
            ErrorKind::Unreachable { cause: Unreachable::Connect, .. } => {
                "check the URL's host and port, the network and the proxy variables, and that FusionAuth runs"
            }
            ErrorKind::Unreachable { cause: Unreachable::AddressRefused, .. } => {
                "the operator's --allowed-urls must name this very address and port"
            }
            ErrorKind::NoAnswer { .. } => {
                "FusionAuth or something in front of it is too slow or restarting; run again"
            }
            ErrorKind::CutOff { .. } | ErrorKind::ShortPage { .. } => {
                "something in front of FusionAuth cuts answers off, or its search index is being rebuilt; run again"
            }
            ErrorKind::Redirect { .. } => {
                "use FusionAuth's own URL (https, no trailing redirect), not one that redirects to it"
            }
            ErrorKind::NotJson { .. } | ErrorKind::UnprovenBaseUrl => {
                "check that the URL is FusionAuth's base URL, and what the proxy in front of it answers"
            }
            ErrorKind::CreateDiffers { .. } => "another runner may be at work; plan again",
            ErrorKind::Api { .. } => return self.api_hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn api_hint(&self) -> Option<String> {
        let hint = match self.status()? {
            _ if self.is_license() => {
                "this feature needs a FusionAuth licence that covers it (entities: any paid plan)"
            }
            _ if self.is_tenant_id_required() => {
                "name the tenant with --tenant-id or in the instance's tenantId"
            }
            _ if self.is_link_limit() => {
                "raise the identity provider's link limit in the tenant, or unlink another account"
            }
            401 => {
                return Some(match &self.call {
                    Some((method, route)) => format!(
                        "the API key is missing, wrong or too new, or lacks {method} on {}; lambdas, entity types and the \
                         tenant search need a global key, and a tenant-locked key only works in its tenant",
                        endpoint_of(route)
                    ),
                    None => "check the API key".to_owned(),
                });
            }
            404 => "it does not exist, or it is in another tenant",
            409 => "something else writes the same object; run again",
            429 => "the server limits the rate of requests; lower --parallelism or wait",
            502 | 503 => "FusionAuth, its search engine or the proxy in front of it is not available",
            504 => {
                "a webhook of the tenant refused or did not answer, or a proxy gave up; check the event log"
            }
            512 => "a lambda failed; see FusionAuth's event log",
            500 => "see FusionAuth's log",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// The endpoint by which API keys are given permissions: the route without its parameters (wire notes §1).
fn endpoint_of(route: &str) -> String {
    if route.starts_with("/api/entity/{") && route.ends_with("/grant") {
        return "/api/entity/grant".to_owned();
    }
    route.split('/').filter(|segment| !segment.starts_with('{')).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_those_of_the_key_matrix() {
        for (route, endpoint) in [
            ("/api/user/{userId}", "/api/user"),
            ("/api/entity/{entityId}/grant", "/api/entity/grant"),
            ("/api/entity/type/{entityTypeId}/permission/{permissionId}", "/api/entity/type/permission"),
            ("/api/user/registration/{userId}/{applicationId}", "/api/user/registration"),
            ("/api/identity-provider/link/pending/{pendingLinkId}", "/api/identity-provider/link/pending"),
        ] {
            assert_eq!(endpoint_of(route), endpoint);
        }
    }
}
