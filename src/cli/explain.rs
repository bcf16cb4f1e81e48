//! `fusionkeep explain KIND[.field]`: the documentation of what can be declared.

use crate::model::Kind;
use crate::report;

use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::schema::spec_schema;

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
    let mut path: Vec<&str> = names.collect();
    // `User.spec.email` is what kubectl's users write.
    if path.first() == Some(&"spec") {
        path.remove(0);
    }
    let page = report::explain(kind, &spec_schema(kind), &path).map_err(|error| {
        let hint = (!error.known.is_empty()).then(|| format!("it has {}", error.known.join(", ")));
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
        let hint = format!("the kinds are {}", Kind::ALL.map(Kind::as_str).join(", "));
        Failure::Argument { message: format!("\"{name}\" is no kind"), hint: Some(hint) }
    })
}
