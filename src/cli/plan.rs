//! `fusionkeep plan`: what an apply would change. Reads and never writes.

use crate::engine::error::exit_of_plan;
use crate::report::View;

use super::arguments::{RunArguments, switch};
use super::exit::Exit;
use super::failure::Failure;
use super::{output, pipeline};

/// Show what apply would change
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub run: RunArguments,
    /// Exit with 2 when there are changes
    #[arg(long, env = "FUSIONKEEP_DETAILED_EXITCODE", value_parser = switch, help_heading = "Output")]
    detailed_exitcode: bool,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let run = pipeline::prepare(&arguments.run).await?;
        let plan = run.plan().await?;
        let view = View::of_plan(&plan, run.audience);
        output::report(&view, arguments.run.report.format)?;
        output::tell_problems(&view);
        Ok(exit_of_plan(&plan, arguments.detailed_exitcode))
    })
}
