//! Users as the search index sees them: which fields there are, and their values.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::search::json::{any_at, any_leaf};
use super::super::search::{Datum, Document, Kind, Schema};
use super::super::store::State;
use super::model::{Registration, User, parse_data};
use super::view;

/// The documented index fields of users, and the sortable ones of both engines.
pub const SCHEMA: Schema = Schema {
    fields: &[
        ("active", Kind::Boolean),
        ("birthDate", Kind::Date),
        ("connectorId", Kind::Exact),
        ("email", Kind::Exact),
        ("expiry", Kind::Instant),
        ("firstName", Kind::Exact),
        ("fullName", Kind::Exact),
        ("id", Kind::Exact),
        ("insertInstant", Kind::Instant),
        ("lastLoginInstant", Kind::Instant),
        ("lastName", Kind::Exact),
        ("lastUpdateInstant", Kind::Instant),
        ("legacyIdentifier", Kind::Exact),
        ("login", Kind::Exact),
        ("memberships.groupId", Kind::Exact),
        ("memberships.id", Kind::Exact),
        ("memberships.insertInstant", Kind::Instant),
        ("middleName", Kind::Exact),
        ("mobilePhone", Kind::Exact),
        ("parentEmail", Kind::Exact),
        ("passwordChangeRequired", Kind::Boolean),
        ("passwordLastUpdateInstant", Kind::Instant),
        ("phoneNumber", Kind::Exact),
        ("preferredLanguages", Kind::Exact),
        ("registrations.applicationId", Kind::Exact),
        ("registrations.id", Kind::Exact),
        ("registrations.insertInstant", Kind::Instant),
        ("registrations.lastLoginInstant", Kind::Instant),
        ("registrations.lastUpdateInstant", Kind::Instant),
        ("registrations.preferredLanguages", Kind::Exact),
        ("registrations.roles", Kind::Exact),
        ("registrations.timezone", Kind::Exact),
        ("registrations.username", Kind::Exact),
        ("registrations.usernameStatus", Kind::Exact),
        ("registrations.verified", Kind::Boolean),
        ("tenantId", Kind::Exact),
        ("timezone", Kind::Exact),
        ("twoFactor.methods.method", Kind::Exact),
        ("username", Kind::Exact),
        ("usernameStatus", Kind::Exact),
        ("verified", Kind::Boolean),
        ("verifiedInstant", Kind::Instant),
    ],
    open: &["data", "memberships.data", "registrations.data"],
    nested: &["memberships", "registrations"],
    // The documents query `memberships.groupId` both ways, `registrations` by a nested query alone.
    also_flat: &["memberships"],
    sortable: &[
        "birthDate",
        "email",
        "fullName",
        "id",
        "insertInstant",
        "lastLoginInstant",
        "login",
        "phoneNumber",
        "registrations.applicationId",
        "registrations.id",
        "registrations.insertInstant",
        "registrations.lastLoginInstant",
        "registrations.roles",
        "tenantId",
        "username",
    ],
    database_fields: &["firstName", "lastName", "fullName", "email", "phoneNumber", "username"],
    default_sort: "login",
};

/// A user with the state that its memberships stand in.
pub struct IndexedUser<'a> {
    pub user: User,
    pub state: &'a State,
}

