//! What fusionkeep may do with an object, and to which instance it belongs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::declared::null_as_absent;
use super::{ApprovalMode, Deletion, Kind, NonNull, row};

/// What becomes of an object that is adopted, drifts or is no longer declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-never" = [{
    "required": ["ensure", "protect"],
    "properties": { "ensure": { "const": "Absent" }, "protect": { "const": true } },
}]))]
pub struct Policy {
    /// What happens on the live side when the declaration goes: `Deactivate` (users only, and their default),
    /// `Delete` (the default of all other kinds) or `Orphan` (let go, nothing is changed).
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<Deletion>")]
    pub deletion: NonNull<Deletion>,
    /// What happens when a live object that is not ours stands where this one belongs: `Never` (refuse, the
    /// default), `Match` (adopt when it equals the declaration) or `Override` (adopt and change).
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<Adoption>")]
    pub adoption: NonNull<Adoption>,
    /// The operator's: `Correct` changes made by hand (the default) or only `Report` them.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<Drift>")]
    pub drift: NonNull<Drift>,
    /// Never delete, deactivate or replace this object. A tombstone of an object that was protected says `false` here.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub protect: NonNull<bool>,
    /// `Absent` makes this manifest a tombstone: the object is deleted if the record holds it.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<Ensure>")]
    pub ensure: NonNull<Ensure>,
    /// The operator's: `Manual` holds each change until a PlanApproval names its hash.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<ApprovalMode>")]
    pub approval: NonNull<ApprovalMode>,
}

impl Policy {
    pub fn deletion(&self, kind: Kind) -> Deletion {
        self.deletion.0.unwrap_or(row(kind).deletion)
    }

    pub fn adoption(&self) -> Adoption {
        self.adoption.0.unwrap_or_default()
    }

    pub fn protected(&self) -> bool {
        self.protect.0.unwrap_or_default()
    }

    /// Whether an object that the record says is protected (`recorded`) is so still. A declaration that says nothing of it
    /// protects no more, for it says that the object is there; a tombstone takes the protection away by saying so, for a
    /// wrong deletion locks somebody out.
    pub fn protects(&self, recorded: bool) -> bool {
        if self.absent() { recorded && self.protect.0 != Some(false) } else { self.protected() }
    }

    /// Whether this is a tombstone.
    pub fn absent(&self) -> bool {
        self.ensure.0 == Some(Ensure::Absent)
    }
}

/// What happens when a live object that is not ours stands where a declared one belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    #[default]
    Never,
    Match,
    Override,
}

/// What the operator does about changes made by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Drift {
    #[default]
    Correct,
    Report,
}

/// Whether the object is to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Ensure {
    #[default]
    Present,
    Absent,
}

/// The instance an object belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceReference {
    /// The kind of the instance; FusionAuthInstance when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<InstanceKind>,
    /// The name of the instance; a FusionAuthInstance stands in the object's own namespace.
    #[schemars(extend("x-form" = "object name"))]
    pub name: String,
}

/// The two kinds of instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum InstanceKind {
    #[default]
    FusionAuthInstance,
    ClusterFusionAuthInstance,
}

/// The object that a PlanApproval speaks of, in its own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// The kind of the object.
    pub kind: Kind,
    /// The name of the object.
    pub name: String,
}
