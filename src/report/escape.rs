//! Makes hostile text harmless: for a terminal, and for a Markdown comment.

use std::borrow::Cow;
use std::fmt::Write;

/// Text without characters that a terminal or a reader would be deceived by: control characters (but for line
/// feeds and tabs) and the characters that reorder or hide text. Each shows as `\u{…}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_deceptive(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// As [`visible`], and on one line.
pub(super) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

fn is_deceptive(character: char) -> bool {
    (character.is_control() && character != '\n' && character != '\t')
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text as a piece of Markdown that is neither markup nor mention nor link, in a table cell or elsewhere. Plain
/// words become a code span; anything else becomes `<code>` with each sign as a character reference, which no
/// reader of Markdown takes for markup and in which no mention is looked for.
pub(super) fn markdown_code(text: &str) -> String {
    let text = one_line(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" ./-_:,()[]+=%".contains(&byte);
    if !text.is_empty() && text.trim() == text && text.bytes().all(plain) {
        return format!("`{text}`");
    }
    let mut code = String::from("<code>");
    for character in text.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && character != ' ' {
            // Writing to a String cannot fail.
            let _ = write!(code, "&#{};", u32::from(character));
        } else {
            code.push(character);
        }
    }
    code.push_str("</code>");
    code
}

/// A sentence of ours that may quote input: every sign that Markdown, HTML or a mention could use is made
/// harmless, the words stay.
pub(super) fn markdown_text(text: &str) -> String {
    let text = one_line(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // A zero-width joiner keeps the sign and ends the mention, which is looked for after rendering.
            '@' => escaped.push_str("@\u{2060}"),
            '#' => escaped.push_str("&#35;\u{2060}"),
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '!' | '\\' | '~' | '$' | '(' | ')'
            | '{' | '}' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    // Links without markup: the word joiner after a colon or "www." keeps them text.
    escaped.replace("://", ":\u{2060}//").replace("www.", "www\u{2060}.")
}

/// A fenced block that nothing in `content` can close.
pub(super) fn fenced(language: &str, content: &str) -> String {
    let content = visible(content);
    let mut longest = 0;
    let mut run = 0;
    for character in content.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    let newline = if content.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{content}{newline}{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_reordering_characters_show() {
        assert_eq!(visible("a\u{1b}[31mred"), "a\\u{1b}[31mred");
        assert_eq!(visible("user\u{202e}nimda"), "user\\u{202e}nimda");
        assert_eq!(visible("zürich\n\tok"), "zürich\n\tok");
    }

    #[test]
    fn a_fence_cannot_be_closed_from_within() {
        let block = fenced("diff", "a\n````\n<script>\n");
        assert!(block.starts_with("`````diff\n") && block.ends_with("\n`````\n"), "{block}");
    }

    #[test]
    fn code_has_no_markup() {
        assert_eq!(markdown_code("User/richard"), "`User/richard`");
        let code = markdown_code("a|b`c`@everyone<img src=x>\n#1");
        let inner = code.strip_prefix("<code>").and_then(|code| code.strip_suffix("</code>")).unwrap();
        assert!(!inner.contains(['|', '`', '@', '<', '>', '\n', '*']), "{code}");
    }

    #[test]
    fn sentences_have_no_mentions_or_tables() {
        let text = markdown_text("see @admins | <b>https://evil.example</b> #12 `x` www.evil.example");
        assert!(!text.contains("@a") && !text.contains('|') && !text.contains('<') && !text.contains('`'));
        assert!(!text.contains("://") && !text.contains("www."));
    }
}
