//! `POST /api/user[/{userId}]` and the part of the combined registration that makes the user.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::{Call, invalid_json_in};
use super::super::password::{Hashed, PasswordError};
use super::super::reply::{Errors, Outcome, Reply, field_error};
use super::super::store::{Object, State, Table, Transaction};
use super::super::version::Version;
use super::effects::Effects;
use super::input::{Input, Membership, Reader};
use super::model::{Identity, Reason, User};
use super::settings::Settings;
use super::tokens::{self, Verifies};
use super::view::{Shown, UserView};
use super::{login, names};

/// `POST /api/user[/{userId}]`
pub fn create(call: &Call<'_>) -> Outcome {
    let id = call.path_id("userId")?;
    let body = call.json_object()?;
    let draft = Draft::read(call, &body, id)?;
    let mut tx = call.write();
    let mut effects = Effects::default();
    let user = draft.insert(&mut tx, call.version(), &mut effects)?;
    let token = draft.token(call, &user, None);
    let reply = answer(&tx, call, &user, token, Shown::new(call.version()));
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

/// By which way a set-password message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetPassword {
    No,
    Email,
    Phone,
}

/// A new user, checked as far as one can without exclusive access; its password is hashed already, for that is slow.
pub struct Draft {
    id: Uuid,
    tenant: Uuid,
    settings: Settings,
    input: Input,
    password: Option<Hashed>,
    set_password: SetPassword,
    skip_verification: bool,
}

impl Draft {
    /// Reads a request that creates a user.
    pub fn read(call: &Call<'_>, body: &Object, id: Option<Uuid>) -> Result<Self, Reply> {
        let Some(Value::Object(user)) = body.get("user") else {
            return Err(field_error("missing", "user", "The [user] property is required."));
        };
        let (tenant, settings, id_taken) = {
            let state = call.read();
            let tenant = call.tenant_for_new(&state, None)?;
            let taken = id.is_some_and(|id| state.contains(Table::USER, id));
            (tenant, Settings::of(&state, tenant), taken)
        };
        let mut errors = Errors::new();
        if let (true, Some(id)) = (id_taken, id) {
            errors.field("duplicate", "user.id", format!("A User with id = [{id}] already exists."));
        }
        let input = Reader::new(user, "user", &mut errors).user(call.version(), &[]);
        let options = Options::read(call, body, &mut errors);
        require_name(&input, "user", &mut errors);
        check_blocked(
            &settings,
            input.names.email.as_deref(),
            options.disable_domain_block,
            "user",
            &mut errors,
        );
        options.check_set_password(&input, &mut errors);
        let plain = input.password.as_deref().filter(|_| options.set_password == SetPassword::No);
        match plain {
            Some(plain) => settings.check_password(plain, "user.password", None, call.now(), &mut errors),
            // Optional since 1.59 (wire notes §4).
            None if options.set_password == SetPassword::No && !call.version().since(59) => {
                errors.field("blank", "user.password", "You must specify the [user.password] property.");
            }
            None => {}
        }
        errors.check()?;
        let password = plain
            .map(|plain| settings.hash(plain, input.encryption_scheme.as_deref(), input.factor))
            .transpose()
            .map_err(|error| password_error(&error, "user"))?;
        Ok(Self {
            id: id.unwrap_or_else(Uuid::new_v4),
            tenant,
            settings,
            input,
            password,
            set_password: options.set_password,
            skip_verification: options.skip_verification,
        })
    }

    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// Checks what depends on others, and makes the user.
    pub fn insert(
        &self,
        tx: &mut Transaction<'_>,
        version: Version,
        effects: &mut Effects,
    ) -> Result<User, Reply> {
        let mut errors = Errors::new();
        if tx.contains(Table::USER, self.id) {
            errors.field("duplicate", "user.id", format!("A User with id = [{}] already exists.", self.id));
        }
        names::check_free(tx, self.tenant, self.id, &self.input.names, "user", &mut errors);
        let legacy = self.input.legacy_identifier.as_deref();
        names::check_legacy_identifier(tx, self.tenant, self.id, legacy, "user", &mut errors);
        check_memberships(tx, self.tenant, &self.input.memberships, "user", &mut errors);
        errors.check()?;
        let now = tx.now();
        let mut user = self.user(now);
        let pending = self.identities(&mut user, now);
        user.store(tx)?;
        store_memberships(tx, self.id, &self.input.memberships)?;
        self.send(tx, version, &user, &pending, effects)?;
        effects.event(tx, "user.create", self.tenant, || user_content(tx, &user, version));
        effects.event(tx, "user.create.complete", self.tenant, || user_content(tx, &user, version));
        Ok(user)
    }

