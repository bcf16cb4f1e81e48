//! `fusionkeep doctor`: what a target and a key are like, told without a write.

use std::process::Output;

use serde_json::{Value, json};

use crate::assert_run;
use crate::command::place::{printed, report};
use crate::command::sandbox::{Served, serve};
use crate::command::state::state;
use crate::command::{fusionkeep, shown, stderr, stdout};

const KICKSTART: [&str; 2] = ["--kickstart", "examples/quickstart.kickstart.json"];

/// The examination that a run printed; it fits its schema.
fn examination(output: &Output) -> Value {
    printed(output, "doctor")
}

fn doctor(served: &Served, more: &[&str]) -> Output {
    served.run(&[&["doctor", "-o", "json"], more].concat())
}

fn codes(found: &Value, of: &str) -> Vec<String> {
    found[of].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_sound_target_is_told_as_such_and_left_as_it_is() {
    let served = serve(&KICKSTART);
    let groups = || served.send("GET", "/api/group", &Value::Null);
    let before = (state(&served), groups());
    let output = doctor(&served, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let found = examination(&output);
    assert_eq!(
        (&found["searchEngine"], &found["licensed"], &found["tls"]),
        (&"database".into(), &true.into(), &"none".into())
    );
    assert_eq!(found["serverVersion"], "1.69.0");
    let unclear: Vec<&Value> =
        found["permissions"].as_array().unwrap().iter().filter(|one| one["allowed"] != "yes").collect();
    assert!(unclear.iter().all(|one| one["endpoint"].as_str().unwrap().contains("/verify-")), "{unclear:#?}");
    assert_eq!((state(&served), groups()), before, "nothing was written");
    assert_run!("doctor", served.run(&["doctor"]));
    let search = serve(&["--search-engine=elasticsearch"]);
    assert_eq!(examination(&doctor(&search, &[]))["searchEngine"], "elasticsearch");
    let embedded = fusionkeep(&["doctor", "--sandbox"]).output().unwrap();
    assert_eq!(embedded.status.code(), Some(0), "{}", shown(&embedded));
}

#[test]
fn a_key_with_the_least_permissions_does_everything() {
    let served = serve(&KICKSTART);
    let least = examination(&doctor(&served, &[]))["leastPermissions"].clone();
    let key = served.api_key(&least);
    let journals = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = served.command(arguments);
        command.env("FUSIONKEEP_API_KEY", &key).env("FUSIONKEEP_JOURNAL_DIR", journals.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", shown(&output));
    };
    run(&["doctor"]);
    run(&["apply", "-f", "examples/quickstart", "--auto-approve"]);
    run(&["plan", "-f", "examples/quickstart", "--prune"]);
    let all = ["--auto-approve", "--max-deletes=100", "--max-changed-users=100"];
    run(&[
        &[
            "apply",
            "-f",
            "examples/quickstart/users.yaml",
            "-f",
            "examples/quickstart/secrets.yaml",
            "--prune",
        ],
        &all[..],
    ]
    .concat());
    run(&[&["undo"], &all[..]].concat());
    run(&[&["destroy"], &all[..]].concat());
}

#[test]
fn what_a_key_lacks_is_named() {
    let served = serve(&KICKSTART);
    let mut least = examination(&doctor(&served, &[]))["leastPermissions"].clone();
    least["endpoints"]["/api/user"] = json!(["GET", "POST"]);
    least["endpoints"].as_object_mut().unwrap().retain(|endpoint, _| !endpoint.starts_with("/api/group"));
    let key = served.api_key(&least);
    let with = |more: &[&str]| {
        let mut command = served.command(&[&["doctor", "-o", "json"], more].concat());
        command.env("FUSIONKEEP_API_KEY", &key).output().unwrap()
    };
    let output = with(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let found = examination(&output);
    let of = |endpoint: &str, method: &str| {
        let all = found["permissions"].as_array().unwrap();
        all.iter().find(|one| one["endpoint"] == endpoint && one["method"] == method).unwrap()["allowed"]
            .clone()
    };
    assert_eq!((of("/api/user", "POST"), of("/api/user", "PATCH")), ("yes".into(), "no".into()));
    let said = stderr(&output);
    assert!(said.contains("DELETE /api/user, PATCH /api/user, PUT /api/user"), "{said}");
    assert!(said.contains("POST /api/group/search") && said.contains("--record FILE"), "{said}");
    // Where the record is in a file and only lambdas are declared, this very key is enough.
    let lambdas = with(&["-f", "examples/quickstart/lambdas.yaml", "--record=record.json"]);
    assert_eq!(lambdas.status.code(), Some(0), "{}", shown(&lambdas));
    let wrong = served
        .command(&["doctor", "-o", "json", "--wait-for-key=0s"])
        .env("FUSIONKEEP_API_KEY", "wrong")
        .output();
    let wrong = wrong.unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{}", shown(&wrong));
    assert!(codes(&examination(&wrong), "problems").contains(&"key-refused".into()), "{}", shown(&wrong));
}

#[test]
fn a_missing_licence_counts_where_entities_are_declared() {
    let served = serve(&["--unlicensed", KICKSTART[0], KICKSTART[1]]);
    let output = doctor(&served, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let found = examination(&output);
    assert_eq!(
        (found["licensed"].clone(), codes(&found, "warnings")),
        (false.into(), vec!["not-licensed".into(), "no-tls".into()])
    );
    let declared = doctor(&served, &["-f", "examples/quickstart"]);
    assert_eq!(declared.status.code(), Some(1), "{}", shown(&declared));
    assert_eq!(codes(&examination(&declared), "problems"), ["not-licensed"]);
}

#[test]
fn clocks_that_are_apart_are_told() {
    let served = serve(&KICKSTART);
    served.send("POST", "/_sandbox/clock", &json!({ "advanceSeconds": 600 }));
    let output = doctor(&served, &[]);
    assert_eq!(output.status.code(), Some(0), "locks are judged by the server's clock: {}", shown(&output));
    let found = examination(&output);
    assert!((598..=602).contains(&found["clockAheadSeconds"].as_i64().unwrap()), "{found:#}");
    assert!(codes(&found, "warnings").contains(&"clock-skew".into()), "{found:#}");
}

#[test]
fn a_wrong_tenant_and_a_wrong_url_are_told() {
    let served = serve(&KICKSTART);
    let tenant = doctor(&served, &["--tenant-id=00000000-0000-4000-8000-000000000001"]);
    assert_eq!(tenant.status.code(), Some(1), "{}", shown(&tenant));
    let found = examination(&tenant);
    assert_eq!(
        (codes(&found, "problems"), &found["tenantId"]),
        (vec!["unknown-tenant".to_owned()], &Value::Null)
    );
    for (url, tls) in [("http://127.0.0.1:9", "none"), ("https://127.0.0.1:9", "unknown")] {
        let nowhere = doctor(&served, &["--url", url]);
        assert_eq!(nowhere.status.code(), Some(6), "{}", shown(&nowhere));
        let found = examination(&nowhere);
        assert_eq!((codes(&found, "problems"), &found["url"]), (vec!["unreachable".into()], &url.into()));
        assert_eq!((&found["tls"], &found["serverVersion"]), (&tls.into(), &Value::Null));
        let text = served.run(&["doctor", "--url", url]);
        assert_eq!(text.status.code(), Some(6), "{}", shown(&text));
        assert!(!stdout(&text).contains("API key"), "{}", shown(&text));
        assert!(stderr(&text).contains("error[unreachable]"), "{}", shown(&text));
    }
    // What ends it before there is a target is told as every command tells it.
    let nothing = doctor(&served, &["-f", "no-such-folder"]);
    assert_ne!(nothing.status.code(), Some(0), "{}", shown(&nothing));
    assert_eq!(codes(&report(&nothing), "errors").len(), 1, "{}", shown(&nothing));
}
