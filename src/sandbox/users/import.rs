//! `POST /api/user/import`: many users at once, with fields that nothing else can set.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::call::{Call, invalid_json, unknown_tenant};
use super::super::password::{self, Hashed};
use super::super::reply::{Errors, Outcome, Reply, field_error, general_error};
use super::super::store::{Object, State, Table, Transaction, uuid_at};
use super::create::{check_memberships, require_name, store_memberships};
use super::effects::Effects;
use super::input::{Input, Membership, Names, Reader, RegistrationInput};
use super::model::{Identity, Reason, Registration, User};
use super::names;
use super::registration::{check_roles, new_registration};
use super::settings::{Application, Settings};

/// The body; users stay text until their turn, so that 100,000 of them are never held as a tree.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    users: Vec<&'a RawValue>,
    encryption_scheme: Option<String>,
    factor: Option<i64>,
    #[serde(default)]
    validate_db_constraints: Option<bool>,
}

/// `POST /api/user/import`
pub fn import(call: &Call<'_>) -> Outcome {
    let body: Body<'_> = serde_json::from_slice(&call.body).map_err(|error| {
        general_error(400, "invalidJSON", format!("Unable to parse JSON. The error was [{error}]"))
    })?;
    if body.users.is_empty() {
        return Err(field_error("empty", "users", "You must specify at least one user."));
    }
    let mut batch = Batch { call, hashes: hashes(call, &body)?, applications: HashMap::new() };
    let mut tx = call.write();
    let mut errors = Errors::new();
    let mut duplicates = Errors::new();
    for (place, raw) in body.users.iter().enumerate() {
        // One user at a time, so that no tree and no list of 100,000 stands beside the store.
        if let Some((user, memberships)) = batch.read(&tx, raw, place, &mut errors)? {
            insert(&mut tx, &user, &memberships, place, &mut duplicates)?;
        }
    }
    // A duplicate is a 500, unless the request wants duplicates validated (wire notes §4).
    if errors.is_empty() && !duplicates.is_empty() && body.validate_db_constraints != Some(true) {
        return Err(Reply::empty(500));
    }
    errors.extend(duplicates);
    errors.check()?;
    let mut effects = Effects::default();
    let tenant = call.tenant.or_else(|| call.only_tenant(&tx).ok()).unwrap_or_default();
    effects.event(&tx, "user.bulk.create", tenant, || serde_json::json!({"total": body.users.len()}));
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

/// What decides about the hashing of one user's password.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plain<'a> {
    #[serde(borrow, default)]
    password: Option<Cow<'a, str>>,
    #[serde(default)]
    encryption_scheme: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    tenant_id: Option<Uuid>,
}

/// Hashes plain-text passwords before anyone is kept out, for that is slow: with the request's scheme and factor, or
/// the tenant's. A user whose password cannot be read here is refused later.
fn hashes(call: &Call<'_>, body: &Body<'_>) -> Result<HashMap<usize, Hashed>, Reply> {
    let mut out = HashMap::new();
    for (place, raw) in body.users.iter().enumerate().filter(|(_, raw)| raw.get().contains("\"password\"")) {
        let Ok(Plain { password: Some(text), encryption_scheme: None, tenant_id }) =
            serde_json::from_str(raw.get())
        else {
            continue;
        };
        let settings = {
            let state = call.read();
            let own = tenant_id.filter(|_| call.tenant.is_none());
            call.tenant_for_new(&state, own).map(|tenant| Settings::of(&state, tenant))?
        };
        let hashed = settings
            .hash(&text, body.encryption_scheme.as_deref(), body.factor)
            .map_err(|error| super::create::password_error(&error, &format!("users[{place}]")))?;
        out.insert(place, hashed);
    }
    Ok(out)
}

struct Batch<'a> {
    call: &'a Call<'a>,
    hashes: HashMap<usize, Hashed>,
    applications: HashMap<(Uuid, Uuid), Option<Application>>,
}

