//! Entity grants (wire notes §5): an upsert by pair, permissions as a sorted set of names.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::Listing;
use super::entities::{of_path, shown};
use super::fields::{Field, Kind, field, read, with_defaults};
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::store::{Object, Relation, State, Table, Unique, UniqueKey, text_at, uuid_at};

const BASE: &str = "/api/entity/grant";
const SEARCH: &str = "/api/entity/grant/search";

pub fn routes() -> Vec<Route> {
    [
        Route::new("POST", "/api/entity/{entityId}/grant", BASE, upsert),
        Route::new("PUT", "/api/entity/{entityId}/grant", BASE, upsert),
        Route::new("GET", "/api/entity/{entityId}/grant", BASE, retrieve),
        Route::new("DELETE", "/api/entity/{entityId}/grant", BASE, delete),
        Route::new("GET", SEARCH, SEARCH, search).heavy(),
        Route::new("POST", SEARCH, SEARCH, search).heavy(),
    ]
    .into_iter()
    .map(Route::licensed)
    .collect()
}

const FIELDS: [Field; 4] = [
    field("data", Kind::Data),
    field("permissions", Kind::List(&Kind::Text)),
    field("recipientEntityId", Kind::Uuid),
    field("userId", Kind::Uuid),
];

fn key(entity: Uuid, holder: Uuid) -> UniqueKey {
    UniqueKey::new(Unique::Grant, entity, holder.to_string())
}

