//! Kickstart (wire notes §8), by files of our own in the shapes of public ones.

use std::path::{Path, PathBuf};

use fusionkeep::sandbox::{Config, Error, Sandbox};
use serde_json::{Value, json};

use super::harness::Api;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("kickstart.json")
    }
}

fn with(path: &Path) -> Config {
    Config { kickstart: Some(path.to_owned()), ..Config::default() }
}

fn start(folder: &Folder) -> Api {
    Api::with(with(&folder.path()))
}

/// A file with one unrestricted key, these variables and requests.
fn file(variables: &Value, requests: &Value) -> String {
    json!({"variables": variables, "apiKeys": [{"key": "first-key"}], "requests": requests}).to_string()
}

const TENANT: &str = "D7D09513-A3F5-401C-9685-34AB6C552453";

#[test]
fn variables_includes_and_built_ins() {
    let request = r##"{"method": "POST", "url": "api/user/registration/#{userId}", "body": {
        "user": {"email": "#{email}", "password": "#{pass.word-1}", "data": {"u": "#{UUID()}", "text": "@{texts/note.txt}",
                 "escaped": "\\#{email}", "twice": "\\\\#{email}", "freemarker": "${user.email} [#if x]"}},
        "registration": {"applicationId": "#{FUSIONAUTH_APPLICATION_ID}", "roles": ["admin"]}}}"##;
    let variables = json!({"defaultTenantId": TENANT, "userId": "#{UUID()}", "email": "a@b.io", "pass.word-1": "password"});
    let requests = json!([
        {"method": "POST", "url": "/api/key/generate/#{UUID()}", "tenantId": "#{defaultTenantId}",
         "body": {"key": {"algorithm": "RS256", "name": "Key", "length": 2048}}},
        "&{requests/user.json}",
        {"method": "POST", "url": "/api/group", "tenantId": "#{FUSIONAUTH_TENANT_ID}", "body": {"group": {"name": "g"}}},
        {"method": "PATCH", "url": "api/system-configuration", "body": {"systemConfiguration": {"corsConfiguration": {"enabled": true}}}},
    ]);
    let folder = Folder::new(&[
        ("kickstart.json", &file(&variables, &requests)),
        ("requests/user.json", request),
        ("texts/note.txt", "line 1\n\"line\" 2 of #{email}"),
    ]);
    let api = start(&folder);
    assert!(api.running.notices().is_empty(), "{:?}", api.running.notices());
    let user = api.call("GET", "/api/user?email=a@b.io").key("first-key").send().ok();
    let data = &user["user"]["data"];
    assert_eq!(data["text"], "line 1\n\"line\" 2 of a@b.io");
    assert_eq!((&data["escaped"], &data["twice"]), (&json!("#{email}"), &json!("\\#{email}")));
    assert_eq!(data["freemarker"], "${user.email} [#if x]");
    assert_eq!(data["u"].as_str().unwrap().len(), 36);
    assert_eq!(user["user"]["tenantId"], TENANT.to_lowercase());
    assert_eq!(user["user"]["registrations"][0]["roles"], json!(["admin"]));
    let login = json!({"loginId": "a@b.io", "password": "password", "applicationId": "3c219e58-ed0e-4b18-ad48-f4f92793ae32"});
    assert_eq!(api.post("/api/login", &login).status, 200);
}

#[test]
fn undefined_variables_stay_and_are_told() {
    let requests = json!([{"method": "POST", "url": "/api/application", "body": {"application": {"name": "#{nobody}"}}}]);
    let folder = Folder::new(&[("kickstart.json", &file(&json!({}), &requests))]);
    let api = start(&folder);
    assert!(
        api.running.notices().iter().any(|notice| notice.contains("#{nobody}")),
        "{:?}",
        api.running.notices()
    );
    let found = api.post("/api/application/search", &json!({"search": {"name": "#{nobody}"}})).ok();
    assert_eq!(found["total"], 1);
}

#[test]
fn a_missing_include_names_itself_and_the_rest_goes_on() {
    let requests = json!([
        {"method": "POST", "url": "/api/theme", "body": {"theme": {"name": "T", "stylesheet": "@{css/styles.css}"}}},
        "&{json/none.json}",
        {"method": "POST", "url": "/api/group", "body": {"group": {"name": "after"}}},
    ]);
    let folder = Folder::new(&[("kickstart.json", &file(&json!({}), &requests))]);
    let api = start(&folder);
    let notices = api.running.notices();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(
        notices[0].contains("kickstart.json: request 1 (POST /api/theme)")
            && notices[0].contains("@{css/styles.css}")
    );
    assert!(notices[1].contains("request 2") && notices[1].contains("json/none.json"), "{notices:?}");
    assert_eq!(api.get("/api/group/search?name=after").ok()["total"], 1);
}

