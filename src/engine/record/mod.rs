//! The ownership record: which objects are ours, what we wrote, who is running. It, and never a custom
//! resource's status, decides ownership.
//!
//! Three stores keep it: the target itself ([`GroupRecord`]), a file ([`FileRecord`]), memory ([`MemoryRecord`]).
//! A plan reads it ([`Record::read`]), an apply holds it ([`Record::acquire`]): record and lock are one, so that
//! who may write objects and who may write the record is one question. Nothing here knows manifests or diffs.

mod acquire;
mod chain;
mod document;
mod entries;
mod error;
mod file;
mod group;
mod header;
mod held;
mod ledger;
mod memory;
mod policy;
mod seal;
mod shards;
mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fusionauth::WriteGate;
use crate::model::{Address, Owner, Scope, row};
use crate::reconcile::{Claim, Entry, Key, RecordUpdate};

use super::cancel::Cancel;
use super::keys::{KeyId, RunnerKeys, key_text};
use super::session::Session;

pub use entries::Entries;
pub use error::RecordError;
pub use file::FileRecord;
pub use group::{GroupRecord, Stores};
pub use memory::MemoryRecord;
pub use policy::{Discarded, Rebuild};
pub(crate) use seal::{canonical, checksum, hexadecimal};
pub use store::{Created, Group, GroupStore};

/// The version of the record's JSON. A record of a newer version is refused with its number.
pub const RECORD_VERSION: u64 = 1;

/// Whose record, for which target, by whom.
#[derive(Clone, Debug)]
pub struct RecordContext {
    pub owner: Owner,
    /// The tenant of the run.
    pub tenant_id: Uuid,
    /// The target's URL as in [`crate::reconcile::Target`]: `sandbox:` and the store's id for the embedded one.
    pub url: String,
    pub runner: Runner,
    /// Without keys the record is neither signed nor verified.
    pub keys: Option<Arc<RunnerKeys>>,
}

impl RecordContext {
    /// Of the owner and the target of a session.
    pub fn of(session: &Session, runner: Runner, keys: Option<Arc<RunnerKeys>>) -> Self {
        RecordContext {
            owner: session.owner().clone(),
            tenant_id: session.tenant_id(),
            url: session.target().url.clone(),
            runner,
            keys,
        }
    }
}

/// Who runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// `command`, or the UID of the cluster in which the operator runs. The record belongs to one of them.
    pub id: String,
    /// Host and process, for whoever finds the lock taken: `ci-7, process 4711`.
    pub host: String,
}

impl Runner {
    /// The command's own, on this host.
    pub fn command() -> Self {
        let name = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
        let name = name.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
        let name = name.map_or_else(|| "unknown host".to_owned(), |name| name.trim().to_owned());
        Runner { id: "command".to_owned(), host: format!("{name}, process {}", std::process::id()) }
    }
}

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub entries: Entries,
    pub trust: Trust,
    /// The record was last written by another runner or for another URL.
    pub foreign: Option<Foreign>,
    /// Somebody runs now.
    pub holder: Option<Holder>,
    /// Objects that another owner has taken over with `adopt --from-owner`; they are no longer in `entries`.
    pub taken: Vec<Claim>,
    /// Changes when entries do, by whomever: what was planned on one revision holds for no other.
    pub revision: Revision,
    /// Of which scope there is no record.
    pub absent: Scopes,
    /// Of which scope a run that did not end left its lock, which is over: whoever comes next takes it.
    pub left_behind: Scopes,
}

impl Loaded {
    /// There is no record: a first run, or a lost record if live objects stand under derived ids.
    pub fn is_absent(&self) -> bool {
        self.trust == Trust::Absent
    }

    /// No record, but live objects under ids that only we derive: the record was lost, and every one of them
    /// would look like somebody else's. `live` are those that no entry names.
    ///
    /// # Errors
    /// `Lost`, with `adopt` as the way out.
    pub fn refuse_if_lost<'a>(&self, live: impl IntoIterator<Item = &'a Address>) -> Result<(), RecordError> {
        let lost = live.into_iter().filter(|address| match row(address.kind).scope {
            Scope::Tenant => self.absent.tenant,
            Scope::Global => self.absent.global,
        });
        match lost.count() as u64 {
            0 => Ok(()),
            objects => Err(RecordError::Lost { objects }),
        }
    }
}

impl Default for Loaded {
    /// No record.
    fn default() -> Self {
        Loaded {
            entries: Entries::default(),
            trust: Trust::Absent,
            foreign: None,
            holder: None,
            taken: Vec::new(),
            revision: Revision::default(),
            absent: Scopes::ALL,
            left_behind: Scopes::NONE,
        }
    }
}

/// What a record's seal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// There is no record.
    Absent,
    /// Signed by one of the runner's keys.
    Verified,
    /// Signed by a key that this run does not have, or this run has none: readable, never writable.
    Unverified(KeyId),
    /// Not signed. Under a runner with a key `adopt` must take it over first.
    Unsigned,
}

/// How often entries were written, by scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    pub tenant: u64,
    pub global: u64,
}

/// Another runner or URL than this run's, as the record names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub runner: String,
    pub url: String,
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the runner \"{}\" for {}", self.runner, self.url)
    }
}

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    pub runner: String,
    pub host: String,
    /// Milliseconds since the epoch, by the holder's clock.
    pub started_at: i64,
    /// When the lock ends unless it is renewed, likewise; none when it ends with the holder's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the runner \"{}\" on {}", self.runner, self.host)?;
        let instant = |milliseconds| jiff::Timestamp::from_millisecond(milliseconds).ok();
        if let Some(since) = instant(self.started_at) {
            write!(formatter, ", since {since:.0}")?;
        }
        match self.expires_at.and_then(instant) {
            Some(until) => write!(formatter, ", until {until:.0} unless it is renewed"),
            None => Ok(()),
        }
    }
}

