//! Verifying e-mail addresses and registrations: by the id that was sent, or administratively.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::Call;
use super::super::reply::{Errors, Outcome, Reply, field_error};
use super::super::store::{Object, Transaction, text_at, uuid_at};
use super::create::{start_verification, user_content};
use super::effects::Effects;
use super::model::{Reason, User};
use super::names::{self, visible};
use super::settings::Settings;
use super::tokens::{self, Token, Verifies};

/// `POST /api/user/verify-email[/{verificationId}]`: the id in the body goes before the one in the path; `{userId}`
/// with a key verifies administratively (since 1.37).
pub fn verify_email(call: &Call<'_>) -> Outcome {
    let body = call.typed_object(&["oneTimeCode", "verificationId"], &[])?;
    if let Some(token) = verification_id(call, &body) {
        return complete(call, &body, token, |which| which == Verifies::Email);
    }
    let id = administrative(call, &body)?;
    let mut tx = call.write();
    let user = visible(call, &tx, id)?;
    if user.email.is_none() {
        return Err(field_error("blank", "user.email", "The User has no email address to verify."));
    }
    let mut effects = Effects::default();
    verified_email(call, &mut tx, user, None, Reason::Administrative, &mut effects)?;
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

/// `POST /api/user/verify-registration[/{verificationId}]`, or `{userId, applicationId}` with a key.
pub fn verify_registration(call: &Call<'_>) -> Outcome {
    let body = call.typed_object(&["oneTimeCode", "verificationId"], &[])?;
    if let Some(token) = verification_id(call, &body) {
        return complete(call, &body, token, |which| matches!(which, Verifies::Registration(_)));
    }
    let id = administrative(call, &body)?;
    let Some(application) = uuid_at(&body, "applicationId") else {
        return Err(field_error("blank", "applicationId", "You must specify the applicationId."));
    };
    let mut tx = call.write();
    let user = visible(call, &tx, id)?;
    let mut effects = Effects::default();
    verified_registration(call, &mut tx, user, application, &mut effects)?;
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

fn verification_id<'a>(call: &'a Call<'_>, body: &'a Object) -> Option<&'a str> {
    text_at(body, "verificationId").filter(|text| !text.is_empty()).or_else(|| call.path("verificationId"))
}

/// The user that an administrative verification names; it needs a key.
fn administrative(call: &Call<'_>, body: &Object) -> Result<Uuid, Reply> {
    if !body.contains_key("userId") {
        return Err(field_error("blank", "verificationId", "You must specify the verificationId."));
    }
    if !call.has_key() {
        return Err(Reply::empty(401));
    }
    uuid_at(body, "userId").ok_or_else(|| field_error("couldNotConvert", "userId", "A UUID is expected."))
}

