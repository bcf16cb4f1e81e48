//! The documentation of a kind or one of its fields, from its JSON Schema, as `kubectl explain` tells it.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::{API_VERSION, Kind};

/// A field that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} has no field \"{path}\"")]
pub struct ExplainError {
    pub kind: Kind,
    /// The path up to the first name that is not known.
    pub path: String,
    /// The names that are known there.
    pub known: Vec<String>,
}

/// How wide the text is, in characters.
const WIDTH: usize = 96;

/// What `explain Kind.field.field` prints. `schema` is that of the kind's document, with `$defs`. A path begins
/// in `spec`, unless it names `spec` or `metadata` itself.
pub fn explain(kind: Kind, schema: &Value, path: &[&str]) -> Result<String, ExplainError> {
    let reader = Reader { root: schema };
    let top = reader.resolve(schema);
    let (spec, path) = match (reader.fields(top).and_then(|fields| fields.get("spec")), path) {
        (Some(spec), ["spec", path @ ..]) => (spec, path),
        (Some(_), ["metadata", ..]) | (None, _) => (top, path),
        (Some(spec), _) => (spec, path),
    };
    let mut node = reader.resolve(spec);
    for (depth, name) in path.iter().enumerate() {
        let fields = reader.fields(node);
        let Some(next) = fields.and_then(|fields| fields.get(*name)) else {
            return Err(ExplainError {
                kind,
                path: path.iter().take(depth + 1).copied().collect::<Vec<_>>().join("."),
                known: fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default(),
            });
        };
        node = next;
    }
    Ok(reader.page(kind, node, path))
}

struct Reader<'a> {
    root: &'a Value,
}

