//! The schema files: made from the types, and agreeing with the reader.

use std::path::Path;

use fusionkeep::manifest::schema;

/// `FUSIONKEEP_BLESS=1 cargo test` writes the files anew.
#[test]
fn the_committed_files_are_the_generated_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, text) in schema::files() {
        let path = folder.join(&name);
        if std::env::var_os("FUSIONKEEP_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "schemas/{name} is not what the types say: FUSIONKEEP_BLESS=1 cargo test");
    }
}

#[test]
fn every_schema_is_a_schema() {
    for (name, text) in schema::files() {
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
