//! Applications with roles and scopes (wire notes §2): wide objects, kept as they are given over a few defaults.
//! Universal applications (since 1.58) belong to no tenant.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::{FUSIONAUTH_APPLICATION, stamp};
use super::call::Call;
use super::crud::{self, Listing, NameRule, check_name, existing, name_key, new_id};
use super::fields::{lenient, with_defaults};
use super::lambdas::check_lambda_references;
use super::reply::{Errors, Outcome, Reply, field_error, general_error};
use super::router::Route;
use super::store::{Object, State, Table, Transaction, Unique, text_at, uuid_at};
use super::tokens;

const BASE: &str = "/api/application";
const SEARCH: &str = "/api/application/search";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/application/{applicationId}", BASE, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/application/{applicationId}", BASE, retrieve),
        Route::new("PUT", "/api/application/{applicationId}", BASE, update),
        Route::new("PATCH", "/api/application/{applicationId}", BASE, patch),
        Route::new("DELETE", "/api/application/{applicationId}", BASE, delete).heavy(),
        Route::new("GET", "/api/application/{applicationId}/oauth-configuration", BASE, oauth_configuration),
        Route::new("GET", SEARCH, SEARCH, search),
        Route::new("POST", SEARCH, SEARCH, search),
    ]
}

/// Lists that the legacy PATCH replaces instead of appending to them (wire notes §3).
const REPLACED: [[&str; 2]; 3] = [
    ["oauthConfiguration", "authorizedRedirectURLs"],
    ["oauthConfiguration", "authorizedOriginURLs"],
    ["oauthConfiguration", "enabledGrants"],
];

fn defaults(id: Uuid) -> Value {
    json!({
        "active": true,
        "data": {},
        "jwtConfiguration": { "enabled": false },
        "loginConfiguration": {
            "allowTokenRefresh": false, "generateRefreshTokens": false, "requireAuthentication": true,
        },
        "oauthConfiguration": {
            "authorizedOriginURLs": [], "authorizedRedirectURLs": [], "clientAuthenticationPolicy": "Required",
            "clientId": id, "debug": false, "enabledGrants": ["authorization_code", "refresh_token"],
            "generateRefreshTokens": true, "logoutBehavior": "AllApplications",
            "proofKeyForCodeExchangePolicy": "NotRequired", "requireClientAuthentication": true,
            "requireRegistration": false,
        },
        "registrationConfiguration": { "enabled": false },
        "roles": [],
        "scopes": [],
        "state": "Active",
        "unverified": { "behavior": "Allow" },
        "verifyRegistration": false,
    })
}

/// The roles of a stored application.
pub fn roles(application: &Object) -> Vec<Object> {
    items(application, "roles")
}

/// The objects in one of an application's lists.
pub fn items(application: &Object, list: &str) -> Vec<Object> {
    let list = application.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item.as_object().cloned()).collect()
}

fn is_universal(application: &Object) -> bool {
    let universal = application.get("universalConfiguration").and_then(|it| it.get("universal"));
    universal.and_then(Value::as_bool) == Some(true)
}

fn create(call: &Call<'_>) -> Outcome {
    let mut body = call.json_object()?;
    let mut application = lenient(crud::unwrapped(&mut body, "application")?);
    let mut tx = call.write();
    let id = new_id(call, &tx, Table::APPLICATION, "applicationId")?;
    if let Some(source) = uuid_at(&body, "sourceApplicationId") {
        let Some(mut source) = tx.get(Table::APPLICATION, source) else {
            return Err(field_error("invalid", "sourceApplicationId", "The application does not exist."));
        };
        source.remove("oauthConfiguration");
        renew_ids(&mut source);
        with_defaults(&mut application, Value::Object(source));
    }
    if is_universal(&application) && call.version().since(58) {
        application.remove("tenantId");
    } else {
        let tenant = call.tenant_for_new(&tx, uuid_at(&application, "tenantId"))?;
        application.insert("tenantId".to_owned(), json!(tenant));
    }
    for name in ["id", "insertInstant", "lastUpdateInstant", "state", "active"] {
        application.remove(name);
    }
    check(&tx, id, &application)?;
    complete_items(&mut application, id, call.now())?;
    with_defaults(&mut application, defaults(id));
    fill_secret(&mut application);
    stamp(&mut application, id, call.now());
    tx.put(Table::APPLICATION, id, &application)?;
    finish(tx, id)
}

