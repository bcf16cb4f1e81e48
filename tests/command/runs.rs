//! Whole runs of `validate`, `plan` and `apply` against embedded sandboxes: the main job, the formats, the exit
//! statuses.

use std::path::Path;

use crate::assert_run;
use crate::command::place::{KICKSTART, Place, report};
use crate::command::sandbox::serve;
use crate::command::{fusionkeep, root, run, shown, stderr, stdout};

#[test]
fn the_main_job() {
    let place = Place::new();
    assert_run!("quickstart-apply", place.quickstart("apply", &["--auto-approve"]));
    let sandbox = place.sandbox();
    let again = run(&["plan", "-f", "examples/quickstart", &sandbox]);
    assert_run!("quickstart-plan-again", again);
    assert!(stdout(&again).contains("no changes"));
    assert_eq!(stderr(&again), "", "no key warning, no notice");
}

#[test]
fn every_example_is_valid() {
    assert_run!("quickstart-validate", run(&["validate", "-f", "examples/quickstart"]));
    for entry in std::fs::read_dir(root().join("examples/quickstart")).unwrap() {
        let path = entry.unwrap().path();
        let first = std::fs::read_to_string(&path).unwrap().lines().next().unwrap_or_default().to_owned();
        let schema =
            first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{first}"));
        assert!(path.parent().unwrap().join(schema).exists(), "{schema} in {}", path.display());
    }
}

#[test]
fn a_change_of_everything_is_shown_field_by_field() {
    let place = Place::applied();
    place.edited("users.yaml", "firstName: Alice", "firstName: Alicia");
    place.edited("users.yaml", "roles: [operator]", "roles: [viewer]");
    place.edited("lambdas.yaml", "hour < 6", "hour < 7");
    place.edited("grants.yaml", "permissions: [read, write]", "permissions: [read]");
    let folder = place.edited("entity-types.yaml", "    - name: write", "    - name: settings");
    let sandbox = place.sandbox();
    for (format, name) in [("text", "edited-text"), ("json", "edited-json"), ("markdown", "edited-markdown")]
    {
        let output = run(&["plan", "-f", &folder, &sandbox, "-o", format, "--detailed-exitcode"]);
        assert_run!(name, output);
    }
}

#[test]
fn exit_statuses_do_not_depend_on_the_format() {
    let place = Place::applied();
    let folder = place.edited("users.yaml", "lastName: Arnold", "lastName: Adler");
    let sandbox = place.sandbox();
    for format in ["text", "json", "markdown"] {
        let plan = |more: &[&str]| run(&[&["plan", "-f", &folder, &sandbox, "-o", format], more].concat());
        assert_eq!(plan(&[]).status.code(), Some(0));
        let changes = plan(&["--detailed-exitcode"]);
        assert_eq!(changes.status.code(), Some(2));
        if format == "json" {
            let report = report(&changes);
            assert_eq!(report["summary"]["update"], 1);
            assert_eq!(report["summary"]["apiCalls"]["predicted"], 1);
            assert_eq!(report["changes"][0]["fields"][0]["before"], "(personal)");
            assert_eq!(report["changes"][0]["fields"][0]["after"], "Adler");
        }
        let empty = run(&["plan", "-f", "schemas", &sandbox, "-o", format]);
        assert_eq!(empty.status.code(), Some(3), "{}", shown(&empty));
        let unreachable =
            run(&["plan", "-f", &folder, "--url=http://127.0.0.1:1", "--owner=o", "-o", format]);
        assert_eq!(unreachable.status.code(), Some(1), "no key: {}", shown(&unreachable));
        let unreachable =
            fusionkeep(&["plan", "-f", &folder, "--url=http://127.0.0.1:1", "--owner=o", "-o", format])
                .env("FUSIONKEEP_API_KEY", "x")
                .output()
                .unwrap();
        assert_eq!(unreachable.status.code(), Some(6), "{}", shown(&unreachable));
        if format == "json" {
            assert_eq!(report(&unreachable)["errors"][0]["code"], "unreachable");
        }
    }
}

