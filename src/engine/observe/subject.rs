//! What is to be read: declared objects, and what the record alone still speaks of.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::engine::lower::lower;
use crate::engine::problem::At;
use crate::engine::resolve::Resolved;
use crate::manifest::Object;
use crate::model::{Address, Kind, Place};
use crate::reconcile::{Desired, Entry, KeyReference, Problem};

/// One object to read: declared, or held by the record alone.
#[derive(Debug)]
pub struct Subject {
    pub declared: Option<Declaration>,
    /// What the record holds of it.
    pub entry: Option<Arc<Entry>>,
    /// What the record intends besides: a link or a grant whose key was about to change when a run ended.
    pub intended: Option<Arc<Entry>>,
    /// Only referred to by what the run is about: it is read and compared, and nothing is done about it.
    pub context: bool,
    /// It is not read: what nobody has created is not there, and the server's answer to its creation is the judge.
    pub presumed_absent: bool,
}

/// A declared object. It is lowered when it is compared, and then freed: a run holds many of them, and what they come to
/// besides.
#[derive(Debug)]
pub struct Declaration {
    pub address: Address,
    pub place: Place,
    /// Looked for by what identifies it, when nothing stands under its key. A tombstone goes by the record alone.
    pub is_sought: bool,
    pub resolved: Resolved,
    object: Mutex<Option<Object>>,
}

impl Declaration {
    pub fn new(object: Object, resolved: Resolved) -> Self {
        Declaration {
            address: object.address.clone(),
            place: object.place.clone(),
            is_sought: !object.spec.policy().absent() && !object.spec.suspend(),
            resolved,
            object: Mutex::new(Some(object)),
        }
    }

    pub fn at(&self) -> At<'_> {
        At { address: &self.address, place: &self.place }
    }

    /// Reads what is declared, lowered for this; none once it has been compared.
    pub fn read<T>(&self, read: impl FnOnce(&Desired) -> T) -> Option<T> {
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        lower(object.as_ref()?, &self.resolved).ok().as_ref().map(read)
    }

    /// What is declared, for the one comparison of it; none once that was made.
    pub fn take(&self) -> Option<Result<Desired, Box<Problem>>> {
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(lower(&object, &self.resolved))
    }

    /// The id under which it is looked for, of kinds that have one.
    pub fn id(&self) -> Option<Uuid> {
        match self.resolved.key {
            KeyReference::Id(id) => Some(id),
            KeyReference::Grant { .. } | KeyReference::Link { .. } => None,
        }
    }
}

impl Subject {
    /// Of what the record alone speaks of.
    pub fn recorded(entry: Arc<Entry>) -> Self {
        Subject { declared: None, entry: Some(entry), intended: None, context: false, presumed_absent: false }
    }

    pub fn kind(&self) -> Kind {
        match (&self.declared, &self.entry) {
            (Some(declared), _) => declared.address.kind,
            (None, Some(entry)) => entry.address.kind,
            // A subject has one of them.
            (None, None) => Kind::User,
        }
    }

    /// The id under which the object is looked for, of kinds that have one.
    pub fn id(&self) -> Option<Uuid> {
        match (&self.declared, &self.entry) {
            (Some(declared), _) => declared.id(),
            (None, Some(entry)) => entry.key.id(),
            (None, None) => None,
        }
    }
}
