//! API keys (wire notes §1): made and changed by key managers only; the value never changes.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::{self, existing, new_id};
use super::fields::{Field, Kind, field, read, with_defaults};
use super::reply::{Errors, Outcome, Reply};
use super::router::{Access, Route};
use super::store::{Object, State, Table, Unique, UniqueKey, text_at, uuid_at};
use super::tokens;

const BASE: &str = "/api/api-key";

pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/api-key/{keyId}", BASE, create),
        Route::new("GET", "/api/api-key/{keyId}", BASE, retrieve),
        Route::new("PUT", "/api/api-key/{keyId}", BASE, update),
        Route::new("PATCH", "/api/api-key/{keyId}", BASE, patch),
        Route::new("DELETE", "/api/api-key/{keyId}", BASE, delete),
    ];
    routes.iter_mut().for_each(|route| route.access = Access::KeyManager);
    routes
}

const FIELDS: [Field; 9] = [
    field("expirationInstant", Kind::Integer),
    field("ipAccessControlListId", Kind::Uuid),
    field("key", Kind::Text),
    field("keyManager", Kind::Boolean),
    field("metaData", Kind::Object(&[field("attributes", Kind::Map(&Kind::Text))])),
    field("name", Kind::Text),
    field("permissions", Kind::Object(&[field("endpoints", Kind::Map(&Kind::List(&Kind::Text)))])),
    field("retrievable", Kind::Boolean),
    field("tenantId", Kind::Uuid),
];

/// Reads and checks a key; also what Kickstart makes keys with. `own` may hold the value already.
pub fn checked(state: &State, given: &Object, own: Uuid) -> Result<Object, Reply> {
    let mut errors = Errors::new();
    let mut key = read("apiKey", &FIELDS, given, &mut errors);
    if text_at(&key, "key").is_none_or(str::is_empty) {
        key.insert("key".to_owned(), json!(tokens::secret()));
    }
    let value = text_at(&key, "key").unwrap_or_default();
    let holder = state.holder(&UniqueKey::global(Unique::ApiKey, value));
    if holder.is_some_and(|holder| holder != own) {
        errors.field("duplicate", "apiKey.key", "An API key with this value already exists.");
    }
    if let Some(tenant) = uuid_at(&key, "tenantId")
        && !state.contains(Table::TENANT, tenant)
    {
        errors.field("invalid", "apiKey.tenantId", format!("The tenant [{tenant}] does not exist."));
    }
    if let Some(Value::Object(endpoints)) = key.get("permissions").and_then(|it| it.get("endpoints")) {
        const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];
        for (endpoint, methods) in endpoints {
            let methods = methods.as_array().map(Vec::as_slice).unwrap_or_default();
            if methods.iter().any(|method| !method.as_str().is_some_and(|name| METHODS.contains(&name))) {
                let field = format!("apiKey.permissions.endpoints[{endpoint}]");
                errors.field("invalid", &field, "Only DELETE, GET, PATCH, POST and PUT are methods.");
            }
        }
    }
    errors.check()?;
    let defaults = json!({
        "keyManager": false, "metaData": { "attributes": {} }, "permissions": { "endpoints": {} }, "retrievable": true,
    });
    with_defaults(&mut key, defaults);
    Ok(key)
}

fn create(call: &Call<'_>) -> Outcome {
    let mut body = call.json_object()?;
    let mut given = crud::unwrapped(&mut body, "apiKey")?;
    let mut tx = call.write();
    let id = new_id(call, &tx, Table::API_KEY, "keyId")?;
    if let Some(source) = uuid_at(&body, "sourceKeyId") {
        let mut source = tx.get(Table::API_KEY, source).unwrap_or_default();
        source.retain(|name, _| name == "permissions" || name == "tenantId");
        with_defaults(&mut given, Value::Object(source));
    }
    let mut key = checked(&tx, &given, id)?;
    stamp(&mut key, id, call.now());
    tx.put(Table::API_KEY, id, &key)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ "apiKey": key })))
}

/// A key that is not retrievable shows its value at its creation only.
fn shown(mut key: Object) -> Object {
    if key.get("retrievable").and_then(Value::as_bool) == Some(false) {
        key.remove("key");
    }
    key
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let (_, key) = existing(call, &call.read(), Table::API_KEY, "keyId")?;
    Ok(Reply::ok(&json!({ "apiKey": shown(key) })))
}

fn update(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("apiKey")?;
    change(call, |_| Ok(given))
}

fn patch(call: &Call<'_>) -> Outcome {
    change(call, |old| {
        let mut whole = crud::patched(call, "apiKey", old.clone(), json!({}))?;
        crud::unwrapped(&mut whole, "apiKey")
    })
}

fn change(call: &Call<'_>, given: impl FnOnce(&Object) -> Result<Object, Reply>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, Table::API_KEY, "keyId")?;
    let mut given = given(&old)?;
    for name in ["key", "tenantId", "retrievable", "keyManager"] {
        match old.get(name) {
            Some(value) => given.insert(name.to_owned(), value.clone()),
            None => given.remove(name),
        };
    }
    let mut key = checked(&tx, &given, id)?;
    stamp(&mut key, id, call.now());
    key.insert("insertInstant".to_owned(), old.get("insertInstant").cloned().unwrap_or_default());
    tx.put(Table::API_KEY, id, &key)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ "apiKey": shown(key) })))
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, _) = existing(call, &tx, Table::API_KEY, "keyId")?;
    tx.delete(Table::API_KEY, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}
