//! The adaptive limit on requests in flight: it doubles while nothing has gone wrong, then grows by one a round while
//! latency holds, halves on 429, 503 and timeouts, and stands still while the server asks to wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

const START: usize = 4;
/// Latency that is not worth reacting to.
const NOISE: Duration = Duration::from_millis(25);
/// A route's latency may rise to this multiple of its best before growth stops.
const TOLERANCE: u32 = 3;

pub(super) struct Limiter {
    permits: Semaphore,
    state: Mutex<State>,
}

struct State {
    limit: usize,
    bound: usize,
    /// Permits that are to vanish when they come back.
    debt: usize,
    /// Good answers since the last growth.
    credit: usize,
    /// Growth by doubling, until the first halving.
    doubling: bool,
    last_halved: Option<Instant>,
    paused_until: Option<Instant>,
    best: HashMap<&'static str, Duration>,
}

/// How an attempt went, as far as the limit is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered; whether with success does not matter.
    Answered,
    /// 429, 503 or no answer in time, with the wait that the server asked for.
    Overloaded(Option<Duration>),
    /// Says nothing about the load (connection lost, refused).
    Neutral,
}

/// The right to have one request in flight.
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    permit: Option<SemaphorePermit<'a>>,
    begun: Instant,
    route: &'static str,
}

impl Limiter {
    pub(super) fn new(bound: usize) -> Self {
        let bound = bound.max(1);
        let limit = START.min(bound);
        Self {
            permits: Semaphore::new(limit),
            state: Mutex::new(State {
                limit,
                bound,
                debt: 0,
                credit: 0,
                doubling: true,
                last_halved: None,
                paused_until: None,
                best: HashMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain numbers: a panic elsewhere cannot leave them half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place and for the end of a pause.
    pub(super) async fn acquire(&self, route: &'static str) -> Permit<'_> {
        let permit = self.permits.acquire().await.ok();
        loop {
            let paused_until = self.state().paused_until;
            match paused_until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => break,
            }
        }
        Permit { limiter: self, permit, begun: Instant::now(), route }
    }

    /// The present limit.
    pub(super) fn limit(&self) -> usize {
        self.state().limit
    }
}

impl State {
    fn answered(&mut self, route: &'static str, latency: Duration) -> usize {
        let best = self.best.entry(route).or_insert(latency);
        // The best time fades, so that one lucky answer does not stop growth for good.
        *best = (*best + *best / 64).min(latency).max(Duration::from_micros(1));
        let holds = latency <= *best * TOLERANCE + NOISE;
        if !holds || self.limit >= self.bound {
            return 0;
        }
        self.credit += 1;
        if !self.doubling && self.credit < self.limit {
            return 0;
        }
        self.credit = 0;
        self.limit += 1;
        1
    }

    fn overloaded(&mut self, begun: Instant, wait: Option<Duration>) {
        let now = Instant::now();
        if let Some(wait) = wait {
            self.paused_until = self.paused_until.max(Some(now + wait));
        }
        // Requests that were under way at the last halving tell nothing new.
        if self.last_halved.is_some_and(|halved| begun < halved) {
            return;
        }
        self.last_halved = Some(now);
        self.doubling = false;
        self.credit = 0;
        let halved = (self.limit / 2).max(1);
        self.debt += self.limit - halved;
        self.limit = halved;
    }
}

impl Permit<'_> {
    /// Gives the place back and tells how it went.
    pub(super) fn finish(self, outcome: Outcome) {
        let grown = {
            let mut state = self.limiter.state();
            match outcome {
                Outcome::Answered => state.answered(self.route, self.begun.elapsed()),
                Outcome::Overloaded(wait) => {
                    state.overloaded(self.begun, wait);
                    0
                }
                Outcome::Neutral => 0,
            }
        };
        self.limiter.permits.add_permits(grown);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        if state.debt > 0 {
            state.debt -= 1;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
        // Places that nobody holds pay the rest.
        let idle = self.limiter.permits.forget_permits(state.debt);
        state.debt -= idle.min(state.debt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn grows_to_its_bound_and_not_beyond() {
        let limiter = Limiter::new(10);
        for _ in 0..50 {
            limiter.acquire("/r").await.finish(Outcome::Answered);
        }
        assert_eq!(limiter.limit(), 10);
        assert_eq!(limiter.permits.available_permits(), 10);
    }

    #[tokio::test]
    async fn halves_once_for_requests_that_were_under_way_together() {
        let limiter = Limiter::new(8);
        for _ in 0..20 {
            limiter.acquire("/r").await.finish(Outcome::Answered);
        }
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(limiter.acquire("/r").await);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        for permit in permits {
            permit.finish(Outcome::Overloaded(None));
        }
        assert_eq!(limiter.limit(), 4);
        assert_eq!(limiter.permits.available_permits(), 4);
        limiter.acquire("/r").await.finish(Outcome::Overloaded(None));
        assert_eq!(limiter.limit(), 2);
        assert_eq!(limiter.permits.available_permits(), 2);
    }

    #[tokio::test]
    async fn never_falls_below_one_and_recovers_by_single_steps() {
        let limiter = Limiter::new(8);
        for _ in 0..10 {
            limiter.acquire("/r").await.finish(Outcome::Overloaded(None));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(limiter.limit(), 1);
        limiter.acquire("/r").await.finish(Outcome::Answered);
        assert_eq!(limiter.limit(), 2);
        limiter.acquire("/r").await.finish(Outcome::Answered);
        assert_eq!(limiter.limit(), 2);
    }

    #[tokio::test]
    async fn stands_still_while_the_server_asks_to_wait() {
        let limiter = Limiter::new(4);
        limiter.acquire("/r").await.finish(Outcome::Overloaded(Some(Duration::from_millis(70))));
        let begun = Instant::now();
        limiter.acquire("/r").await.finish(Outcome::Neutral);
        assert!(begun.elapsed() >= Duration::from_millis(70));
    }

    #[tokio::test]
    async fn does_not_grow_while_latency_rises() {
        let limiter = Limiter::new(16);
        limiter.acquire("/r").await.finish(Outcome::Answered);
        let grown = limiter.limit();
        for _ in 0..3 {
            let permit = limiter.acquire("/r").await;
            tokio::time::sleep(Duration::from_millis(60)).await;
            permit.finish(Outcome::Answered);
        }
        assert_eq!(limiter.limit(), grown);
    }
}
