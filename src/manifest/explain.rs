//! Tells all that does not fit a document, by its kind's JSON Schema: each wrong field with its place, and what was
//! probably meant. Runs only on documents that the reader has refused.
//!
//! It walks the located tree itself: a JSON Schema library would need the document as JSON, without its places, and
//! copies the values that it complains of, which a hostile file makes large; and it echoes secrets.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::diagnostic::nearest;
use super::finding::{Finding, Hide, shorten};
use super::hints;
use super::yaml::{Value, View};
use crate::model::{Kind, NumberOrPercent};

/// Findings that are told of one document.
const MOST_FINDINGS: usize = 500;

/// What does not fit, and the places to leave out when the rest is read nevertheless.
#[derive(Default)]
pub struct Explanation {
    pub findings: Vec<Finding>,
    pub skip: HashSet<usize>,
    /// Parts of the file that belong to secrets or to unknown fields, which may be misspelt secrets: whatever else is
    /// wrong in them may not be quoted.
    pub hidden: Vec<Range<usize>>,
}

/// Compares a document with its kind's schema.
pub fn explain(kind: Kind, schema: &Json, document: Value<'_>) -> Explanation {
    let definitions = schema.get("$defs").and_then(Json::as_object);
    let absent = is_tombstone(document);
    let mut walk = Walk { kind, definitions, absent, out: Explanation::default() };
    let at = Site { path: String::new(), key: document, secret: false, is_item: false };
    walk.check(schema, document, &at);
    walk.out
}

/// Whether the document says `policy: { ensure: Absent }`.
pub fn is_tombstone(document: Value<'_>) -> bool {
    let ensure =
        document.get("spec").and_then(|spec| spec.get("policy")).and_then(|policy| policy.get("ensure"));
    ensure.and_then(|ensure| ensure.as_text()) == Some("Absent")
}

/// Where the walk is.
struct Site<'t> {
    /// Dotted, for messages; empty for the document itself.
    path: String,
    /// The key under which the value stands, or the value itself in a list.
    key: Value<'t>,
    /// Whether the value belongs to a secret: neither values nor unknown keys may be shown.
    secret: bool,
    /// Whether the value is an item of a list.
    is_item: bool,
}

impl<'t> Site<'t> {
    fn field(&self, name: &str, key: Value<'t>) -> Site<'t> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Site { path, key, secret: self.secret, is_item: false }
    }

    fn item(&self, index: usize, value: Value<'t>) -> Site<'t> {
        Site { path: format!("{}[{index}]", self.path), key: value, secret: self.secret, is_item: true }
    }

    fn name(&self) -> String {
        if self.path.is_empty() { "the document".to_owned() } else { format!("`{}`", self.path) }
    }
}

struct Walk<'s> {
    kind: Kind,
    definitions: Option<&'s Map<String, Json>>,
    absent: bool,
    out: Explanation,
}

impl<'s> Walk<'s> {
    fn report(&mut self, finding: Finding, skip: usize) {
        self.out.findings.push(finding);
        self.out.skip.insert(skip);
    }

