//! The sandbox's time: the system's, plus what a test has moved it by. Knows nothing else.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as FusionAuth writes instants.
pub type Millis = i64;

/// A clock that only a test moves; forward or back.
#[derive(Debug, Default)]
pub struct Clock {
    offset: AtomicI64,
}

impl Clock {
    /// The time, with what it was moved by.
    pub fn now(&self) -> Millis {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis());
        i64::try_from(system).unwrap_or(i64::MAX).saturating_add(self.offset.load(Ordering::SeqCst))
    }

    /// Moves the clock by so many milliseconds.
    pub fn advance(&self, millis: Millis) {
        self.offset.fetch_add(millis, Ordering::SeqCst);
    }

    /// Undoes all moving.
    pub fn reset(&self) {
        self.offset.store(0, Ordering::SeqCst);
    }
}
