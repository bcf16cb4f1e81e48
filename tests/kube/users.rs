//! Users through their lives: created, changed, drifted, rotated, approved, adopted, deleted by each policy.

use serde_json::json;

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::Scene;

pub const TESTS: &[Test] = &[
    ("users::a_user_lives_and_goes", a_user_lives_and_goes),
    ("users::drift_is_reported_where_the_policy_says_so", drift_is_reported_where_the_policy_says_so),
    ("users::a_change_waits_for_its_approval", a_change_waits_for_its_approval),
    ("users::adoption_goes_by_its_policy", adoption_goes_by_its_policy),
    ("users::each_deletion_policy_does_as_it_says", each_deletion_policy_does_as_it_says),
    ("users::a_rotated_secret_is_sent_once", a_rotated_secret_is_sent_once),
    ("users::a_rotated_client_secret_is_sent_once", a_rotated_client_secret_is_sent_once),
];

const USER: &str = "user.fusionkeep.dev/richard";

fn patches(scene: &Scene<'_>) -> usize {
    scene.requests().iter().filter(|request| request.starts_with("PATCH /api/user/")).count()
}

fn a_user_lives_and_goes(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "users");
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Richard, mobilePhone: '1'}");
    scene.wait_ready(USER);
    assert_eq!(scene.user("richard")["firstName"], "Richard");
    scene.until("the creation is told", || scene.events().contains("Created richard"));

    scene.forget_requests();
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Dick, unset: [mobilePhone]}");
    scene.wait_ready(USER);
    assert_eq!(scene.user("richard")["firstName"], "Dick");
    assert!(scene.user("richard")["mobilePhone"].is_null(), "unset removes");
    assert_eq!(patches(&scene), 1, "one change is one PATCH: {:?}", scene.requests());

    let id = scene.id(USER);
    let by_hand = json!({"user": {"firstName": "Hand"}});
    scene.api.merge_patch(format!("/api/user/{id}"), &by_hand).ok();
    scene.until("the drift is corrected", || scene.user("richard")["firstName"] == "Dick");
    scene.until("it is told", || scene.events().contains("DriftCorrected richard"));
    let outcomes = scene.get(USER)["status"]["outcomes"].clone();
    let told: Vec<&str> =
        outcomes.as_array().unwrap().iter().map(|outcome| outcome["outcome"].as_str().unwrap()).collect();
    assert_eq!(told, ["DriftCorrected", "Updated", "Created"]);

    // Suspended, it is left alone; asked for, it is reconciled at once.
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Dick, suspend: true}");
    scene.api.merge_patch(format!("/api/user/{id}"), &by_hand).ok();
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(scene.user("richard")["firstName"], "Hand");
    scene.instance("interval: 1h");
    scene.wait_ready("fusionauthinstance/default");
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Dick}");
    scene.until("it is resumed", || scene.user("richard")["firstName"] == "Dick");
    scene.wait_ready(USER);
    scene.api.merge_patch(format!("/api/user/{id}"), &by_hand).ok();
    scene.annotate(USER, "fusionkeep.dev/reconcile=now");
    scene.until("it is reconciled now", || scene.user("richard")["firstName"] == "Dick");
    scene.until("the annotation is acknowledged", || {
        scene.get(USER)["status"]["lastHandledReconcileAt"] == "now"
    });

    scene.kubectl(&["delete", USER, "--wait=false"]);
    scene.wait_gone(USER);
    assert_eq!(
        scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"],
        false,
        "deactivated, not deleted"
    );
}

