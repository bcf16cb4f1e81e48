//! Entity types and their permissions (wire notes §5): global, licensed. Deleting a type deletes its entities and
//! their grants; deleting a permission takes it out of the grants.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::{self, Family, Listing, NameRule, check_name, existing, name_key, new_id};
use super::fields::{Field, Kind, field, read, with_defaults};
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::{Access, Route};
use super::store::{Object, Relation, State, Table, Transaction, Unique, text_at, uuid_at};

const BASE: &str = "/api/entity/type";
const PERMISSION: &str = "/api/entity/type/permission";

pub fn routes() -> Vec<Route> {
    let search_base = "/api/entity/type/search";
    let mut routes = vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/entity/type/{entityTypeId}", BASE, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/entity/type/{entityTypeId}", BASE, |call| FAMILY.retrieve(call)),
        Route::new("PUT", "/api/entity/type/{entityTypeId}", BASE, |call| FAMILY.update(call)),
        Route::new("PATCH", "/api/entity/type/{entityTypeId}", BASE, |call| FAMILY.patch(call)),
        Route::new("DELETE", "/api/entity/type/{entityTypeId}", BASE, delete),
        Route::new("GET", search_base, search_base, search),
        Route::new("POST", search_base, search_base, search),
    ];
    routes.iter_mut().for_each(|route| route.access = Access::GlobalKey);
    routes.extend([
        Route::new("POST", "/api/entity/type/{entityTypeId}/permission", PERMISSION, create_permission),
        Route::new(
            "POST",
            "/api/entity/type/{entityTypeId}/permission/{permissionId}",
            PERMISSION,
            create_permission,
        ),
        Route::new(
            "PUT",
            "/api/entity/type/{entityTypeId}/permission/{permissionId}",
            PERMISSION,
            update_permission,
        ),
        Route::new(
            "PATCH",
            "/api/entity/type/{entityTypeId}/permission/{permissionId}",
            PERMISSION,
            patch_permission,
        ),
        Route::new(
            "DELETE",
            "/api/entity/type/{entityTypeId}/permission/{permissionId}",
            PERMISSION,
            delete_permission,
        ),
        Route::new("DELETE", "/api/entity/type/{entityTypeId}/permission", PERMISSION, delete_permission),
    ]);
    routes.into_iter().map(Route::licensed).collect()
}

const FIELDS: [Field; 4] = [
    field("data", Kind::Data),
    field("jwtConfiguration", Kind::Object(&JWT_FIELDS)),
    field("name", Kind::Text),
    field("permissions", Kind::List(&Kind::Any)),
];

const JWT_FIELDS: [Field; 4] = [
    field("accessTokenKeyId", Kind::Uuid),
    field("accessTokenVerificationKeyIds", Kind::List(&Kind::Uuid)),
    field("enabled", Kind::Boolean),
    field("timeToLiveInSeconds", Kind::Integer),
];

const PERMISSION_FIELDS: [Field; 5] = [
    field("data", Kind::Data),
    field("description", Kind::Text),
    field("id", Kind::Uuid),
    field("isDefault", Kind::Boolean),
    field("name", Kind::Text),
];

const FAMILY: Family =
    Family { table: Table::ENTITY_TYPE, param: "entityTypeId", wrapper: "entityType", replace };

fn create(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("entityType")?;
    let mut tx = call.write();
    let id = new_id(call, &tx, Table::ENTITY_TYPE, "entityTypeId")?;
    let mut errors = Errors::new();
    let mut entity_type = checked(&tx, id, &given, &mut errors);
    let permissions = inline_permissions(call.now(), &given, &mut errors);
    errors.check()?;
    entity_type.insert("permissions".to_owned(), Value::Array(permissions));
    stamp(&mut entity_type, id, call.now());
    tx.put(Table::ENTITY_TYPE, id, &entity_type)?;
    FAMILY.finish(tx, id)
}

/// Permissions given with a new type, as Kickstart files do (wire notes §5).
fn inline_permissions(now: i64, given: &Object, errors: &mut Errors) -> Vec<Value> {
    let list = given.get("permissions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut permissions: Vec<Object> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let place = format!("entityType.permissions[{index}]");
        let Value::Object(value) = value else {
            super::call::invalid_json_in(errors, &place, "an object is expected");
            continue;
        };
        let mut permission = read(&place, &PERMISSION_FIELDS, value, errors);
        let id = uuid_at(&permission, "id").unwrap_or_else(Uuid::new_v4);
        check_permission(&place, &permission, &permissions, Some(id), errors);
        finish_permission(&mut permission, id, now);
        permissions.push(permission);
    }
    permissions.into_iter().map(Value::Object).collect()
}

