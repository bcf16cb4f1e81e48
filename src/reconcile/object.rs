//! One declared object: create, update, adopt or leave alone.

use serde_json::Value;

use crate::model::{Address, Adoption, Kind, Owner, Place, Write};

use super::calls::{self, Making};
use super::change;
use super::difference::{Activity, Difference, PartAction, for_create, for_update};
use super::fingerprint::{digest, fingerprint};
use super::path::FieldPath;
use super::settled::is_settled;
use super::versions::too_new;
use super::{
    Action, Call, Change, Desired, Entry, FieldChange, Fingerprint, Key, KeyReference, Live, Observed,
    PlanContext, Planned, Problem, Reason, RecordUpdate, Risk, SecretUse, Verdict, Withheld, removal, unique,
};

/// Plans one declared object. Its errors stand in the answer; nothing else is planned for it then.
pub fn plan_object(desired: &Desired, observed: &Observed<'_>, context: &PlanContext) -> Planned {
    let mut planned = Planned::new(desired.address.clone(), observed.key.clone());
    planned.exists = observed.live.is_some();
    planned.references = references(desired);
    planned.uses = unique::uses(&observed.key, observed.live);
    if desired.suspended {
        planned.verdict = Verdict::Suspended;
        return planned;
    }
    if desired.policy.absent() {
        return removal::tombstone(desired, observed, context);
    }
    let mut planning = Planning { desired, observed, context, planned };
    planning.planned.errors.extend(too_new(desired, context));
    planning.run();
    if !planning.planned.errors.is_empty() {
        planning.planned.verdict = Verdict::Failed;
    }
    planning.planned
}

fn references(desired: &Desired) -> Vec<Address> {
    let entity_type = desired.entity_type.as_ref().and_then(super::ObjectRef::address);
    desired.key.declared().into_iter().chain(entity_type).cloned().collect()
}

struct Planning<'a> {
    desired: &'a Desired,
    observed: &'a Observed<'a>,
    context: &'a PlanContext,
    planned: Planned,
}

impl<'a> Planning<'a> {
    fn run(&mut self) {
        if let Some(claim) = self.observed.claim.filter(|claim| !self.may_take(&claim.owner)) {
            let is_there = self.observed.live.is_some();
            let (address, place) = (&self.desired.address, &self.desired.place);
            self.planned.errors.push(claimed(address, place, claim, is_there));
            return;
        }
        if !self.id_is_as_declared(self.observed.entry.map(|entry| &entry.key)) {
            return;
        }
        match self.observed.live.filter(|live| !self.is_own_old_link(live)) {
            None => self.create(),
            Some(live) if live.key != self.observed.key => {
                self.planned.errors.push(link_held(self.desired, live))
            }
            Some(live) if self.observed.entry.is_some_and(|entry| entry.key == live.key) => self.update(live),
            Some(live) => self.adopt(live),
        }
    }

    fn may_take(&self, owner: &Owner) -> bool {
        let taken = self.observed.entry.and_then(|entry| entry.taken_from.as_ref());
        *owner == self.context.owner || self.context.take_from.as_ref() == Some(owner) || taken == Some(owner)
    }

    /// Of a link whose account goes to another user: what is found under the account is our own, and is unlinked.
    fn is_own_old_link(&self, live: &Live) -> bool {
        live.key != self.observed.key && self.observed.entry.is_some_and(|entry| entry.key == live.key)
    }

    fn kind(&self) -> Kind {
        self.desired.address.kind
    }

