//! The record in a file (`--record FILE`), for keys that may not write groups. It is one runner's own: other
//! owners' claims are not seen from it, and the lock holds among runs that share the file.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{self, BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::engine::private_file;
use crate::fusionauth::WriteGate;
use crate::model::{Fields, Owner};
use crate::reconcile::{Claim, Entry, Key, RecordUpdate};

use super::document::{Derivation, Document};
use super::ledger::Ledger;
use super::{
    Acquire, Entries, HeldRecord, Holder, Loaded, RECORD_VERSION, Rebuild, Record, RecordContext,
    RecordError, Revision, Scopes, policy, seal,
};

/// The seal's place: a file has no id, and may be moved.
const PLACE: &str = "record file";
const POLL: Duration = Duration::from_millis(250);

/// A record in a file.
#[derive(Debug)]
pub struct FileRecord {
    path: PathBuf,
    context: RecordContext,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    version: u64,
    owner: Owner,
    tenant_id: Uuid,
    url: String,
    runner: String,
    /// Counts the writes.
    revision: u64,
    record: Document,
}

impl FileRecord {
    pub fn new(path: impl Into<PathBuf>, context: RecordContext) -> Self {
        let path = path.into();
        // The record and its lock stand where a link leads, whoever comes by which.
        let path = match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => std::fs::canonicalize(&path).unwrap_or(path),
            _ => path,
        };
        FileRecord { path, context }
    }

    fn error(&self, error: &std::io::Error) -> RecordError {
        RecordError::File { path: self.path.display().to_string(), error: error.to_string() }
    }

    fn derivation(&self) -> Derivation {
        Derivation { owner: self.context.owner.clone(), tenant_id: self.context.tenant_id }
    }

    fn load(&self) -> Result<Loaded, RecordError> {
        if std::fs::metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no regular file");
            return Err(self.error(&error));
        }
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Loaded::default()),
            Err(error) => return Err(self.error(&error)),
        };
        let damaged = |what: &str| RecordError::Damaged { what: what.to_owned() };
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(&bytes) else {
            return Err(damaged("the file is no JSON object; it was cut off or edited"));
        };
        policy::check_version(&fields)?;
        let trust = seal::check(&fields, PLACE, self.context.keys.as_deref())?;
        fields.remove(seal::SEAL);
        // serde's message can quote values, so it is not passed on.
        let envelope: Envelope = serde_json::from_value(Value::Object(fields))
            .map_err(|_| damaged("its fields cannot be read"))?;
        let place = self.path.display().to_string();
        if envelope.owner != self.context.owner {
            return Err(RecordError::OtherOwner { place, found: envelope.owner.to_string() });
        }
        if envelope.tenant_id != self.context.tenant_id {
            return Err(RecordError::OtherTenant { place, found: envelope.tenant_id });
        }
        Ok(Loaded {
            entries: envelope.record.decode(&self.derivation())?.into_iter().collect(),
            trust,
            foreign: policy::foreign(&self.context, &envelope.runner, &envelope.url),
            revision: Revision { tenant: envelope.revision, global: 0 },
            absent: Scopes::NONE,
            ..Loaded::default()
        })
    }

    fn store(&self, entries: &Entries, revision: u64) -> Result<(), RecordError> {
        let envelope = Envelope {
            version: RECORD_VERSION,
            owner: self.context.owner.clone(),
            tenant_id: self.context.tenant_id,
            url: self.context.url.clone(),
            runner: self.context.runner.id.clone(),
            revision,
            record: Document::encode(entries.iter(), &self.derivation()),
        };
        let damaged = |error: serde_json::Error| RecordError::Damaged { what: error.to_string() };
        let mut fields: Fields = match serde_json::to_value(&envelope).map_err(damaged)? {
            Value::Object(fields) => fields,
            _ => return Err(RecordError::Damaged { what: "a record is no object".to_owned() }),
        };
        seal::seal(&mut fields, PLACE, self.context.keys.as_deref());
        let mut bytes = serde_json::to_vec(&Value::Object(fields)).map_err(damaged)?;
        bytes.push(b'\n');
        private_file::write(&self.path, &bytes).map_err(|error| self.error(&error))
    }

    /// A file beside the record, for the record itself is replaced with each write.
    fn lock_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }

    fn try_lock(&self) -> Result<Option<FileLock>, RecordError> {
        let path = self.lock_path();
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(|error| self.error(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(self.error(&error)),
        }
        let mut lock = FileLock { file };
        lock.name(&policy::holder(&self.context)).map_err(|error| self.error(&error))?;
        Ok(Some(lock))
    }

    async fn lock(&self, how: &Acquire) -> Result<FileLock, RecordError> {
        let deadline = Instant::now() + how.wait;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if Instant::now() >= deadline || how.stop.is_cancelled() {
                return Err(RecordError::Locked(holder_in(&self.lock_path())));
            }
            sleep(POLL).await;
        }
    }

    async fn hold(&self, how: &Acquire) -> Result<Box<dyn HeldRecord>, RecordError> {
        let lock = self.lock(how).await?;
        let loaded = match how.rebuild {
            true => {
                let has_key = self.context.keys.is_some();
                policy::rebuilt(self.load(), Rebuild { has_key, take_over: how.take_over })?.0
            }
            false => self.load()?,
        };
        policy::may_write(&loaded, how, &self.context)?;
        let ledger = Ledger::new(loaded.entries.clone());
        let must_write = how.rebuild || loaded.foreign.is_some();
        let record = FileRecord { path: self.path.clone(), context: self.context.clone() };
        let state = Mutex::new(State { ledger, revision: loaded.revision.tenant, must_write });
        Ok(Box::new(HeldFileRecord { record, loaded, state, lock: Arc::new(lock) }))
    }
}

