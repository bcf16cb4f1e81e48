//! Leaders that die, freeze, end and are robbed; a FusionAuth that is gone for a while.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Operator, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("leader::a_killed_leader_is_replaced_within_the_lease", a_killed_leader_is_replaced_within_the_lease),
    ("leader::a_frozen_leader_writes_nothing_more", a_frozen_leader_writes_nothing_more),
    ("leader::two_replicas_take_turns", two_replicas_take_turns),
    ("leader::it_ends_by_sigterm_within_its_grace", it_ends_by_sigterm_within_its_grace),
    ("leader::a_stolen_lease_ends_the_leader", a_stolen_lease_ends_the_leader),
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

/// The writes to FusionAuth of one replica after the other: who, when the first began and when the last ended, in
/// milliseconds of the sandbox's clock. A replica that writes again after another did stands there twice.
fn turns(scene: &Scene<'_>) -> Vec<(String, i64, i64)> {
    let mut turns: Vec<(String, i64, i64)> = Vec::new();
    let exchanges = scene.api.get("/_sandbox/exchanges").ok();
    for exchange in exchanges["exchanges"].as_array().unwrap() {
        let text = |name: &str| exchange[name].as_str().unwrap_or_default();
        let reads = text("method") == "GET" || text("path").ends_with("/search");
        if reads || !text("userAgent").contains("operator") {
            continue;
        }
        let began = exchange["instant"].as_i64().unwrap();
        let ended = began + exchange["micros"].as_i64().unwrap() / 1000;
        match turns.last_mut().filter(|turn| turn.0 == text("userAgent")) {
            Some(turn) => turn.2 = turn.2.max(ended),
            None => turns.push((text("userAgent").to_owned(), began, ended)),
        }
    }
    turns
}

/// Each of `count` replicas wrote in one stretch of time, and no two of these overlap.
fn no_two_write_together(scene: &Scene<'_>, count: usize) {
    let turns = turns(scene);
    assert_eq!(turns.len(), count, "one stretch a replica: {turns:#?}");
    for (one, next) in turns.iter().zip(turns.iter().skip(1)) {
        assert!(one.2 <= next.1, "a write was under way when the next replica began: {turns:#?}");
    }
}

const MANY: usize = 40;

/// Declares many users on a slow FusionAuth, and waits until some of them are there and others are under way.
fn in_the_middle_of_writing(scene: &Scene<'_>) {
    faults(scene, &json!([{"fault": "latency", "route": "/api/user/{userId}", "milliseconds": 300}]));
    let users: Vec<String> =
        (0..MANY).map(|n| manifest("User", &format!("u{n}"), &format!("{{username: u-{n}}}"))).collect();
    let (success, said) = scene.try_apply(&users.concat());
    assert!(success, "{said}");
    scene.until("some are written", || {
        scene.requests().iter().filter(|request| request.starts_with("POST /api/user/")).count() > 3
    });
}

fn all_are_there_once(scene: &Scene<'_>) {
    faults(scene, &json!([]));
    for n in 0..MANY {
        scene.wait_ready(&format!("user.fusionkeep.dev/u{n}"));
    }
    let search = json!({"search": {"queryString": "*", "numberOfResults": 500}});
    let found = scene.api.post("/api/user/search", &search).ok();
    let names = found["users"].as_array().unwrap().iter().filter_map(|user| user["username"].as_str());
    assert_eq!(names.filter(|name| name.starts_with("u-")).count(), MANY, "no duplicate, no orphan");
}

fn a_killed_leader_is_replaced_within_the_lease(cluster: &Cluster) {
    let scene = Scene::new(cluster, "killed");
    scene.instance("interval: 1h");
    let (first, second) = two_replicas(&scene);
    assert!(!leads(&second));
    in_the_middle_of_writing(&scene);
    first.signal("KILL");
    let killed = Instant::now();
    scene.until("the second one leads", || leads(&second));
    // The lease, an attempt's period and what a busy machine adds.
    assert!(killed.elapsed() < Duration::from_secs(12), "{:?}", killed.elapsed());
    all_are_there_once(&scene);
    no_two_write_together(&scene, 2);
}

