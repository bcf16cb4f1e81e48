//! The task of one instance: connects, gathers requests, runs them together, ticks, lets the lock go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::engine::cancel::Cancel;
use crate::engine::record::Record;
use crate::manifest::Object;
use crate::model::{Address, FusionAuthInstanceSpec, Kind};

use super::super::conditions::Verdict;
use super::super::resource::TAKE_OVER;
use super::super::wake::Wakes;
use super::admission::Admission;
use super::answer::without_answer;
use super::connect::{Connected, Environment, NotConnected, not_connected};
use super::deletions::Deletions;
use super::ledger::Ledger;
use super::{Answer, Declared, Handle, InstanceKey, Item, Request, State, Work};

/// How many objects are planned together: bounds memory, and how long one run keeps others waiting.
const BATCH: usize = 1000;
/// How many objects have a turn at once: while a batch is at work the next one gathers.
const TURNS: usize = 2 * BATCH;
/// When several requests come at once, more are on their way.
const SILENCE: Duration = Duration::from_millis(25);
/// At a start everything comes, however slowly it is listed: for so long a wave ends with a longer silence.
const START: Duration = Duration::from_secs(5);
const SILENCE_AT_START: Duration = Duration::from_millis(400);
/// Objects that have a turn and are about to ask are waited for this long at most: the API server may be slow to take their
/// finalizers.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between attempts to connect.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// A suspended instance waits for its object.
const AT_REST: Duration = Duration::from_secs(24 * 3600);

/// One object's turn with the way back.
pub type Turn = (Item, oneshot::Sender<Answer>);

/// An instance at work.
pub struct Task {
    pub(super) key: InstanceKey,
    pub(super) environment: Environment,
    pub(super) wakes: Wakes,
    pub(super) declared: Declared,
    pub(super) connected: Option<Connected>,
    pub(super) ledger: Option<Ledger>,
    /// Declared objects that use the instance, for its ticks.
    pub(super) known: BTreeMap<Address, Arc<Object>>,
    pub(super) deletions: Deletions,
    /// Kinds for which the key lacks a permission, with what was said. Until the next tick.
    pub(super) stalled_kinds: HashMap<Kind, String>,
    pub(super) cancel: Cancel,
    pub(super) links_due: Instant,
    /// Objects whose status says that they are not, or not quite, as declared: what stood in the way may pass without leaving
    /// a difference.
    pub(super) unsettled: BTreeSet<Address>,
    /// Objects that were turned away while the instance could not be used.
    turned_away: BTreeSet<Address>,
    /// What was written of `allow-deletes` as it was used up: seen again, it is no person's word.
    told_left: BTreeSet<u64>,
    failures: u32,
    started: Instant,
    retry_at: Instant,
    admission: Admission,
    state: watch::Sender<State>,
}

/// Starts the task of an instance. It ends when `cancel` says so and its writes are done.
pub fn spawn(
    key: InstanceKey,
    declared: Declared,
    environment: Environment,
    wakes: Wakes,
    cancel: Cancel,
    tasks: &mut JoinSet<()>,
) -> Handle {
    let (requests, receiver) = mpsc::unbounded_channel();
    let (sender, declarations) = watch::channel(declared.clone());
    let (state_sender, state) =
        watch::channel(State::unknown(Verdict::reconciling(super::CONNECTING, "connecting to FusionAuth")));
    let admission = Admission::new(TURNS);
    let span = tracing::info_span!(parent: None, "instance", instance = %key);
    let task = Task {
        key,
        environment,
        wakes,
        declared,
        connected: None,
        ledger: None,
        known: BTreeMap::new(),
        deletions: Deletions::default(),
        stalled_kinds: HashMap::new(),
        cancel,
        links_due: Instant::now(),
        unsettled: BTreeSet::new(),
        turned_away: BTreeSet::new(),
        told_left: BTreeSet::new(),
        failures: 0,
        started: Instant::now(),
        retry_at: Instant::now(),
        admission: admission.clone(),
        state: state_sender,
    };
    tasks.spawn(task.run(receiver, declarations).instrument(span));
    Handle { admission, requests, declared: sender, state }
}

