//! Whole runs of the built binary: stdout, stderr and exit status.

mod basics;
mod doctor;
mod guards;
mod key;
mod kickstart;
mod lifecycle;
mod people;
pub mod place;
mod plan_errors;
mod process;
mod record;
mod report;
mod runs;
mod sandbox;
mod saved;
mod settled;
mod state;
mod undo;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The built binary, without any variable of ours from the tests' own surroundings, in the crate's folder.
pub fn fusionkeep(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fusionkeep"));
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy().starts_with("FUSIONKEEP_");
        if ours || ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"].iter().any(|other| name == *other) {
            command.env_remove(name);
        }
    }
    // Journals of tests do not pile up in the crate's folder.
    command.env("FUSIONKEEP_JOURNAL_DIR", std::env::temp_dir().join("fusionkeep-tests"));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// The crate's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Runs to the end.
pub fn run(arguments: &[&str]) -> Output {
    fusionkeep(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Sends a signal by its name, such as `TERM`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// A run as a snapshot shows it.
pub fn shown(output: &Output) -> String {
    format!(
        "exit status: {}\n----- stdout -----\n{}----- stderr -----\n{}",
        output.status.code().unwrap_or(-1),
        stdout(output),
        stderr(output)
    )
}

/// Compares with the committed snapshot; what differs from run to run is filtered.
#[macro_export]
macro_rules! assert_run {
    ($name:expr, $output:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[ID]");
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
        settings.add_filter(r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z", "[TIME]");
        settings.add_filter(r"journal: \S+", "journal: [FILE]");
        settings.add_filter(r"/[^\s:]*/\.tmp[A-Za-z0-9]+", "[DIR]");
        // Of several that failed, the first to do so is named.
        settings.add_filter(r"\S+ failed, which it depends on", "[ONE] failed, which it depends on");
        settings.add_filter(r" \(os error \d+\)", "");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path("snapshots");
        settings.bind(|| insta::assert_snapshot!($name, $crate::command::shown(&$output)));
    }};
}
