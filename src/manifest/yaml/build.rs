//! Builds located trees for both readers, YAML and JSON: containers, keys, depth, aliases and what they expand to.

use std::collections::{HashMap, HashSet};

use super::tree::{Node, NodeKind, Tree};
use super::{Fault, FaultKind, MAX_DEPTH, MAX_FAULTS};

/// What an expanded node is taken to weigh beside its text, in bytes: about a typed value's size.
const NODE_WEIGHT: u64 = 64;

/// Merge keys of one mapping that are followed.
const MAX_MERGES: usize = 8;

/// The document cannot be read further; its last fault says why.
pub(super) struct Stop;

/// An anchored node, as aliases see it.
#[derive(Clone, Copy)]
struct Anchor {
    node: u32,
    /// Containers on the deepest way down, itself included.
    height: u32,
    /// Bytes it takes when expanded.
    weight: u64,
    /// Whether its end has not been read yet: an alias to it would contain itself.
    open: bool,
}

/// A container that is being read.
struct Frame {
    node: u32,
    mapping: bool,
    /// Children read so far: items, or keys and values.
    children: u32,
    height: u32,
    weight: u64,
    anchor: usize,
    /// The values of merge keys in this mapping.
    merges: Vec<u32>,
}

/// Builds one document's tree after the other.
pub(super) struct Builder<'a> {
    tree: Tree<'a>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    /// Bytes that aliases may still expand to.
    budget: u64,
    faults: Vec<Fault>,
    more_faults: usize,
}

impl<'a> Builder<'a> {
    pub fn new(text: &'a str, budget: u64) -> Self {
        Builder {
            tree: Tree { text, decoded: String::new(), nodes: Vec::new() },
            frames: Vec::new(),
            anchors: HashMap::new(),
            budget,
            faults: Vec::new(),
            more_faults: 0,
        }
    }

    /// Ends a document: its tree unless it was empty, its faults, and how many more there were.
    pub fn finish(&mut self) -> (Option<Tree<'a>>, Vec<Fault>, usize) {
        // What a fatal fault left open ends here, so that its beginning can be read.
        let end = u32::try_from(self.tree.nodes.len()).unwrap_or(u32::MAX);
        for frame in self.frames.drain(..) {
            if let Some(node) = self.tree.nodes.get_mut(frame.node as usize) {
                (node.next, node.a) = (end, frame.children);
            }
        }
        self.anchors.clear();
        let empty = Tree { text: self.tree.text, decoded: String::new(), nodes: Vec::new() };
        let tree = std::mem::replace(&mut self.tree, empty);
        let tree = if tree.nodes.is_empty() { None } else { Some(tree) };
        (tree, std::mem::take(&mut self.faults), std::mem::take(&mut self.more_faults))
    }

    pub fn fault(&mut self, kind: FaultKind, at: usize, length: usize) {
        if self.faults.len() < MAX_FAULTS || kind.is_fatal() {
            self.faults.push(Fault { kind, at, length });
        } else {
            self.more_faults += 1;
        }
    }