impl Task {
    async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
        mut declarations: watch::Receiver<Declared>,
    ) {
        let cancel = self.cancel.clone();
        self.heed_annotations();
        self.reconnect().await;
        let mut tick_at = Instant::now() + jittered(self.interval());
        let mut open = true;
        while open {
            let idle_at = self.ledger.as_ref().and_then(Ledger::idle_at);
            let mut turns = Vec::new();
            tokio::select! {
                () = cancel.cancelled() => open = false,
                changed = declarations.changed() => match changed {
                    Ok(()) => {
                        let declared = declarations.borrow_and_update().clone();
                        let interval = self.interval();
                        self.redeclared(declared).await;
                        if self.interval() != interval {
                            tick_at = Instant::now() + jittered(self.interval());
                        }
                    }
                    // The instance is gone, and so is whoever could ask.
                    Err(_) => open = false,
                },
                () = at(Some(self.retry_at)), if self.connected.is_none() => self.reconnect().await,
                () = at(Some(tick_at)) => {
                    self.tick().await;
                    tick_at = Instant::now() + jittered(self.interval());
                }
                () = at(idle_at), if idle_at.is_some() => self.let_go().await,
                request = requests.recv() => match request {
                    Some(request) => {
                        self.take(request, &mut turns);
                        self.gather(&mut requests, &mut turns).await;
                    }
                    None => open = false,
                },
            }
            if !turns.is_empty() {
                self.turns(turns).await;
            }
        }
        self.let_go().await;
    }

    fn take(&mut self, request: Request, turns: &mut Vec<Turn>) {
        match request {
            Request::Item(item, answer) => turns.push((item, answer)),
            Request::Forget(address) => {
                self.known.remove(&address);
                self.deletions.forget(&address);
                self.unsettled.remove(&address);
                self.turned_away.remove(&address);
            }
        }
    }

    /// One request is served at once. Where others are about to ask, where several came, or at a start, the rest of the
    /// wave is waited for: each batch writes the record, whatever its size.
    async fn gather(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>, turns: &mut Vec<Turn>) {
        let mut coming = self.admission.coming();
        let latest = tokio::time::Instant::now() + PATIENCE.max(START.saturating_sub(self.started.elapsed()));
        loop {
            while turns.len() < BATCH {
                match requests.try_recv() {
                    Ok(request) => self.take(request, turns),
                    Err(_) => break,
                }
            }
            let first = self.started.elapsed() < START;
            let others_come = *coming.borrow_and_update() > 0;
            if turns.len() >= BATCH || (turns.len() < 2 && !first && !others_come) {
                return;
            }
            let silence = if first { SILENCE_AT_START } else { SILENCE };
            let until = if others_come { latest } else { latest.min(tokio::time::Instant::now() + silence) };
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.take(request, turns),
                    None => return,
                },
                // Whoever was about to ask may have found that there is nothing to ask.
                _ = coming.wait_for(|coming| *coming == 0), if others_come => {}
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// Answers each turn: all together where the instance can be used.
    async fn turns(&mut self, turns: Vec<Turn>) {
        if self.declared.spec.suspend {
            answer_all(turns, &Answer::Suspended);
            return;
        }
        // Of one object the end may be asked for while its turn is: one after the other.
        let mut addresses = BTreeSet::new();
        let (turns, later): (Vec<Turn>, Vec<Turn>) =
            turns.into_iter().partition(|(item, _)| addresses.insert(item.address.clone()));
        self.distinct_turns(turns).await;
        if !later.is_empty() {
            Box::pin(self.turns(later)).await;
        }
    }

    async fn distinct_turns(&mut self, turns: Vec<Turn>) {
        let (items, senders): (Vec<Item>, Vec<_>) = turns.into_iter().unzip();
        let mut items = items;
        for item in &mut items {
            match &mut item.work {
                Work::Apply(wanted) => {
                    let before = self.known.insert(item.address.clone(), wanted.object.clone());
                    // A body that comes from a ConfigMap changes without a new generation.
                    let same_body =
                        before.is_none_or(|before| before.lambda_body == wanted.object.lambda_body);
                    wanted.was_ready &= same_body;
                }
                Work::Delete { .. } => {
                    self.known.remove(&item.address);
                }
            }
        }
        let addresses: Vec<Address> = items.iter().map(|item| item.address.clone()).collect();
        let mut answers = match self.connected.is_some() {
            true => self.batch(items).await,
            false => HashMap::new(),
        };
        for (address, sender) in addresses.into_iter().zip(senders) {
            let answer = answers.remove(&address).unwrap_or_else(|| self.unavailable());
            if answer.is_unsettled() {
                self.unsettled.insert(address.clone());
            } else {
                self.unsettled.remove(&address);
            }
            if matches!(answer, Answer::Unavailable { .. }) {
                self.turned_away.insert(address);
            }
            // Whoever asked may have been replaced by a newer version of the object.
            let _ = sender.send(answer);
        }
        self.tell_used();
    }

    fn unavailable(&self) -> Answer {
        let state = self.state.borrow();
        Answer::Unavailable { reason: "InstanceNotReady", message: state.verdict.message.clone() }
    }

    /// The object of the instance says something else.
    async fn redeclared(&mut self, declared: Declared) {
        let same_spec = declared.spec == self.declared.spec;
        let asked = declared.reconcile != self.declared.reconcile;
        let resumed = self.declared.spec.suspend && !declared.spec.suspend;
        let same_permission = declared.allow_deletes == self.declared.allow_deletes;
        self.declared = declared;
        // The same annotation again is not another permission.
        if !same_permission {
            self.heed_annotations();
        }
        if !same_spec || self.connected.is_none() {
            self.redial().await;
        } else if asked {
            self.tick().await;
        }
        if !same_permission || resumed || !same_spec {
            self.wakes.objects(self.known.keys().cloned());
            self.wake_turned_away();
            self.wakes.instance(&self.key);
        }
        // A permission that nothing needed must not stand there until something does.
        self.tell_used();
    }

    /// How many deletions a person lets pass. Taken away, nothing is allowed any more.
    fn heed_annotations(&mut self) {
        let allowed = self.declared.allow_deletes;
        if !allowed.is_some_and(|count| self.told_left.contains(&count)) {
            self.told_left.clear();
            self.deletions.allow(allowed.unwrap_or_default());
        }
    }

    pub(super) fn interval(&self) -> Duration {
        duration(&self.declared.spec, |spec| spec.interval.as_ref(), Duration::from_secs(600))
    }

    pub(super) fn link_interval(&self) -> Duration {
        duration(&self.declared.spec, |spec| spec.link_interval.as_ref(), Duration::from_secs(6 * 3600))
    }

    /// Connects anew.
    pub(super) async fn redial(&mut self) {
        self.disconnect().await;
        self.reconnect().await;
    }

    async fn disconnect(&mut self) {
        self.let_go().await;
        self.connected = None;
        self.ledger = None;
        self.failures = 0;
    }

    async fn let_go(&mut self) {
        if let Some(ledger) = &mut self.ledger
            && let Err(error) = ledger.release().await
        {
            tracing::warn!(
                error = without_answer(&error.to_string()),
                "the lock was not let go; it will expire"
            );
            // What was not recorded is read again.
            self.ledger = None;
            self.connected = None;
        }
    }

    async fn reconnect(&mut self) {
        if self.declared.spec.suspend {
            return self.rest();
        }
        match self.try_connect().await {
            Ok((connected, ledger)) => {
                let session = &connected.session;
                tracing::info!(version = %session.version(), tenant = %session.tenant_id(), "connected");
                let (version, tenant) = (session.version().to_string(), session.tenant_id().to_string());
                self.connected = Some(connected);
                self.ledger = Some(ledger);
                self.failures = 0;
                self.state.send_modify(|state| {
                    state.verdict = Verdict::ready("connected");
                    state.server_version = Some(version);
                    state.tenant_id = Some(tenant);
                    state.key_missing = false;
                });
                self.wakes.told(&self.key);
                self.wake_turned_away();
                self.wakes.instance(&self.key);
            }
            Err(error) => self.lost(error),
        }
    }

    async fn try_connect(&self) -> Result<(Connected, Ledger), NotConnected> {
        let spec = &self.declared.spec;
        // Of an instance whose URL is refused no Secret is read.
        self.environment.judge(&self.key, spec)?;
        let keys = self.environment.keys(&self.key, spec).await?;
        let connected = self.environment.connect(&self.key, spec, keys).await?;
        let loaded = connected.record.read().await.map_err(|error| not_connected(&error.into()))?;
        if let Some(foreign) = loaded.foreign.as_ref().filter(|_| !self.declared.take_over) {
            let message = format!(
                "the record was last written by {foreign}; the annotation {TAKE_OVER} on the instance goes on, if that runner is no longer at work"
            );
            return Err(NotConnected {
                verdict: Verdict::stalled("OtherRunner", message),
                key_missing: false,
            });
        }
        Ok((connected, Ledger::new(loaded)))
    }

    /// Suspended: nothing is tried until the object says something else.
    fn rest(&mut self) {
        self.retry_at = Instant::now() + AT_REST;
        let verdict = Verdict::reconciling("Suspended", "the instance is suspended");
        self.say(NotConnected { verdict, key_missing: false });
    }

    /// The instance cannot be used, and this is why. It is tried again.
    pub(super) fn lost(&mut self, error: NotConnected) {
        self.connected = None;
        self.ledger = None;
        let doubled = FIRST_RETRY.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Instant::now() + jittered(doubled.min(LAST_RETRY));
        let (reason, message) = (error.verdict.reason, error.verdict.message.clone());
        if self.say(error) {
            tracing::warn!(reason, why = message, "the instance cannot be used");
        } else {
            tracing::debug!(reason, why = message, "the instance cannot be used yet");
        }
    }

    /// Tells why the instance cannot be used; whether that is news.
    fn say(&mut self, error: NotConnected) -> bool {
        let NotConnected { verdict, key_missing } = error;
        let changed = self.state.send_if_modified(|state| {
            let changed = state.verdict != verdict || state.key_missing != key_missing;
            state.verdict = verdict;
            state.key_missing = key_missing;
            changed
        });
        if changed {
            self.wakes.told(&self.key);
            if key_missing {
                // Deletions that wait end now.
                self.wake_turned_away();
            }
        }
        changed
    }

    fn wake_turned_away(&mut self) {
        self.wakes.objects(std::mem::take(&mut self.turned_away));
    }

    /// The count of objects, as the status has it. Told at ticks only: it would be written with each object else.
    pub(super) fn tell_count(&self) {
        let objects = Some(self.known.len());
        let changed = self.state.send_if_modified(|state| {
            let changed = state.objects != objects;
            state.objects = objects;
            changed
        });
        if changed {
            self.wakes.told(&self.key);
        }
    }

    /// Annotations that have done their work.
    fn tell_used(&mut self) {
        let left = self.deletions.left();
        // Written as it goes: another leader goes on with what is left.
        let deletes_left = self
            .declared
            .allow_deletes
            .filter(|count| *count == 0 || left < *count)
            .map(|count| (count, left));
        self.told_left.extend(deletes_left.map(|(_, left)| left));
        let foreign = self.ledger.as_ref().is_some_and(|ledger| ledger.loaded().foreign.is_some());
        let taken_over = self.declared.take_over && self.connected.is_some() && !foreign;
        let changed = self.state.send_if_modified(|state| {
            let changed = (state.deletes_left, state.taken_over) != (deletes_left, taken_over);
            (state.deletes_left, state.taken_over) = (deletes_left, taken_over);
            changed
        });
        if changed {
            self.wakes.told(&self.key);
        }
    }
}

fn answer_all(turns: Vec<Turn>, answer: &Answer) {
    for (_, sender) in turns {
        let _ = sender.send(answer.clone());
    }
}

/// Waits until then; for ever without a time.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Up to a tenth less, so that instances do not tick together.
fn jittered(duration: Duration) -> Duration {
    let random = (uuid::Uuid::new_v4().as_u128() & 0xff) as u32;
    duration - duration / 10 * random / 255
}

/// An interval of the spec; text that is none was refused when the object was judged.
fn duration(
    spec: &FusionAuthInstanceSpec,
    of: impl Fn(&FusionAuthInstanceSpec) -> Option<&String>,
    default: Duration,
) -> Duration {
    let parsed = of(spec).and_then(|text| text.parse::<jiff::SignedDuration>().ok());
    let given = parsed.and_then(|duration| Duration::try_from(duration).ok());
    given.unwrap_or(default).max(Duration::from_secs(1))
}
