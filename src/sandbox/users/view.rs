//! Users and registrations as answers show them: keys in alphabetical order, no nulls, no secrets (wire notes §1, §4).

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::bootstrap::DEFAULT_CONNECTOR;
use super::super::store::{Object, Relation, State, Table};
use super::super::version::Version;
use super::model::{Identity, Registration, User};

/// What an answer shows of a user.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    pub version: Version,
    /// Only a GET with an API key shows it (since 1.20.1).
    pub encryption_scheme: bool,
    pub registrations: bool,
    pub memberships: bool,
}

impl Shown {
    pub fn new(version: Version) -> Self {
        Self { version, encryption_scheme: false, registrations: true, memberships: true }
    }

    pub fn retrieved(version: Version) -> Self {
        Self { encryption_scheme: true, ..Self::new(version) }
    }
}

/// A user with its memberships, ready to be serialised.
pub struct UserView<'a> {
    user: &'a User,
    memberships: Vec<Value>,
    shown: Shown,
}

impl<'a> UserView<'a> {
    pub fn new(state: &State, user: &'a User, shown: Shown) -> Self {
        let memberships = if shown.memberships { memberships(state, user.id) } else { Vec::new() };
        Self { user, memberships, shown }
    }
}

/// A user's memberships, as answers show them.
pub fn memberships(state: &State, user: Uuid) -> Vec<Value> {
    state
        .related(Relation::MembershipsOfUser, user)
        .iter()
        .filter_map(|id| Some((id, state.get(Table::GROUP_MEMBER, *id)?)))
        .map(|(id, member)| {
            let take = |key: &str| member.get(key).cloned().unwrap_or(Value::Null);
            let data = member.get("data").cloned().unwrap_or_else(|| json!({}));
            json!({"data": data, "groupId": take("groupId"), "id": id, "insertInstant": take("insertInstant")})
        })
        .collect()
}

impl Serialize for UserView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (user, profile, version) = (self.user, &self.user.profile, self.shown.version);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("active", &user.active)?;
        entry(&mut map, "birthDate", profile.birth_date.as_ref())?;
        map.serialize_entry("connectorId", &DEFAULT_CONNECTOR)?;
        match &profile.data {
            Some(data) => map.serialize_entry("data", data)?,
            None => map.serialize_entry("data", &Object::new())?,
        }
        entry(&mut map, "email", user.email.as_ref())?;
        if let (true, Some(password)) = (self.shown.encryption_scheme, &user.password) {
            map.serialize_entry("encryptionScheme", &password.scheme)?;
        }
        entry(&mut map, "expiry", profile.expiry)?;
        entry(&mut map, "firstName", profile.first_name.as_ref())?;
        entry(&mut map, "fullName", profile.full_name.as_ref())?;
        map.serialize_entry("id", &user.id)?;
        if version.since(59) {
            map.serialize_entry("identities", &identities(user))?;
        }
        entry(&mut map, "imageUrl", profile.image_url.as_ref())?;
        map.serialize_entry("insertInstant", &user.insert_instant)?;
        entry(&mut map, "lastLoginInstant", user.last_login_instant)?;
        entry(&mut map, "lastName", profile.last_name.as_ref())?;
        map.serialize_entry("lastUpdateInstant", &user.last_update_instant)?;
        if version.since(67) {
            entry(&mut map, "legacyIdentifier", user.legacy_identifier.as_ref())?;
        }
        if self.shown.memberships {
            map.serialize_entry("memberships", &self.memberships)?;
        }
        entry(&mut map, "middleName", profile.middle_name.as_ref())?;
        entry(&mut map, "mobilePhone", profile.mobile_phone.as_ref())?;
        entry(&mut map, "parentEmail", profile.parent_email.as_ref())?;
        if profile.password_change_required {
            let reason = profile.password_change_reason.as_deref().unwrap_or("Administrative");
            map.serialize_entry("passwordChangeReason", reason)?;
        }
        map.serialize_entry("passwordChangeRequired", &profile.password_change_required)?;
        // Absent without a password since 1.59 (wire notes §4); before, every user had the instant.
        let changed =
            user.password_last_update_instant.or((!version.since(59)).then_some(user.insert_instant));
        entry(&mut map, "passwordLastUpdateInstant", changed)?;
        if version.since(59) {
            entry(&mut map, "phoneNumber", user.phone_number.as_ref())?;
        }
        map.serialize_entry("preferredLanguages", &profile.preferred_languages)?;
        if self.shown.registrations {
            let shown: Vec<_> =
                user.registrations.iter().map(|one| RegistrationView::new(one, version)).collect();
            map.serialize_entry("registrations", &shown)?;
        }
        map.serialize_entry("tenantId", &user.tenant_id)?;
        entry(&mut map, "timezone", profile.timezone.as_ref())?;
        map.serialize_entry("twoFactor", &two_factor(&profile.two_factor_methods))?;
        entry(&mut map, "uniqueUsername", user.username.as_ref())?;
        entry(&mut map, "username", user.username.as_ref())?;
        map.serialize_entry("usernameStatus", profile.username_status.as_deref().unwrap_or("ACTIVE"))?;
        map.serialize_entry("verified", &user.verified)?;
        if version.since(48) {
            entry(&mut map, "verifiedInstant", user.verified_instant)?;
        }
        map.end()
    }
}

