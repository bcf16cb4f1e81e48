//! An API server and an etcd that go and come back, on a cluster of this test's own: the operator recovers without a crash,
//! writes nothing twice, and lets nothing be lost.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Operator, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("restarts::finalizers_are_released_without_an_operator", finalizers_are_released_without_an_operator),
    ("restarts::the_api_server_and_etcd_come_back", the_api_server_and_etcd_come_back),
    (
        "restarts::a_leader_that_cannot_renew_ends_and_writes_no_more",
        a_leader_that_cannot_renew_ends_and_writes_no_more,
    ),
];

fn usernames(scene: &Scene<'_>) -> Vec<String> {
    let search = json!({"search": {"queryString": "*", "numberOfResults": 500}});
    let found = scene.api.post("/api/user/search", &search).ok();
    let names = found["users"].as_array().unwrap().iter().filter_map(|user| user["username"].as_str());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("r-")).map(str::to_owned).collect();
    names.sort();
    names
}

/// Declares users and, while FusionAuth is slow with them, has something happen to the cluster; then all are there.
fn survives(scene: &Scene<'_>, operator: &mut Operator, round: &str, happens: impl FnOnce()) {
    let slow = json!({"rules": [{"fault": "latency", "route": "/api/user/{userId}", "milliseconds": 200}]});
    scene.api.put("/_sandbox/faults", &slow).ok();
    let names: Vec<String> = (0..30).map(|n| format!("{round}{n}")).collect();
    let users: Vec<String> =
        names.iter().map(|name| manifest("User", name, &format!("{{username: r-{name}}}"))).collect();
    let (success, said) = scene.try_apply(&users.concat());
    assert!(success, "{said}");
    happens();
    scene.api.put("/_sandbox/faults", &json!({"rules": []})).ok();
    for name in &names {
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    let found: Vec<String> =
        usernames(scene).into_iter().filter(|name| name.starts_with(&format!("r-{round}"))).collect();
    assert_eq!(found.len(), names.len(), "each once: {found:?}");
    // What is applied, drifts and goes after it is seen as before it.
    let first = format!("user.fusionkeep.dev/{round}0");
    let id = scene.id(&first);
    scene.apply("User", &format!("{round}0"), &format!("{{username: r-{round}0, firstName: New}}"));
    scene.until("a change is seen", || scene.user(&format!("{round}0"))["firstName"] == "New");
    let by_hand = json!({"user": {"firstName": "Hand"}});
    scene.api.merge_patch(format!("/api/user/{id}"), &by_hand).ok();
    scene.until("drift is seen", || scene.user(&format!("{round}0"))["firstName"] == "New");
    scene.kubectl(&["delete", "--wait=false", &first]);
    scene.wait_gone(&first);
    assert_eq!(scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"], false);
    assert!(operator.child.try_wait().unwrap().is_none(), "the operator is the same process");
}

fn the_api_server_and_etcd_come_back(_: &Cluster) {
    let cluster = Cluster::start();
    let scene = Scene::new(&cluster, "restarts");
    scene.instance("interval: 2s");
    // With a lease that outlasts the outage, as the default does an upgrade of the API server.
    let mut operator = scene.operator(&["--leader-elect"]);
    scene.wait_ready("fusionauthinstance/default");
    survives(&scene, &mut operator, "a", || cluster.restart_apiserver(Duration::from_secs(2)));
    survives(&scene, &mut operator, "b", || cluster.restart_etcd(Duration::from_secs(2)));
    // Frozen, with the connections open: nobody is told of the end.
    survives(&scene, &mut operator, "c", || {
        cluster.signal_apiserver("STOP");
        std::thread::sleep(Duration::from_secs(6));
        cluster.signal_apiserver("CONT");
    });
    assert_eq!(usernames(&scene).len(), 90, "no duplicate, no orphan");
    assert!(!operator.log().contains("panicked"));
}

fn a_leader_that_cannot_renew_ends_and_writes_no_more(_: &Cluster) {
    let cluster = Cluster::start();
    let scene = Scene::new(&cluster, "unrenewed");
    scene.instance("interval: 1s");
    let election =
        ["--leader-elect", "--lease-duration", "8s", "--renew-deadline", "4s", "--retry-period", "1s"];
    let mut operator = scene.operator(&election);
    scene.wait_ready("fusionauthinstance/default");
    scene.apply("User", "richard", "{username: r-richard, firstName: Richard}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    let id = scene.id("user.fusionkeep.dev/richard");
    cluster.signal_apiserver("STOP");
    let frozen = Instant::now();
    assert!(!operator.wait().success(), "it ends, for it cannot know whether it leads");
    assert!(frozen.elapsed() < Duration::from_secs(8), "before another could lead: {:?}", frozen.elapsed());
    scene.forget_requests();
    let by_hand = json!({"user": {"firstName": "Hand"}});
    scene.api.merge_patch(format!("/api/user/{id}"), &by_hand).ok();
    std::thread::sleep(Duration::from_secs(3));
    let user = scene.api.get(format!("/api/user/{id}")).ok();
    assert_eq!(user["user"]["firstName"], "Hand", "nobody leads, nobody writes");
    cluster.signal_apiserver("CONT");
    let _next = scene.operator(&election);
    scene.until("the next one corrects it", || scene.user("richard")["firstName"] == "Richard");
    assert_eq!(usernames(&scene), ["r-richard"]);
}

fn finalizers_are_released_without_an_operator(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "release");
    scene.apply("User", "richard", "{username: r-richard}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    let id = scene.id("user.fusionkeep.dev/richard");
    drop(operator);
    scene.kubectl(&["delete", "--wait=false", "user.fusionkeep.dev/richard"]);
    assert!(!scene.get("user.fusionkeep.dev/richard").is_null(), "without an operator the deletion waits");
    scene.forget_requests();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
        .args(["operator", "release-finalizers", "--namespace", &scene.namespace])
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("/richard") && said.contains("/default"), "{said}");
    scene.wait_gone("user.fusionkeep.dev/richard");
    assert!(scene.requests().is_empty(), "FusionAuth is not asked: {:?}", scene.requests());
    assert_eq!(scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"], true);
}