impl<'a> Reader<'a> {
    /// The schema behind references and "or null".
    fn resolve(&self, node: &'a Value) -> &'a Value {
        let mut node = node;
        // References do not nest deeper than the types do; the bound keeps a cycle from hanging.
        for _ in 0..32 {
            if let Some(next) = node
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|pointer| pointer.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)))
            {
                node = next;
                continue;
            }
            match self.alternatives(node).as_slice() {
                [only] => node = only,
                _ => return node,
            }
        }
        node
    }

    /// The schemas of which one fits, "null" apart; none where there is no choice.
    fn alternatives(&self, node: &'a Value) -> Vec<&'a Value> {
        let all = ["anyOf", "oneOf"].iter().find_map(|word| node.get(*word)).and_then(Value::as_array);
        let is_something = |schema: &&Value| schema.get("type") != Some(&Value::from("null"));
        all.into_iter().flatten().filter(is_something).collect()
    }

    /// The schema of an object, of an array's elements, or of the alternative that is an object.
    fn object(&self, node: &'a Value) -> &'a Value {
        let node = self.resolve(node);
        let node = node.get("items").map_or(node, |items| self.resolve(items));
        let mut alternatives = self.alternatives(node).into_iter().map(|schema| self.resolve(schema));
        alternatives.find(|schema| schema.get("properties").is_some()).unwrap_or(node)
    }

    fn fields(&self, node: &'a Value) -> Option<&'a Map<String, Value>> {
        self.object(node).get("properties").and_then(Value::as_object)
    }

    fn description(&self, node: &'a Value) -> &'a str {
        let of = |node: &'a Value| node.get("description").and_then(Value::as_str);
        of(node).or_else(|| of(self.resolve(node))).unwrap_or_default()
    }

    fn type_name(&self, node: &'a Value) -> String {
        let node = self.resolve(node);
        if let Some(items) = node.get("items") {
            return format!("[]{}", self.type_name(items));
        }
        // As kubectl writes it.
        let named = |word: &str| if word == "object" { "Object".to_owned() } else { word.to_owned() };
        let words: Vec<String> = match node.get("type") {
            Some(Value::String(word)) => vec![named(word)],
            Some(Value::Array(words)) => {
                words.iter().filter_map(Value::as_str).filter(|word| *word != "null").map(named).collect()
            }
            _ if node.get("properties").is_some() => vec![named("object")],
            _ if self.choices(node).is_some() => vec!["string".to_owned()],
            _ => self.alternatives(node).into_iter().map(|schema| self.type_name(schema)).collect(),
        };
        if words.is_empty() { "any".to_owned() } else { words.join(" or ") }
    }

    /// The words of an enumeration.
    fn choices(&self, node: &'a Value) -> Option<Vec<&'a str>> {
        let node = self.object(node);
        if let Some(words) = node.get("enum").and_then(Value::as_array) {
            return Some(words.iter().filter_map(Value::as_str).collect());
        }
        let alternatives = node.get("oneOf").and_then(Value::as_array)?;
        alternatives.iter().map(|schema| schema.get("const").and_then(Value::as_str)).collect()
    }

    fn page(&self, kind: Kind, node: &'a Value, path: &[&str]) -> String {
        let mut page = format!("KIND:     {kind}\nVERSION:  {API_VERSION}\n");
        if !path.is_empty() {
            line(&mut page, &format!("FIELD:    {} <{}>", path.join("."), self.type_name(node)));
        }
        page.push_str("\nDESCRIPTION:\n");
        wrapped(&mut page, self.description(node), 4);
        if let Some(words) = self.choices(node) {
            page.push_str("\nVALUES:\n");
            wrapped(&mut page, &words.join(", "), 4);
        }
        if let Some(words) = self.object(node).get("x-exactly-one-of").and_then(Value::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            page.push_str("\nEXACTLY ONE OF:\n");
            wrapped(&mut page, &words.join(", "), 4);
        }
        if let Some(fields) = self.fields(node) {
            page.push_str("\nFIELDS:\n");
            let required = self.object(node).get("required").and_then(Value::as_array);
            for (name, field) in fields {
                let must = required.is_some_and(|names| names.iter().any(|one| one == name.as_str()));
                let must = if must { " -required-" } else { "" };
                line(&mut page, &format!("  {name} <{}>{must}", self.type_name(field)));
                wrapped(&mut page, self.description(field), 6);
            }
        }
        page
    }
}

fn line(page: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{line}");
}

fn wrapped(page: &mut String, text: &str, indent: usize) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.chars().count() > WIDTH {
            page.push('\n');
            column = 0;
        }
        if column == 0 {
            page.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            page.push(' ');
            column += 1;
        }
        page.push_str(word);
        column += word.chars().count();
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::schema;

    fn user(path: &[&str]) -> Result<String, ExplainError> {
        explain(Kind::User, schema::of(Kind::User), path)
    }

    #[test]
    fn fields_are_explained_with_their_own() {
        let page = user(&["registrations"]).unwrap();
        assert!(page.contains("FIELD:    registrations <[]Object>"), "{page}");
        assert!(page.contains("Applications the user is registered for."), "{page}");
        assert!(page.contains("  application <Object> -required-"), "{page}");
        let page = user(&["registrations", "application"]).unwrap();
        assert!(page.contains("EXACTLY ONE OF:\n    name, id\n"), "{page}");
        let page = user(&["usernameStatus"]).unwrap();
        assert!(page.contains("VALUES:\n    ACTIVE, PENDING, REJECTED\n"), "{page}");
        assert!(user(&[]).unwrap().contains("  email <string>"));
        assert_eq!(user(&["spec", "email"]), user(&["email"]));
        assert!(user(&["metadata"]).unwrap().contains("  name <string> -required-"));
    }

    #[test]
    fn every_field_of_every_kind_is_explained() {
        fn below(kind: Kind, path: &[&str], told: &mut usize) {
            let schema = schema::of(kind);
            let page = explain(kind, schema, path).unwrap_or_else(|error| panic!("{error}"));
            let (_, description) = page.split_once("DESCRIPTION:\n").unwrap();
            assert!(!description.trim_start_matches(' ').starts_with('\n'), "{kind}.{path:?}: {page}");
            *told += 1;
            // What is asked for and not there is answered with the names that are.
            let known = explain(kind, schema, &[path, &["no such field"]].concat()).unwrap_err().known;
            for name in &known {
                below(kind, &[path, &[name]].concat(), told);
            }
        }
        let mut told = 0;
        for kind in Kind::ALL {
            below(kind, &[], &mut told);
        }
        assert!(told > 150, "{told}");
        let link = |path: &[&str]| {
            explain(Kind::IdentityProviderLink, schema::of(Kind::IdentityProviderLink), path).unwrap()
        };
        assert!(link(&["pendingLink", "id"]).contains("pendingLink.id <string or Object>"));
        assert!(link(&["pendingLink", "id", "secretKeyRef", "name"]).contains("<string>"));
    }

    #[test]
    fn unknown_fields_are_named_with_their_place() {
        let error = user(&["registrations", "role"]).unwrap_err();
        assert_eq!(error.path, "registrations.role");
        assert!(error.known.contains(&"roles".to_owned()));
        assert_eq!(user(&["email", "x"]).unwrap_err().known, Vec::<String>::new());
    }
}
