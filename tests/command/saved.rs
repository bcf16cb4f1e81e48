//! Saved plans: stale by what they touch and by nothing else, and trusted only as they were written.

use serde_json::{Value, json};

use crate::command::place::report;
use crate::command::sandbox::{Served, serve};
use crate::command::state::user;
use crate::command::{shown, stderr, stdout};

struct Saved {
    served: Served,
    folder: tempfile::TempDir,
}

impl Saved {
    /// A plan that changes Bob's first name, and another object's.
    fn new() -> Self {
        let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
        let saved = Saved { served, folder: tempfile::tempdir().unwrap() };
        let input = saved.write("input.yaml", &Saved::input("Bob", "Carol"));
        let applied = saved.served.run(&["apply", "-f", &input, "--auto-approve"]);
        assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
        let input = saved.write("input.yaml", &Saved::input("Robert", "Caroline"));
        let planned = saved.served.run(&["plan", "-f", &input, "--out", &saved.plan()]);
        assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
        saved
    }

    fn input(bob: &str, carol: &str) -> String {
        [("bob", bob), ("carol", carol)]
            .map(|(name, first)| {
                format!(
                    "---\napiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {{ name: {name} }}\n\
                     spec: {{ email: {name}@example.com, firstName: {first}, initial: {{ password: {{ secretKeyRef: {{ name: s, key: p }} }} }} }}\n"
                )
            })
            .concat()
            + "---\napiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { p: a-first-password }\n"
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn plan(&self) -> String {
        self.folder.path().join("plan.json").display().to_string()
    }

    fn apply(&self, file: &str) -> std::process::Output {
        self.served.run(&["apply", file, "--auto-approve", "-o", "json"])
    }

    fn patch(&self, email: &str, fields: &Value) {
        let id = user(&self.served, email)["id"].as_str().unwrap().to_owned();
        self.served.send("PATCH", &format!("/api/user/{id}"), &json!({ "user": fields }));
    }
}

#[test]
fn a_moved_field_is_named_before_anything_is_written() {
    let saved = Saved::new();
    saved.patch("bob@example.com", &json!({ "firstName": "Bobby" }));
    let stale = saved.apply(&saved.plan());
    assert_eq!(stale.status.code(), Some(4), "{}", shown(&stale));
    let errors = report(&stale)["errors"].to_string();
    assert!(errors.contains("User/bob") && errors.contains("firstName"), "{errors}");
    assert!(!errors.contains("User/carol"), "{errors}");
    assert_eq!(user(&saved.served, "carol@example.com")["firstName"], "Carol", "nothing was written");
}

#[test]
fn a_login_and_what_the_plan_does_not_touch_make_nothing_stale() {
    let saved = Saved::new();
    let login = json!({ "loginId": "bob@example.com", "password": "a-first-password" });
    let (status, answer) = saved.served.exchange("POST", "/api/login", &login);
    assert!((200..300).contains(&status), "{status} {answer}");
    saved.patch("bob@example.com", &json!({ "lastName": "Brandt", "data": { "theirs": 1 } }));
    let applied = saved.apply(&saved.plan());
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let bob = user(&saved.served, "bob@example.com");
    assert_eq!((&bob["firstName"], &bob["lastName"]), (&"Robert".into(), &"Brandt".into()));
}

#[test]
fn the_guards_of_apply_hold_for_a_saved_plan() {
    let saved = Saved::new();
    let apply = |more: &[&str]| {
        saved.served.run(&[&["apply", &saved.plan(), "--auto-approve", "-o", "json"], more].concat())
    };
    let instance = saved.write(
        "instance.yaml",
        "apiVersion: fusionkeep.dev/v1alpha1\nkind: FusionAuthInstance\nmetadata: { name: default }\n\
         spec: { url: 'http://127.0.0.1:1', owner: sandbox, guards: { maxChangedUsers: 1 } }\n",
    );
    for tighter in [&["--max-changed-users=1"][..], &["-f", &instance]] {
        let refused = apply(tighter);
        assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
        assert_eq!(report(&refused)["errors"][0]["code"], "max-changed-users", "{}", shown(&refused));
    }
    assert_eq!(user(&saved.served, "bob@example.com")["firstName"], "Bob", "nothing was written");
    let applied = apply(&["--max-changed-users=2"]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
}

#[test]
fn what_was_allowed_for_a_signed_plan_need_not_be_said_again() {
    let saved = Saved::new();
    let admin =
        "registrations: [{ application: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }, roles: [admin] }]";
    let text = Saved::input("Bob", "Carol").replacen("firstName: Bob", admin, 1);
    let input = saved.write("input.yaml", &text);
    let plan = saved.served.run(&["plan", "-f", &input, "--allow-admin-roles", "--out", &saved.plan()]);
    assert_eq!(plan.status.code(), Some(0), "{}", shown(&plan));
    let applied = saved.apply(&saved.plan());
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));

