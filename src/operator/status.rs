//! What the operator writes under `status`. No value of a field stands here, only paths; no response body.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One condition, in Kubernetes' form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, `Reconciling` or `Stalled`.
    #[serde(rename = "type")]
    pub condition_type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word in CamelCase.
    pub reason: String,
    /// What a person should know.
    pub message: String,
    /// When `status` last changed, RFC 3339.
    pub last_transition_time: String,
    /// The generation that the condition speaks of.
    #[serde(default)]
    pub observed_generation: i64,
}

/// What differs on the live side: paths of fields, no values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// When the difference was first seen, RFC 3339.
    pub since: String,
    /// The fields that differ.
    pub paths: Vec<String>,
}

/// How a reconcile that did something ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedOutcome {
    /// When, RFC 3339.
    pub time: String,
    /// `Created`, `Updated`, `DriftCorrected`, `Deleted`, `Adopted`, `Refused` or `Failed`.
    pub outcome: String,
    /// What a person should know.
    #[serde(default)]
    pub message: String,
}

/// A change that waits for its approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// What a PlanApproval must name.
    pub hash: String,
    /// The change, masked, as the command would print it.
    pub diff: String,
}

/// The status of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The name of the instance that the object uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The object's id in FusionAuth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The value of the reconcile annotation that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What differs on the live side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// The change that waits for its approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlannedChange>,
    /// The last five outcomes, newest first.
    #[serde(default)]
    pub outcomes: Vec<RecordedOutcome>,
}

/// The status of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The server's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The tenant in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The value of the reconcile annotation that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The objects that use the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<i64>,
}
