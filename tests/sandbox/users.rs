//! Users: creation, retrieval, PUT, the three PATCH dialects, deactivation, deletion, bulk (wire notes §3, §4, §13).

use serde_json::{Value, json};

use super::harness::Api;

const ID: &str = "00000000-0000-0001-0000-000000000001";
const OTHER: &str = "00000000-0000-0001-0000-000000000002";
const FUSIONAUTH: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";

pub fn user(api: &Api, id: &str, user: Value) -> Value {
    api.post(format!("/api/user/{id}"), &json!({ "user": user })).ok()["user"].clone()
}

pub fn get(api: &Api, id: &str) -> Value {
    api.get(format!("/api/user/{id}")).ok()["user"].clone()
}

pub fn tenant_id(api: &Api) -> String {
    let application = api.get(format!("/api/application/{FUSIONAUTH}")).ok();
    application["application"]["tenantId"].as_str().unwrap().to_owned()
}

/// Merges into the default tenant's configuration.
pub fn configure(api: &Api, tenant: Value) {
    let id = tenant_id(api);
    api.merge_patch(format!("/api/tenant/{id}"), &json!({ "tenant": tenant })).ok();
}

pub fn messages(api: &Api, name: &str) -> Vec<Value> {
    let all = api.get("/_sandbox/messages").ok();
    all["messages"].as_array().unwrap().iter().filter(|message| message["name"] == name).cloned().collect()
}

