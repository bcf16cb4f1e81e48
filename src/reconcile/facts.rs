//! What judging a plan needs to know of the server and of the run besides the plan: looked up by the engine.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::{Address, Guards, NumberOrPercent};

use super::Key;

/// The answers to [`Needs`], and what is known of the run.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Milliseconds since the epoch.
    pub now: i64,
    /// Objects that the record holds (see [`super::Entry::counts_as_owned`]).
    pub owned: u64,
    /// Users that the record holds.
    pub owned_users: u64,
    /// What refers to a lambda, by its id, named for a reader: `application "Hooli Chat"`.
    pub lambda_uses: BTreeMap<Uuid, Vec<String>>,
    /// Grants that name a permission, by entity type and name.
    pub permission_grants: BTreeMap<(Uuid, String), u64>,
    /// Entities of a type that we do not own.
    pub foreign_entities: BTreeMap<Uuid, u64>,
    /// What FusionAuth deletes along with an object: registrations, links, grants, entities.
    pub cascades: BTreeMap<Key, u64>,
    /// What the record holds of that: whether the plan deletes it by itself is the plan's to say.
    pub held_along: BTreeMap<Key, Vec<HeldAlong>>,
    /// Users who have no password.
    pub without_password: BTreeSet<Uuid>,
    /// How many links a user has now.
    pub links: BTreeMap<Uuid, u64>,
}

/// An object of ours that FusionAuth deletes along with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAlong {
    pub address: Address,
    pub key: Key,
    pub protected: bool,
}

/// What must be looked up before a plan can be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Lambdas whose uses count.
    pub lambdas: BTreeSet<Uuid>,
    /// Permissions whose grants count, by entity type and name.
    pub permissions: BTreeSet<(Uuid, String)>,
    /// Entity types whose foreign entities count.
    pub entity_types: BTreeSet<Uuid>,
    /// Objects that take others with them when they are deleted.
    pub cascades: BTreeSet<Key>,
    /// Users who lose a link: do they have a password, and how many links?
    pub users: BTreeSet<Uuid>,
}

/// The limits of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// None: over 10 and over 20 % of what is owned.
    pub max_deletes: Option<NumberOrPercent>,
    /// None: over 10 and over 50 % of the users owned.
    pub max_changed_users: Option<NumberOrPercent>,
    pub allow_hard_delete: bool,
    pub allow_admin_roles: bool,
    /// Entity types may be deleted with entities that are not owned here.
    pub allow_foreign_entities: bool,
    /// And with entities of ours that the plan is not about: they have plans of their own, as in the operator.
    pub allow_entities_elsewhere: bool,
    /// What the instance asks for; in the command it can only tighten the above.
    pub instance: Guards,
}
