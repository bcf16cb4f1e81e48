//! Marked secrets in every place where one can stand, sent or returned by the server, through every command, format,
//! file and log level, over success and failure: they are nowhere, in no encoding. (Every secret is told apart by its
//! name, so that what leaks is named.)

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::proxy;
use super::scene::{Scene, id, manifests};
use crate::command::shown;

/// Survives JSON and percent encoding as it is.
pub const MARK: &str = "c4nary0f";
pub const API_KEY: &str = "c4nary0f-the-api-key";

pub fn secret(name: &str) -> String {
    format!("{MARK}-{name}-\"%+/<é>")
}

/// What a text must not hold: the mark, plain (and so in JSON and percent encoding), in base64 at any offset, in hex.
fn forbidden() -> Vec<String> {
    let mut all = vec![MARK.to_owned(), MARK.bytes().map(|byte| format!("{byte:02x}")).collect()];
    for offset in 0..3 {
        let padded = [&b"xxx"[..offset], MARK.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(padded);
        // The ends depend on what stands beside the mark.
        let from = if offset == 0 { 0 } else { 4 };
        all.push(text[from..text.len() - 2].to_owned());
    }
    all
}

pub fn assert_absent(what: &str, text: &str) {
    for form in forbidden() {
        if let Some(at) = text.find(&form) {
            let from = text[..at].char_indices().rev().nth(80).map_or(0, |(at, _)| at);
            let to = (at + 120..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            panic!("{what} holds a secret: …{}…", &text[from..to]);
        }
    }
}

pub fn declared(level: u64) -> String {
    let documents = |name: &str| json!({"secretKeyRef": {"name": "canaries", "key": name}});
    let text = manifests(&[
        ("EntityType", "company", json!({"permissions": [{"name": "read"}]})),
        (
            "User",
            "initial",
            json!({"username": "initial", "lastName": format!("{level}"), "initial":
            {"password": {"fromEnv": "FUSIONKEEP_SECRET_INITIAL"}}}),
        ),
        (
            "User",
            "enforced",
            json!({"username": "enforced", "password":
            {"fromEnv": "FUSIONKEEP_SECRET_PASSWORD", "version": level}}),
        ),
        (
            "User",
            "hashed",
            json!({"username": "hashed", "initial": {"password": documents("password"),
            "salt": documents("salt"), "encryptionScheme": "salted-md5", "factor": 1}}),
        ),
        (
            "User",
            "adopted",
            json!({"username": "adopted", "id": id(5), "data": {"level": level},
            "policy": {"adoption": "Override"}}),
        ),
        (
            "Entity",
            "declared",
            json!({"type": {"name": "company"}, "data": {"level": level},
            "clientSecret": documents("clientSecret")}),
        ),
        ("Entity", "made", json!({"type": {"name": "company"}, "data": {"level": level}})),
        (
            "IdentityProviderLink",
            "link",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "initial"}, "identityProviderUserId": "1",
            "initial": {"token": documents("token"), "displayName": "x"}}),
        ),
    ]);
    let values = ["password", "salt", "clientSecret", "token"];
    let values: serde_json::Map<String, Value> =
        values.iter().map(|name| ((*name).to_owned(), json!(secret(name)))).collect();
    let document =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "canaries"}, "stringData": values});
    format!("{text}---\n{document}\n")
}

pub fn run_at(scene: &Scene, url: Option<&str>, arguments: &[&str]) -> Output {
    command_at(scene, url, arguments).output().unwrap()
}

/// The command with a secret in each of its variables.
pub fn command_at(scene: &Scene, url: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = scene.command(arguments);
    if let Some(url) = url {
        command.env("FUSIONKEEP_URL", url);
    }
    command
        .env("FUSIONKEEP_API_KEY", API_KEY)
        .env("FUSIONKEEP_KEY", secret("runner-key-that-is-long-enough"))
        .env("FUSIONKEEP_SECRET_INITIAL", secret("initial"))
        .env("FUSIONKEEP_SECRET_PASSWORD", secret("enforced"))
        .env("FUSIONKEEP_LOG_FILTER", "trace")
        .env("RUST_LOG", "trace");
    command
}

