//! Entities (wire notes §5): licensed, tenant-scoped; by Id they need the tenant when there are several (§2, §13).

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::config::SearchEngine;
use super::crud::{self, NameRule, check_name, new_id};
use super::fields::{Field, Kind, field, read, with_defaults};
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::search::{self, Context, Criteria, Engine, JsonDocument, Schema, SearchError};
use super::search::{criteria::Filter, field::Kind as FieldKind};
use super::store::{Object, Relation, State, Table, Transaction, Unique, UniqueKey, text_at, uuid_at};

const BASE: &str = "/api/entity";
const SEARCH: &str = "/api/entity/search";

pub fn routes() -> Vec<Route> {
    [
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/entity/{entityId}", BASE, create),
        Route::new("GET", "/api/entity/{entityId}", BASE, retrieve),
        Route::new("PUT", "/api/entity/{entityId}", BASE, update),
        Route::new("PATCH", "/api/entity/{entityId}", BASE, patch),
        Route::new("DELETE", "/api/entity/{entityId}", BASE, delete),
        Route::new("GET", SEARCH, SEARCH, find).heavy(),
        Route::new("POST", SEARCH, SEARCH, find).heavy(),
        Route::new("PUT", SEARCH, SEARCH, flush),
    ]
    .into_iter()
    .map(Route::licensed)
    .collect()
}

const FIELDS: [Field; 7] = [
    field("clientId", Kind::Text),
    field("clientSecret", Kind::Text),
    field("data", Kind::Data),
    field("name", Kind::Text),
    field("parentId", Kind::Uuid),
    field("tenantId", Kind::Uuid),
    field("type", Kind::Object(&[field("id", Kind::Uuid)])),
];

/// The entity of the path within the tenant that the request must name when there are several.
pub fn of_path(call: &Call<'_>, state: &State) -> Result<(Uuid, Object), Reply> {
    let scope = call.required_scope(state)?;
    let id = call.required_id("entityId")?;
    match state.get(Table::ENTITY, id) {
        Some(entity) if uuid_at(&entity, "tenantId") == Some(scope) => Ok((id, entity)),
        _ => Err(Reply::not_found()),
    }
}

/// The entity as it is answered: its whole type in place of the type's id.
pub fn shown(state: &State, mut entity: Object) -> Object {
    let type_id = uuid_at(&entity, "typeId");
    entity.remove("typeId");
    let entity_type = type_id.and_then(|id| state.get(Table::ENTITY_TYPE, id));
    entity.insert("type".to_owned(), entity_type.map_or(Value::Null, Value::Object));
    entity
}

fn create(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("entity")?;
    let mut tx = call.write();
    let mut errors = Errors::new();
    let mut entity = read("entity", &FIELDS, &given, &mut errors);
    errors.check()?;
    let tenant = call.tenant_for_new(&tx, uuid_at(&entity, "tenantId"))?;
    let id = new_id(call, &tx, Table::ENTITY, "entityId")?;
    trim_name(&mut entity);
    let type_id = checked(call, &tx, id, &entity, None)?;
    entity.remove("type");
    entity.insert("typeId".to_owned(), json!(type_id));
    entity.insert("tenantId".to_owned(), json!(tenant));
    if text_at(&entity, "clientId").is_none_or(str::is_empty) {
        entity.insert("clientId".to_owned(), json!(id));
    }
    if text_at(&entity, "clientSecret").is_none_or(str::is_empty) {
        entity.insert("clientSecret".to_owned(), json!(super::tokens::secret()));
    }
    check_client_id(&tx, id, &entity)?;
    with_defaults(&mut entity, json!({ "data": {} }));
    stamp(&mut entity, id, call.now());
    tx.put(Table::ENTITY, id, &entity)?;
    finish(tx, id)
}

fn trim_name(entity: &mut Object) {
    if let Some(Value::String(name)) = entity.get_mut("name") {
        *name = name.trim().to_owned();
    }
}

fn check_client_id(state: &State, id: Uuid, entity: &Object) -> Result<(), Reply> {
    let Some(client_id) = text_at(entity, "clientId") else { return Ok(()) };
    match state.holder(&UniqueKey::global(Unique::ClientId, client_id)) {
        Some(holder) if holder != id => {
            let message = format!("An Entity with the client Id [{client_id}] already exists.");
            Err(field_error("duplicate", "entity.clientId", message))
        }
        _ => Ok(()),
    }
}

