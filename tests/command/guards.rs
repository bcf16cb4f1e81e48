//! Each guard of a plan: exit status 3 before the first write, a message with numbers, the flag that overrides; and
//! risks, highest first.

use std::process::Output;

use serde_json::{Value, json};

use crate::command::place::report;
use crate::command::sandbox::{Served, serve};
use crate::command::state::{state, user};
use crate::command::{fusionkeep, run, shown, stderr, stdout};

struct Scene {
    served: Served,
    folder: tempfile::TempDir,
}

fn object(kind: &str, name: &str, spec: &Value) -> String {
    let object = json!({ "apiVersion": "fusionkeep.dev/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec });
    format!("---\n{object}\n")
}

fn people(count: usize, first_name: &str) -> String {
    let person = |number: usize| {
        let spec = json!({ "email": format!("p{number}@example.com"), "firstName": first_name });
        object("User", &format!("p{number}"), &spec)
    };
    (0..count).map(person).collect()
}

impl Scene {
    fn new() -> Self {
        let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
        Scene { served, folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, manifests: &str, arguments: &[&str]) -> Output {
        let path = self.folder.path().join("input.yaml");
        std::fs::write(&path, manifests).unwrap();
        self.served.run(&[arguments, &["-f", path.to_str().unwrap()]].concat())
    }

    fn apply(&self, manifests: &str, more: &[&str]) -> Output {
        self.run(manifests, &[&["apply", "--auto-approve", "-o", "json"], more].concat())
    }

    fn applied(&self, manifests: &str, more: &[&str]) {
        let output = self.apply(manifests, more);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    }

    /// The run is refused by this guard, in these words, and nothing is written; with the flags it is done.
    fn guarded(&self, manifests: &str, flags: &[&str], code: &str, says: &[&str], overriding: &[&str]) {
        let before = state(&self.served);
        for command in ["plan", "apply"] {
            let arguments = [&[command, "-o", "json"], flags].concat();
            let arguments =
                if command == "apply" { [&arguments[..], &["--auto-approve"]].concat() } else { arguments };
            let refused = self.run(manifests, &arguments);
            assert_eq!(refused.status.code(), Some(3), "{code}: {}", shown(&refused));
            let errors = report(&refused)["errors"].as_array().unwrap().clone();
            let error = errors.iter().find(|error| error["code"] == code);
            let text = error.unwrap_or_else(|| panic!("{code}: {errors:#?}")).to_string();
            for words in says {
                assert!(text.contains(words), "{code}: {words}: {text}");
            }
        }
        assert_eq!(state(&self.served), before, "{code}: nothing was written");
        self.applied(manifests, &[flags, overriding].concat());
    }
}

#[test]
fn no_input_is_refused() {
    let scene = Scene::new();
    let empty = scene.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    for command in ["plan", "apply", "adopt"] {
        for input in [&[][..], &["-f", empty]] {
            let output = scene.served.run(&[&[command], input].concat());
            assert_eq!(output.status.code(), Some(3), "{command} {input:?}: {}", shown(&output));
            assert!(stderr(&output).contains("--allow-empty"), "{}", shown(&output));
        }
    }
    assert_eq!(run(&["validate"]).status.code(), Some(3));
    // Commands that can do without manifests are not led to another target by a folder that holds nothing.
    let others = scene.folder.path().join("others.yaml");
    std::fs::write(&others, "apiVersion: v1\nkind: Service\nmetadata: { name: x }\n").unwrap();
    let secrets = scene.folder.path().join("secrets.yaml");
    std::fs::write(&secrets, "apiVersion: v1\nkind: Secret\nmetadata: { name: x }\n").unwrap();
    let (others, secrets) = (others.to_str().unwrap(), secrets.to_str().unwrap());
    for command in [
        &["validate"][..],
        &["list"],
        &["show", "User/x"],
        &["destroy", "--auto-approve"],
        &["doctor"],
        &["undo"],
        &["unlock"],
    ] {
        for input in [empty, others] {
            let run = |more: &[&str]| scene.served.run(&[command, &["-f", input], more].concat());
            let output = run(&[]);
            let told = stderr(&output).contains("--allow-empty");
            assert!(output.status.code() == Some(3) && told, "{command:?} {input}: {}", shown(&output));
            let allowed = run(&["--allow-empty"]);
            assert!(!stderr(&allowed).contains("--allow-empty"), "{command:?} {input}: {}", shown(&allowed));
        }
    }
    for arguments in [&["list"][..], &["list", "-f", secrets], &["plan", "-f", empty, "--allow-empty"]] {
        let allowed = scene.served.run(arguments);
        assert_eq!(allowed.status.code(), Some(0), "{arguments:?}: {}", shown(&allowed));
    }
}

#[test]
fn deletions_are_bounded_by_number_and_share() {
    let scene = Scene::new();
    let all = people(30, "P");
    scene.applied(&all, &[]);
    let left = people(18, "P");
    // 12 of 30: over 10, and over 20 %.
    let users = "--max-changed-users=100";
    let says = ["deletes 12 objects", "of 30", "--max-deletes 12"];
    let output = scene.run(&left, &["plan", "--prune", "-o", "json", users, "--max-deletes=5"]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let output = scene.run(&left, &["plan", "--prune", "-o", "json", users, "--max-deletes=10%"]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let few = scene.run(&people(20, "P"), &["plan", "--prune", "-o", "json", users]);
    assert_eq!(few.status.code(), Some(0), "ten may go: {}", shown(&few));
    // An instance can tighten, and its word holds whatever the flag says; it cannot loosen.
    let instance = |limit: u64| {
        object(
            "FusionAuthInstance",
            "default",
            &json!({ "url": "http://127.0.0.1:1", "owner": "sandbox", "guards": { "maxDeletes": limit } }),
        )
    };
    let tighter =
        scene.run(&format!("{left}{}", instance(3)), &["plan", "--prune", users, "--max-deletes=100"]);
    assert_eq!(tighter.status.code(), Some(3), "{}", shown(&tighter));
    assert!(stderr(&tighter).contains("the instance allows 3"), "{}", shown(&tighter));
    let looser = scene.run(&format!("{left}{}", instance(100)), &["plan", "--prune", users]);
    assert_eq!(looser.status.code(), Some(3), "{}", shown(&looser));
    scene.guarded(&left, &["--prune", users], "max-deletes", &says, &["--max-deletes=12"]);
}

#[test]
fn what_goes_by_cascade_counts() {
    let scene = Scene::new();
    let meter =
        object("EntityType", "meter", &json!({ "name": "Meter", "permissions": [{ "name": "read" }] }));
    let other = people(1, "P");
    scene.applied(&format!("{meter}{other}"), &[]);
    let types = scene.served.send("GET", "/api/entity/type", &Value::Null);
    let id =
        types["entityTypes"].as_array().unwrap().iter().find(|one| one["name"] == "Meter").unwrap()["id"]
            .clone();
    for number in 0..12 {
        let entity = json!({ "entity": { "name": format!("e{number}"), "type": { "id": id } } });
        scene.served.send("POST", "/api/entity", &entity);
    }
    let deletes = "--max-deletes=13";
    let says = ["still has 12 entities that are not owned here", "--allow-foreign-entities"];
    let refused = scene.run(&other, &["plan", "--prune", "--allow-foreign-entities", "-o", "json"]);
    assert_eq!(report(&refused)["errors"][0]["code"], "max-deletes", "{}", shown(&refused));
    assert!(stdout(&refused).contains("deletes 13 objects"), "{}", shown(&refused));
    scene.guarded(&other, &["--prune", deletes], "foreign-entities", &says, &["--allow-foreign-entities"]);
}

#[test]
fn changed_users_are_bounded() {
    let scene = Scene::new();
    scene.applied(&people(14, "P"), &[]);
    let says = ["changes 14 users", "of 14", "--max-changed-users 14"];
    scene.guarded(&people(14, "Q"), &[], "max-changed-users", &says, &["--max-changed-users=14"]);
}

#[test]
fn people_are_not_deleted_for_good_in_passing() {
    let scene = Scene::new();
    let person = |name: &str| {
        object(
            "User",
            name,
            &json!({ "email": format!("{name}@example.com"), "policy": { "deletion": "Delete" } }),
        )
    };
    scene.applied(&format!("{}{}", person("a"), person("b")), &[]);
    let says = ["deletes 1 person for good", "User/a", "--allow-hard-delete"];
    scene.guarded(&person("b"), &["--prune"], "hard-delete", &says, &["--allow-hard-delete"]);
}

#[test]
fn what_is_protected_stays_until_its_manifest_says_otherwise() {
    let scene = Scene::new();
    let person = |protect: bool| {
        object("User", "a", &json!({ "email": "a@example.com", "policy": { "protect": protect } }))
    };
    let other = people(1, "P");
    scene.applied(&format!("{}{other}", person(true)), &[]);
    let refused = scene.apply(&other, &["--prune", "--max-deletes=100"]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    let report = report(&refused);
    assert_eq!(report["errors"][0]["code"], "protected", "{report:#}");
    assert!(report["errors"][0]["hint"].as_str().unwrap().contains("policy.protect: false"), "{report:#}");
    assert_eq!(user(&scene.served, "a@example.com")["active"], true);
    scene.applied(&format!("{}{other}", person(false)), &[]);
    scene.applied(&other, &["--prune"]);
}

#[test]
fn a_tombstone_takes_protection_away_by_saying_so_alone() {
    let scene = Scene::new();
    let with = |policy: Value| {
        let of = |kind: &str, name: &str, mut spec: Value| {
            spec["policy"] = policy.clone();
            object(kind, name, &spec)
        };
        let person = of("User", "a", json!({ "email": "a@example.com" }));
        let lambda = of("Lambda", "f", json!({ "type": "JWTPopulate", "body": "function populate() {}" }));
        person + &lambda
    };
    let gone = |more: Value| {
        let mut policy = json!({ "ensure": "Absent" });
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with(policy)
    };
    let is_there = || {
        let lambdas = scene.served.send("GET", "/api/lambda", &Value::Null).to_string();
        (user(&scene.served, "a@example.com")["active"].clone(), lambdas.contains("\"f\""))
    };
    scene.applied(&with(json!({ "protect": true })), &[]);
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = scene.run(&gone(json!({})), &[command, &["-o", "json"]].concat());
        assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
        let errors = report(&refused)["errors"].as_array().unwrap().clone();
        let about: Vec<_> = errors.iter().map(|error| (&error["code"], &error["address"])).collect();
        let protected = json!("protected");
        assert_eq!(about.len(), 2, "{about:?}");
        assert!(about.iter().all(|(code, _)| **code == protected), "{about:?}");
        let hint = errors[0]["hint"].as_str().unwrap();
        assert!(hint.contains("policy.protect: false beside ensure: Absent"), "{hint}");
        assert_eq!(is_there(), (true.into(), true));
    }
    // To let go is to delete nothing.
    let orphaned = scene.run(&gone(json!({ "deletion": "Orphan" })), &["plan"]);
    assert_eq!(orphaned.status.code(), Some(0), "{}", shown(&orphaned));
    scene.applied(&gone(json!({ "protect": false })), &[]);
    assert_eq!(is_there(), (false.into(), false));
    // A declaration that no longer says it does not protect, and a tombstone after it need not say more.
    scene.applied(&with(json!({ "protect": true })), &[]);
    scene.applied(&with(json!({})), &[]);
    scene.applied(&gone(json!({})), &[]);
    assert_eq!(is_there(), (false.into(), false));
}

#[test]
fn what_is_protected_is_neither_destroyed_nor_replaced_nor_closed_by_an_undo() {
    let scene = Scene::new();
    let person = |more: Value| {
        let mut spec = json!({ "email": "a@example.com", "policy": { "protect": true } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object("User", "a", &spec)
    };
    let other = people(1, "P");
    scene.applied(&format!("{}{other}", person(json!({}))), &[]);
    let destroy = scene.served.run(&["destroy", "--auto-approve", "-o", "json", "--max-changed-users=100"]);
    assert_eq!(destroy.status.code(), Some(3), "{}", shown(&destroy));
    assert_eq!(report(&destroy)["errors"][0]["code"], "protected", "{}", shown(&destroy));
    // Another account at the provider is another link, and the one that is protected would go.
    let link = |account: &str, protect: bool| {
        let spec = json!({ "identityProvider": { "name": "Google" }, "user": { "name": "a" },
            "identityProviderUserId": account, "policy": { "protect": protect } });
        person(json!({})) + &other + &object("IdentityProviderLink", "l", &spec)
    };
    scene.applied(&link("1", true), &[]);
    let refused = scene.apply(&link("2", true), &[]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    let error = report(&refused)["errors"][0].clone();
    assert_eq!((&error["code"], &error["address"]), (&"protected".into(), &"IdentityProviderLink/l".into()));
    assert!(error["message"].as_str().unwrap().contains("replaces"), "{error:#}");
    scene.applied(&link("2", false), &[]);
    scene.applied(&(person(json!({})) + &other), &["--prune"]);
    // Somebody closed the account, a run opened it again, and that run is undone.
    let id = user(&scene.served, "a@example.com")["id"].as_str().unwrap().to_owned();
    scene.served.send("DELETE", &format!("/api/user/{id}"), &Value::Null);
    let journal = scene.folder.path().join("journal.json").display().to_string();
    let journal_flag = format!("--journal={journal}");
    scene.applied(&format!("{}{other}", person(json!({ "active": true }))), &[&journal_flag]);
    let undone = scene.served.run(&["undo", &journal, "--auto-approve", "-o", "json"]);
    assert_eq!(undone.status.code(), Some(3), "{}", shown(&undone));
    let error = report(&undone)["errors"][0].clone();
    assert_eq!((&error["code"], &error["address"]), (&"protected".into(), &"User/a".into()), "{error:#}");
    assert_eq!(user(&scene.served, "a@example.com")["active"], true);
}

#[test]
fn an_instance_tightens_every_guard_and_loosens_none() {
    let scene = Scene::new();
    let instance = |guards: Value| {
        let spec = json!({ "url": "http://127.0.0.1:1", "owner": "sandbox", "guards": guards });
        object("FusionAuthInstance", "default", &spec)
    };
    let refused = |manifests: &str, flags: &[&str]| {
        let output = scene.run(manifests, &[&["plan", "-o", "json"], flags].concat());
        assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
        report(&output)["errors"][0].clone()
    };
    let hard = |name: &str| {
        object(
            "User",
            name,
            &json!({ "email": format!("{name}@example.com"), "policy": { "deletion": "Delete" } }),
        )
    };
    scene.applied(&(people(14, "P") + &hard("a")), &[]);
    let fewer = people(14, "P");
    let admin =
        json!([{ "application": { "id": "3c219e58-ed0e-4b18-ad48-f4f92793ae32" }, "roles": ["admin"] }]);
    let admin =
        object("User", "p0", &json!({ "email": "p0@example.com", "firstName": "P", "registrations": admin }));
    let rises = people(14, "P").replacen(&people(1, "P"), &admin, 1) + &hard("a");
    let (changed, all) = (people(3, "Q"), people(14, "Q") + &hard("a"));
    for (manifests, flags, code, tightened, loosened) in [
        (
            &fewer,
            &["--prune"][..],
            "hard-delete",
            json!({ "allowHardDelete": false }),
            json!({ "allowHardDelete": true }),
        ),
        (&rises, &[], "admin-roles", json!({ "allowAdminRoles": false }), json!({ "allowAdminRoles": true })),
    ] {
        let flag = if code == "hard-delete" { "--allow-hard-delete" } else { "--allow-admin-roles" };
        let allowed = scene.run(manifests, &[&["plan", flag], flags].concat());
        assert_eq!(allowed.status.code(), Some(0), "{}", shown(&allowed));
        let error = refused(&(manifests.clone() + &instance(tightened)), &[flags, &[flag]].concat());
        assert_eq!(error["code"], code, "{error:#}");
        assert!(error["hint"].as_str().unwrap().contains("the instance forbids it"), "{error:#}");
        let error = refused(&(manifests.clone() + &instance(loosened)), flags);
        assert_eq!(error["code"], code, "{error:#}");
    }
    let error =
        refused(&(changed + &instance(json!({ "maxChangedUsers": 2 }))), &["--max-changed-users=100"]);
    assert_eq!(error["code"], "max-changed-users", "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("the instance allows 2"), "{error:#}");
    let error = refused(&(all + &instance(json!({ "maxChangedUsers": 100 }))), &[]);
    assert_eq!(error["code"], "max-changed-users", "{error:#}");
}

/// Over ten, and over a fifth: both, or it passes.
#[test]
fn many_deletions_of_very_many_objects_pass() {
    let scene = Scene::new();
    scene.applied(&people(56, "P"), &["--max-changed-users=100"]);
    let plan = |left: usize| {
        scene.run(&people(left, "P"), &["plan", "--prune", "-o", "json", "--max-changed-users=100"])
    };
    assert_eq!(plan(45).status.code(), Some(0), "eleven of fifty-six are no fifth: {}", shown(&plan(45)));
    let refused = plan(44);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    assert!(stdout(&refused).contains("deletes 12 objects"), "{}", shown(&refused));
}

#[test]
fn administration_is_not_given_in_passing() {
    let scene = Scene::new();
    let registrations =
        json!([{ "application": { "id": "3c219e58-ed0e-4b18-ad48-f4f92793ae32" }, "roles": ["admin"] }]);
    let person = object("User", "a", &json!({ "email": "a@example.com", "registrations": registrations }));
    let says = ["User/a", "the role admin", "--allow-admin-roles"];
    scene.guarded(&person, &[], "admin-roles", &says, &["--allow-admin-roles"]);
}

#[test]
fn another_url_than_the_records_needs_take_over() {
    let scene = Scene::new();
    scene.applied(&people(1, "P"), &[]);
    let url = scene.served.variable("FUSIONKEEP_URL").replace("127.0.0.1", "localhost");
    let changed = people(1, "Q");
    let plan = scene.run(&changed, &["plan", "--url", &url]);
    assert_eq!(plan.status.code(), Some(0), "{}", shown(&plan));
    assert!(stderr(&plan).contains("record-foreign"), "{}", shown(&plan));
    let refused = scene.apply(&changed, &["--url", &url]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    assert!(stderr(&refused).contains("--take-over"), "{}", shown(&refused));
    scene.applied(&changed, &["--url", &url, "--take-over"]);
}

#[test]
fn prune_and_destroy_need_a_runner_key() {
    let scene = Scene::new();
    for arguments in [&["plan", "-f", "examples/quickstart", "--prune"][..], &["destroy", "--auto-approve"]] {
        let output = fusionkeep(arguments).envs(scene.served.variables()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
        assert!(stderr(&output).contains("openssl rand -hex 32"), "{}", shown(&output));
    }
}

#[test]
fn risks_are_told_highest_first_in_every_form() {
    let scene = Scene::new();
    let app = json!({ "name": "Grid Console" });
    let person = |name: &str, more: Value| {
        let mut spec = json!({ "email": format!("{name}@example.com") });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object("User", name, &spec)
    };
    let hard = json!({ "policy": { "deletion": "Delete" } });
    let lambda = |name: &str| {
        let body = "function populate() {}";
        object("Lambda", name, &json!({ "type": "JWTPopulate", "body": body }))
    };
    let before = [
        lambda("used"),
        person("plain", json!({ "firstName": "P" })),
        person(
            "signs-in",
            json!({ "registrations": [{ "application": app, "roles": ["operator", "viewer"] }] }),
        ),
        person("leaves", json!({})),
        person("gone", hard),
        person("rises", json!({})),
    ];
    scene.applied(&before.concat(), &[]);
    let lambdas = scene.served.send("GET", "/api/lambda", &Value::Null);
    let used = lambdas["lambdas"].as_array().unwrap().iter().find(|one| one["name"] == "used").unwrap()["id"]
        .clone();
    let applications = scene.served.send("GET", "/api/application", &Value::Null);
    let applications = applications["applications"].as_array().unwrap();
    let console =
        applications.iter().find(|one| one["name"] == "Grid Console").unwrap()["id"].as_str().unwrap();
    let uses = json!({ "application": { "lambdaConfiguration": { "accessTokenPopulateId": used } } });
    scene.served.send("PATCH", &format!("/api/application/{console}"), &uses);
    let admin =
        json!([{ "application": { "id": "3c219e58-ed0e-4b18-ad48-f4f92793ae32" }, "roles": ["admin"] }]);
    let after = [
        person("plain", json!({ "firstName": "Q" })),
        person("signs-in", json!({ "registrations": [{ "application": app, "roles": ["viewer"] }] })),
        person("rises", json!({ "registrations": admin })),
    ];
    let flags = ["plan", "--prune", "--allow-hard-delete", "--allow-admin-roles", "-o"];
    let order = ["User/rises", "User/gone", "User/leaves", "User/signs-in", "Lambda/used", "User/plain"];
    let json = scene.run(&after.concat(), &[&flags[..], &["json"]].concat());
    let changes = report(&json)["changes"].as_array().unwrap().clone();
    let names: Vec<&str> = changes.iter().map(|change| change["address"].as_str().unwrap()).collect();
    assert_eq!(names, order, "{}", shown(&json));
    let risks: Vec<&str> = changes.iter().map(|change| change["risk"].as_str().unwrap()).collect();
    assert_eq!(
        risks,
        [
            "givesAdministration",
            "hardDeletesPerson",
            "deactivatesPerson",
            "breaksSignIn",
            "deletesInUse",
            "reversible"
        ]
    );
    let notes = report(&json)["warnings"].as_array().unwrap().clone();
    let in_use =
        notes.iter().find(|note| note["address"] == "Lambda/used").unwrap_or_else(|| panic!("{notes:#?}"));
    assert!(in_use["message"].as_str().unwrap().contains("Grid Console"), "{in_use}");
    for format in ["text", "markdown"] {
        let output = scene.run(&after.concat(), &[&flags[..], &[format]].concat());
        let text = stdout(&output);
        let places: Vec<usize> =
            order.iter().map(|name| text.find(name).unwrap_or_else(|| panic!("{name}: {text}"))).collect();
        assert!(places.is_sorted(), "{format}: {text}");
    }
}

/// Everything that is listed as a risk, in one plan: each is named with its reason, in every form.
#[test]
fn each_risk_is_named_with_its_reason_in_every_form() {
    let scene = Scene::new();
    let user = |name: &str, more: Value| {
        let mut spec = json!({ "email": format!("{name}@example.com") });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object("User", name, &spec)
    };
    let lambda = |name: &str, kind: &str, body: &str| {
        object("Lambda", name, &json!({ "type": kind, "body": format!("function f() {{ {body} }}") }))
    };
    let roles = |roles: &[&str]| json!({ "registrations": [{ "application": { "name": "Grid Console" }, "roles": roles }] });
    let link = |account: &str, name: &str| {
        let spec = json!({ "identityProvider": { "name": "Google" }, "user": { "name": name }, "identityProviderUserId": account });
        object("IdentityProviderLink", account, &spec)
    };
    let password = |version: u64| json!({ "password": { "secretKeyRef": { "name": "s", "key": "p" }, "version": version } });
    let company =
        |permissions: Value| object("EntityType", "company", &json!({ "permissions": permissions }));
    let entity = object("Entity", "e", &json!({ "type": { "name": "company" } }));
    let permissions = |permissions: &[&str]| {
        object(
            "EntityGrant",
            "g",
            &json!({ "entity": { "name": "e" }, "user": { "name": "reset" }, "permissions": permissions }),
        )
    };
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { p: a-password-1 }\n";
    let before = [
        user("closed", json!({})),
        user("expired", json!({})),
        user("moved", json!({ "username": "before" })),
        user("reset", password(1)),
        user("left", roles(&["operator", "viewer"])),
        user("less", roles(&["operator", "viewer"])),
        user("linked", json!({})),
        link("account", "linked"),
        lambda("of-application", "JWTPopulate", ""),
        lambda("of-tenant", "SCIMServerUserRequestConverter", ""),
        lambda("of-provider", "OpenIDReconcile", ""),
        company(json!([{ "name": "read" }, { "name": "write" }])),
        entity.clone(),
        permissions(&["read", "write"]),
        secret.to_owned(),
    ];
    scene.applied(&before.concat(), &[]);
    let named = |path: &str, list: &str, name: &str| {
        let all = scene.served.send("GET", path, &Value::Null)[list].as_array().unwrap().clone();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {all:#?}"))["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let of = |name: &str| named("/api/lambda", "lambdas", name);
    let uses = |path: String, wrapper: &str, configuration: Value| {
        scene.served.send("PATCH", &path, &json!({ wrapper: { "lambdaConfiguration": configuration } }));
    };
    let application = named("/api/application", "applications", "Grid Console");
    uses(
        format!("/api/application/{application}"),
        "application",
        json!({ "accessTokenPopulateId": of("of-application") }),
    );
    let tenant = scene.served.send("GET", "/api/tenant", &Value::Null)["tenants"][0].clone();
    let (tenant, tenant_name) = (tenant["id"].as_str().unwrap(), tenant["name"].as_str().unwrap());
    uses(format!("/api/tenant/{tenant}"), "tenant", json!({ "scimUserRequestConverterId": of("of-tenant") }));
    let provider = named("/api/identity-provider", "identityProviders", "Google");
    uses(
        format!("/api/identity-provider/{provider}"),
        "identityProvider",
        json!({ "reconcileId": of("of-provider") }),
    );

    let after = [
        user("closed", json!({ "active": false })),
        user("expired", json!({ "expiry": "2020-01-01T00:00:00Z" })),
        user("moved", json!({ "username": "after" })),
        user("reset", password(2)),
        user("left", json!({})),
        user("less", roles(&["viewer"])),
        user("linked", json!({})),
        lambda("of-application", "JWTPopulate", "1"),
        company(json!([{ "name": "read" }])),
        entity,
        permissions(&["read"]),
        secret.to_owned(),
    ];
    let notes = [
        ("User/closed", "deactivates a person".to_owned()),
        ("User/expired", "sets an expiry that has passed".to_owned()),
        ("User/moved", "changes the username to sign in with".to_owned()),
        ("User/reset", "resets the password".to_owned()),
        ("User/left", "takes away the registration for".to_owned()),
        ("User/less", "takes away the role operator".to_owned()),
        ("IdentityProviderLink/account", "takes away the last link of a user without a password".to_owned()),
        ("Lambda/of-application", "changes a lambda in use by application \"Grid Console\"".to_owned()),
        ("Lambda/of-tenant", format!("it is in use by tenant \"{tenant_name}\"")),
        ("Lambda/of-provider", "it is in use by identity provider \"Google\"".to_owned()),
        ("EntityType/company", "the permission \"write\" stands in 1 grant".to_owned()),
    ];
    for format in ["text", "json", "markdown"] {
        let plan = scene.run(&after.concat(), &["plan", "--prune", "-o", format]);
        assert_eq!(plan.status.code(), Some(0), "{}", shown(&plan));
        for (address, note) in &notes {
            let is_named = match format {
                "json" => report(&plan)["warnings"].as_array().unwrap().iter().any(|warning| {
                    warning["address"] == *address && warning["message"].as_str().unwrap().contains(note)
                }),
                _ => {
                    // Markdown escapes what could be its own.
                    let text = stdout(&plan).replace('\\', "");
                    text.lines().any(|line| line.contains(address) && line.contains(note))
                }
            };
            assert!(is_named, "{format}: {address}: {note}: {}", shown(&plan));
        }
    }
}
