//! Reading what a request says about a user: types, forms and the server's normalisation (wire notes §4). Finds every
//! error of a body, not the first alone. Knows nothing of what is stored.

use serde_json::Value;
use uuid::Uuid;

use super::super::call::{invalid_json_in, parse_uuid};
use super::super::numbers;
use super::super::reply::Errors;
use super::super::store::Object;
use super::super::version::Version;
use super::model::{Profile, stored_data};

/// What a person signs in with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub email: Option<Box<str>>,
    pub username: Option<Box<str>>,
    pub phone_number: Option<Box<str>>,
}

/// A `user` object of a request.
#[derive(Debug, Clone, Default)]
pub struct Input {
    pub names: Names,
    pub profile: Profile,
    pub legacy_identifier: Option<Box<str>>,
    pub password: Option<String>,
    pub salt: Option<String>,
    pub encryption_scheme: Option<String>,
    pub factor: Option<i64>,
    pub memberships: Vec<Membership>,
}

/// One of `memberships[]`, which POST and import take.
#[derive(Debug, Clone)]
pub struct Membership {
    pub group: Uuid,
    pub id: Option<Uuid>,
    pub data: Object,
}

/// What a request says about a registration.
#[derive(Debug, Clone, Default)]
pub struct RegistrationInput {
    pub application: Option<Uuid>,
    pub id: Option<Uuid>,
    pub authentication_token: Option<Box<str>>,
    pub clean_speak_id: Option<Uuid>,
    pub data: Option<Box<serde_json::value::RawValue>>,
    pub preferred_languages: Vec<Box<str>>,
    /// None when the body has no `roles`.
    pub roles: Option<Vec<Box<str>>>,
    pub timezone: Option<Box<str>>,
    pub username: Option<Box<str>>,
    pub username_status: Option<Box<str>>,
    // Import only:
    pub insert_instant: Option<i64>,
    pub last_login_instant: Option<i64>,
    pub verified: Option<bool>,
}

/// Longest sign-in name, from the vendor's published schema.
const MAX_NAME: usize = 191;
/// Longest other text; a stricter reading of the schema's columns.
const MAX_TEXT: usize = 255;
/// Languages that a user may prefer (wire notes §4).
const MAX_LANGUAGES: usize = 20;

/// Reads members of one JSON object and remembers what is wrong with them.
pub struct Reader<'a, 'e> {
    object: &'a Object,
    /// What field names begin with: `user`, `users[3]`.
    at: &'e str,
    errors: &'e mut Errors,
    checks_email: bool,
}

impl<'a, 'e> Reader<'a, 'e> {
    pub fn new(object: &'a Object, at: &'e str, errors: &'e mut Errors) -> Self {
        Self { object, at, errors, checks_email: true }
    }

    /// An import takes whatever stands where an e-mail address belongs: public Kickstart files import users whose
    /// address is an undefined variable (inferred).
    pub fn taking_any_email(mut self) -> Self {
        self.checks_email = false;
        self
    }

    fn name(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, key: &str, reason: &str) {
        let name = self.name(key);
        invalid_json_in(self.errors, &name, reason);
    }

