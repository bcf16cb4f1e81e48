//! Saved plans, adoption, what we own, and its end.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::assert_run;
use crate::command::place::{Place, printed, report};
use crate::command::{fusionkeep, run, shown, signal, stderr, stdout};

#[test]
fn a_saved_plan_is_applied_as_it_was_shown_and_goes_stale_loudly() {
    let place = Place::new();
    let (sandbox, file) = (place.sandbox(), place.path("plan.json").display().to_string());
    let planned = place.quickstart("plan", &["--out", &file]);
    assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("quickstart-alice-7Yw2"), "no secret is saved");

    let apply =
        |file: &str, more: &[&str]| run(&[&["apply", file, &sandbox, "--auto-approve"], more].concat());
    let without_secrets = apply(&file, &[]);
    assert_eq!(without_secrets.status.code(), Some(1), "{}", shown(&without_secrets));

    let altered = place.write("altered.json", &text.replacen("alice@example.com", "mallory@example.com", 1));
    assert_run!("saved-plan-altered", apply(&altered, &[]));
    let cut = place.write("cut.json", &text[..text.len() / 2]);
    assert_eq!(apply(&cut, &[]).status.code(), Some(3));

    let secrets = place.edited("secrets.yaml", "quickstart-bob-p9Qz4", "another-password");
    let moved = apply(&file, &["-f", &format!("{secrets}/secrets.yaml")]);
    assert_eq!(moved.status.code(), Some(4), "{}", shown(&moved));
    assert!(stderr(&moved).contains("User/bob"), "{}", shown(&moved));

    let secrets = ["-f", "examples/quickstart/secrets.yaml"];
    let applied = apply(&file, &secrets);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let again = apply(&file, &secrets);
    assert_eq!(again.status.code(), Some(4), "{}", shown(&again));
    let elsewhere = run(&["apply", &file, "--sandbox", "--auto-approve"]);
    assert_eq!(elsewhere.status.code(), Some(1), "another target: {}", shown(&elsewhere));
}