#[test]
fn a_refused_request_is_told_without_its_values() {
    let requests = json!([
        {"method": "POST", "url": "/api/user", "body": {"user": {"email": "canary-value", "password": "canary-value"}}},
        {"method": "DELETE", "url": "/api/user/x"},
        {"method": "POST", "url": "/api/nowhere", "body": {}},
    ]);
    let folder = Folder::new(&[("kickstart.json", &file(&json!({}), &requests))]);
    let api = start(&folder);
    let notices = api.running.notices().join("\n");
    assert!(
        notices.contains("answered 400: [notEmail]user.email") && !notices.contains("canary-value"),
        "{notices}"
    );
    assert!(notices.contains("only POST, PUT and PATCH") && notices.contains("answered 404"), "{notices}");
}

#[test]
fn keys_have_permissions_tenants_and_ids() {
    let body = json!({
        "variables": {"tenant": "d7d09513-a3f5-401c-9685-34ab6c552453"},
        "apiKeys": [
            {"key": "super", "description": "All"},
            {"key": "reader", "permissions": {"endpoints": {"/api/group": ["GET"]}}},
            {"key": "manager", "keyManager": true, "id": "11111111-1111-4111-8111-111111111111"},
            {"key": "locked", "tenantId": "#{tenant}"},
        ],
        "requests": [{"method": "POST", "url": "/api/tenant/#{tenant}", "body": {"tenant": {"name": "Second"}}}],
    });
    let folder = Folder::new(&[("kickstart.json", &body.to_string())]);
    let api = start(&folder);
    assert!(api.running.notices().is_empty(), "{:?}", api.running.notices());
    api.call("GET", "/api/group").key("reader").send().ok();
    api.call("GET", "/api/tenant").key("reader").send().empty(401);
    let path = "/api/api-key/11111111-1111-4111-8111-111111111111";
    api.call("GET", path).key("super").send().empty(401);
    api.call("GET", path).key("manager").send().ok();
    let made =
        api.call("POST", "/api/group").key("locked").json(&json!({"group": {"name": "g"}})).send().ok();
    assert_eq!(made["group"]["tenantId"], "d7d09513-a3f5-401c-9685-34ab6c552453");
}

#[test]
fn the_first_key_must_be_unrestricted() {
    let refused = |content: &Value, given: Option<&str>| {
        let folder = Folder::new(&[("kickstart.json", &content.to_string())]);
        let config = Config { api_key: given.map(str::to_owned), ..with(&folder.path()) };
        Sandbox::start(config).err()
    };
    assert!(matches!(refused(&json!({"requests": []}), None), Some(Error::Kickstart { .. })));
    let locked = json!({"apiKeys": [{"key": "k", "tenantId": TENANT}], "requests": []});
    assert!(matches!(refused(&locked, None), Some(Error::Kickstart { .. })));
    let restricted = json!({"apiKeys": [{"key": "k", "permissions": {"endpoints": {"/api/user": ["GET"]}}}]});
    assert!(matches!(refused(&restricted, None), Some(Error::Kickstart { .. })));
    // With a key of its own the sandbox can run one without keys, and says that FusionAuth would not.
    assert!(refused(&json!({"requests": []}), Some("own")).is_none());
}

#[test]
fn what_is_no_kickstart_file_is_refused_with_its_place() {
    for content in ["{\"requests\": [} // no", "[]", "{\"variables\": []}", "{\"requests\": {}}"] {
        let folder = Folder::new(&[("kickstart.json", content)]);
        let error = Sandbox::start(with(&folder.path())).err().unwrap();
        assert!(error.to_string().contains("kickstart.json"), "{error}");
        assert!(!error.hint().is_empty());
    }
    let missing = Sandbox::start(with(Path::new("/nowhere/kickstart.json"))).err().unwrap();
    assert!(matches!(missing, Error::Read { .. }), "{missing}");
}

#[test]
fn a_byte_order_mark_before_the_json_is_passed_over() {
    let requests = json!([{"method": "POST", "url": "/api/group", "body": "&{group.json}"}]);
    let whole = format!("\u{feff}{}", file(&json!({}), &requests));
    let folder = Folder::new(&[
        ("kickstart.json", whole.as_str()),
        ("group.json", "\u{feff}{\"group\": {\"name\": \"g\"}}"),
    ]);
    let api = Api::with(with(&folder.path()));
    assert_eq!(api.running.notices(), [] as [String; 0]);
    assert_eq!(api.get("/api/group").ok()["groups"][0]["name"], "g");
}

#[test]
fn it_runs_on_an_empty_store_only() {
    let requests = json!([{"method": "POST", "url": "/api/group", "body": {"group": {"name": "g"}}}]);
    let folder = Folder::new(&[("kickstart.json", &file(&json!({"defaultTenantId": TENANT}), &requests))]);
    let store = folder.0.path().join("store.db");
    let config = Config { store: Some(store), ..with(&folder.path()) };
    let first = Api::with(config.clone());
    let (key, id) = (first.running.api_key().to_owned(), first.running.store_id());
    first.running.shutdown();
    let second = Api::with(config);
    assert_eq!((second.running.api_key(), second.running.store_id()), (key.as_str(), id));
    assert!(second.running.notices()[0].contains("not empty"));
    assert_eq!(second.get("/api/group").ok()["groups"].as_array().unwrap().len(), 1);
    assert_eq!(second.get(format!("/api/tenant/{TENANT}")).ok()["tenant"]["name"], "Default");
}

