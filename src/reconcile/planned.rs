//! What planning one object comes to: small, so that live pages can be dropped once they are compared.

use uuid::Uuid;

use crate::model::{Address, Kind};

use super::{Change, Key, Problem, RecordUpdate, Withheld};

/// One object's plan, before it is put together with the others'.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub address: Address,
    /// Where the object stands, or will.
    pub key: Key,
    pub verdict: Verdict,
    /// Whether something stands there now.
    pub exists: bool,
    /// Declared objects that must stand before this one.
    pub references: Vec<Address>,
    /// Live objects that this one hangs on now; they are deleted after it.
    pub uses: Vec<(Kind, Uuid)>,
    /// Unique values that the change takes, and those that it frees. A pruned person keeps theirs: they are
    /// in `keeps`.
    pub takes: Vec<Unique>,
    pub frees: Vec<Unique>,
    pub keeps: Vec<Unique>,
    pub withheld: Vec<Withheld>,
    pub warnings: Vec<Problem>,
    pub errors: Vec<Problem>,
}

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It equals its declaration.
    Unchanged,
    /// It equals its declaration, and the record is to say so.
    Record(RecordUpdate),
    Change(Box<Change>),
    /// Left alone (`spec.suspend`).
    Suspended,
    /// Nothing stands there and nothing is declared: a tombstone that is done, an entry that is gone.
    Nothing,
    /// Nothing but what is withheld: a deletion that waits for `--prune`, changes to an inactive user.
    Withheld,
    /// `errors` say why.
    Failed,
}

/// A value that FusionAuth lets one object have at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unique {
    /// `email`, `username`, `phoneNumber`, `clientId`, `name` of an entity type, `identityProviderUserId`.
    pub field: &'static str,
    pub kind: Kind,
    /// In the form in which the server compares it.
    pub value: String,
}

impl Planned {
    /// A plan that does nothing yet.
    pub fn new(address: Address, key: Key) -> Self {
        Planned {
            address,
            key,
            verdict: Verdict::Unchanged,
            exists: false,
            references: Vec::new(),
            uses: Vec::new(),
            takes: Vec::new(),
            frees: Vec::new(),
            keeps: Vec::new(),
            withheld: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub fn change(&self) -> Option<&Change> {
        match &self.verdict {
            Verdict::Change(change) => Some(change),
            _ => None,
        }
    }
}