    fn create(&mut self) {
        let key = match &self.desired.key {
            KeyReference::Id(id) if self.desired.explicit_id => Key::Id(*id),
            _ => self.observed.key.clone(),
        };
        let difference = for_create(self.desired, self.observed);
        let replaced = self.observed.entry.map(|entry| &entry.key).filter(|held| **held != key);
        let previous =
            self.observed.previous.or(self.observed.live).filter(|live| Some(&live.key) == replaced);
        let mut calls = Vec::new();
        if let Some(previous) = previous {
            calls.extend(calls::delete(self.kind(), &previous.key, crate::model::Deletion::Delete));
            self.planned.frees.extend(unique::of_key(&previous.key));
            self.planned.uses.extend(unique::uses(&previous.key, Some(previous)));
        }
        let making = Making { desired: self.desired, key: &key, difference: &difference, live: None };
        calls.extend(calls::create(making));
        let mut fields = change::key_fields(previous.map(|live| &live.key), Some(&key));
        fields.extend(change::fields(self.kind(), &difference, None));
        if self.kind() == Kind::User && self.desired.fields.get("active") == Some(&Value::Bool(false)) {
            // Its calls see to it; that nobody can sign in is for the reader to know.
            fields.push(change::field("active", Value::Null, Value::Bool(false)));
        }
        self.planned.takes = unique::of_fields(self.kind(), &self.desired.fields);
        self.planned.takes.extend(unique::of_key(&key));
        self.planned.frees.retain(|freed| !self.planned.takes.contains(freed));
        let mut entry = change::entry(self.desired, self.observed, self.context, key.clone(), &difference);
        if let Some(claim) = self.observed.claim.filter(|claim| claim.owner != self.context.owner) {
            entry.taken_from = Some(claim.owner.clone());
        }
        let (action, reason) = match previous {
            Some(_) => (Action::Update, Reason::KeyChanged),
            None => (Action::Create, Reason::Missing),
        };
        let notes = self.cannot_come_back(&key);
        self.planned.key = key;
        self.finish(action, reason, fields, calls, None, entry, notes);
    }

    /// What is lost of an object that somebody else deleted (issue: the report says what cannot come back).
    fn cannot_come_back(&self, key: &Key) -> Vec<String> {
        let gone = self.observed.entry.filter(|entry| !entry.intent && entry.key == *key);
        let lost = match self.kind() {
            Kind::User => "a password that is not declared, two-factor methods and what others set",
            Kind::Entity => "a client secret that is not declared, grants and what others set",
            Kind::IdentityProviderLink => "the token and the last login",
            _ => "what others set",
        };
        gone.map(|_| format!("it was deleted by somebody else and is created anew; {lost} cannot come back"))
            .into_iter()
            .collect()
    }

    fn update(&mut self, live: &Live) {
        let settled = |entry| is_settled(self.desired, self.observed, live, entry, self.context);
        if !self.observed.entry.is_some_and(settled) {
            self.compare(live);
        } else if cfg!(debug_assertions) {
            self.compare(live);
            assert_eq!(self.planned.verdict, Verdict::Unchanged, "{}", self.desired.address);
        }
    }

    fn compare(&mut self, live: &Live) {
        let entry = self.observed.entry;
        let mut difference = for_update(self.desired, self.observed, live, entry);
        self.warn_unseen(&difference);
        self.warn_what_stays();
        let pending = self.withhold_pending_email(&mut difference);
        self.withhold_part_deletions(live, &mut difference);
        self.judge_immutable(live, &difference);
        self.withhold_if_inactive(live, &mut difference);
        let mut after =
            change::entry(self.desired, self.observed, self.context, live.key.clone(), &difference);
        after.pending_email = pending;
        let stays_deactivated = !live.active && difference.activity == Activity::Keep;
        if stays_deactivated && self.desired.fields.get("active") != Some(&Value::Bool(false)) {
            after.deactivated_by_us = entry.is_some_and(|entry| entry.deactivated_by_us);
        }
        let renamed = entry.filter(|entry| entry.address != self.desired.address);
        let notes: Vec<String> = renamed.map(|entry| change::renamed(&entry.address)).into_iter().collect();
        if difference.is_empty() && renamed.is_none() {
            self.unchanged(entry, after);
            return;
        }
        let reason = if difference.is_empty() { Reason::Renamed } else { reason(&difference, entry) };
        self.write(Action::Update, reason, live, &difference, after, notes);
    }

