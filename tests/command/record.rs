//! The record in the target when it is lost, damaged, edited, newer, or signed with a key that is lost: every command
//! refuses clearly, and `adopt` is the way out.

use serde_json::{Value, json};

use crate::command::place::report;
use crate::command::sandbox::{Served, serve};
use crate::command::{shown, stderr, stdout};

const INPUT: [&str; 2] = ["-f", "examples/quickstart"];

fn applied() -> Served {
    let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
    let output = served.run(&["apply", INPUT[0], INPUT[1], "--auto-approve"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    served
}

/// The groups of the record whose names begin so.
fn groups(served: &Served, prefix: &str) -> Vec<Value> {
    let all = served.send("GET", "/api/group", &Value::Null)["groups"].as_array().unwrap().clone();
    all.into_iter().filter(|group| group["name"].as_str().unwrap().starts_with(prefix)).collect()
}

fn path(group: &Value) -> String {
    format!("/api/group/{}", group["id"].as_str().unwrap())
}

/// Every command that reads the record refuses with these words, and writes nothing.
fn all_refuse(served: &Served, says: &str) {
    for command in [
        &["plan", INPUT[0], INPUT[1]][..],
        &["apply", INPUT[0], INPUT[1], "--auto-approve"],
        &["list"],
        &["show", "User/alice"],
        &["destroy", "--auto-approve"],
    ] {
        let output = served.run(command);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {}", shown(&output));
        let said = stderr(&output);
        assert!(said.contains(says) && said.contains("fusionkeep"), "{command:?}: {}", shown(&output));
    }
}

fn adopt(served: &Served, more: &[&str]) -> Value {
    let arguments = [&["adopt", INPUT[0], INPUT[1], "--auto-approve", "-o", "json"], more].concat();
    let output = served.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let adopted = report(&output);
    let plan = served.run(&["plan", INPUT[0], INPUT[1]]);
    assert!(stdout(&plan).contains("no changes: 30 objects"), "{}", shown(&plan));
    assert_eq!(stdout(&served.run(&["list"])).lines().count(), 30);
    adopted
}

/// Longer than a lease.
fn wait(served: &Served) {
    served.send("POST", "/_sandbox/clock", &json!({ "advanceSeconds": 600 }));
}

#[test]
fn groups_that_were_deleted_are_made_anew() {
    let served = applied();
    for group in groups(&served, "fusionkeep") {
        served.send("DELETE", &path(&group), &Value::Null);
    }
    let plan = served.run(&["plan", INPUT[0], INPUT[1]]);
    assert_eq!(plan.status.code(), Some(3), "{}", shown(&plan));
    assert!(
        stderr(&plan).contains("the record is lost") && stderr(&plan).contains("adopt"),
        "{}",
        shown(&plan)
    );
    assert_eq!(adopt(&served, &[])["summary"]["adopt"], 30);
}

/// A header that was only given another name could list them still, so that nobody but a person can tell.
#[test]
fn shards_whose_header_is_gone_are_told_by_doctor() {
    let served = applied();
    let doctor = || {
        let output = served.run(&["doctor", "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let left = |one: &&Value| one["code"] == "record-left-over";
        found["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .find(left)
            .map(|one| one["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(doctor(), None, "a record has none");
    let count =
        groups(&served, "fusionkeep-shard/").len() + groups(&served, "fusionkeep-global-shard/").len();
    for group in groups(&served, "fusionkeep/").iter().chain(&groups(&served, "fusionkeep-global/")) {
        served.send("DELETE", &path(group), &Value::Null);
    }
    let told = doctor().unwrap();
    assert!(told.contains(&format!("{count} groups are")) && told.contains("fusionkeep-shard/"), "{told}");
    adopt(&served, &[]);
    assert_eq!(doctor().as_ref(), Some(&told), "no run takes them for litter");
    let listed: Vec<String> = {
        let headers = groups(&served, "fusionkeep/").into_iter().chain(groups(&served, "fusionkeep-global/"));
        headers.map(|header| header["data"]["shards"].to_string()).collect()
    };
    let shards =
        groups(&served, "fusionkeep-shard/").into_iter().chain(groups(&served, "fusionkeep-global-shard/"));
    for shard in shards.filter(|shard| !listed.concat().contains(shard["id"].as_str().unwrap())) {
        served.send("DELETE", &path(&shard), &Value::Null);
    }
    assert_eq!(doctor(), None);
    let plan = served.run(&["plan", INPUT[0], INPUT[1]]);
    assert!(stdout(&plan).contains("no changes: 30 objects"), "{}", shown(&plan));
}

#[test]
fn what_was_edited_by_hand_is_refused_and_made_anew() {
    let served = applied();
    // The headers of both scopes, and not by a runner.
    for group in groups(&served, "fusionkeep/") {
        served.send("PATCH", &path(&group), &json!({ "group": { "data": { "revision": 999 } } }));
    }
    all_refuse(&served, "the record's seal does not fit");
    // They say that nobody runs.
    let adopted = adopt(&served, &[]);
    assert_eq!(adopted["warnings"][0]["code"], "record-rebuilt", "{adopted:#}");
}

#[test]
fn a_header_that_was_renamed_is_named_and_counts_again_under_its_name() {
    let served = applied();
    let header = groups(&served, "fusionkeep/").remove(0);
    served.send("PATCH", &path(&header), &json!({ "group": { "name": "renamed by hand" } }));
    let plan = served.run(&["plan", INPUT[0], INPUT[1]]);
    assert!(stderr(&plan).contains("the record is lost"), "{}", shown(&plan));
    let adopted = served.run(&["adopt", INPUT[0], INPUT[1], "--auto-approve"]);
    assert_ne!(adopted.status.code(), Some(0), "{}", shown(&adopted));
    let (said, name) = (stderr(&adopted), header["name"].as_str().unwrap());
    assert!(said.contains(&format!("given another name; it is \"{name}\"")), "{said}");
    assert!(said.contains("give it this name again"), "{said}");
    served.send("PATCH", &path(&header), &json!({ "group": { "name": name } }));
    wait(&served);
    let plan = served.run(&["plan", INPUT[0], INPUT[1]]);
    assert!(stdout(&plan).contains("no changes: 30 objects"), "{}", shown(&plan));
    let apply = served.run(&["apply", INPUT[0], INPUT[1], "--auto-approve"]);
    assert_eq!(apply.status.code(), Some(0), "{}", shown(&apply));
}

#[test]
fn a_header_that_says_nothing_of_its_run_is_made_anew_once_nobody_can_be_at_work() {
    let served = applied();
    for group in groups(&served, "fusionkeep/") {
        let name = &group["name"];
        served.send("PUT", &path(&group), &json!({ "group": { "name": name, "data": { "version": 1 } } }));
    }
    all_refuse(&served, "the record is damaged");
    let early = served.run(&["adopt", INPUT[0], INPUT[1], "--auto-approve"]);
    assert_eq!(early.status.code(), Some(3), "{}", shown(&early));
    let said = stderr(&early);
    assert!(said.contains("a run could be at work for") && said.contains("--lock-timeout"), "{said}");
    wait(&served);
    adopt(&served, &[]);
}

#[test]
fn a_missing_shard_is_refused_and_the_other_scope_is_kept() {
    let served = applied();
    let shards = groups(&served, "fusionkeep-shard/");
    let of_users = shards.iter().find(|shard| shard["data"].to_string().contains("alice")).unwrap();
    served.send("DELETE", &path(of_users), &Value::Null);
    all_refuse(&served, "the record is damaged");
    let adopted = adopt(&served, &[]);
    let kinds: Vec<&str> = adopted["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"User") && !kinds.contains(&"Lambda"),
        "lambdas stand in a record of their own: {kinds:?}"
    );
}

#[test]
fn a_newer_version_is_refused_by_adopt_too() {
    let served = applied();
    for group in groups(&served, "fusionkeep/") {
        served.send("PATCH", &path(&group), &json!({ "group": { "data": { "version": 99 } } }));
    }
    all_refuse(&served, "has version 99");
    let output = served.run(&["adopt", INPUT[0], INPUT[1], "--auto-approve"]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    assert!(stderr(&output).contains("use the fusionkeep that wrote it"), "{}", shown(&output));
}

#[test]
fn a_lost_runner_key_has_a_way_out_that_says_what_is_let_go() {
    let served = applied();
    let with = |arguments: &[&str]| {
        served
            .command(arguments)
            .env("FUSIONKEEP_KEY", "another-runner-key-of-32-bytes-or-more")
            .output()
            .unwrap()
    };
    let apply = with(&["apply", INPUT[0], "examples/quickstart/lambdas.yaml", "--auto-approve"]);
    assert_eq!(apply.status.code(), Some(0), "nothing to write: {}", shown(&apply));
    let files = ["entities", "entity-types", "grants", "lambdas", "secrets", "users"]
        .map(|name| format!("examples/quickstart/{name}.yaml"));
    let input: Vec<&str> = files.iter().flat_map(|file| ["-f", file]).collect();
    let adopt = [&["adopt", "--auto-approve", "-o", "json"], &input[..]].concat();
    let refused = with(&adopt);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    assert!(stdout(&refused).contains("adopt --take-over"), "{}", shown(&refused));
    let keyless = served
        .command(&[&adopt[..], &["--take-over"]].concat())
        .env_remove("FUSIONKEEP_KEY")
        .output()
        .unwrap();
    assert_eq!(keyless.status.code(), Some(3), "without a key nothing is signed: {}", shown(&keyless));

    let adopted = with(&[&adopt[..], &["--take-over"]].concat());
    assert_eq!(adopted.status.code(), Some(0), "{}", shown(&adopted));
    let adopted = report(&adopted);
    let warnings = adopted["warnings"].as_array().unwrap();
    let let_go: Vec<&str> = warnings
        .iter()
        .filter(|warning| warning["code"] == "let-go")
        .map(|warning| warning["address"].as_str().unwrap())
        .collect();
    assert_eq!(let_go.len(), 3, "{warnings:#?}");
    assert!(let_go.contains(&"IdentityProviderLink/grace-google"), "{let_go:?}");
    let plan = with(&[&["plan"], &input[..]].concat());
    assert!(stdout(&plan).contains("no changes: 27 objects"), "{}", shown(&plan));
    let old_key = served.run(&[&["apply", "--auto-approve", "--prune"], &input[..]].concat());
    assert!(stderr(&old_key).contains("record-unverified"), "{}", shown(&old_key));
}

#[test]
fn a_key_without_permission_for_groups_is_told_at_the_start() {
    let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
    let found = served.run(&["doctor", "-o", "json"]);
    let mut least = serde_json::from_slice::<Value>(&found.stdout).unwrap()["leastPermissions"].clone();
    least["endpoints"].as_object_mut().unwrap().retain(|endpoint, _| !endpoint.starts_with("/api/group"));
    let key = served.api_key(&least);
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let arguments = [&["apply", INPUT[0], INPUT[1], "--auto-approve"], more].concat();
        served.command(&arguments).env("FUSIONKEEP_API_KEY", &key).output().unwrap()
    };
    let refused = run(&[]);
    assert_eq!(refused.status.code(), Some(1), "{}", shown(&refused));
    assert!(stderr(&refused).contains("--record FILE keeps it in a file instead"), "{}", shown(&refused));
    assert_eq!(stdout(&refused), "", "told before there is a plan");
    let record = format!("--record={}", folder.path().join("record.json").display());
    let applied = run(&[&record]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
}
