//! The store file: what was answered is there after `kill -9`; a foreign or damaged file is refused. And the control
//! routes that go with it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fusionkeep::sandbox::{Config, Error, Sandbox};
use serde_json::json;

use super::harness::Api;

fn on(path: &Path) -> Config {
    Config { store: Some(path.to_owned()), ..Config::default() }
}

/// The sandbox as a process of its own.
fn process(store: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
        .args(["sandbox", "--api-key", "k", "--store"])
        .arg(store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().strip_prefix("listening on ").unwrap().to_owned())
}

#[test]
fn an_answered_write_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The harness installs the TLS provider that any client needs.
    drop(Api::start());
    let client = reqwest::Client::new();
    let mut expected = 0;
    for round in 0..3 {
        let (mut child, url) = process(&store);
        runtime.block_on(async {
            for n in 0..20 {
                let body = json!({"group": {"name": format!("group {round} {n}")}}).to_string();
                let request = client.post(format!("{url}/api/group")).header("Authorization", "k");
                let answer =
                    request.header("Content-Type", "application/json").body(body).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                expected += 1;
            }
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let api = Api::with(on(&store));
    assert_eq!(api.get("/api/group/search?name=group*").ok()["total"], expected);
}

#[test]
fn everything_comes_back_and_the_order_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let api = Api::with(on(&store));
    for name in ["b", "a", "c"] {
        api.post("/api/group", &json!({"group": {"name": name}})).ok();
    }
    let before = api.get("/api/group").ok();
    let (id, key) = (api.running.store_id(), api.running.api_key().to_owned());
    drop(api);
    let again = Api::with(on(&store));
    assert_eq!(again.get("/api/group").ok(), before);
    assert_eq!((again.running.store_id(), again.running.api_key()), (id, key.as_str()));
    again
        .post("/api/group", &json!({"group": {"name": "a"}}))
        .field_error("group.name", "[duplicate]group.name");
}

#[test]
fn in_memory_the_store_id_is_random() {
    assert_ne!(Api::start().running.store_id(), Api::start().running.store_id());
}

#[test]
fn a_foreign_a_damaged_and_a_locked_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not.db");
    std::fs::write(&path, "this is no database, and it is long enough to be read as one".repeat(100))
        .unwrap();
    let error = Sandbox::start(on(&path)).err().unwrap();
    assert!(matches!(error, Error::StoreContent { .. }) && error.to_string().contains("not.db"), "{error}");
    let missing = Sandbox::start(on(Path::new("/nowhere/store.db"))).err().unwrap();
    assert!(matches!(missing, Error::Store { .. }), "{missing}");
    let store = folder.path().join("store.db");
    let running = Sandbox::start(on(&store)).unwrap();
    let locked = Sandbox::start(on(&store)).err().unwrap();
    assert!(matches!(locked, Error::StoreInUse { .. }) && locked.to_string().contains("in use"), "{locked}");
    running.shutdown();
    Sandbox::start(on(&store)).unwrap().shutdown();
}

#[test]
fn a_reset_empties_everything() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::with(on(&folder.path().join("store.db")));
    api.post("/api/group", &json!({"group": {"name": "g"}})).ok();
    api.advance_seconds(1_000_000);
    api.call("POST", "/_sandbox/reset").anonymous().send().ok();
    assert_eq!(api.get("/_sandbox/requests").ok()["total"], 0);
    assert_eq!(api.get("/api/group").ok()["groups"], json!([]));
    api.get("/api/application/3c219e58-ed0e-4b18-ad48-f4f92793ae32").ok();
}

#[test]
fn requests_are_counted_by_method_and_route() {
    let api = Api::start();
    let id = api.post("/api/group", &json!({"group": {"name": "g"}})).ok()["group"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..3 {
        api.get(format!("/api/group/{id}")).ok();
    }
    api.get("/api/group/00000000-0000-0000-0000-00000000abcd").empty(404);
    let counts = api.get("/_sandbox/requests").ok();
    assert_eq!(counts["total"], 5);
    let gets = counts["requests"].as_array().unwrap().iter().find(|it| it["method"] == "GET").unwrap();
    assert_eq!((&gets["route"], &gets["count"]), (&json!("/api/group/{groupId}"), &json!(4)));
    assert_eq!(gets["statuses"], json!({"200": 3, "404": 1}));
    let exchanges = api.get("/_sandbox/exchanges?after=4").ok();
    assert_eq!(exchanges["exchanges"].as_array().unwrap().len(), 1);
    api.call("DELETE", "/_sandbox/requests").send().empty(200);
    assert_eq!(api.get("/_sandbox/requests").ok()["total"], 0);
}

#[test]
fn the_log_has_a_line_each_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let api = Api::with(Config { log: Some(log.clone()), ..Config::default() });
    api.post("/api/user", &json!({"user": {"email": "a@b.io", "password": "canary-password"}})).ok();
    api.get("/api/group").ok();
    let text = std::fs::read_to_string(log).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.contains("a@b.io") && !text.contains("canary-password") && !text.contains(api.running.api_key())
    );
}

#[test]
fn the_clock_shows_in_the_date_header() {
    let api = Api::start();
    api.advance_seconds(366 * 24 * 3_600);
    let moved = api.get("/api/group").headers["date"].to_str().unwrap().to_owned();
    api.post("/_sandbox/clock", &json!({"reset": true})).ok();
    let now = api.get("/api/group").headers["date"].to_str().unwrap().to_owned();
    assert_ne!(moved.get(12..16), now.get(12..16));
    api.post("/_sandbox/clock", &json!({"forward": 1})).errors(400);
}
