//! Deactivation, deletion, and both in bulk.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::{Call, is_given, parse_uuid};
use super::super::reply::{Outcome, Reply, field_error};
use super::super::store::{Object, Relation, State, StoreError, Table, Transaction};
use super::create::user_content;
use super::effects::Effects;
use super::find;
use super::model::User;
use super::names::visible;
use super::tokens;

/// Users that one bulk deletion takes unless `limit` says otherwise (since 1.48).
const BULK_LIMIT: usize = 10_000;

/// `DELETE /api/user/{userId}[?hardDelete=true]`; the flag may stand in the body too.
pub fn delete(call: &Call<'_>) -> Outcome {
    let id = call.required_id("userId")?;
    let hard = match call.query_flag("hardDelete") {
        Some(flag) => flag,
        None => call.typed_object(&[], &["hardDelete"])?.get("hardDelete") == Some(&Value::Bool(true)),
    };
    let mut tx = call.write();
    let user = visible(call, &tx, id)?;
    let mut effects = Effects::default();
    end(call, &mut tx, user, hard, &mut effects)?;
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

fn end(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    mut user: User,
    hard: bool,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let name = if hard { "user.delete" } else { "user.deactivate" };
    effects.event(tx, name, user.tenant_id, || user_content(tx, &user, call.version()));
    if hard {
        return remove(tx, user.id);
    }
    // A second deactivation is a 200 that changes nothing (wire notes §13).
    if user.active {
        user.active = false;
        user.last_update_instant = tx.now();
        user.store(tx)?;
    }
    Ok(())
}

/// Deletes a user with everything that hangs on it: memberships, links, grants, outstanding ids (wire notes §4);
/// registrations are part of the user.
pub fn remove(tx: &mut Transaction<'_>, user: Uuid) -> Result<(), StoreError> {
    for (relation, table) in [
        (Relation::MembershipsOfUser, Table::GROUP_MEMBER),
        (Relation::LinksOfUser, Table::LINK),
        (Relation::GrantsToUser, Table::GRANT),
    ] {
        let rows = tx.related(relation, user).to_vec();
        for row in rows {
            tx.delete(table, row)?;
        }
    }
    tokens::end_all(tx, user)?;
    tx.delete(Table::USER, user)
}

/// `DELETE /api/user/bulk`, by parameters or by a body.
pub fn bulk(call: &Call<'_>) -> Outcome {
    let request = Bulk::read(call)?;
    let mut tx = call.write();
    let mut users = request.users(call, &tx)?;
    users.truncate(request.limit);
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let mut effects = Effects::default();
    if !request.dry_run {
        for user in users {
            end(call, &mut tx, user, request.hard, &mut effects)?;
        }
    }
    tx.commit()?;
    effects.record(call);
    let mut answer = json!({"dryRun": request.dry_run, "hardDelete": request.hard, "total": ids.len()});
    // `userIds` is left out when there are none (wire notes §4).
    if let (false, Some(object)) = (ids.is_empty(), answer.as_object_mut()) {
        object.insert("userIds".to_owned(), json!(ids));
    }
    Ok(Reply::ok(&answer))
}

struct Bulk {
    dry_run: bool,
    hard: bool,
    limit: usize,
    ids: Vec<Uuid>,
    query: Option<String>,
    query_string: Option<String>,
}

impl Bulk {
    /// Parameters and body have the same members, but for `userId` and `userIds`.
    fn read(call: &Call<'_>) -> Result<Self, Reply> {
        let body = call.json_object()?;
        let flag = |name: &str| -> Result<bool, Reply> {
            match (call.query(name).filter(|text| is_given(text)), body.get(name)) {
                (Some("true"), _) | (None, Some(Value::Bool(true))) => Ok(true),
                (Some("false"), _) | (None, Some(Value::Bool(false) | Value::Null) | None) => Ok(false),
                _ => Err(field_error("couldNotConvert", name, "true or false is expected")),
            }
        };
        let text = |name: &str| -> Result<Option<String>, Reply> {
            match (call.query(name), body.get(name)) {
                (Some(text), _) => Ok(Some(text.to_owned())),
                (None, Some(Value::String(text))) => Ok(Some(text.clone())),
                (None, Some(Value::Null) | None) => Ok(None),
                (None, Some(_)) => Err(field_error("couldNotConvert", name, "a string is expected")),
            }
        };
        Ok(Self {
            dry_run: flag("dryRun")?,
            hard: flag("hardDelete")?,
            limit: if call.version().since(48) { limit(call, &body)? } else { BULK_LIMIT },
            ids: ids(call, &body)?,
            query: text("query")?,
            query_string: text("queryString")?,
        })
    }

    /// `userId` goes before `query`, `query` before `queryString` (wire notes §4). Ids that nobody has are passed over.
    fn users(&self, call: &Call<'_>, state: &State) -> Result<Vec<User>, Reply> {
        if !self.ids.is_empty() {
            return Ok(self.ids.iter().filter_map(|id| visible(call, state, *id).ok()).collect());
        }
        if self.query.is_none() && self.query_string.is_none() {
            return Err(field_error("missing", "userIds", "userIds, query or queryString is needed."));
        }
        find::matching(call, state, self.query.as_deref(), self.query_string.as_deref())
    }
}

fn limit(call: &Call<'_>, body: &Object) -> Result<usize, Reply> {
    let given = match (call.query("limit"), body.get("limit")) {
        (Some(text), _) => text.parse().ok(),
        (None, Some(Value::Number(number))) => number.as_u64().and_then(|limit| usize::try_from(limit).ok()),
        (None, Some(Value::Null) | None) => return Ok(BULK_LIMIT),
        (None, Some(_)) => None,
    };
    given
        .filter(|limit| *limit > 0)
        .ok_or_else(|| field_error("invalid", "limit", "A positive integer is expected."))
}

fn ids(call: &Call<'_>, body: &Object) -> Result<Vec<Uuid>, Reply> {
    let bad =
        |name: &str, text: &str| field_error("couldNotConvert", name, format!("[{text}] is not a UUID."));
    let mut out: Vec<Uuid> = Vec::new();
    for text in call.query_all("userId") {
        out.push(parse_uuid(text).ok_or_else(|| bad("userId", text))?);
    }
    if out.is_empty() {
        match body.get("userIds") {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for item in items {
                    let id = item.as_str().and_then(parse_uuid);
                    out.push(id.ok_or_else(|| bad("userIds", &item.to_string()))?);
                }
            }
            Some(other) => return Err(bad("userIds", &other.to_string())),
        }
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|id| seen.insert(*id));
    Ok(out)
}
