//! Real processes at once: two of one owner, which start and freeze at seeded moments and take turns, and two owners
//! who claim one person. What was written by whom is read from the sandbox's log: the writes of one run never stand
//! among those of another of its owner.
#![cfg(unix)]

use std::process::{Child, Output};
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Scene, manifests};
use crate::command::{shown, signal, stderr, stdout};
use crate::engine::random::Random;

const PEOPLE: u64 = 6;

/// Everybody, as a runner declares them.
fn people(runner: &str, count: u64) -> String {
    let names: Vec<String> = (0..count).map(|number| format!("person{number}")).collect();
    let of = |name: &String| json!({"username": name, "lastName": runner});
    manifests(&names.iter().map(|name| ("User", name.as_str(), of(name))).collect::<Vec<_>>())
}

/// Whose write each exchange was, in the order of the answers.
fn writers(scene: &Scene) -> Vec<String> {
    let exchanges = scene.exchanges();
    let committed = exchanges.iter().filter(|one| {
        let route = one["route"].as_str().unwrap_or_default();
        let done = one["status"].as_u64().is_some_and(|status| (200..300).contains(&status));
        done && route == "/api/user/{userId}" && one["method"] != "GET"
    });
    let runner = |one: &Value| one["requestBody"]["user"]["lastName"].as_str().map(str::to_owned);
    committed.filter_map(runner).collect()
}

/// Stops it now and then, for less than a lock lives, until it ends.
fn disturb(random: &mut Random, child: &mut Child) {
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20 + random.below(250)));
        if child.try_wait().unwrap().is_none() && random.chance(50) {
            signal(child, "STOP");
            std::thread::sleep(Duration::from_millis(50 + random.below(600)));
            signal(child, "CONT");
        }
    }
}

fn both(random: &mut Random, mut spawn: impl FnMut(&str) -> Child) -> [Output; 2] {
    let first = spawn("one");
    std::thread::sleep(Duration::from_millis(random.below(800)));
    let second = spawn("two");
    let threads = [first, second].map(|mut child| {
        let mut random = Random(random.next());
        std::thread::spawn(move || {
            disturb(&mut random, &mut child);
            child.wait_with_output().unwrap()
        })
    });
    threads.map(|thread| thread.join().unwrap())
}

