//! What most API families do alike: ids of new objects, names, PATCH, lists with paging and order. Knows no family.

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Call, is_given};
use super::patch::{self, Dialect, PatchError};
use super::reply::{Errors, Outcome, Reply, field_error, general_error};
use super::store::{Object, State, Table, Transaction, Unique, UniqueKey, text_at};

/// The id of something new: from the path, or a random one. 400 `[duplicate]` if it is taken.
pub fn new_id(call: &Call<'_>, state: &State, table: Table, param: &str) -> Result<Uuid, Reply> {
    let Some(id) = call.path_id(param)? else { return Ok(Uuid::new_v4()) };
    if state.contains(table, id) {
        let field = format!("{}.id", param.strip_suffix("Id").unwrap_or(param));
        return Err(field_error(
            "duplicate",
            &field,
            format!("An object with the Id [{id}] already exists."),
        ));
    }
    Ok(id)
}

/// The object of the path, visible in the request's scope; 404 otherwise.
pub fn existing(call: &Call<'_>, state: &State, table: Table, param: &str) -> Result<(Uuid, Object), Reply> {
    let id = call.required_id(param)?;
    let object = state.get(table, id).ok_or_else(Reply::not_found)?;
    let tenant = super::store::uuid_at(&object, "tenantId");
    if call.in_scope(tenant) { Ok((id, object)) } else { Err(Reply::not_found()) }
}

/// A required, unique, trimmed name. `longest` is in characters.
pub struct NameRule<'a> {
    /// As `group.name`.
    pub field: &'a str,
    pub unique: Option<UniqueKey>,
    pub longest: usize,
}

/// Checks a name; `own` is the object that may hold it already.
pub fn check_name(state: &State, name: Option<&str>, own: Uuid, rule: NameRule<'_>, errors: &mut Errors) {
    let field = rule.field;
    let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
        errors.field("blank", field, format!("You must specify the [{field}] property."));
        return;
    };
    if name.chars().count() > rule.longest {
        errors.field("tooLong", field, format!("[{field}] may be at most {} characters long.", rule.longest));
    }
    if let Some(key) = rule.unique
        && state.holder(&key).is_some_and(|holder| holder != own)
    {
        errors.field("duplicate", field, format!("An object with [{field}] = [{name}] already exists."));
    }
}

/// The unique key of a name, without regard to case.
pub fn name_key(kind: Unique, scope: Option<Uuid>, object: &Object) -> Option<UniqueKey> {
    let name = text_at(object, "name")?;
    Some(UniqueKey::new(kind, scope.unwrap_or_default(), name.to_lowercase()))
}

/// Applies a PATCH of any dialect to the current object as its request wrapper and gives the wrapper after it (wire
/// notes §3).
pub fn patched(call: &Call<'_>, wrapper: &str, current: Object, siblings: Value) -> Result<Object, Reply> {
    patched_replacing(call, wrapper, current, siblings, &[])
}

/// As [`patched`]; the lists at `replaced` (paths from the wrapped object) are replaced by the legacy dialect too.
pub fn patched_replacing(
    call: &Call<'_>,
    wrapper: &str,
    current: Object,
    siblings: Value,
    replaced: &[[&str; 2]],
) -> Result<Object, Reply> {
    let dialect = Dialect::from_content_type(call.content_type.as_deref(), call.version().since(39))
        .map_err(|error| refused(&error))?;
    let body = call.json()?;
    let mut whole = siblings;
    if let Value::Object(object) = &mut whole {
        object.insert(wrapper.to_owned(), Value::Object(current));
    }
    if dialect == Dialect::Legacy {
        for [outer, inner] in replaced {
            let path = format!("/{wrapper}/{outer}/{inner}");
            if body.pointer(&path).is_some_and(Value::is_array)
                && let Some(list) = whole.pointer_mut(&path)
            {
                *list = json!([]);
            }
        }
    }
    patch::apply(dialect, &mut whole, body).map_err(|error| refused(&error))?;
    match whole {
        Value::Object(object) => Ok(object),
        _ => Err(general_error(400, "invalidJSON", "The patch leaves no object.")),
    }
}

fn refused(error: &PatchError) -> Reply {
    match error {
        PatchError::UnsupportedContentType(_) => general_error(400, "InvalidContentType", error.to_string()),
        PatchError::Invalid(_) => general_error(400, "invalidJSON", error.to_string()),
        // A legacy null on a collection crashes the server (wire notes §3).
        PatchError::NullCollection(_) => Reply::empty(500),
    }
}

/// The object under a wrapper key of a patched request; 400 if the patch took it away.
pub fn unwrapped(whole: &mut Object, wrapper: &str) -> Result<Object, Reply> {
    match whole.remove(wrapper) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(field_error("missing", wrapper, format!("The [{wrapper}] property is required."))),
    }
}

/// A family whose PUT and PATCH are one: both say what the object shall be, and one function judges and stores it.
pub struct Family {
    pub table: Table,
    /// The id in the route, as `lambdaId`.
    pub param: &'static str,
    pub wrapper: &'static str,
    /// Judges and stores what replaces an object: its id, what is given, and the object as it stands.
    pub replace: fn(&Call<'_>, &mut Transaction<'_>, Uuid, Object, &Object) -> Result<(), Reply>,
}

impl Family {
    pub fn retrieve(&self, call: &Call<'_>) -> Outcome {
        let (_, object) = existing(call, &call.read(), self.table, self.param)?;
        Ok(Reply::ok(&json!({ self.wrapper: object })))
    }

