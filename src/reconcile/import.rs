//! `--bulk-create`: new users through import, many in one call.
//!
//! Import sends no webhooks and no e-mails and skips verification; the plan says so.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::Kind;

use super::{Action, Call, Change, ContentType, Method, Plan, Problem, Purpose, SecretSlot};

/// Turns the plan's plain creates of users into imports of at most `batch` users each. Left as they are: users
/// who wait for another change, and those whose creation is to send a message.
pub fn bulk_create(plan: &mut Plan, batch: u32) {
    plan.import_batch = Some(batch.max(1));
    let mut users = 0;
    for change in &mut plan.changes {
        if let Some(import) = as_import(change) {
            change.calls = vec![import];
            users += 1;
        }
    }
    if users > 0 {
        let message = format!(
            "{users} {} created through import: FusionAuth sends neither webhooks nor e-mails for them, and no \
             verification is asked for",
            if users == 1 { "user is" } else { "users are" }
        );
        let hint = "leave --bulk-create out where others wait for these webhooks or e-mails";
        plan.warnings.push(Problem::error("bulk-create", message, hint));
    }
}

/// Whether a change can be sent together with others.
pub fn is_batchable(change: &Change) -> bool {
    change.depends_on.is_empty()
        && matches!(change.calls.as_slice(), [call] if call.purpose == Purpose::Import)
}

/// What imports must share to be one: how plain text is hashed stands beside the users.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportGroup {
    encryption_scheme: Option<Value>,
    factor: Option<Value>,
}

/// None of a call without a body.
pub fn import_group(call: &Call) -> Option<ImportGroup> {
    call.body.as_ref()?.read().ok()
}

/// The imports that a plan's batchable changes come to, in calls.
pub(super) fn import_calls(plan: &Plan) -> u64 {
    let Some(batch) = plan.import_batch else {
        return plan.changes.iter().filter(|change| is_batchable(change)).count() as u64;
    };
    let mut groups: Vec<(Option<ImportGroup>, u64)> = Vec::new();
    for call in plan.changes.iter().filter(|change| is_batchable(change)).flat_map(|change| &change.calls) {
        let group = import_group(call);
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, count)) => *count += 1,
            None => groups.push((group, 1)),
        }
    }
    groups.iter().map(|(_, count)| count.div_ceil(u64::from(batch))).sum()
}

/// A create of a user as an import of one.
fn as_import(change: &Change) -> Option<Call> {
    let plain =
        change.kind() == Kind::User && change.action == Action::Create && change.depends_on.is_empty();
    let [first, rest @ ..] = change.calls.as_slice() else { return None };
    if !plain || first.purpose != Purpose::Create {
        return None;
    }
    let Value::Object(mut body) = first.body.as_ref()?.value().ok()? else { return None };
    let message = body.get("sendSetPasswordIdentityType").is_some_and(|send| send != "doNotSend");
    if message {
        return None;
    }
    let Some(Value::Object(mut user)) = body.remove("user") else { return None };
    let skipped = body.get("skipVerification") == Some(&Value::Bool(true));
    let mut registrations: Vec<Value> = body.remove("registration").into_iter().collect();
    let mut verified = skipped;
    for call in rest {
        match (call.purpose, &call.part, &call.body) {
            (Purpose::CreatePart, _, Some(body)) => {
                registrations.extend(body.value().ok()?.get_mut("registration").map(Value::take));
            }
            (Purpose::Verify, Some(application), _) => verify(&mut registrations, application),
            (Purpose::Verify, None, _) => verified = true,
            _ => return None,
        }
    }
    user.insert("id".to_owned(), change.key.id()?.to_string().into());
    user.insert("active".to_owned(), true.into());
    if verified {
        user.insert("verified".to_owned(), true.into());
    }
    if !registrations.is_empty() {
        user.insert("registrations".to_owned(), Value::Array(registrations));
    }
    let mut import = json!({ "validateDbConstraints": true });
    for name in ["encryptionScheme", "factor"] {
        if let Some(value) = user.remove(name)
            && let Value::Object(import) = &mut import
        {
            import.insert(name.to_owned(), value);
        }
    }
    if let Value::Object(import) = &mut import {
        import.insert("users".to_owned(), json!([user]));
    }
    let slot = |slot: &SecretSlot| {
        let field = slot.pointer.strip_prefix("/user/")?;
        Some(SecretSlot { pointer: format!("/users/0/{field}"), ..slot.clone() })
    };
    Some(Call {
        purpose: Purpose::Import,
        method: Method::Post,
        route: "/api/user/import".to_owned(),
        path: "/api/user/import".to_owned(),
        query: Vec::new(),
        content_type: ContentType::Json,
        body: Some(import.into()),
        secrets: first.secrets.iter().filter_map(slot).collect(),
        part: None,
    })
}

fn verify(registrations: &mut [Value], application: &str) {
    for registration in registrations {
        if registration.get("applicationId").and_then(Value::as_str) == Some(application)
            && let Value::Object(registration) = registration
        {
            registration.insert("verified".to_owned(), true.into());
        }
    }
}
