//! Groups and their members (wire notes §14): names unique in their tenant, roles by id, no compare-and-swap.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::{Call, parse_uuid};
use super::crud::{self, Listing, NameRule, check_name, existing, name_key, new_id};
use super::events;
use super::fields::{Field, Kind, field, read, with_defaults};
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::store::{Object, Relation, State, Table, Transaction, Unique, text_at, uuid_at};

const BASE: &str = "/api/group";
const SEARCH: &str = "/api/group/search";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/group/{groupId}", BASE, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/group/{groupId}", BASE, retrieve),
        Route::new("PUT", "/api/group/{groupId}", BASE, update),
        Route::new("PATCH", "/api/group/{groupId}", BASE, patch),
        Route::new("DELETE", "/api/group/{groupId}", BASE, delete),
        Route::new("GET", SEARCH, SEARCH, search),
        Route::new("POST", SEARCH, SEARCH, search),
    ]
}

const FIELDS: [Field; 3] =
    [field("data", Kind::Data), field("name", Kind::Text), field("tenantId", Kind::Uuid)];

/// The group as it is answered: its roles as a map from application to roles.
fn shown(state: &State, mut group: Object) -> Object {
    let ids = role_ids(&group);
    group.remove("roleIds");
    let mut roles = Object::new();
    if !ids.is_empty() {
        for (application, object) in state.objects(Table::APPLICATION) {
            let held: Vec<Object> = super::applications::roles(&object)
                .into_iter()
                .filter(|role| uuid_at(role, "id").is_some_and(|id| ids.contains(&id)))
                .collect();
            if !held.is_empty() {
                roles.insert(application.to_string(), json!(held));
            }
        }
    }
    group.insert("roles".to_owned(), Value::Object(roles));
    group
}

fn role_ids(group: &Object) -> Vec<Uuid> {
    let list = group.get("roleIds").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|id| parse_uuid(id.as_str()?)).collect()
}

fn create(call: &Call<'_>) -> Outcome {
    let mut body = call.json_object()?;
    let given = crud::unwrapped(&mut body, "group")?;
    let mut tx = call.write();
    let in_body = uuid_at(&given, "tenantId");
    let tenant = call.tenant_for_new(&tx, in_body)?;
    let id = new_id(call, &tx, Table::GROUP, "groupId")?;
    let mut group = checked(&tx, id, tenant, &given, body.get("roleIds"))?;
    stamp(&mut group, id, call.now());
    tx.put(Table::GROUP, id, &group)?;
    finish(call, tx, id, "group.create")
}

fn finish(call: &Call<'_>, tx: Transaction<'_>, id: Uuid, event: &str) -> Outcome {
    let group = tx.get(Table::GROUP, id).map(|group| shown(&tx, group)).unwrap_or_default();
    tx.commit()?;
    events::emit(call, event, uuid_at(&group, "tenantId"), json!({ "group": group }));
    Ok(Reply::ok(&json!({ "group": group })))
}

/// Checks name and roles. `roleIds` stands beside the group in the request.
fn checked(
    state: &State,
    id: Uuid,
    tenant: Uuid,
    given: &Object,
    role_ids: Option<&Value>,
) -> Result<Object, Reply> {
    let mut errors = Errors::new();
    let mut group = read("group", &FIELDS, given, &mut errors);
    if let Some(Value::String(name)) = group.get_mut("name") {
        *name = name.trim().to_owned();
    }
    let rule = NameRule {
        field: "group.name",
        unique: name_key(Unique::GroupName, Some(tenant), &group),
        longest: 191,
    };
    check_name(state, text_at(&group, "name"), id, rule, &mut errors);
    let mut kept = Vec::new();
    match role_ids {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for value in list {
                let role = value.as_str().and_then(parse_uuid);
                match role.filter(|role| role_exists(state, tenant, *role)) {
                    Some(role) if kept.contains(&role) => {}
                    Some(role) => kept.push(role),
                    None => errors.field("invalid", "roleIds", format!("The role {value} does not exist.")),
                }
            }
        }
        Some(_) => super::call::invalid_json_in(&mut errors, "roleIds", "an array is expected"),
    }
    errors.check()?;
    group.insert("tenantId".to_owned(), json!(tenant));
    group.insert("roleIds".to_owned(), json!(kept));
    with_defaults(&mut group, json!({ "data": {} }));
    Ok(group)
}

