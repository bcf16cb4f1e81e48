//! The record in the target itself, so that a runner needs no state: two chains, for tenant kinds in the tenant
//! and for global kinds in the default tenant, that appear as one record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};

use futures::future::{AbortHandle, BoxFuture, FutureExt, abortable, select_all, try_join};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::engine::lock::{Gates, Runtime, TokioRuntime};
use crate::fusionauth::{Client, Purpose, WriteGate};
use crate::model::{Scope, row};
use crate::reconcile::{Claim, Entry, Key, RecordUpdate};

use super::chain::{Chain, Contents, OtherClaim};
use super::header::Naming;
use super::held::HeldChain;
use super::ledger::{Ledger, ToWrite, scope_of};
use super::store::{ClientGroups, GroupStore};
use super::{
    Acquire, Discarded, Entries, HeldRecord, Holder, Loaded, Rebuild, Record, RecordContext, RecordError,
};

/// The record in FusionAuth's groups.
#[derive(Clone, Debug)]
pub struct GroupRecord {
    tenant: Chain,
    /// None: the key may not see the default tenant, and so no global kinds either.
    global: Option<Chain>,
}

impl GroupRecord {
    /// The record of an owner in the client's tenant, and in the default tenant for global kinds.
    pub fn new(client: &Client, default_tenant: Option<Uuid>, context: RecordContext) -> Self {
        let stores = |client: &Client| Stores {
            locks: Arc::new(ClientGroups::new(client, Purpose::Lock)),
            shards: Arc::new(ClientGroups::new(client, Purpose::Record)),
        };
        let tenant = stores(&client.with_tenant(Some(context.tenant_id)));
        let global = default_tenant.map(|id| stores(&client.with_tenant(Some(id))));
        Self::over(tenant, global, context, Arc::new(TokioRuntime::default()))
    }

    /// The record over any store of groups, in any runtime.
    pub fn over(
        tenant: Stores,
        global: Option<Stores>,
        context: RecordContext,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        let chain = |scope, stores: Stores| Chain {
            naming: Naming { scope, owner: context.owner.clone(), tenant_id: context.tenant_id },
            context: context.clone(),
            locks: stores.locks,
            store: stores.shards,
            runtime: runtime.clone(),
        };
        GroupRecord {
            tenant: chain(Scope::Tenant, tenant),
            global: global.map(|stores| chain(Scope::Global, stores)),
        }
    }

    /// The names of the owner's groups that belong to no record: somebody took its headers away. Never of a record at
    /// work.
    ///
    /// # Errors
    /// As any read.
    pub async fn left_over(&self) -> Result<Vec<String>, RecordError> {
        let mut names = self.tenant.left_over().await?;
        if let Some(global) = &self.global {
            names.extend(global.left_over().await?);
        }
        Ok(names)
    }

    async fn load(&self) -> Result<Loaded, RecordError> {
        let global = async {
            match &self.global {
                Some(chain) => chain.read().await,
                None => Ok(Contents::default()),
            }
        };
        let (tenant, global) = try_join(self.tenant.read(), global).await?;
        Ok(Contents::merge(tenant, global))
    }

    /// Each chain for itself: one that is damaged says nothing of the other.
    async fn load_to_rebuild(&self, how: Rebuild) -> Result<(Loaded, Vec<Discarded>), RecordError> {
        let (tenant, of_tenant) = Contents::or_discard(self.tenant.read().await, how)?;
        let global = match &self.global {
            Some(chain) => chain.read().await,
            None => Ok(Contents::default()),
        };
        let (global, of_global) = Contents::or_discard(global, how)?;
        let loaded = Contents::merge(tenant, global);
        Ok((loaded, of_tenant.into_iter().chain(of_global).collect()))
    }