/// A name is required and unique within the type.
fn check_permission(
    place: &str,
    permission: &Object,
    others: &[Object],
    own: Option<Uuid>,
    errors: &mut Errors,
) {
    let field = format!("{place}.name");
    let Some(name) = text_at(permission, "name").filter(|name| !name.trim().is_empty()) else {
        errors.field("blank", &field, format!("You must specify the [{field}] property."));
        return;
    };
    let others = others.iter().filter(|other| uuid_at(other, "id") != own);
    if others.filter_map(|other| text_at(other, "name")).any(|other| other.eq_ignore_ascii_case(name)) {
        errors.field("duplicate", &field, format!("A permission with the name [{name}] already exists."));
    }
}

fn finish_permission(permission: &mut Object, id: Uuid, now: i64) {
    with_defaults(permission, json!({ "data": {}, "isDefault": false }));
    stamp(permission, id, now);
}

fn checked(state: &State, id: Uuid, given: &Object, errors: &mut Errors) -> Object {
    let mut entity_type = read("entityType", &FIELDS, given, errors);
    if let Some(Value::String(name)) = entity_type.get_mut("name") {
        *name = name.trim().to_owned();
    }
    let unique = name_key(Unique::EntityTypeName, None, &entity_type);
    let rule = NameRule { field: "entityType.name", unique, longest: 191 };
    check_name(state, text_at(&entity_type, "name"), id, rule, errors);
    let defaults = json!({ "data": {}, "jwtConfiguration": { "enabled": false, "timeToLiveInSeconds": 60 } });
    with_defaults(&mut entity_type, defaults);
    let lifetime = entity_type.get("jwtConfiguration").and_then(|jwt| jwt.get("timeToLiveInSeconds"));
    if lifetime.and_then(Value::as_i64).is_some_and(|seconds| seconds < 1) {
        let field = "entityType.jwtConfiguration.timeToLiveInSeconds";
        errors.field("invalid", field, format!("[{field}] must be greater than 0."));
    }
    entity_type
}

fn list(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let types: Vec<Object> = state.objects(Table::ENTITY_TYPE).map(|(_, entity_type)| entity_type).collect();
    Ok(Reply::ok(&json!({ "entityTypes": types })))
}

/// Permissions have an API of their own: an update of the type leaves them as they are (wire notes §5).
fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    given: Object,
    old: &Object,
) -> Result<(), Reply> {
    let mut errors = Errors::new();
    let mut entity_type = checked(tx, id, &given, &mut errors);
    errors.check()?;
    for name in ["id", "insertInstant", "permissions"] {
        entity_type.insert(name.to_owned(), old.get(name).cloned().unwrap_or_default());
    }
    entity_type.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    Ok(tx.put(Table::ENTITY_TYPE, id, &entity_type)?)
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, _) = existing(call, &tx, Table::ENTITY_TYPE, "entityTypeId")?;
    for entity in tx.related(Relation::EntitiesOfType, id).to_vec() {
        super::entities::remove(&mut tx, entity)?;
    }
    tx.delete(Table::ENTITY_TYPE, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

fn search(call: &Call<'_>) -> Outcome {
    let listing = Listing::read(call, &["name", "id", "insertInstant", "lastUpdateInstant"])?;
    let state = call.read();
    let rows = state.objects(Table::ENTITY_TYPE).map(|(_, entity_type)| entity_type);
    let (types, total) =
        listing.page(rows.filter(|row| listing.fits("name", text_at(row, "name"))).collect());
    Ok(Reply::ok(&json!({ "entityTypes": types, "total": total })))
}

/// The permissions of a stored type.
pub fn permissions(entity_type: &Object) -> Vec<Object> {
    let list =
        entity_type.get("permissions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|value| value.as_object().cloned()).collect()
}

fn set_permissions(entity_type: &mut Object, permissions: Vec<Object>) {
    let list = permissions.into_iter().map(Value::Object).collect();
    entity_type.insert("permissions".to_owned(), Value::Array(list));
}

fn create_permission(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("permission")?;
    let mut tx = call.write();
    let (type_id, mut entity_type) = existing(call, &tx, Table::ENTITY_TYPE, "entityTypeId")?;
    let id = call.path_id("permissionId")?.unwrap_or_else(Uuid::new_v4);
    let taken = tx.objects(Table::ENTITY_TYPE).flat_map(|(_, other)| permissions(&other));
    if taken.into_iter().any(|other| uuid_at(&other, "id") == Some(id)) {
        return Err(field_error(
            "duplicate",
            "permission.id",
            format!("A permission with the Id [{id}] already exists."),
        ));
    }
    let mut list = permissions(&entity_type);
    let mut errors = Errors::new();
    let mut permission = read("permission", &PERMISSION_FIELDS, &given, &mut errors);
    check_permission("permission", &permission, &list, None, &mut errors);
    errors.check()?;
    finish_permission(&mut permission, id, call.now());
    list.push(permission.clone());
    set_permissions(&mut entity_type, list);
    tx.put(Table::ENTITY_TYPE, type_id, &entity_type)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ "permission": permission })))
}

