//! Lambdas (wire notes §6, §13 and the lambdas document).

use serde_json::{Value, json};

use super::harness::Api;

const TYPES: [&str; 27] = [
    "JWTPopulate",
    "OpenIDReconcile",
    "SAMLv2Reconcile",
    "SAMLv2Populate",
    "AppleReconcile",
    "ExternalJWTReconcile",
    "FacebookReconcile",
    "GoogleReconcile",
    "HYPRReconcile",
    "TwitterReconcile",
    "LDAPConnectorReconcile",
    "LinkedInReconcile",
    "EpicGamesReconcile",
    "NintendoReconcile",
    "SonyPSNReconcile",
    "SteamReconcile",
    "TwitchReconcile",
    "XboxReconcile",
    "ClientCredentialsJWTPopulate",
    "SCIMServerGroupRequestConverter",
    "SCIMServerGroupResponseConverter",
    "SCIMServerUserRequestConverter",
    "SCIMServerUserResponseConverter",
    "SelfServiceRegistrationValidation",
    "UserInfoPopulate",
    "LoginValidation",
    "MFARequirement",
];

fn body(kind: &str) -> Value {
    json!({"lambda": {"name": "Claims", "type": kind, "body": "function populate(jwt) {}"}})
}

fn id(made: &Value) -> String {
    made["lambda"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn all_27_types_are_taken_and_found_by_type() {
    let api = Api::start();
    for kind in TYPES {
        let made = api.post("/api/lambda", &body(kind)).ok();
        assert_eq!(made["lambda"]["type"], kind);
        let found = api.get(format!("/api/lambda?type={kind}")).ok();
        let ids: Vec<&Value> =
            found["lambdas"].as_array().unwrap().iter().map(|lambda| &lambda["id"]).collect();
        assert!(ids.contains(&&made["lambda"]["id"]), "{kind}");
    }
    api.post("/api/lambda", &body("Nonsense")).field_error("lambda.type", "[invalid]lambda.type");
    api.get("/api/lambda?type=Nonsense").errors(400);
}

#[test]
fn the_short_scim_names_are_aliases() {
    let api = Api::start();
    let made = api.post("/api/lambda", &body("SCIMGroupRequestConverter")).ok();
    assert_eq!(made["lambda"]["type"], "SCIMServerGroupRequestConverter");
}

#[test]
fn types_newer_than_the_server_are_refused() {
    let api = Api::version("1.42");
    api.post("/api/lambda", &body("SelfServiceRegistrationValidation"))
        .field_error("lambda.type", "[invalid]lambda.type");
    api.post("/api/lambda", &body("LoginValidation")).errors(400);
    Api::version("1.43").post("/api/lambda", &body("SelfServiceRegistrationValidation")).ok();
}

#[test]
fn defaults_and_required_fields() {
    let api = Api::start();
    let made = api.post("/api/lambda", &body("JWTPopulate")).ok();
    assert_eq!((&made["lambda"]["debug"], &made["lambda"]["engineType"]), (&json!(false), &json!("GraalJS")));
    // Names are not unique.
    api.post("/api/lambda", &body("JWTPopulate")).ok();
    for (field, code) in
        [("name", "[blank]lambda.name"), ("body", "[blank]lambda.body"), ("type", "[blank]lambda.type")]
    {
        let mut lacking = body("JWTPopulate");
        lacking["lambda"].as_object_mut().unwrap().remove(field);
        api.post("/api/lambda", &lacking).field_error(&format!("lambda.{field}"), code);
    }
    api.post("/api/lambda", &json!({})).field_error("lambda", "[missing]lambda");
    let wrong = json!({"lambda": {"name": "n", "body": "b", "type": "JWTPopulate", "engineType": "V8"}});
    api.post("/api/lambda", &wrong).field_error("lambda.engineType", "[invalidJSON]");
    let same = format!("/api/lambda/{}", id(&made));
    api.post(&same, &body("JWTPopulate")).field_error("lambda.id", "[duplicate]lambda.id");
}

#[test]
fn enabled_is_dead_from_1_69_on() {
    let mut given = body("JWTPopulate");
    given["lambda"]["enabled"] = json!(false);
    assert!(Api::start().post("/api/lambda", &given).ok()["lambda"].get("enabled").is_none());
    let old = Api::version("1.68");
    assert_eq!(old.post("/api/lambda", &given).ok()["lambda"]["enabled"], false);
    assert_eq!(old.post("/api/lambda", &body("JWTPopulate")).ok()["lambda"]["enabled"], true);
}

#[test]
fn the_type_never_changes_and_an_update_replaces_the_rest() {
    let api = Api::start();
    let mut given = body("JWTPopulate");
    given["lambda"]["debug"] = json!(true);
    let made = api.post("/api/lambda", &given).ok();
    let path = format!("/api/lambda/{}", id(&made));
    api.put(&path, &body("GoogleReconcile")).field_error("lambda.type", "[invalid]lambda.type");
    let updated = api.put(&path, &json!({"lambda": {"name": "Other", "body": "x"}})).ok();
    assert_eq!(
        (&updated["lambda"]["type"], &updated["lambda"]["debug"]),
        (&json!("JWTPopulate"), &json!(false))
    );
    assert_eq!(updated["lambda"]["insertInstant"], made["lambda"]["insertInstant"]);
    api.put("/api/lambda/00000000-0000-0000-0000-00000000abcd", &body("JWTPopulate")).empty(404);
}

#[test]
fn three_patch_dialects() {
    let api = Api::start();
    let path = format!("/api/lambda/{}", id(&api.post("/api/lambda", &body("JWTPopulate")).ok()));
    assert_eq!(api.patch(&path, &json!({"lambda": {"debug": true}})).ok()["lambda"]["name"], "Claims");
    let merged = api.merge_patch(&path, &json!({"lambda": {"name": "B", "debug": null}})).ok();
    assert_eq!((&merged["lambda"]["name"], &merged["lambda"]["debug"]), (&json!("B"), &json!(false)));
    let replaced =
        api.json_patch(&path, &json!([{"op": "replace", "path": "/lambda/name", "value": "C"}])).ok();
    assert_eq!(replaced["lambda"]["name"], "C");
    api.json_patch(&path, &json!([{"op": "replace", "path": "/name", "value": "D"}])).errors(400);
    api.call("PATCH", &path).json_as("text/plain", &json!({})).send().errors(400);
    let old = Api::version("1.38");
    let path = format!("/api/lambda/{}", id(&old.post("/api/lambda", &body("JWTPopulate")).ok()));
    old.patch(&path, &json!({"lambda": {"debug": true}})).ok();
    old.merge_patch(&path, &json!({"lambda": {"debug": false}})).errors(400);
}

#[test]
fn a_lambda_in_use_stays() {
    let api = Api::start();
    let made = id(&api.post("/api/lambda", &body("JWTPopulate")).ok());
    let application =
        json!({"application": {"name": "A", "lambdaConfiguration": {"accessTokenPopulateId": made}}});
    let application =
        api.post("/api/application", &application).ok()["application"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/lambda/{made}");
    api.delete(&path).field_error("lambdaId", "[inUse]lambdaId");
    let off = json!([{"op": "remove", "path": "/application/lambdaConfiguration"}]);
    api.json_patch(format!("/api/application/{application}"), &off).ok();
    api.delete(&path).empty(200);
    api.delete(&path).empty(404);
    let unknown = json!({"application": {"name": "B", "lambdaConfiguration": {"idTokenPopulateId": made}}});
    api.post("/api/application", &unknown).errors(400);
}

#[test]
fn search_by_name_and_body_since_1_45() {
    let api = Api::start();
    for name in ["Alpha", "Beta", "Gamma"] {
        api.post(
            "/api/lambda",
            &json!({"lambda": {"name": name, "type": "JWTPopulate", "body": "secretword"}}),
        )
        .ok();
    }
    let search = |criteria: Value| api.post("/api/lambda/search", &json!({"search": criteria})).ok();
    let names = |found: &Value| -> Vec<String> {
        found["lambdas"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&search(json!({"body": "SECRETword"}))), ["Alpha", "Beta", "Gamma"]);
    assert_eq!(names(&search(json!({"name": "*MMA"}))), ["Gamma"]);
    assert_eq!(
        names(&search(json!({"body": "secretword", "orderBy": "name DESC", "numberOfResults": 1}))),
        ["Gamma"]
    );
    let page = search(json!({"body": "secretword", "startRow": 2}));
    assert_eq!((names(&page), &page["total"]), (vec!["Gamma".to_owned()], &json!(3)));
    api.post("/api/lambda/search", &json!({"search": {"orderBy": "body ASC"}})).errors(400);
    assert_eq!(api.get("/api/lambda/search?name=beta").ok()["total"], 1);
    Api::version("1.44").post("/api/lambda/search", &json!({"search": {}})).empty(404);
}
