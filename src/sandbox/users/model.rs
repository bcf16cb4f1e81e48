//! A user as it is stored, with what no answer shows (password, identity states, an e-mail address that waits).
//!
//! The names that must be unique stand at the top, where the store's keys find them. Defaults are left out, so that a
//! plain user costs a few hundred bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::password::Hashed;
use super::super::store::{Object, State, StoreError, Table, Transaction};

/// A user. Instants are milliseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Box<str>>,
    /// E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_identifier: Option<Box<str>>,
    pub active: bool,
    pub insert_instant: i64,
    pub last_update_instant: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_instant: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// The first time that the e-mail address was verified; never changed after (users document).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_instant: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_identity: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_identity: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_identity: Option<Identity>,
    /// A changed address that takes effect when it is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_email: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Box<Hashed>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_last_update_instant: Option<i64>,
    /// Kept where the tenant remembers previous passwords, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous_passwords: Vec<Hashed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registrations: Vec<Registration>,
    pub profile: Profile,
}

/// What a PUT replaces as a whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mobile_phone: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_email: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_change_required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_change_reason: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_languages: Vec<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Box<str>>,
    /// Two-factor methods with their secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub two_factor_methods: Vec<Object>,
    /// None is ACTIVE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_status: Option<Box<str>>,
}

/// The state of one sign-in name (`identities[]`, since 1.59).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub verified: bool,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_instant: Option<i64>,
    pub since: i64,
    pub updated: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login: Option<i64>,
}

/// `verifiedReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    Administrative,
    Completed,
    Disabled,
    Implicit,
    Import,
    Pending,
    Skipped,
    Unverifiable,
}

impl Identity {
    pub fn new(now: i64, reason: Reason) -> Self {
        Self { verified: false, reason, verified_instant: None, since: now, updated: now, last_login: None }
    }

    pub fn verify(&mut self, now: i64, reason: Reason) {
        if !self.verified {
            self.verified_instant = Some(now);
        }
        self.verified = true;
        self.reason = reason;
        self.updated = now;
    }
}

/// A user's registration for one application.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    pub application_id: Uuid,
    pub id: Uuid,
    pub insert_instant: i64,
    pub last_update_instant: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_instant: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_token: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_speak_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_languages: Vec<Box<str>>,
    /// A sorted set of role names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Box<str>>,
    /// None is ACTIVE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_status: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_instant: Option<i64>,
}

impl User {
    /// Reads a stored row.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub fn load(state: &State, id: Uuid) -> Option<Self> {
        state.raw(Table::USER, id).and_then(Self::parse)
    }

    /// Writes the row.
    pub fn store(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        match serde_json::to_value(self)? {
            Value::Object(object) => tx.put(Table::USER, self.id, &object),
            // A struct always serialises to an object.
            _ => Ok(()),
        }
    }

    pub fn registration(&self, application: Uuid) -> Option<&Registration> {
        self.registrations.iter().find(|registration| registration.application_id == application)
    }

    pub fn registration_mut(&mut self, application: Uuid) -> Option<&mut Registration> {
        self.registrations.iter_mut().find(|registration| registration.application_id == application)
    }

    /// Where mail for this user goes: the sign-in address, else `data.email` (users document, forgot password).
    pub fn mail_address(&self) -> Option<String> {
        self.email.as_deref().map(str::to_owned).or_else(|| {
            let data: Object = parse_data(self.profile.data.as_deref());
            data.get("email").and_then(Value::as_str).map(str::to_owned)
        })
    }
}

/// A stored `data` as an object.
pub fn parse_data(data: Option<&RawValue>) -> Object {
    data.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// `data` as it is stored: top-level nulls dropped, nested ones kept (wire notes §4); nothing for an empty map.
pub fn stored_data(mut data: Object) -> Option<Box<RawValue>> {
    data.retain(|_, value| !value.is_null());
    if data.is_empty() {
        return None;
    }
    serde_json::value::to_raw_value(&data).ok()
}
