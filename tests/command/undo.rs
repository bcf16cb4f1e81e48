//! `fusionkeep undo`: what a run did is put back, what cannot be is told, and the same guards hold.

use std::path::PathBuf;

use serde_json::Value;

use crate::command::place::report;
use crate::command::sandbox::{Served, serve};
use crate::command::state::{state, user};
use crate::command::{shown, stderr, stdout};

/// A served sandbox, a folder of manifests and one of journals.
struct Scene {
    served: Served,
    folder: tempfile::TempDir,
}

const PEOPLE: &str = r#"
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: alice }
spec:
  email: alice@example.com
  firstName: Alice
  data: { team: one }
  registrations: [{ application: { name: Grid Console }, roles: [operator] }]
---
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: bob }
spec: { email: bob@example.com, firstName: Bob }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: carol }
spec: { email: carol@example.com }
"#;

const THINGS: &str = r#"
apiVersion: fusionkeep.dev/v1alpha1
kind: EntityType
metadata: { name: meter }
spec: { name: Meter, permissions: [{ name: read }, { name: write }] }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: Entity
metadata: { name: hall }
spec: { name: Hall, type: { name: meter }, data: { floor: "1" } }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: EntityGrant
metadata: { name: alice-hall }
spec: { entity: { name: hall }, user: { name: alice }, permissions: [read] }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: Lambda
metadata: { name: claims }
spec: { name: Claims, type: JWTPopulate, body: "function populate(jwt, user, registration) { jwt.a = 1; }" }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: IdentityProviderLink
metadata: { name: alice-google }
spec: { identityProvider: { name: Google }, user: { name: alice }, identityProviderUserId: "4711", initial: { displayName: Al } }
"#;

impl Scene {
    fn new() -> Self {
        let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
        let scene = Scene { served, folder: tempfile::tempdir().unwrap() };
        scene.declare(PEOPLE, THINGS);
        scene
    }

