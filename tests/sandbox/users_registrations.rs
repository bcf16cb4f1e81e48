//! Registrations (wire notes §3, §4; the vendor's registrations page).

use serde_json::{Value, json};

use super::harness::Api;
use super::users::{get, messages, user};

const ID: &str = "00000000-0000-0001-0000-000000000001";
const OTHER: &str = "00000000-0000-0001-0000-000000000002";
const FUSIONAUTH: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";

fn application(api: &Api, more: Value) -> String {
    let mut application = json!({ "name": "Hooli Chat", "roles": [{ "name": "user", "isDefault": true }, { "name": "admin" }, { "name": "boss" }] });
    for (key, value) in more.as_object().unwrap() {
        application[key] = value.clone();
    }
    let made = api.post("/api/application", &json!({ "application": application })).ok();
    made["application"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn user_and_registration_in_one_request() {
    let api = Api::start();
    // As Kickstart files do it.
    let body = json!({ "registration": { "applicationId": FUSIONAUTH, "roles": ["admin"] }, "roles": ["admin"], "skipRegistrationVerification": true,
        "user": { "birthDate": "1981-06-04", "data": { "favoriteColor": "chartreuse" }, "email": "dinesh@example.com", "password": "password" } });
    let made = api.post(format!("/api/user/registration/{ID}"), &body).ok();
    assert_eq!((&made["user"]["id"], &made["user"]["birthDate"]), (&json!(ID), &json!("1981-06-04")));
    assert_eq!(made["registration"], made["user"]["registrations"][0]);
    assert_eq!(
        (&made["registration"]["roles"], &made["registration"]["verified"]),
        (&json!(["admin"]), &json!(true))
    );
    assert!(made["token"].is_string() && !made.to_string().contains("\"password\""));
    assert_eq!(get(&api, ID)["registrations"][0], made["registration"]);
    let random =
        json!({ "user": { "email": "b@example.com" }, "registration": { "applicationId": FUSIONAUTH } });
    api.post("/api/user/registration", &random).ok();
    // The user exists already: nothing is made.
    api.post(format!("/api/user/registration/{ID}"), &body).field_error("user.id", "[duplicate]user.id");
    let half = json!({ "user": { "email": "c@example.com" }, "registration": { "applicationId": OTHER } });
    api.post("/api/user/registration", &half)
        .field_error("registration.applicationId", "[invalid]registration.applicationId");
    api.get("/api/user?email=c@example.com").empty(404);
}

#[test]
fn an_existing_user_registers() {
    let api = Api::start();
    let hooli = application(&api, json!({}));
    user(&api, ID, json!({ "email": "a@example.com" }));
    let path = format!("/api/user/registration/{ID}");
    let made = api.post(path.as_str(), &json!({ "registration": { "applicationId": hooli, "data": { "a": null, "b": 1 }, "username": " al " } })).ok();
    let registration = &made["registration"];
    for (key, value) in [
        ("roles", json!(["user"])),
        ("data", json!({ "b": 1 })),
        ("username", json!("al")),
        ("usernameStatus", json!("ACTIVE")),
        ("verified", json!(true)),
        ("preferredLanguages", json!([])),
    ] {
        assert_eq!(registration[key], value, "{key}");
    }
    assert!(made.get("user").is_none());
    let again = json!({ "registration": { "applicationId": hooli } });
    api.post(path.as_str(), &again).field_error("registration", "[duplicate]registration");
    // As the Terraform provider does it: the application in the path, which goes before the body's.
    let by_both = json!({ "registration": { "applicationId": hooli, "roles": ["admin", "admin"] } });
    let made = api.post(format!("{path}/{FUSIONAUTH}"), &by_both).ok();
    assert_eq!(
        (&made["registration"]["applicationId"], &made["registration"]["roles"]),
        (&json!(FUSIONAUTH), &json!(["admin"]))
    );
    let refused = |registration: Value, field: &str, code: &str| {
        api.post(path.as_str(), &json!({ "registration": registration })).field_error(field, code);
    };
    refused(json!({}), "registration.applicationId", "[blank]registration.applicationId");
    refused(
        json!({ "applicationId": OTHER }),
        "registration.applicationId",
        "[invalid]registration.applicationId",
    );
    api.post(path.as_str(), &json!({ "applicationId": hooli }))
        .field_error("registration", "[missing]registration");
    api.post(format!("/api/user/registration/{OTHER}"), &again).empty(404);
    user(&api, OTHER, json!({ "email": "b@example.com" }));
    let wrong_role = json!({ "registration": { "applicationId": hooli, "roles": ["king"] } });
    api.post(format!("/api/user/registration/{OTHER}"), &wrong_role)
        .field_error("registration.roles", "[invalid]registration.roles");
}

#[test]
fn retrieve_put_and_delete() {
    let api = Api::start();
    let hooli = application(&api, json!({}));
    user(&api, ID, json!({ "email": "a@example.com" }));
    let path = format!("/api/user/registration/{ID}/{hooli}");
    api.get(path.as_str()).empty(404);
    let body = json!({ "registration": { "roles": ["admin"], "data": { "a": 1 }, "username": "al", "timezone": "America/Denver" } });
    let made = api.post(path.as_str(), &body).ok();
    assert_eq!(api.get(path.as_str()).ok(), json!({ "registration": made["registration"] }));
    let put = api.put(path.as_str(), &json!({ "registration": { "roles": ["user"] } })).ok()["registration"]
        .clone();
    assert_eq!((&put["roles"], &put["data"]), (&json!(["user"]), &json!({})));
    assert!(put.get("username").is_none() && put.get("timezone").is_none());
    for kept in ["id", "insertInstant", "verified"] {
        assert_eq!(put[kept], made["registration"][kept], "{kept}");
    }
    // Before 1.25 the application stood in the body; that form is still served.
    let old = json!({ "registration": { "applicationId": hooli, "roles": ["boss"] } });
    assert_eq!(
        api.put(format!("/api/user/registration/{ID}"), &old).ok()["registration"]["roles"],
        json!(["boss"])
    );
    api.put(path.as_str(), &json!({ "registration": { "roles": ["king"] } }))
        .field_error("registration.roles", "[invalid]registration.roles");
    api.delete(path.as_str()).empty(200);
    api.delete(path.as_str()).empty(404);
    api.get(path.as_str()).empty(404);
    api.put(path.as_str(), &body).empty(404);
    assert_eq!(get(&api, ID)["registrations"], json!([]));
}

#[test]
fn patches_in_three_dialects() {
    let api = Api::start();
    let hooli = application(&api, json!({}));
    user(&api, ID, json!({ "email": "a@example.com" }));
    let path = format!("/api/user/registration/{ID}/{hooli}");
    api.post(
        path.as_str(),
        &json!({ "registration": { "roles": ["user"], "data": { "a": [1] }, "username": "al" } }),
    )
    .ok();
    let legacy = json!({ "registration": { "roles": ["user", "admin"], "data": { "a": [2] } } });
    let after = api.patch(path.as_str(), &legacy).ok()["registration"].clone();
    assert_eq!(
        (&after["roles"], &after["data"], &after["username"]),
        (&json!(["admin", "user"]), &json!({ "a": [1, 2] }), &json!("al"))
    );
    api.patch(path.as_str(), &json!({ "registration": { "roles": null } })).empty(500);
    let merged = api
        .merge_patch(path.as_str(), &json!({ "registration": { "roles": ["boss"], "username": null } }))
        .ok()["registration"]
        .clone();
    assert_eq!(merged["roles"], json!(["boss"]));
    assert!(merged.get("username").is_none());
    let operations = json!([{ "op": "add", "path": "/registration/roles/-", "value": "user" }, { "op": "remove", "path": "/registration/data/a" }]);
    let patched = api.json_patch(path.as_str(), &operations).ok()["registration"].clone();
    assert_eq!((&patched["roles"], &patched["data"]), (&json!(["boss", "user"]), &json!({})));
    // Without the application in the URL a PATCH overwrites (issue 3061 of the vendor's tracker).
    let overwrite = json!({ "registration": { "applicationId": hooli, "data": { "b": 1 } } });
    let overwritten =
        api.patch(format!("/api/user/registration/{ID}"), &overwrite).ok()["registration"].clone();
    assert_eq!((&overwritten["roles"], &overwritten["data"]), (&json!([]), &json!({ "b": 1 })));
}

#[test]
fn registrations_are_verified() {
    let api = Api::start();
    let hooli = application(&api, json!({ "verifyRegistration": true }));
    let combined = json!({ "user": { "email": "a@example.com", "password": "password-1" }, "registration": { "applicationId": hooli } });
    let made = api.post(format!("/api/user/registration/{ID}"), &combined).ok();
    assert_eq!(made["registration"]["verified"], false);
    let token = made["registrationVerificationId"].as_str().unwrap();
    assert_eq!(messages(&api, "registration-verification")[0]["content"]["verificationId"], token);
    let login = json!({ "loginId": "a@example.com", "password": "password-1", "applicationId": hooli });
    assert_eq!(api.post("/api/login", &login).status, 213);
    api.call("POST", format!("/api/user/verify-registration/{token}")).anonymous().send().empty(200);
    let verified = api.get(format!("/api/user/registration/{ID}/{hooli}")).ok()["registration"].clone();
    assert!(verified["verified"] == true && verified["verifiedInstant"].is_i64());
    assert_eq!(api.post("/api/login", &login).status, 200);
    api.call("POST", "/api/user/verify-registration")
        .anonymous()
        .json(&json!({ "verificationId": token }))
        .send()
        .empty(404);
    // Administratively, by a key alone.
    let second = json!({ "user": { "email": "b@example.com" }, "registration": { "applicationId": hooli } });
    api.post(format!("/api/user/registration/{OTHER}"), &second).ok();
    let verify = json!({ "userId": OTHER, "applicationId": hooli });
    api.call("POST", "/api/user/verify-registration").anonymous().json(&verify).send().empty(401);
    api.post("/api/user/verify-registration", &verify).empty(200);
    assert_eq!(get(&api, OTHER)["registrations"][0]["verified"], true);
    api.post("/api/user/verify-registration", &json!({ "userId": OTHER, "applicationId": FUSIONAUTH }))
        .empty(404);
    let resend = format!(
        "/api/user/verify-registration?email=b@example.com&applicationId={hooli}&sendVerifyRegistrationEmail=false"
    );
    assert!(api.call("PUT", resend.as_str()).send().ok()["verificationId"].is_string());
    api.call("PUT", resend).anonymous().send().empty(200);
    let skipped = json!({ "user": { "email": "c@example.com" }, "registration": { "applicationId": hooli }, "skipRegistrationVerification": true });
    assert_eq!(api.post("/api/user/registration", &skipped).ok()["registration"]["verified"], true);
}

#[test]
fn a_deleted_application_takes_its_registrations_along() {
    let api = Api::start();
    let hooli = application(&api, json!({}));
    user(&api, ID, json!({ "email": "a@example.com" }));
    for application in [hooli.as_str(), FUSIONAUTH] {
        api.post(
            format!("/api/user/registration/{ID}"),
            &json!({ "registration": { "applicationId": application } }),
        )
        .ok();
    }
    api.delete(format!("/api/application/{hooli}?hardDelete=true")).empty(200);
    let left = get(&api, ID)["registrations"].clone();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["applicationId"]), (1, &json!(FUSIONAUTH)));
}
