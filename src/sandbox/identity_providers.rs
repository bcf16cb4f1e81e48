//! Identity providers, as far as links need them (wire notes §2, §7): kept as they are given over a few defaults.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::{Family, Listing, NameRule, check_name, existing, name_key, new_id};
use super::fields::{lenient, with_defaults};
use super::lambdas::check_lambda_references;
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::store::{Object, Relation, State, Table, Transaction, Unique, text_at, uuid_at};

const BASE: &str = "/api/identity-provider";
const SEARCH: &str = "/api/identity-provider/search";

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/identity-provider/{identityProviderId}", BASE, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/identity-provider/{identityProviderId}", BASE, |call| FAMILY.retrieve(call)),
        Route::new("PUT", "/api/identity-provider/{identityProviderId}", BASE, |call| FAMILY.update(call)),
        Route::new("PATCH", "/api/identity-provider/{identityProviderId}", BASE, |call| FAMILY.patch(call)),
        Route::new("DELETE", "/api/identity-provider/{identityProviderId}", BASE, delete),
        Route::new("GET", SEARCH, SEARCH, search),
        Route::new("POST", SEARCH, SEARCH, search),
    ]
}

/// The types; those after the first four have a name of their own and need none (inferred).
const TYPES: [&str; 16] = [
    "ExternalJWT",
    "OpenIDConnect",
    "SAMLv2",
    "SAMLv2IdPInitiated",
    "Apple",
    "EpicGames",
    "Facebook",
    "Google",
    "HYPR",
    "LinkedIn",
    "Nintendo",
    "SonyPSN",
    "Steam",
    "Twitch",
    "Twitter",
    "Xbox",
];
const NAMED: usize = 4;

/// How many links a user may have when the limit is on and no number is given (wire notes §7).
pub const DEFAULT_MAXIMUM_LINKS: i64 = 42;

const FAMILY: Family = Family {
    table: Table::IDENTITY_PROVIDER,
    param: "identityProviderId",
    wrapper: "identityProvider",
    replace,
};

fn create(call: &Call<'_>) -> Outcome {
    let given = lenient(call.wrapped("identityProvider")?);
    let mut tx = call.write();
    let id = new_id(call, &tx, Table::IDENTITY_PROVIDER, "identityProviderId")?;
    let mut provider = checked(&tx, id, given, None)?;
    stamp(&mut provider, id, call.now());
    tx.put(Table::IDENTITY_PROVIDER, id, &provider)?;
    FAMILY.finish(tx, id)
}

fn checked(state: &State, id: Uuid, mut provider: Object, old: Option<&Object>) -> Result<Object, Reply> {
    let mut errors = Errors::new();
    let kind =
        text_at(&provider, "type").or_else(|| old.and_then(|old| text_at(old, "type"))).map(str::to_owned);
    let place = kind.as_deref().and_then(|kind| TYPES.iter().position(|known| *known == kind));
    match (&kind, place) {
        (None, _) => errors.field("missing", "identityProvider.type", "You must specify the type."),
        (Some(kind), None) => {
            errors.field("invalid", "identityProvider.type", format!("[{kind}] is not a type."));
        }
        (Some(kind), Some(place)) => {
            if old.is_some_and(|old| text_at(old, "type") != Some(kind)) {
                errors.field("invalid", "identityProvider.type", "The type cannot be changed.");
            }
            provider.insert("type".to_owned(), json!(kind));
            if place >= NAMED && text_at(&provider, "name").is_none_or(str::is_empty) {
                provider.insert("name".to_owned(), json!(kind));
            }
        }
    }
    let unique = name_key(Unique::IdentityProviderName, uuid_at(&provider, "tenantId"), &provider);
    let rule = NameRule { field: "identityProvider.name", unique, longest: 191 };
    check_name(state, text_at(&provider, "name"), id, rule, &mut errors);
    check_lambda_references(state, "identityProvider", &provider, &mut errors);
    check_tenants(state, &mut provider, &mut errors);
    errors.check()?;
    let defaults = json!({
        "applicationConfiguration": {}, "data": {}, "debug": false, "enabled": false,
        "linkingStrategy": "LinkByEmail", "tenantConfiguration": {},
    });
    with_defaults(&mut provider, defaults);
    for name in ["id", "insertInstant", "lastUpdateInstant"] {
        provider.remove(name);
    }
    Ok(provider)
}

