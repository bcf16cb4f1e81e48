//! Reads the input and tells on stderr what should be known of it.

use crate::manifest::{Diagnostic, Input, LoadOptions, load};

use super::arguments::InputArguments;
use super::failure::Failure;
use super::output;

/// Reads all manifests; warnings go to stderr.
///
/// `may_be_empty` is for commands that can do without manifests.
pub fn input(arguments: &InputArguments, may_be_empty: bool) -> Result<Input, Failure> {
    let options =
        LoadOptions { recursive: arguments.recursive, allow_empty: may_be_empty || arguments.allow_empty };
    let paths: Vec<_> =
        arguments.filenames.iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect();
    let input = load(&paths, &options)?;
    output::tell(&rendered(&input.warnings));
    Ok(input)
}

/// Diagnostics with their source lines, one below the other.
pub fn rendered(diagnostics: &[Diagnostic]) -> String {
    // The stream takes colours out where they do not belong.
    diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.render(true))).collect()
}
