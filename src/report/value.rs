//! Values as text.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::escape::{one_line, visible};

/// A value on one line, as JSON.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", one_line(text).replace('"', "\\\"")),
        other => one_line(&other.to_string()),
    }
}

/// Text that is better shown line by line.
pub(super) fn is_long(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim_end_matches('\n').contains('\n'))
}

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DiffLine {
    Removed(String),
    Added(String),
    Kept(String),
    /// Lines that did not change and are left out.
    Gap(usize),
}

/// Lines of context around each change.
const CONTEXT: usize = 3;

/// The difference of two texts, line by line, with context.
pub(super) fn line_diff(before: &str, after: &str) -> Vec<DiffLine> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    let mut shown_to = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let start = group.first().map_or(shown_to, |op| op.old_range().start);
        if start > shown_to {
            lines.push(DiffLine::Gap(start - shown_to));
        }
        for op in &group {
            for change in diff.iter_changes(op) {
                let text = visible(change.value().trim_end_matches(['\n', '\r'])).into_owned();
                lines.push(match change.tag() {
                    ChangeTag::Delete => DiffLine::Removed(text),
                    ChangeTag::Insert => DiffLine::Added(text),
                    ChangeTag::Equal => DiffLine::Kept(text),
                });
            }
            shown_to = op.old_range().end;
        }
    }
    let total = before.lines().count();
    if total > shown_to && !lines.is_empty() {
        lines.push(DiffLine::Gap(total - shown_to));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_shown_with_context() {
        let before: String = (0..20).map(|number| format!("line {number}\n")).collect();
        let after = before.replace("line 10\n", "line ten\n");
        let lines = line_diff(&before, &after);
        assert_eq!(lines.first(), Some(&DiffLine::Gap(7)));
        assert!(lines.contains(&DiffLine::Removed("line 10".into())));
        assert!(lines.contains(&DiffLine::Added("line ten".into())));
        assert_eq!(lines.last(), Some(&DiffLine::Gap(6)));
        assert_eq!(lines.len(), 2 + 2 + 6);
    }

    #[test]
    fn strings_stay_on_one_line() {
        assert_eq!(inline(&Value::from("a\n\"b\"\u{1b}")), "\"a\\n\\\"b\\\"\\u{1b}\"");
    }
}
