//! What a field of an indexed document is, and whether one of its values passes a test.
//!
//! The analysis mimics the two analyzers that the search documents show at work: whole values in lower case (`email`
//! matches only in full, whatever its case) and words (`data.Company` matches in any case). Knows no concrete document.

use std::borrow::Cow;

/// How a field is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole value in lower case is one term.
    Exact,
    /// The value is cut into words.
    Text,
    /// true or false.
    Boolean,
    /// Milliseconds since the epoch.
    Instant,
    /// `YYYY-MM-DD`.
    Date,
    /// Typed by each value, as the free `data` maps are.
    Dynamic,
    /// The untouched string beside a dynamic one (`data.x.keyword`).
    Keyword,
}

/// One value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Decimal(f64),
    Boolean(bool),
}

impl<'a> Datum<'a> {
    pub fn text(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Decimal(value) => Some(*value),
            Self::Text(_) | Self::Boolean(_) => None,
        }
    }
}

/// A document that can be searched.
pub trait Document {
    /// Gives the values of `field` (dotted path) to `found` until it says true; whether it did.
    fn any(&self, field: &str, found: &mut dyn FnMut(Datum<'_>) -> bool) -> bool;
    /// Gives each object under the nested path to `found` until it says true; whether it did. The objects answer to
    /// full paths (`registrations.roles`).
    fn any_nested(&self, path: &str, found: &mut dyn FnMut(&dyn Document) -> bool) -> bool;
    /// Gives every value that an unscoped query string looks at to `found` until it says true; whether it did.
    fn any_everywhere(&self, found: &mut dyn FnMut(Kind, Datum<'_>) -> bool) -> bool;
}

impl<D: Document + ?Sized> Document for &D {
    fn any(&self, field: &str, found: &mut dyn FnMut(Datum<'_>) -> bool) -> bool {
        (**self).any(field, found)
    }

    fn any_nested(&self, path: &str, found: &mut dyn FnMut(&dyn Document) -> bool) -> bool {
        (**self).any_nested(path, found)
    }

    fn any_everywhere(&self, found: &mut dyn FnMut(Kind, Datum<'_>) -> bool) -> bool {
        (**self).any_everywhere(found)
    }
}

/// The fields of one kind of document.
#[derive(Debug)]
pub struct Schema {
    /// Dotted paths and what they are.
    pub fields: &'static [(&'static str, Kind)],
    /// Prefixes under which any path is allowed and typed by its values: `data`, `registrations.data`.
    pub open: &'static [&'static str],
    /// Paths of arrays of objects that a `nested` query reaches object by object.
    pub nested: &'static [&'static str],
    /// Those of them whose fields can be named without `nested` as well.
    pub also_flat: &'static [&'static str],
    /// Names that `sortFields` takes.
    pub sortable: &'static [&'static str],
    /// What the database engine's single term is compared with.
    pub database_fields: &'static [&'static str],
    /// The order when no sort field is given; ids break ties.
    pub default_sort: &'static str,
}

impl Schema {
    /// The kind of a field; none when the index has no such field. `within` is the nested path of the query around it.
    pub fn kind(&self, field: &str, within: Option<&str>) -> Option<Kind> {
        let nested = self.nested.iter().find(|path| under(field, path)).copied();
        let reached = match (nested, within) {
            (None, None) => true,
            (Some(path), None) => self.also_flat.contains(&path),
            (found, Some(_)) => found == within,
        };
        if !reached {
            return None;
        }
        if let Some((_, kind)) = self.fields.iter().find(|(name, _)| *name == field) {
            return Some(*kind);
        }
        if self.open.iter().any(|prefix| under(field, prefix)) {
            return Some(if field.ends_with(".keyword") { Kind::Keyword } else { Kind::Dynamic });
        }
        None
    }

    /// Whether `exists` may ask for it: a field, or the start of one (`data`, `memberships`).
    pub fn has_path(&self, field: &str, within: Option<&str>) -> bool {
        self.kind(field, within).is_some()
            || self.open.contains(&field)
            || ((!self.nested.contains(&field) || self.also_flat.contains(&field))
                && self.fields.iter().any(|(name, _)| under(name, field)))
    }
}

fn under(field: &str, prefix: &str) -> bool {
    field.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

/// A bound of a range, with whether it belongs to the range.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    pub value: Scalar,
    pub inclusive: bool,
}

/// A value out of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Number(f64),
    Text(String),
    Boolean(bool),
}