    // Nobody vouches for a plan that is not signed.
    let record = format!("--record={}", saved.folder.path().join("record.json").display());
    let keyless =
        |arguments: &[&str]| saved.served.command(arguments).env_remove("FUSIONKEEP_KEY").output().unwrap();
    let before = saved.write("before.yaml", &Saved::input("Bob", "Carol"));
    let adopted = keyless(&["adopt", "--override", "-f", &before, "--auto-approve", &record]);
    assert_eq!(adopted.status.code(), Some(0), "{}", shown(&adopted));
    let more = text.replace("roles: [admin]", "roles: [admin, user_manager]");
    let input = saved.write("input.yaml", &more);
    let out = saved.plan();
    let plan = keyless(&["plan", "-f", &input, "--allow-admin-roles", "--out", &out, &record]);
    assert_eq!(plan.status.code(), Some(0), "{}", shown(&plan));
    let refused = keyless(&["apply", &out, "--auto-approve", &record]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    assert!(stderr(&refused).contains("--allow-admin-roles"), "{}", shown(&refused));
    let allowed = keyless(&["apply", &out, "--auto-approve", "--allow-admin-roles", &record]);
    assert_eq!(allowed.status.code(), Some(0), "{}", shown(&allowed));
}

/// A plan of what can be taken by somebody else before it is applied.
const TAKING: &str = r#"
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: dora }
spec: { email: dora@example.com }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: EntityType
metadata: { name: meter }
spec: { name: Meter }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: IdentityProviderLink
metadata: { name: bob-google }
spec: { identityProvider: { name: Google }, user: { name: bob }, identityProviderUserId: "2" }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: bob }
spec: { email: bob@example.com }
"#;

#[test]
fn what_somebody_else_took_or_took_away_is_told_before_anything_is_written() {
    let saved = Saved::new();
    let linked = |id: &str| saved.write("input.yaml", &TAKING.replace("\"2\"", &format!("\"{id}\"")));
    let target = ["--target=User/bob", "--target=IdentityProviderLink/bob-google"];
    let linking = saved.served.run(&[&["apply", "-f", &linked("1"), "--auto-approve"][..], &target].concat());
    assert_eq!(linking.status.code(), Some(0), "{}", shown(&linking));
    let planned = saved.served.run(&["plan", "-f", &linked("2"), "--out", &saved.plan()]);
    assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
    let id = |email: &str| user(&saved.served, email)["id"].as_str().unwrap().to_owned();
    let provider = saved.served.send("GET", "/api/identity-provider", &Value::Null);
    let provider =
        provider["identityProviders"].as_array().unwrap().iter().find(|one| one["name"] == "Google");
    let provider = provider.unwrap()["id"].as_str().unwrap().to_owned();
    let link = |user: &str, account: &str| {
        let link =
            json!({ "identityProviderId": provider, "identityProviderUserId": account, "userId": user });
        saved.served.send("POST", "/api/identity-provider/link", &json!({ "identityProviderLink": link }));
    };
    let unlink = |user: &str, account: &str| {
        let query = format!("identityProviderId={provider}&identityProviderUserId={account}&userId={user}");
        saved.served.send("DELETE", &format!("/api/identity-provider/link?{query}"), &Value::Null);
    };
    let stale = |address: &str, says: &str| {
        let output = saved.apply(&saved.plan());
        assert_eq!(output.status.code(), Some(4), "{address}: {}", shown(&output));
        let errors = report(&output)["errors"].to_string();
        assert!(errors.contains(address) && errors.contains(says), "{address}: {errors}");
        assert_eq!(errors.matches("moved since").count(), 1, "{errors}");
    };
    let (bob, carol) = (id("bob@example.com"), id("carol@example.com"));

    let dora = saved.served.send("POST", "/api/user", &json!({ "user": { "email": "DORA@example.com" } }));
    stale("User/dora", "its email is held by the live User");
    let dora = dora["user"]["id"].as_str().unwrap();
    saved.served.send("DELETE", &format!("/api/user/{dora}?hardDelete=true"), &Value::Null);

    let meter = saved.served.send("POST", "/api/entity/type", &json!({ "entityType": { "name": "Meter" } }));
    stale("EntityType/meter", "its name is held by the live EntityType");
    let meter = meter["entityType"]["id"].as_str().unwrap();
    saved.served.send("DELETE", &format!("/api/entity/type/{meter}"), &Value::Null);

    link(&carol, "2");
    stale("IdentityProviderLink/bob-google", "is linked to the live User");
    unlink(&carol, "2");

    unlink(&bob, "1");
    stale("IdentityProviderLink/bob-google", "what it takes the place of is gone");
    link(&bob, "1");

    let applied = saved.apply(&saved.plan());
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
}

