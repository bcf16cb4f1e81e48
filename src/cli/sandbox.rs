//! `fusionkeep sandbox`: the emulator as a server of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::sandbox::{Config, Sandbox, SearchEngine, Version};

use super::arguments::{duration, switch};
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::signals::Signals;

/// Serve an emulated FusionAuth, in memory or on a file
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", env = "FUSIONKEEP_SANDBOX_LISTEN", default_value = "127.0.0.1:0",
        value_parser = address)]
    listen: SocketAddr,
    /// The API key to accept; one is made when absent
    #[arg(long, value_name = "KEY", env = "FUSIONKEEP_SANDBOX_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Fill an empty store from a kickstart.json
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_SANDBOX_KICKSTART")]
    kickstart: Option<PathBuf>,
    /// The FusionAuth version to behave as, from 1.37.0 on
    #[arg(long, value_name = "VERSION", env = "FUSIONKEEP_SANDBOX_SERVER_VERSION",
        default_value_t = Version::NEWEST)]
    server_version: Version,
    /// The search engine to behave as: database or elasticsearch
    #[arg(long, value_name = "ENGINE", env = "FUSIONKEEP_SANDBOX_SEARCH_ENGINE", default_value = "database")]
    search_engine: SearchEngine,
    /// How long a write stays invisible to searches on elasticsearch
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_SANDBOX_INDEX_DELAY", default_value = "1s",
        value_parser = duration)]
    index_delay: Duration,
    /// Refuse what needs a licence
    #[arg(long, env = "FUSIONKEEP_SANDBOX_UNLICENSED", value_parser = switch)]
    unlicensed: bool,
    /// Keep the content in this file
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_SANDBOX_STORE")]
    store: Option<PathBuf>,
    /// Inject the faults that this file describes
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_SANDBOX_FAULTS")]
    faults: Option<PathBuf>,
    /// Seed of the faults' random choices
    #[arg(long, value_name = "N", env = "FUSIONKEEP_SANDBOX_SEED", default_value_t = 0)]
    seed: u64,
    /// Write each exchange to this file, one JSON line each
    #[arg(long, value_name = "FILE", env = "FUSIONKEEP_SANDBOX_LOG")]
    log: Option<PathBuf>,
}

impl Arguments {
    fn config(&self) -> Config {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        Config {
            listen: self.listen,
            api_key: self.api_key.clone().filter(|key| !key.is_empty()),
            kickstart: given(&self.kickstart),
            server_version: self.server_version,
            search_engine: self.search_engine,
            index_delay: self.index_delay,
            unlicensed: self.unlicensed,
            store: given(&self.store),
            faults: given(&self.faults),
            seed: self.seed,
            log: given(&self.log),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    // Before the first line is printed: whoever has read it may end the sandbox at once.
    let mut signals = runtime.block_on(async { Signals::listen() }).map_err(Failure::Runtime)?;
    let running = Sandbox::start(arguments.config())?;
    output::result(&format!("listening on {}\n", running.url()))?;
    for notice in running.notices() {
        output::tell(&format!("{notice}\n"));
    }
    output::tell(&format!(
        "export FUSIONKEEP_URL={} FUSIONKEEP_API_KEY={} FUSIONKEEP_OWNER=sandbox\n",
        reachable(running.addr()),
        shell_word(running.api_key()),
    ));
    runtime.block_on(signals.next());
    running.shutdown();
    Ok(Exit::Done)
}

/// An address to listen on; `localhost` is the loopback address that people mean by it.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let wrong = |_| "write an address and a port, as 127.0.0.1:9011".to_owned();
    numeric.as_deref().unwrap_or(text).parse().map_err(wrong)
}

/// Where this machine reaches what listens there: a sandbox on all addresses is on the loopback one too, the only one
/// that takes plain HTTP without a flag.
fn reachable(mut bound: SocketAddr) -> String {
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => bound.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => bound.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{bound}")
}

/// A word that a shell reads as it is.
fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_reached() {
        for (text, url) in [
            ("127.0.0.1:9011", "http://127.0.0.1:9011"),
            ("localhost:9011", "http://127.0.0.1:9011"),
            ("0.0.0.0:9011", "http://127.0.0.1:9011"),
            ("[::]:9011", "http://[::1]:9011"),
            ("192.0.2.7:80", "http://192.0.2.7:80"),
        ] {
            assert_eq!(address(text).map(reachable).as_deref(), Ok(url), "{text}");
        }
        for wrong in ["", ":0", "127.0.0.1", "localhost", "localhost:x", "example.com:80"] {
            assert!(address(wrong).is_err_and(|hint| hint.contains("127.0.0.1:9011")), "{wrong}");
        }
    }

    #[test]
    fn words_are_ready_to_paste() {
        assert_eq!(shell_word("sandbox-0a_b"), "sandbox-0a_b");
        assert_eq!(shell_word("a b'$(x)"), "'a b'\\''$(x)'");
        assert_eq!(shell_word(""), "''");
    }
}
