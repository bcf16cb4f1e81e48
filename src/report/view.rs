//! What a reader may see of a plan and its run. Masking happens here and nowhere else: text, JSON and Markdown
//! are made from a [`View`], which holds neither secrets nor masked values.

use serde_json::Value;

use crate::manifest::{Diagnostic, render_line};
use crate::model::{Address, Deletion, Sensitivity};
use crate::reconcile::{
    Action, Blame, CallCounts, Change, FieldChange, Key, Outcome, Plan, Problem, Reason, Risk, Shown, Status,
    Summary, Target, Withheld,
};

/// Who reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Shows personal values that come from the server (`--show-personal`).
    pub personal: bool,
}

/// One side of a field's change, as it may be shown. Values are the plan's own: of a large plan no second copy is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side<'p> {
    Absent,
    Value(&'p Value),
    /// A secret is there.
    Secret,
    /// A personal value of the server is there.
    Masked,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldView<'p> {
    pub path: &'p str,
    pub before: Side<'p>,
    pub after: Side<'p>,
    pub sensitive: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ProblemView {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    pub address: Option<String>,
    /// File, line, column.
    pub place: Option<(String, u32, u32)>,
    /// The place with its source line, for people.
    pub source: Option<String>,
    pub blame: Blame,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChangeView<'p> {
    pub address: String,
    pub kind: String,
    pub name: String,
    pub action: Action,
    /// How a deletion is made.
    pub deletion: Option<Deletion>,
    /// The id in FusionAuth; links and grants have none.
    pub id: Option<String>,
    pub reason: Reason,
    pub risk: Risk,
    pub risk_notes: Vec<String>,
    pub fields: Vec<FieldView<'p>>,
    pub depends_on: Vec<String>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
    /// API calls that the change is made of.
    pub calls: u64,
    /// How it ended, when it was applied.
    pub status: Option<Status>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WithheldView<'p> {
    pub address: String,
    pub action: Action,
    pub why: String,
    pub fields: Vec<FieldView<'p>>,
}

/// A plan and, when it was applied, what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanView<'p> {
    pub target: Target,
    pub owner: String,
    /// Highest risk first, else in the plan's order.
    pub changes: Vec<ChangeView<'p>>,
    pub withheld: Vec<WithheldView<'p>>,
    pub summary: Summary,
    pub predicted_calls: u64,
    /// Of a run: the requests that were made.
    pub calls: Option<CallCounts>,
    /// Of a run: why it ended before it was through.
    pub interrupted: Option<String>,
}

/// What is reported: a plan or a run, if it came to one, with all problems.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View<'p> {
    pub plan: Option<PlanView<'p>>,
    pub warnings: Vec<ProblemView>,
    pub errors: Vec<ProblemView>,
}

impl<'p> View<'p> {
    /// A plan that was not applied, or not yet.
    pub fn of_plan(plan: &'p Plan, audience: Audience) -> Self {
        let mut changes: Vec<ChangeView<'p>> =
            plan.changes.iter().map(|change| change_view(change, audience)).collect();
        // Stable: changes of one risk stay in the order in which they are applied.
        changes.sort_by_key(|change| std::cmp::Reverse(change.risk));
        View {
            plan: Some(PlanView {
                target: plan.target.clone(),
                owner: plan.owner.as_str().to_owned(),
                changes,
                withheld: plan.withheld.iter().map(|withheld| withheld_view(withheld, audience)).collect(),
                summary: plan.summary(),
                predicted_calls: plan.predicted_calls(),
                calls: None,
                interrupted: None,
            }),
            warnings: plan.warnings.iter().map(ProblemView::from).collect(),
            errors: plan.errors.iter().map(ProblemView::from).collect(),
        }
    }

    /// A run that had nothing to do, which made no call.
    #[must_use]
    pub fn with_nothing_done(mut self) -> Self {
        if let Some(plan) = &mut self.plan {
            plan.calls = Some(CallCounts::default());
        }
        self
    }

    /// A plan and what became of it.
    pub fn of_run(plan: &'p Plan, outcome: &Outcome, audience: Audience) -> Self {
        let mut view = View::of_plan(plan, audience);
        let ends: std::collections::HashMap<String, Status> =
            outcome.changes.iter().map(|end| (end.address.to_string(), end.status)).collect();
        if let Some(plan) = &mut view.plan {
            for change in &mut plan.changes {
                change.status = ends.get(&change.address).copied();
            }
            plan.calls = Some(outcome.calls);
            plan.interrupted.clone_from(&outcome.interrupted);
        }
        view.errors.extend(outcome.errors.iter().map(ProblemView::from));
        for end in &outcome.changes {
            let address = Some(end.address.to_string());
            view.warnings.extend(end.notes.iter().map(|note| note_view(note, &end.address)));
            if let Some(problem) = end.problem.as_deref() {
                view.errors.push(ProblemView { address, ..ProblemView::from(problem) });
            }
        }
        view
    }

    /// The same without the problems that came with the plan.
    pub fn since_plan(mut self, plan: &Plan) -> Self {
        self.warnings.drain(..plan.warnings.len().min(self.warnings.len()));
        self.errors.drain(..plan.errors.len().min(self.errors.len()));
        self
    }

    /// Problems without a plan: the run did not come that far.
    pub fn of_errors(errors: Vec<ProblemView>, warnings: Vec<ProblemView>) -> View<'static> {
        View { plan: None, warnings, errors }
    }
}