fn renew_ids(application: &mut Object) {
    for list in ["roles", "scopes"] {
        let Some(Value::Array(items)) = application.get_mut(list) else { continue };
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.remove("id");
        }
    }
}

fn fill_secret(application: &mut Object) {
    if let Some(Value::Object(oauth)) = application.get_mut("oauthConfiguration")
        && text_at(oauth, "clientSecret").is_none_or(str::is_empty)
    {
        oauth.insert("clientSecret".to_owned(), json!(tokens::secret()));
    }
}

/// Gives every role and scope its id and instants; names are required and unique.
fn complete_items(application: &mut Object, id: Uuid, now: i64) -> Result<(), Reply> {
    let mut errors = Errors::new();
    for list in ["roles", "scopes"] {
        let Some(Value::Array(items)) = application.get_mut(list) else { continue };
        let mut names: Vec<String> = Vec::new();
        for (index, item) in items.iter_mut().enumerate() {
            let place = format!("application.{list}[{index}].name");
            let Value::Object(item) = item else {
                super::call::invalid_json_in(&mut errors, &place, "an object is expected");
                continue;
            };
            let name = text_at(item, "name").unwrap_or("").trim().to_owned();
            if name.is_empty() {
                errors.field("blank", &place, format!("You must specify the [{place}] property."));
            } else if names.contains(&name) {
                errors.field("duplicate", &place, format!("The name [{name}] is used twice."));
            }
            names.push(name);
            complete_item(item, list, id, now);
        }
    }
    errors.check()
}

/// Sets what the server sets on a role or scope.
pub fn complete_item(item: &mut Object, list: &str, application: Uuid, now: i64) {
    let id = uuid_at(item, "id").unwrap_or_else(Uuid::new_v4);
    item.insert("id".to_owned(), json!(id));
    item.entry("insertInstant").or_insert(json!(now));
    item.insert("lastUpdateInstant".to_owned(), json!(now));
    if list == "roles" {
        with_defaults(item, json!({ "isDefault": false, "isSuperRole": false }));
    } else {
        with_defaults(item, json!({ "applicationId": application, "data": {}, "required": false }));
    }
}

fn check(state: &State, id: Uuid, application: &Object) -> Result<(), Reply> {
    let mut errors = Errors::new();
    let rule = NameRule {
        field: "application.name",
        unique: name_key(Unique::ApplicationName, uuid_at(application, "tenantId"), application),
        longest: 191,
    };
    check_name(state, text_at(application, "name"), id, rule, &mut errors);
    check_lambda_references(state, "application", application, &mut errors);
    errors.check()
}

fn finish(tx: Transaction<'_>, id: Uuid) -> Outcome {
    let application = tx.get(Table::APPLICATION, id);
    tx.commit()?;
    Ok(Reply::ok(&json!({ "application": application })))
}

/// Active ones; with `?inactive=true` the inactive ones.
fn list(call: &Call<'_>) -> Outcome {
    let wanted = call.query_flag("inactive") != Some(true);
    let state = call.read();
    let applications: Vec<Object> = state
        .objects(Table::APPLICATION)
        .map(|(_, application)| application)
        .filter(|application| call.in_scope(uuid_at(application, "tenantId")))
        .filter(|application| application.get("active").and_then(Value::as_bool) == Some(wanted))
        .collect();
    Ok(Reply::ok(&json!({ "applications": applications })))
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let (_, application) = existing(call, &call.read(), Table::APPLICATION, "applicationId")?;
    Ok(Reply::ok(&json!({ "application": application })))
}

