//! Filtering, ordering and cutting the page.

use super::RESULT_WINDOW;
use super::criteria::{Criteria, Filter, Key, Missing, Sort, Token};
use super::field::{Datum, Document, Schema};
use std::cmp::Ordering;
use uuid::Uuid;

/// One page of hits.
#[derive(Debug)]
pub struct Page<T> {
    /// Hits in all, counted up to 10,000 unless an accurate total was asked for.
    pub total: u64,
    pub rows: Vec<T>,
    /// Opens the next page; there is one whenever the page has rows and the engine has tokens.
    pub next_results: Option<String>,
}

struct Hit<T> {
    keys: Vec<Option<Key>>,
    id: Uuid,
    row: T,
}

/// Runs a search by query or term over documents with their ids and what stands for them in the answer. A search by
/// ids is the caller's, which has them at hand without an index.
pub fn page<D: Document, T>(
    documents: impl Iterator<Item = (Uuid, D, T)>,
    criteria: &Criteria,
    schema: &Schema,
) -> Page<T> {
    let sort = order(criteria, schema);
    let mut total = 0;
    let mut hits = Vec::new();
    for (id, document, row) in documents {
        if !matches(criteria, schema, id, &document) {
            continue;
        }
        total += 1;
        let keys = sort.iter().map(|field| key(field, &document)).collect();
        let hit = Hit { keys, id, row };
        let past = criteria
            .after
            .as_ref()
            .is_none_or(|last| compare_to_token(&sort, &hit.keys, hit.id, last).is_gt());
        if past {
            hits.push(hit);
        }
    }
    let rows = cut(hits, &sort, criteria.start_row, criteria.number_of_results);
    let next_results = criteria.source.as_ref().zip(rows.last()).and_then(|(source, last)| {
        let mut keys = last.keys.clone();
        keys.push(Some(Key::Text(last.id.to_string())));
        Token { source: source.clone(), sort: criteria.sort.clone(), last: keys }.encode()
    });
    let total = if criteria.accurate_total { total } else { total.min(RESULT_WINDOW) };
    Page { total, rows: rows.into_iter().map(|hit| hit.row).collect(), next_results }
}

fn order(criteria: &Criteria, schema: &Schema) -> Vec<Sort> {
    if criteria.sort.is_empty() {
        return vec![Sort {
            name: schema.default_sort.to_owned(),
            descending: false,
            missing: Missing::Last,
        }];
    }
    criteria.sort.clone()
}

fn matches(criteria: &Criteria, schema: &Schema, id: Uuid, document: &dyn Document) -> bool {
    match &criteria.filter {
        Filter::Query(query) => query.matches(id, document),
        Filter::Ids(ids) => ids.contains(&id),
        Filter::Term(term) if term.is_empty() => true,
        Filter::Term(term) => schema.database_fields.iter().any(|field| {
            document.any(field, &mut |datum| match datum {
                Datum::Text(text) => text.to_lowercase().contains(term.as_str()),
                _ => false,
            })
        }),
    }
}

/// The smallest value of the field, or the largest when the order descends, as Elasticsearch picks among several.
fn key(sort: &Sort, document: &dyn Document) -> Option<Key> {
    let mut best: Option<Key> = None;
    let mut take = |datum: Datum<'_>| {
        let key = match datum {
            Datum::Text(text) => Key::Text(text.to_lowercase()),
            Datum::Integer(value) => Key::Number(value as f64),
            Datum::Decimal(value) => Key::Number(value),
            Datum::Boolean(value) => Key::Number(f64::from(u8::from(value))),
        };
        let better = best.as_ref().is_none_or(|old| {
            key.partial_cmp(old) == Some(if sort.descending { Ordering::Greater } else { Ordering::Less })
        });
        if better {
            best = Some(key);
        }
        false
    };
    match sort.name.split_once('.') {
        Some((path, _)) => {
            document.any_nested(path, &mut |inner| inner.any(&sort.name, &mut take));
        }
        None => {
            document.any(&sort.name, &mut take);
        }
    }
    match (&sort.missing, best) {
        (Missing::Value(value), None) => {
            Some(value.parse().map_or_else(|_| Key::Text(value.to_lowercase()), Key::Number))
        }
        (_, best) => best,
    }
}

fn compare_keys(sort: &Sort, left: Option<&Key>, right: Option<&Key>) -> Ordering {
    let missing = if sort.missing == Missing::First { Ordering::Less } else { Ordering::Greater };
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => missing,
        (Some(_), None) => missing.reverse(),
        (Some(left), Some(right)) => {
            let order = left.partial_cmp(right).unwrap_or(Ordering::Equal);
            if sort.descending { order.reverse() } else { order }
        }
    }
}

