//! Something wrong at a place of a file, before it is a diagnostic: told in byte offsets, without the file.

use super::diagnostic::Severity;
use super::yaml::{Fault, FaultKind, MAX_DEPTH};

/// One error or warning in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// The byte offset in the file.
    pub at: usize,
    /// The length of what is pointed at, in bytes.
    pub length: usize,
    /// What of the source line may not be shown.
    pub hide: Hide,
}

/// What of a source line may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hide {
    Nothing,
    /// From the first colon behind the place on: the value of a key that should not be there.
    BehindColon,
    /// From the place on.
    FromHere,
}

impl Finding {
    pub fn error(code: &'static str, message: impl Into<String>, at: usize, length: usize) -> Self {
        let message = message.into();
        Finding { severity: Severity::Error, code, message, hint: None, at, length, hide: Hide::Nothing }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        Finding { hint: hint.or(self.hint), ..self }
    }

    pub fn hide(self, hide: Hide) -> Self {
        Finding { hide, ..self }
    }

    /// A fault of the notation. `written` is what stands there, when it may be shown; `line_of` tells lines for
    /// "first at line N".
    pub fn of_fault(fault: &Fault, written: Option<&str>, line_of: impl Fn(usize) -> u32) -> Self {
        let quote_it = match written {
            Some(written) => format!("quote it: \"{}\"", shorten(written)),
            None => "quote it".to_owned(),
        };
        let named = |what: &str| match written {
            Some(written) => format!("the {what} {}", shorten(written)),
            None => format!("this {what}"),
        };
        let (key, number, tag) = (named("key"), named("number"), named("tag"));
        let written = written.map_or_else(|| "this".to_owned(), shorten);
        let (code, message, hint): (_, String, Option<String>) = match &fault.kind {
            FaultKind::Syntax { message } => ("syntax", message.clone(), None),
            FaultKind::TooDeep => ("too-deep", format!("nested deeper than {MAX_DEPTH} levels"), None),
            FaultKind::Expansion => (
                "expansion",
                "aliases expand to more than a file of this size may".to_owned(),
                Some("write out what is meant, or split the file".to_owned()),
            ),
            FaultKind::AliasToItself => ("alias", "the alias stands within what it names".to_owned(), None),
            FaultKind::UnknownAlias { known } => (
                "alias",
                format!("no anchor for {written} stands before it in its document"),
                known.as_ref().map(|known| format!("did you mean *{known}?")),
            ),
            FaultKind::ByteOrderMark => (
                "byte-order-mark",
                "a byte order mark may stand at the very start of a file only".to_owned(),
                Some("remove the invisible character U+FEFF".to_owned()),
            ),
            FaultKind::DuplicateKey { first } => {
                let first = line_of(*first);
                (
                    "duplicate-key",
                    format!("{key}{} stands here twice, first at line {first}", meant(&written)),
                    None,
                )
            }
            FaultKind::KeyNotScalar => ("key", "a key is a string, not a mapping or a list".to_owned(), None),
            FaultKind::KeyNotString => {
                ("key", format!("a key is a string, but {written} is none"), Some(quote_it.clone()))
            }
            FaultKind::MergeNotMapping => {
                ("merge", "a merge key takes a mapping or a list of mappings".to_owned(), None)
            }
            FaultKind::AmbiguousScalar { reading, key } => (
                "ambiguous-scalar",
                format!(
                    "{written} is {reading} for some YAML readers and a string or another value for others"
                ),
                Some(match truth(&written).filter(|_| !key) {
                    Some(truth) => format!("{quote_it}, or write {truth}"),
                    None => quote_it.clone(),
                }),
            ),
            FaultKind::Unrepresentable => (
                "number",
                format!("{number} fits neither a 64-bit integer nor a 64-bit float"),
                Some("quote it, if it is meant as text".to_owned()),
            ),
            FaultKind::UnknownTag => (
                "tag",
                format!("{tag} is not one of YAML's standard tags"),
                Some(
                    "remove it; !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are known".to_owned(),
                ),
            ),
            FaultKind::TagMismatch { tag, what } => {
                ("tag", format!("the tag !!{tag} does not fit {what}"), None)
            }
        };
        Finding { hint, ..Finding::error(code, message, fault.at, fault.length) }
    }
}

/// What YAML 1.1 takes a word for.
fn truth(written: &str) -> Option<bool> {
    match written.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" => Some(true),
        "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The key that a key with escapes means, for people.
fn meant(written: &str) -> String {
    let decoded = if written.contains('\\') { serde_json::from_str::<String>(written).ok() } else { None };
    decoded.map_or_else(String::new, |decoded| format!(" ({})", shorten(&decoded)))
}

/// A text as it may be quoted in a message: not longer than a line.
pub fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = text.trim_end();
    if text.chars().count() <= LONGEST {
        return text.chars().map(printable).collect();
    }
    text.chars().take(LONGEST).map(printable).chain(std::iter::once('…')).collect()
}

fn printable(character: char) -> char {
    if character.is_control() { '\u{fffd}' } else { character }
}
