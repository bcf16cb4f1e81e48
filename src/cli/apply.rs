//! `fusionkeep apply`: shows the plan, asks, carries it out, tells what became of it.

use std::io::{BufRead, IsTerminal};

use crate::engine;
use crate::engine::apply::{Apply, Recheck, load_secrets};
use crate::engine::cancel::Cancel;
use crate::engine::error::{exit_of_outcome, exit_of_plan};
use crate::engine::record::{Acquire, HeldRecord, Scopes};
use crate::engine::secrets::SecretValues;
use crate::reconcile::{Outcome, Plan};
use crate::report::{ProblemView, View, run_text, text};

use super::arguments::{Format, RunArguments, switch};
use super::exit::Exit;
use super::failure::Failure;
use super::pipeline::{Bar, Run};
use super::signals::Signals;
use super::{output, pipeline};

/// Make the changes that plan shows
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub run: RunArguments,
    /// Apply without asking; needed where there is no terminal
    #[arg(long, env = "FUSIONKEEP_AUTO_APPROVE", value_parser = switch, help_heading = "Guards")]
    auto_approve: bool,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let run = pipeline::prepare(&arguments.run).await?;
        let plan = run.plan().await?;
        carry_out(&run, &plan, arguments.run.report.format, arguments.auto_approve).await
    })
}

/// Shows a plan, asks, applies it and tells what became of it.
async fn carry_out(run: &Run, plan: &Plan, format: Format, auto_approve: bool) -> Result<Exit, Failure> {
    let mut view = View::of_plan(plan, run.audience);
    let loaded = match plan.errors.is_empty() {
        true => load_secrets(plan, &run.secrets).await,
        false => Ok(SecretValues::default()),
    };
    let secrets = match loaded {
        Ok(secrets) => secrets,
        Err(problems) => {
            view.errors.extend(problems.iter().map(ProblemView::from));
            SecretValues::default()
        }
    };
    let is_over = !view.errors.is_empty() || plan.changes.is_empty();
    if format == Format::Text || is_over {
        output::report(&view, format)?;
        output::tell_problems(&view);
    }
    if !view.errors.is_empty() {
        let exit = exit_of_plan(plan, false);
        return Ok(if exit == Exit::Done { Exit::Error } else { exit });
    }
    if plan.changes.is_empty() && plan.records.is_empty() {
        return Ok(Exit::Done);
    }
    let asked = !auto_approve && !plan.changes.is_empty();
    if asked {
        if format != Format::Text {
            output::tell(&text(&view));
        }
        confirm()?;
    }
    let outcome = apply(run, plan, &secrets, asked).await?;
    if plan.changes.is_empty() {
        return Ok(exit_of_outcome(&outcome));
    }
    let view = View::of_run(plan, &outcome, run.audience);
    match format {
        Format::Text => {
            output::result(&run_text(&view))?;
            // The plan's own problems were told with the plan.
            output::tell_problems(&view.since_plan(plan));
        }
        _ => {
            output::report(&view, format)?;
            output::tell_problems(&view);
        }
    }
    Ok(exit_of_outcome(&outcome))
}

/// Asks a person.
fn confirm() -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::NoTerminal);
    }
    output::tell("\nApply these changes? Only \"yes\" applies them: ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(Failure::Answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::NotApproved) }
}

/// Applies under the record's lock.
async fn apply(run: &Run, plan: &Plan, secrets: &SecretValues, asked: bool) -> Result<Outcome, Failure> {
    let how = Acquire { scopes: scopes(plan), ..Acquire::default() };
    let held = run.record.acquire(&how).await.map_err(engine::error::Error::from)?;
    let outcome = under_lock(run, plan, secrets, asked, held.as_ref()).await;
    let closed = held.close().await;
    let mut outcome = outcome?;
    if let Err(error) = closed {
        let problem = crate::reconcile::Problem::error(
            "record-not-closed",
            format!("the lock was not let go, and will expire: {error}"),
            error.hint().unwrap_or_default(),
        );
        outcome.warnings.push(problem);
    }
    Ok(outcome)
}

async fn under_lock(
    run: &Run,
    plan: &Plan,
    secrets: &SecretValues,
    asked: bool,
    held: &dyn HeldRecord,
) -> Result<Outcome, Failure> {
    if held.loaded().revision != run.loaded.revision {
        return Err(Failure::RecordMoved);
    }
    let cancel = Cancel::default();
    let bar = Bar(run.progress.clone());
    let apply = Apply {
        plan,
        session: &run.session,
        secrets,
        record: Some(held),
        keys: run.keys.as_deref(),
        progress: &bar,
        cancel: &cancel,
        // A person takes time to answer.
        recheck: if asked { Recheck::Before } else { Recheck::Never },
        parallelism: run.parallelism,
        journal: None,
    };
    let mut signals = Signals::listen().map_err(Failure::Runtime)?;
    let watched = cancel.clone();
    let watch = tokio::spawn(async move {
        let signal = signals.next().await;
        output::tell(&format!("{signal}: finishing the writes under way; once more ends at once\n"));
        watched.cancel(signal);
        signals.next().await;
        std::process::exit(i32::from(Exit::Partly.code()));
    });
    let outcome = apply.run().await;
    watch.abort();
    run.progress.end();
    Ok(outcome?)
}

/// The scopes of the record that the plan writes.
fn scopes(plan: &Plan) -> Scopes {
    let changed = plan.changes.iter().map(|change| &change.address);
    let scopes = Scopes::of(changed);
    // What only the record learns may be of any kind.
    if plan.records.is_empty() { scopes } else { Scopes::ALL }
}
