//! `fusionkeep sandbox` as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::command::{fusionkeep, signal};

/// A sandbox that serves until it is dropped.
pub struct Served {
    child: Child,
    url: String,
    export: String,
}

impl Served {
    /// What it says to export.
    pub fn variables(&self) -> Vec<(String, String)> {
        let words = self.export.trim_start_matches("export ").split(' ');
        words
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// Waits until it has answered such a request.
    pub fn wait_for(&self, method: &str, route: &str) {
        for _ in 0..600 {
            let counts = self.request_counts();
            let requests = counts["requests"].as_array().unwrap();
            let fits =
                |one: &Value| one["method"] == method && one["route"].as_str().unwrap().starts_with(route);
            if requests.iter().any(fits) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("no {method} {route} within 30 s");
    }

    fn request_counts(&self) -> Value {
        self.send("GET", "/_sandbox/requests", &Value::Null)
    }

    /// Sends a request with the sandbox's key; it must succeed. Null when the answer has no body.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.exchange(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// The status and the body of an answer.
    pub fn exchange(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let address = self.url.trim_start_matches("http://");
        let key = self.variable("FUSIONKEEP_API_KEY");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() })
    }

    pub fn variable(&self, name: &str) -> String {
        self.variables().into_iter().find(|(found, _)| found == name).unwrap().1
    }

    /// A command against it, with a runner key.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = fusionkeep(arguments);
        command.envs(self.variables()).env("FUSIONKEEP_KEY", RUNNER_KEY);
        command
    }

    /// The same, run to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A new API key with these permissions.
    pub fn api_key(&self, permissions: &Value) -> String {
        let body = serde_json::json!({ "apiKey": { "permissions": permissions } });
        self.send("POST", "/api/api-key", &body)["apiKey"]["key"].as_str().unwrap().to_owned()
    }
}

pub const RUNNER_KEY: &str = "0123456789abcdef0123456789abcdef-tests";

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn serve(arguments: &[&str]) -> Served {
    let mut child = fusionkeep(&[&["sandbox"], arguments].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let url = first.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{first}")).to_owned();
    let export = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find(|line| line.starts_with("export "))
        .unwrap();
    Served { child, url, export }
}

fn terminate(mut served: Served) -> Option<i32> {
    signal(&served.child, "TERM");
    served.child.wait().unwrap().code()
}

#[test]
fn it_says_where_it_listens_and_how_to_use_it() {
    let served = serve(&["--api-key", "a key"]);
    assert!(served.url.starts_with("http://127.0.0.1:"), "{}", served.url);
    assert_eq!(
        served.export,
        format!("export FUSIONKEEP_URL={} FUSIONKEEP_API_KEY='a key' FUSIONKEEP_OWNER=sandbox", served.url)
    );
    assert_eq!(terminate(served), Some(0));
}

#[test]
fn a_key_is_made_and_kept_in_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("sandbox.db");
    let key = |served: &Served| {
        served.export.split(' ').find(|word| word.starts_with("FUSIONKEEP_API_KEY=")).map(str::to_owned)
    };
    let first = serve(&["--store", store.to_str().unwrap()]);
    let made = key(&first);
    assert_eq!(terminate(first), Some(0));
    let second = serve(&["--store", store.to_str().unwrap()]);
    assert_eq!(key(&second), made);
    assert!(made.is_some());
    assert_eq!(terminate(second), Some(0));
}

#[test]
fn what_it_cannot_start_with_is_told() {
    let output = crate::command::run(&["sandbox", "--listen", "203.0.113.1:1"]);
    crate::assert_run!("sandbox-cannot-listen", output);
}
