//! The inverse of a run, planned from what it did and what stood there before; and what of it cannot be undone.
//!
//! Only what still stands as the run left it is undone: what others changed since is theirs, and said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use crate::model::{Address, Deletion, Fields, Kind, Place, Sensitivity, Write, row};

use super::calls::{self, Making};
use super::diff::mark;
use super::difference::{Difference, for_create, for_update, insert};
use super::fingerprint::{fingerprint, met, writable};
use super::path::FieldPath;
use super::{
    Action, Change, Desired, Entry, FieldChange, Key, KeyReference, Live, ObjectRef, Observed, PlanContext,
    Planned, Problem, Reason, Recipient, RecipientReference, RecordUpdate, Risk, Shown, Unique, Verdict,
    change, removal, unique,
};

/// One change of a run, and what is known of its object.
#[derive(Clone, Copy, Debug)]
pub struct Undoing<'a> {
    /// The change as it was made.
    pub change: &'a Change,
    /// What stood there before it; of a change of key, what stood under the old key.
    pub before: Option<&'a Live>,
    /// What the record held before it.
    pub held: Option<&'a Entry>,
    /// What the record holds under the change's key now.
    pub recorded: Option<&'a Entry>,
    /// What stands under the change's key now.
    pub live: Option<&'a Live>,
    /// Of a change of key: what stands under the old key now.
    pub live_under_old_key: Option<&'a Live>,
    /// And what the record holds under it: an undoing that did not come to its end intends it.
    pub recorded_under_old_key: Option<&'a Entry>,
}

