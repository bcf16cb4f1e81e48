//! Who may begin a turn at an instance. However many objects there are, few of them have a turn at once; the others wait
//! here and cost little more than their key. Kinds that others refer to go first, so that whoever refers to them need not
//! come twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::model::Kind;

/// The way in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Mutex<Line>,
    /// How many were let in and have not asked yet.
    coming: watch::Sender<usize>,
}

#[derive(Debug)]
struct Line {
    free: usize,
    arrivals: u64,
    /// By kind in the order of creation, then by arrival.
    waiting: BTreeMap<(Kind, u64), oneshot::Sender<Permit>>,
}

/// One object's turn. Its end lets the next one in.
#[derive(Debug)]
pub struct Permit {
    admission: Admission,
    is_coming: bool,
}

impl Admission {
    /// For so many turns at once.
    pub fn new(turns: usize) -> Self {
        let line = Line { free: turns, arrivals: 0, waiting: BTreeMap::new() };
        Admission(Arc::new(Inner { line: Mutex::new(line), coming: watch::Sender::new(0) }))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(&self) -> Permit {
        self.0.coming.send_modify(|coming| *coming += 1);
        Permit { admission: self.clone(), is_coming: true }
    }

    /// Waits until an object of this kind may begin.
    pub async fn enter(&self, kind: Kind) -> Permit {
        loop {
            let receiver = {
                let mut line = self.line();
                if line.free > 0 {
                    line.free -= 1;
                    drop(line);
                    return self.permit();
                }
                let (sender, receiver) = oneshot::channel();
                line.arrivals += 1;
                let place = (kind, line.arrivals);
                line.waiting.insert(place, sender);
                receiver
            };
            // The sender is dropped without a permit by nobody; should it be, the line is joined again.
            if let Ok(permit) = receiver.await {
                return permit;
            }
        }
    }

    /// Changes of the number of those who were let in and have not asked yet.
    pub fn coming(&self) -> watch::Receiver<usize> {
        self.0.coming.subscribe()
    }

    fn leave(&self) {
        let next = {
            let mut line = self.line();
            loop {
                match line.waiting.pop_first() {
                    // Whoever waited may have gone; then it is the turn of the one after.
                    Some((_, next)) if next.is_closed() => {}
                    Some((_, next)) => break next,
                    None => {
                        line.free += 1;
                        return;
                    }
                }
            }
        };
        // One that goes just now gives its permit back by dropping it.
        let _ = next.send(self.permit());
    }
}

impl Permit {
    /// The object has asked: nobody need wait for it any more.
    pub fn has_asked(&mut self) {
        if std::mem::take(&mut self.is_coming) {
            self.admission.0.coming.send_modify(|coming| *coming -= 1);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.has_asked();
        self.admission.leave();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn turns_are_bounded_and_kinds_that_others_refer_to_go_first() {
        let admission = Admission::new(1);
        let mut first = admission.enter(Kind::User).now_or_never().unwrap();
        let mut user = Box::pin(admission.enter(Kind::User));
        let mut gone = Box::pin(admission.enter(Kind::EntityType));
        let mut entity_type = Box::pin(admission.enter(Kind::EntityType));
        for waiting in [&mut user, &mut gone, &mut entity_type] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(gone);
        assert_eq!(*admission.coming().borrow(), 1);
        first.has_asked();
        first.has_asked();
        assert_eq!(*admission.coming().borrow(), 0);
        drop(first);
        assert!((&mut user).now_or_never().is_none());
        let second = (&mut entity_type).now_or_never().unwrap();
        assert_eq!(*admission.coming().borrow(), 1);
        drop(second);
        let third = user.now_or_never().unwrap();
        drop(third);
        assert_eq!(*admission.coming().borrow(), 0);
        assert!(admission.enter(Kind::User).now_or_never().is_some(), "the turn is free again");
    }
}
