//! Roles and OAuth scopes of an application: lists within it with an API of their own (the vendor's OpenAPI document).

use serde_json::{Value, json};
use uuid::Uuid;

use super::applications::{complete_item, items};
use super::call::Call;
use super::crud::{self, existing};
use super::fields::lenient;
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::store::{Object, Table, Transaction, text_at, uuid_at};

const ROLE: &str = "/api/application/role";
const SCOPE: &str = "/api/application/scope";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", "/api/application/{applicationId}/role", ROLE, create),
        Route::new("POST", "/api/application/{applicationId}/role/{roleId}", ROLE, create),
        Route::new("PUT", "/api/application/{applicationId}/role/{roleId}", ROLE, update),
        Route::new("PATCH", "/api/application/{applicationId}/role/{roleId}", ROLE, patch),
        Route::new("DELETE", "/api/application/{applicationId}/role/{roleId}", ROLE, delete).heavy(),
        Route::new("DELETE", "/api/application/{applicationId}/role", ROLE, delete).heavy(),
        Route::new("POST", "/api/application/{applicationId}/scope", SCOPE, create),
        Route::new("POST", "/api/application/{applicationId}/scope/{scopeId}", SCOPE, create),
        Route::new("GET", "/api/application/{applicationId}/scope/{scopeId}", SCOPE, retrieve),
        Route::new("PUT", "/api/application/{applicationId}/scope/{scopeId}", SCOPE, update),
        Route::new("PATCH", "/api/application/{applicationId}/scope/{scopeId}", SCOPE, patch),
        Route::new("DELETE", "/api/application/{applicationId}/scope/{scopeId}", SCOPE, delete),
    ]
}

/// Which list a route serves.
struct Of {
    list: &'static str,
    wrapper: &'static str,
    param: &'static str,
}

fn of(call: &Call<'_>) -> Of {
    if call.route.permission == ROLE {
        Of { list: "roles", wrapper: "role", param: "roleId" }
    } else {
        Of { list: "scopes", wrapper: "scope", param: "scopeId" }
    }
}

/// The application, its list, and where in it the item of the path stands.
struct Found {
    application: Uuid,
    object: Object,
    list: Vec<Object>,
    place: Option<usize>,
}

fn find(call: &Call<'_>, tx: &Transaction<'_>, of: &Of) -> Result<Found, Reply> {
    let (application, object) = existing(call, tx, Table::APPLICATION, "applicationId")?;
    let list = items(&object, of.list);
    let id = call.path_id(of.param)?;
    let place = list.iter().position(|item| id.is_some() && uuid_at(item, "id") == id);
    Ok(Found { application, object, list, place })
}

fn save(tx: &mut Transaction<'_>, of: &Of, mut found: Found) -> Result<(), Reply> {
    let list: Vec<Value> = found.list.into_iter().map(Value::Object).collect();
    found.object.insert(of.list.to_owned(), Value::Array(list));
    Ok(tx.put(Table::APPLICATION, found.application, &found.object)?)
}

fn check(of: &Of, item: &Object, list: &[Object], own: Option<Uuid>) -> Result<(), Reply> {
    let field = format!("{}.name", of.wrapper);
    let mut errors = Errors::new();
    match text_at(item, "name").filter(|name| !name.trim().is_empty()) {
        None => errors.field("blank", &field, format!("You must specify the [{field}] property.")),
        Some(name) => {
            let mut others = list.iter().filter(|other| uuid_at(other, "id") != own || own.is_none());
            if others.any(|other| text_at(other, "name").is_some_and(|it| it.eq_ignore_ascii_case(name))) {
                errors.field("duplicate", &field, format!("The name [{name}] is in use already."));
            }
        }
    }
    errors.check()
}

/// The item of the body. A scope is taken without its wrapper too: Kickstart files that the vendor publishes as
/// working examples send it so.
fn given(call: &Call<'_>, of: &Of) -> Result<Object, Reply> {
    let body = call.json_object()?;
    if of.list == "scopes" && !body.contains_key(of.wrapper) && body.contains_key("name") {
        return Ok(body);
    }
    call.wrapped(of.wrapper)
}

fn create(call: &Call<'_>) -> Outcome {
    let of = of(call);
    let mut item = lenient(given(call, &of)?);
    let mut tx = call.write();
    let mut found = find(call, &tx, &of)?;
    let id = call.path_id(of.param)?.unwrap_or_else(Uuid::new_v4);
    let taken = tx.objects(Table::APPLICATION).flat_map(|(_, application)| items(&application, of.list));
    if taken.into_iter().any(|other| uuid_at(&other, "id") == Some(id)) {
        return Err(field_error(
            "duplicate",
            &format!("{}.id", of.wrapper),
            format!("An object with the Id [{id}] already exists."),
        ));
    }
    check(&of, &item, &found.list, None)?;
    item.insert("id".to_owned(), json!(id));
    item.remove("insertInstant");
    complete_item(&mut item, of.list, found.application, call.now());
    found.list.push(item.clone());
    save(&mut tx, &of, found)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ of.wrapper: item })))
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let of = of(call);
    let tx = call.write();
    let found = find(call, &tx, &of)?;
    let item = found.place.and_then(|place| found.list.get(place)).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(&json!({ of.wrapper: item })))
}

fn update(call: &Call<'_>) -> Outcome {
    let given = lenient(call.wrapped(of(call).wrapper)?);
    change(call, |_| Ok(given))
}

fn patch(call: &Call<'_>) -> Outcome {
    change(call, |old| {
        let wrapper = of(call).wrapper;
        let mut whole = crud::patched(call, wrapper, old.clone(), json!({}))?;
        Ok(lenient(crud::unwrapped(&mut whole, wrapper)?))
    })
}

/// A role keeps its name: registrations and groups refer to it (inferred).
fn change(call: &Call<'_>, given: impl FnOnce(&Object) -> Result<Object, Reply>) -> Outcome {
    let of = of(call);
    let mut tx = call.write();
    let mut found = find(call, &tx, &of)?;
    let Some(slot) = found.place.and_then(|place| found.list.get_mut(place)) else {
        return Err(Reply::not_found());
    };
    let old = slot.clone();
    let mut item = given(&old)?;
    for name in ["id", "insertInstant"] {
        item.insert(name.to_owned(), old.get(name).cloned().unwrap_or_default());
    }
    let field = format!("{}.name", of.wrapper);
    match item.get("name") {
        None => {
            item.insert("name".to_owned(), old.get("name").cloned().unwrap_or_default());
        }
        Some(name) if Some(name) != old.get("name") => {
            return Err(field_error("invalid", &field, "The name cannot be changed."));
        }
        Some(_) => {}
    }
    complete_item(&mut item, of.list, found.application, call.now());
    *slot = item.clone();
    save(&mut tx, &of, found)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ of.wrapper: item })))
}

/// By id; a role also by `?name=`.
fn delete(call: &Call<'_>) -> Outcome {
    let of = of(call);
    let mut tx = call.write();
    let mut found = find(call, &tx, &of)?;
    let by_name = call.query("name").filter(|_| call.path(of.param).is_none());
    let place = found.place.or_else(|| {
        by_name.and_then(|name| found.list.iter().position(|item| text_at(item, "name") == Some(name)))
    });
    let Some(place) = place else { return Err(Reply::not_found()) };
    let removed = found.list.remove(place);
    let application = found.application;
    save(&mut tx, &of, found)?;
    if of.list == "roles"
        && let Some(name) = text_at(&removed, "name")
    {
        super::users::role_removed(&mut tx, application, name)?;
    }
    tx.commit()?;
    Ok(Reply::empty(200))
}
