//! Who is to be reconciled next, and who waits for what. A wake is a key put into the kind's queue; what is done about it
//! is the reconcile's to find out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

use crate::model::{Address, Kind};

use super::instance::InstanceKey;
use super::resource::{Resource, object_ref};

/// Something that an object can wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum On {
    /// Another object is there, or has done what it had to do.
    Object(Address),
    /// The instance can be used, or says something else.
    Instance(InstanceKey),
    /// A ConfigMap, by namespace and name.
    ConfigMap(Arc<str>, Arc<str>),
    /// A Secret, by namespace and name, where Secrets are watched.
    Secret(Arc<str>, Arc<str>),
    /// The labels of a namespace, or its end.
    Namespace(Arc<str>),
}

/// A queue: of a kind, in one namespace or in all.
type Queue = (Kind, Option<String>);

/// All queues and everybody who waits. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wakes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queues: Mutex<HashMap<Queue, mpsc::UnboundedSender<ObjectRef<Resource>>>>,
    waiting: Mutex<HashMap<On, BTreeSet<Address>>>,
}

impl Wakes {
    /// The queue of a kind in a namespace, or in all.
    pub fn queue(&self, kind: Kind, namespace: Option<&str>) -> mpsc::UnboundedReceiver<ObjectRef<Resource>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue = (kind, namespace.map(str::to_owned));
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(queue, sender);
        receiver
    }

    /// Has these objects reconciled.
    pub fn objects(&self, addresses: impl IntoIterator<Item = Address>) {
        let queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            let own = queues.get(&(address.kind, Some(address.namespace.to_string())));
            if let Some(queue) = own.or_else(|| queues.get(&(address.kind, None))) {
                // A queue without a reader is one of a controller that has ended.
                let _ = queue.send(object_ref(&address));
            }
        }
    }

    /// The instance has something to tell in its status.
    pub fn told(&self, key: &InstanceKey) {
        self.objects([key.address()]);
    }

    /// `address` is reconciled when `on` happens. Once: whoever still waits says so again.
    pub fn wait(&self, on: On, address: &Address) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(on).or_default().insert(address.clone());
    }

    /// Has everybody reconciled who waits for this.
    pub fn happened(&self, on: &On) {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(on);
        self.objects(waiting.into_iter().flatten());
    }

    pub fn instance(&self, key: &InstanceKey) {
        self.happened(&On::Instance(key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_woken_once_in_the_queue_of_its_namespace() {
        let wakes = Wakes::default();
        let mut all = wakes.queue(Kind::User, None);
        let mut one = wakes.queue(Kind::User, Some("a"));
        let on = On::ConfigMap("a".into(), "x".into());
        wakes.wait(on.clone(), &Address::new(Kind::User, "a", "richard"));
        wakes.wait(on.clone(), &Address::new(Kind::User, "b", "erlich"));
        wakes.happened(&on);
        assert_eq!(one.try_recv().unwrap().name, "richard");
        assert_eq!(all.try_recv().unwrap().name, "erlich");
        wakes.happened(&on);
        assert!(all.try_recv().is_err());
    }
}