    /// The schema behind references and nullable wrappers, for a value that is not null.
    fn settle(&self, mut schema: &'s Json, value: Value<'_>) -> &'s Json {
        loop {
            if let Some(name) =
                schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next())
            {
                match self.definitions.and_then(|definitions| definitions.get(name)) {
                    Some(definition) => schema = definition,
                    None => return schema,
                }
            } else if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
                match self.branch(branches, value) {
                    Some(branch) => schema = branch,
                    None => return schema,
                }
            } else {
                return schema;
            }
        }
    }

    /// The branch that a value is meant for: the one of its type, or else the first that is not null.
    fn branch(&self, branches: &'s [Json], value: Value<'_>) -> Option<&'s Json> {
        let other_than_null =
            || branches.iter().filter(|branch| branch.get("type") != Some(&Json::from("null")));
        let fits = |branch: &&'s Json| self.fits_type(branch, value);
        branches.iter().find(fits).or_else(|| other_than_null().next())
    }

    /// The types that a schema takes.
    fn types(&self, schema: &'s Json) -> Vec<&'s str> {
        if let Some(name) = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next())
        {
            let definition = self.definitions.and_then(|definitions| definitions.get(name));
            return definition.map(|definition| self.types(definition)).unwrap_or_default();
        }
        match (schema.get("type"), schema.get("anyOf")) {
            (Some(Json::String(name)), _) => vec![name],
            (Some(Json::Array(names)), _) => names.iter().filter_map(Json::as_str).collect(),
            (None, Some(Json::Array(branches))) => {
                branches.iter().flat_map(|branch| self.types(branch)).collect()
            }
            (None, None) if schema.get("const").is_some_and(Json::is_string) => vec!["string"],
            _ => Vec::new(),
        }
    }

    fn fits_type(&self, schema: &'s Json, value: Value<'_>) -> bool {
        let types = self.types(schema);
        let own: &[&str] = match value.view() {
            View::Null => &["null"],
            View::Bool(_) => &["boolean"],
            View::Int(_) => &["integer", "number"],
            View::Float(_) => &["number"],
            View::Text(_) => &["string"],
            View::Sequence(_) => &["array"],
            View::Mapping(_) => &["object"],
            View::Invalid => return true,
        };
        types.is_empty() || types.iter().any(|name| own.contains(name))
    }

    fn check(&mut self, schema: &'s Json, value: Value<'_>, site: &Site<'_>) {
        if self.out.findings.len() >= MOST_FINDINGS {
            // The rest is not looked at, so it may hold secrets.
            self.out.hidden.push(0..usize::MAX);
            return;
        }
        let whole = schema;
        let schema = self.settle(schema, value);
        let is_source = is_secret(whole) || is_secret(schema);
        let site = Site { path: site.path.clone(), secret: site.secret || is_source, ..*site };
        if is_source {
            self.out.hidden.push(value.at()..value.end().max(value.at() + 1));
        }
        if matches!(value.view(), View::Invalid) {
            self.out.skip.insert(value.at());
            return;
        }
        if !self.fits_type(whole, value) {
            return self.wrong_type(whole, is_source, value, &site);
        }
        match value.view() {
            View::Mapping(_) => self.mapping(schema, value, &site),
            View::Sequence(items) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.enumerate() {
                        self.check(schema, item, &site.item(index, item));
                        if self.out.findings.len() >= MOST_FINDINGS {
                            return;
                        }
                    }
                }
            }
            View::Text(text) => self.text(schema, text, value, &site),
            View::Int(number) => {
                let minimum = schema.get("minimum").and_then(Json::as_i64);
                if minimum.is_some_and(|minimum| number < minimum) {
                    let message = format!("{} is less than {}", site.name(), minimum.unwrap_or_default());
                    self.report(at_value("invalid-value", message, value), value.at());
                }
            }
            _ => {}
        }
    }

    /// Whether a schema takes what a `name` alone can stand for: a reference, an entity type's permission.
    fn is_reference(&self, schema: &'s Json) -> bool {
        if let Some(name) = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next())
        {
            let definition = self.definitions.and_then(|definitions| definitions.get(name));
            return definition.is_some_and(|definition| self.is_reference(definition));
        }
        let branches = schema.get("anyOf").and_then(Json::as_array).into_iter().flatten();
        let one_of = ["x-exactly-one-of", "x-exactly-one-of-unless-absent"].map(|word| schema.get(word));
        let one_of = one_of.into_iter().flatten().filter_map(Json::as_array).flatten();
        one_of.into_iter().any(|name| name == "name")
            || schema.get("required") == Some(&Json::from(vec!["name"]))
            || branches.into_iter().any(|branch| self.is_reference(branch))
    }

    fn takes_null(&self, schema: &'s Json, name: &str) -> bool {
        let property = schema.get("properties").and_then(|properties| properties.get(name));
        property.is_some_and(|property| self.types(property).contains(&"null"))
    }

    fn wrong_type(&mut self, whole: &'s Json, is_source: bool, value: Value<'_>, site: &Site<'_>) {
        let types = &self.types(whole);
        let expected = expected(types);
        let takes_text = types.contains(&"string");
        let source = source_text(value);
        let finding = match value.view() {
            View::Null => null(value, site),
            View::Text(_) if is_source => at_value(
                "plain-secret",
                format!("{} takes the source of a secret, not the secret", site.name()),
                value,
            )
            .hint("write fromEnv, fromFile or secretKeyRef, never the value itself"),
            _ if site.secret => at_value("wrong-type", format!("{} is {expected}", site.name()), value),
            View::Bool(_) | View::Int(_) | View::Float(_) if takes_text => {
                let message = format!("{} is a string, but {source} is {}", site.name(), value.kind_name());
                at_value("unquoted", message, value).hint(format!("quote it: \"{source}\""))
            }
            View::Text(text) => {
                let message = format!("{} is {expected}, but \"{}\" is a string", site.name(), shorten(text));
                let hint = self.is_reference(whole).then(|| format!("write {{ name: {} }}", shorten(text)));
                at_value("wrong-type", message, value).maybe_hint(hint)
            }
            _ => {
                let message = format!("{} is {expected}, but this is {}", site.name(), value.kind_name());
                at_value("wrong-type", message, value)
            }
        };
        let finding = if site.secret { finding.hide(Hide::FromHere) } else { finding };
        self.report(finding, value.at());
    }

    fn mapping(&mut self, schema: &'s Json, value: Value<'_>, site: &Site<'_>) {
        let Some(entries) = value.entries() else { return };
        let properties = schema.get("properties").and_then(Json::as_object);
        let rest = schema.get("additionalProperties");
        for (key, entry) in entries {
            if self.out.findings.len() >= MOST_FINDINGS {
                self.out.hidden.push(0..usize::MAX);
                return;
            }
            let Some(name) = key.as_text() else { continue };
            match (properties.and_then(|properties| properties.get(name)), rest) {
                (Some(schema), _) => self.check(schema, entry, &site.field(name, key)),
                (None, Some(Json::Bool(false))) => {
                    self.out.hidden.push(entry.at()..entry.end().max(entry.at() + 1));
                    self.unknown_field(properties, name, key, site);
                }
                (None, Some(schema @ Json::Object(_))) => self.check(schema, entry, &site.field(name, key)),
                (None, _) => {}
            }
        }
        self.required(schema, value, site);
    }

    fn unknown_field(
        &mut self,
        known: Option<&Map<String, Json>>,
        name: &str,
        key: Value<'_>,
        site: &Site<'_>,
    ) {
        let known: Vec<&str> =
            known.map(|known| known.keys().map(String::as_str).collect()).unwrap_or_default();
        let all = || format!("known fields: {}", known.join(", "));
        let finding = if site.secret {
            Finding::error("unknown-field", format!("unknown field under {}", site.name()), key.at(), 1)
                .hint(all())
        } else {
            let message = format!("unknown field `{}` in {}", shorten(name), site.name());
            let hint = hints::for_unknown_field(self.kind, &site.path, name)
                .map(str::to_owned)
                .or_else(|| {
                    nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"))
                })
                .or_else(|| (known.len() <= 12).then(all));
            Finding::error("unknown-field", message, key.at(), key_length(key, name))
                .maybe_hint(hint)
                .hide(Hide::BehindColon)
        };
        self.report(finding, key.at());
    }

    fn required(&mut self, schema: &'s Json, value: Value<'_>, site: &Site<'_>) {
        let names = |word: &str| -> Vec<&str> {
            let names = schema.get(word).and_then(Json::as_array);
            names.map(|names| names.iter().filter_map(Json::as_str).collect()).unwrap_or_default()
        };
        let living = |word: &str| if self.absent { Vec::new() } else { names(word) };
        let mut findings = Vec::new();
        let here =
            |code, message: String| Finding::error(code, message, site.key.at(), pointer_length(site.key));
        for name in names("required").into_iter().chain(living("x-required-unless-absent")) {
            let Some((key, value)) = value.entry(name) else {
                let path = site.field(name, site.key).path;
                findings.push(here("missing-field", format!("`{path}` is missing")));
                continue;
            };
            // Where the schema takes null, for the sake of tombstones, a living object may not have it.
            if value.is_null() && self.takes_null(schema, name) {
                findings.push(null(value, &site.field(name, key)));
            }
        }
        for names in [names("x-exactly-one-of"), living("x-exactly-one-of-unless-absent")] {
            let (null, present): (Vec<_>, Vec<_>) = names
                .iter()
                .filter_map(|name| value.entry(name).map(|(key, value)| (*name, key, value)))
                .partition(|(_, _, value)| value.is_null());
            let list =
                |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            match present.len() {
                1 => {}
                0 if names.is_empty() => {}
                0 => {
                    let message = format!("{} needs one of {}", site.name(), list(&names));
                    // A field without a value is likely the one that was meant.
                    findings.push(match null.as_slice() {
                        [(name, key, _)] => Finding::error("missing-field", message, key.at(), name.len()),
                        _ => here("missing-field", message),
                    });
                }
                _ => {
                    let named: Vec<&str> = present.iter().map(|(name, _, _)| *name).collect();
                    let message =
                        format!("{} has {}: only one of them can stand here", site.name(), list(&named));
                    // The one that was written last is the one too many.
                    let last = present.iter().max_by_key(|(_, key, _)| key.at());
                    let (at, length) =
                        last.map_or((site.key.at(), 1), |(name, key, _)| (key.at(), name.len()));
                    findings.push(Finding::error("one-of", message, at, length));
                }
            }
        }
        // An item that lacks something is left out, so that the rest of the document can be read and judged.
        if !findings.is_empty() && site.is_item {
            self.out.skip.insert(value.at());
        }
        self.out.findings.extend(findings);
    }

    fn text(&mut self, schema: &Json, text: &str, value: Value<'_>, site: &Site<'_>) {
        let options: Vec<&str> = match (schema.get("enum"), schema.get("const")) {
            (Some(Json::Array(options)), _) => options.iter().filter_map(Json::as_str).collect(),
            (_, Some(Json::String(only))) => vec![only],
            _ => Vec::new(),
        };
        let shown = shorten(text);
        if !options.is_empty() && !options.contains(&text) {
            let message = format!("\"{shown}\" is no value of {}", site.name());
            let hint = match nearest(text, options.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("one of: {}", options.join(", ")),
            };
            return self.report(at_value("invalid-value", message, value).hint(hint), value.at());
        }
        let format = schema.get("format").and_then(Json::as_str);
        if format == Some("uuid") && text.parse::<crate::model::Id>().is_err() {
            let finding =
                at_value("invalid-value", format!("{}: \"{shown}\" is no UUID", site.name()), value)
                    .hint("32 hexadecimal digits with hyphens: 8-4-4-4-12");
            return self.report(finding, value.at());
        }
        if format == Some("date-time") && text.parse::<jiff::Timestamp>().is_err() {
            let finding = at_value("invalid-value", format!("{}: \"{shown}\" is no instant", site.name()), value).hint(
                "RFC 3339 with date, time and offset, such as 2030-01-31T12:00:00Z, or milliseconds since the epoch",
            );
            return self.report(finding, value.at());
        }
        let percentage =
            schema.get("pattern").and_then(Json::as_str).is_some_and(|pattern| pattern.ends_with("%$"));
        if percentage && !matches!(text.parse(), Ok(NumberOrPercent::Percent(_))) {
            let finding =
                at_value("invalid-value", format!("{}: \"{shown}\" is no percentage", site.name()), value)
                    .hint("write a number, or a percentage such as \"20%\"");
            self.report(finding, value.at());
        }
    }
}

