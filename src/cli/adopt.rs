//! `fusionkeep adopt`: takes over what exists, as a plan; and rebuilds a record that was lost.

use crate::model::{Adoption, Owner};

use super::arguments::{ChangeArguments, RunArguments, switch};
use super::carry_out::CarryOut;
use super::exit::Exit;
use super::failure::Failure;
use super::pipeline::{self, Needs, Rebuilds};

/// Take over existing objects that the manifests declare
///
/// Objects that equal their declaration are taken over without a write to them; with --override the others are
/// changed too. What does not exist or is held already is left to apply. A record that is lost, damaged or not signed is made anew from what the manifests declare; with
/// --take-over also one whose runner key is lost. What such a record held besides is let go, and listed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub run: RunArguments,
    #[command(flatten)]
    change: ChangeArguments,
    /// Take over and change objects that differ from their declaration
    #[arg(long = "override", env = "FUSIONKEEP_OVERRIDE", value_parser = switch, help_heading = "Apply")]
    overrides: bool,
    /// Take over what this owner claims; it lets go on its next run
    #[arg(long, value_name = "OWNER", env = "FUSIONKEEP_FROM_OWNER", help_heading = "Apply")]
    from_owner: Option<Owner>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let rebuilds = Some(Rebuilds { take_over: arguments.change.take_over });
        let needs = Needs { rebuilds, ..Needs::default() };
        let mut run = pipeline::prepare(&arguments.run, needs).await?;
        run.options.adoption = Some(if arguments.overrides { Adoption::Override } else { Adoption::Match });
        run.options.take_from.clone_from(&arguments.from_owner);
        let plan = run.plan().await?;
        let carry_out =
            CarryOut { rebuild: true, ..CarryOut::new(&run, arguments.run.report.format, &arguments.change) };
        carry_out.plan(&plan).await
    })
}
