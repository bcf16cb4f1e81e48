//! `/api/user/search`: by ids, by query, by query string, on both engines.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::call::Call;
use super::super::config::SearchEngine;
use super::super::reply::{Outcome, Reply, field_error};
use super::super::search::criteria::Filter;
use super::super::search::{Context, Criteria, Engine, Page, SearchError, from_parameters, page};
use super::super::store::{State, Table};
use super::index::{IndexedUser, SCHEMA};
use super::model::User;
use super::view::{Shown, UserView};

/// `GET /api/user/search`
pub fn by_parameters(call: &Call<'_>) -> Outcome {
    let pairs = call.query_pairs().iter().filter(|(_, value)| !value.is_empty());
    let search = from_parameters(pairs.map(|(name, value)| (name.as_str(), value.as_str())));
    let expand: Vec<&str> = call.query_all("expand").collect();
    let shown = shown(call, (!expand.is_empty()).then_some(expand))?;
    run(call, &search, "", shown)
}

/// `POST /api/user/search`
pub fn by_body(call: &Call<'_>) -> Outcome {
    let body = call.json_object()?;
    let search = match body.get("search") {
        Some(Value::Object(search)) => search.clone(),
        _ => return Err(field_error("missing", "search", "The [search] property is required.")),
    };
    let expand = match body.get("expand") {
        None | Some(Value::Null) => None,
        Some(Value::Array(items)) => Some(items.iter().filter_map(Value::as_str).collect()),
        Some(_) => return Err(field_error("couldNotConvert", "expand", "An array is expected.")),
    };
    let shown = shown(call, expand)?;
    run(call, &search, "search.", shown)
}

/// `PUT /api/user/search`: the index sees everything that was written before.
pub fn flush(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    tx.refresh_index();
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// Without `expand` everything is there, as the users document shows; with it, what it names.
fn shown(call: &Call<'_>, expand: Option<Vec<&str>>) -> Result<Shown, Reply> {
    let mut shown = Shown::new(call.version());
    if let Some(expand) = expand {
        if let Some(unknown) = expand.iter().find(|name| !matches!(**name, "memberships" | "registrations")) {
            return Err(field_error("invalid", "expand", format!("[{unknown}] cannot be expanded.")));
        }
        shown.memberships = expand.contains(&"memberships");
        shown.registrations = expand.contains(&"registrations");
    }
    Ok(shown)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    expandable: [&'static str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_results: Option<String>,
    total: u64,
    users: Vec<UserView<'a>>,
}

fn run(call: &Call<'_>, search: &Map<String, Value>, prefix: &'static str, shown: Shown) -> Outcome {
    let criteria = Criteria::from_json(search, &context(call, prefix)).map_err(refused)?;
    let state = call.read();
    let (users, total, next_results) = match &criteria.filter {
        Filter::Ids(ids) => {
            let users = by_ids(call, &state, ids);
            let total = users.len() as u64;
            (users, total, None)
        }
        _ => {
            let found = in_index(call, &state, &criteria);
            // The index knows who matches; what is shown is what the database has now, and who is gone is not shown.
            let users = found.rows.into_iter().filter_map(|id| User::load(&state, id)).collect();
            (users, found.total, found.next_results)
        }
    };
    let users = users.iter().map(|user| UserView::new(&state, user, shown)).collect();
    Ok(Reply::ok(&Answer { expandable: ["memberships", "registrations"], next_results, total, users }))
}

/// Past the index, not paged, each once; unknown ids are passed over.
fn by_ids(call: &Call<'_>, state: &State, ids: &[Uuid]) -> Vec<User> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .filter_map(|id| User::load(state, id))
        .filter(|user| call.in_scope(Some(user.tenant_id)))
        .collect()
}

fn in_index(call: &Call<'_>, state: &State, criteria: &Criteria) -> Page<Uuid> {
    let users = state
        .indexed_rows(Table::USER, call.now())
        .filter_map(|(id, bytes)| Some((id, User::parse(bytes)?)))
        .filter(|(_, user)| call.in_scope(Some(user.tenant_id)))
        .map(|(id, user)| (id, IndexedUser { user, state }, id));
    page(users, criteria, &SCHEMA)
}

/// Everyone whom a bulk deletion's query matches, in the order of their ids.
pub fn matching(
    call: &Call<'_>,
    state: &State,
    query: Option<&str>,
    query_string: Option<&str>,
) -> Result<Vec<User>, Reply> {
    let mut search = Map::new();
    for (name, value) in [("query", query), ("queryString", query_string)] {
        if let Some(value) = value {
            search.insert(name.to_owned(), Value::from(value));
        }
    }
    let mut criteria = Criteria::from_json(&search, &context(call, "")).map_err(refused)?;
    criteria.number_of_results = u64::MAX;
    let found = in_index(call, state, &criteria);
    Ok(found.rows.into_iter().filter_map(|id| User::load(state, id)).collect())
}

fn context(call: &Call<'_>, prefix: &'static str) -> Context<'static> {
    Context {
        engine: match call.server.engine {
            SearchEngine::Database => Engine::Database,
            SearchEngine::Elasticsearch => Engine::Elasticsearch,
        },
        schema: &SCHEMA,
        now: call.now(),
        next_results: call.version().since(48),
        tenant_scoped: call.tenant.is_some(),
        prefix,
    }
}

/// 400 for a search that cannot be run.
pub fn refused(error: SearchError) -> Reply {
    field_error(error.kind, &error.field, error.message)
}
