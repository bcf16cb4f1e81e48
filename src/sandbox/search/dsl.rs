//! The Elasticsearch query language (JSON) as far as FusionAuth's documents use it; anything else is refused.

use super::field::{Bound, Kind, Pattern, Scalar, Test};
use super::query::{Compiler, Query, QueryError};
use super::text;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Compiles a query given as the JSON text of the `query` parameter.
pub fn compile_text(compiler: &Compiler<'_>, source: &str) -> Result<Query, QueryError> {
    let value: Value = serde_json::from_str(source)
        .map_err(|error| QueryError::new(format!("the query is not valid JSON: {error}")))?;
    compile(compiler, &value)
}

/// Compiles one query object: a single key that names its type.
pub fn compile(compiler: &Compiler<'_>, value: &Value) -> Result<Query, QueryError> {
    let inner = compiler.deeper()?;
    let (name, body) = single(value, "a query")?;
    match name {
        "match_all" => options(body, name, &["boost"]).map(|_| Query::All),
        "match_none" => options(body, name, &["boost"]).map(|_| Query::None),
        "bool" => compile_bool(&inner, body),
        "constant_score" => {
            let body = options(body, name, &["filter", "boost"])?;
            compile(&inner, required(body, name, "filter")?)
        }
        "nested" => compile_nested(&inner, body),
        "ids" => compile_ids(body),
        "exists" => {
            let body = options(body, name, &["field", "boost"])?;
            inner.exists(text_of(required(body, name, "field")?, "exists.field")?)
        }
        "match" => compile_match(&inner, body),
        "match_phrase" => compile_phrase(&inner, body, name, false),
        "match_phrase_prefix" => compile_phrase(&inner, body, name, true),
        "multi_match" => compile_multi_match(&inner, body),
        "term" => {
            let (field, value, options) = field_value(body, name, "value", &["case_insensitive", "boost"])?;
            let ignore_case = flag(options, "case_insensitive")?;
            inner.test(field, Test::Term { value: scalar(value, name)?, ignore_case })
        }
        "terms" => compile_terms(&inner, body),
        "prefix" => {
            let (field, value, options) =
                field_value(body, name, "value", &["case_insensitive", "boost", "rewrite"])?;
            let text = text_of(value, name)?.to_owned();
            inner.test(field, Test::Prefix { text, ignore_case: flag(options, "case_insensitive")? })
        }
        "wildcard" => compile_wildcard(&inner, body),
        "range" => compile_range(&inner, body),
        "query_string" => compile_query_string(&inner, body),
        _ => Err(QueryError::new(format!("the query type [{name}] is not supported"))),
    }
}

fn compile_bool(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let body =
        options(body, "bool", &["must", "filter", "should", "must_not", "minimum_should_match", "boost"])?;
    let clauses = |key: &str| -> Result<Vec<Query>, QueryError> {
        let mut out = Vec::new();
        body.get(key).map_or(Ok(()), |value| collect_clauses(compiler, value, &mut out))?;
        Ok(out)
    };
    let mut must = clauses("must")?;
    must.extend(clauses("filter")?);
    let should = clauses("should")?;
    let must_not = clauses("must_not")?;
    let minimum_should = match body.get("minimum_should_match") {
        None if must.is_empty() && !should.is_empty() => 1,
        None => 0,
        Some(value) => {
            let number = match value {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            let total = i64::try_from(should.len()).unwrap_or(i64::MAX);
            match number {
                Some(number) if number < 0 => usize::try_from(total + number).unwrap_or(0),
                Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
                None => return Err(QueryError::new("minimum_should_match takes an integer here")),
            }
        }
    };
    Ok(Query::Bool { must, should, must_not, minimum_should })
}

/// One clause, a list of clauses, or a list in a list, which FusionAuth's own role example has.
fn collect_clauses(compiler: &Compiler<'_>, value: &Value, out: &mut Vec<Query>) -> Result<(), QueryError> {
    let compiler = compiler.deeper()?;
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect_clauses(&compiler, item, out)),
        _ => {
            out.push(compile(&compiler, value)?);
            Ok(())
        }
    }
}

