//! `POST /api/user/import`: many users at once, with fields that nothing else can set.

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
use super::input::{Input, Reader, RegistrationInput};
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
    let validate = body.validate_db_constraints == Some(true);
    let mut batch = Batch { call, body: &body, tenants: HashMap::new(), applications: HashMap::new() };
    // Everything that can be checked alone is, and passwords are hashed, before anyone is kept out.
    let mut errors = Errors::new();
    let mut rows = Vec::with_capacity(body.users.len());
    {
        let state = call.read();
        for (place, raw) in body.users.iter().enumerate() {
            if let Some(row) = batch.read(&state, raw, place, &mut errors)? {
                rows.push(row);
            }
        }
    }
    errors.check()?;
    let mut tx = call.write();
    let mut errors = Errors::new();
    let mut effects = Effects::default();
    for row in &rows {
        insert(&mut tx, row, validate, &mut errors)?;
    }
    errors.check()?;
    if let Some(first) = rows.first() {
        let total = rows.len();
        effects.event(&tx, "user.bulk.create", first.user.tenant_id, || serde_json::json!({"total": total}));
    }
    tx.commit()?;
    effects.record(call);
    Ok(Reply::empty(200))
}

/// A user that is ready to be stored.
struct Row {
    at: String,
    user: User,
    input: Input,
}

struct Batch<'a> {
    call: &'a Call<'a>,
    body: &'a Body<'a>,
    tenants: HashMap<Uuid, Settings>,
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
    ) -> Result<Option<Row>, Reply> {
        let at = format!("users[{place}]");
        let Ok(Value::Object(object)) = serde_json::from_str(raw.get()) else {
            return Err(invalid_json(&at, "an object is expected"));
        };
        let tenant = self.tenant(state, &object)?;
        let settings = self.tenants.entry(tenant).or_insert_with(|| Settings::of(state, tenant)).clone();
        let mut found = Errors::new();
        let mut reader = Reader::new(&object, &at, &mut found).taking_any_email();
        let input = reader.user(self.call.version(), &[]);
        let given = Given::read(&mut reader);
        require_name(&input, &at, &mut found);
        check_memberships(state, tenant, &input.memberships, &at, &mut found);
        self.check_registrations(state, tenant, &given.registrations, &at, &mut found);
        check_hashed(&input, &at, &mut found);
        if !found.is_empty() {
            errors.extend(found);
            return Ok(None);
        }
        let password = self.password(&input, &settings, &at)?;
        let user = self.user(tenant, &input, &given, password);
        Ok(Some(Row { at, user, input }))
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

    /// With a scheme of its own the password is a hash already; else it is plain text, hashed with the request's
    /// scheme and factor or the tenant's.
    fn password(&self, input: &Input, settings: &Settings, at: &str) -> Result<Option<Hashed>, Reply> {
        let Some(text) = &input.password else { return Ok(None) };
        match (&input.encryption_scheme, &input.salt) {
            (Some(scheme), Some(salt)) => password::pre_hashed(scheme, input.factor, salt, text),
            _ => settings.hash(text, self.body.encryption_scheme.as_deref(), self.body.factor),
        }
        .map(Some)
        .map_err(|error| super::create::password_error(&error, at))
    }

    fn user(&mut self, tenant: Uuid, input: &Input, given: &Given, password: Option<Hashed>) -> User {
        let now = self.call.now();
        let since = given.insert_instant.unwrap_or(now);
        let names = input.names.clone();
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
            legacy_identifier: input.legacy_identifier.clone(),
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
            profile: input.profile.clone(),
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

/// Stores a row. A duplicate is a 500, unless the request wants duplicates validated (wire notes §4).
fn insert(tx: &mut Transaction<'_>, row: &Row, validate: bool, errors: &mut Errors) -> Result<(), Reply> {
    let user = &row.user;
    let mut found = Errors::new();
    if tx.contains(Table::USER, user.id) {
        let message = format!("A User with id = [{}] already exists.", user.id);
        found.field("duplicate", &format!("{}.id", row.at), message);
    }
    names::check_free(tx, user.tenant_id, user.id, &row.input.names, &row.at, &mut found);
    let legacy = user.legacy_identifier.as_deref();
    names::check_legacy_identifier(tx, user.tenant_id, user.id, legacy, &row.at, &mut found);
    if !found.is_empty() {
        if !validate {
            return Err(Reply::empty(500));
        }
        errors.extend(found);
        return Ok(());
    }
    user.store(tx)?;
    store_memberships(tx, user.id, &row.input.memberships)
}