impl PlanView<'_> {
    /// Changes that ended in a way.
    pub fn count(&self, status: Status) -> u64 {
        self.changes.iter().filter(|change| change.status == Some(status)).count() as u64
    }

    /// Changes of an action, when it is a run: those that were done.
    pub fn done(&self, action: Action) -> u64 {
        let is_run = self.calls.is_some();
        let counts = |change: &&ChangeView<'_>| {
            change.action == action && (!is_run || change.status == Some(Status::Done))
        };
        self.changes.iter().filter(counts).count() as u64
    }
}

impl From<&Problem> for ProblemView {
    fn from(problem: &Problem) -> Self {
        ProblemView {
            code: problem.code.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone().filter(|hint| !hint.is_empty()),
            address: problem.address.as_ref().map(ToString::to_string),
            place: problem.place.as_ref().map(|place| (place.file.to_string(), place.line, place.column)),
            source: problem
                .place
                .as_ref()
                .zip(problem.line.as_ref())
                .map(|(place, line)| render_line(place, line)),
            blame: problem.blame,
        }
    }
}

impl From<&Diagnostic> for ProblemView {
    fn from(diagnostic: &Diagnostic) -> Self {
        ProblemView {
            code: diagnostic.code.to_owned(),
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
            address: diagnostic.address.as_ref().map(ToString::to_string),
            place: diagnostic.place.as_ref().map(|place| (place.file.to_string(), place.line, place.column)),
            source: None,
            blame: Blame::Error,
        }
    }
}

fn note_view(note: &str, address: &Address) -> ProblemView {
    ProblemView {
        code: "note".to_owned(),
        message: note.to_owned(),
        hint: None,
        address: Some(address.to_string()),
        place: None,
        source: None,
        blame: Blame::Error,
    }
}

fn change_view(change: &Change, audience: Audience) -> ChangeView<'_> {
    ChangeView {
        address: change.address.to_string(),
        kind: change.address.kind.to_string(),
        name: change.address.name.to_string(),
        action: change.action,
        deletion: change.deletion,
        id: match &change.key {
            Key::Id(id) => Some(id.to_string()),
            Key::Grant { .. } | Key::Link { .. } => None,
        },
        reason: change.reason,
        risk: change.risk,
        risk_notes: change.risk_notes.clone(),
        fields: change.fields.iter().map(|field| field_view(field, change.reason, audience)).collect(),
        depends_on: change.depends_on.iter().map(ToString::to_string).collect(),
        notes: change.notes.clone(),
        calls: change.calls.len() as u64,
        status: None,
    }
}

fn withheld_view(withheld: &Withheld, audience: Audience) -> WithheldView<'_> {
    WithheldView {
        address: withheld.address.to_string(),
        action: withheld.action,
        why: withheld.why.clone(),
        fields: withheld.fields.iter().map(|field| field_view(field, Reason::Differs, audience)).collect(),
    }
}

fn field_view(field: &FieldChange, reason: Reason, audience: Audience) -> FieldView<'_> {
    // What an undo writes comes from the server of then, not from a manifest.
    let after_is_servers = reason == Reason::Undo;
    FieldView {
        path: &field.path,
        before: side(&field.before, field.sensitivity, true, audience),
        after: side(&field.after, field.sensitivity, after_is_servers, audience),
        sensitive: field.sensitivity != Sensitivity::Public,
    }
}

fn side(shown: &Shown, sensitivity: Sensitivity, servers: bool, audience: Audience) -> Side<'_> {
    match (shown, sensitivity) {
        (Shown::Absent, _) => Side::Absent,
        (Shown::Secret, _) | (Shown::Value(_), Sensitivity::Secret) => Side::Secret,
        (Shown::Value(_), Sensitivity::Personal) if servers && !audience.personal => Side::Masked,
        (Shown::Value(value), _) => Side::Value(value),
    }
}

/// The verb for what happens to an object, as a plan says it.
pub fn action_word(action: Action, deletion: Option<Deletion>, reason: Reason) -> &'static str {
    match (action, deletion) {
        (Action::Create, _) => "create",
        (Action::Update, _) if reason == Reason::DeclaredAgain => "reactivate",
        (Action::Update, _) => "update",
        (Action::Adopt, _) => "adopt",
        (Action::Delete, Some(Deletion::Deactivate)) => "deactivate",
        (Action::Delete, Some(Deletion::Orphan)) => "let go",
        (Action::Delete, _) => "delete",
    }
}

/// Why a change is planned, in words.
pub fn reason_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Missing => "does not exist yet",
        Reason::Differs => "differs from its declaration",
        Reason::NoLongerDeclared => "fields that we wrote are no longer declared",
        Reason::Pruned => "is no longer declared",
        Reason::Tombstone => "is declared absent",
        Reason::Adoption => "exists and is taken over, as its policy says",
        Reason::DeclaredAgain => "was deactivated by us and is declared again",
        Reason::KeyChanged => "its key changed",
        Reason::Renamed => "was renamed",
        Reason::Destroy => "is destroyed on request",
        Reason::Undo => "is put back to what it was",
    }
}

/// A risk in words.
pub fn risk_words(risk: Risk) -> &'static str {
    match risk {
        Risk::Reversible => "reversible",
        Risk::DeletesInUse => "deletes what may be in use",
        Risk::BreaksSignIn => "breaks a sign-in",
        Risk::DeactivatesPerson => "deactivates a person",
        Risk::HardDeletesPerson => "deletes a person for good",
        Risk::GivesAdministration => "gives administration of FusionAuth",
    }
}
