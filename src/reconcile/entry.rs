//! What the record knows of one object, as far as planning needs it. How it is stored, signed and locked is
//! the record's business; nothing here knows a shard or a group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Address, Deletion, Owner};

use super::{Key, Live};

/// Paths of fields as they stand in [`super::FieldChange::path`]: `email`, `data.team`,
/// `registrations[APPLICATION ID].roles`. A bare `registrations[APPLICATION ID]` or `permissions[NAME]` says
/// that the part itself was created by us, a bare `data.team` above `data.team.lead` that its object was.
///
/// Shared, because thousands of objects have the same few sets.
pub type FieldSet = Arc<BTreeSet<String>>;

/// What we own: one object of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub address: Address,
    pub key: Key,
    /// What we wrote. A declared field that was equal when it was adopted is not in it.
    pub written: FieldSet,
    /// What happens when the manifest goes: the policy of the last declaration.
    pub deletion: Deletion,
    /// `policy.protect` of the last declaration: the manifest is gone when the question comes up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// The object stood there before us and was adopted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub adopted: bool,
    /// Written before the object's first create; the object may or may not exist. With `deactivated_by_us`:
    /// written before the deactivation, which may or may not have been made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub intent: bool,
    /// A user whom we deactivated because the declaration went. The claim stays, so that the same person is
    /// reactivated when declared again; it counts as owned no more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deactivated_by_us: bool,
    /// Write-only secrets that were sent, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SentSecret>,
    /// An e-mail change that was sent and waits for the user's verification: the digest of the address,
    /// never the address itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_email: Option<String>,
    /// Whose it was, when it was taken from another owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_from: Option<Owner>,
    /// Of a global object: the tenants whose runs declare it. Empty for all other kinds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tenants: BTreeSet<Uuid>,
}

/// What is remembered of a write-only secret: enough to see a rotation, nothing to guess it from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentSecret {
    /// The source's `version` when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Absent when it was sent without a runner key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<SecretFingerprint>,
}

/// A keyed digest (HMAC) of a secret; comparable only under the same key id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretFingerprint {
    pub key_id: String,
    pub digest: String,
}

/// What the comparison of an enforced secret with its [`SentSecret`] came to. The engine compares, for it alone
/// holds the value and the runner key; the `version` is compared by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretComparison {
    Equal,
    Changed,
    /// The record holds nothing of it: it was never sent.
    NeverSent,
    /// The fingerprint was made under a key that this runner does not have.
    OtherKey,
    /// No runner key, or the secret was sent without one: only the version tells.
    NoKey,
    /// The value could not be read (`plan` needs no secrets).
    NoValue,
    /// There is no record, so nobody knows what was sent.
    NoRecord,
}

/// Another owner's claim on a live object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub owner: Owner,
    /// Where that owner declares it, when its record could be read.
    pub address: Option<Address>,
    pub key: Key,
}

/// What a change or an unchanged object does to the record, once its calls are done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordUpdate {
    /// The entry as it is to stand. Fingerprints of the secrets that were sent are the engine's to add.
    Put {
        entry: Box<Entry>,
        /// The key under which the entry stood, when a link's or a grant's key changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Key>,
    },
    Remove(Key),
}

impl Entry {
    /// A new claim, nothing written yet.
    pub fn new(address: Address, key: Key, deletion: Deletion) -> Self {
        Entry {
            address,
            key,
            written: FieldSet::default(),
            deletion,
            protected: false,
            adopted: false,
            intent: false,
            deactivated_by_us: false,
            secrets: BTreeMap::new(),
            pending_email: None,
            taken_from: None,
            tenants: BTreeSet::new(),
        }
    }

    /// What a run without a record holds: every live object under its derived or declared id is ours, with no
    /// written fields.
    pub fn assumed(address: Address, live: &Live, deletion: Deletion) -> Self {
        Entry::new(address, live.key.clone(), deletion)
    }

    /// Whether it counts as owned: a person whom we deactivated and no longer declare does not.
    pub fn counts_as_owned(&self) -> bool {
        !self.deactivated_by_us
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
