//! Log lines on stderr: those of level warn and above, unless told otherwise; a server's as JSON, from info on.

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
        let lines = builder.json().flatten_event(true).with_current_span(false).finish();
        lines.with(filter_fn(is_told)).init();
    } else {
        builder.with_ansi(output::stderr_is_styled()).finish().with(filter_fn(is_told)).init();
    }
    Ok(())
}

/// Whatever level is asked for, what carries requests does not tell how long they are: where nothing else in a body is
/// unknown, that is the length of the secret in it.
fn is_told(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || !carries_requests(event.target())
}

fn carries_requests(target: &str) -> bool {
    let of_crate = target.split("::").next().unwrap_or_default();
    ["h2", "hyper"].contains(&of_crate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_bodies_are_of_no_level() {
        for target in ["h2::proto::streams::prioritize", "hyper::proto::h1::io", "h2"] {
            assert!(carries_requests(target), "{target}");
        }
        for target in ["fusionkeep::fusionauth::client", "h2o", "hyper_util::client::legacy::pool"] {
            assert!(!carries_requests(target), "{target}");
        }
    }
}
