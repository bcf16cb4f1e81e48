//! What the types say by words of their own (`x-exactly-one-of`, `x-form`, …), said in JSON Schema's.

use serde_json::{Map, Value, json};

/// Forms of texts by name. Every engine of regular expressions reads these alike (JavaScript's in editors, Go's in
/// `kubeconform`), and none is narrower than what the reader takes.
const FORMS: &[(&str, &[&str])] = &[
    ("filled", &["[^\\x09-\\x0d\\x20]"]),
    ("email", &["^[^@\\x00-\\x20\\x7f]+@[^@\\x00-\\x20\\x7f]+$"]),
    ("phone number", &["^\\+[1-9]([-. ()]*[0-9]){6,14}$"]),
    ("date", &["^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"]),
    ("instant", &["^[-+0-9]+[ Tt][0-9].*([Zz]|[-+][0-9:.]+)(\\[.*\\])*$"]),
    ("locale", &["^[a-z]{2,3}([_-][A-Z][a-z]{3})?([_-]([A-Z]{2}|[0-9]{3}))?$"]),
    ("url", &["^[hH][tT][tT][pP][sS]?://[^/?#@\\\\\\x00-\\x20]+(/[^?#\\\\\\x00-\\x20]*)?$"]),
    ("owner", &["^[a-z0-9-]{1,63}$"]),
    // More than nothing.
    ("interval", &["^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "[1-9]"]),
    ("namespace", &[NAMESPACE]),
    ("object name", &[OBJECT_NAME]),
];

/// A namespace's name: a DNS label.
pub(super) const NAMESPACE: &str = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
/// An object's name: a DNS subdomain.
pub(super) const OBJECT_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A label's or an annotation's key.
pub(super) const QUALIFIED_NAME: &str =
    "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// A label's value.
pub(super) const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";

/// Refuses unknown fields wherever fields are listed, and says by JSON Schema's own words what the types say by
/// extensions (`x-exactly-one-of` and the like).
pub(super) fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(object) => {
            let never = object.remove("x-never");
            object.values_mut().for_each(close);
            let describes_object = object.get("type") == Some(&json!("object"))
                || object
                    .get("type")
                    .and_then(Value::as_array)
                    .is_some_and(|types| types.contains(&json!("object")));
            if describes_object && object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            if object
                .get("enum")
                .and_then(Value::as_array)
                .is_some_and(|names| names.contains(&json!("JWTPopulate")))
            {
                add_lambda_aliases(object);
            }
            constrain(object, never);
        }
        _ => {}
    }
}

/// Lambda types that the vendor's pages write in a short form, which the reader takes as well.
fn add_lambda_aliases(object: &mut Map<String, Value>) {
    if let Some(Value::Array(names)) = object.get_mut("enum") {
        let short: Vec<Value> = names
            .iter()
            .filter_map(|name| {
                name.as_str()?.strip_prefix("SCIMServer").map(|rest| format!("SCIM{rest}").into())
            })
            .collect();
        names.extend(short);
    }
}

/// A constraint beside those that stand there already.
pub(super) fn also(object: &mut Map<String, Value>, constraint: Value) {
    if let Some(all) = object.entry("allOf").or_insert_with(|| json!([])).as_array_mut() {
        all.push(constraint);
    }
}

/// Constraints on the value itself: its form, and the bounds that the reader knows.
fn bound(object: &mut Map<String, Value>) {
    for (word, in_items) in [("x-form", false), ("x-form-of-items", true)] {
        let name = object.remove(word);
        let form = FORMS.iter().find(|(known, _)| name.as_ref().is_some_and(|name| name == known));
        let Some((pattern, more)) = form.and_then(|(_, patterns)| patterns.split_first()) else { continue };
        if in_items {
            object["items"]["pattern"] = json!(pattern);
        } else {
            object.insert("pattern".to_owned(), json!(pattern));
            more.iter().for_each(|pattern| also(object, json!({ "pattern": pattern })));
        }
    }
    for (word, plain) in [("x-least", "minimum"), ("x-most-items", "maxItems")] {
        if let Some(bound) = object.remove(word) {
            object.insert(plain.to_owned(), bound);
        }
    }
}

fn constrain(object: &mut Map<String, Value>, never: Option<Value>) {
    bound(object);
    let names = |key: &str| -> Option<Vec<String>> {
        let names = object.get(key)?.as_array()?;
        Some(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    // Where there is a choice, null counts as absent.
    let choice = |names: &[String]| -> Vec<Value> {
        let branches = names.iter().map(|name| {
            json!({ "required": [name], "properties": { name.as_str(): { "not": { "type": "null" } } } })
        });
        branches.collect()
    };
    let one_of = |names: &[String]| json!({ "oneOf": choice(names) });
    let any_of = |names: &[String]| json!({ "anyOf": choice(names) });
    let mut constraints = Vec::new();
    constraints.extend(names("x-exactly-one-of").map(|names| one_of(&names)));
    constraints.extend(names("x-any-of").map(|names| any_of(&names)));
    let mut living = Vec::new();
    living.extend(names("x-exactly-one-of-unless-absent").map(|names| one_of(&names)));
    living.extend(names("x-any-of-unless-absent").map(|names| any_of(&names)));
    if let Some(names) = names("x-required-unless-absent") {
        let not_null: Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!({ "not": { "type": "null" } }))).collect();
        living.push(json!({ "required": names, "properties": not_null }));
    }
    if !living.is_empty() {
        constraints.push(json!({
            "if": {
                "required": ["policy"],
                "properties": {
                    "policy": { "type": "object", "required": ["ensure"], "properties": { "ensure": { "const": "Absent" } } },
                },
            },
            "else": { "allOf": living },
        }));
    }
    let never = never.as_ref().and_then(Value::as_array).into_iter().flatten();
    constraints.extend(never.map(|schema| json!({ "not": schema })));
    constraints.into_iter().for_each(|constraint| also(object, constraint));
}
