//! The command: one file a subcommand. Arguments in, a report out; what is done in between is the engine's.
//!
//! stdout holds the result alone, stderr everything else. Exit statuses are decided in `exit`, errors are typed
//! in `failure`, flags that several commands share stand in `arguments`.

mod adopt;
mod apply;
mod arguments;
mod carry_out;
mod completion;
mod connect;
#[cfg(feature = "operator")]
mod crds;
mod destroy;
mod doctor;
mod exit;
mod explain;
mod failure;
mod list;
mod load;
mod logging;
#[cfg(feature = "operator")]
mod operator;
mod output;
mod pipeline;
mod places;
mod plan;
mod sandbox;
mod schema;
mod signals;
mod target;
mod undo;
mod unlock;
mod validate;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use arguments::{Format, GlobalArguments};
use exit::Exit;
use failure::Failure;

/// Keeps a FusionAuth instance as its YAML declares it.
///
/// Manifests declare users, entities, lambdas and identity-provider links. `plan` shows what differs from the live
/// instance, `apply` closes the difference.
///
/// Exit status: 0 done or no change, 1 error (wrong usage too), 2 changes (plan --detailed-exitcode), 3 refused by a
/// guard, 4 stale plan, 5 partly applied, 6 unreachable. It does not depend on the output format.
#[derive(Debug, Parser)]
#[command(name = "fusionkeep", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(Box<plan::Arguments>),
    Apply(Box<apply::Arguments>),
    Validate(validate::Arguments),
    List(Box<list::Arguments>),
    Show(Box<list::ShowArguments>),
    Adopt(Box<adopt::Arguments>),
    Destroy(Box<destroy::Arguments>),
    Undo(Box<undo::Arguments>),
    Unlock(Box<unlock::Arguments>),
    Doctor(Box<doctor::Arguments>),
    Schema(schema::Arguments),
    Explain(explain::Arguments),
    Sandbox(sandbox::Arguments),
    #[cfg(feature = "operator")]
    Operator(operator::Arguments),
    #[cfg(feature = "operator")]
    Crds(crds::Arguments),
    Completion(completion::Arguments),
    Version(version::Arguments),
}

impl Command {
    fn run(&self) -> Result<Exit, Failure> {
        match self {
            Command::Plan(arguments) => plan::run(arguments),
            Command::Apply(arguments) => apply::run(arguments),
            Command::Validate(arguments) => validate::run(arguments),
            Command::List(arguments) => list::run(arguments),
            Command::Show(arguments) => list::show(arguments),
            Command::Adopt(arguments) => adopt::run(arguments),
            Command::Destroy(arguments) => destroy::run(arguments),
            Command::Undo(arguments) => undo::run(arguments),
            Command::Unlock(arguments) => unlock::run(arguments),
            Command::Doctor(arguments) => doctor::run(arguments),
            Command::Schema(arguments) => schema::run(arguments),
            Command::Explain(arguments) => explain::run(arguments),
            Command::Sandbox(arguments) => sandbox::run(arguments),
            #[cfg(feature = "operator")]
            Command::Operator(arguments) => operator::run(arguments),
            #[cfg(feature = "operator")]
            Command::Crds(arguments) => crds::run(arguments),
            Command::Completion(arguments) => completion::run(arguments),
            Command::Version(arguments) => version::run(arguments),
        }
    }

    /// In which form the command reports on stdout, failures included.
    fn format(&self) -> Format {
        match self {
            Command::Plan(arguments) => arguments.run.report.format,
            Command::Apply(arguments) => arguments.run.report.format,
            Command::Adopt(arguments) => arguments.run.report.format,
            Command::Destroy(arguments) => arguments.run.report.format,
            Command::Undo(arguments) => arguments.report.format,
            Command::Validate(arguments) => arguments.format,
            Command::List(arguments) => arguments.output.format.into(),
            Command::Show(arguments) => arguments.output.format.into(),
            Command::Doctor(arguments) => arguments.output.format.into(),
            Command::Version(arguments) => arguments.output.format.into(),
            Command::Unlock(_)
            | Command::Schema(_)
            | Command::Explain(_)
            | Command::Sandbox(_)
            | Command::Completion(_) => Format::Text,
            #[cfg(feature = "operator")]
            Command::Operator(_) | Command::Crds(_) => Format::Text,
        }
    }

    /// Whether the log is read by machines: a server's is.
    fn logs_as_json(&self) -> bool {
        #[cfg(feature = "operator")]
        return matches!(self, Command::Operator(arguments) if arguments.serves());
        #[cfg(not(feature = "operator"))]
        false
    }
}

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; everything else is wrong usage, and a closed stderr leaves nobody to tell.
            return match error.print() {
                Err(lost) if !error.use_stderr() => finish(&Failure::Output(lost), Format::Text).into(),
                _ if error.use_stderr() => Exit::Error.into(),
                _ => Exit::Done.into(),
            };
        }
    };
    output::set_colour(cli.global.color);
    if let Err(failure) = logging::start(&cli.global, cli.command.logs_as_json()) {
        return finish(&failure, Format::Text).into();
    }
    match cli.command.run() {
        Ok(status) => status.into(),
        Err(failure) if cli.command.logs_as_json() => {
            // Whoever collects a server's log reads lines of JSON, the last one too.
            tracing::error!(code = failure.code(), hint = failure.hint(), "{failure}");
            exit::of_failure(&failure).into()
        }
        Err(failure) => finish(&failure, cli.command.format()).into(),
    }
}

/// Tells a failure on stderr and, in the formats that are read by machines, on stdout too.
fn finish(failure: &Failure, format: Format) -> Exit {
    output::tell(&failure.render());
    if let Some(view) = failure.view() {
        // The failure's own status says more than that its report could not be written.
        let _ = match format {
            Format::Text => Ok(()),
            Format::Json | Format::Markdown => output::report(&view, format),
        };
    }
    exit::of_failure(failure)
}

/// The command as clap knows it, for completions and the tests of its flags.
fn definition() -> clap::Command {
    Cli::command()
}
