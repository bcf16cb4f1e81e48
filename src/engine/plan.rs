//! The pipeline up to the plan: load → resolve → observe → diff → plan → guard. It reads and never writes; the same
//! function plans a whole input for the command and one object for the operator.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, RwLock};

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{Address, Adoption, Kind, Owner};
use crate::reconcile::{
    Claim, Desired, Entry, Facts, Key, KeyReference, Limits, Plan, PlanContext, Planned, Problem, Reason,
    SecretComparison, SecretUse, assemble, assess, bulk_create, guard, needs, only_adoptions,
};

use super::catalogue::Catalogue;
use super::compare::{Comparer, Counts, Known};
use super::declarations::Declarations;
use super::error::Error;
use super::facts::Looking;
use super::grant_permissions;
use super::keys::{RunnerKeys, SecretOf};
use super::lookup::look_up;
use super::lower::lower;
use super::observe::{Declaration, Observer, Subject};
use super::parallel::{both, in_parallel};
use super::progress::Progress;
use super::record::{Entries, Loaded, Record};
use super::references::{self, Needs, References};
use super::resolve::{Context, Resolved, resolve};
use super::secrets::{SecretResolver, SecretValues, describe};
use super::select::Selection;
use super::session::Session;

/// What is asked of a plan.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    pub selection: Selection,
    /// Plan the deletion of what the record holds and the manifests do not.
    pub prune: bool,
    /// `fusionkeep adopt`: instead of each object's own policy.
    pub adoption: Option<Adoption>,
    /// `fusionkeep adopt --from-owner`.
    pub take_from: Option<Owner>,
    /// Delete everything that the record holds; nothing is declared then.
    pub destroy: bool,
    /// How many users one import takes.
    pub import_batch: Option<u32>,
    pub limits: Limits,
    /// What the record neither holds nor intends is created without being read first, where FusionAuth itself refuses a
    /// second one: reading costs a request, and the answer to the creation is the judge either way.
    pub presume_absent: bool,
}

/// Where a plan gets what it needs.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub session: &'a Session,
    /// The record as it was read, and where it stands. Without one a run holds as ours every live object under its
    /// derived or declared id.
    pub record: Option<(&'a Loaded, &'a dyn Record)>,
    pub keys: Option<&'a RunnerKeys>,
    pub secrets: &'a dyn SecretResolver,
    pub progress: &'a dyn Progress,
}

/// Plans these objects. Errors of single objects stand in the plan. Each object is freed as soon as it is compared: of a
/// large input only one form is held at a time.
///
/// # Errors
/// Nothing can be planned: the server cannot be read, or the record is lost.
pub async fn plan(sources: Sources<'_>, objects: Vec<Object>, options: &PlanOptions) -> Result<Plan, Error> {
    let session = sources.session;
    let planning = Planning::new(sources, options);
    let (subjects, problems) = planning.resolve(objects).await?;
    let (planned, counts) = planning.observe(&subjects).await?;
    let mut plan = assemble(session.target().clone(), session.owner().clone(), planned);
    plan.errors.extend(problems);
    if options.adoption.is_some() {
        only_adoptions(&mut plan);
    }
    if let Some(batch) = options.import_batch {
        bulk_create(&mut plan, batch);
    }
    planning.judge(plan, &subjects, counts).await
}

/// The guards that refuse a plan that was made before, by what is live and recorded now and by the limits of `options`.
///
/// # Errors
/// The server cannot be read.
pub async fn guards(sources: Sources<'_>, plan: &Plan, options: &PlanOptions) -> Result<Vec<Problem>, Error> {
    let planning = Planning::new(sources, options);
    let facts = planning.facts(plan, &[], Counts::default()).await?;
    Ok(guard(plan, &facts, &options.limits))
}

pub(super) struct Planning<'a> {
    sources: Sources<'a>,
    options: &'a PlanOptions,
    catalogue: Catalogue,
    pub(super) context: PlanContext,
}

