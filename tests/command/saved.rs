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
