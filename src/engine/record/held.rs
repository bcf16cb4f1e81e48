//! A chain that this run holds: its entries are written under generations of its own, its lease is renewed, its
//! end is marked.
//!
//! Entries are never written into a header that stands. What changed goes into new shards, and a new generation
//! lists them: so a runner that was frozen cannot undo what its successor wrote, whatever of it arrives late, for
//! the primary key refuses a second generation of one number.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::engine::lock::{Lease, Mark, RENEW_AFTER, RETRY_AFTER, TIME_TO_LIVE};
use crate::fusionauth::WriteGate as _;
use crate::model::Owner;
use crate::reconcile::{Entry, Key};

use super::acquire::in_time;
use super::chain::{AT_ONCE, Chain, reading, writing};
use super::header::{Header, LockState, ShardRef};
use super::shards::{self, Cut};
use super::store::Created;
use super::{Holder, RecordError, Trust};

/// How many ids a shard is tried under, should somebody have taken the first.
const IDS: usize = 4;
/// How many shards are sent at once: each is held as a tree of values and as text meanwhile.
const SHARDS_AT_ONCE: usize = 2;
/// How often entries are written anew when an earlier attempt turns out to have been carried out.
const ATTEMPTS: usize = 3;

/// A chain while this run holds it.
#[derive(Debug)]
pub(super) struct HeldChain {
    pub chain: Chain,
    pub lease: Arc<Lease>,
    /// The header as it stands in our newest generation.
    header: Mutex<Header>,
    /// One writer of entries at a time; renewals go on meanwhile.
    writing: Mutex<()>,
    /// Groups that may be removed: superseded generations, shards that are listed no more.
    superseded: SyncMutex<Vec<Uuid>>,
    /// Shards that were sent and that no header of ours lists yet.
    sent: SyncMutex<Vec<Uuid>>,
    /// Shards sent by this run so far, for their ids.
    count: AtomicU64,
}

impl HeldChain {
    pub fn new(chain: Chain, lease: Arc<Lease>, header: Header, superseded: Vec<Uuid>) -> Self {
        HeldChain {
            chain,
            lease,
            header: Mutex::new(header),
            writing: Mutex::new(()),
            superseded: SyncMutex::new(superseded),
            sent: SyncMutex::default(),
            count: AtomicU64::new(0),
        }
    }

    /// Refuses a request that could outlast the lease.
    fn permit(&self) -> Result<(), RecordError> {
        self.lease.permit(self.chain.locks.longest_request()).map_err(RecordError::LockLost)
    }

    fn lose(&self, why: &str) -> RecordError {
        self.lease.lose(why);
        RecordError::LockLost(why.to_owned())
    }

    /// Writes the shards of the entries that changed, then the generation that lists them, then removes what
    /// that one supersedes.
    pub async fn write(&self, entries: &[&Entry], dirty: &BTreeSet<&Key>) -> Result<(), RecordError> {
        let _one = self.writing.lock().await;
        for _ in 0..ATTEMPTS {
            if self.try_write(entries, dirty).await? {
                self.remove_superseded().await;
                return Ok(());
            }
        }
        Err(RecordError::Damaged { what: "its next generation can neither be read nor made".to_owned() })
    }

    /// False: an earlier attempt had been carried out after all, and the next one starts from it.
    async fn try_write(&self, entries: &[&Entry], dirty: &BTreeSet<&Key>) -> Result<bool, RecordError> {
        let base = self.header.lock().await.clone();
        let derivation = self.chain.naming.derivation();
        let (count, cuts) = shards::cut(entries, dirty, base.shards.len(), &derivation)?;
        let number = base.generation + 1;
        let mut writes = Vec::with_capacity(cuts.len());
        for cut in cuts {
            writes.push(self.write_shard(number, base.run, cut));
        }
        let listed: Vec<(usize, Option<ShardRef>)> =
            stream::iter(writes).buffer_unordered(SHARDS_AT_ONCE).try_collect().await?;
        let mut places = if base.shards.len() == count { base.shards } else { vec![None; count] };
        for (place, shard) in listed {
            if let Some(slot) = places.get_mut(place) {
                *slot = shard;
            }
        }
        let taken_from = entries.iter().filter_map(|entry| entry.taken_from.clone()).collect();
        self.succeed(number, places, entries.len(), taken_from).await
    }