fn update_permission(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("permission")?;
    change_permission(call, |_| Ok(given))
}

fn patch_permission(call: &Call<'_>) -> Outcome {
    change_permission(call, |old| {
        let mut whole = crud::patched(call, "permission", old.clone(), json!({}))?;
        crud::unwrapped(&mut whole, "permission")
    })
}

fn change_permission(call: &Call<'_>, given: impl FnOnce(&Object) -> Result<Object, Reply>) -> Outcome {
    let mut tx = call.write();
    let (type_id, mut entity_type) = existing(call, &tx, Table::ENTITY_TYPE, "entityTypeId")?;
    let id = call.required_id("permissionId")?;
    let mut list = permissions(&entity_type);
    let place = list.iter().position(|permission| uuid_at(permission, "id") == Some(id));
    let Some(slot) = place.and_then(|place| list.get_mut(place)) else { return Err(Reply::not_found()) };
    let given = given(slot)?;
    let mut errors = Errors::new();
    let mut permission = read("permission", &PERMISSION_FIELDS, &given, &mut errors);
    // The name of a permission cannot be changed (wire notes §5).
    let old_name = slot.get("name").cloned().unwrap_or_default();
    if permission.get("name").is_some_and(|name| *name != old_name) {
        errors.field("invalid", "permission.name", "The name of a permission cannot be changed.");
    }
    errors.check()?;
    permission.insert("name".to_owned(), old_name);
    let born = slot.get("insertInstant").cloned().unwrap_or_default();
    finish_permission(&mut permission, id, call.now());
    permission.insert("insertInstant".to_owned(), born);
    *slot = permission.clone();
    set_permissions(&mut entity_type, list);
    tx.put(Table::ENTITY_TYPE, type_id, &entity_type)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ "permission": permission })))
}

/// By id, or by `?name=`.
fn delete_permission(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (type_id, mut entity_type) = existing(call, &tx, Table::ENTITY_TYPE, "entityTypeId")?;
    let id = call.path_id("permissionId")?;
    let name = call.query("name");
    if id.is_none() && name.is_none() {
        return Err(field_error("missing", "permissionId", "You must specify the permission's Id or name."));
    }
    let mut list = permissions(&entity_type);
    let place = list.iter().position(|permission| match id {
        Some(id) => uuid_at(permission, "id") == Some(id),
        None => text_at(permission, "name") == name,
    });
    let Some(place) = place else { return Err(Reply::not_found()) };
    let removed = list.remove(place);
    set_permissions(&mut entity_type, list);
    tx.put(Table::ENTITY_TYPE, type_id, &entity_type)?;
    if let Some(name) = text_at(&removed, "name") {
        detach(&mut tx, type_id, name)?;
    }
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// Takes a permission out of every grant on entities of the type.
fn detach(tx: &mut Transaction<'_>, type_id: Uuid, name: &str) -> Result<(), Reply> {
    for entity in tx.related(Relation::EntitiesOfType, type_id).to_vec() {
        for id in tx.related(Relation::GrantsOfEntity, entity).to_vec() {
            let Some(mut grant) = tx.get(Table::GRANT, id) else { continue };
            let Some(Value::Array(names)) = grant.get_mut("permissions") else { continue };
            let before = names.len();
            names.retain(|other| other.as_str() != Some(name));
            if names.len() != before {
                tx.put(Table::GRANT, id, &grant)?;
            }
        }
    }
    Ok(())
}
