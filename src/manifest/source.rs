//! A file's text, its lines, and how its lines may be shown: secrets masked, long lines cut.

use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::diagnostic::Diagnostic;
use super::finding::{Finding, Hide};
use super::yaml::Format;
use crate::model::{Address, Place, SourceLine};

/// What stands for a hidden text.
const MASK: &str = "…";
/// Diagnostics that are shown of one file; the rest is counted.
pub const MOST_DIAGNOSTICS: usize = 10_000;

/// The folders that files beside a manifest are looked for in.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The manifest's own, to which paths are relative.
    pub own: PathBuf,
    /// The one given on the command line, symbolic links resolved, which no path may leave.
    pub root: PathBuf,
}

/// A file that was read.
#[derive(Debug)]
pub struct SourceFile {
    /// As it was given; `-` is standard input.
    pub name: Arc<str>,
    /// Where `bodyFile` may lead; none for standard input.
    pub folders: Option<Folders>,
    pub format: Format,
    pub text: String,
    line_starts: Vec<u32>,
    ascii: bool,
    masks: OnceLock<Vec<u32>>,
}

impl SourceFile {
    /// A file of at most 4 GiB.
    pub fn new(name: &str, folders: Option<Folders>, format: Format, text: String) -> Self {
        let line_starts = line_starts(&text);
        let ascii = text.is_ascii();
        SourceFile { name: name.into(), folders, format, text, line_starts, ascii, masks: OnceLock::new() }
    }

    /// The line number, from 1.
    pub fn line(&self, at: usize) -> u32 {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        u32::try_from(self.line_starts.partition_point(|&start| start <= at)).unwrap_or(u32::MAX)
    }

    /// The bytes of a line without its line break.
    fn line_range(&self, line: u32) -> Range<usize> {
        let index = (line as usize).saturating_sub(1);
        let start = self.line_starts.get(index).map_or(self.text.len(), |&start| start as usize);
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |&start| start as usize);
        let text = self.text.get(start..end).unwrap_or_default();
        start..start + text.trim_end_matches(['\n', '\r']).len()
    }

    /// The text at a place, as far as its line goes and it may be shown.
    pub fn written(&self, at: usize, length: usize) -> Option<&str> {
        let line = self.line(at);
        let range = self.line_range(line);
        let mask = self.masks().get((line as usize).saturating_sub(1)).copied().unwrap_or(u32::MAX);
        let end = range.end.min(at.saturating_add(length));
        if at.saturating_sub(range.start) >= mask as usize { None } else { self.text.get(at..end) }
    }

    /// Findings as diagnostics, in the order of the file; `more` are counted only.
    pub fn diagnostics(&self, mut findings: Vec<(Finding, Option<Address>)>, more: usize) -> Vec<Diagnostic> {
        findings.sort_by_key(|(finding, _)| finding.at);
        let locator = Locator::new(self);
        let more = more + findings.len().saturating_sub(MOST_DIAGNOSTICS);
        let mut diagnostics: Vec<Diagnostic> = findings
            .into_iter()
            .take(MOST_DIAGNOSTICS)
            .map(|(finding, address)| self.diagnostic(&locator, finding, address))
            .collect();
        if more > 0 {
            let message = format!("{more} more errors in this file are not shown");
            let place = Place { file: self.name.clone(), line: 1, column: 1 };
            diagnostics.push(Diagnostic::error("too-many", message).at(place));
        }
        diagnostics
    }

    fn diagnostic(&self, locator: &Locator<'_>, finding: Finding, address: Option<Address>) -> Diagnostic {
        let place = locator.place(finding.at);
        let line = self.shown_line(place.line, &finding);
        Diagnostic {
            severity: finding.severity,
            code: finding.code,
            message: finding.message,
            hint: finding.hint,
            place: Some(place),
            address,
            line,
        }
    }

    /// The line of a finding as it may be shown, and what to point at.
    pub fn shown_line(&self, line: u32, finding: &Finding) -> Option<SourceLine> {
        let range = self.line_range(line);
        let at = finding.at.clamp(range.start, range.end);
        let mut visible = range.end;
        if let Some(&mask) = self.masks().get((line as usize).saturating_sub(1)) {
            visible = visible.min(range.start.saturating_add(mask as usize));
        }
        let behind = self.text.get(at..range.end)?;
        match finding.hide {
            Hide::Nothing => {}
            Hide::FromHere => visible = visible.min(at),
            Hide::BehindColon => {
                visible = visible.min(behind.find(':').map_or(range.end, |colon| at + colon + 1))
            }
        }
        let masked = visible < range.end
            && self.text.get(visible..range.end).is_some_and(|rest| !rest.trim().is_empty());
        let (start, mut text) = self.window(range.start..visible, at);
        if masked {
            text.push_str(if text.is_empty() || text.ends_with(' ') { MASK } else { " …" });
        }
        let text = text.replace('\t', " ").replace(|character: char| character.is_control(), "\u{fffd}");
        let pointed = at.saturating_sub(start).min(text.len());
        let pointed = floor_boundary(&text, pointed);
        let end = floor_boundary(&text, (pointed + finding.length.max(1)).min(text.len()));
        Some(SourceLine { start: pointed, end: end.max(pointed), text })
    }

    /// At most some 200 bytes of a line around a place.
    fn window(&self, range: Range<usize>, at: usize) -> (usize, String) {
        const AROUND: usize = 100;
        let start = if range.len() > 2 * AROUND {
            range.start.max(at.min(range.end).saturating_sub(AROUND))
        } else {
            range.start
        };
        let end = range.end.min(start + 2 * AROUND);
        let start = floor_boundary(&self.text, start);
        let end = floor_boundary(&self.text, end).max(start);
        (start, self.text.get(start..end).unwrap_or_default().to_owned())
    }

    /// For each line the column, in bytes from 0, from which on it may hold a secret; `u32::MAX` where it does not.
    fn masks(&self) -> &[u32] {
        self.masks.get_or_init(|| {
            super::mask::columns(self.line_starts.len(), |line| {
                self.text.get(self.line_range(line)).unwrap_or_default()
            })
        })
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn line_starts(text: &str) -> Vec<u32> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        // YAML ends a line at LF, CRLF and a lone CR.
        if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            starts.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
        }
    }
    starts
}

/// Finds lines and columns; asked in ascending order it reads no line twice, however long it is.
pub struct Locator<'f> {
    file: &'f SourceFile,
    /// A place whose column is known: line start, offset, characters between.
    known: Cell<(usize, usize, usize)>,
}

impl<'f> Locator<'f> {
    pub fn new(file: &'f SourceFile) -> Self {
        Locator { file, known: Cell::new((0, 0, 0)) }
    }

    pub fn place(&self, at: usize) -> Place {
        let line = self.file.line(at);
        let start = self.file.line_range(line).start;
        let at = floor_boundary(&self.file.text, at);
        let characters = if self.file.ascii {
            at.saturating_sub(start)
        } else {
            let (known_start, known_at, known_count) = self.known.get();
            let (from, before) =
                if known_start == start && known_at <= at { (known_at, known_count) } else { (start, 0) };
            let count = before + self.file.text.get(from..at).map_or(0, |text| text.chars().count());
            self.known.set((start, at, count));
            count
        };
        let column = u32::try_from(characters + 1).unwrap_or(u32::MAX);
        Place { file: self.file.name.clone(), line, column }
    }
}
