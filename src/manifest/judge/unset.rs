//! `unset`: removal that every client passes on. It may name what null may name, and nothing that is declared.

use serde_json::Value as Json;

use super::{Judge, shorten};
use crate::manifest::diagnostic::nearest;
use crate::manifest::schema;
use crate::manifest::yaml::Value;
use crate::model::{Compare, Kind, row};

impl Judge {
    pub(super) fn unset(&mut self, kind: Kind, paths: &[String], spec: Value<'_>) {
        for (index, path) in paths.iter().enumerate() {
            if self.is_full() {
                return;
            }
            let pointer = format!("/spec/unset/{index}");
            match removable(kind, path) {
                Err(Refusal { message, hint, secret }) => {
                    let verdict = self.error("unset", pointer, message);
                    verdict.hint = hint;
                    verdict.secret = secret;
                }
                Ok(()) if is_declared(spec, path) => {
                    let message = format!("`{}` is both declared and unset", shorten(path));
                    self.error("unset", pointer, message).hint("keep one of the two");
                }
                Ok(()) => {}
            }
        }
    }
}

/// Why a path may not be removed.
struct Refusal {
    message: String,
    hint: Option<String>,
    /// What stands behind a secret's name may be the secret.
    secret: bool,
}

impl Refusal {
    fn new(message: String, hint: Option<String>) -> Self {
        Refusal { message, hint, secret: false }
    }
}

/// Whether a path may be removed; otherwise why not, and what was meant.
fn removable(kind: Kind, path: &str) -> Result<(), Refusal> {
    let row = row(kind);
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let spec = schema::of(kind).pointer("/properties/spec");
    let property = spec.and_then(|spec| spec.get("properties")).and_then(|properties| properties.get(head));
    let shown = shorten(path);
    let removable = |name: &str| {
        property_of(kind, name).is_some_and(|property| schema::is_removable(kind, name, property))
    };
    let Some(property) = property else {
        let names = row.fields.iter().map(|rule| rule.path).filter(|name| removable(name));
        let hint = nearest(head, names).map(|near| format!("did you mean `{near}`?"));
        return Err(Refusal::new(format!("`{shown}` is no field of `spec`"), hint));
    };
    if !removable(head) {
        let message = format!("`{}` cannot be removed", shorten(head));
        let hint = Some("`unset` names what FusionAuth can empty".to_owned());
        return Err(Refusal { message, hint, secret: rest.is_some() });
    }
    let data = row.fields.iter().any(|rule| rule.path == head && rule.compare == Compare::Data);
    match rest {
        None => Ok(()),
        Some(rest) if data && !rest.split('.').any(str::is_empty) => {
            if head == "data" || has_property(kind, property, rest) {
                Ok(())
            } else {
                Err(Refusal::new(format!("`{shown}` is no field of `spec.{head}`"), None))
            }
        }
        Some(_) => Err(Refusal::new(format!("`{shown}` names nothing that can be removed"), None)),
    }
}

fn property_of(kind: Kind, name: &str) -> Option<&'static Json> {
    schema::of(kind).pointer("/properties/spec/properties")?.get(name)
}

fn has_property(kind: Kind, property: &Json, name: &str) -> bool {
    let definition = schema::nullable(property).and_then(|name| schema::of(kind).get("$defs")?.get(name));
    definition.and_then(|definition| definition.get("properties")?.get(name)).is_some()
}

/// Whether the path, or something it contains or is contained in, is declared.
fn is_declared(spec: Value<'_>, path: &str) -> bool {
    let mut value = spec;
    let mut names = path.split('.');
    loop {
        let Some(name) = names.next() else { return true };
        match value.get(name) {
            Some(inner) if inner.entries().is_some() => value = inner,
            Some(_) => return true,
            None => return false,
        }
    }
}
