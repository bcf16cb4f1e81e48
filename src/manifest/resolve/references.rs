//! References among manifests: each name leads to a declaration, of the same instance, that is to live.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::index::{self, Index};
use super::{Everything, Problem};
use crate::manifest::diagnostic::nearest;
use crate::manifest::finding::shorten;
use crate::manifest::input::Object;
use crate::model::{
    Address, EntityGrantSpec, EntityReference, Kind, PendingLinkId, Reference, SecretKeyRef, SecretSource,
    Spec, UserReference,
};

/// Judges every reference of every object.
pub fn check(everything: &Everything, index: &Index, problems: &mut Vec<Problem>) {
    let mut check = Check {
        everything,
        index,
        problems,
        names: BTreeMap::new(),
        live_names: BTreeMap::new(),
        permissions: HashMap::new(),
        comparisons: MOST_COMPARISONS,
    };
    for (number, (object, _)) in everything.objects.iter().enumerate() {
        check.object(number, object);
    }
}

/// Comparisons of names that all of "did you mean" may take.
const MOST_COMPARISONS: usize = 2_000_000;
/// Problems with permissions that are told.
const MOST_PROBLEMS: usize = 10_000;

struct Check<'e, 'p> {
    everything: &'e Everything,
    index: &'e Index,
    problems: &'p mut Vec<Problem>,
    /// Names by kind and namespace, gathered when the first one is missed.
    names: BTreeMap<(Kind, String), Vec<&'e str>>,
    /// FusionAuth's names by kind, gathered likewise.
    live_names: BTreeMap<Kind, BTreeMap<&'e str, &'e Address>>,
    /// The permissions of entity types, by their position among the objects.
    permissions: HashMap<usize, BTreeSet<&'e str>>,
    /// Comparisons that are left.
    comparisons: usize,
}

/// A reference by name.
struct Named<'a> {
    kind: Kind,
    name: &'a str,
    pointer: &'a str,
    hint: &'a str,
}

