//! One change: its calls in order, what a failure of one of them means, and what the record learns of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use secrecy::ExposeSecret;

use crate::fusionauth::{self, ErrorKind};
use crate::model::Kind;
use crate::reconcile::{
    Action, Call, Change, Key, Live, Plan, Problem, Purpose, RecordUpdate, stale, stands,
};

use super::super::error::UNREACHABLE;
use super::super::keys::SecretOf;
use super::super::reread::{Lives, reread_all, reread_one};
use super::super::session::Session;
use super::{Apply, Ended, Error, Recheck, Run, locked, send};

/// A plan belongs to one server, tenant and owner.
///
/// # Errors
/// It is not this one.
pub fn refuse_other_target(plan: &Plan, session: &Session) -> Result<(), Error> {
    let (planned, here) = (&plan.target, session.target());
    let differs = if planned.url != here.url {
        format!("it was made for {}, and this is {}", planned.url, here.url)
    } else if planned.tenant_id != here.tenant_id {
        format!("it was made for the tenant {}, and this is {}", planned.tenant_id, here.tenant_id)
    } else if planned.server_version != here.server_version {
        let (then, now) = (&planned.server_version, &here.server_version);
        format!("it was made for version {then}, and the server has version {now}")
    } else if plan.owner != *session.owner() {
        format!("it is the owner {}'s, and this run is {}'s", plan.owner, session.owner())
    } else {
        return Ok(());
    };
    Err(Error::WrongTarget(differs))
}

impl Apply<'_> {
    /// What stands there now, read at once, where the journal or the comparison needs it.
    pub(super) async fn before_images(&self, client: &fusionauth::Client) -> Result<Lives, Error> {
        let compared = self.recheck >= Recheck::Before;
        if !compared && self.journal.is_none() {
            return Ok(Lives::new());
        }
        let wanted = |change: &&Change| compared || change.action != Action::Create;
        let keys = self.plan.changes.iter().filter(wanted).flat_map(keys_before);
        Ok(reread_all(client, keys).await?)
    }

    /// Compares everything that the plan touches with what it was made from.
    pub(super) fn refuse_if_stale(&self, lives: &Lives) -> Result<(), Error> {
        let moved = |change: &Change| {
            let live = |key: &Key| lives.get(&(change.kind(), key.clone()));
            staleness(change, live(&change.key)).or_else(|| {
                // An undoing may find the new one gone already, and takes nothing away then.
                let deletes =
                    change.calls.iter().any(|call| matches!(call.purpose, Purpose::Delete | Purpose::Unlink));
                let replaced = replaced(change).filter(|old| deletes && live(old).is_none());
                replaced.map(|_| moved(change, "what it takes the place of is gone"))
            })
        };
        let problems: Vec<Problem> = self.plan.changes.iter().filter_map(moved).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Stale(problems)) }
    }
}

/// The change's key, and the one that it takes the place of.
pub(super) fn keys_before(change: &Change) -> impl Iterator<Item = (Kind, Key)> {
    let kind = change.kind();
    std::iter::once(change.key.clone()).chain(replaced(change)).map(move |key| (kind, key))
}

/// The key of the link or grant that the change takes away for its own.
fn replaced(change: &Change) -> Option<Key> {
    match &change.record {
        RecordUpdate::Put { replaces, .. } => replaces.clone(),
        RecordUpdate::Remove(_) => None,
    }
}

/// What moved since the change was planned.
fn staleness(change: &Change, live: Option<&Live>) -> Option<Problem> {
    let moved = stale(change, live);
    let what = match (moved.is_empty(), live) {
        (true, _) => return None,
        (false, None) => "it is gone".to_owned(),
        (false, Some(_)) if change.fingerprint.is_none() => "it exists by now".to_owned(),
        (false, Some(_)) => format!("changed: {}", moved.join(", ")),
    };
    Some(self::moved(change, &what))
}

pub(super) fn moved(change: &Change, what: &str) -> Problem {
    let message = format!("{} moved since the plan was made: {what}", change.address);
    Problem::error("stale", message, "make a new plan").of(&change.address)
}

