//! Reading request objects as the server's JSON reader does (wire notes §1, §4): unknown fields are passed over,
//! scalars of the wrong type are converted where that is possible, null is absent. Knows JSON, no object of the API.

use serde_json::{Number, Value};

use super::call::{invalid_json_in, parse_uuid};
use super::reply::Errors;
use super::store::Object;

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Boolean,
    Integer,
    Uuid,
    /// Free JSON under names of the caller's own; nulls at the top are dropped, deeper ones kept.
    Data,
    List(&'static Kind),
    Object(&'static [Field]),
    /// Objects of one form under names that the caller chooses.
    Map(&'static Kind),
    /// One of these words, in this very case.
    OneOf(&'static [&'static str]),
    /// Anything, kept as it is.
    Any,
}

/// A field that can be written.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
}

/// Shorthand for tables of fields.
pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

/// Keeps of `object` what `fields` name, converted. `path` is what error messages begin with, as `entity`.
pub fn read(path: &str, fields: &[Field], object: &Object, errors: &mut Errors) -> Object {
    let mut kept = Object::new();
    for field in fields {
        let Some(value) = object.get(field.name).filter(|value| !value.is_null()) else { continue };
        let place = format!("{path}.{}", field.name);
        if let Some(value) = convert(&place, field.kind, value, errors) {
            kept.insert(field.name.to_owned(), value);
        }
    }
    kept
}

fn convert(place: &str, kind: Kind, value: &Value, errors: &mut Errors) -> Option<Value> {
    let converted = match kind {
        Kind::Any => Ok(Some(value.clone())),
        Kind::Text => text(value),
        Kind::Boolean => boolean(value),
        Kind::Integer => integer(value),
        Kind::Uuid => uuid(value),
        Kind::OneOf(words) => word(value, words),
        Kind::Data => match value {
            Value::Object(data) => Ok(Some(Value::Object(without_nulls(data)))),
            _ => Err("an object is expected".to_owned()),
        },
        Kind::List(item) => match value {
            Value::Array(items) => {
                let items = items.iter().filter(|item| !item.is_null()).enumerate();
                let read =
                    items.filter_map(|(n, value)| convert(&format!("{place}[{n}]"), *item, value, errors));
                Ok(Some(Value::Array(read.collect())))
            }
            _ => Err("an array is expected".to_owned()),
        },
        Kind::Object(fields) => match value {
            Value::Object(object) => Ok(Some(Value::Object(read(place, fields, object, errors)))),
            _ => Err("an object is expected".to_owned()),
        },
        Kind::Map(item) => match value {
            Value::Object(object) => {
                let entries =
                    object.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, value)| {
                        let converted = convert(&format!("{place}[{name}]"), *item, value, errors)?;
                        Some((name.clone(), converted))
                    });
                Ok(Some(Value::Object(entries.collect())))
            }
            _ => Err("an object is expected".to_owned()),
        },
    };
    converted.unwrap_or_else(|reason: String| {
        invalid_json_in(errors, place, &reason);
        None
    })
}

/// `data` as it is kept: without nulls at the top (wire notes §4).
pub fn without_nulls(data: &Object) -> Object {
    data.iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

type Converted = Result<Option<Value>, String>;

fn text(value: &Value) -> Converted {
    match value {
        Value::String(text) => Ok(Some(Value::String(super::numbers::plain(text).into_owned()))),
        Value::Number(number) => Ok(Some(Value::String(number.to_string()))),
        Value::Bool(flag) => Ok(Some(Value::String(flag.to_string()))),
        _ => Err("a string is expected".to_owned()),
    }
}

fn boolean(value: &Value) -> Converted {
    match value {
        Value::Bool(_) => Ok(Some(value.clone())),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Ok(Some(Value::Bool(number.as_i64() != Some(0))))
        }
        Value::String(text) => match text.trim() {
            "true" | "True" | "TRUE" => Ok(Some(Value::Bool(true))),
            "false" | "False" | "FALSE" => Ok(Some(Value::Bool(false))),
            "" => Ok(None),
            _ => Err("a boolean is expected".to_owned()),
        },
        _ => Err("a boolean is expected".to_owned()),
    }
}