    /// Takes the chains that will be written, the tenant's first: runs that need both then wait for each other
    /// in one order. The other chain is only read.
    async fn hold(&self, how: &Acquire) -> Result<Box<dyn HeldRecord>, RecordError> {
        let since = self.tenant.runtime.now();
        let mut chains = Vec::new();
        let mut contents = Vec::new();
        for (chain, wanted) in
            [(Some(&self.tenant), how.scopes.tenant), (self.global.as_ref(), how.scopes.global)]
        {
            let read = match (chain, wanted) {
                (Some(chain), false) => chain.read().await,
                (None, false) => Ok(Contents::default()),
                (None, true) => Err(RecordError::NoDefaultTenant),
                (Some(chain), true) => chain.acquire(how, since).await.map(|(held, contents)| {
                    chains.push(Kept::new(held));
                    contents
                }),
            };
            match read {
                Ok(read) => contents.push(read),
                Err(error) => {
                    for chain in &chains {
                        chain.held.release_after(&error).await;
                    }
                    return Err(error);
                }
            }
        }
        let mut contents = contents.into_iter();
        let (tenant, global) = (contents.next().unwrap_or_default(), contents.next().unwrap_or_default());
        let loaded = Contents::merge(tenant, global);
        let mut ledger = Ledger::new(loaded.entries.clone());
        // They are gone from the entries already; what remains is to write the shards that held them.
        for claim in &loaded.taken {
            let scope = claim.address.as_ref().map(|address| row(address.kind).scope);
            let held = scope.filter(|scope| chains.iter().any(|chain| chain.scope() == *scope));
            ledger.dirty.extend(held.map(|scope| (claim.key.clone(), scope)));
        }
        let held = HeldGroupRecord {
            record: self.clone(),
            loaded,
            chains,
            ledger: SyncMutex::new(ledger),
            flushing: Mutex::default(),
        };
        if let Err(error) = held.settle_taken().await {
            for chain in &held.chains {
                chain.held.release_after(&error).await;
            }
            return Err(error);
        }
        Ok(Box::new(held))
    }

    async fn other_claims(&self, keys: &BTreeSet<&Key>) -> Result<Vec<OtherClaim>, RecordError> {
        // An id is one object's whatever its kind, so both chains are asked only where both exist.
        let mut claims = self.tenant.claims(keys).await?;
        if let Some(global) = &self.global {
            claims.extend(global.claims(keys).await?);
        }
        Ok(claims)
    }
}

/// The groups of a tenant: for the lock, and for the rest.
#[derive(Clone)]
pub struct Stores {
    pub locks: Arc<dyn GroupStore>,
    pub shards: Arc<dyn GroupStore>,
}

impl Record for GroupRecord {
    fn read(&self) -> BoxFuture<'_, Result<Loaded, RecordError>> {
        self.load().boxed()
    }

    fn read_to_rebuild(&self, how: Rebuild) -> BoxFuture<'_, Result<(Loaded, Vec<Discarded>), RecordError>> {
        self.load_to_rebuild(how).boxed()
    }

    fn claims<'a>(&'a self, keys: &'a BTreeSet<Key>) -> BoxFuture<'a, Result<Vec<Claim>, RecordError>> {
        async move {
            let claims = self.other_claims(&keys.iter().collect()).await?;
            Ok(claims.into_iter().map(|other| other.claim).collect())
        }
        .boxed()
    }

    fn acquire<'a>(&'a self, how: &'a Acquire) -> BoxFuture<'a, Result<Box<dyn HeldRecord>, RecordError>> {
        self.hold(how).boxed()
    }

    fn unlock(&self) -> BoxFuture<'_, Result<Option<Holder>, RecordError>> {
        async move {
            let tenant = self.tenant.unlock().await?;
            let global = match &self.global {
                Some(chain) => chain.unlock().await?,
                None => None,
            };
            Ok(tenant.or(global))
        }
        .boxed()
    }
}

/// A chain whose lease a task renews for as long as this lives.
struct Kept {
    held: Arc<HeldChain>,
    renewal: AbortHandle,
}

impl Kept {
    fn new(held: Arc<HeldChain>) -> Self {
        let kept = held.clone();
        let (task, renewal) = abortable(async move { kept.keep().await });
        held.chain.runtime.spawn(task.map(drop).boxed());
        Kept { held, renewal }
    }

