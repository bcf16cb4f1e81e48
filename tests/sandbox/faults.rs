//! Injected faults: every kind, where it strikes, and that a seed repeats.

use std::time::{Duration, Instant};

use fusionkeep::sandbox::{Config, Error, Sandbox};
use serde_json::{Value, json};

use super::harness::Api;

fn with(rules: Value) -> Api {
    let api = Api::start();
    set(&api, rules);
    api
}

fn set(api: &Api, rules: Value) {
    api.call("PUT", "/_sandbox/faults").anonymous().json(&json!({ "rules": rules })).send().ok();
}

fn group(api: &Api, name: &str) -> super::harness::Answer {
    api.post("/api/group", &json!({"group": {"name": name}}))
}

fn exists(api: &Api, name: &str) -> bool {
    api.call("DELETE", "/_sandbox/faults").send().empty(200);
    api.get(format!("/api/group/search?name={name}")).ok()["total"] == 1
}

#[test]
fn answers_of_every_kind() {
    let api = with(json!([{"fault": "tooManyRequests", "retryAfter": 3}]));
    let limited = group(&api, "g");
    assert_eq!((limited.status, &limited.headers["retry-after"]), (429, &"3".parse().unwrap()));
    set(&api, json!([{"fault": "internalError"}]));
    group(&api, "g").empty(500);
    set(&api, json!([{"fault": "unavailable"}]));
    let page = group(&api, "g");
    assert_eq!((page.status, &page.headers["content-type"]), (503, &"text/html".parse().unwrap()));
    assert!(page.text.contains("<html>"));
    set(&api, json!([{"fault": "gatewayTimeout"}]));
    group(&api, "g").empty(504);
    set(&api, json!([{"fault": "conflict"}]));
    group(&api, "g").general_error(409, "[retryableConflict]");
    assert!(!exists(&api, "g"));
}

#[test]
fn latency_delays() {
    let api = with(json!([{"fault": "latency", "milliseconds": 150, "route": "/api/group"}]));
    let begun = Instant::now();
    group(&api, "g").ok();
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_reset_before_the_commit_does_nothing_and_one_after_it_does_all() {
    let api = with(json!([{"fault": "resetBefore", "method": "POST"}]));
    let body = json!({"group": {"name": "before"}});
    api.call("POST", "/api/group").json(&body).try_send().unwrap_err();
    assert!(!exists(&api, "before"));
    set(&api, json!([{"fault": "resetAfter", "method": "POST"}]));
    let body = json!({"group": {"name": "after"}});
    api.call("POST", "/api/group").json(&body).try_send().unwrap_err();
    assert!(exists(&api, "after"));
}

#[test]
fn a_truncated_body_breaks_off() {
    let api = with(json!([{"fault": "truncate", "method": "POST"}]));
    api.call("POST", "/api/group").json(&json!({"group": {"name": "cut"}})).try_send().unwrap_err();
    assert!(exists(&api, "cut"));
}

#[test]
fn a_lost_write_is_answered_and_gone() {
    let api = with(json!([{"fault": "lostWrite", "nth": 1}]));
    assert_eq!(group(&api, "lost").ok()["group"]["name"], "lost");
    assert!(!exists(&api, "lost"));
}

#[test]
fn a_short_page_lacks_a_row_that_the_total_counts() {
    let api = Api::start();
    for name in ["a", "b", "c"] {
        group(&api, name).ok();
    }
    set(&api, json!([{"fault": "shortPage", "route": "*/search"}]));
    let page = api.get("/api/group/search?name=*").ok();
    assert_eq!((&page["total"], page["groups"].as_array().unwrap().len()), (&json!(3), 2));
}

#[test]
fn a_fresh_key_answers_401_for_a_while() {
    let api = Api::start();
    set(&api, json!([{"fault": "freshKey", "milliseconds": 60_000}]));
    api.get("/api/group").empty(401);
    api.advance_seconds(61);
    api.get("/api/group").ok();
    // By method and route like any other rule.
    set(
        &api,
        json!([{"fault": "freshKey", "milliseconds": 600_000, "method": "GET", "route": "/api/group"}]),
    );
    api.get("/api/group").empty(401);
    api.get("/api/tenant").ok();
    group(&api, "g").ok();
}

#[test]
fn rules_choose_by_method_route_and_count() {
    let rules = json!([{"fault": "internalError", "method": "GET", "route": "/api/group/{groupId}", "nth": [2, 3]},
                       {"fault": "gatewayTimeout", "route": "/api/tenant*", "from": 2, "times": 1}]);
    let api = with(rules);
    let id = group(&api, "g").ok()["group"]["id"].as_str().unwrap().to_owned();
    let statuses = |path: &str, n: usize| -> Vec<u16> { (0..n).map(|_| api.get(path).status).collect() };
    assert_eq!(statuses(&format!("/api/group/{id}"), 4), [200, 500, 500, 200]);
    assert_eq!(statuses("/api/tenant", 4), [200, 504, 200, 200]);
    let report = api.get("/_sandbox/faults").ok();
    assert_eq!((&report["rules"][0]["injected"], &report["rules"][1]["matched"]), (&json!(2), &json!(4)));
}

#[test]
fn a_seed_repeats_its_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.json");
    std::fs::write(&path, r#"{"rules": [{"fault": "internalError", "share": 0.5}]}"#).unwrap();
    let run = |seed: u64| -> Vec<u16> {
        let api = Api::with(Config { faults: Some(path.clone()), seed, ..Config::default() });
        (0..40).map(|_| api.get("/api/group").status).collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let failed = run(1).iter().filter(|status| **status == 500).count();
    assert!((8..32).contains(&failed), "{failed}");
}

#[test]
fn a_wrong_rule_is_refused() {
    let api = Api::start();
    for rules in [
        json!([{"fault": "gremlins"}]),
        json!([{"fault": "truncate", "share": 2}]),
        json!([{"fault": "truncate", "nth": 0}]),
        json!([{"fault": "truncate", "when": 1}]),
    ] {
        api.call("PUT", "/_sandbox/faults").json(&json!({ "rules": rules })).send().errors(400);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.json");
    std::fs::write(&path, "{").unwrap();
    let error = Sandbox::start(Config { faults: Some(path), ..Config::default() }).err().unwrap();
    assert!(matches!(error, Error::Faults { .. }), "{error}");
}
