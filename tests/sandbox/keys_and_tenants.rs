//! API keys, tenants and the tenant scope (wire notes §1, §2, §13).

use serde_json::json;

use super::harness::Api;

const APPLICATION: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";

fn key(api: &Api, body: &serde_json::Value) -> String {
    api.post("/api/api-key", &json!({ "apiKey": body })).ok()["apiKey"]["key"].as_str().unwrap().to_owned()
}

fn tenant(api: &Api, name: &str) -> String {
    api.post("/api/tenant", &json!({"tenant": {"name": name}})).ok()["tenant"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn default_tenant(api: &Api) -> String {
    let path = format!("/api/application/{APPLICATION}");
    api.get(path).ok()["application"]["tenantId"].as_str().unwrap().to_owned()
}

#[test]
fn permissions_are_by_endpoint_and_method() {
    let api = Api::start();
    let restricted = key(&api, &json!({"permissions": {"endpoints": {"/api/tenant": ["GET"]}}}));
    api.call("GET", "/api/tenant").key(&restricted).send().ok();
    api.call("POST", "/api/tenant")
        .key(&restricted)
        .json(&json!({"tenant": {"name": "x"}}))
        .send()
        .empty(401);
    api.call("GET", "/api/lambda").key(&restricted).send().empty(401);
    let unrestricted = key(&api, &json!({"permissions": {"endpoints": {}}}));
    api.call("GET", "/api/lambda").key(&unrestricted).send().ok();
    api.post("/api/api-key", &json!({"apiKey": {"permissions": {"endpoints": {"/api/user": ["READ"]}}}}))
        .field_error(
            "apiKey.permissions.endpoints[/api/user]",
            "[invalid]apiKey.permissions.endpoints[/api/user]",
        );
}

#[test]
fn keys_are_managed_by_key_managers_only() {
    let api = Api::start();
    let plain = key(&api, &json!({}));
    api.call("POST", "/api/api-key").key(&plain).json(&json!({"apiKey": {}})).send().empty(401);
    let made = api.post("/api/api-key", &json!({"apiKey": {"key": "mine", "retrievable": false}})).ok();
    let path = format!("/api/api-key/{}", made["apiKey"]["id"].as_str().unwrap());
    assert_eq!(made["apiKey"]["key"], "mine");
    assert!(api.get(&path).ok()["apiKey"].get("key").is_none());
    api.post("/api/api-key", &json!({"apiKey": {"key": "mine"}}))
        .field_error("apiKey.key", "[duplicate]apiKey.key");
    let changed = api
        .put(&path, &json!({"apiKey": {"key": "other", "metaData": {"attributes": {"description": "d"}}}}));
    assert_eq!(changed.ok()["apiKey"]["metaData"]["attributes"]["description"], "d");
    api.call("GET", "/api/tenant").key("mine").send().ok();
    api.delete(&path).empty(200);
    api.call("GET", "/api/tenant").key("mine").send().empty(401);
    api.get(&path).empty(404);
}

#[test]
fn an_expired_key_is_none() {
    let api = Api::start();
    let now = api.get("/_sandbox/clock").ok()["now"].as_i64().unwrap();
    let brief = key(&api, &json!({"expirationInstant": now + 60_000}));
    api.call("GET", "/api/tenant").key(&brief).send().ok();
    api.advance_seconds(61);
    api.call("GET", "/api/tenant").key(&brief).send().empty(401);
}

#[test]
fn a_tenant_locked_key_sees_its_tenant_and_no_global_endpoint() {
    let api = Api::start();
    let own = tenant(&api, "Own");
    let locked = key(&api, &json!({"tenantId": own, "keyManager": true}));
    let group =
        api.call("POST", "/api/group").key(&locked).json(&json!({"group": {"name": "g"}})).send().ok();
    assert_eq!(group["group"]["tenantId"], own.as_str());
    let path = format!("/api/group/{}", group["group"]["id"].as_str().unwrap());
    api.call("GET", &path).key(&locked).send().ok();
    api.call("GET", &path).tenant(default_tenant(&api)).send().empty(404);
    for global in ["/api/lambda", "/api/entity/type", "/api/tenant/search", "/api/api-key/x"] {
        api.call("GET", global).key(&locked).send().empty(401);
    }
    // A header that contradicts the lock.
    api.call("GET", &path).key(&locked).tenant(default_tenant(&api)).send().empty(401);
    api.call("GET", &path).key(&locked).tenant(&own).send().ok();
    let tenants = api.call("GET", "/api/tenant").key(&locked).send().ok();
    assert_eq!(tenants["tenants"].as_array().unwrap().len(), 1);
}

#[test]
fn several_tenants_make_the_header_necessary() {
    let api = Api::start();
    let body = json!({"group": {"name": "one"}});
    api.post("/api/group", &body).ok();
    let other = tenant(&api, "Other");
    api.post("/api/group", &json!({"group": {"name": "two"}})).general_error(400, "[TenantIdRequired]");
    // Names are unique in their tenant only.
    api.call("POST", "/api/group").tenant(&other).json(&body).send().ok();
    api.call("POST", "/api/group")
        .tenant(&other)
        .json(&body)
        .send()
        .field_error("group.name", "[duplicate]group.name");
    let unknown = "00000000-0000-0000-0000-00000000abcd";
    api.call("GET", "/api/group").tenant(unknown).send().errors(400);
    api.call("GET", "/api/group").tenant("nonsense").send().errors(400);
}

#[test]
fn tenants_are_kept_with_defaults_and_patched_in_three_dialects() {
    let api = Api::start();
    let id = tenant(&api, "Acme");
    let path = format!("/api/tenant/{id}");
    let made = api.get(&path).ok();
    assert_eq!(made["tenant"]["passwordValidationRules"]["minLength"], 8);
    assert_eq!(made["tenant"]["externalIdentifierConfiguration"]["changePasswordIdTimeToLiveInSeconds"], 600);
    api.post("/api/tenant", &json!({"tenant": {"name": "ACME"}}))
        .field_error("tenant.name", "[duplicate]tenant.name");
    api.post("/api/tenant", &json!({"tenant": {"name": " "}}))
        .field_error("tenant.name", "[blank]tenant.name");
    api.patch(&path, &json!({"tenant": {"data": {"a": 1}, "emailConfiguration": {"verifyEmail": "true"}}}))
        .ok();
    api.merge_patch(&path, &json!({"tenant": {"data": {"b": 2}}})).ok();
    let patched =
        api.json_patch(&path, &json!([{"op": "replace", "path": "/tenant/issuer", "value": "me"}])).ok();
    assert_eq!(patched["tenant"]["data"], json!({"a": 1, "b": 2}));
    assert_eq!(patched["tenant"]["issuer"], "me");
    // A boolean in quotes is one.
    assert_eq!(patched["tenant"]["emailConfiguration"]["verifyEmail"], true);
    assert_eq!(patched["tenant"]["insertInstant"], made["tenant"]["insertInstant"]);
    let found = api.post("/api/tenant/search", &json!({"search": {"name": "ac*"}})).ok();
    assert_eq!(found["total"], 1);
}

#[test]
fn deleting_a_tenant_deletes_what_is_in_it() {
    let api = Api::start();
    let id = tenant(&api, "Short-lived");
    let made = api.call("POST", "/api/group").tenant(&id).json(&json!({"group": {"name": "g"}})).send().ok();
    let user =
        api.call("POST", "/api/user").tenant(&id).json(&json!({"user": {"email": "a@b.io"}})).send().ok();
    api.delete(format!("/api/tenant/{id}?async=true")).empty(202);
    api.get(format!("/api/group/{}", made["group"]["id"].as_str().unwrap())).empty(404);
    api.get(format!("/api/user/{}", user["user"]["id"].as_str().unwrap())).empty(404);
    api.get(format!("/api/tenant/{id}")).empty(404);
    let other = tenant(&api, "Another");
    api.call("DELETE", format!("/api/tenant/{other}")).json(&json!({"async": true})).send().empty(202);
    api.get(format!("/api/tenant/{other}")).empty(404);
    // FusionAuth's own stays.
    api.delete(format!("/api/tenant/{}", default_tenant(&api))).errors(400);
}

#[test]
fn applications_have_roles_and_are_deactivated_before_they_are_deleted() {
    let api = Api::start();
    let body = json!({"application": {"name": "Chat", "roles": [{"name": "user", "isDefault": true}],
        "oauthConfiguration": {"authorizedRedirectURLs": ["https://a"], "requireRegistration": "true"}}});
    let made = api.post("/api/application", &body).ok();
    let id = made["application"]["id"].as_str().unwrap();
    let path = format!("/api/application/{id}");
    assert_eq!(made["application"]["oauthConfiguration"]["requireRegistration"], true);
    assert_eq!(made["application"]["oauthConfiguration"]["clientId"], id);
    assert!(made["application"]["roles"][0]["id"].is_string());
    api.post("/api/application", &body).field_error("application.name", "[duplicate]application.name");
    // The legacy PATCH replaces redirect URLs, where it appends to other lists.
    let patched = api.patch(
        &path,
        &json!({"application": {"oauthConfiguration": {"authorizedRedirectURLs": ["https://b"]}}}),
    );
    assert_eq!(
        patched.ok()["application"]["oauthConfiguration"]["authorizedRedirectURLs"],
        json!(["https://b"])
    );
    let role = api.post(format!("{path}/role"), &json!({"role": {"name": "admin"}})).ok();
    api.post(format!("{path}/role"), &json!({"role": {"name": "admin"}}))
        .field_error("role.name", "[duplicate]role.name");
    api.put(
        format!("{path}/role/{}", role["role"]["id"].as_str().unwrap()),
        &json!({"role": {"name": "boss"}}),
    )
    .field_error("role.name", "[invalid]role.name");
    let user = json!({"user": {"email": "a@b.io"}, "registration": {"applicationId": id, "roles": ["admin", "user"]}});
    let user = api.post("/api/user/registration", &user).ok()["user"]["id"].as_str().unwrap().to_owned();
    api.delete(format!("{path}/role?name=admin")).empty(200);
    let registration = api.get(format!("/api/user/registration/{user}/{id}")).ok();
    assert_eq!(registration["registration"]["roles"], json!(["user"]));
    api.delete(&path).empty(200);
    assert_eq!(api.get(&path).ok()["application"]["active"], false);
    assert_eq!(api.put(format!("{path}?reactivate=true"), &json!({})).ok()["application"]["active"], true);
    api.delete(format!("{path}?hardDelete=true")).empty(200);
    api.get(&path).empty(404);
    api.get(format!("/api/user/registration/{user}/{id}")).empty(404);
    api.delete(format!("/api/application/{APPLICATION}?hardDelete=true")).errors(400);
}

#[test]
fn universal_applications_have_no_tenant() {
    let api = Api::start();
    let body = json!({"application": {"name": "Everywhere", "universalConfiguration": {"universal": true}}});
    assert!(api.post("/api/application", &body).ok()["application"].get("tenantId").is_none());
    let old = Api::version("1.57");
    assert!(old.post("/api/application", &body).ok()["application"]["tenantId"].is_string());
}
