//! `fusionkeep apply`: makes the changes that a plan shows, planned now or saved before.

use std::path::{Path, PathBuf};

use crate::engine::saved::{self, Authenticity, SavedPlan};
use crate::reconcile::Problem;

use super::arguments::{ChangeArguments, RunArguments};
use super::carry_out::CarryOut;
use super::exit::Exit;
use super::failure::Failure;
use super::pipeline::{self, Needs, Run};

/// Make the changes that plan shows
///
/// With a PLAN that `plan --out` saved, exactly that plan is applied; -f then only gives the Secrets that it sends.
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
            None => {
                let mut run = pipeline::prepare(&arguments.run, Needs::default()).await?;
                let plan = run.plan().await?;
                carry_out(arguments, &run, None).plan(&plan).await
            }
        }
    })
}

fn carry_out<'a>(arguments: &'a Arguments, run: &'a Run, saved: Option<&'a SavedPlan>) -> CarryOut<'a> {
    CarryOut { saved, ..CarryOut::new(run, arguments.run.report.format, &arguments.change) }
}

async fn saved_plan(arguments: &Arguments, path: &Path) -> Result<Exit, Failure> {
    // Without keys first: only where it belongs is taken from it, which the run then holds it to.
    let unverified = saved::read(path, None)?;
    let mut run = arguments.run.clone();
    let target = &mut run.connect.target;
    target.owner.get_or_insert_with(|| unverified.plan.owner.as_str().to_owned());
    target.tenant_id.get_or_insert_with(|| unverified.plan.target.tenant_id.to_string());
    let run = pipeline::prepare(&run, Needs::without_manifests()).await?;
    let mut saved = saved::read(path, run.keys.as_deref())?;
    if saved.authenticity == Authenticity::NotAuthenticated {
        saved.plan.warnings.push(Problem::error(
            "plan-not-authenticated",
            "the plan is not authenticated: without a runner key it could be anybody's",
            crate::engine::keys::MAKE_A_KEY,
        ));
    }
    let plan = saved.plan.clone();
    carry_out(arguments, &run, Some(&saved)).plan(&plan).await
}
