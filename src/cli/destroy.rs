//! `fusionkeep destroy`: deletes all that the owner holds, each object by its recorded policy.

use super::arguments::{ChangeArguments, RunArguments};
use super::carry_out::CarryOut;
use super::exit::Exit;
use super::failure::Failure;
use super::pipeline::{self, Needs};

/// Delete everything that this owner holds, by each object's policy
///
/// Needs no manifests: what is held stands in the record. --target narrows it. All guards hold.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub run: RunArguments,
    #[command(flatten)]
    change: ChangeArguments,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let needs = Needs { no_objects: true, runner_key: Some("destroy"), ..Needs::default() };
        let mut run = pipeline::prepare(&arguments.run, needs).await?;
        run.tell_if_there_is_no_record();
        run.objects.clear();
        run.options.prune = true;
        run.options.destroy = true;
        let plan = run.plan().await?;
        CarryOut::new(&run, arguments.run.report.format, &arguments.change).plan(&plan).await
    })
}
