//! The sandbox as a process of its own, and the memory of a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::Cost;
use crate::replay::{Exchange, client};

pub const API_KEY: &str = "bench-key-bench-key-bench-key";

const KICKSTART: &str = r#"{
  "variables": { "defaultTenantId": "5f0d5b6e-2b7c-4a55-9a8e-0f3b6b1c2d3e" },
  "apiKeys": [ { "key": "bench-key-bench-key-bench-key" } ],
  "requests": [
    { "method": "POST", "url": "/api/application/8b0a4a54-6a0e-4c0f-9a5e-3f1d2c4b5a69",
      "body": { "application": { "name": "Bench", "roles": [ { "name": "user" } ] } } }
  ]
}"#;

pub struct Server {
    child: Child,
    pub url: String,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(folder: &Path, latency: u64, logs: bool) -> Self {
        let kickstart = folder.join("kickstart.json");
        std::fs::write(&kickstart, KICKSTART).unwrap();
        let log = folder.join("exchanges.jsonl");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fusionkeep"));
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--kickstart"]).arg(&kickstart);
        if logs {
            command.arg("--log").arg(&log);
        }
        if latency > 0 {
            let faults = folder.join("faults.json");
            let rules = format!(r#"{{"rules":[{{"fault":"latency","milliseconds":{latency}}}]}}"#);
            std::fs::write(&faults, rules).unwrap();
            command.arg("--faults").arg(&faults);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the sandbox's first line").to_owned();
        Server { child, url, log }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What is exchanged while `run` runs.
    pub fn exchanges_of(&self, run: impl FnOnce() -> Cost) -> Vec<Exchange> {
        let text = || std::fs::read_to_string(&self.log).unwrap();
        let before = text().len();
        let _timed_elsewhere = run();
        text()[before..].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Back to what the sandbox held at its start.
    pub fn reset(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(client().post(format!("{}/_sandbox/reset", self.url)).send()).unwrap();
        assert!(answer.status().is_success());
    }
}
