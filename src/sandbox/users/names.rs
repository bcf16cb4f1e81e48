//! Who holds a sign-in name: look-ups and the uniqueness rules (wire notes §1, §4).

use uuid::Uuid;

use super::super::call::Call;
use super::super::reply::{Errors, Reply, field_error};
use super::super::store::{State, Table, Unique, UniqueKey, text_at};
use super::input::{Names, e164, folded};
use super::model::User;

/// Adds `[duplicate]…` for every name that another user of the tenant holds, `[inactive]…` if that one is deactivated.
pub fn check_free(state: &State, tenant: Uuid, user: Uuid, names: &Names, at: &str, errors: &mut Errors) {
    let username = names.username.as_deref().map(folded);
    for (kind, member, value) in [
        (Unique::UserEmail, "email", names.email.as_deref()),
        (Unique::UserUsername, "username", username.as_deref()),
        (Unique::UserPhoneNumber, "phoneNumber", names.phone_number.as_deref()),
    ] {
        let Some(value) = value else { continue };
        let Some(holder) = state.holder(&UniqueKey::new(kind, tenant, value)).filter(|id| *id != user) else {
            continue;
        };
        let inactive = User::load(state, holder).is_some_and(|user| !user.active);
        let field = format!("{at}.{member}");
        if inactive {
            let message = format!("A User with {member} = [{value}] already exists but is locked.");
            errors.field("inactive", &field, message);
        } else {
            errors.field("duplicate", &field, format!("A User with {member} = [{value}] already exists."));
        }
    }
}

/// Adds `[duplicate]….legacyIdentifier` if another user of the tenant has it.
pub fn check_legacy_identifier(
    state: &State,
    tenant: Uuid,
    user: Uuid,
    value: Option<&str>,
    at: &str,
    errors: &mut Errors,
) {
    let Some(value) = value else { return };
    let holder = state.holder(&UniqueKey::new(Unique::LegacyIdentifier, tenant, value));
    if holder.is_some_and(|holder| holder != user) {
        let message = format!("A User with legacyIdentifier = [{value}] already exists.");
        errors.field("duplicate", &format!("{at}.legacyIdentifier"), message);
    }
}

pub fn by_email(state: &State, tenant: Uuid, email: &str) -> Option<Uuid> {
    state.holder(&UniqueKey::new(Unique::UserEmail, tenant, folded(email)))
}

pub fn by_username(state: &State, tenant: Uuid, username: &str) -> Option<Uuid> {
    state.holder(&UniqueKey::new(Unique::UserUsername, tenant, folded(username)))
}

fn by_phone_number(state: &State, tenant: Uuid, number: &str) -> Option<Uuid> {
    state.holder(&UniqueKey::new(Unique::UserPhoneNumber, tenant, e164(number)?))
}

/// What a login id is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginIdType {
    Email,
    Username,
    PhoneNumber,
}

/// The types that a request names, in their order; e-mail then username by default. They exist since 1.59.
pub fn login_id_types<'a>(
    call: &Call<'_>,
    given: impl Iterator<Item = &'a str>,
) -> Result<Vec<LoginIdType>, Reply> {
    let mut out = Vec::new();
    if call.version().since(59) {
        for text in given {
            out.push(match text {
                "email" => LoginIdType::Email,
                "username" => LoginIdType::Username,
                "phoneNumber" => LoginIdType::PhoneNumber,
                _ => {
                    let message = format!("[{text}] is none of email, username, phoneNumber.");
                    return Err(field_error("invalid", "loginIdTypes", message));
                }
            });
        }
    }
    if out.is_empty() {
        out.extend([LoginIdType::Email, LoginIdType::Username]);
    }
    Ok(out)
}

/// The first user who has the login id in one of the types.
pub fn by_login_id(
    state: &State,
    tenant: Uuid,
    login_id: &str,
    types: &[LoginIdType],
) -> Option<(Uuid, LoginIdType)> {
    types.iter().find_map(|kind| {
        let found = match kind {
            LoginIdType::Email => by_email(state, tenant, login_id),
            LoginIdType::Username => by_username(state, tenant, login_id),
            LoginIdType::PhoneNumber => by_phone_number(state, tenant, login_id),
        };
        found.map(|id| (id, *kind))
    })
}

/// The user, if the request's tenant scope shows it: a user of another tenant is a 404 (wire notes §2).
pub fn visible(call: &Call<'_>, state: &State, id: Uuid) -> Result<User, Reply> {
    User::load(state, id).filter(|user| call.in_scope(Some(user.tenant_id))).ok_or_else(Reply::not_found)
}

/// Whether the group exists in the tenant.
pub fn group_exists(state: &State, group: Uuid, tenant: Uuid) -> bool {
    state.get(Table::GROUP, group).is_some_and(|object| {
        text_at(&object, "tenantId").is_none_or(|owner| owner.eq_ignore_ascii_case(&tenant.to_string()))
    })
}