fn is_secret(schema: &Json) -> bool {
    schema.get("x-secret") == Some(&Json::Bool(true))
}

/// A null that may not stand here. One that is not written is pointed at by its key.
fn null(value: Value<'_>, site: &Site<'_>) -> Finding {
    let (at, length) = match value.written().len() {
        0 => (site.key.at(), pointer_length(site.key)),
        length => (value.at(), length),
    };
    Finding::error("null", format!("{} may not be null", site.name()), at, length).hint(if site.secret {
        "leave the field out"
    } else {
        "leave it out, or give it a value"
    })
}

/// The scalar as it is written.
fn source_text(value: Value<'_>) -> String {
    shorten(value.written())
}

fn at_value(code: &'static str, message: String, value: Value<'_>) -> Finding {
    Finding::error(code, message, value.at(), value.written().len().max(1))
}

fn pointer_length(value: Value<'_>) -> usize {
    value.as_text().map_or(1, |text| key_length(value, text))
}

fn key_length(key: Value<'_>, name: &str) -> usize {
    if key.written().starts_with(['"', '\'']) { key.written().len() } else { name.len() }
}

/// Types in words.
fn expected(types: &[&str]) -> String {
    let words = types.iter().filter(|name| **name != "null").map(|name| match *name {
        "boolean" => "true or false",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        _ => "a mapping",
    });
    let mut words: Vec<&str> = words.collect();
    words.dedup();
    words.join(" or ")
}