fn drift_is_reported_where_the_policy_says_so(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "report");
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: R, policy: {drift: Report}}");
    scene.wait_ready(USER);
    let id = scene.id(USER);
    scene.api.merge_patch(format!("/api/user/{id}"), &json!({"user": {"firstName": "canary-hand"}})).ok();
    scene.until("the drift is seen", || scene.get(USER)["status"]["drift"]["paths"] == json!(["firstName"]));
    assert_eq!(scene.user("richard")["firstName"], "canary-hand", "reported, not corrected");
    assert!(!scene.get(USER).to_string().contains("canary-hand"), "paths, no values");
    // Undone by hand, nothing differs, and nothing is said of it any more.
    scene.api.merge_patch(format!("/api/user/{id}"), &json!({"user": {"firstName": "R"}})).ok();
    scene.wait_reason(USER, "AsDeclared");
    assert!(scene.get(USER)["status"]["drift"].is_null());
    // A change of the declaration is no drift.
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: S, policy: {drift: Report}}");
    scene.until("the declaration is applied", || scene.user("richard")["firstName"] == "S");
    scene.until("the drift is gone", || scene.get(USER)["status"]["drift"].is_null());
}

fn a_change_waits_for_its_approval(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "approve");
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: R, policy: {approval: Manual}}");
    scene.wait_reason(USER, "AwaitsApproval");
    let plan = scene.get(USER)["status"]["plan"].clone();
    assert!(plan["diff"].as_str().unwrap().contains("create"), "{plan}");
    let created = |scene: &Scene<'_>| {
        scene
            .requests()
            .iter()
            .any(|request| request.starts_with("POST /api/user/") && !request.ends_with("/search"))
    };
    let approve = |name: &str, hash: &str| {
        let spec = format!("{{objectRef: {{kind: User, name: richard}}, planHash: '{hash}'}}");
        scene.apply("PlanApproval", name, &spec);
    };
    approve("wrong", "0123");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(scene.ready(USER)["reason"], "AwaitsApproval");
    // What is declared moves: so does the hash, and the old one approves nothing.
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: S, policy: {approval: Manual}}");
    scene.until("the hash moves", || scene.get(USER)["status"]["plan"]["hash"] != plan["hash"]);
    approve("old", plan["hash"].as_str().unwrap());
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!created(&scene), "{:?}", scene.requests());
    approve("right", scene.get(USER)["status"]["plan"]["hash"].as_str().unwrap());
    scene.wait_ready(USER);
    assert_eq!(scene.user("richard")["firstName"], "S");
    assert!(scene.get(USER)["status"]["plan"].is_null());
}

fn adoption_goes_by_its_policy(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "adopt");
    for name in ["never", "match", "override"] {
        let user = json!({"user": {"email": format!("{name}@piedpiper.com"), "firstName": "Live"}, "skipVerification": true});
        scene.api.post("/api/user", &user).ok();
    }
    scene.apply("User", "never", "{email: never@piedpiper.com}");
    scene.apply("User", "match", "{email: match@piedpiper.com, firstName: Live, policy: {adoption: Match}}");
    scene.apply(
        "User",
        "override",
        "{email: override@piedpiper.com, firstName: New, policy: {adoption: Override}}",
    );
    let refused = scene.wait_reason("user.fusionkeep.dev/never", "Conflict");
    assert!(refused.contains("policy.adoption"), "{refused}");
    scene.wait_ready("user.fusionkeep.dev/match");
    scene.wait_ready("user.fusionkeep.dev/override");
    assert_eq!(scene.user("override")["firstName"], "New");
    assert_eq!(scene.user("match")["firstName"], "Live");
    scene.until("the adoption is told", || scene.events().contains("Adopted match"));
}

