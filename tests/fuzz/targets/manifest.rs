//! Any bytes as a manifest, YAML or JSON: read, judged and resolved, or refused with a place; no panic, no hang.
#![no_main]

use std::sync::OnceLock;

use fusionkeep::manifest::{LoadError, LoadOptions, load};

static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for inputs"));
    for name in ["input.yaml", "input.json"] {
        let path = folder.path().join(name);
        std::fs::write(&path, data).expect("an input is written");
        if let Err(LoadError::Invalid(diagnostics)) = load(&[path], &LoadOptions::default()) {
            assert!(!diagnostics.is_empty(), "a refusal says why");
            for diagnostic in diagnostics {
                assert!(!diagnostic.message.is_empty(), "a diagnostic says what is wrong");
            }
        }
    }
});
