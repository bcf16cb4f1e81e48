//! Where the real binaries are.

use std::path::{Path, PathBuf};
use std::process::Command;

const BINARIES: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"];

fn all_in(folder: &Path) -> bool {
    BINARIES.iter().all(|binary| folder.join(binary).is_file())
}

fn built() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kube/bin")
}

/// The folder with the binaries, if there is one.
fn folder() -> Option<PathBuf> {
    std::env::var_os("KUBEBUILDER_ASSETS")
        .map(PathBuf::from)
        .into_iter()
        .chain([built()])
        .find(|folder| all_in(folder))
}

/// Whether the binaries are there; under `CI=true` they are built first.
pub fn present() -> bool {
    if folder().is_none() && std::env::var_os("CI").is_some_and(|value| value == "true") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube/build");
        let status = Command::new(script)
            .stdout(std::process::Stdio::null())
            .status()
            .expect("tests/kube/build starts");
        assert!(status.success(), "tests/kube/build failed");
    }
    folder().is_some()
}

/// The path of one binary.
pub fn binary(name: &str) -> PathBuf {
    folder().expect("the binaries are there").join(name)
}
