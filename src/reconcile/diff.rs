//! One object's fields, declared against live against written: what is to be set, what is to be removed. Knows
//! nothing of calls, policies or other objects.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Compare, FieldRule, Fields, Kind, Write};

use super::normalise::{canonical, is_unset, normalise, same, without_nulls};
use super::path::FieldPath;

/// One value that is to change. Null is absent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delta {
    pub path: FieldPath,
    pub before: Value,
    pub after: Value,
    /// We wrote it, and it is no longer declared.
    pub no_longer_declared: bool,
}

/// An immutable field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Immutable {
    pub path: FieldPath,
    pub live: Value,
    pub declared: Value,
}

/// What comparing an object's or a part's fields came to.
#[derive(Debug, Default)]
pub(super) struct FieldDiff {
    pub deltas: Vec<Delta>,
    pub immutable: Vec<Immutable>,
    /// What of the declaration is ours once the deltas are done.
    pub written: BTreeSet<FieldPath>,
}

/// The fields of one object, or of one part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides<'a> {
    pub kind: Kind,
    pub rules: &'static [FieldRule],
    /// The part's path; none for the object's own fields.
    pub part: Option<&'a FieldPath>,
    pub declared: &'a Fields,
    pub live: &'a Fields,
    /// What we wrote, of this object or part alone.
    pub written: &'a BTreeSet<FieldPath>,
}

/// Compares by path. Only declared fields count, and those that we wrote and no longer declare.
pub(super) fn compare(sides: Sides<'_>) -> FieldDiff {
    let mut comparison = Comparison { sides, diff: FieldDiff::default() };
    for (name, declared) in sides.declared {
        let Some(rule) = sides.rules.iter().find(|rule| rule.path == name) else { continue };
        comparison.field(rule, declared);
    }
    comparison.no_longer_declared();
    comparison.diff.deltas.sort_by(|one, other| one.path.cmp(&other.path));
    comparison.diff
}

struct Comparison<'a> {
    sides: Sides<'a>,
    diff: FieldDiff,
}

