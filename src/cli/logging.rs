//! Log lines on stderr: those of level warn and above, unless told otherwise.

use tracing_subscriber::EnvFilter;

use super::arguments::GlobalArguments;
use super::failure::Failure;
use super::output;

/// Starts logging for the process.
pub fn start(arguments: &GlobalArguments) -> Result<(), Failure> {
    let directives = arguments.log_filter.as_deref().filter(|text| !text.is_empty()).unwrap_or("warn");
    let filter = EnvFilter::try_new(directives).map_err(|error| Failure::Argument {
        message: format!("--log-filter: {error}"),
        hint: Some("write a level (error, warn, info, debug, trace) or target=level,…".to_owned()),
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::stderr_is_styled())
        .init();
    Ok(())
}