/// What is known of secrets before anything is compared. Values live here and nowhere else.
#[derive(Default)]
struct Seen {
    enforced: HashMap<usize, BTreeMap<String, SecretComparison>>,
    compared: HashMap<(usize, String), SecretString>,
    baselines: HashMap<(usize, String), SecretString>,
    pending: HashMap<usize, SecretString>,
}

/// What the record intends at an address besides what it holds.
#[derive(Default)]
struct Intended {
    /// For the key that is declared.
    current: Option<Arc<Entry>>,
    /// For keys that no declaration has any more.
    abandoned: Vec<Arc<Entry>>,
}

impl<'a> Planning<'a> {
    pub(super) fn new(sources: Sources<'a>, options: &'a PlanOptions) -> Self {
        let session = sources.session;
        let context = PlanContext {
            owner: session.owner().clone(),
            tenant_id: session.tenant_id(),
            server_version: session.version().major_minor(),
            prune: options.prune,
            adoption: options.adoption,
            take_from: options.take_from.clone(),
        };
        Planning { sources, options, catalogue: Catalogue::new(session.client().clone()), context }
    }

    pub(super) fn entries(&self) -> Option<&Entries> {
        self.sources.record.map(|(loaded, _)| &loaded.entries)
    }

    /// Declarations to subjects: references looked up, what the record holds besides added.
    async fn resolve(&self, objects: Vec<Object>) -> Result<(Vec<Subject>, Vec<Problem>), Error> {
        let entries = self.entries();
        let recorded = |address: &Address| entries?.by_address(address)?.key.id();
        let session = self.sources.session;
        let (declarations, no_longer_declared) = both(
            || Declarations::new(&objects, session.owner(), session.tenant_id(), recorded),
            || self.no_longer_declared(&objects),
        );
        let wanted = match self.options.selection.is_everything() {
            true => None,
            false => Some(with_references(&objects, &self.options.selection, &declarations)),
        };
        let is_wanted =
            |object: &&Object| wanted.as_ref().is_none_or(|wanted| wanted.contains(&object.address));
        let selected: Vec<&Object> = objects.iter().filter(is_wanted).collect();
        let needed = Needs::of(selected.iter().copied(), &declarations);
        let references = look_up(session.client(), &self.catalogue, &needed).await?;
        let mut problems = self.permissions(&selected, &objects, &declarations, &references).await?;
        drop(selected);
        let context = Context { declarations: &declarations, references: &references };
        let resolved = in_parallel(objects, |object| match is_wanted(&&object) {
            true => self.resolved(object, context),
            false => Ok(Vec::new()),
        });
        let mut subjects = Vec::with_capacity(resolved.len() + no_longer_declared.len());
        for resolved in resolved {
            match resolved {
                Ok(resolved) => subjects.extend(resolved),
                Err(found) => problems.extend(found),
            }
        }
        subjects.extend(no_longer_declared);
        Ok((subjects, problems))
    }

    /// What one declaration comes to: itself, and what the record holds of it besides.
    fn resolved(&self, object: Object, context: Context<'_>) -> Result<Vec<Subject>, Vec<Problem>> {
        match resolve(&object, context) {
            Ok(resolved) => Ok(self.subjects_of(object, resolved, context.declarations)),
            // What is left alone need not lead anywhere.
            Err(_) if object.spec.suspend() => Ok(Vec::new()),
            // What a tombstone speaks of went with what it refers to; the record may not know yet.
            Err(found) if object.spec.policy().absent() && only_unresolved(&found) => {
                let entry = self.entries().and_then(|entries| entries.by_address(&object.address));
                Ok(entry.cloned().map(Subject::recorded).into_iter().collect())
            }
            Err(found) => Err(found),
        }
    }

    /// Whether an object is created unread. FusionAuth refuses a second user of one sign-in name and a second entity of
    /// one clientId, but not a second entity of one name; an import does not name what it refuses.
    fn is_presumed_absent(&self, object: &Object, resolved: &Resolved, entry: Option<&Entry>) -> bool {
        let recorded = self.sources.record.is_some_and(|(loaded, _)| !loaded.is_absent());
        let asked = self.options.presume_absent && recorded && entry.is_none();
        asked
            && self.options.selection.selects(object)
            && lower(object, resolved).is_ok_and(|desired| is_refused_twice(&desired))
    }