impl Scalar {
    fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(value) => Cow::Owned(value.to_string()),
            Self::Text(value) => Cow::Borrowed(value),
            Self::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Boolean(_) => None,
        }
    }
}

/// What one value must pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// There is a value.
    Exists,
    /// The value as it is in the index, not analysed.
    Term { value: Scalar, ignore_case: bool },
    /// Analysed: any word (or all of them) of the text.
    Match { value: Scalar, all: bool },
    /// Analysed: the words in this order; the last may be cut off with `prefix`.
    Phrase { text: String, prefix: bool },
    /// Starts so, not analysed.
    Prefix { text: String, ignore_case: bool },
    /// `*` and `?`, in lower case.
    Wildcard(Pattern),
    /// Between two bounds.
    Range { lower: Option<Bound>, upper: Option<Bound> },
}

impl Test {
    /// Whether a value of a field of this kind passes.
    pub fn passes(&self, kind: Kind, datum: &Datum<'_>) -> bool {
        if let Self::Range { lower, upper } = self {
            return in_range(datum, lower.as_ref(), upper.as_ref());
        }
        match datum {
            _ if matches!(self, Self::Exists) => true,
            Datum::Text(text) => match kind {
                Kind::Text | Kind::Dynamic => self.passes_words(text),
                Kind::Keyword => self.passes_whole(text),
                _ => self.passes_whole(&text.to_lowercase()),
            },
            Datum::Boolean(value) => self.equals_text(if *value { "true" } else { "false" }),
            Datum::Integer(_) | Datum::Decimal(_) => match self {
                Self::Term { value, .. } | Self::Match { value, .. } => value.number() == datum.number(),
                Self::Phrase { text, .. } => text.parse().ok() == datum.number(),
                _ => false,
            },
        }
    }

    fn equals_text(&self, found: &str) -> bool {
        match self {
            Self::Term { value, .. } | Self::Match { value, .. } => value.as_text() == found,
            Self::Phrase { text, .. } => text == found,
            _ => false,
        }
    }

    fn passes_whole(&self, indexed: &str) -> bool {
        match self {
            Self::Term { value, ignore_case } => equal(indexed, &value.as_text(), *ignore_case),
            Self::Match { value, .. } => equal(indexed, &value.as_text(), true),
            Self::Phrase { text, prefix: false } => equal(indexed, text, true),
            Self::Phrase { text, prefix: true } => starts(indexed, text, true),
            Self::Prefix { text, ignore_case } => starts(indexed, text, *ignore_case),
            Self::Wildcard(pattern) => pattern.matches(&indexed.to_lowercase()),
            Self::Exists | Self::Range { .. } => false,
        }
    }

    fn passes_words(&self, text: &str) -> bool {
        let indexed = words(text);
        let has = |word: &str| indexed.iter().any(|found| found == word);
        match self {
            Self::Term { value, ignore_case: false } => has(&value.as_text()),
            Self::Term { value, ignore_case: true } => has(&value.as_text().to_lowercase()),
            Self::Match { value, all } => {
                let wanted = words(&value.as_text());
                if *all {
                    !wanted.is_empty() && wanted.iter().all(|word| has(word))
                } else {
                    wanted.iter().any(|word| has(word))
                }
            }
            Self::Phrase { text, prefix } => phrase(&indexed, &words(text), *prefix),
            Self::Prefix { text, ignore_case } => indexed.iter().any(|word| starts(word, text, *ignore_case)),
            Self::Wildcard(pattern) => indexed.iter().any(|word| pattern.matches(word)),
            Self::Exists | Self::Range { .. } => false,
        }
    }
}

fn equal(indexed: &str, wanted: &str, ignore_case: bool) -> bool {
    indexed == wanted || (ignore_case && indexed.to_lowercase() == wanted.to_lowercase())
}

fn starts(indexed: &str, wanted: &str, ignore_case: bool) -> bool {
    indexed.starts_with(wanted) || (ignore_case && indexed.to_lowercase().starts_with(&wanted.to_lowercase()))
}

fn phrase(indexed: &[String], wanted: &[String], prefix: bool) -> bool {
    let Some((last, head)) = wanted.split_last() else { return false };
    indexed.windows(wanted.len()).any(|window| {
        window.split_last().is_some_and(|(end, start)| {
            start == head && (end == last || (prefix && end.starts_with(last.as_str())))
        })
    })
}

