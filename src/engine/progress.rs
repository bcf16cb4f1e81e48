//! What a front end is told while a run lasts.

/// Takes steps of a run; called from whatever task makes them.
pub trait Progress: Send + Sync {
    /// `done` of `total` live objects have been read and compared.
    fn observed(&self, done: u64, total: u64);

    /// `done` of `total` changes have ended, in whatever way.
    fn applied(&self, done: u64, total: u64);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn observed(&self, _done: u64, _total: u64) {}

    fn applied(&self, _done: u64, _total: u64) {}
}
