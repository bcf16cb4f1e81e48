//! `/api/login` and the access tokens it hands out.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::{Call, parse_uuid};
use super::super::jwt;
use super::super::reply::{Errors, Outcome, Reply, field_error};
use super::super::server::Server;
use super::super::store::{Object, State, Transaction, text_at, uuid_at};
use super::super::tokens::opaque_id;
use super::create::merge;
use super::effects::Effects;
use super::model::User;
use super::names::{LoginIdType, by_login_id, login_id_types};
use super::settings::{Application, Settings};
use super::tokens;
use super::view::{Shown, user_value};

/// `POST /api/login`. Takes no key here (wire notes §4, last line); the statuses are those of the vendor's login page.
pub fn login(call: &Call<'_>) -> Outcome {
    let body = call.typed_object(&["loginId", "password"], &["noJWT"])?;
    let mut errors = Errors::new();
    let (login_id, plain) = (text_at(&body, "loginId"), text_at(&body, "password"));
    if login_id.is_none_or(|text| text.trim().is_empty()) {
        errors.field("blank", "loginId", "You must specify the loginId.");
    }
    if plain.is_none_or(str::is_empty) {
        errors.field("blank", "password", "You must specify the password.");
    }
    errors.check()?;
    let (login_id, plain) = (login_id.unwrap_or_default(), plain.unwrap_or_default());
    let types = login_id_types(call, strings(&body, "loginIdTypes"))?;
    let found = find(call, &body, login_id, &types)?;
    // The check is slow, so it runs while nobody is kept out; 404 tells nothing of which part was wrong.
    if !found.user.password.as_ref().is_some_and(|hashed| hashed.matches(plain)) {
        return Err(Reply::not_found());
    }
    let mut tx = call.write();
    let user = User::load(&tx, found.user.id).ok_or_else(Reply::not_found)?;
    let mut effects = Effects::default();
    let with_token = body.get("noJWT") != Some(&Value::Bool(true));
    let reply = Found { user, ..found }.succeed(call, &mut tx, with_token, &mut effects)?;
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

/// Who signs in, by which kind of name, and where.
struct Found {
    user: User,
    kind: LoginIdType,
    application: Option<Application>,
}

/// The strings of an array member.
pub fn strings<'a>(body: &'a Object, name: &str) -> impl Iterator<Item = &'a str> {
    body.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn find(call: &Call<'_>, body: &Object, login_id: &str, types: &[LoginIdType]) -> Result<Found, Reply> {
    let state = call.read();
    let application = match body.get("applicationId").filter(|value| !value.is_null()) {
        None => None,
        Some(_) => Some(
            uuid_at(body, "applicationId")
                .ok_or_else(|| field_error("couldNotConvert", "applicationId", "A UUID is expected."))?,
        ),
    };
    // The application tells the tenant where no header does.
    let tenant = match (call.tenant, application.and_then(|id| tenant_of(&state, id))) {
        (Some(tenant), _) | (None, Some(tenant)) => tenant,
        (None, None) => call.only_tenant(&state)?,
    };
    let application = application
        .map(|id| {
            Application::of(&state, id, tenant).filter(|application| application.active).ok_or_else(|| {
                field_error(
                    "invalid",
                    "applicationId",
                    format!("There is no application with the id [{id}]."),
                )
            })
        })
        .transpose()?;
    let (id, kind) = by_login_id(&state, tenant, login_id, types).ok_or_else(Reply::not_found)?;
    let user = User::load(&state, id).ok_or_else(Reply::not_found)?;
    Ok(Found { user, kind, application })
}

fn tenant_of(state: &State, application: Uuid) -> Option<Uuid> {
    uuid_at(&state.get(super::super::store::Table::APPLICATION, application)?, "tenantId")
}

