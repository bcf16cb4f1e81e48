//! Links between users and identity providers, and pending ones (wire notes §7 and the links document).

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::events;
use super::fields::{Field, Kind, field, read};
use super::identity_providers::DEFAULT_MAXIMUM_LINKS;
use super::reply::{Errors, Outcome, Reply, field_error, general_error};
use super::router::Route;
use super::store::{Object, Relation, State, Table, Transaction, Unique, UniqueKey, text_at, uuid_at};
use super::tokens;

const BASE: &str = "/api/identity-provider/link";
const PENDING: &str = "/api/identity-provider/link/pending";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("GET", BASE, BASE, retrieve),
        Route::new("DELETE", BASE, BASE, delete),
        Route::new("GET", "/api/identity-provider/link/pending/{pendingLinkId}", PENDING, retrieve_pending),
        Route::control("POST", "/_sandbox/pending-links", create_pending),
    ]
}

const FIELDS: [Field; 5] = [
    field("displayName", Kind::Text),
    field("identityProviderId", Kind::Uuid),
    field("identityProviderUserId", Kind::Text),
    field("token", Kind::Text),
    field("userId", Kind::Uuid),
];

/// The unique key of a link.
fn key(tenant: Uuid, provider: Uuid, provider_user: &str) -> UniqueKey {
    UniqueKey::new(Unique::Link, tenant, format!("{provider} {provider_user}"))
}

/// Links a user, or completes a pending link: in the form with a wrapper (since 1.43) or the flat one, which is
/// deprecated and still taken.
fn create(call: &Call<'_>) -> Outcome {
    let mut body = call.typed_object(&["pendingIdPLinkId"], &[])?;
    let place = if body.contains_key("identityProviderLink") { "identityProviderLink." } else { "" };
    let given = match body.remove("identityProviderLink") {
        Some(Value::Object(given)) if call.version().since(43) => given,
        // Before 1.43 the wrapper is an unknown field, so that nothing is given at all.
        Some(_) if !call.version().since(43) => Object::new(),
        Some(_) => return Err(super::call::invalid_json("identityProviderLink", "an object is expected")),
        None => body.clone(),
    };
    let mut errors = Errors::new();
    let link = read(place.trim_end_matches('.'), &FIELDS, &given, &mut errors);
    errors.check()?;
    let mut tx = call.write();
    let link = match text_at(&body, "pendingIdPLinkId").map(str::to_owned) {
        Some(pending) => completed(call, &mut tx, place, &pending, &link)?,
        None => link,
    };
    let id = insert(call, &mut tx, place, link)?;
    let link = tx.get(Table::LINK, id).map(|link| shown(call, &tx, link)).unwrap_or_default();
    let (tenant, user) = (uuid_at(&link, "tenantId"), link.get("userId").cloned());
    tx.commit()?;
    let mut public = link.clone();
    public.remove("token");
    events::emit(
        call,
        "user.identity-provider.link",
        tenant,
        json!({ "identityProviderLink": public, "userId": user }),
    );
    Ok(Reply::ok(&json!({ "identityProviderLink": link })))
}

/// Takes a pending link up: it gives everything but the user, and is used up.
fn completed(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    place: &str,
    pending: &str,
    given: &Object,
) -> Result<Object, Reply> {
    let found = find_pending(call, tx, pending).ok_or_else(|| {
        let message = "The pending link is not valid. It may have expired or been used already.";
        general_error(400, "InvalidPendingIdPLinkId", message)
    })?;
    let (id, pending) = found;
    let user = given.get("userId").cloned().ok_or_else(|| missing(place, "userId"))?;
    let pending_tenant = uuid_at(&pending, "tenantId");
    let user_tenant = uuid_at(given, "userId")
        .and_then(|id| tx.get(Table::USER, id))
        .and_then(|user| uuid_at(&user, "tenantId"));
    if user_tenant.is_some() && user_tenant != pending_tenant {
        return Err(field_error(
            "invalid",
            &format!("{place}userId"),
            "The user is not of the pending link's tenant.",
        ));
    }
    let mut link = Object::new();
    link.insert("userId".to_owned(), user);
    for name in ["identityProviderId", "identityProviderUserId", "displayName", "token"] {
        if let Some(value) = pending.get(name) {
            link.insert(name.to_owned(), value.clone());
        }
    }
    tx.delete(Table::PENDING_LINK, id)?;
    Ok(link)
}

