//! The query string language (Lucene's) as far as it can be answered exactly: fields, phrases, wildcards, ranges,
//! `_exists_`, AND, OR, NOT, `&&`, `||`, `!`, `+`, `-`, groups and escapes. Fuzzy terms, slop and regular expressions
//! are refused.

use super::dsl::range_bound;
use super::field::{Bound, Kind, Pattern, Scalar, Test};
use super::query::{Compiler, Query, QueryError};

/// Compiles the `queryString` parameter with the preprocessing that FusionAuth documents: with a colon it is passed as
/// it is; a single word with an `@` is an e-mail address; any other single word gets `*` on both sides.
pub fn compile_parameter(compiler: &Compiler<'_>, source: &str) -> Result<Query, QueryError> {
    let source = source.trim();
    if source.is_empty() {
        return Err(QueryError::new("the query string is empty"));
    }
    if source.contains(':') || source.contains(char::is_whitespace) {
        return compile(compiler, source, None, false);
    }
    if source.contains('@') {
        return compile(compiler, &format!("email:{source}"), None, false);
    }
    if source.contains(['"', '(', ')', '[', ']', '{', '}', '~', '^', '/']) {
        return compile(compiler, source, None, false);
    }
    let pattern = Pattern::containing(source);
    if pattern.is_everything() { Ok(Query::All) } else { Ok(Query::Everywhere(Test::Wildcard(pattern))) }
}

/// Compiles a whole query string. `all` makes AND the default operator.
pub fn compile(
    compiler: &Compiler<'_>,
    source: &str,
    default_field: Option<&str>,
    all: bool,
) -> Result<Query, QueryError> {
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens: &tokens, at: 0, all };
    let query = parser.clauses(&compiler.deeper()?, default_field)?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(QueryError::new(format!("unexpected {token:?} in the query string"))),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// Text with its escapes still in it.
    Word(String),
    Phrase(String),
    /// A word that ended in a colon.
    Field(String),
    Open,
    Close,
    And,
    Or,
    Not,
    Plus,
    Minus,
    /// `[a TO b}` and `>=a`.
    Range {
        lower: String,
        lower_inclusive: bool,
        upper: String,
        upper_inclusive: bool,
    },
}

fn tokens(source: &str) -> Result<Vec<Token>, QueryError> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let next = chars.get(at + 1).copied();
        at += 1;
        match c {
            c if c.is_whitespace() => {}
            '(' => out.push(Token::Open),
            ')' => out.push(Token::Close),
            '+' => out.push(Token::Plus),
            '-' => out.push(Token::Minus),
            '!' => out.push(Token::Not),
            '&' if next == Some('&') => {
                at += 1;
                out.push(Token::And);
            }
            '|' if next == Some('|') => {
                at += 1;
                out.push(Token::Or);
            }
            '"' => {
                let (text, end) = until(&chars, at, &['"'])?;
                at = end;
                out.push(Token::Phrase(unescape(&text)));
                if matches!(chars.get(at), Some('~')) {
                    return Err(QueryError::new("slop of a phrase is not supported"));
                }
            }
            '[' | '{' => {
                let (text, end) = until(&chars, at, &[']', '}'])?;
                out.push(range(&text, c == '[', chars.get(end - 1) == Some(&']'))?);
                at = end;
            }
            '<' | '>' => {
                let inclusive = next == Some('=');
                let (text, end) = word(&chars, at + usize::from(inclusive));
                at = end;
                out.push(half_range(c, inclusive, text)?);
            }
            '/' => return Err(QueryError::new("regular expressions are not supported")),
            '^' | '~' | ':' | ']' | '}' => {
                return Err(QueryError::new(format!("unexpected [{c}] in the query string")));
            }
            _ => {
                let (text, end) = word(&chars, at - 1);
                at = end;
                match chars.get(at) {
                    Some(':') => {
                        at += 1;
                        out.push(Token::Field(unescape(&text)));
                    }
                    Some('^' | '~') => {
                        return Err(QueryError::new("boosts and fuzzy terms are not supported"));
                    }
                    _ => out.push(match text.as_str() {
                        "AND" => Token::And,
                        "OR" => Token::Or,
                        "NOT" => Token::Not,
                        _ => Token::Word(text),
                    }),
                }
            }
        }
    }
    Ok(out)
}