    fn user(&self, now: i64) -> User {
        let names = self.input.names.clone();
        User {
            id: self.id,
            tenant_id: self.tenant,
            email: names.email,
            username: names.username,
            phone_number: names.phone_number,
            legacy_identifier: self.input.legacy_identifier.clone(),
            active: true,
            insert_instant: now,
            last_update_instant: now,
            // To be created with a password is a login (the vendor's "users" page, "what makes a user active").
            last_login_instant: self.password.is_some().then_some(now),
            verified: false,
            verified_instant: None,
            email_identity: None,
            phone_identity: None,
            username_identity: None,
            pending_email: None,
            password: self.password.clone().map(Box::new),
            password_last_update_instant: self.password.is_some().then_some(now),
            previous_passwords: Vec::new(),
            registrations: Vec::new(),
            profile: self.input.profile.clone(),
        }
    }

    /// Sets each sign-in name's state and gives those that must be verified.
    fn identities(&self, user: &mut User, now: i64) -> Vec<Verifies> {
        let mut pending = Vec::new();
        let mut reason = |verifying: bool, which: Verifies| match (self.skip_verification, verifying) {
            (true, _) => Reason::Skipped,
            (false, false) => Reason::Disabled,
            (false, true) => {
                pending.push(which);
                Reason::Pending
            }
        };
        if user.email.is_some() {
            let reason = reason(self.settings.verifies_email(), Verifies::Email);
            user.email_identity = Some(Identity::new(now, reason));
        }
        if user.phone_number.is_some() {
            let reason = reason(self.settings.verifies_phone_number(), Verifies::PhoneNumber);
            user.phone_identity = Some(Identity::new(now, reason));
        }
        user.username_identity = user.username.as_ref().map(|_| Identity::new(now, Reason::Unverifiable));
        // `skipVerification` sets user.verified (wire notes §4), and so does a tenant that verifies nothing.
        user.verified = !pending.contains(&Verifies::Email);
        user.verified_instant = user.verified.then_some(now);
        pending
    }

    /// The set-password message stands for the verification of its address; else each pending name gets a message.
    fn send(
        &self,
        tx: &mut Transaction<'_>,
        version: Version,
        user: &User,
        pending: &[Verifies],
        effects: &mut Effects,
    ) -> Result<(), Reply> {
        if self.set_password != SetPassword::No {
            let lifetime = self.settings.setup_password_lifetime();
            let token = tokens::issue_change_password(tx, user.id, None, lifetime, true)?;
            let mut content = user_content(tx, user, version);
            merge(&mut content, json!({"changePasswordId": token}));
            if let (SetPassword::Phone, Some(number)) = (self.set_password, &user.phone_number) {
                effects.sms("set-password", self.tenant, number, content);
            } else if let Some(address) = user.mail_address() {
                effects.email("set-password", self.tenant, &address, content);
            }
        }
        for which in pending {
            let mailed = match self.set_password {
                SetPassword::No => true,
                SetPassword::Email => *which != Verifies::Email,
                SetPassword::Phone => *which != Verifies::PhoneNumber,
            };
            start_verification(tx, &self.settings, user, *which, mailed.then_some(&mut *effects))?;
        }
        Ok(())
    }

    /// The token that a creation with a password answers with.
    pub fn token(&self, call: &Call<'_>, user: &User, application: Option<Uuid>) -> Option<(String, i64)> {
        if self.password.is_none() || user.profile.password_change_required {
            return None;
        }
        Some(login::access_token(call.server, &self.settings, user, application, call.now(), "USER_CREATE"))
    }
}

