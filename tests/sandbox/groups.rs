//! Groups, which the record and the lock stand in, and their members (wire notes §14).

use serde_json::{Value, json};

use super::harness::Api;

fn make(api: &Api, name: &str) -> String {
    api.post("/api/group", &json!({"group": {"name": name}})).ok()["group"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_id_and_the_name_let_one_win() {
    let api = Api::start();
    let path = "/api/group/11111111-1111-4111-8111-111111111111";
    let body = json!({"group": {"name": "fusionkeep/acme/1", "data": {"a": {"b": null}, "c": null}}});
    let made = api.post(path, &body).ok();
    assert_eq!(made["group"]["data"], json!({"a": {"b": null}}));
    assert_eq!(made["group"]["roles"], json!({}));
    assert!(made["group"]["insertInstant"].is_i64() && made["group"]["lastUpdateInstant"].is_i64());
    api.post(path, &json!({"group": {"name": "other"}})).field_error("group.id", "[duplicate]group.id");
    api.post("/api/group", &body).field_error("group.name", "[duplicate]group.name");
    let long = "x".repeat(192);
    api.post("/api/group", &json!({"group": {"name": long}}))
        .field_error("group.name", "[tooLong]group.name");
    api.post("/api/group", &json!({"group": {"name": ""}})).field_error("group.name", "[blank]group.name");
}

#[test]
fn big_data_is_kept() {
    let api = Api::start();
    let data = json!({"shard": "x".repeat(512 * 1024), "number": 9_007_199_254_740_993_i64});
    let made = api.post("/api/group", &json!({"group": {"name": "big", "data": data}})).ok();
    let path = format!("/api/group/{}", made["group"]["id"].as_str().unwrap());
    assert_eq!(api.get(path).ok()["group"]["data"], data);
}

#[test]
fn search_by_name_since_1_45() {
    let api = Api::start();
    for name in ["fusionkeep/acme/1", "fusionkeep/acme/2", "fusionkeep/other/1"] {
        make(&api, name);
    }
    let found = api
        .post("/api/group/search", &json!({"search": {"name": "fusionkeep/acme/*", "orderBy": "name DESC"}}))
        .ok();
    assert_eq!((&found["total"], &found["groups"][0]["name"]), (&json!(2), &json!("fusionkeep/acme/2")));
    assert_eq!(api.get("/api/group/search?name=other").ok()["total"], 1);
    assert_eq!(api.get("/api/group").ok()["groups"].as_array().unwrap().len(), 3);
    Api::version("1.44").post("/api/group/search", &json!({"search": {"name": "x"}})).empty(404);
}

#[test]
fn updates_and_patches_go_without_compare_and_swap() {
    let api = Api::start();
    let id = make(&api, "g");
    let path = format!("/api/group/{id}");
    let put = api.put(&path, &json!({"group": {"name": "g2", "data": {"l": [1]}}})).ok();
    assert_eq!(put["group"]["name"], "g2");
    assert_eq!(
        api.patch(&path, &json!({"group": {"data": {"l": [2]}}})).ok()["group"]["data"]["l"],
        json!([1, 2])
    );
    assert_eq!(
        api.merge_patch(&path, &json!({"group": {"data": {"l": [3]}}})).ok()["group"]["data"]["l"],
        json!([3])
    );
    let roles =
        api.get("/api/application/3c219e58-ed0e-4b18-ad48-f4f92793ae32").ok()["application"]["roles"].clone();
    let role = |n: usize| roles[n]["id"].clone();
    api.put(&path, &json!({"group": {"name": "g2"}, "roleIds": [role(0)]})).ok();
    let patch = json!([{"op": "add", "path": "/roleIds/1", "value": role(1)}]);
    let patched = api.json_patch(&path, &patch).ok();
    let held = patched["group"]["roles"]["3c219e58-ed0e-4b18-ad48-f4f92793ae32"].as_array().unwrap().len();
    assert_eq!(held, 2);
    api.put(&path, &json!({"group": {"name": "g2"}, "roleIds": ["00000000-0000-0000-0000-00000000abcd"]}))
        .errors(400);
    api.delete(&path).empty(200);
    api.get(&path).empty(404);
    api.put(&path, &json!({"group": {"name": "g2"}})).empty(404);
}

#[test]
fn members_come_and_go() {
    let api = Api::start();
    let group = make(&api, "g");
    let user = |email: &str| -> String {
        let made = api.post("/api/user", &json!({"user": {"email": email}})).ok();
        made["user"]["id"].as_str().unwrap().to_owned()
    };
    let (one, two) = (user("one@x.io"), user("two@x.io"));
    let add = json!({"members": {&group: [{"userId": one, "data": {"since": 1}}]}});
    let added = api.post("/api/group/member", &add).ok();
    assert_eq!(added["members"][&group][0]["userId"], one.as_str());
    let shown = api.get(format!("/api/user/{one}")).ok();
    assert_eq!(shown["user"]["memberships"][0]["groupId"], group.as_str());
    // PUT replaces the members.
    api.put("/api/group/member", &json!({"members": {&group: [{"userId": two}]}})).ok();
    let found = api.post("/api/group/member/search", &json!({"search": {"groupId": group}})).ok();
    assert_eq!((&found["total"], &found["members"][0]["userId"]), (&json!(1), &json!(two)));
    api.post("/api/group/member", &json!({"members": {&group: [{"userId": group}]}})).errors(400);
    api.delete(format!("/api/group/member?groupId={group}&userId={two}")).empty(200);
    api.delete(format!("/api/group/member?groupId={group}&userId={two}")).empty(404);
    let empty = api.get(format!("/api/user/{two}")).ok();
    assert_eq!(empty["user"]["memberships"], json!([]));
}

#[test]
fn each_write_is_an_event() {
    let api = Api::start();
    let webhook = json!({"webhook": {"url": "https://hook.example", "global": true,
        "eventsEnabled": {"group.create": true, "group.update": true, "group.delete": true}}});
    api.post("/api/webhook", &webhook).ok();
    let path = format!("/api/group/{}", make(&api, "g"));
    api.put(&path, &json!({"group": {"name": "h"}})).ok();
    api.delete(&path).empty(200);
    let messages = api.get("/_sandbox/messages").ok();
    let names: Vec<&Value> =
        messages["messages"].as_array().unwrap().iter().map(|message| &message["name"]).collect();
    assert_eq!(names, ["group.create", "group.update", "group.delete"]);
    assert_eq!(messages["messages"][0]["recipient"], "https://hook.example");
}
