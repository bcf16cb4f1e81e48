//! `/api/user/registration`: of an existing user, and combined with the user's creation.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::{Call, invalid_json};
use super::super::patch;
use super::super::reply::{Errors, Outcome, Reply, field_error};
use super::super::store::{Object, State, Transaction};
use super::super::tokens::opaque_id;
use super::super::version::Version;
use super::create::{Draft, merge, start_verification, user_content};
use super::effects::Effects;
use super::input::{Reader, RegistrationInput};
use super::model::{Registration, User};
use super::names::visible;
use super::settings::{Application, Settings};
use super::tokens::{self, Verifies};
use super::update::{dialect, patch_error, refuse_inactive};
use super::view::{RegistrationView, Shown, UserView};

/// `POST /api/user/registration[/{userId}[/{applicationId}]]`: with a `user` in the body it creates that user too.
pub fn create(call: &Call<'_>) -> Outcome {
    let user = call.path_id("userId")?;
    let body = call.json_object()?;
    let (input, options) = read(call, &body)?;
    match (body.get("user").filter(|user| !user.is_null()), user) {
        (Some(_), id) => create_combined(call, &body, id, &input, &options),
        (None, Some(id)) => create_for(call, id, &input, &options),
        (None, None) => Err(field_error("missing", "user", "The [user] property is required.")),
    }
}

