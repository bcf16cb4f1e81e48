//! Paths of fields: `email`, `data.team`, `registrations[APPLICATION ID].roles`. Text in plans and records,
//! steps in the core.

use std::fmt;

use crate::model::{FieldRule, Kind, Sensitivity, row};

/// The arrays whose elements are compared one by one; the step after one of them is the element's key.
const PARTS: [&str; 2] = ["registrations", "permissions"];

/// A field's path. `data["a.b"]` is one key, `data.a.b` are two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    pub fn field(name: &str) -> Self {
        FieldPath(vec![name.to_owned()])
    }

    /// A part as a whole: `registrations[KEY]`.
    pub fn part(field: &str, key: &str) -> Self {
        FieldPath(vec![field.to_owned(), key.to_owned()])
    }

    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(name.to_owned());
        FieldPath(steps)
    }

    /// The key of the part that the path is in or is: an application's id, a permission's name.
    pub fn part_key(&self) -> Option<&str> {
        match self.0.as_slice() {
            [head, key, ..] if PARTS.contains(&head.as_str()) => Some(key),
            _ => None,
        }
    }

    /// Whether the path is that of a part as a whole.
    pub fn is_part(&self) -> bool {
        self.part_key().is_some() && self.0.len() == 2
    }

    /// The steps inside the object or the part that the path is in: the field's name and the keys below it.
    pub fn inner(&self) -> &[String] {
        let skip = if self.part_key().is_some() { 2 } else { 0 };
        self.0.get(skip..).unwrap_or_default()
    }

    /// Whether this path is `other` or stands above it.
    pub fn covers(&self, other: &FieldPath) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The rule of the field that the path is in; none for a part as a whole and for unknown fields.
    pub fn rule(&self, kind: Kind) -> Option<&'static FieldRule> {
        let row = row(kind);
        let rules = match (self.part_key(), row.part) {
            (Some(_), Some(part)) => part.fields,
            (Some(_), None) => &[],
            (None, _) => row.fields,
        };
        let name = self.inner().first()?;
        rules.iter().find(|rule| rule.path == name)
    }

    /// Who may see its values. A part as a whole is as sensitive as its most sensitive printable field.
    pub fn sensitivity(&self, kind: Kind) -> Sensitivity {
        match self.rule(kind) {
            Some(rule) => rule.sensitivity,
            None if kind == Kind::EntityType => Sensitivity::Public,
            None => Sensitivity::Personal,
        }
    }

    /// Reads what `Display` writes. None: text that is no path (a record is input, too).
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (head, mut rest) = text.split_at(end);
        if head.is_empty() {
            return None;
        }
        let mut steps = vec![head.to_owned()];
        while !rest.is_empty() {
            let step;
            (step, rest) = next_step(rest)?;
            steps.push(step);
        }
        Some(FieldPath(steps))
    }
}

/// One step and what follows it.
fn next_step(text: &str) -> Option<(String, &str)> {
    if let Some(name) = text.strip_prefix('.') {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (name, rest) = name.split_at(end);
        return is_plain(name).then(|| (name.to_owned(), rest));
    }
    let inside = text.strip_prefix('[')?;
    if !inside.starts_with('"') {
        let (key, rest) = inside.split_once(']')?;
        return is_plain(key).then(|| (key.to_owned(), rest));
    }
    let mut values = serde_json::Deserializer::from_str(inside).into_iter::<String>();
    let key = values.next()?.ok()?;
    let rest = inside.get(values.byte_offset()..)?.strip_prefix(']')?;
    Some((key, rest))
}

fn is_plain(step: &str) -> bool {
    !step.is_empty() && !step.contains(['.', '[', ']', '"'])
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part_key().is_some();
        for (index, step) in self.0.iter().enumerate() {
            match (index, is_plain(step)) {
                (0, _) => formatter.write_str(step)?,
                (1, true) if part => write!(formatter, "[{step}]")?,
                (_, true) => write!(formatter, ".{step}")?,
                // JSON's own quoting, so that any key reads back as it was.
                (_, false) => write!(formatter, "[{}]", serde_json::Value::from(step.as_str()))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_they_print() {
        let plain = FieldPath::field("data").child("a").child("b");
        assert_eq!(plain.to_string(), "data.a.b");
        let tricky = FieldPath::field("data").child("a.b").child("").child("x\"]y").child("[");
        let part = FieldPath::part("permissions", "read.write]").child("data").child("k");
        let registration = FieldPath::part("registrations", "3c219e58").child("roles");
        assert_eq!(registration.to_string(), "registrations[3c219e58].roles");
        for path in [plain, tricky, part, registration, FieldPath::field("email")] {
            assert_eq!(FieldPath::parse(&path.to_string()).as_ref(), Some(&path), "{path}");
        }
        for text in ["", ".a", "a..b", "a[", "a[\"x]", "a[\"x\"", "a.b]c"] {
            assert_eq!(FieldPath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rules_are_found_inside_parts() {
        let rule = |path: &str| FieldPath::parse(path).and_then(|path| path.rule(Kind::User)).map(|r| r.path);
        assert_eq!(rule("registrations[x].data.k"), Some("data"));
        assert_eq!(rule("registrations[x]"), None);
        assert_eq!(rule("email"), Some("email"));
        let grant = FieldPath::field("permissions");
        assert_eq!(grant.rule(Kind::EntityGrant).map(|rule| rule.path), Some("permissions"));
    }
}
