//! `fusionkeep plan`: what an apply would change. Reads and never writes.

use std::path::{Path, PathBuf};

use crate::engine::error::exit_of_plan;
use crate::engine::saved;
use crate::engine::secrets::SecretValues;
use crate::reconcile::Plan;
use crate::report::View;

use super::arguments::{RunArguments, switch};
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::pipeline::{self, Needs, Run};

/// Show what apply would change
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub run: RunArguments,
    /// Exit with 2 when there are changes
    #[arg(long, env = "FUSIONKEEP_DETAILED_EXITCODE", value_parser = switch, help_heading = "Output")]
    detailed_exitcode: bool,
    /// Save the plan to this file, for `fusionkeep apply FILE`; it holds personal values, and no secrets
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_OUT", help_heading = "Output")]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let mut run = pipeline::prepare(&arguments.run, Needs::default()).await?;
        let plan = run.plan().await?;
        if let Some(path) = arguments.out.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            save(&run, &plan, path).await?;
        }
        let view = View::of_plan(&plan, run.audience);
        output::report(&view, arguments.run.report.format)?;
        output::tell_problems(&view);
        Ok(exit_of_plan(&plan, arguments.detailed_exitcode))
    })
}

/// Saves a plan that can be applied.
async fn save(run: &Run, plan: &Plan, path: &Path) -> Result<(), Failure> {
    if !plan.errors.is_empty() {
        output::tell("the plan has errors and is not saved\n");
        return Ok(());
    }
    // Of those that can be read here the plan keeps fingerprints, so that another value makes it stale.
    let mut values = SecretValues::default();
    for change in &plan.changes {
        for slot in change.calls.iter().flat_map(|call| &call.secrets) {
            let namespace = &change.address.namespace;
            let loaded = values.load(&run.secrets, namespace, &slot.source, slot.may_be_empty).await;
            if let Err(error) = loaded {
                tracing::debug!(address = %change.address, %error, "a secret has no fingerprint in the plan");
            }
        }
    }
    let secrets = saved::planned_secrets(plan, &values, run.keys.as_deref());
    saved::write(path, plan, secrets, run.keys.as_deref())?;
    output::tell(&format!("saved to {} (personal values, no secrets)\n", path.display()));
    Ok(())
}
