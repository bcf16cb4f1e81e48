//! A cluster without nodes: etcd, kube-apiserver, and the controllers that end namespaces and make service accounts.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use base64::Engine;

use crate::assets;

const TOKEN: &str = "admintoken";
/// Who did what, of service accounts alone: the operators of the tests.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\nrules:\n- \
                            level: Metadata\n  userGroups: ['system:serviceaccounts']\n- level: None\n";

pub struct Cluster {
    folder: tempfile::TempDir,
    etcd_port: u16,
    peer_port: u16,
    port: u16,
    children: Mutex<Children>,
}

#[derive(Default)]
struct Children {
    etcd: Option<Child>,
    apiserver: Option<Child>,
    controllers: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Cluster {
    /// Starts everything and waits until the API server is ready.
    pub fn start() -> Self {
        let cluster = Cluster {
            folder: tempfile::tempdir().unwrap(),
            etcd_port: free_port(),
            peer_port: free_port(),
            port: free_port(),
            children: Mutex::default(),
        };
        cluster.write_credentials();
        cluster.start_etcd();
        cluster.start_apiserver();
        cluster.start_controllers();
        cluster
    }

    /// Ends everything: the API server before etcd, for without etcd it lingers on its port.
    pub fn stop(&self) {
        let mut children = self.children.lock().unwrap();
        end(&mut children.controllers);
        end(&mut children.apiserver);
        end(&mut children.etcd);
    }

    /// Kills the API server and starts it again on the same port after a while without one.
    pub fn restart_apiserver(&self, gone: Duration) {
        end(&mut self.children.lock().unwrap().apiserver);
        std::thread::sleep(gone);
        self.start_apiserver();
    }

    /// Kills etcd and starts it again on its data; the API server stays, and fails meanwhile.
    pub fn restart_etcd(&self, gone: Duration) {
        end(&mut self.children.lock().unwrap().etcd);
        std::thread::sleep(gone);
        self.start_etcd();
        self.wait_until_ready();
    }

    /// Stops the API server's process with its connections open, or lets it go on.
    pub fn signal_apiserver(&self, signal: &str) {
        let id = self.children.lock().unwrap().apiserver.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").arg(format!("-{signal}")).arg(id).status().unwrap().success());
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    fn write_credentials(&self) {
        let key = self.path("sa.key");
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output().unwrap();
        assert!(made.status.success(), "openssl makes the service accounts' key");
        let made = Command::new("openssl")
            .args(["rsa", "-pubout", "-in"])
            .arg(&key)
            .arg("-out")
            .arg(self.path("sa.pub"))
            .output()
            .unwrap();
        assert!(made.status.success(), "openssl makes its public half");
        std::fs::write(self.path("tokens.csv"), format!("{TOKEN},admin,admin-uid,\"system:masters\"\n"))
            .unwrap();
        std::fs::write(self.path("audit.yaml"), AUDIT_POLICY).unwrap();
        std::fs::write(self.kubeconfig(), self.kubeconfig_for(TOKEN)).unwrap();
    }

    /// A kubeconfig for a bearer token (of a service account).
    pub fn kubeconfig_for(&self, token: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: test\n  cluster:\n    server: {}\n    \
             certificate-authority: {}\ncontexts:\n- name: test\n  context: {{cluster: test, user: test}}\nusers:\n- \
             name: test\n  user: {{token: {token}}}\n",
            self.url(),
            self.path("certs/apiserver.crt").display()
        )
    }

    fn spawn(&self, name: &str, arguments: &[String]) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(&format!("{name}.log")))
            .unwrap();
        Command::new(assets::binary(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn start_etcd(&self) {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let arguments = [
            format!("--data-dir={}", self.path("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--unsafe-no-fsync".to_owned(),
        ];
        let etcd = self.spawn("etcd", &arguments);
        self.children.lock().unwrap().etcd = Some(etcd);
    }

    /// Starts the API server and waits for `/readyz`.
    fn start_apiserver(&self) {
        let arguments = [
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", self.path("certs").display()),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            format!("--service-account-issuer={}/", self.url()),
            format!("--service-account-key-file={}", self.path("sa.pub").display()),
            format!("--service-account-signing-key-file={}", self.path("sa.key").display()),
            format!("--token-auth-file={}", self.path("tokens.csv").display()),
            "--authorization-mode=RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--audit-policy-file={}", self.path("audit.yaml").display()),
            format!("--audit-log-path={}", self.path("audit.log").display()),
        ];
        self.children.lock().unwrap().apiserver = Some(self.spawn("kube-apiserver", &arguments));
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        self.wait_until("the API server is ready", Duration::from_secs(150), || {
            let ready = self.kubectl_output(&["get", "--raw", "/readyz"]);
            ready.status.success() && ready.stdout == b"ok"
        });
    }

    fn start_controllers(&self) {
        let arguments = [
            format!("--kubeconfig={}", self.kubeconfig().display()),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            "--secure-port=0".to_owned(),
            "--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller"
                .to_owned(),
        ];
        self.children.lock().unwrap().controllers = Some(self.spawn("kube-controller-manager", &arguments));
    }

    /// Waits for a condition; panics with what was waited for when it does not come.
    pub fn wait_until(&self, what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.log_tails());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The last lines that each process logged.
    fn log_tails(&self) -> String {
        ["etcd", "kube-apiserver", "kube-controller-manager"].iter().fold(String::new(), |mut tails, name| {
            let log = std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            tails.push_str(&format!("== {name}\n{}\n", lines[lines.len().saturating_sub(12)..].join("\n")));
            tails
        })
    }

    /// Requests of service accounts to the API server, one event of `audit.k8s.io` each. Of a watch its end.
    pub fn audit(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.path("audit.log")).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assets::binary("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        command
    }

    /// Puts an object of ours into etcd, past every judgement of the API server.
    pub fn store(&self, resource: &str, namespace: &str, name: &str, object: &serde_json::Value) {
        let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let key = format!("/registry/fusionkeep.dev/{resource}/{namespace}/{name}");
        let body =
            serde_json::json!({"key": text(key.as_bytes()), "value": text(object.to_string().as_bytes())});
        let output = Command::new("curl")
            .args(["-sS", "--fail", "-d", &body.to_string()])
            .arg(format!("http://127.0.0.1:{}/v3/kv/put", self.etcd_port))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Creates an object and deletes it in the same breath, on one connection.
    pub fn create_and_delete(&self, resources: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let authorization = format!("Authorization: Bearer {TOKEN}");
        let common = ["-sS", "-k", "-o", "/dev/null", "-H", &authorization];
        let status = Command::new("curl")
            .args(common)
            .args(["-H", "Content-Type: application/json", "-d", &object.to_string()])
            .arg(format!("{}{resources}", self.url()))
            .arg("--next")
            .args(common)
            .args(["-X", "DELETE"])
            .arg(format!("{}{resources}/{name}", self.url()))
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Runs kubectl and returns what it said, whatever it said.
    pub fn kubectl_output(&self, arguments: &[&str]) -> Output {
        self.kubectl_command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs kubectl, which must succeed, and returns its standard output.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_output(arguments);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs kubectl with a manifest on its standard input: what it said, and whether it succeeded.
    pub fn kubectl_with(&self, arguments: &[&str], manifest: &str) -> (bool, String) {
        let mut child = self
            .kubectl_command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}
