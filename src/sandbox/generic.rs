//! The generic store: every object that a Kickstart file may name and that has no rules here beyond its wrapper, its
//! id and its name. Kept and returned as it was given; a header of each answer says so.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::{DEFAULT_CONNECTOR, DEFAULT_THEME, stamp};
use super::call::Call;
use super::crud::{self, Listing, NameRule, check_name, existing, name_key, new_id};
use super::fields::lenient;
use super::reply::{Errors, Outcome, Reply};
use super::router::Route;
use super::store::{Object, State, StoreError, Table, Transaction, Unique, text_at, uuid_at};

/// One kind of generic object.
struct Resource {
    /// The route and the permission, as `/api/theme`.
    base: &'static str,
    with_id: &'static str,
    search: &'static str,
    wrapper: &'static str,
    plural: &'static str,
    param: &'static str,
    table: Table,
    /// The fields that must be there; a `name` among them is unique, and without it the kind has none.
    required: &'static [&'static str],
    /// Deletion deactivates, unless `hardDelete=true`; `inactive=true` lists and `reactivate=true` brings back.
    deactivates: bool,
}

/// A resource whose route, parameter and table follow from three names.
macro_rules! resource {
    ($path:literal, $param:literal, $wrapper:literal, $plural:literal, $required:expr) => {
        Resource {
            base: concat!("/api/", $path),
            with_id: concat!("/api/", $path, "/{", $param, "}"),
            search: concat!("/api/", $path, "/search"),
            wrapper: $wrapper,
            plural: $plural,
            param: $param,
            table: Table($wrapper),
            required: $required,
            deactivates: false,
        }
    };
}

static RESOURCES: [Resource; 13] = [
    resource!("connector", "connectorId", "connector", "connectors", &["name", "type"]),
    resource!("consent", "consentId", "consent", "consents", &["name"]),
    resource!("email/template", "emailTemplateId", "emailTemplate", "emailTemplates", &["name"]),
    resource!("form", "formId", "form", "forms", &["name"]),
    resource!("form/field", "fieldId", "field", "fields", &["name"]),
    resource!("ip-acl", "ipAccessControlListId", "ipAccessControlList", "ipAccessControlLists", &["name"]),
    resource!("message/template", "messageTemplateId", "messageTemplate", "messageTemplates", &["name"]),
    resource!("messenger", "messengerId", "messenger", "messengers", &["name", "type"]),
    resource!("theme", "themeId", "theme", "themes", &["name"]),
    Resource {
        deactivates: true,
        ..resource!("user-action", "userActionId", "userAction", "userActions", &["name"])
    },
    resource!(
        "user-action-reason",
        "userActionReasonId",
        "userActionReason",
        "userActionReasons",
        &["code", "text"]
    ),
    resource!("user/comment", "userCommentId", "userComment", "userComments", &["comment", "userId"]),
    resource!("webhook", "webhookId", "webhook", "webhooks", &["url"]),
];

/// One object a server: route, wrapper, table.
static SINGLETONS: [(&str, &str, Table); 3] = [
    ("/api/integration", "integrations", Table("integrations")),
    ("/api/system-configuration", "systemConfiguration", Table("systemConfiguration")),
    ("/api/tenant-manager", "tenantManagerConfiguration", Table("tenantManagerConfiguration")),
];

/// The tables of the generic store.
pub fn tables() -> impl Iterator<Item = Table> {
    RESOURCES
        .iter()
        .map(|it| it.table)
        .chain(SINGLETONS.iter().map(|it| it.2))
        .chain([super::signing_keys::KEY])
}

pub fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for it in &RESOURCES {
        routes.extend([
            Route::new("POST", it.base, it.base, create),
            Route::new("POST", it.with_id, it.base, create),
            Route::new("GET", it.base, it.base, list),
            Route::new("GET", it.with_id, it.base, retrieve),
            Route::new("PUT", it.with_id, it.base, update),
            Route::new("PATCH", it.with_id, it.base, patch),
            Route::new("DELETE", it.with_id, it.base, delete),
            Route::new("GET", it.search, it.base, search),
            Route::new("POST", it.search, it.base, search),
        ]);
    }
    for (base, _, _) in &SINGLETONS {
        routes.extend([
            Route::new("GET", base, base, retrieve_singleton),
            Route::new("PUT", base, base, update_singleton),
            Route::new("PATCH", base, base, patch_singleton),
        ]);
    }
    routes.extend([
        Route::new("GET", "/api/reactor", "/api/reactor", reactor),
        Route::new("POST", "/api/reactor", "/api/reactor", reactor),
        Route::new("PUT", "/api/reactor", "/api/reactor", reactor),
        Route::new("DELETE", "/api/reactor", "/api/reactor", reactor),
    ]);
    routes
}

/// 200 with the header that says that the object is a generic one.
pub fn generic_ok(body: &Value) -> Reply {
    Reply::ok(body).with_header("x-fusionkeep-sandbox-store", "generic")
}

