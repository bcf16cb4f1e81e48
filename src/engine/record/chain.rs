//! One chain of generations, read: which is the newest, what it lists, what other owners claim.
//!
//! A generation is a group; the primary key lets one runner create it. Which shards it lists never changes, and
//! a shard is never overwritten, so whoever reads a generation reads one state of the record. What disappears
//! while it is read was succeeded: then the newest is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use crate::engine::keys::key_text;
use crate::engine::lock::Runtime;
use crate::fusionauth;
use crate::model::Owner;
use crate::reconcile::{Claim, Entry, Key};

use super::document::Document;
use super::header::{Header, LockState, Naming, ShardRef};
use super::shards;
use super::store::{Group, GroupStore};
use super::{Discarded, Foreign, Holder, Rebuild, RecordContext, RecordError, Trust, policy};

/// How often a record that changes while it is read is read again.
const READS: usize = 6;
/// Shards that are read or written at once.
pub(super) const AT_ONCE: usize = 8;

/// The groups of one scope's record.
#[derive(Clone)]
pub(super) struct Chain {
    pub naming: Naming,
    pub context: RecordContext,
    /// For headers: requests for the lock wait behind nothing.
    pub locks: Arc<dyn GroupStore>,
    /// For shards.
    pub store: Arc<dyn GroupStore>,
    pub runtime: Arc<dyn Runtime>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Chain").field("naming", &self.naming).finish_non_exhaustive()
    }
}

/// The headers that stand, of all owners.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// This owner's generations.
    pub own: BTreeMap<u64, Group>,
    /// The newest generation of each other owner.
    pub others: BTreeMap<Owner, (u64, Group)>,
}

impl Survey {
    pub fn newest(&self) -> Option<(u64, &Group)> {
        self.own.last_key_value().map(|(number, group)| (*number, group))
    }
}

/// A generation whose header was read.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub number: u64,
    pub header: Header,
    pub trust: Trust,
    pub last_update: i64,
}

/// A chain that was read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub entries: Vec<Entry>,
    pub trust: Option<Trust>,
    pub foreign: Option<Foreign>,
    pub holder: Option<Holder>,
    /// The holder's lock is over, and was not let go.
    pub left_behind: bool,
    pub taken: Vec<Claim>,
    pub revision: u64,
}

impl Contents {
    /// As [`policy::rebuilt`], of one chain.
    pub fn or_discard(
        read: Result<Contents, RecordError>,
        how: Rebuild,
    ) -> Result<(Contents, Option<Discarded>), RecordError> {
        match read {
            Err(why) if why.can_be_rebuilt() => {
                Ok((Contents::default(), Some(Discarded { why, addresses: Vec::new() })))
            }
            Ok(contents) => Ok(match contents.trust.and_then(|trust| how.discards(trust)) {
                Some(why) => {
                    let addresses = contents.entries.into_iter().map(|entry| entry.address).collect();
                    let (foreign, holder) = (contents.foreign, contents.holder);
                    let empty = Contents { foreign, holder, ..Contents::default() };
                    (empty, Some(Discarded { why, addresses }))
                }
                None => (contents, None),
            }),
            Err(error) => Err(error),
        }
    }
}

/// Another owner's claim, and from whom that owner took it.
#[derive(Clone, Debug)]
pub(super) struct OtherClaim {
    pub claim: Claim,
    pub taken_from: Option<Owner>,
}

/// Why shards could not be read.
pub(super) enum LoadError {
    /// A group that the header lists is gone: the generation was succeeded, or the record is damaged.
    Gone,
    Record(RecordError),
}

impl From<RecordError> for LoadError {
    fn from(error: RecordError) -> Self {
        LoadError::Record(error)
    }
}

pub(super) fn reading(error: fusionauth::Error) -> RecordError {
    RecordError::Api { what: "read", error }
}

pub(super) fn writing(error: fusionauth::Error) -> RecordError {
    RecordError::Api { what: "written", error }
}

fn gone() -> RecordError {
    RecordError::Damaged { what: "a group that its header lists is missing".to_owned() }
}

impl Chain {
    /// All headers of the scope, in one request.
    pub async fn survey(&self) -> Result<Survey, RecordError> {
        let mut survey = Survey::default();
        for group in self.locks.search(&self.naming.all_headers()).await.map_err(reading)? {
            let Some((owner, number)) = self.naming.parse_header(&group.name, group.id) else { continue };
            if owner == self.naming.owner {
                survey.own.insert(number, group);
            } else if survey.others.get(&owner).is_none_or(|(newest, _)| *newest < number) {
                survey.others.insert(owner, (number, group));
            }
        }
        Ok(survey)
    }

