//! What manifests refer to and do not declare: applications, identity providers, people and entities that stand
//! only in FusionAuth. Which of them are needed, and what was found. Pure; looking up is `lookup`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{Address, EntityReference, Kind, Reference, Spec, UserReference};
use crate::reconcile::ObjectRef;

use super::declarations::Declarations;

/// A person who is not declared, by what the manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserBy {
    Id(Uuid),
    Email(String),
    Username(String),
    PhoneNumber(String),
}

/// An entity that is not declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityBy {
    Id(Uuid),
    ClientId(String),
}

/// By live name or by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameOrId {
    Name(String),
    Id(Uuid),
}

impl NameOrId {
    /// None when the reference names nothing, which reading refuses.
    pub fn of(reference: &Reference) -> Option<Self> {
        match (&reference.id, &reference.name) {
            (Some(id), _) => Some(NameOrId::Id(id.0)),
            (None, Some(name)) => Some(NameOrId::Name(name.clone())),
            (None, None) => None,
        }
    }

    /// The field of the reference.
    pub fn field(&self) -> &'static str {
        match self {
            NameOrId::Name(_) => "name",
            NameOrId::Id(_) => "id",
        }
    }
}

/// Everything that must be looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub applications: BTreeSet<NameOrId>,
    pub identity_providers: BTreeSet<NameOrId>,
    pub users: BTreeSet<UserBy>,
    pub entities: BTreeSet<EntityBy>,
    pub entity_types: BTreeSet<Uuid>,
}

impl Needs {
    /// What these objects refer to and the input does not declare.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Object>, declarations: &Declarations) -> Self {
        let mut needs = Needs::default();
        for object in objects {
            match &object.spec {
                Spec::User(spec) => {
                    let registrations = spec.registrations.set().into_iter().flatten();
                    let references = registrations.map(|registration| &registration.application);
                    needs.applications.extend(references.filter_map(NameOrId::of));
                }
                Spec::Entity(spec) => {
                    if let Some(id) = spec.entity_type.id
                        && let ObjectRef::Id(id) = declarations.by_id(Kind::EntityType, id.0)
                    {
                        needs.entity_types.insert(id);
                    }
                }
                Spec::EntityGrant(spec) => {
                    needs.entity(&spec.entity, declarations);
                    spec.user.iter().for_each(|user| needs.user(user, declarations));
                    spec.recipient_entity.iter().for_each(|entity| needs.entity(entity, declarations));
                }
                Spec::IdentityProviderLink(spec) => {
                    needs.identity_providers.extend(NameOrId::of(&spec.identity_provider));
                    needs.user(&spec.user, declarations);
                }
                Spec::EntityType(_) | Spec::Lambda(_) => {}
            }
        }
        needs
    }

    fn user(&mut self, reference: &UserReference, declarations: &Declarations) {
        if let Some(by) = user_by(reference) {
            let declared = matches!(&by, UserBy::Id(id)
                if matches!(declarations.by_id(Kind::User, *id), ObjectRef::Declared(_)));
            if !declared {
                self.users.insert(by);
            }
        }
    }

    fn entity(&mut self, reference: &EntityReference, declarations: &Declarations) {
        if let Some(by) = entity_by(reference) {
            let declared = matches!(&by, EntityBy::Id(id)
                if matches!(declarations.by_id(Kind::Entity, *id), ObjectRef::Declared(_)));
            if !declared {
                self.entities.insert(by);
            }
        }
    }
}

/// The declared objects that an object refers to by name.
pub fn declared(object: &Object) -> Vec<Address> {
    let namespace = &object.address.namespace;
    let address =
        |kind: Kind, name: &Option<String>| name.as_ref().map(|name| Address::new(kind, namespace, name));
    let references = match &object.spec {
        Spec::Entity(spec) => vec![address(Kind::EntityType, &spec.entity_type.name)],
        Spec::EntityGrant(spec) => vec![
            address(Kind::Entity, &spec.entity.name),
            spec.user.as_ref().and_then(|user| address(Kind::User, &user.name)),
            spec.recipient_entity.as_ref().and_then(|entity| address(Kind::Entity, &entity.name)),
        ],
        Spec::IdentityProviderLink(spec) => vec![address(Kind::User, &spec.user.name)],
        Spec::EntityType(_) | Spec::Lambda(_) | Spec::User(_) => vec![],
    };
    references.into_iter().flatten().collect()
}