    fn scope(&self) -> Scope {
        self.held.chain.naming.scope
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

struct HeldGroupRecord {
    record: GroupRecord,
    loaded: Loaded,
    chains: Vec<Kept>,
    ledger: SyncMutex<Ledger>,
    flushing: Mutex<()>,
}

impl HeldGroupRecord {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what changed. What could not be written, or was not because nobody waited for it, stays to be
    /// written.
    async fn write(&self) -> Result<(), RecordError> {
        let _one = self.flushing.lock().await;
        let to_write = self.ledger().to_write();
        if let Some(to_write) = to_write {
            self.write_entries(&to_write).await?;
            self.ledger().wrote(&to_write);
        }
        Ok(())
    }

    async fn write_entries(&self, to_write: &ToWrite) -> Result<(), RecordError> {
        for scope in [Scope::Tenant, Scope::Global] {
            let changed = to_write.changed.iter().filter(|(_, (of, _))| *of == scope);
            let changed: BTreeSet<&Key> = changed.map(|(key, _)| key).collect();
            if changed.is_empty() {
                continue;
            }
            let chain =
                self.chains.iter().find(|chain| chain.scope() == scope).ok_or(RecordError::NotHeld)?;
            let entries = to_write.entries.iter().map(Arc::as_ref);
            let of_scope: Vec<&Entry> = entries.filter(|entry| scope_of(entry) == scope).collect();
            chain.held.write(&of_scope, &changed).await?;
        }
        Ok(())
    }

    async fn claim(&self, entries: Vec<Entry>) -> Result<Vec<Claim>, RecordError> {
        let mut new = BTreeMap::new();
        {
            let mut ledger = self.ledger();
            for entry in entries {
                let (key, taken_from) = (entry.key.clone(), entry.taken_from.clone());
                if ledger.intend(entry) {
                    new.insert(key, taken_from);
                }
            }
        }
        self.write().await?;
        let mut refused = Vec::new();
        if new.is_empty() {
            return Ok(refused);
        }
        for OtherClaim { claim, taken_from } in self.record.other_claims(&new.keys().collect()).await? {
            // What is taken from an owner is claimed by that owner still, unless that owner took it from us and
            // has not let us drop it yet: then nobody could tell whose it is.
            let ours = new.iter().find(|(key, _)| super::same_object(key, &claim.key));
            let taken = ours.is_some_and(|(_, from)| from.as_ref() == Some(&claim.owner));
            if !taken || taken_from.as_ref() == Some(&self.record.tenant.naming.owner) {
                if let Some((key, _)) = ours {
                    self.ledger().withdraw(key);
                }
                refused.push(claim);
            }
        }
        if !refused.is_empty() {
            self.write().await?;
        }
        Ok(refused)
    }

    /// Entries that were taken from another owner are marked until that owner has dropped them.
    async fn settle_taken(&self) -> Result<(), RecordError> {
        let marked: Vec<Entry> =
            self.ledger().entries.iter().filter(|entry| entry.taken_from.is_some()).cloned().collect();
        if marked.is_empty() {
            return Ok(());
        }
        let claims = self.record.other_claims(&marked.iter().map(|entry| &entry.key).collect()).await?;
        let mut ledger = self.ledger();
        for mut entry in marked {
            let still = claims.iter().any(|other| {
                super::same_object(&other.claim.key, &entry.key)
                    && Some(&other.claim.owner) == entry.taken_from.as_ref()
            });
            let held = self.chains.iter().any(|chain| chain.scope() == scope_of(&entry));
            if !still && held {
                entry.taken_from = None;
                ledger.put(entry);
            }
        }
        Ok(())
    }
}

impl HeldRecord for HeldGroupRecord {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn gate(&self) -> Arc<dyn WriteGate> {
        Arc::new(Gates(self.chains.iter().map(|chain| chain.held.lease.clone()).collect()))
    }

    fn intend(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Vec<Claim>, RecordError>> {
        self.claim(entries).boxed()
    }

    fn update(&self, update: RecordUpdate) {
        self.ledger().update(update);
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), RecordError>> {
        self.write().boxed()
    }

    fn entries(&self) -> Entries {
        self.ledger().entries.clone()
    }

    fn lost(&self) -> BoxFuture<'_, RecordError> {
        let leases: Vec<BoxFuture<'_, String>> =
            self.chains.iter().map(|chain| chain.held.lease.lost().boxed()).collect();
        async move {
            if leases.is_empty() {
                return std::future::pending().await;
            }
            RecordError::LockLost(select_all(leases).await.0)
        }
        .boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordError>> {
        async move {
            let written = self.write().await;
            let mut released = Ok(());
            // In the other order than they were taken.
            for chain in self.chains.iter().rev() {
                released = released.and(chain.held.release().await);
            }
            written.and(released)
        }
        .boxed()
    }
}
