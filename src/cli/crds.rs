//! `fusionkeep crds`: the custom resource definitions.

use crate::operator::definitions_as_yaml;

use super::exit::Exit;
use super::failure::Failure;
use super::output;

/// Print the custom resource definitions, for kubectl apply --server-side -f -
#[derive(Debug, clap::Args)]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<Exit, Failure> {
    output::result(&definitions_as_yaml()?)?;
    Ok(Exit::Done)
}
