//! Searches: by ids, in pages that are checked before a row is handed on, and by query, paged to the end.
//!
//! A page is read twice: once for its total, its ids and where its rows stand, then row by row, so that only a few rows
//! are ever held as values beside the page's text.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use futures::StreamExt;
use reqwest::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency};
use super::client::{Client, absent};
use super::error::{Error, ErrorKind};
use super::response::Response;
use super::row::Row;

/// Ids of one request: a page of plain users is 1 to 2 MB, and 10,000 users are ten requests. FusionAuth takes up to
/// 10,000 (wire notes §4).
pub const PAGE_OF_IDS: usize = 1_000;
/// Rows of one page of a search by query.
const PAGE_OF_ROWS: usize = 500;
/// Pages of ids under way at once: enough to hide latency, few enough to bound memory.
const PAGES_AT_ONCE: usize = 4;
/// Reads of single objects under way at once; the client's own limit is what bounds requests.
const ONE_BY_ONE_AT_ONCE: usize = 64;
/// Beyond this row a search engine needs `nextResults` (wire notes §4).
const WINDOW: usize = 10_000;

/// A search by query string.
#[derive(Debug, Clone)]
pub struct Query {
    /// `*` for all, which is the one form that both engines read alike (wire notes §4).
    pub query_string: String,
    /// Fields to sort by, ascending. They should make the order total, or rows move between pages.
    pub sort: Vec<&'static str>,
}

/// What a family's search looks like on the wire.
pub(super) struct Rows {
    pub(super) route: &'static str,
    pub(super) key: &'static str,
    pub(super) expand: Option<&'static str>,
    /// The route that reads one of them by its id, and the key that its answer stands under.
    pub(super) one: (&'static str, &'static str),
}

/// A page of an answer to ids.
struct PageOfIds {
    response: Response,
    /// Where its rows stand, each id once.
    places: Vec<Place>,
    /// Ids without a row, where the answer does not prove that they do not exist.
    unproven: Vec<Uuid>,
    /// Ids without a row, where the total says that there are more rows than the page holds.
    left: Vec<Uuid>,
    /// How many more.
    due: u64,
}

/// Where a row stands in the body of its page.
struct Place {
    id: Uuid,
    text: Range<usize>,
}

struct Head {
    places: Vec<Place>,
    total: Option<u64>,
    next: Option<String>,
}

#[derive(serde::Deserialize)]
struct RowId {
    id: Uuid,
}

