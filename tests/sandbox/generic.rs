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

#[test]
fn user_actions_are_deactivated_before_they_are_deleted() {
    let api = Api::start();
    let made = api.post("/api/user-action", &json!({"userAction": {"name": "Ban", "temporal": true}})).ok();
    let path = format!("/api/user-action/{}", made["userAction"]["id"].as_str().unwrap());
    let count = |query: &str| {
        api.get(format!("/api/user-action{query}")).ok()["userActions"].as_array().unwrap().len()
    };
    assert_eq!(
        (made["userAction"]["active"].as_bool(), count(""), count("?inactive=true")),
        (Some(true), 1, 0)
    );
    api.delete(&path).empty(200);
    assert_eq!((count(""), count("?inactive=true")), (0, 1));
    // What a request says of `active` does not count.
    let put = json!({"userAction": {"name": "Ban", "active": true}});
    assert_eq!(api.put(&path, &put).ok()["userAction"]["active"], false);
    let back = api.call("PUT", format!("{path}?reactivate=true")).send().ok();
    assert_eq!((&back["userAction"]["active"], count("")), (&json!(true), 1));
    api.delete(format!("{path}?hardDelete=true")).empty(200);
    api.get(&path).empty(404);
}

#[test]
fn searches_go_by_the_ids_of_users_and_tenants() {
    let api = Api::start();
    let user = |email: &str| {
        let made = api.post("/api/user", &json!({"user": {"email": email}})).ok();
        made["user"]["id"].as_str().unwrap().to_owned()
    };
    let (about, by) = (user("a@b.io"), user("c@d.io"));
    let comment = json!({"userComment": {"comment": "Hm", "commenterId": by, "userId": about}});
    api.post("/api/user/comment", &comment).ok();
    let found = |search: serde_json::Value| {
        api.post("/api/user/comment/search", &json!({"search": search})).ok()["total"].as_u64().unwrap()
    };
    assert_eq!((found(json!({"userId": about})), found(json!({"userId": by}))), (1, 0));
    assert_eq!((found(json!({"commenterId": by})), found(json!({"comment": "h*", "userId": about}))), (1, 1));
    let tenants = api.get("/api/tenant").ok();
    let tenant = &tenants["tenants"][0]["id"];
    assert_eq!((found(json!({"tenantId": tenant})), found(json!({"tenantId": about}))), (1, 0));
    api.post("/api/user/comment/search", &json!({"search": {"userId": "x"}})).errors(400);
    let hook = json!({"webhook": {"url": "https://a.io", "tenantIds": [tenant]}});
    api.post("/api/webhook", &hook).ok();
    let hooks = |id: &str| api.get(format!("/api/webhook/search?tenantId={id}")).ok()["total"].clone();
    assert_eq!((hooks(tenant.as_str().unwrap()), hooks(&about)), (json!(1), json!(0)));
}

#[test]
fn a_kind_without_names_does_not_keep_one() {
    let api = Api::start();
    for _ in 0..2 {
        let hook = json!({"webhook": {"url": "https://a.io", "name": "the same"}});
        assert_eq!(api.post("/api/webhook", &hook).ok()["webhook"].get("name"), None);
    }
}
