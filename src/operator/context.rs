//! What every reconcile shares: what was seen of the cluster, who waits for what, the instances at work.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::cancel::Cancel;
use crate::model::{Address, InstanceAllow, InstanceKind, Kind, PlanApprovalSpec};

use super::instance::{Declared, Environment, Handle, InstanceKey, spawn};
use super::metrics::Metrics;
use super::resource::{Resource, object_ref};
use super::status::ObjectStatus;
use super::wake::Wakes;
use super::writer::Writer;

/// Metadata of a namespace.
pub type NamespaceMeta = PartialObjectMeta<Namespace>;

/// Everything that was seen of our kinds.
#[derive(Default)]
pub struct Stores {
    /// One store a kind and namespace that is served, or one a kind.
    pub objects: HashMap<Kind, Vec<Store<Resource>>>,
    pub namespaces: Option<Store<NamespaceMeta>>,
}

impl Stores {
    pub fn get(&self, address: &Address) -> Option<std::sync::Arc<Resource>> {
        let reference = object_ref(address);
        self.objects.get(&address.kind)?.iter().find_map(|store| store.get(&reference))
    }

    /// All objects of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = std::sync::Arc<Resource>> + '_ {
        self.objects.get(&kind).into_iter().flatten().flat_map(Store::state)
    }
}

/// What every reconcile shares.
pub struct Context {
    pub writer: Writer,
    pub wakes: Wakes,
    pub stores: Stores,
    pub instances: Instances,
    pub metrics: Metrics,
    pub backoff: Backoff,
    pub seen: watch::Receiver<bool>,
    /// Every namespace is served, and so nobody else serves any.
    pub serves_all: bool,
    /// Statuses that were written and may not have come back by the watch yet.
    pub written: Written,
    /// UIDs of objects that the API server lets nobody change, as far as that was told.
    pub stuck: Mutex<HashSet<String>>,
}

impl Context {
    /// Whether it is news that an object cannot go.
    pub fn is_stuck(&self, uid: &str) -> bool {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned())
    }

    /// Returns once everything that there was at the start has been seen.
    pub async fn wait_until_seen(&self) {
        let mut seen = self.seen.clone();
        // The sender ends with the operator, and then nothing is waited for any more.
        let _ = seen.wait_for(|seen| *seen).await;
    }

    /// The hashes that approvals of an object name.
    pub fn approvals(&self, address: &Address) -> BTreeSet<String> {
        self.stores
            .all(Kind::PlanApproval)
            .filter(|approval| approval.namespace() == &*address.namespace && !approval.is_deleted())
            .filter_map(|approval| serde_json::from_str::<PlanApprovalSpec>(&approval.spec).ok())
            .filter(|spec| spec.object_ref.kind == address.kind && spec.object_ref.name == *address.name)
            .map(|spec| spec.plan_hash)
            .collect()
    }

    /// Who may use a ClusterFusionAuthInstance; None when it is not there.
    pub fn allow_list(&self, key: &InstanceKey) -> Option<Vec<InstanceAllow>> {
        self.instances.locked().get(key).map(|entry| entry.allow.clone())
    }

    fn namespace(&self, name: &str) -> Option<std::sync::Arc<NamespaceMeta>> {
        self.stores.namespaces.as_ref()?.get(&ObjectRef::new(name))
    }

    pub fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        let found = self.namespace(name).and_then(|namespace| namespace.metadata.labels.clone());
        found.unwrap_or_default()
    }

    pub fn is_terminating(&self, name: &str) -> bool {
        self.namespace(name).is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    /// An object is no longer any instance's.
    pub fn forget(&self, address: &Address) {
        for entry in self.instances.locked().values_mut() {
            if entry.users.remove(address) {
                entry.handle.forget(address.clone());
            }
        }
    }

    /// An object is gone: an instance that goes may have waited for it.
    pub fn object_is_gone(&self, address: &Address) {
        self.forget(address);
        self.written.forget(address);
        self.wakes.happened(&super::wake::On::Object(address.clone()));
        for key in self.instances.going() {
            self.wakes.told(&key);
        }
    }
}

/// An instance at work and who uses it.
struct Entry {
    handle: Handle,
    allow: Vec<InstanceAllow>,
    users: BTreeSet<Address>,
    going: bool,
}

/// The instances at work.
pub struct Instances {
    entries: Mutex<HashMap<InstanceKey, Entry>>,
    /// Those that were reconciled at least once, whatever came of it.
    had_a_turn: Mutex<HashSet<InstanceKey>>,
    environment: Environment,
    wakes: Wakes,
    cancel: Cancel,
    tasks: Mutex<JoinSet<()>>,
}

