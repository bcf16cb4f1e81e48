//! FusionAuth's own normalisation, mirrored before values are compared (wire notes §4 to §6): without it a plan
//! would show the same difference for ever.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use crate::model::{Compare, FieldRule, Kind};

/// A value in the form in which it is compared and sent.
pub fn normalise(compare: Compare, value: &Value) -> Value {
    match compare {
        Compare::Exact | Compare::Data => canonical(value),
        Compare::Email => text(value, |text| empty_to_null(trim(text).to_lowercase())),
        Compare::TrimToNull => text(value, |text| empty_to_null(trim(text).to_owned())),
        Compare::Trim => text(value, |text| Value::from(trim(text))),
        Compare::Phone => text(value, |text| empty_to_null(e164(text))),
        Compare::LineEndings => text(value, |text| Value::from(text.replace("\r\n", "\n"))),
        Compare::Locales => list(value, locales),
        Compare::Set => list(value, set),
    }
}

/// Whether two normalised values are the same to FusionAuth, which answers some fields with a default when they
/// are not set (wire notes §4).
pub fn same(kind: Kind, rule: &FieldRule, keys: &[String], declared: &Value, live: &Value) -> bool {
    declared == live || (is_unset(kind, rule, keys, declared) && is_unset(kind, rule, keys, live))
}

/// Whether a value is what the server answers when nothing is set. `keys` are the steps below the field.
pub fn is_unset(kind: Kind, rule: &FieldRule, keys: &[String], value: &Value) -> bool {
    if rule.compare == Compare::Data && rule.path == "data" {
        // The caller's own data has no defaults; a null is a key that is not there.
        return value.is_null() || (keys.is_empty() && is_empty(value));
    }
    match (kind, rule.path) {
        (Kind::User, "usernameStatus") if value == "ACTIVE" => true,
        (Kind::Lambda, "engineType") if value == "GraalJS" => true,
        _ => value.is_null() || value == &Value::Bool(false) || is_empty(value),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// JSON knows one kind of number: 1 and 1.0 are the same value (so say JSON Schema and RFC 8259's
/// interoperability note), and YAML, the server and we need not write it alike. A float without a fraction becomes
/// the integer where that is exact; integers beyond 2^53 never meet a float and stay distinct.
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(canonical_number(number)),
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), canonical(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn canonical_number(number: &Number) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            // In this range the conversion loses nothing.
            #[allow(clippy::cast_possible_truncation)]
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

/// A JSON object without the keys that are null, at every depth: to declare null is to remove, and what is
/// created has nothing to remove. Arrays are kept as they are.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

/// As Java's `String.trim`, which the server uses: everything up to the blank.
fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

fn text(value: &Value, normalise: impl FnOnce(&str) -> Value) -> Value {
    match value {
        Value::String(text) => normalise(text),
        other => canonical(other),
    }
}

fn empty_to_null(text: String) -> Value {
    if text.is_empty() { Value::Null } else { Value::String(text) }
}

/// `+1 (303) 555-1212` is stored as `+13035551212`. Only the international form can be declared, so that no
/// country has to be guessed.
fn e164(text: &str) -> String {
    trim(text).chars().filter(|character| character.is_ascii_digit() || *character == '+').collect()
}

fn list(value: &Value, normalise: impl FnOnce(&[Value]) -> Vec<Value>) -> Value {
    match value {
        Value::Array(items) => Value::Array(normalise(items)),
        other => other.clone(),
    }
}

/// Without nulls, empty strings and doubles, the order kept.
fn locales(items: &[Value]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    items
        .iter()
        .filter_map(Value::as_str)
        .map(locale)
        .filter(|locale| !locale.is_empty() && seen.insert(locale.clone()))
        .map(Value::String)
        .collect()
}

/// `en-US` as `en_US`: the language in lower case, a country in upper case, as Java's `Locale` prints them.
fn locale(text: &str) -> String {
    let mut parts = trim(text).split(['-', '_']);
    let mut locale = parts.next().unwrap_or_default().to_lowercase();
    for part in parts {
        locale.push('_');
        if part.len() == 2 { locale.push_str(&part.to_uppercase()) } else { locale.push_str(part) }
    }
    locale
}

fn set(items: &[Value]) -> Vec<Value> {
    let mut items: Vec<Value> = items.iter().filter(|item| !item.is_null()).map(canonical).collect();
    items.sort_by_cached_key(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::field_rule;

    #[test]
    fn each_comparison_mirrors_the_server() {
        let cases = [
            (Compare::Email, json!(" Richard@PiedPiper.COM "), json!("richard@piedpiper.com")),
            (Compare::Email, json!("  "), Value::Null),
            (Compare::TrimToNull, json!(" Richard "), json!("Richard")),
            (Compare::TrimToNull, json!(""), Value::Null),
            (Compare::Trim, json!(" \t"), json!("")),
            (Compare::Phone, json!("+1 (303) 555-1212"), json!("+13035551212")),
            (Compare::Locales, json!(["en-US", "en_US", "", null, "DE"]), json!(["en_US", "de"])),
            (Compare::Set, json!(["b", "a", "b"]), json!(["a", "b"])),
            (Compare::LineEndings, json!("a\r\nb\n"), json!("a\nb\n")),
            (Compare::Data, json!({"a": [1.0, 2.5, null]}), json!({"a": [1, 2.5, null]})),
            (Compare::Exact, json!("  x "), json!("  x ")),
        ];
        for (compare, value, expected) in cases {
            assert_eq!(normalise(compare, &value), expected, "{compare:?} {value}");
        }
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let big = json!(9_007_199_254_740_993_u64);
        assert_eq!(canonical(&json!(1.0)), json!(1));
        assert_eq!(canonical(&json!(-0.0)), json!(0));
        assert_eq!(canonical(&big), big);
        assert_ne!(canonical(&json!(9_007_199_254_740_992.0)), big);
    }

    #[test]
    fn defaults_are_unset_but_data_has_none() {
        let unset = |kind, path: &str, keys: &[&str], value: Value| {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            is_unset(kind, field_rule(kind, path).unwrap(), &keys, &value)
        };
        assert!(unset(Kind::User, "usernameStatus", &[], json!("ACTIVE")));
        assert!(unset(Kind::Lambda, "debug", &[], json!(false)));
        assert!(unset(Kind::Lambda, "engineType", &[], json!("GraalJS")));
        assert!(unset(Kind::EntityType, "jwtConfiguration", &["enabled"], json!(false)));
        assert!(unset(Kind::User, "preferredLanguages", &[], json!([])));
        assert!(!unset(Kind::User, "data", &["a"], json!(false)));
        assert!(!unset(Kind::User, "data", &["a"], json!([])));
        assert!(unset(Kind::User, "data", &["a"], Value::Null));
        assert!(!unset(Kind::User, "firstName", &[], json!("")));
    }
}
