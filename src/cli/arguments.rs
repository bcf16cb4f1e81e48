//! Flags that several commands share, in groups. Every flag has an environment variable: `FUSIONKEEP_` and its name.
//! The API key and the runner key have none but a variable or a file: an argument would show in the process list.

use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;

/// Flags of every command.
#[derive(Debug, clap::Args)]
pub struct GlobalArguments {
    /// When to use colours; NO_COLOR is honoured
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "FUSIONKEEP_COLOR",
        hide_env_values = true,
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub color: ColorWhen,
    /// Log filter for stderr, such as debug or fusionkeep::engine=trace
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "FUSIONKEEP_LOG_FILTER",
        help_heading = "Global options"
    )]
    pub log_filter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// The form of a report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// The form of plain data on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    Text,
    Json,
}

/// The output flag of commands that report no plan.
#[derive(Debug, clap::Args)]
pub struct DataOutputArguments {
    /// The form of the result
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        env = "FUSIONKEEP_OUTPUT",
        default_value = "text"
    )]
    pub format: DataFormat,
}

/// A switch: clap's own reader of variables takes any text for true, and CI systems set empty ones.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "0" | "false" | "no" | "off" => Ok(false),
        "1" | "true" | "yes" | "on" => Ok(true),
        _ => Err("write true or false".to_owned()),
    }
}

/// A duration such as `1s`, `500ms` or `1m30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "write a duration such as 500ms, 30s or 1m30s".to_owned())?;
    duration.try_into().map_err(|_| "a duration is not negative".to_owned())
}
