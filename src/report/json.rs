//! A report as JSON: the shape that pipelines read. Its JSON Schema is committed as `schemas/report.json`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::reconcile::{Action, Reason, Risk, Status};

use super::SCHEMA_VERSION;
use super::view::{ChangeView, FieldView, PlanView, ProblemView, Side, View, risk_words};

/// What `plan`, `apply` and `validate` print with `-o json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "fusionkeep report", deny_unknown_fields)]
pub struct Report {
    /// The version of this shape; it rises when a field goes or changes its meaning.
    pub schema_version: u32,
    /// Where the plan belongs; null when the run did not come so far.
    pub target: Option<TargetReport>,
    /// The owner; null when the run did not come so far.
    pub owner: Option<String>,
    /// The changes, highest risk first.
    pub changes: Vec<ChangeReport>,
    pub warnings: Vec<ProblemReport>,
    pub errors: Vec<ProblemReport>,
    pub summary: SummaryReport,
}

/// A FusionAuth instance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct TargetReport {
    /// The base URL; `sandbox:` and the store's id for the embedded sandbox.
    pub url: String,
    pub tenant_id: String,
    pub server_version: String,
}

/// One object's change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ChangeReport {
    /// `Kind/name`, or `Kind/namespace/name` outside the namespace `default`.
    pub address: String,
    pub kind: String,
    /// The name in the manifest.
    pub name: String,
    #[schemars(with = "ActionWord")]
    pub action: Action,
    /// The id in FusionAuth; null for links and grants, whose key is their pair.
    pub id: Option<String>,
    #[schemars(with = "ReasonWord")]
    pub reason: Reason,
    #[schemars(with = "RiskWord")]
    pub risk: Risk,
    /// The fields that change, and only those.
    pub fields: Vec<FieldReport>,
    /// Addresses of the changes that come before this one.
    pub depends_on: Vec<String>,
}

/// One field's change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct FieldReport {
    /// `email`, `data.team`, `registrations[APPLICATION ID].roles`.
    pub path: String,
    /// What the server has; null when nothing, `"(secret)"` and `"(personal)"` where it is not shown.
    pub before: Value,
    /// What is asked for; null when it is removed, `"(secret)"` where it is not shown.
    pub after: Value,
    /// Whether the field is a secret or personal.
    pub sensitive: bool,
}

/// An error or a warning.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ProblemReport {
    /// A stable word.
    pub code: String,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    pub file: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// The object it is about.
    pub address: Option<String>,
}

/// Counts: of a plan what would be done, of a run what was done.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct SummaryReport {
    pub create: u64,
    pub update: u64,
    pub delete: u64,
    pub adopt: u64,
    /// Objects that equal their declaration.
    pub unchanged: u64,
    /// Differences that are not acted on; each is listed among the warnings.
    pub withheld: u64,
    /// Changes that failed, or whose object had moved.
    pub failed: u64,
    /// Changes that were not begun, since one that they depend on failed or the run ended.
    pub blocked: u64,
    pub api_calls: ApiCalls,
}

/// API calls on objects; record, lock and retries are not among them.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ApiCalls {
    pub predicted: u64,
    /// Null when nothing was applied.
    pub actual: Option<u64>,
}