    async fn write_shard(
        &self,
        generation: u64,
        run: Uuid,
        cut: Cut,
    ) -> Result<(usize, Option<ShardRef>), RecordError> {
        let Some(content) = cut.content else { return Ok((cut.place, None)) };
        for _ in 0..IDS {
            self.permit()?;
            let count = self.count.fetch_add(1, Ordering::Relaxed);
            let id = self.chain.naming.shard_id(generation, run, count);
            lock(&self.sent).push(id);
            let name = self.chain.naming.shard_name(generation, id);
            match self.chain.store.create(id, &name, content.fields()?).await.map_err(writing)? {
                Created::Created => {
                    return Ok((cut.place, Some(ShardRef { id, checksum: content.checksum })));
                }
                Created::Exists => {
                    tracing::warn!(%id, "a group stands where a shard belongs");
                    lock(&self.sent).retain(|sent| *sent != id);
                }
            }
        }
        Err(RecordError::Damaged { what: "other groups stand where its shards belong".to_owned() })
    }

    /// Makes our next generation.
    async fn succeed(
        &self,
        number: u64,
        places: Vec<Option<ShardRef>>,
        entries: usize,
        taken_from: BTreeSet<Owner>,
    ) -> Result<bool, RecordError> {
        let mut header = self.header.lock().await;
        let next = Header {
            generation: number,
            renewal: 0,
            holder: extended(&header.holder),
            revision: header.revision + 1,
            entries,
            shards: places,
            taken_from,
            ..header.clone()
        };
        self.permit()?;
        let sent = self.lease.now();
        if !self.chain.create_generation(&next).await? {
            let earlier = self.earlier_attempt(number, header.run).await?;
            self.supersede(&header, &earlier);
            *header = earlier;
            return Ok(false);
        }
        self.supersede(&header, &next);
        *header = next;
        self.renewed(sent, number).await?;
        Ok(true)
    }

    /// What the new header no longer lists may be removed.
    fn supersede(&self, old: &Header, new: &Header) {
        let listed: BTreeSet<Uuid> = new.shards.iter().flatten().map(|shard| shard.id).collect();
        let sent = std::mem::take(&mut *lock(&self.sent));
        let before = old.shards.iter().flatten().map(|shard| shard.id).chain(sent);
        let unlisted: BTreeSet<Uuid> = before.filter(|id| !listed.contains(id)).collect();
        let old_header = self.chain.naming.header_id(old.generation);
        lock(&self.superseded).extend(unlisted.into_iter().chain([old_header]));
    }

    /// The next generation stands already: an earlier attempt of ours whose answer was lost, or another run's.
    async fn earlier_attempt(&self, number: u64, run: Uuid) -> Result<Header, RecordError> {
        let naming = &self.chain.naming;
        let found = self.chain.locks.get(naming.header_id(number)).await.map_err(reading)?;
        let header = found.and_then(|group| {
            Header::from_fields(&group.data, &naming.place(number), self.chain.context.keys.as_deref()).ok()
        });
        match header {
            Some((header, Trust::Verified | Trust::Unsigned)) if header.run == run => Ok(header),
            _ => Err(self.lose("another run made the next generation of the record")),
        }
    }

    /// Counts a request as a renewal. One that took longer than a request can is none until the chain shows that
    /// nobody came between.
    async fn renewed(&self, sent: Mark, number: u64) -> Result<(), RecordError> {
        if !in_time(sent, self.lease.now(), self.chain.locks.longest_request()) {
            let newest = self.chain.survey().await?.newest().map(|(newest, _)| newest);
            if newest != Some(number) {
                return Err(self.lose("another run took over while a request was on its way"));
            }
            return self.permit();
        }
        self.lease.renew(sent);
        Ok(())
    }

