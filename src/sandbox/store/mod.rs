//! What the sandbox holds: tables of JSON objects kept as bytes, unique and relation indexes over them, transactions
//! that undo themselves, and the embedded database behind. Knows no HTTP and no rules of the API but the keys.

mod database;
mod keys;
mod state;
mod table;
mod transaction;

pub use database::Database;
pub use keys::{Relation, Unique, UniqueKey, text_at, uuid_at};
pub use state::State;
pub use table::Table;
pub use transaction::{CommitMode, StoreError, Transaction};

/// A JSON object, keys in alphabetical order as FusionAuth writes them.
pub type Object = serde_json::Map<String, serde_json::Value>;