impl<'e> Check<'e, '_> {
    fn object(&mut self, number: usize, object: &Object) {
        self.instance(number, object);
        self.moved(number, object);
        let from = &object.address;
        match &object.spec {
            Spec::Entity(spec) => {
                let found = self.index.object(Kind::EntityType, from, &spec.entity_type);
                self.reference(number, object, Kind::EntityType, &spec.entity_type, "/spec/type", found);
            }
            Spec::EntityGrant(spec) => {
                self.entity(number, object, &spec.entity, "/spec/entity");
                if let Some(user) = &spec.user {
                    self.user(number, object, user, "/spec/user");
                }
                if let Some(entity) = &spec.recipient_entity {
                    self.entity(number, object, entity, "/spec/recipientEntity");
                }
                self.permissions(number, from, spec);
            }
            Spec::IdentityProviderLink(spec) => self.user(number, object, &spec.user, "/spec/user"),
            Spec::EntityType(_) | Spec::Lambda(_) | Spec::User(_) => {}
        }
    }

    fn user(&mut self, number: usize, object: &Object, reference: &UserReference, pointer: &str) {
        let found = self.index.user(&object.address, reference);
        if let (Some(name), None) = (&reference.name, found) {
            let hint = "a person who is not declared is named by `id`, `email`, `username` or `phoneNumber`";
            return self.unresolved(number, object, &Named { kind: Kind::User, name, pointer, hint });
        }
        self.leads_to(number, object, found, pointer);
    }

    fn entity(&mut self, number: usize, object: &Object, reference: &EntityReference, pointer: &str) {
        let found = self.index.entity(&object.address, reference);
        if let (Some(name), None) = (&reference.name, found) {
            let hint = "an entity that is not declared is named by `id` or `clientId`";
            return self.unresolved(number, object, &Named { kind: Kind::Entity, name, pointer, hint });
        }
        self.leads_to(number, object, found, pointer);
    }

    fn reference(
        &mut self,
        number: usize,
        object: &Object,
        kind: Kind,
        reference: &Reference,
        pointer: &str,
        found: Option<usize>,
    ) {
        if let (Some(name), None) = (&reference.name, found) {
            let hint = "what is not declared is named by `id`";
            return self.unresolved(number, object, &Named { kind, name, pointer, hint });
        }
        self.leads_to(number, object, found, pointer);
    }

    /// The declared name that is near to one that is not, while there are comparisons left.
    fn near(&mut self, kind: Kind, namespace: &str, name: &str) -> Option<&'e str> {
        let everything = self.everything;
        let names = self
            .names
            .entry((kind, namespace.to_owned()))
            .or_insert_with(|| index::names(everything, kind, namespace));
        self.comparisons = self.comparisons.checked_sub(names.len())?;
        nearest(name, names.iter().copied())
    }

    /// A name that leads nowhere.
    fn unresolved(&mut self, number: usize, object: &Object, named: &Named<'_>) {
        let Named { kind, name, pointer, hint } = named;
        let namespace = &*object.address.namespace;
        if self.everything.broken.contains(&Address::new(*kind, namespace, name)) {
            return;
        }
        let everything = self.everything;
        let near = self.near(*kind, namespace, name);
        let live = self.live_names.entry(*kind).or_insert_with(|| index::live_names(everything, *kind));
        let hint = match (near, live.get(name)) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, Some(address)) => format!("references go by metadata.name: write {}", address.name),
            (None, None) => (*hint).to_owned(),
        };
        let place = if namespace == crate::model::DEFAULT_NAMESPACE {
            String::new()
        } else {
            format!(" in the namespace {namespace}")
        };
        let message = format!("no {kind} \"{}\" is declared{place}", shorten(name));
        self.problems.push(
            Problem::error(number, "unresolved-reference", format!("{pointer}/name"), message).hint(hint),
        );
    }

    /// A declared object that is referred to must be to live, and in the same FusionAuth.
    fn leads_to(&mut self, number: usize, object: &Object, found: Option<usize>, pointer: &str) {
        let Some(found) = found else { return };
        let Some((target, _)) = self.everything.objects.get(found) else { return };
        if target.spec.policy().absent() && !object.spec.policy().absent() {
            let message =
                format!("{} is declared absent, so nothing that lives can refer to it", target.address);
            let problem = Problem::error(number, "absent-reference", pointer, message);
            self.problems.push(problem.hint("make this one `ensure: Absent` too, or keep the other"));
        }
        if let (Some(own), Some(other)) = (self.index.belongs(number), self.index.belongs(found))
            && own != other
        {
            let message = format!("{} belongs to another instance: {other}, not {own}", target.address);
            self.problems.push(Problem::error(number, "other-instance", pointer, message));
        }
    }

    fn instance(&mut self, number: usize, object: &Object) {
        let Some(reference) = object.spec.instance_ref() else { return };
        let address =
            index::instance_address(&object.address, reference.kind.unwrap_or_default(), &reference.name);
        // Without any instance in the input, the target of the run is it.
        let known = self.everything.instances.is_empty()
            || self.index.instances.contains_key(&address)
            || self.everything.broken.contains(&address);
        if known {
            return;
        }
        let hint = match self.near(address.kind, &address.namespace, &reference.name) {
            Some(near) => format!("did you mean {near}?"),
            None => "an instance stands in the object's own namespace; a ClusterFusionAuthInstance needs its `kind`".to_owned(),
        };
        let message = format!("no {} \"{}\" is declared", address.kind, shorten(&reference.name));
        self.problems.push(
            Problem::error(number, "unresolved-reference", "/spec/instanceRef/name", message).hint(hint),
        );
    }

    fn moved(&mut self, number: usize, object: &Object) {
        let Some(from) = &object.moved_from else { return };
        if self.index.by_address.contains_key(from) || self.everything.broken.contains(from) {
            let message = format!("{from} is still declared, so this object was not moved from there");
            let problem = Problem::error(
                number,
                "moved-from",
                "/metadata/annotations/fusionkeep.dev~1moved-from",
                message,
            );
            self.problems.push(problem.hint("remove the annotation, or the other manifest"));
        }
    }

    /// A grant's permissions are those of its entity's type, where that is declared with them.
    fn permissions(&mut self, number: usize, from: &Address, grant: &EntityGrantSpec) {
        let objects = &self.everything.objects;
        let entity = self.index.entity(from, &grant.entity).and_then(|entity| objects.get(entity));
        let Some((entity, _)) = entity else { return };
        let Spec::Entity(spec) = &entity.spec else { return };
        let of_type = self.index.object(Kind::EntityType, &entity.address, &spec.entity_type);
        let Some(of_type) = of_type else { return };
        let Some((entity_type, _)) = objects.get(of_type) else { return };
        // Of what is wrong in itself, permissions may have been left out.
        if self.everything.broken.contains(&entity_type.address) {
            return;
        }
        let Spec::EntityType(spec) = &entity_type.spec else { return };
        let Some(permissions) = spec.permissions.set() else { return };
        let known = self
            .permissions
            .entry(of_type)
            .or_insert_with(|| permissions.iter().map(|permission| permission.name.as_str()).collect());
        for (index, name) in grant.permissions.set().into_iter().flatten().enumerate() {
            if known.contains(name.as_str()) || name.trim().is_empty() {
                continue;
            }
            if self.problems.len() >= MOST_PROBLEMS {
                return;
            }
            let few = known.len() <= 20;
            let near = if few { nearest(name, known.iter().copied()) } else { None };
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None if known.is_empty() => "it declares none".to_owned(),
                None if few => {
                    format!("it declares {}", known.iter().copied().collect::<Vec<_>>().join(", "))
                }
                None => format!("it declares {} others", known.len()),
            };
            let message = format!("{} declares no permission \"{}\"", entity_type.address, shorten(name));
            let problem =
                Problem::error(number, "unknown-permission", format!("/spec/permissions/{index}"), message);
            self.problems.push(problem.hint(hint));
        }
    }
}