    fn unchanged(&mut self, held: Option<&Entry>, after: Entry) {
        self.planned.verdict = if held != Some(&after) {
            Verdict::Record(RecordUpdate::Put { entry: Box::new(after), replaces: None })
        } else if self.planned.withheld.is_empty() {
            Verdict::Unchanged
        } else {
            Verdict::Withheld
        };
    }

    fn adopt(&mut self, live: &Live) {
        if !self.id_is_as_declared(Some(&live.key)) {
            return;
        }
        let policy = self.context.adoption.unwrap_or(self.desired.policy.adoption());
        if policy == Adoption::Never {
            self.planned.errors.push(conflict(self.desired, live));
            return;
        }
        let mut difference = for_update(self.desired, self.observed, live, None);
        self.judge_immutable(live, &difference);
        let mut baseline = Difference::default();
        if policy == Adoption::Match {
            // What cannot be compared cannot match or differ: the declared value is taken to be the live one.
            let enforced = |secret: &super::DesiredSecret| secret.usage == SecretUse::Enforced;
            baseline.secrets = difference.secrets.extract_if(.., |secret| enforced(secret)).collect();
            self.warn_baseline(&baseline);
            if !difference.is_empty() {
                self.planned.errors.push(no_match(self.desired, live, &self.shown(&difference, live)));
                return;
            }
        }
        self.warn_unseen(&difference);
        self.withhold_if_inactive(live, &mut difference);
        let mut entry =
            change::entry(self.desired, self.observed, self.context, live.key.clone(), &difference);
        entry.adopted = true;
        entry.taken_from = self.observed.claim.map(|claim| claim.owner.clone());
        for secret in baseline.secrets {
            let sent = super::SentSecret { version: secret.source.version, fingerprint: None };
            entry.secrets.insert(secret.field, sent);
        }
        self.write(Action::Adopt, Reason::Adoption, live, &difference, entry, Vec::new());
    }

    fn shown(&self, difference: &Difference, live: &Live) -> Vec<FieldChange> {
        change::fields(self.kind(), difference, Some(live))
    }

    /// The change that closes a difference of an existing object.
    fn write(
        &mut self,
        action: Action,
        reason: Reason,
        live: &Live,
        difference: &Difference,
        entry: Entry,
        notes: Vec<String>,
    ) {
        let kind = self.kind();
        let key = &live.key;
        let calls = calls::update(Making { desired: self.desired, key, difference, live: Some(live) });
        let fields = self.shown(difference, live);
        let mut paths = change::touched(kind, difference);
        if action == Action::Adopt {
            paths.extend(change::declared(self.desired, live));
        }
        let (takes, frees) = unique::of_deltas(kind, &difference.fields);
        self.planned.takes.extend(takes);
        self.planned.frees.extend(frees);
        self.planned.key = live.key.clone();
        let fingerprint = Some(fingerprint(kind, live, &paths));
        self.finish(action, reason, fields, calls, fingerprint, entry, notes);
    }

    #[allow(clippy::too_many_arguments)] // The parts of a change, each once.
    fn finish(
        &mut self,
        action: Action,
        reason: Reason,
        mut fields: Vec<FieldChange>,
        mut calls: Vec<Call>,
        fingerprint: Option<Fingerprint>,
        entry: Entry,
        notes: Vec<String>,
    ) {
        // A plan can hold many changes for a long time.
        fields.shrink_to_fit();
        calls.shrink_to_fit();
        let replaces = self.observed.entry.map(|held| held.key.clone()).filter(|held| *held != entry.key);
        self.planned.verdict = Verdict::Change(Box::new(Change {
            address: self.desired.address.clone(),
            action,
            key: entry.key.clone(),
            reason,
            risk: Risk::Reversible,
            risk_notes: Vec::new(),
            fields,
            deletion: None,
            depends_on: Vec::new(),
            calls,
            fingerprint,
            notes,
            protected: entry.protected,
            record: RecordUpdate::Put { entry: Box::new(entry), replaces },
        }));
    }

