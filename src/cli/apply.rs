//! `fusionkeep apply`: makes the changes that a plan shows, planned now or saved before.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::engine::saved::{self, Authenticity};
use crate::reconcile::Problem;

use super::arguments::{ChangeArguments, RunArguments};
use super::carry_out::CarryOut;
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::pipeline::{self, Needs};

/// Make the changes that plan shows
///
/// With a PLAN that `plan --out` saved, exactly that plan is applied; -f then only gives the Secrets that it sends and
/// an instance whose guards hold. Guards can tighten what was allowed when a signed plan was made; a plan that is not
/// signed is judged anew. A run that waited for another one's end (--lock-timeout) plans again.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A plan that `plan --out` saved, instead of manifests
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunArguments,
    #[command(flatten)]
    change: ChangeArguments,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        match &arguments.plan {
            Some(path) => saved_plan(arguments, path).await,
            None => manifests(arguments).await,
        }
    })
}

/// Plans and applies. A run that waited for another one's end finds that its plan is of another time: what nobody has
/// looked at is planned again then, for as long as it may wait.
async fn manifests(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut run = pipeline::prepare(&arguments.run, Needs::default()).await?;
    let began = Instant::now();
    let mut change = arguments.change.clone();
    // A plan uses the objects up.
    let again = (change.auto_approve && !change.lock_timeout.is_zero()).then(|| run.objects.clone());
    loop {
        let plan = run.plan().await;
        change.lock_timeout = arguments.change.lock_timeout.saturating_sub(began.elapsed());
        let done = match plan {
            Ok(plan) => CarryOut::new(&run, arguments.run.report.format, &change).plan(&plan).await,
            Err(failure) => Err(failure),
        };
        match (&again, done) {
            (Some(objects), Err(Failure::RecordMoved)) if !change.lock_timeout.is_zero() => {
                output::tell("another run has written the record meanwhile; planning again\n");
                run.start_over(objects.clone()).await?;
            }
            (_, done) => return done,
        }
    }
}

async fn saved_plan(arguments: &Arguments, path: &Path) -> Result<Exit, Failure> {
    // Without keys first: only where it belongs is taken from it, which the run then holds it to.
    let unverified = saved::read(path, None)?;
    let mut run = arguments.run.clone();
    let target = &mut run.connect.target;
    target.owner.get_or_insert_with(|| unverified.plan.owner.as_str().to_owned());
    target.tenant_id.get_or_insert_with(|| unverified.plan.target.tenant_id.to_string());
    let mut run = pipeline::prepare(&run, Needs::without_manifests()).await?;
    let mut saved = saved::read(path, run.keys.as_deref())?;
    if saved.authenticity == Authenticity::NotAuthenticated {
        saved.plan.warnings.push(Problem::error(
            "plan-not-authenticated",
            "the plan is not authenticated: without a runner key it could be anybody's",
            crate::engine::keys::MAKE_A_KEY,
        ));
    }
    let mut plan = saved.plan.clone();
    plan.errors.extend(run.guards(&plan, saved.authenticity).await?);
    let carry_out = CarryOut {
        saved: Some(&saved),
        ..CarryOut::new(&run, arguments.run.report.format, &arguments.change)
    };
    carry_out.plan(&plan).await
}
