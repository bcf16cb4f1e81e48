//! Manifest objects to what the core compares: wire names, defaults, `unset` folded in, references resolved. Pure;
//! what had to be looked up stands in [`References`].

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{
    Address, Declared, EntityGrantSpec, EntityReference, EntitySpec, EntityTypeSpec, Fields, Id,
    IdentityProviderLinkSpec, Kind, PendingLinkId, Reference, SecretSource, Spec, UserReference, UserSpec,
    row,
};
use crate::reconcile::{
    Desired, DesiredSecret, KeyReference, ObjectRef, Problem, RecipientReference, SecretUse,
};

use super::declarations::Declarations;
use super::problem::At;
use super::references::{NameOrId, References, Resolution, UserBy, entity_by, user_by};

/// What lowering needs to know besides the object.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub declarations: &'a Declarations,
    pub references: &'a References,
}

/// Lowers one object, or says everything that is wrong with it.
pub fn lower(object: &Object, context: Context<'_>) -> Result<Desired, Vec<Problem>> {
    let mut lowering = Lowering { at: At::object(object), context, problems: Vec::new() };
    let desired = lowering.object(object);
    match desired {
        Some(desired) if lowering.problems.is_empty() => Ok(desired),
        _ => Err(lowering.problems),
    }
}

struct Lowering<'a> {
    at: At<'a>,
    context: Context<'a>,
    problems: Vec<Problem>,
}

