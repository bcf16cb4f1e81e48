//! Whether an object that is found after a lost response is the one that was sent. Pure.
//!
//! FusionAuth normalises what it stores (wire notes §4: trims, lower-cases e-mails, writes phone numbers in E.164, drops
//! nulls) and never returns some fields, so the comparison asks for contradictions and not for equality.

use serde_json::{Map, Value};

/// Fields that are not returned, or that the server writes in a form of its own.
const NOT_COMPARED: [&str; 9] = [
    "encryptionScheme",
    "factor",
    "lastLoginInstant",
    "memberships",
    "password",
    "passwordChangeRequired",
    "phoneNumber",
    "salt",
    "twoFactor",
];

/// The path of the first field in which `found` contradicts `sent`.
pub(super) fn contradiction(sent: &Map<String, Value>, found: &Map<String, Value>) -> Option<String> {
    sent.iter()
        .filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()))
        // A top-level field that is not answered says nothing.
        .filter_map(|(key, value)| found.get(key).map(|live| (key, value, live)))
        .find(|(_, value, live)| !agree(value, live))
        .map(|(key, _, _)| key.clone())
}

/// For a user that was created together with a registration: whether the registration is there too.
pub(super) fn lacks_registration(body: &Value, found: &Map<String, Value>) -> bool {
    let Some(wanted) = body.pointer("/registration/applicationId").and_then(Value::as_str) else {
        return false;
    };
    let Some(registrations) = found.get("registrations").and_then(Value::as_array) else { return true };
    let id = |registration: &Value| {
        registration.get("applicationId").and_then(Value::as_str).map(str::to_lowercase)
    };
    !registrations.iter().any(|registration| id(registration) == Some(wanted.to_lowercase()))
}

fn agree(sent: &Value, found: &Value) -> bool {
    match (sent, found) {
        (Value::Null, _) => true,
        (Value::String(sent), Value::String(found)) => folded(sent) == folded(found),
        (Value::Number(sent), Value::Number(found)) => sent == found || sent.as_f64() == found.as_f64(),
        (Value::Array(sent), Value::Array(found)) => {
            sent.iter().all(|sent| sent.is_null() || found.iter().any(|found| agree(sent, found)))
        }
        (Value::Object(sent), Value::Object(found)) => sent
            .iter()
            .all(|(key, sent)| sent.is_null() || found.get(key).is_some_and(|found| agree(sent, found))),
        _ => sent == found,
    }
}

/// Trimmed, in lower case, with one line ending and one spelling of locales.
fn folded(text: &str) -> String {
    text.trim().replace("\r\n", "\n").replace('-', "_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differs(sent: Value, found: Value) -> Option<String> {
        contradiction(sent.as_object().unwrap(), found.as_object().unwrap())
    }

    #[test]
    fn normalised_objects_are_recognised() {
        let sent = json!({"email": " Richard@PiedPiper.com", "password": "x", "phoneNumber": "303-555-1212",
            "data": {"a": 1, "gone": null}, "preferredLanguages": ["en-US", "en-US"]});
        let found = json!({"email": "richard@piedpiper.com", "phoneNumber": "+13035551212", "active": true,
            "data": {"a": 1.0}, "preferredLanguages": ["en_US"]});
        assert_eq!(differs(sent, found), None);
    }

    #[test]
    fn another_object_is_not() {
        assert_eq!(differs(json!({"email": "a@b.c"}), json!({"email": "x@y.z"})), Some("email".into()));
        assert_eq!(differs(json!({"data": {"a": 1}}), json!({"data": {}})), Some("data".into()));
        assert_eq!(differs(json!({"roles": ["a"]}), json!({"roles": []})), Some("roles".into()));
    }

    #[test]
    fn a_user_without_the_registration_is_only_half_created() {
        let body = json!({"user": {}, "registration": {"applicationId": "AB"}});
        let found =
            |registrations: Value| json!({"registrations": registrations}).as_object().unwrap().clone();
        assert!(lacks_registration(&body, &found(json!([]))));
        assert!(!lacks_registration(&body, &found(json!([{"applicationId": "ab"}]))));
        assert!(!lacks_registration(&json!({"user": {}}), &found(json!([]))));
    }
}
