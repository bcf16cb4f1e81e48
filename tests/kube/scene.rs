//! A namespace with a sandbox for its FusionAuth and an operator that serves it, run as the chart's service account.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fusionkeep::sandbox::Config;
use serde_json::{Value, json};

use crate::assets;
use crate::cluster::Cluster;
use crate::harness::Api;

pub const RUNNER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
/// The longest that anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// A running operator. Dropping it kills it.
pub struct Operator {
    pub child: Child,
    log: PathBuf,
}

impl Operator {
    /// A process that was started, and where it logs.
    pub fn of(child: Child, log: PathBuf) -> Self {
        Operator { child, log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the process's end: its exit status.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// The address at which it serves metrics.
    pub fn metrics(&self) -> Option<String> {
        let line = self.log().lines().find(|line| line.contains("serving metrics"))?.to_owned();
        serde_json::from_str::<Value>(&line).ok()?["address"].as_str().map(str::to_owned)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("== operator\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// A namespace, its FusionAuth and its rights.
pub struct Scene<'c> {
    pub cluster: &'c Cluster,
    pub namespace: String,
    /// Where the operator's account, rights and lease are.
    pub home: String,
    pub api: Api,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
}

impl<'c> Scene<'c> {
    /// Without an operator yet.
    pub fn new(cluster: &'c Cluster, name: &str) -> Self {
        Self::with_values(cluster, name, false, &one_namespace)
    }

    /// With the operator's account in a namespace of its own, and rights by Role in the scene's.
    pub fn listed(cluster: &'c Cluster, name: &str) -> Self {
        Self::with_values(cluster, name, true, &one_namespace)
    }

    /// With the operator's account in a namespace of its own, and rights in all of them.
    pub fn apart(cluster: &'c Cluster, name: &str) -> Self {
        Self::with_values(cluster, name, true, &|_| "scope.allNamespaces=true".to_owned())
    }

    /// Of a FusionAuth that is there already.
    pub fn serving(cluster: &'c Cluster, name: &str, api: Api) -> Self {
        Scene { api, ..Self::new(cluster, name) }
    }

    /// With the rights that values of the chart give, which come from the namespace's name. `apart`: with the operator's
    /// account in a namespace of its own.
    pub fn with_values(
        cluster: &'c Cluster,
        name: &str,
        apart: bool,
        values: &dyn Fn(&str) -> String,
    ) -> Self {
        crate::crds::install(cluster);
        let namespace = format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]);
        cluster.kubectl(&["create", "namespace", &namespace]);
        let home = if apart { format!("{namespace}-home") } else { namespace.clone() };
        if apart {
            cluster.kubectl(&["create", "namespace", &home]);
        }
        let folder = tempfile::tempdir().unwrap();
        let rendered = helm(&[
            "template",
            &namespace,
            concat!(env!("CARGO_MANIFEST_DIR"), "/charts/fusionkeep"),
            "--namespace",
            &home,
            "--set",
            &format!("crds.install=false,{}", values(&namespace)),
        ]);
        let (success, said) = cluster.kubectl_with(&["apply", "-f", "-"], &rendered);
        assert!(success, "{said}");
        let account = format!("{namespace}-fusionkeep");
        let token = cluster.kubectl(&["create", "token", &account, "-n", &home, "--duration=2h"]);
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig_for(token.trim())).unwrap();
        let api = Api::with(Config { api_key: Some("sandbox-key".to_owned()), ..Config::default() });
        let scene = Scene { cluster, namespace, home, api, kubeconfig, folder };
        scene.secret("fusionauth", &[("api-key", "sandbox-key"), ("runner-key", RUNNER_KEY)]);
        scene
    }

    /// With an instance named `default` and an operator at work.
    pub fn at_work(cluster: &'c Cluster, name: &str) -> (Self, Operator) {
        let scene = Scene::new(cluster, name);
        scene.instance("interval: 2s, linkInterval: 2s");
        let operator = scene.operator(&[]);
        scene.wait_ready("fusionauthinstance/default");
        (scene, operator)
    }

    /// An operator that logs everything from a level on.
    pub fn operator_logging(&self, level: &str) -> Operator {
        self.operator(&["--log-filter", level])
    }

    /// Starts an operator as the chart's service account.
    pub fn operator(&self, arguments: &[&str]) -> Operator {
        self.operator_of_all(&[&["--namespace", &self.namespace], arguments].concat())
    }

    /// As `operator`, for every namespace.
    pub fn operator_of_all(&self, arguments: &[&str]) -> Operator {
        let log = self.folder.path().join(format!("operator-{}.log", uuid::Uuid::new_v4().simple()));
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
            .arg("operator")
            .args(["--metrics-address", "127.0.0.1:0"])
            .args(["--allowed-urls", &self.api.running.url()])
            .args(["--lease-name", &format!("{}-fusionkeep", self.namespace)])
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("POD_NAMESPACE", &self.home)
            .env("POD_NAME", "operator")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Operator { child, log }
    }

    pub fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let data: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        self.apply_json(&json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": { "name": name, "labels": { "fusionkeep.dev/readable": "true" } },
        }));
    }

    /// The instance `default`, with fields of its spec in YAML's flow form.
    pub fn instance(&self, fields: &str) {
        let url = self.api.running.url();
        self.apply(
            "FusionAuthInstance",
            "default",
            &format!(
                "{{url: '{url}', owner: '{}', apiKey: {{secretKeyRef: {{name: fusionauth, key: api-key}}}}, \
                 runnerKey: {{secretKeyRef: {{name: fusionauth, key: runner-key}}}}, {fields}}}",
                self.namespace
            ),
        );
    }

    /// Applies a manifest with a spec in YAML's flow form.
    pub fn apply(&self, kind: &str, name: &str, spec: &str) {
        let (success, said) = self.try_apply(&manifest(kind, name, spec));
        assert!(success, "{kind}/{name}: {said}");
    }

    pub fn apply_json(&self, object: &Value) {
        let (success, said) = self.try_apply(&object.to_string());
        assert!(success, "{said}");
    }

    pub fn try_apply(&self, manifests: &str) -> (bool, String) {
        self.cluster.kubectl_with(&["apply", "-n", &self.namespace, "-f", "-"], manifests)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.namespace], arguments].concat())
    }

    pub fn annotate(&self, object: &str, annotation: &str) {
        self.kubectl(&["annotate", "--overwrite", object, annotation]);
    }

    /// The object as the API server has it; null when it is not there.
    pub fn get(&self, object: &str) -> Value {
        let arguments = ["-n", &self.namespace, "get", object, "-o", "json", "--ignore-not-found"];
        let text = self.cluster.kubectl(&arguments);
        if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    /// The condition `Ready` of an object.
    pub fn ready(&self, object: &str) -> Value {
        let found = self.get(object);
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default()
    }

    pub fn wait_ready(&self, object: &str) {
        self.until(&format!("{object} is ready"), || {
            let found = self.get(object);
            found["status"]["observedGeneration"] == found["metadata"]["generation"]
                && self.ready(object)["status"] == "True"
        });
    }

    /// Waits until `Ready` gives a reason.
    pub fn wait_reason(&self, object: &str, reason: &str) -> String {
        self.until(&format!("{object} says {reason}"), || self.ready(object)["reason"] == reason);
        self.ready(object)["message"].as_str().unwrap_or_default().to_owned()
    }

    pub fn wait_gone(&self, object: &str) {
        self.until(&format!("{object} is gone"), || self.get(object).is_null());
    }

    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.cluster.wait_until(what, PATIENCE, condition);
    }

    /// The id in an object's status.
    pub fn id(&self, object: &str) -> String {
        self.get(object)["status"]["id"].as_str().unwrap_or_else(|| panic!("{object} has no id")).to_owned()
    }

    /// A live user.
    pub fn user(&self, name: &str) -> Value {
        self.api.get(format!("/api/user/{}", self.id(&format!("user.fusionkeep.dev/{name}")))).ok()["user"]
            .clone()
    }

    /// What the operator's `/metrics` says.
    pub fn metrics(&self, operator: &Operator) -> String {
        let address = operator.metrics().expect("it serves metrics");
        let output =
            Command::new("curl").args(["-sS", &format!("http://{address}/metrics")]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Requests that the sandbox has answered, as `METHOD /path`, without the record's.
    pub fn requests(&self) -> Vec<String> {
        let exchanges = self.api.get("/_sandbox/exchanges").ok();
        let text = |exchange: &Value, name: &str| exchange[name].as_str().unwrap_or_default().to_owned();
        exchanges["exchanges"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|exchange| format!("{} {}", text(exchange, "method"), text(exchange, "path")))
            .filter(|request| !request.contains("/_sandbox"))
            .collect()
    }

    pub fn forget_requests(&self) {
        self.api.delete("/_sandbox/requests");
    }

    /// Reasons of the events about objects of the namespace.
    pub fn events(&self) -> String {
        self.kubectl(&["get", "events", "-o", "jsonpath={range .items[*]}{.reason} {.regarding.name}{.involvedObject.name} {.note}{.message}{\"\\n\"}{end}"])
    }
}

fn one_namespace(namespace: &str) -> String {
    format!("scope.allNamespaces=false,scope.namespaces={{{namespace}}}")
}

/// A manifest with a spec in YAML's flow form.
pub fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: fusionkeep.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )
}

/// Runs helm, which must succeed.
pub fn helm(arguments: &[&str]) -> String {
    let output = Command::new(assets::binary("helm")).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "helm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
