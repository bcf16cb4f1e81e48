//! The journal of an apply: what stood there before, so that `fusionkeep undo` can plan the inverse.
//!
//! It is written whole before the first write and again at the run's end, so that a crash leaves all
//! before-images. It may hold personal values and says so; secrets never. The inverse plan is the core's.
//!
//! It is sealed as a saved plan is: under a runner key by a MAC, and then one that is altered or not signed is
//! refused; without a key by a checksum, which shows damage and proves nothing of who wrote it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest;
use serde::{Deserialize, Serialize};

use crate::model::{Address, FieldRule, Fields, Kind, Owner, Sensitivity, row};
use crate::reconcile::{Change, Entry, Key, Live, Outcome, Status, Target};

use super::keys::{KeyId, Mac, MacContext, Purpose, RunnerKeys, Verification};
use super::private_file;
use super::record::{checksum, hexadecimal};
use super::saved::Authenticity;

/// The version of the journal's JSON. A journal of another version is refused with its number.
pub const JOURNAL_VERSION: u64 = 1;

const FORMAT: &str = "fusionkeep-journal";
const NOTE: &str = "holds personal data as it was before the run; no secrets";
const SUFFIX: &str = ".journal.json";

/// How the last field begins. What stands before it is what is sealed, byte by byte.
const SEAL_BEGIN: &str = ",\"seal\":\"";
const CHECKSUM: &str = "sha256.";
/// Bytes of JSON that are written and sealed together.
const BUFFER: usize = 64 * 1024;

/// Why a journal cannot be written, read or used. No message quotes what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("cannot write the journal {path}: {error}")]
    NotWritten { path: String, error: String },
    #[error("cannot read the journal {path}: {error}")]
    NotRead { path: String, error: String },
    #[error("{path} is no journal")]
    NotAJournal { path: String },
    #[error("the journal {path} is cut off")]
    CutOff { path: String },
    #[error("the journal {path} has version {found}; this fusionkeep reads version {JOURNAL_VERSION}")]
    Version { path: String, found: u64 },
    #[error("the journal {path} was altered after it was written")]
    Altered { path: String },
    #[error("the journal {path} is not signed, and this run has a runner key")]
    NotSigned { path: String },
    #[error("the journal {path} is signed with the key {key_id}, which this run does not have")]
    OtherKey { path: String, key_id: KeyId },
    #[error(
        "the journal is of another run than this could undo: it was written for {journal}, and this is {here}"
    )]
    OtherTarget { journal: String, here: String },
    #[error("there is no journal of owner \"{owner}\" in {folder}")]
    None { owner: Owner, folder: String },
}

impl JournalError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            JournalError::NotWritten { .. } => {
                "check the path, its permissions and the free space; --journal FILE names another"
            }
            JournalError::NotRead { .. } => "check the path and its permissions",
            JournalError::NotAJournal { .. } | JournalError::None { .. } => {
                "give the path that `fusionkeep apply` printed"
            }
            JournalError::CutOff { .. } | JournalError::Altered { .. } => {
                "nothing of it can be trusted; declare what is to be again, and apply"
            }
            JournalError::Version { .. } => "undo with the fusionkeep that wrote it",
            JournalError::NotSigned { .. } => {
                "it was written without a key, and could be anybody's; undo where no key is given if it is yours"
            }
            JournalError::OtherKey { .. } => {
                "give the runner key of the run that wrote it, as FUSIONKEEP_KEY"
            }
            JournalError::OtherTarget { .. } => {
                "name that target and owner with --url, --tenant-id and --owner, or give another journal"
            }
        }
    }

    /// Whether this is a refusal (exit status 3) rather than a failure to read or write.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            JournalError::NotWritten { .. } | JournalError::NotRead { .. } | JournalError::None { .. }
        )
    }
}

/// An object as it was before the run, without secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BeforeImage {
    pub key: Key,
    pub fields: Fields,
    pub parts: BTreeMap<String, Fields>,
    pub active: bool,
}

