//! Verification of e-mail addresses, forgotten and changed passwords, logins (wire notes §4, §13).

use serde_json::{Value, json};

use super::harness::{Answer, Api};
use super::users::{configure, get, messages, user};

const ID: &str = "00000000-0000-0001-0000-000000000001";
const FUSIONAUTH: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";

fn login(api: &Api, password: &str) -> Answer {
    api.post("/api/login", &json!({ "loginId": "a@example.com", "password": password }))
}

fn anonymous(api: &Api, path: &str, body: Value) -> Answer {
    api.call("POST", path).anonymous().json(&body).send()
}

fn verifying(mail: Value) -> Api {
    let api = Api::start();
    configure(&api, json!({ "emailConfiguration": mail }));
    api
}

#[test]
fn addresses_are_verified_by_the_id_that_was_mailed() {
    let api = verifying(json!({ "verifyEmail": true }));
    let made = api
        .post(
            format!("/api/user/{ID}"),
            &json!({ "user": { "email": "a@example.com", "password": "password-1" } }),
        )
        .ok();
    assert_eq!(
        (&made["user"]["verified"], &made["user"]["identities"][0]["verifiedReason"]),
        (&json!(false), &json!("Pending"))
    );
    let id = made["emailVerificationId"].as_str().unwrap();
    assert_eq!(
        (&made["verificationIds"][0]["id"], &made["verificationIds"][0]["type"]),
        (&json!(id), &json!("email"))
    );
    assert_eq!(messages(&api, "email-verification")[0]["content"]["verificationId"], id);
    assert_eq!(login(&api, "password-1").status, 212);
    // 24 hours and no longer.
    api.advance_seconds(86_401);
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": id })).empty(404);
    assert!(api.get(format!("/api/user/{ID}")).ok().get("emailVerificationId").is_none());
    let resent = api.call("PUT", "/api/user/verify-email?email=a@example.com").send().ok();
    assert_eq!(messages(&api, "email-verification").len(), 2);
    let id = resent["verificationId"].as_str().unwrap();
    assert_eq!(api.get(format!("/api/user/{ID}")).ok()["emailVerificationId"], id);
    anonymous(&api, &format!("/api/user/verify-email/{id}"), json!({})).empty(200);
    let after = get(&api, ID);
    assert_eq!(
        (&after["verified"], &after["identities"][0]["verifiedReason"]),
        (&json!(true), &json!("Completed"))
    );
    assert!(after["verifiedInstant"].is_i64());
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": id })).empty(404);
    assert_eq!(login(&api, "password-1").status, 200);
    api.call("PUT", "/api/user/verify-email?email=a@example.com").anonymous().send().empty(200);
    api.call("PUT", "/api/user/verify-email?email=b@example.com").send().empty(404);
    anonymous(&api, "/api/user/verify-email", json!({}))
        .field_error("verificationId", "[blank]verificationId");
}

#[test]
fn administrative_verification_and_the_disabled_feature() {
    let api = verifying(json!({ "verifyEmail": true }));
    user(&api, ID, json!({ "email": "a@example.com" }));
    configure(&api, json!({ "emailConfiguration": { "verifyEmail": false } }));
    // 403 is for the mail alone.
    api.call("PUT", "/api/user/verify-email?email=a@example.com").send().empty(403);
    api.call("PUT", "/api/user/verify-email?email=a@example.com&sendVerifyEmail=false")
        .anonymous()
        .send()
        .empty(403);
    assert!(api.call("PUT", "/api/user/verify-email?email=a@example.com&sendVerifyEmail=false").send().ok()["verificationId"].is_string());
    anonymous(&api, "/api/user/verify-email", json!({ "userId": ID })).empty(401);
    api.post("/api/user/verify-email", &json!({ "userId": ID })).empty(200);
    let after = get(&api, ID);
    assert_eq!(
        (&after["verified"], &after["identities"][0]["verifiedReason"]),
        (&json!(true), &json!("Administrative"))
    );
    let first = after["verifiedInstant"].clone();
    api.advance_seconds(60);
    api.post("/api/user/verify-email", &json!({ "userId": ID })).empty(200);
    assert_eq!(get(&api, ID)["verifiedInstant"], first, "the first time stays");
}

#[test]
fn skipping_verification() {
    let api = verifying(json!({ "verifyEmail": true }));
    let made = api
        .post("/api/user", &json!({ "user": { "email": "a@example.com" }, "skipVerification": true }))
        .ok()["user"]
        .clone();
    assert_eq!(made["verified"], true);
    let identity = &made["identities"][0];
    assert_eq!((&identity["verified"], &identity["verifiedReason"]), (&json!(false), &json!("Skipped")));
    assert!(messages(&api, "email-verification").is_empty());
}

