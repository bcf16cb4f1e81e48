//! Compares each object as soon as it has been read, and keeps the verdict instead of the object.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::model::{Address, Kind};
use crate::reconcile::{
    Action, Claim, Entry, FieldSet, Key, ObjectRef, Observed, PlanContext, Planned, Problem, Reason,
    RecordUpdate, SecretComparison, Verdict, claimed_when_found, plan_object, prune_object,
};

use super::keys::{RunnerKeys, SecretOf};

use super::observe::{Found, Observation, Sink, Standing, Subject};
use super::progress::Progress;

/// What is known before anything is read.
pub struct Known<'a> {
    pub subjects: &'a [Subject],
    pub context: &'a PlanContext,
    /// Whether there is a record. Without one every live object under its own id is ours, with no written fields.
    pub recorded: bool,
    /// Why what is no longer declared goes: pruned, or destroyed with everything else.
    pub reason: Reason,
    pub claims: &'a HashMap<Key, Claim>,
    /// How enforced secrets compare, by subject and field.
    pub enforced: &'a HashMap<usize, BTreeMap<String, SecretComparison>>,
    /// Declared values of compared secrets, by subject and field.
    pub compared: &'a HashMap<(usize, String), SecretString>,
    /// Declared values of enforced secrets that the record knows nothing of, by subject and field.
    pub baselines: &'a HashMap<(usize, String), SecretString>,
    pub keys: Option<&'a RunnerKeys>,
    pub progress: &'a dyn Progress,
}

/// How many live objects were found to be ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub own: u64,
    pub own_users: u64,
    /// Under ids that only this owner derives, and not held by the record.
    pub derived: Vec<Address>,
}

/// What comparing one subject came to.
#[derive(Debug, Default)]
pub struct Compared {
    planned: Option<Planned>,
    /// Where it stands for what refers to it.
    standing: Option<Standing>,
    /// Of a live object that is ours: its kind.
    ours: Option<Kind>,
    /// It lives under an id that only this owner derives, and the record does not hold it.
    derived: Option<Address>,
    left_over: Option<Planned>,
    /// Found by name and not held by the record: who claims it is still to be asked.
    found_by_name: bool,
}

/// Verdicts so far.
pub struct Comparer<'a> {
    known: Known<'a>,
    standing: HashMap<Address, Standing>,
    planned: Vec<Option<Planned>>,
    /// Of keys that an object had before, when that was found out late.
    left_over: Vec<Planned>,
    counts: Counts,
    /// What was found by name and is not held by the record, with the place of its verdict.
    found_by_name: HashMap<Key, usize>,
    /// The sets of written fields, and the paths of changed ones, so far: thousands of objects have the same few.
    field_sets: HashSet<FieldSet>,
    paths: HashSet<Arc<str>>,
    done: u64,
}

