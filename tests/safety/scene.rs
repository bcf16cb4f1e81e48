//! A sandbox over HTTP, a folder with manifests, and runs of the built binary with them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use fusionkeep::sandbox::Config;
use serde_json::{Value, json};

use crate::command::fusionkeep;
pub use crate::engine::harness::id;
use crate::engine::harness::{self, World};

pub const API_KEY: &str = "an-administrator-of-the-tests";
pub const RUNNER_KEY: &str = "the-runner-key-of-the-tests-is-long-enough";

pub struct Scene {
    pub world: World,
    folder: tempfile::TempDir,
}

impl Scene {
    /// A tenant with two applications, an identity provider, and a user who is nobody's.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::over(folder, None, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same on a store, at an address that it may have had before.
    pub async fn over(folder: tempfile::TempDir, store: Option<PathBuf>, listen: SocketAddr) -> Self {
        let kickstart = folder.path().join("kickstart.json");
        std::fs::write(&kickstart, harness::kickstart("kickstart-of-the-tests", "adopted").to_string())
            .unwrap();
        let config = Config {
            api_key: Some(API_KEY.to_owned()),
            kickstart: Some(kickstart),
            log: Some(folder.path().join("log.jsonl")),
            store,
            listen,
            ..Config::default()
        };
        Scene { world: World::with(config).await, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    /// The command, with this sandbox as its target.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = fusionkeep(arguments);
        command
            .env("FUSIONKEEP_URL", self.world.running.url())
            .env("FUSIONKEEP_API_KEY", API_KEY)
            .env("FUSIONKEEP_KEY", RUNNER_KEY)
            .env("FUSIONKEEP_OWNER", "safety")
            .env("FUSIONKEEP_JOURNAL_DIR", self.path("journals"))
            .env("RUST_BACKTRACE", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The exchanges that the sandbox logged.
    pub fn exchanges(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("log.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a fault rule has struck; false when the process ended before.
    pub async fn struck(&self, child: &mut Child) -> bool {
        loop {
            let faults = self.world.get("/_sandbox/faults").await;
            if faults["rules"].as_array().unwrap().iter().any(|rule| rule["injected"] != 0) {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Whatever lock was left behind is over.
    pub async fn later(&self) {
        self.world.request("POST", "/_sandbox/clock", json!({"advanceSeconds": 1000})).await;
    }
}

/// Documents of a stream, one a line: kind, name, spec.
pub fn manifests(objects: &[(&str, &str, Value)]) -> String {
    let document = |(kind, name, spec): &(&str, &str, Value)| {
        let document = json!({"apiVersion": "fusionkeep.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": spec});
        format!("---\n{document}\n")
    };
    objects.iter().map(document).collect()
}
