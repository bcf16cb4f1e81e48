//! The `search` object of a request, read and checked.

use super::field::Schema;
use super::query::{Compiler, Query};
use super::{MAX_IDS, RESULT_WINDOW, dsl, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

/// The two search engines of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Database,
    Elasticsearch,
}

/// What a search depends on besides its own words.
#[derive(Debug)]
pub struct Context<'a> {
    pub engine: Engine,
    pub schema: &'a Schema,
    /// Milliseconds since the epoch.
    pub now: i64,
    /// `nextResults` exists since 1.48.
    pub next_results: bool,
    /// The request is bound to a tenant by its header or key; then the query must not name `tenantId`.
    pub tenant_scoped: bool,
    /// What field names of errors begin with: `search.` for bodies, nothing for parameters.
    pub prefix: &'static str,
}

/// A search that is refused with 400: a field error `[<kind>]<field>`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("[{kind}]{field}: {message}")]
pub struct SearchError {
    pub kind: &'static str,
    pub field: String,
    pub message: String,
}

/// Which documents, in which order, and how many.
#[derive(Debug, PartialEq)]
pub struct Criteria {
    pub filter: Filter,
    pub sort: Vec<Sort>,
    pub start_row: u64,
    pub number_of_results: u64,
    pub accurate_total: bool,
    /// Continues after the row that a `nextResults` token describes.
    pub after: Option<Vec<Option<Key>>>,
    /// What a token of the next page must repeat; none where the engine or version has no tokens.
    pub source: Option<Source>,
}

#[derive(Debug, PartialEq)]
pub enum Filter {
    /// By id, past the index: neither paged nor sorted.
    Ids(Vec<Uuid>),
    /// What Elasticsearch would match in its index.
    Query(Query),
    /// The database engine's single term, in lower case.
    Term(String),
}

/// One sort field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sort {
    pub name: String,
    pub descending: bool,
    pub missing: Missing,
}

/// Where documents without the field go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Missing {
    First,
    Last,
    /// As if they had this value.
    Value(String),
}

/// A value that is sorted by.
#[derive(Debug, Clone, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Key {
    Number(f64),
    Text(String),
}

/// The query of a page, as its `nextResults` token carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub query: Option<String>,
    pub query_string: Option<String>,
}

/// The content of a `nextResults` token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub source: Source,
    pub sort: Vec<Sort>,
    pub last: Vec<Option<Key>>,
}

impl Token {
    pub fn encode(&self) -> Option<String> {
        serde_json::to_vec(self).ok().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
    }

    fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

impl Criteria {
    /// Reads a `search` object. Unknown members are tolerated, as the server tolerates them.
    pub fn from_json(search: &Map<String, Value>, context: &Context<'_>) -> Result<Self, SearchError> {
        let read = Reader { search, context };
        let number_of_results = read.count("numberOfResults")?.unwrap_or(25);
        let start_row = read.count("startRow")?.unwrap_or(0);
        let accurate_total = read.flag("accurateTotal")?;
        if let Some(token) = read.text("nextResults")? {
            return read.continued(&token, number_of_results, start_row, accurate_total);
        }
        let sort = read.sort_fields()?;
        let (filter, source) = read.filter()?;
        let window = start_row.saturating_add(number_of_results);
        if context.engine == Engine::Elasticsearch
            && window > RESULT_WINDOW
            && !matches!(filter, Filter::Ids(_))
        {
            return Err(read.error(
                "invalid",
                "startRow",
                format!("startRow and numberOfResults reach beyond {RESULT_WINDOW} rows; use nextResults"),
            ));
        }
        let source = source.filter(|_| context.engine == Engine::Elasticsearch && context.next_results);
        Ok(Self { filter, sort, start_row, number_of_results, accurate_total, after: None, source })
    }
}

struct Reader<'a> {
    search: &'a Map<String, Value>,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    fn error(&self, kind: &'static str, field: &str, message: impl Into<String>) -> SearchError {
        SearchError { kind, field: format!("{}{field}", self.context.prefix), message: message.into() }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.search.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<String>, SearchError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.error("couldNotConvert", name, format!("{name} is a string"))),
        }
    }

    fn count(&self, name: &str) -> Result<Option<u64>, SearchError> {
        let bad = |kind| self.error(kind, name, format!("{name} is an integer of 0 or more"));
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(|| bad("invalid")),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| bad("couldNotConvert")),
            Some(_) => Err(bad("couldNotConvert")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, SearchError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(self.error("couldNotConvert", name, format!("{name} is true or false"))),
        }
    }

    /// `ids` goes before `query`, `query` before `queryString` (the documents' order of precedence).
    fn filter(&self) -> Result<(Filter, Option<Source>), SearchError> {
        if self.get("ids").is_some() {
            return self.ids().map(|ids| (Filter::Ids(ids), None));
        }
        let (query, query_string) = (self.text("query")?, self.text("queryString")?);
        if self.context.engine == Engine::Database {
            if query.is_some() {
                return Err(self.error("invalid", "query", "the database search engine takes no query"));
            }
            let term = query_string.unwrap_or_else(|| "*".to_owned());
            return self.term(&term).map(|filter| (filter, None));
        }
        let source = Source { query, query_string };
        let filter = self.compile(&source)?;
        Ok((Filter::Query(filter), Some(source)))
    }

    fn compile(&self, source: &Source) -> Result<Query, SearchError> {
        let compiler = Compiler::new(self.context.schema, self.context.now);
        let (name, compiled, words) = match (&source.query, &source.query_string) {
            (Some(query), _) => ("query", dsl::compile_text(&compiler, query), query.as_str()),
            (None, Some(query)) => ("queryString", text::compile_parameter(&compiler, query), query.as_str()),
            (None, None) => return Ok(Query::All),
        };
        let query = compiled.map_err(|error| self.error("invalid", name, error.0))?;
        if self.context.tenant_scoped && names_tenant(&query) {
            let message = format!("[{words}] names tenantId while the request is bound to a tenant");
            return Err(self.error("invalid", name, message));
        }
        Ok(query)
    }

    /// "No prefix or suffix, no whitespace, no regular expressions" (the documents); `*` alone is everything.
    fn term(&self, term: &str) -> Result<Filter, SearchError> {
        let term = term.trim();
        if term == "*" {
            return Ok(Filter::Term(String::new()));
        }
        if term.is_empty() || term.contains(|c: char| c.is_whitespace() || "*?:\"()[]{}~^".contains(c)) {
            let message = "the database search engine takes a single term, or * for everything";
            return Err(self.error("invalid", "queryString", message));
        }
        Ok(Filter::Term(term.to_lowercase()))
    }

    fn ids(&self) -> Result<Vec<Uuid>, SearchError> {
        let single;
        let values = match self.get("ids") {
            Some(Value::Array(values)) => values.as_slice(),
            Some(other) => {
                single = [other.clone()];
                &single
            }
            None => &[],
        };
        if values.len() > MAX_IDS {
            return Err(self.error("tooMany", "ids", format!("at most {MAX_IDS} ids are allowed")));
        }
        values
            .iter()
            .map(|value| {
                value
                    .as_str()
                    .and_then(|text| Uuid::try_parse(text).ok())
                    .ok_or_else(|| self.error("couldNotConvert", "ids", format!("{value} is not an id")))
            })
            .collect()
    }

    fn sort_fields(&self) -> Result<Vec<Sort>, SearchError> {
        let fields = match self.get("sortFields") {
            None => return Ok(Vec::new()),
            Some(Value::Array(fields)) => fields,
            Some(_) => return Err(self.error("couldNotConvert", "sortFields", "sortFields is an array")),
        };
        fields.iter().enumerate().map(|(place, field)| self.sort_field(place, field)).collect()
    }

    fn sort_field(&self, place: usize, field: &Value) -> Result<Sort, SearchError> {
        let at = |name: &str| format!("sortFields[{place}].{name}");
        let text = |name: &str| field.get(name).filter(|value| !value.is_null()).map(|value| value.as_str());
        let name = match text("name") {
            Some(Some(name)) => name,
            _ => return Err(self.error("blank", &at("name"), "a sort field has a name")),
        };
        let database = self.context.engine == Engine::Database;
        if !self.context.schema.sortable.contains(&name) || (database && name.contains('.')) {
            return Err(self.error("invalid", &at("name"), format!("[{name}] cannot be sorted by")));
        }
        let descending = match text("order") {
            None | Some(Some("asc")) => false,
            Some(Some("desc")) => true,
            Some(_) => return Err(self.error("couldNotConvert", &at("order"), "order is asc or desc")),
        };
        let missing = match text("missing") {
            None | Some(Some("_last")) => Missing::Last,
            Some(Some("_first")) => Missing::First,
            Some(Some(value)) => Missing::Value(value.to_owned()),
            Some(None) => return Err(self.error("couldNotConvert", &at("missing"), "missing is a string")),
        };
        Ok(Sort { name: name.to_owned(), descending, missing })
    }

    /// A token stands alone: no ids, query, queryString or sortFields beside it, and startRow is 0.
    fn continued(
        &self,
        token: &str,
        number_of_results: u64,
        start_row: u64,
        accurate_total: bool,
    ) -> Result<Criteria, SearchError> {
        if self.context.engine == Engine::Database || !self.context.next_results {
            let message = "nextResults needs the Elasticsearch engine and version 1.48";
            return Err(self.error("invalid", "nextResults", message));
        }
        if start_row != 0
            || ["ids", "query", "queryString", "sortFields"].iter().any(|name| self.get(name).is_some())
        {
            let message = "nextResults goes with neither ids, query, queryString, sortFields nor startRow";
            return Err(self.error("invalid", "nextResults", message));
        }
        let bad = || self.error("invalid", "nextResults", "the token is none of this server's");
        let Token { source, sort, last } = Token::decode(token).ok_or_else(bad)?;
        let known = |sort: &Sort| self.context.schema.sortable.contains(&sort.name.as_str());
        if !sort.iter().all(known) {
            return Err(bad());
        }
        let filter = Filter::Query(self.compile(&source)?);
        let (after, source) = (Some(last), Some(source));
        Ok(Criteria { filter, sort, start_row: 0, number_of_results, accurate_total, after, source })
    }
}