/// Nulls are left out of every answer.
fn entry<M: SerializeMap>(map: &mut M, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// A user as a JSON value: what a PATCH is applied to, and what messages carry.
pub fn user_value(state: &State, user: &User, shown: Shown) -> Value {
    serde_json::to_value(UserView::new(state, user, shown)).unwrap_or(Value::Null)
}

fn identities(user: &User) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some((value, state)) = user.email.as_deref().zip(user.email_identity.as_ref()) {
        out.push(identity("email", value, state));
    }
    if let Some((value, state)) = user.phone_number.as_deref().zip(user.phone_identity.as_ref()) {
        out.push(identity("phoneNumber", value, state));
    }
    if let Some((value, state)) = user.username.as_deref().zip(user.username_identity.as_ref()) {
        let mut shown = identity("username", value, state);
        if let Some(object) = shown.as_object_mut() {
            object.insert("displayValue".to_owned(), json!(value));
            let status = user.profile.username_status.as_deref().unwrap_or("ACTIVE");
            object.insert("moderationStatus".to_owned(), json!(status));
        }
        out.push(shown);
    }
    out
}

fn identity(kind: &str, value: &str, state: &Identity) -> Value {
    let mut shown = json!({
        "insertInstant": state.since, "lastUpdateInstant": state.updated, "primary": true, "type": kind,
        "value": value, "verified": state.verified, "verifiedReason": state.reason,
    });
    if let Some(object) = shown.as_object_mut() {
        if let Some(instant) = state.last_login {
            object.insert("lastLoginInstant".to_owned(), json!(instant));
        }
        if let Some(instant) = state.verified_instant {
            object.insert("verifiedInstant".to_owned(), json!(instant));
        }
    }
    shown
}

/// Methods without their secrets; recovery codes are never shown.
fn two_factor(methods: &[Object]) -> Value {
    let shown: Vec<Object> = methods
        .iter()
        .map(|method| {
            let mut method = method.clone();
            method.remove("secret");
            method
        })
        .collect();
    json!({"methods": shown, "recoveryCodes": []})
}

/// A registration as answers show it.
pub struct RegistrationView<'a> {
    registration: &'a Registration,
    version: Version,
}

impl<'a> RegistrationView<'a> {
    pub fn new(registration: &'a Registration, version: Version) -> Self {
        Self { registration, version }
    }
}

impl Serialize for RegistrationView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let one = self.registration;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("applicationId", &one.application_id)?;
        entry(&mut map, "authenticationToken", one.authentication_token.as_ref())?;
        entry(&mut map, "cleanSpeakId", one.clean_speak_id)?;
        match &one.data {
            Some(data) => map.serialize_entry("data", data)?,
            None => map.serialize_entry("data", &Object::new())?,
        }
        map.serialize_entry("id", &one.id)?;
        map.serialize_entry("insertInstant", &one.insert_instant)?;
        entry(&mut map, "lastLoginInstant", one.last_login_instant)?;
        map.serialize_entry("lastUpdateInstant", &one.last_update_instant)?;
        map.serialize_entry("preferredLanguages", &one.preferred_languages)?;
        map.serialize_entry("roles", &one.roles)?;
        entry(&mut map, "timezone", one.timezone.as_ref())?;
        map.serialize_entry("tokens", &Object::new())?;
        entry(&mut map, "username", one.username.as_ref())?;
        map.serialize_entry("usernameStatus", one.username_status.as_deref().unwrap_or("ACTIVE"))?;
        map.serialize_entry("verified", &one.verified)?;
        if self.version.since(48) {
            entry(&mut map, "verifiedInstant", one.verified_instant)?;
        }
        map.end()
    }
}

impl RegistrationView<'_> {
    /// As a JSON value, for patches and messages.
    pub fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}
