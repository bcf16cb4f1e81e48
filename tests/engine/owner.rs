//! Runs with a record: what an owner does over several runs, and a runner that dies between two writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fusionkeep::engine::apply::{Apply, Recheck, load_secrets};
use fusionkeep::engine::cancel::Cancel;
use fusionkeep::engine::keys::RunnerKeys;
use fusionkeep::engine::plan::{PlanOptions, Sources, plan};
use fusionkeep::engine::progress::Silent;
use fusionkeep::engine::record::{
    Acquire, Entries, HeldRecord, Holder, Loaded, MemoryRecord, Record, RecordError,
};
use fusionkeep::fusionauth::WriteGate;
use fusionkeep::manifest::Object;
use fusionkeep::reconcile::{Claim, Entry, Limits, Outcome, Plan, RecordUpdate};
use futures::future::BoxFuture;
use secrecy::SecretSlice;

use super::harness::World;

/// An owner's record and keys over several runs on one sandbox.
pub struct OwnerRuns {
    pub record: MemoryRecord,
    pub keys: RunnerKeys,
}

/// When a runner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Never,
    /// Before the write of this number (from 1) is sent.
    Before(u64),
    /// After it was carried out, and before anybody learned of it.
    After(u64),
}

impl OwnerRuns {
    pub fn new() -> Self {
        let holder =
            Holder { runner: "command".into(), host: "tests".into(), started_at: 0, expires_at: None };
        let key = SecretSlice::from(vec![b'k'; 32]);
        OwnerRuns { record: MemoryRecord::new(holder), keys: RunnerKeys::parse(&key).unwrap() }
    }

    /// Nothing is guarded but what a test asks for.
    pub fn options() -> PlanOptions {
        let all = |number: u64| Some(fusionkeep::model::NumberOrPercent::Number(number));
        let limits = Limits {
            max_deletes: all(1000),
            max_changed_users: all(1000),
            allow_hard_delete: true,
            ..Limits::default()
        };
        PlanOptions { prune: true, limits, ..PlanOptions::default() }
    }

    pub async fn plan(&self, world: &World, objects: &[Object], options: &PlanOptions) -> Plan {
        let loaded = self.record.read().await.unwrap();
        let sources = Sources {
            session: &world.session,
            record: Some((&loaded, &self.record)),
            keys: Some(&self.keys),
            secrets: &world.secrets,
            progress: &Silent,
        };
        plan(sources, objects.to_vec(), options).await.unwrap()
    }

    pub async fn apply(&self, world: &World, plan: &Plan, death: Death) -> Outcome {
        assert_eq!(plan.errors, vec![]);
        let held = self.record.acquire(&Acquire::default()).await.unwrap();
        let dying = Dying::new(held, death);
        let secrets = load_secrets(plan, &world.secrets).await.unwrap();
        let apply = Apply {
            plan,
            session: &world.session,
            secrets: &secrets,
            record: Some(&dying),
            keys: Some(&self.keys),
            progress: &Silent,
            cancel: &Cancel::default(),
            recheck: Recheck::Never,
            parallelism: if death == Death::Never { 8 } else { 1 },
            journal: None,
        };
        apply.run().await.unwrap()
    }

    /// Plans and applies; everything must be done.
    pub async fn converge(&self, world: &World, objects: &[Object]) -> Plan {
        let plan = self.plan(world, objects, &Self::options()).await;
        let outcome = self.apply(world, &plan, Death::Never).await;
        super::harness::assert_done(&outcome);
        assert_eq!(outcome.calls.actual, outcome.calls.predicted);
        plan
    }

    pub async fn assert_unchanged(&self, world: &World, objects: &[Object]) {
        let plan = self.plan(world, objects, &Self::options()).await;
        assert_eq!(plan.errors, vec![]);
        assert_eq!(plan.changes, vec![]);
    }

    pub async fn entries(&self) -> Entries {
        self.record.read().await.unwrap().entries
    }
}

/// A record whose runner dies at a write: nothing after that reaches the server or the record.
struct Dying {
    held: Box<dyn HeldRecord>,
    gate: Arc<DyingGate>,
}

struct DyingGate {
    inner: Arc<dyn WriteGate>,
    death: Death,
    writes: AtomicU64,
    dead: Mutex<bool>,
}

impl Dying {
    fn new(held: Box<dyn HeldRecord>, death: Death) -> Self {
        let inner = held.gate();
        let gate = DyingGate { inner, death, writes: AtomicU64::new(0), dead: Mutex::new(false) };
        Dying { held, gate: Arc::new(gate) }
    }

    fn is_dead(&self) -> bool {
        *self.gate.dead.lock().unwrap()
    }
}

impl WriteGate for DyingGate {
    fn permit(&self, longest: Duration) -> Result<(), String> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let mut dead = self.dead.lock().unwrap();
        let refused = *dead || self.death == Death::Before(number);
        *dead |= refused || self.death == Death::After(number);
        if refused { Err("the runner is dead".to_owned()) } else { self.inner.permit(longest) }
    }
}

impl HeldRecord for Dying {
    fn loaded(&self) -> &Loaded {
        self.held.loaded()
    }

    fn gate(&self) -> Arc<dyn WriteGate> {
        self.gate.clone()
    }

    fn intend(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Vec<Claim>, RecordError>> {
        self.held.intend(entries)
    }

    fn update(&self, update: RecordUpdate) {
        if !self.is_dead() {
            self.held.update(update);
        }
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), RecordError>> {
        self.held.flush()
    }

    fn entries(&self) -> Entries {
        self.held.entries()
    }

    fn lost(&self) -> BoxFuture<'_, RecordError> {
        self.held.lost()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordError>> {
        self.held.close()
    }
}