    /// Whether the object that the record holds, or that was found, stands under the id that is declared. It is not
    /// left behind under its own: what refers to it would move to a second one.
    fn id_is_as_declared(&mut self, stands: Option<&Key>) -> bool {
        let declared = match &self.desired.key {
            KeyReference::Id(id) if self.desired.explicit_id => Some(*id),
            _ => None,
        };
        let differs = declared.zip(stands.and_then(Key::id)).filter(|(declared, stands)| declared != stands);
        if let Some((declared, stands)) = differs {
            let (kind, article) = (self.kind(), self.kind().article());
            self.planned.errors.push(
                Problem::error(
                    "immutable-field",
                    format!(
                        "the id of {article} {kind} cannot change: it is {stands}, the manifest asks for {declared}"
                    ),
                    format!(
                        "declare spec.id: {stands}, or leave it out; or remove this manifest (apply with --prune) and \
                         declare the object under another name"
                    ),
                )
                .at(self.desired)
                .pointing("/spec/id"),
            );
        }
        differs.is_none()
    }

    fn judge_immutable(&mut self, live: &Live, difference: &Difference) {
        let (kind, article) = (self.kind(), self.kind().article());
        for field in &difference.immutable {
            let (path, from, to) = (&field.path, plain(&field.live), plain(&field.declared));
            let message = format!(
                "{path} of {article} {kind} cannot change in FusionAuth: it is {from}, the manifest asks for {to}"
            );
            let hint = format!(
                "declare {from} again; or remove this manifest (apply with --prune) and declare the object under another name"
            );
            let problem = Problem::error("immutable-field", message, hint).at(self.desired);
            self.planned
                .errors
                .push(problem.pointing(format!("/spec/{}", path.to_string().replace('.', "/"))));
        }
        let nameless = difference.parts.iter().filter(|(name, part)| {
            kind == Kind::EntityType
                && part.action == PartAction::Update
                && calls::permission_id(Some(live), name).is_none()
        });
        for (name, _) in nameless {
            let message = format!(
                "FusionAuth returned the permission \"{name}\" without an id, by which alone it can be changed"
            );
            let hint = "run fusionkeep doctor, and report it if it stays";
            self.planned.errors.push(Problem::error("permission-without-id", message, hint).at(self.desired));
        }
    }

    /// An e-mail change that was sent and waits for the user is reported and not repeated. Returns what the record
    /// remembers of it.
    fn withhold_pending_email(&mut self, difference: &mut Difference) -> Option<String> {
        let pending = self.observed.entry?.pending_email.clone()?;
        let email = FieldPath::field("email");
        let waits = |delta: &super::diff::Delta| delta.path == email && digest(&delta.after) == pending;
        let deltas: Vec<_> = difference.fields.extract_if(.., |delta| waits(delta)).collect();
        if deltas.is_empty() {
            return None;
        }
        let shown = Difference { fields: deltas, ..Difference::default() };
        let why = "the e-mail address was changed already and waits for the user's verification";
        self.withhold(Action::Update, why, change::fields(self.kind(), &shown, None));
        Some(pending)
    }

    /// A registration or permission that is no longer declared is a deletion, and waits for `--prune`.
    fn withhold_part_deletions(&mut self, live: &Live, difference: &mut Difference) {
        if self.context.prune {
            return;
        }
        let kind = self.kind();
        let written = self.observed.entry.map(|entry| entry.written.clone()).unwrap_or_default();
        let (withheld, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut difference.parts)
            .into_iter()
            .partition(|(_, part)| part.action == PartAction::Delete);
        difference.parts = kept.into_iter().collect();
        for (key, part) in withheld {
            // Still ours, so that it is listed until it is deleted.
            let paths = written.iter().filter_map(|path| FieldPath::parse(path));
            difference.written.extend(paths.filter(|path| part.path.covers(path)));
            let what = if kind == Kind::User { "registration" } else { "permission" };
            let why = format!("a {what} that is no longer declared is deleted with --prune only");
            let shown = Difference { parts: [(key, part)].into(), ..Difference::default() };
            self.withhold(Action::Delete, &why, change::fields(kind, &shown, Some(live)));
        }
    }

