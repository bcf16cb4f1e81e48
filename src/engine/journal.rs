//! The journal of an apply: what stood there before, so that `fusionkeep undo` can plan the inverse.
//!
//! It is written whole before the first write and again at the run's end, so that a crash leaves all
//! before-images. It may hold personal values and says so; secrets never. The inverse plan is the core's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{FieldRule, Fields, Kind, Owner, Sensitivity, row};
use crate::reconcile::{Change, Entry, Key, Live, Outcome, Status, Target};

use super::private_file;

/// The version of the journal's JSON. A journal of another version is refused with its number.
pub const JOURNAL_VERSION: u64 = 1;

const FORMAT: &str = "fusionkeep-journal";
const NOTE: &str = "holds personal data as it was before the run; no secrets";
const SUFFIX: &str = ".journal.json";

/// Why a journal cannot be written or read. No message quotes what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("{path}: {error}")]
    File { path: String, error: String },
    #[error("{path} is no journal")]
    NotAJournal { path: String },
    #[error("{path} is cut off")]
    CutOff { path: String },
    #[error("{path} has version {found}; this fusionkeep reads version {JOURNAL_VERSION}")]
    Version { path: String, found: u64 },
    #[error("there is no journal of owner \"{owner}\" in {folder}")]
    None { owner: Owner, folder: String },
}

impl JournalError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            JournalError::File { .. } => {
                "check the path, its permissions and the free space; --journal FILE names another"
            }
            JournalError::NotAJournal { .. } | JournalError::CutOff { .. } | JournalError::None { .. } => {
                "give the path that `fusionkeep apply` printed"
            }
            JournalError::Version { .. } => "undo with the fusionkeep that wrote it",
        }
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
pub struct JournalChange {
    /// As it was planned: its calls hold sources of secrets, never values.
    pub change: Change,
    /// None: nothing stood there.
    pub before: Option<BeforeImage>,
    /// What the record held.
    pub entry: Option<Entry>,
    /// How it ended. `NotStarted` in a journal whose run has no end: it may have been done all the same.
    pub status: Status,
}

/// What a run was about to do, over what, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    format: String,
    version: u64,
    note: String,
    pub target: Target,
    pub owner: Owner,
    /// Milliseconds since the epoch.
    pub started_at: i64,
    /// The run came to its end and told how; a crash leaves this false.
    pub ended: bool,
    pub changes: Vec<JournalChange>,
}

impl Journal {
    pub fn new(target: Target, owner: Owner, started_at: i64, changes: Vec<JournalChange>) -> Self {
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
        for change in &mut self.changes {
            let ended = outcome.changes.iter().find(|ended| ended.address == change.change.address);
            if let Some(ended) = ended {
                change.status = ended.status;
            }
        }
        self.ended = true;
    }

    /// A file name of its own: `OWNER-20260102T030405Z.journal.json`, in the order of time.
    pub fn file_name(&self) -> String {
        let instant = jiff::Timestamp::from_millisecond(self.started_at).unwrap_or_default();
        let milliseconds = self.started_at.rem_euclid(1000);
        format!("{}-{}{milliseconds:03}Z{SUFFIX}", self.owner, instant.strftime("%Y%m%dT%H%M%S"))
    }

    /// Writes it: mode 0600, whole or not at all. The folder is made when it is not there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), JournalError> {
        let failed = |error: String| JournalError::File { path: path.display().to_string(), error };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        let mut bytes = serde_json::to_vec(self).map_err(|error| failed(error.to_string()))?;
        bytes.push(b'\n');
        private_file::write(path, &bytes).map_err(|error| failed(error.to_string()))
    }

    /// Reads one back.
    ///
    /// # Errors
    /// It cannot be read, or is no journal of this version.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let place = || path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| JournalError::File { path: place(), error: error.to_string() })?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| match error.is_eof() {
            true => JournalError::CutOff { path: place() },
            false => JournalError::NotAJournal { path: place() },
        })?;
        if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(JournalError::NotAJournal { path: place() });
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(JOURNAL_VERSION) => {}
            Some(found) => return Err(JournalError::Version { path: place(), found }),
            None => return Err(JournalError::NotAJournal { path: place() }),
        }
        // serde's message can quote values, so it is not passed on.
        serde_json::from_value(value).map_err(|_| JournalError::NotAJournal { path: place() })
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
                return Err(JournalError::File {
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
