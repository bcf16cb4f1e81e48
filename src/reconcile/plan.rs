//! A plan: what a run would change, and why. Data, which is printed, saved, signed and applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{Address, Deletion, Kind, Owner, Place, Sensitivity, SourceLine};

use super::{Call, Desired, Key, RecordUpdate};

/// The version of the plan's JSON. A plan of another version is refused with its number.
pub const SCHEMA_VERSION: u32 = 1;

/// Where a plan belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The base URL; `sandbox:` and the store's id for the embedded sandbox.
    pub url: String,
    pub tenant_id: Uuid,
    pub server_version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    Delete,
    Adopt,
}

/// What a change can break, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Risk {
    Reversible,
    /// A lambda that is referenced, a permission with grants.
    DeletesInUse,
    /// The last link of a user without password, an e-mail or username change, a password reset, a lambda in
    /// use changed, a registration or role taken away.
    BreaksSignIn,
    /// Deactivates a person, or sets an expiry that has passed.
    DeactivatesPerson,
    HardDeletesPerson,
    /// Gives a role of FusionAuth's own application.
    GivesAdministration,
}

/// Why a change is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Nothing stands under its key.
    Missing,
    /// Live and declared fields differ.
    Differs,
    /// Fields that were written by us are no longer declared.
    NoLongerDeclared,
    /// The record holds it, the manifests do not.
    Pruned,
    /// A tombstone.
    Tombstone,
    /// A live object stands where this one belongs, and the policy adopts it.
    Adoption,
    /// We deactivated it, and it is declared again.
    DeclaredAgain,
    /// A link's or grant's key changed.
    KeyChanged,
    Renamed,
    /// `fusionkeep destroy`.
    Destroy,
    /// `fusionkeep undo`.
    Undo,
}

/// A value as it may be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shown {
    Absent,
    Value(Value),
    /// A secret: that it is there, or that it changed, never what it is.
    Secret,
}

/// One field's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// `email`, `data.team`, `registrations[APPLICATION ID].roles`, `permissions[read].description`.
    ///
    /// Shared, because thousands of objects have the same few.
    pub path: Arc<str>,
    /// What the server has. Personal values are masked when printed, unless `--show-personal`.
    pub before: Shown,
    /// What the manifest asks for.
    pub after: Shown,
    #[serde(with = "sensitivity")]
    pub sensitivity: Sensitivity,
}

/// What a change was computed from: the normalised live fields that it reads or writes, by path, each as a
/// digest; never secrets, instants, or what a login moves. None: there was no live object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub BTreeMap<String, String>);

/// One object's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub address: Address,
    pub action: Action,
    pub key: Key,
    pub reason: Reason,
    pub risk: Risk,
    /// Why the risk is what it is, for a reader; empty for a reversible change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk_notes: Vec<String>,
    pub fields: Vec<FieldChange>,
    /// How a deletion is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// Changes that must be done before this one.
    pub depends_on: Vec<Address>,
    /// In order; empty for an adoption that writes nothing.
    pub calls: Vec<Call>,
    /// What stood there when the plan was made; none when nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// What a reader should know besides: what cannot come back, what was renamed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// `policy.protect`: a guard refuses to delete or deactivate it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// What the record says once the calls are done.
    pub record: RecordUpdate,
}

impl Change {
    /// Whether a link or a grant gets another key: the old one is taken away, the new one made. So does its undoing.
    pub fn changes_key(&self) -> bool {
        let replaced = match &self.record {
            RecordUpdate::Put { replaces, .. } => replaces.as_ref(),
            RecordUpdate::Remove(_) => None,
        };
        self.action == Action::Update && replaced.is_some_and(|replaced| *replaced != self.key)
    }

    pub fn kind(&self) -> Kind {
        self.address.kind
    }
}

/// A difference that is not acted on, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Withheld {
    pub address: Address,
    pub action: Action,
    /// A sentence: what is withheld, and what would release it.
    pub why: String,
    pub fields: Vec<FieldChange>,
}

/// Where the blame for a problem lies; it decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blame {
    /// Exit status 1.
    Error,
    /// A guard: exit status 3.
    Guard,
}