/// Everything that a run left in the folder, but for what the test itself put there.
pub fn assert_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_files(&path);
        } else if path.extension().is_none_or(|extension| extension != "yaml") && !path.ends_with("log.jsonl")
        {
            assert_absent(
                &path.display().to_string(),
                &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
            );
        }
    }
}

pub async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.world.request("POST", "/api/api-key", json!({"apiKey": {"key": API_KEY}})).await;
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_that_succeeds_shows_a_secret() {
    let scene = scene().await;
    let plan = scene.path("plan.json").display().to_string();
    let check = |arguments: &[&str], exit: &[i32]| {
        let output = run_at(&scene, None, arguments);
        assert!(exit.contains(&output.status.code().unwrap()), "{arguments:?}: {}", shown(&output));
        assert_absent(&format!("{arguments:?}"), &shown(&output));
        shown(&output)
    };
    for (level, record) in [(1, "--record="), (2, "--record="), (2, "--record=record.json")] {
        let record = match record.strip_prefix("--record=") {
            Some("") => String::new(),
            _ => format!("--record={}", scene.path("record.json").display()),
        };
        let more: Vec<&str> = if record.is_empty() { vec![] } else { vec![&record] };
        let file = scene.write("manifests.yaml", &declared(level));
        check(&["validate", "-f", &file], &[0]);
        let command = if record.is_empty() { "apply" } else { "adopt" };
        for format in ["text", "json", "markdown"] {
            check(&[&["plan", "-f", &file, "-o", format][..], &more].concat(), &[0, 1, 3]);
        }
        if level == 2 && record.is_empty() {
            check(&["plan", "-f", &file, "--out", &plan], &[0]);
            let trace = check(&["apply", &plan, "-f", &file, "--auto-approve"], &[0]);
            assert!(trace.contains("TRACE"), "the level is on");
        } else {
            check(&[&[command, "-f", &file, "--auto-approve"][..], &more].concat(), &[0]);
        }
        for arguments in [&["list"][..], &["list", "-o", "json", "-f", &file], &["doctor"]] {
            check(&[arguments, &more].concat(), &[0, 1]);
        }
        for shown in ["User/enforced", "Entity/declared", "Entity/made", "IdentityProviderLink/link"] {
            check(&[&["show", shown, "-f", &file][..], &more].concat(), &[0]);
        }
    }
    let groups = scene.world.get("/api/group").await;
    assert!(groups["groups"].as_array().unwrap().len() > 1);
    assert_absent("the record in groups", &groups.to_string());
    // What the server made is as secret as what was sent.
    let made = scene.world.get("/api/entity/search?queryString=*").await;
    let folder = |needle: &str| journals_hold(&scene.path("journals"), needle);
    for entity in made["entities"].as_array().unwrap() {
        let client_secret = entity["clientSecret"].as_str().unwrap();
        assert!(!groups.to_string().contains(client_secret) && !folder(client_secret));
    }
    check(&["undo", "--auto-approve", "--max-deletes=100", "--allow-hard-delete"], &[0, 1, 3, 4, 5]);
    check(&["destroy", "--auto-approve", "--max-deletes=100", "--max-changed-users=100"], &[0]);
    assert_files(scene.folder());
}

fn journals_hold(folder: &Path, needle: &str) -> bool {
    let read =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path()).unwrap();
    std::fs::read_dir(folder).unwrap().map(read).any(|text| text.contains(needle))
}

