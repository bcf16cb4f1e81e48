//! Objects' turns, planned and applied together. Each answer is that object's own: what is wrong with one of them stops
//! that one and what depends on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;

use crate::engine::apply::{Apply, Recheck, load_secrets};
use crate::engine::error::Error;
use crate::engine::plan::{self, PlanOptions, Sources};
use crate::engine::progress::Silent;
use crate::engine::record::{Entries, HeldRecord, Loaded, Scopes};
use crate::engine::references;
use crate::engine::select::Selection;
use crate::fusionauth;
use crate::manifest::Object;
use crate::model::{Address, ApprovalMode, Deletion, Drift, Guards, Kind, NonNull, NumberOrPercent, Policy};
use crate::reconcile::{Change as Planned, Limits, Plan, RecordUpdate, losses};

use super::answer::{told, without_answer};
use super::connect::{Connected, not_connected};
use super::ledger::Runner;
use super::settle::{is_drift, is_to_blame, paths, refused};
use super::task::Task;
use super::{Answer, Item, Wanted, Work};

/// How often a plan is made again because the record moved while it was made.
const ATTEMPTS: usize = 3;
/// Writes of one batch under way at once; the client's own limit adapts below it.
const PARALLELISM: usize = 16;

/// The engine's plan, boxed: the compiler cannot show of so deep a future that it may move between threads.
pub fn plan<'a>(
    sources: Sources<'a>,
    objects: Vec<Object>,
    options: &'a PlanOptions,
) -> BoxFuture<'a, Result<Plan, Error>> {
    Box::pin(plan::plan(sources, objects, options))
}

/// The turns of a batch, and the answers as they become known.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) wanted: BTreeMap<Address, Box<Wanted>>,
    pub(super) deleted: BTreeMap<Address, Policy>,
    answers: HashMap<Address, Answer>,
}

impl Batch {
    pub(super) fn answer(&mut self, address: &Address, answer: Answer) {
        self.wanted.remove(address);
        self.deleted.remove(address);
        self.answers.insert(address.clone(), answer);
    }

    fn is_settled(&self) -> bool {
        self.wanted.is_empty() && self.deleted.is_empty()
    }

    pub(super) fn open(&self) -> BTreeSet<Address> {
        self.wanted.keys().chain(self.deleted.keys()).cloned().collect()
    }
}

impl Task {
    /// What becomes of each item. An item without an answer could not be served: the instance cannot be used.
    pub(super) async fn batch(&mut self, items: Vec<Item>) -> HashMap<Address, Answer> {
        let mut batch = Batch::default();
        for Item { address, work } in items {
            match work {
                Work::Apply(wanted) => drop(batch.wanted.insert(address, wanted)),
                Work::Delete { policy } => drop(batch.deleted.insert(address, policy)),
            }
        }
        self.stop_stalled(&mut batch);
        self.judge_former(&mut batch);
        self.judge_deletions(&mut batch);
        self.judge_dependencies(&mut batch);
        if let Err(error) = self.serve(&mut batch).await {
            self.lost(not_connected(&error));
        }
        batch.answers
    }

    /// Kinds for which the key lacks a permission are not tried, object by object, until the next tick.
    fn stop_stalled(&self, batch: &mut Batch) {
        for address in batch.open() {
            if let Some(message) = self.stalled_kinds.get(&address.kind) {
                batch.answer(
                    &address,
                    Answer::Refused { reason: "KeyLacksPermission", message: message.clone() },
                );
            }
        }
    }

    /// The names under which known objects stood before, with the objects.
    pub(super) fn former(&self) -> BTreeMap<Address, Address> {
        let moved = self.known.values().filter_map(|object| Some((object.moved_from.clone()?, object)));
        moved.map(|(former, object)| (former, object.address.clone())).collect()
    }

    /// An object that was renamed and is there under its former name still, as between an apply and a pruning: the new one
    /// goes on, and the former one waits for its end.
    fn judge_former(&self, batch: &mut Batch) {
        for (former, address) in self.former() {
            if batch.wanted.contains_key(&former) {
                let message = format!("{address} was moved from it and keeps what is live; delete this one");
                batch.answer(&former, Answer::Refused { reason: "DeclaredTwice", message });
            }
        }
    }