fn holder_in(path: &Path) -> Holder {
    let named = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    named.unwrap_or_else(|| Holder {
        runner: "unknown".to_owned(),
        host: "unknown host".to_owned(),
        started_at: 0,
        expires_at: None,
    })
}

impl Record for FileRecord {
    fn read(&self) -> BoxFuture<'_, Result<Loaded, RecordError>> {
        future::ready(self.load()).boxed()
    }

    fn claims<'a>(&'a self, _keys: &'a BTreeSet<Key>) -> BoxFuture<'a, Result<Vec<Claim>, RecordError>> {
        future::ready(Ok(Vec::new())).boxed()
    }

    fn acquire<'a>(&'a self, how: &'a Acquire) -> BoxFuture<'a, Result<Box<dyn HeldRecord>, RecordError>> {
        self.hold(how).boxed()
    }

    /// A file's lock ends with its process, so there is nothing to end but a living one's.
    fn unlock(&self) -> BoxFuture<'_, Result<Option<Holder>, RecordError>> {
        let unlocked = match self.try_lock() {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Err(RecordError::Locked(holder_in(&self.lock_path()))),
            Err(error) => Err(error),
        };
        future::ready(unlocked).boxed()
    }
}

/// The kernel's lock on a file, which ends with the process.
#[derive(Debug)]
struct FileLock {
    file: File,
}

impl FileLock {
    /// Names the holder, for whoever finds the lock taken.
    fn name(&mut self, holder: &Holder) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(holder)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&bytes)
    }
}

impl WriteGate for FileLock {
    fn permit(&self, _longest: Duration) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    revision: u64,
    /// It is begun anew or changes hands, whether or not entries change.
    must_write: bool,
}

struct HeldFileRecord {
    record: FileRecord,
    loaded: Loaded,
    state: Mutex<State>,
    lock: Arc<FileLock>,
}

impl HeldFileRecord {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Result<(), RecordError> {
        let mut state = self.state();
        if state.ledger.dirty.is_empty() && !state.must_write {
            return Ok(());
        }
        self.record.store(&state.ledger.entries, state.revision + 1)?;
        state.revision += 1;
        state.must_write = false;
        state.ledger.dirty.clear();
        Ok(())
    }
}

impl HeldRecord for HeldFileRecord {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn gate(&self) -> Arc<dyn WriteGate> {
        self.lock.clone()
    }

    fn intend(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Vec<Claim>, RecordError>> {
        for entry in entries {
            self.state().ledger.intend(entry);
        }
        future::ready(self.write().map(|()| Vec::new())).boxed()
    }

    fn update(&self, update: RecordUpdate) {
        self.state().ledger.update(update);
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), RecordError>> {
        future::ready(self.write()).boxed()
    }

    fn entries(&self) -> Entries {
        self.state().ledger.entries.clone()
    }

    fn lost(&self) -> BoxFuture<'_, RecordError> {
        future::pending().boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordError>> {
        future::ready(self.write()).boxed()
    }
}