/// The imperative fields beside `user`.
struct Options {
    set_password: SetPassword,
    skip_verification: bool,
    disable_domain_block: bool,
}

impl Options {
    fn read(call: &Call<'_>, body: &Object, errors: &mut Errors) -> Self {
        let mut top = Reader::new(body, "", errors);
        let by_flag = top.flag("sendSetPasswordEmail").unwrap_or(false);
        let typed = if call.version().since(59) { top.text("sendSetPasswordIdentityType") } else { None };
        let set_password = match typed {
            Some("email") => SetPassword::Email,
            Some("phone") => SetPassword::Phone,
            None if by_flag => SetPassword::Email,
            None | Some("doNotSend") => SetPassword::No,
            Some(_) => {
                let expected = "one of doNotSend, email, phone is expected";
                invalid_json_in(errors, "sendSetPasswordIdentityType", expected);
                SetPassword::No
            }
        };
        let mut top = Reader::new(body, "", errors);
        let skip_verification = top.flag("skipVerification").unwrap_or(false);
        let disable_domain_block = top.flag("disableDomainBlock").unwrap_or(false);
        let application = top.id("applicationId");
        if let Some(id) = application
            && !call.read().contains(Table::APPLICATION, id)
        {
            errors.field("invalid", "applicationId", format!("There is no application with the id [{id}]."));
        }
        Self { set_password, skip_verification, disable_domain_block }
    }

    /// A message needs an address.
    fn check_set_password(&self, input: &Input, errors: &mut Errors) {
        let data_email = || {
            super::model::parse_data(input.profile.data.as_deref()).get("email").is_some_and(Value::is_string)
        };
        match self.set_password {
            SetPassword::Email if input.names.email.is_none() && !data_email() => {
                errors.field("blank", "user.email", "A set-password email needs an email address.");
            }
            SetPassword::Phone if input.names.phone_number.is_none() => {
                errors.field("blank", "user.phoneNumber", "A set-password message needs a phone number.");
            }
            _ => {}
        }
    }
}

/// A user has at least one sign-in name (wire notes §4).
pub fn require_name(input: &Input, at: &str, errors: &mut Errors) {
    let names = &input.names;
    if names.email.is_none() && names.username.is_none() && names.phone_number.is_none() {
        let message = "You must specify the email, the username or the phone number.";
        errors.field("blank", &format!("{at}.email"), message);
        errors.field("blank", &format!("{at}.username"), message);
    }
}

/// `registrationConfiguration.blockedDomains`, unless the request overrides it.
pub fn check_blocked(
    settings: &Settings,
    email: Option<&str>,
    disabled: bool,
    at: &str,
    errors: &mut Errors,
) {
    if let Some(email) = email.filter(|email| !disabled && settings.blocks(email)) {
        errors.field("blocked", &format!("{at}.email"), format!("The domain of [{email}] is blocked."));
    }
}

pub fn check_memberships(
    state: &State,
    tenant: Uuid,
    memberships: &[Membership],
    at: &str,
    errors: &mut Errors,
) {
    for (place, membership) in memberships.iter().enumerate() {
        let field = |member: &str| format!("{at}.memberships[{place}].{member}");
        if !names::group_exists(state, membership.group, tenant) {
            let message = format!("There is no group with the id [{}].", membership.group);
            errors.field("invalid", &field("groupId"), message);
        }
        if memberships.iter().take(place).any(|other| other.group == membership.group) {
            let message = format!("The group [{}] stands here twice.", membership.group);
            errors.field("duplicate", &field("groupId"), message);
        }
        if membership.id.is_some_and(|id| state.contains(Table::GROUP_MEMBER, id)) {
            errors.field("duplicate", &field("id"), "A membership with this id already exists.");
        }
    }
}

pub fn store_memberships(
    tx: &mut Transaction<'_>,
    user: Uuid,
    memberships: &[Membership],
) -> Result<(), Reply> {
    let now = tx.now();
    for membership in memberships {
        let id = membership.id.unwrap_or_else(Uuid::new_v4);
        let mut data = membership.data.clone();
        data.retain(|_, value| !value.is_null());
        let row = json!({
            "data": data, "groupId": membership.group, "id": id, "insertInstant": now, "userId": user,
        });
        if let Value::Object(row) = row {
            tx.put(Table::GROUP_MEMBER, id, &row)?;
        }
    }
    Ok(())
}

