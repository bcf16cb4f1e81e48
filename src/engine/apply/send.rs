//! A plan's call to one that the client sends. A plan may come from a file, so only calls that a plan of ours can
//! hold are made: known routes, each with the methods of its purpose.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::engine::secrets::SecretValues;
use crate::fusionauth::{self, Answer, Idempotency};
use crate::fusionauth::{entities, entity_types, grants, lambdas, links, registrations, users};
use crate::reconcile::{Call, Change, ContentType, Key, Method, Purpose, Recipient};

/// A call that no plan of ours holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the plan holds a call that fusionkeep never makes: {method:?} {route}")]
    Unknown { method: Method, route: String },
    #[error("the value of {0} was not loaded before the run")]
    SecretMissing(String),
}

/// The call as the client sends it, its secrets filled in.
///
/// # Errors
/// The call is none that a plan of ours holds, or a secret was not loaded.
pub fn prepare(change: &Change, call: &Call, values: &SecretValues) -> Result<fusionauth::Call, Malformed> {
    let unknown = || Malformed::Unknown { method: call.method, route: call.route.clone() };
    let mut ready = shape(change, call).ok_or_else(unknown)?;
    if ready.method != method(call.method) || ready.content_type != content_type(call.content_type) {
        return Err(unknown());
    }
    for slot in &call.secrets {
        // A pending link's id has its place already.
        if ready.secrets.iter().any(|field| field.pointer == slot.pointer) {
            ready.secrets.retain(|field| field.pointer != slot.pointer);
        }
        let value = value_of(&change.address.namespace, slot, values)?;
        ready = ready.secret(slot.pointer.clone(), value);
    }
    Ok(ready)
}

fn value_of(
    namespace: &Arc<str>,
    slot: &crate::reconcile::SecretSlot,
    values: &SecretValues,
) -> Result<SecretString, Malformed> {
    let missing = || Malformed::SecretMissing(crate::engine::secrets::describe(&slot.source));
    values.get(namespace, &slot.source).cloned().ok_or_else(missing)
}

fn method(method: Method) -> fusionauth::Method {
    match method {
        Method::Get => fusionauth::Method::GET,
        Method::Post => fusionauth::Method::POST,
        Method::Put => fusionauth::Method::PUT,
        Method::Patch => fusionauth::Method::PATCH,
        Method::Delete => fusionauth::Method::DELETE,
    }
}

fn content_type(content_type: ContentType) -> fusionauth::ContentType {
    match content_type {
        ContentType::Json => fusionauth::ContentType::Json,
        ContentType::MergePatch => fusionauth::ContentType::MergePatch,
    }
}

/// The client's call for a purpose on a route. The client's own makers say how each is repeated and recognised.
fn shape(change: &Change, call: &Call) -> Option<fusionauth::Call> {
    let body = || body_of(call);
    let ids = ids_of(&call.route, &call.path)?;
    let shaped = match (call.route.as_str(), call.purpose, ids.as_slice()) {
        ("/api/user/{userId}", purpose, [id]) => match purpose {
            Purpose::Create => users::create(*id, body()?),
            Purpose::Update => users::patch(*id, body()?),
            Purpose::Reactivate => users::reactivate(*id),
            Purpose::Deactivate => users::deactivate(*id),
            Purpose::Delete => users::hard_delete(*id),
            _ => return None,
        },
        ("/api/user/import", Purpose::Import, []) => {
            fusionauth::Call { body: Some(body()?), ..users::import(Vec::new()) }
        }
        ("/api/user/verify-email", Purpose::Verify, []) => users::verify_email(id_in(&body()?, "userId")?),
        ("/api/user/verify-registration", Purpose::Verify, []) => {
            let body = body()?;
            registrations::verify(id_in(&body, "userId")?, id_in(&body, "applicationId")?)
        }
        ("/api/user/registration/{userId}", Purpose::Create, [id]) => {
            registrations::create_with_user(*id, body()?)
        }
        ("/api/user/registration/{userId}", Purpose::CreatePart, [id]) => {
            let body = body()?;
            registrations::create(*id, id_in(body.get("registration")?, "applicationId")?, body)
        }
        ("/api/user/registration/{userId}/{applicationId}", Purpose::UpdatePart, [id, application]) => {
            registrations::patch(*id, *application, body()?)
        }
        ("/api/user/registration/{userId}/{applicationId}", Purpose::DeletePart, [id, application]) => {
            registrations::delete(*id, *application)
        }
        ("/api/entity/{entityId}", purpose, [id]) => match purpose {
            Purpose::Create => entities::create(*id, body()?),
            Purpose::Update => entities::patch(*id, body()?),
            Purpose::Delete => entities::delete(*id),
            _ => return None,
        },
        ("/api/lambda/{lambdaId}", purpose, [id]) => match purpose {
            Purpose::Create => lambdas::create(*id, body()?),
            Purpose::Update => lambdas::patch(*id, body()?),
            Purpose::Delete => lambdas::delete(*id),
            _ => return None,
        },
        ("/api/entity/type/{entityTypeId}", purpose, [id]) => match purpose {
            Purpose::Create => entity_types::create(*id, body()?),
            Purpose::Update => entity_types::patch(*id, body()?),
            Purpose::Delete => entity_types::delete(*id),
            _ => return None,
        },
        ("/api/entity/{entityId}/grant", purpose, [entity]) => grant(purpose, *entity, call)?,
        ("/api/identity-provider/link", purpose, []) => link(change, purpose, call)?,
        (route, purpose, ids) if route.starts_with("/api/entity/type/{entityTypeId}/permission") => {
            permission(purpose, ids, call)?
        }
        _ => return None,
    };
    Some(shaped)
}