/// Plans the inverse of a run's changes, for [`super::assemble`]. What cannot be undone, and why, stands in the
/// warnings, with the code `cannot-undo`.
pub fn undo(changes: &[Undoing<'_>], context: &PlanContext) -> Vec<Planned> {
    let mut planned: Vec<Planned> = changes.iter().map(|undoing| undoing.plan(context)).collect();
    // What is created anew stands before what hangs on it.
    let made: BTreeMap<(Kind, Uuid), Address> = planned
        .iter()
        .filter(|planned| planned.change().is_some_and(|change| change.action == Action::Create))
        .filter_map(|planned| Some(((planned.address.kind, planned.key.id()?), planned.address.clone())))
        .collect();
    // Of which type an entity is need not be known here: a grant waits for the permissions of all.
    let types: Vec<Address> = planned
        .iter()
        .filter(|planned| planned.address.kind == Kind::EntityType)
        .filter(|planned| planned.change().is_some_and(|change| change.action != Action::Delete))
        .map(|planned| planned.address.clone())
        .collect();
    for planned in &mut planned {
        let creates = planned.change().is_some_and(|change| change.action != Action::Delete);
        if creates {
            let on = planned.uses.iter().filter_map(|used| made.get(used));
            let of_types = types.iter().filter(|_| planned.address.kind == Kind::EntityGrant);
            let on = on.chain(of_types).filter(|address| **address != planned.address);
            planned.references = on.cloned().collect();
        }
    }
    leave_what_is_kept(&mut planned);
    planned
}

/// A person whom the run created can only be deactivated, and keeps what signs in: nobody gets that back.
fn leave_what_is_kept(planned: &mut [Planned]) {
    let mut kept: BTreeMap<Unique, Address> = BTreeMap::new();
    for planned in planned.iter() {
        kept.extend(planned.keeps.iter().map(|value| (value.clone(), planned.address.clone())));
    }
    // Whoever stays as it is keeps what it would have freed.
    loop {
        let holds = |planned: &Planned| {
            let mut takes = planned.takes.iter();
            takes.find_map(|value| {
                let holder = kept.get(value).filter(|holder| **holder != planned.address)?;
                Some((value.field, holder.clone()))
            })
        };
        let found = planned.iter().enumerate().find_map(|(index, planned)| Some((index, holds(planned)?)));
        let Some((index, (field, holder))) = found else { return };
        let Some(left) = planned.get_mut(index) else { return };
        let why = format!("{holder} has its {field} and keeps it: a person can only be deactivated");
        let problem = Problem::error("cannot-undo", "the whole change", why);
        left.warnings.push(problem.of(&left.address));
        left.verdict = Verdict::Nothing;
        left.takes.clear();
        let freed = std::mem::take(&mut left.frees);
        kept.extend(freed.into_iter().map(|value| (value, left.address.clone())));
    }
}

impl Undoing<'_> {
    fn plan(&self, context: &PlanContext) -> Planned {
        let change = self.change;
        let mut planned = Planned::new(change.address.clone(), change.key.clone());
        planned.uses = unique::uses(&change.key, self.live.or(self.before));
        // What an undoing only intended before it was cut off was not made again.
        let only_intended = |entry: &Entry| entry.intent && self.live.is_none();
        if let (Action::Delete, Some(entry)) = (change.action, self.recorded)
            && !entry.deactivated_by_us
            && !only_intended(entry)
        {
            // It was made or adopted again since, and that is not this change's to touch.
            planned.verdict = settled(entry, self.live, None);
            return planned;
        }
        if change.action != Action::Delete && self.recorded.is_none() {
            if self.live.is_some() {
                let why =
                    "the record holds the object no longer: it was let go, or another owner took it over";
                self.cannot(&mut planned, "the whole change", why);
            }
            planned.verdict = Verdict::Nothing;
            return planned;
        }
        match change.action {
            Action::Delete => self.bring_back(&mut planned),
            _ if change.changes_key() => self.change_key_back(&mut planned),
            Action::Create => self.remove(&mut planned, context),
            Action::Update | Action::Adopt => self.revert(&mut planned),
        }
        planned
    }

    fn kind(&self) -> Kind {
        self.change.kind()
    }

    /// The record as it was before the change, with what it learned since: fields that later runs wrote are ours
    /// still, and a secret that was sent is the one that the server has.
    fn record(&self) -> RecordUpdate {
        let Some(held) = self.held else { return RecordUpdate::Remove(self.change.key.clone()) };
        let mut entry = held.clone();
        if let Some(now) = self.recorded {
            let by_change = match &self.change.record {
                RecordUpdate::Put { entry, .. } => entry.written.clone(),
                RecordUpdate::Remove(_) => Default::default(),
            };
            let later: BTreeSet<String> = now.written.difference(&by_change).cloned().collect();
            if !later.is_subset(&entry.written) {
                entry.written = entry.written.union(&later).cloned().collect::<BTreeSet<_>>().into();
            }
            entry.secrets.clone_from(&now.secrets);
            entry.pending_email.clone_from(&now.pending_email);
        }
        let now = &self.change.key;
        let replaces = Some(now.clone()).filter(|now| *now != entry.key);
        RecordUpdate::Put { entry: Box::new(entry), replaces }
    }

    /// What only the record is to forget or to call by its former name is shown like any other change.
    fn only_record(&self, planned: &mut Planned) {
        let mut undone = match (self.held, self.live) {
            (None, Some(_)) => {
                let mut let_go = self.make(Action::Delete, Vec::new(), Vec::new());
                let_go.deletion = Some(Deletion::Orphan);
                let_go
            }
            (Some(held), Some(_)) if held.address != self.change.address => {
                self.make(Action::Update, Vec::new(), Vec::new())
            }
            _ => {
                planned.verdict = Verdict::Record(self.record());
                return;
            }
        };
        undone.fingerprint = self.live.map(|live| fingerprint(self.kind(), live, &BTreeSet::new()));
        planned.verdict = Verdict::Change(Box::new(undone));
    }

    /// How the record will differ, for a reader.
    fn notes(&self) -> Vec<String> {
        match self.held {
            None if matches!(self.change.action, Action::Adopt) => {
                vec!["it is let go: it was adopted by the run that is undone".to_owned()]
            }
            Some(held) if held.address != self.change.address => {
                vec![format!("named {} again", held.address)]
            }
            _ => Vec::new(),
        }
    }

    fn cannot(&self, planned: &mut Planned, what: impl Into<String>, why: &str) {
        let problem = Problem::error("cannot-undo", what, why);
        planned.warnings.push(problem.of(&self.change.address));
    }

    fn make(&self, action: Action, fields: Vec<FieldChange>, calls: Vec<super::Call>) -> Change {
        Change {
            address: self.change.address.clone(),
            action,
            key: self.change.key.clone(),
            reason: Reason::Undo,
            risk: Risk::Reversible,
            risk_notes: Vec::new(),
            fields,
            deletion: None,
            depends_on: Vec::new(),
            calls,
            fingerprint: None,
            notes: self.notes(),
            protected: self.recorded.is_some_and(|entry| entry.protected),
            record: self.record(),
        }
    }

    /// Nothing stood there: it goes again, people by deactivation unless their policy says otherwise.
    fn remove(&self, planned: &mut Planned, context: &PlanContext) {
        let Some(entry) = self.recorded else { return };
        let deletion = match (self.kind(), entry.deletion) {
            (Kind::User, Deletion::Delete) => Deletion::Delete,
            (Kind::User, _) => Deletion::Deactivate,
            _ => Deletion::Delete,
        };
        let entry = Entry { deletion, ..entry.clone() };
        let references = std::mem::take(&mut planned.references);
        *planned = removal::prune_object(&entry, self.live, Reason::Undo, context);
        planned.references = references;
        if self.kind() == Kind::User && self.live.is_some() {
            let why = "FusionAuth has sent what it sent; messages cannot be taken back";
            self.cannot(planned, "messages that the creation sent", why);
        }
        if deletion == Deletion::Deactivate && self.live.is_some() {
            let why = "it is deactivated; delete it with policy.deletion: Delete and --allow-hard-delete";
            self.cannot(planned, "the account itself stays", why);
        }
    }

    fn revert(&self, planned: &mut Planned) {
        let Some(live) = self.live else {
            if self.change.calls.is_empty() {
                self.only_record(planned);
                return;
            }
            self.cannot(planned, "the whole change", "the object is not there any more");
            planned.verdict = Verdict::Nothing;
            return;
        };
        if self.change.calls.is_empty() {
            self.only_record(planned);
            return;
        }
        let mut inverse = Inverse::new(self.change);
        for field in &self.change.fields {
            self.invert(planned, &mut inverse, live, field);
        }
        let difference = inverse.difference(live);
        let profile_waits = !live.active && difference.activity == super::difference::Activity::Keep;
        if profile_waits && !difference.is_profile_equal() {
            self.cannot(
                planned,
                "changes of an inactive user",
                "the account would have to be opened for them",
            );
            planned.verdict = Verdict::Nothing;
            return;
        }
        if difference.is_empty() {
            self.only_record(planned);
            return;
        }
        let making =
            Making { desired: &inverse.desired, key: &live.key, difference: &difference, live: Some(live) };
        let calls = calls::update(making);
        let fields = change::fields(self.kind(), &difference, Some(live));
        let (takes, frees) = unique::of_deltas(self.kind(), &difference.fields);
        planned.takes.extend(takes);
        planned.frees.extend(frees);
        let paths = change::touched(self.kind(), &difference);
        let mut undone = self.make(Action::Update, fields, calls);
        undone.fingerprint = Some(fingerprint(self.kind(), live, &paths));
        planned.verdict = Verdict::Change(Box::new(undone));
    }

    /// Adds one field's inverse, or says why there is none.
    fn invert(&self, planned: &mut Planned, inverse: &mut Inverse, live: &Live, field: &FieldChange) {
        let kind = self.kind();
        let Some(path) = FieldPath::parse(&field.path) else { return };
        if field.sensitivity == Sensitivity::Secret {
            self.cannot(planned, &*field.path, "its former value is not known to anybody but FusionAuth");
            return;
        }
        if matches!(path.inner(), [name] if name == "verified") {
            if !self.made_part(&path) {
                self.cannot(planned, &*field.path, "a verification cannot be taken back");
            }
            return;
        }
        if path == FieldPath::field("active") && kind == Kind::User {
            if Shown::Value(Value::Bool(live.active)) == field.after {
                inverse.desired.fields.insert("active".to_owned(), Value::Bool(!live.active));
            }
            return;
        }
        let after = match &field.after {
            Shown::Value(after) => after.clone(),
            Shown::Absent | Shown::Secret => Value::Null,
        };
        if !met(kind, live, &path, &after) {
            let before = match &field.before {
                Shown::Value(before) => before.clone(),
                Shown::Absent | Shown::Secret => Value::Null,
            };
            if met(kind, live, &path, &before) {
                // It is as it was already: put back by somebody, or never written.
                return;
            }
            self.cannot(planned, &*field.path, "somebody changed it since, and what others set is theirs");
            return;
        }
        match &field.before {
            Shown::Value(before) if path.is_part() => {
                let fields = path.part_key().zip(before.as_object());
                if let Some((key, fields)) = fields {
                    let mut fields = fields.clone();
                    fields.extend(self.part_state(key));
                    inverse.parts().insert(key.to_owned(), fields);
                }
            }
            Shown::Value(before) => inverse.declare(&path, before.clone()),
            // Exactly what the change wrote goes; what others put beside it stays.
            Shown::Absent if path.is_part() => {
                inverse.written.insert(path);
            }
            Shown::Absent => {
                mark(&path, &after, &mut inverse.written);
                inverse.touch(&path);
            }
            Shown::Secret => {}
        }
    }

    /// Whether the change created the part that a path is in: it goes as a whole.
    fn made_part(&self, path: &FieldPath) -> bool {
        let made = |field: &FieldChange| {
            field.before == Shown::Absent
                && FieldPath::parse(&field.path).is_some_and(|part| part.is_part() && part.covers(path))
        };
        self.change.fields.iter().any(made)
    }

    /// What a part comes back with besides its fields: a permission's id, a registration's verification.
    fn part_state(&self, key: &str) -> Option<(String, Value)> {
        let name = if self.kind() == Kind::EntityType { "id" } else { "verified" };
        let value = self.before?.parts.get(key)?.get(name)?;
        (*value != Value::Bool(false)).then(|| (name.to_owned(), value.clone()))
    }

    /// The old link or grant takes the place of the new one.
    fn change_key_back(&self, planned: &mut Planned) {
        let Some(before) = self.before else {
            self.cannot(planned, "the change of key", "what stood there before is not known");
            planned.verdict = Verdict::Nothing;
            return;
        };
        if self.live_under_old_key.is_some() {
            let why = "something stands where it stood before";
            if self.live.is_some() {
                self.cannot(planned, "the change of key", why);
            }
            let intended = self.recorded_under_old_key.filter(|_| self.live.is_none());
            planned.verdict = intended.map_or(Verdict::Nothing, |entry| {
                settled(entry, self.live_under_old_key, Some(&self.change.key))
            });
            return;
        }
        let mut calls = Vec::new();
        if self.live.is_some() {
            calls.extend(calls::delete(self.kind(), &self.change.key, Deletion::Delete));
            planned.frees.extend(unique::of_key(&self.change.key));
        }
        planned.uses.extend(unique::uses(&before.key, Some(before)));
        planned.takes.extend(unique::of_key(&before.key));
        planned.frees.retain(|freed| !planned.takes.contains(freed));
        let (made, _) = self.recreate(before);
        calls.extend(made);
        let fields = change::key_fields(Some(&self.change.key), Some(&before.key));
        let mut undone = self.make(Action::Update, fields, calls);
        undone.key = before.key.clone();
        planned.key = before.key.clone();
        self.say_what_is_lost(planned);
        planned.verdict = Verdict::Change(Box::new(undone));
    }

    fn bring_back(&self, planned: &mut Planned) {
        match (self.change.deletion, self.before) {
            (Some(Deletion::Deactivate), _) => self.reactivate(planned),
            (Some(Deletion::Delete) | None, _) if self.kind() == Kind::User => {
                let why = "FusionAuth keeps nothing of a person deleted for good: no password, no history";
                self.cannot(planned, "the deletion of a person", why);
                planned.verdict = Verdict::Nothing;
            }
            (Some(Deletion::Delete) | None, Some(before)) if self.live.is_none() => {
                let (calls, fields) = self.recreate(before);
                planned.takes = unique::of_fields(self.kind(), &before.fields);
                planned.takes.extend(unique::of_key(&before.key));
                planned.uses = unique::uses(&before.key, Some(before));
                self.say_what_is_lost(planned);
                planned.verdict = Verdict::Change(Box::new(self.make(Action::Create, fields, calls)));
            }
            // Let go, or there again: a claim like any other, which another owner may have made meanwhile.
            _ if self.live.is_some() && self.held.is_some() => {
                let mut undone = self.make(Action::Adopt, Vec::new(), Vec::new());
                undone.fingerprint = self.live.map(|live| fingerprint(self.kind(), live, &BTreeSet::new()));
                planned.verdict = Verdict::Change(Box::new(undone));
            }
            _ => planned.verdict = Verdict::Nothing,
        }
    }

    fn reactivate(&self, planned: &mut Planned) {
        let Some(live) = self.live else {
            self.cannot(planned, "the deactivation", "the account is not there any more");
            planned.verdict = Verdict::Nothing;
            return;
        };
        if live.active {
            planned.verdict = Verdict::Record(self.record());
            return;
        }
        let mut inverse = Inverse::new(self.change);
        inverse.desired.fields.insert("active".to_owned(), true.into());
        let difference = inverse.difference(live);
        let making =
            Making { desired: &inverse.desired, key: &live.key, difference: &difference, live: Some(live) };
        let fields = change::fields(self.kind(), &difference, Some(live));
        let mut undone = self.make(Action::Update, fields, calls::update(making));
        undone.fingerprint = Some(fingerprint(self.kind(), live, &BTreeSet::new()));
        planned.verdict = Verdict::Change(Box::new(undone));
    }

    /// The calls that create an object as it was, and what they set.
    fn recreate(&self, before: &Live) -> (Vec<super::Call>, Vec<FieldChange>) {
        let kind = self.kind();
        let mut desired = synthetic(&self.change.address, &before.key);
        for rule in row(kind).fields {
            let kept = matches!(rule.write, Write::Body | Write::Immutable);
            if let (true, Some(value)) =
                (kept && rule.sensitivity != Sensitivity::Secret, before.fields.get(rule.path))
            {
                desired.fields.insert(rule.path.to_owned(), value.clone());
            }
        }
        if kind == Kind::IdentityProviderLink {
            // The key says whose it is; the name is what people know it by.
            desired.fields.clear();
            desired.initial.extend(
                before.fields.get("displayName").map(|name| ("displayName".to_owned(), name.clone())),
            );
        }
        let parts = before.parts.iter().map(|(key, fields)| {
            let mut part = writable(kind, fields);
            part.extend(self.part_state(key));
            (key.clone(), part)
        });
        desired.parts = Some(parts.collect());
        let entity_type = unique::uses(&before.key, Some(before))
            .into_iter()
            .find(|(used, _)| kind == Kind::Entity && *used == Kind::EntityType);
        let observed = Observed {
            key: before.key.clone(),
            live: None,
            previous: None,
            entry: None,
            claim: None,
            entity_type: entity_type.map(|(_, id)| id),
            secrets: BTreeMap::new(),
        };
        let difference = for_create(&desired, &observed);
        let making = Making { desired: &desired, key: &before.key, difference: &difference, live: None };
        let mut fields = change::key_fields(None, Some(&before.key));
        fields.extend(change::fields(kind, &difference, None));
        (calls::create(making), fields)
    }

    fn say_what_is_lost(&self, planned: &mut Planned) {
        let lost = match self.kind() {
            Kind::Entity => Some(("the former client secret", "FusionAuth makes a new one")),
            Kind::IdentityProviderLink => {
                Some(("the link's token and last login", "only a login makes them"))
            }
            Kind::EntityType => Some((
                "entities and grants that were deleted along with the type and are not in this journal",
                "nothing is known of them",
            )),
            _ => None,
        };
        if let Some((what, why)) = lost {
            self.cannot(planned, what, why);
        }
    }
}

