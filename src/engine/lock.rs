//! A lease on the right to write: how long it lasts, what it refuses, when it is lost.
//!
//! A lease is counted from before the request that took or renewed it was sent, by this machine's clocks; another
//! runner counts from when the server carried that request out, and longer. So ours is over first, whatever the
//! network did. How it is taken and renewed is the record's business.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fusionauth::WriteGate;

/// How long a lease lasts without renewal.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(120);
/// How long after the last renewal the next one is due.
pub const RENEW_AFTER: Duration = Duration::from_secs(40);
/// How long after a renewal that failed the next one is tried.
pub const RETRY_AFTER: Duration = Duration::from_secs(3);

/// An instant by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    monotonic: Duration,
    wall: Duration,
}

impl Mark {
    /// An instant by a monotonic clock and by the time of day, each since some origin.
    pub fn new(monotonic: Duration, wall: Duration) -> Self {
        Mark { monotonic, wall }
    }

    /// The time since `earlier`: the longer of what the two clocks say. A machine that was suspended finds its
    /// monotonic clock where it was, and one whose time of day was set back finds that one wrong.
    pub fn since(self, earlier: Mark) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        monotonic.max(self.wall.saturating_sub(earlier.wall))
    }
}

/// Time and tasks, as a lease needs them: tokio's, or a test's own that runs ahead of time in a decided order.
pub trait Runtime: Send + Sync {
    fn now(&self) -> Mark;
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// The machine's clocks and tokio's tasks.
#[derive(Debug)]
pub struct TokioRuntime {
    origin: Instant,
}

impl Default for TokioRuntime {
    fn default() -> Self {
        TokioRuntime { origin: Instant::now() }
    }
}

impl Runtime for TokioRuntime {
    fn now(&self) -> Mark {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Mark { monotonic: self.origin.elapsed(), wall }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// The right to write, for as long as it is renewed.
pub struct Lease {
    runtime: Arc<dyn Runtime>,
    /// When the latest request that took or renewed it was sent.
    renewed: Mutex<Mark>,
    /// Why it is lost.
    lost: watch::Sender<Option<String>>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lease").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

impl Lease {
    /// A lease that was taken by a request sent at `sent`.
    pub fn new(runtime: Arc<dyn Runtime>, sent: Mark) -> Self {
        Lease { runtime, renewed: Mutex::new(sent), lost: watch::Sender::new(None) }
    }

    pub fn now(&self) -> Mark {
        self.runtime.now()
    }

    fn renewed_at(&self) -> MutexGuard<'_, Mark> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was renewed by a request sent at `sent`. A lease that is lost or over stays so.
    pub fn renew(&self, sent: Mark) {
        if !self.remaining().is_zero() {
            *self.renewed_at() = sent;
        }
    }

    /// It is lost, for the first reason that is given.
    pub fn lose(&self, why: impl Into<String>) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert_with(|| why.into());
            first
        });
    }

    /// The time that is left; zero when it is lost.
    pub fn remaining(&self) -> Duration {
        if self.lost.borrow().is_some() {
            return Duration::ZERO;
        }
        TIME_TO_LIVE.saturating_sub(self.since_renewal())
    }

    pub fn since_renewal(&self) -> Duration {
        let renewed = *self.renewed_at();
        self.runtime.now().since(renewed)
    }

    /// Returns when it is lost, with the reason.
    pub async fn lost(&self) -> String {
        let mut lost = self.lost.subscribe();
        loop {
            if let Some(why) = lost.borrow_and_update().clone() {
                return why;
            }
            // Fails when the sender is gone; it is `self`, which lives as long as this future.
            if lost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl WriteGate for Lease {
    fn permit(&self, longest: Duration) -> Result<(), String> {
        if let Some(why) = &*self.lost.borrow() {
            return Err(format!("the lock is lost: {why}"));
        }
        if self.remaining() < longest {
            return Err("the lock would run out during the write".to_owned());
        }
        Ok(())
    }
}

/// A write goes through all of several gates.
pub(crate) struct Gates(pub Vec<Arc<Lease>>);

impl WriteGate for Gates {
    fn permit(&self, longest: Duration) -> Result<(), String> {
        self.0.iter().try_for_each(|lease| lease.permit(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hands(Mutex<Mark>);

    impl Runtime for Hands {
        fn now(&self) -> Mark {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, _duration: Duration) -> BoxFuture<'static, ()> {
            futures::future::ready(()).boxed()
        }

        fn spawn(&self, _task: BoxFuture<'static, ()>) {}
    }

    fn at(monotonic: u64, wall: u64) -> Mark {
        Mark::new(Duration::from_secs(monotonic), Duration::from_secs(wall))
    }

    fn lease() -> (Arc<Hands>, Lease) {
        let hands = Arc::new(Hands(Mutex::new(at(0, 1000))));
        let lease = Lease::new(hands.clone(), hands.now());
        (hands, lease)
    }

    #[test]
    fn it_permits_what_ends_before_it_does() {
        let (hands, lease) = lease();
        let seconds = Duration::from_secs;
        assert!(lease.permit(seconds(120)).is_ok() && lease.permit(seconds(121)).is_err());
        *hands.0.lock().unwrap() = at(91, 1091);
        assert!(lease.permit(seconds(29)).is_ok() && lease.permit(seconds(30)).is_err());
        lease.renew(at(90, 1090));
        assert!(lease.permit(seconds(119)).is_ok());
    }

    #[test]
    fn a_suspended_machine_finds_it_over() {
        let (hands, lease) = lease();
        *hands.0.lock().unwrap() = at(1, 1000 + 3600);
        assert!(lease.permit(Duration::ZERO).is_ok() == lease.remaining().is_zero());
        assert!(lease.permit(Duration::from_secs(1)).is_err());
        lease.renew(at(1, 4600));
        assert!(lease.permit(Duration::from_secs(1)).is_err(), "what is over is not renewed");
    }

    #[tokio::test]
    async fn what_is_lost_stays_lost_for_the_first_reason() {
        let (_, lease) = lease();
        lease.lose("first");
        lease.lose("second");
        assert_eq!(lease.lost().await, "first");
        lease.renew(at(0, 1000));
        assert!(lease.permit(Duration::ZERO).is_err());
    }
}
