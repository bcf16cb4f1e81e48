//! The same thing declared twice.

use std::collections::HashMap;
use std::hash::Hash;

use super::index::{Belongs, Index, client_id, sign_in_names};
use super::{Everything, Problem};
use crate::manifest::input::Object;
use crate::model::{Address, Spec};

/// Finds what is declared twice: names, ids, what FusionAuth wants unique.
pub fn check(everything: &Everything, index: &Index, problems: &mut Vec<Problem>) {
    addresses(everything, problems);
    let mut seen = Seen { everything, problems, first: HashMap::new() };
    for (number, (object, _)) in everything.objects.iter().enumerate() {
        let scope = index.belongs(number);
        if let Some(id) = object.spec.id() {
            seen.unique(
                number,
                (scope, Unique::Id(object.address.kind, id)),
                "/spec/id",
                &format!("the id {id}"),
            );
        }
        keys(&mut seen, index, number, object, scope);
        if object.spec.policy().absent() {
            continue;
        }
        match &object.spec {
            Spec::User(spec) => {
                for (field, key) in sign_in_names(spec) {
                    let what = format!("the {} {key}", field_words(field));
                    seen.unique(
                        number,
                        (scope, Unique::SignIn(field, key)),
                        &format!("/spec/{field}"),
                        &what,
                    );
                }
            }
            Spec::EntityType(spec) => {
                let name = spec.name.as_ref().map_or(&*object.address.name, String::as_str);
                let pointer = if spec.name.as_ref().is_some() { "/spec/name" } else { "/metadata/name" };
                let what = format!("the entity type name {name}");
                seen.unique(number, (scope, Unique::EntityType(name)), pointer, &what);
            }
            Spec::Entity(spec) => {
                if let Some(client) = client_id(spec) {
                    let what = format!("the clientId {client}");
                    seen.unique(number, (scope, Unique::Client(client)), "/spec/clientId", &what);
                }
            }
            Spec::Lambda(spec) => {
                let name = spec.name.as_ref().map_or(&*object.address.name, String::as_str);
                if let Some(lambda_type) = spec.lambda_type {
                    let key = (scope, Unique::Lambda(name, lambda_type));
                    let what = "a lambda of this name and type";
                    seen.twice(
                        number,
                        key,
                        "/spec/name",
                        what,
                        Problem::warning,
                        "FusionAuth allows it, but people cannot tell them apart",
                    );
                }
            }
            Spec::EntityGrant(_) | Spec::IdentityProviderLink(_) => {}
        }
    }
    moves(everything, problems);
}

