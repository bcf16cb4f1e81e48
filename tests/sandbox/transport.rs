//! Wire notes §1: headers, status codes, the shape of errors.

use serde_json::json;

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
    // Whoever has no key that counts is told no more than a caller without any.
    assert_eq!(api.call("GET", "/api/status").key("wrong").send().ok(), anonymous);
    let tenants = api.get("/api/tenant").ok();
    let locked = json!({"apiKey": {"key": "locked", "tenantId": tenants["tenants"][0]["id"]}});
    api.post("/api/api-key", &locked).ok();
    assert_eq!(api.call("GET", "/api/status").key("locked").send().ok(), anonymous);
}

#[test]
fn a_key_that_is_sent_must_be_one_where_none_is_needed_too() {
    let api = Api::start();
    api.post(
        "/api/api-key",
        &json!({"apiKey": {"key": "few", "permissions": {"endpoints": {"/api/user": ["GET"]}}}}),
    )
    .ok();
    let login = json!({"loginId": "a@b.io", "password": "x"});
    api.call("POST", "/api/login").anonymous().json(&login).send().empty(404);
    for key in ["wrong", "few"] {
        api.call("POST", "/api/login").key(key).json(&login).send().empty(401);
        api.call("POST", "/api/user/forgot-password").key(key).json(&login).send().empty(401);
    }
}

#[test]
fn an_id_that_a_client_left_away_is_none() {
    let api = Api::start();
    let made = api.post("/api/user", &json!({"user": {"email": "a@b.io"}})).ok();
    let id = made["user"]["id"].as_str().unwrap();
    for absent in ["undefined", "null"] {
        let links = format!("/api/identity-provider/link?identityProviderId={absent}&userId={id}");
        assert_eq!(api.get(links).ok()["identityProviderLinks"], json!([]));
        let bulk = format!("/api/user/bulk?userId={id}&dryRun=true&hardDelete={absent}");
        assert_eq!(api.delete(bulk).ok()["hardDelete"], false);
        assert_eq!(
            api.get(format!("/api/group/member/search?userId={id}&startRow={absent}")).ok()["total"],
            0
        );
    }
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
    api.post("/oauth2/token", &json!({})).general_error(501, "[NotEmulated]");
    api.call("PUT", "/api/login").send().general_error(501, "[NotEmulated]");
    api.post("/api/system/reindex", &json!({"index": "fusionauth_user"})).empty(202);
    api.get("/api/system/reindex").empty(404);
}

#[test]
fn big_numbers_are_kept_to_the_letter() {
    let api = Api::start();
    let data = r#"{"big":12345678901234567890123,"decimal":0.12345678901234567890,"far":1e400,"list":[-98765432109876543210.5]}"#;
    let body = format!(r#"{{"user": {{"email": "a@b.io", "data": {data}}}}}"#);
    let send = |method: &'static str, path: &str, body: String| {
        let answer = api.call(method, path).header("Content-Type", "application/json").bytes(body).send();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    };
    let made = send("POST", "/api/user", body);
    assert!(made.contains(data), "{made}");
    let found = api.get("/api/user?email=a@b.io").text;
    assert!(found.contains(data), "{found}");
    // Whatever else is patched; and in every other kind's data.
    let id = found.split("\"id\":\"").nth(1).and_then(|rest| rest.get(..36)).unwrap();
    assert!(
        send("PATCH", &format!("/api/user/{id}"), r#"{"user": {"firstName": "A"}}"#.to_owned())
            .contains(data)
    );
    let group = send("POST", "/api/group", format!(r#"{{"group": {{"name": "g", "data": {data}}}}}"#));
    assert!(group.contains(data), "{group}");
    // Where a text belongs it is as wrong as any other number.
    let wrong = api.call("POST", "/api/user").header("Content-Type", "application/json");
    wrong.bytes(r#"{"user": {"email": "c@d.io", "firstName": 12345678901234567890123}}"#).send().errors(400);
}