#[test]
fn a_part_that_stands_there_as_planned_is_not_made_twice() {
    let saved = Saved::new();
    let with = |permissions: &str| {
        let text = format!(
            "apiVersion: fusionkeep.dev/v1alpha1\nkind: EntityType\nmetadata: {{ name: meter }}\n\
             spec: {{ name: Meter, permissions: [{permissions}] }}\n"
        );
        saved.write("input.yaml", &text)
    };
    let applied = saved.served.run(&["apply", "-f", &with("{ name: read }"), "--auto-approve"]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let input = with("{ name: read }, { name: write }, { name: admin }");
    let planned = saved.served.run(&["plan", "-f", &input, "--out", &saved.plan()]);
    assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
    let types = saved.served.send("GET", "/api/entity/type", &Value::Null);
    let id =
        types["entityTypes"].as_array().unwrap().iter().find(|one| one["name"] == "Meter").unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
    let path = format!("/api/entity/type/{id}/permission");
    saved.served.send("POST", &path, &json!({ "permission": { "name": "write" } }));
    let applied = saved.apply(&saved.plan());
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let plan = saved.served.run(&["plan", "-f", &input]);
    assert!(stdout(&plan).contains("no changes: 1 object"), "{}", shown(&plan));
}

#[test]
fn only_what_was_signed_is_applied_under_a_key() {
    let saved = Saved::new();
    let text = std::fs::read_to_string(saved.plan()).unwrap();
    let refused = |name: &str, text: &str, says: &str| {
        let output = saved.apply(&saved.write(name, text));
        assert_eq!(output.status.code(), Some(3), "{name}: {}", shown(&output));
        assert!(stdout(&output).contains(says), "{name}: {}", shown(&output));
    };
    refused("altered.json", &text.replace("Robert", "Mallory"), "altered");
    refused("cut.json", &text[..text.len() / 2], "cut off");
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    plan.as_object_mut().unwrap().remove("signature");
    let unsigned = plan.to_string();
    refused("unsigned.json", &unsigned, "not signed");
    plan["schemaVersion"] = json!(0);
    refused("older.json", &plan.to_string(), "schema version 0");
    assert_eq!(user(&saved.served, "bob@example.com")["firstName"], "Bob");

    // Without a key nothing can be authenticated, which is said; the record is signed here, so it is kept in a file.
    let record = format!("--record={}", saved.folder.path().join("record.json").display());
    let input = saved.folder.path().join("input.yaml").display().to_string();
    let keyless =
        |arguments: &[&str]| saved.served.command(arguments).env_remove("FUSIONKEEP_KEY").output().unwrap();
    let adopted = keyless(&["adopt", "--override", "-f", &input, "--auto-approve", &record]);
    assert_eq!(adopted.status.code(), Some(0), "{}", shown(&adopted));
    let input = saved.write("input.yaml", &Saved::input("Rob", "Caroline"));
    let file = saved.folder.path().join("keyless.json").display().to_string();
    let planned = keyless(&["plan", "-f", &input, "--out", &file, &record]);
    assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
    let applied = keyless(&["apply", &file, "--auto-approve", &record]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    assert!(stderr(&applied).contains("plan-not-authenticated"), "{}", shown(&applied));
    assert_eq!(user(&saved.served, "bob@example.com")["firstName"], "Rob");
}
