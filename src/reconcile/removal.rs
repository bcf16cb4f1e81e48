//! Objects that are no longer declared: pruned, or named by a tombstone.

use serde_json::json;

use crate::model::{Deletion, Kind, Scope, row};

use super::fingerprint::fingerprint;
use super::{
    Action, Change, Desired, Entry, Live, Observed, PlanContext, Planned, Reason, RecordUpdate, Risk,
    Verdict, Withheld, calls, change, unique,
};

/// Plans an object that the record holds and no manifest declares. `reason` is `Pruned`, `Destroy` or `Undo`.
///
/// Without `--prune` a pruned object is listed as withheld. What stands under the key now decides: nothing is
/// deleted twice, and a person whom we deactivated is left as others made them since.
pub fn prune_object(entry: &Entry, live: Option<&Live>, reason: Reason, context: &PlanContext) -> Planned {
    let mut planned = Planned::new(entry.address.clone(), entry.key.clone());
    remove(&mut planned, entry, live, entry.deletion, reason, context);
    planned
}

/// A tombstone deletes what the record holds and needs no `--prune`: it is readable in the review.
pub(super) fn tombstone(desired: &Desired, observed: &Observed<'_>, context: &PlanContext) -> Planned {
    let mut planned = Planned::new(desired.address.clone(), observed.key.clone());
    let Some(entry) = observed.entry else {
        planned.verdict = Verdict::Nothing;
        return planned;
    };
    planned.key = entry.key.clone();
    let live = observed.live.or(observed.previous).filter(|live| live.key == entry.key);
    let deletion = desired.policy.deletion.0.unwrap_or(entry.deletion);
    let protected = desired.policy.protects(entry.protected);
    let entry = Entry { protected, address: desired.address.clone(), ..entry.clone() };
    remove(&mut planned, &entry, live, deletion, Reason::Tombstone, context);
    planned
}

fn remove(
    planned: &mut Planned,
    entry: &Entry,
    live: Option<&Live>,
    deletion: Deletion,
    reason: Reason,
    context: &PlanContext,
) {
    planned.uses = unique::uses(&entry.key, live);
    let Some(live) = live else {
        // Gone already, or never made: an intent that came to nothing.
        planned.verdict = Verdict::Record(RecordUpdate::Remove(entry.key.clone()));
        return;
    };
    let kind = entry.address.kind;
    // Only people can be deactivated; of anything else the word can come from a record that was edited.
    let deletion =
        if kind != Kind::User && deletion == Deletion::Deactivate { Deletion::Delete } else { deletion };
    planned.exists = true;
    let mut unique = unique::of_fields(kind, &live.fields);
    unique.extend(unique::of_key(&live.key));
    if let Some(left) = other_tenants(entry, reason, context) {
        planned.keeps = unique;
        planned.verdict = Verdict::Record(RecordUpdate::Put { entry: Box::new(left), replaces: None });
        return;
    }
    if kind == Kind::User && deletion == Deletion::Deactivate && !live.active {
        // By us in an earlier run, by our own `active: false`, or by others. The claim stays: the person still
        // stands there and may be declared again.
        planned.keeps = unique;
        let intended = entry.deactivated_by_us && entry.intent;
        planned.verdict = if intended { Verdict::Record(settled(entry)) } else { Verdict::Nothing };
        return;
    }
    // An intent that came to nothing is no opening by somebody.
    if entry.deactivated_by_us && !entry.intent && live.active && deletion == Deletion::Deactivate {
        // Somebody opened the account again after us: that is theirs to decide.
        planned.keeps = unique;
        planned.verdict = Verdict::Record(RecordUpdate::Remove(entry.key.clone()));
        return;
    }
    let fields = shown(kind, live, deletion);
    if reason == Reason::Pruned && !context.prune {
        planned.keeps = unique;
        planned.verdict = Verdict::Withheld;
        planned.withheld.push(Withheld {
            address: entry.address.clone(),
            action: Action::Delete,
            why: "it is no longer declared and is deleted with --prune only".to_owned(),
            fields,
        });
        return;
    }
    if deletion == Deletion::Delete {
        planned.frees = unique
    } else {
        planned.keeps = unique
    }
    planned.verdict = Verdict::Change(Box::new(deletion_change(entry, live, deletion, reason, fields)));
}

fn deletion_change(
    entry: &Entry,
    live: &Live,
    deletion: Deletion,
    reason: Reason,
    fields: Vec<super::FieldChange>,
) -> Change {
    let kind = entry.address.kind;
    let record = match deletion {
        // The claim stays, so that the same person is reactivated when declared again.
        Deletion::Deactivate => settled(entry),
        Deletion::Delete | Deletion::Orphan => RecordUpdate::Remove(entry.key.clone()),
    };
    Change {
        address: entry.address.clone(),
        action: Action::Delete,
        key: entry.key.clone(),
        reason,
        risk: Risk::Reversible,
        risk_notes: Vec::new(),
        fields,
        deletion: Some(deletion),
        depends_on: Vec::new(),
        calls: calls::delete(kind, &entry.key, deletion),
        fingerprint: Some(fingerprint(kind, live, &std::collections::BTreeSet::new())),
        notes: Vec::new(),
        protected: entry.protected,
        record,
    }
}

/// The entry of a user whom we have deactivated.
fn settled(entry: &Entry) -> RecordUpdate {
    let entry = Entry { deactivated_by_us: true, intent: false, ..entry.clone() };
    RecordUpdate::Put { entry: Box::new(entry), replaces: None }
}

fn shown(kind: Kind, live: &Live, deletion: Deletion) -> Vec<super::FieldChange> {
    match deletion {
        Deletion::Orphan => vec![],
        Deletion::Delete => change::identifying(kind, live),
        Deletion::Deactivate => vec![change::field("active", json!(true), json!(false))],
    }
}

/// Of a global object that other tenants' runs declare as well: the entry without this tenant.
fn other_tenants(entry: &Entry, reason: Reason, context: &PlanContext) -> Option<Entry> {
    let global = row(entry.address.kind).scope == Scope::Global;
    let mut left = entry.clone();
    left.tenants.remove(&context.tenant_id);
    let withheld = reason == Reason::Pruned && !context.prune;
    (global && !withheld && !left.tenants.is_empty()).then_some(left)
}
