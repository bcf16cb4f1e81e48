//! The embedded database: one table of objects and one of settings. A commit that returned is in the operating
//! system's hands and survives a kill of the process; against a power cut `synchronous=OFF` gives no promise.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::super::config::Error;
use super::state::{State, parse};
use super::{Object, Table};

/// Raised when the layout changes; a store of another version is refused.
const LAYOUT: i64 = 1;
/// "fk" "sb": marks the file as a sandbox's.
const APPLICATION_ID: i64 = 0x666b_7362;

/// An open store file.
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens or makes a store. `Err` if the file cannot be opened, is locked by another sandbox, or is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| match is_busy(&source) {
            true => Error::StoreInUse { path: path.to_owned() },
            false => Error::Store { path: path.to_owned(), source },
        };
        let connection = Connection::open(path).map_err(failed)?;
        let is_new = connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
            .map_err(|error| not_a_store(path, &error))?
            == 0;
        let foreign = |reason: String| Error::StoreContent { path: path.to_owned(), reason };
        if !is_new {
            let id: i64 =
                connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
            let layout: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
            if id != APPLICATION_ID {
                return Err(foreign("it is another program's database".to_owned()));
            }
            if layout != LAYOUT {
                return Err(foreign(format!("its layout is {layout}, this program's is {LAYOUT}")));
            }
        }
        connection
            .execute_batch(&format!(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
                 PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={LAYOUT};
                 CREATE TABLE IF NOT EXISTS object (
                   seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL,
                   UNIQUE (kind, id));
                 CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
            ))
            .map_err(failed)?;
        Ok(Self { connection })
    }

    /// A value that is kept beside the objects.
    pub fn setting(&self, name: &str) -> Result<Option<String>, rusqlite::Error> {
        self.connection
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0))
            .optional()
    }

    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), rusqlite::Error> {
        self.connection
            .execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)", [name, value])
            .map(drop)
    }

    /// Removes all objects; settings stay.
    pub fn clear(&self) -> Result<(), rusqlite::Error> {
        self.connection.execute("DELETE FROM object", []).map(drop)
    }

    /// Reads everything into a state. `tables` are those that this program knows; an unknown one is refused.
    pub fn load(&self, path: &Path, tables: &[Table]) -> Result<State, Error> {
        let failed = |source| Error::Store { path: path.to_owned(), source };
        let damaged = |reason: String| Error::StoreContent { path: path.to_owned(), reason };
        let mut state = State::default();
        let mut statement =
            self.connection.prepare("SELECT kind, id, body FROM object ORDER BY seq").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let kind: String = row.get(0).map_err(failed)?;
            let id: [u8; 16] = row.get(1).map_err(failed)?;
            let body: Vec<u8> = row.get(2).map_err(failed)?;
            let table = tables
                .iter()
                .find(|table| table.0 == kind)
                .ok_or_else(|| damaged(format!("it holds objects of the unknown kind {kind}")))?;
            let id = Uuid::from_bytes(id);
            let object: Object =
                parse(&body).ok_or_else(|| damaged(format!("the {kind} {id} is not JSON")))?;
            state
                .replace(*table, id, Some((&object, body.into_boxed_slice())))
                .map_err(|(_, holder)| damaged(format!("the {kind} {id} collides with {holder}")))?;
        }
        Ok(state)
    }

    /// Writes rows (or removes them, where there is no body) in one transaction.
    pub(super) fn write<'a>(
        &mut self,
        rows: impl Iterator<Item = (Table, Uuid, Option<&'a [u8]>)>,
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT INTO object (kind, id, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            )?;
            let mut delete = transaction.prepare_cached("DELETE FROM object WHERE kind = ?1 AND id = ?2")?;
            for (table, id, body) in rows {
                match body {
                    Some(body) => put.execute(params![table.0, id.as_bytes(), body])?,
                    None => delete.execute(params![table.0, id.as_bytes()])?,
                };
            }
        }
        transaction.commit()
    }
}

fn not_a_store(path: &Path, error: &rusqlite::Error) -> Error {
    if is_busy(error) {
        return Error::StoreInUse { path: path.to_owned() };
    }
    Error::StoreContent { path: path.to_owned(), reason: error.to_string() }
}

/// Whether another process holds the file.
fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked))
}
