//! `PUT` and `PATCH /api/user/{userId}`, and reactivation.
//!
//! A PATCH is applied to the user as its request wrapper and then goes the way of a PUT (wire notes §3).

use serde_json::{Value, json};

use super::super::call::{Call, invalid_json, invalid_json_in};
use super::super::password::{self, Hashed};
use super::super::patch::{self, Dialect, PatchError};
use super::super::reply::{Errors, Outcome, Reply, field_error, general_error};
use super::super::store::{Object, Transaction, text_at};
use super::create::{self, answer, check_blocked, merge, require_name, start_verification, user_content};
use super::effects::Effects;
use super::input::{Input, Reader};
use super::model::{Identity, Reason, User};
use super::names::{self, visible};
use super::settings::Settings;
use super::tokens::{self, Verifies};
use super::view::{Shown, user_value};

/// `PUT /api/user/{userId}[?reactivate=true]`
pub fn put(call: &Call<'_>) -> Outcome {
    if call.query_flag("reactivate") == Some(true) {
        return reactivate(call);
    }
    let body = call.json_object()?;
    update(call, |_, _| Ok(body))
}

/// `PATCH /api/user/{userId}`
pub fn patch(call: &Call<'_>) -> Outcome {
    let dialect = dialect(call)?;
    let body = call.json()?;
    update(call, |tx, user| {
        let mut wrapper = json!({"user": user_value(tx, user, Shown::new(call.version()))});
        patch::apply(dialect, &mut wrapper, body).map_err(|error| patch_error(&error))?;
        match wrapper {
            Value::Object(object) => Ok(object),
            _ => Err(invalid_json("user", "an object is expected")),
        }
    })
}

/// The dialect that the Content-Type names; the RFC ones exist since 1.39.
pub fn dialect(call: &Call<'_>) -> Result<Dialect, Reply> {
    Dialect::from_content_type(call.content_type.as_deref(), call.version().since(39))
        .map_err(|error| patch_error(&error))
}

/// What a patch that cannot be applied answers.
pub fn patch_error(error: &PatchError) -> Reply {
    match error {
        PatchError::UnsupportedContentType(_) => general_error(400, "InvalidContentType", error.to_string()),
        PatchError::Invalid(_) => general_error(400, "invalidJSON", error.to_string()),
        PatchError::NullCollection(_) => Reply::empty(500),
    }
}

fn reactivate(call: &Call<'_>) -> Outcome {
    let id = call.required_id("userId")?;
    let mut tx = call.write();
    let mut user = visible(call, &tx, id)?;
    let mut effects = Effects::default();
    if !user.active {
        user.active = true;
        user.last_update_instant = tx.now();
        user.store(&mut tx)?;
        effects.event(&tx, "user.reactivate", user.tenant_id, || user_content(&tx, &user, call.version()));
    }
    let reply = answer(&tx, call, &user, None, Shown::new(call.version()));
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

/// 400: a deactivated user is reactivated first (wire notes §4, §13).
pub fn refuse_inactive(user: &User) -> Result<(), Reply> {
    if user.active {
        return Ok(());
    }
    let message = format!("The User with id = [{}] is inactive. Reactivate it first.", user.id);
    Err(general_error(400, "InactiveUser", message))
}

fn update(call: &Call<'_>, body: impl FnOnce(&Transaction<'_>, &User) -> Result<Object, Reply>) -> Outcome {
    let id = call.required_id("userId")?;
    let mut tx = call.write();
    let user = visible(call, &tx, id)?;
    refuse_inactive(&user)?;
    let body = body(&tx, &user)?;
    let mut effects = Effects::default();
    let change = Change { call, settings: Settings::of(&tx, user.tenant_id), body: &body };
    let user = change.apply(&mut tx, user, &mut effects)?;
    let reply = answer(&tx, call, &user, None, Shown::new(call.version()));
    tx.commit()?;
    effects.record(call);
    Ok(reply)
}

/// A whole user as a PUT gives it.
struct Change<'a> {
    call: &'a Call<'a>,
    settings: Settings,
    body: &'a Object,
}