/// What must not be there twice.
#[derive(PartialEq, Eq, Hash)]
enum Unique<'e> {
    Id(crate::model::Kind, uuid::Uuid),
    SignIn(&'static str, String),
    EntityType(&'e str),
    Client(&'e str),
    Lambda(&'e str, crate::model::LambdaType),
    Grant(Party, Party),
    Link(Party, Option<&'e str>, Option<Party>),
}

/// What a reference names: a declared object, or something live in the words of the reference.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Party {
    Declared(usize),
    Live(String),
}

fn field_words(field: &str) -> &str {
    match field {
        "email" => "e-mail address",
        "phoneNumber" => "phone number",
        other => other,
    }
}

struct Seen<'e, 'p> {
    everything: &'e Everything,
    problems: &'p mut Vec<Problem>,
    first: HashMap<(&'e Belongs, Unique<'e>), usize>,
}

impl<'e> Seen<'e, '_> {
    fn unique(&mut self, number: usize, key: (&'e Belongs, Unique<'e>), pointer: &str, what: &str) {
        self.twice(number, key, pointer, what, Problem::error, "");
    }

    fn twice(
        &mut self,
        number: usize,
        key: (&'e Belongs, Unique<'e>),
        pointer: &str,
        what: &str,
        problem: fn(usize, &'static str, String, String) -> Problem,
        hint: &str,
    ) {
        let first = match self.first.entry(key) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(number);
                return;
            }
            std::collections::hash_map::Entry::Occupied(entry) => *entry.get(),
        };
        let objects = &self.everything.objects;
        let (Some((other, _)), Some((own, _))) = (objects.get(first), objects.get(number)) else { return };
        // One address twice is told already.
        if other.address == own.address {
            return;
        }
        let message = format!("{what} is declared by {} too, at {}", other.address, other.place);
        let problem = problem(number, "duplicate", pointer.to_owned(), message);
        self.problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }
}

/// Grants and links are known by their pair.
fn keys<'e>(seen: &mut Seen<'e, '_>, index: &Index, number: usize, object: &'e Object, scope: &'e Belongs) {
    let from = &object.address;
    let party = |declared: Option<usize>, words: String| declared.map_or(Party::Live(words), Party::Declared);
    match &object.spec {
        Spec::EntityGrant(spec) => {
            let entity = party(index.entity(from, &spec.entity), words(&spec.entity));
            let holder = match (&spec.user, &spec.recipient_entity) {
                (Some(user), _) => party(index.user(from, user), words(user)),
                (None, Some(other)) => party(index.entity(from, other), words(other)),
                (None, None) => return,
            };
            let pointer = if spec.user.is_some() { "/spec/user" } else { "/spec/recipientEntity" };
            seen.unique(number, (scope, Unique::Grant(entity, holder)), pointer, "the grant of this pair");
        }
        Spec::IdentityProviderLink(spec) => {
            let provider = Party::Live(words(&spec.identity_provider));
            let user = party(index.user(from, &spec.user), words(&spec.user));
            let account = spec.identity_provider_user_id.as_ref().map(String::as_str);
            let (key, what) = match account {
                Some(account) => (Unique::Link(provider, Some(account), None), "the link of this account"),
                None => {
                    (Unique::Link(provider, None, Some(user)), "the pending link of this user and provider")
                }
            };
            let pointer = if account.is_some() { "/spec/identityProviderUserId" } else { "/spec/user" };
            seen.unique(number, (scope, key), pointer, what);
        }
        _ => {}
    }
}

/// A reference in words that compare. Undeclared names of our kinds are wrong anyway; live names know no namespace.
fn words<T: serde::Serialize>(reference: &T) -> String {
    serde_json::to_value(reference).unwrap_or_default().to_string().to_lowercase()
}

/// One kind and name, once.
fn addresses(everything: &Everything, problems: &mut Vec<Problem>) {
    let mut first: HashMap<&Address, &crate::model::Place> = HashMap::with_capacity(everything.objects.len());
    let objects = everything.objects.iter().map(|(object, _)| (&object.address, &object.place));
    for (number, (address, place)) in objects.enumerate() {
        if let Some(earlier) = first.insert(address, place) {
            problems.push(Problem::error(
                number,
                "duplicate",
                "/metadata/name",
                format!("{address} is declared twice, first at {earlier}"),
            ));
            first.insert(address, earlier);
        }
    }
    let mut first: HashMap<&Address, &crate::model::Place> = HashMap::new();
    for (number, (instance, _)) in everything.instances.iter().enumerate() {
        let (address, place) = (&instance.address, &instance.place);
        if let Some(earlier) = first.insert(address, place) {
            let message = format!("{address} is declared twice, first at {earlier}");
            let problem = Problem::error(number, "duplicate", "/metadata/name", message);
            problems.push(Problem { of_instance: true, ..problem });
            first.insert(address, earlier);
        }
    }
}

/// Two objects cannot have been moved from one place.
fn moves(everything: &Everything, problems: &mut Vec<Problem>) {
    let mut first: HashMap<&Address, &Address> = HashMap::new();
    for (number, (object, _)) in everything.objects.iter().enumerate() {
        let Some(from) = &object.moved_from else { continue };
        if let Some(other) = first.insert(from, &object.address) {
            let message = format!("{other} says as well that it was moved from {from}");
            let pointer = "/metadata/annotations/fusionkeep.dev~1moved-from";
            problems.push(Problem::error(number, "moved-from", pointer, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reference;

    #[test]
    fn references_compare_by_their_words() {
        let named = |name: &str| Reference { name: Some(name.to_owned()), id: None };
        assert_eq!(words(&named("Google")), words(&named("google")));
        assert_ne!(words(&named("Google")), words(&named("Apple")));
    }
}
