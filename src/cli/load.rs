//! Reads the input and tells on stderr what should be known of it.

use crate::manifest::{Diagnostic, Input, LoadOptions, load};

use super::arguments::InputArguments;
use super::failure::Failure;
use super::output;

/// Reads all manifests; warnings go to stderr.
///
/// `may_be_missing` is for commands that can do without manifests. What is named must hold something all the same: a folder
/// without the instance that was meant in it would lead to another target.
pub fn input(arguments: &InputArguments, may_be_missing: bool) -> Result<Input, Failure> {
    let paths: Vec<_> =
        arguments.filenames.iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect();
    let options = LoadOptions {
        recursive: arguments.recursive,
        allow_empty: arguments.allow_empty || (may_be_missing && paths.is_empty()),
        values_suffice: may_be_missing,
    };
    let input = load(&paths, &options)?;
    output::tell(&rendered(&input.warnings));
    Ok(input)
}

/// Diagnostics with their source lines, one below the other.
pub fn rendered(diagnostics: &[Diagnostic]) -> String {
    // The stream takes colours out where they do not belong.
    diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.render(true))).collect()
}