fn missing(place: &str, name: &str) -> Reply {
    let field = format!("{place}{name}");
    field_error("missing", &field, format!("You must specify the [{field}] property."))
}

/// Checks a link and puts it.
fn insert(call: &Call<'_>, tx: &mut Transaction<'_>, place: &str, mut link: Object) -> Result<Uuid, Reply> {
    let required = |name: &str| missing(place, name);
    let provider_id = uuid_at(&link, "identityProviderId").ok_or_else(|| required("identityProviderId"))?;
    let provider_user = text_at(&link, "identityProviderUserId").filter(|text| !text.is_empty());
    let provider_user = provider_user.ok_or_else(|| required("identityProviderUserId"))?.to_owned();
    let user_id = uuid_at(&link, "userId").ok_or_else(|| required("userId"))?;
    let invalid = |name: &str, id: Uuid| {
        let field = format!("{place}{name}");
        field_error("invalid", &field, format!("[{field}] = [{id}] does not exist."))
    };
    let provider = tx
        .get(Table::IDENTITY_PROVIDER, provider_id)
        .ok_or_else(|| invalid("identityProviderId", provider_id))?;
    let user = tx
        .get(Table::USER, user_id)
        .filter(|user| call.in_scope(uuid_at(user, "tenantId")))
        .ok_or_else(|| invalid("userId", user_id))?;
    let tenant = uuid_at(&user, "tenantId").unwrap_or_default();
    if uuid_at(&provider, "tenantId").is_some_and(|own| own != tenant) {
        return Err(invalid("identityProviderId", provider_id));
    }
    if tx.holder(&key(tenant, provider_id, &provider_user)).is_some() {
        let field = format!("{place}identityProviderUserId");
        return Err(field_error(
            "duplicate",
            &field,
            "A link for this user of the identity provider already exists.",
        ));
    }
    let limit = limit(&provider, tenant);
    if limit.is_some_and(|limit| count(tx, user_id, provider_id) >= limit) {
        let message = "The user has as many links to this identity provider as the tenant allows.";
        return Err(general_error(400, "LinkCountExceeded", message));
    }
    let (id, now) = (Uuid::new_v4(), call.now());
    // The instant of the last login is never null: that of a new link is its birth (wire notes §7, §13).
    link.insert("insertInstant".to_owned(), json!(now));
    link.insert("lastLoginInstant".to_owned(), json!(now));
    link.insert("tenantId".to_owned(), json!(tenant));
    tx.put(Table::LINK, id, &link)?;
    Ok(id)
}

/// The maximum of links when the tenant limits them.
fn limit(provider: &Object, tenant: Uuid) -> Option<i64> {
    let limit = tenant_configuration(provider, tenant)?.get("limitUserLinkCount")?;
    if limit.get("enabled").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    Some(limit.get("maximumLinks").and_then(Value::as_i64).unwrap_or(DEFAULT_MAXIMUM_LINKS))
}

fn tenant_configuration(provider: &Object, tenant: Uuid) -> Option<&Value> {
    provider.get("tenantConfiguration")?.get(tenant.to_string())
}

/// How many links a user has to a provider.
fn count(state: &State, user: Uuid, provider: Uuid) -> i64 {
    let links =
        state.related(Relation::LinksOfUser, user).iter().filter_map(|id| state.get(Table::LINK, *id));
    let of_provider = links.filter(|link| uuid_at(link, "identityProviderId") == Some(provider)).count();
    i64::try_from(of_provider).unwrap_or(i64::MAX)
}