#[test]
fn a_created_user_has_the_servers_defaults() {
    let api = Api::start();
    let made = user(&api, ID, json!({ "email": "erlich@example.com" }));
    assert_eq!(made["id"], ID);
    for (key, value) in [
        ("active", json!(true)),
        ("connectorId", json!("e3306678-a53a-4964-9040-1c96f36dda72")),
        ("data", json!({})),
        ("memberships", json!([])),
        ("passwordChangeRequired", json!(false)),
        ("preferredLanguages", json!([])),
        ("registrations", json!([])),
        ("twoFactor", json!({ "methods": [], "recoveryCodes": [] })),
        ("usernameStatus", json!("ACTIVE")),
        ("verified", json!(true)),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert_eq!(made["insertInstant"], made["lastUpdateInstant"]);
    assert!(made["verifiedInstant"].is_i64() && made["tenantId"].is_string());
    assert_eq!(made["identities"][0]["type"], "email");
    assert_eq!(made["identities"][0]["verifiedReason"], "Disabled");
    assert!(made.get("passwordLastUpdateInstant").is_none(), "absent without a password");
    assert!(made.get("firstName").is_none(), "nulls are left out");
    assert_eq!(get(&api, ID), made);
}

#[test]
fn a_user_without_an_id_gets_a_random_one_and_ignores_the_bodys() {
    let api = Api::start();
    let body = json!({ "user": { "id": ID, "username": "Jared", "active": false, "verified": false,
        "insertInstant": 1, "registrations": [{ "applicationId": FUSIONAUTH }] }, "unknown": 1 });
    let made = api.post("/api/user", &body).ok()["user"].clone();
    assert_ne!(made["id"], ID);
    assert_eq!((&made["active"], &made["registrations"]), (&json!(true), &json!([])));
    assert_ne!(made["insertInstant"], 1);
    assert_eq!(made["uniqueUsername"], "Jared");
}

#[test]
fn values_are_normalised() {
    let api = Api::start();
    let made = user(
        &api,
        ID,
        json!({ "email": " Erlich@Example.COM ", "username": " Erlich ", "phoneNumber": "303-555-1212",
            "parentEmail": " P@Example.com", "firstName": " Erlich ", "lastName": "", "mobilePhone": " 1 ",
            "data": { "a": null, "b": { "c": null } },
            "preferredLanguages": ["en", null, "", "fr", "en", "en_US"] }),
    );
    for (key, value) in [
        ("email", json!("erlich@example.com")),
        ("username", json!("Erlich")),
        ("phoneNumber", json!("+13035551212")),
        ("parentEmail", json!("p@example.com")),
        ("firstName", json!("Erlich")),
        ("lastName", json!("")),
        ("mobilePhone", json!("1")),
        ("data", json!({ "b": { "c": null } })),
        ("preferredLanguages", json!(["en", "fr", "en_US"])),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
}

#[test]
fn secrets_are_never_returned_and_the_scheme_only_on_get() {
    let api = Api::start();
    let body = json!({ "user": { "email": "a@example.com", "password": "password-1", "encryptionScheme": "salted-sha256",
        "factor": 5, "twoFactor": { "methods": [{ "method": "authenticator", "secret": "c2VjcmV0" }] } } });
    let made = api.post(format!("/api/user/{ID}"), &body).ok();
    let shown = made.to_string();
    for secret in ["password-1", "salt\"", "c2VjcmV0", "factor", "encryptionScheme"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(made["token"].is_string() && made["tokenExpirationInstant"].is_i64());
    let read = api.get(format!("/api/user/{ID}")).ok();
    assert_eq!(read["user"]["encryptionScheme"], "salted-sha256");
    assert!(!read.to_string().contains("c2VjcmV0"));
    let method = &read["user"]["twoFactor"]["methods"][0];
    assert_eq!(method["authenticator"], json!({ "algorithm": "HmacSHA1", "codeLength": 6, "timeStep": 30 }));
    assert_eq!(method["id"].as_str().unwrap().len(), 4);
}

#[test]
fn what_is_wrong_is_said_field_by_field() {
    let api = Api::start();
    let refused = |user: Value, field: &str, code: &str| {
        api.post("/api/user", &json!({ "user": user })).field_error(field, code);
    };
    refused(json!({}), "user.email", "[blank]user.email");
    refused(json!({ "email": "  " }), "user.email", "[blank]user.email");
    refused(json!({ "email": "nobody" }), "user.email", "[notEmail]user.email");
    refused(json!({ "phoneNumber": "12" }), "user.phoneNumber", "[invalidPhone]user.phoneNumber");
    let named = |mut more: Value| {
        more["username"] = json!("jared");
        more
    };
    refused(named(json!({ "birthDate": "1980-13-01" })), "user.birthDate", "[invalidJSON]");
    refused(named(json!({ "timezone": "Mars/Olympus" })), "user.timezone", "[invalidJSON]");
    refused(named(json!({ "timezone": "america/denver" })), "user.timezone", "[invalidJSON]");
    refused(named(json!({ "preferredLanguages": ["en-US"] })), "user.preferredLanguages", "[invalidJSON]");
    refused(named(json!({ "data": [] })), "user.data", "[invalidJSON]");
    refused(named(json!({ "firstName": 1 })), "user.firstName", "[invalidJSON]");
    refused(named(json!({ "usernameStatus": "GONE" })), "user.usernameStatus", "[invalidJSON]");
    refused(named(json!({ "password": "short" })), "user.password", "[tooShort]user.password");
    refused(named(json!({ "password": "" })), "user.password", "[blank]user.password");
    let languages: Vec<String> = (b'a'..=b'u').map(|c| format!("a{}", char::from(c))).collect();
    refused(
        named(json!({ "preferredLanguages": languages })),
        "user.preferredLanguages",
        "[tooMany]user.preferredLanguages",
    );
    let method = json!({ "twoFactor": { "methods": [{ "method": "authenticator" }] } });
    refused(named(method), "user.twoFactor.methods[0].secret", "[blank]user.twoFactor.methods[0].secret");
    let unhashable = named(json!({ "password": "password-1", "encryptionScheme": "rot13" }));
    refused(unhashable, "user.encryptionScheme", "[invalid]user.encryptionScheme");
    api.post("/api/user", &json!({ "email": "a@example.com" })).field_error("user", "[missing]user");
    api.post("/api/user/not-an-id", &json!({ "user": {} })).field_error("userId", "[couldNotConvert]userId");
    api.call("POST", "/api/user").json_as("application/json", &json!([])).send().errors(400);
}

#[test]
fn names_are_unique_in_their_tenant_and_the_deactivated_keep_theirs() {
    let api = Api::start();
    user(&api, ID, json!({ "email": "a@example.com", "username": "Bob", "phoneNumber": "+13035551212" }));
    let again = |user: Value| api.post("/api/user", &json!({ "user": user }));
    again(json!({ "email": "A@example.com" })).field_error("user.email", "[duplicate]user.email");
    again(json!({ "username": "bOB" })).field_error("user.username", "[duplicate]user.username");
    again(json!({ "phoneNumber": "303.555.1212" }))
        .field_error("user.phoneNumber", "[duplicate]user.phoneNumber");
    api.post(format!("/api/user/{ID}"), &json!({ "user": { "email": "z@example.com" } }))
        .field_error("user.id", "[duplicate]user.id");
    api.delete(format!("/api/user/{ID}")).empty(200);
    again(json!({ "email": "a@example.com" })).field_error("user.email", "[inactive]user.email");
    again(json!({ "username": "bob" })).field_error("user.username", "[inactive]user.username");
    // Another tenant has its own names, but ids are the whole server's.
    let tenant = api.post("/api/tenant", &json!({ "tenant": { "name": "Other" } })).ok();
    let tenant = tenant["tenant"]["id"].as_str().unwrap().to_owned();
    let body = json!({ "user": { "email": "a@example.com" } });
    let path = format!("/api/user/{OTHER}");
    api.call("POST", path).tenant(tenant.as_str()).json(&body).send().ok();
    let taken = json!({ "user": { "email": "c@example.com" } });
    api.call("POST", format!("/api/user/{ID}"))
        .tenant(tenant.as_str())
        .json(&taken)
        .send()
        .field_error("user.id", "[duplicate]user.id");
    // With several tenants, a creation and a look-up by e-mail must say which.
    api.post("/api/user", &json!({ "user": { "email": "d@example.com" } }))
        .general_error(400, "[TenantIdRequired]");
    api.get("/api/user?email=a@example.com").general_error(400, "[TenantIdRequired]");
    api.get(format!("/api/user/{OTHER}")).ok();
    api.call("GET", format!("/api/user/{ID}")).tenant(tenant.as_str()).send().empty(404);
}

#[test]
fn fields_follow_the_server_version() {
    let old = Api::version("1.58.0");
    let made = old.post(
        "/api/user",
        &json!({ "user": { "username": "a", "phoneNumber": "303-555-1212", "password": "password-1" } }),
    );
    let made = made.ok()["user"].clone();
    assert!(made.get("identities").is_none() && made.get("phoneNumber").is_none());
    assert!(made["passwordLastUpdateInstant"].is_i64());
    let refused = old.post("/api/user", &json!({ "user": { "username": "b" } }));
    refused.field_error("user.password", "[blank]user.password");
    assert!(
        Api::version("1.47.0")
            .post("/api/user", &json!({ "user": { "username": "a", "password": "password-1" } }))
            .ok()["user"]
            .get("verifiedInstant")
            .is_none()
    );
    let older = Api::version("1.66.0");
    let body = json!({ "user": { "username": "a", "legacyIdentifier": "42" } });
    assert!(older.post("/api/user", &body).ok()["user"].get("legacyIdentifier").is_none());
    assert_eq!(Api::start().post("/api/user", &body).ok()["user"]["legacyIdentifier"], "42");
}

#[test]
fn users_are_found_in_every_documented_way() {
    let api = Api::start();
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "username": "Bob", "phoneNumber": "+13035551212", "password": "password-1" }),
    );
    let finds =
        |query: &str| assert_eq!(api.get(format!("/api/user?{query}")).ok()["user"]["id"], ID, "{query}");
    for query in [
        "email=A%40example.com",
        "username=bOB",
        "loginId=a@example.com",
        "loginId=BOB",
        "loginId=303-555-1212&loginIdTypes=email&loginIdTypes=phoneNumber",
    ] {
        finds(query);
    }
    api.get("/api/user?loginId=303-555-1212").empty(404);
    api.get("/api/user?loginId=bob&loginIdTypes=email").empty(404);
    api.get("/api/user?loginId=bob&loginIdTypes=shoe").field_error("loginIdTypes", "[invalid]loginIdTypes");
    api.get("/api/user").errors(400);
    let forgot = json!({ "loginId": "bob", "sendForgotPasswordMessage": false });
    let token = api.post("/api/user/forgot-password", &forgot).ok();
    finds(&format!("changePasswordId={}", token["changePasswordId"].as_str().unwrap()));
    let token =
        api.call("PUT", "/api/user/verify-email?email=a@example.com&sendVerifyEmail=false").send().ok();
    finds(&format!("verificationId={}", token["verificationId"].as_str().unwrap()));
    api.get("/api/user?verificationId=nonsense").empty(404);
    let token = api.post("/api/login", &json!({ "loginId": "bob", "password": "password-1" })).ok();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let by_token = api.call("GET", "/api/user").key(bearer.as_str()).send().ok();
    assert_eq!(by_token["user"]["id"], ID);
    assert!(by_token["user"].get("encryptionScheme").is_none(), "only with an API key");
    api.call("GET", "/api/user").key(format!("{bearer}x")).send().empty(401);
    api.advance_seconds(3_601);
    api.call("GET", "/api/user").key(bearer).send().empty(401);
}