#[test]
fn the_objects_of_public_files_are_taken() {
    let variables = json!({"app": "e9fdb985-9173-4e01-9d73-ac2d60d1dc8e", "parent": "#{UUID()}", "child": "#{UUID()}",
        "family": "#{UUID()}", "theme": "#{UUID()}", "connector": "#{UUID()}", "type": "#{UUID()}", "entity": "#{UUID()}",
        "consent": "512603b1-89ed-4027-9e69-40fc275fcfd8", "lambda": "#{UUID()}", "field": "#{UUID()}", "form": "#{UUID()}"});
    let post = |url: &str, body: Value| json!({"method": "POST", "url": url, "body": body});
    let requests = json!([
        post("/api/lambda/#{lambda}", json!({"lambda": {"name": "L", "type": "JWTPopulate", "body": "x"}})),
        post("/api/application/#{app}", json!({"application": {"name": "App", "roles": [{"name": "user"}],
            "lambdaConfiguration": {"accessTokenPopulateId": "#{lambda}"},
            "oauthConfiguration": {"requireRegistration": "true", "enabledGrants": ["authorization_code"]}}})),
        post("/api/application/#{app}/scope/#{UUID()}", json!({"scope": {"name": "read", "required": true}})),
        post("/api/application/#{app}/scope", json!({"name": "accounts.read", "required": false})),
        post("/api/consent/#{consent}", json!({"consent": {"name": "C", "defaultMinimumAgeForSelfConsent": 13}})),
        post("/api/user/#{child}", json!({"user": {"email": "child@x.io", "birthDate": "2015-01-18", "password": "password"}})),
        post("/api/user/#{parent}", json!({"user": {"email": "parent@x.io", "birthDate": "1976-05-30", "password": "password"}})),
        post("api/user/registration/#{parent}", json!({"registration": {"applicationId": "#{app}"}})),
        post("api/user/family/#{family}", json!({"familyMember": {"userId": "#{parent}", "owner": true, "role": "Adult"}})),
        {"method": "PUT", "url": "api/user/family/#{family}", "body": {"familyMember": {"userId": "#{child}", "owner": false, "role": "Child"}}},
        post("/api/theme/#{theme}", json!({"theme": {"name": "T", "templates": {"index": "[#ftl/]"}}})),
        {"method": "PATCH", "url": "/api/tenant/#{FUSIONAUTH_TENANT_ID}", "body": {"tenant": {"themeId": "#{theme}",
            "connectorPolicies": [{"connectorId": "#{connector}", "domains": ["*"], "migrate": true}]}}},
        post("/api/connector/#{connector}", json!({"connector": {"name": "S", "type": "Generic", "headers": {"A": "b"}}})),
        post("/api/email/template", json!({"emailTemplate": {"name": "E", "defaultSubject": "s"}})),
        post("/api/form/field/#{field}", json!({"field": {"name": "F", "key": "user.data.x", "required": "true"}})),
        post("/api/form/#{form}", json!({"form": {"name": "Fo", "steps": [{"fields": ["#{field}"]}]}})),
        {"method": "PATCH", "url": "/api/form/#{FUSIONAUTH_FORM[adminUser]_ID}", "body": {"form": {"data": {"a": 1}}}},
        post("/api/entity/type/#{type}", json!({"entityType": {"name": "Company", "permissions": [{"name": "read"}]}})),
        post("/api/entity/#{entity}", json!({"entity": {"name": "Raviga", "type": {"id": "#{type}"}}})),
        post("/api/entity/#{entity}/grant", json!({"grant": {"userId": "#{parent}", "permissions": ["read"]}})),
        post("/api/identity-provider", json!({"identityProvider": {"type": "OpenIDConnect", "name": "I",
            "lambdaConfiguration": {"reconcileId": "#{FUSIONAUTH_LAMBDA[OpenID]_ID}"}}})),
        post("/api/webhook", json!({"webhook": {"url": "https://x", "eventsEnabled": {"user.create": true}}})),
        post("/api/user-action", json!({"userAction": {"name": "Ban"}})),
        post("/api/message/template", json!({"messageTemplate": {"name": "M", "type": "SMS"}})),
        post("/api/messenger", json!({"messenger": {"name": "M", "type": "Generic"}})),
        post("/api/ip-acl", json!({"ipAccessControlList": {"name": "A", "entries": []}})),
        post("/api/user/consent", json!({"userConsent": {"consentId": "#{consent}", "userId": "#{child}", "giverUserId": "#{parent}"}})),
        {"method": "PATCH", "url": "/api/integration", "body": {"integrations": {"kafka": {"enabled": false}}}},
        post("/api/reactor", json!({"licenseId": "x"})),
    ]);
    let folder = Folder::new(&[("kickstart.json", &file(&variables, &requests))]);
    let api = start(&folder);
    assert!(api.running.notices().is_empty(), "{:#?}", api.running.notices());
    let family = api.get("/api/user?email=child@x.io").ok()["user"]["id"].as_str().unwrap().to_owned();
    let families = api.get(format!("/api/user/family?userId={family}")).ok();
    assert_eq!(families["families"][0]["members"].as_array().unwrap().len(), 2);
}