/// A run of characters that need no escape, with escapes left in place.
fn word(chars: &[char], from: usize) -> (String, usize) {
    let mut text = String::new();
    let mut at = from;
    while let Some(c) = chars.get(at) {
        if c.is_whitespace() || matches!(c, '(' | ')' | '"' | ':' | '^' | '~' | '[' | ']' | '{' | '}') {
            break;
        }
        text.push(*c);
        at += 1;
        if *c == '\\' {
            text.extend(chars.get(at));
            at += 1;
        }
    }
    (text, at)
}

/// Text up to one of the closing characters, and the place after it.
fn until(chars: &[char], from: usize, close: &[char]) -> Result<(String, usize), QueryError> {
    let mut text = String::new();
    let mut at = from;
    while let Some(c) = chars.get(at) {
        at += 1;
        if close.contains(c) {
            return Ok((text, at));
        }
        text.push(*c);
        if *c == '\\' {
            text.extend(chars.get(at));
            at += 1;
        }
    }
    Err(QueryError::new("the query string ends inside quotes or a range"))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

fn range(text: &str, lower_inclusive: bool, upper_inclusive: bool) -> Result<Token, QueryError> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    match parts.as_slice() {
        [lower, "TO", upper] => Ok(Token::Range {
            lower: unescape(lower.trim_matches('"')),
            lower_inclusive,
            upper: unescape(upper.trim_matches('"')),
            upper_inclusive,
        }),
        _ => Err(QueryError::new("a range is written [a TO b]")),
    }
}

fn half_range(sign: char, inclusive: bool, text: String) -> Result<Token, QueryError> {
    if text.is_empty() {
        return Err(QueryError::new("a comparison has no value"));
    }
    let (value, open) = (unescape(&text), "*".to_owned());
    Ok(if sign == '>' {
        Token::Range { lower: value, lower_inclusive: inclusive, upper: open, upper_inclusive: true }
    } else {
        Token::Range { lower: open, lower_inclusive: true, upper: value, upper_inclusive: inclusive }
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    all: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    /// Clauses up to the end or a closing bracket, with Lucene's reading of AND and OR: AND makes the clauses on both
    /// of its sides required, and where anything is required, the optional clauses no longer decide.
    fn clauses(&mut self, compiler: &Compiler<'_>, field: Option<&str>) -> Result<Query, QueryError> {
        let mut clauses: Vec<(Occur, Query)> = Vec::new();
        loop {
            let (and, or) = (self.take(&Token::And), self.take(&Token::Or));
            if (and || or) && (clauses.is_empty() || (and && or)) {
                return Err(QueryError::new("AND or OR stands without a clause before it"));
            }
            let (negated, plus) = self.modifiers();
            if matches!(self.peek(), None | Some(Token::Close)) {
                if and || or || negated || plus {
                    return Err(QueryError::new("an operator stands without a clause after it"));
                }
                break;
            }
            if and
                && let Some((occur, _)) = clauses.last_mut()
                && *occur == Occur::Should
            {
                *occur = Occur::Must;
            }
            if or
                && self.all
                && let Some((occur, _)) = clauses.last_mut()
                && *occur == Occur::Must
            {
                *occur = Occur::Should;
            }
            let query = self.clause(compiler, field)?;
            let occur = match (negated, plus || and || (self.all && !or)) {
                (true, _) => Occur::MustNot,
                (false, true) => Occur::Must,
                (false, false) => Occur::Should,
            };
            clauses.push((occur, query));
        }
        combine(clauses)
    }

    fn modifiers(&mut self) -> (bool, bool) {
        let negated = self.take(&Token::Not) || self.take(&Token::Minus);
        (negated, !negated && self.take(&Token::Plus))
    }

    fn clause(&mut self, compiler: &Compiler<'_>, field: Option<&str>) -> Result<Query, QueryError> {
        let token = self.peek().cloned().ok_or_else(|| QueryError::new("the query string ends too early"))?;
        self.at += 1;
        match token {
            Token::Field(name) => self.scoped(compiler, &name),
            Token::Open => self.group(compiler, field),
            Token::Phrase(text) => leaf(compiler, field, Test::Phrase { text, prefix: false }),
            Token::Word(first) if field.is_none() && !has_wildcard(&first) => {
                let text = self.run_of_words(first);
                word_query(compiler, None, &text, self.all)
            }
            Token::Word(text) => word_query(compiler, field, &text, self.all),
            Token::Range { .. } => range_query(compiler, field, &token),
            other => Err(QueryError::new(format!("unexpected {other:?} in the query string"))),
        }
    }

    /// Plain words that follow each other without operators are analysed together.
    fn run_of_words(&mut self, first: String) -> String {
        let mut text = first;
        while let Some(Token::Word(next)) = self.peek() {
            if has_wildcard(next) || matches!(self.tokens.get(self.at + 1), Some(Token::And | Token::Or)) {
                break;
            }
            text.push(' ');
            text.push_str(next);
            self.at += 1;
        }
        text
    }

    fn scoped(&mut self, compiler: &Compiler<'_>, name: &str) -> Result<Query, QueryError> {
        if name == "_exists_" {
            return match self.peek().cloned() {
                Some(Token::Word(path)) => {
                    self.at += 1;
                    compiler.exists(&unescape(&path))
                }
                _ => Err(QueryError::new("_exists_ names a field")),
            };
        }
        if name == "*" {
            return if self.take(&Token::Word("*".to_owned())) {
                Ok(Query::All)
            } else {
                self.clause(compiler, None)
            };
        }
        compiler.field(name)?;
        if self.take(&Token::Open) {
            return self.group(compiler, Some(name));
        }
        if matches!(self.peek(), Some(Token::Minus)) {
            return Err(QueryError::new("a value that begins with - is escaped or quoted"));
        }
        if self.take(&Token::Plus) {
            // `phoneNumber:+1303…` is read as its digits would be: the plus sign belongs to the value.
            if let Some(Token::Word(text)) = self.peek().cloned() {
                self.at += 1;
                return word_query(compiler, Some(name), &format!("\\+{text}"), self.all);
            }
        }
        self.clause(compiler, Some(name))
    }

    fn group(&mut self, compiler: &Compiler<'_>, field: Option<&str>) -> Result<Query, QueryError> {
        let query = self.clauses(&compiler.deeper()?, field)?;
        if self.take(&Token::Close) { Ok(query) } else { Err(QueryError::new("a bracket is not closed")) }
    }
}

fn combine(clauses: Vec<(Occur, Query)>) -> Result<Query, QueryError> {
    let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
    for (occur, query) in clauses {
        match occur {
            Occur::Must => must.push(query),
            Occur::Should => should.push(query),
            Occur::MustNot => must_not.push(query),
        }
    }
    if must.is_empty() && must_not.is_empty() && should.len() == 1 {
        return should.pop().ok_or_else(|| QueryError::new("the group is empty"));
    }
    if must.is_empty() && must_not.is_empty() && should.is_empty() {
        return Err(QueryError::new("the query string has an empty group"));
    }
    let minimum_should = usize::from(must.is_empty() && !should.is_empty());
    Ok(Query::Bool { must, should, must_not, minimum_should })
}

fn has_wildcard(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' => return true,
            _ => {}
        }
    }
    false
}

