//! The three PATCH dialects, on the JSON value of a request wrapper (`{"user": {…}}`, `{"entity": {…}}`, …).
//!
//! Knows JSON and nothing of users, entities or HTTP. A caller loads the current object as its wrapper, with every
//! collection present, applies the patch here and then validates the result like a PUT (wire notes §3).

use serde_json::{Map, Value};
use thiserror::Error;

/// How a PATCH body is to be read, by its Content-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `application/json`: maps merge deeply, arrays append, null clears a scalar.
    Legacy,
    /// `application/merge-patch+json`, RFC 7396.
    MergePatch,
    /// `application/json-patch+json`, RFC 6902; pointers start at the wrapper.
    JsonPatch,
}

/// Why a patch was not applied.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PatchError {
    /// The Content-Type is none that this server version takes for PATCH; answered with 400.
    #[error("the Content-Type [{0}] is not supported for PATCH by this version")]
    UnsupportedContentType(String),
    /// The patch is malformed or cannot be applied; answered with 400.
    #[error("the patch could not be applied: {0}")]
    Invalid(String),
    /// A legacy patch put null where a collection stands; answered with 500 and an empty body.
    #[error("null for the collection [{0}]")]
    NullCollection(String),
}

impl Dialect {
    /// The dialect of a Content-Type header. The RFC dialects exist since server version 1.39.0, which the caller
    /// says with `rfc_dialects`.
    pub fn from_content_type(header: Option<&str>, rfc_dialects: bool) -> Result<Self, PatchError> {
        let text = header.unwrap_or_default();
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/json" => Ok(Self::Legacy),
            "application/merge-patch+json" if rfc_dialects => Ok(Self::MergePatch),
            "application/json-patch+json" if rfc_dialects => Ok(Self::JsonPatch),
            _ => Err(PatchError::UnsupportedContentType(media)),
        }
    }
}

/// Applies `body` to `wrapper` in place. On an error `wrapper` may be half changed and must be thrown away.
pub fn apply(dialect: Dialect, wrapper: &mut Value, body: Value) -> Result<(), PatchError> {
    match dialect {
        Dialect::Legacy => {
            let Value::Object(patch) = body else {
                return Err(PatchError::Invalid("the body is not a JSON object".to_owned()));
            };
            let Value::Object(target) = wrapper else {
                return Err(PatchError::Invalid("the target is not a JSON object".to_owned()));
            };
            legacy_merge(target, patch, &mut Vec::new())
        }
        Dialect::MergePatch => {
            if !body.is_object() {
                return Err(PatchError::Invalid("the body is not a JSON object".to_owned()));
            }
            json_patch::merge(wrapper, &body);
            Ok(())
        }
        Dialect::JsonPatch => {
            let operations: json_patch::Patch =
                serde_json::from_value(body).map_err(|error| PatchError::Invalid(error.to_string()))?;
            json_patch::patch(wrapper, &operations).map_err(|error| PatchError::Invalid(error.to_string()))
        }
    }
}

/// Jackson's default merge as the server uses it (wire notes §3): maps merge deeply, lists append, null clears a
/// scalar and crashes the server on a list or on the typed map `data` (issues 706 and 956 of the vendor's tracker).
fn legacy_merge(
    target: &mut Map<String, Value>,
    patch: Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<(), PatchError> {
    for (key, new) in patch {
        path.push(key.clone());
        match (target.get_mut(&key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => legacy_merge(old, new, path)?,
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
            (Some(Value::Array(_)), Value::Null) => return Err(PatchError::NullCollection(path.join("."))),
            (Some(Value::Object(_)), Value::Null) if path.len() == 2 && key == "data" => {
                return Err(PatchError::NullCollection(path.join(".")));
            }
            (_, new) => {
                target.insert(key, new);
            }
        }
        path.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(dialect: Dialect, before: Value, body: Value) -> Result<Value, PatchError> {
        let mut wrapper = before;
        apply(dialect, &mut wrapper, body).map(|()| wrapper)
    }

    #[test]
    fn content_types_choose_the_dialect_and_rfc_ones_need_1_39() {
        let of = |header, rfc| Dialect::from_content_type(header, rfc);
        assert_eq!(of(Some("application/json; charset=utf-8"), false), Ok(Dialect::Legacy));
        assert_eq!(of(Some("Application/Merge-Patch+JSON"), true), Ok(Dialect::MergePatch));
        assert_eq!(of(Some("application/json-patch+json"), true), Ok(Dialect::JsonPatch));
        assert!(of(Some("application/merge-patch+json"), false).is_err());
        assert!(of(Some("text/plain"), true).is_err());
        assert!(of(None, true).is_err());
    }

    #[test]
    fn legacy_merges_maps_appends_arrays_and_clears_scalars() {
        let before = json!({"user": {"firstName": "A", "data": {"foo": ["bar"], "n": {"a": 1}}, "preferredLanguages": ["en"]}});
        let body = json!({"user": {"firstName": null, "data": {"foo": ["bar", "baz"], "n": {"b": 2}},
                           "preferredLanguages": ["fr"]}});
        assert_eq!(
            patched(Dialect::Legacy, before, body),
            Ok(
                json!({"user": {"firstName": null, "data": {"foo": ["bar", "bar", "baz"], "n": {"a": 1, "b": 2}},
                       "preferredLanguages": ["en", "fr"]}})
            )
        );
    }

    #[test]
    fn legacy_null_on_a_collection_crashes() {
        let before = json!({"user": {"preferredLanguages": [], "data": {"a": {"b": 1}}}});
        for body in [json!({"user": {"preferredLanguages": null}}), json!({"user": {"data": null}})] {
            assert!(matches!(
                patched(Dialect::Legacy, before.clone(), body),
                Err(PatchError::NullCollection(_))
            ));
        }
        let kept = patched(Dialect::Legacy, before, json!({"user": {"data": {"a": null}}}));
        assert_eq!(kept, Ok(json!({"user": {"preferredLanguages": [], "data": {"a": null}}})));
    }

    #[test]
    fn merge_patch_replaces_arrays_and_null_removes() {
        let before =
            json!({"user": {"firstName": "A", "preferredLanguages": ["en"], "data": {"a": 1, "b": 2}}});
        let body = json!({"user": {"firstName": null, "preferredLanguages": ["fr"], "data": {"a": null}}});
        assert_eq!(
            patched(Dialect::MergePatch, before.clone(), body),
            Ok(json!({"user": {"preferredLanguages": ["fr"], "data": {"b": 2}}}))
        );
        assert!(matches!(patched(Dialect::MergePatch, before, json!([])), Err(PatchError::Invalid(_))));
    }

    #[test]
    fn json_patch_points_from_the_wrapper() {
        let before = json!({"user": {"firstName": "A", "data": {"a": 1}}});
        let ops = json!([{"op": "test", "path": "/user/firstName", "value": "A"},
                         {"op": "replace", "path": "/user/firstName", "value": "B"},
                         {"op": "remove", "path": "/user/data/a"}]);
        assert_eq!(
            patched(Dialect::JsonPatch, before.clone(), ops),
            Ok(json!({"user": {"firstName": "B", "data": {}}}))
        );
        for bad in [
            json!([{"op": "test", "path": "/user/firstName", "value": "Z"}]),
            json!([{"op": "replace", "path": "/firstName", "value": "B"}]),
            json!([{"op": "leap", "path": "/user"}]),
            json!({"user": {}}),
        ] {
            assert!(matches!(patched(Dialect::JsonPatch, before.clone(), bad), Err(PatchError::Invalid(_))));
        }
    }
}
