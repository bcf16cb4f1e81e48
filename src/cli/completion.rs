//! `fusionkeep completion SHELL`: a completion script.

use clap_complete::Shell;

use super::exit::Exit;
use super::failure::Failure;
use super::output;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut definition = super::definition();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut definition, "fusionkeep", &mut script);
    output::result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