#[test]
fn put_replaces_all_but_what_it_keeps() {
    let api = Api::start();
    let body = json!({ "user": { "email": "a@example.com", "firstName": "A", "password": "password-1", "legacyIdentifier": "7",
        "data": { "x": 1 }, "preferredLanguages": ["en"] }, "registration": { "applicationId": FUSIONAUTH, "roles": ["admin"] } });
    api.post(format!("/api/user/registration/{ID}"), &body).ok();
    let before = get(&api, ID);
    let put = api.put(
        format!("/api/user/{ID}"),
        &json!({ "user": { "email": "a@example.com", "lastName": "B", "active": false } }),
    );
    let after = put.ok()["user"].clone();
    assert!(after.get("firstName").is_none());
    assert_eq!((&after["data"], &after["preferredLanguages"]), (&json!({}), &json!([])));
    assert_eq!((&after["active"], &after["lastName"]), (&json!(true), &json!("B")));
    for kept in [
        "legacyIdentifier",
        "registrations",
        "memberships",
        "insertInstant",
        "verifiedInstant",
        "passwordLastUpdateInstant",
    ] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password-1" })).ok();
    let changed = json!({ "user": { "email": "a@example.com", "legacyIdentifier": "8" } });
    api.put(format!("/api/user/{ID}"), &changed)
        .field_error("user.legacyIdentifier", "[invalid]user.legacyIdentifier");
    api.put(format!("/api/user/{OTHER}"), &changed).empty(404);
    api.put(format!("/api/user/{ID}"), &json!({ "user": {} })).field_error("user.email", "[blank]user.email");
}