fn role_exists(state: &State, tenant: Uuid, role: Uuid) -> bool {
    state
        .objects(Table::APPLICATION)
        .filter(|(_, application)| uuid_at(application, "tenantId").is_none_or(|own| own == tenant))
        .any(|(_, application)| {
            super::applications::roles(&application).iter().any(|other| uuid_at(other, "id") == Some(role))
        })
}

fn list(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let groups: Vec<Object> = state
        .objects(Table::GROUP)
        .filter(|(_, group)| call.in_scope(uuid_at(group, "tenantId")))
        .map(|(_, group)| shown(&state, group))
        .collect();
    Ok(Reply::ok(&json!({ "groups": groups })))
}

fn retrieve(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let (_, group) = existing(call, &state, Table::GROUP, "groupId")?;
    Ok(Reply::ok(&json!({ "group": shown(&state, group) })))
}

fn update(call: &Call<'_>) -> Outcome {
    let mut body = call.json_object()?;
    let given = crud::unwrapped(&mut body, "group")?;
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, Table::GROUP, "groupId")?;
    replace(call, &mut tx, id, &given, body.get("roleIds"), &old)?;
    finish(call, tx, id, "group.update")
}

/// Pointers of a JSON patch start beside the wrapper: `/roleIds/1` (wire notes §3).
fn patch(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, Table::GROUP, "groupId")?;
    let mut current = old.clone();
    let ids = current.remove("roleIds").unwrap_or_else(|| json!([]));
    let mut whole = crud::patched(call, "group", current, json!({ "roleIds": ids }))?;
    let given = crud::unwrapped(&mut whole, "group")?;
    replace(call, &mut tx, id, &given, whole.get("roleIds"), &old)?;
    finish(call, tx, id, "group.update")
}

fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    given: &Object,
    role_ids: Option<&Value>,
    old: &Object,
) -> Result<(), Reply> {
    let tenant = uuid_at(old, "tenantId").unwrap_or_default();
    let mut group = checked(tx, id, tenant, given, role_ids)?;
    stamp(&mut group, id, call.now());
    group.insert("insertInstant".to_owned(), old.get("insertInstant").cloned().unwrap_or_default());
    Ok(tx.put(Table::GROUP, id, &group)?)
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, group) = existing(call, &tx, Table::GROUP, "groupId")?;
    remove_members(&mut tx, id)?;
    tx.delete(Table::GROUP, id)?;
    tx.commit()?;
    events::emit(call, "group.delete", uuid_at(&group, "tenantId"), json!({ "group": group }));
    Ok(Reply::empty(200))
}

/// Removes all memberships of a group.
pub fn remove_members(tx: &mut Transaction<'_>, group: Uuid) -> Result<(), Reply> {
    for member in tx.related(Relation::MembersOfGroup, group).to_vec() {
        tx.delete(Table::GROUP_MEMBER, member)?;
    }
    Ok(())
}

/// What a search looks at: groups can hold hundreds of KiB of data, which only hits are worth reading.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    tenant_id: Uuid,
}

fn search(call: &Call<'_>) -> Outcome {
    if !call.version().since(45) {
        return Err(Reply::not_found());
    }
    let listing = Listing::read(call, &["name", "id", "insertInstant", "lastUpdateInstant", "tenantId"])?;
    let tenant = listing.id("tenantId")?;
    if tenant.is_some() && call.tenant.is_some_and(|scope| Some(scope) != tenant) {
        return Err(field_error("invalid", "search.tenantId", "The request is scoped to another tenant."));
    }
    let state = call.read();
    let rows = state
        .rows(Table::GROUP)
        .filter_map(|(id, bytes)| Some((id, serde_json::from_slice::<Head<'_>>(bytes).ok()?)))
        .filter(|(_, group)| call.in_scope(Some(group.tenant_id)))
        .filter(|(_, group)| tenant.is_none_or(|tenant| group.tenant_id == tenant))
        .filter(|(_, group)| listing.fits("name", Some(&group.name)))
        .filter_map(|(id, _)| state.get(Table::GROUP, id))
        .collect();
    let (page, total) = listing.page(rows);
    let groups: Vec<Object> =
        page.into_iter().filter_map(|group| Some(shown(&state, group.as_object()?.clone()))).collect();
    Ok(Reply::ok(&json!({ "groups": groups, "total": total })))
}
