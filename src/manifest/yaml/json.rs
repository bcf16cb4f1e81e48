//! Strict JSON (RFC 8259) to located trees, a stream of values accepted. Structure and places are read here, texts
//! and numbers by serde_json, piece by piece.

use super::build::{Builder, Stop, halves};
use super::scalar::{Plain, float};
use super::tree::NodeKind;
use super::{Document, FaultKind};

/// Reads the documents of a JSON file. After an error nothing of it is read any more.
pub(super) fn read<'a>(text: &'a str, budget: u64, sink: &mut dyn FnMut(Document<'a>)) {
    let mut reader = Reader { builder: Builder::new(text, budget), text, at: 0 };
    reader.skip_byte_order_mark();
    loop {
        reader.skip_blanks();
        let start = reader.at;
        if start >= text.len() {
            return;
        }
        let complete = reader.document().is_ok();
        let (tree, faults, more_faults) = reader.builder.finish();
        sink(Document { tree, faults, more_faults, at: start, end: reader.at, complete });
        if !complete {
            return;
        }
    }
}

struct Reader<'a> {
    builder: Builder<'a>,
    text: &'a str,
    at: usize,
}

/// What may come next in a document.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Value,
    /// A value or the end of an array that has just begun.
    FirstItem,
    /// A key or the end of an object that has just begun.
    FirstKey,
    Key,
    /// A comma or the end of the container; the end of the document outside of all.
    Separator,
}

impl<'a> Reader<'a> {
    fn skip_byte_order_mark(&mut self) {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
    }

    fn skip_blanks(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fail<T>(&mut self, message: &str, at: usize) -> Result<T, Stop> {
        self.builder.fault(FaultKind::Syntax { message: message.to_owned() }, at, 1);
        Err(Stop)
    }

    /// Reads one value and all it contains, without recursion.
    fn document(&mut self) -> Result<(), Stop> {
        // The closing bracket of each open container.
        let mut closing: Vec<u8> = Vec::new();
        let mut next = Next::Value;
        loop {
            self.skip_blanks();
            let Some(byte) = self.peek() else {
                return self.fail("unexpected end of the file", self.text.len());
            };
            next = match (next, byte) {
                (Next::FirstItem | Next::FirstKey | Next::Separator, b']' | b'}')
                    if closing.last() == Some(&byte) =>
                {
                    closing.pop();
                    self.at += 1;
                    self.builder.close()?;
                    Next::Separator
                }
                (Next::Separator, b',') => {
                    self.at += 1;
                    if closing.last() == Some(&b'}') { Next::Key } else { Next::Value }
                }
                (Next::Separator, _) => {
                    let bracket = char::from(closing.last().copied().unwrap_or(b','));
                    return self.fail(&format!("expected `,` or `{bracket}`"), self.at);
                }
                (Next::FirstKey | Next::Key, b'"') => {
                    self.string()?;
                    self.skip_blanks();
                    if self.peek() != Some(b':') {
                        return self.fail("expected `:` after the key", self.at);
                    }
                    self.at += 1;
                    Next::Value
                }
                (Next::FirstKey | Next::Key, _) => {
                    return self.fail("expected a key in double quotes", self.at);
                }
                (Next::Value | Next::FirstItem, b'{') => {
                    self.builder.open(true, self.at, 0)?;
                    self.at += 1;
                    closing.push(b'}');
                    Next::FirstKey
                }
                (Next::Value | Next::FirstItem, b'[') => {
                    self.builder.open(false, self.at, 0)?;
                    self.at += 1;
                    closing.push(b']');
                    Next::FirstItem
                }
                (Next::Value | Next::FirstItem, _) => {
                    self.scalar(byte)?;
                    Next::Separator
                }
            };
            if closing.is_empty() && self.builder.depth() == 0 {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self, byte: u8) -> Result<(), Stop> {
        match byte {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let at = self.at;
                for (word, kind) in
                    [("null", NodeKind::Null), ("true", NodeKind::True), ("false", NodeKind::False)]
                {
                    if self.text.get(at..).is_some_and(|rest| rest.starts_with(word)) {
                        self.at += word.len();
                        self.end_of_word()?;
                        let length = u32::try_from(word.len()).unwrap_or_default();
                        return self.builder.leaf(kind, at, (0, length), 0, 0);
                    }
                }
                self.fail("expected a JSON value", at)
            }
        }
    }

    /// Words and numbers end where something else begins.
    fn end_of_word(&mut self) -> Result<(), Stop> {
        match self.peek() {
            Some(byte)
                if byte.is_ascii_alphanumeric()
                    || matches!(byte, b'_' | b'.' | b'+' | b'-' | b'"')
                    || byte >= 0x80 =>
            {
                self.fail("expected a JSON value", self.at)
            }
            _ => Ok(()),
        }
    }

    fn string(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start + 1..).unwrap_or_default();
        let mut escaped = false;
        let mut plain = true;
        let mut length = None;
        for (index, &byte) in rest.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => (escaped, plain) = (true, false),
                b'"' => {
                    length = Some(index);
                    break;
                }
                0..=0x1f => {
                    return self
                        .fail("control character in a string; write it as an escape", start + 1 + index);
                }
                _ => {}
            }
        }
        let Some(length) = length else { return self.fail("unclosed string", start) };
        self.at = start + length + 2;
        if plain {
            let text = self.text.get(start + 1..start + 1 + length).unwrap_or_default();
            return self.builder.text_leaf(text, start, 0);
        }
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        match serde_json::from_str::<String>(quoted) {
            Ok(text) => self.builder.text_leaf(&text, start, 0),
            Err(_) => self.fail("invalid escape in a string", start),
        }
    }

    fn number(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        self.at += length;
        self.end_of_word()?;
        let text = self.text.get(start..self.at).unwrap_or_default();
        if !is_number(text.as_bytes()) {
            return self.fail("invalid number", start);
        }
        if let Ok(value) = text.parse::<i64>() {
            return self.builder.leaf(NodeKind::Int, start, halves(value.cast_unsigned()), 0, 0);
        }
        if let Plain::Float(value) = float(text) {
            return self.builder.leaf(NodeKind::Float, start, halves(value.to_bits()), 0, 0);
        }
        self.builder.fault(FaultKind::Unrepresentable, start, length);
        self.builder.leaf(NodeKind::Invalid, start, (0, 0), 0, 0)
    }
}

/// RFC 8259's number: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.starts_with(b"0")) {
        return false;
    }
    let mut rest = text.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = fraction.get(length..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}