fn oauth_configuration(call: &Call<'_>) -> Outcome {
    let (_, application) = existing(call, &call.read(), Table::APPLICATION, "applicationId")?;
    let oauth = application.get("oauthConfiguration").cloned().unwrap_or_else(|| json!({}));
    Ok(Reply::ok(&json!({ "oauthConfiguration": oauth })))
}

fn update(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, Table::APPLICATION, "applicationId")?;
    if call.query_flag("reactivate") == Some(true) {
        set_active(&mut tx, id, old, true, call.now())?;
        return finish(tx, id);
    }
    let mut body = call.json_object()?;
    let new = lenient(crud::unwrapped(&mut body, "application")?);
    replace(call, &mut tx, id, &old, new)?;
    finish(tx, id)
}

fn patch(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, Table::APPLICATION, "applicationId")?;
    let mut whole = crud::patched_replacing(call, "application", old.clone(), json!({}), &REPLACED)?;
    let new = lenient(crud::unwrapped(&mut whole, "application")?);
    replace(call, &mut tx, id, &old, new)?;
    finish(tx, id)
}

/// Roles and scopes have APIs of their own: an update of the application leaves them as they are (inferred).
fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    old: &Object,
    mut new: Object,
) -> Result<(), Reply> {
    for name in ["id", "insertInstant", "tenantId", "state", "active", "roles", "scopes"] {
        match old.get(name) {
            Some(value) => {
                new.insert(name.to_owned(), value.clone());
            }
            None => {
                new.remove(name);
            }
        }
    }
    check(tx, id, &new)?;
    let secret = old.get("oauthConfiguration").and_then(|oauth| oauth.get("clientSecret"));
    with_defaults(&mut new, json!({ "oauthConfiguration": { "clientSecret": secret } }));
    with_defaults(&mut new, defaults(id));
    fill_secret(&mut new);
    new.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    Ok(tx.put(Table::APPLICATION, id, &new)?)
}

fn set_active(
    tx: &mut Transaction<'_>,
    id: Uuid,
    mut application: Object,
    active: bool,
    now: i64,
) -> Result<(), Reply> {
    application.insert("active".to_owned(), json!(active));
    application.insert("state".to_owned(), json!(if active { "Active" } else { "Inactive" }));
    application.insert("lastUpdateInstant".to_owned(), json!(now));
    Ok(tx.put(Table::APPLICATION, id, &application)?)
}

/// Deactivates; with `?hardDelete=true` deletes, the registrations too.
fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, application) = existing(call, &tx, Table::APPLICATION, "applicationId")?;
    if id == FUSIONAUTH_APPLICATION {
        return Err(general_error(400, "inUse", "FusionAuth's own application cannot be deleted."));
    }
    if call.query_flag("hardDelete") == Some(true) {
        super::users::application_removed(&mut tx, id)?;
        tx.delete(Table::APPLICATION, id)?;
    } else {
        set_active(&mut tx, id, application, false, call.now())?;
    }
    tx.commit()?;
    Ok(Reply::empty(200))
}

fn search(call: &Call<'_>) -> Outcome {
    if !call.version().since(45) {
        return Err(Reply::not_found());
    }
    let listing = Listing::read(call, &["name", "id", "insertInstant", "tenantId"])?;
    let (tenant, wanted) = (listing.id("tenantId")?, listing.text("state"));
    let state = call.read();
    let rows = state
        .objects(Table::APPLICATION)
        .map(|(_, application)| application)
        .filter(|application| call.in_scope(uuid_at(application, "tenantId")))
        .filter(|application| tenant.is_none() || uuid_at(application, "tenantId") == tenant)
        .filter(|application| wanted.is_none_or(|wanted| text_at(application, "state") == Some(wanted)))
        .filter(|application| listing.fits("name", text_at(application, "name")))
        .collect();
    let (applications, total) = listing.page(rows);
    Ok(Reply::ok(&json!({ "applications": applications, "total": total })))
}
