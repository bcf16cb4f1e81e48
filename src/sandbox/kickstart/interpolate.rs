//! What Kickstart does with the strings of a JSON document: variables, environment, UUIDs, includes, escapes (wire
//! notes §8). Knows files and strings, no API.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

/// Includes within includes beyond this are a circle.
const MAX_DEPTH: usize = 16;

/// Why a string could not be worked out; the place is the caller's to name.
#[derive(Debug, thiserror::Error)]
pub enum IncludeError {
    #[error("the include `{marker}{{{path}}}` cannot be read: {reason}")]
    Unreadable { marker: char, path: String, reason: String },
    #[error("the included file `{path}` is not JSON: {reason}")]
    NotJson { path: String, reason: String },
    #[error("the includes go in a circle at `{0}`")]
    Circle(String),
}

/// The variables of a Kickstart file, and what was found missing.
pub struct Interpolator {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
    unknown: RefCell<BTreeSet<String>>,
}

impl Interpolator {
    /// Includes are relative to `folder`, in included files too.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), variables: BTreeMap::new(), unknown: RefCell::default() }
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The variables that nobody defined, each once, since the last call.
    pub fn take_unknown(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.unknown.borrow_mut())
    }

    /// Works out every string of a value; object keys too.
    pub fn value(&self, value: Value) -> Result<Value, IncludeError> {
        self.value_at(value, 0)
    }

    /// Works out one string that is no include of JSON.
    pub fn text(&self, text: &str) -> Result<String, IncludeError> {
        self.text_at(text, 0, true)
    }

    fn value_at(&self, value: Value, depth: usize) -> Result<Value, IncludeError> {
        match value {
            Value::String(text) => match whole_include(&text) {
                Some(path) => self.json_file(path, depth),
                None => self.text_at(&text, depth, true).map(Value::String),
            },
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.value_at(item, depth))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Value::Object(object) => object
                .into_iter()
                .map(|(name, value)| Ok((self.text_at(&name, depth, true)?, self.value_at(value, depth)?)))
                .collect::<Result<_, _>>()
                .map(Value::Object),
            other => Ok(other),
        }
    }

    fn json_file(&self, path: &str, depth: usize) -> Result<Value, IncludeError> {
        let content = without_mark(self.file('&', path, depth)?);
        let value = serde_json::from_str(&content)
            .map_err(|error| IncludeError::NotJson { path: path.to_owned(), reason: error.to_string() })?;
        self.value_at(value, depth + 1)
    }

    fn file(&self, marker: char, path: &str, depth: usize) -> Result<String, IncludeError> {
        if depth >= MAX_DEPTH {
            return Err(IncludeError::Circle(path.to_owned()));
        }
        let path = self.plain(path);
        std::fs::read_to_string(self.folder.join(&path)).map_err(|error| IncludeError::Unreadable {
            marker,
            path,
            reason: match error.kind() {
                std::io::ErrorKind::NotFound => "the file is missing".to_owned(),
                _ => error.to_string(),
            },
        })
    }

    /// Variables in an include's path.
    fn plain(&self, path: &str) -> String {
        let mut out = path.to_owned();
        for (name, value) in &self.variables {
            out = out.replace(&format!("#{{{name}}}"), value);
        }
        out
    }

    /// `reports` is off within included texts: a template may use `#{…}` for its own ends.
    fn text_at(&self, text: &str, depth: usize, reports: bool) -> Result<String, IncludeError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let marker = before.chars().next_back().filter(|marker| "#@&".contains(*marker));
            let inside = after.get(1..).and_then(|inner| inner.split_once('}'));
            let (Some(marker), Some((name, remainder))) = (marker, inside) else {
                out.push_str(before);
                out.push('{');
                rest = after.get(1..).unwrap_or("");
                continue;
            };
            let head = before.strip_suffix(marker).unwrap_or(before);
            if let Some(unescaped) = head.strip_suffix('\\') {
                // One backslash is used up, and what follows stands for itself.
                out.push_str(unescaped);
                out.extend([marker, '{']);
                rest = after.get(1..).unwrap_or("");
                continue;
            }
            out.push_str(head);
            match marker {
                '#' => match self.look_up(name) {
                    Some(value) => out.push_str(&value),
                    None => {
                        if reports {
                            self.unknown.borrow_mut().insert(name.to_owned());
                        }
                        out.extend(["#{", name, "}"]);
                    }
                },
                _ => {
                    let content = self.file(marker, name, depth)?;
                    out.push_str(&self.text_at(&content, depth + 1, false)?);
                }
            }
            rest = remainder;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn look_up(&self, name: &str) -> Option<String> {
        if name == "UUID()" {
            return Some(Uuid::new_v4().to_string());
        }
        if let Some(variable) = name.strip_prefix("ENV.") {
            return std::env::var(variable).ok();
        }
        self.variables.get(name).cloned()
    }
}

/// JSON without the byte order mark that some editors put before it.
pub fn without_mark(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// The path of a string that is one include of JSON and nothing else.
fn whole_include(text: &str) -> Option<&str> {
    let path = text.trim().strip_prefix("&{")?.strip_suffix('}')?;
    (!path.contains('}')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn interpolator() -> Interpolator {
        let mut it = Interpolator::new(Path::new("."));
        it.set("name", "Richard");
        it.set("a.b-c", "dotted");
        it
    }

    #[test]
    fn variables_are_replaced_and_unknown_ones_stay_and_are_reported() {
        let it = interpolator();
        assert_eq!(
            it.text("Hi #{name}, #{a.b-c} ${name} #{nobody} {x} #if").unwrap(),
            "Hi Richard, dotted ${name} #{nobody} {x} #if"
        );
        assert_eq!(it.take_unknown().into_iter().collect::<Vec<_>>(), ["nobody"]);
        assert_ne!(it.text("#{UUID()}").unwrap(), it.text("#{UUID()}").unwrap());
    }

    #[test]
    fn the_environment_is_read() {
        let it = interpolator();
        assert_eq!(it.text("#{ENV.PATH}").unwrap(), std::env::var("PATH").unwrap());
        assert_eq!(it.text("#{ENV.FUSIONKEEP_NOT_SET}").unwrap(), "#{ENV.FUSIONKEEP_NOT_SET}");
        assert_eq!(it.take_unknown().len(), 1);
    }

    #[test]
    fn a_backslash_escapes() {
        let it = interpolator();
        assert_eq!(it.text(r"\#{name} \@{x} \&{y}").unwrap(), "#{name} @{x} &{y}");
        assert_eq!(it.text(r"\\#{name}").unwrap(), r"\#{name}");
        assert!(it.take_unknown().is_empty());
    }

    #[test]
    fn a_missing_include_names_its_path() {
        let error = interpolator().value(json!({"a": ["@{no/where.txt}"]})).unwrap_err().to_string();
        assert!(error.contains("@{no/where.txt}") && error.contains("missing"), "{error}");
    }
}
