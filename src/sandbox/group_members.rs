//! Memberships of users in groups (the vendor's OpenAPI document): `{"members": {groupId: [{userId, data}]}}`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::{Call, parse_uuid};
use super::crud::Listing;
use super::events;
use super::fields::{Field, Kind, field, read, with_defaults};
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::store::{Object, Relation, State, StoreError, Table, Transaction, Unique, UniqueKey, uuid_at};

const BASE: &str = "/api/group/member";
const SEARCH: &str = "/api/group/member/search";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", BASE, BASE, add),
        Route::new("PUT", BASE, BASE, set),
        Route::new("DELETE", BASE, BASE, remove),
        Route::new("GET", SEARCH, SEARCH, search),
        Route::new("POST", SEARCH, SEARCH, search),
    ]
}

const FIELDS: [Field; 3] = [field("data", Kind::Data), field("id", Kind::Uuid), field("userId", Kind::Uuid)];

/// Puts a membership, new or in place of the one that the user has in the group.
fn put(
    tx: &mut Transaction<'_>,
    group: Uuid,
    user: Uuid,
    id: Option<Uuid>,
    data: Option<Value>,
    now: i64,
) -> Result<Object, StoreError> {
    let held = tx.holder(&UniqueKey::new(Unique::GroupMember, group, user.to_string()));
    let id = held.or(id).unwrap_or_else(Uuid::new_v4);
    let mut member = Object::new();
    member.insert("data".to_owned(), data.unwrap_or_else(|| json!({})));
    member.insert("groupId".to_owned(), json!(group));
    member.insert("userId".to_owned(), json!(user));
    stamp(&mut member, id, now);
    member.remove("lastUpdateInstant");
    if let Some(born) = tx.get(Table::GROUP_MEMBER, id).and_then(|mut old| old.remove("insertInstant")) {
        member.insert("insertInstant".to_owned(), born);
    }
    tx.put(Table::GROUP_MEMBER, id, &member)?;
    Ok(member)
}

/// What a request gives: members by group, all checked.
fn given(call: &Call<'_>, state: &State) -> Result<Vec<(Uuid, Vec<Object>)>, Reply> {
    let Some(Value::Object(groups)) = call.json_object()?.remove("members") else {
        return Err(field_error("missing", "members", "You must specify the [members] property."));
    };
    let mut errors = Errors::new();
    let mut found = Vec::new();
    for (group, list) in &groups {
        let place = format!("members[{group}]");
        let known = parse_uuid(group).and_then(|id| Some((id, state.get(Table::GROUP, id)?)));
        let known = known.filter(|(_, group)| call.in_scope(uuid_at(group, "tenantId")));
        let (Some((id, group)), Some(list)) = (known, list.as_array()) else {
            errors.field(
                "invalid",
                &place,
                format!("The group [{group}] does not exist, or has no list of members."),
            );
            continue;
        };
        let mut members = Vec::new();
        for value in list {
            let Value::Object(value) = value else { continue };
            let mut member = read(&place, &FIELDS, value, &mut errors);
            with_defaults(&mut member, json!({ "data": {} }));
            let user = uuid_at(&member, "userId").and_then(|id| state.get(Table::USER, id));
            if user.is_none_or(|user| uuid_at(&user, "tenantId") != uuid_at(&group, "tenantId")) {
                let field = format!("{place}.userId");
                errors.field("invalid", &field, "The user does not exist in the group's tenant.");
            }
            members.push(member);
        }
        found.push((id, members));
    }
    errors.check().map(|()| found)
}

fn add(call: &Call<'_>) -> Outcome {
    write(call, false)
}

/// PUT replaces all members of the groups that it names.
fn set(call: &Call<'_>) -> Outcome {
    write(call, true)
}

fn write(call: &Call<'_>, replaces: bool) -> Outcome {
    let mut tx = call.write();
    let groups = given(call, &tx)?;
    let mut answered = Object::new();
    for (group, members) in groups {
        if replaces {
            super::groups::remove_members(&mut tx, group)?;
        }
        let mut list = Vec::new();
        for mut member in members {
            let user = uuid_at(&member, "userId").unwrap_or_default();
            let id = uuid_at(&member, "id");
            list.push(put(&mut tx, group, user, id, member.remove("data"), call.now())?);
        }
        answered.insert(group.to_string(), json!(list));
    }
    tx.commit()?;
    events::emit(call, "group.member.add", call.tenant, json!({ "members": answered }));
    Ok(Reply::ok(&json!({ "members": answered })))
}

/// By membership ids, by users per group, or by `?groupId=&userId=` (no user: all of the group).
fn remove(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let mut ids: Vec<Uuid> = Vec::new();
    let body = call.json_object()?;
    let listed = |value: Option<&Value>| -> Vec<Uuid> {
        let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(|id| parse_uuid(id.as_str()?)).collect()
    };
    ids.extend(listed(body.get("memberIds")));
    ids.extend(call.query_id("memberId")?);
    let pair = |tx: &Transaction<'_>, group: Uuid, user: Uuid| {
        tx.holder(&UniqueKey::new(Unique::GroupMember, group, user.to_string()))
    };
    if let Some(Value::Object(groups)) = body.get("members") {
        for (group, users) in groups {
            let Some(group) = parse_uuid(group) else { continue };
            ids.extend(listed(Some(users)).into_iter().filter_map(|user| pair(&tx, group, user)));
        }
    }
    if let Some(group) = call.query_id("groupId")? {
        match call.query_id("userId")? {
            Some(user) => ids.extend(pair(&tx, group, user)),
            None => ids.extend(tx.related(Relation::MembersOfGroup, group)),
        }
    }
    if ids.is_empty() {
        return Err(Reply::not_found());
    }
    for id in ids {
        tx.delete(Table::GROUP_MEMBER, id)?;
    }
    tx.commit()?;
    events::emit(call, "group.member.remove", call.tenant, json!({}));
    Ok(Reply::empty(200))
}

fn search(call: &Call<'_>) -> Outcome {
    let listing = Listing::read(call, &["insertInstant", "groupId", "id", "userId"])?;
    let (group, user) = (listing.id("groupId")?, listing.id("userId")?);
    let state = call.read();
    let rows = state
        .objects(Table::GROUP_MEMBER)
        .map(|(_, member)| member)
        .filter(|member| group.is_none() || uuid_at(member, "groupId") == group)
        .filter(|member| user.is_none() || uuid_at(member, "userId") == user)
        .filter(|member| {
            let group = uuid_at(member, "groupId").and_then(|id| state.get(Table::GROUP, id));
            call.in_scope(group.and_then(|group| uuid_at(&group, "tenantId")))
        })
        .collect();
    let (members, total) = listing.page(rows);
    Ok(Reply::ok(&json!({ "members": members, "total": total })))
}