/// An undoing that did not come to its end made the object and could not say so.
fn settled(entry: &Entry, live: Option<&Live>, replaces: Option<&Key>) -> Verdict {
    match live {
        Some(_) if entry.intent => {
            let entry = Box::new(Entry { intent: false, ..entry.clone() });
            Verdict::Record(RecordUpdate::Put { entry, replaces: replaces.cloned() })
        }
        _ => Verdict::Nothing,
    }
}

/// What an object is to be like again: a declaration made from before-images.
struct Inverse {
    desired: Desired,
    /// What the change wrote and nothing stood for before.
    written: BTreeSet<FieldPath>,
}

impl Inverse {
    fn new(change: &Change) -> Self {
        Inverse { desired: synthetic(&change.address, &change.key), written: BTreeSet::new() }
    }

    fn parts(&mut self) -> &mut BTreeMap<String, Fields> {
        self.desired.parts.get_or_insert_with(BTreeMap::new)
    }

    fn declare(&mut self, path: &FieldPath, value: Value) {
        let fields = match path.part_key() {
            Some(key) => self.parts().entry(key.to_owned()).or_default(),
            None => &mut self.desired.fields,
        };
        insert(fields, path.inner(), value);
    }

    /// The part that a path is in is compared, and stays.
    fn touch(&mut self, path: &FieldPath) {
        if let Some(key) = path.part_key() {
            self.parts().entry(key.to_owned()).or_default();
        }
    }

