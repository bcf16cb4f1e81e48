//! What planning is told: about the run, and about one object.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::model::{Address, Adoption, Owner};

use super::{
    Claim, Entry, Key, KeyReference, Live, ObjectRef, Recipient, RecipientReference, SecretComparison,
};

/// The run: the same for each object.
#[derive(Clone, Debug)]
pub struct PlanContext {
    pub owner: Owner,
    pub tenant_id: Uuid,
    /// The server's major and minor version.
    pub server_version: (u16, u16),
    /// `--prune`: deletions of what is no longer declared are planned; else they are listed as withheld.
    pub prune: bool,
    /// `fusionkeep adopt`: instead of each object's own `policy.adoption`.
    pub adoption: Option<Adoption>,
    /// `fusionkeep adopt --from-owner`: whose claims are taken over.
    pub take_from: Option<Owner>,
}

/// What was observed of one declared object.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Where the object stands or will stand: of the live object that was found, else the record's, else the
    /// declared or derived one (of `moved_from`, when the object moved and no record says otherwise). A link
    /// that is to be completed by a pending link has the pending link's id at the identity provider, empty when
    /// that could not be read.
    pub key: Key,
    /// What stands under `key`: found by id, by the pair, or by natural key. Never an object that the record
    /// holds under another address; those free or keep their unique values by their own plans.
    pub live: Option<&'a Live>,
    /// Of links and grants: what stands under the record's key, when that is not `key`.
    pub previous: Option<&'a Live>,
    /// What the record holds under the address, else under `moved_from`.
    pub entry: Option<&'a Entry>,
    /// Another owner's claim on `live`, or on `key` where nothing stands.
    pub claim: Option<&'a Claim>,
    /// An entity's type: the id its declaration refers to.
    pub entity_type: Option<Uuid>,
    /// Enforced secrets, by field. Absent: `NeverSent`.
    pub secrets: BTreeMap<String, SecretComparison>,
}

impl KeyReference {
    /// The key, with each declared object's id looked up. None: an object that it names has no id (it failed),
    /// or a link's id at the identity provider is not known yet.
    pub fn resolve(&self, id: &dyn Fn(&Address) -> Option<Uuid>) -> Option<Key> {
        let resolve = |reference: &ObjectRef| reference.resolve(id);
        Some(match self {
            KeyReference::Id(id) => Key::Id(*id),
            KeyReference::Grant { entity, recipient } => Key::Grant {
                entity: resolve(entity)?,
                recipient: match recipient {
                    RecipientReference::User(user) => Recipient::User(resolve(user)?),
                    RecipientReference::Entity(entity) => Recipient::Entity(resolve(entity)?),
                },
            },
            KeyReference::Link { identity_provider, identity_provider_user_id, user } => Key::Link {
                identity_provider: *identity_provider,
                identity_provider_user_id: identity_provider_user_id.clone()?,
                user: resolve(user)?,
            },
        })
    }

    /// The declared objects that it names.
    pub fn declared(&self) -> Vec<&Address> {
        let references = match self {
            KeyReference::Id(_) => vec![],
            KeyReference::Grant {
                entity,
                recipient: RecipientReference::User(recipient) | RecipientReference::Entity(recipient),
            } => vec![entity, recipient],
            KeyReference::Link { user, .. } => vec![user],
        };
        references.into_iter().filter_map(ObjectRef::address).collect()
    }
}

impl ObjectRef {
    pub fn resolve(&self, id: &dyn Fn(&Address) -> Option<Uuid>) -> Option<Uuid> {
        match self {
            ObjectRef::Declared(address) => id(address),
            ObjectRef::Id(id) => Some(*id),
        }
    }

    pub fn address(&self) -> Option<&Address> {
        match self {
            ObjectRef::Declared(address) => Some(address),
            ObjectRef::Id(_) => None,
        }
    }
}
