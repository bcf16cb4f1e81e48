//! The quickstart in a folder of a test's own.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::command::{root, run, shown, stdout};

const QUICKSTART: [&str; 2] = ["-f", "examples/quickstart"];
pub const KICKSTART: &str = "--sandbox-kickstart=examples/quickstart.kickstart.json";

/// A folder with a store in it.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub fn sandbox(&self) -> String {
        format!("--sandbox={}", self.path("sandbox.db").display())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    /// With the quickstart applied.
    pub fn applied() -> Self {
        let place = Place::new();
        let output = place.quickstart("apply", &["--auto-approve"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        place
    }

    pub fn quickstart(&self, command: &str, more: &[&str]) -> Output {
        let sandbox = self.sandbox();
        run(&[&[command], &QUICKSTART[..], &[&sandbox, KICKSTART], more].concat())
    }

    /// The quickstart with something replaced in one of its files.
    pub fn edited(&self, file: &str, from: &str, to: &str) -> String {
        let folder = self.path("quickstart");
        std::fs::create_dir_all(&folder).unwrap();
        for entry in std::fs::read_dir(root().join("examples/quickstart")).unwrap() {
            let source = entry.unwrap().path();
            let target = folder.join(source.file_name().unwrap());
            if !target.exists() {
                std::fs::copy(&source, target).unwrap();
            }
        }
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        folder.display().to_string()
    }
}

/// A report that fits its schema.
pub fn report(output: &Output) -> Value {
    printed(output, "report")
}

/// What a command printed as JSON; it fits the schema of that name.
pub fn printed(output: &Output, schema: &str) -> Value {
    let printed: Value =
        serde_json::from_str(&stdout(output)).unwrap_or_else(|error| panic!("{error}: {}", shown(output)));
    let schema = std::fs::read_to_string(root().join(format!("schemas/{schema}.json"))).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&printed).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{printed:#}");
    printed
}
