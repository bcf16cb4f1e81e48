//! Whether grants name permissions that their entities' types have, where no manifest says which those are. Where
//! one does, reading it has judged already. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use crate::fusionauth;
use crate::manifest::Object;
use crate::model::{Address, EntityGrantSpec, EntityReference, Kind, Reference, Spec};
use crate::reconcile::{ObjectRef, Problem};

use super::declarations::Declarations;
use super::problem::{At, did_you_mean};
use super::references::{References, entity_by};
use super::rows::uuid;

/// Grants whose entity's type declares no permissions, with the live type they depend on.
pub fn undeclared<'a>(
    objects: &[&'a Object],
    all: &'a [Object],
    declarations: &Declarations,
    references: &References,
) -> Vec<(&'a Object, &'a EntityGrantSpec, Uuid)> {
    let by_address: HashMap<&Address, &Object> = all.iter().map(|object| (&object.address, object)).collect();
    let types = Types { by_address, declarations, references };
    let grant = |object: &'a Object| match &object.spec {
        Spec::EntityGrant(spec) if spec.permissions.set().is_some_and(|names| !names.is_empty()) => {
            let type_id = types.of_entity(&spec.entity, &object.address.namespace)?;
            Some((object, &**spec, type_id))
        }
        _ => None,
    };
    objects.iter().copied().filter_map(grant).collect()
}

struct Types<'a> {
    by_address: HashMap<&'a Address, &'a Object>,
    declarations: &'a Declarations,
    references: &'a References,
}

impl Types<'_> {
    /// The live type of the entity; None when a manifest declares its permissions, or nothing is known.
    fn of_entity(&self, reference: &EntityReference, namespace: &str) -> Option<Uuid> {
        let declared = match (&reference.name, reference.id) {
            (Some(name), _) => Some(Address::new(Kind::Entity, namespace, name)),
            (None, Some(id)) => match self.declarations.by_id(Kind::Entity, id.0) {
                ObjectRef::Declared(address) => Some(address),
                ObjectRef::Id(_) => None,
            },
            (None, None) => None,
        };
        match declared {
            Some(address) => match &self.by_address.get(&address)?.spec {
                Spec::Entity(spec) => self.of_reference(&spec.entity_type, &address.namespace),
                _ => None,
            },
            None => {
                let entity = self.references.entities.get(&entity_by(reference)?)?.first()?;
                self.references.types_of_entities.get(entity).copied()
            }
        }
    }

    fn of_reference(&self, reference: &Reference, namespace: &str) -> Option<Uuid> {
        let declared = match (&reference.name, reference.id) {
            (Some(name), _) => Some(Address::new(Kind::EntityType, namespace, name)),
            (None, Some(id)) => match self.declarations.by_id(Kind::EntityType, id.0) {
                ObjectRef::Declared(address) => Some(address),
                ObjectRef::Id(id) => return Some(id),
            },
            (None, None) => None,
        }?;
        match &self.by_address.get(&declared)?.spec {
            Spec::EntityType(spec) if spec.permissions.set().is_none() => {
                self.declarations.get(&declared).map(|found| found.id)
            }
            _ => None,
        }
    }
}

/// The permissions of live entity types by name.
pub fn permissions_of(types: &[fusionauth::Object]) -> BTreeMap<Uuid, BTreeSet<String>> {
    let names = |found: &fusionauth::Object| {
        let permissions = found.get("permissions").and_then(Value::as_array).into_iter().flatten();
        let name = |permission: &Value| permission.get("name").and_then(Value::as_str).map(str::to_owned);
        permissions.filter_map(name).collect()
    };
    types.iter().filter_map(|found| Some((uuid(found, "id")?, names(found)))).collect()
}

/// What is wrong with a grant: each permission that its entity's type does not have.
pub fn judge(object: &Object, spec: &EntityGrantSpec, known: Option<&BTreeSet<String>>) -> Vec<Problem> {
    let none = BTreeSet::new();
    let known = known.unwrap_or(&none);
    let permissions = spec.permissions.set().into_iter().flatten().enumerate();
    permissions
        .filter(|(_, name)| !known.contains(*name))
        .map(|(index, name)| {
            let hint = match did_you_mean(name, known.iter().cloned()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if known.is_empty() => "the entity's type has no permissions".to_owned(),
                None => {
                    format!("its permissions are: {}", known.iter().cloned().collect::<Vec<_>>().join(", "))
                }
            };
            let message = format!("the entity's type has no permission \"{name}\"");
            let problem = At::object(object).problem("unknown-permission", message, Some(hint));
            problem.pointing(format!("/spec/permissions/{index}"))
        })
        .collect()
}