impl Batch<'_> {
    /// Reads one user. None when it has errors, which stand in `errors` then.
    fn read(
        &mut self,
        state: &State,
        raw: &RawValue,
        place: usize,
        errors: &mut Errors,
    ) -> Result<Option<(User, Vec<Membership>)>, Reply> {
        let at = format!("users[{place}]");
        let Ok(Value::Object(object)) = serde_json::from_str(raw.get()) else {
            return Err(invalid_json(&at, "an object is expected"));
        };
        let tenant = self.tenant(state, &object)?;
        let mut found = Errors::new();
        let mut reader = Reader::new(&object, &at, &mut found).taking_any_email();
        let mut input = reader.user(self.call.version(), &[]);
        let given = Given::read(&mut reader);
        require_name(&input, &at, &mut found);
        check_memberships(state, tenant, &input.memberships, &at, &mut found);
        self.check_registrations(state, tenant, &given.registrations, &at, &mut found);
        check_hashed(&input, &at, &mut found);
        if !found.is_empty() {
            errors.extend(found);
            return Ok(None);
        }
        let password = self.password(&input, place, &at)?;
        let memberships = std::mem::take(&mut input.memberships);
        Ok(Some((self.user(tenant, input, &given, password), memberships)))
    }

    /// The header's or the key's tenant goes before the user's own (users document).
    fn tenant(&self, state: &State, object: &Object) -> Result<Uuid, Reply> {
        let own = if self.call.tenant.is_some() { None } else { uuid_at(object, "tenantId") };
        match own {
            Some(tenant) if !state.contains(Table::TENANT, tenant) => Err(unknown_tenant(tenant)),
            own => self.call.tenant_for_new(state, own),
        }
    }

    fn application(&mut self, state: &State, id: Uuid, tenant: Uuid) -> Option<&Application> {
        self.applications.entry((id, tenant)).or_insert_with(|| Application::of(state, id, tenant)).as_ref()
    }

    fn check_registrations(
        &mut self,
        state: &State,
        tenant: Uuid,
        registrations: &[RegistrationInput],
        at: &str,
        errors: &mut Errors,
    ) {
        for (place, registration) in registrations.iter().enumerate() {
            let at = format!("{at}.registrations[{place}]");
            let Some(id) = registration.application else {
                errors.field("blank", &format!("{at}.applicationId"), "You must specify the applicationId.");
                continue;
            };
            if registrations.iter().take(place).any(|other| other.application == Some(id)) {
                errors.field(
                    "duplicate",
                    &at,
                    format!("There are two registrations for the application [{id}]."),
                );
            }
            match self.application(state, id, tenant) {
                Some(application) => check_roles(application, registration, &at, errors),
                None => {
                    let message = format!("There is no application with the id [{id}].");
                    errors.field("invalid", &format!("{at}.applicationId"), message);
                }
            }
        }
    }

    /// With a scheme of its own the password is a hash already; else it was plain text and has been hashed.
    fn password(&mut self, input: &Input, place: usize, at: &str) -> Result<Option<Hashed>, Reply> {
        match (&input.password, &input.encryption_scheme, &input.salt) {
            (Some(hash), Some(scheme), Some(salt)) => password::pre_hashed(scheme, input.factor, salt, hash)
                .map(Some)
                .map_err(|error| super::create::password_error(&error, at)),
            _ => Ok(self.hashes.remove(&place)),
        }
    }

    fn user(&self, tenant: Uuid, input: Input, given: &Given, password: Option<Hashed>) -> User {
        let now = self.call.now();
        let since = given.insert_instant.unwrap_or(now);
        let names = input.names;
        let identity = |verified: bool, reason: Reason| {
            let mut identity = Identity::new(since, reason);
            if verified {
                identity.verify(now, reason);
            }
            identity
        };
        // Ignored for plain text, which is hashed now (users document).
        let changed =
            given.password_last_update_instant.filter(|_| input.encryption_scheme.is_some()).unwrap_or(now);
        User {
            id: given.id.unwrap_or_else(Uuid::new_v4),
            tenant_id: tenant,
            email_identity: names.email.as_ref().map(|_| identity(given.verified, Reason::Import)),
            phone_identity: names.phone_number.as_ref().map(|_| identity(false, Reason::Import)),
            username_identity: names.username.as_ref().map(|_| identity(false, Reason::Unverifiable)),
            email: names.email,
            username: names.username,
            phone_number: names.phone_number,
            legacy_identifier: input.legacy_identifier,
            active: given.active,
            insert_instant: since,
            last_update_instant: now,
            last_login_instant: given.last_login_instant,
            verified: given.verified,
            verified_instant: given.verified.then_some(now),
            pending_email: None,
            password_last_update_instant: password.as_ref().map(|_| changed),
            password: password.map(Box::new),
            previous_passwords: Vec::new(),
            registrations: self.registrations(tenant, given, now),
            profile: input.profile,
        }
    }

    fn registrations(&self, tenant: Uuid, given: &Given, now: i64) -> Vec<Registration> {
        given
            .registrations
            .iter()
            .filter_map(|input| {
                let application = self.applications.get(&(input.application?, tenant))?.as_ref()?;
                let mut registration = new_registration(application, input, now);
                registration.insert_instant = input.insert_instant.unwrap_or(now);
                registration.last_login_instant = input.last_login_instant;
                registration.verified = input.verified.unwrap_or(false);
                registration.verified_instant = registration.verified.then_some(now);
                Some(registration)
            })
            .collect()
    }
}