fn compile_nested(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let body = options(body, "nested", &["path", "query", "score_mode", "ignore_unmapped", "boost"])?;
    let path = text_of(required(body, "nested", "path")?, "nested.path")?;
    if compiler.within.is_some() || !compiler.schema.nested.contains(&path) {
        return Err(QueryError::new(format!("[nested] failed to find nested object under path [{path}]")));
    }
    let inner = Compiler { within: Some(path), ..*compiler };
    let query = compile(&inner, required(body, "nested", "query")?)?;
    Ok(Query::Nested { path: path.into(), query: Box::new(query) })
}

fn compile_ids(body: &Value) -> Result<Query, QueryError> {
    let body = options(body, "ids", &["values", "boost"])?;
    let values = match required(body, "ids", "values")? {
        Value::Array(values) => values.as_slice(),
        single => std::slice::from_ref(single),
    };
    values
        .iter()
        .map(|value| {
            let text = text_of(value, "ids.values")?;
            Uuid::parse_str(text).map_err(|_| QueryError::new(format!("[{text}] is not an id")))
        })
        .collect::<Result<_, _>>()
        .map(Query::Ids)
}

fn compile_match(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let (field, value, options) =
        field_value(body, "match", "query", &["operator", "lenient", "boost", "minimum_should_match"])?;
    if options.and_then(|map| map.get("minimum_should_match")).is_some_and(|value| value != &Value::from(1)) {
        return Err(QueryError::new("minimum_should_match of a [match] query takes 1 here"));
    }
    let test = Test::Match { value: scalar(value, "match")?, all: operator(options, "operator")? };
    compiler.test(field, test)
}

fn compile_phrase(
    compiler: &Compiler<'_>,
    body: &Value,
    name: &str,
    prefix: bool,
) -> Result<Query, QueryError> {
    let (field, value, _) = field_value(body, name, "query", &["boost"])?;
    match scalar(value, name)? {
        Scalar::Text(text) => compiler.test(field, Test::Phrase { text, prefix }),
        value => compiler.test(field, Test::Match { value, all: true }),
    }
}