    /// What the guard holds, what is protected, and what cannot be told from a forged record waits.
    fn judge_deletions(&mut self, batch: &mut Batch) {
        if batch.deleted.is_empty() {
            return;
        }
        let signed = self.connected.as_ref().is_some_and(|connected| connected.runner_keys.is_some());
        let none = Entries::default();
        let entries = self.ledger.as_ref().map_or(&none, |ledger| &ledger.loaded().entries);
        let mut asked = Vec::new();
        for (address, policy) in batch.deleted.clone() {
            let recorded = entries.by_address(&address).is_some();
            if !recorded {
                self.deletions.done(&address, Instant::now(), false);
                batch.answer(&address, Answer::Gone { changed: false });
            } else if policy.deletion(address.kind) == Deletion::Orphan {
                // Nothing is deleted, so nothing is to be guarded.
            } else if policy.protected() {
                let message = "policy.protect keeps it; take that away, or set policy.deletion to Orphan";
                batch.answer(&address, Answer::Held { message: message.to_owned() });
            } else if !signed {
                let message = "without a runnerKey the record is not signed, and nothing is deleted by it; give the \
                               instance one, or set policy.deletion to Orphan";
                batch.answer(&address, Answer::Held { message: message.to_owned() });
            } else {
                asked.push((address, 1));
            }
        }
        self.permit(batch, asked);
    }

    /// Asks the guard; what it holds is answered.
    fn permit(&mut self, batch: &mut Batch, asked: Vec<(Address, u64)>) {
        if asked.is_empty() {
            return;
        }
        let known = self.objects(asked.iter().map(|(address, _)| address));
        let limit = self.declared.spec.guards.max_deletes.0;
        let permitted = self.deletions.permit(&asked, known, limit, Instant::now());
        for (address, _) in asked.iter().filter(|(address, _)| !permitted.contains(address)) {
            let message = format!(
                "{} deletions within an hour are more than the instance's guard lets pass; annotate the instance with \
                 fusionkeep.dev/allow-deletes: \"N\" to let N of them go on",
                self.deletions.pending()
            );
            batch.answer(address, Answer::Held { message });
        }
    }

