//! `fusionkeep schema`: the JSON Schemas of what is read and printed, made from the Rust types.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::doctor::Examination;
use crate::manifest::{self, nearest};
use crate::report::Report;

use super::exit::Exit;
use super::failure::Failure;
use super::list::{Held, HeldList};
use super::output;
use super::version::Version;

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
    let names = || schemas.keys().filter_map(|file| file.strip_suffix(".json"));
    let Some(name) = &arguments.name else {
        output::result(&names().map(|name| format!("{name}\n")).collect::<String>())?;
        return Ok(Exit::Done);
    };
    let wanted = name.strip_suffix(".json").unwrap_or(name).to_lowercase();
    match schemas.get(&format!("{wanted}.json")) {
        Some(schema) => output::result(schema)?,
        None => {
            let hint = match nearest(&wanted, names()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(Failure::Argument {
                message: format!("there is no schema \"{name}\""),
                hint: Some(hint),
            });
        }
    }
    Ok(Exit::Done)
}

/// Every schema by the name of its file.
fn schemas() -> BTreeMap<String, String> {
    let mut files = manifest::schema::files();
    let printed = [
        ("report", schemars::schema_for!(Report)),
        ("doctor", schemars::schema_for!(Examination)),
        ("list", schemars::schema_for!(HeldList)),
        ("show", schemars::schema_for!(Held)),
        ("version", schemars::schema_for!(Version)),
    ];
    for (command, schema) in printed {
        files.insert(format!("{command}.json"), format!("{:#}\n", schema.to_value()));
    }
    files
}

fn write(directory: &Path, schemas: &BTreeMap<String, String>) -> Result<Exit, Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for (name, schema) in schemas {
        let path = directory.join(name);
        fs::write(&path, schema).map_err(failed(&path))?;
    }
    Ok(Exit::Done)
}

fn check(directory: &Path, schemas: &BTreeMap<String, String>) -> Result<Exit, Failure> {
    let is_other = |(name, schema): &(&String, &String)| {
        fs::read_to_string(directory.join(name)).ok().as_ref() != Some(*schema)
    };
    let files: Vec<String> = schemas.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
    if files.is_empty() {
        Ok(Exit::Done)
    } else {
        Err(Failure::Generated { directory: directory.to_owned(), files })
    }
}