#[test]
fn put_changes_and_checks_passwords() {
    let api = Api::start();
    let path = format!("/api/user/{ID}");
    user(&api, ID, json!({ "email": "a@example.com", "password": "password-1" }));
    let before = get(&api, ID)["passwordLastUpdateInstant"].clone();
    api.advance_seconds(10);
    let put = |current: Option<&str>, password: &str| {
        let mut body = json!({ "user": { "email": "a@example.com", "password": password } });
        if let Some(current) = current {
            body["currentPassword"] = json!(current);
        }
        api.put(path.as_str(), &body)
    };
    put(Some("wrong"), "password-2").field_error("currentPassword", "[invalid]currentPassword");
    put(Some("password-1"), "short").field_error("user.password", "[tooShort]user.password");
    put(Some("password-1"), "password-2").ok();
    assert!(get(&api, ID)["passwordLastUpdateInstant"].as_i64() > before.as_i64());
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password-1" })).empty(404);
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password-2" })).ok();
    // A hash as it is, since 1.69 and on PUT only: md5("password").
    let hashed = json!({ "user": { "email": "a@example.com", "password": "X03MO1qnZdYdgyfeuILPmQ==", "salt": "",
        "encryptionScheme": "salted-md5", "factor": 1 }, "passwordFieldType": "HASHED" });
    api.put(path.as_str(), &hashed).ok();
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password" })).ok();
    let partial = json!({ "user": { "email": "a@example.com", "password": "X03MO1qnZdYdgyfeuILPmQ==" }, "passwordFieldType": "HASHED" });
    api.put(path.as_str(), &partial).field_error("user.salt", "[blank]user.salt");
}