    /// The text of the file.
    pub fn text(&self) -> &'a str {
        self.tree.text
    }

    /// Whether the next child of the innermost container is a key.
    pub fn at_key(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.mapping && frame.children.is_multiple_of(2))
    }

    /// The number of open containers.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    fn push(&mut self, kind: NodeKind, at: usize, a: u32, b: u32) -> Result<u32, Stop> {
        let index = u32::try_from(self.tree.nodes.len()).map_err(|_| Stop)?;
        let at = u32::try_from(at).map_err(|_| Stop)?;
        self.tree.nodes.push(Node { kind, at, next: index + 1, a, b });
        Ok(index)
    }

    /// A node without children; `size` is its text's length.
    pub fn leaf(
        &mut self,
        kind: NodeKind,
        at: usize,
        halves: (u32, u32),
        size: usize,
        anchor: usize,
    ) -> Result<(), Stop> {
        let node = self.push(kind, at, halves.0, halves.1)?;
        let weight = NODE_WEIGHT + size as u64;
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor { node, height: 0, weight, open: false });
        }
        self.child(node, 0, weight);
        Ok(())
    }

    /// A text: as it stands in the file where it does, else decoded.
    pub fn text_leaf(&mut self, text: &str, at: usize, anchor: usize) -> Result<(), Stop> {
        let length = u32::try_from(text.len()).map_err(|_| Stop)?;
        // The parser borrows from the text it was given where it can; then the place is the distance.
        let start = (text.as_ptr() as usize).wrapping_sub(self.tree.text.as_ptr() as usize);
        if start.checked_add(text.len()).is_some_and(|end| end <= self.tree.text.len()) {
            let start = u32::try_from(start).map_err(|_| Stop)?;
            return self.leaf(NodeKind::Text, at, (start, length), text.len(), anchor);
        }
        let start = u32::try_from(self.tree.decoded.len()).map_err(|_| Stop)?;
        self.tree.decoded.push_str(text);
        self.leaf(NodeKind::Decoded, at, (start, length), text.len(), anchor)
    }

    /// Begins a mapping or a sequence.
    pub fn open(&mut self, mapping: bool, at: usize, anchor: usize) -> Result<(), Stop> {
        if self.frames.len() >= MAX_DEPTH {
            self.fault(FaultKind::TooDeep, at, 1);
            return Err(Stop);
        }
        let kind = if mapping { NodeKind::Mapping } else { NodeKind::Sequence };
        let node = self.push(kind, at, 0, 0)?;
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor { node, height: 0, weight: 0, open: true });
        }
        let merges = Vec::new();
        self.frames.push(Frame {
            node,
            mapping,
            children: 0,
            height: 0,
            weight: NODE_WEIGHT,
            anchor,
            merges,
        });
        Ok(())
    }

    /// Ends the innermost container.
    pub fn close(&mut self) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        // More than one is a duplicate key, and is told as one; each costs a look at all keys.
        for &value in frame.merges.iter().take(MAX_MERGES) {
            self.merge(&frame, value)?;
        }
        let next = u32::try_from(self.tree.nodes.len()).map_err(|_| Stop)?;
        let count = if frame.mapping { self.check_keys(&frame, next) } else { frame.children };
        if let Some(node) = self.tree.nodes.get_mut(frame.node as usize) {
            node.next = next;
            node.a = count;
        }
        let height = frame.height + 1;
        if frame.anchor != 0 {
            let anchor = Anchor { node: frame.node, height, weight: frame.weight, open: false };
            self.anchors.insert(frame.anchor, anchor);
        }
        self.child(frame.node, height, frame.weight);
        Ok(())
    }

    /// An alias of the anchor `target`, `length` bytes long in the file.
    pub fn alias(&mut self, target: usize, at: usize, length: usize) -> Result<(), Stop> {
        let anchor = match self.anchors.get(&target) {
            Some(&anchor) if !anchor.open => anchor,
            _ => {
                self.fault(FaultKind::AliasToItself, at, length);
                return Err(Stop);
            }
        };
        if self.frames.len() + anchor.height as usize > MAX_DEPTH {
            self.fault(FaultKind::TooDeep, at, length);
            return Err(Stop);
        }
        self.expand(anchor.weight, at, length)?;
        let node = self.push(NodeKind::Alias, at, anchor.node, 0)?;
        self.child(node, anchor.height, anchor.weight);
        Ok(())
    }

    fn expand(&mut self, weight: u64, at: usize, length: usize) -> Result<(), Stop> {
        match self.budget.checked_sub(weight) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => {
                self.fault(FaultKind::Expansion, at, length);
                Err(Stop)
            }
        }
    }

    /// Counts a finished child of the innermost container and judges it where it is a key.
    fn child(&mut self, node: u32, height: u32, weight: u64) {
        let is_key = self.at_key();
        let Some(frame) = self.frames.last_mut() else { return };
        frame.height = frame.height.max(height);
        frame.weight = frame.weight.saturating_add(weight);
        frame.children += 1;
        if is_key {
            self.key(node);
        } else if frame.mapping && self.tree.node(node - 1).kind == NodeKind::MergeKey {
            frame.merges.push(node);
        }
    }

    /// Keys are strings.
    fn key(&mut self, index: u32) {
        let at = self.tree.node(index).at as usize;
        let kind = match self.tree.resolve(index).1.kind {
            NodeKind::Text | NodeKind::Decoded | NodeKind::Invalid | NodeKind::MergeKey => return,
            NodeKind::Sequence | NodeKind::Mapping => FaultKind::KeyNotScalar,
            _ => FaultKind::KeyNotString,
        };
        let length = if kind == FaultKind::KeyNotScalar { 1 } else { self.plain_length(at) };
        self.fault(kind, at, length);
        if let Some(node) = self.tree.nodes.get_mut(index as usize) {
            node.kind = NodeKind::Invalid;
        }
    }

    /// The length of the plain scalar or alias at `at`, for pointing at it.
    pub fn plain_length(&self, at: usize) -> usize {
        let rest = self.tree.text.get(at..).unwrap_or_default();
        rest.find([' ', ':', ',', '\n', '\r', '}', ']']).unwrap_or(rest.len()).max(1)
    }

    /// Adds what one `<<` merges as entries of the mapping's own: its own keys go first, then earlier ones.
    fn merge(&mut self, frame: &Frame, value: u32) -> Result<(), Stop> {
        let at = self.tree.node(value).at as usize;
        let sources = match merge_sources(&self.tree, value) {
            Ok(sources) => sources,
            Err(at) => {
                self.fault(FaultKind::MergeNotMapping, at, 1);
                return Ok(());
            }
        };
        let end = u32::try_from(self.tree.nodes.len()).map_err(|_| Stop)?;
        let mut present: HashSet<&str> = HashSet::new();
        for (key, _) in entries(&self.tree, frame.node, end) {
            present.extend(self.tree.text_of(self.tree.resolve(key).1));
        }
        let mut work = present.len() as u64;
        let mut missing: Vec<[u32; 2]> = Vec::new();
        for source in sources {
            for (key, value) in entries(&self.tree, source, self.tree.node(source).next) {
                work += 1;
                if self.tree.text_of(self.tree.resolve(key).1).is_some_and(|name| present.insert(name)) {
                    missing.push([self.tree.resolve(key).0, self.tree.resolve(value).0]);
                }
            }
            if work.saturating_mul(NODE_WEIGHT) > self.budget {
                break;
            }
        }
        drop(present);
        self.expand(work.saturating_mul(NODE_WEIGHT), at, 1)?;
        for index in missing.into_iter().flatten() {
            let at = self.tree.node(index).at as usize;
            self.push(NodeKind::Alias, at, index, 0)?;
        }
        Ok(())
    }

    /// Reports duplicate keys; answers the number of entries.
    fn check_keys(&mut self, frame: &Frame, end: u32) -> u32 {
        let tree = &self.tree;
        let name = |index: u32| match tree.resolve(index).1 {
            node if node.kind == NodeKind::MergeKey => Some("<<"),
            node => tree.text_of(node),
        };
        let mut keys: Vec<u32> = Vec::with_capacity(frame.children as usize / 2);
        let mut count = 0;
        let mut key = frame.node + 1;
        while key < end {
            keys.push(key);
            count += u32::from(tree.node(key).kind != NodeKind::MergeKey);
            key = tree.node(tree.node(key).next).next;
        }
        let mut duplicates: Vec<(u32, u32)> = Vec::new();
        if keys.len() <= 12 {
            for (position, &later) in keys.iter().enumerate() {
                let same = |earlier: &&u32| name(**earlier).is_some() && name(**earlier) == name(later);
                duplicates.extend(keys.iter().take(position).find(same).map(|&earlier| (later, earlier)));
            }
        } else {
            keys.sort_by(|&left, &right| name(left).cmp(&name(right)).then(left.cmp(&right)));
            for pair in keys.windows(2) {
                if let &[earlier, later] = pair
                    && name(earlier).is_some()
                    && name(earlier) == name(later)
                {
                    duplicates.push((later, earlier));
                }
            }
            duplicates.sort_unstable();
        }
        let faults: Vec<(usize, usize)> = duplicates
            .into_iter()
            .map(|(later, earlier)| (tree.node(later).at as usize, tree.node(earlier).at as usize))
            .collect();
        for (at, first) in faults {
            let length = self.key_length(at);
            self.fault(FaultKind::DuplicateKey { first }, at, length);
        }
        count
    }

    /// The length of the key at `at` as it is written.
    fn key_length(&self, at: usize) -> usize {
        let rest = self.tree.text.get(at..).unwrap_or_default();
        match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                rest.get(1..).and_then(|rest| rest.find(quote)).map_or(1, |length| length + 2)
            }
            _ => self.plain_length(at),
        }
    }
}