    /// An inactive user refuses changes, and a run never opens an account in passing (wire notes §4).
    fn withhold_if_inactive(&mut self, live: &Live, difference: &mut Difference) {
        if live.active || difference.activity != Activity::Keep || difference.is_profile_equal() {
            return;
        }
        let fields = self.shown(difference, live);
        let why = "the user is inactive, and an inactive user cannot be changed; declare active: true to open the account";
        self.withhold(Action::Update, why, fields);
        let held = self.observed.entry.map(|entry| entry.written.clone()).unwrap_or_default();
        let written = held.iter().filter_map(|path| FieldPath::parse(path)).collect();
        *difference = Difference { written, ..Difference::default() };
    }

    fn withhold(&mut self, action: Action, why: &str, fields: Vec<FieldChange>) {
        let address = self.desired.address.clone();
        self.planned.withheld.push(Withheld { address, action, why: why.to_owned(), fields });
    }

    fn warn_unseen(&mut self, difference: &Difference) {
        for unseen in &difference.unseen {
            let message = format!("whether {} changed could not be seen: {}", unseen.field, unseen.why);
            let hint = "raise the version beside its source to have it sent";
            self.planned.warnings.push(Problem::error("secret-not-compared", message, hint).at(self.desired));
        }
    }

    /// What we wrote, no longer declare, and FusionAuth cannot take away. From then on it is nobody's.
    fn warn_what_stays(&mut self) {
        let (Some(entry), kind) = (self.observed.entry, self.kind()) else { return };
        let fixed = entry.written.iter().filter_map(|path| FieldPath::parse(path)).filter_map(|path| {
            let rule = path.rule(kind).filter(|rule| rule.write == Write::Immutable)?;
            (!self.desired.fields.contains_key(rule.path)).then_some(rule.path)
        });
        let declared = |field: &str| self.desired.secrets.iter().any(|secret| secret.field == field);
        let secrets = entry.secrets.keys().map(String::as_str).filter(|field| !declared(field));
        let stays: Vec<Problem> = fixed
            .chain(secrets)
            .map(|field| {
                let message = format!(
                    "{field} is no longer declared, and FusionAuth cannot remove it: it stays, and is let go"
                );
                Problem::error("cannot-remove", message, "declare it again to keep it as it is declared")
                    .at(self.desired)
            })
            .collect();
        self.planned.warnings.extend(stays);
    }

    fn warn_baseline(&mut self, baseline: &Difference) {
        for secret in &baseline.secrets {
            let message = format!("{} cannot be compared and is taken to be the live one", secret.field);
            let hint = "adopt with Override, or raise the version beside its source, to have it sent";
            self.planned.warnings.push(Problem::error("secret-not-compared", message, hint).at(self.desired));
        }
    }
}

fn reason(difference: &Difference, entry: Option<&Entry>) -> Reason {
    let by_us = entry.is_some_and(|entry| entry.deactivated_by_us);
    if difference.activity == Activity::Reactivate && by_us {
        return Reason::DeclaredAgain;
    }
    let only_removals = difference.fields.iter().all(|delta| delta.no_longer_declared)
        && difference.parts.values().all(|part| {
            part.action == PartAction::Delete
                || (!part.verify
                    && part.action == PartAction::Update
                    && part.fields.iter().all(|delta| delta.no_longer_declared))
        })
        && difference.secrets.is_empty()
        && difference.activity == Activity::Keep
        && !difference.verify;
    if only_removals { Reason::NoLongerDeclared } else { Reason::Differs }
}

/// A value in a sentence.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

