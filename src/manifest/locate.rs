//! Where in a document the things stand that JSON pointers name: found again when something is wrong with them.

use std::collections::HashMap;
use std::ops::Range;

use super::de::Context;
use super::source::SourceFile;
use super::yaml::{self, Format, Value, View};

/// A key as a JSON pointer has it.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The key that a step of a JSON pointer means.
pub fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// One step of a JSON pointer: the key, in a mapping, and the value.
fn step<'t>(value: Value<'t>, name: &str) -> Option<(Option<Value<'t>>, Value<'t>)> {
    match value.view() {
        View::Mapping(_) if name.contains('~') => {
            value.entry(&unescaped(name)).map(|(key, value)| (Some(key), value))
        }
        View::Mapping(_) => value.entry(name).map(|(key, value)| (Some(key), value)),
        View::Sequence(mut items) => {
            name.parse().ok().and_then(|index| items.nth(index)).map(|item| (None, item))
        }
        _ => None,
    }
}

/// Whether what a JSON pointer names stands in the document and was read.
pub fn stands(root: Value<'_>, pointer: &str, context: &Context) -> bool {
    let mut names = pointer.split('/').skip(1);
    let found = names.try_fold(root, |value, name| {
        let (_, value) = step(value, name)?;
        (!context.skips(value)).then_some(value)
    });
    found.is_some()
}

/// The place of what a JSON pointer names, or of what is nearest to it: the byte offset and the length.
pub fn point(root: Value<'_>, pointer: &str) -> (usize, usize) {
    let mut value = root;
    let mut key: Option<Value<'_>> = None;
    for name in pointer.split('/').skip(1) {
        let Some((step_key, step_value)) = step(value, name) else { break };
        (key, value) = (step_key, step_value);
    }
    let container = matches!(value.view(), View::Mapping(_) | View::Sequence(_));
    // What is not written cannot be pointed at: `key:` without a value.
    let place = key.filter(|_| container || value.written().is_empty()).unwrap_or(value);
    (place.at(), place.written().len().max(1))
}

/// Reads a part of a file again and tells where JSON pointers into its declarations point: each is asked for by the
/// byte offset of its declaration.
pub fn locate(file: &SourceFile, part: &Range<usize>, asked: &[(usize, &str)]) -> Vec<(usize, usize)> {
    let mut answers: Vec<(usize, usize)> = asked.iter().map(|(at, _)| (*at, 1)).collect();
    // A part can hold many documents, and each of them be asked for: a JSON stream is one part.
    let mut of_declaration: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, (at, _)) in asked.iter().enumerate() {
        of_declaration.entry(*at).or_default().push(index);
    }
    yaml::read(file.format, &file.text, part.clone(), &mut |document| {
        let Some(tree) = &document.tree else { return };
        for (at, root) in declarations(tree.root()) {
            for index in of_declaration.get(&at).into_iter().flatten() {
                if let (Some(answer), Some((_, pointer))) = (answers.get_mut(*index), asked.get(*index)) {
                    *answer = point(root, pointer);
                }
            }
        }
    });
    answers
}

/// The declarations of a document by where they begin: itself, or the items of a List.
pub fn declarations(root: Value<'_>) -> HashMap<usize, Value<'_>> {
    let mut declarations = HashMap::new();
    collect(root, &mut declarations);
    declarations
}

fn collect<'t>(root: Value<'t>, declarations: &mut HashMap<usize, Value<'t>>) {
    if root.get("spec").is_some() {
        declarations.insert(root.content_at(), root);
    } else if let Some(items) = root.get("items").and_then(|items| items.items()) {
        items.for_each(|item| collect(item, declarations));
    }
}

/// The parts of a file that can be read by themselves.
pub fn parts(file: &SourceFile) -> Vec<Range<usize>> {
    match file.format {
        Format::Yaml => yaml::split(&file.text),
        Format::Json => std::iter::once(0..file.text.len()).collect(),
    }
}
