//! The end of a run: what was written is read again in bulk. FusionAuth has no compare-and-swap: two writes at once
//! can both answer 200 and one of them is lost (wire notes §1). A lost write is told and repeated once.

use std::collections::HashMap;

use serde_json::Value;

use crate::fusionauth::Error;
use crate::model::{Deletion, Kind};
use crate::reconcile::{
    Action, Call, Change, ChangeOutcome, Entry, Key, Live, Problem, Purpose, RecordUpdate, Shown, Status,
    digest, repair, unmet,
};

use super::super::reread::{reread, reread_one};
use super::change::CallError;
use super::{Run, locked};

/// What reading a change's object again showed.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    AsWritten,
    /// Only the e-mail is still the old one: the tenant has changes of e-mail verified (wire notes §4).
    EmailPending,
    /// Paths that are not as they were written.
    Lost(Vec<String>),
}

impl Run<'_> {
    /// Reads everything again that was done or may have been done, and repeats what was lost.
    pub(super) async fn verify(&self, outcomes: &mut [ChangeOutcome]) {
        let open = locked(&self.unknown).clone();
        let written = |index: usize, change: &Change| {
            let done = outcomes.get(index).is_some_and(|outcome| outcome.status == Status::Done);
            (done && !change.calls.is_empty()) || (open.contains(&index) && shows(change))
        };
        let mut lost: Vec<(usize, Vec<String>)> = Vec::new();
        let changes: Vec<(usize, &Change)> = self
            .plan()
            .changes
            .iter()
            .enumerate()
            .filter(|(index, change)| written(*index, change))
            .collect();
        let seen = match self.look(&changes).await {
            Ok(seen) => seen,
            Err(error) => {
                self.keep_claims_of_updates(changes.iter().map(|(_, change)| *change));
                return self.not_read_again(&error);
            }
        };
        let may_wait = !seen.contains(&Seen::EmailPending) || self.emails_wait().await;
        for ((index, change), seen) in changes.into_iter().zip(seen) {
            let Some(outcome) = outcomes.get_mut(index) else { continue };
            if open.contains(&index) {
                if seen == Seen::AsWritten {
                    self.note_done(index, change, outcome);
                }
                continue;
            }
            match seen {
                Seen::AsWritten => {}
                Seen::EmailPending if may_wait => self.note_pending(change, outcome),
                Seen::EmailPending => lost.push((index, vec!["email".to_owned()])),
                Seen::Lost(paths) => lost.push((index, paths)),
            }
        }
        self.repeat(lost, outcomes).await;
    }

    /// The run ends before anything was read again: what was removed may have been lost to a concurrent write.
    pub(super) fn leave_unverified(&self, outcomes: &[ChangeOutcome]) {
        let done = self.plan().changes.iter().zip(outcomes).filter(|(_, ended)| ended.status == Status::Done);
        self.keep_claims_of_updates(done.map(|(change, _)| change));
    }

    fn keep_claims_of_updates<'c>(&self, changes: impl Iterator<Item = &'c Change>) {
        changes.filter(|change| change.action == Action::Update).for_each(|change| self.keep_claims(change));
    }

    /// Whether the tenant has changed e-mails verified first. Where the key may not see that, or the tenant does not
    /// say, it may be so.
    async fn emails_wait(&self) -> bool {
        let setting = "/emailConfiguration/verifyEmailWhenChanged";
        match self.client.tenant(self.apply.session.tenant_id()).await {
            Ok(Some(tenant)) => Value::Object(tenant).pointer(setting).is_none_or(|set| set == true),
            Ok(None) | Err(_) => true,
        }
    }

    /// What was to be removed may still be there: the record goes on holding it, so that the next run removes it.
    fn keep_claims(&self, change: &Change) {
        let Some(record) = self.apply.record else { return };
        let held = &record.loaded().entries;
        match &change.record {
            RecordUpdate::Put { entry, replaces } => {
                let Some(held) = held.by_key(&entry.key) else { return };
                let mut entry = entry.clone();
                entry.written = std::sync::Arc::new(entry.written.union(&held.written).cloned().collect());
                let update = RecordUpdate::Put { entry, replaces: replaces.clone() };
                record.update(self.with_fingerprints(change, update));
            }
            RecordUpdate::Remove(key) => {
                let Some(held) = held.by_key(key) else { return };
                record.update(RecordUpdate::Put { entry: Box::new(Entry::clone(held)), replaces: None });
            }
        }
    }

    /// What FusionAuth answered stands in the report, and that nobody could look whether it held.
    fn not_read_again(&self, error: &Error) {
        self.halted.cancel(&format!("what was written could not be read again: {error}"));
    }

    /// What has become of each change's object; each is judged as its page arrives, and dropped.
    async fn look(&self, changes: &[(usize, &Change)]) -> Result<Vec<Seen>, Error> {
        let mut places: HashMap<(Kind, Key), Vec<usize>> = HashMap::new();
        for (place, (_, change)) in changes.iter().enumerate() {
            places.entry((change.kind(), change.key.clone())).or_default().push(place);
        }
        let mut all: Vec<Option<Seen>> = changes.iter().map(|_| None).collect();
        let judge = |kind: Kind, live: Live| {
            for place in places.get(&(kind, live.key.clone())).into_iter().flatten() {
                if let (Some((_, change)), Some(found)) = (changes.get(*place), all.get_mut(*place)) {
                    *found = Some(seen(change, Some(&live)));
                }
            }
        };
        reread(&self.client, places.keys().cloned(), judge).await?;
        let absent = |(_, change): &(usize, &Change)| seen(change, None);
        Ok(all
            .into_iter()
            .zip(changes)
            .map(|(seen, change)| seen.unwrap_or_else(|| absent(change)))
            .collect())
    }

    /// It failed without anybody knowing whether it was carried out, and it was.
    fn note_done(&self, index: usize, change: &Change, outcome: &mut ChangeOutcome) {
        locked(&self.unknown).remove(&index);
        outcome.status = Status::Done;
        outcome.problem = None;
        outcome.notes.push("its answer was lost; it was read again and is done".to_owned());
        if let Some(record) = self.apply.record {
            record.update(self.with_fingerprints(change, change.record.clone()));
        }
    }

    /// The record keeps a digest of the address that waits, so that the next run does not send it again.
    fn note_pending(&self, change: &Change, outcome: &mut ChangeOutcome) {
        outcome.notes.push("the e-mail change waits for its verification".to_owned());
        let after = change.fields.iter().find(|field| &*field.path == "email").map(|field| &field.after);
        let (Some(Shown::Value(after)), Some(record)) = (after, self.apply.record) else { return };
        if let RecordUpdate::Put { mut entry, replaces } =
            self.with_fingerprints(change, change.record.clone())
        {
            entry.pending_email = Some(digest(after));
            record.update(RecordUpdate::Put { entry, replaces });
        }
    }

    async fn repeat(&self, lost: Vec<(usize, Vec<String>)>, outcomes: &mut [ChangeOutcome]) {
        let mut repeated: Vec<(usize, &Change)> = Vec::new();
        for (index, paths) in lost {
            let (Some(change), Some(outcome)) = (self.change(index), outcomes.get_mut(index)) else {
                continue;
            };
            if self.is_ending() {
                self.keep_claims(change);
                outcome.status = Status::Failed;
                outcome.problem = Some(Box::new(lost_problem(change, &paths)));
                continue;
            }
            outcome.notes.push(format!("lost to a concurrent write and repeated: {}", paths.join(", ")));
            match self.resend(change).await {
                Ok(()) => repeated.push((index, change)),
                Err(CallError::Api(error)) => {
                    self.keep_claims(change);
                    self.fail(outcome, self.failed(change, &error).await);
                }
                Err(CallError::Malformed(error)) => {
                    self.keep_claims(change);
                    outcome.status = Status::Failed;
                    outcome.problem = Some(Box::new(
                        Problem::error("malformed-plan", error.to_string(), "").of(&change.address),
                    ));
                }
            }
        }
        if repeated.is_empty() {
            return;
        }
        let seen = match self.look(&repeated).await {
            Ok(seen) => seen,
            Err(error) => {
                repeated.iter().for_each(|(_, change)| self.keep_claims(change));
                return self.not_read_again(&error);
            }
        };
        for ((index, change), seen) in repeated.into_iter().zip(seen) {
            let paths = match seen {
                Seen::AsWritten => continue,
                // An address that could wait was not repeated.
                Seen::EmailPending => vec!["email".to_owned()],
                Seen::Lost(paths) => paths,
            };
            if let Some(outcome) = outcomes.get_mut(index) {
                self.keep_claims(change);
                outcome.status = Status::Failed;
                outcome.problem = Some(Box::new(lost_problem(change, &paths)));
            }
        }
    }

    /// What is gone is made again, a deletion is sent again; of what stands there only what was lost is written.
    async fn resend(&self, change: &Change) -> Result<(), CallError> {
        let gone = change.action == Action::Delete;
        let live = match gone {
            true => None,
            false => reread_one(&self.client, change.kind(), &change.key).await.map_err(CallError::Api)?,
        };
        let calls = live.map_or_else(|| remaking(change, gone), |live| repair(change, &live));
        for call in calls {
            self.call(change, &call).await?;
        }
        Ok(())
    }

    fn fail(&self, outcome: &mut ChangeOutcome, ended: super::Ended) {
        if let super::Ended::Failed(problem) | super::Ended::Unknown(problem) = ended {
            outcome.status = Status::Failed;
            outcome.problem = Some(problem);
        }
    }
}

