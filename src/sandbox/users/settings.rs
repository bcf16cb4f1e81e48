//! What a tenant's and an application's configuration says about users. Unset values take FusionAuth's defaults.

use serde_json::Value;
use uuid::Uuid;

use super::super::password::{self, Hashed, PasswordError};
use super::super::reply::Errors;
use super::super::store::{Object, State, Table, uuid_at};
use super::model::User;

/// One tenant's configuration.
#[derive(Debug, Clone)]
pub struct Settings(Object);

impl Settings {
    pub fn of(state: &State, tenant: Uuid) -> Self {
        Self(state.get(Table::TENANT, tenant).unwrap_or_default())
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |value, key| value.get(key))
    }

    fn flag(&self, path: &[&str]) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&self, path: &[&str], default: i64) -> i64 {
        self.at(path).and_then(Value::as_i64).unwrap_or(default)
    }

    pub fn issuer(&self) -> &str {
        self.0.get("issuer").and_then(Value::as_str).unwrap_or("acme.com")
    }

    /// Seconds that a token of `/api/login` holds.
    pub fn token_seconds(&self) -> i64 {
        self.number(&["jwtConfiguration", "timeToLiveInSeconds"], 3_600)
    }

    pub fn verifies_email(&self) -> bool {
        self.flag(&["emailConfiguration", "verifyEmail"])
    }

    pub fn verifies_changed_email(&self) -> bool {
        self.verifies_email() && self.flag(&["emailConfiguration", "verifyEmailWhenChanged"])
    }

    /// Whether following a mailed link verifies the address too; on unless switched off.
    pub fn verifies_implicitly(&self) -> bool {
        self.at(&["emailConfiguration", "implicitEmailVerificationAllowed"])
            .and_then(Value::as_bool)
            .unwrap_or(true)
    }

    pub fn verifies_by_code(&self) -> bool {
        self.at(&["emailConfiguration", "verificationStrategy"]).and_then(Value::as_str) == Some("FormField")
    }

    pub fn verifies_phone_number(&self) -> bool {
        self.flag(&["phoneConfiguration", "verifyPhoneNumber"])
    }

    /// Without a template the forgot-password function is off.
    pub fn mails_forgotten_passwords(&self) -> bool {
        self.at(&["emailConfiguration", "forgotPasswordEmailTemplateId"]).is_some_and(Value::is_string)
    }

    fn lifetime(&self, name: &str, default_seconds: i64) -> i64 {
        self.number(&["externalIdentifierConfiguration", name], default_seconds).saturating_mul(1_000)
    }

    /// Milliseconds that a changePasswordId holds: 10 minutes unless configured.
    pub fn change_password_lifetime(&self) -> i64 {
        self.lifetime("changePasswordIdTimeToLiveInSeconds", 600)
    }

    pub fn setup_password_lifetime(&self) -> i64 {
        self.lifetime("setupPasswordIdTimeToLiveInSeconds", 86_400)
    }

    /// Milliseconds that a verification id holds: 24 hours unless configured.
    pub fn email_verification_lifetime(&self) -> i64 {
        self.lifetime("emailVerificationIdTimeToLiveInSeconds", 86_400)
    }

    pub fn registration_verification_lifetime(&self) -> i64 {
        self.lifetime("registrationVerificationIdTimeToLiveInSeconds", 86_400)
    }

    pub fn phone_verification_lifetime(&self) -> i64 {
        self.lifetime("phoneVerificationIdTimeToLiveInSeconds", 86_400)
    }

    pub fn blocks(&self, email: &str) -> bool {
        let domain = email.rsplit('@').next().unwrap_or_default();
        let blocked = self.at(&["registrationConfiguration", "blockedDomains"]).and_then(Value::as_array);
        blocked.is_some_and(|list| {
            list.iter().any(|item| item.as_str().is_some_and(|name| name.eq_ignore_ascii_case(domain)))
        })
    }

    /// The rules a new plain-text password must follow (`passwordValidationRules`; 8 to 256 characters by default).
    pub fn check_password(
        &self,
        plain: &str,
        field: &str,
        user: Option<&User>,
        now: i64,
        errors: &mut Errors,
    ) {
        if plain.is_empty() {
            errors.field("blank", field, "You must specify a password.");
            return;
        }
        let rules = |name: &str| self.flag(&["passwordValidationRules", name]);
        let minimum = self.number(&["passwordValidationRules", "minLength"], 8);
        let maximum = self.number(&["passwordValidationRules", "maxLength"], 256);
        let length = i64::try_from(plain.chars().count()).unwrap_or(i64::MAX);
        if length < minimum {
            let message =
                format!("Your password is too short. It must be at least {minimum} characters long.");
            errors.field("tooShort", field, message);
        }
        if length > maximum {
            let message = format!("Your password is too long. It must be at most {maximum} characters long.");
            errors.field("tooLong", field, message);
        }
        if rules("requireMixedCase")
            && !(plain.chars().any(char::is_lowercase) && plain.chars().any(char::is_uppercase))
        {
            errors.field("singleCase", field, "Your password must have upper and lower case characters.");
        }
        if rules("requireNonAlpha") && plain.chars().all(char::is_alphanumeric) {
            errors.field(
                "onlyAlpha",
                field,
                "Your password must have a character that is no letter or digit.",
            );
        }
        if rules("requireNumber") && !plain.chars().any(char::is_numeric) {
            errors.field("requireNumber", field, "Your password must have a digit.");
        }
        if let Some(user) = user {
            self.check_history(plain, field, user, now, errors);
        }
    }

    fn check_history(&self, plain: &str, field: &str, user: &User, now: i64, errors: &mut Errors) {
        if self.remembered_passwords() > 0 {
            let mut known = user.password.iter().map(|hashed| &**hashed).chain(&user.previous_passwords);
            if known.any(|hashed| hashed.matches(plain)) {
                errors.field("previouslyUsed", field, "The password has been used before.");
            }
        }
        if self.flag(&["minimumPasswordAge", "enabled"]) {
            let age = self.number(&["minimumPasswordAge", "seconds"], 30).saturating_mul(1_000);
            if user.password_last_update_instant.is_some_and(|changed| now < changed.saturating_add(age)) {
                errors.field("tooYoung", field, "The password was changed too recently to be changed again.");
            }
        }
    }

    /// How many passwords are remembered against re-use; 0 when that is off.
    pub fn remembered_passwords(&self) -> usize {
        let path = ["passwordValidationRules", "rememberPreviousPasswords"];
        let Some(rule) = self.at(&path) else { return 0 };
        if rule.get("enabled").and_then(Value::as_bool) != Some(true) {
            return 0;
        }
        rule.get("count").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
    }

    /// Hashes plain text with the given scheme and factor, else with the tenant's, else with FusionAuth's default.
    pub fn hash(
        &self,
        plain: &str,
        scheme: Option<&str>,
        factor: Option<i64>,
    ) -> Result<Hashed, PasswordError> {
        let configured =
            self.at(&["passwordEncryptionConfiguration", "encryptionScheme"]).and_then(Value::as_str);
        let configured_factor =
            self.at(&["passwordEncryptionConfiguration", "encryptionSchemeFactor"]).and_then(Value::as_i64);
        match scheme {
            Some(scheme) => password::hash(plain, Some(scheme), factor),
            None => password::hash(plain, configured, factor.or(configured_factor)),
        }
    }
}

/// What matters of an application for registrations and logins.
#[derive(Debug, Clone)]
pub struct Application {
    pub id: Uuid,
    pub active: bool,
    pub roles: Vec<String>,
    pub default_roles: Vec<String>,
    pub verifies_registrations: bool,
}

impl Application {
    /// The application, if users of the tenant may have it: its own tenant's, or a universal one (since 1.58).
    pub fn of(state: &State, id: Uuid, tenant: Uuid) -> Option<Self> {
        let object = state.get(Table::APPLICATION, id)?;
        if uuid_at(&object, "tenantId").is_some_and(|owner| owner != tenant) {
            return None;
        }
        let roles = object.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let name = |role: &Value| role.get("name").and_then(Value::as_str).map(str::to_owned);
        let default = |role: &&Value| role.get("isDefault").and_then(Value::as_bool) == Some(true);
        let flag = |name: &str| object.get(name).and_then(Value::as_bool);
        Some(Self {
            id,
            active: flag("active").unwrap_or(true),
            roles: roles.iter().filter_map(name).collect(),
            default_roles: roles.iter().filter(default).filter_map(name).collect(),
            verifies_registrations: flag("verifyRegistration").unwrap_or(false),
        })
    }
}