#[test]
fn values_of_the_server_are_masked_in_a_whole_run() {
    let place = Place::applied();
    let folder = place.edited("users.yaml", "lastName: Arnold", "lastName: Adler");
    let sandbox = place.sandbox();
    for format in ["text", "json", "markdown"] {
        let hidden = run(&["plan", "-f", &folder, &sandbox, "-o", format]);
        assert!(!stdout(&hidden).contains("Arnold"), "{}", shown(&hidden));
        let open = run(&["plan", "-f", &folder, &sandbox, "-o", format, "--show-personal"]);
        assert!(stdout(&open).contains("Arnold"), "{}", shown(&open));
    }
}

#[test]
fn without_a_terminal_apply_needs_approval_and_writes_nothing() {
    let place = Place::new();
    let refused = place.quickstart("apply", &["--target=Lambda/office-hours"]);
    assert_run!("apply-without-approval", refused);
    assert_eq!(refused.status.code(), Some(3));
    let report = report(&place.quickstart("plan", &["-o", "json"]));
    assert_eq!(report["summary"]["create"], 30, "nothing was written");
}

/// At a terminal, which `script` provides: the plan, a question that only "yes" answers, and progress bars.
#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_apply_shows_the_plan_and_asks() {
    use std::io::Write;
    let place = Place::new();
    let at_a_terminal = |answer: &str, more: &str| {
        let (program, sandbox) = (env!("CARGO_BIN_EXE_fusionkeep"), place.sandbox());
        let line = format!("{program} apply -f examples/quickstart {sandbox} {KICKSTART} {more}");
        let journals = place.path("journals");
        let mut script = std::process::Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(root())
            .env("FUSIONKEEP_JOURNAL_DIR", journals)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        script.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        script.wait_with_output().unwrap()
    };
    let question = "Apply these changes? Only \"yes\" does: ";
    for answer in ["no\n", "y\n", "\n"] {
        let refused = at_a_terminal(answer, "");
        assert_eq!(refused.status.code(), Some(3), "{answer:?}: {}", shown(&refused));
        let (plan, rest) =
            stdout(&refused).split_once(question).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(
            plan.contains("Plan: 30 to create") && rest.contains("nothing was written"),
            "{}",
            shown(&refused)
        );
    }
    let untouched = report(&place.quickstart("plan", &["-o", "json"]));
    assert_eq!(untouched["summary"]["create"], 30);
    let applied = at_a_terminal("yes\n", "");
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let (plan, run) =
        stdout(&applied).split_once(question).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(plan.contains(" reading [") && plan.contains("Plan: 30 to create"), "{plan}");
    assert!(run.contains(" applying [") && run.contains("Applied: 30 created"), "{run}");
    // Where nothing changes, nothing is asked.
    let unchanged = at_a_terminal("", "");
    assert_eq!(unchanged.status.code(), Some(0), "{}", shown(&unchanged));
    assert!(!stdout(&unchanged).contains(question), "{}", shown(&unchanged));
}

