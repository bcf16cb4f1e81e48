//! `fusionkeep validate`: judges manifests without a FusionAuth, and without reading a secret.

use crate::manifest::Input;
use crate::report::{ProblemView, View};

use super::arguments::{Format, InputArguments};
use super::exit::Exit;
use super::failure::Failure;
use super::{load, output};

/// Judge manifests without a FusionAuth
///
/// Reads all files and documents and tells all errors at once. Secrets are not read. Of several instances all are
/// judged.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    input: InputArguments,
    /// The form of the result
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        env = "FUSIONKEEP_OUTPUT",
        default_value = "text",
        help_heading = "Output"
    )]
    pub format: Format,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let input = load::input(&arguments.input, false)?;
    match arguments.format {
        Format::Text => output::result(&summary(&input))?,
        format => {
            let warnings = input.warnings.iter().map(ProblemView::from).collect();
            output::report(&View::of_errors(Vec::new(), warnings), format)?;
        }
    }
    Ok(Exit::Done)
}

fn summary(input: &Input) -> String {
    let mut parts = vec![counted(input.objects.len(), "object", "objects")];
    for (count, one, several) in [
        (input.instances.len(), "instance", "instances"),
        (input.secrets.len(), "Secret", "Secrets"),
        (input.passed_over, "document of others passed over", "documents of others passed over"),
        (input.warnings.len(), "warning", "warnings"),
    ] {
        if count > 0 {
            parts.push(counted(count, one, several));
        }
    }
    format!("valid: {}\n", parts.join(", "))
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
