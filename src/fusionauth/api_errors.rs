//! FusionAuth's `Errors` object: `fieldErrors` (a map of field to errors) and `generalErrors` (wire notes §1), reduced to
//! what may be printed.
//!
//! Messages echo values, so a message is kept only where its field is neither secret nor unknown: for public fields as it
//! is, for others with everything in brackets or quotes masked, for secret ones not at all. A general message is kept for
//! codes whose text is fixed. Codes are kept when they look like codes.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The parsed errors of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiErrors {
    /// Errors of single fields, in the order of the field's name.
    pub fields: Vec<FieldError>,
    /// Errors of the request as a whole.
    pub general: Vec<GeneralError>,
}

/// An error of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field as FusionAuth names it, such as `user.email`.
    pub field: String,
    /// The code, such as `[duplicate]user.email`.
    pub code: String,
    /// The message, masked; absent for secret fields.
    pub message: Option<String>,
}

/// An error of the whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneralError {
    /// The code, such as `[TenantIdRequired]`.
    pub code: String,
    /// The message, for codes whose text holds no values.
    pub message: Option<String>,
}

/// The last parts of field names whose values are secret, whatever object they stand in.
const SECRET_PARTS: [&str; 11] = [
    "password",
    "currentPassword",
    "salt",
    "clientSecret",
    "secret",
    "token",
    "tokens",
    "recoveryCodes",
    "pendingIdPLinkId",
    "changePasswordId",
    "verificationId",
];

/// Fields whose values are configuration and no person's, so that a message about them is shown whole.
const PUBLIC_FIELDS: [&str; 26] = [
    "applicationId",
    "entity.name",
    "entity.type",
    "entity.type.id",
    "entityId",
    "entityType.jwtConfiguration",
    "entityType.name",
    "entityTypeId",
    "expand",
    "grant.permissions",
    "group.name",
    "identityProviderId",
    "identityProviderLink.identityProviderId",
    "lambda.body",
    "lambda.engineType",
    "lambda.name",
    "lambda.type",
    "lambdaId",
    "permission.name",
    "registration.applicationId",
    "registration.roles",
    "search.numberOfResults",
    "search.queryString",
    "search.sortFields",
    "tenantId",
    "user.preferredLanguages",
];

/// General codes whose message is fixed text.
const FIXED_MESSAGES: [&str; 4] =
    ["[TenantIdRequired]", "[retryableConflict]", "[notLicensed]", "[notLicensedFor]"];

const MESSAGE_LIMIT: usize = 500;

impl ApiErrors {
    /// Reads an `Errors` object; `None` when the value is not one. `secrets` are those that the request carried, its key
    /// among them: they are masked wherever they turn up, as they are or as JSON writes them.
    pub(super) fn parse(value: &Value, secrets: &[&str]) -> Option<Self> {
        let forms: Vec<Zeroizing<String>> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        let value = without(value, &forms);
        let object = value.as_object()?;
        let (fields, general) = (object.get("fieldErrors"), object.get("generalErrors"));
        if fields.is_none() && general.is_none() {
            return None;
        }
        let mut errors = ApiErrors::default();
        for (field, list) in fields.and_then(Value::as_object).into_iter().flatten() {
            for error in list.as_array().into_iter().flatten() {
                errors.fields.push(field_error(field, error));
            }
        }
        for error in general.and_then(Value::as_array).into_iter().flatten() {
            let code = printable_code(error.get("code"));
            let fixed = FIXED_MESSAGES.contains(&code.as_str());
            let message = fixed.then(|| text(error.get("message"))).flatten();
            errors.general.push(GeneralError { code, message });
        }
        Some(errors)
    }

    /// The field of the first error of this kind (`duplicate`, `inactive`, …).
    pub(super) fn field_of_kind(&self, kind: &str) -> Option<&str> {
        self.fields.iter().find(|error| kind_of(&error.code).eq_ignore_ascii_case(kind)).map(|error| {
            let path = error.code.split_once(']').map_or("", |(_, path)| path);
            if path.is_empty() { error.field.as_str() } else { path }
        })
    }

    /// Whether any code, of a field or general, is of this kind.
    pub(super) fn has_kind(&self, kind: &str) -> bool {
        self.codes().any(|code| kind_of(code).eq_ignore_ascii_case(kind))
    }

    /// Every code.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|e| e.code.as_str()).chain(self.general.iter().map(|e| e.code.as_str()))
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.general.is_empty()
    }
}

impl fmt::Display for ApiErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields.iter().map(|error| {
            let name = if error.code.ends_with(&error.field) { "" } else { error.field.as_str() };
            (name, &error.code, &error.message)
        });
        let general = self.general.iter().map(|error| ("", &error.code, &error.message));
        for (index, (name, code, message)) in fields.chain(general).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let space = if name.is_empty() { "" } else { " " };
            write!(f, "{separator}{name}{space}{code}")?;
            if let Some(message) = message {
                write!(f, ": {message}")?;
            }
        }
        Ok(())
    }
}

/// The part in brackets: `[kind]fieldPath`.
fn kind_of(code: &str) -> &str {
    code.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or("", |(kind, _)| kind)
}

/// How a secret may stand in a message.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    if secret.is_empty() {
        return Vec::new();
    }
    let quoted = Zeroizing::new(Value::from(secret).to_string());
    let escaped = quoted.trim_matches('"').to_owned();
    vec![Zeroizing::new(secret.to_owned()), Zeroizing::new(escaped)]
}