fn compare<T>(sort: &[Sort], left: &Hit<T>, right: &Hit<T>) -> Ordering {
    sort.iter()
        .zip(left.keys.iter().zip(&right.keys))
        .map(|(field, (left, right))| compare_keys(field, left.as_ref(), right.as_ref()))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.id.cmp(&right.id))
}

/// Where a hit lies against the last row of the page before; the last key of a token is that row's id.
fn compare_to_token(sort: &[Sort], keys: &[Option<Key>], id: Uuid, last: &[Option<Key>]) -> Ordering {
    let by_keys = sort
        .iter()
        .zip(keys.iter().zip(last))
        .map(|(field, (left, right))| compare_keys(field, left.as_ref(), right.as_ref()))
        .find(|order| order.is_ne());
    by_keys.unwrap_or_else(|| match last.get(sort.len()) {
        Some(Some(Key::Text(text))) => {
            Uuid::try_parse(text).map_or(Ordering::Greater, |other| id.cmp(&other))
        }
        _ => Ordering::Greater,
    })
}

/// Orders no more than the page needs.
fn cut<T>(mut hits: Vec<Hit<T>>, sort: &[Sort], start: u64, count: u64) -> Vec<Hit<T>> {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(hits.len());
    let end = start.saturating_add(usize::try_from(count).unwrap_or(usize::MAX)).min(hits.len());
    let by = |left: &Hit<T>, right: &Hit<T>| compare(sort, left, right);
    if end < hits.len() {
        hits.select_nth_unstable_by(end, by);
        hits.truncate(end);
    }
    if start > 0 && start < hits.len() {
        hits.select_nth_unstable_by(start, by);
    }
    let mut page = hits.split_off(start);
    page.sort_unstable_by(by);
    page
}

#[cfg(test)]
mod tests {
    use super::super::criteria::{Context, Engine, SearchError, from_parameters};
    use super::super::field::Kind;
    use super::super::json::JsonDocument;
    use super::*;
    use serde_json::{Value, json};

    const SCHEMA: Schema = Schema {
        fields: &[
            ("id", Kind::Exact),
            ("tenantId", Kind::Exact),
            ("name", Kind::Exact),
            ("email", Kind::Exact),
            ("verified", Kind::Boolean),
            ("insertInstant", Kind::Instant),
            ("birthDate", Kind::Date),
            ("memberships.groupId", Kind::Exact),
            ("registrations.applicationId", Kind::Exact),
            ("registrations.roles", Kind::Exact),
            ("registrations.verified", Kind::Boolean),
        ],
        open: &["data", "registrations.data"],
        nested: &["registrations", "memberships"],
        also_flat: &["memberships"],
        sortable: &["name", "email", "insertInstant", "registrations.roles"],
        database_fields: &["name", "email"],
        default_sort: "name",
    };

    fn documents() -> Vec<(Uuid, Value)> {
        [
            json!({"name": "Dinesh Chugtai", "email": "dinesh@fusionauth.io", "verified": true, "insertInstant": 100,
                   "birthDate": "1981-06-04", "data": {"Company": "PiedPiper", "salary": 90000, "tags": ["a b", "c"]},
                   "memberships": [{"groupId": "g1"}],
                   "registrations": [{"applicationId": "a1", "roles": ["admin"], "verified": false, "data": {"minprice": 60000}},
                                     {"applicationId": "a2", "roles": ["user"], "verified": true}]}),
            json!({"name": "Erlich", "email": "erlich@example.com", "verified": false, "insertInstant": 200,
                   "data": {"Company": "Aviato Inc", "userMigrated": true, "nested": {"deep": "x"}}}),
            json!({"email": "jared@fusionauth.io", "insertInstant": 300, "data": {"salary": 120000}}),
        ]
        .into_iter()
        .enumerate()
        .map(|(place, value)| (Uuid::from_u128(place as u128 + 1), value))
        .collect()
    }

