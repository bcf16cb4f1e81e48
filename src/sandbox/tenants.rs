//! Tenants (wire notes §2): wide objects, kept as they are given over defaults. Deleting one deletes what is in it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::{DEFAULT_CONNECTOR, DEFAULT_THEME, FUSIONAUTH_APPLICATION, stamp};
use super::call::Call;
use super::crud::{self, Listing, NameRule, check_name, existing, name_key, new_id};
use super::fields::{lenient, with_defaults};
use super::lambdas::check_lambda_references;
use super::reply::{Errors, Outcome, Reply, general_error};
use super::router::{Access, Route};
use super::store::{Object, State, Table, Transaction, Unique, uuid_at};

const BASE: &str = "/api/tenant";

pub fn routes() -> Vec<Route> {
    let rules = "/api/tenant/password-validation-rules";
    vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/tenant/{tenantId}", BASE, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/tenant/{tenantId}", BASE, retrieve),
        Route::new("PUT", "/api/tenant/{tenantId}", BASE, update),
        Route::new("PATCH", "/api/tenant/{tenantId}", BASE, patch),
        Route::new("DELETE", "/api/tenant/{tenantId}", BASE, delete).heavy(),
        Route::new("GET", "/api/tenant/search", "/api/tenant/search", search).access(Access::GlobalKey),
        Route::new("POST", "/api/tenant/search", "/api/tenant/search", search).access(Access::GlobalKey),
        Route::new("GET", "/api/tenant/password-validation-rules", rules, password_rules)
            .access(Access::Open),
        Route::new("GET", "/api/tenant/password-validation-rules/{tenantId}", rules, password_rules)
            .access(Access::Open),
    ]
}

/// The tenant that every installation has.
pub fn default_tenant() -> Object {
    let mut tenant = Object::new();
    tenant.insert("name".to_owned(), json!("Default"));
    tenant.insert("themeId".to_owned(), json!(DEFAULT_THEME));
    with_defaults(&mut tenant, defaults());
    tenant
}

/// What a tenant has unless it says otherwise. The times to live are those of the users document (10 minutes for a
/// change-password id, 24 hours for a verification id).
fn defaults() -> Value {
    json!({
        "configured": true,
        "connectorPolicies": [{ "connectorId": DEFAULT_CONNECTOR, "domains": ["*"], "migrate": false }],
        "data": {},
        "emailConfiguration": {
            "defaultFromEmail": "change-me@example.com", "host": "localhost", "implicitEmailVerificationAllowed": true,
            "port": 25, "security": "NONE", "verificationStrategy": "ClickableLink", "verifyEmail": false,
            "verifyEmailWhenChanged": false,
        },
        "eventConfiguration": { "events": {} },
        "externalIdentifierConfiguration": {
            "changePasswordIdTimeToLiveInSeconds": 600, "emailVerificationIdTimeToLiveInSeconds": 86_400,
            "pendingAccountLinkTimeToLiveInSeconds": 3_600, "registrationVerificationIdTimeToLiveInSeconds": 86_400,
            "setupPasswordIdTimeToLiveInSeconds": 86_400,
        },
        "familyConfiguration": { "enabled": false },
        "httpSessionMaxInactiveInterval": 3_600,
        "issuer": "acme.com",
        "jwtConfiguration": {
            "enabled": true, "refreshTokenTimeToLiveInMinutes": 43_200, "timeToLiveInSeconds": 3_600,
        },
        "maximumPasswordAge": { "days": 180, "enabled": false },
        "minimumPasswordAge": { "enabled": false, "seconds": 30 },
        "passwordEncryptionConfiguration": {
            "encryptionScheme": "salted-pbkdf2-hmac-sha256", "encryptionSchemeFactor": 24_000,
            "modifyEncryptionSchemeOnLogin": false,
        },
        "passwordValidationRules": {
            "breachDetection": { "enabled": false }, "maxLength": 256, "minLength": 8,
            "rememberPreviousPasswords": { "count": 1, "enabled": false }, "requireMixedCase": false,
            "requireNonAlpha": false, "requireNumber": false, "validateOnLogin": false,
        },
        "state": "Active",
        "userDeletePolicy": { "unverified": { "enabled": false } },
    })
}

fn create(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let id = new_id(call, &tx, Table::TENANT, "tenantId")?;
    let mut body = call.json_object()?;
    let mut tenant = lenient(crud::unwrapped(&mut body, "tenant")?);
    if let Some(source) = uuid_at(&body, "sourceTenantId") {
        let Some(source) = tx.get(Table::TENANT, source) else {
            return Err(super::reply::field_error("invalid", "sourceTenantId", "The tenant does not exist."));
        };
        with_defaults(&mut tenant, Value::Object(source));
    }
    keep_read_only(&mut tenant, None);
    check(&tx, id, &tenant)?;
    with_defaults(&mut tenant, defaults());
    tenant.entry("themeId").or_insert(json!(DEFAULT_THEME));
    stamp(&mut tenant, id, call.now());
    tx.put(Table::TENANT, id, &tenant)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ "tenant": tenant })))
}

