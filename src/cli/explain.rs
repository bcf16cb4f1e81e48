//! `fusionkeep explain KIND[.field]`: the documentation of what can be declared.

use crate::manifest::{nearest, schema};
use crate::model::Kind;
use crate::report;

use super::exit::Exit;
use super::failure::Failure;
use super::output;

/// Print the documentation of a kind or one of its fields, such as User.registrations
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The kind, and the field's path in its spec
    #[arg(value_name = "KIND[.FIELD]")]
    path: String,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut names = arguments.path.split('.');
    let kind = kind(names.next().unwrap_or_default())?;
    let path: Vec<&str> = names.collect();
    let page = report::explain(kind, schema::of(kind), &path).map_err(|error| {
        let last = error.path.rsplit('.').next().unwrap_or_default();
        let hint = match nearest(last, error.known.iter().map(String::as_str)) {
            Some(near) => Some(format!("did you mean \"{near}\"?")),
            None if error.known.is_empty() => None,
            None => Some(format!("it has {}", error.known.join(", "))),
        };
        Failure::Argument { message: error.to_string(), hint }
    })?;
    output::result(&page)?;
    Ok(Exit::Done)
}

/// A kind by its name or its plural, in any case.
pub fn kind(name: &str) -> Result<Kind, Failure> {
    let folded = name.to_lowercase();
    let found = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str().to_lowercase() == folded || crate::model::row(*kind).plural == folded);
    found.ok_or_else(|| {
        let hint = match nearest(name, Kind::ALL.map(Kind::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the kinds are {}", Kind::ALL.map(Kind::as_str).join(", ")),
        };
        Failure::Argument { message: format!("\"{name}\" is no kind"), hint: Some(hint) }
    })
}