impl Run<'_> {
    /// Carries one change out.
    pub(super) async fn one(&self, change: &Change) -> Ended {
        if self.is_ending() {
            return Ended::NotStarted;
        }
        if let Some(problem) = self.stopped(change.kind(), change) {
            return Ended::Failed(Box::new(problem));
        }
        let mut live = None;
        if self.apply.recheck == Recheck::BeforeEach && !change.calls.is_empty() {
            live = match reread_one(&self.client, change.kind(), &change.key).await {
                Ok(live) => live,
                Err(error) => return self.failed(change, &error).await,
            };
            if let Some(problem) = staleness(change, live.as_ref()) {
                return Ended::Stale(Box::new(problem));
            }
        }
        let stands = |call: &Call| live.as_ref().is_some_and(|live| stands(change, call, live));
        for (done, call) in change.calls.iter().enumerate() {
            if stands(call) {
                continue;
            }
            if let Err(error) = self.call(change, call).await {
                let ended = match error {
                    CallError::Malformed(error) => Ended::Failed(Box::new(malformed(change, &error))),
                    CallError::Api(error) if done == 0 && never_sent(&error) => {
                        self.halt_if_refused(&error);
                        Ended::NotStarted
                    }
                    CallError::Api(error) => self.failed(change, &error).await,
                };
                // Where nobody knows, the record keeps what was intended, which is more than what was done.
                if !matches!(ended, Ended::Unknown(_)) {
                    self.record_partly(change, done);
                }
                return ended;
            }
        }
        Ended::Done
    }

    /// Sends one call.
    pub(super) async fn call(&self, change: &Change, call: &Call) -> Result<(), CallError> {
        let ready = send::prepare(change, call, self.apply.secrets).map_err(CallError::Malformed)?;
        if call.purpose == Purpose::Import {
            let _alone = self.importing.lock().await;
            return self.import_one(change, &ready).await.map_err(CallError::Api);
        }
        match self.execute(&ready).await {
            // Somebody else was quicker. Should it stand there all the same, the re-read finds it.
            Err(error) if error.is_not_found() && removes(call.purpose) => Ok(()),
            result => result.map_err(CallError::Api),
        }
    }

    /// Sends one prepared call and counts it.
    pub(super) async fn execute(&self, ready: &fusionauth::Call) -> Result<(), fusionauth::Error> {
        let result = self.client.execute(ready).await;
        if !result.as_ref().is_err_and(never_sent) {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        result.map(drop)
    }

    /// What a failed call means for its change, its kind and the run.
    pub(super) async fn failed(&self, change: &Change, error: &fusionauth::Error) -> Ended {
        self.halt_if_refused(error);
        if error.is_unauthorized() {
            self.stop_kind(change.kind());
        }
        let clash = error.is_duplicate().is_some() || matches!(error.kind(), ErrorKind::CreateDiffers { .. });
        if clash && let Some(problem) = self.conflict(change, error).await {
            return ended(error, problem);
        }
        ended(error, told(change, error))
    }

    /// Ends the run where nothing can go well any more (DESIGN §3: TLS, DNS, licence, the lock).
    fn halt_if_refused(&self, error: &fusionauth::Error) {
        let over = match error.kind() {
            ErrorKind::Unreachable { .. } | ErrorKind::UnprovenBaseUrl | ErrorKind::Redirect { .. } => true,
            ErrorKind::WriteRefused(_) | ErrorKind::DeadlinePassed | ErrorKind::ReadOnly => true,
            _ => error.is_license(),
        };
        if over {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            self.halted.cancel(&format!("{error}{hint}"));
        }
    }

    fn stop_kind(&self, kind: Kind) {
        locked(&self.stopped_kinds).insert(kind);
    }

    /// The key lacks a permission that this kind needs: the rest of the kind is not tried.
    fn stopped(&self, kind: Kind, change: &Change) -> Option<Problem> {
        locked(&self.stopped_kinds).contains(&kind).then(|| {
            let message = format!("changes of {kind} stopped: the API key lacks a permission that they need");
            let hint = "the first failed change of the kind names the method and the route";
            Problem::error("kind-stopped", message, hint).of(&change.address)
        })
    }

    /// What the record says of the change, with fingerprints of the secrets that were sent.
    pub(super) fn with_fingerprints(&self, change: &Change, mut update: RecordUpdate) -> RecordUpdate {
        let (RecordUpdate::Put { entry, .. }, Some(keys)) = (&mut update, self.apply.keys) else {
            return update;
        };
        for slot in change.calls.iter().flat_map(|call| &call.secrets) {
            let Some(field) = slot.pointer.rsplit('/').next() else { continue };
            // What the entry already knows was not sent by this run.
            let Some(sent) = entry.secrets.get_mut(field).filter(|sent| sent.fingerprint.is_none()) else {
                continue;
            };
            let value = self.apply.secrets.get(&change.address.namespace, &slot.source);
            let of = SecretOf { kind: change.kind(), key: &entry.key, field };
            sent.fingerprint = value.and_then(|value| keys.fingerprint(of, value.expose_secret().as_bytes()));
        }
        update
    }

    /// Some calls of the change were made and one failed: what was written is ours all the same.
    fn record_partly(&self, change: &Change, done: usize) {
        let Some(record) = self.apply.record else { return };
        let RecordUpdate::Put { entry, .. } = &change.record else { return };
        let held = record.loaded().entries.by_key(&entry.key);
        if let Some(update) = change.record_after(held.map(Arc::as_ref), done) {
            locked(&self.begun).insert(entry.key.clone());
            record.update(self.with_fingerprints(change, update));
        }
    }
}

/// Why a call was not made or failed.
#[derive(Debug)]
pub(super) enum CallError {
    Malformed(send::Malformed),
    Api(fusionauth::Error),
}

/// Whether the call takes something away, so that it has nothing to do where that is gone.
fn removes(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Delete | Purpose::Deactivate | Purpose::DeletePart | Purpose::Unlink)
}

/// Refused on our side: nothing went out.
pub(super) fn never_sent(error: &fusionauth::Error) -> bool {
    error.is_refused_here()
}

fn malformed(change: &Change, error: &send::Malformed) -> Problem {
    let hint = "make a new plan with this fusionkeep";
    Problem::error("malformed-plan", error.to_string(), hint).of(&change.address)
}

fn ended(error: &fusionauth::Error, problem: Problem) -> Ended {
    let problem = Box::new(problem);
    if error.may_have_been_done() { Ended::Unknown(problem) } else { Ended::Failed(problem) }
}

/// A failure as it is told: what FusionAuth said, masked by the client, and what can be done.
fn told(change: &Change, error: &fusionauth::Error) -> Problem {
    let code = match error.status() {
        _ if error.is_unreachable() => UNREACHABLE,
        Some(401) => "not-permitted",
        Some(404) => "not-found",
        Some(409) => "conflict",
        Some(_) => "refused",
        None => "no-answer",
    };
    let problem = Problem::error(code, error.to_string(), "").of(&change.address);
    Problem { hint: error.hint(), ..problem }
}
