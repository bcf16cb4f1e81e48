//! What every command that changes something does with its plan: shows it, asks, applies it under the record's
//! lock, tells what became of it.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use crate::engine;
use crate::engine::apply::{Apply, Recheck, load_secrets, refuse_other_target};
use crate::engine::cancel::Cancel;
use crate::engine::error::{exit_of_outcome, exit_of_plan};
use crate::engine::journal;
use crate::engine::record::{Acquire, HeldRecord, Scopes};
use crate::engine::saved::SavedPlan;
use crate::engine::secrets::SecretValues;
use crate::reconcile::{Outcome, Plan, Problem, Status};
use crate::report::{ProblemView, View, run_text, text};

use super::arguments::{ChangeArguments, Format};
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::pipeline::{Bar, Run};
use super::signals::Signals;

/// How a plan is carried out.
pub struct CarryOut<'a> {
    pub run: &'a Run,
    pub format: Format,
    pub change: &'a ChangeArguments,
    /// `adopt`: a record that is lost, damaged or not signed is made anew.
    pub rebuild: bool,
    /// The plan was made by an earlier process.
    pub saved: Option<&'a SavedPlan>,
}

impl<'a> CarryOut<'a> {
    /// A plan of this process, with a record that is sound.
    pub fn new(run: &'a Run, format: Format, change: &'a ChangeArguments) -> Self {
        CarryOut { run, format, change, rebuild: false, saved: None }
    }

    /// Shows the plan, asks, applies it and tells what became of it.
    pub async fn plan(&self, plan: &Plan) -> Result<Exit, Failure> {
        let (run, format) = (self.run, self.format);
        let mut view = View::of_plan(plan, run.audience);
        let loaded = match plan.errors.is_empty() {
            true => load_secrets(plan, &run.secrets).await,
            false => Ok(SecretValues::default()),
        };
        let secrets = loaded.unwrap_or_else(|mut problems| {
            run.places.point_at_secrets(&mut problems);
            view.errors.extend(problems.iter().map(ProblemView::from));
            SecretValues::default()
        });
        let nothing = plan.changes.is_empty() && plan.records.is_empty() && !self.rebuild;
        // One report goes to stdout, but to a person, who is shown the plan and then what became of it.
        if format == Format::Text || !view.errors.is_empty() || nothing {
            if nothing && format != Format::Text && view.errors.is_empty() {
                view = view.with_nothing_done();
            }
            output::report(&view, format)?;
            output::tell_problems(&view);
        }
        if !view.errors.is_empty() {
            let exit = exit_of_plan(plan, false);
            return Ok(if exit == Exit::Done { Exit::Error } else { exit });
        }
        if let Some(saved) = self.saved {
            // Before the lock is taken: the record would else say that somebody ran here.
            refuse_other_target(plan, &run.session)?;
            refuse_moved_secrets(saved, &secrets, run)?;
        }
        if nothing {
            self.take_lock_left_behind().await;
            return Ok(Exit::Done);
        }
        let asks = !self.change.auto_approve && (!plan.changes.is_empty() || !run.discarded.is_empty());
        if asks {
            if format != Format::Text {
                output::tell(&text(&view));
            }
            confirm("Apply these changes?").await?;
        }
        drop(view);
        let outcome = self.apply(plan, &secrets, asks).await?;
        if format != Format::Text || !plan.changes.is_empty() || !outcome.errors.is_empty() {
            self.tell(plan, &outcome).map_err(|failure| untold(failure, &outcome))?;
        }
        Ok(exit_of_outcome(&outcome))
    }

    /// A run that died left its lock, and there is nothing to do: the lock is let go, and what the run left of the
    /// record is cleaned up. It stands in nobody's way, so that it does not matter if this fails.
    async fn take_lock_left_behind(&self) {
        let scopes = self.run.loaded.left_behind;
        if scopes.is_none() {
            return;
        }
        let how = Acquire { scopes, ..Acquire::default() };
        let done = match self.run.record.acquire(&how).await {
            Ok(held) => held.close().await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::info!(%error, "the lock that a run left behind stays where it is");
        }
    }

    fn tell(&self, plan: &Plan, outcome: &Outcome) -> Result<(), Failure> {
        let view = View::of_run(plan, outcome, self.run.audience);
        if self.format == Format::Text {
            output::result(&run_text(&view))?;
            // The plan's own problems were told with the plan.
            output::tell_problems(&view.since_plan(plan));
        } else {
            output::report(&view, self.format)?;
            output::tell_problems(&view);
        }
        Ok(())
    }

    /// Applies under the record's lock, and lets it go whatever happened.
    async fn apply(&self, plan: &Plan, secrets: &SecretValues, asked: bool) -> Result<Outcome, Failure> {
        let cancel = Cancel::default();
        let _watched = watch(&cancel)?;
        let how = Acquire {
            wait: self.change.lock_timeout,
            stop: cancel.clone(),
            take_over: self.change.take_over,
            rebuild: self.rebuild,
            scopes: if self.rebuild { Scopes::ALL } else { scopes(plan) },
        };
        let held = self.run.record.acquire(&how).await;
        if cancel.is_cancelled() {
            if let Ok(held) = held {
                held.close().await.map_err(engine::error::Error::from)?;
            }
            return Err(Failure::Interrupted);
        }
        let held = held.map_err(engine::error::Error::from)?;
        let outcome = self.under_lock(plan, secrets, asked, held.as_ref(), &cancel).await;
        let closed = held.close().await;
        let mut outcome = outcome?;
        if let Err(error) = closed {
            outcome.errors.push(Problem::error(
                "record-not-closed",
                format!("the lock was not let go, and will expire: {error}"),
                error.hint().unwrap_or_default(),
            ));
        }
        Ok(outcome)
    }

