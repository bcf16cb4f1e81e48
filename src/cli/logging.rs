//! Log lines on stderr: those of level warn and above, unless told otherwise; a server's as JSON, from info on.

use tracing_subscriber::EnvFilter;

use super::arguments::GlobalArguments;
use super::failure::Failure;
use super::output;

/// Starts logging for the process.
pub fn start(arguments: &GlobalArguments, as_json: bool) -> Result<(), Failure> {
    let default = if as_json { "info" } else { "warn" };
    let directives = arguments.log_filter.as_deref().filter(|text| !text.is_empty()).unwrap_or(default);
    let filter = EnvFilter::try_new(directives).map_err(|error| Failure::Argument {
        message: format!("--log-filter: {error}"),
        hint: Some("write a level (error, warn, info, debug, trace) or target=level,…".to_owned()),
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if as_json {
        builder.json().flatten_event(true).with_current_span(false).init();
    } else {
        builder.with_ansi(output::stderr_is_styled()).init();
    }
    Ok(())
}