impl Instances {
    pub fn new(environment: Environment, wakes: Wakes) -> Self {
        Instances {
            entries: Mutex::default(),
            had_a_turn: Mutex::default(),
            environment,
            wakes,
            cancel: Cancel::default(),
            tasks: Mutex::default(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<InstanceKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to an instance, for an object that uses it.
    pub fn used_by(&self, key: &InstanceKey, address: &Address) -> Option<Handle> {
        let mut entries = self.locked();
        let entry = entries.get_mut(key)?;
        entry.users.insert(address.clone());
        Some(entry.handle.clone())
    }

    /// The way to an instance.
    pub fn handle(&self, key: &InstanceKey) -> Option<Handle> {
        self.locked().get(key).map(|entry| entry.handle.clone())
    }

    /// Whether the instance was reconciled already, whatever came of it.
    pub fn has_had_a_turn(&self, key: &InstanceKey) -> bool {
        self.turns().contains(key)
    }

    /// The instance was reconciled; whether for the first time.
    pub fn had_a_turn(&self, key: &InstanceKey) -> bool {
        self.turns().insert(key.clone())
    }

    fn turns(&self) -> MutexGuard<'_, HashSet<InstanceKey>> {
        self.had_a_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an object uses it, as far as is known. Those that are not there any more do not: one without a finalizer
    /// goes without a word.
    pub fn is_used(&self, key: &InstanceKey, is_there: impl Fn(&Address) -> bool) -> bool {
        let mut entries = self.locked();
        let Some(entry) = entries.get_mut(key) else { return false };
        while let Some(first) = entry.users.first() {
            if is_there(first) {
                return true;
            }
            entry.users.pop_first();
        }
        false
    }

    /// How many objects use it, as far as is known.
    pub fn users(&self, key: &InstanceKey) -> usize {
        self.locked().get(key).map_or(0, |entry| entry.users.len())
    }

    /// Whether its task runs.
    pub fn is_declared(&self, key: &InstanceKey) -> bool {
        self.locked().contains_key(key)
    }

    fn going(&self) -> Vec<InstanceKey> {
        let entries = self.locked();
        entries.iter().filter(|(_, entry)| entry.going).map(|(key, _)| key.clone()).collect()
    }

    /// Tells the instance's task what its object says, and starts it where there is none. Whether who may use it has
    /// changed.
    pub fn declare(
        &self,
        key: &InstanceKey,
        declared: Declared,
        allow: Vec<InstanceAllow>,
        going: bool,
    ) -> (Handle, bool) {
        let mut entries = self.locked();
        if let Some(entry) = entries.get_mut(key).filter(|entry| entry.handle.is_running()) {
            let changed = entry.allow != allow;
            entry.allow = allow;
            entry.going = going;
            entry.handle.declare(declared);
            return (entry.handle.clone(), changed);
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = self.environment.clone();
        let handle =
            spawn(key.clone(), declared, environment, self.wakes.clone(), self.cancel.clone(), &mut tasks);
        let users = entries.remove(key).map(|entry| entry.users).unwrap_or_default();
        entries.insert(key.clone(), Entry { handle: handle.clone(), allow, users, going });
        (handle, true)
    }

    /// The instance is gone: its task ends.
    pub fn remove(&self, key: &InstanceKey) {
        self.locked().remove(key);
        self.turns().remove(key);
    }

    /// How many can be used, and how many cannot.
    pub fn count(&self) -> (usize, usize) {
        let entries = self.locked();
        let up = entries.values().filter(|entry| entry.handle.is_up()).count();
        (up, entries.len() - up)
    }

    /// Ends all tasks: writes in flight are finished, locks let go.
    pub async fn end(&self, within: Duration) {
        self.cancel.cancel("the operator is stopping");
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!("writes were still in flight at the end");
        }
    }
}

/// Between attempts, object by object: doubling, with a cap.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<Address, u32>>);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LAST: Duration = Duration::from_secs(300);

    /// The wait before the next attempt, up to a quarter of it by chance.
    pub fn next(&self, address: &Address) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(address.clone()).or_default();
        let wait = Self::FIRST.saturating_mul(1 << (*count).min(16)).min(Self::LAST);
        *count = count.saturating_add(1);
        let chance = (uuid::Uuid::new_v4().as_u128() & 0xff) as u32;
        wait - wait / 4 * chance / 255
    }

    pub fn reset(&self, address: &Address) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

/// Statuses as they were written last, until the watch brings them back: a reconcile that follows at once must not
/// build on an older one.
#[derive(Debug, Default)]
pub struct Written(Mutex<HashMap<Address, (u64, ObjectStatus)>>);

impl Written {
    /// The newer one of what the store has and what was written.
    pub fn status(&self, address: &Address, resource: &Resource) -> ObjectStatus {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = version(resource.metadata.resource_version.as_deref());
        match written.get(address) {
            Some((version, status)) if seen.is_some_and(|seen| seen < *version) => status.clone(),
            _ => {
                written.remove(address);
                resource.status()
            }
        }
    }

    pub fn put(&self, address: &Address, resource_version: Option<&str>, status: ObjectStatus) {
        if let Some(version) = version(resource_version) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address.clone(), (version, status));
        }
    }

    fn forget(&self, address: &Address) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

/// Resource versions of one resource can be compared as numbers (KEP-5504); one that is none is taken for new.
fn version(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

/// The key of an instance's object.
pub fn instance_key(kind: Kind, resource: &Resource) -> InstanceKey {
    let kind = match kind {
        Kind::ClusterFusionAuthInstance => InstanceKind::ClusterFusionAuthInstance,
        _ => InstanceKind::FusionAuthInstance,
    };
    InstanceKey { kind, namespace: resource.namespace().into(), name: resource.name().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_cap() {
        let backoff = Backoff::default();
        let address = Address::new(Kind::User, "default", "x");
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next(&address)).collect();
        assert!(waits[0] <= Backoff::FIRST && waits[4] > waits[0]);
        assert!(waits.iter().all(|wait| *wait <= Backoff::LAST));
        assert!(waits[19] >= Backoff::LAST / 2);
        backoff.reset(&address);
        assert!(backoff.next(&address) <= Backoff::FIRST);
    }

    #[test]
    fn what_was_written_counts_until_it_is_seen() {
        let written = Written::default();
        let address = Address::new(Kind::User, "default", "x");
        let resource = |version: &str| -> Resource {
            let text = format!(r#"{{"metadata":{{"name":"x","resourceVersion":"{version}"}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let status = ObjectStatus { observed_generation: Some(3), ..ObjectStatus::default() };
        written.put(&address, Some("12"), status.clone());
        assert_eq!(written.status(&address, &resource("9")), status);
        assert_eq!(written.status(&address, &resource("12")), ObjectStatus::default());
        assert_eq!(written.status(&address, &resource("9")), ObjectStatus::default(), "it has been seen");
    }
}