    fn refuse(&mut self, kind: &str, key: &str, message: impl Into<String>) {
        let name = self.name(key);
        self.errors.field(kind, &name, message);
    }

    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        match self.get(key)? {
            Value::String(text) if numbers::marked(text).is_none() => Some(text),
            _ => {
                self.wrong(key, "a string is expected");
                None
            }
        }
    }

    pub fn flag(&mut self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(value) => Some(*value),
            _ => {
                self.wrong(key, "true or false is expected");
                None
            }
        }
    }

    pub fn integer(&mut self, key: &str) -> Option<i64> {
        let found = self.get(key)?;
        let value = match found {
            Value::Number(number) => number.as_i64(),
            // `factor` is a String in the documents' table and a number in their example.
            Value::String(text) if key == "factor" => text.trim().parse().ok(),
            _ => None,
        };
        if value.is_none() {
            self.wrong(key, "an integer is expected");
        }
        value
    }

    pub fn id(&mut self, key: &str) -> Option<Uuid> {
        let text = self.text(key)?;
        let id = parse_uuid(text);
        if id.is_none() {
            self.wrong(key, "a UUID is expected");
        }
        id
    }

    pub fn data(&mut self) -> Object {
        match self.get("data") {
            None => Object::new(),
            Some(Value::Object(data)) => data.clone(),
            Some(_) => {
                self.wrong("data", "an object is expected");
                Object::new()
            }
        }
    }

    /// Trimmed, the empty string kept (wire notes §4).
    fn trimmed(&mut self, key: &str) -> Option<Box<str>> {
        let text = self.text(key)?.trim();
        if text.chars().count() > MAX_TEXT {
            self.refuse("tooLong", key, format!("At most {MAX_TEXT} characters are allowed."));
        }
        Some(text.into())
    }

    /// Trimmed, the empty string is none.
    fn filled(&mut self, key: &str) -> Option<Box<str>> {
        self.text(key).map(str::trim).filter(|text| !text.is_empty()).map(Into::into)
    }

    fn email(&mut self, key: &str) -> Option<Box<str>> {
        let email = self.filled(key)?.to_lowercase();
        if self.checks_email && !is_email(&email) {
            self.refuse("notEmail", key, format!("The value [{email}] is not a valid email address."));
        } else if email.chars().count() > MAX_NAME {
            self.refuse("tooLong", key, format!("At most {MAX_NAME} characters are allowed."));
        }
        Some(email.into())
    }

    fn username(&mut self) -> Option<Box<str>> {
        let username = self.filled("username")?;
        if username.chars().count() > MAX_NAME {
            self.refuse("tooLong", "username", format!("At most {MAX_NAME} characters are allowed."));
        }
        Some(username)
    }

    fn phone_number(&mut self) -> Option<Box<str>> {
        let text = self.filled("phoneNumber")?;
        let number = e164(&text);
        if number.is_none() {
            self.refuse("invalidPhone", "phoneNumber", format!("The value [{text}] is not a phone number."));
        }
        number.map(Into::into)
    }

    fn birth_date(&mut self) -> Option<Box<str>> {
        let text = self.filled("birthDate")?;
        let valid = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
        if !valid {
            self.wrong("birthDate", "a date as YYYY-MM-DD is expected");
        }
        Some(text)
    }

    fn timezone(&mut self) -> Option<Box<str>> {
        let text = self.filled("timezone")?;
        // Names are case-sensitive there.
        if !jiff::tz::TimeZone::get(&text).is_ok_and(|zone| zone.iana_name() == Some(&*text)) {
            self.wrong("timezone", "the name of an IANA time zone is expected");
        }
        Some(text)
    }

    fn image_url(&mut self) -> Option<Box<str>> {
        let text = self.filled("imageUrl")?;
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c)) {
            self.wrong("imageUrl", "a URI is expected");
        }
        Some(text)
    }

    fn status(&mut self) -> Option<Box<str>> {
        let text = self.text("usernameStatus")?;
        if !matches!(text, "ACTIVE" | "PENDING" | "REJECTED") {
            self.wrong("usernameStatus", "one of ACTIVE, PENDING, REJECTED is expected");
        }
        (text != "ACTIVE").then(|| text.into())
    }

    /// Nulls, empty strings and duplicates dropped, the order kept (wire notes §4).
    fn languages(&mut self) -> Vec<Box<str>> {
        let items = match self.get("preferredLanguages") {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.wrong("preferredLanguages", "an array of locales is expected");
                return Vec::new();
            }
        };
        let mut out: Vec<Box<str>> = Vec::new();
        for item in items.iter().filter(|item| !item.is_null()) {
            match item.as_str() {
                Some("") => {}
                Some(text) if is_locale(text) => {
                    if !out.iter().any(|known| &**known == text) {
                        out.push(text.into());
                    }
                }
                _ => self.wrong("preferredLanguages", "locales as en or en_US are expected"),
            }
        }
        if out.len() > MAX_LANGUAGES {
            self.refuse("tooMany", "preferredLanguages", format!("At most {MAX_LANGUAGES} are allowed."));
        }
        out
    }

    fn objects(&mut self, key: &str) -> Vec<&'a Object> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                if items.iter().any(|item| !item.is_object() && !item.is_null()) {
                    self.wrong(key, "an array of objects is expected");
                }
                items.iter().filter_map(Value::as_object).collect()
            }
            Some(_) => {
                self.wrong(key, "an array is expected");
                Vec::new()
            }
        }
    }

    /// Those without a group are dropped (wire notes §4).
    fn memberships(&mut self) -> Vec<Membership> {
        let items = self.objects("memberships");
        let mut out = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let at = format!("{}[{place}]", self.name("memberships"));
            let mut inner = Reader::new(item, &at, self.errors);
            let (group, id, data) = (inner.id("groupId"), inner.id("id"), inner.data());
            if let Some(group) = group {
                out.push(Membership { group, id, data });
            }
        }
        out
    }

    /// `twoFactor.methods[]`; an id is made where there is none, and the secret of a known id is kept by the caller.
    fn two_factor_methods(&mut self, known: &[Object]) -> Vec<Object> {
        let Some(outer) = self.get("twoFactor") else { return Vec::new() };
        let Some(outer) = outer.as_object() else {
            self.wrong("twoFactor", "an object is expected");
            return Vec::new();
        };
        let at = self.name("twoFactor");
        let items = Reader::new(outer, &at, self.errors).objects("methods");
        items
            .into_iter()
            .enumerate()
            .map(|(place, item)| {
                let at = format!("{at}.methods[{place}]");
                Reader::new(item, &at, self.errors).two_factor_method(known)
            })
            .collect()
    }

    fn two_factor_method(&mut self, known: &[Object]) -> Object {
        let mut out = Object::new();
        let id = self.text("id").map(str::to_owned).unwrap_or_else(method_id);
        let before = known.iter().find(|method| method.get("id").and_then(Value::as_str) == Some(&id));
        let kind = self.text("method").unwrap_or_default();
        for key in ["email", "mobilePhone", "name", "secret"] {
            if let Some(text) = self.text(key) {
                out.insert(key.to_owned(), Value::from(text));
            }
        }
        let needed = match kind {
            "authenticator" => {
                let authenticator =
                    serde_json::json!({"algorithm": "HmacSHA1", "codeLength": 6, "timeStep": 30});
                out.insert("authenticator".to_owned(), authenticator);
                "secret"
            }
            "email" => "email",
            "sms" => "mobilePhone",
            _ => {
                self.refuse("invalid", "method", "The method is one of authenticator, email, sms.");
                "method"
            }
        };
        if let (false, Some(secret)) =
            (out.contains_key("secret"), before.and_then(|method| method.get("secret")))
        {
            out.insert("secret".to_owned(), secret.clone());
        }
        if needed != "method" && !out.contains_key(needed) {
            self.refuse("blank", needed, format!("A method of the type [{kind}] needs it."));
        }
        out.insert("id".to_owned(), Value::from(id));
        out.insert("method".to_owned(), Value::from(kind));
        out
    }

    /// Reads a `user` object. `known_methods` are the two-factor methods that the user has.
    pub fn user(&mut self, version: Version, known_methods: &[Object]) -> Input {
        let names = Names {
            email: self.email("email"),
            username: self.username(),
            phone_number: if version.since(59) { self.phone_number() } else { None },
        };
        let required = self.flag("passwordChangeRequired").unwrap_or(false);
        let profile = Profile {
            birth_date: self.birth_date(),
            data: stored_data(self.data()),
            expiry: self.integer("expiry"),
            first_name: self.trimmed("firstName"),
            full_name: self.trimmed("fullName"),
            image_url: self.image_url(),
            last_name: self.trimmed("lastName"),
            middle_name: self.trimmed("middleName"),
            mobile_phone: self.trimmed("mobilePhone"),
            parent_email: self.email("parentEmail"),
            password_change_required: required,
            password_change_reason: self.change_reason().filter(|_| required),
            preferred_languages: self.languages(),
            timezone: self.timezone(),
            two_factor_methods: self.two_factor_methods(known_methods),
            username_status: self.status(),
        };
        Input {
            names,
            profile,
            legacy_identifier: if version.since(67) { self.filled("legacyIdentifier") } else { None },
            password: self.text("password").map(str::to_owned),
            salt: self.text("salt").map(str::to_owned),
            encryption_scheme: self.filled("encryptionScheme").map(String::from),
            factor: self.integer("factor"),
            memberships: self.memberships(),
        }
    }

    fn change_reason(&mut self) -> Option<Box<str>> {
        let text = self.text("passwordChangeReason")?;
        if !matches!(text, "Administrative" | "Breached" | "Expired" | "Validation") {
            self.wrong(
                "passwordChangeReason",
                "one of Administrative, Breached, Expired, Validation is expected",
            );
        }
        Some(text.into())
    }

    /// Reads a `registration` object.
    pub fn registration(&mut self) -> RegistrationInput {
        RegistrationInput {
            application: self.id("applicationId"),
            id: self.id("id"),
            authentication_token: self.filled("authenticationToken"),
            clean_speak_id: self.id("cleanSpeakId"),
            data: stored_data(self.data()),
            preferred_languages: self.languages(),
            roles: self.roles(),
            timezone: self.timezone(),
            username: self.filled("username"),
            username_status: self.status(),
            insert_instant: self.integer("insertInstant"),
            last_login_instant: self.integer("lastLoginInstant"),
            verified: self.flag("verified"),
        }
    }

    /// A sorted set of names.
    fn roles(&mut self) -> Option<Vec<Box<str>>> {
        let items = match self.get("roles")? {
            Value::Array(items) => items,
            _ => {
                self.wrong("roles", "an array of role names is expected");
                return None;
            }
        };
        let mut out: Vec<Box<str>> = Vec::new();
        for item in items {
            match item {
                Value::String(text) => out.push(text.as_str().into()),
                Value::Null => {}
                _ => self.wrong("roles", "an array of role names is expected"),
            }
        }
        out.sort_unstable();
        out.dedup();
        Some(out)
    }

    /// The objects of `users[x].registrations`.
    pub fn registrations(&mut self) -> Vec<RegistrationInput> {
        let items = self.objects("registrations");
        let at = self.name("registrations");
        items
            .into_iter()
            .enumerate()
            .map(|(place, item)| Reader::new(item, &format!("{at}[{place}]"), self.errors).registration())
            .collect()
    }
}

