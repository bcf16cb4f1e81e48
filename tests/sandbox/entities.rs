//! Entities, entity types, permissions and grants (wire notes §5, §13 and the entities document).

use fusionkeep::sandbox::{Config, SearchEngine};
use serde_json::{Value, json};

use super::harness::Api;

fn make_type(api: &Api, name: &str) -> String {
    let body = json!({"entityType": {"name": name, "permissions": [{"name": "read", "isDefault": true}, {"name": "write"}]}});
    api.post("/api/entity/type", &body).ok()["entityType"]["id"].as_str().unwrap().to_owned()
}

fn make(api: &Api, kind: &str, name: &str) -> String {
    let body = json!({"entity": {"name": name, "type": {"id": kind}}});
    api.post("/api/entity", &body).ok()["entity"]["id"].as_str().unwrap().to_owned()
}

fn make_user(api: &Api, email: &str) -> String {
    api.post("/api/user", &json!({"user": {"email": email}})).ok()["user"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn types_hold_permissions_given_inline_or_by_their_own_api() {
    let api = Api::start();
    let id = make_type(&api, "Company");
    let path = format!("/api/entity/type/{id}");
    let made = api.get(&path).ok();
    assert_eq!(made["entityType"]["jwtConfiguration"], json!({"enabled": false, "timeToLiveInSeconds": 60}));
    assert_eq!(made["entityType"]["permissions"][0]["isDefault"], true);
    api.post("/api/entity/type", &json!({"entityType": {"name": "company"}}))
        .field_error("entityType.name", "[duplicate]entityType.name");
    api.post("/api/entity/type", &json!({"entityType": {}}))
        .field_error("entityType.name", "[blank]entityType.name");
    let twice = json!({"entityType": {"name": "x", "permissions": [{"name": "a"}, {"name": "a"}]}});
    api.post("/api/entity/type", &twice).errors(400);
    let permission = api
        .post(format!("{path}/permission"), &json!({"permission": {"name": "audit", "data": {"a": 1}}}))
        .ok();
    let one = format!("{path}/permission/{}", permission["permission"]["id"].as_str().unwrap());
    api.post(format!("{path}/permission"), &json!({"permission": {"name": "audit"}}))
        .field_error("permission.name", "[duplicate]permission.name");
    let described = api.patch(&one, &json!({"permission": {"description": "d"}})).ok();
    assert_eq!(
        (&described["permission"]["name"], &described["permission"]["description"]),
        (&json!("audit"), &json!("d"))
    );
    api.put(&one, &json!({"permission": {"name": "renamed"}}))
        .field_error("permission.name", "[invalid]permission.name");
    // An update of the type leaves permissions alone.
    let put = api.put(&path, &json!({"entityType": {"name": "Firm", "permissions": []}})).ok();
    assert_eq!(put["entityType"]["permissions"].as_array().unwrap().len(), 3);
    api.delete(&one).empty(200);
    api.delete(format!("{path}/permission?name=write")).empty(200);
    api.delete(format!("{path}/permission?name=write")).empty(404);
    assert_eq!(api.get(&path).ok()["entityType"]["permissions"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("/api/entity/type").ok()["entityTypes"].as_array().unwrap().len(), 1);
    assert_eq!(api.post("/api/entity/type/search", &json!({"search": {"name": "fi*"}})).ok()["total"], 1);
    assert_eq!(api.get("/api/entity/type/search?name=nothing").ok()["total"], 0);
}

#[test]
fn an_entity_embeds_its_type_and_shows_its_secret() {
    let api = Api::start();
    let kind = make_type(&api, "Company");
    let id = make(&api, &kind, "Raviga");
    let made = api.get(format!("/api/entity/{id}")).ok();
    assert_eq!(made["entity"]["clientId"], id.as_str());
    assert_eq!(made["entity"]["type"]["permissions"][0]["name"], "read");
    assert_eq!(made["entity"]["data"], json!({}));
    assert!(made["entity"]["clientSecret"].as_str().unwrap().len() > 20);
    assert!(made["entity"].get("typeId").is_none());
    // Names are not unique, client ids are.
    let second = make(&api, &kind, "Raviga");
    assert_ne!(second, id);
    let taken = json!({"entity": {"name": "x", "type": {"id": kind}, "clientId": id}});
    api.post("/api/entity", &taken).field_error("entity.clientId", "[duplicate]entity.clientId");
    api.post(format!("/api/entity/{id}"), &json!({"entity": {"name": "x", "type": {"id": kind}}}))
        .field_error("entity.id", "[duplicate]entity.id");
    api.post("/api/entity", &json!({"entity": {"type": {"id": kind}}}))
        .field_error("entity.name", "[blank]entity.name");
    api.post("/api/entity", &json!({"entity": {"name": "x"}}))
        .field_error("entity.type.id", "[missing]entity.type.id");
    let unknown = json!({"entity": {"name": "x", "type": {"id": id}}});
    api.post("/api/entity", &unknown).field_error("entity.type.id", "[invalid]entity.type.id");
    let old = Api::version("1.47");
    old.post("/api/entity", &unknown).empty(500);
}

#[test]
fn put_keeps_a_blank_secret_and_never_changes_client_id_or_type() {
    let api = Api::start();
    let (kind, other) = (make_type(&api, "A"), make_type(&api, "B"));
    let body = json!({"entity": {"name": "n", "type": {"id": kind}, "clientSecret": "s3", "data": {"a": 1}}});
    let id = api.post("/api/entity", &body).ok()["entity"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/entity/{id}");
    let put = api.put(&path, &json!({"entity": {"name": "m", "type": {"id": kind}, "clientId": "new"}})).ok();
    assert_eq!(put["entity"]["clientSecret"], "s3");
    assert_eq!(put["entity"]["clientId"], id.as_str());
    assert_eq!(put["entity"]["data"], json!({}));
    let changed =
        api.put(&path, &json!({"entity": {"name": "m", "type": {"id": kind}, "clientSecret": "s4"}})).ok();
    assert_eq!(changed["entity"]["clientSecret"], "s4");
    api.put(&path, &json!({"entity": {"name": "m", "type": {"id": other}}}))
        .field_error("entity.type.id", "[invalid]entity.type.id");
    api.merge_patch(&path, &json!({"entity": {"type": {"id": other}}})).errors(400);
}

#[test]
fn three_patch_dialects() {
    let api = Api::start();
    let kind = make_type(&api, "A");
    let path = format!("/api/entity/{}", make(&api, &kind, "n"));
    api.patch(&path, &json!({"entity": {"data": {"list": [1], "gone": 1, "nested": {"a": 1}}}})).ok();
    let appended = api.patch(&path, &json!({"entity": {"data": {"list": [2], "nested": {"b": 2}}}})).ok();
    assert_eq!(appended["entity"]["data"], json!({"list": [1, 2], "gone": 1, "nested": {"a": 1, "b": 2}}));
    let merged = api.merge_patch(&path, &json!({"entity": {"data": {"list": [3], "gone": null}}})).ok();
    assert_eq!(merged["entity"]["data"], json!({"list": [3], "nested": {"a": 1, "b": 2}}));
    let patched = api.json_patch(&path, &json!([{"op": "remove", "path": "/entity/data/nested"}])).ok();
    assert_eq!(patched["entity"]["data"], json!({"list": [3]}));
    // The legacy dialect crashes on null for a collection.
    api.patch(&path, &json!({"entity": {"data": null}})).empty(500);
}

#[test]
fn by_id_the_tenant_is_needed_when_there_are_several() {
    let api = Api::start();
    let kind = make_type(&api, "A");
    let path = format!("/api/entity/{}", make(&api, &kind, "n"));
    let tenant = api.get(&path).ok()["entity"]["tenantId"].as_str().unwrap().to_owned();
    let other = api.post("/api/tenant", &json!({"tenant": {"name": "Other"}})).ok()["tenant"]["id"].clone();
    api.get(&path).general_error(400, "[TenantIdRequired]");
    api.merge_patch(&path, &json!({"entity": {"name": "x"}})).general_error(400, "[TenantIdRequired]");
    api.delete(&path).general_error(400, "[TenantIdRequired]");
    api.call("GET", &path).tenant(other.as_str().unwrap()).send().empty(404);
    api.call("GET", &path).tenant(&tenant).send().ok();
    // Searches do without.
    assert_eq!(api.post("/api/entity/search", &json!({"search": {"queryString": "*"}})).ok()["total"], 1);
    api.call("DELETE", &path).tenant(&tenant).send().empty(200);
    api.call("GET", &path).tenant(&tenant).send().empty(404);
}

#[test]
fn grants_are_upserts_by_pair() {
    let api = Api::start();
    let kind = make_type(&api, "Company");
    let (entity, recipient) = (make(&api, &kind, "Raviga"), make(&api, &kind, "Hooli"));
    let user = make_user(&api, "richard@piedpiper.com");
    let path = format!("/api/entity/{entity}/grant");
    api.post(&path, &json!({"grant": {"userId": user, "permissions": ["write", "read", "read"]}})).empty(200);
    let first = api.get(format!("{path}?userId={user}")).ok();
    assert_eq!(first["grant"]["permissions"], json!(["read", "write"]));
    assert_eq!(first["grant"]["entity"]["id"], entity.as_str());
    assert!(first["grant"]["entity"].get("clientSecret").is_none());
    api.put(&path, &json!({"grant": {"userId": user, "data": {"a": 1}}})).empty(200);
    let second = api.get(format!("{path}?userId={user}")).ok();
    assert_eq!(second["grant"]["id"], first["grant"]["id"]);
    assert_eq!((&second["grant"]["permissions"], &second["grant"]["data"]), (&json!([]), &json!({"a": 1})));
    api.post(&path, &json!({"grant": {"recipientEntityId": recipient, "permissions": ["read"]}})).empty(200);
    assert_eq!(api.get(&path).ok()["grants"].as_array().unwrap().len(), 2);
    api.get(format!("{path}?recipientEntityId={entity}")).empty(404);
    api.post(&path, &json!({"grant": {"userId": user, "permissions": ["fly"]}}))
        .field_error("grant.permissions", "[invalid]grant.permissions");
    api.post(&path, &json!({"grant": {"userId": entity}}))
        .field_error("grant.userId", "[invalid]grant.userId");
    api.post(&path, &json!({"grant": {}})).field_error("grant.userId", "[missing]grant.userId");
    // Without its wrapper the server crashes.
    api.post(&path, &json!({"userId": user})).empty(500);
    api.post(format!("/api/entity/{user}/grant"), &json!({"grant": {"userId": user}})).empty(404);
    api.call("PATCH", &path).json(&json!({})).send().empty(405);
    api.delete(format!("{path}?userId={user}")).empty(200);
    api.delete(format!("{path}?userId={user}")).empty(404);
    api.delete(&path).errors(400);
}

#[test]
fn grants_are_searched_by_entity_user_and_name() {
    let api = Api::start();
    let kind = make_type(&api, "Company");
    let user = make_user(&api, "richard@piedpiper.com");
    for name in ["Raviga", "Hooli"] {
        let entity = make(&api, &kind, name);
        api.post(format!("/api/entity/{entity}/grant"), &json!({"grant": {"userId": user}})).empty(200);
    }
    let search = |criteria: Value| api.post("/api/entity/grant/search", &json!({"search": criteria})).ok();
    let all = search(json!({"userId": user}));
    assert_eq!((&all["total"], &all["grants"][0]["entity"]["name"]), (&json!(2), &json!("Hooli")));
    assert_eq!(search(json!({"userId": user, "name": "rav*"}))["total"], 1);
    assert_eq!(
        search(json!({"userId": user, "orderBy": "insertInstant DESC", "numberOfResults": 1}))["grants"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(api.get(format!("/api/entity/grant/search?userId={user}")).ok()["total"], 2);
}

#[test]
fn deletions_cascade() {
    let api = Api::start();
    let kind = make_type(&api, "Company");
    let (entity, recipient) = (make(&api, &kind, "Raviga"), make(&api, &kind, "Hooli"));
    let user = make_user(&api, "richard@piedpiper.com");
    let path = format!("/api/entity/{entity}/grant");
    api.post(&path, &json!({"grant": {"userId": user, "permissions": ["read", "write"]}})).empty(200);
    api.post(&path, &json!({"grant": {"recipientEntityId": recipient}})).empty(200);
    api.delete(format!("/api/entity/type/{kind}/permission?name=read")).empty(200);
    assert_eq!(api.get(format!("{path}?userId={user}")).ok()["grant"]["permissions"], json!(["write"]));
    api.delete(format!("/api/entity/{recipient}")).empty(200);
    assert_eq!(api.get(&path).ok()["grants"].as_array().unwrap().len(), 1);
    api.delete(format!("/api/user/{user}?hardDelete=true")).empty(200);
    assert_eq!(api.get(&path).ok()["grants"], json!([]));
    api.delete(format!("/api/entity/type/{kind}")).empty(200);
    api.get(format!("/api/entity/{entity}")).empty(404);
}

#[test]
fn without_a_licence_there_are_no_entities() {
    let api = Api::with(Config { unlicensed: true, ..Config::default() });
    api.post("/api/entity/type", &json!({"entityType": {"name": "x"}})).errors(400);
    api.get("/api/entity/type").errors(400);
    api.post("/api/entity/search", &json!({"search": {"queryString": "*"}})).errors(400);
    api.post("/api/group", &json!({"group": {"name": "needs none"}})).ok();
}

fn names(found: &Value) -> Vec<&str> {
    found["entities"].as_array().unwrap().iter().map(|entity| entity["name"].as_str().unwrap()).collect()
}

#[test]
fn the_database_engine_searches_one_term() {
    let api = Api::start();
    let kind = make_type(&api, "Pied Piper type");
    for name in ["email_api", "Backup", "Zebra"] {
        make(&api, &kind, name);
    }
    let search = |criteria: Value| api.post("/api/entity/search", &json!({"search": criteria})).ok();
    let sorted = json!([{"name": "name", "order": "desc"}]);
    assert_eq!(
        names(&search(json!({"queryString": "*", "sortFields": sorted}))),
        ["Zebra", "email_api", "Backup"]
    );
    assert_eq!(names(&search(json!({"queryString": "API"}))), ["email_api"]);
    // The name of the type counts too.
    assert_eq!(search(json!({"queryString": "piper"}))["total"], 3);
    api.post("/api/entity/search", &json!({"search": {"query": "{\"match_all\":{}}"}})).errors(400);
    api.post(
        "/api/entity/search",
        &json!({"search": {"queryString": "*", "sortFields": [{"name": "data.x"}]}}),
    )
    .errors(400);
    assert_eq!(api.get("/api/entity/search?queryString=zebra").ok()["total"], 1);
}

#[test]
fn the_elasticsearch_engine_takes_every_documented_form() {
    let api = Api::elasticsearch();
    let kind = make_type(&api, "Company");
    let user = make_user(&api, "richard@piedpiper.com");
    let mut ids = Vec::new();
    for (name, audited) in [("email_api", true), ("Backup", false), ("Zebra", true)] {
        let body = json!({"entity": {"name": name, "type": {"id": kind}, "data": {"audited": audited}}});
        ids.push(api.post("/api/entity", &body).ok()["entity"]["id"].as_str().unwrap().to_owned());
    }
    api.post(
        format!("/api/entity/{}/grant", ids[0]),
        &json!({"grant": {"userId": user, "permissions": ["read"]}}),
    )
    .empty(200);
    api.call("PUT", "/api/entity/search").send().empty(200);
    let search = |criteria: Value| api.post("/api/entity/search", &json!({"search": criteria})).ok();
    let sort = json!([{"missing": "_first", "name": "name", "order": "asc"}]);
    let query =
        |text: &str| search(json!({"query": text, "sortFields": sort, "numberOfResults": 50, "startRow": 0}));
    assert_eq!(names(&query("{\"match\":{\"name\":{\"query\":\"email_api\"}}}")), ["email_api"]);
    assert_eq!(names(&query("{\"match\":{\"data.audited\":{\"query\":\"true\"}}}")), ["email_api", "Zebra"]);
    let nested = format!(
        "{{\"nested\":{{\"path\":\"grants\",\"query\":{{\"match\":{{\"grants.userId\":\"{user}\"}}}}}}}}"
    );
    assert_eq!(names(&query(&nested)), ["email_api"]);
    assert_eq!(names(&search(json!({"queryString": "name:*api*", "sortFields": sort}))), ["email_api"]);
    let tenant =
        api.get(format!("/api/entity/{}", ids[0])).ok()["entity"]["tenantId"].as_str().unwrap().to_owned();
    assert_eq!(search(json!({"queryString": format!("tenantId:{tenant}")}))["total"], 3);
    // Not together with the tenant header.
    let scoped = json!({"search": {"queryString": format!("tenantId:{tenant}")}});
    api.call("POST", "/api/entity/search").tenant(&tenant).json(&scoped).send().errors(400);
    api.post("/api/entity/search", &json!({"search": {"query": "{\"fuzzy\":{\"name\":\"x\"}}"}})).errors(400);
    let by_id = search(json!({"ids": [ids[2], ids[0], "00000000-0000-0000-0000-00000000abcd"]}));
    assert_eq!((by_id["total"].as_i64(), names(&by_id)), (Some(2), vec!["Zebra", "email_api"]));
    assert_eq!(api.get(format!("/api/entity/search?ids={}&ids={}", ids[0], ids[1])).ok()["total"], 2);
    let sorted =
        api.get("/api/entity/search?queryString=*&sortFields[0].name=name&sortFields[0].order=desc").ok();
    assert_eq!(names(&sorted)[0], "Zebra");
}

#[test]
fn the_index_lags_and_a_flush_catches_up() {
    let api = Api::with(Config { search_engine: SearchEngine::Elasticsearch, ..Config::default() });
    let kind = make_type(&api, "Company");
    let id = make(&api, &kind, "Raviga");
    let total = || {
        api.post("/api/entity/search", &json!({"search": {"queryString": "raviga"}})).ok()["total"].clone()
    };
    assert_eq!(total(), 0);
    // By id the index is passed by.
    assert_eq!(api.post("/api/entity/search", &json!({"search": {"ids": [id]}})).ok()["total"], 1);
    api.call("PUT", "/api/entity/search").send().empty(200);
    assert_eq!(total(), 1);
    api.delete(format!("/api/entity/{id}")).empty(200);
    // What is deleted is counted still, and not shown.
    let stale = api.post("/api/entity/search", &json!({"search": {"queryString": "raviga"}})).ok();
    assert_eq!((&stale["total"], &stale["entities"]), (&json!(1), &json!([])));
    api.advance_seconds(2);
    assert_eq!(total(), 0);
}