impl Change<'_> {
    fn apply(&self, tx: &mut Transaction<'_>, before: User, effects: &mut Effects) -> Result<User, Reply> {
        let Some(Value::Object(object)) = self.body.get("user") else {
            return Err(field_error("missing", "user", "The [user] property is required."));
        };
        let mut errors = Errors::new();
        let input = Reader::new(object, "user", &mut errors)
            .user(self.call.version(), &before.profile.two_factor_methods);
        self.check(tx, &before, &input, &mut errors);
        errors.check()?;
        let hashed = self.hash(&input)?;
        let now = tx.now();
        let mut user = before.clone();
        user.profile = input.profile.clone();
        user.last_update_instant = now;
        if let Some(hashed) = hashed {
            set_password(&mut user, hashed, &self.settings, now);
            user.profile.password_change_required = input.profile.password_change_required;
        }
        let verifying = self.rename(&mut user, &input, now);
        if user.email != before.email {
            tokens::end_verifications(tx, user.id, Verifies::Email)?;
        }
        user.store(tx)?;
        for which in verifying {
            start_verification(tx, &self.settings, &user, which, Some(effects))?;
        }
        let version = self.call.version();
        effects.event(tx, "user.update", user.tenant_id, || {
            let mut content = user_content(tx, &user, version);
            merge(&mut content, json!({"original": user_value(tx, &before, Shown::new(version))}));
            content
        });
        Ok(user)
    }

    fn check(&self, tx: &Transaction<'_>, before: &User, input: &Input, errors: &mut Errors) {
        require_name(input, "user", errors);
        let mut top = Reader::new(self.body, "", errors);
        let disabled = top.flag("disableDomainBlock").unwrap_or(false);
        top.flag("skipVerification");
        top.id("applicationId");
        let current = top.text("currentPassword");
        if self.reads_field_type()
            && top.text("passwordFieldType").is_some_and(|text| !matches!(text, "HASHED" | "PLAINTEXT"))
        {
            invalid_json_in(errors, "passwordFieldType", "one of HASHED, PLAINTEXT is expected");
        }
        if input.names.email != before.email {
            check_blocked(&self.settings, input.names.email.as_deref(), disabled, "user", errors);
        }
        names::check_free(tx, before.tenant_id, before.id, &input.names, "user", errors);
        // Immutable, kept when omitted (wire notes §4, §13).
        if input.legacy_identifier.is_some() && input.legacy_identifier != before.legacy_identifier {
            errors.field("invalid", "user.legacyIdentifier", "The legacyIdentifier cannot be changed.");
        }
        if let Some(current) = current
            && !before.password.as_ref().is_some_and(|password| password.matches(current))
        {
            errors.field("invalid", "currentPassword", "The current password is not correct.");
        }
        if let Some(plain) = &input.password
            && !self.is_hashed()
        {
            let now = tx.now();
            self.settings.check_password(plain, "user.password", Some(before), now, errors);
        }
    }

    /// `passwordFieldType` counts since 1.69 and on PUT only (wire notes §4).
    fn reads_field_type(&self) -> bool {
        self.call.version().since(69) && self.call.route.method == "PUT"
    }

    fn is_hashed(&self) -> bool {
        self.reads_field_type() && text_at(self.body, "passwordFieldType") == Some("HASHED")
    }

    fn hash(&self, input: &Input) -> Result<Option<Hashed>, Reply> {
        if !self.is_hashed() {
            let Some(plain) = &input.password else { return Ok(None) };
            return self
                .settings
                .hash(plain, input.encryption_scheme.as_deref(), input.factor)
                .map(Some)
                .map_err(|error| create::password_error(&error, "user"));
        }
        let needed = (&input.encryption_scheme, input.factor, &input.password, &input.salt);
        let (Some(scheme), Some(factor), Some(hash), Some(salt)) = needed else {
            let mut errors = Errors::new();
            for (missing, member) in [
                (input.encryption_scheme.is_none(), "encryptionScheme"),
                (input.factor.is_none(), "factor"),
                (input.password.is_none(), "password"),
                (input.salt.is_none(), "salt"),
            ] {
                if missing {
                    let message = "A hashed password comes with its scheme, factor and salt.";
                    errors.field("blank", &format!("user.{member}"), message);
                }
            }
            return Err(errors.reply());
        };
        password::pre_hashed(scheme, Some(factor), salt, hash)
            .map(Some)
            .map_err(|error| create::password_error(&error, "user"))
    }

    /// Sets the sign-in names and their states; gives the names to verify. A changed e-mail address waits where the
    /// tenant verifies changes.
    fn rename(&self, user: &mut User, input: &Input, now: i64) -> Vec<Verifies> {
        let skip = self.body.get("skipVerification") == Some(&Value::Bool(true));
        let mut verifying = Vec::new();
        let new = &input.names;
        if new.username != user.username {
            user.username_identity = new.username.as_ref().map(|_| Identity::new(now, Reason::Unverifiable));
            user.username = new.username.clone();
        }
        if new.phone_number != user.phone_number {
            let verify = self.settings.verifies_phone_number() && !skip;
            user.phone_identity =
                new.phone_number.as_ref().map(|_| Identity::new(now, changed(verify, skip)));
            user.phone_number = new.phone_number.clone();
            if verify && user.phone_number.is_some() {
                verifying.push(Verifies::PhoneNumber);
            }
        }
        if new.email == user.email {
            // An address that waits goes on waiting: other fields may change meanwhile.
        } else if new.email.is_some()
            && user.email.is_some()
            && self.settings.verifies_changed_email()
            && !skip
        {
            user.pending_email = new.email.clone();
            verifying.push(Verifies::Email);
        } else {
            let first = user.email.is_none() && new.email.is_some();
            let verify = first && self.settings.verifies_email() && !skip;
            user.email_identity = new.email.as_ref().map(|_| match &user.email_identity {
                // Without verification of changes the address keeps its state.
                Some(before) if !skip => Identity { updated: now, ..before.clone() },
                _ => Identity::new(now, changed(verify, skip)),
            });
            user.email = new.email.clone();
            user.pending_email = None;
            if verify {
                user.verified = false;
                verifying.push(Verifies::Email);
            } else if skip {
                user.verified = true;
                user.verified_instant = user.verified_instant.or(Some(now));
            }
        }
        verifying
    }
}

fn changed(verify: bool, skip: bool) -> Reason {
    match (verify, skip) {
        (_, true) => Reason::Skipped,
        (true, false) => Reason::Pending,
        (false, false) => Reason::Disabled,
    }
}

/// Replaces a password and remembers the one before where the tenant says so.
pub fn set_password(user: &mut User, hashed: Hashed, settings: &Settings, now: i64) {
    let before = user.password.replace(Box::new(hashed));
    if let Some(before) = before {
        user.previous_passwords.insert(0, *before);
    }
    user.previous_passwords.truncate(settings.remembered_passwords());
    user.password_last_update_instant = Some(now);
}