/// The link as it is answered: with name (since 1.47) and type of its provider (since 1.46 when retrieved, says the
/// links document).
fn shown(call: &Call<'_>, state: &State, mut link: Object) -> Object {
    let provider =
        uuid_at(&link, "identityProviderId").and_then(|id| state.get(Table::IDENTITY_PROVIDER, id));
    if let Some(provider) = provider {
        let known = |name: &str| provider.get(name).cloned().unwrap_or_default();
        if call.version().since(47) {
            link.insert("identityProviderName".to_owned(), known("name"));
        }
        if call.version().since(46) || call.route.method != "GET" {
            link.insert("identityProviderType".to_owned(), known("type"));
        }
    }
    link
}

/// One link by (provider, its user id), or an array by user and one of the two (wire notes §13).
fn retrieve(call: &Call<'_>) -> Outcome {
    let (provider, provider_user, user) = (
        call.query_id("identityProviderId")?,
        call.query("identityProviderUserId"),
        call.query_id("userId")?,
    );
    let state = call.read();
    let visible = |link: &Object| call.in_scope(uuid_at(link, "tenantId"));
    if let (Some(provider), Some(provider_user)) = (provider, provider_user) {
        let mut found = state
            .rows(Table::TENANT)
            .filter_map(|(tenant, _)| state.holder(&key(tenant, provider, provider_user)))
            .filter_map(|id| state.get(Table::LINK, id))
            .filter(visible)
            .filter(|link| user.is_none() || uuid_at(link, "userId") == user);
        let link = found.next().ok_or_else(Reply::not_found)?;
        if found.next().is_some() {
            return Err(super::call::tenant_required());
        }
        return Ok(Reply::ok(&json!({ "identityProviderLink": shown(call, &state, link) })));
    }
    let Some(user) = user else {
        return Err(missing("", if provider.is_some() { "identityProviderUserId" } else { "userId" }));
    };
    let account = state.get(Table::USER, user).filter(|user| call.in_scope(uuid_at(user, "tenantId")));
    if account.is_none() {
        return Err(Reply::not_found());
    }
    let links: Vec<Object> = state
        .related(Relation::LinksOfUser, user)
        .iter()
        .filter_map(|id| state.get(Table::LINK, *id))
        .filter(|link| provider.is_none() || uuid_at(link, "identityProviderId") == provider)
        .filter(|link| provider_user.is_none() || text_at(link, "identityProviderUserId") == provider_user)
        .map(|link| shown(call, &state, link))
        .collect();
    Ok(Reply::ok(&json!({ "identityProviderLinks": links })))
}

/// All three parameters are needed; the answer has no body.
fn delete(call: &Call<'_>) -> Outcome {
    let provider = call.query_id("identityProviderId")?.ok_or_else(|| missing("", "identityProviderId"))?;
    let provider_user =
        call.query("identityProviderUserId").ok_or_else(|| missing("", "identityProviderUserId"))?;
    let user = call.query_id("userId")?.ok_or_else(|| missing("", "userId"))?;
    let mut tx = call.write();
    let found = tx
        .related(Relation::LinksOfUser, user)
        .iter()
        .filter_map(|id| Some((*id, tx.get(Table::LINK, *id)?)))
        .find(|(_, link)| {
            uuid_at(link, "identityProviderId") == Some(provider)
                && text_at(link, "identityProviderUserId") == Some(provider_user)
                && call.in_scope(uuid_at(link, "tenantId"))
        });
    let (id, mut link) = found.ok_or_else(Reply::not_found)?;
    tx.delete(Table::LINK, id)?;
    tx.commit()?;
    link.remove("token");
    let tenant = uuid_at(&link, "tenantId");
    events::emit(
        call,
        "user.identity-provider.unlink",
        tenant,
        json!({ "identityProviderLink": link, "userId": user }),
    );
    Ok(Reply::empty(200))
}