/// The value with every secret masked, in names too.
fn without(value: &Value, forms: &[Zeroizing<String>]) -> Value {
    let mask = |text: &str| {
        let found = forms.iter().filter(|form| !form.is_empty());
        found.fold(text.to_owned(), |text, form| text.replace(form.as_str(), "(masked)"))
    };
    match value {
        Value::String(text) => Value::String(mask(text)),
        Value::Array(items) => items.iter().map(|item| without(item, forms)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (mask(name), without(value, forms)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn field_error(field: &str, error: &Value) -> FieldError {
    let plain = without_indexes(field);
    let last = plain.rsplit('.').next().unwrap_or_default();
    let message = if SECRET_PARTS.contains(&last) || !looks_like_a_name(field) {
        None
    } else if PUBLIC_FIELDS.contains(&plain.as_str()) {
        text(error.get("message"))
    } else {
        text(error.get("message")).map(|message| mask_values(&message))
    };
    FieldError { field: printable_name(field), code: printable_code(error.get("code")), message }
}

/// `users[3].email` as `users.email`.
fn without_indexes(field: &str) -> String {
    let mut plain = String::with_capacity(field.len());
    let mut depth = 0_usize;
    for c in field.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

fn looks_like_a_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 160
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "[]._-'".contains(c))
}

fn printable_name(field: &str) -> String {
    if looks_like_a_name(field) { field.to_owned() } else { "(unnamed field)".to_owned() }
}

fn printable_code(code: Option<&Value>) -> String {
    match code.and_then(Value::as_str) {
        Some(code) if looks_like_a_name(code) => code.to_owned(),
        _ => "(no code)".to_owned(),
    }
}

/// A message on one line, bounded.
fn text(message: Option<&Value>) -> Option<String> {
    let line: String = message?
        .as_str()?
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_LIMIT)
        .collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Masks what stands in `[…]`, `"…"` or `` `…` ``, which is where FusionAuth puts values, and anything that has an `@`.
fn mask_values(message: &str) -> String {
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(['[', '"', '`']) {
        let (before, from) = rest.split_at(start);
        masked.push_str(before);
        let open = from.chars().next().unwrap_or('[');
        let close = if open == '[' { ']' } else { open };
        let inner = from.get(1..).unwrap_or_default();
        masked.push_str("(masked)");
        // The last closing sign, not the next: a value may hold one itself.
        rest = inner.rfind(close).and_then(|end| inner.get(end + 1..)).unwrap_or_default();
    }
    masked.push_str(rest);
    let word = |word: &str| if word.contains('@') { "(masked)".to_owned() } else { word.to_owned() };
    masked.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> ApiErrors {
        ApiErrors::parse(&value, &[]).unwrap()
    }

    #[test]
    fn values_of_personal_fields_are_masked_and_codes_kept() {
        let errors = parse(json!({"fieldErrors": {"user.email": [{
            "code": "[duplicate]user.email",
            "message": "A User with email = [x@y.example] already exists."
        }]}, "generalErrors": []}));
        assert_eq!(errors.to_string(), "[duplicate]user.email: A User with email = (masked) already exists.");
        assert_eq!(errors.field_of_kind("duplicate"), Some("user.email"));
    }

    #[test]
    fn secret_fields_lose_their_message() {
        let errors = parse(json!({"fieldErrors": {
            "user.password": [{"code": "[tooShort]user.password", "message": "hunter2 is too short"}],
            "users[3].salt": [{"code": "[blank]users[3].salt", "message": "hunter2"}],
            "identityProviderLink.token": [{"code": "[invalid]hunter2 is wrong", "message": "hunter2"}]
        }}));
        assert!(!format!("{errors} {errors:?}").contains("hunter2"));
    }

    #[test]
    fn public_fields_keep_their_message() {
        let errors = parse(json!({"fieldErrors": {"lambda.body": [{
            "code": "[invalid]lambda.body", "message": "SyntaxError: expected \"}\" but found [eof]"
        }]}}));
        assert!(errors.to_string().contains("SyntaxError: expected \"}\" but found [eof]"));
    }

    #[test]
    fn sent_secrets_are_masked_in_any_message() {
        let value = json!({"fieldErrors": {"lambda.name": [{"code": "[x]lambda.name", "message": "no hunter2!"}]},
            "generalErrors": [{"code": "[Exception]", "message": "hunter2"}]});
        let errors = ApiErrors::parse(&value, &["hunter2"]).unwrap();
        assert!(!format!("{errors} {errors:?}").contains("hunter2"));
        assert!(errors.to_string().contains("no (masked)!"));
    }

    #[test]
    fn fixed_general_messages_are_kept_and_others_are_not() {
        let errors = parse(json!({"generalErrors": [
            {"code": "[TenantIdRequired]", "message": "A Tenant Id is required."},
            {"code": "[LambdaInvocationException]", "message": "for richard@piedpiper.com"}
        ]}));
        assert_eq!(
            errors.to_string(),
            "[TenantIdRequired]: A Tenant Id is required.; [LambdaInvocationException]"
        );
    }

    #[test]
    fn a_value_with_a_closing_bracket_does_not_leak_its_tail() {
        assert_eq!(mask_values("username = [a]b] taken"), "username = (masked) taken");
        assert_eq!(mask_values("a \"quoted [value"), "a (masked)");
        assert_eq!(mask_values("mail x@y.z bad"), "mail (masked) bad");
    }

    #[test]
    fn another_json_is_not_an_errors_object() {
        assert!(ApiErrors::parse(&json!({"message": "no Route matched"}), &[]).is_none());
        assert!(ApiErrors::parse(&json!([]), &[]).is_none());
    }
}
