//! Which parts of a file's lines may hold secrets, judged by the text alone: what is wrong may be the very syntax, and
//! a source line must not show the secret next to the error.

/// Words that make a key secret, in lower case.
const SECRET_WORDS: &[&str] = &[
    "pass",
    "pasw",
    "pwd",
    "secret",
    "token",
    "salt",
    "apikey",
    "runnerkey",
    "credential",
    "privatekey",
    "pendinglink",
];
/// Keys that have such a word and hold no secret.
const PUBLIC_KEYS: &[&str] = &["passwordchangerequired", "sendsetpasswordidentitytype", "tokens"];

const NOTHING: u32 = u32::MAX;

/// For each of `count` lines the column, in bytes from 0, from which on it may hold a secret; `u32::MAX` for none.
pub fn columns<'t>(count: usize, line: impl Fn(u32) -> &'t str) -> Vec<u32> {
    let mut columns = Vec::with_capacity(count);
    let mut region = Region::default();
    let mut document = 0;
    let mut holds_secrets = false;
    for number in 1..=u32::try_from(count).unwrap_or(u32::MAX) {
        let text = line(number);
        if text.starts_with("---") {
            if holds_secrets {
                hide_document(&mut columns, document, &line);
            }
            (document, holds_secrets, region) = (columns.len(), false, Region::default());
        }
        holds_secrets |= is_kind_secret(text);
        columns.push(region.column(text));
    }
    if holds_secrets {
        hide_document(&mut columns, document, &line);
    }
    columns
}

/// In a document with a `v1/Secret` everything behind a key is hidden, and lines without one whole.
fn hide_document<'t>(columns: &mut [u32], from: usize, line: &impl Fn(u32) -> &'t str) {
    for (index, column) in columns.iter_mut().enumerate().skip(from) {
        let text = line(u32::try_from(index + 1).unwrap_or(u32::MAX));
        let key = text.find(':').map_or(0, |colon| colon + 1);
        *column = (*column).min(u32::try_from(key).unwrap_or(NOTHING));
    }
}

fn is_kind_secret(text: &str) -> bool {
    text.match_indices("kind").any(|(at, word)| {
        let rest = text.get(at + word.len()..).unwrap_or_default().trim_start_matches(['"', '\'', ' ']);
        let value = rest.strip_prefix(':').map(|value| value.trim_start_matches(['"', '\'', ' ', '!']));
        value.is_some_and(|value| value.starts_with("Secret"))
    })
}

/// What a secret key governs: the rest of its line, and the lines below that are indented more.
#[derive(Default)]
struct Region {
    /// The indentation of the key.
    key: Option<usize>,
    /// The quote that the value left open at the end of the last line.
    open_quote: Option<char>,
}

impl Region {
    fn column(&mut self, text: &str) -> u32 {
        let indentation = text.len() - text.trim_start_matches([' ', '\t', '-']).len();
        let blank = text.trim().is_empty();
        if let Some(quote) = self.open_quote {
            let closed = text.find(quote).is_some();
            if closed {
                self.open_quote = None;
            }
            return 0;
        }
        if let Some(key) = self.key {
            if blank || indentation > key {
                return 0;
            }
            self.key = None;
        }
        match secret_key(text) {
            Some((start, end)) => {
                self.key = Some(start);
                let value = text.get(end..).unwrap_or_default().trim();
                self.open_quote =
                    ['"', '\''].into_iter().find(|quote| value.matches(*quote).count() % 2 == 1);
                u32::try_from(end).unwrap_or(NOTHING)
            }
            None => NOTHING,
        }
    }
}

/// The first secret key of a line: where it begins, and where its value may begin.
fn secret_key(text: &str) -> Option<(usize, usize)> {
    text.match_indices(':').find_map(|(colon, _)| {
        let before = text.get(..colon)?.trim_end_matches([' ', '"', '\'']);
        let word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
        let start = before.trim_end_matches(word).len();
        let key: String = before
            .get(start..)?
            .chars()
            .filter(|character| character.is_alphanumeric())
            .collect::<String>()
            .to_lowercase();
        let secret =
            SECRET_WORDS.iter().any(|word| key.contains(word)) && !PUBLIC_KEYS.contains(&key.as_str());
        secret.then_some((start, colon + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let lines: Vec<&str> = text.lines().collect();
        let columns = columns(lines.len(), |line| lines[line as usize - 1]);
        lines
            .iter()
            .zip(columns)
            .map(|(line, column)| line[..line.len().min(column as usize)].to_owned())
            .collect()
    }

    #[test]
    fn what_stands_under_a_secret_key_is_hidden() {
        assert_eq!(shown("a: b\npassword: hunter2\nc: d"), ["a: b", "password:", "c: d"]);
        assert_eq!(
            shown("x:\n  clientSecret: |\n    one\n\n    two\n  y: z"),
            ["x:", "  clientSecret:", "", "", "", "  y: z"]
        );
        assert_eq!(shown("{a: 1, \"password\": \"x\", c: 2}"), ["{a: 1, \"password\":"]);
        assert_eq!(shown("passwordChangeRequired: true"), ["passwordChangeRequired: true"]);
        assert_eq!(shown("password: \"one\ntwo\"\nc: d"), ["password:", "", "c: d"]);
    }

    #[test]
    fn secret_documents_are_hidden_whole() {
        let text = "a: b\n---\ndata:\n  x: aGk=\n  y\nkind: Secret\n---\nc: d";
        assert_eq!(shown(text), ["a: b", "", "data:", "  x:", "", "kind:", "---", "c: d"]);
        assert_eq!(shown("{\"kind\": \"Secret\", \"data\": {}}"), ["{\"kind\":"]);
    }
}