impl Client {
    /// Reads the objects with these ids and hands each that exists to `row`, as [`Client::pages_by_ids`] does.
    pub(super) async fn rows_by_ids<T: DeserializeOwned>(
        &self,
        rows: &Rows,
        ids: &[Uuid],
        mut row: impl FnMut(T),
    ) -> Result<(), Error> {
        let each = |page: &[Row<'_>]| page.iter().try_for_each(|found| found.read().map(&mut row));
        self.pages_by_ids(rows, ids, each).await
    }

    /// Reads the objects with these ids and hands those that exist to `take`, page by page, in no order. Ids that are not
    /// handed out do not exist: of a page whose total is more than its rows the rest is asked for again, until a total equals
    /// its rows, and where an answer has no total (the users document shows none) what is missing is asked for by its id.
    /// Bypasses the search index, so it sees what was just written.
    pub(super) async fn pages_by_ids(
        &self,
        rows: &Rows,
        ids: &[Uuid],
        mut take: impl FnMut(&[Row<'_>]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut seen = HashSet::with_capacity(ids.len());
        let unique: Vec<Uuid> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        // Owned pages, so that the future can be sent to another thread whatever lifetimes are about.
        let pages: Vec<Vec<Uuid>> = unique.chunks(PAGE_OF_IDS).map(<[Uuid]>::to_vec).collect();
        let fetch = |asked: Vec<Uuid>| self.page_of_ids(rows, asked, 0);
        let mut pages = futures::stream::iter(pages).map(fetch).buffer_unordered(PAGES_AT_ONCE);
        while let Some(page) = pages.next().await {
            let mut next = page?;
            // 404 is documented for "no hits".
            while let Some(page) = next {
                let found: Vec<Row<'_>> =
                    page.places.iter().filter_map(|place| page.response.row(place)).collect();
                take(&found)?;
                self.rows_one_by_one(rows, page.unproven, &mut take).await?;
                // Each page holds a row at least, so this ends.
                next = match page.left.is_empty() {
                    true => None,
                    false => self.page_of_ids(rows, page.left, page.due).await?,
                };
            }
        }
        Ok(())
    }

    /// The rows of these ids, `due` of which an earlier answer counted. None: there are none.
    async fn page_of_ids(&self, rows: &Rows, asked: Vec<Uuid>, due: u64) -> Result<Option<PageOfIds>, Error> {
        let call = rows.by_ids(&asked);
        let page = absent(self.run(&call, |response| page_of_ids(rows, response, &asked, due)).await)?;
        if page.is_none() && due > 0 {
            let kind = ErrorKind::ShortPage { total: Some(due), rows: 0 };
            return Err(Error::new(&call.method, call.route, kind));
        }
        Ok(page)
    }

    /// Reads each by its id: a 404 proves that it does not exist.
    async fn rows_one_by_one(
        &self,
        rows: &Rows,
        ids: Vec<Uuid>,
        take: &mut impl FnMut(&[Row<'_>]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (route, wrapper) = rows.one;
        let read = |id: Uuid| async move {
            let call = Call::get(route, vec![id.to_string()], Answer::Wrapper(wrapper));
            let one = |response: &Response| Ok((response.place_of(wrapper)?, response.clone()));
            absent(self.run(&call, one).await)
        };
        let mut found = futures::stream::iter(ids).map(read).buffer_unordered(ONE_BY_ONE_AT_ONCE);
        while let Some(found) = found.next().await {
            if let Some((place, response)) = found? {
                take(response.row(&place).as_slice())?;
            }
        }
        Ok(())
    }

    /// Flushes the index behind a search. A server that does not know the request has no index that could lag behind.
    pub(super) async fn flush(&self, route: &'static str) -> Result<(), Error> {
        let call =
            Call::new(Method::PUT, route, vec![], Answer::EmptyOrJson).idempotency(Idempotency::SafeRead);
        match self.execute(&call).await {
            Err(error) if !matches!(error.status(), Some(404 | 405 | 501)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Pages through a search and hands each row to `row`, each id once. Returns the number of rows.
    ///
    /// What it does not hand out may exist all the same: the index lags behind, and rows move while pages are read.
    pub(super) async fn rows_by_query<T: DeserializeOwned>(
        &self,
        rows: &Rows,
        query: &Query,
        mut row: impl FnMut(T),
    ) -> Result<usize, Error> {
        let mut handed = HashSet::new();
        let mut start = 0;
        let mut call = rows.by_query(query, start);
        loop {
            let page =
                absent(self.run(&call, |response| Ok((response.head(rows.key)?, response.clone()))).await)?;
            let Some((head, response)) = page else { break };
            let known = handed.len();
            for found in head.places.iter().filter_map(|place| response.row(place)) {
                if handed.insert(found.id) {
                    row(found.read()?);
                }
            }
            let received = head.places.len();
            start += received;
            // Without a total only a page without anything new is the last: a server may give less than it is asked for.
            let rest = head.total.map_or(handed.len() > known, |total| total > start as u64);
            if received == 0 && rest {
                let total = head.total;
                return Err(response.error(ErrorKind::ShortPage { total, rows: start as u64 }));
            }
            if received == 0 || !rest {
                break;
            }
            call = match head.next {
                Some(next) if start + PAGE_OF_ROWS > WINDOW => rows.continued(&next),
                _ => rows.by_query(query, start),
            };
        }
        Ok(handed.len())
    }

    /// Pages through a search that takes its criteria as fields (groups, grants, applications, tenants, …).
    pub(super) async fn rows_by_criteria(
        &self,
        route: &'static str,
        key: &'static str,
        criteria: &Object,
    ) -> Result<Vec<Object>, Error> {
        let mut found: Vec<Object> = Vec::new();
        loop {
            let mut search = criteria.clone();
            search.insert("numberOfResults".to_owned(), json!(PAGE_OF_ROWS));
            search.insert("startRow".to_owned(), json!(found.len()));
            let call = search_call(route, json!({ "search": search }));
            let read =
                |response: &Response| Ok((response.total(key)?, response.objects(key)?, response.clone()));
            let Some((total, rows, response)) = absent(self.run(&call, read).await)? else {
                return Ok(found);
            };
            let received = rows.len();
            let repeated = rows.first().is_some_and(|first| found.contains(first));
            found.extend(rows.into_iter().filter(|_| total.is_some() || !repeated));
            let done = match total {
                Some(total) => found.len() as u64 >= total,
                // As in a search by query: only a page without anything new is the last.
                None => received == 0 || repeated,
            };
            if done {
                return Ok(found);
            }
            if received == 0 {
                return Err(response.error(ErrorKind::ShortPage { total, rows: found.len() as u64 }));
            }
        }
    }
}

fn search_call(route: &'static str, body: Value) -> Call {
    Call::new(Method::POST, route, vec![], Answer::Object).json(body).idempotency(Idempotency::SafeRead)
}

impl Rows {
    fn call(&self, search: Value) -> Call {
        let mut body = json!({ "search": search });
        if let (Some(expand), Some(object)) = (self.expand, body.as_object_mut()) {
            object.insert("expand".to_owned(), json!([expand]));
        }
        search_call(self.route, body)
    }

    fn by_ids(&self, ids: &[Uuid]) -> Call {
        // Not paginated (wire notes §4); the number is for servers that page all the same.
        self.call(json!({ "ids": ids, "numberOfResults": ids.len() }))
    }

    fn by_query(&self, query: &Query, start: usize) -> Call {
        let sort: Vec<Value> = query.sort.iter().map(|name| json!({"name": name, "order": "asc"})).collect();
        self.call(json!({
            "accurateTotal": true,
            "numberOfResults": PAGE_OF_ROWS,
            "queryString": query.query_string,
            "sortFields": sort,
            "startRow": start,
        }))
    }

    /// `nextResults` stands for query, order and place, and excludes them (wire notes §4).
    fn continued(&self, next: &str) -> Call {
        self.call(json!({ "accurateTotal": true, "nextResults": next, "numberOfResults": PAGE_OF_ROWS }))
    }
}

/// A page whose rows are all that exist of the ids asked for, but for those that it proves nothing of. `due`: how many
/// rows an earlier answer counted among them.
fn page_of_ids(rows: &Rows, response: &Response, asked: &[Uuid], due: u64) -> Result<PageOfIds, Error> {
    let mut head = response.head(rows.key)?;
    let mut received = HashSet::with_capacity(head.places.len());
    head.places.retain(|place| received.insert(place.id));
    let asked: HashSet<Uuid> = asked.iter().copied().collect();
    if !received.is_subset(&asked) {
        return Err(response.unexpected("the search by ids answered with an object that was not asked for"));
    }
    let rows = received.len() as u64;
    let missing: Vec<Uuid> = asked.difference(&received).copied().collect();
    let page = PageOfIds {
        response: response.clone(),
        places: head.places,
        unproven: Vec::new(),
        left: Vec::new(),
        due: 0,
    };
    match head.total {
        // All that was asked for is there: no total is needed to believe that.
        _ if missing.is_empty() => Ok(page),
        None => Ok(PageOfIds { unproven: missing, ..page }),
        Some(total) if total == rows && rows >= due => Ok(page),
        // An answer to ids is not paged (wire notes §4); a server that pages all the same gives the rest when it is asked.
        Some(total) if total > rows && rows > 0 => {
            Ok(PageOfIds { left: missing, due: (total - rows).max(due.saturating_sub(rows)), ..page })
        }
        total => Err(response.error(ErrorKind::ShortPage { total: total.max(Some(due)), rows })),
    }
}

impl Response {
    fn head(&self, key: &'static str) -> Result<Head, Error> {
        let mut places = Vec::new();
        let (total, next) = self.walk(key, |row: &RawValue| {
            places.push(self.place(row)?);
            Ok(())
        })?;
        Ok(Head { places, total, next })
    }

    /// The place of the one object under `wrapper`.
    fn place_of(&self, wrapper: &'static str) -> Result<Place, Error> {
        let body: BTreeMap<String, &RawValue> =
            serde_json::from_slice(&self.body).map_err(|error| self.json_error(&error))?;
        let object = body.get(wrapper).ok_or_else(|| self.unexpected(format!("no object `{wrapper}`")))?;
        self.place(object).map_err(|error| self.json_error(&error))
    }

    /// Of an object that is borrowed from the body: the distance is where it stands.
    fn place(&self, object: &RawValue) -> serde_json::Result<Place> {
        let RowId { id } = serde_json::from_str(object.get())?;
        let start = (object.get().as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        Ok(Place { id, text: start..start + object.get().len() })
    }

    fn row(&self, place: &Place) -> Option<Row<'_>> {
        Some(Row { id: place.id, text: self.body.get(place.text.clone())?, page: self })
    }

    fn total(&self, key: &'static str) -> Result<Option<u64>, Error> {
        Ok(self.walk(key, |_: IgnoredAny| Ok(()))?.0)
    }

    /// Reads the answer of a search, handing each element of the array `key` on as it is read.
    fn walk<'r, T: Deserialize<'r>>(
        &'r self,
        key: &'static str,
        row: impl FnMut(T) -> serde_json::Result<()>,
    ) -> Result<(Option<u64>, Option<String>), Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let page = Page { key, row, total: None, next: None, kind: PhantomData };
        let read = deserializer.deserialize_map(page).and_then(|page| deserializer.end().map(|()| page));
        read.map_err(|error| self.json_error(&error))
    }
}

struct Page<T, F> {
    key: &'static str,
    row: F,
    total: Option<u64>,
    next: Option<String>,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> serde_json::Result<()>> Visitor<'de> for Page<T, F> {
    type Value = (Option<u64>, Option<String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer of a search")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "total" => self.total = map.next_value()?,
                "nextResults" => self.next = map.next_value()?,
                key if key == self.key => {
                    map.next_value_seed(Items { row: &mut self.row, kind: PhantomData })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((self.total, self.next))
    }
}

struct Items<'f, T, F> {
    row: &'f mut F,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> serde_json::Result<()>> DeserializeSeed<'de>
    for Items<'_, T, F>
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> serde_json::Result<()>> Visitor<'de> for Items<'_, T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    /// A list that is null holds nothing, as one that is left out; the total says whether that can be.
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<T>()? {
            (self.row)(item).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}