    pub fn update(&self, call: &Call<'_>) -> Outcome {
        let given = call.wrapped(self.wrapper)?;
        let mut tx = call.write();
        let (id, old) = existing(call, &tx, self.table, self.param)?;
        (self.replace)(call, &mut tx, id, given, &old)?;
        self.finish(tx, id)
    }

    pub fn patch(&self, call: &Call<'_>) -> Outcome {
        let mut tx = call.write();
        let (id, old) = existing(call, &tx, self.table, self.param)?;
        let mut whole = patched(call, self.wrapper, old.clone(), json!({}))?;
        let given = unwrapped(&mut whole, self.wrapper)?;
        (self.replace)(call, &mut tx, id, given, &old)?;
        self.finish(tx, id)
    }

    /// Commits, and answers with the object as it was stored.
    pub fn finish(&self, tx: Transaction<'_>, id: Uuid) -> Outcome {
        let object = tx.get(self.table, id);
        tx.commit()?;
        Ok(Reply::ok(&json!({ self.wrapper: object })))
    }
}

/// What the searches that are no index searches have in common: criteria, page and order.
pub struct Listing {
    criteria: Object,
    number_of_results: usize,
    start_row: usize,
    order: Vec<(String, bool)>,
}

impl Listing {
    /// Reads the `search` object of a POST, or a GET's parameters. `sortable` are the columns that `orderBy` takes,
    /// the first of them being the default.
    pub fn read(call: &Call<'_>, sortable: &[&str]) -> Result<Self, Reply> {
        let criteria = if call.route.method == "GET" {
            call.query_pairs().iter().map(|(name, value)| (name.clone(), json!(value))).collect()
        } else {
            call.wrapped("search")?
        };
        let mut errors = Errors::new();
        let mut count = |name: &str, default: usize| match criteria.get(name) {
            None | Some(Value::Null) => default,
            Some(Value::String(text)) if !is_given(text) => default,
            Some(value) => {
                let number = match value {
                    Value::String(text) => text.parse().ok(),
                    other => other.as_u64().and_then(|n| usize::try_from(n).ok()),
                };
                number.unwrap_or_else(|| {
                    let message = format!("[{name}] must be a number that is not negative.");
                    errors.field("invalid", &format!("search.{name}"), message);
                    default
                })
            }
        };
        let (number_of_results, start_row) = (count("numberOfResults", 25), count("startRow", 0));
        let order = order_by(text_at(&criteria, "orderBy").unwrap_or(""), sortable, &mut errors);
        errors.check()?;
        Ok(Self { criteria, number_of_results, start_row, order })
    }

    /// A criterion as text, if it is set.
    pub fn text(&self, name: &str) -> Option<&str> {
        text_at(&self.criteria, name).filter(|text| !text.is_empty())
    }

    /// A criterion as a UUID; 400 if it is none.
    pub fn id(&self, name: &str) -> Result<Option<Uuid>, Reply> {
        let Some(text) = self.text(name).filter(|text| is_given(text)) else { return Ok(None) };
        match super::call::parse_uuid(text) {
            Some(id) => Ok(Some(id)),
            None => Err(super::call::invalid_json(&format!("search.{name}"), "a UUID is expected")),
        }
    }

    /// Whether a text fits a criterion: `*` stands for anything; without one, any text that contains it fits. Case
    /// does not count.
    pub fn fits(&self, name: &str, text: Option<&str>) -> bool {
        let Some(pattern) = self.text(name) else { return true };
        let (pattern, text) = (pattern.to_lowercase(), text.unwrap_or("").to_lowercase());
        if pattern.contains('*') {
            super::search::field::Pattern::new(&pattern).matches(&text)
        } else {
            text.contains(&pattern)
        }
    }

    /// Sorts and cuts; gives the page and how many there are in all.
    pub fn page(&self, mut rows: Vec<Object>) -> (Vec<Value>, usize) {
        rows.sort_by(|a, b| {
            let by_column = self.order.iter().map(|(name, descending)| {
                let ordering = compare(a.get(name), b.get(name));
                if *descending { ordering.reverse() } else { ordering }
            });
            by_column.into_iter().find(|ordering| ordering.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        let total = rows.len();
        let page = rows.into_iter().skip(self.start_row).take(self.number_of_results).map(Value::Object);
        (page.collect(), total)
    }
}

/// Reads `name ASC, insertInstant DESC`.
fn order_by(text: &str, sortable: &[&str], errors: &mut Errors) -> Vec<(String, bool)> {
    let mut order = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let mut words = part.split_whitespace();
        let column = words.next().unwrap_or("");
        let direction = words.next().unwrap_or("ASC");
        let known = sortable.iter().find(|name| name.eq_ignore_ascii_case(column));
        let descending = direction.eq_ignore_ascii_case("DESC");
        match known {
            Some(name) if (descending || direction.eq_ignore_ascii_case("ASC")) && words.next().is_none() => {
                order.push(((*name).to_owned(), descending));
            }
            _ => errors.field("invalid", "search.orderBy", format!("[{part}] cannot be ordered by.")),
        }
    }
    if order.is_empty() {
        order.extend(sortable.first().map(|name| ((*name).to_owned(), false)));
    }
    order
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.to_lowercase().cmp(&b.to_lowercase()),
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_i64().cmp(&b.as_i64()),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