fn a_frozen_leader_writes_nothing_more(cluster: &Cluster) {
    let scene = Scene::new(cluster, "frozen");
    scene.instance("interval: 1h");
    let (mut first, second) = two_replicas(&scene);
    in_the_middle_of_writing(&scene);
    first.signal("STOP");
    let frozen = Instant::now();
    scene.until("the second one leads", || leads(&second));
    assert!(frozen.elapsed() < Duration::from_secs(12), "{:?}", frozen.elapsed());
    all_are_there_once(&scene);
    first.signal("CONT");
    assert!(!first.wait().success(), "it ends, for its lease is lost");
    // Something for the second one to do after the first one woke up.
    scene.apply("User", "u0", "{username: u-0, firstName: Later}");
    scene.until("it goes on", || scene.user("u0")["firstName"] == "Later");
    no_two_write_together(&scene, 2);
}

fn two_replicas_take_turns(cluster: &Cluster) {
    let scene = Scene::new(cluster, "turns");
    scene.instance("interval: 1h");
    let (mut first, mut second) = two_replicas(&scene);
    // Asked to end in the middle of it, a replica finishes what is under way; the next one goes on at once.
    in_the_middle_of_writing(&scene);
    let asked = Instant::now();
    first.signal("TERM");
    assert!(first.wait().success());
    scene.until("the second one leads", || leads(&second));
    assert!(asked.elapsed() < Duration::from_secs(7), "the lease was released: {:?}", asked.elapsed());
    all_are_there_once(&scene);
    let third = scene.operator(&ELECTION);
    scene.until("the third one waits", || third.log().contains("waiting for the lease"));
    second.signal("TERM");
    assert!(second.wait().success());
    scene.apply("User", "u0", "{username: u-0, firstName: Third}");
    scene.until("the third one goes on", || scene.user("u0")["firstName"] == "Third");
    no_two_write_together(&scene, 3);
}

fn it_ends_by_sigterm_within_its_grace(cluster: &Cluster) {
    let scene = Scene::new(cluster, "sigterm");
    scene.instance("interval: 1h");
    let mut operator = scene.operator(&ELECTION);
    scene.wait_ready("fusionauthinstance/default");
    scene.apply("User", "warm", "{username: warm}");
    scene.wait_ready("user.fusionkeep.dev/warm");
    faults(
        &scene,
        &json!([{"fault": "latency", "method": "POST", "route": "/api/user/{userId}", "milliseconds": 2000}]),
    );
    scene.forget_requests();
    scene.apply("User", "richard", "{username: richard}");
    std::thread::sleep(Duration::from_secs(1));
    operator.signal("TERM");
    let asked = Instant::now();
    assert!(operator.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(25), "{:?}", asked.elapsed());
    let exchanges = scene.api.get("/_sandbox/exchanges").ok();
    let mut posts = exchanges["exchanges"].as_array().unwrap().iter().filter(|exchange| {
        exchange["method"] == "POST"
            && exchange["path"].as_str().unwrap().starts_with("/api/user/")
            && !exchange["path"].as_str().unwrap().ends_with("/search")
    });
    let all = &exchanges;
    assert_eq!(posts.next().unwrap_or_else(|| panic!("the write under way: {all:#}"))["status"], 200);
    assert!(posts.next().is_none());
    let lease = scene.get(&format!("lease/{}-fusionkeep", scene.namespace));
    assert_eq!(lease["spec"]["holderIdentity"].as_str().unwrap_or_default(), "", "the lease is let go");
    faults(&scene, &json!([]));
    scene.forget_requests();
    let _operator = scene.operator(&ELECTION);
    scene.wait_ready("user.fusionkeep.dev/richard");
    let again = scene.requests().into_iter().filter(|request| request.starts_with("POST /api/user/")).count();
    let searches = scene.requests().into_iter().filter(|request| request == "POST /api/user/search").count();
    assert_eq!(again, searches, "what was written is known: {:?}", scene.requests());
}

fn a_stolen_lease_ends_the_leader(cluster: &Cluster) {
    let scene = Scene::new(cluster, "stolen");
    scene.instance("interval: 1h");
    let mut operator = scene.operator(&ELECTION);
    scene.wait_ready("fusionauthinstance/default");
    let lease = format!("lease/{}-fusionkeep", scene.namespace);
    let patch = "{\"spec\": {\"holderIdentity\": \"somebody-else\"}}";
    scene.kubectl(&["patch", &lease, "--type=merge", "-p", patch]);
    let stolen = Instant::now();
    assert!(!operator.wait().success());
    assert!(stolen.elapsed() < Duration::from_secs(4), "{:?}", stolen.elapsed());
    assert_eq!(scene.get(&lease)["spec"]["holderIdentity"], "somebody-else", "it does not take it back");
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