/// Stands before a sandbox; answers some requests by itself, and everything that it was sent stands in the answer.
fn echo(sandbox: &str, status: &'static str) -> String {
    proxy::before(sandbox, move |request| {
        let head = &request.head;
        let is_object = ["/api/user", "/api/entity", "/api/identity-provider/link"]
            .iter()
            .any(|path| head.split(' ').nth(1).is_some_and(|found| found.starts_with(path)));
        let is_write = head.starts_with("POST") || head.starts_with("PATCH");
        if !is_object || !is_write || head.contains("/search") {
            return request.forward();
        }
        let told = format!("{head} {}", String::from_utf8_lossy(&request.body));
        let errors = json!([{"code": format!("[invalid]{told}"), "message": told},
            {"code": API_KEY, "message": API_KEY}]);
        let answer = json!({"fieldErrors": {told.clone(): errors, "entity.name": errors,
            "user.username": errors, "user.password": errors, API_KEY: errors},
            "generalErrors": [{"code": "[X]", "message": told}]})
        .to_string();
        let length = answer.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{answer}"
        )
        .into_bytes()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_that_fails_shows_a_secret() {
    let scene = scene().await;
    let file = scene.write("manifests.yaml", &declared(1));
    let sandbox = scene.world.running.url();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let tls = sandbox.replace("http://", "https://");
    for url in [echo(&sandbox, "400 Bad Request"), echo(&sandbox, "500 Internal Server Error"), tls, closed] {
        for format in ["text", "json", "markdown"] {
            let arguments = ["apply", "-f", &file, "--auto-approve", "-o", format, "--timeout=10s"];
            let output = run_at(&scene, Some(&url), &arguments);
            assert_ne!(output.status.code(), Some(0), "{url}: {}", shown(&output));
            assert_absent(&format!("{url} {format}"), &shown(&output));
            scene.later().await;
        }
    }
    assert_files(scene.folder());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_document_that_is_malformed_shows_a_secret() {
    let scene = scene().await;
    let value = secret("malformed");
    let quoted = json!(value);
    let head = "apiVersion: v1\nkind: Secret\nmetadata: { name: canaries }\n";
    for (number, text) in [
        format!("{head}stringData: {quoted}\n"),
        format!("{head}stringData: [{quoted}]\n"),
        format!("{head}stringData: {{ password: [{quoted}] }}\n"),
        format!("{head}stringData: {{ password: {{ {quoted}: 1 }} }}\n"),
        format!("{head}data: {{ password: {quoted} }}\n"),
        format!("{head}data: {{ password: {MARK}== }}\n"),
        format!("{head}datta: {{ password: {quoted} }}\n"),
        format!("{head}stringData:\n  password: {quoted}\n password: {quoted}\n"),
        format!("{head}stringData:\n\tpassword: {quoted}\n"),
        format!("{head}stringData:\n  password: \"{MARK}\n"),
        format!("{head}stringData: {{ password: {quoted}, password: {quoted} }}\n"),
        format!("{head}stringData: {{ password: !!binary {MARK} }}\n"),
        format!("{head}stringData: {{ password: 1 }}\n\"{MARK}\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let user = with_source(json!({"secretKeyRef": {"name": "canaries", "key": "password"}}));
        let file = scene.write("manifests.yaml", &format!("{user}---\n{text}"));
        for command in ["validate", "plan", "apply"] {
            let more: &[&str] = if command == "apply" { &["--auto-approve"] } else { &[] };
            let output = run_at(&scene, None, &[&[command, "-f", &file][..], more].concat());
            assert_absent(&format!("{command} of shape {number}: {text}"), &shown(&output));
        }
    }
    // A secret where its source belongs.
    for source in
        [quoted.clone(), json!([value]), json!({"value": value}), json!({"fromEnv": "X", value.clone(): 1})]
    {
        let file = scene.write("manifests.yaml", &with_source(source.clone()));
        let output = run_at(&scene, None, &["validate", "-f", &file]);
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        assert_absent(&source.to_string(), &shown(&output));
    }
}

fn with_source(source: Value) -> String {
    manifests(&[("User", "a", json!({"username": "a", "initial": {"password": source}}))])
}
