//! Objects by what they can be named by.

use std::collections::{BTreeMap, HashMap};

use super::Everything;
use crate::model::{
    Address, EntityReference, EntitySpec, InstanceKind, Kind, Reference, Spec, UserReference, UserSpec,
};

/// The instance an object belongs to; none when that is up to the run's target.
pub type Belongs = Option<Address>;

/// Objects by what they can be named by. Positions are those among the objects.
pub struct Index {
    pub by_address: HashMap<Address, usize>,
    pub instances: HashMap<Address, usize>,
    by_id: HashMap<(Kind, uuid::Uuid), usize>,
    users: HashMap<(&'static str, String), usize>,
    clients: HashMap<String, usize>,
    /// For each object the instance it belongs to.
    belongs: Vec<Belongs>,
}

impl Index {
    pub fn new(everything: &Everything) -> Self {
        let mut index = Index {
            by_address: HashMap::with_capacity(everything.objects.len()),
            instances: HashMap::new(),
            by_id: HashMap::new(),
            users: HashMap::new(),
            clients: HashMap::new(),
            belongs: Vec::with_capacity(everything.objects.len()),
        };
        for (number, (instance, _)) in everything.instances.iter().enumerate() {
            index.instances.entry(instance.address.clone()).or_insert(number);
        }
        for (number, (object, _)) in everything.objects.iter().enumerate() {
            index.by_address.entry(object.address.clone()).or_insert(number);
            if let Some(id) = object.spec.id() {
                index.by_id.entry((object.address.kind, id)).or_insert(number);
            }
            match &object.spec {
                Spec::User(spec) => {
                    for key in sign_in_names(spec) {
                        index.users.entry(key).or_insert(number);
                    }
                }
                Spec::Entity(spec) => {
                    if let Some(client) = client_id(spec) {
                        index.clients.entry(client.to_owned()).or_insert(number);
                    }
                }
                _ => {}
            }
            let belongs = index.instance_of(everything, &object.address, &object.spec);
            index.belongs.push(belongs);
        }
        index
    }

    /// The instance that an object names, or that it belongs to without a word.
    fn instance_of(&self, everything: &Everything, address: &Address, spec: &Spec) -> Belongs {
        if let Some(reference) = spec.instance_ref() {
            return Some(instance_address(address, reference.kind.unwrap_or_default(), &reference.name));
        }
        let default = Address::new(Kind::FusionAuthInstance, &address.namespace, "default");
        if self.instances.contains_key(&default) {
            return Some(default);
        }
        match everything.instances.as_slice() {
            [(only, _)] => Some(only.address.clone()),
            _ => None,
        }
    }

    pub fn belongs(&self, object: usize) -> &Belongs {
        static TARGET: Belongs = None;
        self.belongs.get(object).unwrap_or(&TARGET)
    }

    /// The declared object that a reference names, if it is declared.
    pub fn object(&self, kind: Kind, from: &Address, reference: &Reference) -> Option<usize> {
        match (&reference.name, &reference.id) {
            (Some(name), _) => self.by_address.get(&Address::new(kind, &from.namespace, name)).copied(),
            (None, Some(id)) => self.by_id.get(&(kind, id.0)).copied(),
            (None, None) => None,
        }
    }

    pub fn user(&self, from: &Address, reference: &UserReference) -> Option<usize> {
        let named = Reference { name: reference.name.clone(), id: reference.id };
        self.object(Kind::User, from, &named).or_else(|| {
            let keys = [
                ("email", reference.email.as_deref().map(email_key)),
                ("username", reference.username.as_deref().map(username_key)),
                ("phoneNumber", reference.phone_number.as_deref().map(phone_key)),
            ];
            keys.into_iter().find_map(|(field, key)| self.users.get(&(field, key?)).copied())
        })
    }

    pub fn entity(&self, from: &Address, reference: &EntityReference) -> Option<usize> {
        let named = Reference { name: reference.name.clone(), id: reference.id };
        let client = || reference.client_id.as_ref().and_then(|client| self.clients.get(client).copied());
        self.object(Kind::Entity, from, &named).or_else(client)
    }
}

/// The address of an instance that an object names.
pub fn instance_address(from: &Address, kind: InstanceKind, name: &str) -> Address {
    match kind {
        InstanceKind::FusionAuthInstance => Address::new(Kind::FusionAuthInstance, &from.namespace, name),
        InstanceKind::ClusterFusionAuthInstance => {
            Address::new(Kind::ClusterFusionAuthInstance, crate::model::DEFAULT_NAMESPACE, name)
        }
    }
}

/// E-mail addresses compare trimmed and in lower case (wire notes §4).
pub fn email_key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Usernames are unique in any case (wire notes §4).
pub fn username_key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Phone numbers compare as E.164 (wire notes §4).
pub fn phone_key(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// What a user signs in by: the field, and the value as it compares.
pub fn sign_in_names(spec: &UserSpec) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("email", spec.email.set().map(|text| email_key(text))),
        ("username", spec.username.set().map(|text| username_key(text))),
        ("phoneNumber", spec.phone_number.set().map(|text| phone_key(text))),
    ]
    .into_iter()
    .filter_map(|(field, key)| Some((field, key?)))
}

pub fn client_id(spec: &EntitySpec) -> Option<&str> {
    spec.client_id.as_ref().map(String::as_str)
}

/// Names of a kind in a namespace, for "did you mean".
pub fn names<'e>(everything: &'e Everything, kind: Kind, namespace: &str) -> Vec<&'e str> {
    let objects = everything.objects.iter().map(|(object, _)| &object.address);
    let instances = everything.instances.iter().map(|(instance, _)| &instance.address);
    let all = objects.chain(instances).chain(&everything.broken);
    all.filter(|address| address.kind == kind && &*address.namespace == namespace)
        .map(|address| &*address.name)
        .collect()
}

/// FusionAuth's names of declared objects, for those who refer by them.
pub fn live_names(everything: &Everything, kind: Kind) -> BTreeMap<&str, &Address> {
    let mut names = BTreeMap::new();
    for (object, _) in everything.objects.iter().filter(|(object, _)| object.address.kind == kind) {
        let name = match &object.spec {
            Spec::EntityType(spec) => spec.name.as_ref(),
            Spec::Entity(spec) => spec.name.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            names.insert(name.as_str(), &object.address);
        }
    }
    names
}
