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

mod agreement {
    use std::collections::HashMap;
    use std::sync::LazyLock;

    use fusionkeep::manifest::{LoadError, LoadOptions, schema, yaml};
    use fusionkeep::model::Kind;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::manifest::{document, documents::GOOD, folder, load_folder};

    static VALIDATORS: LazyLock<HashMap<Kind, jsonschema::Validator>> = LazyLock::new(|| {
        Kind::ALL.map(|kind| (kind, jsonschema::validator_for(schema::of(kind)).unwrap())).into()
    });

    /// A good document as JSON.
    fn good(index: usize) -> (Kind, Value) {
        let (kind, spec) = GOOD[index];
        let text = document(kind, "x", spec);
        let mut value = Value::Null;
        yaml::read(yaml::Format::Yaml, &text, 0..text.len(), &mut |document| {
            value = document.tree.unwrap().root().to_json();
        });
        (kind.parse().unwrap(), value)
    }

    /// Paths of everything in a value, except within free data.
    fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(entries) if !at.ends_with("/data") => {
                entries.iter().for_each(|(key, value)| paths(value, &format!("{at}/{key}"), all));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| paths(value, &format!("{at}/{index}"), all));
            }
            _ => {}
        }
    }

    /// Changes one thing: another value, a field more, a field less.
    fn change(document: &mut Value, place: usize, what: usize) {
        let mut all = Vec::new();
        paths(document, "", &mut all);
        let path = &all[place % all.len()];
        let values = [
            Value::Null,
            json!(true),
            json!(5),
            json!(1.5),
            json!("zzz"),
            json!([]),
            json!({}),
            json!([5]),
            json!({"zzz": 1}),
            json!("Absent"),
            json!("3c219e58-ed0e-4b18-ad48-f4f92793ae32"),
            json!({"name": "x"}),
            json!([{"name": "x"}]),
            json!("20%"),
            json!({"fromEnv": "X"}),
            json!(-1),
        ];
        match what % (values.len() + 2) {
            0 => {
                if let Some(Value::Object(entries)) = document.pointer_mut(path) {
                    entries.insert("zzz".to_owned(), Value::Null);
                }
            }
            1 => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", ""));
                if let Some(Value::Object(entries)) = document.pointer_mut(parent) {
                    entries.remove(name);
                }
            }
            other => {
                if let Some(value) = document.pointer_mut(path) {
                    *value = values[other - 2].clone();
                }
            }
        }
    }

    /// What is wrong with a document, for the reader; nothing when it is taken.
    fn read(document: &Value) -> Vec<String> {
        let folder = folder(&[("m.json", &document.to_string())]);
        match load_folder(folder.path(), &LoadOptions { allow_empty: true, ..LoadOptions::default() }) {
            Ok(_) => Vec::new(),
            Err(LoadError::Invalid(diagnostics)) => diagnostics
                .into_iter()
                .filter(|diagnostic| diagnostic.is_error())
                .map(|diagnostic| diagnostic.code.to_owned())
                .collect(),
            Err(error) => panic!("{error}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// What the reader takes, the schema takes; what the reader refuses for its form, the schema refuses.
        #[test]
        fn schema_and_reader_agree(
            index in 0..GOOD.len(),
            changes in proptest::collection::vec((0usize..200, 0usize..18), 0..3),
        ) {
            let (kind, mut document) = good(index);
            for (place, what) in changes {
                change(&mut document, place, what);
            }
            // What is not said to be this kind is judged by another schema, or by none.
            prop_assume!(document["kind"] == kind.as_str() && document["apiVersion"] == "fusionkeep.dev/v1alpha1");
            let codes = read(&document);
            let fits = VALIDATORS[&kind].is_valid(&document);
            prop_assert!(fits || !codes.is_empty(), "the reader takes what the schema refuses: {document:#}");
            let formal = ["unknown-field", "wrong-type", "unquoted", "null", "plain-secret"];
            let refused_for_form = codes.iter().any(|code| formal.contains(&code.as_str()));
            prop_assert!(!refused_for_form || !fits, "the schema takes what the reader refuses ({codes:?}): {document:#}");
        }
    }
}