/// What only import takes.
struct Given {
    id: Option<Uuid>,
    /// False unless said (wire notes §4).
    active: bool,
    verified: bool,
    insert_instant: Option<i64>,
    last_login_instant: Option<i64>,
    password_last_update_instant: Option<i64>,
    registrations: Vec<RegistrationInput>,
}

impl Given {
    fn read(reader: &mut Reader<'_, '_>) -> Self {
        Self {
            id: reader.id("id"),
            active: reader.flag("active").unwrap_or(false),
            verified: reader.flag("verified").unwrap_or(false),
            insert_instant: reader.integer("insertInstant"),
            last_login_instant: reader.integer("lastLoginInstant"),
            password_last_update_instant: reader.integer("passwordLastUpdateInstant"),
            registrations: reader.registrations(),
        }
    }
}

/// A scheme needs a hash and a salt; the salt may be empty (users document).
fn check_hashed(input: &Input, at: &str, errors: &mut Errors) {
    if input.encryption_scheme.is_none() {
        return;
    }
    for (missing, member) in [(input.password.is_none(), "password"), (input.salt.is_none(), "salt")] {
        if missing {
            let message = "It is required when an encryptionScheme is given.";
            errors.field("blank", &format!("{at}.{member}"), message);
        }
    }
}

/// Stores a user, or adds what it collides with.
fn insert(
    tx: &mut Transaction<'_>,
    user: &User,
    memberships: &[Membership],
    place: usize,
    duplicates: &mut Errors,
) -> Result<(), Reply> {
    let at = format!("users[{place}]");
    let mut found = Errors::new();
    if tx.contains(Table::USER, user.id) {
        let message = format!("A User with id = [{}] already exists.", user.id);
        found.field("duplicate", &format!("{at}.id"), message);
    }
    let names = Names {
        email: user.email.clone(),
        username: user.username.clone(),
        phone_number: user.phone_number.clone(),
    };
    names::check_free(tx, user.tenant_id, user.id, &names, &at, &mut found);
    let legacy = user.legacy_identifier.as_deref();
    names::check_legacy_identifier(tx, user.tenant_id, user.id, legacy, &at, &mut found);
    if !found.is_empty() {
        duplicates.extend(found);
        return Ok(());
    }
    user.store(tx)?;
    store_memberships(tx, user.id, memberships)
}