/// The default theme and connector with their fixed ids (wire notes §2), and the forms that Kickstart names.
pub fn install(tx: &mut Transaction<'_>, now: i64) -> Result<(), StoreError> {
    let defaults = [
        ("theme", DEFAULT_THEME, json!({ "data": {}, "name": "FusionAuth", "type": "advanced" })),
        ("connector", DEFAULT_CONNECTOR, json!({ "data": {}, "name": "Default", "type": "FusionAuth" })),
        ("form", Uuid::new_v4(), json!({ "data": {}, "name": ADMIN_USER_FORM, "type": "adminUser" })),
        (
            "form",
            Uuid::new_v4(),
            json!({ "data": {}, "name": ADMIN_REGISTRATION_FORM, "type": "adminRegistration" }),
        ),
    ];
    for (table, id, value) in defaults {
        let Value::Object(mut object) = value else { continue };
        stamp(&mut object, id, now);
        tx.put(Table(table), id, &object)?;
    }
    Ok(())
}

pub const ADMIN_USER_FORM: &str = "Default Admin User provided by FusionAuth";
pub const ADMIN_REGISTRATION_FORM: &str = "Default Admin Registration provided by FusionAuth";

/// The resource that the route of a call belongs to.
fn of(call: &Call<'_>) -> Result<&'static Resource, Reply> {
    RESOURCES.iter().find(|it| it.base == call.route.permission).ok_or_else(Reply::not_found)
}

fn check(it: &Resource, state: &State, id: Uuid, object: &Object) -> Result<(), Reply> {
    let mut errors = Errors::new();
    for field in it.required {
        let full = format!("{}.{field}", it.wrapper);
        if *field == "name" {
            let unique = name_key(Unique::GenericName(it.table), uuid_at(object, "tenantId"), object);
            let rule = NameRule { field: &full, unique, longest: 191 };
            check_name(state, text_at(object, "name"), id, rule, &mut errors);
        } else if text_at(object, field).is_none_or(|text| text.trim().is_empty()) {
            errors.field("blank", &full, format!("You must specify the [{full}] property."));
        }
    }
    errors.check()
}

fn create(call: &Call<'_>) -> Outcome {
    let it = of(call)?;
    let mut body = call.json_object()?;
    let mut object = lenient(crud::unwrapped(&mut body, it.wrapper)?);
    let mut tx = call.write();
    let id = new_id(call, &tx, it.table, it.param)?;
    if let Some(source) = uuid_at(&body, "sourceThemeId").and_then(|id| tx.get(it.table, id)) {
        super::fields::with_defaults(&mut object, Value::Object(source));
    }
    settle(it, &mut object, true);
    check(it, &tx, id, &object)?;
    stamp(&mut object, id, call.now());
    tx.put(it.table, id, &object)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ it.wrapper: object })))
}

/// Sets what a request does not decide: a kind without names has no `name` (an unknown field like any other), and
/// `active` follows from deletions.
fn settle(it: &Resource, object: &mut Object, active: bool) {
    if !it.required.contains(&"name") {
        object.remove("name");
    }
    if it.deactivates {
        object.insert("active".to_owned(), json!(active));
    }
}

fn is_active(object: &Object) -> bool {
    object.get("active").and_then(Value::as_bool) != Some(false)
}

fn list(call: &Call<'_>) -> Outcome {
    let it = of(call)?;
    let wanted = call.query_flag("inactive") != Some(true);
    let objects: Vec<Object> = call
        .read()
        .objects(it.table)
        .map(|(_, object)| object)
        .filter(|object| !it.deactivates || is_active(object) == wanted)
        .collect();
    Ok(generic_ok(&json!({ it.plural: objects })))
}

/// By id; comments go by the user that they are about.
fn retrieve(call: &Call<'_>) -> Outcome {
    let it = of(call)?;
    let state = call.read();
    if it.wrapper == "userComment" {
        let user = call.required_id(it.param)?.to_string();
        let comments: Vec<Object> = state
            .objects(it.table)
            .map(|(_, comment)| comment)
            .filter(|comment| text_at(comment, "userId") == Some(&user))
            .collect();
        return Ok(generic_ok(&json!({ it.plural: comments })));
    }
    let (_, object) = existing(call, &state, it.table, it.param)?;
    Ok(generic_ok(&json!({ it.wrapper: object })))
}

fn update(call: &Call<'_>) -> Outcome {
    let it = of(call)?;
    if it.deactivates && call.query_flag("reactivate") == Some(true) {
        return change(call, |old| Ok(old.clone()), true);
    }
    let given = lenient(call.wrapped(it.wrapper)?);
    change(call, |_| Ok(given), false)
}

