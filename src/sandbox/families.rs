//! Families and users' consents, kept by the generic store with the few rules that Kickstart files run into: members
//! and consenting users must exist, a family has members under their user ids.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bootstrap::stamp;
use super::call::Call;
use super::crud::{self, existing, new_id};
use super::fields::{Field, Kind, field, read, with_defaults};
use super::generic::generic_ok;
use super::reply::{Errors, Outcome, Reply, field_error};
use super::router::Route;
use super::store::{Object, State, Table, text_at, uuid_at};

const FAMILY: Table = Table("family");
const USER_CONSENT: Table = Table("userConsent");
const FAMILY_BASE: &str = "/api/user/family";
const CONSENT_BASE: &str = "/api/user/consent";

/// The tables of this family.
pub const TABLES: [Table; 2] = [FAMILY, USER_CONSENT];

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("POST", FAMILY_BASE, FAMILY_BASE, create_family),
        Route::new("POST", "/api/user/family/{familyId}", FAMILY_BASE, create_family),
        Route::new("PUT", "/api/user/family/{familyId}", FAMILY_BASE, add_member),
        Route::new("GET", FAMILY_BASE, FAMILY_BASE, families_of_user),
        Route::new("GET", "/api/user/family/{familyId}", FAMILY_BASE, retrieve_family),
        Route::new("DELETE", "/api/user/family/{familyId}/{userId}", FAMILY_BASE, remove_member),
        Route::new("POST", CONSENT_BASE, CONSENT_BASE, create_consent),
        Route::new("POST", "/api/user/consent/{userConsentId}", CONSENT_BASE, create_consent),
        Route::new("PUT", "/api/user/consent/{userConsentId}", CONSENT_BASE, update_consent),
        Route::new("PATCH", "/api/user/consent/{userConsentId}", CONSENT_BASE, patch_consent),
        Route::new("GET", CONSENT_BASE, CONSENT_BASE, consents_of_user),
        Route::new("GET", "/api/user/consent/{userConsentId}", CONSENT_BASE, retrieve_consent),
        Route::new("DELETE", "/api/user/consent/{userConsentId}", CONSENT_BASE, revoke_consent),
    ]
}

const MEMBER_FIELDS: [Field; 4] = [
    field("data", Kind::Data),
    field("owner", Kind::Boolean),
    field("role", Kind::OneOf(&["Child", "Teen", "Adult"])),
    field("userId", Kind::Uuid),
];

fn checked_member(call: &Call<'_>, state: &State) -> Result<Object, Reply> {
    let mut errors = Errors::new();
    let mut member = read("familyMember", &MEMBER_FIELDS, &call.wrapped("familyMember")?, &mut errors);
    match uuid_at(&member, "userId") {
        None => errors.field(
            "missing",
            "familyMember.userId",
            "You must specify the [familyMember.userId] property.",
        ),
        Some(user) => check_user(call, state, user, "familyMember.userId", &mut errors),
    }
    if text_at(&member, "role").is_none() {
        errors.field("missing", "familyMember.role", "You must specify the [familyMember.role] property.");
    }
    errors.check()?;
    with_defaults(&mut member, json!({ "data": {}, "owner": false }));
    member.insert("insertInstant".to_owned(), json!(call.now()));
    member.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    Ok(member)
}

fn check_user(call: &Call<'_>, state: &State, user: Uuid, field: &str, errors: &mut Errors) {
    let found = state.get(Table::USER, user).filter(|user| call.in_scope(uuid_at(user, "tenantId")));
    if found.is_none() {
        errors.field("invalid", field, format!("The user with the Id [{user}] does not exist."));
    }
}

fn members(family: &Object) -> Vec<Object> {
    super::applications::items(family, "members")
}

fn create_family(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let id = new_id(call, &tx, FAMILY, "familyId")?;
    let member = checked_member(call, &tx)?;
    let mut family = Object::new();
    family.insert("members".to_owned(), json!([member]));
    stamp(&mut family, id, call.now());
    tx.put(FAMILY, id, &family)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ "family": family })))
}

/// Adds a member, or replaces the one with that user.
fn add_member(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, mut family) = existing(call, &tx, FAMILY, "familyId")?;
    let member = checked_member(call, &tx)?;
    let mut list = members(&family);
    list.retain(|other| other.get("userId") != member.get("userId"));
    list.push(member);
    family.insert("members".to_owned(), json!(list));
    family.insert("lastUpdateInstant".to_owned(), json!(call.now()));
    tx.put(FAMILY, id, &family)?;
    tx.commit()?;
    Ok(generic_ok(&json!({ "family": family })))
}

fn retrieve_family(call: &Call<'_>) -> Outcome {
    let (_, family) = existing(call, &call.read(), FAMILY, "familyId")?;
    Ok(generic_ok(&json!({ "family": family })))
}

fn families_of_user(call: &Call<'_>) -> Outcome {
    let user = user_of_query(call)?;
    let families: Vec<Object> = call
        .read()
        .objects(FAMILY)
        .map(|(_, family)| family)
        .filter(|family| members(family).iter().any(|member| text_at(member, "userId") == Some(&user)))
        .collect();
    if families.is_empty() {
        return Err(Reply::not_found());
    }
    Ok(generic_ok(&json!({ "families": families })))
}

