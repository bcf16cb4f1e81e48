//! YAML to located trees: the parser's events, with everything refused that YAML allows and a manifest may not say.

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, Span, Tag};

use super::build::{Builder, Stop, halves};
use super::scalar::{Plain, classify, float};
use super::tree::NodeKind;
use super::{Document, Fault, FaultKind, MAX_DEPTH};
use crate::manifest::diagnostic::nearest;

/// How many anchor names of a document are kept for "did you mean", and how often it is asked: each question compares
/// with all of them.
const MAX_ANCHOR_NAMES: usize = 100;
const MAX_SUGGESTIONS: usize = 3;

fn options() -> Options {
    granit_parser::options! {
        // The builder counts containers itself; the parser's limits are a second line.
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        // As kubectl's reader does, so that a lambda's body is the same text by both ways in.
        block_scalar_eof_without_line_feed: true,
    }
}

/// Reads the documents of `text[start..end]`, which begins at the file's start or at a `---` line. After an error
/// nothing of it is read any more.
pub(super) fn read<'a>(
    text: &'a str,
    start: usize,
    end: usize,
    budget: u64,
    sink: &mut dyn FnMut(Document<'a>),
) {
    let stray = stray_byte_order_mark(text, start, end);
    let chunk = text.get(start..stray.unwrap_or(end)).unwrap_or_default();
    read_chunk(text, start, chunk, budget, sink);
    if let Some(at) = stray {
        let faults = vec![Fault { kind: FaultKind::ByteOrderMark, at, length: '\u{feff}'.len_utf8() }];
        sink(Document { tree: None, faults, more_faults: 0, at, end, complete: false });
    }
}

/// A byte order mark at the beginning of a line, but not of the file. The parser takes it before any document.
fn stray_byte_order_mark(text: &str, start: usize, end: usize) -> Option<usize> {
    let chunk = text.get(start..end).unwrap_or_default();
    chunk.match_indices('\u{feff}').map(|(at, _)| start + at).find(|&at| {
        at > 0
            && text.get(..at).is_some_and(|before| at == start || before.ends_with(['\n', '\r', '\u{feff}']))
    })
}

fn read_chunk<'a>(
    text: &'a str,
    start: usize,
    chunk: &'a str,
    budget: u64,
    sink: &mut dyn FnMut(Document<'a>),
) {
    let end = start + chunk.len();
    let mut reader =
        Reader { builder: Builder::new(text, budget), base: start, anchors: Vec::new(), suggestions: 0 };
    let mut parser = Parser::new_from_str_with_options(chunk, options());
    let mut at = start;
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::DocumentStart(..), span)) => at = reader.offset(&span.start),
            Ok((Event::DocumentEnd, span)) => {
                let end = reader.offset(&span.end);
                sink(reader.finish(at, end, true));
            }
            Ok((event, span)) => {
                if reader.event(event, span).is_err() {
                    sink(reader.finish(at, end, false));
                    return;
                }
            }
            Err(error) => {
                let place = reader.offset(error.marker());
                reader.builder.fault(parse_fault(error.kind()), place, 1);
                sink(reader.finish(at, end, false));
                return;
            }
        }
    }
}

/// What a parser's error says, and whether it is a limit of ours.
fn parse_fault(kind: &ErrorKind) -> FaultKind {
    match kind {
        ErrorKind::RecursionLimitExceeded => FaultKind::TooDeep,
        ErrorKind::BomInsideDocument => FaultKind::ByteOrderMark,
        other => FaultKind::Syntax { message: other.to_string() },
    }
}

struct Reader<'a> {
    builder: Builder<'a>,
    /// The byte offset of the parsed chunk in the file.
    base: usize,
    anchors: Vec<String>,
    /// How often "did you mean" was asked in this document.
    suggestions: usize,
}

impl<'a> Reader<'a> {
    fn offset(&self, marker: &Marker) -> usize {
        self.base + marker.byte_offset().unwrap_or_default()
    }

