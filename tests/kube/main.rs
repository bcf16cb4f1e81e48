//! The operator against a real kube-apiserver, etcd and controller manager.
//!
//! The binaries come from `KUBEBUILDER_ASSETS`, from an earlier `tests/kube/build`, or, under `CI=true`, are built
//! here. Where they are missing, these tests are counted as ignored and one line says how to build them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assets;
mod chart;
mod cluster;
mod crds;
mod endings;
mod faults;
// Shared with the sandbox's own tests, which use all of it.
#[allow(dead_code)]
#[path = "../sandbox/harness.rs"]
mod harness;
mod kinds;
mod leader;
mod lives;
mod ownership;
mod readme;
mod restarts;
mod rights;
mod safety;
mod scale;
mod scene;
mod steady;
mod users;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use libtest_mimic::{Arguments, Failed, Trial};

use cluster::Cluster;

/// One cluster serves every test of a run; each test works in namespaces of its own.
static CLUSTER: OnceLock<Arc<Cluster>> = OnceLock::new();

/// How many tests run at once.
const THREADS: usize = 5;

/// A test by its name.
type Test = (&'static str, fn(&Cluster));

/// Held for writing by tests that hold a lease to its seconds, or that stop servers: nothing else runs then.
static ALONE: RwLock<()> = RwLock::new(());

fn runs_alone(name: &str) -> bool {
    name.starts_with("leader::") || name.starts_with("restarts::")
}

fn trial(name: &str, present: bool, test: fn(&Cluster)) -> Trial {
    let alone = runs_alone(name);
    Trial::test(name, move || -> Result<(), Failed> {
        // Of one that failed under the lock, nothing is left in it.
        let _alone = alone.then(|| ALONE.write().unwrap_or_else(PoisonError::into_inner));
        let _beside = (!alone).then(|| ALONE.read().unwrap_or_else(PoisonError::into_inner));
        let cluster = CLUSTER.get_or_init(|| Arc::new(Cluster::start())).clone();
        test(&cluster);
        Ok(())
    })
    .with_ignored_flag(!present)
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They wait more than they work, each in namespaces of its own.
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    let present = assets::present();
    if !present {
        eprintln!("no kube-apiserver here, its tests are ignored; build it once with: tests/kube/build");
    }
    let tests = [
        crds::TESTS,
        lives::TESTS,
        users::TESTS,
        kinds::TESTS,
        faults::TESTS,
        safety::TESTS,
        endings::TESTS,
        ownership::TESTS,
        steady::TESTS,
        leader::TESTS,
        chart::TESTS,
        rights::TESTS,
        restarts::TESTS,
        readme::TESTS,
    ];
    let mut tests = tests.concat();
    if scale::users().is_some() {
        tests.push(("scale::measure", scale::measure));
    }
    let trials = tests.into_iter().map(|(name, test)| trial(name, present, test)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(cluster) = CLUSTER.get() {
        cluster.stop();
    }
    conclusion.exit_code()
}
