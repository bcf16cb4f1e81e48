//! The real process, frozen by SIGSTOP while it writes and woken when its lock has long been another's: it begins no
//! request that writes, says what happened and ends. It takes as long as a lock lives, two minutes.
#![cfg(unix)]

use std::time::Duration;

use fusionkeep::engine::lock::TIME_TO_LIVE;
use serde_json::{Value, json};

use super::scene::{Scene, manifests};
use crate::command::{shown, signal, stderr, stdout};

/// The requests that write, in the order of their answers.
fn writes(scene: &Scene) -> Vec<String> {
    let words = |exchange: &Value| {
        let word = |name: &str| exchange[name].as_str().unwrap().to_owned();
        (word("method"), word("path"))
    };
    let all = scene.exchanges();
    let all = all.iter().map(words);
    all.filter(|(method, path)| {
        method != "GET" && !path.contains("/search") && !path.starts_with("/_sandbox")
    })
    .map(|(method, path)| format!("{method} {path}"))
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_was_frozen_past_its_lock_writes_nothing_more() {
    let scene = Scene::new().await;
    let people: Vec<String> = (0..20).map(|number| format!("person{number:02}")).collect();
    let declared = |first: &str| {
        let spec = |name: &String| json!({"username": name, "firstName": first});
        let objects: Vec<_> = people.iter().map(|name| ("User", name.as_str(), spec(name))).collect();
        scene.write("manifests.yaml", &manifests(&objects))
    };
    let file = declared("One");
    let apply = ["apply", "-f", &file, "--auto-approve", "--parallelism=1", "--max-changed-users=100"];
    let before = scene.run(&apply);
    assert_eq!(before.status.code(), Some(0), "{}", shown(&before));
    declared("Two");
    let rule = json!([{"fault": "latency", "milliseconds": 500, "method": "PATCH", "route": "/api/user/*"}]);
    scene.world.faults(rule).await;
    let mut frozen = scene.command(&apply).spawn().unwrap();
    let struck = scene.struck(&mut frozen).await;
    assert!(struck, "it wrote nothing: {}", shown(&frozen.wait_with_output().unwrap()));
    signal(&frozen, "STOP");
    // The write that was begun is answered to nobody.
    tokio::time::sleep(TIME_TO_LIVE + Duration::from_secs(5)).await;
    let begun = writes(&scene);
    scene.world.faults(json!([])).await;
    let second = scene.run(&[&apply[..], &["--lock-timeout=60s"]].concat());
    assert_eq!(second.status.code(), Some(0), "the lock is over: {}", shown(&second));
    let done = writes(&scene);
    assert!(done.len() > begun.len() + 15, "{begun:?}\n{done:?}");
    signal(&frozen, "CONT");
    let output = frozen.wait_with_output().unwrap();
    assert_eq!(writes(&scene), done, "it wrote after it was woken: {}", shown(&output));
    // The write under way was answered to nobody: whether it was made is not known to this run.
    assert!(matches!(output.status.code(), Some(5 | 6)), "{}", shown(&output));
    assert!(stdout(&output).contains("The run ended early"), "{}", shown(&output));
    assert!(stderr(&output).contains("the lock is lost"), "{}", shown(&output));
    let plan = scene.run(&["plan", "-f", &file]);
    assert!(stdout(&plan).contains("no changes"), "{}", shown(&plan));
    assert_eq!(stdout(&scene.run(&["unlock"])), "there is no lock\n");
}
