//! `fusionkeep schema`: the JSON Schemas of what is read and printed, made from the Rust types.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::{
    ClusterFusionAuthInstanceSpec, EntityGrantSpec, EntitySpec, EntityTypeSpec, FusionAuthInstanceSpec,
    IdentityProviderLinkSpec, Kind, LambdaSpec, PlanApprovalSpec, UserSpec,
};
use crate::report::Report;

use super::exit::Exit;
use super::failure::Failure;
use super::output;

/// Print a JSON Schema, or write all of them to a folder
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The name of one schema; all names are listed when it is left out
    name: Option<String>,
    /// Write every schema to this folder
    #[arg(long, value_name = "DIR", env = "FUSIONKEEP_WRITE", conflicts_with_all = ["name", "check"])]
    write: Option<PathBuf>,
    /// Fail when the schemas in this folder are not what this version would write
    #[arg(long, value_name = "DIR", env = "FUSIONKEEP_CHECK", conflicts_with = "name")]
    check: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let schemas = schemas();
    if let Some(directory) = &arguments.write {
        return write(directory, &schemas);
    }
    if let Some(directory) = &arguments.check {
        return check(directory, &schemas);
    }
    let Some(name) = &arguments.name else {
        let names: String = schemas.iter().map(|schema| format!("{}\n", schema.name)).collect();
        output::result(&names)?;
        return Ok(Exit::Done);
    };
    let wanted = name.strip_suffix(".json").unwrap_or(name).to_lowercase();
    match schemas.iter().find(|schema| schema.name.to_lowercase() == wanted) {
        Some(schema) => output::json(&schema.schema)?,
        None => {
            let names: Vec<&str> = schemas.iter().map(|schema| schema.name.as_str()).collect();
            return Err(Failure::Argument {
                message: format!("there is no schema \"{name}\""),
                hint: Some(format!("there are {}", names.join(", "))),
            });
        }
    }
    Ok(Exit::Done)
}

/// One schema and the name of its file, without `.json`.
struct Named {
    name: String,
    schema: Value,
}

fn schemas() -> Vec<Named> {
    vec![Named { name: "report".to_owned(), schema: schemars::schema_for!(Report).to_value() }]
}

/// The schema of a kind's `spec`.
pub fn spec_schema(kind: Kind) -> Value {
    match kind {
        Kind::EntityType => schemars::schema_for!(EntityTypeSpec),
        Kind::Lambda => schemars::schema_for!(LambdaSpec),
        Kind::User => schemars::schema_for!(UserSpec),
        Kind::Entity => schemars::schema_for!(EntitySpec),
        Kind::EntityGrant => schemars::schema_for!(EntityGrantSpec),
        Kind::IdentityProviderLink => schemars::schema_for!(IdentityProviderLinkSpec),
        Kind::FusionAuthInstance => schemars::schema_for!(FusionAuthInstanceSpec),
        Kind::ClusterFusionAuthInstance => schemars::schema_for!(ClusterFusionAuthInstanceSpec),
        Kind::PlanApproval => schemars::schema_for!(PlanApprovalSpec),
    }
    .to_value()
}

fn file(directory: &Path, schema: &Named) -> PathBuf {
    directory.join(format!("{}.json", schema.name))
}

fn content(schema: &Named) -> String {
    // Display of a JSON value in its long form cannot fail.
    format!("{:#}\n", schema.schema)
}

fn write(directory: &Path, schemas: &[Named]) -> Result<Exit, Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for schema in schemas {
        let path = file(directory, schema);
        fs::write(&path, content(schema)).map_err(failed(&path))?;
    }
    Ok(Exit::Done)
}

fn check(directory: &Path, schemas: &[Named]) -> Result<Exit, Failure> {
    let mut wrong = Vec::new();
    for schema in schemas {
        match fs::read_to_string(file(directory, schema)) {
            Ok(found) if found == content(schema) => {}
            _ => wrong.push(format!("{}.json", schema.name)),
        }
    }
    if wrong.is_empty() {
        Ok(Exit::Done)
    } else {
        Err(Failure::Generated { directory: directory.to_owned(), files: wrong })
    }
}