/// How to take the lock.
#[derive(Clone, Debug)]
pub struct Acquire {
    /// How long to wait for another runner to finish; zero refuses at once.
    pub wait: Duration,
    /// Ends the wait. A lock that is about to be taken is taken, for whoever asked to let it go.
    pub stop: Cancel,
    /// `--take-over`: go on although another runner or URL wrote the record.
    pub take_over: bool,
    /// `adopt`: begin anew where the record is damaged, its seal is wrong, or it is not signed and this run has a
    /// key; with `take_over` also where another key signed it. Nothing of such a record is kept: whoever wrote it
    /// could have named anybody. Never over a newer version's.
    pub rebuild: bool,
    /// Kinds of which scope will be written. The global kinds have a chain, and so a lock, of their own, which
    /// runs of all tenants share.
    pub scopes: Scopes,
}

/// Which chains a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes {
    pub tenant: bool,
    pub global: bool,
}

impl Scopes {
    pub const ALL: Scopes = Scopes { tenant: true, global: true };
    pub const NONE: Scopes = Scopes { tenant: false, global: false };

    /// The scopes that writing these objects needs.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Scopes {
        let mut scopes = Scopes::NONE;
        for address in addresses {
            match row(address.kind).scope {
                Scope::Tenant => scopes.tenant = true,
                Scope::Global => scopes.global = true,
            }
        }
        scopes
    }
}

impl Scopes {
    pub fn is_none(self) -> bool {
        self == Scopes::NONE
    }
}

impl Default for Acquire {
    fn default() -> Self {
        Acquire {
            wait: Duration::ZERO,
            stop: Cancel::default(),
            take_over: false,
            rebuild: false,
            scopes: Scopes::ALL,
        }
    }
}

/// A store of the record.
pub trait Record: Send + Sync {
    /// Reads the record without its lock.
    ///
    /// # Errors
    /// Damaged, newer, or wrongly sealed: never an empty record. A missing one is [`Trust::Absent`].
    fn read(&self) -> BoxFuture<'_, Result<Loaded, RecordError>>;

    /// As `read`, for `adopt`: what cannot be used, or not be trusted, is set aside and told. [`Acquire::rebuild`]
    /// takes the lock over the same.
    ///
    /// # Errors
    /// What not even `adopt` goes over: a newer version, a key that this run does not have.
    fn read_to_rebuild(&self, how: Rebuild) -> BoxFuture<'_, Result<(Loaded, Vec<Discarded>), RecordError>> {
        async move {
            let (loaded, discarded) = policy::rebuilt(self.read().await, how)?;
            Ok((loaded, discarded.into_iter().collect()))
        }
        .boxed()
    }

    /// Other owners' claims on these live objects. Reads, per other owner, only the shards that could hold them.
    ///
    /// # Errors
    /// Another owner's record cannot be read, so that nothing can be said.
    fn claims<'a>(&'a self, keys: &'a BTreeSet<Key>) -> BoxFuture<'a, Result<Vec<Claim>, RecordError>>;

    /// Takes the lock and reads the record under it.
    ///
    /// # Errors
    /// As `read`; also: another runner holds it, or it is not this run's to write (foreign, not verified,
    /// unsigned under a runner with a key).
    fn acquire<'a>(&'a self, how: &'a Acquire) -> BoxFuture<'a, Result<Box<dyn HeldRecord>, RecordError>>;

    /// Ends another runner's lock. To be asked for only when that runner is known to be dead.
    ///
    /// # Errors
    /// The record cannot be read or written.
    fn unlock(&self) -> BoxFuture<'_, Result<Option<Holder>, RecordError>>;
}

/// The record while this run holds its lock. The lock is kept until [`HeldRecord::close`], or until it is lost;
/// then the gate refuses all further writes.
pub trait HeldRecord: Send + Sync {
    /// As it was read under the lock.
    fn loaded(&self) -> &Loaded;

    /// Refuses each write that could outlast the lock: for [`crate::fusionauth::Client::with_write_gate`].
    fn gate(&self) -> Arc<dyn WriteGate>;

    /// Writes entries before the objects they speak of: each with `intent` unless the record holds that key
    /// already. Durable when it returns. A key that is new to the record and that another owner claims is
    /// withdrawn again and returned.
    ///
    /// # Errors
    /// The record could not be written: nothing that was intended may be begun.
    fn intend(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Vec<Claim>, RecordError>>;

    /// What a change did, once its calls are done. Durable with the next `flush`, which the run's end is.
    fn update(&self, update: RecordUpdate);

    /// Writes what has been updated since, if anything.
    ///
    /// # Errors
    /// The record could not be written; the updates are kept for the next attempt.
    fn flush(&self) -> BoxFuture<'_, Result<(), RecordError>>;

    /// The entries as they stand now.
    fn entries(&self) -> Entries;

    /// Returns when the lock is lost, with the reason; never while it is held.
    fn lost(&self) -> BoxFuture<'_, RecordError>;

    /// Flushes and lets the lock go.
    ///
    /// # Errors
    /// As `flush`; the lock then expires by itself.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), RecordError>>;
}

/// Whether two keys speak of one live object: of a link the user does not count, for nobody else can have it.
pub(crate) fn same_object(one: &Key, other: &Key) -> bool {
    key_text(one) == key_text(other)
}