/// Checks name and type; gives the type's id.
fn checked(
    call: &Call<'_>,
    state: &State,
    id: Uuid,
    entity: &Object,
    old_type: Option<Uuid>,
) -> Result<Uuid, Reply> {
    let mut errors = Errors::new();
    let rule = NameRule { field: "entity.name", unique: None, longest: 255 };
    check_name(state, text_at(entity, "name"), id, rule, &mut errors);
    let type_id = entity.get("type").and_then(Value::as_object).and_then(|inner| uuid_at(inner, "id"));
    match type_id {
        None => errors.field("missing", "entity.type.id", "You must specify the [entity.type.id] property."),
        Some(type_id) if !state.contains(Table::ENTITY_TYPE, type_id) => {
            // An unknown type was a crash before 1.48 (wire notes §5).
            if !call.version().since(48) {
                return Err(Reply::empty(500));
            }
            let message = format!("The Entity Type with the Id [{type_id}] does not exist.");
            errors.field("invalid", "entity.type.id", message);
        }
        Some(type_id) if old_type.is_some_and(|old| old != type_id) => {
            errors.field("invalid", "entity.type.id", "The type of an Entity cannot be changed.");
        }
        Some(_) => {}
    }
    if let Some(parent) = uuid_at(entity, "parentId")
        && !state.contains(Table::ENTITY, parent)
    {
        errors.field("invalid", "entity.parentId", "The parent does not exist.");
    }
    errors.check()?;
    type_id.ok_or_else(|| Reply::empty(400))
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let (_, entity) = of_path(call, &state)?;
    Ok(Reply::ok(&json!({ "entity": shown(&state, entity) })))
}

fn update(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("entity")?;
    let mut tx = call.write();
    let (id, old) = of_path(call, &tx)?;
    replace(call, &mut tx, id, &given, &old)?;
    finish(tx, id)
}

fn patch(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = of_path(call, &tx)?;
    let mut whole = crud::patched(call, "entity", shown(&tx, old.clone()), json!({}))?;
    let given = crud::unwrapped(&mut whole, "entity")?;
    replace(call, &mut tx, id, &given, &old)?;
    finish(tx, id)
}

/// The secret is kept when blank; client id, tenant and type never change (wire notes §3, §13).
fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    given: &Object,
    old: &Object,
) -> Result<(), Reply> {
    let mut errors = Errors::new();
    let mut entity = read("entity", &FIELDS, given, &mut errors);
    errors.check()?;
    trim_name(&mut entity);
    let type_id = checked(call, tx, id, &entity, uuid_at(old, "typeId"))?;
    entity.remove("type");
    entity.insert("typeId".to_owned(), json!(type_id));
    for name in ["id", "insertInstant", "tenantId", "clientId"] {
        entity.insert(name.to_owned(), old.get(name).cloned().unwrap_or_default());
    }
    if text_at(&entity, "clientSecret").is_none_or(str::is_empty) {
        entity.insert("clientSecret".to_owned(), old.get("clientSecret").cloned().unwrap_or_default());
    }
    with_defaults(&mut entity, json!({ "data": {} }));
    entity.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    Ok(tx.put(Table::ENTITY, id, &entity)?)
}

