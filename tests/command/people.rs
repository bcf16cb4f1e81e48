//! What a plan says of people and of other owners' objects: inactive ones, addresses that wait, adopted passwords.

use std::process::Output;

use serde_json::{Value, json};

use crate::command::place::report;
use crate::command::sandbox::{Served, serve};
use crate::command::state::user;
use crate::command::{shown, stdout};

struct Scene {
    served: Served,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
        Scene { served, folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, command: &str, spec: &Value, more: &[&str]) -> Output {
        let object = json!({
            "apiVersion": "fusionkeep.dev/v1alpha1", "kind": "User", "metadata": { "name": "ben" }, "spec": spec,
        });
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" },
            "stringData": { "first": "first-password", "other": "other-password" } });
        let path = self.folder.path().join("input.yaml");
        std::fs::write(&path, format!("{object}\n---\n{secret}\n")).unwrap();
        let path = path.display().to_string();
        let arguments = [&[command, "-f", &path, "-o", "json"], more].concat();
        self.served.run(&arguments)
    }

    fn apply(&self, spec: &Value, more: &[&str]) -> Value {
        let output = self.run("apply", spec, &[&["--auto-approve"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        report(&output)
    }

    fn plan(&self, spec: &Value) -> Value {
        report(&self.run("plan", spec, &[]))
    }

    fn tenant(&self) -> String {
        self.served.send("GET", "/api/tenant", &Value::Null)["tenants"][0]["id"].as_str().unwrap().to_owned()
    }

    fn signs_in(&self, password: &str) -> bool {
        let login = json!({ "loginId": "ben@example.com", "password": password });
        self.served.exchange("POST", "/api/login", &login).0 < 300
    }
}

fn codes(report: &Value, of: &str) -> Vec<String> {
    report[of].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn that_somebody_is_created_inactive_is_shown() {
    let scene = Scene::new();
    let plan = scene.plan(&json!({ "email": "ben@example.com", "active": false }));
    let fields = plan["changes"][0]["fields"].as_array().unwrap();
    let active = fields.iter().find(|field| field["path"] == "active").unwrap_or_else(|| panic!("{plan:#}"));
    assert_eq!(active["after"], false);
    let applied = scene.apply(&json!({ "email": "ben@example.com", "active": false }), &[]);
    assert_eq!(applied["summary"]["apiCalls"]["actual"], applied["summary"]["apiCalls"]["predicted"]);
    assert_eq!(user(&scene.served, "ben@example.com")["active"], false);
    assert_eq!(scene.plan(&json!({ "email": "ben@example.com", "active": false }))["changes"], json!([]));
}

#[test]
fn a_run_without_changes_says_that_it_made_no_call() {
    let scene = Scene::new();
    let (one, other) =
        (json!({"email": "ben@example.com"}), json!({"email": "ben@example.com", "firstName": "Ben"}));
    scene.apply(&one, &[]);
    let calls = |report: &Value| report["summary"]["apiCalls"].clone();
    let none = json!({"predicted": 0, "actual": 0});
    assert_eq!(calls(&scene.apply(&one, &[])), none);
    // What is declared now was there before: only the record learns of it, and one report tells that.
    scene.apply(&other, &[]);
    let equal = json!({"email": "ben@example.com", "firstName": "Ben", "policy": {"protect": true}});
    let applied = scene.apply(&equal, &[]);
    assert_eq!((calls(&applied), &applied["summary"]["unchanged"]), (none, &json!(1)));
    assert_eq!(scene.plan(&equal)["summary"]["apiCalls"]["actual"], Value::Null);
}

#[test]
fn an_address_that_waits_for_its_verification_is_pending_and_sent_once() {
    let scene = Scene::new();
    scene.apply(&json!({ "email": "ben@example.com" }), &[]);
    let settings = json!({ "tenant": { "emailConfiguration": {
        "verifyEmail": true, "verifyEmailWhenChanged": true, "implicitEmailVerificationAllowed": false } } });
    scene.served.send("PATCH", &format!("/api/tenant/{}", scene.tenant()), &settings);
    let changed = json!({ "email": "benjamin@example.com" });
    let applied = scene.apply(&changed, &[]);
    let notes = applied["warnings"].to_string();
    assert!(notes.contains("waits for its verification"), "{applied:#}");
    assert_eq!(user(&scene.served, "ben@example.com")["email"], "ben@example.com", "it waits");
    let again = scene.apply(&changed, &[]);
    assert_eq!((&again["changes"], &again["summary"]["withheld"]), (&json!([]), &json!(1)), "{again:#}");
    let third = scene.plan(&json!({ "email": "benny@example.com" }));
    assert_eq!(third["changes"][0]["fields"][0]["path"], "email", "another address is a change: {third:#}");
}

#[test]
fn an_adopted_password_is_taken_for_the_declared_one_until_that_changes() {
    let scene = Scene::new();
    let live = json!({ "user": { "email": "ben@example.com", "password": "nobody-knows-it" } });
    scene.served.send("POST", "/api/user", &live);
    let declared = |key: &str| {
        json!({ "email": "ben@example.com", "policy": { "adoption": "Match" },
            "password": { "secretKeyRef": { "name": "s", "key": key } } })
    };
    let adopted = scene.apply(&declared("first"), &[]);
    assert_eq!(adopted["summary"]["adopt"], 1, "{adopted:#}");
    assert_eq!(codes(&adopted, "warnings"), ["secret-not-compared"], "that it cannot be compared is said");
    assert!(scene.signs_in("nobody-knows-it"), "it is not sent unasked");
    let again = scene.plan(&declared("first"));
    assert_eq!((&again["changes"], codes(&again, "warnings")), (&json!([]), vec![]), "{again:#}");
    let rotated = scene.apply(&declared("other"), &[]);
    assert_eq!(rotated["changes"][0]["fields"][0]["path"], "password", "{rotated:#}");
    assert!(scene.signs_in("other-password"));
    assert_eq!(scene.plan(&declared("other"))["changes"], json!([]));
}

#[test]
fn another_owners_object_is_a_conflict_in_the_plan_however_it_was_found() {
    let scene = Scene::new();
    scene.apply(&json!({ "email": "ben@example.com" }), &["--owner=first"]);
    for adoption in ["Never", "Match", "Override"] {
        let spec = json!({ "email": "ben@example.com", "policy": { "adoption": adoption } });
        let plan = scene.run("plan", &spec, &["--owner=second"]);
        assert_eq!(plan.status.code(), Some(1), "{adoption}: {}", shown(&plan));
        let plan = report(&plan);
        assert_eq!(codes(&plan, "errors"), ["claimed-by-another-owner"], "{plan:#}");
        let error = &plan["errors"][0];
        assert!(error["message"].as_str().unwrap().contains("first"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("--from-owner first"), "{error}");
    }
    let spec = json!({ "email": "ben@example.com" });
    let taken = scene.run("adopt", &spec, &["--owner=second", "--from-owner=first", "--auto-approve"]);
    assert_eq!(taken.status.code(), Some(0), "{}", shown(&taken));
    let show = scene.served.run(&["show", "User/ben", "--owner=second", "-o", "json"]);
    let show: Value = serde_json::from_str(&stdout(&show)).unwrap();
    assert_eq!(show["takenFrom"], "first", "{show:#}");
    assert_eq!(stdout(&scene.served.run(&["list", "--owner=first"])), "", "the first owner lets go");
}
