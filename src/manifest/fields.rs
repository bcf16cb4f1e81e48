//! Finds fields of declarations again, for what only the target can tell of them: a role that its application does not
//! have, a field that cannot change. Files are read once more, and only when something is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use super::finding::Finding;
use super::input::StandardInput;
use super::locate;
use super::read;
use super::source::{Locator, SourceFile};
use super::yaml;
use crate::model::{Place, SourceLine};

/// Where JSON pointers into declarations lead: each is asked for by the place of its declaration (`Object::place`).
/// None where the file is gone or is another by now, and for standard input that was not kept.
pub fn find(
    asked: &[(&Place, &str)],
    standard_input: Option<&StandardInput>,
) -> Vec<Option<(Place, SourceLine)>> {
    let mut answers = vec![None; asked.len()];
    let mut by_file: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, (place, _)) in asked.iter().enumerate() {
        by_file.entry(&place.file).or_default().push(number);
    }
    for (name, numbers) in by_file {
        if name == read::STANDARD_INPUT {
            if let Some(StandardInput(text)) = standard_input {
                in_file(text, &numbers, asked, &mut answers);
            }
        } else if let Some(file) = read::again(Path::new(name)) {
            in_file(&file, &numbers, asked, &mut answers);
        }
    }
    answers
}

fn in_file(
    file: &SourceFile,
    numbers: &[usize],
    asked: &[(&Place, &str)],
    answers: &mut [Option<(Place, SourceLine)>],
) {
    let mut questions: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for &number in numbers {
        if let Some((place, _)) = asked.get(number) {
            questions.entry((place.line, place.column)).or_default().push(number);
        }
    }
    let locator = Locator::new(file);
    for part in locate::parts(file) {
        let lines = (file.line(part.start), 0)..=(file.line(part.end), u32::MAX);
        if questions.range(lines).next().is_none() {
            continue;
        }
        yaml::read(file.format, &file.text, part, &mut |document| {
            let Some(tree) = &document.tree else { return };
            for root in locate::declarations(tree.root()).into_values() {
                let kind = locator.place(root.get("kind").map_or(root.at(), |kind| kind.at()));
                for &number in questions.get(&(kind.line, kind.column)).into_iter().flatten() {
                    let (Some((_, pointer)), Some(answer)) = (asked.get(number), answers.get_mut(number))
                    else {
                        continue;
                    };
                    let (at, length) = locate::point(root, pointer);
                    let place = locator.place(at);
                    let line = file.shown_line(place.line, &Finding::error("", "", at, length));
                    *answer = line.map(|line| (place, line));
                }
            }
        });
    }
}