    /// Removes what the newest generation supersedes. No later header lists any of it, so nothing is lost if it
    /// stays for now: the next run finds it.
    pub async fn remove_superseded(&self) {
        if let Err(error) = self.try_remove_superseded().await {
            tracing::warn!(%error, "superseded groups of the record are left for the next run");
            self.header.lock().await.litter = true;
        }
    }

    async fn try_remove_superseded(&self) -> Result<(), RecordError> {
        let header = self.header.lock().await.clone();
        let mut ids = lock(&self.superseded).clone();
        if header.litter {
            self.permit()?;
            ids.extend(self.chain.litter(header.generation, &header).await?);
        }
        let removed = stream::iter(ids.into_iter().map(|id| async move {
            self.permit()?;
            self.chain.locks.delete(id).await.map_err(writing)
        }));
        removed.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        lock(&self.superseded).clear();
        if header.litter {
            self.header.lock().await.litter = false;
        }
        Ok(())
    }

    /// Starts the record anew: nothing of what the header lists can be used.
    pub async fn start_anew(&self) -> Result<(), RecordError> {
        let mut header = self.header.lock().await;
        header.shards.clear();
        (header.entries, header.litter) = (0, true);
        drop(header);
        self.write(&[], &BTreeSet::new()).await
    }

    /// Renews the lease once.
    pub async fn renew(&self) -> Result<(), RecordError> {
        let mut header = self.header.lock().await;
        self.permit()?;
        let holder = extended(&header.holder);
        let renewed = Header { renewal: header.renewal + 1, holder, ..header.clone() };
        let sent = self.lease.now();
        self.put(&renewed).await?;
        let in_time = in_time(sent, self.lease.now(), self.chain.locks.longest_request());
        let number = renewed.generation;
        *header = renewed;
        let newest = self.chain.survey().await?.newest().map(|(newest, _)| newest);
        if newest != Some(number) {
            return Err(self.lose("another run has taken over"));
        }
        if in_time {
            self.lease.renew(sent);
        }
        Ok(())
    }

    async fn put(&self, header: &Header) -> Result<(), RecordError> {
        let naming = &self.chain.naming;
        let (id, name) = (naming.header_id(header.generation), naming.header_name(header.generation));
        let fields =
            header.to_fields(&naming.place(header.generation), self.chain.context.keys.as_deref())?;
        if self.chain.locks.replace(id, &name, fields).await.map_err(writing)? {
            return Ok(());
        }
        Err(self.lose("its group is gone: another run has taken over"))
    }

    /// Renews the lease for as long as it can be, then returns.
    pub async fn keep(&self) {
        loop {
            self.chain.runtime.sleep(RENEW_AFTER.saturating_sub(self.lease.since_renewal())).await;
            let failed = match self.renew().await {
                Ok(()) => self.lease.since_renewal() >= RENEW_AFTER,
                Err(error) => {
                    tracing::warn!(%error, "the lock could not be renewed");
                    true
                }
            };
            if self.lease.remaining().is_zero() {
                self.lease.lose("it could not be renewed in time");
                return;
            }
            if failed {
                self.chain.runtime.sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Lets go after an error, which is what is told; if this fails too, the lock expires by itself.
    pub async fn release_after(&self, why: &RecordError) {
        if let Err(error) = self.release().await {
            tracing::warn!(%error, %why, "the lock could not be released");
        }
    }

    /// Marks the end of the run. A lock that is lost already is nobody's to release.
    pub async fn release(&self) -> Result<(), RecordError> {
        let mut header = self.header.lock().await;
        self.permit()?;
        let released = Header { state: LockState::Released, ..header.clone() };
        self.put(&released).await?;
        *header = released;
        self.lease.lose("it was released");
        Ok(())
    }
}

fn lock<T>(mutex: &SyncMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The holder with its lock for a lease from now, by its own clock.
fn extended(holder: &Holder) -> Holder {
    let expires_at = jiff::Timestamp::now().as_millisecond() + TIME_TO_LIVE.as_millis() as i64;
    Holder { expires_at: Some(expires_at), ..holder.clone() }
}
