//! Leader election by a Lease, on client-go's algorithm: a change of hands is a replace with the resourceVersion that
//! was read, and how old a holder's renewal is, is judged by the local clock from the moment it was first seen.
//! Nothing here knows what the leader does.
//!
//! A leader that cannot renew stops by itself at the renew deadline. Besides, [`Leadership`] is asked before each write
//! and refuses one that could still be under way when another replica may take over: a process that was frozen wakes up
//! with a lease that has run out, and begins nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::fusionauth::WriteGate;

/// Between the end of the longest write and the moment at which another replica may begin.
const MARGIN: Duration = Duration::from_secs(1);

/// The three durations of client-go, and what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a candidate waits after the holder's last renewal.
    pub lease: Duration,
    /// How long a holder tries to renew before it stops.
    pub renew: Duration,
    /// Between two attempts.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(18),
            retry: Duration::from_secs(2),
        }
    }
}

/// Durations that could elect two leaders.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the lease duration must exceed the renew deadline by more than 2 s, and that the retry period: {0:?} > {1:?} > {2:?} does not hold"
)]
pub struct TimesError(Duration, Duration, Duration);

impl Times {
    /// The longest that a write may take: it must have ended when another replica may begin.
    ///
    /// # Errors
    /// The durations leave no time for one.
    pub fn write_deadline(self) -> Result<Duration, TimesError> {
        let error = TimesError(self.lease, self.renew, self.retry);
        let left = self.lease.checked_sub(self.renew + MARGIN).ok_or(error)?;
        if left <= Duration::from_secs(1) || self.retry >= self.renew { Err(error) } else { Ok(left) }
    }
}

/// Whether this process leads, and until when at least. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership(Arc<Mutex<Option<Instant>>>);

impl Leadership {
    /// Leads nothing yet.
    pub fn none() -> Self {
        Leadership(Arc::new(Mutex::new(None)))
    }

