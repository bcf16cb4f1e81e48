//! The generic store: wrapper, id and name rules, and a header that says what it is.

use serde_json::json;

use super::harness::Api;

#[test]
fn objects_come_back_as_they_were_given_with_a_header() {
    let api = Api::start();
    let made = api.post(
        "/api/theme",
        &json!({"theme": {"name": "Mine", "templates": {"index": "x"}, "data": {"true": "true"}}}),
    );
    assert_eq!(made.headers["x-fusionkeep-sandbox-store"], "generic");
    let made = made.ok();
    let path = format!("/api/theme/{}", made["theme"]["id"].as_str().unwrap());
    assert_eq!(api.get(&path).ok(), made);
    assert_eq!(made["theme"]["data"], json!({"true": "true"}));
    api.post("/api/theme", &json!({"theme": {"name": "mine"}}))
        .field_error("theme.name", "[duplicate]theme.name");
    api.post("/api/theme", &json!({"theme": {}})).field_error("theme.name", "[blank]theme.name");
    api.post("/api/theme", &json!({"name": "x"})).field_error("theme", "[missing]theme");
    api.post(&path, &json!({"theme": {"name": "x"}})).field_error("theme.id", "[duplicate]theme.id");
    assert_eq!(
        api.merge_patch(&path, &json!({"theme": {"templates": {"index": "y"}}})).ok()["theme"]["templates"]["index"],
        "y"
    );
    assert_eq!(api.put(&path, &json!({"theme": {"name": "Other"}})).ok()["theme"].get("templates"), None);
    assert_eq!(api.get("/api/theme/search?name=oth*").ok()["total"], 1);
    // The default theme is there under its fixed id.
    api.get("/api/theme/75a068fd-e94b-451a-9aeb-3ddb9a3b5987").ok();
    api.delete(&path).empty(200);
    api.get(&path).empty(404);
    let patched =
        api.patch("/api/system-configuration", &json!({"systemConfiguration": {"data": {"a": 1}}})).ok();
    assert_eq!(api.get("/api/system-configuration").ok(), patched);
}

#[test]
fn keys_never_show_their_secrets() {
    let api = Api::start();
    let made = api.post("/api/key/generate", &json!({"key": {"algorithm": "HS256", "name": "K"}})).ok();
    assert_eq!((&made["key"]["type"], made["key"].get("secret")), (&json!("HMAC"), None));
    let imported =
        json!({"key": {"algorithm": "RS256", "name": "I", "privateKey": "canary", "publicKey": "p"}});
    let imported = api.post("/api/key/import", &imported).ok();
    assert_eq!((&imported["key"]["publicKey"], imported["key"].get("privateKey")), (&json!("p"), None));
    api.post("/api/key/generate", &json!({"key": {"algorithm": "XX", "name": "X"}}))
        .field_error("key.algorithm", "[invalid]key.algorithm");
    api.post("/api/key/generate", &json!({"key": {"algorithm": "HS256", "name": "K"}}))
        .field_error("key.name", "[duplicate]key.name");
    assert_eq!(api.post("/api/key/search", &json!({"search": {"algorithm": "RS256"}})).ok()["total"], 1);
}
