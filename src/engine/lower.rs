//! Manifest objects to what the core compares: wire names, defaults, `unset` folded in, references as they were resolved.
//! Pure, and done object by object when it is compared: lowered, a declaration takes three times its memory.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{
    Declared, EntityTypePermission, EntityTypeSpec, Fields, Kind, Registration, Spec, UserInitial, UserSpec,
    row,
};
use crate::reconcile::{Desired, Problem};

use super::problem::At;
use super::resolve::Resolved;

/// Lowers one object.
///
/// # Errors
/// It cannot be written as JSON; by its type it can, but for a number.
pub fn lower(object: &Object, resolved: &Resolved) -> Result<Desired, Box<Problem>> {
    let unwritable = |_| {
        let message = "the object cannot be written as JSON";
        Box::new(At::object(object).problem("unwritable", message, None))
    };
    lowered(object, resolved).map_err(unwritable)
}

fn lowered(object: &Object, resolved: &Resolved) -> serde_json::Result<Desired> {
    let kind = object.address.kind;
    let mut fields = object.spec.wire_fields()?;
    fold_unset(&mut fields, object.spec.unset(), kind);
    let mut desired = Desired {
        explicit_id: object.spec.id().is_some(),
        fields,
        entity_type: resolved.entity_type.clone(),
        secrets: resolved.secrets.clone(),
        pending_link: resolved.pending_link.clone(),
        policy: object.spec.policy().clone(),
        moved_from: object.moved_from.clone(),
        suspended: object.spec.suspend(),
        ..Desired::empty(object.address.clone(), object.place.clone(), resolved.key.clone())
    };
    match &object.spec {
        Spec::EntityType(spec) => desired.parts = permissions(spec)?,
        Spec::Lambda(_) => insert(&mut desired.fields, "body", object.lambda_body.clone()),
        Spec::User(spec) => user(spec, resolved, &mut desired)?,
        Spec::IdentityProviderLink(spec) => {
            let name = spec.initial.as_ref().and_then(|initial| initial.display_name.0.clone());
            insert(&mut desired.initial, "displayName", name);
        }
        Spec::Entity(_) | Spec::EntityGrant(_) => {}
    }
    // An array of parts is emptied, whichever way that is written.
    if let Some(part) = row(kind).part
        && object.spec.unset().iter().any(|path| path == part.field)
    {
        desired.parts.get_or_insert_default();
    }
    let named = matches!(kind, Kind::EntityType | Kind::Lambda | Kind::Entity);
    if named && !desired.policy.absent() && !desired.fields.contains_key("name") {
        desired.fields.insert("name".into(), (*object.address.name).into());
    }
    Ok(desired)
}

fn permissions(spec: &EntityTypeSpec) -> serde_json::Result<Option<BTreeMap<String, Fields>>> {
    match &spec.permissions {
        Declared::Absent => Ok(None),
        Declared::Null => Ok(Some(BTreeMap::new())),
        Declared::Set(permissions) => {
            let part =
                |permission: &EntityTypePermission| Ok((permission.name.clone(), permission.wire_fields()?));
            permissions.iter().map(part).collect::<serde_json::Result<_>>().map(Some)
        }
    }
}

fn user(spec: &UserSpec, resolved: &Resolved, desired: &mut Desired) -> serde_json::Result<()> {
    if let Some(initial) = &spec.initial {
        initial_user(initial, desired)?;
    }
    if let Some(password) = spec.password.as_ref() {
        insert(&mut desired.initial, "encryptionScheme", password.encryption_scheme.0.clone());
        insert(&mut desired.initial, "factor", password.factor.0);
    }
    desired.parts = match &spec.registrations {
        Declared::Absent => None,
        Declared::Null => Some(BTreeMap::new()),
        Declared::Set(registrations) => {
            let parts = registrations.iter().zip(&resolved.applications);
            let part = |(registration, id): (&Registration, &Uuid)| {
                Ok((id.to_string(), registration.wire_fields()?))
            };
            Some(parts.map(part).collect::<serde_json::Result<_>>()?)
        }
    };
    Ok(())
}

fn initial_user(initial: &UserInitial, desired: &mut Desired) -> serde_json::Result<()> {
    let password = initial.password.as_ref();
    let scheme = password.and_then(|password| password.encryption_scheme.0.clone());
    let factor = password.and_then(|password| password.factor.0);
    let fields = &mut desired.initial;
    insert(fields, "encryptionScheme", scheme.or(initial.encryption_scheme.0.clone()));
    insert(fields, "factor", factor.or(initial.factor.0));
    insert(fields, "passwordChangeRequired", initial.password_change_required.0);
    insert(fields, "legacyIdentifier", initial.legacy_identifier.0.clone());
    let options = &mut desired.options;
    if let Some(send) = initial.send_set_password_identity_type.0 {
        insert(options, "sendSetPasswordIdentityType", Some(serde_json::to_value(send)?));
    }
    insert(options, "skipVerification", initial.skip_verification.0);
    insert(options, "skipRegistrationVerification", initial.skip_registration_verification.0);
    insert(options, "disableDomainBlock", initial.disable_domain_block.0);
    Ok(())
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
