//! What a sandbox is started with, and what can go wrong while it starts. Knows nothing of HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::version::Version;

/// Everything that `fusionkeep sandbox` can be told. `Config::default()` is an in-memory sandbox of the newest
/// version on a free loopback port, with a key of its own making.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// An unrestricted, global API key that is accepted besides those in the store. `None` makes one (and keeps it in
    /// the store, so that it is the same at the next start).
    pub api_key: Option<String>,
    /// A kickstart.json, run when the store holds nothing yet.
    pub kickstart: Option<PathBuf>,
    /// The FusionAuth version to behave as, 1.37.0 or newer.
    pub server_version: Version,
    pub search_engine: SearchEngine,
    /// How long a write stays invisible to searches on the Elasticsearch engine; searches by `ids` always see it.
    pub index_delay: Duration,
    /// Refuse what needs a licence (the Entity APIs).
    pub unlicensed: bool,
    /// An embedded database; `None` keeps everything in memory.
    pub store: Option<PathBuf>,
    /// A JSON file with fault rules.
    pub faults: Option<PathBuf>,
    /// Seeds the random choices of the fault rules; the same seed and requests give the same faults.
    pub seed: u64,
    /// A file that gets one JSON line per exchange, secrets masked.
    pub log: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            kickstart: None,
            server_version: Version::NEWEST,
            search_engine: SearchEngine::Database,
            index_delay: Duration::from_secs(1),
            unlicensed: false,
            store: None,
            faults: None,
            seed: 0,
            log: None,
        }
    }
}

/// Which search engine the emulated installation has; they differ in what a search accepts and when it sees a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchEngine {
    Database,
    Elasticsearch,
}

impl std::str::FromStr for SearchEngine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "database" => Ok(Self::Database),
            "elasticsearch" => Ok(Self::Elasticsearch),
            _ => Err(Error::SearchEngine(text.to_owned())),
        }
    }
}

/// Why a sandbox cannot start. [`Error::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot start the sandbox's threads: {0}")]
    Threads(#[source] std::io::Error),
    #[error("cannot open the store {}: {source}", path.display())]
    Store { path: PathBuf, source: rusqlite::Error },
    #[error("the store {} is not one of this sandbox, or is damaged: {reason}", path.display())]
    StoreContent { path: PathBuf, reason: String },
    #[error("the store {} is in use by another sandbox", path.display())]
    StoreInUse { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write the log {}: {source}", path.display())]
    Log { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}", path.display())]
    Kickstart { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Faults { path: PathBuf, reason: String },
    #[error("unknown search engine `{0}`")]
    SearchEngine(String),
    #[error("`{0}` is not a version that the sandbox can behave as")]
    Version(String),
    #[error("the store cannot be written: {0}")]
    Write(String),
}

impl Error {
    /// What a person can do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "choose another address with --listen; port 0 takes a free one",
            Self::Threads(_) => "the machine is out of threads or memory",
            Self::Store { .. } => {
                "the folder must exist and be writable, and no other sandbox may have the file open"
            }
            Self::StoreInUse { .. } => "stop the other one, or choose another file",
            Self::StoreContent { .. } => "choose another file with --store, or remove this one to begin anew",
            Self::Read { .. } => "the path must name a readable file",
            Self::Log { .. } => "the folder must exist and be writable",
            Self::Kickstart { .. } => "see FusionAuth's Kickstart documentation for the format",
            Self::Faults { .. } => {
                "a fault file is {\"rules\": [{\"fault\": …}]}; see src/sandbox/FIDELITY.md"
            }
            Self::SearchEngine(_) => "use `database` or `elasticsearch`",
            Self::Version(_) => "use a version from 1.37.0 on, as 1.69.0",
            Self::Write(_) => "is the disk full?",
        }
    }
}