    fn context(engine: Engine) -> Context<'static> {
        Context {
            engine,
            schema: &SCHEMA,
            now: 1000,
            next_results: true,
            tenant_scoped: false,
            prefix: "search.",
        }
    }

    fn search(engine: Engine, search: Value) -> Result<(Vec<u128>, Option<String>), SearchError> {
        let criteria = Criteria::from_json(search.as_object().unwrap(), &context(engine))?;
        let documents = documents();
        let wrapped: Vec<_> =
            documents.iter().map(|(id, value)| (*id, JsonDocument::new(value, &SCHEMA))).collect();
        let found =
            page(wrapped.iter().map(|(id, document)| (*id, document, id.as_u128())), &criteria, &SCHEMA);
        Ok((found.rows, found.next_results))
    }

    fn by_query(query: Value) -> Result<Vec<u128>, SearchError> {
        search(Engine::Elasticsearch, json!({"query": query.to_string()})).map(|(rows, _)| rows)
    }

    fn by_string(query: &str) -> Result<Vec<u128>, SearchError> {
        search(Engine::Elasticsearch, json!({"queryString": query})).map(|(rows, _)| rows)
    }

    #[test]
    fn documented_query_forms() {
        let nested = |inner: Value| json!({"nested": {"path": "registrations", "query": inner}});
        for (query, expected) in [
            (json!({"match_all": {}}), vec![1, 2, 3]),
            (json!({"match": {"email": {"query": "dinesh@fusionauth.io"}}}), vec![1]),
            (json!({"match": {"data.Company": "piedpiper"}}), vec![1]),
            (json!({"match": {"data.userMigrated": {"query": "true"}}}), vec![2]),
            (json!({"match": {"verified": true}}), vec![1]),
            (json!({"match": {"data.tags": {"query": "b z"}}}), vec![1]),
            (json!({"match": {"data.tags": {"query": "b z", "operator": "and"}}}), vec![]),
            (json!({"match_phrase": {"data.Company": "Aviato Inc"}}), vec![2]),
            (json!({"multi_match": {"query": "erlich", "fields": ["name", "email"]}}), vec![2]),
            (json!({"constant_score": {"filter": {"exists": {"field": "data.userMigrated"}}}}), vec![2]),
            (json!({"exists": {"field": "data.nested"}}), vec![2]),
            (json!({"exists": {"field": "memberships"}}), vec![1]),
            (json!({"term": {"data.Company": "PiedPiper"}}), vec![]),
            (json!({"term": {"data.Company.keyword": "PiedPiper"}}), vec![1]),
            (json!({"terms": {"email": ["dinesh@fusionauth.io", "jared@fusionauth.io"]}}), vec![1, 3]),
            (json!({"range": {"data.salary": {"lt": 100000}}}), vec![1]),
            (json!({"range": {"insertInstant": {"gte": 200, "lte": "now-0s"}}}), vec![2, 3]),
            (json!({"range": {"birthDate": {"gte": "1980-01-01", "lt": "now"}}}), vec![]),
            (json!({"range": {"birthDate": {"gte": "1980-01-01"}}}), vec![1]),
            (json!({"wildcard": {"email": {"value": "*fusionauth*"}}}), vec![1, 3]),
            (json!({"prefix": {"email": "er"}}), vec![2]),
            (json!({"ids": {"values": ["00000000-0000-0000-0000-000000000002"]}}), vec![2]),
            (json!({"query_string": {"query": "email:jared*"}}), vec![3]),
            (
                nested(json!({"range": {"registrations.data.minprice": {"gte": 50000, "lte": 100000}}})),
                vec![1],
            ),
            (
                json!({"bool": {"must": [[nested(json!({"bool": {"must": [{"match": {"registrations.applicationId": "a1"}},
                {"match": {"registrations.roles": "admin"}}]}}))]]}}),
                vec![1],
            ),
            (
                nested(json!({"bool": {"must": [{"match": {"registrations.applicationId": "a1"}},
                {"match": {"registrations.verified": true}}]}})),
                vec![],
            ),
            (
                json!({"bool": {"must": {"match_all": {}}, "must_not": {"term": {"email": "erlich@example.com"}}}}),
                vec![1, 3],
            ),
            (
                json!({"bool": {"should": [{"match": {"name": "erlich"}}, {"match": {"data.salary": 120000}}]}}),
                vec![2, 3],
            ),
            (
                json!({"bool": {"filter": [{"match": {"verified": false}}], "should": [{"match": {"name": "x"}}]}}),
                vec![2],
            ),
        ] {
            assert_eq!(by_query(query.clone()).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_is_not_emulated_is_refused() {
        for query in [
            json!({"fuzzy": {"name": "x"}}),
            json!({"regexp": {"name": "x.*"}}),
            json!({"match": {"nmae": "x"}}),
            json!({"match": {"registrations.roles": "admin"}}),
            json!({"match": {"verified": "perhaps"}}),
            json!({"match": {"name": {"query": "x", "fuzziness": "AUTO"}}}),
            json!({"query": {"match_all": {}}}),
            json!({"nested": {"path": "data", "query": {"match_all": {}}}}),
            json!({}),
            json!({"range": {"insertInstant": {"gte": "tomorrow"}}}),
        ] {
            let error = by_query(query.clone()).expect_err(&query.to_string());
            assert_eq!((error.kind, error.field.as_str()), ("invalid", "search.query"));
        }
        for text in [
            "name:foo~2",
            "name:/x/",
            "name:(a",
            "nmae:x",
            "",
            "name:",
            "AND x",
            "registrations.roles:admin",
            "a^2",
        ] {
            let error = by_string(text).expect_err(text);
            assert_eq!((error.kind, error.field.as_str()), ("invalid", "search.queryString"));
        }
        let mut deep = json!({"match_all": {}});
        for _ in 0..60 {
            deep = json!({"bool": {"must": deep}});
        }
        assert!(by_query(deep).is_err());
    }

    #[test]
    fn query_strings() {
        for (text, expected) in [
            ("*", vec![1, 2, 3]),
            ("dinesh", vec![1]),
            ("jared@fusionauth.io", vec![3]),
            ("email:dinesh", vec![]),
            ("email:dinesh*", vec![1]),
            ("email:*FUSIONAUTH.io", vec![1, 3]),
            ("email:dinesh* OR verified:false", vec![1, 2]),
            ("email:*fusionauth* AND NOT name:dinesh*", vec![3]),
            ("email:(dinesh* OR erlich*)", vec![1, 2]),
            ("+email:*fusionauth* -verified:true", vec![3]),
            ("insertInstant:[150 TO *]", vec![2, 3]),
            ("insertInstant:{100 TO 300}", vec![2]),
            ("insertInstant:>=200", vec![2, 3]),
            ("name:\"Dinesh Chugtai\"", vec![1]),
            ("name:Dinesh\\ Chugtai", vec![1]),
            ("Dinesh Chugtai", vec![1]),
            ("memberships.groupId:g1", vec![1]),
            ("_exists_:data.salary", vec![1, 3]),
            ("data.nested.deep:x", vec![2]),
            ("verified:true && data.Company:piedpiper", vec![1]),
        ] {
            assert_eq!(by_string(text).unwrap_or_else(|error| panic!("{text}: {error}")), expected, "{text}");
        }
    }

    #[test]
    fn the_database_engine_takes_one_term() {
        let rows = |text: &str| search(Engine::Database, json!({"queryString": text})).map(|(rows, _)| rows);
        assert_eq!(rows("*").unwrap(), [1, 2, 3]);
        assert_eq!(rows("FUSIONAUTH").unwrap(), [1, 3]);
        for refused in ["a b", "dinesh*", "email:x", "\"x\""] {
            assert!(rows(refused).is_err(), "{refused}");
        }
        assert!(search(Engine::Database, json!({"query": "{}"})).is_err());
        assert!(search(Engine::Database, json!({"sortFields": [{"name": "registrations.roles"}]})).is_err());
    }

    #[test]
    fn sorting_missing_and_paging() {
        let sorted = |sort: Value| search(Engine::Elasticsearch, json!({"sortFields": [sort]})).unwrap().0;
        assert_eq!(sorted(json!({"name": "insertInstant", "order": "desc"})), [3, 2, 1]);
        assert_eq!(sorted(json!({"name": "name"})), [1, 2, 3]);
        assert_eq!(sorted(json!({"name": "name", "missing": "_first"})), [3, 1, 2]);
        assert_eq!(sorted(json!({"name": "name", "missing": "e"})), [1, 3, 2]);
        assert_eq!(sorted(json!({"name": "registrations.roles", "order": "desc"})), [1, 2, 3]);
        assert!(search(Engine::Elasticsearch, json!({"sortFields": [{"name": "data.x"}]})).is_err());
        assert!(search(Engine::Elasticsearch, json!({"startRow": 9_990, "numberOfResults": 20})).is_err());
        let (first, next) =
            search(Engine::Elasticsearch, json!({"numberOfResults": 2, "queryString": "*"})).unwrap();
        assert_eq!(first, [1, 2]);
        let (second, next) =
            search(Engine::Elasticsearch, json!({"numberOfResults": 2, "nextResults": next})).unwrap();
        assert_eq!(second, [3]);
        assert_eq!(search(Engine::Elasticsearch, json!({"nextResults": next})).unwrap(), (vec![], None));
        assert!(search(Engine::Elasticsearch, json!({"nextResults": next, "queryString": "*"})).is_err());
        assert!(search(Engine::Database, json!({"nextResults": next})).is_err());
    }

    #[test]
    fn parameters_of_a_get() {
        let pairs = [
            ("ids", "a"),
            ("ids", "b"),
            ("sortFields[1].name", "email"),
            ("sortFields[0].name", "name"),
            ("sortFields[0].order", "desc"),
            ("startRow", "3"),
        ];
        assert_eq!(
            Value::Object(from_parameters(pairs.into_iter())),
            json!({"ids": ["a", "b"], "startRow": "3",
                   "sortFields": [{"name": "name", "order": "desc"}, {"name": "email"}]})
        );
    }

    #[test]
    fn a_scoped_search_may_not_name_the_tenant() {
        let search = json!({"queryString": "tenantId:x"});
        let mut context = context(Engine::Elasticsearch);
        assert!(Criteria::from_json(search.as_object().unwrap(), &context).is_ok());
        context.tenant_scoped = true;
        assert!(Criteria::from_json(search.as_object().unwrap(), &context).is_err());
    }
}
