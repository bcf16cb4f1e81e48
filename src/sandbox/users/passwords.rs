//! Forgotten and changed passwords.

use serde_json::{Value, json};

use super::super::call::{Call, Caller};
use super::super::reply::{Errors, Outcome, Reply, field_error};
use super::super::store::{Object, State, Transaction, Unique, UniqueKey, text_at};
use super::create::{merge, password_error, user_content};
use super::effects::Effects;
use super::login::{strings, user_of_token};
use super::model::{Reason, User};
use super::names::{LoginIdType, by_login_id, login_id_types, visible};
use super::settings::Settings;
use super::tokens;
use super::update::set_password;
use super::verification::verified_email;

/// `POST /api/user/forgot-password`
pub fn forgot(call: &Call<'_>) -> Outcome {
    let flags = ["sendForgotPasswordEmail", "sendForgotPasswordMessage"];
    let body = call.typed_object(&["changePasswordId", "email", "loginId", "username"], &flags)?;
    let given =
        text_at(&body, "loginId").or_else(|| text_at(&body, "email")).or_else(|| text_at(&body, "username"));
    let Some(login_id) = given.filter(|text| !text.trim().is_empty()) else {
        return Err(field_error("blank", "loginId", "You must specify the loginId."));
    };
    let types = login_id_types(call, strings(&body, "loginIdTypes"))?;
    // Only a key may keep the message back or choose the id.
    let wants = |name: &str| body.get(name).and_then(Value::as_bool);
    let send = !call.has_key()
        || wants("sendForgotPasswordMessage").or_else(|| wants("sendForgotPasswordEmail")).unwrap_or(true);
    let own_id = text_at(&body, "changePasswordId").filter(|id| call.has_key() && !id.is_empty());
    let mut tx = call.write();
    let tenant = call.required_scope(&tx)?;
    let settings = Settings::of(&tx, tenant);
    if send && !settings.mails_forgotten_passwords() {
        return Err(Reply::empty(403));
    }
    let (id, kind) = by_login_id(&tx, tenant, login_id, &types).ok_or_else(Reply::not_found)?;
    // A deactivated user is as good as none.
    let user = User::load(&tx, id).filter(|user| user.active).ok_or_else(Reply::not_found)?;
    if let Some(own) = own_id
        && tx.holder(&UniqueKey::global(Unique::ChangePasswordId, own)).is_some()
    {
        return Err(field_error("duplicate", "changePasswordId", format!("The id [{own}] is in use.")));
    }
    let address = user.mail_address();
    if send && kind != LoginIdType::PhoneNumber && address.is_none() {
        return Err(Reply::empty(422));
    }
    let lifetime = settings.change_password_lifetime();
    let token = tokens::issue_change_password(&mut tx, id, own_id, lifetime, send)?;
    let mut effects = Effects::default();
    if send {
        let mut content = user_content(&tx, &user, call.version());
        merge(&mut content, json!({"changePasswordId": token}));
        match (kind, &user.phone_number, &address) {
            (LoginIdType::PhoneNumber, Some(number), _) => {
                effects.sms("forgot-password", tenant, number, content);
            }
            (_, _, Some(address)) => effects.email("forgot-password", tenant, address, content),
            _ => {}
        }
    }
    tx.commit()?;
    effects.record(call);
    if call.has_key() { Ok(Reply::ok(&json!({"changePasswordId": token}))) } else { Ok(Reply::empty(200)) }
}

/// `GET /api/user/change-password/{changePasswordId}`, `?changePasswordId=`, with a JWT or, with a key, `?loginId=`:
/// whether a change would find its user.
pub fn check(call: &Call<'_>) -> Outcome {
    if let Caller::Bearer(token) = &call.caller {
        return user_of_token(call, &call.read(), token).map(|_| Reply::empty(200));
    }
    if let (true, Some(login_id)) = (call.has_key(), call.query("loginId")) {
        let types = login_id_types(call, call.query_all("loginIdTypes"))?;
        let state = call.read();
        let found = by_login_id(&state, call.required_scope(&state)?, login_id, &types);
        return if found.is_some() { Ok(Reply::empty(200)) } else { Err(Reply::not_found()) };
    }
    let Some(token) = call.path("changePasswordId").or_else(|| call.query("changePasswordId")) else {
        return Err(field_error("blank", "changePasswordId", "You must specify the changePasswordId."));
    };
    match tokens::find_change_password(&call.read(), token, call.now()) {
        Some(_) => Ok(Reply::empty(200)),
        None => Err(Reply::not_found()),
    }
}

