//! `fusionkeep unlock`: ends the lock of a run that is dead.

use crate::engine;

use super::arguments::{ConnectArguments, switch};
use super::carry_out::confirm;
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::pipeline::{self, Needs};

/// End the lock of a run that is dead
///
/// A lock ends by itself two minutes after its run died. End it by hand only when you know that the run is dead:
/// two runs at once can undo each other's work.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    connect: ConnectArguments,
    /// Do it without asking; needed where there is no terminal
    #[arg(long, env = "FUSIONKEEP_AUTO_APPROVE", value_parser = switch)]
    auto_approve: bool,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let run = pipeline::connected(&arguments.connect, Needs::without_manifests()).await?;
        let Some(holder) = &run.loaded.holder else {
            output::result("there is no lock\n")?;
            return Ok(Exit::Done);
        };
        output::tell(&format!("the lock is held by {holder}\n"));
        if !arguments.auto_approve {
            confirm("End that lock?").await?;
        }
        match run.record.unlock().await.map_err(engine::error::Error::from)? {
            Some(holder) => output::result(&format!("ended the lock of {holder}\n"))?,
            None => output::result("the lock was let go meanwhile\n")?,
        }
        Ok(Exit::Done)
    })
}