impl BeforeImage {
    /// What stood there, without whatever the table of kinds calls a secret.
    pub fn new(kind: Kind, live: &Live) -> Self {
        let row = row(kind);
        let part = row.part.as_ref().map_or(&[][..], |part| part.fields);
        BeforeImage {
            key: live.key.clone(),
            fields: without_secrets(&live.fields, row.fields),
            parts: live
                .parts
                .iter()
                .map(|(key, part_of)| (key.clone(), without_secrets(part_of, part)))
                .collect(),
            active: live.active,
        }
    }
}

fn without_secrets(fields: &Fields, rules: &[FieldRule]) -> Fields {
    let secret =
        |name: &str| rules.iter().any(|rule| rule.path == name && rule.sensitivity == Sensitivity::Secret);
    fields
        .iter()
        .filter(|(name, _)| !secret(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// One change of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalChange<C = Change> {
    /// As it was planned: its calls hold sources of secrets, never values. The plan's own while it is carried out
    /// (`&Change`), for a second copy of a large plan would be most of a run's memory.
    pub change: C,
    /// None: nothing stood there.
    pub before: Option<Box<BeforeImage>>,
    /// What the record held.
    pub entry: Option<Arc<Entry>>,
    /// How it ended. `NotStarted` in a journal whose run has no end: it may have been done all the same.
    pub status: Status,
}

/// What a run was about to do, over what, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal<C = Change> {
    format: String,
    version: u64,
    note: String,
    pub target: Target,
    pub owner: Owner,
    /// Milliseconds since the epoch.
    pub started_at: i64,
    /// The run came to its end and told how; a crash leaves this false.
    pub ended: bool,
    pub changes: Vec<JournalChange<C>>,
}

/// A file name of a run's own: `OWNER-20260102T030405678Z.journal.json`, in the order of time.
pub fn file_name(owner: &Owner, started_at: jiff::Timestamp) -> String {
    format!("{owner}-{}{SUFFIX}", started_at.strftime("%Y%m%dT%H%M%S%3fZ"))
}

impl<C: Borrow<Change> + Serialize> Journal<C> {
    pub fn new(target: Target, owner: Owner, started_at: i64, changes: Vec<JournalChange<C>>) -> Self {
        Journal {
            format: FORMAT.to_owned(),
            version: JOURNAL_VERSION,
            note: NOTE.to_owned(),
            target,
            owner,
            started_at,
            ended: false,
            changes,
        }
    }

    /// Takes in how the run ended.
    pub fn end(&mut self, outcome: &Outcome) {
        let ends: HashMap<&Address, Status> =
            outcome.changes.iter().map(|ended| (&ended.address, ended.status)).collect();
        for change in &mut self.changes {
            if let Some(status) = ends.get(&change.change.borrow().address) {
                change.status = *status;
            }
        }
        self.ended = true;
    }

    /// Writes it, sealed: mode 0600, whole or not at all. The folder is made when it is not there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, keys: Option<&RunnerKeys>) -> Result<(), JournalError> {
        let failed = |error: String| JournalError::NotWritten { path: path.display().to_string(), error };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        private_file::write_with(path, |file| self.write_to(file, keys))
            .map_err(|error| failed(error.to_string()))
    }

    /// The journal's JSON, its seal as the last field. Nothing of it is held as a whole.
    fn write_to(&self, file: impl Write, keys: Option<&RunnerKeys>) -> io::Result<()> {
        let mut sealed = Sealing { file, seal: Sealer::new(keys), last: None };
        // JSON comes in pieces of a few bytes; the file and the seal get large ones.
        let mut buffered = BufWriter::with_capacity(BUFFER, &mut sealed);
        serde_json::to_writer(&mut buffered, self)?;
        buffered.flush()?;
        drop(buffered);
        let Sealing { mut file, seal, .. } = sealed;
        writeln!(file, "{SEAL_BEGIN}{}\"}}", seal.end())?;
        file.flush()
    }
}