#[test]
fn a_form_field_needs_the_short_code() {
    let api = verifying(json!({ "verifyEmail": true, "verificationStrategy": "FormField" }));
    let made = api.post(format!("/api/user/{ID}"), &json!({ "user": { "email": "a@example.com" } })).ok();
    let (id, code) = (&made["emailVerificationId"], &made["emailVerificationOneTimeCode"]);
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": id }))
        .field_error("oneTimeCode", "[blank]oneTimeCode");
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": id, "oneTimeCode": "x" })).empty(404);
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": id, "oneTimeCode": code }))
        .empty(200);
}

#[test]
fn a_changed_address_waits_for_its_verification() {
    let api = verifying(json!({ "verifyEmail": true, "verifyEmailWhenChanged": true }));
    let path = format!("/api/user/{ID}");
    let body = json!({ "user": { "email": "a@example.com" }, "skipVerification": true });
    api.post(path.as_str(), &body).ok();
    let after = api.merge_patch(path.as_str(), &json!({ "user": { "email": "b@example.com" } })).ok();
    assert_eq!(after["user"]["email"], "a@example.com", "not yet");
    let mail = messages(&api, "email-verification");
    assert_eq!(mail.last().unwrap()["recipient"], "b@example.com");
    let id = after["emailVerificationId"].clone();
    assert_eq!(after["verificationIds"][0]["value"], "b@example.com");
    api.merge_patch(path.as_str(), &json!({ "user": { "firstName": "A" } })).ok();
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": id })).empty(200);
    assert_eq!(get(&api, ID)["email"], "b@example.com");
    api.get("/api/user?email=a@example.com").empty(404);
    // Skipped, the change is there at once; taken meanwhile, it is a duplicate.
    let skipped = json!({ "user": { "email": "c@example.com" }, "skipVerification": true });
    assert_eq!(api.merge_patch(path.as_str(), &skipped).ok()["user"]["email"], "c@example.com");
    let waiting = api.merge_patch(path.as_str(), &json!({ "user": { "email": "d@example.com" } })).ok()["emailVerificationId"].clone();
    api.post("/api/user", &json!({ "user": { "email": "d@example.com" } })).ok();
    anonymous(&api, "/api/user/verify-email", json!({ "verificationId": waiting }))
        .field_error("user.email", "[duplicate]user.email");
}

#[test]
fn forgotten_passwords() {
    let api = Api::start();
    user(&api, ID, json!({ "email": "a@example.com", "username": "al", "password": "password-1" }));
    user(&api, "00000000-0000-0001-0000-000000000002", json!({ "username": "bo" }));
    // Without a template the function is off, but a caller with a key who sends no mail is served.
    let body = json!({ "loginId": "a@example.com" });
    api.post("/api/user/forgot-password", &body).empty(403);
    anonymous(&api, "/api/user/forgot-password", body.clone()).empty(403);
    for flag in ["sendForgotPasswordMessage", "sendForgotPasswordEmail"] {
        let mut silent = json!({ "loginId": "AL" });
        silent[flag] = json!(false);
        assert!(api.post("/api/user/forgot-password", &silent).ok()["changePasswordId"].is_string());
    }
    configure(&api, json!({ "emailConfiguration": { "forgotPasswordEmailTemplateId": ID } }));
    anonymous(&api, "/api/user/forgot-password", body.clone()).empty(200);
    let mail = messages(&api, "forgot-password");
    assert_eq!((mail.len(), &mail[0]["recipient"]), (1, &json!("a@example.com")));
    assert!(api.post("/api/user/forgot-password", &body).ok()["changePasswordId"].is_string());
    api.post("/api/user/forgot-password", &json!({ "loginId": "bo" })).empty(422);
    api.post("/api/user/forgot-password", &json!({ "loginId": "nobody" })).empty(404);
    api.post("/api/user/forgot-password", &json!({})).field_error("loginId", "[blank]loginId");
    let own = json!({ "loginId": "al", "changePasswordId": "my-own-id", "sendForgotPasswordMessage": false });
    assert_eq!(api.post("/api/user/forgot-password", &own).ok()["changePasswordId"], "my-own-id");
    api.post("/api/user/forgot-password", &own)
        .field_error("changePasswordId", "[duplicate]changePasswordId");
}