impl Comparison<'_> {
    fn path(&self, name: &str) -> FieldPath {
        self.sides.part.map_or_else(|| FieldPath::field(name), |part| part.child(name))
    }

    fn field(&mut self, rule: &'static FieldRule, declared: &Value) {
        let path = self.path(rule.path);
        let live = self.sides.live.get(rule.path).unwrap_or(&Value::Null);
        match rule.write {
            Write::Body if rule.compare == Compare::Data => self.object(rule, &path, declared, live),
            Write::Body => self.leaf(rule, &path, declared, live),
            Write::Immutable => {
                let (declared, live) = (normalise(rule.compare, declared), normalise(rule.compare, live));
                if live.is_null() {
                    self.set(&path, live, declared);
                } else if declared != live {
                    self.diff.immutable.push(Immutable { path, live, declared });
                } else {
                    self.keep(&path);
                }
            }
            // `active` and `verified` have calls of their own; the others are never compared.
            Write::OwnCall
            | Write::CreateOnly
            | Write::ImmutableReference
            | Write::WriteOnly
            | Write::ReadOnly => {}
        }
    }

    /// A whole field that is an object: always key by key, so that what others keep beside ours stays.
    fn object(&mut self, rule: &'static FieldRule, path: &FieldPath, declared: &Value, live: &Value) {
        let empty = Value::Object(Fields::new());
        let live = if live.is_object() { live } else { &empty };
        match (declared, live) {
            // Never null for the whole: null is sent only for scalars and keys.
            (Value::Null, Value::Object(live)) => {
                for (name, live) in live {
                    self.value(rule, &path.child(name), &Value::Null, live);
                }
            }
            _ => self.value(rule, path, declared, live),
        }
    }

    fn value(&mut self, rule: &'static FieldRule, path: &FieldPath, declared: &Value, live: &Value) {
        match (declared, live) {
            (Value::Object(declared), Value::Object(live)) => {
                self.keep(path);
                for (name, declared) in declared {
                    let live = live.get(name).unwrap_or(&Value::Null);
                    self.value(rule, &path.child(name), declared, live);
                }
            }
            (Value::Object(fields), live) => {
                let after = canonical(&without_nulls(declared));
                let only_removals = !fields.is_empty() && after == Value::Object(Fields::new());
                if !only_removals {
                    self.set(path, live.clone(), after);
                }
            }
            _ => self.leaf(rule, path, declared, live),
        }
    }

    fn leaf(&mut self, rule: &'static FieldRule, path: &FieldPath, declared: &Value, live: &Value) {
        let keys = path.inner().get(1..).unwrap_or_default();
        let (declared, live) = (normalise(rule.compare, declared), normalise(rule.compare, live));
        // Not returned any more once the parent has claimed the child (wire notes §4): what we wrote is there.
        let claimed = rule.path == "parentEmail" && live.is_null() && self.sides.written.contains(path);
        if claimed || same(self.sides.kind, rule, keys, &declared, &live) {
            if !declared.is_null() {
                self.keep(path);
            }
        } else if declared.is_null() {
            self.remove(rule, path, live, false);
        } else {
            self.set(path, live, declared);
        }
    }

    /// Still declared: ours if it was.
    fn keep(&mut self, path: &FieldPath) {
        if self.sides.written.contains(path) {
            self.diff.written.insert(path.clone());
        }
    }

    fn set(&mut self, path: &FieldPath, before: Value, after: Value) {
        mark(path, &after, &mut self.diff.written);
        self.push(path, before, after, false);
    }

    fn remove(&mut self, rule: &FieldRule, path: &FieldPath, before: Value, no_longer_declared: bool) {
        // Lists are emptied by []: null on a collection has crashed servers (wire notes §3).
        let list = matches!(rule.compare, Compare::Set | Compare::Locales);
        let after = if list { Value::Array(Vec::new()) } else { Value::Null };
        self.push(path, before, after, no_longer_declared);
    }

    fn push(&mut self, path: &FieldPath, before: Value, after: Value, no_longer_declared: bool) {
        self.diff.deltas.push(Delta { path: path.clone(), before, after, no_longer_declared });
    }

    /// What we wrote and no longer declare. Deepest first, so that an object that we made goes when nothing but
    /// ours was in it, and stays when others have put something there.
    fn no_longer_declared(&mut self) {
        let mut gone: Vec<&FieldPath> =
            self.sides.written.iter().filter(|path| !path.is_part() && !self.is_declared(path)).collect();
        gone.sort_by_key(|path| std::cmp::Reverse(path.inner().len()));
        let mut removed: BTreeSet<FieldPath> = BTreeSet::new();
        for path in gone {
            if self.is_removable(path, &removed) {
                removed.insert(path.clone());
            }
        }
        for path in &removed {
            let Some(rule) = self.rule(path) else { continue };
            let above = removed.iter().any(|other| other != path && other.covers(path));
            if !above {
                let before = normalise(rule.compare, self.live(path).unwrap_or(&Value::Null));
                self.remove(rule, path, before, true);
            }
        }
    }

    fn is_removable(&self, path: &FieldPath, removed: &BTreeSet<FieldPath>) -> bool {
        let (Some(rule), Some(live)) = (self.rule(path), self.live(path)) else { return false };
        let keys = path.inner().get(1..).unwrap_or_default();
        if rule.write != Write::Body || is_unset(self.sides.kind, rule, keys, live) {
            return false;
        }
        match live {
            Value::Object(fields) if rule.compare == Compare::Data => {
                !keys.is_empty() && fields.keys().all(|name| removed.contains(&path.child(name)))
            }
            _ => true,
        }
    }

    fn rule(&self, path: &FieldPath) -> Option<&'static FieldRule> {
        let name = path.inner().first()?;
        self.sides.rules.iter().find(|rule| rule.path == name)
    }

    fn live(&self, path: &FieldPath) -> Option<&Value> {
        let (name, keys) = path.inner().split_first()?;
        keys.iter().try_fold(self.sides.live.get(name)?, |value, key| value.get(key.as_str()))
    }

    /// Whether the declaration speaks of the path: by itself, by something above it or by something below it.
    fn is_declared(&self, path: &FieldPath) -> bool {
        let Some((name, keys)) = path.inner().split_first() else { return true };
        let Some(mut value) = self.sides.declared.get(name) else { return false };
        for key in keys {
            match value {
                Value::Object(fields) => match fields.get(key) {
                    Some(inner) => value = inner,
                    None => return false,
                },
                _ => return true,
            }
        }
        true
    }
}

