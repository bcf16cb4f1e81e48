//! Carries a plan out: the dependency graph with bounded concurrency, one write at a time per object. A failed
//! change blocks what depends on it and nothing else. What was done is recorded as the run goes, read again at its
//! end, and told.

mod change;
mod conflict;
mod graph;
mod imports;
mod journal;
mod secrets;
mod send;
mod taken;
mod verify;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::fusionauth::{Client, Counts};
use crate::model::Kind;
use crate::reconcile::{
    Action, Blame, CallCounts, Change, ChangeOutcome, Entry, Key, Outcome, Plan, Problem, RecordUpdate,
    Status,
};

use super::cancel::Cancel;
use super::error::Error;
use super::keys::RunnerKeys;
use super::progress::Progress;
use super::record::{HeldRecord, RecordError};
use super::secrets::SecretValues;
use super::session::Session;
use graph::Graph;

pub use change::refuse_other_target;
pub use secrets::load_secrets;
pub(super) use send::grantee;

/// How often results are written to the record while the run lasts.
const RECORD_EVERY: Duration = Duration::from_secs(5);

/// Whether live objects are compared with what the plan was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recheck {
    /// The plan was made just now.
    #[default]
    Never,
    /// All at once, before anything is written: time has passed since, as at a prompt.
    Before,
    /// And each once more right before its write: a saved plan.
    BeforeEach,
}

/// What a run needs.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    pub plan: &'a Plan,
    pub session: &'a Session,
    /// All that will be sent, loaded before the first write.
    pub secrets: &'a SecretValues,
    pub record: Option<&'a dyn HeldRecord>,
    /// For fingerprints of what was sent.
    pub keys: Option<&'a RunnerKeys>,
    pub progress: &'a dyn Progress,
    pub cancel: &'a Cancel,
    pub recheck: Recheck,
    /// Changes under way at once; the client's own limit adapts below it.
    pub parallelism: usize,
    /// Where before-images are kept, so that the run can be undone.
    pub journal: Option<&'a Path>,
}

/// What changes that run at once share: plain sets, which a panic elsewhere cannot leave half written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How one change ended.
#[derive(Debug)]
enum Ended {
    Done,
    Failed(Box<Problem>),
    /// It failed, and may have been carried out all the same.
    Unknown(Box<Problem>),
    Stale(Box<Problem>),
    NotStarted,
}

/// Changes that ended together: one, or a batch of imports.
type Batch = Vec<(usize, Ended)>;

/// What all changes of a run share.
struct Run<'a> {
    apply: Apply<'a>,
    client: Client,
    /// Writes that were made, without repetitions.
    writes: AtomicU64,
    /// Imports must never run at once (wire notes §4).
    importing: tokio::sync::Mutex<()>,
    /// Kinds whose key lacks a permission, with what was said.
    stopped_kinds: Mutex<BTreeSet<Kind>>,
    /// Changes that failed and of which nobody knows yet whether they were carried out.
    unknown: Mutex<BTreeSet<usize>>,
    /// Objects of which some calls were made and a later one failed.
    begun: Mutex<BTreeSet<Key>>,
    /// Ends the run from within.
    halted: Cancel,
}

impl<'a> Apply<'a> {
    /// Applies the plan.
    ///
    /// # Errors
    /// Nothing was written: the plan has errors, is stale, or the record cannot be written.
    pub async fn run(self) -> Result<Outcome, Error> {
        if let Some(blame) =
            self.plan.errors.iter().map(|problem| problem.blame).min_by_key(|b| *b == Blame::Guard)
        {
            return Err(Error::PlanHasErrors(blame));
        }
        let client = self.session.client().clone();
        let client = match self.record {
            Some(record) => client.with_write_gate(record.gate()),
            None => client,
        };
        let before = client.counts();
        refuse_other_target(self.plan, self.session)?;
        let lives = self.before_images(&client).await?;
        if self.recheck >= Recheck::Before {
            self.refuse_if_stale(&lives)?;
        }
        if self.recheck == Recheck::BeforeEach {
            let taken = self.taken(&client).await?;
            if !taken.is_empty() {
                return Err(Error::Stale(taken));
            }
        }
        let journal = self.begin_journal(&lives)?;
        drop(lives);
        let run = Run {
            apply: self,
            client,
            writes: AtomicU64::new(0),
            importing: tokio::sync::Mutex::new(()),
            stopped_kinds: Mutex::new(BTreeSet::new()),
            unknown: Mutex::new(BTreeSet::new()),
            begun: Mutex::new(BTreeSet::new()),
            halted: Cancel::default(),
        };
        let mut outcomes = run.not_started();
        run.intend(&mut outcomes).await?;
        run.carry_out(&mut outcomes).await;
        run.take_back_intents(&outcomes);
        if run.is_ending() {
            run.leave_unverified(&outcomes);
        } else {
            run.verify(&mut outcomes).await;
        }
        let errors = run.close_record().await;
        let mut outcome = run.outcome(outcomes, errors, before);
        outcome.errors.extend(self.end_journal(journal, &outcome));
        Ok(outcome)
    }
}