/// Issues a verification id for a name that waits, and sends it when there are effects to put it into.
pub fn start_verification(
    tx: &mut Transaction<'_>,
    settings: &Settings,
    user: &User,
    which: Verifies,
    effects: Option<&mut Effects>,
) -> Result<(String, Option<String>), Reply> {
    let (value, lifetime) = match which {
        Verifies::PhoneNumber => (user.phone_number.clone(), settings.phone_verification_lifetime()),
        Verifies::Registration(_) => (user.email.clone(), settings.registration_verification_lifetime()),
        Verifies::Email => (
            user.pending_email.clone().or_else(|| user.email.clone()),
            settings.email_verification_lifetime(),
        ),
    };
    let code = settings.verifies_by_code().then(tokens::random_code);
    let token = tokens::issue_verification(tx, user.id, which, value.as_deref(), code.as_deref(), lifetime)?;
    if let (Some(effects), Some(address)) = (effects, value) {
        announce_verification(user, which, &address, &token, code.as_deref(), effects);
    }
    Ok((token, code))
}

/// The message with a verification id.
pub fn announce_verification(
    user: &User,
    which: Verifies,
    address: &str,
    token: &str,
    code: Option<&str>,
    effects: &mut Effects,
) {
    let mut content = json!({"verificationId": token, "oneTimeCode": code, "userId": user.id});
    match which {
        Verifies::Email => effects.email("email-verification", user.tenant_id, address, content),
        Verifies::Registration(application) => {
            merge(&mut content, json!({"applicationId": application}));
            effects.email("registration-verification", user.tenant_id, address, content);
        }
        Verifies::PhoneNumber => effects.sms("phone-verification", user.tenant_id, address, content),
    }
}

/// Adds the members of one object to another.
pub fn merge(target: &mut Value, more: Value) {
    if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
        target.extend(more);
    }
}

/// `{"user": …}` for messages.
pub fn user_content(state: &State, user: &User, version: Version) -> Value {
    json!({"user": super::view::user_value(state, user, Shown::new(version))})
}

/// 400 for a scheme or factor that plain text cannot be hashed with.
pub fn password_error(error: &PasswordError, at: &str) -> Reply {
    match error {
        PasswordError::UnknownScheme(_) => {
            field_error("invalid", &format!("{at}.encryptionScheme"), error.to_string())
        }
        PasswordError::Factor(_) => field_error("invalid", &format!("{at}.factor"), error.to_string()),
        PasswordError::Random => Reply::empty(500),
    }
}

/// An answer with a user and what is outstanding for it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verification_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verification_one_time_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expiration_instant: Option<i64>,
    user: UserView<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verification_ids: Vec<Value>,
}

/// `{"user": …}` with outstanding verification ids (shown since 1.49, as a list since 1.59) and a token.
pub fn answer(
    state: &State,
    call: &Call<'_>,
    user: &User,
    token: Option<(String, i64)>,
    shown: Shown,
) -> Reply {
    let outstanding = tokens::outstanding(state, user.id, call.now());
    let email = outstanding.iter().find(|(_, token)| token.verifies == Verifies::Email);
    let version = call.version();
    let legacy = email.filter(|(_, token)| version.since(49) || token.one_time_code.is_some());
    let listed = outstanding.iter().filter(|_| version.since(59)).map(|(id, token)| {
        let kind = if token.verifies == Verifies::Email { "email" } else { "phoneNumber" };
        let mut one = json!({"id": id, "type": kind, "value": token.value});
        if let Some(code) = &token.one_time_code {
            merge(&mut one, json!({"oneTimeCode": code}));
        }
        one
    });
    let (token, expires) = token.unzip();
    Reply::ok(&Answer {
        email_verification_id: legacy.map(|(id, _)| id.clone()),
        email_verification_one_time_code: legacy.and_then(|(_, token)| token.one_time_code.clone()),
        token,
        token_expiration_instant: expires,
        user: UserView::new(state, user, shown),
        verification_ids: listed.collect(),
    })
}