/// An error or a warning of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A stable word: `adoption-conflict`, `immutable-field`, `unresolved-reference`, ….
    pub code: String,
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    pub address: Option<Address>,
    pub place: Option<Place>,
    /// The field that is wrong, as a JSON pointer into the declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The line of that field, once it was looked for.
    #[serde(skip)]
    pub line: Option<SourceLine>,
    pub blame: Blame,
}

impl Problem {
    pub fn error(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem {
            code: code.to_owned(),
            message: message.into(),
            hint: Some(hint.into()),
            address: None,
            place: None,
            pointer: None,
            line: None,
            blame: Blame::Error,
        }
    }

    /// A refusal by a guard: exit status 3.
    pub fn guard(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem { blame: Blame::Guard, ..Problem::error(code, message, hint) }
    }

    /// About one object.
    #[must_use]
    pub fn of(self, address: &Address) -> Self {
        Problem { address: Some(address.clone()), ..self }
    }

    /// About one field of the declaration: a JSON pointer into its document.
    #[must_use]
    pub fn pointing(self, pointer: impl Into<String>) -> Self {
        Problem { pointer: Some(pointer.into()), ..self }
    }

    /// About one declaration.
    #[must_use]
    pub fn at(self, desired: &Desired) -> Self {
        Problem { place: Some(desired.place.clone()), ..self.of(&desired.address) }
    }
}

/// Counts of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub create: u64,
    pub update: u64,
    pub delete: u64,
    pub adopt: u64,
    pub unchanged: u64,
    pub withheld: u64,
    #[serde(default)]
    pub suspended: u64,
}

/// What a run would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub schema_version: u32,
    pub target: Target,
    pub owner: Owner,
    /// In an order that can be applied one after another; what does not depend on each other may run at once.
    pub changes: Vec<Change>,
    pub withheld: Vec<Withheld>,
    pub warnings: Vec<Problem>,
    /// A plan with errors is shown and never applied.
    pub errors: Vec<Problem>,
    /// Objects that equal their declaration.
    pub unchanged: u64,
    /// Objects that are left alone (`spec.suspend`).
    #[serde(default)]
    pub suspended: u64,
    /// What the record is to learn about objects that do not change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordUpdate>,
    /// `--bulk-create`: how many users one import takes. Each user's [`super::Purpose::Import`] is then sent
    /// together with others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_batch: Option<u32>,
}

impl Plan {
    /// A plan of nothing.
    pub fn empty(target: Target, owner: Owner) -> Self {
        Plan {
            schema_version: SCHEMA_VERSION,
            target,
            owner,
            changes: Vec::new(),
            withheld: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            unchanged: 0,
            suspended: 0,
            records: Vec::new(),
            import_batch: None,
        }
    }

    /// API calls on objects that applying makes when nothing fails; record, lock and retries come on top.
    pub fn predicted_calls(&self) -> u64 {
        let alone = self.changes.iter().filter(|change| !super::is_batchable(change));
        alone.map(|change| change.calls.len() as u64).sum::<u64>() + super::import::import_calls(self)
    }

    pub fn summary(&self) -> Summary {
        let count = |action| self.changes.iter().filter(|change| change.action == action).count() as u64;
        Summary {
            create: count(Action::Create),
            update: count(Action::Update),
            delete: count(Action::Delete),
            adopt: count(Action::Adopt),
            unchanged: self.unchanged,
            withheld: self.withheld.len() as u64,
            suspended: self.suspended,
        }
    }
}

mod sensitivity {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::model::Sensitivity;

    pub(super) fn serialize<S: Serializer>(value: &Sensitivity, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match value {
            Sensitivity::Public => "public",
            Sensitivity::Personal => "personal",
            Sensitivity::Secret => "secret",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sensitivity, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "public" => Ok(Sensitivity::Public),
            "personal" => Ok(Sensitivity::Personal),
            "secret" => Ok(Sensitivity::Secret),
            other => Err(D::Error::custom(format_args!("unknown sensitivity {other}"))),
        }
    }
}
