//! `fusionkeep doctor`: what a target and its key are like, and what is wrong with them.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::engine;
use crate::engine::doctor::{Allowed, Examination, Finding, Scope, SearchEngine, Tls, examine};
use crate::report::{ProblemView, Style, text_problems, visible};

use super::arguments::{ConnectArguments, DataFormat, DataOutputArguments};
use super::exit::{self, Exit};
use super::failure::Failure;
use super::output;
use super::pipeline::{self, Needs};

/// Look at a FusionAuth and an API key: what works, what does not, and what the key needs
///
/// Tells URL, TLS, version, tenant, search engine, licence and clock, what the key may do on each route, and the
/// least permissions to give it. Nothing is written to FusionAuth, and no record is needed. With -f only what the
/// manifests declare counts. Exit status: 0 all is well, 1 something is wrong, 6 unreachable.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    pub output: DataOutputArguments,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let reached = pipeline::reach(&arguments.connect, Needs::without_manifests()).await?;
        let kinds: BTreeSet<_> = reached.objects.iter().map(|object| object.address.kind).collect();
        let record = arguments.connect.record.record.as_deref();
        let record_in_file = record.is_some_and(|path| !path.as_os_str().is_empty());
        let connected = &reached.connected;
        let (found, exit) = match examine(&connected.connection, &Scope { kinds, record_in_file }).await {
            Ok(found) if found.is_sound() => (found, Exit::Done),
            Ok(found) => (found, Exit::Error),
            // That it does not answer is what was asked for, and no reason to give another form.
            Err(error) => {
                let failure = Failure::from(error);
                let finding =
                    Finding::new(failure.code(), failure.to_string(), &failure.hint().unwrap_or_default());
                (Examination::without_answer(&connected.connection, finding), exit::of_failure(&failure))
            }
        };
        match arguments.output.format {
            DataFormat::Json => output::json(&found)?,
            DataFormat::Text => output::result(&page(&found)?)?,
        }
        if connected.keys.is_none() {
            output::tell(&format!("there is no runner key: {}\n", engine::keys::MAKE_A_KEY));
        }
        let views = |findings: &[Finding]| -> Vec<ProblemView> {
            findings.iter().map(|finding| ProblemView::from(&finding.problem())).collect()
        };
        output::tell(&text_problems(&views(&found.warnings), "warning", Style::WARNING));
        output::tell(&text_problems(&views(&found.problems), "error", Style::ERROR));
        Ok(exit)
    })
}

fn page(found: &Examination) -> Result<String, Failure> {
    let unknown = || "unknown".to_owned();
    let clock = match found.clock_ahead_seconds {
        None => unknown(),
        Some(ahead) if ahead.abs() <= 1 => "as here".to_owned(),
        Some(ahead) if ahead > 0 => format!("{ahead} s ahead of this machine"),
        Some(behind) => format!("{} s behind this machine", behind.abs()),
    };
    let licence = match found.licensed {
        Some(true) => "entities can be used",
        Some(false) => "none for entities",
        None => "unknown",
    };
    let engine = match found.search_engine {
        SearchEngine::Elasticsearch => "Elasticsearch",
        SearchEngine::Database => "database",
        SearchEngine::Unknown => "unknown",
    };
    let tls = match found.tls {
        Tls::Verified => "the certificate is trusted",
        Tls::None => "none (http)",
        Tls::Unknown => "unknown",
    };
    let rows = [
        ("URL", visible(&found.url).into_owned()),
        ("TLS", tls.to_owned()),
        ("FusionAuth", found.server_version.clone().unwrap_or_else(unknown)),
        ("tenant", found.tenant_id.clone().unwrap_or_else(unknown)),
        ("search engine", engine.to_owned()),
        ("licence", licence.to_owned()),
        ("clock", clock),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<14} {value}");
    }
    if found.permissions.is_empty() {
        return Ok(text);
    }
    text.push_str("\nThe API key:\n");
    for permission in &found.permissions {
        let allowed = match permission.allowed {
            Allowed::Yes => "yes",
            Allowed::No => "NO",
            Allowed::Unknown => "unknown",
        };
        let (method, endpoint) = (permission.method, permission.endpoint);
        let _ = writeln!(text, "  {allowed:<8} {method:<7} {endpoint:<38} {}", permission.needed_for);
    }
    let least = serde_json::to_string_pretty(&serde_json::json!({ "permissions": found.least_permissions }))
        .map_err(|error| Failure::Output(error.into()))?;
    let _ = writeln!(text, "\nThe least permissions of an API key:\n{least}");
    Ok(text)
}