#[test]
fn legacy_patch_merges_appends_and_clears() {
    let api = Api::start();
    let path = format!("/api/user/{ID}");
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "firstName": "A", "preferredLanguages": ["en"],
        "data": { "foo": ["bar"], "n": { "a": 1 } } }),
    );
    let body = json!({ "user": { "firstName": null, "lastName": "B", "preferredLanguages": ["en", "fr"],
        "data": { "foo": ["bar", "baz"], "n": { "b": 2 } } } });
    let after = api.patch(path.as_str(), &body).ok()["user"].clone();
    assert!(after.get("firstName").is_none());
    assert_eq!((&after["lastName"], &after["email"]), (&json!("B"), &json!("a@example.com")));
    assert_eq!(after["preferredLanguages"], json!(["en", "fr"]), "appended, then without duplicates");
    assert_eq!(after["data"], json!({ "foo": ["bar", "bar", "baz"], "n": { "a": 1, "b": 2 } }));
    api.patch(path.as_str(), &json!({ "user": { "preferredLanguages": null } })).empty(500);
    api.patch(path.as_str(), &json!({ "user": { "data": null } })).empty(500);
    assert_eq!(get(&api, ID)["data"], after["data"], "a 500 changes nothing");
    let ignored = json!({ "user": { "active": false, "verified": false, "id": OTHER, "memberships": [], "insertInstant": 1 } });
    let same = api.patch(path.as_str(), &ignored).ok()["user"].clone();
    assert_eq!((&same["active"], &same["verified"], &same["id"]), (&json!(true), &json!(true), &json!(ID)));
}

#[test]
fn merge_patch_replaces_arrays_and_null_removes() {
    let api = Api::start();
    let path = format!("/api/user/{ID}");
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "firstName": "A", "preferredLanguages": ["en"],
        "data": { "a": [1], "b": { "c": 1, "d": 2 } } }),
    );
    let body = json!({ "user": { "firstName": null, "preferredLanguages": ["fr"], "data": { "a": null, "b": { "c": null } } } });
    let after = api.merge_patch(path.as_str(), &body).ok()["user"].clone();
    assert!(after.get("firstName").is_none());
    assert_eq!((&after["preferredLanguages"], &after["data"]), (&json!(["fr"]), &json!({ "b": { "d": 2 } })));
    let cleared =
        api.merge_patch(path.as_str(), &json!({ "user": { "preferredLanguages": null, "data": null } })).ok();
    assert_eq!((&cleared["user"]["preferredLanguages"], &cleared["user"]["data"]), (&json!([]), &json!({})));
    api.merge_patch(path.as_str(), &json!({ "user": { "email": null } }))
        .field_error("user.email", "[blank]user.email");
    api.merge_patch(path.as_str(), &json!([])).general_error(400, "[invalidJSON]");
}

