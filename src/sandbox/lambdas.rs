//! Lambdas (wire notes §6): global, 27 types, three PATCH dialects, no deletion while in use.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::{Family, Listing, NameRule, check_name, existing, new_id};
use super::fields::{Field, Kind, field, read};
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::{Access, Route};
use super::store::{Object, State, Table, Transaction, text_at};
use super::version::Version;

const BASE: &str = "/api/lambda";

pub fn routes() -> Vec<Route> {
    let search_base = "/api/lambda/search";
    let mut routes = vec![
        Route::new("POST", BASE, BASE, create),
        Route::new("POST", "/api/lambda/{lambdaId}", BASE, create),
        Route::new("GET", BASE, BASE, list),
        Route::new("GET", "/api/lambda/{lambdaId}", BASE, |call| FAMILY.retrieve(call)),
        Route::new("PUT", "/api/lambda/{lambdaId}", BASE, |call| FAMILY.update(call)),
        Route::new("PATCH", "/api/lambda/{lambdaId}", BASE, |call| FAMILY.patch(call)),
        Route::new("DELETE", "/api/lambda/{lambdaId}", BASE, delete),
        Route::new("GET", search_base, search_base, search),
        Route::new("POST", search_base, search_base, search),
    ];
    routes.iter_mut().for_each(|route| route.access = Access::GlobalKey);
    routes
}

/// Every type with the minor version that it is available since (the lambdas document and wire notes §6; those of
/// UserInfoPopulate and MFARequirement are inferred).
const TYPES: [(&str, u16); 27] = [
    ("JWTPopulate", 6),
    ("OpenIDReconcile", 6),
    ("SAMLv2Reconcile", 6),
    ("SAMLv2Populate", 6),
    ("AppleReconcile", 17),
    ("ExternalJWTReconcile", 17),
    ("FacebookReconcile", 17),
    ("GoogleReconcile", 17),
    ("HYPRReconcile", 17),
    ("TwitterReconcile", 17),
    ("LDAPConnectorReconcile", 18),
    ("LinkedInReconcile", 23),
    ("EpicGamesReconcile", 28),
    ("NintendoReconcile", 36),
    ("SonyPSNReconcile", 28),
    ("SteamReconcile", 28),
    ("TwitchReconcile", 28),
    ("XboxReconcile", 28),
    ("ClientCredentialsJWTPopulate", 28),
    ("SCIMServerGroupRequestConverter", 36),
    ("SCIMServerGroupResponseConverter", 36),
    ("SCIMServerUserRequestConverter", 36),
    ("SCIMServerUserResponseConverter", 36),
    ("SelfServiceRegistrationValidation", 43),
    ("UserInfoPopulate", 50),
    ("LoginValidation", 53),
    ("MFARequirement", 62),
];

/// The wire name of a type that this version knows; the documents' short SCIM names are aliases.
fn wire_type(name: &str, version: Version) -> Option<&'static str> {
    let long = name
        .strip_prefix("SCIM")
        .filter(|rest| !rest.starts_with("Server"))
        .map(|rest| format!("SCIMServer{rest}"));
    let name = long.as_deref().unwrap_or(name);
    TYPES.iter().find(|(known, since)| *known == name && version.since(*since)).map(|(known, _)| *known)
}

/// What can be written; `enabled` is dead from 1.69 on (wire notes §6, §13).
const FIELDS: [Field; 6] = [
    field("body", Kind::Text),
    field("debug", Kind::Boolean),
    field("enabled", Kind::Boolean),
    field("engineType", Kind::OneOf(&["GraalJS", "Nashorn"])),
    field("name", Kind::Text),
    field("type", Kind::Text),
];

const FAMILY: Family = Family { table: Table::LAMBDA, param: "lambdaId", wrapper: "lambda", replace };

fn create(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("lambda")?;
    let mut tx = call.write();
    let id = new_id(call, &tx, Table::LAMBDA, "lambdaId")?;
    let mut lambda = checked(call, &tx, id, &given, None)?;
    stamp(&mut lambda, id, call.now());
    tx.put(Table::LAMBDA, id, &lambda)?;
    FAMILY.finish(tx, id)
}

fn list(call: &Call<'_>) -> Outcome {
    let wanted = match call.query("type") {
        None => None,
        Some(name) => Some(wire_type(name, call.version()).ok_or_else(|| unknown_type("type", name))?),
    };
    let state = call.read();
    let lambdas: Vec<Object> = state
        .objects(Table::LAMBDA)
        .map(|(_, lambda)| lambda)
        .filter(|lambda| wanted.is_none_or(|wanted| text_at(lambda, "type") == Some(wanted)))
        .collect();
    Ok(Reply::ok(&json!({ "lambdas": lambdas })))
}

fn replace(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    id: Uuid,
    given: Object,
    old: &Object,
) -> Result<(), Reply> {
    let mut lambda = checked(call, tx, id, &given, Some(old))?;
    lambda.insert("id".to_owned(), json!(id));
    lambda.insert("insertInstant".to_owned(), old.get("insertInstant").cloned().unwrap_or_default());
    lambda.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    Ok(tx.put(Table::LAMBDA, id, &lambda)?)
}