/// Whether reading the object again can show that the change was carried out: a secret that was written into an
/// object that stood there already is not returned.
fn shows(change: &Change) -> bool {
    !change.calls.iter().any(|call| call.purpose == Purpose::Update && !call.secrets.is_empty())
}

fn lost_problem(change: &Change, paths: &[String]) -> Problem {
    let message = format!("written, but not there when it was read again: {}", paths.join(", "));
    Problem::error("lost-write", message, "something else writes the same object; run again")
        .of(&change.address)
}

fn seen(change: &Change, live: Option<&Live>) -> Seen {
    let gone = change.action == Action::Delete;
    match (live, change.deletion) {
        (None, _) if gone => Seen::AsWritten,
        (None, _) => Seen::Lost(vec!["the object".to_owned()]),
        (Some(live), Some(Deletion::Deactivate)) if gone && !live.active => Seen::AsWritten,
        (Some(_), Some(Deletion::Orphan)) if gone => Seen::AsWritten,
        (Some(_), _) if gone => Seen::Lost(vec!["the deletion".to_owned()]),
        (Some(live), _) => {
            let paths = unmet(change, live);
            let email_alone = change.kind() == Kind::User
                && change.action != Action::Create
                && paths == ["email"]
                && change.fields.iter().any(|field| &*field.path == "email" && field.after != Shown::Absent);
            match paths.is_empty() {
                true => Seen::AsWritten,
                false if email_alone => Seen::EmailPending,
                false => Seen::Lost(paths),
            }
        }
    }
}

/// The calls that make an object that is gone, or delete one that is there again. What a new key took the place of is
/// unlinked already.
fn remaking(change: &Change, gone: bool) -> Vec<Call> {
    let unlinks = |call: &&Call| call.purpose == Purpose::Unlink;
    change.calls.iter().filter(|call| gone || !unlinks(call)).cloned().collect()
}
