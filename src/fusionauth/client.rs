//! The client: scoped, counted, limited, repeated calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::body;
use super::call::{Call, Idempotency, Recovery, Select};
use super::concurrency::{Limiter, Outcome};
use super::counts::{Counters, Counts, Purpose};
use super::error::{Error, ErrorKind};
use super::recognise;
use super::response::Response;
use super::retry::{Attempts, RetryPolicy};
use super::target::{Exchange, ExchangeSink, Notice, NoticeSink, Target};
use super::transport;
use super::{Object, system};

/// The tenant header (wire notes §2).
const TENANT_HEADER: &str = "X-FusionAuth-TenantId";
/// Between two tries of a key that is refused.
const KEY_WAIT_STEP: Duration = Duration::from_millis(250);

/// A client of one FusionAuth instance. Clones share connections, limits and counts; scope and purpose are each clone's.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    tenant_id: Option<Uuid>,
    purpose: Purpose,
    read_only: bool,
    gate: Option<Arc<dyn WriteGate>>,
    /// A look-up after a lost response finishes what had begun, so it is made even when the run is to stop.
    finishing: bool,
    /// A refused key is not waited for: another route can tell whether it is known.
    impatient: bool,
}

/// Asked right before each attempt of a write, repeated ones too: the holder of a lock refuses what could outlast it.
pub trait WriteGate: Send + Sync {
    /// Whether a write that takes up to `longest` may begin now.
    ///
    /// # Errors
    /// The reason why not, for people.
    fn permit(&self, longest: Duration) -> Result<(), String>;
}

struct Shared {
    http: reqwest::Client,
    base_url: Url,
    api_key: HeaderValue,
    request_timeout: Duration,
    retry: RetryPolicy,
    deadline: Option<Instant>,
    counters: Counters,
    limiter: Limiter,
    stop: watch::Sender<bool>,
    notices: Option<NoticeSink>,
    exchanges: Option<ExchangeSink>,
    wait_for_key: Duration,
    /// Set by the first success; before it, when the key was first refused.
    key_proven: AtomicBool,
    key_refused_since: Mutex<Option<Instant>>,
    /// Something under the base URL has answered as FusionAuth does.
    base_proven: AtomicBool,
    server_date: Mutex<Option<(jiff::Timestamp, Instant)>>,
}

/// A call made ready: what all its attempts have in common.
struct Prepared {
    url: Url,
    body: Option<Bytes>,
    timeout: Duration,
}

impl Client {
    /// A client for `target`. Nothing is sent yet.
    ///
    /// # Errors
    /// The URL, key or CA certificates cannot be used.
    pub fn new(target: &Target) -> Result<Self, Error> {
        if let Some(problem) = target.url_problem() {
            return Err(Error::configuration(problem));
        }
        let shared = Shared {
            http: http_client(target)?,
            base_url: target.base_url.clone(),
            api_key: key_header(target)?,
            request_timeout: target.request_timeout,
            retry: target.retry.clone(),
            deadline: target.run_deadline.map(|deadline| Instant::now() + deadline),
            counters: Counters::default(),
            limiter: Limiter::new(target.parallelism),
            stop: watch::Sender::new(false),
            notices: target.notices.clone(),
            exchanges: target.exchanges.clone(),
            wait_for_key: target.wait_for_key,
            key_proven: AtomicBool::new(false),
            key_refused_since: Mutex::new(None),
            base_proven: AtomicBool::new(false),
            server_date: Mutex::new(None),
        };
        Ok(Self {
            shared: Arc::new(shared),
            tenant_id: target.tenant_id,
            purpose: Purpose::Objects,
            read_only: false,
            gate: None,
            finishing: false,
            impatient: false,
        })
    }

    /// The same client, scoped to a tenant, or to none.
    #[must_use]
    pub fn with_tenant(&self, tenant_id: Option<Uuid>) -> Self {
        Self { tenant_id, ..self.clone() }
    }

    /// The same client, counted under another purpose.
    #[must_use]
    pub fn for_purpose(&self, purpose: Purpose) -> Self {
        Self { purpose, ..self.clone() }
    }

