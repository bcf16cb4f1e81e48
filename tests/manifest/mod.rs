//! Reading manifests: each sentence of what is accepted, on each side.

mod documents;
mod files;
mod schemas;
mod secrets;
mod together;
mod yaml;

use std::path::Path;

use fusionkeep::manifest::{Diagnostic, Input, LoadError, LoadOptions, load};

/// Loads a folder of files.
pub fn load_folder(folder: &Path, options: &LoadOptions) -> Result<Input, LoadError> {
    load(&[folder.to_owned()], options)
}

/// Writes files into a new folder: (name, text).
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Loads one text as a YAML file.
pub fn load_text(text: &str) -> Result<Input, LoadError> {
    let folder = folder(&[("m.yaml", text)]);
    load_folder(folder.path(), &LoadOptions::default())
}

/// What is wrong with a text: everything, warnings too.
pub fn diagnostics(text: &str) -> Vec<Diagnostic> {
    match load_text(text) {
        Ok(input) => input.warnings,
        Err(LoadError::Invalid(diagnostics)) => diagnostics,
        Err(LoadError::Empty { message, .. }) => panic!("{message}: {text}"),
    }
}

/// The codes and lines of what is wrong with a text.
pub fn codes(text: &str) -> Vec<(&'static str, u32)> {
    let line = |diagnostic: &Diagnostic| diagnostic.place.as_ref().map_or(0, |place| place.line);
    diagnostics(text).iter().map(|diagnostic| (diagnostic.code, line(diagnostic))).collect()
}

/// A whole document of a kind with the given `spec`, each of its lines indented.
pub fn document(kind: &str, name: &str, spec: &str) -> String {
    let spec: String = spec.trim_end().lines().map(|line| format!("  {line}\n")).collect();
    format!("apiVersion: fusionkeep.dev/v1alpha1\nkind: {kind}\nmetadata: {{ name: {name} }}\nspec:\n{spec}")
}