/// Reads and checks what was given; the type is fixed once the lambda exists.
fn checked(
    call: &Call<'_>,
    state: &State,
    id: Uuid,
    given: &Object,
    old: Option<&Object>,
) -> Result<Object, Reply> {
    let mut errors = Errors::new();
    let mut lambda = read("lambda", &FIELDS, given, &mut errors);
    let rule = NameRule { field: "lambda.name", unique: None, longest: 191 };
    check_name(state, text_at(&lambda, "name"), id, rule, &mut errors);
    if text_at(&lambda, "body").is_none_or(|body| body.trim().is_empty()) {
        errors.field("blank", "lambda.body", "You must specify the [lambda.body] property.");
    }
    let old_type = old.and_then(|old| text_at(old, "type"));
    match (text_at(&lambda, "type").map(str::to_owned), old_type) {
        (None, Some(old)) => {
            lambda.insert("type".to_owned(), json!(old));
        }
        (None, None) => errors.field("blank", "lambda.type", "You must specify the [lambda.type] property."),
        (Some(name), old) => match wire_type(&name, call.version()) {
            None => errors.field("invalid", "lambda.type", format!("[{name}] is not a type of lambda.")),
            Some(wire) if old.is_some_and(|old| old != wire) => {
                errors.field("invalid", "lambda.type", "The type of a lambda cannot be changed.");
            }
            Some(wire) => {
                lambda.insert("type".to_owned(), json!(wire));
            }
        },
    }
    errors.check()?;
    lambda.entry("debug").or_insert(json!(false));
    lambda.entry("engineType").or_insert(json!("GraalJS"));
    if call.version().since(69) {
        lambda.remove("enabled");
    } else {
        lambda.entry("enabled").or_insert(json!(true));
    }
    Ok(lambda)
}

fn unknown_type(field: &str, name: &str) -> Reply {
    field_error("invalid", field, format!("[{name}] is not a type of lambda."))
}

fn delete(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, _) = existing(call, &tx, Table::LAMBDA, "lambdaId")?;
    if let Some((table, holder)) = user_of(&tx, id) {
        let message = format!("The lambda is in use by the {} with the Id [{holder}].", table.0);
        return Err(field_error("inUse", "lambdaId", message));
    }
    tx.delete(Table::LAMBDA, id)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

/// The application, tenant, identity provider or connector that uses a lambda (wire notes §6).
fn user_of(state: &State, lambda: Uuid) -> Option<(Table, Uuid)> {
    let text = lambda.to_string();
    let tables = [Table::APPLICATION, Table::TENANT, Table::IDENTITY_PROVIDER, Table("connector")];
    tables.into_iter().find_map(|table| {
        let mut holders = state.objects(table).filter(|(_, object)| uses(object, &text));
        holders.next().map(|(holder, _)| (table, holder))
    })
}

/// Whether an object names an id somewhere outside `data`.
fn uses(object: &Object, id: &str) -> bool {
    object.iter().filter(|(name, _)| *name != "data").any(|(_, value)| match value {
        Value::String(text) => text.eq_ignore_ascii_case(id),
        Value::Object(inner) => uses(inner, id),
        Value::Array(items) => items.iter().any(|item| match item {
            Value::Object(inner) => uses(inner, id),
            Value::String(text) => text.eq_ignore_ascii_case(id),
            _ => false,
        }),
        _ => false,
    })
}

/// Errors for the entries of an object's `lambdaConfiguration` that name no lambda.
pub fn check_lambda_references(state: &State, wrapper: &str, object: &Object, errors: &mut Errors) {
    let Some(Value::Object(configuration)) = object.get("lambdaConfiguration") else { return };
    for (name, value) in configuration {
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { continue };
        let found = super::call::parse_uuid(text).is_some_and(|id| state.contains(Table::LAMBDA, id));
        if !found {
            let message = format!("The lambda with the Id [{text}] does not exist.");
            errors.field("invalid", &format!("{wrapper}.lambdaConfiguration.{name}"), message);
        }
    }
}

fn search(call: &Call<'_>) -> Outcome {
    if !call.version().since(45) {
        return Err(Reply::not_found());
    }
    let listing = Listing::read(call, &["name", "id", "insertInstant", "engineType"])?;
    let wanted = match listing.text("type") {
        None => None,
        Some(name) => Some(wire_type(name, call.version()).ok_or_else(|| unknown_type("search.type", name))?),
    };
    let state = call.read();
    let rows = state
        .objects(Table::LAMBDA)
        .map(|(_, lambda)| lambda)
        .filter(|lambda| {
            wanted.is_none_or(|wanted| text_at(lambda, "type") == Some(wanted))
                && listing.fits("name", text_at(lambda, "name"))
                && listing.fits("body", text_at(lambda, "body"))
        })
        .collect();
    let (lambdas, total) = listing.page(rows);
    Ok(Reply::ok(&json!({ "lambdas": lambdas, "total": total })))
}
