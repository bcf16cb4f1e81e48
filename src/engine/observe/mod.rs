//! Reads what is live, in bulk: the number of requests is the cost. Each object is handed on as its page arrives
//! and compared at once, so that no more than a few pages are ever held.
//!
//! What is missing from an answer is absent only where the answer proves it (the client sees to that); anything
//! else is an error, never "absent".

mod natural;
mod pairs;
mod pending;
mod subject;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use uuid::Uuid;

use crate::fusionauth::{Client, Error, Object, Row};
use crate::model::{Kind, row};
use crate::reconcile::{Key, Live, Problem};

pub use natural::{SignIn, holders};
pub use subject::{Declaration, Subject};

use super::catalogue::Catalogue;
use super::declarations::has_id;
use super::parallel::in_parallel;
use super::record::Entries;
use super::rows;

/// What was found of a subject.
#[derive(Debug)]
pub struct Found {
    /// Where it stands or will stand.
    pub key: Key,
    pub live: Option<Live>,
    /// Of links and grants whose key changed: what stands under the record's key.
    pub previous: Option<Live>,
    /// Found by e-mail, name or the like, not under its own id.
    pub by_natural_key: bool,
}

/// What observing comes to, subject by subject.
#[derive(Debug)]
pub enum Observation {
    Found(Box<Found>),
    /// It cannot be planned, and this is why.
    Failed(Vec<Problem>),
}

/// Compares each subject as soon as it has been read. The observer asks it where what has been compared stands.
pub trait Sink: Send + Sync {
    /// What comparing comes to.
    type Verdict: Send;

    /// Compares the observation of the subject at `index`; several at once.
    fn compare(&self, index: usize, observation: Observation) -> Self::Verdict;

    /// Keeps the verdict on the subject at `index`. Each subject is compared and kept once.
    fn keep(&mut self, index: usize, verdict: Self::Verdict);

    /// Where the object of a reference stands and whether it is live; None when it failed or was never seen.
    fn standing(&self, reference: &crate::reconcile::ObjectRef) -> Option<Standing>;

    /// The declared value of a compared secret, when it could be read.
    fn secret(&self, index: usize, field: &str) -> Option<secrecy::SecretString>;
}

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub id: Uuid,
    /// Whether it is there already.
    pub live: bool,
}

/// Reads subjects.
pub struct Observer<'a, S> {
    pub client: &'a Client,
    pub catalogue: &'a Catalogue,
    pub version: &'a crate::fusionauth::ServerVersion,
    pub subjects: &'a [Subject],
    /// Pending links' ids, by subject, of those that could be read.
    pub pending: &'a HashMap<usize, secrecy::SecretString>,
    /// What the record holds: such an object is nobody else's to find by name.
    pub held: Option<&'a Entries>,
    pub sink: &'a RwLock<S>,
}

/// The subjects of one kind by the id they are looked for under.
struct ById {
    kind: Kind,
    indexes: HashMap<Uuid, Vec<usize>>,
    seen: HashSet<Uuid>,
}

impl ById {
    fn ids(&self) -> Vec<Uuid> {
        self.indexes.keys().copied().collect()
    }

    /// Subjects whose id was not answered, in their order.
    fn absent(&self) -> Vec<usize> {
        let missing = self.indexes.iter().filter(|(id, _)| !self.seen.contains(id));
        let absent: BTreeSet<usize> = missing.flat_map(|(_, indexes)| indexes.iter().copied()).collect();
        absent.into_iter().collect()
    }
}