    /// The newest generation, verified as far as the keys at hand allow.
    pub fn newest(&self, survey: &Survey) -> Result<Option<Generation>, RecordError> {
        survey.newest().map(|(number, group)| self.generation(&self.naming, number, group)).transpose()
    }

    fn generation(&self, naming: &Naming, number: u64, group: &Group) -> Result<Generation, RecordError> {
        let keys = self.context.keys.as_deref();
        let (header, trust) = Header::from_fields(&group.data, &naming.place(number), keys)?;
        if header.generation != number || header.owner != naming.owner {
            return Err(RecordError::Damaged { what: "its header names another generation".to_owned() });
        }
        Ok(Generation { number, header, trust, last_update: group.last_update })
    }

    /// The entries that a header lists.
    pub async fn load(&self, naming: &Naming, header: &Header) -> Result<Vec<Entry>, LoadError> {
        let entries = self.shards(naming, header.shards.iter().flatten().cloned().collect()).await?;
        if entries.len() != header.entries {
            let what = "it holds another number of entries than its header says".to_owned();
            return Err(LoadError::Record(RecordError::Damaged { what }));
        }
        Ok(entries)
    }

    async fn shards(&self, naming: &Naming, listed: Vec<ShardRef>) -> Result<Vec<Entry>, LoadError> {
        let mut reads = Vec::with_capacity(listed.len());
        for shard in listed {
            reads.push(self.shard(naming, shard));
        }
        let read: Vec<Vec<Entry>> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn shard(&self, naming: &Naming, shard: ShardRef) -> Result<Vec<Entry>, LoadError> {
        let group = self.store.get(shard.id).await.map_err(reading)?.ok_or(LoadError::Gone)?;
        if shards::checksum(&group.data) != shard.checksum {
            let what = "a shard does not hold what its header says; it was edited".to_owned();
            return Err(LoadError::Record(RecordError::Damaged { what }));
        }
        Ok(Document::from_fields(group.data)?.decode(&naming.derivation())?)
    }

    /// The newest generation with its entries, without the lock.
    pub async fn read(&self) -> Result<Contents, RecordError> {
        for _ in 0..READS {
            let survey = self.survey().await?;
            let Some(generation) = self.newest(&survey)? else { return Ok(Contents::default()) };
            match self.load(&self.naming, &generation.header).await {
                Ok(entries) => return self.contents(&survey, &generation, entries).await,
                Err(LoadError::Gone) => {}
                Err(LoadError::Record(error)) => return Err(error),
            }
        }
        Err(gone())
    }

    /// Entries without those that another owner has taken over.
    pub async fn contents(
        &self,
        survey: &Survey,
        generation: &Generation,
        mut entries: Vec<Entry>,
    ) -> Result<Contents, RecordError> {
        let header = &generation.header;
        let taken = self.taken(survey, &entries).await?;
        if !taken.is_empty() {
            let lost: BTreeSet<String> = taken.iter().map(|claim| key_text(&claim.key)).collect();
            entries.retain(|entry| !lost.contains(&key_text(&entry.key)));
        }
        let held = header.state == LockState::Held;
        let now = self.locks.server_now();
        let over = now.is_some_and(|now| header.is_over(generation.last_update, now, self.grace()));
        Ok(Contents {
            entries,
            trust: Some(generation.trust),
            foreign: policy::foreign(&self.context, &header.holder.runner, &header.url),
            holder: held.then(|| header.holder.clone()),
            left_behind: held && over,
            taken,
            revision: header.revision,
        })
    }

    /// What other owners have taken from this one. Their headers say whether they took anything.
    async fn taken(&self, survey: &Survey, own: &[Entry]) -> Result<Vec<Claim>, RecordError> {
        let mut taken = Vec::new();
        // Owners who take from each other are few, and a record is long.
        let keys: OnceLock<BTreeMap<String, &Entry>> = OnceLock::new();
        let keys = || keys.get_or_init(|| own.iter().map(|own| (key_text(&own.key), own)).collect());
        for (owner, (number, group)) in &survey.others {
            let naming = self.naming.of(owner);
            // Only a header that can be read can say so; whether it can matters when a claim depends on it.
            let Ok(generation) = self.generation(&naming, *number, group) else { continue };
            if !generation.header.taken_from.contains(&self.naming.owner) {
                continue;
            }
            let theirs = match self.load(&naming, &generation.header).await {
                Ok(theirs) => theirs,
                // It is being written: what was taken shows in the next run, and until then as a conflict.
                Err(LoadError::Gone) => continue,
                Err(LoadError::Record(error)) => return Err(self.unreadable(owner, &error)),
            };
            for entry in
                theirs.into_iter().filter(|entry| entry.taken_from.as_ref() == Some(&self.naming.owner))
            {
                // What we took back from them since is ours until they drop it.
                let own = keys().get(&key_text(&entry.key));
                if own.is_some_and(|own| own.taken_from.as_ref() != Some(owner)) {
                    taken.push(Claim { owner: owner.clone(), address: Some(entry.address), key: entry.key });
                }
            }
        }
        Ok(taken)
    }

    fn unreadable(&self, owner: &Owner, error: &RecordError) -> RecordError {
        RecordError::OtherOwnerUnreadable { owner: owner.clone(), why: error.to_string() }
    }

    /// Other owners' claims on live objects: per owner only the shards in which they could stand are read.
    pub async fn claims(&self, keys: &BTreeSet<&Key>) -> Result<Vec<OtherClaim>, RecordError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut last = None;
        for _ in 0..READS {
            let survey = self.survey().await?;
            match self.claims_in(&survey, keys).await {
                Ok(claims) => return Ok(claims),
                Err((owner, LoadError::Gone)) => last = Some(owner),
                Err((owner, LoadError::Record(RecordError::Api { what, error }))) => {
                    tracing::debug!(%owner, "another owner's record could not be read");
                    return Err(RecordError::Api { what, error });
                }
                Err((owner, LoadError::Record(error))) => return Err(self.unreadable(&owner, &error)),
            }
        }
        match last {
            Some(owner) => Err(self.unreadable(&owner, &gone())),
            None => Ok(Vec::new()),
        }
    }