impl Found {
    /// The password was right: what the login answers, and what it leaves behind.
    fn succeed(
        mut self,
        call: &Call<'_>,
        tx: &mut Transaction<'_>,
        with_token: bool,
        effects: &mut Effects,
    ) -> Outcome {
        let now = tx.now();
        let settings = Settings::of(tx, self.user.tenant_id);
        if !self.user.active {
            return Err(Reply::empty(423));
        }
        if self.user.profile.expiry.is_some_and(|expiry| expiry <= now) {
            return Err(Reply::empty(410));
        }
        if self.user.profile.password_change_required {
            let lifetime = settings.change_password_lifetime();
            let token = tokens::issue_change_password(tx, self.user.id, None, lifetime, false)?;
            let reason = self.user.profile.password_change_reason.as_deref().unwrap_or("Administrative");
            return Ok(Reply::json(203, &json!({"changePasswordId": token, "changePasswordReason": reason})));
        }
        if !self.user.profile.two_factor_methods.is_empty() {
            return Ok(Reply::json(242, &json!({"twoFactorId": opaque_id()})));
        }
        let status = self.sign_in(&settings, now);
        self.user.store(tx)?;
        let mut answer = json!({"user": user_value(tx, &self.user, Shown::new(call.version()))});
        effects.event(tx, "user.login.success", self.user.tenant_id, || answer.clone());
        if with_token {
            let application = self.application.as_ref().map(|application| application.id);
            let (token, expires) =
                access_token(call.server, &settings, &self.user, application, now, "PASSWORD");
            merge(&mut answer, json!({"token": token, "tokenExpirationInstant": expires}));
        }
        Ok(Reply::json(status, &answer))
    }

    /// Notes the login on user, name and registration; gives the status that says what is still missing.
    fn sign_in(&mut self, settings: &Settings, now: i64) -> u16 {
        let user = &mut self.user;
        user.last_login_instant = Some(now);
        let identity = match self.kind {
            LoginIdType::Email => &mut user.email_identity,
            LoginIdType::Username => &mut user.username_identity,
            LoginIdType::PhoneNumber => &mut user.phone_identity,
        };
        if let Some(identity) = identity {
            identity.last_login = Some(now);
        }
        if !user.verified && settings.verifies_email() {
            return 212;
        }
        let Some(application) = &self.application else { return 200 };
        match user.registration_mut(application.id) {
            None => 202,
            Some(registration) => {
                registration.last_login_instant = Some(now);
                if application.verifies_registrations && !registration.verified { 213 } else { 200 }
            }
        }
    }
}

/// The key that this sandbox signs tokens with. It is as secret as a sandbox is.
fn key(server: &Server) -> [u8; 16] {
    server.store_id.into_bytes()
}

/// An access token for the user and the instant, in milliseconds, when it ends.
pub fn access_token(
    server: &Server,
    settings: &Settings,
    user: &User,
    application: Option<Uuid>,
    now: i64,
    method: &str,
) -> (String, i64) {
    let issued = now.div_euclid(1_000);
    let expires = issued.saturating_add(settings.token_seconds());
    let mut claims = json!({
        "authenticationType": method, "exp": expires, "iat": issued, "iss": settings.issuer(),
        "jti": Uuid::new_v4(), "sub": user.id, "tid": user.tenant_id,
    });
    if let Some(email) = &user.email {
        merge(&mut claims, json!({"email": email, "email_verified": user.verified}));
    }
    if let Some(username) = &user.username {
        merge(&mut claims, json!({"preferred_username": username}));
    }
    if let Some(application) = application {
        let roles = user.registration(application).map(|one| one.roles.clone()).unwrap_or_default();
        merge(&mut claims, json!({"applicationId": application, "aud": application, "roles": roles}));
    }
    let token = jwt::sign(&claims, &key(server), "sandbox");
    (token, expires.saturating_mul(1_000))
}

/// The user whose token it is; 401 without a body for a token that does not hold or a user who cannot sign in.
pub fn user_of_token(call: &Call<'_>, state: &State, token: &str) -> Result<User, Reply> {
    let refused = || Reply::empty(401);
    let claims =
        jwt::verify(token, &key(call.server), call.now().div_euclid(1_000)).map_err(|_| refused())?;
    let id = claims.get("sub").and_then(Value::as_str).and_then(parse_uuid).ok_or_else(refused)?;
    User::load(state, id)
        .filter(|user| user.active && call.in_scope(Some(user.tenant_id)))
        .ok_or_else(refused)
}