    fn subjects_of(&self, object: Object, resolved: Resolved, declarations: &Declarations) -> Vec<Subject> {
        let entry = self.entry_of(&object).cloned();
        let intended = self.intended(&object.address, &resolved.key, entry.as_deref(), declarations);
        let context = !self.options.selection.selects(&object);
        let presumed_absent = self.is_presumed_absent(&object, &resolved, entry.as_deref());
        let declared = Some(Declaration::new(object, resolved));
        let subject = Subject { declared, entry, intended: intended.current, context, presumed_absent };
        let abandoned = intended.abandoned.into_iter().map(Subject::recorded);
        abandoned.chain([subject]).collect()
    }

    /// Permissions that no manifest declares are looked up.
    async fn permissions(
        &self,
        selected: &[&Object],
        objects: &[Object],
        declarations: &Declarations,
        references: &References,
    ) -> Result<Vec<Problem>, Error> {
        let grants = grant_permissions::undeclared(selected, objects, declarations, references);
        if grants.is_empty() {
            return Ok(Vec::new());
        }
        let known = grant_permissions::permissions_of(&self.catalogue.entity_types().await?);
        let judge = |(object, spec, type_id)| grant_permissions::judge(object, spec, known.get(&type_id));
        Ok(grants.into_iter().flat_map(judge).collect())
    }

    /// What the record holds under the address, else under the one that the object had before.
    fn entry_of(&self, object: &Object) -> Option<&Arc<Entry>> {
        let entries = self.entries()?;
        let former = || object.moved_from.as_ref().and_then(|former| entries.by_address(former));
        entries.by_address(&object.address).or_else(former)
    }

    /// Intents beside the entry that is confirmed: a run ended while a link or a grant changed its key.
    fn intended(
        &self,
        address: &Address,
        key: &KeyReference,
        entry: Option<&Entry>,
        declarations: &Declarations,
    ) -> Intended {
        let mut intended = Intended::default();
        let (Some(entries), Some(confirmed)) = (self.entries(), entry) else { return intended };
        let others: Vec<&Arc<Entry>> =
            entries.at(address).filter(|other| other.intent && other.key != confirmed.key).collect();
        if others.is_empty() {
            return intended;
        }
        let id = |address: &Address| declarations.get(address).map(|declared| declared.id);
        let key = key.resolve(&id);
        for other in others {
            if Some(&other.key) == key.as_ref() {
                intended.current = Some(other.clone());
            } else {
                intended.abandoned.push(other.clone());
            }
        }
        intended
    }

    /// Entries that no declaration of the whole input speaks of. A selection by labels leaves them alone, for the
    /// record holds no labels.
    fn no_longer_declared(&self, objects: &[Object]) -> Vec<Subject> {
        let Some(entries) = self.entries() else { return Vec::new() };
        if self.options.selection.labels.is_some() {
            return Vec::new();
        }
        let declared: HashSet<&Address> = objects
            .iter()
            .flat_map(|object| std::iter::once(&object.address).chain(object.moved_from.as_ref()))
            .collect();
        entries
            .shared()
            .filter(|entry| !declared.contains(&entry.address))
            .filter(|entry| self.options.selection.selects_address(&entry.address))
            .map(|entry| Subject::recorded(entry.clone()))
            .collect()
    }