    async fn claims_in(
        &self,
        survey: &Survey,
        keys: &BTreeSet<&Key>,
    ) -> Result<Vec<OtherClaim>, (Owner, LoadError)> {
        let wanted: BTreeSet<String> = keys.iter().map(|key| key_text(key)).collect();
        let mut claims = Vec::new();
        for (owner, (number, group)) in &survey.others {
            let naming = self.naming.of(owner);
            let generation =
                self.generation(&naming, *number, group).map_err(|error| (owner.clone(), error.into()))?;
            let header = &generation.header;
            let places: BTreeSet<usize> =
                keys.iter().map(|key| shards::place(key, header.shards.len())).collect();
            let listed = places.into_iter().filter_map(|place| header.shards.get(place)?.clone()).collect();
            let found = self.shards(&naming, listed).await.map_err(|error| (owner.clone(), error))?;
            for entry in found.into_iter().filter(|entry| wanted.contains(&key_text(&entry.key))) {
                let claim = Claim { owner: owner.clone(), address: Some(entry.address), key: entry.key };
                claims.push(OtherClaim { claim, taken_from: entry.taken_from });
            }
        }
        Ok(claims)
    }

    /// The names of shards that no header lists and no run removes: somebody took their headers away. None while a run
    /// is at work.
    pub async fn left_over(&self) -> Result<Vec<String>, RecordError> {
        let survey = self.survey().await?;
        let newest = self.newest(&survey)?;
        if newest.as_ref().is_some_and(|newest| newest.header.state == LockState::Held) {
            return Ok(Vec::new());
        }
        let found = self.store.search(&self.naming.all_shards()).await.map_err(reading)?;
        let number = survey.newest().map(|(number, _)| number);
        if self.survey().await?.newest().map(|(number, _)| number) != number {
            return Ok(Vec::new());
        }
        let listed: BTreeSet<Uuid> = newest
            .iter()
            .flat_map(|newest| newest.header.shards.iter().flatten())
            .map(|shard| shard.id)
            .collect();
        // What a run could not remove the next one does.
        let swept = newest.filter(|newest| newest.header.litter).map(|newest| newest.number);
        let stays = |group: &Group| {
            let under = self.naming.parse_shard(&group.name);
            under.is_some_and(|under| swept.is_none_or(|number| under > number))
                && !listed.contains(&group.id)
        };
        Ok(found.into_iter().filter(stays).map(|group| group.name).collect())
    }

    /// The ids of shards that no header lists and none will: written under this generation or an older one.
    pub async fn litter(&self, number: u64, header: &Header) -> Result<Vec<Uuid>, RecordError> {
        let listed: BTreeSet<Uuid> = header.shards.iter().flatten().map(|shard| shard.id).collect();
        let found = self.store.search(&self.naming.all_shards()).await.map_err(reading)?;
        let old = |group: &Group| self.naming.parse_shard(&group.name).is_some_and(|under| under <= number);
        Ok(found.iter().filter(|g| old(g) && !listed.contains(&g.id)).map(|group| group.id).collect())
    }
}