impl Lowering<'_> {
    fn object(&mut self, object: &Object) -> Option<Desired> {
        let mut fields = self.wire(object.spec.wire_fields())?;
        fold_unset(&mut fields, object.spec.unset(), object.address.kind);
        let mut desired = Desired {
            address: object.address.clone(),
            place: object.place.clone(),
            key: self.own_key(&object.address),
            explicit_id: object.spec.id().is_some(),
            fields,
            parts: None,
            entity_type: None,
            initial: Fields::new(),
            options: Fields::new(),
            secrets: Vec::new(),
            pending_link: None,
            policy: object.spec.policy().clone(),
            moved_from: object.moved_from.clone(),
            suspended: object.spec.suspend(),
        };
        match &object.spec {
            Spec::EntityType(spec) => self.entity_type(spec, &mut desired)?,
            Spec::Lambda(_) => {
                if let Some(body) = &object.lambda_body {
                    desired.fields.insert("body".into(), body.clone().into());
                }
            }
            Spec::User(spec) => self.user(spec, &mut desired)?,
            Spec::Entity(spec) => self.entity(spec, &mut desired),
            Spec::EntityGrant(spec) => self.grant(spec, &mut desired)?,
            Spec::IdentityProviderLink(spec) => self.link(spec, &mut desired)?,
        }
        // An array of parts is emptied, whichever way that is written.
        if let Some(part) = row(object.address.kind).part
            && object.spec.unset().iter().any(|path| path == part.field)
        {
            desired.parts.get_or_insert_default();
        }
        let named = matches!(desired.address.kind, Kind::EntityType | Kind::Lambda | Kind::Entity);
        if named && !desired.policy.absent() && !desired.fields.contains_key("name") {
            desired.fields.insert("name".into(), (*object.address.name).into());
        }
        Some(desired)
    }

    /// A spec is JSON by its type, so this fails only where a number cannot be written.
    fn wire(&mut self, fields: Result<Fields, serde_json::Error>) -> Option<Fields> {
        fields
            .map_err(|_| {
                self.problems.push(self.at.problem(
                    "unwritable",
                    "the object cannot be written as JSON",
                    None,
                ))
            })
            .ok()
    }

    /// Grants and links get theirs from their references.
    fn own_key(&self, address: &Address) -> KeyReference {
        KeyReference::Id(self.context.declarations.get(address).map_or(Uuid::nil(), |declared| declared.id))
    }

    fn entity_type(&mut self, spec: &EntityTypeSpec, desired: &mut Desired) -> Option<()> {
        desired.parts = match &spec.permissions {
            Declared::Absent => None,
            Declared::Null => Some(BTreeMap::new()),
            Declared::Set(permissions) => {
                let mut parts = BTreeMap::new();
                for permission in permissions {
                    let fields = self.wire(permission.wire_fields())?;
                    parts.insert(permission.name.clone(), fields);
                }
                Some(parts)
            }
        };
        Some(())
    }

    fn user(&mut self, spec: &UserSpec, desired: &mut Desired) -> Option<()> {
        if let Some(initial) = &spec.initial {
            self.initial_user(initial, desired);
        }
        if let Some(password) = spec.password.as_ref() {
            desired.secrets.push(secret("password", SecretUse::Enforced, password.source()));
            insert(&mut desired.initial, "encryptionScheme", password.encryption_scheme.0.clone());
            insert(&mut desired.initial, "factor", password.factor.0);
        }
        desired.parts = match &spec.registrations {
            Declared::Absent => None,
            Declared::Null => Some(BTreeMap::new()),
            Declared::Set(registrations) => {
                let mut parts = BTreeMap::new();
                for (index, registration) in registrations.iter().enumerate() {
                    let pointer = format!("/spec/registrations/{index}");
                    let fields = self.wire(registration.wire_fields())?;
                    let roles = registration.roles.set().map(Vec::as_slice).unwrap_or_default();
                    if let Some(id) = self.application(&registration.application, roles, &pointer)
                        && parts.insert(id.to_string(), fields).is_some()
                    {
                        let message = format!("the application {id} stands twice in registrations");
                        let hint = "keep one of them; by name and by id it is the same application";
                        let problem =
                            self.at.problem("duplicate-registration", message, Some(hint.to_owned()));
                        self.problems.push(problem.pointing(format!("{pointer}/application")));
                    }
                }
                Some(parts)
            }
        };
        Some(())
    }

    fn initial_user(&mut self, initial: &crate::model::UserInitial, desired: &mut Desired) {
        let password = initial.password.as_ref();
        if let Some(password) = password {
            desired.secrets.push(secret("password", SecretUse::Initial, password.source()));
        }
        let salt = password.and_then(|password| password.salt.as_ref()).or(initial.salt.as_ref());
        if let Some(salt) = salt {
            let salt = secret("salt", SecretUse::Initial, salt.clone());
            desired.secrets.push(DesiredSecret { may_be_empty: true, ..salt });
        }
        let scheme = password.and_then(|password| password.encryption_scheme.0.clone());
        let factor = password.and_then(|password| password.factor.0);
        let fields = &mut desired.initial;
        insert(fields, "encryptionScheme", scheme.or(initial.encryption_scheme.0.clone()));
        insert(fields, "factor", factor.or(initial.factor.0));
        insert(fields, "passwordChangeRequired", initial.password_change_required.0);
        insert(fields, "legacyIdentifier", initial.legacy_identifier.0.clone());
        let options = &mut desired.options;
        if let Some(send) = initial.send_set_password_identity_type.0 {
            insert(options, "sendSetPasswordIdentityType", serde_json::to_value(send).ok());
        }
        insert(options, "skipVerification", initial.skip_verification.0);
        insert(options, "skipRegistrationVerification", initial.skip_registration_verification.0);
        insert(options, "disableDomainBlock", initial.disable_domain_block.0);
    }

    fn entity(&mut self, spec: &EntitySpec, desired: &mut Desired) {
        if let Some(source) = spec.client_secret.as_ref() {
            desired.secrets.push(secret("clientSecret", SecretUse::Compared, source.clone()));
        }
        desired.entity_type =
            self.entity_type_reference(&spec.entity_type, &desired.address.namespace.clone());
    }

    fn grant(&mut self, spec: &EntityGrantSpec, desired: &mut Desired) -> Option<()> {
        let namespace = desired.address.namespace.clone();
        let entity = self.entity_reference(&spec.entity, &namespace, "/spec/entity");
        let recipient = match (&spec.user, &spec.recipient_entity) {
            (Some(user), _) => self.user_reference(user, &namespace).map(RecipientReference::User),
            (None, Some(entity)) => self
                .entity_reference(entity, &namespace, "/spec/recipientEntity")
                .map(RecipientReference::Entity),
            (None, None) => None,
        };
        desired.key = KeyReference::Grant { entity: entity?, recipient: recipient? };
        Some(())
    }

    fn link(&mut self, spec: &IdentityProviderLinkSpec, desired: &mut Desired) -> Option<()> {
        let namespace = desired.address.namespace.clone();
        let user = self.user_reference(&spec.user, &namespace);
        let identity_provider = self.identity_provider(&spec.identity_provider);
        if let Some(initial) = &spec.initial {
            insert(&mut desired.initial, "displayName", initial.display_name.0.clone());
            if let Some(token) = initial.token.as_ref() {
                desired.secrets.push(secret("token", SecretUse::Initial, token.clone()));
            }
        }
        match spec.pending_link.as_ref().map(|pending| &pending.id) {
            Some(PendingLinkId::Plain(id)) => desired.pending_link = Some(id.clone()),
            Some(PendingLinkId::Source(source)) => {
                desired.secrets.push(secret("pendingIdPLinkId", SecretUse::Initial, source.clone()));
            }
            None => {}
        }
        desired.key = KeyReference::Link {
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

fn show(by: &NameOrId) -> String {
    match by {
        NameOrId::Name(name) => name.clone(),
        NameOrId::Id(id) => Id(*id).to_string(),
    }
}

fn secret(field: &str, usage: SecretUse, source: SecretSource) -> DesiredSecret {
    DesiredSecret { field: field.to_owned(), usage, source, may_be_empty: false }
}

fn insert(fields: &mut Fields, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Folds `spec.unset` in as nulls: `mobilePhone`, `data.team`. What is not a field of the kind was refused by the
/// reader.
fn fold_unset(fields: &mut Fields, paths: &[String], kind: Kind) {
    for path in paths {
        let mut names = path.split('.');
        let Some(head) = names.next() else { continue };
        if !row(kind).fields.iter().any(|rule| rule.path == head && rule.on_wire()) {
            continue;
        }
        set_null(fields, head, names);
    }
}

fn set_null<'a>(fields: &mut Fields, head: &str, mut rest: impl Iterator<Item = &'a str>) {
    let Some(next) = rest.next() else {
        fields.insert(head.to_owned(), Value::Null);
        return;
    };
    let inner = fields.entry(head).or_insert_with(|| Value::Object(Fields::new()));
    if !inner.is_object() {
        *inner = Value::Object(Fields::new());
    }
    if let Value::Object(inner) = inner {
        // A boxed iterator, for the recursion would otherwise have no end of types.
        let rest: Box<dyn Iterator<Item = &str>> = Box::new(rest);
        set_null(inner, next, rest);
    }
}