    fn difference(&self, live: &Live) -> Difference {
        let address = self.desired.address.clone();
        let mut entry = Entry::new(address, live.key.clone(), Deletion::Orphan);
        entry.written = self.written.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into();
        let observed = Observed {
            key: live.key.clone(),
            live: Some(live),
            previous: None,
            entry: Some(&entry),
            claim: None,
            entity_type: None,
            secrets: BTreeMap::new(),
        };
        for_update(&self.desired, &observed, live, Some(&entry))
    }
}

/// A declaration that no manifest made.
fn synthetic(address: &Address, key: &Key) -> Desired {
    let key = match key {
        Key::Id(id) => KeyReference::Id(*id),
        Key::Grant { entity, recipient } => KeyReference::Grant {
            entity: ObjectRef::Id(*entity),
            recipient: match recipient {
                Recipient::User(id) => RecipientReference::User(ObjectRef::Id(*id)),
                Recipient::Entity(id) => RecipientReference::Entity(ObjectRef::Id(*id)),
            },
        },
        Key::Link { identity_provider, identity_provider_user_id, user } => KeyReference::Link {
            identity_provider: *identity_provider,
            identity_provider_user_id: Some(identity_provider_user_id.clone()),
            user: ObjectRef::Id(*user),
        },
    };
    Desired::empty(address.clone(), Place { file: "journal".into(), line: 1, column: 1 }, key)
}