/// Completes a verification by its id; 404 when it is wrong or has expired.
pub fn complete(call: &Call<'_>, body: &Object, id: &str, fits: impl Fn(Verifies) -> bool) -> Outcome {
    let mut tx = call.write();
    let token = tokens::find_verification(&tx, id, tx.now())
        .filter(|token| fits(token.verifies))
        .ok_or_else(Reply::not_found)?;
    check_code(&token, body)?;
    let user = visible(call, &tx, token.user)?;
    let mut effects = Effects::default();
    match token.verifies {
        Verifies::Email => {
            verified_email(call, &mut tx, user, token.value.as_deref(), Reason::Completed, &mut effects)?;
        }
        Verifies::Registration(application) => {
            verified_registration(call, &mut tx, user, application, &mut effects)?;
        }
        Verifies::PhoneNumber => verified_phone(&mut tx, user, Reason::Completed)?,
    }
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

/// Where the tenant verifies by a form, the short code must go with the id.
fn check_code(token: &Token, body: &Object) -> Result<(), Reply> {
    let Some(expected) = &token.one_time_code else { return Ok(()) };
    match text_at(body, "oneTimeCode") {
        None | Some("") => Err(field_error("blank", "oneTimeCode", "You must specify the oneTimeCode.")),
        Some(code) if code == expected => Ok(()),
        Some(_) => Err(Reply::not_found()),
    }
}

/// Marks the address verified; an address that waited takes effect now, unless somebody else took it meanwhile.
pub fn verified_email(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    mut user: User,
    address: Option<&str>,
    reason: Reason,
    effects: &mut Effects,
) -> Result<(), Reply> {
    let now = tx.now();
    let waited =
        address.is_some() && user.pending_email.as_deref() == address && address != user.email.as_deref();
    if waited {
        user.email = user.pending_email.take();
        let names = super::input::Names { email: user.email.clone(), ..Default::default() };
        let mut errors = Errors::new();
        names::check_free(tx, user.tenant_id, user.id, &names, "user", &mut errors);
        errors.check()?;
    } else if address.is_some() && address != user.email.as_deref() {
        // The id is about an address that the user no longer has.
        return Err(Reply::not_found());
    }
    if let Some(identity) = &mut user.email_identity {
        identity.verify(now, reason);
    }
    user.verified = true;
    user.verified_instant = user.verified_instant.or(Some(now));
    user.last_update_instant = now;
    user.store(tx)?;
    tokens::end_verifications(tx, user.id, Verifies::Email)?;
    effects.event(tx, "user.email.verified", user.tenant_id, || user_content(tx, &user, call.version()));
    Ok(())
}

/// Marks the phone number verified.
pub fn verified_phone(tx: &mut Transaction<'_>, mut user: User, reason: Reason) -> Result<(), Reply> {
    let now = tx.now();
    let identity = user.phone_identity.as_mut().ok_or_else(Reply::not_found)?;
    identity.verify(now, reason);
    user.last_update_instant = now;
    user.store(tx)?;
    tokens::end_verifications(tx, user.id, Verifies::PhoneNumber)?;
    Ok(())
}

fn verified_registration(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    mut user: User,
    application: Uuid,
    effects: &mut Effects,
) -> Result<(), Reply> {
    let now = tx.now();
    let registration = user.registration_mut(application).ok_or_else(Reply::not_found)?;
    if !registration.verified {
        registration.verified_instant = Some(now);
    }
    registration.verified = true;
    registration.last_update_instant = now;
    user.store(tx)?;
    tokens::end_verifications(tx, user.id, Verifies::Registration(application))?;
    effects
        .event(tx, "user.registration.verified", user.tenant_id, || user_content(tx, &user, call.version()));
    Ok(())
}

/// `PUT /api/user/verify-email?email=[&sendVerifyEmail=false]`: 403 is for the mail alone (wire notes §13).
pub fn resend_email(call: &Call<'_>) -> Outcome {
    let send = !call.has_key() || call.query_flag("sendVerifyEmail").unwrap_or(true);
    resend(call, Verifies::Email, send)
}

/// `PUT /api/user/verify-registration?email=&applicationId=[&sendVerifyRegistrationEmail=false]`
pub fn resend_registration(call: &Call<'_>) -> Outcome {
    let Some(application) = call.query_id("applicationId")? else {
        return Err(field_error("blank", "applicationId", "You must specify the applicationId."));
    };
    // The page names the first, the vendor's clients send the second.
    let wanted =
        call.query_flag("sendVerifyRegistrationEmail").or(call.query_flag("sendVerifyPasswordEmail"));
    let send = !call.has_key() || wanted.unwrap_or(true);
    resend(call, Verifies::Registration(application), send)
}

fn resend(call: &Call<'_>, which: Verifies, send: bool) -> Outcome {
    let Some(email) = call.query("email") else {
        return Err(field_error("blank", "email", "You must specify the email."));
    };
    let mut tx = call.write();
    let tenant = call.required_scope(&tx)?;
    let settings = Settings::of(&tx, tenant);
    let id = names::by_email(&tx, tenant, email).ok_or_else(Reply::not_found)?;
    let user = visible(call, &tx, id)?;
    if let Verifies::Registration(application) = which
        && user.registration(application).is_none()
    {
        return Err(Reply::not_found());
    }
    if which == Verifies::Email && send && !settings.verifies_email() {
        return Err(Reply::empty(403));
    }
    let mut effects = Effects::default();
    let (token, code) = start_verification(&mut tx, &settings, &user, which, send.then_some(&mut effects))?;
    tx.commit()?;
    effects.record(call);
    // Only a caller with a key learns the id.
    if !call.has_key() {
        return Ok(Reply::empty(200));
    }
    let mut answer = json!({"verificationId": token});
    if let (Some(code), Some(object)) = (code, answer.as_object_mut()) {
        object.insert("oneTimeCode".to_owned(), Value::from(code));
    }
    Ok(Reply::ok(&answer))
}