fn in_range(datum: &Datum<'_>, lower: Option<&Bound>, upper: Option<&Bound>) -> bool {
    let compare = |bound: &Bound| match (datum, &bound.value) {
        (Datum::Text(text), value) => {
            Some(text.to_lowercase().as_str().cmp(value.as_text().to_lowercase().as_str()))
        }
        (number, value) => {
            number.number().zip(value.number()).and_then(|(left, right)| left.partial_cmp(&right))
        }
    };
    lower.is_none_or(|bound| {
        compare(bound).is_some_and(|order| order.is_gt() || (bound.inclusive && order.is_eq()))
    }) && upper.is_none_or(|bound| {
        compare(bound).is_some_and(|order| order.is_lt() || (bound.inclusive && order.is_eq()))
    })
}

/// Cuts text into lower-case words, close to Unicode's word boundaries: letters, digits and `_` hold together, and so
/// does a full stop or an apostrophe between two of them.
pub fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let word = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let mut out = Vec::new();
    let mut current = String::new();
    for (at, c) in chars.iter().enumerate() {
        let joint = matches!(c, '.' | '\'' | '’') && at > 0 && word(at - 1) && word(at + 1);
        if word(at) || joint {
            current.extend(c.to_lowercase());
        } else if !current.is_empty() {
            out.push(std::mem::take(&mut current));
        }
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}

/// A wildcard pattern: `*` for any run, `?` for one character, `\` escapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Char(char),
    One,
    Run,
}

impl Pattern {
    /// Reads a pattern; it is compared in lower case.
    pub fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => pieces.push(Piece::Run),
                '?' => pieces.push(Piece::One),
                '\\' => pieces.extend(chars.next().into_iter().flat_map(char::to_lowercase).map(Piece::Char)),
                c => pieces.extend(c.to_lowercase().map(Piece::Char)),
            }
        }
        pieces.dedup_by(|next, before| *next == Piece::Run && *before == Piece::Run);
        Self(pieces)
    }

    /// Around a term on both sides, as the server does with an unscoped query string.
    pub fn containing(text: &str) -> Self {
        let mut inner = Self::new(text).0;
        inner.insert(0, Piece::Run);
        inner.push(Piece::Run);
        inner.dedup_by(|next, before| *next == Piece::Run && *before == Piece::Run);
        Self(inner)
    }

    /// Whether it is nothing but `*`.
    pub fn is_everything(&self) -> bool {
        self.0 == [Piece::Run]
    }

    /// Whether lower-case text matches in full; linear in the text for each run.
    pub fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let (mut at, mut piece) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < chars.len() {
            let fits = match self.0.get(piece) {
                Some(Piece::Run) => {
                    retry = Some((piece, at));
                    piece += 1;
                    continue;
                }
                Some(Piece::One) => true,
                Some(Piece::Char(c)) => chars.get(at) == Some(c),
                None => false,
            };
            if fits {
                at += 1;
                piece += 1;
            } else if let Some((run, from)) = retry {
                retry = Some((run, from + 1));
                at = from + 1;
                piece = run + 1;
            } else {
                return false;
            }
        }
        self.0.iter().skip(piece).all(|rest| *rest == Piece::Run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("di*esh", "dinesh", true),
            ("d?nesh", "dinesh", true),
            ("*sh", "dinesh", true),
            ("dinesh", "dinesh@x", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("A*", "abc", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
        assert!(Pattern::containing("*").is_everything());
    }

    #[test]
    fn words_are_cut_as_the_index_cuts_them() {
        assert_eq!(
            words("Pied-Piper, email_api v1.2 fusionauth.io."),
            ["pied", "piper", "email_api", "v1.2", "fusionauth.io"]
        );
    }

    #[test]
    fn whole_values_and_words_differ() {
        let test = Test::Match { value: Scalar::Text("Dinesh".into()), all: false };
        assert!(!test.passes(Kind::Exact, &Datum::text("dinesh@fusionauth.io")));
        assert!(test.passes(Kind::Exact, &Datum::text("DINESH")));
        assert!(test.passes(Kind::Dynamic, &Datum::text("Dinesh Chugtai")));
        let raw = Test::Term { value: Scalar::Text("Dinesh".into()), ignore_case: false };
        assert!(!raw.passes(Kind::Exact, &Datum::text("Dinesh")), "term is not analysed");
        assert!(raw.passes(Kind::Keyword, &Datum::text("Dinesh")));
    }
}
