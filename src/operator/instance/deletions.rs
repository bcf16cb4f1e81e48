//! The deletion guard of an instance: how many objects may go within an hour. A namespace that is emptied by a slip, or a
//! pruning that lost its source, is held until a person says the number. Pure but for the clock that is passed in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::model::{Address, NumberOrPercent};

/// The time over which deletions count together.
const WINDOW: Duration = Duration::from_secs(3600);
/// Without a limit of the instance: over this many, and over this share of what is known.
const FEW: u64 = 10;
const SHARE: u64 = 20;

/// What was deleted lately, and what waits. A deletion counts as what it takes along: a user that loses two registrations
/// counts as two.
#[derive(Debug, Default)]
pub struct Deletions {
    done: VecDeque<(Instant, u64)>,
    /// Objects with a deletionTimestamp, and those whose declaration takes something away.
    waiting: BTreeMap<Address, u64>,
    /// How many objects were known, now and then within the window.
    known: VecDeque<(Instant, u64)>,
    /// Deletions that a person let pass and that have not happened yet.
    allowed: u64,
}

impl Deletions {
    /// A person says that this many may go, and no more.
    pub fn allow(&mut self, count: u64) {
        self.allowed = count;
    }

    /// How many are left of what a person allowed.
    pub fn left(&self) -> u64 {
        self.allowed
    }

    /// Objects of which something waits to be deleted.
    pub fn waiting(&self) -> impl Iterator<Item = &Address> {
        self.waiting.keys()
    }

    /// Deletions within the window, those that wait included.
    pub fn pending(&self) -> u64 {
        self.waiting.values().sum::<u64>() + self.done.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// Which of these objects may be deleted, or lose something, now; the others are held. Objects that use the instance
    /// are `known`, those to be deleted included.
    pub fn permit(
        &mut self,
        asked: &[(Address, u64)],
        known: u64,
        limit: Option<NumberOrPercent>,
        now: Instant,
    ) -> BTreeSet<Address> {
        self.waiting.extend(asked.iter().cloned());
        if self.passes(known, limit, now) {
            return asked.iter().map(|(address, _)| address.clone()).collect();
        }
        let mut room = self.allowed;
        let mut fits = |count: u64| {
            let left = room.checked_sub(count);
            room = left.unwrap_or(room);
            left.is_some()
        };
        asked.iter().filter(|(_, count)| fits(*count)).map(|(address, _)| address.clone()).collect()
    }

    /// Whether all that waits may go without a person's word.
    pub fn passes(&mut self, known: u64, limit: Option<NumberOrPercent>, now: Instant) -> bool {
        self.forget_old(now);
        self.known.push_back((now, known));
        let total = self.known.iter().map(|(_, known)| *known).max().unwrap_or(known);
        self.pending() <= most(limit, total)
    }

    /// A deletion that waited has happened, or there was nothing to delete.
    pub fn done(&mut self, address: &Address, now: Instant, changed: bool) {
        let Some(count) = self.waiting.remove(address) else { return };
        if changed {
            self.allowed = self.allowed.saturating_sub(count);
            self.done.push_back((now, count));
        }
    }

    /// The object is gone by whatever way, or nothing of it is to be deleted any more.
    pub fn forget(&mut self, address: &Address) {
        self.waiting.remove(address);
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > WINDOW;
        while self.done.front().is_some_and(|(at, _)| is_old(at)) {
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

    fn users(count: usize) -> Vec<(Address, u64)> {
        (0..count).map(|n| (Address::new(Kind::User, "default", &format!("u{n}")), 1)).collect()
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
            if deletions.permit(std::slice::from_ref(&user), known, None, now).contains(&user.0) {
                deletions.done(&user.0, now, true);
                known -= 1;
                passed += 1;
            }
        }
        assert_eq!(passed, 10, "what was known within the hour counts, not what is left");
        let later = now + WINDOW + Duration::from_secs(1);
        assert!(deletions.passes(known, None, later), "what still waits is ten: it may go on by itself");
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
        deletions.allow(5);
        deletions.allow(0);
        assert!(
            deletions.permit(&asked[2..], 13, None, now).is_empty(),
            "what was allowed can be taken back"
        );
    }

    #[test]
    fn what_goes_along_counts() {
        let mut deletions = Deletions::default();
        let now = Instant::now();
        let asked: Vec<(Address, u64)> = users(4).into_iter().map(|(user, _)| (user, 3)).collect();
        assert!(
            deletions.permit(&asked, 12, None, now).is_empty(),
            "four users lose three registrations each"
        );
        deletions.allow(7);
        let permitted = deletions.permit(&asked, 12, None, now);
        assert_eq!(permitted.len(), 2);
        permitted.iter().for_each(|address| deletions.done(address, now, true));
        assert_eq!((deletions.left(), deletions.pending()), (1, 12));
        // Two of them are declared again as they were.
        asked[2..].iter().for_each(|(address, _)| deletions.forget(address));
        assert_eq!(deletions.pending(), 6);
    }
}