fn names_tenant(query: &Query) -> bool {
    match query {
        Query::Field(field, _) => &*field.path == "tenantId",
        Query::Bool { must, should, must_not, .. } => {
            must.iter().chain(should).chain(must_not).any(names_tenant)
        }
        Query::Nested { query, .. } => names_tenant(query),
        _ => false,
    }
}

/// The `search` object that the parameters of a GET stand for: `ids` repeats, sort fields come as
/// `sortFields[0].name`.
pub fn from_parameters<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    let mut search = Map::new();
    let mut sort: Vec<(usize, Map<String, Value>)> = Vec::new();
    for (name, value) in pairs {
        let value_json = Value::from(value);
        if name == "ids" {
            if let Value::Array(ids) = search.entry("ids").or_insert_with(|| Value::Array(Vec::new())) {
                ids.push(value_json);
            }
        } else if let Some((place, member)) = sort_member(name) {
            match sort.iter_mut().find(|(known, _)| *known == place) {
                Some((_, field)) => {
                    field.insert(member.to_owned(), value_json);
                }
                None => sort.push((place, Map::from_iter([(member.to_owned(), value_json)]))),
            }
        } else {
            search.insert(name.to_owned(), value_json);
        }
    }
    if !sort.is_empty() {
        sort.sort_by_key(|(place, _)| *place);
        let fields = sort.into_iter().map(|(_, field)| Value::Object(field)).collect();
        search.insert("sortFields".to_owned(), Value::Array(fields));
    }
    search
}

fn sort_member(name: &str) -> Option<(usize, &str)> {
    let (place, member) = name.strip_prefix("sortFields[")?.split_once("].")?;
    Some((place.parse().ok()?, member))
}
