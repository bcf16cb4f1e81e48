//! What shows that a document is as it was written: a MAC under a runner key, a checksum without one.
//!
//! Both are taken over the document's canonical JSON, because FusionAuth gives `data` back as JSON of its own
//! making: same values, other order and spacing.

use std::fmt::Write as _;

use ring::digest;
use serde_json::Value;

use crate::engine::keys::{Mac, Purpose, RunnerKeys, Verification};
use crate::model::Fields;

use super::{RecordError, Trust};

/// The field of a document that holds its seal.
pub(super) const SEAL: &str = "seal";

const CHECKSUM: &str = "sha256.";

/// JSON with the keys of every object in order and no space.
pub(crate) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

/// As [`canonical`], of an object's fields.
pub(super) fn canonical_fields(fields: &Fields) -> String {
    let mut text = String::new();
    write_fields(fields.iter(), &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => write_fields(fields.iter(), text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::String(string) => write_string(string, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            // Writing to a String cannot fail.
            let _ = write!(text, "{value}");
        }
    }
}

fn write_fields<'f>(fields: impl Iterator<Item = (&'f String, &'f Value)>, text: &mut String) {
    let mut sorted: Vec<(&String, &Value)> = fields.collect();
    sorted.sort_by_key(|(name, _)| *name);
    text.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(name, text);
        text.push(':');
        write_canonical(value, text);
    }
    text.push('}');
}

/// Most strings of a record have nothing that JSON escapes.
fn write_string(string: &str, text: &mut String) {
    if string.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        text.push_str(&Value::from(string).to_string());
    } else {
        text.push('"');
        text.push_str(string);
        text.push('"');
    }
}

/// SHA-256 of text, in hexadecimal. Of documents that hold keyed fingerprints at most, never of a secret.
pub(crate) fn checksum(text: &str) -> String {
    hexadecimal(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The text that is sealed. `place` keeps a sealed document from being moved elsewhere.
fn message(place: &str, fields: &Fields) -> String {
    let mut text = format!("{place}\n");
    write_fields(fields.iter().filter(|(name, _)| *name != SEAL), &mut text);
    text
}

/// Adds the seal.
pub(super) fn seal(fields: &mut Fields, place: &str, keys: Option<&RunnerKeys>) {
    let message = message(place, fields);
    let mac = keys.and_then(|keys| keys.sign(Purpose::Record, message.as_bytes()));
    let seal = mac.map_or_else(|| format!("{CHECKSUM}{}", checksum(&message)), |mac| mac.to_string());
    fields.insert(SEAL.to_owned(), Value::String(seal));
}

/// What the seal says. An unknown key is no error here: a plan may read what it cannot verify.
pub(super) fn check(fields: &Fields, place: &str, keys: Option<&RunnerKeys>) -> Result<Trust, RecordError> {
    let damaged = |what: &str| RecordError::Damaged { what: what.to_owned() };
    let seal = fields.get(SEAL).and_then(Value::as_str).ok_or_else(|| damaged("it has no seal"))?;
    let message = message(place, fields);
    if let Some(sum) = seal.strip_prefix(CHECKSUM) {
        return if sum == checksum(&message) {
            Ok(Trust::Unsigned)
        } else {
            Err(damaged("its checksum does not fit what it holds; it was edited or cut off"))
        };
    }
    let mac: Mac = seal.parse().map_err(|_| damaged("its seal cannot be read"))?;
    match keys.map(|keys| keys.verify(Purpose::Record, message.as_bytes(), &mac)) {
        Some(Verification::Right) => Ok(Trust::Verified),
        Some(Verification::Wrong) => Err(RecordError::WrongSeal),
        Some(Verification::UnknownKey) | None => Ok(Trust::Unverified(mac.key_id)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretSlice;
    use serde_json::json;

    use super::*;

    fn keys(letter: &str) -> RunnerKeys {
        RunnerKeys::parse(&SecretSlice::from(letter.repeat(32).into_bytes())).unwrap()
    }

    fn fields() -> Fields {
        let Value::Object(fields) = json!({"b": [1, {"d": "ü\n", "c": null}], "a": true}) else { panic!() };
        fields
    }

    #[test]
    fn order_and_spacing_do_not_count() {
        assert_eq!(canonical(&Value::Object(fields())), r#"{"a":true,"b":[1,{"c":null,"d":"ü\n"}]}"#);
    }

    #[test]
    fn a_seal_holds_for_its_document_place_and_key() {
        let key = keys("a");
        let mut document = fields();
        seal(&mut document, "here", Some(&key));
        assert!(matches!(check(&document, "here", Some(&key)), Ok(Trust::Verified)));
        assert!(matches!(check(&document, "here", None), Ok(Trust::Unverified(_))));
        assert!(matches!(check(&document, "here", Some(&keys("b"))), Ok(Trust::Unverified(_))));
        assert!(matches!(check(&document, "there", Some(&key)), Err(RecordError::WrongSeal)));
        document.insert("a".into(), json!(false));
        assert!(matches!(check(&document, "here", Some(&key)), Err(RecordError::WrongSeal)));
        seal(&mut document, "here", None);
        assert!(matches!(check(&document, "here", Some(&key)), Ok(Trust::Unsigned)));
        document.insert("a".into(), json!(1));
        assert!(matches!(check(&document, "here", None), Err(RecordError::Damaged { .. })));
        document.remove(SEAL);
        assert!(matches!(check(&document, "here", None), Err(RecordError::Damaged { .. })));
    }
}
