//! `fusionkeep version`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model;
use crate::reconcile;

use super::arguments::{DataFormat, DataOutputArguments};
use super::exit::Exit;
use super::failure::Failure;
use super::output;

/// Print the version of fusionkeep and of what it reads and writes
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub output: DataOutputArguments,
}

/// What is printed with `-o json`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "fusionkeep version", deny_unknown_fields)]
pub struct Version {
    /// Of the command.
    version: &'static str,
    /// Of the manifests.
    api_version: &'static str,
    /// Of saved plans.
    plan_schema_version: u32,
    /// Of reports.
    report_schema_version: u32,
    /// Whether the operator is built in.
    operator: bool,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        api_version: model::API_VERSION,
        plan_schema_version: reconcile::SCHEMA_VERSION,
        report_schema_version: crate::report::SCHEMA_VERSION,
        operator: cfg!(feature = "operator"),
    };
    match arguments.output.format {
        DataFormat::Json => output::json(&version)?,
        DataFormat::Text => output::result(&format!(
            "fusionkeep {} (manifests {}, plans {}, reports {})\n",
            version.version, version.api_version, version.plan_schema_version, version.report_schema_version
        ))?,
    }
    Ok(Exit::Done)
}