fn each_deletion_policy_does_as_it_says(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "delete");
    scene.instance("interval: 2s, guards: {allowHardDelete: true}");
    scene.wait_ready("fusionauthinstance/default");
    let name = |policy: &str| format!("user.fusionkeep.dev/{}", policy.to_lowercase());
    for policy in ["Deactivate", "Delete", "Orphan"] {
        let spec = format!("{{username: {policy}, policy: {{deletion: {policy}}}}}");
        scene.apply("User", &policy.to_lowercase(), &spec);
    }
    scene.apply("User", "protected", "{username: protected, policy: {protect: true}}");
    for user in ["deactivate", "delete", "orphan", "protected"] {
        scene.wait_ready(&name(user));
    }
    let ids = ["deactivate", "delete", "orphan"].map(|user| scene.id(&name(user)));
    for user in ["deactivate", "delete", "orphan", "protected"] {
        scene.kubectl(&["delete", &name(user), "--wait=false"]);
    }
    for user in ["deactivate", "delete", "orphan"] {
        scene.wait_gone(&name(user));
    }
    let active = |id: &String| scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"].clone();
    assert_eq!(active(&ids[0]), false);
    assert_eq!(scene.api.get(format!("/api/user/{}", ids[1])).status, 404);
    assert_eq!(active(&ids[2]), true);
    let held = scene.wait_reason(&name("protected"), "DeletionHeld");
    assert!(held.contains("policy.protect"), "{held}");
    // The way on is the one that it says.
    scene.kubectl(&[
        "patch",
        &name("protected"),
        "--type=merge",
        "-p",
        r#"{"spec":{"policy":{"deletion":"Orphan"}}}"#,
    ]);
    scene.wait_gone(&name("protected"));
}

fn a_rotated_secret_is_sent_once(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "rotate");
    scene.secret("richard", &[("password", "canary-first-password")]);
    scene.apply(
        "User",
        "richard",
        "{email: r@piedpiper.com, password: {secretKeyRef: {name: richard, key: password}}}",
    );
    scene.wait_ready(USER);
    let login = |password: &str| {
        let body = json!({"loginId": "r@piedpiper.com", "password": password});
        scene.api.post("/api/login", &body).status
    };
    assert!((200..300).contains(&login("canary-first-password")));
    scene.forget_requests();
    scene.secret("richard", &[("password", "canary-second-password")]);
    scene.until("the new password signs in", || (200..300).contains(&login("canary-second-password")));
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(patches(&scene), 1, "an unchanged secret is never sent again: {:?}", scene.requests());
    let everything = [scene.get(USER).to_string(), scene.events(), operator.log()].concat();
    assert!(!everything.contains("canary-"), "{everything}");
    let metrics = scene.metrics(&operator);
    assert!(!metrics.contains("canary-") && metrics.contains("fusionkeep_leader 1"), "{metrics}");
}

fn a_rotated_client_secret_is_sent_once(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "client-secret");
    scene.secret("raviga", &[("client", "canary-first-client-secret")]);
    scene.apply("EntityType", "company", "{name: Company}");
    scene.apply(
        "Entity",
        "raviga",
        "{name: Raviga, type: {name: company}, clientSecret: {secretKeyRef: {name: raviga, key: client}}}",
    );
    scene.wait_ready("entity/raviga");
    let path = format!("/api/entity/{}", scene.id("entity/raviga"));
    let live = || scene.api.get(&path).ok()["entity"]["clientSecret"].clone();
    assert_eq!(live(), "canary-first-client-secret");
    scene.forget_requests();
    scene.secret("raviga", &[("client", "canary-second-client-secret")]);
    scene.until("the new client secret stands", || live() == "canary-second-client-secret");
    std::thread::sleep(std::time::Duration::from_secs(5));
    let writes: Vec<String> =
        scene.requests().into_iter().filter(|request| request.ends_with(&path)).collect();
    let writes = writes.iter().filter(|request| !request.starts_with("GET")).count();
    assert_eq!(writes, 1, "an unchanged secret is never sent again: {:?}", scene.requests());
    let outcomes = scene.get("entity/raviga")["status"]["outcomes"].clone();
    assert_eq!(outcomes[0]["outcome"], "Updated", "a rotation is nobody else's doing: {outcomes}");
    let everything = [scene.get("entity/raviga").to_string(), scene.events(), operator.log()].concat();
    assert!(!everything.contains("canary-"), "{everything}");
}
