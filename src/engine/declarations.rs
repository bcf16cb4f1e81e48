//! Which live id each declared object stands for, before anything has been observed. Pure.
//!
//! The id is `spec.id`, else the one that the record holds for the address, else the derived one. An object that
//! was renamed keeps the id of its former address.

use std::collections::HashMap;

use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{Address, Kind, Owner, derived_id};
use crate::reconcile::ObjectRef;

/// A declared object's id and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredId {
    pub id: Uuid,
    /// By `spec.id`, neither recorded nor derived.
    pub explicit: bool,
}

/// The ids of all declared objects that have one.
#[derive(Debug, Default)]
pub struct Declarations {
    ids: HashMap<Address, DeclaredId>,
    addresses: HashMap<(Kind, Uuid), Address>,
}

impl Declarations {
    /// Of all objects of the input, whether they are selected or not: a selected object may refer to any of them.
    /// `recorded` gives the id that the record holds for an address.
    pub fn new<'a>(
        objects: impl IntoIterator<Item = &'a Object>,
        owner: &Owner,
        tenant_id: Uuid,
        recorded: impl Fn(&Address) -> Option<Uuid>,
    ) -> Self {
        let mut declarations = Declarations::default();
        for object in objects {
            let address = &object.address;
            if !has_id(address.kind) {
                continue;
            }
            let declared = match object.spec.id() {
                Some(id) => DeclaredId { id, explicit: true },
                None => {
                    let former = object.moved_from.as_ref();
                    let id = recorded(address)
                        .or_else(|| former.and_then(&recorded))
                        .unwrap_or_else(|| derived_id(owner, tenant_id, former.unwrap_or(address)));
                    DeclaredId { id, explicit: false }
                }
            };
            declarations.ids.insert(address.clone(), declared);
            declarations.addresses.insert((address.kind, declared.id), address.clone());
        }
        declarations
    }

    pub fn get(&self, address: &Address) -> Option<DeclaredId> {
        self.ids.get(address).copied()
    }

    /// A reference by id: to a declared object when one stands under it.
    pub fn by_id(&self, kind: Kind, id: Uuid) -> ObjectRef {
        match self.addresses.get(&(kind, id)) {
            Some(address) => ObjectRef::Declared(address.clone()),
            None => ObjectRef::Id(id),
        }
    }

    /// The declared names of a kind in a namespace, for "did you mean".
    pub fn names<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        self.ids
            .keys()
            .filter(move |address| address.kind == kind && &*address.namespace == namespace)
            .map(|address| &*address.name)
    }
}

/// Whether objects of the kind have an id; grants and links have their pair.
pub fn has_id(kind: Kind) -> bool {
    matches!(kind, Kind::EntityType | Kind::Lambda | Kind::User | Kind::Entity)
}