fn finish(tx: Transaction<'_>, id: Uuid) -> Outcome {
    let entity = tx.get(Table::ENTITY, id).map(|entity| shown(&tx, entity));
    tx.commit()?;
    Ok(Reply::ok(&json!({ "entity": entity })))
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, _) = of_path(call, &tx)?;
    remove(&mut tx, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// Removes an entity with the grants on it and to it.
pub fn remove(tx: &mut Transaction<'_>, entity: Uuid) -> Result<(), Reply> {
    for relation in [Relation::GrantsOfEntity, Relation::GrantsToEntity] {
        for grant in tx.related(relation, entity).to_vec() {
            tx.delete(Table::GRANT, grant)?;
        }
    }
    Ok(tx.delete(Table::ENTITY, entity)?)
}

fn flush(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    tx.refresh_index();
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// What a search knows of an entity: the fields of the entities document.
static SCHEMA: Schema = Schema {
    fields: &[
        ("clientId", FieldKind::Exact),
        ("entityType.name", FieldKind::Text),
        ("grants.id", FieldKind::Exact),
        ("grants.permissions", FieldKind::Exact),
        ("grants.recipientEntityId", FieldKind::Exact),
        ("grants.userId", FieldKind::Exact),
        ("id", FieldKind::Exact),
        ("insertInstant", FieldKind::Instant),
        ("lastUpdateInstant", FieldKind::Instant),
        ("name", FieldKind::Text),
        ("parentId", FieldKind::Exact),
        ("tenantId", FieldKind::Exact),
        ("type.id", FieldKind::Exact),
        ("type.name", FieldKind::Text),
        ("typeId", FieldKind::Exact),
    ],
    open: &["data", "grants.data"],
    nested: &["grants"],
    also_flat: &[],
    sortable: &["clientId", "insertInstant", "lastUpdateInstant", "name", "tenantId", "typeId"],
    database_fields: &["clientId", "name", "entityType.name"],
    default_sort: "insertInstant",
};

/// The document that the index holds of an entity.
fn document(state: &State, id: Uuid, mut entity: Object) -> Value {
    let entity_type = uuid_at(&entity, "typeId").and_then(|id| state.get(Table::ENTITY_TYPE, id));
    if let Some(entity_type) = entity_type {
        let name = entity_type.get("name").cloned().unwrap_or_default();
        entity.insert("entityType".to_owned(), json!({ "name": name }));
        entity.insert("type".to_owned(), json!({ "id": entity_type.get("id"), "name": name }));
    }
    let grants: Vec<Object> = state
        .related(Relation::GrantsOfEntity, id)
        .iter()
        .filter_map(|grant| state.get(Table::GRANT, *grant))
        .collect();
    if !grants.is_empty() {
        entity.insert("grants".to_owned(), json!(grants));
    }
    Value::Object(entity)
}

/// What the search of this request depends on.
pub fn context<'a>(call: &Call<'_>, schema: &'a Schema) -> Context<'a> {
    Context {
        engine: match call.server.engine {
            SearchEngine::Database => Engine::Database,
            SearchEngine::Elasticsearch => Engine::Elasticsearch,
        },
        schema,
        now: call.now(),
        next_results: call.version().since(48),
        tenant_scoped: call.tenant.is_some(),
        prefix: if call.route.method == "GET" { "" } else { "search." },
    }
}

/// The `search` object of a POST, or the parameters of a GET in its form.
pub fn search_object(call: &Call<'_>) -> Result<Object, Reply> {
    if call.route.method == "GET" {
        return Ok(search::from_parameters(call.query_pairs().iter().map(|(k, v)| (k.as_str(), v.as_str()))));
    }
    call.wrapped("search")
}

/// 400 for a search that is refused.
pub fn search_refused(error: &SearchError) -> Reply {
    field_error(error.kind, &error.field, error.message.clone())
}

fn find(call: &Call<'_>) -> Outcome {
    let search = search_object(call)?;
    let criteria =
        Criteria::from_json(&search, &context(call, &SCHEMA)).map_err(|error| search_refused(&error))?;
    let state = call.read();
    let visible = |entity: &Object| call.in_scope(uuid_at(entity, "tenantId"));
    if let Filter::Ids(ids) = &criteria.filter {
        // By id, past the index (wire notes §4).
        let found: Vec<Object> = ids
            .iter()
            .filter_map(|id| state.get(Table::ENTITY, *id))
            .filter(visible)
            .map(|entity| shown(&state, entity))
            .collect();
        return Ok(Reply::ok(&json!({ "entities": found, "total": found.len() })));
    }
    let documents: Vec<(Uuid, Value)> = state
        .indexed_rows(Table::ENTITY, call.now())
        .filter_map(|(id, bytes)| Some((id, serde_json::from_slice::<Object>(bytes).ok()?)))
        .filter(|(_, entity)| visible(entity))
        .map(|(id, entity)| (id, document(&state, id, entity)))
        .collect();
    let readers: Vec<(Uuid, JsonDocument<'_>)> =
        documents.iter().map(|(id, value)| (*id, JsonDocument::new(value, &SCHEMA))).collect();
    let page = search::page(readers.iter().map(|(id, document)| (*id, document, *id)), &criteria, &SCHEMA);
    // What the index still has and the database has no more is counted, not shown.
    let found: Vec<Object> = page
        .rows
        .iter()
        .filter_map(|id| state.get(Table::ENTITY, *id))
        .map(|entity| shown(&state, entity))
        .collect();
    let mut body = Object::new();
    body.insert("entities".to_owned(), json!(found));
    body.insert("total".to_owned(), json!(page.total));
    if let Some(next) = page.next_results {
        body.insert("nextResults".to_owned(), json!(next));
    }
    Ok(Reply::ok(&body))
}
