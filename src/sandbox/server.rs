//! What all requests share, and the way of one request from bytes to an answer: route, fault, authentication,
//! endpoint, journal. Knows no sockets; [`super::http`] does.

use std::sync::{Mutex, PoisonError, RwLock};

use bytes::Bytes;
use uuid::Uuid;

use super::auth;
use super::call::{Call, Caller};
use super::clock::Clock;
use super::config::SearchEngine;
use super::faults::{Faults, Verdict};
use super::journal::{Exchange, Journal};
use super::numbers;
use super::reply::{Reply, general_error};
use super::router::{Access, Match, Route, Router};
use super::store::{CommitMode, Database, State, Transaction};
use super::version::Version;

/// The emulated installation.
pub struct Server {
    pub version: Version,
    pub engine: SearchEngine,
    /// Milliseconds until the search index sees a write; 0 on the database engine.
    pub index_delay: i64,
    pub licensed: bool,
    pub clock: Clock,
    pub store_id: Uuid,
    pub state: RwLock<State>,
    pub journal: Journal,
    pub faults: Faults,
    pub(super) database: Option<Mutex<Database>>,
    pub(super) router: Router,
    /// What a reset starts from.
    pub(super) origin: super::bootstrap::Origin,
}

/// A request as it came from the wire.
#[derive(Debug, Default)]
pub struct Request {
    pub method: String,
    /// Path without the query, still percent-encoded.
    pub path: String,
    pub query: String,
    pub authorization: Option<String>,
    pub tenant: Option<String>,
    pub content_type: Option<String>,
    pub user_agent: Option<String>,
    pub body: Bytes,
}

/// The answer and what the fault rules want done to it on the wire.
pub struct Answer {
    pub reply: Reply,
    pub wire: Wire,
}

/// What happens to an answer on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Send,
    /// The connection is reset instead.
    Reset,
    /// The head and half of the body are sent, then the connection is reset.
    Truncate,
}

/// Path parameters by name.
type Params<'s> = Vec<(&'s str, String)>;

/// A request with its route and its faults decided.
pub struct Routed<'s> {
    pub request: Request,
    pub verdict: Verdict,
    found: Result<(&'s Route, Params<'s>), Reply>,
    sequence: u64,
    started: std::time::Instant,
    started_at: i64,
}

impl Routed<'_> {
    /// Whether the endpoint belongs on a thread where it may take its time.
    pub fn is_heavy(&self) -> bool {
        self.found.as_ref().is_ok_and(|(route, _)| route.heavy)
    }
}

impl Server {
    /// Finds the route and decides the faults.
    pub fn route(&self, request: Request) -> Routed<'_> {
        let segments = segments(&request.path);
        let found = match self.router.find(&request.method, &segments) {
            Match::Found { route, params } => Ok((route, params)),
            Match::WrongMethod => Err(Reply::empty(405)),
            Match::Nothing => Err(Reply::not_found()),
        };
        let (verdict, sequence) = match &found {
            Ok((route, _)) if route.access == Access::Control => (Verdict::default(), 0),
            Ok((route, _)) => {
                (self.faults.decide(route.method, route.pattern, &request.path), self.journal.next_sequence())
            }
            Err(_) => (Verdict::default(), self.journal.next_sequence()),
        };
        let (started, started_at) = (std::time::Instant::now(), self.clock.now());
        Routed { request, verdict, found, sequence, started, started_at }
    }

    /// Serves a routed request: everything but the waiting and the wire.
    pub fn serve(&self, routed: Routed<'_>) -> Answer {
        let Routed { request, verdict, found, sequence, started, started_at } = routed;
        let mut call = None;
        let mut pattern = None;
        let reply = match found {
            Err(reply) => reply,
            Ok((route, params)) => {
                pattern = Some(route.pattern);
                if let Some(reply) = verdict.instead.clone() {
                    reply
                } else if verdict.reset_before {
                    Reply::empty(0)
                } else {
                    match self.call(route, params, &request, &verdict) {
                        Ok(ready) => {
                            let result = (route.handler)(&ready).unwrap_or_else(|reply| reply);
                            call = Some(ready);
                            result
                        }
                        Err(reply) => reply,
                    }
                }
            }
        };
        let mut reply = verdict.after(reply);
        reply.body = numbers::revealed(reply.body);
        if sequence > 0 {
            self.journal.record(Exchange {
                sequence,
                started_at,
                micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                pattern,
                key: call.as_ref().and_then(|call| match &call.caller {
                    Caller::Key(key) => Some(key.id),
                    _ => None,
                }),
                status: reply.status,
                fault: verdict.name,
                request: &request,
                reply: &reply,
            });
        }
        let wire = match () {
            () if verdict.reset_before || verdict.reset_after => Wire::Reset,
            () if verdict.truncate => Wire::Truncate,
            () => Wire::Send,
        };
        Answer { reply, wire }
    }

    /// Authentication, tenant scope and licence: what stands before every endpoint.
    fn call<'s>(
        &'s self,
        route: &'s Route,
        params: Vec<(&'s str, String)>,
        request: &Request,
        verdict: &Verdict,
    ) -> Result<Call<'s>, Reply> {
        let (caller, tenant) = auth::admit(self, route, request)?;
        if route.licensed && !self.licensed {
            return Err(general_error(
                400,
                "LicenseRequired",
                "A valid license with the required feature is needed to complete this request.",
            ));
        }
        Ok(Call {
            server: self,
            route,
            caller,
            tenant,
            content_type: request.content_type.clone(),
            body: numbers::sheltered(&request.body),
            lose_writes: verdict.lose_writes,
            params,
            query: query_pairs(&request.query),
        })
    }

    /// Serves a request that comes from within (Kickstart): no faults, no journal.
    pub fn serve_within(&self, request: Request) -> Reply {
        let segments = segments(&request.path);
        match self.router.find(&request.method, &segments) {
            Match::Nothing => Reply::not_found(),
            Match::WrongMethod => Reply::empty(405),
            Match::Found { route, params } => match self.call(route, params, &request, &Verdict::default()) {
                Ok(call) => (route.handler)(&call).unwrap_or_else(|reply| reply),
                Err(reply) => reply,
            },
        }
    }

    /// Exclusive access to the state.
    pub fn begin(&self, lose: bool) -> Transaction<'_> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mode = CommitMode { now: self.clock.now(), index_delay: self.index_delay, lose };
        Transaction::new(state, self.database.as_ref(), mode)
    }
}

/// The decoded segments of a path; one trailing slash is tolerated.
fn segments(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect()
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    if query.is_empty() {
        return Vec::new();
    }
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
