//! What a careless merge or a hasty command must not break: objects that would go along with another, renames without
//! their annotation, a record that is not there, a command that does more than its name says.

use serde_json::{Value, json};

use super::scene::{Scene, manifests};
use crate::command::{shown, stderr, stdout};

fn report(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(output)))
}

fn codes(output: &std::process::Output) -> Vec<String> {
    let report = report(output);
    let errors = report["errors"].as_array().unwrap().iter();
    errors.map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

fn user(name: &'static str) -> (&'static str, &'static str, Value) {
    ("User", name, json!({ "username": name }))
}

fn entity(name: &'static str, policy: Value) -> (&'static str, &'static str, Value) {
    ("Entity", name, json!({"type": {"name": "company"}, "policy": policy}))
}

async fn entities(scene: &Scene) -> u64 {
    scene.world.get("/api/entity/search?queryString=*").await["total"].as_u64().unwrap()
}

fn applied(scene: &Scene, objects: &[(&str, &str, Value)]) {
    let file = scene.write("before.yaml", &manifests(objects));
    let output = scene.run(&["apply", "-f", &file, "--auto-approve"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_protected_let_go_or_elsewhere_does_not_go_along_with_its_type() {
    let scene = Scene::new().await;
    let company = ("EntityType", "company", json!({}));
    let kept = user("kept");
    let left = scene.write("left.yaml", &manifests(std::slice::from_ref(&kept)));
    let only_type = ["--target", "EntityType/company"];
    for (policy, more, code, overriding) in [
        // The plan lets it go, and FusionAuth would delete it with its type.
        (json!({"deletion": "Orphan"}), &[][..], "foreign-entities", true),
        // The plan is not about it.
        (json!({}), &only_type[..], "entities-elsewhere", true),
        (json!({"protect": true}), &only_type[..], "protected", false),
    ] {
        applied(&scene, &[company.clone(), entity("raviga", policy), kept.clone()]);
        let prune = [&["apply", "-f", &left, "--prune", "--auto-approve", "-o", "json"], more].concat();
        let refused = scene.run(&prune);
        assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
        assert!(codes(&refused).contains(&code.to_owned()), "{code}: {}", shown(&refused));
        assert!(report(&refused)["errors"].to_string().contains('1') || code == "protected");
        assert_eq!(entities(&scene).await, 1, "{code}");
        let allowed = scene.run(&[&prune[..], &["--allow-foreign-entities"]].concat());
        assert_eq!(allowed.status.code(), Some(if overriding { 0 } else { 3 }), "{}", shown(&allowed));
        assert_eq!(entities(&scene).await, u64::from(!overriding), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_protected_does_not_go_along_with_a_person() {
    let scene = Scene::new().await;
    let person = ("User", "gone", json!({"username": "gone", "policy": {"deletion": "Delete"}}));
    let link = (
        "IdentityProviderLink",
        "account",
        json!({"identityProvider": {"name": "Google Work"},
        "user": {"name": "gone"}, "identityProviderUserId": "1", "policy": {"protect": true}}),
    );
    applied(&scene, &[person, link, user("kept")]);
    let left = scene.write("left.yaml", &manifests(&[user("kept")]));
    let arguments = ["apply", "-f", &left, "--prune", "--target=User/gone", "--allow-hard-delete"];
    let output = scene.run(&[&arguments[..], &["--auto-approve", "-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    assert_eq!(codes(&output), ["protected"], "{}", shown(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_without_its_annotation_is_refused_for_every_kind() {
    let scene = Scene::new().await;
    let company = ("EntityType", "company", json!({"permissions": [{"name": "read"}]}));
    let body = json!({"name": "Claims", "type": "JWTPopulate", "body": "function populate() {}"});
    let raviga = json!({"name": "Raviga", "type": {"name": "company"}});
    let grant = json!({"entity": {"name": "bream"}, "user": {"name": "kept"}, "permissions": ["read"]});
    let link = json!({"identityProvider": {"name": "Google Work"}, "user": {"name": "kept"},
        "identityProviderUserId": "1"});
    let bream = ("Entity", "bream", json!({"type": {"name": "company"}}));
    let same = [company, bream, user("kept")];
    let renamed =
        [("Lambda", body), ("Entity", raviga), ("EntityGrant", grant), ("IdentityProviderLink", link)];
    let named = |name: &'static str| {
        renamed.iter().map(move |(kind, spec)| (*kind, name, spec.clone())).chain(same.clone())
    };
    applied(&scene, &named("old").collect::<Vec<_>>());
    let before = scene.world.get("/api/lambda").await;
    let file = scene.write("after.yaml", &manifests(&named("new").collect::<Vec<_>>()));
    for more in [&["--prune"][..], &[]] {
        let arguments = [&["apply", "-f", &file, "--auto-approve", "-o", "json"], more].concat();
        let output = scene.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        let report = report(&output);
        let errors = report["errors"].as_array().unwrap();
        for (kind, _) in &renamed {
            let of_kind: Vec<&Value> =
                errors.iter().filter(|error| error["address"] == format!("{kind}/new")).collect();
            let [error] = of_kind.as_slice() else { panic!("{kind}: {errors:#?}") };
            let hint = error["hint"].as_str().unwrap();
            assert!(hint.contains("fusionkeep.dev/moved-from: old"), "{kind}: {error:#}");
        }
    }
    assert_eq!(scene.world.get("/api/lambda").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adopt_takes_over_and_does_nothing_else() {
    let scene = Scene::new().await;
    let ours = ("User", "ours", json!({"username": "ours", "lastName": "Declared"}));
    applied(&scene, std::slice::from_ref(&ours));
    let users = scene.world.get("/api/user/search?queryString=*").await;
    let ours_now = users["users"].as_array().unwrap().iter().find(|user| user["username"] == "ours").unwrap();
    let id = ours_now["id"].as_str().unwrap();
    let drift = json!({"user": {"lastName": "Drifted"}});
    scene.world.request("PATCH", &format!("/api/user/{id}"), drift).await;
    let theirs = ("User", "adopted", json!({"username": "adopted"}));
    let file = scene.write("all.yaml", &manifests(&[ours, theirs, user("missing")]));
    scene.world.clear_requests().await;
    let output = scene.run(&["adopt", "-f", &file, "--auto-approve", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let report = report(&output);
    assert_eq!((&report["summary"]["adopt"], &report["summary"]["withheld"]), (&json!(1), &json!(2)));
    assert!(report["warnings"].to_string().contains("adopt only takes over"), "{report:#}");
    let requests = scene.world.get("/_sandbox/requests").await;
    let writes = requests["requests"].as_array().unwrap().iter().filter(|request| {
        request["method"] != "GET" && request["route"].as_str().unwrap().starts_with("/api/user/{userId}")
    });
    assert_eq!(writes.count(), 0, "{requests:#}");
    let plan = scene.run(&["plan", "-f", &file]);
    assert!(stdout(&plan).contains("1 to create, 1 to update, 0 to delete, 0 to adopt"), "{}", shown(&plan));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_not_there_is_told_where_it_looks_like_holding_nothing() {
    let scene = Scene::new().await;
    for command in [&["list"][..], &["destroy", "--auto-approve"], &["list", "-o", "json"]] {
        let output = scene.run(command);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        assert!(stderr(&output).contains("there is no record of the owner safety"), "{}", shown(&output));
    }
    applied(&scene, &[user("a")]);
    let output = scene.run(&["list"]);
    assert!(!stderr(&output).contains("there is no record"), "{}", shown(&output));
    // In a file there is none; in FusionAuth there is what it held.
    let record = format!("--record={}", scene.path("record.json").display());
    let file = scene.path("before.yaml").display().to_string();
    let lost = scene.run(&["plan", "-f", &file, &record]);
    assert_eq!(lost.status.code(), Some(3), "{}", shown(&lost));
    let one = "1 live object stands under an id that only this owner derives";
    assert!(stderr(&lost).contains(one), "{}", shown(&lost));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_record_file_under_two_names_is_one_record() {
    let scene = Scene::new().await;
    let (real, link) = (scene.path("record.json"), scene.path("link.json"));
    let arguments = |file: &str, record: &std::path::Path| {
        let record = format!("--record={}", record.display());
        scene.run(&["apply", "-f", file, "--auto-approve", &record])
    };
    let first = scene.write("a.yaml", &manifests(&[user("a")]));
    let output = arguments(&first, &real);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let both = scene.write("b.yaml", &manifests(&[user("a"), user("b")]));
    let output = arguments(&both, &link);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink(), "the record stands where the link leads");
    let listed = scene.run(&["list", &format!("--record={}", real.display())]);
    assert_eq!(stdout(&listed).lines().count(), 2, "{}", shown(&listed));
    assert!(scene.path("record.json.lock").exists() && !scene.path("link.json.lock").exists());
}