/// A pending link that has not expired and is in the request's scope.
fn find_pending(call: &Call<'_>, state: &State, pending: &str) -> Option<(Uuid, Object)> {
    let id = state.holder(&UniqueKey::global(Unique::PendingLinkId, pending))?;
    let link = state.get(Table::PENDING_LINK, id)?;
    let tenant = uuid_at(&link, "tenantId")?;
    let born = link.get("insertInstant").and_then(Value::as_i64)?;
    let lifetime = state.get(Table::TENANT, tenant).and_then(|tenant| {
        tenant.get("externalIdentifierConfiguration")?.get("pendingAccountLinkTimeToLiveInSeconds")?.as_i64()
    });
    let is_alive = call.now() < born.saturating_add(lifetime.unwrap_or(3_600).saturating_mul(1_000));
    (is_alive && call.in_scope(Some(tenant))).then_some((id, link))
}

fn retrieve_pending(call: &Call<'_>) -> Outcome {
    if !call.version().since(46) {
        return Err(Reply::not_found());
    }
    let user = call.query_id("userId")?;
    let state = call.read();
    let pending = call.path("pendingLinkId").and_then(|id| find_pending(call, &state, id));
    let (_, pending) = pending.ok_or_else(Reply::not_found)?;
    let provider_id = uuid_at(&pending, "identityProviderId").ok_or_else(Reply::not_found)?;
    let provider = state.get(Table::IDENTITY_PROVIDER, provider_id).ok_or_else(Reply::not_found)?;
    let tenant = uuid_at(&pending, "tenantId").unwrap_or_default();
    let mut body = Object::new();
    if let Some(limit) = tenant_configuration(&provider, tenant).and_then(|it| it.get("limitUserLinkCount")) {
        body.insert("identityProviderTenantConfiguration".to_owned(), json!({ "limitUserLinkCount": limit }));
    }
    if let Some(user) = user {
        if !state.contains(Table::USER, user) {
            return Err(field_error("invalid", "userId", format!("The user [{user}] does not exist.")));
        }
        body.insert("linkCount".to_owned(), json!(count(&state, user, provider_id)));
    }
    let mut link = shown(call, &state, pending);
    for name in ["insertInstant", "tenantId", "token", "pendingIdPLinkId"] {
        link.remove(name);
    }
    body.insert("pendingIdPLink".to_owned(), Value::Object(link));
    Ok(Reply::ok(&body))
}

/// Makes a pending link as a login with the strategy "create a pending link" would.
fn create_pending(call: &Call<'_>) -> Outcome {
    const PENDING_FIELDS: [Field; 7] = [
        field("displayName", Kind::Text),
        field("email", Kind::Text),
        field("identityProviderId", Kind::Uuid),
        field("identityProviderUserId", Kind::Text),
        field("tenantId", Kind::Uuid),
        field("token", Kind::Text),
        field("username", Kind::Text),
    ];
    let mut errors = Errors::new();
    let mut link = read("", &PENDING_FIELDS, &call.json_object()?, &mut errors);
    errors.check()?;
    let mut tx = call.write();
    let tenant = call.tenant_for_new(&tx, uuid_at(&link, "tenantId"))?;
    let provider = uuid_at(&link, "identityProviderId").ok_or_else(|| missing("", "identityProviderId"))?;
    if !tx.contains(Table::IDENTITY_PROVIDER, provider) {
        return Err(field_error("invalid", "identityProviderId", "The identity provider does not exist."));
    }
    if text_at(&link, "identityProviderUserId").is_none_or(str::is_empty) {
        return Err(missing("", "identityProviderUserId"));
    }
    let pending = tokens::opaque_id();
    link.insert("tenantId".to_owned(), json!(tenant));
    link.insert("insertInstant".to_owned(), json!(call.now()));
    link.insert("pendingIdPLinkId".to_owned(), json!(pending));
    tx.put(Table::PENDING_LINK, Uuid::new_v4(), &link)?;
    tx.commit()?;
    Ok(Reply::ok(&json!({ "pendingIdPLinkId": pending })))
}