    fn finish(&mut self, at: usize, end: usize, complete: bool) -> Document<'a> {
        self.anchors.clear();
        self.suggestions = 0;
        let (tree, faults, more_faults) = self.builder.finish();
        Document { tree, faults, more_faults, at, end, complete }
    }

    fn event(&mut self, event: Event<'a>, span: Span) -> Result<(), Stop> {
        let at = self.offset(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), &span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.container_tag(tag.as_deref(), "seq", "a list", &span);
                self.builder.open(false, at, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.container_tag(tag.as_deref(), "map", "a mapping", &span);
                self.builder.open(true, at, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.builder.close(),
            Event::Alias(target) => {
                let length = self.offset(&span.end).saturating_sub(at);
                self.builder.alias(target, at, length)
            }
            Event::UnresolvedAlias(name) => {
                self.suggestions += 1;
                let known = match self.suggestions {
                    ..=MAX_SUGGESTIONS => nearest(&name, self.anchors.iter().map(String::as_str)),
                    _ => None,
                };
                let known = known.map(str::to_owned);
                self.builder.fault(FaultKind::UnknownAlias { known }, at, name.len() + 1);
                self.builder.leaf(NodeKind::Invalid, at, (0, 0), 0, 0)
            }
            Event::Anchor(_, name) => {
                if self.anchors.len() < MAX_ANCHOR_NAMES {
                    self.anchors.push(name.into_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn container_tag(&mut self, tag: Option<&Tag>, expected: &str, what: &'static str, span: &Span) {
        let Some(tag) = tag else { return };
        let (at, length) = self.tag_place(span);
        match tag.core_suffix() {
            Some(suffix) if suffix == expected => {}
            Some(suffix) => {
                self.builder.fault(FaultKind::TagMismatch { tag: suffix.to_owned(), what }, at, length)
            }
            None => self.builder.fault(FaultKind::UnknownTag, at, length),
        }
    }

    fn tag_place(&self, span: &Span) -> (usize, usize) {
        let tag = span.tag_span().unwrap_or(*span);
        let start = self.offset(&tag.start);
        (start, self.offset(&tag.end).saturating_sub(start))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<(), Stop> {
        let at = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => self.indicator(self.offset(&span.start)),
            _ => self.offset(&span.start),
        };
        let plain = style == ScalarStyle::Plain;
        let suffix = match tag {
            None => None,
            Some(tag) => match tag.core_suffix() {
                Some(suffix) => Some(suffix),
                None => {
                    let (at, length) = self.tag_place(span);
                    return self.invalid(FaultKind::UnknownTag, at, length, anchor);
                }
            },
        };
        if plain && text.contains('\u{feff}') {
            return self.invalid(FaultKind::ByteOrderMark, at, 1, anchor);
        }
        if suffix == Some("str") || (!plain && suffix.is_none()) {
            return self.builder.text_leaf(text, at, anchor);
        }
        if plain && suffix.is_none() && self.builder.at_key() && text == "<<" {
            return self.builder.leaf(NodeKind::MergeKey, at, (0, 0), 0, anchor);
        }
        let length = self.offset(&span.end).saturating_sub(at);
        self.typed(text, suffix, at, length, anchor)
    }

    /// Where the `|` or `>` of a block scalar stands whose text begins at `at`, behind its line.
    fn indicator(&self, at: usize) -> usize {
        let before = self.builder.text().get(self.base..at).unwrap_or_default().trim_end();
        let line = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
        let header = before.get(line..).unwrap_or_default();
        // `key: |2- # why`: a comment may hold the same characters, the text before it may not end with them.
        let is_header = |rest: &str| {
            let rest = rest.trim_start_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
            rest.is_empty() || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'))
        };
        let mut indicators = header.match_indices(['|', '>']);
        indicators
            .find(|(found, _)| header.get(found + 1..).is_some_and(is_header))
            .map_or(at, |(found, _)| self.base + line + found)
    }

    /// A scalar that is not said to be a string: what it is by its form and its tag.
    fn typed(
        &mut self,
        text: &str,
        tag: Option<&str>,
        at: usize,
        length: usize,
        anchor: usize,
    ) -> Result<(), Stop> {
        let (kind, bits) = match (tag, classify(text)) {
            (None, Plain::Text) => return self.builder.text_leaf(text, at, anchor),
            (_, Plain::Ambiguous(reading)) => {
                let key = self.builder.at_key();
                return self.invalid(FaultKind::AmbiguousScalar { reading, key }, at, length, anchor);
            }
            (None | Some("int" | "float"), Plain::Unrepresentable) => {
                return self.invalid(FaultKind::Unrepresentable, at, length, anchor);
            }
            (None | Some("null"), Plain::Null) => {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                return self.builder.leaf(NodeKind::Null, at, (0, length), 0, anchor);
            }
            (None | Some("bool"), Plain::Bool(true)) => (NodeKind::True, 0),
            (None | Some("bool"), Plain::Bool(false)) => (NodeKind::False, 0),
            (None | Some("int"), Plain::Int(value)) => (NodeKind::Int, value.cast_unsigned()),
            (None | Some("float"), Plain::Float(value)) => (NodeKind::Float, value.to_bits()),
            (Some("float"), Plain::Int(_)) => match float(text) {
                Plain::Float(value) => (NodeKind::Float, value.to_bits()),
                _ => return self.invalid(FaultKind::Unrepresentable, at, length, anchor),
            },
            (tag, _) => {
                let tag = tag.unwrap_or_default().to_owned();
                return self.invalid(FaultKind::TagMismatch { tag, what: "this scalar" }, at, length, anchor);
            }
        };
        self.builder.leaf(kind, at, halves(bits), 0, anchor)
    }

    fn invalid(&mut self, kind: FaultKind, at: usize, length: usize, anchor: usize) -> Result<(), Stop> {
        self.builder.fault(kind, at, length);
        self.builder.leaf(NodeKind::Invalid, at, (0, 0), 0, anchor)
    }
}