    /// With everything applied.
    fn applied() -> Self {
        let scene = Scene::new();
        scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifests(&self) -> String {
        self.path("manifests").display().to_string()
    }

    fn declare(&self, people: &str, things: &str) {
        std::fs::create_dir_all(self.manifests()).unwrap();
        std::fs::write(self.path("manifests/people.yaml"), people).unwrap();
        std::fs::write(self.path("manifests/things.yaml"), things).unwrap();
    }

    fn run(&self, command: &str, arguments: &[&str]) -> std::process::Output {
        let mut command = self.served.command(&[&[command], arguments].concat());
        command.env("FUSIONKEEP_JOURNAL_DIR", self.path("journals")).output().unwrap()
    }

    /// A run that must succeed; its journal.
    fn done(&self, command: &str, arguments: &[&str]) -> PathBuf {
        let output = self.run(command, arguments);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        let said = stderr(&output);
        let line = said.lines().find_map(|line| line.strip_prefix("journal: "));
        PathBuf::from(line.unwrap_or_else(|| panic!("no journal: {}", shown(&output))))
    }

    /// Applies what is declared now, undoes it, and gives the undo's JSON report.
    fn applied_and_undone(&self, more: &[&str]) -> Value {
        let manifests = self.manifests();
        self.done("apply", &[&["-f", &manifests, "--auto-approve"], more].concat());
        let output = self.run("undo", &["--auto-approve", "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        report(&output)
    }
}

fn cannot(report: &Value) -> Vec<(String, String)> {
    let warnings = report["warnings"].as_array().unwrap().iter();
    let text = |warning: &Value, name: &str| warning[name].as_str().unwrap_or_default().to_owned();
    warnings
        .filter(|warning| warning["code"] == "cannot-undo")
        .map(|warning| (text(warning, "address"), text(warning, "message")))
        .collect()
}

#[test]
fn an_update_of_everything_is_put_back() {
    let scene = Scene::applied();
    let before = state(&scene.served);
    let people = PEOPLE
        .replace("firstName: Alice", "firstName: Alicia\n  lastName: Arnold")
        .replace("team: one", "team: two, desk: x")
        .replace("roles: [operator]", "roles: [admin]")
        .replace("firstName: Bob", "firstName: Bob, registrations: [{ application: { name: Field App } }]");
    let things = THINGS
        .replace("floor: \"1\"", "floor: \"2\"")
        .replace("permissions: [read]", "permissions: [read, write]")
        .replace("jwt.a = 1", "jwt.a = 2")
        .replace("{ name: write }]", "{ name: write, description: Writes }, { name: admin }]");
    scene.declare(&people, &things);
    let report = scene.applied_and_undone(&[]);
    assert_eq!(state(&scene.served), before, "{report:#}");
    assert_eq!(cannot(&report), vec![]);
    scene.declare(PEOPLE, THINGS);
    let plan = scene.run("plan", &["-f", &scene.manifests()]);
    assert!(stdout(&plan).contains("no changes"), "{}", shown(&plan));
    let again = scene.run("undo", &["--auto-approve"]);
    assert_eq!(again.status.code(), Some(0), "{}", shown(&again));
    assert_ne!(state(&scene.served), before, "to undo an undo makes the change again");
}

#[test]
fn what_was_deleted_comes_back_as_far_as_it_can() {
    let scene = Scene::new();
    let for_good = "email: carol@example.com, policy: { deletion: Delete }";
    scene.declare(&PEOPLE.replace("email: carol@example.com", for_good), THINGS);
    scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let before = state(&scene.served);
    let people = PEOPLE.split("---").next().unwrap();
    scene.declare(people, "");
    let manifests = scene.manifests();
    let flags =
        ["--prune", "--allow-hard-delete", "--max-deletes=100", "--max-changed-users=100", "--auto-approve"];
    scene.done("apply", &[&["-f", &manifests], &flags[..]].concat());
    assert_eq!(user(&scene.served, "bob@example.com")["active"], false);

    let output = scene.run("undo", &["--auto-approve", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let mut after = state(&scene.served);
    let report = report(&output);
    assert_eq!(user(&scene.served, "bob@example.com")["active"], true, "a deactivated person is reactivated");
    let told = cannot(&report);
    let says = |address: &str, what: &str| told.iter().any(|(at, why)| at == address && why.contains(what));
    assert!(says("User/carol", "the deletion of a person"), "{told:?}");
    assert!(says("Entity/hall", "client secret"), "{told:?}");
    assert!(says("IdentityProviderLink/alice-google", "last login"), "{told:?}");
    // Carol is gone for good, and with her nothing else.
    let mut before = before;
    let is_carol = |user: &Value| user["email"] == "carol@example.com";
    before["users"].as_array_mut().unwrap().retain(|user| !is_carol(user));
    for state in [&mut before, &mut after] {
        state["links"]
            .as_array_mut()
            .unwrap()
            .retain(|links| links["identityProviderLinks"] != Value::Array(vec![]));
    }
    assert_eq!(after, before);
}

#[test]
fn what_was_created_goes_and_people_are_deactivated() {
    let scene = Scene::new();
    let before = state(&scene.served);
    let report = scene.applied_and_undone(&[]);
    assert_eq!(report["summary"]["delete"], 8, "{report:#}");
    let mut after = state(&scene.served);
    // They stay, and may not sign in.
    for email in ["alice@example.com", "bob@example.com", "carol@example.com"] {
        assert_eq!(user(&scene.served, email)["active"], false, "{email}");
    }
    let users = after["users"].as_array_mut().unwrap();
    users.retain(|user| user["active"] == true);
    after["links"] = before["links"].clone();
    assert_eq!(after, before);
    assert!(
        cannot(&report).iter().any(|(at, why)| at == "User/alice" && why.contains("account itself stays"))
    );
}

#[test]
fn what_was_adopted_is_let_go_and_what_was_renamed_is_named_again() {
    let scene = Scene::new();
    let ben = serde_json::json!({ "user": { "email": "ben@example.com", "firstName": "Ben" } });
    scene.served.send("POST", "/api/user", &ben);
    let person = "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: ben }\n\
                  spec: { email: ben@example.com, firstName: NAME, policy: { adoption: Override } }\n";
    scene.declare(&person.replace("NAME", "Benjamin"), "");
    let report = scene.applied_and_undone(&[]);
    assert_eq!(report["summary"]["update"], 1, "{report:#}");
    assert_eq!(user(&scene.served, "ben@example.com")["firstName"], "Ben");
    assert_eq!(stdout(&scene.run("list", &[])), "", "it is let go");

    scene.declare(&person.replace("NAME", "Ben"), "");
    let report = scene.applied_and_undone(&[]);
    assert_eq!(report["changes"][0]["action"], "delete", "{report:#}");
    assert_eq!(
        report["summary"]["apiCalls"]["actual"], 0,
        "nothing is written to what was adopted as it was"
    );
    assert_eq!(user(&scene.served, "ben@example.com")["active"], true);
    assert_eq!(stdout(&scene.run("list", &[])), "");

    scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let moved = person
        .replace("NAME", "Ben")
        .replace("{ name: ben }", "{ name: benjamin, annotations: { fusionkeep.dev/moved-from: ben } }");
    scene.declare(&moved, "");
    scene.applied_and_undone(&[]);
    assert!(stdout(&scene.run("list", &[])).contains("User/ben "), "{}", stdout(&scene.run("list", &[])));
}

#[test]
fn what_others_changed_since_stays_and_is_told() {
    let scene = Scene::applied();
    scene.declare(&PEOPLE.replace("firstName: Bob", "firstName: Robert, lastName: Brandt"), THINGS);
    scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let id = user(&scene.served, "bob@example.com")["id"].as_str().unwrap().to_owned();
    let by_hand = serde_json::json!({ "user": { "firstName": "Bobby" } });
    scene.served.send("PATCH", &format!("/api/user/{id}"), &by_hand);
    let plan = scene.run("undo", &["-o", "markdown"]);
    assert_eq!(plan.status.code(), Some(3), "there is no terminal to ask at: {}", shown(&plan));
    let output = scene.run("undo", &["--auto-approve", "-o", "json"]);
    let report = report(&output);
    assert!(cannot(&report).contains(&("User/bob".into(), "firstName".into())), "{report:#}");
    let bob = user(&scene.served, "bob@example.com");
    assert_eq!((&bob["firstName"], &bob["lastName"]), (&"Bobby".into(), &Value::Null));
    let text = scene.run("undo", &["--auto-approve"]);
    assert_eq!(text.status.code(), Some(0), "{}", shown(&text));
}

#[test]
fn a_password_cannot_be_put_back_and_is_not_forgotten() {
    let scene = Scene::new();
    let person = "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: ben }\n\
                  spec: { email: ben@example.com, firstName: NAME, password: { secretKeyRef: { name: s, key: p } } }\n\
                  ---\napiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { p: PASSWORD }\n";
    let declare = |name: &str, password: &str| {
        scene.declare(&person.replace("NAME", name).replace("PASSWORD", password), "");
    };
    declare("Ben", "first-canary-password");
    scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    declare("Benjamin", "other-canary-password");
    let report = scene.applied_and_undone(&[]);
    assert!(cannot(&report).contains(&("User/ben".into(), "password".into())), "{report:#}");
    // The record knows the password that the server has, so that the former one is a change again.
    declare("Ben", "first-canary-password");
    let plan = scene.run("plan", &["-f", &scene.manifests(), "-o", "json"]);
    let plan = crate::command::place::report(&plan);
    assert_eq!(plan["changes"][0]["fields"][0]["path"], "password", "{plan:#}");
    for file in std::fs::read_dir(scene.path("journals")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("canary-password"), "no secret stands in a journal");
    }
}

#[test]
fn the_guards_of_every_plan_hold() {
    let scene = Scene::new();
    let people: String = (0..12)
        .map(|number| format!("---\napiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {{ name: p{number} }}\nspec: {{ email: p{number}@example.com }}\n"))
        .collect();
    scene.declare(&people, "");
    let journal = scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let journal = journal.to_str().unwrap();
    let refused = scene.run("undo", &[journal, "--auto-approve", "-o", "json"]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    let codes: Vec<Value> =
        report(&refused)["errors"].as_array().unwrap().iter().map(|error| error["code"].clone()).collect();
    assert!(codes.contains(&"max-deletes".into()), "{codes:?}");
    let flags = ["--max-deletes=12", "--max-changed-users=12", "--auto-approve"];
    let held = scene.run("undo", &[&[journal], &flags[..]].concat());
    assert_eq!(held.status.code(), Some(0), "{}", shown(&held));

    scene.declare(
        &PEOPLE.replace("email: bob@example.com", "email: bob@example.com, policy: { deletion: Delete }"),
        THINGS,
    );
    let journal = scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let refused = scene.run("undo", &[journal.to_str().unwrap(), "--auto-approve", "-o", "json"]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    assert!(stdout(&refused).contains("--allow-hard-delete"), "{}", shown(&refused));
}

#[test]
fn a_journal_that_is_not_this_runs_own_is_refused() {
    let scene = Scene::applied();
    let journal = std::fs::read_dir(scene.path("journals")).unwrap().next().unwrap().unwrap().path();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&journal).unwrap();
    let refused = |name: &str, text: &str, says: &str| {
        let path = scene.path(name);
        std::fs::write(&path, text).unwrap();
        let output = scene.run("undo", &[path.to_str().unwrap(), "--auto-approve"]);
        assert_eq!(output.status.code(), Some(3), "{name}: {}", shown(&output));
        assert!(stderr(&output).contains(says), "{name}: {}", shown(&output));
    };
    refused("cut", &text[..text.len() / 2], "is cut off");
    refused("altered", &text.replace("alice@example.com", "mallory@example.com"), "was altered");
    refused("newer", &text.replace("\"version\":1", "\"version\":2"), "has version 2");
    refused("other", "{}", "is no journal");
    let path = journal.to_str().unwrap();
    let owner = scene.run("undo", &[path, "--owner=somebody-else", "--auto-approve"]);
    assert_eq!(owner.status.code(), Some(3), "{}", shown(&owner));
    assert!(stderr(&owner).contains("owner sandbox"), "{}", shown(&owner));
    let key = scene
        .served
        .command(&["undo", path, "--auto-approve"])
        .env("FUSIONKEEP_KEY", "k".repeat(40))
        .output();
    let key = key.unwrap();
    assert_eq!(key.status.code(), Some(3), "{}", shown(&key));
    let other = Scene::new();
    let elsewhere = other.run("undo", &[path, "--auto-approve"]);
    assert_eq!(elsewhere.status.code(), Some(3), "{}", shown(&elsewhere));
    let none = other.run("undo", &["--auto-approve"]);
    assert_eq!(none.status.code(), Some(1), "{}", shown(&none));
    assert!(stderr(&none).contains("there is no journal"), "{}", shown(&none));
    // --journal FILE is where it goes, and what is given back.
    let chosen = scene.path("chosen.json");
    scene.declare(&PEOPLE.replace("firstName: Bob", "firstName: Rob"), THINGS);
    let chosen_flag = format!("--journal={}", chosen.display());
    assert_eq!(scene.done("apply", &["-f", &scene.manifests(), "--auto-approve", &chosen_flag]), chosen);
    let undone = scene.run("undo", &[chosen.to_str().unwrap(), "--auto-approve"]);
    assert_eq!(undone.status.code(), Some(0), "{}", shown(&undone));
    assert_eq!(user(&scene.served, "bob@example.com")["firstName"], "Bob");
}

#[test]
fn a_target_undoes_its_own_change_and_no_other() {
    let scene = Scene::applied();
    let people =
        PEOPLE.replace("firstName: Alice", "firstName: Alicia").replace("firstName: Bob", "firstName: Rob");
    scene.declare(&people, THINGS);
    let journal = scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let unknown = scene.run("undo", &["--target=User/carol", "--auto-approve"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", shown(&unknown));
    assert!(stderr(&unknown).contains("the journal has no User/carol"), "{}", shown(&unknown));
    scene.done("undo", &[&journal.display().to_string(), "--target=User/alice", "--auto-approve"]);
    let first = |name: &str| user(&scene.served, name)["firstName"].clone();
    assert_eq!((first("alice@example.com"), first("bob@example.com")), ("Alice".into(), "Rob".into()));
}

#[test]
fn a_change_of_key_is_undone_and_done_again() {
    let scene = Scene::applied();
    let before = state(&scene.served);
    scene.declare(PEOPLE, &THINGS.replace("\"4711\"", "\"4712\""));
    scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let after = state(&scene.served);
    for wanted in [&before, &after, &before] {
        let output = scene.run("undo", &["--auto-approve", "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        assert_eq!(&state(&scene.served), wanted, "{}", shown(&output));
        assert_eq!(report(&output)["changes"][0]["risk"], "breaksSignIn");
    }
    scene.declare(PEOPLE, THINGS);
    let plan = scene.run("plan", &["-f", &scene.manifests()]);
    assert!(stdout(&plan).contains("no changes"), "{}", shown(&plan));
}

#[test]
fn a_grant_comes_back_after_the_permission_that_it_names() {
    let scene = Scene::applied();
    let before = state(&scene.served);
    let things: String = THINGS
        .split("---")
        .filter(|document| !document.contains("EntityGrant"))
        .collect::<Vec<_>>()
        .join("---")
        .replace("{ name: read }, ", "");
    scene.declare(PEOPLE, &things);
    let report = scene.applied_and_undone(&["--prune"]);
    assert_eq!(state(&scene.served), before, "{report:#}");
}

#[test]
fn what_a_person_of_the_run_keeps_is_told_and_the_rest_is_undone() {
    let scene = Scene::applied();
    let named = |bob: &str, more: &str| {
        let people =
            PEOPLE.replace("email: bob@example.com", &format!("email: bob@example.com, username: {bob}"));
        scene.declare(&format!("{people}{more}"), THINGS);
    };
    named("bobby", "");
    scene.done("apply", &["-f", &scene.manifests(), "--auto-approve"]);
    let dora = "---\napiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: dora }\n\
                spec: { username: bobby, email: dora@example.com }\n";
    named("robert", dora);
    let report = scene.applied_and_undone(&[]);
    assert!(cannot(&report).contains(&("User/bob".to_owned(), "the whole change".to_owned())), "{report:#}");
    assert_eq!(user(&scene.served, "dora@example.com")["active"], false, "{report:#}");
    assert_eq!(user(&scene.served, "bob@example.com")["username"], "robert", "{report:#}");
}