fn word_query(
    compiler: &Compiler<'_>,
    field: Option<&str>,
    text: &str,
    all: bool,
) -> Result<Query, QueryError> {
    if has_wildcard(text) {
        let pattern = Pattern::new(text);
        return match field {
            Some(field) => compiler.wildcard(field, pattern),
            None if pattern.is_everything() => Ok(Query::All),
            None => Ok(Query::Everywhere(Test::Wildcard(pattern))),
        };
    }
    leaf(compiler, field, Test::Match { value: Scalar::Text(unescape(text)), all })
}

fn leaf(compiler: &Compiler<'_>, field: Option<&str>, test: Test) -> Result<Query, QueryError> {
    match (field, test) {
        (Some(field), Test::Phrase { text, .. })
            if matches!(compiler.field(field)?.kind, Kind::Boolean | Kind::Instant | Kind::Date) =>
        {
            compiler.test(field, Test::Match { value: Scalar::Text(text), all: true })
        }
        (Some(field), test) => compiler.test(field, test),
        (None, test) => Ok(Query::Everywhere(test)),
    }
}

fn range_query(compiler: &Compiler<'_>, field: Option<&str>, token: &Token) -> Result<Query, QueryError> {
    let (Some(field), Token::Range { lower, lower_inclusive, upper, upper_inclusive }) = (field, token)
    else {
        return Err(QueryError::new("a range needs a field"));
    };
    let kind = compiler.field(field)?.kind;
    let bound = |text: &str, inclusive: bool| -> Result<Option<Bound>, QueryError> {
        if text == "*" {
            return Ok(None);
        }
        range_bound(compiler, kind, &Scalar::Text(text.to_owned()), inclusive).map(Some)
    };
    let (lower, upper) = (bound(lower, *lower_inclusive)?, bound(upper, *upper_inclusive)?);
    if lower.is_none() && upper.is_none() {
        return compiler.exists(field);
    }
    compiler.test(field, Test::Range { lower, upper })
}
