//! Leaders that die, freeze and come back; a FusionAuth that is gone for a while; an API server that restarts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Operator, Scene};

pub const TESTS: &[Test] = &[
    ("leader::a_killed_leader_is_replaced_within_the_lease", a_killed_leader_is_replaced_within_the_lease),
    ("leader::a_frozen_leader_writes_nothing_more", a_frozen_leader_writes_nothing_more),
    ("leader::it_ends_by_sigterm_and_hands_over", it_ends_by_sigterm_and_hands_over),
    ("leader::fusionauth_comes_back", fusionauth_comes_back),
];

const ELECTION: [&str; 7] =
    ["--leader-elect", "--lease-duration", "8s", "--renew-deadline", "4s", "--retry-period", "1s"];

fn leads(operator: &Operator) -> bool {
    operator.log().contains("\"message\":\"leading\"")
}

fn two_replicas(scene: &Scene<'_>) -> (Operator, Operator) {
    let first = scene.operator(&ELECTION);
    scene.until("the first one leads", || leads(&first));
    let second = scene.operator(&ELECTION);
    scene.wait_ready("fusionauthinstance/default");
    scene.until("the second one waits", || second.log().contains("waiting for the lease"));
    (first, second)
}

fn a_killed_leader_is_replaced_within_the_lease(cluster: &Cluster) {
    let scene = Scene::new(cluster, "killed");
    scene.instance("interval: 1h");
    let (first, second) = two_replicas(&scene);
    assert!(!leads(&second));
    first.signal("KILL");
    let killed = Instant::now();
    scene.until("the second one leads", || leads(&second));
    assert!(killed.elapsed() < Duration::from_secs(13), "{:?}", killed.elapsed());
    scene.apply("User", "richard", "{email: r@piedpiper.com}");
    scene.wait_ready("user.fusionkeep.dev/richard");
}

fn a_frozen_leader_writes_nothing_more(cluster: &Cluster) {
    let scene = Scene::new(cluster, "frozen");
    scene.instance("interval: 1h");
    let (mut first, second) = two_replicas(&scene);
    for name in ["a", "b", "c", "d", "e", "f"] {
        scene.apply("User", name, &format!("{{username: {name}}}"));
    }
    first.signal("STOP");
    scene.until("the second one leads", || leads(&second));
    for name in ["a", "b", "c", "d", "e", "f"] {
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    scene.forget_requests();
    first.signal("CONT");
    let status = first.wait();
    assert!(!status.success(), "it ends, for its lease is lost");
    let writes: Vec<String> = scene
        .requests()
        .into_iter()
        .filter(|request| {
            request.contains("/api/user") && !request.starts_with("GET") && !request.ends_with("/search")
        })
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    // One of each, whoever wrote it.
    let found = scene
        .api
        .post("/api/user/search", &json!({"search": {"queryString": "*", "numberOfResults": 50}}))
        .ok();
    let names: Vec<&str> = found["users"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|user| user["username"].as_str())
        .filter(|name| name.len() == 1)
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
}

fn it_ends_by_sigterm_and_hands_over(cluster: &Cluster) {
    let scene = Scene::new(cluster, "sigterm");
    scene.instance("interval: 1h");
    let (mut first, second) = two_replicas(&scene);
    scene.apply("User", "richard", "{email: r@piedpiper.com}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    let asked = Instant::now();
    first.signal("TERM");
    assert!(first.wait().success());
    scene.until("the second one leads", || leads(&second));
    assert!(asked.elapsed() < Duration::from_secs(7), "the lease was released: {:?}", asked.elapsed());
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: R}");
    scene.until("it goes on", || scene.user("richard")["firstName"] == "R");
}

/// Rules of the sandbox for a while.
fn faults(scene: &Scene<'_>, rules: &Value) {
    scene.api.put("/_sandbox/faults", &json!({ "rules": rules })).ok();
}

fn fusionauth_comes_back(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "outage");
    let cases = [
        ("resets", json!([{"fault": "resetAfter", "method": "POST", "route": "/api/user*", "times": 2}])),
        ("limits", json!([{"fault": "tooManyRequests", "times": 4, "retryAfter": 1}])),
        ("html", json!([{"fault": "unavailable", "times": 12}])),
        ("errors", json!([{"fault": "internalError", "times": 8}])),
    ];
    for (name, rules) in &cases {
        faults(&scene, rules);
        scene.apply("User", name, &format!("{{username: outage-{name}}}"));
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    faults(&scene, &json!([]));
    let found = scene
        .api
        .post("/api/user/search", &json!({"search": {"queryString": "*", "numberOfResults": 50}}))
        .ok();
    let names = found["users"].as_array().unwrap().iter().filter_map(|user| user["username"].as_str());
    assert_eq!(
        names.filter(|name| name.starts_with("outage-")).count(),
        cases.len(),
        "no duplicate, no orphan"
    );
}
