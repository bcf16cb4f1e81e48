//! One task per instance: everything that is read from or written to one FusionAuth goes through it. What arrives while a
//! read is under way is gathered, and read and planned together; one slow or dead instance keeps nobody else waiting.

mod admission;
mod answer;
mod batch;
mod connect;
mod deletions;
mod ledger;
mod settle;
mod task;
mod tick;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::manifest;
use crate::model::{Address, FusionAuthInstanceSpec, InstanceKind, Kind, Policy};

use super::conditions::Verdict;

use admission::Admission;

pub use admission::Permit;
pub use answer::Answer;
pub use connect::Environment;
pub use task::spawn;

/// The reason of an instance whose first attempt to connect has not ended.
pub const CONNECTING: &str = "Connecting";

/// Which instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceKey {
    pub kind: InstanceKind,
    /// Empty for a ClusterFusionAuthInstance.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl PartialOrd for InstanceKind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InstanceKind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}

impl InstanceKey {
    /// Where its object stands.
    pub fn address(&self) -> Address {
        let kind = match self.kind {
            InstanceKind::FusionAuthInstance => Kind::FusionAuthInstance,
            InstanceKind::ClusterFusionAuthInstance => Kind::ClusterFusionAuthInstance,
        };
        Address::new(kind, &self.namespace, &self.name)
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            InstanceKind::FusionAuthInstance => {
                write!(formatter, "FusionAuthInstance/{}/{}", self.namespace, self.name)
            }
            InstanceKind::ClusterFusionAuthInstance => {
                write!(formatter, "ClusterFusionAuthInstance/{}", self.name)
            }
        }
    }
}

/// What an instance is to be, as its object declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    pub spec: FusionAuthInstanceSpec,
    /// Deletions that a person let pass, of this version of the object.
    pub allow_deletes: Option<u64>,
    /// `fusionkeep.dev/take-over`.
    pub take_over: bool,
    /// The value of the reconcile annotation.
    pub reconcile: Option<String>,
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub verdict: Verdict,
    pub server_version: Option<String>,
    pub tenant_id: Option<String>,
    /// Objects that use it, at the last count; None before the first one.
    pub objects: Option<usize>,
    /// `allow-deletes` was used: the number that it was, and what is left of it.
    pub deletes_left: Option<(u64, u64)>,
    /// `take-over` has done its work.
    pub taken_over: bool,
    /// There is no key to work with: the Secret is gone.
    pub key_missing: bool,
}

impl State {
    /// Nothing is known but the verdict.
    pub fn unknown(verdict: Verdict) -> Self {
        State {
            verdict,
            server_version: None,
            tenant_id: None,
            objects: None,
            deletes_left: None,
            taken_over: false,
            key_missing: false,
        }
    }
}

/// One object's turn.
#[derive(Debug)]
pub struct Item {
    pub address: Address,
    pub work: Work,
}

/// What is asked about an object.
#[derive(Debug)]
pub enum Work {
    Apply(Box<Wanted>),
    /// The object goes, by its policy as declared last.
    Delete {
        policy: Policy,
    },
}

/// A declared object, and what it depends on.
#[derive(Debug)]
pub struct Wanted {
    pub object: Arc<manifest::Object>,
    /// The declared objects that it refers to, however far.
    pub references: Vec<Arc<manifest::Object>>,
    /// The object was as declared, and its declaration has not changed: what differs now is others' doing.
    pub was_ready: bool,
    /// Hashes of plans that were approved.
    pub approved: BTreeSet<String>,
}

/// What the task is asked.
#[derive(Debug)]
pub enum Request {
    Item(Item, oneshot::Sender<Answer>),
    /// The object is gone, or uses another instance.
    Forget(Address),
}

/// The way to an instance's task.
#[derive(Clone, Debug)]
pub struct Handle {
    admission: Admission,
    requests: mpsc::UnboundedSender<Request>,
    declared: watch::Sender<Declared>,
    state: watch::Receiver<State>,
}

impl Handle {
    /// Waits for a turn, which all that is done about an object needs.
    pub async fn enter(&self, kind: Kind) -> Permit {
        self.admission.enter(kind).await
    }

    /// Asks and waits for the answer.
    pub async fn ask(&self, item: Item, permit: &mut Permit) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let ended =
            || Answer::Unavailable { reason: "InstanceStopped", message: "the instance is stopping".into() };
        let sent = self.requests.send(Request::Item(item, sender));
        permit.has_asked();
        if sent.is_err() {
            return ended();
        }
        receiver.await.unwrap_or_else(|_| ended())
    }

    pub fn forget(&self, address: Address) {
        // A task that has ended knows nothing any more.
        let _ = self.requests.send(Request::Forget(address));
    }

    /// Tells the task what its object says now.
    pub fn declare(&self, declared: Declared) {
        self.declared.send_if_modified(|current| {
            let changed = *current != declared;
            *current = declared;
            changed
        });
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Whether the instance can be used.
    pub fn is_up(&self) -> bool {
        self.state.borrow().verdict.progress == super::conditions::Progress::Ready
    }

    pub fn is_running(&self) -> bool {
        !self.requests.is_closed()
    }
}