fn compile_multi_match(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let body = options(body, "multi_match", &["query", "fields", "operator", "type", "boost", "lenient"])?;
    match body.get("type").and_then(Value::as_str) {
        None | Some("best_fields" | "most_fields") => {}
        Some(other) => {
            return Err(QueryError::new(format!("the multi_match type [{other}] is not supported")));
        }
    }
    let value = scalar(required(body, "multi_match", "query")?, "multi_match")?;
    let all = operator(Some(body), "operator")?;
    let Some(Value::Array(fields)) = body.get("fields") else {
        return Err(QueryError::new("[multi_match] requires fields"));
    };
    let should = fields
        .iter()
        .map(|field| {
            let field = text_of(field, "multi_match.fields")?;
            let name = field.split('^').next().unwrap_or(field);
            compiler.test(name, Test::Match { value: value.clone(), all })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Query::Bool { must: Vec::new(), should, must_not: Vec::new(), minimum_should: 1 })
}

fn compile_terms(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let body = object(body, "terms")?;
    let mut fields = body.iter().filter(|(key, _)| key.as_str() != "boost");
    let (Some((field, Value::Array(values))), None) = (fields.next(), fields.next()) else {
        return Err(QueryError::new("[terms] takes one field with a list of values"));
    };
    let should = values
        .iter()
        .map(|value| compiler.test(field, Test::Term { value: scalar(value, "terms")?, ignore_case: false }))
        .collect::<Result<Vec<_>, _>>()?;
    compiler.field(field)?;
    Ok(Query::Bool { must: Vec::new(), should, must_not: Vec::new(), minimum_should: 1 })
}

fn compile_wildcard(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let (name, inner) = single(body, "[wildcard]")?;
    let value = match inner {
        Value::Object(map) => {
            let map =
                allowed(map, "wildcard", &["value", "wildcard", "case_insensitive", "boost", "rewrite"])?;
            map.get("value")
                .or_else(|| map.get("wildcard"))
                .ok_or_else(|| QueryError::new("[wildcard] requires value"))?
        }
        other => other,
    };
    compiler.wildcard(name, Pattern::new(text_of(value, "wildcard")?))
}

fn compile_range(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let (field, bounds) = single(body, "[range]")?;
    let bounds = options(bounds, "range", &["gt", "gte", "lt", "lte", "boost", "relation"])?;
    let kind = compiler.field(field)?.kind;
    let bound = |open: &str, closed: &str| -> Result<Option<Bound>, QueryError> {
        match (bounds.get(open), bounds.get(closed)) {
            (Some(_), Some(_)) => Err(QueryError::new(format!("[range] has both {open} and {closed}"))),
            (Some(value), None) => range_bound(compiler, kind, &scalar(value, "range")?, false).map(Some),
            (None, Some(value)) => range_bound(compiler, kind, &scalar(value, "range")?, true).map(Some),
            (None, None) => Ok(None),
        }
    };
    let (lower, upper) = (bound("gt", "gte")?, bound("lt", "lte")?);
    if lower.is_none() && upper.is_none() {
        return Err(QueryError::new("[range] has no bound"));
    }
    compiler.test(field, Test::Range { lower, upper })
}

/// A bound in the field's own terms: milliseconds for instants, from dates and `now` as well.
pub fn range_bound(
    compiler: &Compiler<'_>,
    kind: Kind,
    value: &Scalar,
    inclusive: bool,
) -> Result<Bound, QueryError> {
    let value = match (kind, value) {
        (Kind::Instant, _) => match value.number() {
            Some(number) => Scalar::Number(number),
            None => Scalar::Number(instant(compiler.now, value)? as f64),
        },
        (Kind::Date, Scalar::Text(text)) if text.starts_with("now") => {
            let millis = instant(compiler.now, value)?;
            let day = jiff::Timestamp::from_millisecond(millis)
                .map_err(|error| QueryError::new(error.to_string()))?
                .strftime("%Y-%m-%d")
                .to_string();
            Scalar::Text(day)
        }
        (Kind::Date, Scalar::Text(text)) if text.parse::<jiff::civil::Date>().is_err() => {
            return Err(QueryError::new(format!("[{text}] is no date; use YYYY-MM-DD")));
        }
        (Kind::Boolean, _) => return Err(QueryError::new("a range does not fit true and false")),
        _ => value.clone(),
    };
    Ok(Bound { value, inclusive })
}

/// `now`, `now-7d`, an RFC 3339 instant or a date, as milliseconds.
fn instant(now: i64, value: &Scalar) -> Result<i64, QueryError> {
    let Scalar::Text(text) = value else { return Err(QueryError::new("an instant is a number or a date")) };
    let bad = || QueryError::new(format!("[{text}] is no instant"));
    if let Some(rest) = text.strip_prefix("now") {
        if rest.is_empty() {
            return Ok(now);
        }
        let unit = rest.chars().last().ok_or_else(bad)?;
        let millis: i64 = match unit {
            's' => 1_000,
            'm' => 60_000,
            'h' | 'H' => 3_600_000,
            'd' => 86_400_000,
            'w' => 7 * 86_400_000,
            _ => return Err(bad()),
        };
        let count: i64 = rest.strip_suffix(unit).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
        return count.checked_mul(millis).and_then(|span| now.checked_add(span)).ok_or_else(bad);
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(stamp.as_millisecond());
    }
    let date: jiff::civil::Date = text.parse().map_err(|_| bad())?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| bad())?;
    Ok(zoned.timestamp().as_millisecond())
}

