//! When to try again, and after what wait. Pure but for the clock: sending is the client's.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use super::call::Idempotency;
use super::error::Error;

/// Bounds of repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts of one call, the first included.
    pub attempts: usize,
    /// Attempts of one call that the server turns away for their rate (429, or 503 with Retry-After), the first included.
    pub rate_limited_attempts: usize,
    /// The first wait; doubled each time, with jitter.
    pub first_wait: Duration,
    /// The longest wait of our own choosing; a Retry-After may be longer.
    pub longest_wait: Duration,
    /// From a call's start, no attempt begins after this.
    pub call_deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            rate_limited_attempts: 12,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(10),
            call_deadline: Duration::from_secs(120),
        }
    }
}

/// The attempts of one call.
pub(super) struct Attempts {
    policy: RetryPolicy,
    waits: ExponentialBackoff,
    failed: usize,
    rate_limited: usize,
    deadline: Instant,
}

impl Attempts {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(policy.first_wait)
            .with_max_delay(policy.longest_wait)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build();
        let deadline = Instant::now() + policy.call_deadline;
        Self { policy: policy.clone(), waits, failed: 0, rate_limited: 0, deadline }
    }

    /// The wait before the next attempt, or `None` when there must not be one.
    pub(super) fn after(&mut self, error: &Error, idempotency: &Idempotency) -> Option<Duration> {
        if !may_repeat(error, idempotency) {
            return None;
        }
        if error.is_rate_limited().is_some() {
            self.rate_limited += 1;
        } else {
            self.failed += 1;
        }
        if self.failed >= self.policy.attempts || self.rate_limited >= self.policy.rate_limited_attempts {
            return None;
        }
        let own = self.waits.next().unwrap_or(self.policy.longest_wait);
        let wait = error.retry_after().map_or(own, |asked| asked.max(own));
        (Instant::now() + wait < self.deadline).then_some(wait)
    }
}

/// Whether the error allows the call to be made again. A recognised create may be, because the client looks first.
fn may_repeat(error: &Error, idempotency: &Idempotency) -> bool {
    error.is_retryable_safe()
        && match idempotency {
            Idempotency::SafeRead | Idempotency::Idempotent | Idempotency::RecognisedCreate(_) => true,
            Idempotency::Never => !error.outcome_unknown(),
        }
}

#[cfg(test)]
mod tests {
    use super::super::api_errors::ApiErrors;
    use super::super::error::ErrorKind;
    use super::*;
    use reqwest::Method;

    fn api(status: u16, retry_after: Option<Duration>) -> Error {
        Error::new(&Method::POST, "/x", ErrorKind::Api { status, errors: ApiErrors::default(), retry_after })
    }

    #[tokio::test]
    async fn never_repeats_what_may_have_been_done() {
        for (status, repeated) in [(429, true), (500, false), (502, false), (503, false), (400, false)] {
            let mut attempts = Attempts::new(&RetryPolicy::default());
            assert_eq!(
                attempts.after(&api(status, None), &Idempotency::Never).is_some(),
                repeated,
                "{status}"
            );
        }
    }

    #[tokio::test]
    async fn honours_retry_after_and_the_deadline() {
        let policy = RetryPolicy { call_deadline: Duration::from_secs(5), ..RetryPolicy::default() };
        let mut attempts = Attempts::new(&policy);
        let wait = attempts.after(&api(429, Some(Duration::from_secs(2))), &Idempotency::SafeRead);
        assert!(wait.unwrap() >= Duration::from_secs(2));
        assert_eq!(attempts.after(&api(429, Some(Duration::from_secs(60))), &Idempotency::SafeRead), None);
    }

    #[tokio::test]
    async fn attempts_are_bounded() {
        let mut attempts = Attempts::new(&RetryPolicy { attempts: 3, ..RetryPolicy::default() });
        let error = api(503, None);
        assert!(attempts.after(&error, &Idempotency::Idempotent).is_some());
        assert!(attempts.after(&error, &Idempotency::Idempotent).is_some());
        assert!(attempts.after(&error, &Idempotency::Idempotent).is_none());
    }
}