impl<'a> Run<'a> {
    fn plan(&self) -> &'a Plan {
        self.apply.plan
    }

    fn change(&self, index: usize) -> Option<&'a Change> {
        self.plan().changes.get(index)
    }

    fn is_ending(&self) -> bool {
        self.apply.cancel.is_cancelled() || self.halted.is_cancelled()
    }

    fn not_started(&self) -> Vec<ChangeOutcome> {
        let outcome = |change: &Change| ChangeOutcome {
            address: change.address.clone(),
            status: Status::NotStarted,
            problem: None,
            notes: Vec::new(),
        };
        self.plan().changes.iter().map(outcome).collect()
    }

    /// Tells the record what is about to be written, before the first of it is.
    async fn intend(&self, outcomes: &mut [ChangeOutcome]) -> Result<(), Error> {
        let Some(record) = self.apply.record else { return Ok(()) };
        let entries: Vec<Entry> =
            self.plan().changes.iter().filter_map(|change| self.intent_of(change)).collect();
        if entries.is_empty() {
            return Ok(());
        }
        for claim in record.intend(entries).await? {
            let held = |change: &&Change| {
                matches!(&change.record,
                RecordUpdate::Put { entry, .. } if entry.key == claim.key)
            };
            for change in self.plan().changes.iter().filter(held) {
                let message = format!("the object is claimed by the owner \"{}\"", claim.owner);
                let hint = format!("`fusionkeep adopt --from-owner {}` takes it over", claim.owner);
                let problem = Problem::error("claimed", message, hint).of(&change.address);
                let outcome = outcomes.iter_mut().find(|outcome| outcome.address == change.address);
                if let Some(outcome) = outcome {
                    outcome.status = Status::Failed;
                    outcome.problem = Some(Box::new(problem));
                }
            }
        }
        Ok(())
    }

    /// A created object comes with its secrets; what is sent to one that stands there already is sent again when
    /// nobody knows whether it was. What is taken for the live value and not sent is known at once.
    fn intent_of(&self, change: &Change) -> Option<Entry> {
        let mut entry = change.intent()?;
        if change.action != Action::Create {
            let slots = change.calls.iter().flat_map(|call| &call.secrets);
            for field in slots.filter_map(|slot| slot.pointer.rsplit('/').next()) {
                entry.secrets.remove(field);
            }
            return Some(entry);
        }
        match self.with_fingerprints(change, RecordUpdate::Put { entry: Box::new(entry), replaces: None }) {
            RecordUpdate::Put { entry, .. } => Some(*entry),
            RecordUpdate::Remove(_) => None,
        }
    }

    /// Runs the graph until nothing is left that may begin.
    async fn carry_out(&self, outcomes: &mut [ChangeOutcome]) {
        let (mut done, total) = (0, outcomes.len() as u64);
        let mut graph = Graph::new(&self.plan().changes);
        let refused = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.status == Status::Failed);
        for index in refused.map(|(index, _)| index).collect::<Vec<_>>() {
            self.block(&mut graph, index, outcomes);
        }
        let mut under_way: FuturesUnordered<BoxFuture<'_, Batch>> = FuturesUnordered::new();
        let mut imports = imports::Queue::new(self.plan().import_batch);
        let mut recording: OptionFuture<BoxFuture<'_, Result<(), RecordError>>> = None.into();
        let mut tick = tokio::time::interval(RECORD_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.reset();
        let mut flushing = false;
        let mut lost: OptionFuture<_> = self.apply.record.map(HeldRecord::lost).into();
        let mut cancelled = false;
        loop {
            self.begin(&mut graph, &mut imports, &mut under_way);
            let busy = under_way.len();
            if busy == 0 {
                break;
            }
            tokio::select! {
                Some(batch) = under_way.next() => {
                    for (index, ended) in batch {
                        imports.ended(index);
                        done += u64::from(!matches!(ended, Ended::NotStarted));
                        self.end(&mut graph, index, ended, outcomes);
                    }
                    self.apply.progress.applied(done, total);
                }
                Some(result) = &mut recording => {
                    recording = None.into();
                    flushing = false;
                    if let Err(error) = result {
                        self.halted.cancel(&format!("the record cannot be written: {error}"));
                    }
                }
                Some(error) = &mut lost => {
                    lost = None.into();
                    self.halted.cancel(&error.to_string());
                }
                () = self.apply.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.client.stop();
                }
                _ = tick.tick(), if self.apply.record.is_some() && !flushing => {
                    flushing = true;
                    recording = self.apply.record.map(HeldRecord::flush).into();
                }
            }
        }
        // A write of the record that has begun is not left half done.
        if let Some(Err(error)) = recording.await {
            self.halted.cancel(&format!("the record cannot be written: {error}"));
        }
    }

    /// Begins what may begin, within the bound.
    fn begin<'r>(
        &'r self,
        graph: &mut Graph,
        imports: &mut imports::Queue,
        under_way: &mut FuturesUnordered<BoxFuture<'r, Batch>>,
    ) {
        let bound = self.apply.parallelism.max(1);
        while !self.is_ending() && under_way.len() < bound {
            let Some(index) = graph.next() else { break };
            let Some(change) = self.change(index) else { continue };
            if imports.takes(change) {
                imports.push(index, change);
                continue;
            }
            under_way.push(Box::pin(async move { vec![(index, self.one(change).await)] }));
        }
        if let Some(batch) = imports.next().filter(|_| !self.is_ending()) {
            under_way.push(Box::pin(self.import(batch)));
        }
    }

    /// Notes how a change ended, for the record, the graph and the report.
    fn end(&self, graph: &mut Graph, index: usize, ended: Ended, outcomes: &mut [ChangeOutcome]) {
        let Some(outcome) = outcomes.get_mut(index) else { return };
        match ended {
            Ended::Done => {
                outcome.status = Status::Done;
                if let (Some(change), Some(record)) = (self.change(index), self.apply.record) {
                    record.update(self.with_fingerprints(change, change.record.clone()));
                }
                return graph.done(index);
            }
            Ended::NotStarted => {}
            Ended::Failed(problem) => {
                outcome.status = Status::Failed;
                outcome.problem = Some(problem);
            }
            Ended::Unknown(problem) => {
                outcome.status = Status::Failed;
                outcome.problem = Some(problem);
                locked(&self.unknown).insert(index);
            }
            Ended::Stale(problem) => {
                outcome.status = Status::Stale;
                outcome.problem = Some(problem);
            }
        }
        self.block(graph, index, outcomes);
    }

    /// What was intended for an object that is held already and was certainly not begun is not so: the record says
    /// of it what it said before. Of a new object the intent stays, which the next run judges.
    fn take_back_intents(&self, outcomes: &[ChangeOutcome]) {
        let Some(record) = self.apply.record else { return };
        let (now, unknown, begun) = (record.entries(), locked(&self.unknown), locked(&self.begun));
        for (index, outcome) in outcomes.iter().enumerate() {
            let (Some(change), false) = (self.change(index), unknown.contains(&index)) else { continue };
            let (Some(intended), false) = (change.intent(), outcome.status == Status::Done) else { continue };
            let held = record.loaded().entries.by_key(&intended.key);
            // Of what was begun the record knows the part that is done.
            let Some(held) = held.filter(|_| !begun.contains(&intended.key)) else { continue };
            if now.by_key(&intended.key).is_some_and(|entry| entry != held) {
                record.update(RecordUpdate::Put { entry: Box::new(Entry::clone(held)), replaces: None });
            }
        }
    }

    fn block(&self, graph: &mut Graph, index: usize, outcomes: &mut [ChangeOutcome]) {
        let not_started = outcomes.get(index).is_none_or(|outcome| outcome.status == Status::NotStarted);
        let blocked = graph.failed(index);
        let Some(cause) = self.change(index).filter(|_| !not_started) else { return };
        for blocked in blocked {
            if let Some(outcome) = outcomes.get_mut(blocked) {
                let message = format!("{} failed, which it depends on", cause.address);
                let problem =
                    Problem::error("blocked", message, "it follows in the next run, once that is mended");
                outcome.status = Status::Blocked;
                outcome.problem = Some(Box::new(problem.of(&outcome.address)));
            }
        }
    }

    /// The end of the record's part: what was learned about objects that did not change, and what is not written
    /// yet. Problems are told; the objects are as they are.
    async fn close_record(&self) -> Vec<Problem> {
        let Some(record) = self.apply.record else { return Vec::new() };
        if !self.is_ending() {
            self.plan().records.iter().cloned().for_each(|update| record.update(update));
        }
        match record.flush().await {
            Ok(()) => Vec::new(),
            Err(error) => {
                let hint = error.hint().unwrap_or_else(|| "run again".to_owned());
                vec![Problem::error(
                    "record-not-written",
                    format!("what was done is not recorded: {error}"),
                    hint,
                )]
            }
        }
    }

    fn outcome(&self, changes: Vec<ChangeOutcome>, errors: Vec<Problem>, before: Counts) -> Outcome {
        let after = self.client.counts();
        let calls = CallCounts {
            predicted: self.plan().predicted_calls(),
            actual: self.writes.load(Ordering::Relaxed),
            reads: after.reads - before.reads,
            record: after.record - before.record,
            lock: after.lock - before.lock,
            retries: after.retries - before.retries,
        };
        let interrupted = self.apply.cancel.reason().or_else(|| self.halted.reason());
        Outcome { changes, calls, errors, interrupted: interrupted.map(|reason| reason.to_string()) }
    }
}