// The words of the core's enumerations, for the schema alone: the core derives no schema.
macro_rules! words {
    ($(#[$documentation:meta])* $name:ident { $($word:ident),* $(,)? }) => {
        $(#[$documentation])*
        #[derive(JsonSchema)]
        #[schemars(rename_all = "camelCase")]
        #[allow(dead_code)]
        enum $name { $($word),* }
    };
}
words!(
    /// What happens to an object.
    ActionWord { Create, Update, Delete, Adopt }
);
words!(
    /// Why a change is planned.
    ReasonWord {
        Missing, Differs, NoLongerDeclared, Pruned, Tombstone, Adoption, DeclaredAgain, KeyChanged, Renamed,
        Destroy, Undo,
    }
);
words!(
    /// What a change can break.
    RiskWord { Reversible, DeletesInUse, BreaksSignIn, DeactivatesPerson, HardDeletesPerson, GivesAdministration }
);

impl From<&View<'_>> for Report {
    fn from(view: &View<'_>) -> Self {
        let plan = view.plan.as_ref();
        let mut warnings: Vec<ProblemReport> = view.warnings.iter().map(ProblemReport::from).collect();
        if let Some(plan) = plan {
            warnings.extend(notes(plan));
            warnings.extend(withheld_warnings(plan));
        }
        Report {
            schema_version: SCHEMA_VERSION,
            target: plan.map(|plan| TargetReport {
                url: plan.target.url.clone(),
                tenant_id: plan.target.tenant_id.to_string(),
                server_version: plan.target.server_version.clone(),
            }),
            owner: plan.map(|plan| plan.owner.clone()),
            changes: plan
                .map(|plan| plan.changes.iter().map(ChangeReport::from).collect())
                .unwrap_or_default(),
            warnings,
            errors: view.errors.iter().map(ProblemReport::from).collect(),
            summary: plan.map(SummaryReport::from).unwrap_or_default(),
        }
    }
}

impl From<&ChangeView<'_>> for ChangeReport {
    fn from(change: &ChangeView<'_>) -> Self {
        ChangeReport {
            address: change.address.clone(),
            kind: change.kind.clone(),
            name: change.name.clone(),
            action: change.action,
            id: change.id.clone(),
            reason: change.reason,
            risk: change.risk,
            fields: change.fields.iter().map(FieldReport::from).collect(),
            depends_on: change.depends_on.clone(),
        }
    }
}

impl From<&FieldView<'_>> for FieldReport {
    fn from(field: &FieldView<'_>) -> Self {
        FieldReport {
            path: field.path.to_owned(),
            before: side(&field.before),
            after: side(&field.after),
            sensitive: field.sensitive,
        }
    }
}

fn side(side: &Side) -> Value {
    match side {
        Side::Absent => Value::Null,
        Side::Value(value) => (*value).clone(),
        Side::Secret => json!("(secret)"),
        Side::Masked => json!("(personal)"),
    }
}

impl From<&ProblemView> for ProblemReport {
    fn from(problem: &ProblemView) -> Self {
        let place = problem.place.as_ref();
        ProblemReport {
            code: problem.code.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            file: place.map(|place| place.0.clone()),
            line: place.map(|place| place.1),
            column: place.map(|place| place.2),
            address: problem.address.clone(),
        }
    }
}

fn plain_warning(code: &str, message: String, address: &str) -> ProblemReport {
    ProblemReport {
        code: code.to_owned(),
        message,
        hint: None,
        file: None,
        line: None,
        column: None,
        address: Some(address.to_owned()),
    }
}

/// What is said about a change besides its fields.
fn notes(plan: &PlanView<'_>) -> impl Iterator<Item = ProblemReport> {
    plan.changes.iter().flat_map(|change| {
        let risks = change.risk_notes.iter().map(|note| {
            plain_warning("risk", format!("{}: {note}", risk_words(change.risk)), &change.address)
        });
        risks.chain(change.notes.iter().map(|note| plain_warning("note", note.clone(), &change.address)))
    })
}

fn withheld_warnings(plan: &PlanView<'_>) -> impl Iterator<Item = ProblemReport> {
    plan.withheld.iter().map(|withheld| plain_warning("withheld", withheld.why.clone(), &withheld.address))
}

impl From<&PlanView<'_>> for SummaryReport {
    fn from(plan: &PlanView<'_>) -> Self {
        SummaryReport {
            create: plan.done(Action::Create),
            update: plan.done(Action::Update),
            delete: plan.done(Action::Delete),
            adopt: plan.done(Action::Adopt),
            unchanged: plan.summary.unchanged,
            withheld: plan.summary.withheld,
            failed: plan.count(Status::Failed) + plan.count(Status::Stale),
            blocked: plan.count(Status::Blocked) + plan.count(Status::NotStarted),
            api_calls: ApiCalls {
                predicted: plan.predicted_calls,
                actual: plan.calls.map(|calls| calls.actual),
            },
        }
    }
}
