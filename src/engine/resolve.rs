//! What a declaration refers to, once everything was looked up: its key, the applications of its registrations, an
//! entity's type, and where its secrets come from. Pure; what had to be looked up stands in [`References`].

use std::collections::HashSet;

use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{
    Address, EntityGrantSpec, EntityReference, EntitySpec, Id, IdentityProviderLinkSpec, Kind, PendingLinkId,
    Reference, SecretSource, Spec, UserReference, UserSpec,
};
use crate::reconcile::{DesiredSecret, KeyReference, ObjectRef, Problem, RecipientReference, SecretUse};

use super::declarations::Declarations;
use super::problem::At;
use super::references::{NameOrId, References, Resolution, UserBy, entity_by, user_by};

/// What resolving needs to know besides the object.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub declarations: &'a Declarations,
    pub references: &'a References,
}

/// What an object's references come to. The rest of the declaration is lowered when it is compared.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub key: KeyReference,
    /// An entity's type.
    pub entity_type: Option<ObjectRef>,
    /// The applications of a user's registrations, in their order.
    pub applications: Vec<Uuid>,
    pub secrets: Vec<DesiredSecret>,
    /// A pending link to complete, when its id is plain text.
    pub pending_link: Option<String>,
}

/// Resolves one object's references, or says everything that is wrong with them.
pub fn resolve(object: &Object, context: Context<'_>) -> Result<Resolved, Vec<Problem>> {
    let mut resolving = Resolving { at: At::object(object), context, problems: Vec::new() };
    let resolved = resolving.object(object);
    match resolved {
        Some(resolved) if resolving.problems.is_empty() => Ok(resolved),
        _ => Err(resolving.problems),
    }
}

struct Resolving<'a> {
    at: At<'a>,
    context: Context<'a>,
    problems: Vec<Problem>,
}

