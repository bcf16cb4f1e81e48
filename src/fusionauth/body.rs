//! Serialises a body, filling in its secrets on the way, so that they never stand in a `serde_json::Value`.

use std::collections::BTreeMap;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::call::{Call, SecretField};

/// The tree of secrets, in the shape of the body.
#[derive(Default)]
struct Secrets<'a> {
    here: Option<&'a SecretString>,
    below: BTreeMap<String, Secrets<'a>>,
}

impl<'a> Secrets<'a> {
    fn of(fields: &'a [SecretField]) -> Self {
        let mut root = Secrets::default();
        for field in fields {
            let mut node = &mut root;
            for token in field.pointer.split('/').skip(1) {
                node = node.below.entry(token.replace("~1", "/").replace("~0", "~")).or_default();
            }
            node.here = Some(&field.value);
        }
        root
    }
}

struct Filled<'a> {
    value: &'a Value,
    secrets: &'a Secrets<'a>,
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(secret) = self.secrets.here {
            return serializer.serialize_str(secret.expose_secret());
        }
        match self.value {
            _ if self.secrets.below.is_empty() => self.value.serialize(serializer),
            Value::Object(object) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in object {
                    match self.secrets.below.get(key) {
                        Some(secrets) => map.serialize_entry(key, &Filled { value, secrets })?,
                        None => map.serialize_entry(key, value)?,
                    }
                }
                for (key, secrets) in &self.secrets.below {
                    if !object.contains_key(key) {
                        map.serialize_entry(key, &Filled { value: &Value::Null, secrets })?;
                    }
                }
                map.end()
            }
            Value::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for (index, value) in items.iter().enumerate() {
                    match self.secrets.below.get(&index.to_string()) {
                        Some(secrets) => sequence.serialize_element(&Filled { value, secrets })?,
                        None => sequence.serialize_element(value)?,
                    }
                }
                sequence.end()
            }
            _ => Err(serde::ser::Error::custom("a secret's place in the body does not exist")),
        }
    }
}

/// The body's bytes, zeroised when the last copy is dropped; `None` for a call without a body. The error names no value.
pub(super) fn serialise(call: &Call) -> Result<Option<Bytes>, serde_json::Error> {
    let Some(body) = &call.body else { return Ok(None) };
    // Room for the usual object at once: a buffer that grows leaves unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    let secrets = Secrets::of(&call.secrets);
    serde_json::to_writer(&mut *bytes, &Filled { value: body, secrets: &secrets })?;
    Ok(Some(Bytes::from_owner(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::call::Answer;
    use super::*;
    use reqwest::Method;
    use serde_json::json;

    fn sent(body: Value, secrets: &[(&str, &str)]) -> Result<Value, serde_json::Error> {
        let mut call = Call::new(Method::POST, "/x", vec![], Answer::Object).json(body);
        for (pointer, value) in secrets {
            call = call.secret(*pointer, SecretString::from(*value));
        }
        serialise(&call).map(|bytes| serde_json::from_slice(&bytes.unwrap()).unwrap())
    }

    #[test]
    fn secrets_are_filled_in_where_they_belong() {
        let body = json!({"user": {"email": "a@b.c"}, "users": [{"a": 1}, {"salt": ""}]});
        let secrets = [("/user/password", "hunter2"), ("/users/0/password", "x"), ("/users/1/salt", "y")];
        assert_eq!(
            sent(body, &secrets).unwrap(),
            json!({"user": {"email": "a@b.c", "password": "hunter2"},
                   "users": [{"a": 1, "password": "x"}, {"salt": "y"}]})
        );
    }

    #[test]
    fn a_secret_without_a_place_is_an_error_and_not_lost() {
        let error = sent(json!({"user": {}}), &[("/entity/type/secret", "hunter2")]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
