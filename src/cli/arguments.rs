//! Flags that several commands share, in groups. Every flag has an environment variable: `FUSIONKEEP_` and its name.
//! The API key and the runner key have none but a variable or a file: an argument would show in the process list.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;

use crate::engine::select::LabelSelector;
use crate::model::{Address, NumberOrPercent};

/// Flags of every command.
#[derive(Clone, Debug, clap::Args)]
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

impl From<DataFormat> for Format {
    fn from(format: DataFormat) -> Format {
        match format {
            DataFormat::Text => Format::Text,
            DataFormat::Json => Format::Json,
        }
    }
}

/// The output flag of commands that report no plan.
#[derive(Clone, Debug, clap::Args)]
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

/// What is read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct InputArguments {
    /// A manifest, a folder of manifests, or - for standard input; repeatable
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "FILE|DIR|-",
        env = "FUSIONKEEP_FILENAME",
        value_delimiter = ','
    )]
    pub filenames: Vec<PathBuf>,
    /// Read folders within folders
    #[arg(short = 'R', long, env = "FUSIONKEEP_RECURSIVE", value_parser = switch)]
    pub recursive: bool,
    /// Allow an input without objects of ours
    #[arg(long, env = "FUSIONKEEP_ALLOW_EMPTY", value_parser = switch)]
    pub allow_empty: bool,
}

/// Where secrets may be read, beside `v1/Secret` documents of the input and `FUSIONKEEP_SECRET_…` variables.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Secrets")]
pub struct SecretArguments {
    /// Variables that a manifest's fromEnv may name; FUSIONKEEP_SECRET_* always may
    #[arg(long, value_name = "GLOB", env = "FUSIONKEEP_ALLOW_ENV", value_delimiter = ',')]
    pub allow_env: Vec<String>,
    /// A folder below which a manifest's fromFile may lie; repeatable
    #[arg(long, value_name = "DIR", env = "FUSIONKEEP_SECRETS_DIR", value_delimiter = ',')]
    pub secrets_dir: Vec<PathBuf>,
    /// The file that holds the runner key, instead of the variable FUSIONKEEP_KEY
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_KEY_FILE")]
    pub key_file: Option<PathBuf>,
}

/// Which FusionAuth, as whom.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArguments {
    /// Use an embedded sandbox, in memory or on a file, instead of a FusionAuth
    #[arg(long, value_name = "STORE", env = "FUSIONKEEP_SANDBOX", num_args = 0..=1, require_equals = true,
        default_missing_value = IN_MEMORY)]
    pub sandbox: Option<String>,
    /// Fill an empty sandbox from a kickstart.json
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_SANDBOX_KICKSTART")]
    pub sandbox_kickstart: Option<PathBuf>,
    /// FusionAuth's base URL
    #[arg(long, value_name = "URL", env = "FUSIONKEEP_URL")]
    pub url: Option<String>,
    /// URLs of instances in the input to which the API key may go
    #[arg(long, value_name = "URL", env = "FUSIONKEEP_ALLOWED_URLS", value_delimiter = ',')]
    pub allowed_urls: Vec<String>,
    /// The instance to use, when the input has several
    #[arg(long, value_name = "[NS/]NAME", env = "FUSIONKEEP_INSTANCE")]
    pub instance: Option<String>,
    /// The tenant; may be left out when there is only one
    #[arg(long, value_name = "UUID", env = "FUSIONKEEP_TENANT_ID")]
    pub tenant_id: Option<String>,
    /// Who owns what is declared: 1 to 63 of a to z, 0 to 9 and "-"
    #[arg(long, value_name = "OWNER", env = "FUSIONKEEP_OWNER")]
    pub owner: Option<String>,
    /// The file that holds the API key, instead of the variable FUSIONKEEP_API_KEY
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_API_KEY_FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Allow http to hosts other than loopback: the API key goes in the clear
    #[arg(long, env = "FUSIONKEEP_INSECURE_HTTP", value_parser = switch)]
    pub insecure_http: bool,
    /// How long to repeat a 401 before the first success: new API keys can need it
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_WAIT_FOR_KEY", default_value = "3s",
        value_parser = duration)]
    pub wait_for_key: Duration,
    /// How long one request may take
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_REQUEST_TIMEOUT", default_value = "30s",
        value_parser = duration)]
    pub request_timeout: Duration,
    /// How long all requests together may take
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_TIMEOUT", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// The most requests in flight
    #[arg(long, value_name = "N", env = "FUSIONKEEP_PARALLELISM", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
}

/// `--sandbox` without a store.
pub const IN_MEMORY: &str = ":memory:";