fn create_combined(
    call: &Call<'_>,
    body: &Object,
    id: Option<Uuid>,
    input: &RegistrationInput,
    options: &Options,
) -> Outcome {
    let draft = Draft::read(call, body, id)?;
    let mut tx = call.write();
    let mut effects = Effects::default();
    let mut errors = Errors::new();
    let application = find_application(&tx, draft.tenant(), input, &mut errors);
    errors.check()?;
    let application = application.ok_or_else(Reply::not_found)?;
    let mut user = draft.insert(&mut tx, call.version(), &mut effects)?;
    let verification = add(call, &mut tx, &mut user, &application, input, options, &mut effects)?;
    let token = draft.token(call, &user, Some(application.id));
    let reply = answer(&tx, call, &user, application.id, true, verification, token)?;
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

fn create_for(call: &Call<'_>, id: Uuid, input: &RegistrationInput, options: &Options) -> Outcome {
    let mut tx = call.write();
    let mut user = visible(call, &tx, id)?;
    refuse_inactive(&user)?;
    let mut errors = Errors::new();
    let application = find_application(&tx, user.tenant_id, input, &mut errors);
    if input.application.is_some_and(|application| user.registration(application).is_some()) {
        let message = format!("The User [{id}] is already registered for this application.");
        errors.field("duplicate", "registration", message);
    }
    errors.check()?;
    let application = application.ok_or_else(Reply::not_found)?;
    let mut effects = Effects::default();
    let verification = add(call, &mut tx, &mut user, &application, input, options, &mut effects)?;
    let reply = answer(&tx, call, &user, application.id, false, verification, None)?;
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

/// `GET /api/user/registration/{userId}/{applicationId}`
pub fn retrieve(call: &Call<'_>) -> Outcome {
    let (id, application) = (call.required_id("userId")?, call.required_id("applicationId")?);
    let state = call.read();
    let user = visible(call, &state, id)?;
    answer(&state, call, &user, application, false, None, None)
}

/// `PUT /api/user/registration/{userId}[/{applicationId}]`: the whole registration; the URL's application goes before
/// the body's.
pub fn put(call: &Call<'_>) -> Outcome {
    let body = call.json_object()?;
    replace(call, |_, _, _| Ok(body))
}

/// `PATCH …`: without the application in the URL it overwrites like a PUT (wire notes §3).
pub fn patch(call: &Call<'_>) -> Outcome {
    let dialect = dialect(call)?;
    let body = call.json()?;
    let in_url = call.path_id("applicationId")?;
    replace(call, |user, version, application| {
        let Some(_) = in_url else { return body_object(body) };
        let registration = application.and_then(|id| user.registration(id)).ok_or_else(Reply::not_found)?;
        let mut wrapper = json!({"registration": RegistrationView::new(registration, version).value()});
        patch::apply(dialect, &mut wrapper, body).map_err(|error| patch_error(&error))?;
        body_object(wrapper)
    })
}

fn body_object(body: Value) -> Result<Object, Reply> {
    match body {
        Value::Object(object) => Ok(object),
        _ => Err(invalid_json("registration", "an object is expected")),
    }
}

fn replace(
    call: &Call<'_>,
    body: impl FnOnce(&User, Version, Option<Uuid>) -> Result<Object, Reply>,
) -> Outcome {
    let id = call.required_id("userId")?;
    let in_url = call.path_id("applicationId")?;
    let mut tx = call.write();
    let mut user = visible(call, &tx, id)?;
    if in_url.is_some_and(|application| user.registration(application).is_none()) {
        return Err(Reply::not_found());
    }
    refuse_inactive(&user)?;
    let body = body(&user, call.version(), in_url)?;
    let (input, options) = read(call, &body)?;
    let mut errors = Errors::new();
    let application = find_application(&tx, user.tenant_id, &input, &mut errors);
    errors.check()?;
    let application = application.ok_or_else(Reply::not_found)?;
    let now = tx.now();
    let registration = user.registration_mut(application.id).ok_or_else(Reply::not_found)?;
    registration.data = input.data.clone();
    registration.preferred_languages = input.preferred_languages.clone();
    registration.roles = input.roles.clone().unwrap_or_default();
    registration.timezone = input.timezone.clone();
    registration.username = input.username.clone();
    registration.username_status = input.username_status.clone();
    registration.last_update_instant = now;
    if options.generate_token {
        registration.authentication_token = Some(opaque_id().into());
    } else if input.authentication_token.is_some() {
        registration.authentication_token = input.authentication_token.clone();
    }
    user.store(&mut tx)?;
    let mut effects = Effects::default();
    event(&mut effects, &tx, call, "user.registration.update", &user, application.id);
    let reply = answer(&tx, call, &user, application.id, false, None, None)?;
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

/// `DELETE /api/user/registration/{userId}/{applicationId}`
pub fn delete(call: &Call<'_>) -> Outcome {
    let (id, application) = (call.required_id("userId")?, call.required_id("applicationId")?);
    let mut tx = call.write();
    let mut user = visible(call, &tx, id)?;
    if user.registration(application).is_none() {
        return Err(Reply::not_found());
    }
    let mut effects = Effects::default();
    event(&mut effects, &tx, call, "user.registration.delete", &user, application);
    user.registrations.retain(|registration| registration.application_id != application);
    tokens::end_verifications(&mut tx, id, Verifies::Registration(application))?;
    user.store(&mut tx)?;
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

/// Removes every registration for an application that is being deleted.
pub fn application_removed(tx: &mut Transaction<'_>, application: Uuid) -> Result<(), Reply> {
    let needle = application.to_string();
    let holders: Vec<Uuid> = tx
        .rows(super::super::store::Table::USER)
        .filter(|(_, bytes)| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
        .map(|(id, _)| id)
        .collect();
    for id in holders {
        let Some(mut user) = User::load(tx, id) else { continue };
        if user.registration(application).is_some() {
            user.registrations.retain(|registration| registration.application_id != application);
            tokens::end_verifications(tx, id, Verifies::Registration(application))?;
            user.store(tx)?;
        }
    }
    Ok(())
}

/// Takes a deleted role out of every registration for its application.
pub fn role_removed(tx: &mut Transaction<'_>, application: Uuid, role: &str) -> Result<(), Reply> {
    let holders: Vec<User> = tx
        .rows(super::super::store::Table::USER)
        .filter_map(|(_, bytes)| User::parse(bytes))
        .filter(|user| {
            let registration = user.registration(application);
            registration.is_some_and(|registration| registration.roles.iter().any(|name| **name == *role))
        })
        .collect();
    for mut user in holders {
        if let Some(registration) = user.registration_mut(application) {
            registration.roles.retain(|name| **name != *role);
        }
        user.store(tx)?;
    }
    Ok(())
}

/// The imperative fields beside `registration`.
struct Options {
    skip_verification: bool,
    generate_token: bool,
}

fn read(call: &Call<'_>, body: &Object) -> Result<(RegistrationInput, Options), Reply> {
    let Some(Value::Object(object)) = body.get("registration") else {
        return Err(field_error("missing", "registration", "The [registration] property is required."));
    };
    let mut errors = Errors::new();
    let mut input = Reader::new(object, "registration", &mut errors).registration();
    let mut top = Reader::new(body, "", &mut errors);
    let options = Options {
        skip_verification: top.flag("skipRegistrationVerification").unwrap_or(false),
        generate_token: top.flag("generateAuthenticationToken").unwrap_or(false),
    };
    input.application = call.path_id("applicationId")?.or(input.application);
    if input.application.is_none() && errors.is_empty() {
        let message = "You must specify the [registration.applicationId] property.";
        errors.field("blank", "registration.applicationId", message);
    }
    errors.check()?;
    Ok((input, options))
}

/// The application, with the roles that are asked for among its own.
fn find_application(
    state: &State,
    tenant: Uuid,
    input: &RegistrationInput,
    errors: &mut Errors,
) -> Option<Application> {
    let id = input.application?;
    let Some(application) = Application::of(state, id, tenant) else {
        let message = format!("There is no application with the id [{id}].");
        errors.field("invalid", "registration.applicationId", message);
        return None;
    };
    check_roles(&application, input, "registration", errors);
    Some(application)
}

/// Adds `[invalid]….roles` for every role that the application has not.
pub fn check_roles(application: &Application, input: &RegistrationInput, at: &str, errors: &mut Errors) {
    for role in input.roles.iter().flatten() {
        if !application.roles.iter().any(|known| **known == **role) {
            let message = format!("The application [{}] has no role [{role}].", application.id);
            errors.field("invalid", &format!("{at}.roles"), message);
        }
    }
}

/// A new registration; without `roles` it has the application's default roles.
pub fn new_registration(application: &Application, input: &RegistrationInput, now: i64) -> Registration {
    let roles = input.roles.clone().unwrap_or_else(|| {
        let mut roles: Vec<Box<str>> =
            application.default_roles.iter().map(|role| role.as_str().into()).collect();
        roles.sort_unstable();
        roles
    });
    Registration {
        application_id: application.id,
        id: input.id.unwrap_or_else(Uuid::new_v4),
        insert_instant: now,
        last_update_instant: now,
        last_login_instant: None,
        authentication_token: input.authentication_token.clone(),
        clean_speak_id: input.clean_speak_id,
        data: input.data.clone(),
        preferred_languages: input.preferred_languages.clone(),
        roles,
        timezone: input.timezone.clone(),
        username: input.username.clone(),
        username_status: input.username_status.clone(),
        verified: false,
        verified_instant: None,
    }
}

fn add(
    call: &Call<'_>,
    tx: &mut Transaction<'_>,
    user: &mut User,
    application: &Application,
    input: &RegistrationInput,
    options: &Options,
    effects: &mut Effects,
) -> Result<Option<String>, Reply> {
    let now = tx.now();
    let mut registration = new_registration(application, input, now);
    if options.generate_token {
        registration.authentication_token = Some(opaque_id().into());
    }
    let pending = application.verifies_registrations && !options.skip_verification;
    registration.verified = !pending;
    registration.verified_instant = registration.verified.then_some(now);
    user.registrations.push(registration);
    user.store(tx)?;
    let mut verification = None;
    if pending {
        let settings = Settings::of(tx, user.tenant_id);
        let which = Verifies::Registration(application.id);
        verification = Some(start_verification(tx, &settings, user, which, Some(effects))?.0);
    }
    event(effects, tx, call, "user.registration.create", user, application.id);
    event(effects, tx, call, "user.registration.create.complete", user, application.id);
    Ok(verification)
}

fn event(effects: &mut Effects, state: &State, call: &Call<'_>, name: &str, user: &User, application: Uuid) {
    effects.event(state, name, user.tenant_id, || {
        let mut content = user_content(state, user, call.version());
        let registration = user.registration(application);
        let shown = registration.map(|one| RegistrationView::new(one, call.version()).value());
        merge(&mut content, json!({"applicationId": application, "registration": shown}));
        content
    });
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    registration: RegistrationView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_verification_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expiration_instant: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
}

/// `{"registration": …}`, with the user when it was created too.
fn answer(
    state: &State,
    call: &Call<'_>,
    user: &User,
    application: Uuid,
    with_user: bool,
    verification: Option<String>,
    token: Option<(String, i64)>,
) -> Outcome {
    let registration = user.registration(application).ok_or_else(Reply::not_found)?;
    let (token, expires) = token.unzip();
    Ok(Reply::ok(&Answer {
        registration: RegistrationView::new(registration, call.version()),
        registration_verification_id: verification,
        token,
        token_expiration_instant: expires,
        user: with_user.then(|| UserView::new(state, user, Shown::new(call.version()))),
    }))
}
