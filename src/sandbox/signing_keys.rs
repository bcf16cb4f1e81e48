//! Keys (`/api/key`): made or imported under a name and kept by the generic store. No key material is made but for
//! HMAC secrets; nothing here signs with them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::{Listing, NameRule, check_name, existing, name_key, new_id};
use super::fields::lenient;
use super::generic::generic_ok;
use super::reply::{Errors, Outcome, Reply};
use super::router::Route;
use super::store::{Object, State, StoreError, Table, Transaction, Unique, text_at};
use super::tokens;

/// Where keys are kept.
pub const KEY: Table = Table("key");
/// What `#{FUSIONAUTH_DEFAULT_SIGNING_KEY_ID}` of a Kickstart file names.
pub const DEFAULT_NAME: &str = "Default signing key";

const GENERATE: &str = "/api/key/generate";
const IMPORT: &str = "/api/key/import";
const BASE: &str = "/api/key";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", GENERATE, GENERATE, create),
        Route::new("POST", "/api/key/generate/{keyId}", GENERATE, create),
        Route::new("POST", IMPORT, IMPORT, create),
        Route::new("POST", "/api/key/import/{keyId}", IMPORT, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/key/{keyId}", BASE, retrieve),
        Route::new("PUT", "/api/key/{keyId}", BASE, update),
        Route::new("DELETE", "/api/key/{keyId}", BASE, delete),
        Route::new("GET", "/api/key/search", "/api/key/search", search),
        Route::new("POST", "/api/key/search", "/api/key/search", search),
    ]
}

/// The key that every installation has.
pub fn install(tx: &mut Transaction<'_>, now: i64) -> Result<(), StoreError> {
    let Value::Object(mut key) = json!({ "algorithm": "HS256", "name": DEFAULT_NAME, "type": "HMAC" }) else {
        return Ok(());
    };
    complete(&mut key);
    let id = Uuid::new_v4();
    stamp(&mut key, id, now);
    tx.put(KEY, id, &key)
}

fn complete(key: &mut Object) {
    let is_hmac = text_at(key, "type") == Some("HMAC");
    key.insert("kid".to_owned(), json!(tokens::opaque_id()));
    key.insert("hasPrivateKey".to_owned(), json!(true));
    if is_hmac && text_at(key, "secret").is_none_or(str::is_empty) {
        key.insert("secret".to_owned(), json!(tokens::secret()));
    }
}

/// The type that an algorithm belongs to.
fn type_of(algorithm: &str) -> Option<&'static str> {
    match algorithm {
        "ES256" | "ES384" | "ES512" => Some("EC"),
        "HS256" | "HS384" | "HS512" => Some("HMAC"),
        "RS256" | "RS384" | "RS512" => Some("RSA"),
        "Ed25519" => Some("OKP"),
        _ => None,
    }
}

fn check(state: &State, id: Uuid, key: &Object, errors: &mut Errors) {
    let unique = name_key(Unique::GenericName(KEY), None, key);
    check_name(state, text_at(key, "name"), id, NameRule { field: "key.name", unique, longest: 191 }, errors);
}

/// Generates or imports.
fn create(call: &Call<'_>) -> Outcome {
    let mut key = lenient(call.wrapped("key")?);
    let generates = call.route.permission == GENERATE;
    let mut tx = call.write();
    let id = new_id(call, &tx, KEY, "keyId")?;
    let mut errors = Errors::new();
    check(&tx, id, &key, &mut errors);
    match text_at(&key, "algorithm").map(|name| (name.to_owned(), type_of(name))) {
        Some((_, Some(kind))) => {
            key.insert("type".to_owned(), json!(kind));
        }
        Some((name, None)) => {
            errors.field("invalid", "key.algorithm", format!("[{name}] is not an algorithm."))
        }
        None if generates => {
            errors.field("blank", "key.algorithm", "You must specify the [key.algorithm] property.")
        }
        None => {}
    }
    errors.check()?;
    complete(&mut key);
    stamp(&mut key, id, call.now());
    tx.put(KEY, id, &key)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ "key": shown(key) })))
}

/// Private keys and secrets are never answered.
fn shown(mut key: Object) -> Object {
    key.remove("privateKey");
    key.remove("secret");
    key
}

fn list(call: &Call<'_>) -> Outcome {
    let keys: Vec<Object> = call.read().objects(KEY).map(|(_, key)| shown(key)).collect();
    Ok(generic_ok(&json!({ "keys": keys })))
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let (_, key) = existing(call, &call.read(), KEY, "keyId")?;
    Ok(generic_ok(&json!({ "key": shown(key) })))
}

/// Only the name can be changed.
fn update(call: &Call<'_>) -> Outcome {
    let given = lenient(call.wrapped("key")?);
    let mut tx = call.write();
    let (id, mut key) = existing(call, &tx, KEY, "keyId")?;
    let name = given.get("name").cloned().unwrap_or_default();
    key.insert("name".to_owned(), name);
    let mut errors = Errors::new();
    check(&tx, id, &key, &mut errors);
    errors.check()?;
    key.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    tx.put(KEY, id, &key)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ "key": shown(key) })))
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, _) = existing(call, &tx, KEY, "keyId")?;
    tx.delete(KEY, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

fn search(call: &Call<'_>) -> Outcome {
    let listing =
        Listing::read(call, &["name", "algorithm", "expirationInstant", "id", "insertInstant", "type"])?;
    let state = call.read();
    let rows = state
        .objects(KEY)
        .map(|(_, key)| shown(key))
        .filter(|key| ["name", "algorithm", "type"].iter().all(|name| listing.fits(name, text_at(key, name))))
        .collect();
    let (keys, total) = listing.page(rows);
    Ok(generic_ok(&json!({ "keys": keys, "total": total })))
}