impl Journal {
    /// Reads one back and judges its seal. Without keys it is not known who wrote it.
    ///
    /// # Errors
    /// It cannot be read, is no journal of this version, or is not what a runner with these keys wrote.
    pub fn read(path: &Path, keys: Option<&RunnerKeys>) -> Result<(Self, Authenticity), JournalError> {
        let place = || path.display().to_string();
        let not_a_journal = || JournalError::NotAJournal { path: place() };
        let text = std::fs::read_to_string(path)
            .map_err(|error| JournalError::NotRead { path: place(), error: error.to_string() })?;
        let head: Head = serde_json::from_str(&text).map_err(|error| match error.is_eof() {
            true => JournalError::CutOff { path: place() },
            false => not_a_journal(),
        })?;
        match head.version {
            _ if head.format.as_deref() != Some(FORMAT) => return Err(not_a_journal()),
            Some(JOURNAL_VERSION) => {}
            Some(found) => return Err(JournalError::Version { path: place(), found }),
            None => return Err(not_a_journal()),
        }
        let (sealed, seal) = text.rsplit_once(SEAL_BEGIN).ok_or(JournalError::Altered { path: place() })?;
        let seal = seal.trim_end().strip_suffix("\"}").ok_or(JournalError::Altered { path: place() })?;
        let authenticity = judge(seal, sealed, keys, &place())?;
        // serde's message can quote values, so it is not passed on.
        let journal = serde_json::from_str(&text).map_err(|_| not_a_journal())?;
        Ok((journal, authenticity))
    }

    /// The path of an owner's latest journal in a folder.
    ///
    /// # Errors
    /// The folder cannot be read, or holds none.
    pub fn latest(folder: &Path, owner: &Owner) -> Result<PathBuf, JournalError> {
        let none = || JournalError::None { owner: owner.clone(), folder: folder.display().to_string() };
        let listed = match std::fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(none()),
            Err(error) => {
                return Err(JournalError::NotRead {
                    path: folder.display().to_string(),
                    error: error.to_string(),
                });
            }
        };
        let of_owner = |name: &str| {
            let instant = name.strip_suffix(SUFFIX)?.strip_prefix(owner.as_str())?.strip_prefix('-')?;
            // Of another owner whose name begins like this one's, if more than an instant follows.
            (!instant.contains('-')).then(|| instant.to_owned())
        };
        let journals = listed.filter_map(|file| {
            let file = file.ok()?;
            Some((of_owner(file.file_name().to_str()?)?, file.path()))
        });
        journals.max().map(|(_, path)| path).ok_or_else(none)
    }
}

/// What tells whether the rest can be read.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    version: Option<u64>,
}

/// A seal in the making.
enum Sealer {
    Key(MacContext),
    Checksum(digest::Context),
}

impl Sealer {
    fn new(keys: Option<&RunnerKeys>) -> Self {
        match keys.and_then(|keys| keys.mac_context(Purpose::Journal)) {
            Some(mac) => Sealer::Key(mac),
            None => Sealer::Checksum(digest::Context::new(&digest::SHA256)),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Sealer::Key(mac) => mac.update(bytes),
            Sealer::Checksum(digest) => digest.update(bytes),
        }
    }

    fn end(self) -> String {
        match self {
            Sealer::Key(mac) => mac.sign().to_string(),
            Sealer::Checksum(digest) => format!("{CHECKSUM}{}", hexadecimal(digest.finish().as_ref())),
        }
    }
}

