//! `/api/identity/verify…` (since 1.59): verification of e-mail addresses and phone numbers alike.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::reply::{Errors, Outcome, Reply, field_error};
use super::super::store::{Object, State, text_at};
use super::create::{announce_verification, merge, start_verification};
use super::effects::Effects;
use super::model::{Reason, User};
use super::names::{LoginIdType, by_login_id, login_id_types};
use super::settings::Settings;
use super::tokens::{self, Verifies};
use super::verification::{complete as complete_verification, verified_email, verified_phone};

/// `POST /api/identity/verify {loginId, loginIdType}`: administrative.
pub fn verify(call: &Call<'_>) -> Outcome {
    let body = body(call)?;
    let mut tx = call.write();
    let (user, which) = find(call, &tx, &body)?;
    let mut effects = Effects::default();
    match which {
        Verifies::PhoneNumber => verified_phone(&mut tx, user, Reason::Administrative)?,
        _ => verified_email(call, &mut tx, user, None, Reason::Administrative, &mut effects)?,
    }
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

/// `POST /api/identity/verify/start {loginId, loginIdType}`: an id, and nothing is sent.
pub fn start(call: &Call<'_>) -> Outcome {
    let body = body(call)?;
    let mut tx = call.write();
    let (user, which) = find(call, &tx, &body)?;
    let settings = Settings::of(&tx, user.tenant_id);
    let (token, code) = start_verification(&mut tx, &settings, &user, which, None)?;
    tx.commit()?;
    let mut answer = json!({"verificationId": token});
    if let Some(code) = code {
        merge(&mut answer, json!({"oneTimeCode": code}));
    }
    Ok(Reply::ok(&answer))
}

/// `POST /api/identity/verify/send {verificationId}`
pub fn send(call: &Call<'_>) -> Outcome {
    let body = body(call)?;
    let id = required(&body, "verificationId")?;
    let mut effects = Effects::default();
    {
        let state = call.read();
        let token = tokens::find_verification(&state, id, call.now()).ok_or_else(Reply::not_found)?;
        let user = User::load(&state, token.user).filter(|user| call.in_scope(Some(user.tenant_id)));
        let user = user.ok_or_else(Reply::not_found)?;
        let code = token.one_time_code.as_deref();
        if let Some(address) = &token.value {
            announce_verification(&user, token.verifies, address, id, code, &mut effects);
        }
    }
    effects.record(call);
    Ok(Reply::empty(200))
}

/// `POST /api/identity/verify/complete {verificationId[, oneTimeCode]}`
pub fn complete(call: &Call<'_>) -> Outcome {
    let body = body(call)?;
    let id = required(&body, "verificationId")?;
    complete_verification(call, &body, id, |which| !matches!(which, Verifies::Registration(_)))
}

fn body(call: &Call<'_>) -> Result<Object, Reply> {
    if !call.version().since(59) {
        return Err(Reply::not_found());
    }
    call.typed_object(&["loginId", "loginIdType", "oneTimeCode", "verificationId"], &[])
}

fn required<'a>(body: &'a Object, name: &str) -> Result<&'a str, Reply> {
    let given = text_at(body, name).filter(|text| !text.trim().is_empty());
    given.ok_or_else(|| field_error("blank", name, format!("You must specify the {name}.")))
}

fn find(call: &Call<'_>, state: &State, body: &Object) -> Result<(User, Verifies), Reply> {
    let mut errors = Errors::new();
    for name in ["loginId", "loginIdType"] {
        if body.get(name).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            errors.field("blank", name, format!("You must specify the {name}."));
        }
    }
    errors.check()?;
    let (login_id, kind) = (required(body, "loginId")?, required(body, "loginIdType")?);
    let types = login_id_types(call, std::iter::once(kind))?;
    if types.contains(&LoginIdType::Username) {
        return Err(field_error("invalid", "loginIdType", "A username cannot be verified."));
    }
    let tenant = call.required_scope(state)?;
    let (id, kind) = by_login_id(state, tenant, login_id, &types).ok_or_else(Reply::not_found)?;
    let user = User::load(state, id).ok_or_else(Reply::not_found)?;
    Ok((user, if kind == LoginIdType::PhoneNumber { Verifies::PhoneNumber } else { Verifies::Email }))
}