/// Takes in another owner's claim on an object that was found by its natural key, which is known only once it was
/// found: a conflict that names the owner, unless it is that owner's objects that are taken over.
pub fn claimed_when_found(planned: &mut Planned, place: &Place, claim: &super::Claim, context: &PlanContext) {
    if claim.owner == context.owner {
        return;
    }
    if context.take_from.as_ref() == Some(&claim.owner) {
        if let Verdict::Change(change) = &mut planned.verdict
            && let RecordUpdate::Put { entry, .. } = &mut change.record
        {
            entry.taken_from = Some(claim.owner.clone());
        }
        return;
    }
    // Whether it could be adopted is not the question then.
    planned.errors.retain(|problem| !problem.code.starts_with("adoption-"));
    planned.errors.push(claimed(&planned.address, place, claim, true));
    planned.verdict = Verdict::Failed;
}

fn claimed(address: &Address, place: &Place, claim: &super::Claim, is_there: bool) -> Problem {
    let (owner, kind) = (&claim.owner, address.kind);
    let at = claim.address.as_ref().map(|address| format!(" as {address}")).unwrap_or_default();
    let (state, hint) = match is_there {
        true => (
            "",
            format!("leave it to that owner, or take it over with fusionkeep adopt --from-owner {owner}"),
        ),
        // What is not there cannot be taken over.
        false => (
            ", though it is not there now",
            format!("leave it to {owner}, or apply there without it, which lets it go"),
        ),
    };
    let message = format!("the owner {owner} holds this {kind}{at}{state}");
    let problem = Problem::error("claimed-by-another-owner", message, hint).of(address);
    Problem { place: Some(place.clone()), ..problem }
}

fn link_held(desired: &Desired, live: &Live) -> Problem {
    let holder = match &live.key {
        Key::Link { user, .. } => user.to_string(),
        Key::Id(_) | Key::Grant { .. } => "somebody else".to_owned(),
    };
    Problem::error(
        "link-held-by-another-user",
        format!("the account at the identity provider is linked to another user (id {holder}), and the record does not hold that link"),
        "unlink it there first, or correct identityProviderUserId or user in the manifest",
    )
    .at(desired)
}

fn conflict(desired: &Desired, live: &Live) -> Problem {
    let kind = desired.address.kind;
    let message = format!(
        "FusionAuth has this {kind} already ({}), and our record does not hold it",
        found(desired, live)
    );
    Problem::error(
        "adoption-conflict",
        message,
        "set spec.policy.adoption to Match (take it over when it equals the manifest) or Override (take it over and change it), run fusionkeep adopt, or declare another object",
    )
    .at(desired)
}

/// The live object by its id and, when it was found by one, by the declared value that it shares.
fn found(desired: &Desired, live: &Live) -> String {
    let Some(id) = live.key.id() else {
        return change::key_fields(None, Some(&live.key))
            .into_iter()
            .filter_map(|field| match field.after {
                super::Shown::Value(value) => Some(format!("{} {}", field.path, plain(&value))),
                _ => None,
            })
            .collect::<Vec<_>>()
            .join(", ");
    };
    let kind = desired.address.kind;
    let theirs = unique::of_fields(kind, &live.fields);
    let shared = unique::of_fields(kind, &desired.fields).into_iter().find(|value| theirs.contains(value));
    match shared {
        Some(shared) => format!("id {id}, {} \"{}\"", shared.field, shared.value),
        None => format!("id {id}"),
    }
}

fn no_match(desired: &Desired, live: &Live, fields: &[FieldChange]) -> Problem {
    let paths: Vec<&str> = fields.iter().map(|field| &*field.path).collect();
    Problem::error(
        "adoption-mismatch",
        format!(
            "the live {} ({}) differs from the manifest in {}",
            desired.address.kind,
            found(desired, live),
            paths.join(", ")
        ),
        "declare what is live, or set spec.policy.adoption: Override to have it changed",
    )
    .at(desired)
}