type Found<'f> = &'f mut dyn FnMut(Datum<'_>) -> bool;

fn text(value: Option<&str>, found: Found<'_>) -> bool {
    value.is_some_and(|value| found(Datum::text(value)))
}

fn integer(value: Option<i64>, found: Found<'_>) -> bool {
    value.is_some_and(|value| found(Datum::Integer(value)))
}

fn texts(values: &[Box<str>], found: Found<'_>) -> bool {
    values.iter().any(|value| found(Datum::text(value)))
}

fn owned(value: String, found: Found<'_>) -> bool {
    found(Datum::Text(Cow::Owned(value)))
}

/// Values at `path` below a stored `data`; all of them for the empty path.
fn in_data(data: Option<&RawValue>, path: &str, found: Found<'_>) -> bool {
    if data.is_none() {
        return false;
    }
    let data = Value::Object(parse_data(data));
    if path.is_empty() { any_leaf(&data, found) } else { any_at(&data, path, found) }
}

/// A phone number is found in E.164, in its national digits and in the national form with brackets: the documents
/// search `303*` and `*(303) 555*`.
fn phone_number(number: Option<&str>, found: Found<'_>) -> bool {
    let Some(number) = number else { return false };
    if found(Datum::text(number)) {
        return true;
    }
    let Some(national) = number.strip_prefix("+1") else { return false };
    let (Some(area), Some(exchange), Some(line)) = (national.get(..3), national.get(3..6), national.get(6..))
    else {
        return false;
    };
    found(Datum::text(national)) || owned(format!("({area}) {exchange}-{line}"), found)
}

impl Document for IndexedUser<'_> {
    fn any(&self, field: &str, found: Found<'_>) -> bool {
        let (user, profile) = (&self.user, &self.user.profile);
        if let Some(path) = field.strip_prefix("data").filter(|rest| rest.is_empty() || rest.starts_with('.'))
        {
            return in_data(profile.data.as_deref(), path.trim_start_matches('.'), found);
        }
        if field.starts_with("memberships.") {
            return self.any_nested("memberships", &mut |inner| inner.any(field, found));
        }
        match field {
            "active" => found(Datum::Boolean(user.active)),
            "birthDate" => text(profile.birth_date.as_deref(), found),
            "connectorId" => owned(super::super::bootstrap::DEFAULT_CONNECTOR.to_string(), found),
            "email" => text(user.email.as_deref(), found),
            "expiry" => integer(profile.expiry, found),
            "firstName" => text(profile.first_name.as_deref(), found),
            "fullName" => text(profile.full_name.as_deref(), found),
            "id" => owned(user.id.to_string(), found),
            "insertInstant" => integer(Some(user.insert_instant), found),
            "lastLoginInstant" => integer(user.last_login_instant, found),
            "lastName" => text(profile.last_name.as_deref(), found),
            "lastUpdateInstant" => integer(Some(user.last_update_instant), found),
            "legacyIdentifier" => text(user.legacy_identifier.as_deref(), found),
            "login" => {
                let first =
                    user.email.as_deref().or(user.username.as_deref()).or(user.phone_number.as_deref());
                text(first, found)
            }
            "middleName" => text(profile.middle_name.as_deref(), found),
            "mobilePhone" => text(profile.mobile_phone.as_deref(), found),
            "parentEmail" => text(profile.parent_email.as_deref(), found),
            "passwordChangeRequired" => found(Datum::Boolean(profile.password_change_required)),
            "passwordLastUpdateInstant" => integer(user.password_last_update_instant, found),
            "phoneNumber" => phone_number(user.phone_number.as_deref(), found),
            "preferredLanguages" => texts(&profile.preferred_languages, found),
            "tenantId" => owned(user.tenant_id.to_string(), found),
            "timezone" => text(profile.timezone.as_deref(), found),
            "twoFactor" | "twoFactor.methods" | "twoFactor.methods.method" => profile
                .two_factor_methods
                .iter()
                .any(|method| text(method.get("method").and_then(Value::as_str), found)),
            "username" => text(user.username.as_deref(), found),
            "usernameStatus" => text(Some(profile.username_status.as_deref().unwrap_or("ACTIVE")), found),
            "verified" => found(Datum::Boolean(user.verified)),
            "verifiedInstant" => integer(user.verified_instant, found),
            _ => false,
        }
    }

    fn any_nested(&self, path: &str, found: &mut dyn FnMut(&dyn Document) -> bool) -> bool {
        match path {
            "registrations" => self.user.registrations.iter().any(|one| found(one)),
            "memberships" => {
                view::memberships(self.state, self.user.id).into_iter().any(|one| found(&Membership(one)))
            }
            _ => false,
        }
    }

    fn any_everywhere(&self, found: &mut dyn FnMut(Kind, Datum<'_>) -> bool) -> bool {
        SCHEMA
            .fields
            .iter()
            .filter(|(name, kind)| {
                matches!(kind, Kind::Exact | Kind::Date) && !name.starts_with("registrations.")
            })
            .any(|(name, kind)| self.any(name, &mut |datum| found(*kind, datum)))
            || in_data(self.user.profile.data.as_deref(), "", &mut |datum| found(Kind::Dynamic, datum))
    }
}

impl Document for Registration {
    fn any(&self, field: &str, found: Found<'_>) -> bool {
        let Some(member) = field.strip_prefix("registrations.") else { return false };
        if let Some(path) =
            member.strip_prefix("data").filter(|rest| rest.is_empty() || rest.starts_with('.'))
        {
            return in_data(self.data.as_deref(), path.trim_start_matches('.'), found);
        }
        match member {
            "applicationId" => owned(self.application_id.to_string(), found),
            "id" => owned(self.id.to_string(), found),
            "insertInstant" => integer(Some(self.insert_instant), found),
            "lastLoginInstant" => integer(self.last_login_instant, found),
            "lastUpdateInstant" => integer(Some(self.last_update_instant), found),
            "preferredLanguages" => texts(&self.preferred_languages, found),
            "roles" => texts(&self.roles, found),
            "timezone" => text(self.timezone.as_deref(), found),
            "username" => text(self.username.as_deref(), found),
            "usernameStatus" => text(Some(self.username_status.as_deref().unwrap_or("ACTIVE")), found),
            "verified" => found(Datum::Boolean(self.verified)),
            _ => false,
        }
    }

    fn any_nested(&self, _: &str, _: &mut dyn FnMut(&dyn Document) -> bool) -> bool {
        false
    }

    fn any_everywhere(&self, _: &mut dyn FnMut(Kind, Datum<'_>) -> bool) -> bool {
        false
    }
}

/// A membership as answers show it.
struct Membership(Value);

impl Document for Membership {
    fn any(&self, field: &str, found: Found<'_>) -> bool {
        field.strip_prefix("memberships.").is_some_and(|path| any_at(&self.0, path, found))
    }

    fn any_nested(&self, _: &str, _: &mut dyn FnMut(&dyn Document) -> bool) -> bool {
        false
    }

    fn any_everywhere(&self, _: &mut dyn FnMut(Kind, Datum<'_>) -> bool) -> bool {
        false
    }
}
