//! The located tree: what a document says, and where it says it. Compact, because it is the largest thing that
//! reading holds: 20 bytes a node, texts stay where they stand in the file.

/// What a node is. Texts and numbers stand in `Node::a` and `Node::b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeKind {
    /// How long it is written: nothing at all is null too.
    Null,
    False,
    True,
    /// The two halves of an `i64`.
    Int,
    /// The two halves of an `f64`.
    Float,
    /// A text that stands in the file as it is: its start and its length.
    Text,
    /// A text that had to be decoded: its start and its length in `Tree::decoded`.
    Decoded,
    /// The number of items.
    Sequence,
    /// The number of entries that stand in the file or came by a merge key; duplicates not counted.
    Mapping,
    /// Another node, by index.
    Alias,
    /// The key `<<`: it and its value are passed over, what it merges follows as entries of its own.
    MergeKey,
    /// A scalar that has been reported already and fits whatever is expected.
    Invalid,
}

/// One node. Children follow their container; `next` is the index behind the whole node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub kind: NodeKind,
    /// The byte offset in the file.
    pub at: u32,
    pub next: u32,
    pub a: u32,
    pub b: u32,
}

/// One document's nodes in the order of the file.
#[derive(Debug)]
pub struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) decoded: String,
    pub(super) nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    /// The document's own value.
    pub fn root(&self) -> Value<'_> {
        Value { tree: self, index: 0 }
    }

    /// The text of the file the document stands in.
    pub fn source(&self) -> &'a str {
        self.text
    }

    pub(super) fn node(&self, index: u32) -> Node {
        const NOTHING: Node = Node { kind: NodeKind::Invalid, at: 0, next: u32::MAX, a: 0, b: 0 };
        self.nodes.get(index as usize).copied().unwrap_or(NOTHING)
    }

    pub(super) fn resolve(&self, mut index: u32) -> (u32, Node) {
        // Aliases point backwards only, so this ends.
        loop {
            let node = self.node(index);
            if node.kind != NodeKind::Alias || node.a >= index {
                return (index, node);
            }
            index = node.a;
        }
    }

    pub(super) fn text_of(&self, node: Node) -> Option<&str> {
        let range = node.a as usize..node.a as usize + node.b as usize;
        match node.kind {
            NodeKind::Text => self.text.get(range),
            NodeKind::Decoded => self.decoded.get(range),
            _ => None,
        }
    }
}