/// Whether a field's live value is compared with its declaration.
pub(super) fn is_compared(rule: &FieldRule) -> bool {
    matches!(rule.write, Write::Body | Write::Immutable)
}

/// Marks a value that we write: its leaves, and the objects in it, which are ours as well.
pub(super) fn mark(path: &FieldPath, value: &Value, written: &mut BTreeSet<FieldPath>) {
    written.insert(path.clone());
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            mark(&path.child(name), value, written);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::row;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    /// (path, before, after) of each delta, and what is ours after it.
    fn diff(declared: Value, live: Value, written: &[&str]) -> (Vec<(String, Value, Value)>, Vec<String>) {
        let written = written.iter().map(|path| FieldPath::parse(path).unwrap()).collect();
        let diff = compare(Sides {
            kind: Kind::User,
            rules: row(Kind::User).fields,
            part: None,
            declared: &fields(declared),
            live: &fields(live),
            written: &written,
        });
        let deltas = diff.deltas.into_iter().map(|delta| (delta.path.to_string(), delta.before, delta.after));
        (deltas.collect(), diff.written.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_declared_fields_count() {
        let live = json!({"email": "a@x.de", "firstName": "A", "data": {"theirs": 1}, "active": true});
        assert_eq!(diff(json!({"email": " A@X.de"}), live, &[]), (vec![], vec![]));
    }

    #[test]
    fn data_goes_key_by_key_at_every_depth() {
        let (deltas, written) = diff(
            json!({"data": {"a": {"b": 1, "gone": null, "absent": null}, "list": [1, 2], "new": {"x": {"y": 1}}}}),
            json!({"data": {"a": {"b": 2, "gone": 3, "theirs": 4}, "list": [2, 1], "theirs": {}}}),
            &["data.a.gone"],
        );
        let expected = [
            ("data.a.b", json!(2), json!(1)),
            ("data.a.gone", json!(3), Value::Null),
            ("data.list", json!([2, 1]), json!([1, 2])),
            ("data.new", Value::Null, json!({"x": {"y": 1}})),
        ];
        assert_eq!(deltas, expected.map(|(path, before, after)| (path.to_owned(), before, after)));
        assert_eq!(written, ["data.a.b", "data.list", "data.new", "data.new.x", "data.new.x.y"]);
    }

    #[test]
    fn what_we_wrote_and_no_longer_declare_goes() {
        let live = json!({"firstName": "A", "lastName": "B", "preferredLanguages": ["en"],
            "data": {"ours": {"x": 1}, "shared": {"x": 1, "theirs": 2}, "kept": 1}});
        let written = [
            "firstName",
            "preferredLanguages",
            "timezone",
            "data.ours",
            "data.ours.x",
            "data.shared",
            "data.shared.x",
            "data.kept",
        ];
        let (deltas, left) = diff(json!({"data": {"kept": 1}}), live, &written);
        let expected = [
            ("data.ours", json!({"x": 1}), Value::Null),
            ("data.shared.x", json!(1), Value::Null),
            ("firstName", json!("A"), Value::Null),
            ("preferredLanguages", json!(["en"]), json!([])),
        ];
        assert_eq!(deltas, expected.map(|(path, before, after)| (path.to_owned(), before, after)));
        assert_eq!(left, ["data.kept"], "lastName was never ours, timezone is gone already");
    }

    #[test]
    fn others_objects_where_our_value_stood_are_let_go() {
        let (deltas, _) = diff(json!({}), json!({"data": {"a": {"theirs": 1}}}), &["data.a"]);
        assert_eq!(deltas, []);
    }

    #[test]
    fn null_removes_data_key_by_key_and_lists_by_an_empty_list() {
        let (deltas, written) = diff(
            json!({"data": null, "preferredLanguages": null, "timezone": null, "fullName": null}),
            json!({"data": {"a": 1, "b": {}}, "preferredLanguages": ["de"], "timezone": "Europe/Berlin"}),
            &["timezone"],
        );
        let expected = [
            ("data.a", json!(1), Value::Null),
            ("data.b", json!({}), Value::Null),
            ("preferredLanguages", json!(["de"]), json!([])),
            ("timezone", json!("Europe/Berlin"), Value::Null),
        ];
        assert_eq!(deltas, expected.map(|(path, before, after)| (path.to_owned(), before, after)));
        assert_eq!(written, [""; 0]);
    }
}