/// The link limits by tenant: the tenant must exist, the defaults are off and 42.
fn check_tenants(state: &State, provider: &mut Object, errors: &mut Errors) {
    let Some(Value::Object(tenants)) = provider.get_mut("tenantConfiguration") else { return };
    for (tenant, configuration) in tenants {
        let known = super::call::parse_uuid(tenant).is_some_and(|id| state.contains(Table::TENANT, id));
        let field = format!("identityProvider.tenantConfiguration[{tenant}]");
        let Value::Object(configuration) = configuration else { continue };
        if !known {
            errors.field("invalid", &field, format!("The tenant [{tenant}] does not exist."));
        }
        let limit = json!({ "enabled": false, "maximumLinks": DEFAULT_MAXIMUM_LINKS });
        with_defaults(configuration, json!({ "data": {}, "limitUserLinkCount": limit }));
    }
}

/// All of them, or those of a `type`. Of a brand there is one as a rule, which the vendor's clients expect as
/// `identityProvider`; it stands beside the list (inferred), and none at all is a 404.
fn list(call: &Call<'_>) -> Outcome {
    let kind = call.query("type");
    if let Some(kind) = kind.filter(|kind| !TYPES.contains(kind)) {
        return Err(field_error("invalid", "type", format!("[{kind}] is not a type.")));
    }
    let state = call.read();
    let providers: Vec<Object> = state
        .objects(Table::IDENTITY_PROVIDER)
        .map(|(_, provider)| provider)
        .filter(|provider| call.in_scope(uuid_at(provider, "tenantId")))
        .filter(|provider| kind.is_none_or(|kind| text_at(provider, "type") == Some(kind)))
        .collect();
    let is_brand = kind.is_some_and(|kind| TYPES.iter().skip(NAMED).any(|brand| *brand == kind));
    match providers.first() {
        None if is_brand => Err(Reply::not_found()),
        Some(first) if is_brand => {
            Ok(Reply::ok(&json!({ "identityProvider": first, "identityProviders": providers })))
        }
        _ => Ok(Reply::ok(&json!({ "identityProviders": providers }))),
    }
}

fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    given: Object,
    old: &Object,
) -> Result<(), Reply> {
    let mut provider = checked(tx, id, lenient(given), Some(old))?;
    stamp(&mut provider, id, call.now());
    provider.insert("insertInstant".to_owned(), old.get("insertInstant").cloned().unwrap_or_default());
    Ok(tx.put(Table::IDENTITY_PROVIDER, id, &provider)?)
}

/// Deleting a provider removes its links (wire notes §7).
fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, _) = existing(call, &tx, Table::IDENTITY_PROVIDER, "identityProviderId")?;
    for link in tx.related(Relation::LinksOfProvider, id).to_vec() {
        tx.delete(Table::LINK, link)?;
    }
    tx.delete(Table::IDENTITY_PROVIDER, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

fn search(call: &Call<'_>) -> Outcome {
    let listing = Listing::read(call, &["name", "id", "insertInstant", "enabled", "type"])?;
    let (application, kind) = (listing.text("applicationId"), listing.text("type"));
    let state = call.read();
    let rows = state
        .objects(Table::IDENTITY_PROVIDER)
        .map(|(_, provider)| provider)
        .filter(|provider| call.in_scope(uuid_at(provider, "tenantId")))
        .filter(|provider| listing.fits("name", text_at(provider, "name")))
        .filter(|provider| kind.is_none_or(|kind| text_at(provider, "type") == Some(kind)))
        .filter(|provider| {
            application.is_none_or(|id| {
                provider.get("applicationConfiguration").is_some_and(|map| map.get(id).is_some())
            })
        })
        .collect();
    let (providers, total) = listing.page(rows);
    Ok(Reply::ok(&json!({ "identityProviders": providers, "total": total })))
}
