//! The only door to YAML and JSON: text to located trees, one a document. Knows nothing of manifests.
//!
//! `granit-parser`, the event parser under `serde-saphyr`, is used by itself: strict reading needs each scalar's
//! style and place, and all faults of all documents at once, where a serde reader stops at the first.

mod build;
mod events;
mod json;
mod scalar;
mod split;
mod tree;

use std::ops::Range;

pub use split::split;
pub use tree::{Entries, Items, Tree, Value, View};

/// Containers within each other that a document may have, its own mapping being the first.
pub const MAX_DEPTH: usize = 64;

/// Faults that are kept of one document; the rest is counted.
const MAX_FAULTS: usize = 10_000;

/// What aliases may expand to in a file of any size, in bytes of memory.
const EXPANSION_BASE: u64 = 48 << 20;
/// And for each byte of the file.
const EXPANSION_PER_BYTE: u64 = 32;

/// One document of a file.
#[derive(Debug)]
pub struct Document<'a> {
    /// What it says; none when it is empty.
    pub tree: Option<Tree<'a>>,
    pub faults: Vec<Fault>,
    /// How many faults there were beside `faults`.
    pub more_faults: usize,
    /// The byte offset at which it begins.
    pub at: usize,
    /// The byte offset behind it.
    pub end: usize,
    /// Whether it was read to its end; otherwise the tree is only a beginning.
    pub complete: bool,
}

/// Something in a document that may not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// The byte offset in the file.
    pub at: usize,
    /// The length of what it points at, in bytes.
    pub length: usize,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    Syntax {
        message: String,
    },
    TooDeep,
    Expansion,
    AliasToItself,
    UnknownAlias {
        known: Option<String>,
    },
    ByteOrderMark,
    /// The byte offset at which the key stands first.
    DuplicateKey {
        first: usize,
    },
    KeyNotScalar,
    KeyNotString,
    MergeNotMapping,
    AmbiguousScalar {
        reading: &'static str,
        key: bool,
    },
    Unrepresentable,
    UnknownTag,
    TagMismatch {
        tag: String,
        what: &'static str,
    },
}

impl FaultKind {
    /// Whether it counts in documents that are not ours too: syntax and limits.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            FaultKind::Syntax { .. }
                | FaultKind::TooDeep
                | FaultKind::Expansion
                | FaultKind::AliasToItself
                | FaultKind::UnknownAlias { .. }
                | FaultKind::ByteOrderMark
        )
    }
}

/// The notation of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
}

/// Reads the documents of one part of a file, as `split` made it, and hands each to `sink`.
pub fn read<'a>(format: Format, text: &'a str, part: Range<usize>, sink: &mut dyn FnMut(Document<'a>)) {
    let share = part.len() as u64;
    let budget = share * EXPANSION_PER_BYTE + EXPANSION_BASE * share / (text.len() as u64).max(1);
    match format {
        Format::Yaml => events::read(text, part.start, part.end, budget, sink),
        Format::Json => json::read(text, budget, sink),
    }
}
