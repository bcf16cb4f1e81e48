//! The inverse of a run, planned from its journal against what is live now. It reads and never writes; the plan then
//! goes the way of every plan. What it undoes, and what cannot be undone, is the core's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::reconcile::{Key, Live, Plan, Problem, Status, Undoing, assemble, undo};

use super::compare::Counts;
use super::error::Error;
use super::journal::{BeforeImage, Journal, JournalChange, JournalError};
use super::plan::{PlanOptions, Planning, Sources};
use super::reread::reread_all;
use super::saved::Authenticity;

/// Plans the inverse of the run that wrote the journal. Steps that cannot be undone stand in the plan's warnings, with
/// the code `cannot-undo` and the reason.
///
/// # Errors
/// The journal is of another target, tenant or owner; the server cannot be read.
pub async fn plan(
    sources: Sources<'_>,
    journal: &Journal,
    authenticity: Authenticity,
    options: &PlanOptions,
) -> Result<Plan, Error> {
    let session = sources.session;
    refuse_other_target(sources, journal)?;
    let planning = Planning::new(sources, options);
    let begun: Vec<&JournalChange> = journal
        .changes
        .iter()
        .filter(|journalled| options.selection.selects_address(&journalled.change.address))
        .filter(|change| may_have_been_made(change, journal))
        .collect();
    let keys = begun.iter().flat_map(|journalled| {
        let kind = journalled.change.kind();
        let old = journalled.before.as_ref().map(|before| (kind, before.key.clone()));
        std::iter::once((kind, journalled.change.key.clone())).chain(old)
    });
    let lives = reread_all(session.client(), keys).await?;
    let before: Vec<Option<Live>> =
        begun.iter().map(|journalled| journalled.before.as_deref().map(as_live)).collect();
    let recorded_under = |key: &Key| planning.entries()?.by_key(key).map(Arc::as_ref);
    let mut unclear = Vec::new();
    let mut undoing = Vec::new();
    for (journalled, before) in begun.iter().zip(&before) {
        let change = &journalled.change;
        let recorded = recorded_under(&change.key);
        let live = lives.get(&(change.kind(), change.key.clone()));
        // An intent alone does not say that what stands there now is what the failed run made.
        let intended = recorded.is_some_and(|entry| entry.intent);
        if intended && live.is_some() && journalled.status == Status::Failed && journal.ended {
            let why = "the run could not create it, and somebody else may have";
            unclear.push(Problem::error("cannot-undo", "the whole change", why).of(&change.address));
            continue;
        }
        let old_key = before.as_ref().map(|before| &before.key).filter(|key| **key != change.key);
        undoing.push(Undoing {
            change,
            before: before.as_ref(),
            held: journalled.entry.as_deref(),
            recorded,
            live,
            live_under_old_key: old_key.and_then(|key| lives.get(&(change.kind(), key.clone()))),
            recorded_under_old_key: old_key.and_then(recorded_under),
        });
    }
    let planned = undo(&undoing, &planning.context);
    let mut plan = assemble(session.target().clone(), session.owner().clone(), planned);
    plan.warnings.extend(unclear);
    plan.warnings.extend(about_the_journal(journal, authenticity));
    planning.judge(plan, &[], Counts::default()).await
}

/// A journal belongs to one server, tenant and owner; the server may have been upgraded since.
fn refuse_other_target(sources: Sources<'_>, journal: &Journal) -> Result<(), JournalError> {
    let session = sources.session;
    let here = session.target();
    let same = journal.target.url == here.url
        && journal.target.tenant_id == here.tenant_id
        && journal.owner == *session.owner();
    if same {
        return Ok(());
    }
    let place = |url: &str, tenant: uuid::Uuid, owner: &crate::model::Owner| {
        format!("{url}, tenant {tenant}, owner {owner}")
    };
    Err(JournalError::OtherTarget {
        journal: place(&journal.target.url, journal.target.tenant_id, &journal.owner),
        here: place(&here.url, here.tenant_id, session.owner()),
    })
}

/// Of a run that ended it is known what was begun. One that died may have made any of its changes, and what is live
/// tells.
fn may_have_been_made(change: &JournalChange, journal: &Journal) -> bool {
    match change.status {
        Status::Done | Status::Failed => true,
        Status::NotStarted => !journal.ended,
        Status::Blocked | Status::Stale => false,
    }
}

fn as_live(before: &BeforeImage) -> Live {
    Live {
        key: before.key.clone(),
        fields: before.fields.clone(),
        parts: before.parts.clone(),
        active: before.active,
        secrets_equal: BTreeMap::new(),
    }
}

fn about_the_journal(journal: &Journal, authenticity: Authenticity) -> Vec<Problem> {
    let mut problems = Vec::new();
    if authenticity == Authenticity::NotAuthenticated {
        problems.push(Problem::error(
            "journal-not-authenticated",
            "the journal is not authenticated: without a runner key it could be anybody's",
            super::keys::MAKE_A_KEY,
        ));
    }
    if !journal.ended {
        problems.push(Problem::error(
            "journal-without-end",
            "the run that wrote the journal did not come to its end; what is live decides what there is to undo",
            "",
        ));
    }
    problems
}