    /// The same client, refusing every write: a dry run is the same pipeline with this.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self { read_only: true, ..self.clone() }
    }

    /// The same client, which takes the first refusal of its key for an answer.
    #[must_use]
    pub fn impatient(&self) -> Self {
        Self { impatient: true, ..self.clone() }
    }

    /// The same client, asking `gate` before each attempt of a write.
    #[must_use]
    pub fn with_write_gate(&self, gate: Arc<dyn WriteGate>) -> Self {
        Self { gate: Some(gate), ..self.clone() }
    }

    /// The tenant that requests are scoped to.
    #[must_use]
    pub fn tenant_id(&self) -> Option<Uuid> {
        self.tenant_id
    }

    /// FusionAuth's base URL.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.shared.base_url
    }

    /// The longest that one attempt of `call` can take. A lock must outlast it.
    #[must_use]
    pub fn longest_attempt(&self, call: &Call) -> Duration {
        call.timeout.unwrap_or(self.shared.request_timeout)
    }

    /// The HTTP requests made so far, by all clones.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counters.snapshot()
    }

    /// Whether something that needs a key has been answered.
    #[must_use]
    pub fn key_is_proven(&self) -> bool {
        self.shared.key_proven.load(Ordering::Relaxed)
    }

    /// The present limit on requests in flight.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.shared.limiter.limit()
    }

    /// The server's clock: the `Date` of its latest answer and the time since. One-second resolution.
    #[must_use]
    pub fn server_now(&self) -> Option<jiff::Timestamp> {
        let seen = *self.shared.server_date.lock().unwrap_or_else(PoisonError::into_inner);
        let (date, at) = seen?;
        date.checked_add(jiff::SignedDuration::try_from(at.elapsed()).ok()?).ok()
    }

    /// Ends the run early: calls on objects that have not begun are refused, and no call is repeated. Calls for the record
    /// and the lock go on, so that the run can close properly.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
    }

    /// Sends a call and returns the answer, whose shape is the one that is due.
    ///
    /// # Errors
    /// Whatever is left after the repetitions that the call allows.
    pub async fn execute(&self, call: &Call) -> Result<Response, Error> {
        self.run(call, |response| response.judge(call.answer).map(|()| response.clone())).await
    }

    /// Sends a call and returns the answer as it is.
    ///
    /// # Errors
    /// As [`Client::execute`]; the body's JSON is not looked at.
    pub async fn send(&self, call: &Call) -> Result<Response, Error> {
        self.run(call, |response| Ok(response.clone())).await
    }

    /// The object under `key`, `None` when it does not exist.
    pub(super) async fn optional(&self, call: &Call, key: &'static str) -> Result<Option<Object>, Error> {
        absent(self.run(call, |response| response.object(key)).await)
    }

    /// The array under `key`, `None` when what it belongs to does not exist.
    pub(super) async fn list(&self, call: &Call, key: &'static str) -> Result<Option<Vec<Object>>, Error> {
        absent(self.run(call, |response| response.objects(key)).await)
    }

    /// Sends a call until it succeeds, may not be repeated, or fails for good. `decode` belongs to the attempt: an answer
    /// that cannot be read is a failed attempt.
    pub(super) async fn run<T>(
        &self,
        call: &Call,
        mut decode: impl FnMut(&Response) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let prepared = self.prepare(call)?;
        let mut attempts = Attempts::new(&self.shared.retry);
        let mut failed: Option<Error> = None;
        // Whether an attempt may have been carried out.
        let mut open = false;
        loop {
            let result = self.attempt(call, &prepared, failed.is_some()).await;
            let error = match result.and_then(|response| self.note(call, &response, decode(&response))) {
                Ok(value) => return Ok(value),
                // A refusal of our own must not hide that an earlier attempt may have been carried out.
                Err(error) if error.is_refused_here() => {
                    return Err(failed.unwrap_or(error).after_open_attempts(open));
                }
                Err(error) => error,
            };
            if error.is_not_found() {
                if failed.is_some() && call.method == reqwest::Method::DELETE {
                    return decode(&Response::made(call, Bytes::new()));
                }
                self.prove_base_url(call).await?;
                return Err(error.after_open_attempts(open));
            }
            open |= error.outcome_unknown();
            let wait = if error.is_unauthorized() {
                self.wait_for_key()
            } else {
                attempts.after(&error, &call.idempotency)
            };
            // A repetition that the run's deadline would cut off only hides what the server said.
            let wait =
                wait.filter(|wait| self.deadline().is_none_or(|deadline| Instant::now() + *wait < deadline));
            if let Some(wait) = wait {
                self.pause(wait, &error).await;
            }
            if let Idempotency::RecognisedCreate(recovery) = &call.idempotency
                && must_look(&error, recovery, open)
            {
                match self.recognise(call, recovery).await {
                    Ok(Some(found)) => return decode(&found),
                    // Answered, and not there: what has ended cannot be carried out any more.
                    Ok(None) => open &= error.status().is_none(),
                    Err(differs) if matches!(differs.kind(), ErrorKind::CreateDiffers { .. }) => {
                        return Err(differs);
                    }
                    // What matters is that the create's outcome is unknown, not that it could not be looked up.
                    Err(_) => return Err(error.after_open_attempts(open)),
                }
            }
            if wait.is_none() {
                return Err(error.after_open_attempts(open));
            }
            failed = Some(error);
        }
    }

    fn prepare(&self, call: &Call) -> Result<Prepared, Error> {
        let unusable = |what: &str| {
            Error::new(
                &call.method,
                call.route,
                ErrorKind::Configuration(format!("the call is malformed: {what}")),
            )
        };
        let path = call.path().ok_or_else(|| unusable("a path parameter is missing or empty"))?;
        let mut url = self.shared.base_url.clone();
        url.set_path(&format!("{}{path}", self.shared.base_url.path().trim_end_matches('/')));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let body = body::serialise(call).map_err(|_| unusable("its body cannot be serialised"))?;
        Ok(Prepared { url, body, timeout: self.longest_attempt(call) })
    }

    /// One attempt, within the limits.
    async fn attempt(&self, call: &Call, prepared: &Prepared, is_retry: bool) -> Result<Response, Error> {
        let refuse = |kind| Error::new(&call.method, call.route, kind);
        self.may_begin(call).map_err(refuse)?;
        let permit = match self.purpose {
            // A renewal must not wait behind what it protects.
            Purpose::Lock => None,
            _ => tokio::select! {
                permit = self.shared.limiter.acquire(call.route) => Some(permit),
                () = self.stopped() => None,
            },
        };
        // Again: waiting for a place takes time.
        self.may_begin(call).map_err(refuse)?;
        let timeout = match self.deadline() {
            Some(deadline) => prepared.timeout.min(deadline.saturating_duration_since(Instant::now())),
            None => prepared.timeout,
        };
        if let (true, Some(gate)) = (call.is_write(), &self.gate) {
            gate.permit(timeout).map_err(|reason| refuse(ErrorKind::WriteRefused(reason)))?;
        }
        self.shared.counters.count(self.purpose, call.is_write(), is_retry);
        let begun = Instant::now();
        let result =
            transport::exchange(call, &self.shared.api_key, self.request(call, prepared, timeout)).await;
        let status = result.as_ref().map_or_else(Error::status, |response| Some(response.status));
        if let Some(sink) = &self.shared.exchanges {
            sink(Exchange { method: &call.method, route: call.route, status });
        }
        tracing::debug!(method = %call.method, route = call.route, status, is_retry,
            milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), "request");
        if let Some(permit) = permit {
            permit.finish(match &result {
                Err(error) if error.is_overload() => Outcome::Overloaded(error.retry_after()),
                Err(error) if error.status().is_none() => Outcome::Neutral,
                _ => Outcome::Answered,
            });
        }
        result
    }

    fn may_begin(&self, call: &Call) -> Result<(), ErrorKind> {
        if self.read_only && call.is_write() {
            return Err(ErrorKind::ReadOnly);
        }
        if self.heeds_stop() && *self.shared.stop.borrow() {
            return Err(ErrorKind::Stopped);
        }
        match self.deadline() {
            Some(deadline) if deadline <= Instant::now() => Err(ErrorKind::DeadlinePassed),
            _ => Ok(()),
        }
    }

    /// The run's deadline; the record and the lock are closed properly after it.
    fn deadline(&self) -> Option<Instant> {
        self.shared.deadline.filter(|_| self.heeds_stop())
    }

    fn request(&self, call: &Call, prepared: &Prepared, timeout: Duration) -> reqwest::RequestBuilder {
        let mut request = self
            .shared
            .http
            .request(call.method.clone(), prepared.url.clone())
            .header(AUTHORIZATION, self.shared.api_key.clone())
            .timeout(timeout);
        if let (Some(tenant_id), false) = (self.tenant_id, call.is_global()) {
            request = request.header(TENANT_HEADER, tenant_id.to_string());
        }
        if let Some(body) = &prepared.body {
            request = request.header(CONTENT_TYPE, call.content_type.as_str()).body(body.clone());
        }
        request
    }

    /// Keeps what an answer proves, once it could be read.
    fn note<T>(&self, call: &Call, response: &Response, decoded: Result<T, Error>) -> Result<T, Error> {
        if let Some(date) = response.date {
            let mut seen = self.shared.server_date.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = Some((date, Instant::now()));
        }
        let value = decoded?;
        if !response.is_empty() {
            self.shared.base_proven.store(true, Ordering::Relaxed);
        }
        // The status is public, so it proves nothing about the key (wire notes §1).
        if call.route != system::STATUS {
            self.shared.key_proven.store(true, Ordering::Relaxed);
        }
        Ok(value)
    }

    /// The wait before a refused key is tried again; `None` when the refusal is final.
    fn wait_for_key(&self) -> Option<Duration> {
        if self.impatient || self.shared.key_proven.load(Ordering::Relaxed) {
            return None;
        }
        let mut since = self.shared.key_refused_since.lock().unwrap_or_else(PoisonError::into_inner);
        let first = since.is_none();
        let waited = since.get_or_insert_with(Instant::now).elapsed();
        drop(since);
        let left = self.shared.wait_for_key.checked_sub(waited).filter(|left| !left.is_zero())?;
        if first {
            self.notify(Notice::WaitingForKey(left));
        }
        Some(left.min(KEY_WAIT_STEP))
    }

    fn notify(&self, notice: Notice) {
        if let Some(sink) = &self.shared.notices {
            sink(notice);
        }
    }

    /// Waits, unless the run is to stop.
    async fn pause(&self, wait: Duration, error: &Error) {
        if error.retry_after().is_some_and(|asked| asked >= Duration::from_secs(2)) {
            self.notify(Notice::Waiting(wait));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stopped() => {}
        }
    }

    fn heeds_stop(&self) -> bool {
        self.purpose == Purpose::Objects && !self.finishing
    }

    /// Returns when the run is to stop, and never for calls that are to go on.
    async fn stopped(&self) {
        let mut stop = self.shared.stop.subscribe();
        // The sender lives in `shared`, so an error cannot come.
        if !self.heeds_stop() || stop.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Before a 404 is believed, something must show that FusionAuth answers under this URL: a wrong base path gives 404
    /// for everything (DESIGN §3).
    async fn prove_base_url(&self, call: &Call) -> Result<(), Error> {
        let proven = || self.shared.base_proven.load(Ordering::Relaxed);
        if proven() || [system::VERSION, system::STATUS].contains(&call.route) {
            return Ok(());
        }
        let probe = Self { finishing: true, ..self.clone() };
        match Box::pin(probe.system_version()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_unauthorized() || error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        // The key may lack the version's permission; the status needs none.
        if Box::pin(probe.status()).await.is_ok() || proven() {
            return Ok(());
        }
        Err(Error::new(&call.method, call.route, ErrorKind::UnprovenBaseUrl))
    }

    /// Looks the created object up; `None` when it is not there.
    async fn recognise(&self, call: &Call, recovery: &Recovery) -> Result<Option<Response>, Error> {
        let mut lookup = Call::get(recovery.route, recovery.parameters.clone(), super::Answer::Object);
        lookup.query.clone_from(&recovery.query);
        let client = Self { finishing: true, ..self.clone() };
        let Some(response) = absent(Box::pin(client.look_up(&lookup)).await)? else { return Ok(None) };
        let found = match &recovery.select {
            // In an array of one as well: the documents are not clear about links (wire notes §13).
            Select::Wrapper(key) => response
                .get(*key)
                .or_else(|| response.get(format!("{key}s"))?.as_array()?.first())
                .and_then(Value::as_object),
            Select::Item { pointer, id } => {
                response.pointer(pointer).and_then(Value::as_array).and_then(|items| {
                    let has_id = |item: &&Value| {
                        item.get("id")
                            .and_then(Value::as_str)
                            .is_some_and(|found| found.eq_ignore_ascii_case(id))
                    };
                    items.iter().find(has_id).and_then(Value::as_object)
                })
            }
        };
        let Some(found) = found else { return Ok(None) };
        let differs = |field: &str| {
            Err(Error::new(&call.method, call.route, ErrorKind::CreateDiffers { field: field.to_owned() }))
        };
        let body = call.body.as_ref().unwrap_or(&Value::Null);
        if let Some(sent) = body.get(recovery.wrapper).and_then(Value::as_object)
            && let Some(field) = recognise::contradiction(sent, found)
        {
            return differs(&field);
        }
        if recovery.wrapper == "user" && recognise::lacks_registration(body, found) {
            return differs("registrations");
        }
        let answer = serde_json::json!({ recovery.wrapper: found });
        Ok(Some(Response::made(call, Bytes::from(answer.to_string()))))
    }

    /// A GET that counts as a repetition.
    async fn look_up(&self, call: &Call) -> Result<Value, Error> {
        let prepared = self.prepare(call)?;
        let mut attempts = Attempts::new(&self.shared.retry);
        loop {
            let result = self.attempt(call, &prepared, true).await;
            match result.and_then(|response| self.note(call, &response, response.parse::<Value>())) {
                Ok(value) => return Ok(value),
                Err(error) => match attempts.after(&error, &call.idempotency) {
                    Some(wait) => self.pause(wait, &error).await,
                    None => return Err(error),
                },
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({}, tenant {:?})", self.shared.base_url, self.tenant_id)
    }
}

/// 404 as `None`; [`Client::run`] has made sure that it means absence.
pub(super) fn absent<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a failed create is to be looked up: it may have been carried out, or what clashes may be our own earlier attempt.
fn must_look(error: &Error, recovery: &Recovery, open: bool) -> bool {
    let clash = error.is_duplicate().is_some() || (error.is_conflict() && !error.is_retryable_conflict());
    error.outcome_unknown() || (clash && (open || recovery.on_first_duplicate))
}

fn http_client(target: &Target) -> Result<reqwest::Client, Error> {
    static PROVIDER: Once = Once::new();
    // Fails only when there is one already, which is as good.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = reqwest::Client::builder()
        .user_agent(&target.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Each request is counted, so none may be repeated unseen.
        .retry(reqwest::retry::never())
        .connect_timeout(target.connect_timeout)
        .pool_max_idle_per_host(target.parallelism.max(1))
        .tcp_nodelay(true);
    if !target.environment_proxies {
        builder = builder.no_proxy();
    }
    if let Some(filter) = &target.address_filter {
        builder = builder.dns_resolver(filter.clone());
    }
    let certificates = match &target.ca_pem {
        Some(pem) => reqwest::Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| Error::configuration("the CA file holds no certificate in PEM"))?,
        None => Vec::new(),
    };
    // Over plain http no certificate is judged, and a machine without any of its own must be able to start.
    builder = match target.base_url.scheme() {
        "http" => builder.tls_certs_only(certificates),
        _ => builder.tls_certs_merge(certificates),
    };
    builder
        .build()
        .map_err(|error| Error::configuration(format!("TLS cannot be set up: {}", root_of(&error))))
}

fn root_of(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_of)
}

fn key_header(target: &Target) -> Result<HeaderValue, Error> {
    let key = target.api_key.expose_secret();
    if key.is_empty() {
        return Err(Error::configuration("the API key is empty"));
    }
    if key.trim() != key {
        return Err(Error::configuration("the API key begins or ends with white space"));
    }
    let bytes = Bytes::from_owner(Zeroizing::new(key.as_bytes().to_vec()));
    let mut header = HeaderValue::from_maybe_shared(bytes)
        .map_err(|_| Error::configuration("the API key holds characters that no header can carry"))?;
    header.set_sensitive(true);
    Ok(header)
}