#[test]
fn json_patch_points_from_the_wrapper() {
    let api = Api::start();
    let path = format!("/api/user/{ID}");
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "firstName": "A", "data": { "a": 1 }, "preferredLanguages": ["en", "fr"] }),
    );
    let operations = json!([{ "op": "test", "path": "/user/firstName", "value": "A" }, { "op": "replace", "path": "/user/firstName", "value": "B" },
        { "op": "remove", "path": "/user/data/a" }, { "op": "remove", "path": "/user/preferredLanguages/0" }, { "op": "add", "path": "/skipVerification", "value": true }]);
    let after = api.json_patch(path.as_str(), &operations).ok()["user"].clone();
    assert_eq!(
        (&after["firstName"], &after["data"], &after["preferredLanguages"]),
        (&json!("B"), &json!({}), &json!(["fr"]))
    );
    for wrong in [
        json!([{ "op": "test", "path": "/user/firstName", "value": "Z" }]),
        json!([{ "op": "replace", "path": "/firstName", "value": "Z" }]),
        json!([{ "op": "remove", "path": "/user/lastName" }]),
    ] {
        api.json_patch(path.as_str(), &wrong).general_error(400, "[invalidJSON]");
    }
    assert_eq!(get(&api, ID)["firstName"], "B");
}

#[test]
fn rfc_dialects_came_with_1_39() {
    let old = Api::version("1.38.0");
    user(&old, ID, json!({ "email": "a@example.com", "password": "password-1" }));
    let body = json!({ "user": { "firstName": "B" } });
    old.merge_patch(format!("/api/user/{ID}"), &body).general_error(400, "[InvalidContentType]");
    old.json_patch(format!("/api/user/{ID}"), &json!([])).general_error(400, "[InvalidContentType]");
    assert_eq!(old.patch(format!("/api/user/{ID}"), &body).ok()["user"]["firstName"], "B");
    let api = Api::version("1.39.0");
    user(&api, ID, json!({ "email": "a@example.com", "password": "password-1" }));
    api.merge_patch(format!("/api/user/{ID}"), &body).ok();
}

#[test]
fn the_deactivated_refuse_changes_until_reactivated() {
    let api = Api::start();
    let path = format!("/api/user/{ID}");
    user(&api, ID, json!({ "email": "a@example.com", "password": "password-1" }));
    api.delete(path.as_str()).empty(200);
    assert_eq!(get(&api, ID)["active"], false);
    api.delete(path.as_str()).empty(200);
    let body = json!({ "user": { "email": "a@example.com", "firstName": "A" } });
    for refused in [
        api.put(path.as_str(), &body),
        api.patch(path.as_str(), &body),
        api.merge_patch(path.as_str(), &body),
    ] {
        refused.general_error(400, "[InactiveUser]");
    }
    let registration = json!({ "registration": { "applicationId": FUSIONAUTH } });
    api.post(format!("/api/user/registration/{ID}"), &registration).general_error(400, "[InactiveUser]");
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password-1" })).empty(423);
    let back = api.call("PUT", format!("{path}?reactivate=true")).send().ok();
    assert_eq!(back["user"]["active"], true);
    api.patch(path.as_str(), &body).ok();
    api.call("PUT", format!("/api/user/{OTHER}?reactivate=true")).send().empty(404);
}

#[test]
fn a_hard_deletion_takes_everything_along() {
    let api = Api::start();
    let group = api.post("/api/group", &json!({ "group": { "name": "G" } })).ok()["group"]["id"].clone();
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "memberships": [{ "groupId": group, "data": { "a": 1 } }] }),
    );
    let shown = get(&api, ID)["memberships"].clone();
    assert_eq!((&shown[0]["groupId"], &shown[0]["data"]), (&group, &json!({ "a": 1 })));
    let forgot = json!({ "loginId": "a@example.com", "sendForgotPasswordMessage": false });
    let token =
        api.post("/api/user/forgot-password", &forgot).ok()["changePasswordId"].as_str().unwrap().to_owned();
    api.delete(format!("/api/user/{ID}?hardDelete=true")).empty(200);
    api.get(format!("/api/user/{ID}")).empty(404);
    api.delete(format!("/api/user/{ID}")).empty(404);
    api.get(format!("/api/user?changePasswordId={token}")).empty(404);
    // Name and id are free again; the flag may come in the body.
    let again = user(&api, ID, json!({ "email": "a@example.com" }));
    assert_eq!(again["memberships"], json!([]));
    api.call("DELETE", format!("/api/user/{ID}")).json(&json!({ "hardDelete": true })).send().empty(200);
    api.get(format!("/api/user/{ID}")).empty(404);
}

