//! The API key goes only where the operator of the pipeline said.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::assert_run;
use crate::command::{fusionkeep, shown, stderr};

const KEY: &str = "canary-of-an-administrator";

/// A server that answers everything alike and keeps what it was sent.
struct Trap {
    url: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Trap {
    fn new(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&received), answer.into());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = vec![0; 16 * 1024];
                let length = stream.read(&mut bytes).unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Trap { url, received }
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

const NOTHING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn manifests(url: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stolen.yaml");
    let text = format!(
        "apiVersion: fusionkeep.dev/v1alpha1\nkind: FusionAuthInstance\nmetadata: {{ name: prod }}\n\
         spec: {{ url: '{url}', owner: acme-prod, apiKey: {{ fromEnv: FUSIONKEEP_API_KEY }} }}\n---\n\
         apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {{ name: a }}\n\
         spec: {{ email: a@example.com, initial: {{ password: {{ fromEnv: FUSIONKEEP_API_KEY }} }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    (directory, path)
}

#[test]
fn a_manifests_url_does_not_get_it() {
    let trap = Trap::new(NOTHING);
    let (_directory, file) = manifests(&trap.url);
    for command in ["plan", "apply"] {
        let mut run = fusionkeep(&[command, "-f", &file]);
        let output = run.env("FUSIONKEEP_API_KEY", KEY).output().unwrap();
        assert_run!("url-not-allowed", output);
        assert!(!shown(&output).contains(KEY));
    }
    let elsewhere = fusionkeep(&["plan", "-f", &file, "--allowed-urls", "https://auth.example.com"])
        .env("FUSIONKEEP_API_KEY", KEY)
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(3), "{}", shown(&elsewhere));
    assert_eq!(trap.received(), Vec::<String>::new(), "not even a connection");

    let allowed = fusionkeep(&["plan", "-f", &file])
        .env("FUSIONKEEP_API_KEY", KEY)
        .env("FUSIONKEEP_ALLOWED_URLS", &trap.url)
        .output()
        .unwrap();
    assert_ne!(allowed.status.code(), Some(3), "{}", shown(&allowed));
    assert!(trap.received().iter().any(|request| request.contains(KEY)), "the trap would have seen it");
}

#[test]
fn a_redirect_does_not_get_it() {
    let trap = Trap::new(NOTHING);
    let away = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}/api/system/version\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        trap.url
    );
    let front = Trap::new(away);
    let (_directory, file) = manifests("https://auth.example.com");
    let output = fusionkeep(&["plan", "-f", &file, "--url", &front.url])
        .env("FUSIONKEEP_API_KEY", KEY)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", shown(&output));
    assert!(stderr(&output).contains("redirect"), "{}", shown(&output));
    assert!(!shown(&output).contains(KEY));
    assert!(front.received().iter().any(|request| request.contains(KEY)), "the front was allowed to have it");
    assert_eq!(trap.received(), Vec::<String>::new());
}

#[test]
fn http_is_for_loopback() {
    let (_directory, file) = manifests("https://auth.example.com");
    let output = fusionkeep(&["plan", "-f", &file, "--url", "http://auth.example.com"])
        .env("FUSIONKEEP_API_KEY", KEY)
        .output()
        .unwrap();
    assert_run!("http-not-loopback", output);
}

#[test]
fn a_manifest_does_not_send_it_as_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("user.yaml");
    std::fs::write(
        &file,
        "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: a }\n\
         spec: { email: a@example.com, initial: { password: { fromEnv: FUSIONKEEP_API_KEY } } }\n",
    )
    .unwrap();
    let output =
        fusionkeep(&["apply", "-f", file.to_str().unwrap(), "--sandbox", "--auto-approve", "--allow-env=*"])
            .env("FUSIONKEEP_API_KEY", KEY)
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(stderr(&output).contains("FUSIONKEEP_API_KEY"), "{}", shown(&output));
    assert!(!shown(&output).contains(KEY));
}

#[test]
fn without_a_key_nothing_is_sent() {
    let (_directory, file) = manifests("https://auth.example.com");
    assert_run!(
        "no-api-key",
        fusionkeep(&["plan", "-f", &file, "--url", "https://auth.example.com"]).output().unwrap()
    );
}

#[test]
fn a_wrong_key_is_told_with_what_it_lacks() {
    let served = crate::command::sandbox::serve(&[]);
    let mut command = fusionkeep(&["plan", "-f", "examples/quickstart", "--wait-for-key=0s"]);
    let output = command.envs(served.variables()).env("FUSIONKEEP_API_KEY", "wrong").output().unwrap();
    assert_run!("wrong-api-key", output);
}

#[test]
fn a_short_runner_key_is_refused_without_being_shown() {
    let served = crate::command::sandbox::serve(&[]);
    let mut command = fusionkeep(&["plan", "-f", "examples/quickstart"]);
    let output = command.envs(served.variables()).env("FUSIONKEEP_KEY", "too-short").output().unwrap();
    assert_run!("short-runner-key", output);
    assert!(!shown(&output).contains("too-short"));
    let mut command = fusionkeep(&["plan", "-f", "examples/quickstart", "--prune"]);
    assert_run!("prune-without-key", command.envs(served.variables()).output().unwrap());
}