/// Two runs that declare the same people, each in its own file, and how they ended.
fn two_of_one_owner(scene: &Scene, random: &mut Random) -> ([String; 2], [Output; 2]) {
    let files = ["one", "two"].map(|runner| scene.write(&format!("{runner}.yaml"), &people(runner, PEOPLE)));
    let outputs = both(random, |runner| {
        let file = if runner == "one" { &files[0] } else { &files[1] };
        let apply = ["apply", "-f", file, "--auto-approve", "--lock-timeout=90s", "--max-changed-users=100"];
        scene.command(&apply).spawn().unwrap()
    });
    (files, outputs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runners_of_an_owner_take_turns_whenever_they_start_and_freeze() {
    let mut waited = 0;
    for seed in 0..6 {
        let mut random = Random(seed);
        let scene = Scene::new().await;
        let latency = json!([{"fault": "latency", "milliseconds": 20 + random.below(200), "share": 0.5, "route": "/api/*"}]);
        scene.world.faults(latency).await;
        let (files, outputs) = two_of_one_owner(&scene, &mut random);
        for output in &outputs {
            assert_eq!(output.status.code(), Some(0), "seed {seed}: {}", shown(output));
            waited += usize::from(stderr(output).contains("planning again"));
        }
        scene.world.faults(json!([])).await;
        let mut turns = writers(&scene);
        assert_eq!(turns.len() as u64, 2 * PEOPLE, "seed {seed}: each wrote everybody once: {turns:?}");
        turns.dedup();
        assert_eq!(turns.len(), 2, "seed {seed}: they wrote among each other: {turns:?}");
        assert_eq!(stdout(&scene.run(&["unlock"])), "there is no lock\n", "seed {seed}");
        let last = if turns[1] == "one" { &files[0] } else { &files[1] };
        let plan = scene.run(&["plan", "-f", last]);
        assert!(stdout(&plan).contains("no changes"), "seed {seed}: {}", shown(&plan));
    }
    assert!(waited > 0, "no run ever waited for the other");
}

/// One dies with the lock, and two want to succeed it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_take_over_a_dead_runners_lock_one_goes_first() {
    for seed in 0..3 {
        let mut random = Random(100 + seed);
        let scene = Scene::new().await;
        let dead = scene.write("dead.yaml", &people("dead", PEOPLE));
        let rule = json!([{"fault": "latency", "milliseconds": 30_000, "method": "POST",
            "route": "/api/user/{userId}", "nth": 1 + random.below(PEOPLE)}]);
        scene.world.faults(rule).await;
        let mut dying =
            scene.command(&["apply", "-f", &dead, "--auto-approve", "--parallelism=1"]).spawn().unwrap();
        assert!(scene.struck(&mut dying).await);
        dying.kill().unwrap();
        dying.wait().unwrap();
        scene.world.faults(json!([])).await;
        let before = writers(&scene).len();
        scene.later().await;
        let (_, outputs) = two_of_one_owner(&scene, &mut random);
        for output in &outputs {
            assert_eq!(output.status.code(), Some(0), "seed {seed}: {}", shown(output));
        }
        let mut turns = writers(&scene).split_off(before);
        assert_eq!(turns.len() as u64, 2 * PEOPLE, "seed {seed}: {turns:?}");
        turns.dedup();
        assert_eq!(turns.len(), 2, "seed {seed}: they wrote among each other: {turns:?}");
        assert_eq!(stdout(&scene.run(&["unlock"])), "there is no lock\n", "seed {seed}");
    }
}

/// Both adopt the same person at the same time: at most one has them, and who was refused has written nothing to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_who_claim_a_person_at_once_at_most_one_writes() {
    let mut refused = 0;
    for seed in 0..6 {
        let mut random = Random(200 + seed);
        let scene = Scene::new().await;
        let latency = json!([{"fault": "latency", "milliseconds": 20 + random.below(150), "share": 0.5, "route": "/api/*"}]);
        scene.world.faults(latency).await;
        let files = ["one", "two"].map(|owner| {
            let person =
                json!({"username": "adopted", "lastName": owner, "policy": {"adoption": "Override"}});
            scene.write(&format!("{owner}.yaml"), &manifests(&[("User", "shared", person)]))
        });
        let outputs = both(&mut random, |owner| {
            let file = if owner == "one" { &files[0] } else { &files[1] };
            let mut command = scene.command(&["apply", "-f", file, "--auto-approve"]);
            command.env("FUSIONKEEP_OWNER", owner).spawn().unwrap()
        });
        scene.world.faults(json!([])).await;
        let done: Vec<&str> = ["one", "two"]
            .into_iter()
            .zip(&outputs)
            .filter(|(_, output)| output.status.code() == Some(0))
            .map(|(owner, _)| owner)
            .collect();
        assert!(done.len() <= 1, "seed {seed}: both have them: {}{}", shown(&outputs[0]), shown(&outputs[1]));
        assert_eq!(writers(&scene), done, "seed {seed}: only who has them wrote");
        for (owner, output) in ["two", "one"].into_iter().zip(&outputs) {
            if output.status.code() != Some(0) {
                refused += 1;
                let said = stderr(output);
                assert!(
                    said.contains(&format!("\"{owner}\"")) || said.contains(&format!("owner {owner} ")),
                    "{said}"
                );
            }
        }
        let holding = ["one", "two"].map(|owner| {
            let listed = scene.command(&["list"]).env("FUSIONKEEP_OWNER", owner).output().unwrap();
            stdout(&listed).contains("User/shared")
        });
        assert_eq!(holding.iter().filter(|holds| **holds).count(), done.len(), "seed {seed}: {holding:?}");
    }
    assert!(refused > 0);
}