#[test]
fn what_we_own_is_listed_and_compared() {
    let place = Place::applied();
    let folder = place.edited("users.yaml", "lastName: Arnold", "lastName: Adler");
    std::fs::remove_file(format!("{folder}/links.yaml")).unwrap();
    let sandbox = place.sandbox();
    let list = |more: &[&str]| -> Vec<Value> {
        let output = run(&[&["list", &sandbox, "-o", "json"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        printed(&output, "list").as_array().unwrap().clone()
    };
    assert_eq!(list(&[]).len(), 30);
    let states = list(&["-f", &folder]);
    let state =
        |address: &str| states.iter().find(|held| held["address"] == address).unwrap()["state"].clone();
    assert_eq!(state("User/alice"), "differs");
    assert_eq!(state("User/bob"), "asDeclared");
    assert_eq!(state("IdentityProviderLink/grace-google"), "notDeclared");
    assert_run!("show", run(&["show", "User/bob", &sandbox, "-f", &folder]));
    let show = run(&["show", "User/bob", &sandbox, "-f", &folder, "-o", "json"]);
    let bob = states.iter().find(|held| held["address"] == "User/bob").unwrap();
    assert_eq!(printed(&show, "show"), *bob, "{}", shown(&show));
    assert_run!("show-nothing", run(&["show", "User/nobody", &sandbox]));
    assert_run!("unlock-nothing", run(&["unlock", &sandbox]));
}

#[test]
fn what_cannot_be_compared_is_not_called_as_declared() {
    let place = Place::applied();
    let sandbox = place.sandbox();
    // The role is not one of the application's.
    let folder = place.edited("users.yaml", "roles: [", "roles: [no-such-role, ");
    let list = |format: &str| run(&["list", &sandbox, "-f", &folder, "-o", format]);
    let output = list("json");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let held = printed(&output, "list");
    let unclear: Vec<&Value> =
        held.as_array().unwrap().iter().filter(|held| held["state"] == "unclear").collect();
    assert_eq!(unclear.len(), 1, "{held:#}");
    let address = unclear[0]["address"].as_str().unwrap();
    assert!(
        stderr(&output).contains("no-such-role") && stderr(&output).contains(address),
        "{}",
        shown(&output)
    );
    assert!(stdout(&list("text")).lines().any(|line| line.starts_with(address) && line.contains("unclear")));
    let suspended = place.edited("users.yaml", "no-such-role, ", "");
    let suspended = Path::new(&suspended).join("users.yaml");
    let text = std::fs::read_to_string(&suspended).unwrap();
    std::fs::write(&suspended, text.replacen("spec:", "spec:\n  suspend: true", 1)).unwrap();
    let output = list("json");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let states = printed(&output, "list").to_string();
    assert_eq!(states.matches(r#""state":"suspended""#).count(), 1, "{states}");
}

#[test]
fn a_selection_of_nothing_is_told() {
    let place = Place::applied();
    let sandbox = place.sandbox();
    let refused = |output: &Output, said: &str| {
        assert_eq!(output.status.code(), Some(1), "{}", shown(output));
        assert!(stderr(output).contains(said), "{}", shown(output));
    };
    let near = "did you mean \"User/alice\"?";
    for command in ["plan", "list"] {
        let output = place.quickstart(command, &["--target=User/alise,User/bob", "-o", "json"]);
        refused(&output, near);
        let error = &report(&output)["errors"][0];
        assert!(error["message"].as_str().unwrap().ends_with(" User/alise"), "{error}");
    }
    refused(&run(&["destroy", &sandbox, "--target=User/alise", "--auto-approve"]), near);
    refused(&run(&["undo", &sandbox, "--target=User/alise", "--auto-approve"]), near);
    refused(
        &place.quickstart("apply", &["-l", "team=nobody", "--auto-approve"]),
        "no object of the manifests",
    );
    refused(&run(&["destroy", &sandbox, "-l", "team=web", "--auto-approve"]), "destroy does not go with -l");
    // What only the record knows can be selected, for it can be pruned.
    let folder = place.edited("users.yaml", "lastName", "lastName");
    std::fs::remove_file(format!("{folder}/links.yaml")).unwrap();
    let held = "--target=IdentityProviderLink/grace-google";
    let pruned = run(&["plan", "-f", &folder, &sandbox, "--prune", held, "-o", "json"]);
    assert_eq!(report(&pruned)["summary"]["delete"], 1, "{}", shown(&pruned));
}

#[test]
fn what_is_printed_as_json_fits_its_schema() {
    let place = Place::new();
    printed(&run(&["version", "-o", "json"]), "version");
    let valid = run(&["validate", "-f", "examples/quickstart", "-o", "json"]);
    let valid = report(&valid);
    assert_eq!((&valid["errors"], &valid["target"]), (&json!([]), &Value::Null));
    let file = place.write(
        "wrong.yaml",
        "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {name: a}\nspec: {emial: a@b.c}\n",
    );
    let invalid = run(&["validate", "-f", &file, "-o", "json"]);
    assert_eq!(invalid.status.code(), Some(1), "{}", shown(&invalid));
    let error = report(&invalid)["errors"][0].clone();
    assert_eq!((&error["line"], &error["column"]), (&json!(4), &json!(8)), "{error:#}");
    // What goes wrong before there is a result is told in a report, whatever the command and wherever it goes wrong.
    let good = place.write("good.yaml", &std::fs::read_to_string(&file).unwrap().replace("emial", "email"));
    let others = place.write("others.yaml", "apiVersion: v1\nkind: Service\n");
    let missing = place.path("missing.yaml").display().to_string();
    for command in ["validate", "plan", "apply", "adopt", "destroy", "list", "doctor", "undo"] {
        for (input, status, code) in [
            (&file, 1, "unknown-field"),
            (&missing, 1, "unreadable"),
            (&others, 3, "no-manifests"),
            (&good, 1, ""),
        ] {
            if command == "validate" && *input == good {
                continue;
            }
            let output = run(&[command, "-f", input, "-o", "json"]);
            assert_eq!(output.status.code(), Some(status), "{command} {input}: {}", shown(&output));
            let error = &report(&output)["errors"][0];
            let told = error["code"].as_str().unwrap();
            assert!(
                if code.is_empty() { !told.is_empty() } else { told == code },
                "{command} {input}: {error:#}"
            );
            let at_a_place = error["file"].is_string() && error["line"].is_u64() && error["column"].is_u64();
            assert_eq!(at_a_place, code.starts_with("un"), "{command} {input}: {error:#}");
        }
    }
    for command in [&["list"][..], &["show", "User/alice"], &["doctor"], &["plan", "-f", &file]] {
        let output = run(&[command, &["-o", "json", "--url=http://127.0.0.1:9"]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        assert!(!report(&output)["errors"].as_array().unwrap().is_empty(), "{}", shown(&output));
    }
}

#[test]
fn prune_deletes_what_is_no_longer_declared_and_nothing_else_does() {
    let place = Place::applied();
    let folder = place.edited("users.yaml", "lastName: Arnold", "lastName: Arnold");
    std::fs::remove_file(format!("{folder}/links.yaml")).unwrap();
    let sandbox = place.sandbox();
    let plan = |more: &[&str]| run(&[&["plan", "-f", &folder, &sandbox, "-o", "json"], more].concat());
    let kept = report(&plan(&[]));
    assert_eq!(
        (&kept["summary"]["delete"], &kept["summary"]["withheld"]),
        (&0.into(), &3.into()),
        "{kept:#}"
    );
    assert_eq!(report(&plan(&["--prune"]))["summary"]["delete"], 3);
    let applied = run(&["apply", "-f", &folder, &sandbox, "--prune", "--auto-approve"]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    assert!(stdout(&run(&["plan", "-f", &folder, &sandbox])).contains("no changes"));
}

#[test]
fn a_lost_record_is_refused_and_rebuilt_by_adopt() {
    let place = Place::new();
    let record = format!("--record={}", place.path("record.json").display());
    let applied = place.quickstart("apply", &["--auto-approve", &record]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    std::fs::remove_file(place.path("record.json")).unwrap();
    let lost = place.quickstart("plan", &[&record]);
    assert_run!("record-lost", lost);
    let adopted = place.quickstart("adopt", &["--auto-approve", &record]);
    assert_eq!(adopted.status.code(), Some(0), "{}", shown(&adopted));
    let plan = place.quickstart("plan", &[&record]);
    assert!(stdout(&plan).contains("no changes"), "{}", shown(&plan));

    std::fs::write(place.path("record.json"), "{}").unwrap();
    let damaged = place.quickstart("plan", &[&record]);
    assert_eq!(damaged.status.code(), Some(3), "{}", shown(&damaged));
    let adopted = place.quickstart("adopt", &["--auto-approve", &record]);
    assert_eq!(adopted.status.code(), Some(0), "{}", shown(&adopted));
}

#[test]
fn destroy_is_guarded_and_follows_each_policy() {
    let place = Place::applied();
    let sandbox = place.sandbox();
    let destroy =
        |more: &[&str]| run(&[&["destroy", &sandbox, "--auto-approve", "-o", "json"], more].concat());
    let refused = destroy(&[]);
    assert_eq!(refused.status.code(), Some(3), "{}", shown(&refused));
    assert_eq!(report(&refused)["errors"][0]["code"], "max-deletes");
    let some = destroy(&["--target=IdentityProviderLink/grace-google"]);
    assert_eq!(some.status.code(), Some(0), "{}", shown(&some));
    let all = destroy(&["--max-deletes=100", "--max-changed-users=100"]);
    assert_eq!(all.status.code(), Some(0), "{}", shown(&all));
    let left = run(&["list", &sandbox]);
    assert_eq!(
        stdout(&left).lines().filter(|line| !line.contains("deactivated by us")).count(),
        0,
        "{}",
        shown(&left)
    );
    let back = run(&[
        "apply",
        "-f",
        "examples/quickstart",
        &sandbox,
        "--auto-approve",
        "-o",
        "json",
        "--max-changed-users=100",
    ]);
    assert_eq!(back.status.code(), Some(0), "{}", shown(&back));
    let report = report(&back);
    assert_eq!(report["summary"]["update"], 10, "people are reactivated: {report:#}");
}

#[test]
fn a_second_runner_is_refused_with_the_firsts_name() {
    let place = Place::new();
    let faults = place.write(
        "faults.json",
        r#"{ "rules": [{ "fault": "latency", "milliseconds": 2500, "method": "POST", "route": "/api/lambda/{lambdaId}" }] }"#,
    );
    let server = crate::command::sandbox::serve(&[
        "--kickstart",
        "examples/quickstart.kickstart.json",
        "--faults",
        &faults,
    ]);
    let apply = || {
        let mut command = fusionkeep(&["apply", "-f", "examples/quickstart/lambdas.yaml", "--auto-approve"]);
        command
            .envs(server.variables())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command
    };
    let first = apply().spawn().unwrap();
    // The first holds the lock while its slow creates last.
    server.wait_for("POST", "/api/group/{groupId}");
    let second = apply().output().unwrap();
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", shown(&first));
    assert_eq!(second.status.code(), Some(3), "{}", shown(&second));
    assert!(stderr(&second).contains("another run is at work"), "{}", shown(&second));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_finishes_what_it_began_and_says_so() {
    let place = Place::new();
    let faults = place.write(
        "faults.json",
        r#"{ "rules": [{ "fault": "latency", "milliseconds": 400, "method": "POST", "route": "/api/user/*" }] }"#,
    );
    let server = crate::command::sandbox::serve(&[
        "--kickstart",
        "examples/quickstart.kickstart.json",
        "--faults",
        &faults,
    ]);
    let mut command = fusionkeep(&[
        "apply",
        "-f",
        "examples/quickstart",
        "--auto-approve",
        "--parallelism=1",
        "-o",
        "json",
    ]);
    command
        .envs(server.variables())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    server.wait_for("POST", "/api/user/registration");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    let report_of = report;
    let report = report(&output);
    let made = report["summary"]["create"].as_u64().unwrap();
    assert!((1..30).contains(&made), "{report:#}");
    let mut again = fusionkeep(&["apply", "-f", "examples/quickstart", "--auto-approve", "-o", "json"]);
    let again = again.envs(server.variables()).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "the lock was let go: {}", shown(&again));
    // A person of two calls may have been interrupted between them, and is updated now.
    let summary = &report_of(&again)["summary"];
    let rest = summary["create"].as_u64().unwrap() + summary["update"].as_u64().unwrap();
    assert_eq!(rest, 30 - made, "{summary:#}");
}
