//! The deletion guard of an instance: how many objects may go within an hour. A namespace that is emptied by a slip, or a
//! pruning that lost its source, is held until a person says the number. Pure but for the clock that is passed in.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::model::{Address, NumberOrPercent};

/// The time over which deletions count together.
const WINDOW: Duration = Duration::from_secs(3600);
/// Without a limit of the instance: over this many, and over this share of what is known.
const FEW: u64 = 10;
const SHARE: u64 = 20;

/// What was deleted lately, and what waits.
#[derive(Debug, Default)]
pub struct Deletions {
    done: VecDeque<Instant>,
    /// Objects with a deletionTimestamp.
    waiting: BTreeSet<Address>,
    /// How many objects were known, now and then within the window.
    known: VecDeque<(Instant, u64)>,
    /// Deletions that a person let pass and that have not happened yet.
    allowed: u64,
}

impl Deletions {
    /// A person says that this many may go.
    pub fn allow(&mut self, count: u64) {
        self.allowed = count;
    }

    /// How many are left of what a person allowed.
    pub fn left(&self) -> u64 {
        self.allowed
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Which of these objects with a deletionTimestamp may be deleted now; the others are held. Objects that use the
    /// instance are `known`, those to be deleted included.
    pub fn permit(
        &mut self,
        asked: &[Address],
        known: u64,
        limit: Option<NumberOrPercent>,
        now: Instant,
    ) -> BTreeSet<Address> {
        self.forget_old(now);
        self.known.push_back((now, known));
        self.waiting.extend(asked.iter().cloned());
        let total = self.known.iter().map(|(_, known)| *known).max().unwrap_or(known);
        let pending = self.waiting.len() as u64 + self.done.len() as u64;
        if pending <= most(limit, total) {
            return asked.iter().cloned().collect();
        }
        let room = usize::try_from(self.allowed).unwrap_or(usize::MAX);
        asked.iter().take(room).cloned().collect()
    }

    /// A deletion has happened.
    pub fn done(&mut self, address: &Address, now: Instant, changed: bool) {
        self.waiting.remove(address);
        if changed {
            self.allowed = self.allowed.saturating_sub(1);
            self.done.push_back(now);
        }
    }

    /// The object is gone, by whatever way.
    pub fn forget(&mut self, address: &Address) {
        self.waiting.remove(address);
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > WINDOW;
        while self.done.front().is_some_and(is_old) {
            self.done.pop_front();
        }
        while self.known.front().is_some_and(|(at, _)| is_old(at)) {
            self.known.pop_front();
        }
        // The largest number is what counts: smaller ones before a larger one say nothing.
        while self.known.len() > 1 && self.known.front().map(|k| k.1) <= self.known.get(1).map(|k| k.1) {
            self.known.pop_front();
        }
    }
}

/// The most deletions of a window.
fn most(limit: Option<NumberOrPercent>, known: u64) -> u64 {
    match limit {
        Some(limit) => limit.of(known),
        None => FEW.max(known.saturating_mul(SHARE) / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn users(count: usize) -> Vec<Address> {
        (0..count).map(|n| Address::new(Kind::User, "default", &format!("u{n}"))).collect()
    }

    #[test]
    fn a_few_pass_and_many_are_held() {
        let now = Instant::now();
        assert_eq!(Deletions::default().permit(&users(10), 12, None, now).len(), 10);
        assert_eq!(Deletions::default().permit(&users(11), 12, None, now).len(), 0);
        assert_eq!(Deletions::default().permit(&users(11), 100, None, now).len(), 11);
        assert_eq!(
            Deletions::default().permit(&users(2), 100, Some(NumberOrPercent::Number(1)), now).len(),
            0
        );
    }

    #[test]
    fn one_after_the_other_counts_like_all_at_once() {
        let mut deletions = Deletions::default();
        let now = Instant::now();
        let mut known = 20;
        let mut passed = 0;
        for user in users(20) {
            if deletions.permit(std::slice::from_ref(&user), known, None, now).contains(&user) {
                deletions.done(&user, now, true);
                known -= 1;
                passed += 1;
            }
        }
        assert_eq!(passed, 10, "what was known within the hour counts, not what is left");
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!(deletions.permit(&users(20)[19..], known, None, later).len(), 1);
    }

    #[test]
    fn what_a_person_allows_is_used_up() {
        let mut deletions = Deletions::default();
        let now = Instant::now();
        let asked = users(15);
        assert!(deletions.permit(&asked, 15, None, now).is_empty());
        deletions.allow(2);
        let permitted = deletions.permit(&asked, 15, None, now);
        assert_eq!(permitted.len(), 2);
        permitted.iter().for_each(|address| deletions.done(address, now, true));
        assert_eq!(deletions.left(), 0);
        assert!(deletions.permit(&asked[2..], 13, None, now).is_empty());
    }
}