fn permission(purpose: Purpose, ids: &[Uuid], call: &Call) -> Option<fusionauth::Call> {
    match (purpose, ids) {
        (Purpose::CreatePart, [id, permission]) => {
            Some(entity_types::create_permission(*id, *permission, body_of(call)?))
        }
        (Purpose::CreatePart, [id]) => {
            // Every create carries an id of ours, so that a lost response is recognised and not repeated.
            let body = body_of(call)?;
            let name = body.get("permission")?.get("name")?.as_str()?;
            let permission = Uuid::new_v5(id, name.as_bytes());
            Some(entity_types::create_permission(*id, permission, body))
        }
        (Purpose::UpdatePart, [id, permission]) => {
            Some(entity_types::patch_permission(*id, *permission, body_of(call)?))
        }
        (Purpose::DeletePart, [id, permission]) => Some(entity_types::delete_permission(*id, *permission)),
        (Purpose::DeletePart, [id]) => {
            let (_, name) = call.query.iter().find(|(name, _)| name == "name")?;
            let route = "/api/entity/type/{entityTypeId}/permission";
            let parameters = vec![id.to_string()];
            let call =
                fusionauth::Call::new(fusionauth::Method::DELETE, route, parameters, Answer::EmptyOrJson);
            Some(call.query("name", name.clone()))
        }
        _ => None,
    }
}

fn grant(purpose: Purpose, entity: Uuid, call: &Call) -> Option<fusionauth::Call> {
    match purpose {
        Purpose::Grant => {
            let body = body_of(call)?;
            let grantee =
                match (id_in(body.get("grant")?, "userId"), id_in(body.get("grant")?, "recipientEntityId")) {
                    (Some(user), None) => grants::Grantee::User(user),
                    (None, Some(entity)) => grants::Grantee::Entity(entity),
                    _ => return None,
                };
            Some(grants::upsert(entity, grantee, body))
        }
        Purpose::Delete => {
            let grantee = match call.query.as_slice() {
                [(name, id)] if name == "userId" => grants::Grantee::User(id.parse().ok()?),
                [(name, id)] if name == "recipientEntityId" => grants::Grantee::Entity(id.parse().ok()?),
                _ => return None,
            };
            Some(grants::delete(entity, grantee))
        }
        _ => None,
    }
}

fn link(change: &Change, purpose: Purpose, call: &Call) -> Option<fusionauth::Call> {
    match purpose {
        Purpose::Link => Some(links::create(body_of(call)?)),
        Purpose::CompletePendingLink => {
            let Key::Link { identity_provider, identity_provider_user_id, user } = &change.key else {
                return None;
            };
            let body = body_of(call)?;
            let plain = body.get("pendingIdPLinkId").and_then(Value::as_str);
            let id = SecretString::from(plain.unwrap_or_default());
            Some(links::complete(id, *user, *identity_provider, identity_provider_user_id))
        }
        Purpose::Unlink => {
            let value = |name: &str| {
                call.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
            };
            Some(links::delete(
                value("identityProviderId")?.parse().ok()?,
                value("identityProviderUserId")?,
                value("userId")?.parse().ok()?,
            ))
        }
        _ => None,
    }
}

/// The call's body; none when it has none, or one that is not JSON.
fn body_of(call: &Call) -> Option<Value> {
    call.body.as_ref()?.value().ok()
}

/// The ids of a path, where its route has placeholders. None when the path is not of the route.
fn ids_of(route: &str, path: &str) -> Option<Vec<Uuid>> {
    let mut ids = Vec::new();
    let (mut names, mut values) = (route.split('/'), path.split('/'));
    loop {
        match (names.next(), values.next()) {
            (None, None) => return Some(ids),
            (Some(name), Some(value)) if name.starts_with('{') => ids.push(value.parse().ok()?),
            (Some(name), Some(value)) if name == value => {}
            _ => return None,
        }
    }
}

fn id_in(object: &Value, name: &str) -> Option<Uuid> {
    object.get(name)?.as_str()?.parse().ok()
}

/// Several imports of one user each as one of many, for `--bulk-create`. None when one of them is not a plain
/// import of one user, or says something for the whole request that the others do not.
pub fn join_imports(calls: &[fusionauth::Call]) -> Option<fusionauth::Call> {
    let mut users: Vec<Value> = Vec::with_capacity(calls.len());
    let mut rest: Option<Value> = None;
    let mut secrets = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let mut body = call.body.clone()?;
        let user = body.get_mut("users")?.as_array_mut().filter(|users| users.len() == 1)?.pop()?;
        users.push(user);
        if rest.get_or_insert_with(|| body.clone()) != &body {
            return None;
        }
        for field in &call.secrets {
            let place = field.pointer.strip_prefix("/users/0/")?;
            secrets.push((format!("/users/{index}/{place}"), field.value.expose_secret().to_owned()));
        }
    }
    let mut body = rest?;
    body.as_object_mut()?.insert("users".to_owned(), json!(users));
    let joined = fusionauth::Call { body: Some(body), ..users::import(Vec::new()) };
    let joined = joined.idempotency(Idempotency::Never);
    Some(secrets.into_iter().fold(joined, |call, (pointer, value)| call.secret(pointer, value.into())))
}

/// The grantee of a key.
pub fn grantee(recipient: Recipient) -> grants::Grantee {
    match recipient {
        Recipient::User(id) => grants::Grantee::User(id),
        Recipient::Entity(id) => grants::Grantee::Entity(id),
    }
}
