//! What a large cluster costs, for `FUSIONKEEP_CLUSTER_USERS=10000 cargo test --profile bench --test kube scale::`: time,
//! requests and the operator's memory. It prints, and asserts no time; without the variable it is not there.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::scene::{Operator, Scene, manifest};

/// Objects that are applied one after another to see how long each takes when nothing else happens.
const SINGLE: usize = 100;
/// How many are created by one kubectl.
const CHUNK: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(1800);

/// The number of users asked for; entities are a tenth of it.
pub fn users() -> Option<usize> {
    std::env::var("FUSIONKEEP_CLUSTER_USERS").ok()?.parse().ok()
}

pub fn measure(cluster: &Cluster) {
    let users = users().expect("the trial is there only when the variable is");
    let entities = users / 10;
    let scene = Scene::new(cluster, "scale");
    scene.instance("interval: 1h, linkInterval: 1h");
    let mut manifests = vec![manifest("EntityType", "device", "{permissions: [{name: read}]}")];
    manifests.extend((0..entities).map(|n| manifest("Entity", &format!("e{n}"), "{type: {name: device}}")));
    manifests.extend((0..users).map(|n| {
        let spec =
            format!("{{email: u{n}@example.com, firstName: Somebody, data: {{seat: {n}, badges: [a, b]}}}}");
        manifest("User", &format!("u{n}"), &spec)
    }));
    for chunk in manifests.chunks(CHUNK) {
        let arguments = ["create", "--validate=false", "-n", &scene.namespace, "-f", "-"];
        let (success, said) = cluster.kubectl_with(&arguments, &chunk.concat());
        assert!(success, "{said}");
    }
    println!("\n{users} users and {entities} entities as custom resources\n\n| figure | value |\n|---|---|");

    let mut operator = scene.operator(&[]);
    let begun = Instant::now();
    wait_all_ready(&scene, &operator, users + entities + 1);
    let took = begun.elapsed().as_secs_f64();
    print("from the operator's start to all Ready", format!("{took:.1} s"));
    print("reconciles a second meanwhile", format!("{:.0}", (users + entities + 1) as f64 / took));
    print("FusionAuth requests meanwhile", scene.requests().len().to_string());
    print("memory at most meanwhile", format!("{:.0} MiB", memory(&operator, "VmHWM:")));

    operator.signal("TERM");
    assert!(operator.wait().success());
    scene.forget_requests();
    let operator = scene.operator(&[]);
    wait_all_read(&scene);
    print("a second start: FusionAuth requests", scene.requests().len().to_string());
    print("a second start: memory at most", format!("{:.0} MiB", memory(&operator, "VmHWM:")));

    scene.forget_requests();
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/reconcile=now");
    wait_all_read(&scene);
    print("one drift cycle: FusionAuth requests", scene.requests().len().to_string());
    print("memory settled", format!("{:.0} MiB", memory(&operator, "VmRSS:")));

    let mut times: Vec<Duration> = (0..SINGLE).map(|n| until_ready(&scene, n)).collect();
    times.sort();
    for percent in [50, 99] {
        let time = times[(SINGLE * percent / 100).min(SINGLE - 1)];
        print(
            &format!("one object from apply to Ready, p{percent}"),
            format!("{:.0} ms", time.as_secs_f64() * 1e3),
        );
    }
}

fn print(figure: &str, value: String) {
    println!("| {figure} | {value} |");
}

fn memory(operator: &Operator, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Waits until the operator's metrics have counted a reconcile of each: reading all objects from the API server again and
/// again would be measured too. Then each is looked at once.
fn wait_all_ready(scene: &Scene<'_>, operator: &Operator, objects: usize) {
    let path = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    let ready = || {
        scene
            .kubectl(&["get", "users.fusionkeep.dev,entities,entitytypes", "-o", path])
            .matches("True")
            .count()
    };
    scene.cluster.wait_until("it serves metrics", PATIENCE, || operator.metrics().is_some());
    scene.cluster.wait_until("all are reconciled", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(250));
        let metrics = scene.metrics(operator);
        let counted = metrics.lines().filter(|line| line.starts_with("fusionkeep_reconciles_total{"));
        let sum: f64 = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        sum >= objects as f64 && ready() == objects
    });
}

/// Waits until reading has begun and no request was made for a while.
fn wait_all_read(scene: &Scene<'_>) {
    let mut seen = 0;
    scene.cluster.wait_until("all is read", PATIENCE, || {
        std::thread::sleep(Duration::from_secs(10));
        let now = scene.requests().len();
        now > 0 && std::mem::replace(&mut seen, now) == now
    });
}

/// From kubectl's begin to the end of its watch for `Ready`; the start of two processes is in it.
fn until_ready(scene: &Scene<'_>, number: usize) -> Duration {
    let name = format!("single{number}");
    let begun = Instant::now();
    scene.apply("User", &name, &format!("{{username: {name}}}"));
    let object = format!("user.fusionkeep.dev/{name}");
    scene.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &object]);
    begun.elapsed()
}