/// The two halves of a number.
pub(super) fn halves(bits: u64) -> (u32, u32) {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
    (half(bits >> 32), half(bits))
}

/// The keys and values of a mapping whose nodes end at `end`, merge keys left out.
fn entries(tree: &Tree<'_>, mapping: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut key = mapping + 1;
    std::iter::from_fn(move || {
        while key < end {
            let entry = (key, tree.node(key).next);
            key = tree.node(entry.1).next;
            if tree.node(entry.0).kind != NodeKind::MergeKey {
                return Some(entry);
            }
        }
        None
    })
}

/// The mappings that a merge key's value names, or where it names something else.
fn merge_sources(tree: &Tree<'_>, value: u32) -> Result<Vec<u32>, usize> {
    let (index, node) = tree.resolve(value);
    match node.kind {
        NodeKind::Mapping => Ok(vec![index]),
        NodeKind::Invalid => Ok(Vec::new()),
        NodeKind::Sequence => {
            let mut sources = Vec::new();
            let mut item = index + 1;
            while item < node.next {
                match tree.resolve(item) {
                    (index, node) if node.kind == NodeKind::Mapping => sources.push(index),
                    (_, node) if node.kind == NodeKind::Invalid => {}
                    _ => return Err(tree.node(item).at as usize),
                }
                item = tree.node(item).next;
            }
            Ok(sources)
        }
        _ => Err(tree.node(value).at as usize),
    }
}