/// The Secrets that something refers to.
pub fn secrets(everything: &Everything) -> BTreeSet<usize> {
    let mut by_name: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (number, secret) in everything.secrets.iter().enumerate() {
        by_name.entry((&secret.namespace, &secret.name)).or_default().push(number);
    }
    let mut referred = BTreeSet::new();
    if by_name.is_empty() {
        return referred;
    }
    let mut refer = |namespace: &str, source: &SecretSource| {
        if let Some(SecretKeyRef { name, .. }) = &source.secret_key_ref {
            referred.extend(by_name.get(&(namespace, name.as_str())).into_iter().flatten());
        }
    };
    for (object, _) in &everything.objects {
        sources(&object.spec).iter().for_each(|source| refer(&object.address.namespace, source));
    }
    for (instance, _) in &everything.instances {
        let sources = [&instance.spec.api_key, &instance.spec.runner_key];
        sources.into_iter().flatten().for_each(|source| refer(&instance.address.namespace, source));
    }
    referred
}

/// The sources of secrets that an object names.
fn sources(spec: &Spec) -> Vec<SecretSource> {
    match spec {
        Spec::User(spec) => {
            let initial = spec.initial.as_ref();
            let password = initial.and_then(|initial| initial.password.as_ref());
            let salts = [
                initial.and_then(|initial| initial.salt.as_ref()),
                password.and_then(|password| password.salt.as_ref()),
            ];
            let passwords = [
                spec.password.as_ref().map(|password| password.source()),
                password.map(|password| password.source()),
            ];
            passwords.into_iter().flatten().chain(salts.into_iter().flatten().cloned()).collect()
        }
        Spec::Entity(spec) => spec.client_secret.as_ref().cloned().into_iter().collect(),
        Spec::IdentityProviderLink(spec) => {
            let token = spec.initial.as_ref().and_then(|initial| initial.token.as_ref()).cloned();
            let pending = spec.pending_link.as_ref().and_then(|pending| match &pending.id {
                PendingLinkId::Source(source) => Some(source.clone()),
                PendingLinkId::Plain(_) => None,
            });
            token.into_iter().chain(pending).collect()
        }
        Spec::EntityType(_) | Spec::Lambda(_) | Spec::EntityGrant(_) => Vec::new(),
    }
}