impl Resolving<'_> {
    fn object(&mut self, object: &Object) -> Option<Resolved> {
        let namespace = &object.address.namespace;
        let mut resolved = Resolved {
            key: self.own_key(&object.address),
            entity_type: None,
            applications: Vec::new(),
            secrets: Vec::new(),
            pending_link: None,
        };
        match &object.spec {
            Spec::EntityType(_) | Spec::Lambda(_) => {}
            Spec::User(spec) => {
                resolved.secrets = secrets_of_user(spec);
                resolved.applications = self.registrations(spec);
            }
            Spec::Entity(spec) => self.entity(spec, namespace, &mut resolved),
            Spec::EntityGrant(spec) => resolved.key = self.grant(spec, namespace)?,
            Spec::IdentityProviderLink(spec) => self.link(spec, namespace, &mut resolved)?,
        }
        Some(resolved)
    }

    /// Grants and links get theirs from their references.
    fn own_key(&self, address: &Address) -> KeyReference {
        KeyReference::Id(self.context.declarations.get(address).map_or(Uuid::nil(), |declared| declared.id))
    }

    fn registrations(&mut self, spec: &UserSpec) -> Vec<Uuid> {
        let registrations = spec.registrations.set().map(Vec::as_slice).unwrap_or_default();
        let mut seen = HashSet::new();
        let mut applications = Vec::with_capacity(registrations.len());
        for (index, registration) in registrations.iter().enumerate() {
            let pointer = format!("/spec/registrations/{index}");
            let roles = registration.roles.set().map(Vec::as_slice).unwrap_or_default();
            let Some(id) = self.application(&registration.application, roles, &pointer) else { continue };
            if !seen.insert(id) {
                let message = format!("the application {id} stands twice in registrations");
                let hint = "keep one of them; by name and by id it is the same application";
                let problem = self.at.problem("duplicate-registration", message, Some(hint.to_owned()));
                self.problems.push(problem.pointing(format!("{pointer}/application")));
            }
            applications.push(id);
        }
        applications
    }

    fn entity(&mut self, spec: &EntitySpec, namespace: &str, resolved: &mut Resolved) {
        if let Some(source) = spec.client_secret.as_ref() {
            resolved.secrets.push(secret("clientSecret", SecretUse::Compared, source.clone()));
        }
        resolved.entity_type = self.entity_type_reference(&spec.entity_type, namespace);
    }

    fn grant(&mut self, spec: &EntityGrantSpec, namespace: &str) -> Option<KeyReference> {
        let entity = self.entity_reference(&spec.entity, namespace, "/spec/entity");
        let recipient = match (&spec.user, &spec.recipient_entity) {
            (Some(user), _) => self.user_reference(user, namespace).map(RecipientReference::User),
            (None, Some(entity)) => self
                .entity_reference(entity, namespace, "/spec/recipientEntity")
                .map(RecipientReference::Entity),
            (None, None) => None,
        };
        Some(KeyReference::Grant { entity: entity?, recipient: recipient? })
    }

    fn link(
        &mut self,
        spec: &IdentityProviderLinkSpec,
        namespace: &str,
        resolved: &mut Resolved,
    ) -> Option<()> {
        let user = self.user_reference(&spec.user, namespace);
        let identity_provider = self.identity_provider(&spec.identity_provider);
        if let Some(token) = spec.initial.as_ref().and_then(|initial| initial.token.as_ref()) {
            resolved.secrets.push(secret("token", SecretUse::Initial, token.clone()));
        }
        match spec.pending_link.as_ref().map(|pending| &pending.id) {
            Some(PendingLinkId::Plain(id)) => resolved.pending_link = Some(id.clone()),
            Some(PendingLinkId::Source(source)) => {
                resolved.secrets.push(secret("pendingIdPLinkId", SecretUse::Initial, source.clone()));
            }
            None => {}
        }
        resolved.key = KeyReference::Link {
            identity_provider: identity_provider?,
            identity_provider_user_id: spec.identity_provider_user_id.0.clone(),
            user: user?,
        };
        Some(())
    }

    /// The application's id, once its roles are known to be its own.
    fn application(&mut self, reference: &Reference, roles: &[String], pointer: &str) -> Option<Uuid> {
        let by = NameOrId::of(reference)?;
        let shown = show(&by);
        let application = match self.context.references.application(&by) {
            Resolution::One(application) => application,
            Resolution::None(names) => {
                let problem = self.at.unresolved("the application", &shown, names);
                self.problems.push(problem.pointing(format!("{pointer}/application/{}", by.field())));
                return None;
            }
            Resolution::Many(ids) => {
                let problem = self.at.ambiguous("the application", &shown, &ids);
                self.problems.push(problem.pointing(format!("{pointer}/application/{}", by.field())));
                return None;
            }
        };
        for (index, role) in roles.iter().enumerate().filter(|(_, role)| !application.roles.contains(*role)) {
            let names = application.roles.iter().cloned();
            let hint = super::problem::did_you_mean(role, names.clone())
                .map(|name| format!("did you mean \"{name}\"?"))
                .unwrap_or_else(|| format!("its roles are: {}", names.collect::<Vec<_>>().join(", ")));
            let message = format!("the application \"{}\" has no role \"{role}\"", application.name);
            let problem = self.at.problem("unknown-role", message, Some(hint));
            self.problems.push(problem.pointing(format!("{pointer}/roles/{index}")));
        }
        Some(application.id)
    }

    fn identity_provider(&mut self, reference: &Reference) -> Option<Uuid> {
        let by = NameOrId::of(reference)?;
        let problem = match self.context.references.identity_provider(&by) {
            Resolution::One(found) => return Some(found.id),
            Resolution::None(names) => self.at.unresolved("the identity provider", &show(&by), names),
            Resolution::Many(ids) => self.at.ambiguous("the identity provider", &show(&by), &ids),
        };
        self.problems.push(problem.pointing(format!("/spec/identityProvider/{}", by.field())));
        None
    }

    fn entity_type_reference(&mut self, reference: &Reference, namespace: &str) -> Option<ObjectRef> {
        let declarations = self.context.declarations;
        match NameOrId::of(reference)? {
            NameOrId::Name(name) => self.declared(Kind::EntityType, namespace, &name),
            NameOrId::Id(id) => match declarations.by_id(Kind::EntityType, id) {
                ObjectRef::Id(id) if !self.context.references.entity_types.contains(&id) => {
                    let problem = self.at.unresolved("the entity type", &id.to_string(), []);
                    self.problems.push(problem.pointing("/spec/type/id"));
                    None
                }
                found => Some(found),
            },
        }
    }

    fn user_reference(&mut self, reference: &UserReference, namespace: &str) -> Option<ObjectRef> {
        if let Some(name) = &reference.name {
            return self.declared(Kind::User, namespace, name);
        }
        let by = user_by(reference)?;
        if let UserBy::Id(id) = by
            && let found @ ObjectRef::Declared(_) = self.context.declarations.by_id(Kind::User, id)
        {
            return Some(found);
        }
        let found = self.context.references.users.get(&by);
        if found.is_none() {
            let (field, what, value) = match &by {
                UserBy::Id(id) => ("id", "the user with the id", id.to_string()),
                UserBy::Email(email) => ("email", "the user with the e-mail address", email.clone()),
                UserBy::Username(name) => ("username", "the user with the username", name.clone()),
                UserBy::PhoneNumber(number) => {
                    ("phoneNumber", "the user with the phone number", number.clone())
                }
            };
            let mut problem = self.at.unresolved(what, &value, []);
            // It may well be declared beside this, and only not be there yet.
            problem.hint.get_or_insert_with(|| {
                "it is looked up in FusionAuth; a user of these manifests is referred to by name".to_owned()
            });
            self.problems.push(problem.pointing(format!("/spec/user/{field}")));
        }
        found.map(|id| ObjectRef::Id(*id))
    }

    fn entity_reference(
        &mut self,
        reference: &EntityReference,
        namespace: &str,
        pointer: &str,
    ) -> Option<ObjectRef> {
        if let Some(name) = &reference.name {
            return self.declared(Kind::Entity, namespace, name);
        }
        let by = entity_by(reference)?;
        if let super::references::EntityBy::Id(id) = by
            && let found @ ObjectRef::Declared(_) = self.context.declarations.by_id(Kind::Entity, id)
        {
            return Some(found);
        }
        let (field, what, shown) = match &by {
            super::references::EntityBy::Id(id) => ("id", "the entity with the id", id.to_string()),
            super::references::EntityBy::ClientId(client_id) => {
                ("clientId", "the entity with the client id", client_id.clone())
            }
        };
        let problem = match self.context.references.entities.get(&by).map(Vec::as_slice) {
            Some([one]) => return Some(ObjectRef::Id(*one)),
            None | Some([]) => self.at.unresolved(what, &shown, []),
            Some(many) => self.at.ambiguous(what, &shown, many),
        };
        self.problems.push(problem.pointing(format!("{pointer}/{field}")));
        None
    }

    fn declared(&mut self, kind: Kind, namespace: &str, name: &str) -> Option<ObjectRef> {
        let address = Address::new(kind, namespace, name);
        if self.context.declarations.get(&address).is_some() {
            return Some(ObjectRef::Declared(address));
        }
        let names = self.context.declarations.names(kind, namespace).map(str::to_owned);
        self.problems.push(self.at.unresolved(
            "the manifest",
            &address.to_string(),
            names.map(|name| Address::new(kind, namespace, &name).to_string()),
        ));
        None
    }
}

/// Where a user's secrets come from, and what they are for.
fn secrets_of_user(spec: &UserSpec) -> Vec<DesiredSecret> {
    let mut secrets = Vec::new();
    if let Some(initial) = &spec.initial {
        let password = initial.password.as_ref();
        if let Some(password) = password {
            secrets.push(secret("password", SecretUse::Initial, password.source()));
        }
        let salt = password.and_then(|password| password.salt.as_ref()).or(initial.salt.as_ref());
        if let Some(salt) = salt {
            let salt = secret("salt", SecretUse::Initial, salt.clone());
            secrets.push(DesiredSecret { may_be_empty: true, ..salt });
        }
    }
    if let Some(password) = spec.password.as_ref() {
        secrets.push(secret("password", SecretUse::Enforced, password.source()));
    }
    secrets
}

fn show(by: &NameOrId) -> String {
    match by {
        NameOrId::Name(name) => name.clone(),
        NameOrId::Id(id) => Id(*id).to_string(),
    }
}

fn secret(field: &str, usage: SecretUse, source: SecretSource) -> DesiredSecret {
    DesiredSecret { field: field.to_owned(), usage, source, may_be_empty: false }
}
