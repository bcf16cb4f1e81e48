//! Counts of the HTTP requests that were made, by what they were for.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a request serves; reports count them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Reads and writes of objects, and of what they refer to.
    #[default]
    Objects,
    /// The ownership record.
    Record,
    /// The lock. Its requests pass by the concurrency limit, so that a renewal never waits behind other work.
    Lock,
}

/// The number of HTTP requests made so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// First attempts that read objects (searches and index flushes are among them).
    pub reads: u64,
    /// First attempts that write objects.
    pub writes: u64,
    /// First attempts for the ownership record.
    pub record: u64,
    /// First attempts for the lock.
    pub lock: u64,
    /// Every repeated attempt, and each look-up that a lost response made necessary, whatever it was for.
    pub retries: u64,
}

impl Counts {
    /// First attempts on objects, reads and writes together.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.reads + self.writes
    }

    /// Every HTTP request.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.objects() + self.record + self.lock + self.retries
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    record: AtomicU64,
    lock: AtomicU64,
    retries: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, purpose: Purpose, is_write: bool, is_retry: bool) {
        let counter = match (is_retry, purpose) {
            (true, _) => &self.retries,
            (false, Purpose::Objects) if is_write => &self.writes,
            (false, Purpose::Objects) => &self.reads,
            (false, Purpose::Record) => &self.record,
            (false, Purpose::Lock) => &self.lock,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Counts {
        Counts {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            record: self.record.load(Ordering::Relaxed),
            lock: self.lock.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}