fn compile_query_string(compiler: &Compiler<'_>, body: &Value) -> Result<Query, QueryError> {
    let known = [
        "query",
        "default_field",
        "default_operator",
        "analyze_wildcard",
        "allow_leading_wildcard",
        "lenient",
        "boost",
    ];
    let body = options(body, "query_string", &known)?;
    let source = text_of(required(body, "query_string", "query")?, "query_string.query")?;
    let default_field = match body.get("default_field") {
        None => None,
        Some(field) => Some(text_of(field, "query_string.default_field")?).filter(|field| *field != "*"),
    };
    text::compile(compiler, source, default_field, operator(Some(body), "default_operator")?)
}

/// A field, the value asked for, and the options beside it when the long form was used.
type FieldValue<'v> = (&'v str, &'v Value, Option<&'v Map<String, Value>>);

/// `{"field": value}` or `{"field": {"<key>": value, …}}` with options that are known.
fn field_value<'v>(
    body: &'v Value,
    name: &str,
    key: &str,
    known: &[&str],
) -> Result<FieldValue<'v>, QueryError> {
    let (field, value) = single(body, &format!("[{name}]"))?;
    let Value::Object(map) = value else { return Ok((field, value, None)) };
    let mut names = known.to_vec();
    names.push(key);
    let map = allowed(map, name, &names)?;
    Ok((field, required(map, name, key)?, Some(map)))
}

fn operator(options: Option<&Map<String, Value>>, key: &str) -> Result<bool, QueryError> {
    match options.and_then(|map| map.get(key)) {
        None => Ok(false),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("or") => Ok(false),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("and") => Ok(true),
        Some(other) => Err(QueryError::new(format!("the {key} {other} is neither and nor or"))),
    }
}

fn flag(options: Option<&Map<String, Value>>, key: &str) -> Result<bool, QueryError> {
    match options.and_then(|map| map.get(key)) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(QueryError::new(format!("{key} is true or false, not {other}"))),
    }
}

fn scalar(value: &Value, name: &str) -> Result<Scalar, QueryError> {
    match value {
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        Value::Bool(value) => Ok(Scalar::Boolean(*value)),
        Value::Number(number) => Ok(Scalar::Number(number.as_f64().unwrap_or(f64::NAN))),
        _ => Err(QueryError::new(format!("[{name}] takes a string, a number or a boolean"))),
    }
}

fn text_of<'v>(value: &'v Value, name: &str) -> Result<&'v str, QueryError> {
    value.as_str().ok_or_else(|| QueryError::new(format!("[{name}] takes a string")))
}

fn object<'v>(value: &'v Value, name: &str) -> Result<&'v Map<String, Value>, QueryError> {
    value.as_object().ok_or_else(|| QueryError::new(format!("[{name}] takes an object")))
}

fn single<'v>(value: &'v Value, name: &str) -> Result<(&'v str, &'v Value), QueryError> {
    let wrong = || QueryError::new(format!("{name} is an object with exactly one key"));
    let map = value.as_object().filter(|map| map.len() == 1).ok_or_else(wrong)?;
    map.iter().next().map(|(key, value)| (key.as_str(), value)).ok_or_else(wrong)
}

fn options<'v>(value: &'v Value, name: &str, known: &[&str]) -> Result<&'v Map<String, Value>, QueryError> {
    allowed(object(value, name)?, name, known)
}

fn allowed<'v>(
    map: &'v Map<String, Value>,
    name: &str,
    known: &[&str],
) -> Result<&'v Map<String, Value>, QueryError> {
    match map.keys().find(|key| !known.contains(&key.as_str()) && key.as_str() != "_name") {
        Some(key) => Err(QueryError::new(format!("[{name}] does not support [{key}] here"))),
        None => Ok(map),
    }
}

fn required<'v>(map: &'v Map<String, Value>, name: &str, key: &str) -> Result<&'v Value, QueryError> {
    map.get(key).ok_or_else(|| QueryError::new(format!("[{name}] requires {key}")))
}