/// Which objects a run is about, by their addresses.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
pub struct AddressArguments {
    /// Only this object; repeatable
    #[arg(long = "target", value_name = "KIND/[NS/]NAME", env = "FUSIONKEEP_TARGET", value_delimiter = ',')]
    pub targets: Vec<Address>,
}

/// Which of the declared objects a run is about.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectionArguments {
    #[command(flatten)]
    pub addresses: AddressArguments,
    /// Only objects with these labels, such as team=web,tier!=test
    #[arg(short = 'l', long, value_name = "LABEL=VALUE", env = "FUSIONKEEP_SELECTOR")]
    pub selector: Option<LabelSelector>,
}

/// How a plan or a run is reported.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct ReportArguments {
    /// The form of the result
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        env = "FUSIONKEEP_OUTPUT",
        default_value = "text"
    )]
    pub format: Format,
    /// Show personal values that come from the server
    #[arg(long, env = "FUSIONKEEP_SHOW_PERSONAL", value_parser = switch)]
    pub show_personal: bool,
}

/// Limits that are judged before the first write, and what lifts them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Guards")]
pub struct GuardArguments {
    /// The most deletions, a number or a percentage of what is owned [default: over 10 and over 20%]
    #[arg(long, value_name = "N|P%", env = "FUSIONKEEP_MAX_DELETES")]
    pub max_deletes: Option<NumberOrPercent>,
    /// The most users changed, a number or a percentage of those owned [default: over 10 and over 50%]
    #[arg(long, value_name = "N|P%", env = "FUSIONKEEP_MAX_CHANGED_USERS")]
    pub max_changed_users: Option<NumberOrPercent>,
    /// Allow that people are deleted for good
    #[arg(long, env = "FUSIONKEEP_ALLOW_HARD_DELETE", value_parser = switch)]
    pub allow_hard_delete: bool,
    /// Allow that roles of FusionAuth's own application are given
    #[arg(long, env = "FUSIONKEEP_ALLOW_ADMIN_ROLES", value_parser = switch)]
    pub allow_admin_roles: bool,
    /// Allow that an entity type is deleted with entities that are not ours
    #[arg(long, env = "FUSIONKEEP_ALLOW_FOREIGN_ENTITIES", value_parser = switch)]
    pub allow_foreign_entities: bool,
}

/// Where the ownership record is kept.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Record")]
pub struct RecordArguments {
    /// Keep the record of what we own in this file instead of the target's groups
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_RECORD")]
    pub record: Option<PathBuf>,
}

/// The flags of every command that talks to a target.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectArguments {
    #[command(flatten)]
    pub input: InputArguments,
    #[command(flatten)]
    pub target: TargetArguments,
    #[command(flatten)]
    pub secrets: SecretArguments,
    #[command(flatten)]
    pub record: RecordArguments,
}

/// All that a plan is made from: the flags of every command that plans.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub connect: ConnectArguments,
    #[command(flatten)]
    pub selection: SelectionArguments,
    #[command(flatten)]
    pub guards: GuardArguments,
    #[command(flatten)]
    pub report: ReportArguments,
    /// Delete what we own and the manifests no longer declare
    #[arg(long, env = "FUSIONKEEP_PRUNE", value_parser = switch, help_heading = "Guards")]
    pub prune: bool,
    /// Create new users through import, this many at a time: no webhooks, no e-mails [default: 1000 when given]
    #[arg(long, value_name = "N", env = "FUSIONKEEP_BULK_CREATE", num_args = 0..=1, require_equals = true,
        default_missing_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000),
        help_heading = "Guards")]
    pub bulk_create: Option<u32>,
}

/// How a plan is carried out: the flags of every command that changes something.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Apply")]
pub struct ChangeArguments {
    /// Apply without asking; needed where there is no terminal
    #[arg(long, env = "FUSIONKEEP_AUTO_APPROVE", value_parser = switch)]
    pub auto_approve: bool,
    /// How long to wait for another run to end
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_LOCK_TIMEOUT", default_value = "0s",
        value_parser = duration)]
    pub lock_timeout: Duration,
    /// Go on although the record was last written by another runner or for another URL
    #[arg(long, env = "FUSIONKEEP_TAKE_OVER", value_parser = switch)]
    pub take_over: bool,
    /// Keep what undo needs in this file [default: a new one in the journal folder]
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_JOURNAL")]
    pub journal: Option<PathBuf>,
    /// The folder of the journals
    #[arg(long, value_name = "DIR", env = "FUSIONKEEP_JOURNAL_DIR", default_value = ".fusionkeep/journal")]
    pub journal_dir: PathBuf,
}
