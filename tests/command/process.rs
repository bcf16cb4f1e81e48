//! A run as a process: signals, full disks, folders that cannot be written, streams that are closed.
#![cfg(unix)]

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::place::{Place, report};
use crate::command::sandbox::{Served, serve};
use crate::command::{fusionkeep, run, shown, signal, stderr, stdout};

/// No folder below it can be written, not even by root.
#[cfg(target_os = "linux")]
const READ_ONLY: &str = "/proc/fusionkeep";

/// A served sandbox in which creating users takes its time.
fn slow(place: &Place, milliseconds: u64) -> Served {
    slow_by(place, &format!(r#""milliseconds": {milliseconds}"#))
}

fn slow_by(place: &Place, how: &str) -> Served {
    let rules = format!(
        r#"{{ "rules": [{{ "fault": "latency", {how}, "method": "POST", "route": "/api/user/registration/*" }}] }}"#
    );
    let faults = place.write("faults.json", &rules);
    serve(&["--kickstart", "examples/quickstart.kickstart.json", "--faults", &faults])
}

fn begun(served: &Served, place: &Place) -> Child {
    let mut command = served.command(&[
        "apply",
        "-f",
        "examples/quickstart",
        "--auto-approve",
        "--parallelism=1",
        "-o",
        "json",
    ]);
    command.env("FUSIONKEEP_JOURNAL_DIR", place.path("journals"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    served.wait_for("POST", "/api/user/registration");
    child
}

#[test]
fn ctrl_c_and_sigterm_finish_record_unlock_and_report() {
    for name in ["INT", "TERM"] {
        let place = Place::new();
        let served = slow(&place, 400);
        let child = begun(&served, &place);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{name}: {}", shown(&output));
        assert!(
            stderr(&output).contains(&format!("SIG{name}: finishing the writes under way")),
            "{}",
            shown(&output)
        );
        let made = report(&output)["summary"]["create"].as_u64().unwrap();
        assert!((1..30).contains(&made), "{}", shown(&output));
        assert_eq!(stdout(&served.run(&["unlock"])), "there is no lock\n", "{name}");
        let held: Vec<Value> = serde_json::from_slice(&served.run(&["list", "-o", "json"]).stdout).unwrap();
        let recorded = held.iter().filter(|held| held["unfinished"] == false).count() as u64;
        assert!(recorded >= made, "{name}: {recorded} of {made} are recorded");
        let journals = place.path("journals");
        let undone = served
            .command(&["undo", "--auto-approve", "--max-deletes=100", "--max-changed-users=100"])
            .env("FUSIONKEEP_JOURNAL_DIR", &journals)
            .output()
            .unwrap();
        assert_eq!(undone.status.code(), Some(0), "what was done can be undone: {}", shown(&undone));
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    // The first is answered, and the second will not be for long.
    let served = slow_by(&place, r#""milliseconds": 20000, "nth": 2"#);
    let child = begun(&served, &place);
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    assert!(asked.elapsed() < Duration::from_secs(8), "it waited for the write under way");
}

#[test]
fn a_killed_run_leaves_a_journal_of_what_stood_there() {
    let place = Place::new();
    let served = slow(&place, 400);
    let mut child = begun(&served, &place);
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = std::fs::read_dir(place.path("journals")).unwrap().next().unwrap().unwrap().path();
    let journal: Value = serde_json::from_slice(&std::fs::read(journal).unwrap()).unwrap();
    assert_eq!((journal["ended"].clone(), journal["changes"].as_array().unwrap().len()), (false.into(), 30));
}

#[cfg(target_os = "linux")]
fn full_device() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_nothing_is_written_without_a_journal() {
    let place = Place::new();
    let full = |output: &Output, what: &str| {
        assert_eq!(output.status.code(), Some(1), "{what}: {}", shown(output));
        let said = stderr(output);
        assert!(said.contains("No space left") && !said.contains("panicked"), "{what}: {}", shown(output));
    };
    full(&place.quickstart("plan", &["--out=/dev/full"]), "--out");
    full(&place.quickstart("apply", &["--auto-approve", "--journal=/dev/full"]), "--journal");
    let plan = place.quickstart("plan", &["-o", "json"]);
    assert_eq!(report(&plan)["summary"]["create"], 30, "nothing was written");
    let sandbox = place.sandbox();
    for arguments in [
        &["plan"][..],
        &["plan", "-o", "json"],
        &["plan", "-o", "markdown"],
        &["apply", "--auto-approve"],
        &["doctor"],
    ] {
        let input = ["-f", "examples/quickstart", &sandbox];
        let output = fusionkeep(&[arguments, &input[..]].concat()).stdout(full_device()).output().unwrap();
        full(&output, &arguments.join(" "));
    }
    let plan = place.quickstart("plan", &["-o", "json"]);
    assert_eq!(report(&plan)["summary"]["create"], 30, "a plan that nobody saw is not applied");
}

/// What was done is said where it can be said, and by the exit status of a run that could not be written down.
#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_does_not_hide_what_was_done() {
    let place = Place::new();
    let sandbox = place.sandbox();
    let apply =
        ["apply", "-f", "examples/quickstart", &sandbox, crate::command::place::KICKSTART, "--auto-approve"];
    let output = fusionkeep(&[&apply[..], &["-o", "json"]].concat()).stdout(full_device()).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    let said = stderr(&output);
    assert!(said.contains("30 of 30 changes were made") && said.contains("No space left"), "{said}");
    assert!(said.contains("journal: "), "{said}");
    let plan = run(&["plan", "-f", "examples/quickstart", &sandbox]);
    assert!(stdout(&plan).contains("no changes: 30 objects"), "{}", shown(&plan));
    let help = fusionkeep(&["help"]).stdout(full_device()).output().unwrap();
    assert_eq!(help.status.code(), Some(1), "{}", shown(&help));
    assert!(stderr(&help).contains("No space left"), "{}", shown(&help));
}

/// Whoever read the other end of stdout has gone before anything was written.
#[test]
fn a_closed_stdout_is_an_error_and_nothing_is_applied_that_nobody_saw() {
    let place = Place::new();
    let sandbox = place.sandbox();
    let input = ["-f", "examples/quickstart", &sandbox, crate::command::place::KICKSTART];
    for arguments in [
        &["plan"][..],
        &["plan", "-o", "json"],
        &["plan", "-o", "markdown"],
        &["apply", "--auto-approve"],
        &["doctor"],
        &["validate"],
        &["version"],
        &["explain", "User"],
        &["completion", "bash"],
        &["help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let more = match arguments[0] {
            "plan" | "apply" => &input[..],
            "doctor" => &input[2..3],
            "validate" => &input[..2],
            _ => &[],
        };
        let mut command = fusionkeep(&[arguments, more].concat());
        let output =
            command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", shown(&output));
        assert!(!stderr(&output).contains("panicked"), "{arguments:?}: {}", shown(&output));
    }
    let plan = place.quickstart("plan", &["-o", "json"]);
    assert_eq!(report(&plan)["summary"]["create"], 30, "nothing was written");
}

/// A limit on the size of files, set while a run writes, stands for a disk that fills under it.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_halfway_is_an_error_and_the_next_run_mends_it() {
    for file in ["journal", "record"] {
        let place = Place::new();
        let served = slow(&place, 200);
        let (journal, record) = (place.path("journal.json"), place.path("record.json"));
        let journal = if file == "journal" { journal } else { "/dev/null".into() };
        let journal = format!("--journal={}", journal.display());
        let record = format!("--record={}", record.display());
        let record = if file == "record" { vec![&*record] } else { vec![] };
        let declared = ["-f", "examples/quickstart"];
        let apply = ["apply", "--auto-approve", "--parallelism=1", "-o", "json", &journal];
        let arguments = [&apply[..], &declared, &record].concat();
        // Beyond the limit a write is then refused, where the signal would end the process.
        let mut command = Command::new("bash");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_fusionkeep")]);
        command.args(&arguments).current_dir(crate::command::root()).stdin(Stdio::null());
        command.envs(served.variables()).env("FUSIONKEEP_KEY", crate::command::sandbox::RUNNER_KEY);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        served.wait_for("POST", "/api/user/registration");
        let limit = ["--pid", &child.id().to_string(), "--fsize=100"];
        assert!(Command::new("prlimit").args(limit).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let what = format!("{file}: {}", shown(&output));
        assert!(
            stderr(&output).contains("File too large") && !stderr(&output).contains("panicked"),
            "{what}"
        );
        // What stood there before and what was meant were written first. That the end is not is an error.
        assert_eq!(output.status.code(), Some(5), "{what}");
        let code = format!("{file}-not-written");
        assert!(
            report(&output)["errors"].as_array().unwrap().iter().any(|one| one["code"] == code),
            "{what}"
        );
        let mended = served.run(&arguments);
        assert_eq!(mended.status.code(), Some(0), "{what}\nand then {}", shown(&mended));
        let plan = served.run(&[&["plan"], &declared[..], &record].concat());
        assert!(stdout(&plan).contains("no changes"), "{what}\nand then {}", shown(&plan));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let refused = |output: &Output, what: &str| {
        assert_eq!(output.status.code(), Some(1), "{what}: {}", shown(output));
        let said = stderr(output);
        assert!(said.contains(READ_ONLY) && !said.contains("panicked"), "{what}: {}", shown(output));
    };
    let at = |flag: &str| format!("{flag}={READ_ONLY}/x");
    refused(&place.quickstart("plan", &[&at("--out")]), "--out");
    refused(&place.quickstart("apply", &["--auto-approve", &at("--journal")]), "--journal");
    refused(&place.quickstart("apply", &["--auto-approve", &at("--journal-dir")]), "--journal-dir");
    refused(&place.quickstart("apply", &["--auto-approve", &at("--record")]), "--record");
    let plan = place.quickstart("plan", &["-o", "json"]);
    assert_eq!(report(&plan)["summary"]["create"], 30, "nothing was written");
    refused(&run(&["plan", "-f", "examples/quickstart", &at("--sandbox")]), "--sandbox");
    refused(&run(&["sandbox", &at("--store")]), "sandbox --store");
    // A record that cannot be kept is found before the first write, too.
    let device = place.quickstart("apply", &["--auto-approve", "--record=/dev/full"]);
    assert_eq!(device.status.code(), Some(1), "{}", shown(&device));
    assert!(stderr(&device).contains("no regular file"), "{}", shown(&device));
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let place = Place::applied();
    let program = env!("CARGO_BIN_EXE_fusionkeep");
    let shell = |line: &str| {
        let mut shell = fusionkeep(&[]);
        let folder = shell.get_current_dir().unwrap().to_owned();
        shell = Command::new("bash");
        let output = shell.arg("-c").arg(line).current_dir(folder).stdin(Stdio::null()).output().unwrap();
        assert!(!stderr(&output).contains("panicked"), "{line}: {}", shown(&output));
        output
    };
    let sandbox = place.sandbox();
    let plan = format!("{program} plan -f examples/quickstart {sandbox}");
    let head = shell(&format!("set -o pipefail; {plan} -o json | head -1"));
    assert_eq!(stdout(&head), "{\n", "{}", shown(&head));
    let closed = shell(&format!("{plan} >&-"));
    assert!(matches!(closed.status.code(), Some(0 | 1)), "{}", shown(&closed));
    let deaf = shell(&format!("{plan} 2>&-"));
    assert_eq!(deaf.status.code(), Some(0), "{}", shown(&deaf));
    let list = shell(&format!("set -o pipefail; {program} list {sandbox} | true"));
    assert!(matches!(list.status.code(), Some(0 | 1)), "{}", shown(&list));
}