#[test]
fn passwords_change_by_id_once_and_in_time() {
    let api = verifying(json!({ "verifyEmail": true, "forgotPasswordEmailTemplateId": ID }));
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "password": "password-1", "passwordChangeRequired": true }),
    );
    let issue = |send: bool| {
        let body = json!({ "loginId": "a@example.com", "sendForgotPasswordMessage": send });
        api.post("/api/user/forgot-password", &body).ok()["changePasswordId"].as_str().unwrap().to_owned()
    };
    let late = issue(false);
    api.call("GET", format!("/api/user/change-password/{late}")).anonymous().send().empty(200);
    api.advance_seconds(601);
    api.call("GET", format!("/api/user/change-password/{late}")).anonymous().send().empty(404);
    let change = |id: &str, more: Value| {
        let mut body = json!({ "password": "password-2" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        anonymous(&api, &format!("/api/user/change-password/{id}"), body)
    };
    change(&late, json!({})).empty(404);
    change("nonsense", json!({})).empty(404);
    let (silent, other) = (issue(false), issue(false));
    change(&silent, json!({ "password": "short" })).field_error("password", "[tooShort]password");
    change(&silent, json!({ "password": "" })).field_error("password", "[blank]password");
    change(&silent, json!({ "currentPassword": "wrong" }))
        .field_error("currentPassword", "[invalid]currentPassword");
    // The id goes before the login id, the body's before the path's.
    change(
        "nonsense",
        json!({ "changePasswordId": silent, "loginId": "nobody", "currentPassword": "password-1" }),
    )
    .empty(200);
    change(&other, json!({})).empty(404);
    let after = get(&api, ID);
    assert_eq!(
        (&after["verified"], &after["passwordChangeRequired"]),
        (&json!(false), &json!(false)),
        "not mailed, not verified"
    );
    assert_eq!(login(&api, "password-1").status, 404);
    assert_eq!(login(&api, "password-2").status, 212);
    change(&issue(true), json!({ "password": "password-3" })).empty(200);
    let after = get(&api, ID);
    assert_eq!(
        (&after["verified"], &after["identities"][0]["verifiedReason"]),
        (&json!(true), &json!("Implicit"))
    );
    assert_eq!(login(&api, "password-3").status, 200);
}

#[test]
fn passwords_change_by_login_id_with_a_key_and_by_jwt() {
    let api = Api::start();
    user(&api, ID, json!({ "email": "a@example.com", "password": "password-1" }));
    let body = json!({ "loginId": "a@example.com", "password": "password-2" });
    anonymous(&api, "/api/user/change-password", body.clone()).empty(401);
    api.post("/api/user/change-password", &body).empty(200);
    let token = login(&api, "password-2").ok()["token"].as_str().unwrap().to_owned();
    api.post("/api/user/change-password", &json!({ "loginId": "nobody", "password": "password-2" }))
        .empty(404);
    api.post("/api/user/change-password", &json!({ "password": "password-2" }))
        .field_error("changePasswordId", "[blank]changePasswordId");
    let by_jwt = |body: Value| {
        api.call("POST", "/api/user/change-password").key(format!("Bearer {token}")).json(&body).send()
    };
    by_jwt(json!({ "password": "password-3" })).field_error("currentPassword", "[blank]currentPassword");
    let bearer = format!("Bearer {token}");
    api.call("GET", "/api/user/change-password").key(bearer).send().empty(200);
    api.get("/api/user/change-password?loginId=a@example.com").empty(200);
    api.get("/api/user/change-password?loginId=nobody").empty(404);
    by_jwt(json!({ "password": "password-3", "currentPassword": "password-2" })).empty(200);
    assert_eq!(login(&api, "password-3").status, 200);
}

#[test]
fn logins_answer_what_stands_in_the_way() {
    let api = Api::start();
    user(
        &api,
        ID,
        json!({ "email": "a@example.com", "username": "Al", "phoneNumber": "303-555-1212", "password": "password-1" }),
    );
    let answer = login(&api, "password-1").ok();
    assert_eq!(answer["user"]["id"], ID);
    assert!(answer["token"].is_string() && answer["tokenExpirationInstant"].is_i64());
    login(&api, "password-2").empty(404);
    let by = |body: Value| anonymous(&api, "/api/login", body);
    by(json!({ "loginId": "nobody", "password": "password-1" })).empty(404);
    by(json!({})).field_error("loginId", "[blank]loginId");
    let answer = by(json!({ "loginId": "aL", "password": "password-1", "noJWT": true })).ok();
    assert!(answer.get("token").is_none());
    by(json!({ "loginId": "303-555-1212", "password": "password-1", "loginIdTypes": ["phoneNumber"] })).ok();
    by(json!({ "loginId": "303-555-1212", "password": "password-1" })).empty(404);
    // 202: not registered for the application.
    let with_application = json!({ "loginId": "al", "password": "password-1", "applicationId": FUSIONAUTH });
    assert_eq!(by(with_application.clone()).status, 202);
    api.post(
        format!("/api/user/registration/{ID}"),
        &json!({ "registration": { "applicationId": FUSIONAUTH } }),
    )
    .ok();
    let registered = by(with_application).ok();
    assert!(registered["user"]["registrations"][0]["lastLoginInstant"].is_i64());
    // 203: the password must change.
    api.merge_patch(format!("/api/user/{ID}"), &json!({ "user": { "passwordChangeRequired": true } })).ok();
    let required = login(&api, "password-1");
    assert_eq!(required.status, 203);
    let required: Value = serde_json::from_str(&required.text).unwrap();
    assert_eq!(required["changePasswordReason"], "Administrative");
    let change = json!({ "changePasswordId": required["changePasswordId"], "password": "password-2" });
    anonymous(&api, "/api/user/change-password", change).empty(200);
    assert_eq!(login(&api, "password-2").status, 200);
    // 410: expired. 423: deactivated.
    api.merge_patch(format!("/api/user/{ID}"), &json!({ "user": { "expiry": 1 } })).ok();
    login(&api, "password-2").empty(410);
    api.delete(format!("/api/user/{ID}")).empty(200);
    login(&api, "password-2").empty(423);
}

#[test]
fn identities_are_verified_through_their_own_api() {
    let api = Api::start();
    configure(&api, json!({ "phoneConfiguration": { "verifyPhoneNumber": true } }));
    user(&api, ID, json!({ "email": "a@example.com", "phoneNumber": "303-555-1212", "username": "al" }));
    let phone = |api: &Api| get(api, ID)["identities"][1].clone();
    assert_eq!(
        (&phone(&api)["type"], &phone(&api)["verifiedReason"]),
        (&json!("phoneNumber"), &json!("Pending"))
    );
    assert_eq!(messages(&api, "phone-verification")[0]["recipient"], "+13035551212");
    let login = json!({ "loginId": "(303) 555-1212", "loginIdType": "phoneNumber" });
    let id = api.post("/api/identity/verify/start", &login).ok()["verificationId"].clone();
    assert_eq!(messages(&api, "phone-verification").len(), 1, "starting sends nothing");
    api.post("/api/identity/verify/send", &json!({ "verificationId": id })).empty(200);
    assert_eq!(messages(&api, "phone-verification").len(), 2);
    api.post("/api/identity/verify/complete", &json!({ "verificationId": id })).empty(200);
    assert_eq!(
        (&phone(&api)["verified"], &phone(&api)["verifiedReason"]),
        (&json!(true), &json!("Completed"))
    );
    api.post("/api/identity/verify", &json!({ "loginId": "a@example.com", "loginIdType": "email" }))
        .empty(200);
    assert_eq!(get(&api, ID)["identities"][0]["verifiedReason"], "Administrative");
    api.post("/api/identity/verify", &json!({ "loginId": "al", "loginIdType": "username" }))
        .field_error("loginIdType", "[invalid]loginIdType");
    Api::version("1.58.0").post("/api/identity/verify", &login).empty(404);
}

#[test]
fn what_has_the_wrong_type_does_not_pass_for_left_away() {
    let api = Api::start();
    let made = api.post("/api/user", &json!({"user": {"email": "a@b.io", "password": "password1"}})).ok();
    let path = format!("/api/user/{}", made["user"]["id"].as_str().unwrap());
    let wrong = |method: &str, path: &str, body: serde_json::Value, field: &str| {
        api.call(method, path).json(&body).send().field_error(field, "[invalidJSON]");
    };
    let change = json!({"loginId": "a@b.io", "password": "password2", "currentPassword": 5});
    wrong("POST", "/api/user/change-password", change, "currentPassword");
    wrong(
        "PUT",
        &path,
        json!({"user": {"email": "a@b.io", "password": "password2"}, "currentPassword": []}),
        "currentPassword",
    );
    wrong(
        "PUT",
        &path,
        json!({"user": {"email": "a@b.io"}, "passwordFieldType": "Hashed"}),
        "passwordFieldType",
    );
    let forgot = json!({"loginId": "a@b.io", "sendForgotPasswordMessage": "false"});
    wrong("POST", "/api/user/forgot-password", forgot, "sendForgotPasswordMessage");
    wrong("POST", "/api/user/verify-email", json!({"verificationId": 5}), "verificationId");
    wrong("POST", "/api/login", json!({"loginId": "a@b.io", "password": 5}), "password");
    wrong("DELETE", &path, json!({"hardDelete": "true"}), "hardDelete");
    wrong(
        "POST",
        "/api/user",
        json!({"user": {"email": "c@d.io"}, "sendSetPasswordEmail": "true"}),
        "sendSetPasswordEmail",
    );
    wrong(
        "POST",
        "/api/identity-provider/link",
        json!({"pendingIdPLinkId": 5, "userId": path.get(10..)}),
        "pendingIdPLinkId",
    );
    // Nothing was done on the way.
    assert_eq!(api.get(&path).ok()["user"]["active"], true);
    api.post("/api/login", &json!({"loginId": "a@b.io", "password": "password1"})).ok();
}