/// Writes to the file and into the seal, but for the last byte: the brace that the seal comes before.
struct Sealing<W> {
    file: W,
    seal: Sealer,
    last: Option<u8>,
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some((last, rest)) = bytes.split_last() else { return Ok(0) };
        for part in [self.last.as_slice(), rest] {
            self.file.write_all(part)?;
            self.seal.update(part);
        }
        self.last = Some(*last);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What the seal of a journal's text says.
fn judge(
    seal: &str,
    text: &str,
    keys: Option<&RunnerKeys>,
    path: &str,
) -> Result<Authenticity, JournalError> {
    let path = || path.to_owned();
    if let Some(sum) = seal.strip_prefix(CHECKSUM) {
        return match keys {
            _ if sum != checksum(text) => Err(JournalError::Altered { path: path() }),
            Some(_) => Err(JournalError::NotSigned { path: path() }),
            None => Ok(Authenticity::NotAuthenticated),
        };
    }
    let mac: Mac = seal.parse().map_err(|_| JournalError::Altered { path: path() })?;
    match keys.map(|keys| keys.verify(Purpose::Journal, text.as_bytes(), &mac)) {
        Some(Verification::Right) => Ok(Authenticity::Signed),
        Some(Verification::Wrong) => Err(JournalError::Altered { path: path() }),
        Some(Verification::UnknownKey) => Err(JournalError::OtherKey { path: path(), key_id: mac.key_id }),
        None => Ok(Authenticity::NotAuthenticated),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretSlice;
    use uuid::Uuid;

    use super::*;

    fn journal() -> Journal {
        let target =
            Target { url: "sandbox:x".into(), tenant_id: Uuid::nil(), server_version: "1.69.0".into() };
        Journal::new(target, "acme".parse().unwrap(), 1_770_000_000_123, vec![])
    }

    fn keys(letter: &str) -> RunnerKeys {
        RunnerKeys::parse(&SecretSlice::from(letter.repeat(32).into_bytes())).unwrap()
    }

    #[test]
    fn a_journal_is_trusted_only_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal.json");
        let (key, other) = (keys("a"), keys("b"));
        journal().write(&path, Some(&key)).unwrap();
        let (read, authenticity) = Journal::read(&path, Some(&key)).unwrap();
        assert_eq!((read, authenticity), (journal(), Authenticity::Signed));
        assert_eq!(Journal::read(&path, None).unwrap().1, Authenticity::NotAuthenticated);
        assert!(matches!(Journal::read(&path, Some(&other)), Err(JournalError::OtherKey { .. })));

        let text = std::fs::read_to_string(&path).unwrap();
        let written = |text: &str, keys: Option<&RunnerKeys>| {
            std::fs::write(&path, text).unwrap();
            Journal::read(&path, keys).map(|_| ())
        };
        let altered = text.replace("acme", "evil");
        assert!(matches!(written(&altered, Some(&key)), Err(JournalError::Altered { .. })));
        assert!(matches!(written(&text[..text.len() / 2], Some(&key)), Err(JournalError::CutOff { .. })));
        assert!(matches!(written("{}", Some(&key)), Err(JournalError::NotAJournal { .. })));
        assert!(matches!(written("x", Some(&key)), Err(JournalError::NotAJournal { .. })));
        let newer = text.replace("\"version\":1", "\"version\":7");
        assert!(matches!(written(&newer, Some(&key)), Err(JournalError::Version { found: 7, .. })));

        journal().write(&path, None).unwrap();
        assert!(matches!(Journal::read(&path, Some(&key)), Err(JournalError::NotSigned { .. })));
        assert_eq!(Journal::read(&path, None).unwrap().1, Authenticity::NotAuthenticated);
        let text = std::fs::read_to_string(&path).unwrap();
        let altered = text.replace("acme", "evil");
        assert!(
            matches!(written(&altered, None), Err(JournalError::Altered { .. })),
            "damage shows without a key"
        );
    }

    #[test]
    fn the_latest_is_the_owners_own() {
        let folder = tempfile::tempdir().unwrap();
        let owner: Owner = "acme".parse().unwrap();
        assert!(matches!(Journal::latest(folder.path(), &owner), Err(JournalError::None { .. })));
        let instant = jiff::Timestamp::from_millisecond(1_770_000_000_123).unwrap();
        let first = file_name(&owner, instant);
        assert_eq!(first, "acme-20260202T024000123Z.journal.json");
        for name in
            [&*first, "acme-20260202T024000124Z.journal.json", "acme-prod-20270202T024000124Z.journal.json"]
        {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let latest = Journal::latest(folder.path(), &owner).unwrap();
        assert_eq!(latest.file_name().unwrap(), "acme-20260202T024000124Z.journal.json");
        let missing = folder.path().join("missing");
        assert!(matches!(Journal::latest(&missing, &owner), Err(JournalError::None { .. })));
    }
}
