//! Calls on users and their registrations (wire notes §4).

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::Fields;
use crate::reconcile::difference::{Activity, PartAction, PartDifference, tree};
use crate::reconcile::{Call, Method, Purpose};

use super::routes::Route;
use super::{Making, patch, slots};

pub(super) fn create(making: Making<'_>, id: Uuid) -> Vec<Call> {
    let inactive = making.desired.fields.get("active") == Some(&Value::Bool(false));
    // Only import takes hashes as they are and creates users who cannot sign in (wire notes §4, §13).
    if inactive || is_hashed(making) {
        return vec![import(making, id, !inactive)];
    }
    let mut options = making.desired.options.clone();
    if making.difference.verify {
        // Who is declared verified needs no message. FusionAuth counts the user as verified then (wire notes §4).
        options.entry("skipVerification").or_insert(Value::Bool(true));
    }
    let verified_by_skip = options.get("skipVerification") == Some(&Value::Bool(true));
    let skip_registration = options.remove("skipRegistrationVerification");
    let mut calls = Vec::new();
    let mut parts = making.difference.parts.iter();
    let mut body = options;
    body.insert("user".to_owned(), Value::Object(own_fields(making)));
    let mut first = match parts.next() {
        // User and registration in one call: one less, and what real Kickstart files do (wire notes §8).
        Some((application, part)) => {
            body.insert("registration".to_owned(), Value::Object(registration(application, part)));
            if let Some(skip) = &skip_registration {
                body.insert("skipRegistrationVerification".to_owned(), skip.clone());
            }
            Route::registrations(id).call(Purpose::Create, Method::Post).of_part(application)
        }
        None => Route::user(id).call(Purpose::Create, Method::Post),
    };
    first.secrets = slots(&making.difference.secrets, "user");
    calls.push(first.json(Value::Object(body)));
    calls.extend(
        parts.map(|(application, part)| {
            create_registration(id, application, part, skip_registration.as_ref())
        }),
    );
    if making.difference.verify && !verified_by_skip {
        calls.push(verify(id));
    }
    calls.extend(verify_registrations(making, id));
    calls
}

pub(super) fn update(making: Making<'_>, id: Uuid) -> Vec<Call> {
    let difference = making.difference;
    let mut calls = Vec::new();
    if difference.activity == Activity::Reactivate {
        // PUT without a body; an inactive user refuses everything else (wire notes §4).
        calls.push(Route::user(id).query("reactivate", "true").call(Purpose::Reactivate, Method::Put));
    }
    calls.extend(patch(making, Route::user(id)));
    for (application, part) in &difference.parts {
        calls.extend(update_registration(making, id, application, part));
    }
    if difference.verify {
        calls.push(verify(id));
    }
    calls.extend(verify_registrations(making, id));
    if difference.activity == Activity::Deactivate {
        calls.push(Route::user(id).call(Purpose::Deactivate, Method::Delete));
    }
    calls
}

fn is_hashed(making: Making<'_>) -> bool {
    making.difference.secrets.iter().any(|secret| secret.field == "salt")
}

/// What a new user is made of, without registrations and secrets.
fn own_fields(making: Making<'_>) -> Fields {
    let mut fields = tree(&making.difference.fields);
    fields.extend(making.desired.initial.clone());
    fields
}

fn import(making: Making<'_>, id: Uuid, active: bool) -> Call {
    let mut user = own_fields(making);
    let mut body = Fields::new();
    if !is_hashed(making) {
        // Without a salt they say how plain text is to be hashed, and that is the request's to say.
        for name in ["encryptionScheme", "factor"] {
            if let Some(value) = user.remove(name) {
                body.insert(name.to_owned(), value);
            }
        }
    }
    user.insert("id".to_owned(), id.to_string().into());
    // Always said: import's default is false (wire notes §4).
    user.insert("active".to_owned(), active.into());
    if making.difference.verify {
        user.insert("verified".to_owned(), true.into());
    }
    if !making.difference.parts.is_empty() {
        let registrations = making.difference.parts.iter().map(|(application, part)| {
            let mut fields = registration(application, part);
            if part.verify {
                fields.insert("verified".to_owned(), true.into());
            }
            Value::Object(fields)
        });
        user.insert("registrations".to_owned(), registrations.collect());
    }
    body.insert("users".to_owned(), json!([user]));
    body.insert("validateDbConstraints".to_owned(), true.into());
    let mut call = Route::import().call(Purpose::Import, Method::Post).json(Value::Object(body));
    call.secrets = slots(&making.difference.secrets, "users/0");
    call
}

fn registration(application: &str, part: &PartDifference) -> Fields {
    let mut fields = tree(&part.fields);
    fields.insert("applicationId".to_owned(), application.into());
    fields
}

fn create_registration(id: Uuid, application: &str, part: &PartDifference, skip: Option<&Value>) -> Call {
    let mut body = json!({ "registration": registration(application, part) });
    if let (Some(skip), Value::Object(body)) = (skip, &mut body) {
        body.insert("skipRegistrationVerification".to_owned(), skip.clone());
    }
    Route::registrations(id).call(Purpose::CreatePart, Method::Post).of_part(application).json(body)
}

fn update_registration(
    making: Making<'_>,
    id: Uuid,
    application: &str,
    part: &PartDifference,
) -> Option<Call> {
    let route = Route::registration(id, application);
    match part.action {
        PartAction::Create => {
            let skip = making.desired.options.get("skipRegistrationVerification");
            Some(create_registration(id, application, part, skip))
        }
        PartAction::Update if part.fields.is_empty() => None,
        PartAction::Update => Some(
            route
                .call(Purpose::UpdatePart, Method::Patch)
                .of_part(application)
                .merge_patch(json!({ "registration": tree(&part.fields) })),
        ),
        PartAction::Delete => Some(route.call(Purpose::DeletePart, Method::Delete).of_part(application)),
    }
}

/// The administrative verification, since 1.37 (wire notes §4).
pub(super) fn verify(id: Uuid) -> Call {
    Route::verify_email().call(Purpose::Verify, Method::Post).json(json!({ "userId": id }))
}

fn verify_registrations(making: Making<'_>, id: Uuid) -> impl Iterator<Item = Call> {
    let parts = making.difference.parts.iter().filter(|(_, part)| part.verify);
    parts.map(move |(application, _)| verify_registration(id, application))
}

pub(super) fn verify_registration(id: Uuid, application: &str) -> Call {
    Route::verify_registration()
        .call(Purpose::Verify, Method::Post)
        .of_part(application)
        .json(json!({ "userId": id, "applicationId": application }))
}
