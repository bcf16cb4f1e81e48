//! Commands that need no target: version, completion, schema, explain, wrong usage.

use clap::CommandFactory;
use fusionkeep::cli::Cli;

use crate::assert_run;
use crate::command::{fusionkeep, run, shown, stderr, stdout};

#[test]
fn version() {
    assert_run!("version", run(&["version"]));
    let json: serde_json::Value = serde_json::from_str(&stdout(&run(&["version", "-o", "json"]))).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn wrong_usage_is_an_error_and_not_a_change() {
    assert_run!("wrong-usage", run(&["version", "--nothing"]));
    assert_eq!(run(&[]).status.code(), Some(1));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(stdout(&output).contains("sandbox"), "{shell}");
    }
}

#[test]
fn explain_tells_a_fields_documentation() {
    assert_run!("explain-registrations", run(&["explain", "User.registrations"]));
    assert_eq!(
        stdout(&run(&["explain", "user.spec.registrations"])),
        stdout(&run(&["explain", "users.registrations"]))
    );
    assert_run!("explain-unknown-field", run(&["explain", "EntityGrant.users"]));
    assert_run!("explain-unknown-kind", run(&["explain", "Group"]));
}

#[test]
fn the_committed_schemas_are_those_of_this_version() {
    let output = run(&["schema", "--check", "schemas"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

#[test]
fn stale_schemas_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert_eq!(run(&["schema", "--write", path]).status.code(), Some(0));
    assert_eq!(run(&["schema", "--check", path]).status.code(), Some(0));
    std::fs::write(directory.path().join("report.json"), "{}").unwrap();
    let output = run(&["schema", "--check", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("report.json"), "{}", shown(&output));
}

/// Every command with its name, and the commands within commands.
fn commands(command: &clap::Command, name: &str) -> Vec<(String, clap::Command)> {
    let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
    let inner = inner.flat_map(|inner| commands(inner, &format!("{name} {}", inner.get_name())));
    std::iter::once((name.to_owned(), command.clone())).chain(inner).collect()
}

#[test]
fn every_flag_has_an_environment_variable_and_the_short_help_tells_it() {
    let mut whole = Cli::command();
    whole.build();
    for (name, mut command) in commands(&whole, "fusionkeep") {
        let prefix = if name == "fusionkeep sandbox" { "FUSIONKEEP_SANDBOX_" } else { "FUSIONKEEP_" };
        let help: String = command.render_help().to_string().split_whitespace().collect();
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long().filter(|long| !matches!(*long, "help" | "version")) else {
                continue;
            };
            let variable = argument.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            let expected = match long {
                // What a pod is told of itself has Kubernetes' usual names.
                "own-namespace" => "POD_NAMESPACE".to_owned(),
                "pod" => "POD_NAME".to_owned(),
                _ if argument.is_global_set() => {
                    format!("FUSIONKEEP_{}", long.to_uppercase().replace('-', "_"))
                }
                _ => format!("{prefix}{}", long.to_uppercase().replace('-', "_")),
            };
            assert_eq!(variable, expected, "{name} --{long}");
            assert!(
                help.contains(&format!("[env:{variable}")),
                "{name} -h does not tell {variable}:\n{help}"
            );
        }
    }
}

#[test]
fn a_key_is_no_argument() {
    for command in Cli::command().get_subcommands().filter(|command| command.get_name() != "sandbox") {
        for argument in command.get_arguments() {
            let long = argument.get_long().unwrap_or_default();
            assert!(!matches!(long, "api-key" | "key"), "{} --{long}", command.get_name());
        }
    }
}

#[test]
fn colours_obey_the_flag_and_no_color() {
    let coloured =
        |command: &mut std::process::Command| stderr(&command.output().unwrap()).contains('\u{1b}');
    assert!(!coloured(&mut fusionkeep(&["explain", "Group"])));
    assert!(coloured(&mut fusionkeep(&["explain", "Group", "--color", "always"])));
    assert!(coloured(fusionkeep(&["explain", "Group"]).env("CLICOLOR_FORCE", "1")));
    assert!(!coloured(fusionkeep(&["explain", "Group"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
}

#[cfg(unix)]
#[test]
fn a_full_or_closed_stdout_is_an_error_and_no_panic() {
    use std::process::Stdio;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = fusionkeep(&["explain", "User"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to standard output"), "{}", shown(&output));

    let mut child =
        fusionkeep(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
}