#[test]
fn a_selection_plans_nothing_else() {
    let place = Place::new();
    let changes = |more: &[&str]| -> Vec<String> {
        let report = report(&place.quickstart("plan", &[&["-o", "json"], more].concat()));
        let changes = report["changes"].as_array().unwrap();
        changes.iter().map(|change| change["address"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(changes(&["--target=User/alice"]), ["User/alice"]);
    assert_eq!(changes(&["-l", "team=billing"]), ["User/carol", "User/frank"]);
    let none = place.quickstart("plan", &["--prune", "-l", "team=billing"]);
    assert_eq!(none.status.code(), Some(1), "{}", shown(&none));
}

#[test]
fn a_run_that_fails_halfway_says_what_is_done() {
    let place = Place::new();
    let faults = place.write(
        "faults.json",
        r#"{ "rules": [{ "fault": "internalError", "method": "POST", "route": "/api/entity/{entityId}" }] }"#,
    );
    let server = serve(&["--kickstart", "examples/quickstart.kickstart.json", "--faults", &faults]);
    let output = fusionkeep(&["apply", "-f", "examples/quickstart", "--auto-approve"])
        .envs(server.variables())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    assert_run!("partly-applied", output);
}

#[test]
fn a_run_reports_as_json_what_was_done() {
    let output = Place::new().quickstart("apply", &["--auto-approve", "-o", "json"]);
    let report = report(&output);
    assert_eq!(report["summary"]["create"], 30);
    assert_eq!(report["summary"]["apiCalls"]["actual"], report["summary"]["apiCalls"]["predicted"]);
    assert_eq!(report["errors"], serde_json::json!([]));
}

#[test]
fn a_licence_that_is_missing_is_told() {
    let server = serve(&["--unlicensed", "--kickstart", "examples/quickstart.kickstart.json"]);
    let mut command = fusionkeep(&["plan", "-f", "examples/quickstart"]);
    assert_run!("unlicensed", command.envs(server.variables()).output().unwrap());
}

#[test]
fn secrets_are_in_no_output_at_any_level() {
    let place = Place::new();
    let secrets = ["quickstart-alice-7Yw2", "3nVbT0qkXr5sYwz8AdGjLpCe"];
    for more in [&["-o", "text"][..], &["-o", "json"], &["-o", "markdown"], &["--log-filter", "trace"]] {
        for command in ["plan", "validate"] {
            let more: Vec<&str> = if command == "validate" { vec![] } else { more.to_vec() };
            let output = match command {
                "validate" => run(&["validate", "-f", "examples/quickstart"]),
                _ => place.quickstart(command, &more),
            };
            for secret in secrets {
                assert!(!shown(&output).contains(secret), "{command}: {}", shown(&output));
            }
        }
    }
    let output = place.quickstart("apply", &["--auto-approve", "--log-filter", "trace"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(stderr(&output).contains("TRACE"), "the level is on");
    for secret in secrets {
        assert!(!shown(&output).contains(secret));
    }
}

#[test]
fn a_missing_secret_is_told_before_anything_is_written() {
    let place = Place::new();
    let folder = place.edited("secrets.yaml", "  bob: quickstart-bob-p9Qz4\n", "");
    let sandbox = place.sandbox();
    let arguments = ["apply", "-f", &folder, &sandbox, KICKSTART, "--auto-approve"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(stderr(&output).contains("User/bob") && stderr(&output).contains("secret"), "{}", shown(&output));
    let plan = run(&["plan", "-f", &folder, &sandbox, "-o", "json"]);
    assert_eq!(report(&plan)["summary"]["create"], 30, "a plan needs no secret, and nothing was written");
}

#[test]
fn all_errors_of_all_files_at_once() {
    let place = Place::new();
    let one = place.write("one.yaml", "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: a }\nspec: { emial: a@example.com }\n");
    let two = place.write(
        "two.yaml",
        "apiVersion: fusionkeep.dev/v1alpha1\nkind: Usr\nmetadata: { name: b }\nspec: {}\n",
    );
    assert_run!("validate-errors", run(&["validate", "-f", &one, "-f", &two]));
    let report = report(&run(&["validate", "-f", &one, "-f", &two, "-o", "json"]));
    let errors = report["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "{report:#}");
    for error in errors {
        assert!(error["line"].is_u64() && error["column"].is_u64() && error["file"].is_string(), "{error:#}");
    }
}

#[test]
fn several_instances_need_a_choice() {
    let place = Place::new();
    let instance = |name: &str| {
        format!(
            "apiVersion: fusionkeep.dev/v1alpha1\nkind: FusionAuthInstance\nmetadata: {{ name: {name} }}\n\
             spec: {{ url: 'https://{name}.example.com', owner: acme }}\n---\n"
        )
    };
    let file = place.write("instances.yaml", &(instance("prod") + &instance("test")));
    assert_run!("several-instances", run(&["plan", "-f", &file]));
    assert_eq!(run(&["validate", "-f", &file]).status.code(), Some(0), "validate judges all");
}

#[test]
fn the_store_may_stand_in_a_folder_that_is_not_there_yet() {
    let place = Place::new();
    let store = place.path("new").join("folder").join("sandbox.db");
    let sandbox = format!("--sandbox={}", store.display());
    let output = run(&["plan", "-f", "examples/quickstart", &sandbox, KICKSTART, "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(Path::new(&store).exists());
    let in_memory = run(&["plan", "-f", "examples/quickstart", "--sandbox", KICKSTART]);
    assert_eq!(in_memory.status.code(), Some(0), "{}", shown(&in_memory));
}