impl<S: Sink> Observer<'_, S> {
    /// Reads everything: what has an id first, then the pairs, whose ids are known then.
    ///
    /// # Errors
    /// Any read that fails for good.
    pub async fn run(&self) -> Result<(), Error> {
        tokio::try_join!(
            async {
                self.entity_types().await?;
                self.entities().await
            },
            self.lambdas(),
            self.users(),
        )?;
        tokio::try_join!(self.grants(), self.links())?;
        Ok(())
    }

    // A sink that panicked while it compared has ended the run already.
    fn sink(&self) -> RwLockReadGuard<'_, S> {
        self.sink.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, index: usize, verdict: S::Verdict) {
        self.sink.write().unwrap_or_else(PoisonError::into_inner).keep(index, verdict);
    }

    fn take(&self, index: usize, observation: Observation) {
        let verdict = self.sink().compare(index, observation);
        self.keep(index, verdict);
    }

    fn by_id(&self, kind: Kind) -> ById {
        debug_assert!(has_id(kind));
        let mut indexes: HashMap<Uuid, Vec<usize>> = HashMap::new();
        for (index, subject) in self.subjects.iter().enumerate() {
            if let Some(id) = subject.id().filter(|_| subject.kind() == kind && !subject.presumed_absent) {
                indexes.entry(id).or_default().push(index);
            }
        }
        ById { kind, indexes, seen: HashSet::new() }
    }

    /// Nothing stands where these belong, for all that is known.
    fn hand_presumed_absent(&self, kind: Kind) {
        let presumed = |(_, subject): &(usize, &Subject)| subject.presumed_absent && subject.kind() == kind;
        for (index, _) in self.subjects.iter().enumerate().filter(presumed) {
            self.hand_nothing(index);
        }
    }

    async fn users(&self) -> Result<(), Error> {
        self.hand_presumed_absent(Kind::User);
        let mut subjects = self.by_id(Kind::User);
        let ids = subjects.ids();
        if ids.is_empty() {
            return Ok(());
        }
        self.client.users_in_pages(&ids, |page| self.hand_page(&mut subjects, page)).await?;
        let absent = subjects.absent();
        let hits = self.users_by_natural_key(&absent).await?;
        self.hand_absent(Kind::User, absent, hits).await
    }

    async fn entities(&self) -> Result<(), Error> {
        self.hand_presumed_absent(Kind::Entity);
        let mut subjects = self.by_id(Kind::Entity);
        let ids = subjects.ids();
        if ids.is_empty() {
            return Ok(());
        }
        self.client.entities_in_pages(&ids, |page| self.hand_page(&mut subjects, page)).await?;
        let absent = subjects.absent();
        let hits = self.entities_by_natural_key(&absent).await?;
        self.hand_absent(Kind::Entity, absent, hits).await
    }

    async fn entity_types(&self) -> Result<(), Error> {
        let mut subjects = self.by_id(Kind::EntityType);
        if subjects.indexes.is_empty() {
            return Ok(());
        }
        let all = self.catalogue.entity_types().await?;
        self.hand_listed(&mut subjects, &all);
        Ok(())
    }

    async fn lambdas(&self) -> Result<(), Error> {
        let mut subjects = self.by_id(Kind::Lambda);
        if subjects.indexes.is_empty() {
            return Ok(());
        }
        let all = self.catalogue.lambdas().await?;
        self.hand_listed(&mut subjects, &all);
        Ok(())
    }

    /// Of a kind that is listed whole: those under their ids, then the others by name.
    fn hand_listed(&self, subjects: &mut ById, all: &[Object]) {
        for object in all {
            if let Some(id) = rows::uuid(object, "id") {
                self.hand_object(subjects, id, object);
            }
        }
        let absent = subjects.absent();
        if absent.is_empty() {
            return;
        }
        let taken = self.spoken_for(subjects.kind);
        for index in absent {
            let hit = self.listed_by_name(index, all, &taken);
            match hit.cloned().map(|object| rows::live(subjects.kind, object)) {
                Some(Ok(live)) => self.hand(index, live.key.clone(), Some(live), true),
                Some(Err(error)) => self.hand_problem(index, "incomplete-answer", error.to_string(), None),
                None => self.hand_nothing(index),
            }
        }
    }

    /// The rows of a page, each to every subject that is looked for under its id.
    fn hand_page(&self, subjects: &mut ById, page: &[Row<'_>]) -> Result<(), Error> {
        let ById { kind, indexes, seen } = subjects;
        let mut wanted: Vec<(&Row<'_>, usize)> = Vec::with_capacity(page.len());
        for row in page.iter().filter(|row| seen.insert(row.id)) {
            wanted.extend(indexes.get(&row.id).into_iter().flatten().map(|index| (row, *index)));
        }
        let verdicts = in_parallel(wanted, |(row, index)| {
            let observation =
                self.of_row(*kind, index, row.fields(|name| rows::is_read(*kind, name))?, false);
            Ok::<_, Error>((index, self.sink().compare(index, observation)))
        });
        for verdict in verdicts {
            let (index, verdict) = verdict?;
            self.keep(index, verdict);
        }
        Ok(())
    }

    /// An object of a list, to every subject that is looked for under its id.
    fn hand_object(&self, subjects: &mut ById, id: Uuid, object: &Object) {
        if subjects.seen.insert(id) {
            for index in subjects.indexes.get(&id).into_iter().flatten() {
                self.take(*index, self.of_row(subjects.kind, *index, object.clone(), false));
            }
        }
    }

    fn of_row(&self, kind: Kind, index: usize, row: Object, by_natural_key: bool) -> Observation {
        match rows::live_with_secret(kind, row, |_, field| self.sink().secret(index, field)) {
            Ok(live) => found(live.key.clone(), Some(live), by_natural_key),
            Err(error) => self.problem(index, "incomplete-answer", error.to_string(), None),
        }
    }

    fn hand(&self, index: usize, key: Key, live: Option<Live>, by_natural_key: bool) {
        self.take(index, found(key, live, by_natural_key));
    }

    /// Nothing stands where the subject belongs.
    fn hand_nothing(&self, index: usize) {
        if let Some(id) = self.subjects.get(index).and_then(Subject::id) {
            self.hand(index, Key::Id(id), None, false);
        }
    }

    fn hand_problem(&self, index: usize, code: &str, message: String, hint: Option<String>) {
        self.take(index, self.problem(index, code, message, hint));
    }

    /// Of what nobody declares there is nothing to tell.
    fn problem(&self, index: usize, code: &str, message: String, hint: Option<String>) -> Observation {
        let Some(subject) = self.subjects.get(index) else { return Observation::Failed(Vec::new()) };
        match (&subject.declared, subject.id()) {
            (Some(declared), _) => Observation::Failed(vec![declared.at().problem(code, message, hint)]),
            (None, Some(id)) => found(Key::Id(id), None, false),
            (None, None) => Observation::Failed(Vec::new()),
        }
    }

    /// Objects that are not under their own ids: what their natural keys led to is read again by id, for an index
    /// lags behind and only the object itself says what it is.
    async fn hand_absent(&self, kind: Kind, absent: Vec<usize>, hits: Hits) -> Result<(), Error> {
        let mut rest: HashSet<usize> = absent.iter().copied().collect();
        let mut by_id: HashMap<Uuid, Vec<usize>> = HashMap::new();
        for (index, ids) in hits {
            let mut ids = ids.into_iter();
            match (ids.next(), ids.next()) {
                (Some(id), None) => by_id.entry(id).or_default().push(index),
                (Some(first), Some(second)) => {
                    rest.remove(&index);
                    let message = format!(
                        "its {} belong to different live objects, among them {first} and {second}",
                        row(kind).natural_key
                    );
                    let hint = "declare spec.id to say which one is meant, or mend the declaration";
                    self.hand_problem(index, "ambiguous-adoption", message, Some(hint.to_owned()));
                }
                (None, _) => {}
            }
        }
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let take = |row: Object| {
            let indexes = rows::uuid(&row, "id").and_then(|id| by_id.get(&id));
            for index in indexes.into_iter().flatten().filter(|index| rest.remove(index)) {
                self.take(*index, self.of_row(kind, *index, row.clone(), true));
            }
        };
        match kind {
            _ if ids.is_empty() => {}
            Kind::User => self.client.users_by_ids(&ids, take).await?,
            _ => self.client.entities_by_ids(&ids, take).await?,
        }
        for index in absent.into_iter().filter(|index| rest.contains(index)) {
            self.hand_nothing(index);
        }
        Ok(())
    }
}

fn found(key: Key, live: Option<Live>, by_natural_key: bool) -> Observation {
    Observation::Found(Box::new(Found { key, live, previous: None, by_natural_key }))
}

/// Live ids by subject, several where the parts of a natural key disagree.
type Hits = HashMap<usize, BTreeSet<Uuid>>;
