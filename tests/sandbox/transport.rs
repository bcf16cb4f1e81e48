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

#[test]
fn bodies_must_say_that_they_are_json() {
    let api = Api::start();
    let body = br#"{"group": {"name": "g"}}"#;
    api.call("POST", "/api/group").bytes(body).send().general_error(400, "[InvalidContentType]");
    let form = api.call("POST", "/api/group").header("Content-Type", "application/x-www-form-urlencoded");
    form.bytes(body).send().general_error(400, "[InvalidContentType]");
    let charset = api.call("POST", "/api/group").header("Content-Type", "application/json; charset=utf-8");
    charset.bytes(body).send().ok();
    let broken = api.call("POST", "/api/group").header("Content-Type", "application/json");
    broken.bytes(b"{").send().general_error(400, "[invalidJSON]");
    let list = api.call("POST", "/api/group").header("Content-Type", "application/json");
    list.bytes(b"[]").send().general_error(400, "[invalidJSON]");
}

#[test]
fn a_path_parameter_must_be_a_uuid() {
    let api = Api::start();
    api.get("/api/group/nonsense").field_error("groupId", "[couldNotConvert]groupId");
    api.call("GET", "/api/group/nonsense").anonymous().send().empty(401);
    let upper = "3C219E58-ED0E-4B18-AD48-F4F92793AE32";
    api.get(format!("/api/application/{upper}/")).ok();
}

#[test]
fn what_is_not_emulated_says_so() {
    let api = Api::start();
    api.get("/api/user/recent-login?offset=0&limit=10").general_error(501, "[NotEmulated]");
    api.post("/oauth2/token", &serde_json::json!({})).general_error(501, "[NotEmulated]");
    api.post("/api/system/reindex", &serde_json::json!({"index": "fusionauth_user"})).empty(202);
}
