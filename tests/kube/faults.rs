//! A FusionAuth that is slow, gone, or says no: what is declared is there in the end, once, and nobody else waits for it.

use std::time::{Duration, Instant};

use fusionkeep::sandbox::Config;
use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::harness::Api;
use crate::scene::{RUNNER_KEY, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("faults::an_outage_ends_as_if_it_had_not_been", an_outage_ends_as_if_it_had_not_been),
    ("faults::answers_that_are_lost_are_not_repeated", answers_that_are_lost_are_not_repeated),
    ("faults::a_refused_key_stalls_the_instance_once", a_refused_key_stalls_the_instance_once),
    ("faults::a_limit_is_waited_for", a_limit_is_waited_for),
    ("faults::a_dead_instance_keeps_nobody_waiting", a_dead_instance_keeps_nobody_waiting),
];

fn rules(api: &Api, rules: &Value) {
    api.put("/_sandbox/faults", &json!({ "rules": rules })).ok();
}

fn users(scene: &Scene<'_>, names: &[&str], spec: impl Fn(&str) -> String) {
    let all: String = names.iter().map(|name| manifest("User", name, &spec(name))).collect();
    let (success, said) = scene.try_apply(&all);
    assert!(success, "{said}");
}

fn user(name: &str) -> String {
    format!("user.fusionkeep.dev/{name}")
}

