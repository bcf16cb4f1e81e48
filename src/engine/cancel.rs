//! Ending a run early: writes in flight are finished, nothing new begins, what was done is recorded and told.

use std::sync::Arc;

use tokio::sync::watch;

/// Asked before each change; set by a signal or by an answer after which nothing can go well. Clones are one.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Sender<Option<Arc<str>>>);

impl Default for Cancel {
    fn default() -> Self {
        Cancel(watch::Sender::new(None))
    }
}

impl Cancel {
    /// Ends the run, for the first reason that is given.
    pub fn cancel(&self, reason: &str) {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason.into());
            }
            first
        });
    }

    /// Why the run is to end, if it is.
    pub fn reason(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns once the run is to end.
    pub async fn cancelled(&self) {
        // The sender lives as long as `self`, so the wait ends by the condition alone.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}
