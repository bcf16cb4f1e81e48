//! A compiled search and what it matches.

use super::field::{Document, Kind, Pattern, Schema, Test};
use std::collections::HashSet;
use thiserror::Error;
use uuid::Uuid;

/// A search that cannot be run here. It is answered with 400 and never with an empty result (wire notes §13).
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct QueryError(pub String);

impl QueryError {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A field of the schema with its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub path: Box<str>,
    pub kind: Kind,
}

/// What documents are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    All,
    None,
    /// By document id.
    Ids(HashSet<Uuid>),
    /// A value of the field passes the test.
    Field(Field, Test),
    /// Any value at or below the path exists.
    Path(Box<str>),
    /// A value of any field passes the test.
    Everywhere(Test),
    Bool {
        must: Vec<Query>,
        should: Vec<Query>,
        must_not: Vec<Query>,
        minimum_should: usize,
    },
    /// One object under the path matches by itself.
    Nested {
        path: Box<str>,
        query: Box<Query>,
    },
}

impl Query {
    pub fn matches(&self, id: Uuid, document: &dyn Document) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Ids(ids) => ids.contains(&id),
            Self::Field(field, test) => {
                document.any(&field.path, &mut |datum| test.passes(field.kind, &datum))
            }
            Self::Path(path) => document.any(path, &mut |_| true) || document.any_nested(path, &mut |_| true),
            Self::Everywhere(test) => document.any_everywhere(&mut |kind, datum| test.passes(kind, &datum)),
            Self::Bool { must, should, must_not, minimum_should } => {
                must.iter().all(|query| query.matches(id, document))
                    && !must_not.iter().any(|query| query.matches(id, document))
                    && (*minimum_should == 0
                        || should
                            .iter()
                            .filter(|query| query.matches(id, document))
                            .take(*minimum_should)
                            .count()
                            == *minimum_should)
            }
            Self::Nested { path, query } => document.any_nested(path, &mut |inner| query.matches(id, inner)),
        }
    }
}

/// What both query languages need while they compile.
#[derive(Debug)]
pub struct Compiler<'a> {
    pub schema: &'a Schema,
    /// Milliseconds since the epoch, for `now` in ranges.
    pub now: i64,
    /// The nested path around the part that is being compiled.
    pub within: Option<&'a str>,
    /// How deep the part stands; bounded, for the compiler recurses.
    pub depth: usize,
}

/// Nesting of a query beyond which it is refused.
pub const MAX_DEPTH: usize = 40;

impl<'a> Compiler<'a> {
    pub fn new(schema: &'a Schema, now: i64) -> Self {
        Self { schema, now, within: None, depth: 0 }
    }

    pub fn deeper(&self) -> Result<Compiler<'a>, QueryError> {
        if self.depth >= MAX_DEPTH {
            return Err(QueryError::new("the query is nested too deeply"));
        }
        Ok(Compiler { depth: self.depth + 1, ..*self })
    }

    pub fn field(&self, path: &str) -> Result<Field, QueryError> {
        match self.schema.kind(path, self.within) {
            Some(kind) => Ok(Field { path: path.into(), kind }),
            None if self.schema.nested.iter().any(|nested| path.starts_with(&format!("{nested}."))) => {
                Err(QueryError::new(format!(
                    "the field [{path}] is of a nested type; use a [nested] query for it"
                )))
            }
            None => Err(QueryError::new(format!("the index has no field [{path}] here"))),
        }
    }

    /// Whether the field has any value.
    pub fn exists(&self, path: &str) -> Result<Query, QueryError> {
        match self.schema.kind(path, self.within) {
            Some(kind) => Ok(Query::Field(Field { path: path.into(), kind }, Test::Exists)),
            None if self.schema.has_path(path, self.within) => Ok(Query::Path(path.into())),
            None => Err(QueryError::new(format!("the index has no field [{path}] here"))),
        }
    }

    /// A test on a field, after a check that the field's kind can pass it at all.
    pub fn test(&self, path: &str, test: Test) -> Result<Query, QueryError> {
        let field = self.field(path)?;
        check(&field, &test)?;
        Ok(Query::Field(field, test))
    }

    /// A wildcard on a field; `*` alone asks whether there is a value.
    pub fn wildcard(&self, path: &str, pattern: Pattern) -> Result<Query, QueryError> {
        if pattern.is_everything() { self.exists(path) } else { self.test(path, Test::Wildcard(pattern)) }
    }
}

/// The index refuses what cannot be read as the field's type.
fn check(field: &Field, test: &Test) -> Result<(), QueryError> {
    let wrong = |text: &str| Err(QueryError::new(format!("the field [{}] takes {text}", field.path)));
    match (field.kind, test) {
        (_, Test::Exists) | (Kind::Exact | Kind::Text | Kind::Dynamic | Kind::Keyword, _) => Ok(()),
        (Kind::Boolean, Test::Term { value, .. } | Test::Match { value, .. }) => match value {
            super::field::Scalar::Boolean(_) => Ok(()),
            super::field::Scalar::Text(text) if text == "true" || text == "false" => Ok(()),
            _ => wrong("true or false"),
        },
        (Kind::Instant, Test::Term { value, .. } | Test::Match { value, .. }) => {
            if value.number().is_some() {
                Ok(())
            } else {
                wrong("a number")
            }
        }
        (Kind::Date, Test::Term { .. } | Test::Match { .. }) => Ok(()),
        (Kind::Instant | Kind::Date, Test::Range { .. }) => Ok(()),
        (Kind::Boolean, _) => wrong("true or false"),
        _ => wrong("whole values and ranges only"),
    }
}
