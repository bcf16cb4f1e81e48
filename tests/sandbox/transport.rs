//! Wire notes §1: headers, status codes, the shape of errors.

use super::harness::Api;

#[test]
fn version_needs_a_raw_key() {
    let api = Api::start();
    assert_eq!(api.get("/api/system/version").ok()["version"], "1.69.0");
    api.call("GET", "/api/system/version").anonymous().send().empty(401);
    let bearer = format!("Bearer {}", api.running.api_key());
    api.call("GET", "/api/system/version").key(bearer).send().empty(401);
    api.call("GET", "/api/system/version").key("wrong").send().empty(401);
}

#[test]
fn unknown_paths_and_methods_are_empty() {
    let api = Api::start();
    api.get("/api/nothing").empty(404);
    api.call("DELETE", "/api/system/version").send().empty(405);
}

#[test]
fn status_says_that_it_is_an_emulator() {
    let api = Api::start();
    let answer = api.call("GET", "/api/status").anonymous().send();
    assert_eq!(answer.headers["x-fusionkeep-sandbox"], "emulator");
    let anonymous = answer.ok();
    assert!(anonymous["emulator"].as_str().unwrap().contains("emulator"));
    assert!(anonymous.get("version").is_none());
    assert_eq!(api.get("/api/status").ok()["version"], "1.69.0");
    api.call("GET", "/api/health").anonymous().send().empty(200);
}
