//! The README's way from a cluster to the first object that is Ready, typed as it stands there.

use std::process::{Command, Stdio};
use std::time::Duration;

use fusionkeep::sandbox::Config;
use serde_json::Value;

use crate::Test;
use crate::assets;
use crate::cluster::Cluster;
use crate::harness::Api;

pub const TESTS: &[Test] = &[("readme::the_quick_start_ends_ready", the_quick_start_ends_ready)];

const README: &str = include_str!("../../README.md");
/// The FusionAuth that the README speaks of.
const URL: &str = "https://auth.example.com";
const LAST: &str = "kubectl wait ";

/// The commands of a section's first block.
fn commands(section: &str) -> String {
    let (_, text) = README.split_once(&format!("\n## {section}\n")).unwrap();
    let (_, block) = text.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

fn type_in(cluster: &Cluster, commands: &str) -> String {
    let (success, said) = typed(cluster, commands);
    assert!(success, "{commands}\n{said}");
    said
}

/// Types commands as an administrator of the cluster: whether they succeed, and what they say.
pub fn typed(cluster: &Cluster, commands: &str) -> (bool, String) {
    let folder = assets::binary("kubectl").parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("FUSIONAUTH_API_KEY", "sandbox-key")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

/// What the kubelet would start: the container of the installed Deployment, as its service account.
fn start_installed(cluster: &Cluster, folder: &std::path::Path) -> crate::scene::Operator {
    let found = cluster.kubectl(&["get", "deployment/fusionkeep", "-n", "fusionkeep", "-o", "json"]);
    let deployment: Value = serde_json::from_str(&found).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let account = pod["serviceAccountName"].as_str().unwrap();
    let token = cluster.kubectl(&["create", "token", account, "-n", "fusionkeep"]);
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig_for(token.trim())).unwrap();
    let arguments: Vec<&str> = pod["containers"][0]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        // The pod has an address of its own; here a free port of this machine stands for it.
        .filter(|argument| !argument.starts_with("--metrics-address"))
        .collect();
    assert_eq!(arguments.first(), Some(&"operator"), "{arguments:?}");
    let log = folder.join("operator.log");
    let child = Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
        .args(&arguments)
        .args(["--metrics-address", "127.0.0.1:0"])
        .env("KUBECONFIG", &kubeconfig)
        .env("POD_NAMESPACE", "fusionkeep")
        .env("POD_NAME", "fusionkeep")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    crate::scene::Operator::of(child, log)
}

fn the_quick_start_ends_ready(_: &Cluster) {
    // A cluster of its own, in which nothing of ours stands yet.
    let cluster = Cluster::start();
    let api = Api::with(Config { api_key: Some("sandbox-key".to_owned()), ..Config::default() });
    let block = commands("On a cluster");
    assert!(block.contains(URL), "{block}");
    let typed = block.replace(URL, &api.running.url());
    let count = typed.lines().filter(|line| ["helm ", "kubectl "].iter().any(|word| line.starts_with(word)));
    assert!(count.count() < 10, "under ten commands");
    let (all_but_last, last) = typed.split_at(typed.rfind(LAST).unwrap());
    type_in(&cluster, all_but_last);
    let folder = tempfile::tempdir().unwrap();
    let _operator = start_installed(&cluster, folder.path());
    // kubectl's own patience is half a minute, which a busy machine may exceed.
    cluster.wait_until("the object is seen", Duration::from_secs(120), || {
        !cluster
            .kubectl(&["get", "user.fusionkeep.dev/richard", "-o", "jsonpath={.status.conditions}"])
            .is_empty()
    });
    let said = type_in(&cluster, last);
    assert!(said.contains("condition met"), "{said}");
    let live = api.get("/api/user?email=richard@piedpiper.com").ok();
    assert_eq!(live["user"]["firstName"], "Richard", "{live}");
    // What the README says to look at shows it.
    let shown = cluster.kubectl(&["get", "fusionkeep", "-A", "-o", "wide"]);
    assert_eq!(shown.lines().filter(|line| line.contains("True")).count(), 2, "{shown}");
}
