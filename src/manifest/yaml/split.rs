//! Where the documents of a YAML file begin, without parsing: so that they can be read in parallel, and so that
//! reading goes on at the next `---` line after a syntax error.

use std::ops::Range;

/// Splits a YAML text at its `---` lines. Directives (`%YAML`, `%TAG`) stay with the document that follows them.
pub fn split(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    // Where the directives, comments and blank lines before a document begin, when there is nothing else there.
    let mut prologue = Some(0);
    let mut directives = false;
    let mut line = 0;
    while line < bytes.len() {
        let rest = bytes.get(line..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        let content = rest.get(..length).unwrap_or_default();
        if is_marker(content, b"---") {
            let begin = prologue.filter(|_| directives).unwrap_or(line);
            if begin > start {
                parts.push(start..begin);
                start = begin;
            }
            prologue = None;
            directives = false;
        } else if is_marker(content, b"...") {
            prologue = Some(line + length);
            directives = false;
        } else if content.first() == Some(&b'%') {
            directives = prologue.is_some();
        } else if !is_blank(content) {
            prologue = None;
        }
        line += length;
    }
    parts.push(start..bytes.len());
    parts
}

fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n')))
}

fn is_blank(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let mut rest = line.iter().skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    matches!(rest.next(), None | Some(b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|part| &text[part]).collect()
    }

    #[test]
    fn documents_begin_at_marker_lines() {
        assert_eq!(parts("a: 1\n---\nb: 2\n--- # c\nd: 3"), ["a: 1\n", "---\nb: 2\n", "--- # c\nd: 3"]);
        assert_eq!(parts("a: ---\n----\n ---\n"), ["a: ---\n----\n ---\n"]);
        assert_eq!(parts("---\r\na: 1\r\n---\r\n"), ["---\r\na: 1\r\n", "---\r\n"]);
        assert_eq!(parts(""), [""]);
    }

    #[test]
    fn directives_stay_with_their_document() {
        assert_eq!(
            parts("%YAML 1.2\n---\na: 1\n...\n# c\n%YAML 1.2\n---\nb: 2\n"),
            ["%YAML 1.2\n---\na: 1\n...\n", "# c\n%YAML 1.2\n---\nb: 2\n"]
        );
        // Text that only looks like a directive stays where it is.
        assert_eq!(parts("a: |\n  x\n%b\n---\nc: 1\n"), ["a: |\n  x\n%b\n", "---\nc: 1\n"]);
    }
}