    /// How many objects use the instance, those that go included.
    pub(super) fn objects<'a>(&'a self, asked: impl Iterator<Item = &'a Address>) -> u64 {
        let going =
            self.deletions.waiting().chain(asked).filter(|address| !self.known.contains_key(*address));
        (self.known.len() + going.collect::<BTreeSet<_>>().len()) as u64
    }

    /// What a declaration takes away (a tombstone, a registration or a permission that it no longer has) counts like an
    /// object that is deleted.
    fn judge_losses(&mut self, batch: &mut Batch, plan: &mut Plan) {
        let of_wanted = plan.changes.iter().filter(|change| batch.wanted.contains_key(&change.address));
        let losses: BTreeMap<Address, u64> = of_wanted
            .map(|change| (change.address.clone(), losses(change)))
            .filter(|(_, count)| *count > 0)
            .collect();
        for address in batch.wanted.keys().filter(|address| !losses.contains_key(*address)) {
            self.deletions.forget(address);
        }
        self.permit(batch, losses.into_iter().collect());
        drop_answered(batch, plan);
    }

    /// What an object refers to must stand in the record already, or be of the same batch.
    fn judge_dependencies(&self, batch: &mut Batch) {
        let none = Entries::default();
        let entries = self.ledger.as_ref().map_or(&none, |ledger| &ledger.loaded().entries);
        let stands = |address: &Address| entries.by_address(address).is_some_and(|entry| !entry.intent);
        loop {
            let missing = batch.wanted.iter().find_map(|(address, wanted)| {
                let on: Vec<Address> = references::declared(&wanted.object)
                    .into_iter()
                    .filter(|on| !batch.wanted.contains_key(on))
                    .filter(|on| batch.deleted.contains_key(on) || !stands(on))
                    .collect();
                (!on.is_empty()).then(|| (address.clone(), on))
            });
            let Some((address, on)) = missing else { return };
            let names: Vec<String> = on.iter().map(Address::to_string).collect();
            let message = format!("waits for {}", names.join(", "));
            batch.answer(&address, Answer::Dependency { on, message });
        }
    }

    /// Plans and applies what is left. Errors are the instance's.
    async fn serve(&mut self, batch: &mut Batch) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            if batch.is_settled() {
                return Ok(());
            }
            let Some(planned) = self.plan_batch(batch).await? else { continue };
            let mut plan = planned;
            self.sort_out(batch, &mut plan);
            self.judge_losses(batch, &mut plan);
            if plan.changes.is_empty() && plan.records.is_empty() && !self.lets_go(batch) {
                self.settle_unchanged(batch);
                return Ok(());
            }
            if self.hold(batch, &plan).await? {
                // Another run has written since: what was planned may not be so any more.
                continue;
            }
            self.let_go_of(batch).await?;
            return self.apply(batch, plan).await;
        }
        for address in batch.open() {
            let message = "the record changes faster than can be planned".to_owned();
            batch.answer(&address, Answer::Failed { message });
        }
        Ok(())
    }

    /// The plan of what is left. None: a kind was stopped, and the rest is to be planned anew.
    async fn plan_batch(&mut self, batch: &mut Batch) -> Result<Option<Plan>, Error> {
        match self.plan_of(batch, &batch.open()).await {
            Ok(plan) => Ok(Some(plan)),
            Err(Error::Api(error)) if error.is_unauthorized() => {
                self.find_stalled(batch, &error).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The plan of these objects of the batch.
    async fn plan_of(&self, batch: &Batch, addresses: &BTreeSet<Address>) -> Result<Plan, Error> {
        let (Some(connected), Some(ledger)) = (&self.connected, &self.ledger) else {
            return Err(Error::NoTenant);
        };
        let is_let_go =
            |address: &Address| batch.deleted.get(address).is_some_and(|policy| orphans(policy, address));
        let targets: BTreeSet<Address> =
            addresses.iter().filter(|address| !is_let_go(address)).cloned().collect();
        // With nothing selected everything would be: an empty selection must not reach the engine.
        if targets.is_empty() {
            return Ok(Plan::empty(connected.session.target().clone(), connected.session.owner().clone()));
        }
        let mut objects: BTreeMap<&Address, &Arc<Object>> = BTreeMap::new();
        for wanted in batch.wanted.values().filter(|wanted| addresses.contains(&wanted.object.address)) {
            for object in wanted.references.iter().chain([&wanted.object]) {
                objects.insert(&object.address, object);
            }
        }
        // What goes is no longer declared, whoever refers to it.
        objects.retain(|address, _| !batch.deleted.contains_key(*address));
        let objects: Vec<Object> = objects.into_values().map(|object| (**object).clone()).collect();
        if batch.deleted.is_empty() {
            return plan(self.sources(connected, ledger.loaded()), objects, &self.plan_options(targets))
                .await;
        }
        let mut loaded = ledger.loaded().clone();
        batch.deleted.iter().for_each(|(address, policy)| redirect(&mut loaded.entries, address, policy));
        plan(self.sources(connected, &loaded), objects, &self.plan_options(targets)).await
    }

    pub(super) fn sources<'a>(&'a self, connected: &'a Connected, loaded: &'a Loaded) -> Sources<'a> {
        Sources {
            session: &connected.session,
            record: Some((loaded, &connected.record)),
            keys: connected.runner_keys.as_deref(),
            secrets: &self.environment.secrets,
            progress: &Silent,
        }
    }

    /// `targets` must not be empty: that would select everything.
    pub(super) fn plan_options(&self, targets: BTreeSet<Address>) -> PlanOptions {
        let guards = &self.declared.spec.guards;
        let unlimited = NumberOrPercent::Number(u64::MAX);
        let limits = Limits {
            // Deletions are guarded over time, not by what happens to be planned together.
            max_deletes: Some(unlimited),
            max_changed_users: Some(guards.max_changed_users.0.unwrap_or(unlimited)),
            allow_hard_delete: guards.allow_hard_delete.0.unwrap_or_default(),
            allow_admin_roles: guards.allow_admin_roles.0.unwrap_or_default(),
            allow_foreign_entities: false,
            allow_entities_elsewhere: true,
            instance: Guards {
                max_deletes: NonNull(None),
                max_changed_users: NonNull(None),
                ..guards.clone()
            },
        };
        let selection = Selection { targets, labels: None };
        PlanOptions { selection, prune: true, limits, presume_absent: true, ..PlanOptions::default() }
    }

    /// A 401: of the key as a whole, which is the instance's, or of one kind's routes.
    async fn find_stalled(&mut self, batch: &mut Batch, error: &fusionauth::Error) -> Result<(), Error> {
        if !self.key_is_accepted().await {
            return Err(Error::Api(error.clone()));
        }
        let kinds: BTreeSet<Kind> = batch.open().iter().map(|address| address.kind).collect();
        for kind in &kinds {
            let of_kind: BTreeSet<Address> =
                batch.open().into_iter().filter(|address| address.kind == *kind).collect();
            let refused = match kinds.len() {
                1 => Some(error.clone()),
                _ => match self.plan_of(batch, &of_kind).await {
                    Err(Error::Api(error)) if error.is_unauthorized() => Some(error),
                    Err(error) => return Err(error),
                    Ok(_) => None,
                },
            };
            if let Some(error) = refused {
                self.stalled_kinds.insert(*kind, not_permitted(&error));
            }
        }
        self.stop_stalled(batch);
        Ok(())
    }

    async fn key_is_accepted(&self) -> bool {
        let Some(connected) = &self.connected else { return false };
        let keys = connected.keys.clone();
        self.environment.connect(&self.key, &self.declared.spec, keys).await.is_ok()
    }

    /// Answers what cannot be done or is to wait, and takes it out of the plan with all that depends on it.
    fn sort_out(&self, batch: &mut Batch, plan: &mut Plan) {
        for problem in std::mem::take(&mut plan.errors) {
            match problem.address.clone() {
                Some(address) => batch.answer(&address, refused(&problem)),
                None => {
                    let to_blame = plan.changes.iter().filter(|change| is_to_blame(change, &problem));
                    let addresses: Vec<Address> = to_blame.map(|change| change.address.clone()).collect();
                    addresses.iter().for_each(|address| batch.answer(address, refused(&problem)));
                }
            }
        }
        for withheld in std::mem::take(&mut plan.withheld) {
            let is_changed = plan.changes.iter().any(|change| change.address == withheld.address);
            if !is_changed && !batch.answers.contains_key(&withheld.address) {
                let answer = Answer::Refused { reason: "Withheld", message: withheld.why };
                batch.answer(&withheld.address, answer);
            }
        }
        for change in &plan.changes {
            if let Some(answer) = self.waits(batch, plan, change) {
                batch.answer(&change.address, answer);
            }
        }
        drop_answered(batch, plan);
    }

    /// Why a change is not made now.
    fn waits(&self, batch: &Batch, plan: &Plan, change: &Planned) -> Option<Answer> {
        let wanted = batch.wanted.get(&change.address)?;
        let entries = self.ledger.as_ref().map(|ledger| &ledger.loaded().entries)?;
        let former = wanted.object.moved_from.as_ref();
        if let Some(held) = entries.by_key(&change.key)
            && held.address != change.address
            && Some(&held.address) != former
        {
            let message =
                format!("the live object is declared by {} already; the first one holds", held.address);
            return Some(Answer::Refused { reason: "DeclaredTwice", message });
        }
        let policy = wanted.object.spec.policy();
        let id = change.key.id().map(|id| id.to_string());
        if is_drift(wanted, change) && policy.drift.0 == Some(Drift::Report) {
            return Some(Answer::Drifted { id, paths: paths(&change.fields) });
        }
        let manual = |mode: NonNull<ApprovalMode>| mode.0 == Some(ApprovalMode::Manual);
        if manual(self.declared.spec.guards.approval) || manual(policy.approval) {
            let (hash, diff) = super::super::approval::of(plan, change);
            if !wanted.approved.contains(&hash) {
                return Some(Answer::AwaitsApproval { id, hash, diff });
            }
        }
        None
    }

    /// Takes the lock. Whether the record moved, so that the plan is to be made anew.
    async fn hold(&mut self, batch: &mut Batch, plan: &Plan) -> Result<bool, Error> {
        let (Some(connected), Some(ledger)) = (&self.connected, &mut self.ledger) else { return Ok(false) };
        let recorded = plan.records.iter().map(|update| match update {
            RecordUpdate::Put { entry, .. } => entry.address.clone(),
            RecordUpdate::Remove(key) => {
                let entry = ledger.loaded().entries.by_key(key);
                entry.map_or_else(|| Address::new(Kind::User, "", ""), |entry| entry.address.clone())
            }
        });
        let changed = plan.changes.iter().map(|change| change.address.clone());
        let going = batch.deleted.keys().cloned();
        let addresses: Vec<Address> = recorded.chain(changed).chain(going).collect();
        let scopes = Scopes::of(&addresses);
        let environment = &self.environment;
        let runner =
            Runner { id: &environment.cluster, host: &environment.process, elected: environment.elected };
        let take_over = self.declared.take_over;
        let held = ledger.hold(&connected.record, scopes, take_over, &runner, &environment.leadership).await;
        match held {
            Ok(moved) => Ok(moved),
            Err(error @ crate::engine::record::RecordError::Locked(_)) => {
                // What needs no write is answered by the plan that is made without them.
                for address in &addresses {
                    batch.answer(address, Answer::Failed { message: error.to_string() });
                }
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn lets_go(&self, batch: &Batch) -> bool {
        batch.deleted.iter().any(|(address, policy)| orphans(policy, address))
    }

    /// `Orphan`: the record lets go, the live object stays as it is.
    async fn let_go_of(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let orphaned: Vec<Address> = batch
            .deleted
            .iter()
            .filter(|(address, policy)| orphans(policy, address))
            .map(|(address, _)| address.clone())
            .collect();
        let Some(ledger) = self.ledger.as_mut().filter(|_| !orphaned.is_empty()) else { return Ok(()) };
        let keys: Vec<_> = orphaned
            .iter()
            .flat_map(|address| ledger.loaded().entries.at(address).map(|entry| entry.key.clone()))
            .collect();
        if let Some(held) = ledger.held() {
            keys.into_iter().for_each(|key| held.update(RecordUpdate::Remove(key)));
            held.flush().await?;
        }
        ledger.settle(self.connected.as_ref().is_some_and(|connected| connected.runner_keys.is_some()));
        for address in orphaned {
            self.deletions.done(&address, Instant::now(), false);
            batch.answer(&address, Answer::Gone { changed: false });
        }
        Ok(())
    }

    /// Carries out what is left of the plan.
    async fn apply(&mut self, batch: &mut Batch, mut plan: Plan) -> Result<(), Error> {
        let (Some(connected), Some(ledger)) = (&self.connected, &mut self.ledger) else { return Ok(()) };
        let secrets = loop {
            match load_secrets(&plan, &self.environment.secrets).await {
                Ok(secrets) => break secrets,
                Err(problems) => {
                    for problem in problems {
                        if let Some(address) = &problem.address {
                            batch.answer(address, Answer::Failed { message: told(&problem) });
                        }
                    }
                    drop_answered(batch, &mut plan);
                }
            }
        };
        let apply = Apply {
            plan: &plan,
            session: &connected.session,
            secrets: &secrets,
            record: ledger.held().map(|held| held as &dyn HeldRecord),
            keys: connected.runner_keys.as_deref(),
            progress: &Silent,
            cancel: &self.cancel,
            recheck: Recheck::Never,
            journal: None,
            parallelism: PARALLELISM,
        };
        let outcome = apply.run().await;
        ledger.settle(connected.runner_keys.is_some());
        self.settle(batch, &plan, &outcome?);
        self.settle_unchanged(batch);
        Ok(())
    }
}

/// Takes the changes of answered objects out of the plan, and those that depend on them.
fn drop_answered(batch: &mut Batch, plan: &mut Plan) {
    loop {
        plan.changes.retain(|change| !batch.answers.contains_key(&change.address));
        let blocked = plan.changes.iter().find_map(|change| {
            let on: Vec<Address> =
                change.depends_on.iter().filter(|on| waits_itself(batch.answers.get(*on))).cloned().collect();
            (!on.is_empty()).then(|| (change.address.clone(), on))
        });
        let Some((address, on)) = blocked else { break };
        let names: Vec<String> = on.iter().map(Address::to_string).collect();
        let message = format!("waits for {}", names.join(", "));
        batch.answer(&address, Answer::Dependency { on, message });
    }
    let answers = &batch.answers;
    plan.records.retain(|update| match update {
        RecordUpdate::Put { entry, .. } => !answers.contains_key(&entry.address),
        RecordUpdate::Remove(_) => true,
    });
}

/// Whether what depends on an object with this answer cannot go on.
fn waits_itself(answer: Option<&Answer>) -> bool {
    answer.is_some_and(|answer| {
        !matches!(
            answer,
            Answer::Unchanged { .. } | Answer::Changed(_) | Answer::Drifted { .. } | Answer::Gone { .. }
        )
    })
}

/// The record says what the last declaration that was reconciled said; what the object says now is what counts.
fn redirect(entries: &mut Entries, address: &Address, policy: &Policy) {
    let found: Vec<_> = entries.at(address).cloned().collect();
    for entry in found {
        let mut entry = Arc::unwrap_or_clone(entry);
        entry.deletion = policy.deletion(address.kind);
        entry.protected = policy.protects(entry.protected);
        entries.put(entry);
    }
}

fn orphans(policy: &Policy, address: &Address) -> bool {
    policy.deletion(address.kind) == Deletion::Orphan
}

/// What a key may not do, in our words.
pub fn not_permitted(error: &fusionauth::Error) -> String {
    let said = error.to_string();
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{}{hint}", without_answer(&said))
}
