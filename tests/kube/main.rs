//! The operator against a real kube-apiserver, etcd and controller manager.
//!
//! The binaries come from `KUBEBUILDER_ASSETS`, from an earlier `tests/kube/build`, or, under `CI=true`, are built
//! here. Where they are missing, these tests are counted as ignored and one line says how to build them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assets;
mod chart;
mod cluster;
mod crds;
// Shared with the sandbox's own tests, which use all of it.
#[allow(dead_code)]
#[path = "../sandbox/harness.rs"]
mod harness;
mod kinds;
mod leader;
mod rights;
mod safety;
mod scene;
mod steady;
mod users;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};

use cluster::Cluster;

/// One cluster serves every test of a run; each test works in namespaces of its own.
static CLUSTER: OnceLock<Arc<Cluster>> = OnceLock::new();

/// A test by its name.
type Test = (&'static str, fn(&Cluster));

fn trial(name: &str, present: bool, test: fn(&Cluster)) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        let cluster = CLUSTER.get_or_init(|| Arc::new(Cluster::start())).clone();
        test(&cluster);
        Ok(())
    })
    .with_ignored_flag(!present)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let present = assets::present();
    if !present {
        eprintln!("no kube-apiserver here, its tests are ignored; build it once with: tests/kube/build");
    }
    let mut trials = Vec::new();
    for (name, test) in [crds::TESTS, users::TESTS].concat() {
        trials.push(trial(name, present, test));
    }
    // Not all of these hold yet, and some depend on the machine's speed: asked for by name of the variable.
    let asked = std::env::var_os("FUSIONKEEP_KUBE_TESTS").is_some_and(|value| value == "all");
    for (name, test) in
        [kinds::TESTS, safety::TESTS, steady::TESTS, leader::TESTS, chart::TESTS, rights::TESTS].concat()
    {
        trials.push(trial(name, present && asked, test));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(cluster) = CLUSTER.get() {
        cluster.stop();
    }
    conclusion.exit_code()
}