fn user_of_query(call: &Call<'_>) -> Result<String, Reply> {
    match call.query_id("userId")? {
        Some(user) => Ok(user.to_string()),
        None => Err(field_error("missing", "userId", "You must specify the [userId] parameter.")),
    }
}

fn remove_member(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    let (id, mut family) = existing(call, &tx, FAMILY, "familyId")?;
    let user = call.required_id("userId")?.to_string();
    let mut list = members(&family);
    let before = list.len();
    list.retain(|member| text_at(member, "userId") != Some(&user));
    if list.len() == before {
        return Err(Reply::not_found());
    }
    family.insert("members".to_owned(), json!(list));
    tx.put(FAMILY, id, &family)?;
    tx.commit()?;
    Ok(Reply::empty(200))
}

const CONSENT_FIELDS: [Field; 6] = [
    field("consentId", Kind::Uuid),
    field("data", Kind::Data),
    field("giverUserId", Kind::Uuid),
    field("status", Kind::OneOf(&["Active", "Revoked"])),
    field("userId", Kind::Uuid),
    field("values", Kind::List(&Kind::Text)),
];

fn checked_consent(call: &Call<'_>, state: &State, given: &Object) -> Result<Object, Reply> {
    let mut errors = Errors::new();
    let mut consent = read("userConsent", &CONSENT_FIELDS, given, &mut errors);
    for name in ["userId", "giverUserId"] {
        let field = format!("userConsent.{name}");
        match uuid_at(&consent, name) {
            None => errors.field("missing", &field, format!("You must specify the [{field}] property.")),
            Some(user) => check_user(call, state, user, &field, &mut errors),
        }
    }
    if !uuid_at(&consent, "consentId").is_some_and(|id| state.contains(Table("consent"), id)) {
        errors.field("invalid", "userConsent.consentId", "The consent does not exist.");
    }
    errors.check()?;
    with_defaults(&mut consent, json!({ "data": {}, "status": "Active", "values": [] }));
    Ok(consent)
}

/// The user's consent as it is answered: with the consent itself.
fn shown(state: &State, mut consent: Object) -> Value {
    let whole = uuid_at(&consent, "consentId").and_then(|id| state.get(Table("consent"), id));
    consent.insert("consent".to_owned(), json!(whole));
    Value::Object(consent)
}

fn create_consent(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("userConsent")?;
    let mut tx = call.write();
    let id = new_id(call, &tx, USER_CONSENT, "userConsentId")?;
    let mut consent = checked_consent(call, &tx, &given)?;
    stamp(&mut consent, id, call.now());
    tx.put(USER_CONSENT, id, &consent)?;
    let answer = shown(&tx, consent);
    tx.commit()?;
    Ok(generic_ok(&json!({ "userConsent": answer })))
}

fn update_consent(call: &Call<'_>) -> Outcome {
    let given = call.wrapped("userConsent")?;
    change_consent(call, |_| Ok(given))
}

fn patch_consent(call: &Call<'_>) -> Outcome {
    change_consent(call, |old| {
        let mut whole = crud::patched(call, "userConsent", old, json!({}))?;
        crud::unwrapped(&mut whole, "userConsent")
    })
}

fn revoke_consent(call: &Call<'_>) -> Outcome {
    change_consent(call, |mut old| {
        old.insert("status".to_owned(), json!("Revoked"));
        Ok(old)
    })?;
    Ok(Reply::empty(200))
}

/// Who consents to what cannot be changed, only status, values and data.
fn change_consent(call: &Call<'_>, given: impl FnOnce(Object) -> Result<Object, Reply>) -> Outcome {
    let mut tx = call.write();
    let (id, old) = existing(call, &tx, USER_CONSENT, "userConsentId")?;
    let mut given = given(old.clone())?;
    for name in ["consentId", "giverUserId", "userId"] {
        given.insert(name.to_owned(), old.get(name).cloned().unwrap_or_default());
    }
    let mut consent = checked_consent(call, &tx, &given)?;
    stamp(&mut consent, id, call.now());
    consent.insert("insertInstant".to_owned(), old.get("insertInstant").cloned().unwrap_or_default());
    tx.put(USER_CONSENT, id, &consent)?;
    let answer = shown(&tx, consent);
    tx.commit()?;
    Ok(generic_ok(&json!({ "userConsent": answer })))
}

fn retrieve_consent(call: &Call<'_>) -> Outcome {
    let state = call.read();
    let (_, consent) = existing(call, &state, USER_CONSENT, "userConsentId")?;
    Ok(generic_ok(&json!({ "userConsent": shown(&state, consent) })))
}

fn consents_of_user(call: &Call<'_>) -> Outcome {
    let user = user_of_query(call)?;
    let state = call.read();
    let consents: Vec<Value> = state
        .objects(USER_CONSENT)
        .map(|(_, consent)| consent)
        .filter(|consent| text_at(consent, "userId") == Some(&user))
        .map(|consent| shown(&state, consent))
        .collect();
    Ok(generic_ok(&json!({ "userConsents": consents })))
}