fn upsert(call: &Call<'_>) -> Outcome {
    let Some(Value::Object(given)) = call.json_object()?.remove("grant") else {
        // Without the wrapper the server crashes (wire notes §1).
        return Err(Reply::empty(500));
    };
    let mut errors = Errors::new();
    let mut grant = read("grant", &FIELDS, &given, &mut errors);
    errors.check()?;
    let mut tx = call.write();
    let (entity_id, entity) = of_path(call, &tx)?;
    let holder = checked_holder(&tx, &entity, &grant)?;
    let names = checked_permissions(&tx, &entity, &grant)?;
    grant.insert("permissions".to_owned(), json!(names));
    grant.insert("entityId".to_owned(), json!(entity_id));
    grant.insert("tenantId".to_owned(), entity.get("tenantId").cloned().unwrap_or_default());
    with_defaults(&mut grant, json!({ "data": {} }));
    let old = tx.holder(&key(entity_id, holder)).and_then(|id| Some((id, tx.get(Table::GRANT, id)?)));
    let id = old.as_ref().map_or_else(Uuid::new_v4, |(id, _)| *id);
    stamp(&mut grant, id, call.now());
    if let Some(born) = old.and_then(|(_, mut old)| old.remove("insertInstant")) {
        grant.insert("insertInstant".to_owned(), born);
    }
    tx.put(Table::GRANT, id, &grant)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// The user or the recipient entity: exactly one, existing, of the entity's tenant.
fn checked_holder(state: &State, entity: &Object, grant: &Object) -> Result<Uuid, Reply> {
    let (field, table, id) = match (uuid_at(grant, "userId"), uuid_at(grant, "recipientEntityId")) {
        (Some(user), None) => ("grant.userId", Table::USER, user),
        (None, Some(recipient)) => ("grant.recipientEntityId", Table::ENTITY, recipient),
        (None, None) => {
            let message =
                "You must specify either the [grant.userId] or the [grant.recipientEntityId] property.";
            return Err(field_error("missing", "grant.userId", message));
        }
        (Some(_), Some(_)) => {
            let message = "You may specify only one of [grant.userId] and [grant.recipientEntityId].";
            return Err(field_error("invalid", "grant.userId", message));
        }
    };
    let holder =
        state.get(table, id).filter(|holder| uuid_at(holder, "tenantId") == uuid_at(entity, "tenantId"));
    match holder {
        Some(_) => Ok(id),
        None => {
            Err(field_error("invalid", field, format!("[{field}] = [{id}] does not exist in this tenant.")))
        }
    }
}

fn checked_permissions(state: &State, entity: &Object, grant: &Object) -> Result<BTreeSet<String>, Reply> {
    let given = grant.get("permissions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: BTreeSet<String> = given.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let entity_type =
        uuid_at(entity, "typeId").and_then(|id| state.get(Table::ENTITY_TYPE, id)).unwrap_or_default();
    let known = super::entity_types::permissions(&entity_type);
    let mut errors = Errors::new();
    for name in &names {
        if !known.iter().any(|permission| text_at(permission, "name") == Some(name)) {
            let message = format!("The Entity Type has no permission with the name [{name}].");
            errors.field("invalid", "grant.permissions", message);
        }
    }
    errors.check().map(|()| names)
}

/// The grant as it is answered: with its entity, whose secret a grant does not show (inferred).
fn shown_grant(state: &State, mut grant: Object) -> Object {
    let entity = uuid_at(&grant, "entityId").and_then(|id| state.get(Table::ENTITY, id));
    for name in ["entityId", "tenantId"] {
        grant.remove(name);
    }
    if let Some(mut entity) = entity.map(|entity| shown(state, entity)) {
        entity.remove("clientSecret");
        grant.insert("entity".to_owned(), Value::Object(entity));
    }
    grant
}

/// The user or recipient that the query names.
fn holder_of_query(call: &Call<'_>) -> Result<Option<Uuid>, Reply> {
    Ok(match call.query_id("userId")? {
        Some(user) => Some(user),
        None => call.query_id("recipientEntityId")?,
    })
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let (entity, _) = of_path(call, &state)?;
    if let Some(holder) = holder_of_query(call)? {
        let grant = state.holder(&key(entity, holder)).and_then(|id| state.get(Table::GRANT, id));
        let grant = grant.ok_or_else(Reply::not_found)?;
        return Ok(Reply::ok(&json!({ "grant": shown_grant(&state, grant) })));
    }
    let ids = state.related(Relation::GrantsOfEntity, entity);
    let grants: Vec<Object> = ids
        .iter()
        .filter_map(|id| state.get(Table::GRANT, *id))
        .map(|grant| shown_grant(&state, grant))
        .collect();
    Ok(Reply::ok(&json!({ "grants": grants })))
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (entity, _) = of_path(call, &tx)?;
    let Some(holder) = holder_of_query(call)? else {
        let message = "You must specify either the [userId] or the [recipientEntityId] parameter.";
        return Err(field_error("missing", "userId", message));
    };
    let id = tx.holder(&key(entity, holder)).ok_or_else(Reply::not_found)?;
    tx.delete(Table::GRANT, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// By `entityId`, `userId` and `name` (of the entity).
fn search(call: &Call<'_>) -> Outcome {
    let listing = Listing::read(call, &["name", "insertInstant"])?;
    let (entity, user) = (listing.id("entityId")?, listing.id("userId")?);
    let state = call.read();
    let ids: Vec<Uuid> = match (entity, user) {
        (Some(entity), _) => state.related(Relation::GrantsOfEntity, entity).to_vec(),
        (None, Some(user)) => state.related(Relation::GrantsToUser, user).to_vec(),
        (None, None) => state.rows(Table::GRANT).map(|(id, _)| id).collect(),
    };
    let rows = ids
        .into_iter()
        .filter_map(|id| state.get(Table::GRANT, id))
        .filter(|grant| call.in_scope(uuid_at(grant, "tenantId")))
        .filter(|grant| user.is_none() || uuid_at(grant, "userId") == user)
        .filter_map(|mut grant| {
            let entity = uuid_at(&grant, "entityId").and_then(|id| state.get(Table::ENTITY, id))?;
            let name = text_at(&entity, "name").unwrap_or("").to_owned();
            let fits = listing.fits("name", Some(&name));
            grant.insert("name".to_owned(), json!(name));
            fits.then_some(grant)
        })
        .collect();
    let (rows, total) = listing.page(rows);
    let grants: Vec<Object> = rows
        .into_iter()
        .filter_map(|row| match row {
            Value::Object(mut grant) => {
                grant.remove("name");
                Some(shown_grant(&state, grant))
            }
            _ => None,
        })
        .collect();
    Ok(Reply::ok(&json!({ "grants": grants, "total": total })))
}
