//! Who may call what: API keys, their permissions and tenant locks (wire notes §1, §2). Every refusal is a 401
//! without a body. Knows no endpoint.

use uuid::Uuid;

use super::call::{Caller, KeyCaller, parse_uuid, unknown_tenant};
use super::reply::{Reply, field_error};
use super::router::{Access, Route};
use super::server::{Request, Server};
use super::store::{Object, State, Table, Unique, UniqueKey, text_at, uuid_at};

/// Admits a request or refuses it; gives the caller and the tenant scope.
pub fn admit(server: &Server, route: &Route, request: &Request) -> Result<(Caller, Option<Uuid>), Reply> {
    if route.access == Access::Control {
        return Ok((Caller::Anonymous, None));
    }
    let state = server.state.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    let caller = caller(server, &state, route, request)?;
    let header = match request.tenant.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(parse_uuid(text).ok_or_else(|| {
            field_error("couldNotConvert", "tenantId", format!("The tenant Id [{text}] is not a UUID."))
        })?),
    };
    let locked = match &caller {
        Caller::Key(key) => key.tenant,
        _ => None,
    };
    match (header, locked) {
        // A header that contradicts a tenant-locked key (wire notes §13).
        (Some(header), Some(locked)) if header != locked => Err(Reply::empty(401)),
        (Some(header), _) if !state.contains(Table::TENANT, header) => Err(unknown_tenant(header)),
        (header, locked) => Ok((caller, header.or(locked))),
    }
}

fn caller(server: &Server, state: &State, route: &Route, request: &Request) -> Result<Caller, Reply> {
    let refused = || Reply::empty(401);
    let Some(authorization) = request.authorization.as_deref() else {
        let is_open = matches!(route.access, Access::Open | Access::Public);
        return if is_open { Ok(Caller::Anonymous) } else { Err(refused()) };
    };
    // The raw key, without any prefix (wire notes §1); Bearer is a user's JWT.
    if let Some(token) = authorization.strip_prefix("Bearer ") {
        return match route.access {
            Access::KeyOrJwt | Access::Open | Access::Public => Ok(Caller::Bearer(token.to_owned())),
            _ => Err(refused()),
        };
    }
    let now = server.clock.now();
    let key = find_key(state, authorization).filter(|(_, key)| {
        !is_expired(key, now)
            && allows(key, route)
            && !server.faults.key_is_too_fresh(key, now, (route.method, route.pattern, &request.path))
    });
    match key {
        Some((id, key)) => Ok(Caller::Key(KeyCaller { id, tenant: uuid_at(&key, "tenantId") })),
        None if route.access == Access::Public => Ok(Caller::Anonymous),
        None => Err(refused()),
    }
}

fn find_key(state: &State, value: &str) -> Option<(Uuid, Object)> {
    let id = state.holder(&UniqueKey::global(Unique::ApiKey, value))?;
    Some((id, state.get(Table::API_KEY, id)?))
}

fn is_expired(key: &Object, now: i64) -> bool {
    key.get("expirationInstant").and_then(serde_json::Value::as_i64).is_some_and(|instant| instant <= now)
}

/// Whether the key may use this route: tenant lock, key manager, permissions. No permissions at all are all
/// permissions (wire notes §1).
fn allows(key: &Object, route: &Route) -> bool {
    let locked = key.get("tenantId").is_some_and(|tenant| !tenant.is_null());
    if locked && matches!(route.access, Access::GlobalKey | Access::KeyManager) {
        return false;
    }
    if route.access == Access::KeyManager
        && key.get("keyManager").and_then(serde_json::Value::as_bool) != Some(true)
    {
        return false;
    }
    let endpoints = key.get("permissions").and_then(|permissions| permissions.get("endpoints"));
    let Some(endpoints) = endpoints.and_then(serde_json::Value::as_object).filter(|map| !map.is_empty())
    else {
        return true;
    };
    let methods = endpoints.get(route.permission).and_then(serde_json::Value::as_array);
    methods.is_some_and(|methods| {
        methods
            .iter()
            .any(|method| method.as_str().is_some_and(|name| name.eq_ignore_ascii_case(route.method)))
    })
}

/// Whether a key value would be an unrestricted, global one; Kickstart's first key must be.
pub fn is_unrestricted(key: &Object) -> bool {
    let restricted = key
        .get("permissions")
        .and_then(|permissions| permissions.get("endpoints"))
        .and_then(serde_json::Value::as_object)
        .is_some_and(|map| !map.is_empty());
    !restricted && text_at(key, "tenantId").is_none()
}
