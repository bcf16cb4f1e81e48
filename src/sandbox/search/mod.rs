//! Search over the sandbox's documents: what the `search` object of a request asks for, and the page that answers it.
//!
//! Serves users, entities and grants alike: each gives a [`Schema`] and its documents. Knows neither HTTP nor storage.
//! A search that cannot be answered exactly is an error, never an empty page (wire notes §13).

pub mod criteria;
pub mod dsl;
pub mod field;
pub mod json;
pub mod page;
pub mod query;
pub mod text;

pub use criteria::{Context, Criteria, Engine, SearchError, from_parameters};
pub use field::{Datum, Document, Kind, Schema};
pub use json::JsonDocument;
pub use page::{Page, page};

/// Hits that a total counts unless `accurateTotal` is set, and rows that Elasticsearch pages through by `startRow`.
pub const RESULT_WINDOW: u64 = 10_000;
/// Ids that one search by `ids` takes.
pub const MAX_IDS: usize = 10_000;
