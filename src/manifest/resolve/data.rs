//! One `data` key, one JSON type: FusionAuth indexes `data`, and a key with two types makes records vanish from its
//! search (wire notes §4).

use std::collections::HashMap;

use super::index::{Belongs, Index};
use super::{Everything, Problem};
use crate::manifest::finding::shorten;
use crate::manifest::locate::{escaped, unescaped};
use crate::model::{Data, Datum, Kind, Spec};

/// Warns of keys that have two types across users or across entities.
pub fn check(everything: &Everything, index: &Index, problems: &mut Vec<Problem>) {
    let mut types = Types { everything, problems, keys: HashMap::new() };
    for (number, (object, _)) in everything.objects.iter().enumerate() {
        let data = match &object.spec {
            Spec::User(spec) => spec.data.set(),
            Spec::Entity(spec) => spec.data.set(),
            _ => None,
        };
        if let Some(data) = data {
            types.fields(number, (index.belongs(number), object.address.kind, 0), "/spec/data", data);
        }
    }
}

/// Problems that are told.
const MOST_PROBLEMS: usize = 10_000;

/// Where a key stands: instance, kind, and the number of the key it stands under (0: `data` itself).
type Parent<'e> = (&'e Belongs, Kind, usize);

struct Key {
    number: usize,
    kind: &'static str,
    /// The object that has it first.
    object: usize,
    warned: bool,
}

struct Types<'e, 'p> {
    everything: &'e Everything,
    problems: &'p mut Vec<Problem>,
    keys: HashMap<(Parent<'e>, &'e str), Key>,
}

impl<'e> Types<'e, '_> {
    fn fields(&mut self, object: usize, parent: Parent<'e>, pointer: &str, fields: &'e Data) {
        for (name, value) in fields.entries() {
            // An array is indexed as its elements are.
            let values = match value {
                Datum::List(items) => items,
                other => std::slice::from_ref(other),
            };
            for value in values {
                self.value(object, parent, pointer, name, value);
            }
        }
    }

    fn value(&mut self, object: usize, parent: Parent<'e>, pointer: &str, name: &'e str, value: &'e Datum) {
        let kind = match value {
            Datum::Bool(_) => "a boolean",
            Datum::Number(_) => "a number",
            Datum::Text(_) => "a string",
            Datum::Object(_) => "a mapping",
            Datum::Null | Datum::List(_) => return,
        };
        let next = self.keys.len() + 1;
        let key = self.keys.entry((parent, name)).or_insert_with(|| Key {
            number: next,
            kind,
            object,
            warned: false,
        });
        let number = key.number;
        if key.kind != kind {
            if !key.warned && self.problems.len() < MOST_PROBLEMS {
                key.warned = true;
                let (first, before) = (key.object, key.kind);
                self.warn(object, &under(pointer, name), kind, first, before);
            }
            return;
        }
        if let Datum::Object(fields) = value {
            self.fields(object, (parent.0, parent.1, number), &under(pointer, name), fields);
        }
    }

    fn warn(&mut self, object: usize, pointer: &str, kind: &str, first: usize, before: &str) {
        let Some((other, _)) = self.everything.objects.get(first) else { return };
        let name = unescaped(&pointer.strip_prefix("/spec/data/").unwrap_or(pointer).replace('/', "."));
        let message = match first == object {
            // An array whose elements are of several types.
            true => format!("the data key \"{}\" holds {kind} here, and {before} before", shorten(&name)),
            false => format!(
                "the data key \"{}\" is {kind} here, but {before} in {}",
                shorten(&name),
                other.address
            ),
        };
        self.problems.push(
            Problem::warning(object, "data-type", pointer, message)
                .hint("FusionAuth's search index takes one type a key and loses records with another"),
        );
    }
}

/// The JSON pointer to a key.
fn under(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", escaped(name))
}