/// Four characters, as the documents' examples have them.
fn method_id() -> String {
    Uuid::new_v4().simple().to_string().to_uppercase().chars().take(4).collect()
}

/// A mailbox at a domain of at least two labels; stricter than the real thing may be.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let local_ok = !local.is_empty()
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    local_ok && domain.contains('.') && domain.split('.').all(label)
}

/// A language, with an optional country and variant, joined by underscores (wire notes §4).
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('_');
    let language = parts.next().unwrap_or_default();
    let country = parts.next();
    let variant = parts.next();
    (2..=3).contains(&language.len())
        && language.chars().all(|c| c.is_ascii_lowercase())
        && country.is_none_or(|country| {
            (country.is_empty() && variant.is_some())
                || (country.len() == 2 && country.chars().all(|c| c.is_ascii_uppercase()))
                || (country.len() == 3 && country.chars().all(|c| c.is_ascii_digit()))
        })
        && variant
            .is_none_or(|variant| !variant.is_empty() && variant.chars().all(|c| c.is_ascii_alphanumeric()))
        && parts.next().is_none()
}

/// A phone number in E.164; without a country code it is a North American one ("303-555-1212" is "+13035551212", wire
/// notes §4).
pub fn e164(text: &str) -> Option<String> {
    let text = text.trim();
    let international = text.starts_with('+');
    let body = text.strip_prefix('+').unwrap_or(text);
    if body.chars().any(|c| !c.is_ascii_digit() && !" -.()".contains(c)) {
        return None;
    }
    let digits: String = body.chars().filter(char::is_ascii_digit).collect();
    let plausible = |digits: &str| digits.len() == 10 && matches!(digits.chars().next(), Some('2'..='9'));
    match (international, digits.len()) {
        (true, 8..=15) if !digits.starts_with('0') => {
            // North American numbers have exactly ten digits after the country code.
            let north_american = digits.strip_prefix('1');
            (north_american.is_none_or(plausible)).then(|| format!("+{digits}"))
        }
        (false, 10) if plausible(&digits) => Some(format!("+1{digits}")),
        (false, 11) => {
            digits.strip_prefix('1').filter(|rest| plausible(rest)).map(|rest| format!("+1{rest}"))
        }
        _ => None,
    }
}

/// How sign-in names are compared: e-mail and username without case, phone numbers in E.164.
pub fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_become_e164() {
        for (text, expected) in [
            ("303-555-1212", Some("+13035551212")),
            ("(303) 555-1212", Some("+13035551212")),
            ("+1 303 555 1212", Some("+13035551212")),
            ("13035551212", Some("+13035551212")),
            ("+49 30 901820", Some("+4930901820")),
            ("555-1212", None),
            ("abc", None),
            ("+0 123 456 789", None),
            ("103-555-1212", None),
        ] {
            assert_eq!(e164(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn emails_and_locales() {
        for good in ["a@b.io", "first.last+tag@sub.example.com"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["a", "a@b", "@b.io", "a b@c.io", "a@b..io", ".a@b.io", "a@-b.io", "a@b@c.io"] {
            assert!(!is_email(bad), "{bad}");
        }
        for good in ["en", "en_US", "es_419", "fil", "de_DE_POSIX"] {
            assert!(is_locale(good), "{good}");
        }
        for bad in ["", "EN", "en-US", "en_us", "english", "en_US_", "e"] {
            assert!(!is_locale(bad), "{bad}");
        }
    }
}
