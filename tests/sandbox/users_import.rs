//! Import: what it alone can set, its defaults and its duplicates (wire notes §4, §13; users document §8).

use std::time::Instant;

use serde_json::{Value, json};

use super::harness::{Answer, Api};
use super::users::{get, user};

const ID: &str = "00000000-0000-0001-0000-000000000001";
const FUSIONAUTH: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";

fn import(api: &Api, users: Value) -> Answer {
    api.post("/api/user/import", &json!({ "users": users }))
}

#[test]
fn what_only_import_sets() {
    let api = Api::start();
    let registration = json!({ "applicationId": FUSIONAUTH, "id": "00000000-0000-0003-0000-000000000001", "insertInstant": 7,
        "lastLoginInstant": 8, "roles": ["admin"], "verified": true, "data": { "birthplace": "Bremen" }, "username": "Mausebär" });
    let one = json!({ "id": ID, "active": true, "verified": true, "email": "a@example.com", "insertInstant": 5, "lastLoginInstant": 6,
        "password": "X03MO1qnZdYdgyfeuILPmQ==", "salt": "", "encryptionScheme": "salted-md5", "factor": 1,
        "passwordLastUpdateInstant": 4, "registrations": [registration] });
    import(&api, json!([one])).empty(200);
    let made = get(&api, ID);
    for (key, value) in [("insertInstant", 5), ("lastLoginInstant", 6), ("passwordLastUpdateInstant", 4)] {
        assert_eq!(made[key], value, "{key}");
    }
    assert_eq!(
        (&made["active"], &made["verified"], &made["encryptionScheme"]),
        (&json!(true), &json!(true), &json!("salted-md5"))
    );
    let identity = &made["identities"][0];
    assert_eq!((&identity["verifiedReason"], &identity["verified"]), (&json!("Import"), &json!(true)));
    let registration = &made["registrations"][0];
    for (key, value) in [
        ("id", json!("00000000-0000-0003-0000-000000000001")),
        ("insertInstant", json!(7)),
        ("lastLoginInstant", json!(8)),
        ("roles", json!(["admin"])),
        ("verified", json!(true)),
        ("username", json!("Mausebär")),
    ] {
        assert_eq!(registration[key], value, "{key}");
    }
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": "password" })).ok();
}

#[test]
fn inactive_and_unverified_unless_said() {
    let api = Api::start();
    import(
        &api,
        json!([{ "id": ID, "email": "a@example.com", "registrations": [{ "applicationId": FUSIONAUTH }] }]),
    )
    .empty(200);
    let made = get(&api, ID);
    assert_eq!((&made["active"], &made["verified"]), (&json!(false), &json!(false)));
    assert_eq!(made["registrations"][0]["verified"], false);
}

#[test]
fn duplicates_are_500_or_validated() {
    let api = Api::start();
    user(&api, ID, json!({ "email": "a@example.com" }));
    for users in [
        json!([{ "email": "b@example.com" }, { "email": "A@example.com" }]),
        json!([{ "email": "b@example.com", "id": ID }]),
        json!([{ "email": "b@example.com", "active": true }, { "email": "b@example.com" }]),
    ] {
        import(&api, users.clone()).empty(500);
        let validated = api
            .post("/api/user/import", &json!({ "users": users, "validateDbConstraints": true }))
            .errors(400);
        assert!(validated.to_string().contains("[duplicate]users["), "{validated}");
        api.get("/api/user?email=b@example.com").empty(404);
    }
    let body = json!({ "users": [{ "email": "x@example.com" }, { "email": "a@example.com" }], "validateDbConstraints": true });
    api.post("/api/user/import", &body).field_error("users[1].email", "[duplicate]users[1].email");
}

#[test]
fn hashes_come_with_scheme_and_salt() {
    let api = Api::start();
    let refused = |user: Value, field: &str, code: &str| import(&api, json!([user])).field_error(field, code);
    refused(
        json!({ "email": "a@example.com", "encryptionScheme": "bcrypt", "password": "x" }),
        "users[0].salt",
        "[blank]users[0].salt",
    );
    refused(
        json!({ "email": "a@example.com", "encryptionScheme": "bcrypt", "salt": "" }),
        "users[0].password",
        "[blank]users[0].password",
    );
    refused(json!({ "active": true }), "users[0].email", "[blank]users[0].email");
    import(&api, json!([{ "email": "nobody" }])).empty(200);
    refused(
        json!({ "email": "a@example.com", "registrations": [{ "applicationId": ID }] }),
        "users[0].registrations[0].applicationId",
        "[invalid]users[0].registrations[0].applicationId",
    );
    refused(
        json!({ "email": "a@example.com", "registrations": [{ "applicationId": FUSIONAUTH, "roles": ["king"] }] }),
        "users[0].registrations[0].roles",
        "[invalid]users[0].registrations[0].roles",
    );
    import(&api, json!([])).field_error("users", "[empty]users");
    // A bcrypt hash in its parts, plain text under the request's scheme, and a plugin's scheme, kept as it is.
    let users = json!([
        { "active": true, "email": "b@example.com", "encryptionScheme": "bcrypt", "factor": 5, "salt": "CCCCCCCCCCCCCCCCCCCCC.", "password": "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
        { "active": true, "email": "p@example.com", "password": "plain-text" },
        { "active": true, "id": ID, "email": "c@example.com", "encryptionScheme": "example-custom", "salt": "", "password": "abc" }]);
    api.post(
        "/api/user/import",
        &json!({ "users": users, "encryptionScheme": "salted-sha256", "factor": 3 }),
    )
    .empty(200);
    api.post("/api/login", &json!({ "loginId": "b@example.com", "password": "U*U" })).ok();
    api.post("/api/login", &json!({ "loginId": "p@example.com", "password": "plain-text" })).ok();
    api.post("/api/login", &json!({ "loginId": "c@example.com", "password": "abc" })).empty(404);
    assert_eq!(get(&api, ID)["encryptionScheme"], "example-custom");
}

#[test]
fn the_users_tenant_counts_where_no_header_does() {
    let api = Api::start();
    let tenant =
        api.post("/api/tenant", &json!({ "tenant": { "name": "Other" } })).ok()["tenant"]["id"].clone();
    import(&api, json!([{ "email": "a@example.com" }])).general_error(400, "[TenantIdRequired]");
    import(&api, json!([{ "id": ID, "email": "a@example.com", "tenantId": tenant }])).empty(200);
    assert_eq!(get(&api, ID)["tenantId"], tenant);
    import(&api, json!([{ "email": "b@example.com", "tenantId": ID }])).errors(400);
}

#[test]
fn ten_thousand_users_import_quickly_and_take_little_memory() {
    let api = Api::elasticsearch();
    let users: Vec<Value> = (0..10_000)
        .map(|n| json!({ "active": true, "email": format!("user{n}@example.com"), "firstName": "First", "lastName": "Last",
            "data": { "team": "compression", "number": n }, "registrations": [{ "applicationId": FUSIONAUTH, "roles": ["admin"] }] }))
        .collect();
    let started = Instant::now();
    import(&api, Value::from(users)).empty(200);
    // Far more than a debug build on a busy machine needs; a quadratic import would need minutes.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    let total =
        api.post("/api/user/search", &json!({ "search": { "queryString": "data.number:9999" } })).ok();
    assert_eq!(total["total"], 1);
}