/// The declared objects that an object refers to by id.
pub fn declared_by_id(object: &Object, declarations: &Declarations) -> Vec<Address> {
    let entity = |entity: &EntityReference| entity.id.map(|id| (Kind::Entity, id.0));
    let user = |user: &UserReference| user.id.map(|id| (Kind::User, id.0));
    let ids = match &object.spec {
        Spec::Entity(spec) => vec![spec.entity_type.id.map(|id| (Kind::EntityType, id.0))],
        Spec::EntityGrant(spec) => vec![
            entity(&spec.entity),
            spec.user.as_ref().and_then(user),
            spec.recipient_entity.as_ref().and_then(entity),
        ],
        Spec::IdentityProviderLink(spec) => vec![user(&spec.user)],
        Spec::EntityType(_) | Spec::Lambda(_) | Spec::User(_) => vec![],
    };
    let declared = |(kind, id)| match declarations.by_id(kind, id) {
        ObjectRef::Declared(address) => Some(address),
        ObjectRef::Id(_) => None,
    };
    ids.into_iter().flatten().filter_map(declared).collect()
}

/// How a person is referred to, unless by a manifest's name. Sign-in names are compared as FusionAuth stores
/// them (wire notes §4).
pub fn user_by(reference: &UserReference) -> Option<UserBy> {
    if let Some(id) = reference.id {
        Some(UserBy::Id(id.0))
    } else if let Some(email) = &reference.email {
        Some(UserBy::Email(email.trim().to_lowercase()))
    } else if let Some(username) = &reference.username {
        Some(UserBy::Username(username.trim().to_owned()))
    } else {
        let stored = |number: &String| number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        reference.phone_number.as_ref().map(|number| UserBy::PhoneNumber(stored(number)))
    }
}

/// How an entity is referred to, unless by a manifest's name.
pub fn entity_by(reference: &EntityReference) -> Option<EntityBy> {
    match (&reference.id, &reference.client_id) {
        (Some(id), _) => Some(EntityBy::Id(id.0)),
        (None, Some(client_id)) => Some(EntityBy::ClientId(client_id.clone())),
        (None, None) => None,
    }
}

/// A live application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub id: Uuid,
    pub name: String,
    pub roles: BTreeSet<String>,
    /// The lambdas that it uses.
    pub lambdas: BTreeSet<Uuid>,
}

/// A live object that manifests refer to by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub id: Uuid,
    pub name: String,
    /// The lambdas that it uses.
    pub lambdas: BTreeSet<Uuid>,
}

/// What was found of all that is needed. A key that is missing was looked for and does not exist.
#[derive(Debug, Default)]
pub struct References {
    pub applications: Arc<Vec<Application>>,
    pub identity_providers: Arc<Vec<Named>>,
    pub users: BTreeMap<UserBy, Uuid>,
    pub entities: BTreeMap<EntityBy, Vec<Uuid>>,
    /// The types of those entities.
    pub types_of_entities: BTreeMap<Uuid, Uuid>,
    pub entity_types: BTreeSet<Uuid>,
}

/// What a reference leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolution<T> {
    One(T),
    /// Nothing; the names that are there.
    None(Vec<String>),
    /// Several, by id.
    Many(Vec<Uuid>),
}

impl References {
    pub fn application(&self, by: &NameOrId) -> Resolution<&Application> {
        resolve(&self.applications, by, |found| found.id, |found| &found.name)
    }

    pub fn identity_provider(&self, by: &NameOrId) -> Resolution<&Named> {
        resolve(&self.identity_providers, by, |found| found.id, |found| &found.name)
    }
}

fn resolve<'a, T>(
    all: &'a [T],
    by: &NameOrId,
    id_of: impl Fn(&T) -> Uuid,
    name_of: impl for<'b> Fn(&'b T) -> &'b str,
) -> Resolution<&'a T> {
    let fits = |found: &&T| match by {
        NameOrId::Id(id) => id_of(found) == *id,
        NameOrId::Name(name) => name_of(found) == name,
    };
    let mut hits = all.iter().filter(fits);
    match (hits.next(), hits.next()) {
        (Some(one), None) => Resolution::One(one),
        (None, _) => Resolution::None(all.iter().map(|found| name_of(found).to_owned()).collect()),
        (Some(_), Some(_)) => Resolution::Many(all.iter().filter(fits).map(&id_of).collect()),
    }
}