fn integer(value: &Value) -> Converted {
    let wrong = || "an integer is expected".to_owned();
    match value {
        Value::Number(number) if number.is_i64() => Ok(Some(value.clone())),
        Value::Number(number) => {
            let whole = number.as_f64().map(f64::trunc).filter(|x| x.abs() < 9e15).ok_or_else(wrong)?;
            // In range by the check above; the reader truncates decimals.
            #[expect(clippy::cast_possible_truncation)]
            let whole = whole as i64;
            Ok(Some(Value::Number(Number::from(whole))))
        }
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            text.trim().parse::<i64>().map(|n| Some(Value::Number(n.into()))).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

fn uuid(value: &Value) -> Converted {
    match value {
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => parse_uuid(text)
            .map(|id| Some(Value::String(id.to_string())))
            .ok_or_else(|| "a UUID is expected".to_owned()),
        _ => Err("a UUID is expected".to_owned()),
    }
}

fn word(value: &Value, words: &[&str]) -> Converted {
    match value {
        Value::String(text) if words.contains(&text.as_str()) => Ok(Some(value.clone())),
        Value::String(text) if text.is_empty() => Ok(None),
        _ => Err(format!("one of {} is expected", words.join(", "))),
    }
}

/// For objects too wide to list their fields: the strings "true" and "false" become booleans, as the server's typed
/// reader makes them, everywhere but in names, texts and `data`. Nulls are absent.
pub fn lenient(object: Object) -> Object {
    const TEXTS: [&str; 6] = ["name", "description", "data", "code", "text", "key"];
    object
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            if name == "data" {
                let value = match value {
                    Value::Object(data) => Value::Object(without_nulls(&data)),
                    other => other,
                };
                return (name, value);
            }
            let keep = TEXTS.contains(&name.as_str());
            (name, lenient_value(value, keep))
        })
        .collect()
}

fn lenient_value(value: Value, is_text: bool) -> Value {
    match value {
        Value::String(text) if !is_text && text == "true" => Value::Bool(true),
        Value::String(text) if !is_text && text == "false" => Value::Bool(false),
        Value::Object(object) => Value::Object(lenient(object)),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| lenient_value(item, is_text)).collect())
        }
        other => other,
    }
}

/// Fills in what `object` does not say, at every depth of objects.
pub fn with_defaults(object: &mut Object, defaults: Value) {
    let Value::Object(defaults) = defaults else { return };
    for (name, value) in defaults {
        match (object.get_mut(&name), value) {
            (None, value) => {
                object.insert(name, value);
            }
            (Some(Value::Object(inner)), value @ Value::Object(_)) => with_defaults(inner, value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FIELDS: [Field; 5] = [
        field("flag", Kind::Boolean),
        field("count", Kind::Integer),
        field("text", Kind::Text),
        field("data", Kind::Data),
        field("ids", Kind::List(&Kind::Uuid)),
    ];

    fn read_value(value: &Value) -> (Value, bool) {
        let mut errors = Errors::new();
        let read = read("x", &FIELDS, value.as_object().unwrap(), &mut errors);
        (Value::Object(read), errors.is_empty())
    }

    #[test]
    fn scalars_are_converted_and_unknown_fields_dropped() {
        let (value, is_fine) = read_value(&json!({
            "flag": "true", "count": "12", "text": 5, "other": 1, "data": {"a": null, "b": {"c": null}},
            "ids": ["E9FDB985-9173-4E01-9D73-AC2D60D1DC8E"],
        }));
        assert!(is_fine);
        let expected = json!({
            "flag": true, "count": 12, "text": "5", "data": {"b": {"c": null}},
            "ids": ["e9fdb985-9173-4e01-9d73-ac2d60d1dc8e"],
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn what_cannot_be_converted_is_an_error() {
        for wrong in [
            json!({"flag": "yes"}),
            json!({"count": "many"}),
            json!({"text": {}}),
            json!({"data": []}),
            json!({"ids": "x"}),
            json!({"ids": ["x"]}),
        ] {
            assert!(!read_value(&wrong).1, "{wrong}");
        }
    }
}