    async fn under_lock(
        &self,
        plan: &Plan,
        secrets: &SecretValues,
        asked: bool,
        held: &dyn HeldRecord,
        cancel: &Cancel,
    ) -> Result<Outcome, Failure> {
        let run = self.run;
        // A saved plan is held against the live objects instead: its record may have moved on for others.
        if self.saved.is_none() && held.loaded().revision != run.loaded.revision {
            return Err(Failure::RecordMoved);
        }
        let bar = Bar(run.progress.clone());
        let journal = self.journal(plan);
        let apply = Apply {
            plan,
            session: &run.session,
            secrets,
            record: Some(held),
            keys: run.keys.as_deref(),
            progress: &bar,
            cancel,
            recheck: match (self.saved, asked) {
                (Some(_), _) => Recheck::BeforeEach,
                // A person takes time to answer.
                (None, true) => Recheck::Before,
                (None, false) => Recheck::Never,
            },
            parallelism: run.parallelism,
            journal: journal.as_deref(),
        };
        let outcome = apply.run().await;
        run.progress.end();
        let outcome = outcome?;
        if let Some(journal) = journal.filter(|path| path.exists()) {
            output::tell(&format!("journal: {}\n", journal.display()));
        }
        Ok(outcome)
    }

    /// Where the run's journal goes; none when there is nothing to undo.
    fn journal(&self, plan: &Plan) -> Option<PathBuf> {
        if plan.changes.is_empty() {
            return None;
        }
        let given = self.change.journal.clone().filter(|path| !path.as_os_str().is_empty());
        Some(given.unwrap_or_else(|| {
            let name = journal::file_name(self.run.session.owner(), jiff::Timestamp::now());
            self.change.journal_dir.join(name)
        }))
    }
}

/// Whoever reads of a full stdout alone would think that nothing was done.
fn untold(failure: Failure, outcome: &Outcome) -> Failure {
    match (failure, outcome.count(Status::Done)) {
        (Failure::Output(error), done) if done > 0 => {
            Failure::Untold { done, all: outcome.changes.len() as u64, error }
        }
        (failure, _) => failure,
    }
}

/// From before the lock is taken until it is let go a signal ends the run in order, and a second one at once.
fn watch(cancel: &Cancel) -> Result<Watched, Failure> {
    let mut signals = Signals::listen().map_err(Failure::Runtime)?;
    let cancel = cancel.clone();
    Ok(Watched(tokio::spawn(async move {
        let signal = signals.next().await;
        output::tell(&format!("{signal}: finishing the writes under way; once more ends at once\n"));
        cancel.cancel(signal);
        signals.next().await;
        std::process::exit(i32::from(Exit::Partly.code()));
    })))
}

/// Signals are watched as long as it lives.
struct Watched(tokio::task::JoinHandle<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A secret that is another one than when the plan was made would not be what was shown.
fn refuse_moved_secrets(saved: &SavedPlan, secrets: &SecretValues, run: &Run) -> Result<(), Failure> {
    let moved = saved.moved_secrets(secrets, run.keys.as_deref());
    if moved.is_empty() {
        return Ok(());
    }
    let problem = |(address, field): (crate::model::Address, String)| {
        let message = format!("the secret for \"{field}\" is another one than when the plan was made");
        Problem::error("secret-moved", message, "make a new plan").of(&address)
    };
    Err(engine::error::Error::Stale(moved.into_iter().map(problem).collect()).into())
}

/// Asks a person. Ctrl-C and SIGTERM are answers, too.
pub async fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let mut signals = Signals::listen().map_err(Failure::Runtime)?;
    output::tell(&format!("\n{question} Only \"yes\" does: "));
    let (answered, answer) = tokio::sync::oneshot::channel();
    // A thread of its own: a read that nobody answers keeps the process from ending on none of the runtime's.
    std::thread::Builder::new()
        .spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
            // Who was interrupted meanwhile does not wait for it.
            let _ = answered.send(read);
        })
        .map_err(Failure::Runtime)?;
    tokio::select! {
        answer = answer => {
            let closed = |_| Failure::Answer(std::io::ErrorKind::UnexpectedEof.into());
            let line = answer.map_err(closed)?.map_err(Failure::Answer)?;
            if line.trim() == "yes" { Ok(()) } else { Err(Failure::NotApproved) }
        }
        _ = signals.next() => {
            output::tell("\n");
            Err(Failure::Interrupted)
        }
    }
}

/// The scopes of the record that the plan writes.
fn scopes(plan: &Plan) -> Scopes {
    // What only the record learns may be of any kind.
    match plan.records.is_empty() {
        true => Scopes::of(plan.changes.iter().map(|change| &change.address)),
        false => Scopes::ALL,
    }
}
