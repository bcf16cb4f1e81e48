//! JSON objects as searchable documents, for the kinds that are kept as JSON.

use super::super::numbers;
use super::field::{Datum, Document, Kind, Schema};
use serde_json::Value;
use std::borrow::Cow;

/// A JSON object under a schema. `prefix` is the nested path it stands at, empty for a whole document.
#[derive(Debug, Clone, Copy)]
pub struct JsonDocument<'a> {
    value: &'a Value,
    prefix: &'a str,
    schema: &'a Schema,
}

impl<'a> JsonDocument<'a> {
    pub fn new(value: &'a Value, schema: &'a Schema) -> Self {
        Self { value, prefix: "", schema }
    }
}

impl Document for JsonDocument<'_> {
    fn any(&self, field: &str, found: &mut dyn FnMut(Datum<'_>) -> bool) -> bool {
        let inner = if self.prefix.is_empty() {
            Some(field)
        } else {
            field.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('.'))
        };
        inner.is_some_and(|path| any_at(self.value, path, found))
    }

    fn any_nested(&self, path: &str, found: &mut dyn FnMut(&dyn Document) -> bool) -> bool {
        let Some(Value::Array(items)) = self.value.get(path) else { return false };
        items.iter().any(|value| found(&JsonDocument { value, prefix: path, schema: self.schema }))
    }

    fn any_everywhere(&self, found: &mut dyn FnMut(Kind, Datum<'_>) -> bool) -> bool {
        let nested = |name: &str| self.schema.nested.iter().any(|path| name.starts_with(path));
        self.schema
            .fields
            .iter()
            .filter(|(name, _)| !nested(name))
            .any(|(name, kind)| self.any(name, &mut |datum| found(*kind, datum)))
            || self.schema.open.iter().filter(|prefix| !nested(prefix)).any(|prefix| {
                self.value.get(prefix).is_some_and(|open| any_leaf(open, &mut |d| found(Kind::Dynamic, d)))
            })
    }
}

/// The values at a dotted path, through objects and arrays; a key may itself hold dots.
pub fn any_at(value: &Value, path: &str, found: &mut dyn FnMut(Datum<'_>) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_at(item, path, found)),
        Value::Object(map) => map.iter().any(|(key, inner)| {
            if key == path {
                return any_leaf(inner, found);
            }
            match path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                Some("keyword") if !inner.is_object() => any_leaf(inner, found),
                Some(rest) => any_at(inner, rest, found),
                None => false,
            }
        }),
        _ => false,
    }
}

/// Every scalar at or below a value.
pub fn any_leaf(value: &Value, found: &mut dyn FnMut(Datum<'_>) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => found(Datum::Boolean(*value)),
        Value::String(text) => found(match numbers::marked(text).and_then(|number| number.parse().ok()) {
            Some(decimal) => Datum::Decimal(decimal),
            None => Datum::Text(Cow::Borrowed(text)),
        }),
        Value::Number(number) => found(match number.as_i64() {
            Some(integer) => Datum::Integer(integer),
            None => Datum::Decimal(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Value::Array(items) => items.iter().any(|item| any_leaf(item, found)),
        Value::Object(map) => map.values().any(|item| any_leaf(item, found)),
    }
}