#[test]
fn memberships_need_their_group() {
    let api = Api::start();
    let refused = json!({ "user": { "email": "a@example.com", "memberships": [{ "groupId": OTHER }] } });
    api.post("/api/user", &refused)
        .field_error("user.memberships[0].groupId", "[invalid]user.memberships[0].groupId");
    let dropped = json!({ "user": { "email": "a@example.com", "memberships": [{ "data": {} }] } });
    assert_eq!(api.post("/api/user", &dropped).ok()["user"]["memberships"], json!([]));
}

#[test]
fn bulk_deletion_by_ids_query_and_query_string() {
    let api = Api::elasticsearch();
    for (id, email) in [(ID, "a@example.com"), (OTHER, "b@example.com")] {
        user(&api, id, json!({ "email": email }));
    }
    let dry = api.delete(format!("/api/user/bulk?userId={ID}&userId={OTHER}&dryRun=true")).ok();
    assert_eq!(dry, json!({ "dryRun": true, "hardDelete": false, "total": 2, "userIds": [ID, OTHER] }));
    assert_eq!(get(&api, ID)["active"], true);
    let soft = api.call("DELETE", "/api/user/bulk").json(&json!({ "userIds": [ID] })).send().ok();
    assert_eq!((&soft["total"], &soft["userIds"]), (&json!(1), &json!([ID])));
    assert_eq!(get(&api, ID)["active"], false);
    let limited =
        api.delete("/api/user/bulk?queryString=email:*example.com&hardDelete=true&limit=1&dryRun=true").ok();
    assert_eq!(limited["total"], 1);
    let query = json!({ "match": { "email": "b@example.com" } }).to_string();
    let hard = api
        .call("DELETE", "/api/user/bulk")
        .json(&json!({ "query": query, "queryString": "*", "hardDelete": true }))
        .send()
        .ok();
    assert_eq!(
        (&hard["hardDelete"], &hard["userIds"]),
        (&json!(true), &json!([OTHER])),
        "query goes before queryString"
    );
    api.get(format!("/api/user/{OTHER}")).empty(404);
    let none = api.delete("/api/user/bulk?queryString=email:nobody*").ok();
    assert_eq!(
        none,
        json!({ "dryRun": false, "hardDelete": false, "total": 0 }),
        "no userIds when there are none"
    );
    api.delete("/api/user/bulk").field_error("userIds", "[missing]userIds");
    api.delete("/api/user/bulk?userId=x").field_error("userId", "[couldNotConvert]userId");
    api.delete("/api/user/bulk?queryString=nmae:x").field_error("queryString", "[invalid]queryString");
    Api::start().delete("/api/user/bulk?query=%7B%7D").field_error("query", "[invalid]query");
}

#[test]
fn set_password_mail_on_creation() {
    let api = Api::start();
    let body = json!({ "user": { "email": "a@example.com", "password": "password-1" }, "sendSetPasswordIdentityType": "email" });
    let made = api.post(format!("/api/user/{ID}"), &body).ok();
    assert!(made.get("token").is_none());
    let mail = messages(&api, "set-password");
    assert_eq!((mail.len(), &mail[0]["recipient"]), (1, &json!("a@example.com")));
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password-1" })).empty(404);
    let token = mail[0]["content"]["changePasswordId"].as_str().unwrap();
    let change = json!({ "password": "password-2" });
    api.call("POST", format!("/api/user/change-password/{token}"))
        .anonymous()
        .json(&change)
        .send()
        .empty(200);
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password-2" })).ok();
    let wrong = json!({ "user": { "username": "bob" }, "sendSetPasswordIdentityType": "email" });
    api.post("/api/user", &wrong).field_error("user.email", "[blank]user.email");
    let wrong = json!({ "user": { "username": "bob" }, "sendSetPasswordIdentityType": "pigeon" });
    api.post("/api/user", &wrong).field_error("sendSetPasswordIdentityType", "[invalidJSON]");
    let old = Api::version("1.58.0");
    old.post("/api/user", &json!({ "user": { "email": "a@example.com" }, "sendSetPasswordEmail": true }))
        .ok();
    assert_eq!(messages(&old, "set-password").len(), 1);
}