    async fn observe(&self, subjects: &[Subject]) -> Result<(Vec<Planned>, Counts), Error> {
        let seen = self.secrets(subjects).await;
        let claims = self.claims(subjects).await?;
        let sink = RwLock::new(Comparer::new(Known {
            subjects,
            context: &self.context,
            recorded: self.sources.record.is_some(),
            reason: if self.options.destroy { Reason::Destroy } else { Reason::Pruned },
            claims: &claims,
            enforced: &seen.enforced,
            compared: &seen.compared,
            baselines: &seen.baselines,
            keys: self.sources.keys,
            progress: self.sources.progress,
        }));
        let observer = Observer {
            client: self.sources.session.client(),
            catalogue: &self.catalogue,
            version: self.sources.session.version(),
            subjects,
            pending: &seen.pending,
            held: self.entries(),
            sink: &sink,
        };
        observer.run().await?;
        let mut comparer = sink.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = comparer.found_by_name();
        if let Some((_, record)) = self.sources.record.filter(|_| !found.is_empty()) {
            comparer.take_claims(&record.claims(&found).await?);
        }
        let counts = comparer.counts();
        Ok((comparer.into_planned(), counts))
    }

    /// Other owners' claims on what our record does not hold. Keys are known before anything is read, but for what
    /// is found by name; that is asked for once it was found.
    async fn claims(&self, subjects: &[Subject]) -> Result<HashMap<Key, Claim>, Error> {
        let Some((_, record)) = self.sources.record else { return Ok(HashMap::new()) };
        let new = subjects.iter().filter(|subject| subject.entry.is_none() && !subject.context);
        let new: Vec<&Declaration> = new.filter_map(|subject| subject.declared.as_ref()).collect();
        if new.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: HashMap<&Address, Uuid> = subjects
            .iter()
            .filter_map(|subject| subject.declared.as_ref())
            .filter_map(|declared| Some((&declared.address, declared.id()?)))
            .collect();
        let id = |address: &Address| ids.get(address).copied();
        let keys: BTreeSet<Key> =
            new.into_iter().filter_map(|declared| declared.resolved.key.resolve(&id)).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let claims = record.claims(&keys).await?;
        Ok(claims.into_iter().map(|claim| (claim.key.clone(), claim)).collect())
    }

    /// Values that comparing needs, as far as they can be read: a plan needs none and says what it could not see.
    async fn secrets(&self, subjects: &[Subject]) -> Seen {
        let mut seen = Seen::default();
        let mut values = SecretValues::default();
        for (index, subject) in subjects.iter().enumerate() {
            let Some(declared) = &subject.declared else { continue };
            if let Some(id) = &declared.resolved.pending_link {
                seen.pending.insert(index, SecretString::from(id.clone()));
            }
            for secret in &declared.resolved.secrets {
                let needed = match secret.usage {
                    SecretUse::Compared => true,
                    SecretUse::Enforced => self.sources.record.is_some(),
                    SecretUse::Initial => secret.field == "pendingIdPLinkId",
                };
                if !needed {
                    continue;
                }
                let namespace = &declared.address.namespace;
                let loaded = values.load(self.sources.secrets, namespace, &secret.source, false).await;
                if let Err(error) = &loaded {
                    tracing::debug!(address = %declared.address, source = describe(&secret.source), %error,
                        "a secret cannot be seen");
                }
                let value = loaded.ok();
                match (secret.usage, value) {
                    (SecretUse::Enforced, value) => {
                        let comparison = self.compare_enforced(subject, &secret.field, value.as_ref());
                        seen.enforced.entry(index).or_default().insert(secret.field.clone(), comparison);
                        if let Some(value) = value.filter(|_| subject.entry.is_none()) {
                            seen.baselines.insert((index, secret.field.clone()), value);
                        }
                    }
                    (SecretUse::Compared, Some(value)) => {
                        seen.compared.insert((index, secret.field.clone()), value);
                    }
                    (SecretUse::Initial, Some(value)) => {
                        seen.pending.insert(index, value);
                    }
                    (_, None) => {}
                }
            }
        }
        seen
    }