impl<'a> Comparer<'a> {
    pub fn new(known: Known<'a>) -> Self {
        let planned = known.subjects.iter().map(|_| None).collect();
        Comparer {
            known,
            standing: HashMap::new(),
            planned,
            left_over: Vec::new(),
            counts: Counts::default(),
            found_by_name: HashMap::new(),
            field_sets: HashSet::new(),
            paths: HashSet::new(),
            done: 0,
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Live objects that were found by name: who claims them could not be asked before.
    pub fn found_by_name(&self) -> BTreeSet<Key> {
        self.found_by_name.keys().cloned().collect()
    }

    /// Takes in what other owners claim of them.
    pub fn take_claims(&mut self, claims: &[Claim]) {
        for claim in claims {
            let Some(index) = self.found_by_name.get(&claim.key) else { continue };
            let declared = self.known.subjects.get(*index).and_then(|subject| subject.declared.as_ref());
            let planned = self.planned.get_mut(*index).and_then(Option::as_mut);
            if let (Some(planned), Some(declared)) = (planned, declared) {
                claimed_when_found(planned, &declared.place, claim, self.known.context);
            }
        }
    }

    /// What an adopted object's enforced secrets are is not known; the declared ones are taken for them, so that a
    /// later change of the declaration is seen.
    fn remember_baselines(&self, index: usize, planned: &mut Planned) {
        let (Some(keys), Verdict::Change(change)) = (self.known.keys, &mut planned.verdict) else { return };
        if change.action != Action::Adopt {
            return;
        }
        let kind = change.kind();
        let RecordUpdate::Put { entry, .. } = &mut change.record else { return };
        let key = entry.key.clone();
        for (field, sent) in entry.secrets.iter_mut().filter(|(_, sent)| sent.fingerprint.is_none()) {
            let slots = change.calls.iter().flat_map(|call| &call.secrets);
            let is_sent =
                slots.into_iter().any(|slot| slot.pointer.rsplit('/').next() == Some(field.as_str()));
            let value = self.known.baselines.get(&(index, field.clone())).filter(|_| !is_sent);
            let of = SecretOf { kind, key: &key, field };
            sent.fingerprint = value.and_then(|value| keys.fingerprint(of, value.expose_secret().as_bytes()));
        }
    }

    /// The verdicts on what the run is about, in the order of the subjects. What it only refers to must be there.
    pub fn into_planned(self) -> Vec<Planned> {
        let context: HashSet<&Address> = self
            .known
            .subjects
            .iter()
            .filter(|subject| subject.context)
            .filter_map(|subject| subject.declared.as_ref().map(|declared| &declared.address))
            .collect();
        let is_missing = |address: &&Address| {
            context.contains(address) && !self.standing.get(*address).is_some_and(|standing| standing.live)
        };
        let mut planned = self.left_over;
        planned.reserve(self.planned.len());
        for (index, verdict) in self.planned.into_iter().enumerate() {
            let Some(mut verdict) = verdict else { continue };
            if self.known.subjects.get(index).is_none_or(|subject| subject.context) {
                continue;
            }
            if let Some(address) = verdict.references.iter().find(is_missing) {
                verdict.errors.push(outside(&verdict.address, address));
                verdict.verdict = Verdict::Failed;
            }
            planned.push(verdict);
        }
        planned
    }

    fn compared(&self, index: usize, found: &Found) -> Option<Compared> {
        let subject = self.known.subjects.get(index)?;
        let mut compared = Compared::default();
        let Some(declared) = &subject.declared else {
            let entry = subject.entry.as_ref()?;
            compared.ours = found.live.is_some().then_some(entry.address.kind);
            let planned = prune_object(entry, found.live.as_ref(), self.known.reason, self.known.context);
            return Some(Compared { planned: Some(planned), ..compared });
        };
        let desired = match declared.take()? {
            Ok(desired) => desired,
            Err(problem) => {
                let blocked =
                    self.blocked(index).map(|planned| Planned { errors: vec![*problem], ..planned });
                return Some(Compared { planned: blocked, ..compared });
            }
        };
        let assumed = match &found.live {
            Some(live) if !self.known.recorded && !found.by_natural_key => {
                let deletion = desired.policy.deletion(desired.address.kind);
                Some(Entry::assumed(desired.address.clone(), live, deletion))
            }
            _ => None,
        };
        let entity_type = match &desired.entity_type {
            Some(reference) => Some(self.standing(reference)?.id),
            None => None,
        };
        if found.live.is_some() {
            let held = subject.entry.is_some() || assumed.is_some();
            compared.ours = held.then_some(desired.address.kind);
            let derived = !desired.explicit_id && super::declarations::has_id(desired.address.kind);
            if !held && derived && !found.by_natural_key {
                compared.derived = Some(desired.address.clone());
            }
        }
        let intended = subject
            .intended
            .as_deref()
            .filter(|intended| found.live.as_ref().is_some_and(|live| live.key == intended.key));
        if let (Some(_), Some(former)) = (intended, &subject.entry) {
            // The change of key was carried out; what stood under the old one is let go or still to be deleted.
            let live = found.previous.as_ref();
            compared.left_over = Some(prune_object(former, live, self.known.reason, self.known.context));
        }
        let observed = Observed {
            key: found.key.clone(),
            live: found.live.as_ref(),
            previous: found.previous.as_ref().filter(|_| intended.is_none()),
            entry: intended.or(subject.entry.as_deref()).or(assumed.as_ref()),
            // Of what is not there as well: its owner makes it anew, and the record would refuse ours.
            claim: self.known.claims.get(found.live.as_ref().map_or(&found.key, |live| &live.key)),
            entity_type,
            secrets: self.known.enforced.get(&index).cloned().unwrap_or_default(),
        };
        let mut planned = plan_object(&desired, &observed, self.known.context);
        self.remember_baselines(index, &mut planned);
        compared.found_by_name = found.by_natural_key && subject.entry.is_none() && !subject.context;
        if !self.known.recorded && matches!(planned.verdict, Verdict::Record(_)) {
            // Nobody keeps it.
            planned.verdict = Verdict::Unchanged;
        }
        Some(Compared { planned: Some(planned), ..compared })
    }

    /// Of equal paths, and of equal sets of written fields, one is kept.
    fn share_paths(&mut self, planned: &mut Planned) {
        let Verdict::Change(change) = &mut planned.verdict else { return };
        for field in &mut change.fields {
            share(&mut field.path, &mut self.paths);
        }
        if let RecordUpdate::Put { entry, .. } = &mut change.record {
            share(&mut entry.written, &mut self.field_sets);
        }
    }

    /// What the object refers to failed; its own error says so.
    fn blocked(&self, index: usize) -> Option<Planned> {
        let subject = self.known.subjects.get(index)?;
        let address = match (&subject.declared, &subject.entry) {
            (Some(declared), _) => declared.address.clone(),
            (None, Some(entry)) => entry.address.clone(),
            (None, None) => return None,
        };
        let recorded = subject.entry.as_ref().map(|entry| entry.key.clone());
        let own = subject.declared.as_ref().and_then(|declared| declared.id().map(Key::Id));
        // Of a pair that cannot be named; nothing else has this id.
        let none = || Key::Id(Uuid::new_v5(&Uuid::nil(), address.to_string().as_bytes()));
        let mut planned = Planned::new(address.clone(), own.or(recorded).unwrap_or_else(none));
        planned.verdict = Verdict::Failed;
        Some(planned)
    }
}

impl Sink for Comparer<'_> {
    type Verdict = Compared;

    fn compare(&self, index: usize, observation: Observation) -> Compared {
        match observation {
            Observation::Found(found) => {
                let compared = self
                    .compared(index, &found)
                    .unwrap_or_else(|| Compared { planned: self.blocked(index), ..Compared::default() });
                let standing = compared.planned.as_ref().and_then(|planned| standing_of(planned, &found));
                Compared { standing, ..compared }
            }
            Observation::Failed(errors) => {
                let planned = self.blocked(index).map(|planned| Planned { errors, ..planned });
                Compared { planned, ..Compared::default() }
            }
        }
    }

    fn keep(&mut self, index: usize, mut verdict: Compared) {
        if let Some(planned) = &mut verdict.planned {
            self.share_paths(planned);
        }
        if let (Some(standing), Some(planned)) = (verdict.standing, &verdict.planned) {
            self.standing.insert(planned.address.clone(), standing);
        }
        if let (true, Some(planned)) = (verdict.found_by_name, &verdict.planned) {
            self.found_by_name.insert(planned.key.clone(), index);
        }
        self.counts.own += u64::from(verdict.ours.is_some());
        self.counts.own_users += u64::from(verdict.ours == Some(Kind::User));
        self.counts.derived.extend(verdict.derived);
        self.left_over.extend(verdict.left_over);
        if let Some(place) = self.planned.get_mut(index) {
            *place = verdict.planned;
        }
        self.done += 1;
        self.known.progress.observed(self.done, self.known.subjects.len() as u64);
    }

    fn standing(&self, reference: &ObjectRef) -> Option<Standing> {
        match reference {
            // References by id were looked up before.
            ObjectRef::Id(id) => Some(Standing { id: *id, live: true }),
            ObjectRef::Declared(address) => self.standing.get(address).copied(),
        }
    }

    fn secret(&self, index: usize, field: &str) -> Option<SecretString> {
        self.known.compared.get(&(index, field.to_owned())).cloned()
    }
}

/// Puts the known one in the place of an equal value.
fn share<T: ?Sized + Eq + Hash>(value: &mut Arc<T>, known: &mut HashSet<Arc<T>>) {
    match known.get(value) {
        Some(known) => *value = known.clone(),
        None => {
            known.insert(value.clone());
        }
    }
}

/// Where the object stands for what refers to it: a failed one has its own error and must not make more.
fn standing_of(planned: &Planned, found: &Found) -> Option<Standing> {
    let id = planned.key.id()?;
    let is_created = planned.change().is_some_and(|change| change.action == Action::Create);
    Some(Standing { id, live: found.live.is_some() && !is_created })
}

fn outside(address: &Address, reference: &Address) -> Problem {
    let message = format!("{address} refers to {reference}, which does not exist yet and is not in this run");
    let hint = format!("add --target {reference}, or leave the selection out");
    Problem::error("reference-outside-selection", message, hint).of(address)
}