fn list(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let tenants: Vec<Object> = state
        .objects(Table::TENANT)
        .filter(|(id, _)| call.in_scope(Some(*id)))
        .map(|(_, tenant)| tenant)
        .collect();
    Ok(Reply::ok(&json!({ "tenants": tenants })))
}

/// The tenant of the path, if the request's scope is not another one.
fn of_path(call: &Call<'_>, state: &State) -> Result<(Uuid, Object), Reply> {
    let id = call.required_id("tenantId")?;
    if !call.in_scope(Some(id)) {
        return Err(Reply::not_found());
    }
    existing(call, state, Table::TENANT, "tenantId")
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let (_, tenant) = of_path(call, &call.read())?;
    Ok(Reply::ok(&json!({ "tenant": tenant })))
}

fn update(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = of_path(call, &tx)?;
    let mut body = call.json_object()?;
    let new = lenient(crud::unwrapped(&mut body, "tenant")?);
    replace(call, &mut tx, id, &old, new)?;
    finish(tx, id)
}

fn patch(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = of_path(call, &tx)?;
    let mut whole = crud::patched(call, "tenant", old.clone(), json!({}))?;
    let new = lenient(crud::unwrapped(&mut whole, "tenant")?);
    replace(call, &mut tx, id, &old, new)?;
    finish(tx, id)
}

fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    old: &Object,
    mut new: Object,
) -> Result<(), Reply> {
    keep_read_only(&mut new, Some(old));
    check(tx, id, &new)?;
    with_defaults(&mut new, defaults());
    new.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    Ok(tx.put(Table::TENANT, id, &new)?)
}

fn finish(tx: Transaction<'_>, id: Uuid) -> Outcome {
    let tenant = tx.get(Table::TENANT, id);
    tx.commit()?;
    Ok(Reply::ok(&json!({ "tenant": tenant })))
}

fn keep_read_only(new: &mut Object, old: Option<&Object>) {
    for name in ["id", "insertInstant", "lastUpdateInstant", "state"] {
        match old.and_then(|old| old.get(name)) {
            Some(value) => {
                new.insert(name.to_owned(), value.clone());
            }
            None => {
                new.remove(name);
            }
        }
    }
}

fn check(state: &State, id: Uuid, tenant: &Object) -> Result<(), Reply> {
    let mut errors = Errors::new();
    let rule =
        NameRule { field: "tenant.name", unique: name_key(Unique::TenantName, None, tenant), longest: 191 };
    check_name(state, super::store::text_at(tenant, "name"), id, rule, &mut errors);
    check_lambda_references(state, "tenant", tenant, &mut errors);
    errors.check()
}

/// Deletes the tenant and all that is in it; FusionAuth's own tenant stays. `async`, as parameter or in the body,
/// answers 202.
fn delete(call: &Call<'_>) -> Outcome {
    let in_body = call.typed_object(&[], &["async"])?.get("async") == Some(&Value::Bool(true));
    let is_async = in_body || call.query_flag("async") == Some(true);
    let mut tx = call.write();
    let (id, _) = of_path(call, &tx)?;
    let own = tx.get(Table::APPLICATION, FUSIONAUTH_APPLICATION).and_then(|app| uuid_at(&app, "tenantId"));
    if own == Some(id) {
        let message = "The tenant that holds FusionAuth's own application cannot be deleted.";
        return Err(general_error(400, "inUse", message));
    }
    for table in super::tables() {
        let inside: Vec<Uuid> = tx
            .objects(table)
            .filter(|(_, object)| uuid_at(object, "tenantId") == Some(id))
            .map(|(id, _)| id)
            .collect();
        for object in inside {
            remove_with_dependents(&mut tx, table, object)?;
        }
    }
    tx.delete(Table::TENANT, id)?;
    tx.commit()?;
    Ok(Reply::empty(if is_async { 202 } else { 200 }))
}

/// Removes an object with what cannot be without it.
fn remove_with_dependents(tx: &mut Transaction<'_>, table: Table, id: Uuid) -> Result<(), Reply> {
    match table {
        Table::ENTITY => super::entities::remove(tx, id)?,
        Table::USER => super::users::remove(tx, id)?,
        Table::GROUP => super::groups::remove_members(tx, id)?,
        _ => {}
    }
    Ok(tx.delete(table, id)?)
}

fn search(call: &Call<'_>) -> Outcome {
    let listing = Listing::read(call, &["name", "id", "insertInstant", "lastUpdateInstant"])?;
    let state = call.read();
    let rows = state.objects(Table::TENANT).map(|(_, tenant)| tenant);
    let rows = rows.filter(|tenant| listing.fits("name", super::store::text_at(tenant, "name"))).collect();
    let (tenants, total) = listing.page(rows);
    Ok(Reply::ok(&json!({ "tenants": tenants, "total": total })))
}

fn password_rules(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let id = match call.path_id("tenantId")? {
        Some(id) => id,
        None => call.required_scope(&state)?,
    };
    let tenant = state.get(Table::TENANT, id).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(&json!({ "passwordValidationRules": tenant.get("passwordValidationRules") })))
}