/// Sign-in names of all live users, sorted.
fn live(api: &Api) -> Vec<String> {
    let search = json!({"search": {"queryString": "*", "numberOfResults": 500}});
    let found = api.post("/api/user/search", &search).ok();
    let mut names: Vec<String> = found["users"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|user| user["username"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Gone for a while, then behind a proxy that serves a page of its own.
fn an_outage_ends_as_if_it_had_not_been(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "outage");
    users(&scene, &["kept", "changed", "deleted"], |name| format!("{{username: {name}, firstName: A}}"));
    ["kept", "changed", "deleted"].iter().for_each(|name| scene.wait_ready(&user(name)));
    let before = scene.get(&user("kept"))["metadata"]["resourceVersion"].clone();
    rules(&scene.api, &json!([{"fault": "resetBefore"}]));
    scene.wait_reason("fusionauthinstance/default", "Unreachable");
    // All that can happen meanwhile.
    users(&scene, &["created", "changed"], |name| format!("{{username: {name}, firstName: B}}"));
    scene.kubectl(&["delete", &user("deleted"), "--wait=false"]);
    scene.wait_reason(&user("created"), "InstanceNotReady");
    scene.wait_reason(&user("deleted"), "InstanceNotReady");
    rules(&scene.api, &json!([{"fault": "unavailable"}]));
    std::thread::sleep(Duration::from_secs(8));
    let said = scene.ready("fusionauthinstance/default");
    assert_eq!(said["status"], "False");
    assert!(!said.to_string().contains('<'), "no page of a proxy in a status: {said}");
    rules(&scene.api, &json!([]));
    scene.wait_ready("fusionauthinstance/default");
    ["kept", "created", "changed"].iter().for_each(|name| scene.wait_ready(&user(name)));
    scene.wait_gone(&user("deleted"));
    assert_eq!(live(&scene.api), ["changed", "created", "deleted", "kept"]);
    assert_eq!(scene.user("changed")["firstName"], "B");
    assert_eq!(
        scene.get(&user("kept"))["metadata"]["resourceVersion"],
        before,
        "nothing is told of what is as it was"
    );
    let log = operator.log();
    let complaints = log.lines().filter(|line| line.contains("the instance cannot be used")).count();
    assert!(complaints <= 8, "it is tried again with patience, {complaints} times");
}

/// The write is done and the answer lost, for each verb.
fn answers_that_are_lost_are_not_repeated(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "lost");
    let names: Vec<String> = (0..12).map(|n| format!("lost{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rules(&scene.api, &json!([{"fault": "resetAfter", "method": "POST", "share": 0.5}]));
    users(&scene, &names, |name| format!("{{username: {name}}}"));
    names.iter().for_each(|name| scene.wait_ready(&user(name)));
    rules(&scene.api, &json!([{"fault": "resetAfter", "method": "PATCH", "share": 0.5}]));
    users(&scene, &names, |name| format!("{{username: {name}, firstName: B}}"));
    names.iter().for_each(|name| scene.wait_ready(&user(name)));
    names.iter().for_each(|name| assert_eq!(scene.user(name)["firstName"], "B"));
    assert_eq!(live(&scene.api), names, "no duplicate, no orphan");
    rules(&scene.api, &json!([{"fault": "resetAfter", "method": "DELETE", "share": 0.5}]));
    for name in &names[..6] {
        scene.kubectl(&["delete", &user(name), "--wait=false"]);
    }
    names[..6].iter().for_each(|name| scene.wait_gone(&user(name)));
    rules(&scene.api, &json!([]));
    let search = json!({"search": {"queryString": "*", "numberOfResults": 500}});
    let found = scene.api.post("/api/user/search", &search).ok();
    let inactive = found["users"].as_array().unwrap().iter().filter(|user| user["active"] == false).count();
    assert_eq!(inactive, 6);
}

/// Every route answers 401: the instance is told, once, and its objects are not tried one by one.
fn a_refused_key_stalls_the_instance_once(cluster: &Cluster) {
    let scene = Scene::new(cluster, "refused");
    let made = json!({"apiKey": {"key": "short-lived"}});
    let key = scene.api.post("/api/api-key", &made).ok()["apiKey"]["id"].as_str().unwrap().to_owned();
    scene.secret("fusionauth", &[("api-key", "short-lived"), ("runner-key", RUNNER_KEY)]);
    scene.instance("interval: 1h");
    let _operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    let names: Vec<String> = (0..30).map(|n| format!("user{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    users(&scene, &names, |name| format!("{{username: {name}}}"));
    names.iter().for_each(|name| scene.wait_ready(&user(name)));
    assert!(scene.api.delete(format!("/api/api-key/{key}")).status < 300);
    scene.forget_requests();
    users(&scene, &names, |name| format!("{{username: {name}, firstName: B}}"));
    scene.wait_reason("fusionauthinstance/default", "KeyRefused");
    std::thread::sleep(Duration::from_secs(3));
    let count = scene.requests().len();
    assert!(count < 30, "not one call per object: {count} {:?}", scene.requests());
    names.iter().for_each(|name| drop(scene.wait_reason(&user(name), "InstanceNotReady")));
    // A new key, and all goes on.
    scene.api.post("/api/api-key", &json!({"apiKey": {"key": "new-key"}})).ok();
    scene.secret("fusionauth", &[("api-key", "new-key"), ("runner-key", RUNNER_KEY)]);
    names.iter().for_each(|name| scene.wait_ready(&user(name)));
    names.iter().for_each(|name| assert_eq!(scene.user(name)["firstName"], "B"));
}

fn a_limit_is_waited_for(cluster: &Cluster) {
    let scene = Scene::new(cluster, "limited");
    scene.instance("interval: 1h");
    let _operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    users(&scene, &["first"], |name| format!("{{username: {name}}}"));
    scene.wait_ready(&user("first"));
    let limit = json!([{"fault": "tooManyRequests", "method": "PATCH", "route": "/api/user/*", "times": 1, "retryAfter": 3}]);
    rules(&scene.api, &limit);
    scene.forget_requests();
    let asked = Instant::now();
    users(&scene, &["first"], |name| format!("{{username: {name}, firstName: B}}"));
    scene.wait_ready(&user("first"));
    assert!(asked.elapsed() >= Duration::from_secs(3), "Retry-After is heeded: {:?}", asked.elapsed());
    let patches = scene.requests().iter().filter(|request| request.starts_with("PATCH ")).count();
    assert_eq!(patches, 2, "{:?}", scene.requests());
}

fn a_dead_instance_keeps_nobody_waiting(cluster: &Cluster) {
    let scene = Scene::new(cluster, "dead");
    let slow = Api::with(Config { api_key: Some("sandbox-key".to_owned()), ..Config::default() });
    scene.instance("interval: 2s");
    let at = |name: &str, url: &str| {
        let spec = format!(
            "{{url: '{url}', owner: {name}-{}, interval: 2s, \
             apiKey: {{secretKeyRef: {{name: fusionauth, key: api-key}}}}, \
             runnerKey: {{secretKeyRef: {{name: fusionauth, key: runner-key}}}}}}",
            scene.namespace
        );
        scene.apply("FusionAuthInstance", name, &spec);
    };
    // A port on which nobody answers, though connections are taken.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_url = format!("http://{}", deaf.local_addr().unwrap());
    let _operator = scene.operator(&["--allowed-urls", &slow.running.url(), "--allowed-urls", &deaf_url]);
    at("slow", &slow.running.url());
    at("deaf", &deaf_url);
    scene.wait_ready("fusionauthinstance/default");
    scene.wait_ready("fusionauthinstance/slow");
    rules(&slow, &json!([{"fault": "latency", "milliseconds": 20_000}]));
    for n in 0..5 {
        scene.apply(
            "User",
            &format!("slow{n}"),
            &format!("{{username: slow{n}, instanceRef: {{name: slow}}}}"),
        );
        scene.apply(
            "User",
            &format!("deaf{n}"),
            &format!("{{username: deaf{n}, instanceRef: {{name: deaf}}}}"),
        );
    }
    for n in 0..5 {
        let name = format!("quick{n}");
        scene.apply("User", &name, &format!("{{username: {name}}}"));
        let asked = Instant::now();
        scene.wait_ready(&user(&name));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    // Drift is seen meanwhile, too.
    let id = scene.id(&user("quick0"));
    scene.apply("User", "quick0", "{username: quick0, firstName: A}");
    scene.wait_ready(&user("quick0"));
    scene.api.merge_patch(format!("/api/user/{id}"), &json!({"user": {"firstName": "Hand"}})).ok();
    let meddled = Instant::now();
    scene.until("the drift is corrected", || scene.user("quick0")["firstName"] == "A");
    assert!(meddled.elapsed() < Duration::from_secs(5), "within an interval: {:?}", meddled.elapsed());
    assert_ne!(scene.ready(&user("slow0"))["status"], "True");
    rules(&slow, &json!([]));
    for n in 0..5 {
        scene.wait_ready(&user(&format!("slow{n}")));
    }
}
