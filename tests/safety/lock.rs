//! The lock, seen from outside: who waits for it ends well, and a run that died leaves none behind.

use serde_json::{Value, json};

use super::scene::{Scene, manifests};
use crate::command::{shown, signal, stderr, stdout};

fn person(last_name: &str) -> String {
    manifests(&[("User", "a", json!({"username": "a", "lastName": last_name}))])
}

/// The newest header of the tenant's chain.
async fn header(scene: &Scene) -> Value {
    let groups = scene.world.get("/api/group").await;
    let groups = groups["groups"].as_array().unwrap().clone();
    let headers =
        groups.into_iter().filter(|group| group["name"].as_str().unwrap().starts_with("fusionkeep/"));
    headers.max_by_key(|group| group["data"]["generation"].as_u64()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_for_another_run_plans_again_and_applies() {
    let scene = Scene::new().await;
    let [first, second] = ["first", "second"].map(|name| scene.write(&format!("{name}.yaml"), &person(name)));
    // The first is at work while the second plans.
    let slow =
        json!([{"fault": "latency", "milliseconds": 1500, "method": "POST", "route": "/api/user/{userId}"}]);
    scene.world.faults(slow).await;
    let mut running = scene.command(&["apply", "-f", &first, "--auto-approve"]).spawn().unwrap();
    assert!(scene.struck(&mut running).await);
    let waited = scene.run(&["apply", "-f", &second, "--auto-approve", "--lock-timeout=60s"]);
    let done = running.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", shown(&done));
    assert_eq!(waited.status.code(), Some(0), "{}", shown(&waited));
    assert!(stderr(&waited).contains("planning again"), "{}", shown(&waited));
    let user = scene.world.get("/api/user?username=a").await;
    assert_eq!(user["user"]["lastName"], "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_finds_nothing_to_do_lets_go_of_what_a_dead_one_held() {
    let scene = Scene::new().await;
    let file = scene.write("manifests.yaml", &person("a"));
    // It dies when all is done and recorded, before it lets go: the second header that is written is its last.
    let rule =
        json!([{"fault": "latency", "milliseconds": 30_000, "method": "PUT", "route": "/api/group/*"}]);
    scene.world.faults(rule).await;
    let mut running = scene.command(&["apply", "-f", &file, "--auto-approve"]).spawn().unwrap();
    assert!(scene.struck(&mut running).await);
    running.kill().unwrap();
    running.wait().unwrap();
    scene.world.faults(json!([])).await;
    assert_eq!(header(&scene).await["data"]["state"], "held");
    let early = scene.run(&["apply", "-f", &file, "--auto-approve"]);
    assert_eq!(early.status.code(), Some(0), "it has nothing to do, and holds nothing up: {}", shown(&early));
    for says in
        ["another run is at work: the runner \"command\" on ", ", process ", ", since 20", ", until 20"]
    {
        assert!(stderr(&early).contains(says), "{says}: {}", shown(&early));
    }
    assert_eq!(header(&scene).await["data"]["state"], "held", "it could be alive");
    scene.later().await;
    let plan = scene.run(&["plan", "-f", &file]);
    assert!(stderr(&plan).contains("its lock is over"), "{}", shown(&plan));
    assert_eq!(header(&scene).await["data"]["state"], "held", "a plan writes nothing");
    let next = scene.run(&["apply", "-f", &file, "--auto-approve"]);
    assert!(next.status.success() && stdout(&next).contains("no changes"), "{}", shown(&next));
    assert_eq!(header(&scene).await["data"]["state"], "released");
    assert_eq!(stdout(&scene.run(&["unlock"])), "there is no lock\n");
}

/// The only thing that the test waits for is that the run has begun to wait.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_interrupted_while_it_takes_the_lock_or_waits_for_it_leaves_none() {
    let scene = Scene::new().await;
    let file = scene.write("manifests.yaml", &person("a"));
    let apply = ["apply", "-f", &file, "--auto-approve", "--lock-timeout=60s"];
    // Its first header is on its way.
    let rule = json!([{"fault": "latency", "milliseconds": 700, "method": "POST", "route": "/api/group/{groupId}", "nth": 1}]);
    scene.world.faults(rule).await;
    let mut taking = scene.command(&apply).spawn().unwrap();
    assert!(scene.struck(&mut taking).await);
    signal(&taking, "INT");
    let output = taking.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    assert!(stderr(&output).contains("before anything was written"), "{}", shown(&output));
    assert_eq!(header(&scene).await["data"]["state"], "released", "{}", shown(&output));
    assert!(!scene.path("journals").exists(), "nothing to undo");

    let slow =
        json!([{"fault": "latency", "milliseconds": 4000, "method": "POST", "route": "/api/user/{userId}"}]);
    scene.world.faults(slow).await;
    let mut holding = scene.command(&apply).spawn().unwrap();
    assert!(scene.struck(&mut holding).await);
    let waiting = scene.command(&apply).spawn().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let began = std::time::Instant::now();
    signal(&waiting, "TERM");
    let output = waiting.wait_with_output().unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "it waited on");
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    let output = holding.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}
