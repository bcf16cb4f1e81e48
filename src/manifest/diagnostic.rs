//! Errors and warnings about manifests, each with its place and its source line. Knows no manifest: it is told what
//! is wrong and where.

use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::model::{Address, Place, SourceLine};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One error or warning. Its text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// A stable word: `unknown-field`, `duplicate-key`, `unresolved-reference`, ….
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub place: Option<Place>,
    pub address: Option<Address>,
    /// The source line, secrets masked.
    pub line: Option<SourceLine>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Diagnostic { severity, code, message, hint: None, place: None, address: None, line: None }
    }

    /// What one can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub fn about(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic as text with its source line; with colours when `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = match &self.address {
            Some(address) => format!("{address}: {}", self.message),
            None => self.message.clone(),
        };
        let mut group = Group::with_title(level.primary_title(title).id(self.code));
        match (&self.place, &self.line) {
            (Some(place), Some(line)) => group = with_line(group, place, line),
            (Some(place), None) => {
                let origin = Origin::path(place.file.as_ref()).line(place.line as usize);
                group = group.element(origin.char_column(place.column as usize));
            }
            (None, _) => {}
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

/// A place and its line, as `Diagnostic::render` shows them, for those who write the rest themselves.
pub fn render_line(place: &Place, line: &SourceLine) -> String {
    let group = with_line(Group::with_level(Level::ERROR), place, line);
    Renderer::plain().decor_style(DecorStyle::Ascii).render(&[group])
}

fn with_line<'a>(group: Group<'a>, place: &'a Place, line: &'a SourceLine) -> Group<'a> {
    let annotation = AnnotationKind::Primary.span(line.start..line.end.max(line.start));
    let snippet = Snippet::source(line.text.as_str()).line_start(place.line as usize).annotation(annotation);
    let column = line.text.get(..line.start).map_or(0, |before| before.chars().count()) + 1;
    if column == place.column as usize {
        return group.element(snippet.path(place.file.as_ref()));
    }
    // Of a long line a part is shown: the renderer would count its columns from there.
    let origin = Origin::path(place.file.as_ref()).line(place.line as usize);
    group.element(origin.char_column(place.column as usize)).element(snippet)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

/// `{code, severity, message, hint, file, line, column, address}`, null where there is none.
impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Diagnostic", 8)?;
        fields.serialize_field("code", self.code)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("hint", &self.hint)?;
        fields.serialize_field("file", &self.place.as_ref().map(|place| &place.file))?;
        fields.serialize_field("line", &self.place.as_ref().map(|place| place.line))?;
        fields.serialize_field("column", &self.place.as_ref().map(|place| place.column))?;
        fields.serialize_field("address", &self.address)?;
        fields.end()
    }
}

/// Puts diagnostics in the order of files and lines; what has no place comes first.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|left, right| {
        (&left.place, left.severity, left.code, &left.message).cmp(&(
            &right.place,
            right.severity,
            right.code,
            &right.message,
        ))
    });
}

/// The candidate that `name` was probably meant to be, if one is near.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // What is longer is no slip of the pen, and would cost the square of its length.
    const LONGEST: usize = 64;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    let letters = Letters::of(&lower);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| {
            let folded = candidate.to_lowercase();
            let others = Letters::of(&folded);
            let most = (letters.count.max(others.count) / 3).max(1);
            // Counting letters is much cheaper than aligning them, and settles it for nearly all.
            let may_be = letters.distance(&others) <= most;
            let distance = may_be.then(|| strsim::damerau_levenshtein(&lower, &folded))?;
            (distance <= most).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How often a word has each letter, letters being thrown together by their last bits.
struct Letters {
    counts: [u8; 32],
    count: usize,
}

impl Letters {
    /// Of a word that is shorter than 256 letters.
    fn of(word: &str) -> Self {
        let mut letters = Letters { counts: [0; 32], count: 0 };
        for letter in word.chars() {
            if let Some(count) = letters.counts.get_mut(letter as usize % 32) {
                *count = count.saturating_add(1);
            }
            letters.count += 1;
        }
        letters
    }

    /// No more than the number of edits between two words.
    fn distance(&self, other: &Letters) -> usize {
        let mut surplus = (0, 0);
        for (own, others) in self.counts.iter().zip(&other.counts) {
            surplus.0 += usize::from(own.saturating_sub(*others));
            surplus.1 += usize::from(others.saturating_sub(*own));
        }
        surplus.0.max(surplus.1)
    }
}
