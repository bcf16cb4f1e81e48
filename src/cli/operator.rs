//! `fusionkeep operator`: custom resources kept on a cluster.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::operator::address::AllowedUrl;
use crate::operator::lease::Times;
use crate::operator::{Released, Settings, release_finalizers, run as run_operator};

use super::arguments::{duration, switch};
use super::exit::Exit;
use super::failure::Failure;
use super::output;

/// Where a pod finds its own namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Keep FusionAuth as the custom resources of a Kubernetes cluster declare it
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// A namespace to serve; all when absent
    #[arg(long = "namespace", value_name = "NAME", env = "FUSIONKEEP_NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// A base URL that namespaced instances may name; none may when absent. With http:// it allows http
    #[arg(long, value_name = "URL", env = "FUSIONKEEP_ALLOWED_URLS", value_delimiter = ',')]
    allowed_urls: Vec<AllowedUrl>,
    /// Where metrics and probes are served
    #[arg(long, value_name = "[ADDR]:PORT", env = "FUSIONKEEP_METRICS_ADDRESS", default_value = ":8080",
        value_parser = listen_address)]
    metrics_address: SocketAddr,
    /// Work only while holding the Lease that all replicas share
    #[arg(long, env = "FUSIONKEEP_LEADER_ELECT", value_parser = switch)]
    leader_elect: bool,
    /// The Lease, shared by the replicas of one release
    #[arg(long, value_name = "NAME", env = "FUSIONKEEP_LEASE_NAME", default_value = "fusionkeep")]
    lease_name: String,
    /// How long a standby waits after the leader's last renewal
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_LEASE_DURATION", default_value = "30s",
        value_parser = duration)]
    lease_duration: Duration,
    /// How long a leader tries to renew before it stops
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_RENEW_DEADLINE", default_value = "18s",
        value_parser = duration)]
    renew_deadline: Duration,
    /// Between two attempts on the Lease
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_RETRY_PERIOD", default_value = "2s",
        value_parser = duration)]
    retry_period: Duration,
    /// The operator's own namespace: its Lease, and the Secrets of ClusterFusionAuthInstances
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    own_namespace: Option<String>,
    /// The name of this replica
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pod: Option<String>,
    /// Read Secrets that do not carry the label fusionkeep.dev/readable too
    #[arg(long, env = "FUSIONKEEP_SECRETS_WITHOUT_LABEL", value_parser = switch)]
    secrets_without_label: bool,
    /// Watch Secrets, so that a change is seen at once; needs the right to list them all
    #[arg(long, env = "FUSIONKEEP_WATCH_SECRETS", value_parser = switch)]
    watch_secrets: bool,
    /// How long writes in flight may take at the end
    #[arg(long, value_name = "DURATION", env = "FUSIONKEEP_GRACE", default_value = "25s",
        value_parser = duration)]
    grace: Duration,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take fusionkeep's finalizers off all objects; nothing in FusionAuth changes
    ReleaseFinalizers(ReleaseArguments),
}

#[derive(Debug, clap::Args)]
struct ReleaseArguments {
    /// A namespace; repeatable, all when absent
    #[arg(long = "namespace", value_name = "NAME", env = "FUSIONKEEP_NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let whole =
        if text.starts_with(':') { format!("{}{text}", Ipv4Addr::UNSPECIFIED) } else { text.to_owned() };
    whole.parse().map_err(|_| "write :PORT or ADDRESS:PORT".to_owned())
}

impl Arguments {
    /// Whether a server is started, and not something done for a person.
    pub fn serves(&self) -> bool {
        self.command.is_none()
    }

    fn settings(&self) -> Settings {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let own_namespace =
            || std::fs::read_to_string(NAMESPACE_FILE).ok().map(|text| text.trim().to_owned());
        let times =
            Times { lease: self.lease_duration, renew: self.renew_deadline, retry: self.retry_period };
        Settings {
            namespaces: self.namespaces.iter().filter(|name| !name.is_empty()).cloned().collect(),
            allowed_urls: self.allowed_urls.clone(),
            metrics_address: self.metrics_address,
            election: self.leader_elect.then_some(times),
            lease_name: self.lease_name.clone(),
            namespace: set(&self.own_namespace)
                .or_else(own_namespace)
                .unwrap_or_else(|| "default".to_owned()),
            pod: set(&self.pod).unwrap_or_else(|| format!("process-{}", std::process::id())),
            secrets_without_label: self.secrets_without_label,
            watch_secrets: self.watch_secrets,
            grace: self.grace,
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    match &arguments.command {
        None => runtime.block_on(run_operator(arguments.settings()))?,
        Some(Command::ReleaseFinalizers(release)) => {
            let namespaces: Vec<String> =
                release.namespaces.iter().filter(|name| !name.is_empty()).cloned().collect();
            let Released { released, refused } = runtime.block_on(release_finalizers(&namespaces))?;
            for name in &released {
                output::result(&format!("{name}\n"))?;
            }
            output::tell(&format!("released {} objects\n", released.len()));
            if !refused.is_empty() {
                return tell_refused(&refused);
            }
        }
    }
    // Tasks that are still under way end with the process.
    runtime.shutdown_background();
    Ok(Exit::Done)
}

fn tell_refused(refused: &[(String, String)]) -> Result<Exit, Failure> {
    for (name, why) in refused {
        output::tell(&format!("{name} keeps its finalizer, the API server says: {why}\n"));
    }
    output::tell(
        "hint: what was stored with other types than its definition has can only be released once it is deleted \
         (kubectl delete --wait=false), or with the definition's rules taken away for the moment; the chart's README has the \
         commands\n",
    );
    Ok(Exit::Partly)
}