/// A value in a document, aliases resolved.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t> {
    tree: &'t Tree<'t>,
    index: u32,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum View<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'t str),
    Sequence(Items<'t>),
    Mapping(Entries<'t>),
    /// A scalar that has been reported already.
    Invalid,
}

impl<'t> Value<'t> {
    pub fn view(&self) -> View<'t> {
        let (index, node) = self.tree.resolve(self.index);
        let number = (u64::from(node.a) << 32) | u64::from(node.b);
        match node.kind {
            NodeKind::Null => View::Null,
            NodeKind::False => View::Bool(false),
            NodeKind::True => View::Bool(true),
            NodeKind::Int => View::Int(number.cast_signed()),
            NodeKind::Float => View::Float(f64::from_bits(number)),
            NodeKind::Text | NodeKind::Decoded => View::Text(self.tree.text_of(node).unwrap_or_default()),
            NodeKind::Sequence => {
                View::Sequence(Items { tree: self.tree, at: index + 1, end: node.next, count: node.a })
            }
            NodeKind::Mapping => {
                View::Mapping(Entries { tree: self.tree, at: index + 1, end: node.next, count: node.a })
            }
            NodeKind::Alias | NodeKind::MergeKey | NodeKind::Invalid => View::Invalid,
        }
    }

    /// The byte offset at which the value stands in the file; where an alias stands, not what it names.
    pub fn at(&self) -> usize {
        self.tree.node(self.index).at as usize
    }

    /// The byte offset of the content: for an alias, where the anchor's content stands.
    pub fn content_at(&self) -> usize {
        self.tree.resolve(self.index).1.at as usize
    }

    /// The byte offset at which what follows the value begins; the end of the file when nothing does.
    pub fn end(&self) -> usize {
        let next = self.tree.node(self.index).next;
        self.tree.nodes.get(next as usize).map_or(self.tree.text.len(), |node| node.at as usize)
    }

    /// A scalar or an alias as it is written on its line; of a container its first character.
    pub fn written(&self) -> &'t str {
        let node = self.tree.node(self.index);
        let rest = self.tree.text.get(node.at as usize..).unwrap_or_default();
        // Enough for any message; a line may be as long as the file.
        let near =
            rest.char_indices().map(|(at, _)| at).take_while(|&at| at <= 1024).last().unwrap_or_default();
        let near = if rest.len() <= 1024 { rest } else { rest.get(..near).unwrap_or_default() };
        let line = near.lines().next().unwrap_or_default();
        let length = match (node.kind, line.chars().next()) {
            (NodeKind::Sequence | NodeKind::Mapping, _) => 1,
            (NodeKind::Null, _) => node.b as usize,
            (NodeKind::Text, Some(first)) if first != '"' && first != '\'' => node.b as usize,
            (_, Some(quote @ ('"' | '\''))) => end_of_quoted(line, quote),
            (NodeKind::Decoded, _) => line.len(),
            _ => line.find([' ', ',', ']', '}', '#']).unwrap_or(line.len()),
        };
        line.get(..length).unwrap_or(line).trim_end()
    }

    pub fn as_text(&self) -> Option<&'t str> {
        match self.view() {
            View::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.view(), View::Null)
    }

    pub fn entries(&self) -> Option<Entries<'t>> {
        match self.view() {
            View::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn items(&self) -> Option<Items<'t>> {
        match self.view() {
            View::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The value under `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<Value<'t>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key and the value under `key`, when this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<(Value<'t>, Value<'t>)> {
        self.entries()?.find(|(name, _)| name.as_text() == Some(key))
    }

    /// The kind of the value in words.
    pub fn kind_name(&self) -> &'static str {
        match self.view() {
            View::Null => "null",
            View::Bool(_) => "a boolean",
            View::Int(_) => "an integer",
            View::Float(_) => "a number",
            View::Text(_) => "a string",
            View::Sequence(_) => "a list",
            View::Mapping(_) => "a mapping",
            View::Invalid => "an invalid value",
        }
    }

    /// The value as JSON; what was reported already is null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self.view() {
            View::Null | View::Invalid => Json::Null,
            View::Bool(value) => Json::Bool(value),
            View::Int(value) => Json::from(value),
            View::Float(value) => Json::from(value),
            View::Text(text) => Json::from(text),
            View::Sequence(items) => items.map(|item| item.to_json()).collect(),
            View::Mapping(entries) => Json::Object(
                entries
                    .filter_map(|(key, value)| Some((key.as_text()?.to_owned(), value.to_json())))
                    .collect(),
            ),
        }
    }
}

/// The length of a quoted scalar's first line, its quotes included.
fn end_of_quoted(line: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in line.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    line.len()
}

/// The items of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Items<'t> {
    tree: &'t Tree<'t>,
    at: u32,
    end: u32,
    count: u32,
}

impl Items<'_> {
    /// The number of items of the whole sequence.
    pub fn count_all(&self) -> usize {
        self.count as usize
    }
}

impl<'t> Iterator for Items<'t> {
    type Item = Value<'t>;

    fn next(&mut self) -> Option<Value<'t>> {
        if self.at >= self.end {
            return None;
        }
        let value = Value { tree: self.tree, index: self.at };
        self.at = self.tree.node(self.at).next;
        Some(value)
    }
}

/// The entries of a mapping, merged ones last.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'t> {
    tree: &'t Tree<'t>,
    at: u32,
    end: u32,
    count: u32,
}

impl Entries<'_> {
    /// The number of entries of the whole mapping.
    pub fn count_all(&self) -> usize {
        self.count as usize
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = (Value<'t>, Value<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.at >= self.end {
                return None;
            }
            let key = self.at;
            let value = self.tree.node(key).next;
            if value >= self.end {
                return None;
            }
            self.at = self.tree.node(value).next;
            if self.tree.node(key).kind != NodeKind::MergeKey {
                let at = |index| Value { tree: self.tree, index };
                return Some((at(key), at(value)));
            }
        }
    }
}