    fn compare_enforced(
        &self,
        subject: &Subject,
        field: &str,
        value: Option<&SecretString>,
    ) -> SecretComparison {
        let Some(entry) = &subject.entry else { return SecretComparison::NeverSent };
        let Some(sent) = entry.secrets.get(field) else { return SecretComparison::NeverSent };
        let (Some(recorded), Some(keys)) = (&sent.fingerprint, self.sources.keys) else {
            return SecretComparison::NoKey;
        };
        let Some(value) = value else { return SecretComparison::NoValue };
        let of = SecretOf { kind: entry.address.kind, key: &entry.key, field };
        keys.compare(recorded, of, value.expose_secret().as_bytes())
    }

    /// Risks and guards, with the facts that they ask for.
    pub(super) async fn judge(
        &self,
        mut plan: Plan,
        subjects: &[Subject],
        counts: Counts,
    ) -> Result<Plan, Error> {
        if let (Some((loaded, _)), None) = (self.sources.record, self.options.adoption) {
            loaded.refuse_if_lost(&counts.derived)?;
        }
        let facts = self.facts(&plan, subjects, counts).await?;
        assess(&mut plan, &facts);
        let refused = guard(&plan, &facts, &self.options.limits);
        plan.errors.extend(refused);
        Ok(plan)
    }

    /// What judging the plan needs to know.
    async fn facts(&self, plan: &Plan, subjects: &[Subject], counts: Counts) -> Result<Facts, Error> {
        let session = self.sources.session;
        let mut facts = self.owned(subjects, counts);
        let needs = needs(plan);
        let own: HashSet<Uuid> = match self.entries() {
            Some(entries) => entries.of_kind(Kind::Entity).filter_map(|entry| entry.key.id()).collect(),
            None => subjects
                .iter()
                .filter(|subject| subject.kind() == Kind::Entity)
                .filter_map(|subject| subject.declared.as_ref()?.id())
                .collect(),
        };
        let looking = Looking { session, catalogue: &self.catalogue, own: &own, record: self.entries() };
        looking.answer(&needs, &mut facts).await?;
        Ok(facts)
    }

    fn owned(&self, subjects: &[Subject], counts: Counts) -> Facts {
        let now = self.sources.session.client().server_now().unwrap_or_else(jiff::Timestamp::now);
        let mut facts = Facts { now: now.as_millisecond(), ..Facts::default() };
        match self.entries() {
            Some(entries) => {
                for entry in entries.iter().filter(|entry| entry.counts_as_owned()) {
                    facts.owned += 1;
                    facts.owned_users += u64::from(entry.address.kind == Kind::User);
                }
            }
            None => {
                facts.owned = counts.own;
                facts.owned_users = counts.own_users;
            }
        }
        debug_assert!(counts.own <= subjects.len() as u64);
        facts
    }
}

/// Whether FusionAuth refuses a second one of what is to be created, and nothing needs to be known of a first.
fn is_refused_twice(desired: &Desired) -> bool {
    let plain = desired.policy.adoption() == Adoption::Never
        && !desired.policy.absent()
        && !desired.suspended
        && desired.fields.get("active") != Some(&serde_json::Value::Bool(false))
        && desired.secrets.iter().all(|secret| secret.field != "salt");
    let unique = match desired.address.kind {
        Kind::User => true,
        Kind::Entity => desired.fields.contains_key("clientId"),
        _ => false,
    };
    plain && unique
}

fn only_unresolved(problems: &[Problem]) -> bool {
    problems.iter().all(|problem| problem.code == "unresolved-reference")
}

/// The addresses of the selected objects and, however far, of the declared ones that they refer to.
fn with_references(
    objects: &[Object],
    selection: &Selection,
    declarations: &Declarations,
) -> HashSet<Address> {
    let by_address: HashMap<&Address, &Object> =
        objects.iter().map(|object| (&object.address, object)).collect();
    let mut wanted: HashSet<Address> = HashSet::new();
    let mut next: Vec<&Object> = objects.iter().filter(|object| selection.selects(object)).collect();
    while let Some(object) = next.pop() {
        if wanted.insert(object.address.clone()) {
            let mut references = references::declared(object);
            references.extend(references::declared_by_id(object, declarations));
            next.extend(references.iter().filter_map(|address| by_address.get(address).copied()));
        }
    }
    wanted
}
