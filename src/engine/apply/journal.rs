//! The run's journal: written whole before the first write, and again with how each change ended.

use crate::reconcile::{Change, Live, Outcome, Problem, Status};

use super::super::error::Error;
use super::super::journal::{BeforeImage, Journal, JournalChange, JournalError};
use super::super::reread::Lives;
use super::Apply;
use super::change::keys_before;

impl<'a> Apply<'a> {
    pub(super) fn begin_journal(&self, lives: &Lives) -> Result<Option<Journal<&'a Change>>, Error> {
        let Some(path) = self.journal else { return Ok(None) };
        let changes = self.plan.changes.iter().map(|change| self.journal_change(change, lives)).collect();
        let now = self.session.client().server_now().unwrap_or_else(jiff::Timestamp::now);
        let (target, owner) = (self.session.target().clone(), self.session.owner().clone());
        let journal = Journal::new(target, owner, now.as_millisecond(), changes);
        journal.write(path, self.keys)?;
        Ok(Some(journal))
    }

    fn journal_change(&self, change: &'a Change, lives: &Lives) -> JournalChange<&'a Change> {
        let live: Option<&Live> = keys_before(change).find_map(|key| lives.get(&key));
        let held = self.record.map(|record| &record.loaded().entries);
        let entry = held.and_then(|held| keys_before(change).find_map(|(_, key)| held.by_key(&key)));
        JournalChange {
            change,
            before: live.map(|live| Box::new(BeforeImage::new(change.kind(), live))),
            entry: entry.cloned(),
            status: Status::NotStarted,
        }
    }

    /// The journal's end; what was done is done, and a failure ends nothing.
    pub(super) fn end_journal(
        &self,
        journal: Option<Journal<&'a Change>>,
        outcome: &Outcome,
    ) -> Option<Problem> {
        let (mut journal, path) = (journal?, self.journal?);
        journal.end(outcome);
        let error: JournalError = journal.write(path, self.keys).err()?;
        let message = format!("the journal does not say how the run ended: {error}");
        Some(Problem::error("journal-not-written", message, error.hint()))
    }
}