#[test]
fn blocked_domains_can_be_overridden() {
    let api = Api::start();
    configure(&api, json!({ "registrationConfiguration": { "blockedDomains": ["example.com"] } }));
    let body = json!({ "user": { "email": "a@Example.com" } });
    api.post("/api/user", &body).field_error("user.email", "[blocked]user.email");
    let mut body = body;
    body["disableDomainBlock"] = json!(true);
    api.post("/api/user", &body).ok();
}

#[test]
fn password_rules_of_the_tenant() {
    let api = Api::start();
    configure(
        &api,
        json!({ "passwordValidationRules": { "minLength": 10, "maxLength": 12, "requireMixedCase": true,
        "requireNonAlpha": true, "requireNumber": true, "rememberPreviousPasswords": { "enabled": true, "count": 2 } },
        "minimumPasswordAge": { "enabled": true, "seconds": 60 } }),
    );
    let refused = |password: &str, code: &str| {
        let body = json!({ "user": { "email": "a@example.com", "password": password } });
        api.post("/api/user", &body).field_error("user.password", &format!("[{code}]user.password"));
    };
    refused("Aa1-", "tooShort");
    refused("Aa1-Aa1-Aa1-Aa1-", "tooLong");
    refused("aaaaaaaa1-", "singleCase");
    refused("Aaaaaaaaa1", "onlyAlpha");
    refused("Aaaaaaaaa-", "requireNumber");
    user(&api, ID, json!({ "email": "a@example.com", "password": "Aaaaaaaa1-" }));
    let change = |password: &str| {
        api.post("/api/user/change-password", &json!({ "loginId": "a@example.com", "password": password }))
    };
    change("Aaaaaaaa2-").field_error("password", "[tooYoung]password");
    api.advance_seconds(61);
    change("Aaaaaaaa1-").field_error("password", "[previouslyUsed]password");
    change("Aaaaaaaa2-").empty(200);
    api.advance_seconds(61);
    change("Aaaaaaaa1-").field_error("password", "[previouslyUsed]password");
}

#[test]
fn put_keeps_secrets_of_known_methods() {
    let api = Api::start();
    let path = format!("/api/user/{ID}");
    let methods = json!([{ "method": "authenticator", "secret": "c2VjcmV0" }, { "method": "email", "email": "m@example.com" }]);
    let made = user(&api, ID, json!({ "email": "a@example.com", "twoFactor": { "methods": methods } }));
    let known = made["twoFactor"]["methods"][0].clone();
    let kept = json!({ "user": { "email": "a@example.com", "twoFactor": { "methods": [known] } } });
    assert_eq!(api.put(path.as_str(), &kept).ok()["user"]["twoFactor"]["methods"], json!([known]));
    let new = json!({ "user": { "email": "a@example.com", "twoFactor": { "methods": [{ "method": "authenticator" }] } } });
    api.put(path.as_str(), &new)
        .field_error("user.twoFactor.methods[0].secret", "[blank]user.twoFactor.methods[0].secret");
    // A PATCH that does not name them leaves them alone; a PUT that does not removes them.
    let patched = api.merge_patch(path.as_str(), &json!({ "user": { "firstName": "A" } })).ok();
    assert_eq!(patched["user"]["twoFactor"]["methods"], json!([known]));
    let removed = api.put(path.as_str(), &json!({ "user": { "email": "a@example.com" } })).ok();
    assert_eq!(removed["user"]["twoFactor"]["methods"], json!([]));
}