fn patch(call: &Call<'_>) -> Outcome {
    let wrapper = of(call)?.wrapper;
    let given = |old: &Object| {
        let mut whole = crud::patched(call, wrapper, old.clone(), json!({}))?;
        Ok(lenient(crud::unwrapped(&mut whole, wrapper)?))
    };
    change(call, given, false)
}

fn change(
    call: &Call<'_>,
    given: impl FnOnce(&Object) -> Result<Object, Reply>,
    reactivates: bool,
) -> Outcome {
    let it = of(call)?;
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, it.table, it.param)?;
    let mut object = given(&old)?;
    settle(it, &mut object, reactivates || is_active(&old));
    check(it, &tx, id, &object)?;
    stamp(&mut object, id, call.now());
    object.insert("insertInstant".to_owned(), old.get("insertInstant").cloned().unwrap_or_default());
    tx.put(it.table, id, &object)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ it.wrapper: object })))
}

fn delete(call: &Call<'_>) -> Outcome {
    let it = of(call)?;
    let mut tx = call.write();
    let (id, mut object) = existing(call, &tx, it.table, it.param)?;
    if it.deactivates && call.query_flag("hardDelete") != Some(true) {
        settle(it, &mut object, false);
        tx.put(it.table, id, &object)?;
    } else {
        tx.delete(it.table, id)?;
    }
    tx.commit()?;
    Ok(Reply::empty(200).with_header("x-fusionkeep-sandbox-store", "generic"))
}

fn search(call: &Call<'_>) -> Outcome {
    let it = of(call)?;
    let first = it.required.first().copied().unwrap_or("id");
    let listing = Listing::read(call, &[first, "id", "insertInstant", "lastUpdateInstant"])?;
    let texts = ["name", "url", "description", "comment", "type"];
    let mut ids = Vec::new();
    for name in ["commenterId", "tenantId", "userId"] {
        ids.extend(listing.id(name)?.map(|id| (name, id)));
    }
    let state = call.read();
    let rows = state
        .objects(it.table)
        .map(|(_, object)| object)
        .filter(|object| texts.iter().all(|name| listing.fits(name, text_at(object, name))))
        .filter(|object| ids.iter().all(|(name, id)| names_id(&state, object, name, *id)))
        .collect();
    let (page, total) = listing.page(rows);
    Ok(generic_ok(&json!({ it.plural: page, "total": total })))
}

/// Whether an object has an id at a name: by itself, for the tenant also in a list of them (webhooks) or through the
/// user that it is about (comments).
fn names_id(state: &State, object: &Object, name: &str, id: Uuid) -> bool {
    if uuid_at(object, name) == Some(id) {
        return true;
    }
    if name != "tenantId" {
        return false;
    }
    let listed = object.get("tenantIds").and_then(Value::as_array).into_iter().flatten();
    let user = uuid_at(object, "userId").and_then(|user| state.get(Table::USER, user));
    listed.filter_map(Value::as_str).any(|text| super::call::parse_uuid(text) == Some(id))
        || user.is_some_and(|user| uuid_at(&user, "tenantId") == Some(id))
}

fn singleton(call: &Call<'_>) -> Result<(&'static str, Table), Reply> {
    let found = SINGLETONS.iter().find(|(base, _, _)| *base == call.route.permission);
    found.map(|(_, wrapper, table)| (*wrapper, *table)).ok_or_else(Reply::not_found)
}

fn retrieve_singleton(call: &Call<'_>) -> Outcome {
    let (wrapper, table) = singleton(call)?;
    let object = call.read().get(table, Uuid::nil()).unwrap_or_default();
    Ok(generic_ok(&json!({ wrapper: object })))
}

fn update_singleton(call: &Call<'_>) -> Outcome {
    let (wrapper, _) = singleton(call)?;
    let given = lenient(call.wrapped(wrapper)?);
    put_singleton(call, |_| Ok(given))
}

fn patch_singleton(call: &Call<'_>) -> Outcome {
    let (wrapper, _) = singleton(call)?;
    put_singleton(call, |old| {
        let mut whole = crud::patched(call, wrapper, old, json!({}))?;
        Ok(lenient(crud::unwrapped(&mut whole, wrapper)?))
    })
}

fn put_singleton(call: &Call<'_>, given: impl FnOnce(Object) -> Result<Object, Reply>) -> Outcome {
    let (wrapper, table) = singleton(call)?;
    let mut tx = call.write();
    let object = given(tx.get(table, Uuid::nil()).unwrap_or_default())?;
    tx.put(table, Uuid::nil(), &object)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ wrapper: object })))
}

/// Whether there is a licence is how the sandbox was started; any licence id is taken.
fn reactor(call: &Call<'_>) -> Outcome {
    if call.route.method != "GET" {
        return Ok(generic_ok(&json!({})));
    }
    let licensed = call.server.licensed;
    let feature = if licensed { "ACTIVE" } else { "DISCONNECTED" };
    Ok(generic_ok(&json!({ "status": { "entityManagement": feature, "licensed": licensed } })))
}