/// By what a change of a password is allowed.
enum Proof {
    /// The id; whether FusionAuth itself had mailed it.
    Id {
        mailed: bool,
    },
    LoginId,
    Jwt,
}

/// `POST /api/user/change-password[/{changePasswordId}]`: the id goes before the login id, the body's before the path's.
pub fn change(call: &Call<'_>) -> Outcome {
    let body = call.typed_object(&["changePasswordId", "currentPassword", "loginId", "password"], &[])?;
    let plain = text_at(&body, "password").unwrap_or_default();
    let mut errors = Errors::new();
    if plain.is_empty() {
        errors.field("blank", "password", "You must specify the password.");
    }
    errors.check()?;
    let mut tx = call.write();
    let (user, proof) = find(call, &tx, &body)?;
    let settings = Settings::of(&tx, user.tenant_id);
    check_current(&body, &user, &proof)?;
    let mut errors = Errors::new();
    let now = tx.now();
    settings.check_password(plain, "password", Some(&user), now, &mut errors);
    errors.check()?;
    let hashed = settings.hash(plain, None, None).map_err(|error| password_error(&error, "user"))?;
    let mut effects = Effects::default();
    store(call, &mut tx, user, hashed, &settings, &proof, &mut effects)?;
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

fn find(call: &Call<'_>, state: &State, body: &Object) -> Result<(User, Proof), Reply> {
    if let Caller::Bearer(token) = &call.caller {
        return Ok((user_of_token(call, state, token)?, Proof::Jwt));
    }
    let in_body = text_at(body, "changePasswordId").filter(|text| !text.is_empty());
    if let Some(token) = in_body.or_else(|| call.path("changePasswordId")) {
        let token = tokens::find_change_password(state, token, call.now()).ok_or_else(Reply::not_found)?;
        let user = visible(call, state, token.user)?;
        return if user.active {
            Ok((user, Proof::Id { mailed: token.mailed }))
        } else {
            Err(Reply::not_found())
        };
    }
    let Some(login_id) = text_at(body, "loginId").filter(|text| !text.trim().is_empty()) else {
        let message = "You must specify the changePasswordId or the loginId.";
        return Err(field_error("blank", "changePasswordId", message));
    };
    if !call.has_key() {
        return Err(Reply::empty(401));
    }
    let types = login_id_types(call, strings(body, "loginIdTypes"))?;
    let tenant = call.required_scope(state)?;
    let (id, _) = by_login_id(state, tenant, login_id, &types).ok_or_else(Reply::not_found)?;
    let user = User::load(state, id).filter(|user| user.active).ok_or_else(Reply::not_found)?;
    Ok((user, Proof::LoginId))
}

/// The current password is checked when it is given; a JWT needs it.
fn check_current(body: &Object, user: &User, proof: &Proof) -> Result<(), Reply> {
    match text_at(body, "currentPassword") {
        None if matches!(proof, Proof::Jwt) => {
            Err(field_error("blank", "currentPassword", "You must specify the currentPassword."))
        }
        None => Ok(()),
        Some(current) if user.password.as_ref().is_some_and(|password| password.matches(current)) => Ok(()),
        Some(_) => Err(field_error("invalid", "currentPassword", "The current password is not correct.")),
    }
}

/// Success ends all outstanding ids, and verifies the e-mail when FusionAuth had mailed the id (wire notes §4).
fn store(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    mut user: User,
    hashed: super::super::password::Hashed,
    settings: &Settings,
    proof: &Proof,
    effects: &mut Effects,
) -> Result<(), Reply> {
    let now = tx.now();
    set_password(&mut user, hashed, settings, now);
    user.profile.password_change_required = false;
    user.profile.password_change_reason = None;
    user.last_update_instant = now;
    user.store(tx)?;
    tokens::end_change_password(tx, user.id)?;
    effects.event(tx, "user.password.update", user.tenant_id, || user_content(tx, &user, call.version()));
    let mailed = matches!(proof, Proof::Id { mailed: true });
    if mailed && settings.verifies_implicitly() && user.email.is_some() && !user.verified {
        verified_email(call, tx, user, None, Reason::Implicit, effects)?;
    }
    Ok(())
}