    /// Without election: one replica by the operator's own word.
    pub fn unconditional() -> Self {
        let far = Instant::now().checked_add(Duration::from_secs(100 * 365 * 24 * 3600));
        Leadership(Arc::new(Mutex::new(far)))
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn leads(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }
}

impl WriteGate for Leadership {
    fn permit(&self, longest: Duration) -> Result<(), String> {
        let ends = Instant::now() + longest;
        match self.until() {
            Some(until) if ends <= until => Ok(()),
            _ => Err("this replica's lease could end before the write does".to_owned()),
        }
    }
}

/// Both must permit a write.
pub struct BothGates(pub Arc<dyn WriteGate>, pub Arc<dyn WriteGate>);

impl WriteGate for BothGates {
    fn permit(&self, longest: Duration) -> Result<(), String> {
        self.0.permit(longest).and_then(|()| self.1.permit(longest))
    }
}

/// A candidate for one Lease.
pub struct Lease {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    times: Times,
    leadership: Leadership,
    observed: Option<Observed>,
}

/// The lease as it was last read, and when it was first seen so.
struct Observed {
    object: LeaseObject,
    since: Instant,
}

impl Lease {
    /// `identity` is unique among all replicas and all of their starts.
    pub fn new(api: Api<LeaseObject>, name: &str, identity: String, times: Times) -> Self {
        Lease { api, name: name.to_owned(), identity, times, leadership: Leadership::none(), observed: None }
    }

    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Returns when this replica leads.
    pub async fn acquire(&mut self) {
        loop {
            match self.try_acquire_or_renew().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, lease = self.name, "the lease cannot be taken"),
            }
            tokio::time::sleep(self.times.retry).await;
        }
    }

    /// Renews until that fails for as long as the renew deadline. Then nothing leads here any more.
    pub async fn keep(&mut self) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.times.retry).await;
            let begun = Instant::now();
            let left = self.times.renew.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left.max(Duration::from_millis(1)), self.try_acquire_or_renew()).await
            {
                Ok(Ok(true)) => renewed = begun,
                Ok(Ok(false)) => {
                    tracing::error!(lease = self.name, "another replica holds the lease");
                    break;
                }
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the lease was not renewed"),
                Err(_) => {}
            }
            if renewed.elapsed() >= self.times.renew {
                tracing::error!(lease = self.name, "the lease was not renewed in time");
                break;
            }
        }
        self.leadership.set(None);
    }

    /// Lets go, so that a standby takes over at once. Called when the last write has ended.
    pub async fn release(&mut self) {
        if !self.leadership.leads() {
            return;
        }
        self.leadership.set(None);
        let Some(object) = self.observed.as_ref().map(|observed| observed.object.clone()) else { return };
        let mut released = self.replace_released(object).await;
        if matches!(&released, Err(kube::Error::Api(status)) if status.code == 409) {
            // The answer to a last renewal may not have been waited for.
            released = match self.api.get(&self.name).await {
                Ok(found) if self.is_ours(&found) => self.replace_released(found).await,
                other => other.map(drop),
            };
        }
        if let Err(error) = released {
            tracing::warn!(%error, lease = self.name, "the lease was not released; it will run out");
        }
    }

    fn is_ours(&self, object: &LeaseObject) -> bool {
        let holder = object.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        holder == Some(&self.identity)
    }

    /// As client-go does: an empty holder with a lease of one second.
    async fn replace_released(&self, mut object: LeaseObject) -> Result<(), kube::Error> {
        if let Some(spec) = object.spec.as_mut() {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        self.api.replace(&self.name, &PostParams::default(), &object).await.map(drop)
    }

    /// One attempt: whether this replica holds the lease now.
    async fn try_acquire_or_renew(&mut self) -> Result<bool, kube::Error> {
        // Before the request: the lease may have been granted at any moment after it.
        let begun = Instant::now();
        // A holder need not read first: its own last version is what it replaces.
        if self.leadership.leads()
            && let Some(observed) = &self.observed
        {
            let desired = self.desired(Some(&observed.object));
            match self.api.replace(&self.name, &PostParams::default(), &desired).await {
                Ok(object) => {
                    self.hold(object, begun);
                    return Ok(true);
                }
                Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let Some(found) = self.api.get_opt(&self.name).await? else {
            let created = self.api.create(&PostParams::default(), &self.desired(None)).await;
            return self.granted(created, begun);
        };
        self.observe(&found);
        let spec = found.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.identity && !self.has_run_out(&spec) {
            return Ok(false);
        }
        let replaced =
            self.api.replace(&self.name, &PostParams::default(), &self.desired(Some(&found))).await;
        self.granted(replaced, begun)
    }

    /// A conflict says that somebody else was faster, which is no error.
    fn granted(
        &mut self,
        answer: Result<LeaseObject, kube::Error>,
        begun: Instant,
    ) -> Result<bool, kube::Error> {
        match answer {
            Ok(object) => {
                self.hold(object, begun);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn hold(&mut self, object: LeaseObject, begun: Instant) {
        self.leadership.set(begun.checked_add(self.times.lease.saturating_sub(MARGIN)));
        self.observed = Some(Observed { object, since: begun });
    }

    fn observe(&mut self, found: &LeaseObject) {
        let known = self.observed.as_ref().is_some_and(|observed| observed.object.spec == found.spec);
        if !known {
            self.observed = Some(Observed { object: found.clone(), since: Instant::now() });
        }
    }

    /// By the local clock, since the holder's last renewal was first seen; never by the time that stands in it.
    fn has_run_out(&self, spec: &LeaseSpec) -> bool {
        let written = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        // What the holder goes by is what counts, should replicas be configured differently.
        let duration = written.map_or(self.times.lease, Duration::from_secs);
        self.observed.as_ref().is_some_and(|observed| observed.since.elapsed() >= duration)
    }

    fn desired(&self, found: Option<&LeaseObject>) -> LeaseObject {
        let now = MicroTime(Timestamp::now());
        let old = found.and_then(|object| object.spec.clone()).unwrap_or_default();
        let is_ours = old.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or_default();
        let metadata = found.map_or_else(
            || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            |object| object.metadata.clone(),
        );
        LeaseObject {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(self.times.lease.as_secs()).ok(),
                acquire_time: if is_ours { old.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if is_ours || found.is_none() {
                    transitions
                } else {
                    transitions + 1
                }),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_ends_before_another_replica_may_begin() {
        let times = Times::default();
        let longest = times.write_deadline().unwrap();
        assert!(longest < times.lease - times.renew);
        let short = Times { lease: Duration::from_secs(15), renew: Duration::from_secs(14), ..times };
        assert!(short.write_deadline().is_err());
        let restless = Times { retry: times.renew, ..times };
        assert!(restless.write_deadline().is_err());
    }

    #[test]
    fn nothing_begins_that_could_outlast_the_lease() {
        let leadership = Leadership::none();
        assert!(leadership.permit(Duration::ZERO).is_err());
        leadership.set(Instant::now().checked_add(Duration::from_secs(10)));
        assert!(leadership.permit(Duration::from_secs(5)).is_ok());
        assert!(leadership.permit(Duration::from_secs(11)).is_err());
        leadership.set(None);
        assert!(leadership.permit(Duration::ZERO).is_err());
        assert!(Leadership::unconditional().permit(Duration::from_secs(60)).is_ok());
    }
}
