//! The real process, killed by SIGKILL at its k-th request: when it has arrived and is not begun, or when it was carried
//! out and is answered to nobody. The next run converges to what an undisturbed one leaves. `FUSIONKEEP_KILL_EVERY=1`
//! kills at every request, where the usual run takes every seventh; `engine::deaths` takes every one, within a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::proxy;
use super::scene::{Scene, manifests};
use crate::command::{shown, stdout};
use crate::engine::state::state;

const GROUP: &str = "/api/group/{groupId}";
const ARGUMENTS: [&str; 5] =
    ["--auto-approve", "--prune", "--parallelism=1", "--allow-hard-delete", "--max-deletes=100"];

fn before() -> String {
    manifests(&[
        ("EntityType", "company", json!({"data": {"level": "one"}, "permissions": [{"name": "read"}]})),
        ("Entity", "raviga", json!({"type": {"name": "company"}, "data": {"level": "one"}})),
        ("Lambda", "old", json!({"type": "JWTPopulate", "body": "function populate() {}"})),
        (
            "User",
            "kept",
            json!({"username": "kept", "firstName": "One",
            "registrations": [{"application": {"name": "Hooli Chat"}, "roles": ["user"]}]}),
        ),
        ("User", "leaving", json!({"username": "leaving"})),
        ("User", "purged", json!({"username": "purged", "policy": {"deletion": "Delete"}})),
        ("User", "old-name", json!({"username": "renamed"})),
        (
            "User",
            "rotated",
            json!({"username": "rotated",
            "password": {"fromEnv": "FUSIONKEEP_SECRET_A", "version": 1}}),
        ),
        (
            "EntityGrant",
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "kept"},
            "permissions": ["read"]}),
        ),
        (
            "IdentityProviderLink",
            "unlinked",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "kept"}, "identityProviderUserId": "1"}),
        ),
        (
            "IdentityProviderLink",
            "rekeyed",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "kept"}, "identityProviderUserId": "2"}),
        ),
    ])
}

fn after() -> String {
    let moved = json!({"apiVersion": "fusionkeep.dev/v1alpha1", "kind": "User", "metadata": {"name": "new-name",
        "annotations": {"fusionkeep.dev/moved-from": "old-name"}}, "spec": {"username": "renamed", "lastName": "Moved"}});
    let rest = manifests(&[
        ("EntityType", "company", json!({"data": {"level": "two"}, "permissions": [{"name": "read"}]})),
        ("Entity", "raviga", json!({"type": {"name": "company"}, "data": {"level": "two"}})),
        ("Entity", "bream", json!({"type": {"name": "company"}})),
        ("Lambda", "new", json!({"type": "JWTPopulate", "body": "function populate() { }"})),
        (
            "User",
            "kept",
            json!({"username": "kept", "firstName": "Two",
            "registrations": [{"application": {"name": "Hooli Mail"}, "roles": ["user"]}]}),
        ),
        ("User", "back", json!({"username": "back", "lastName": "Again"})),
        (
            "User",
            "created",
            json!({"username": "created", "verified": true,
            "registrations": [{"application": {"name": "Hooli Chat"}}]}),
        ),
        ("User", "inactive", json!({"username": "inactive", "active": false})),
        (
            "User",
            "adopted",
            json!({"username": "adopted", "lastName": "Ours", "policy": {"adoption": "Override"}}),
        ),
        (
            "User",
            "rotated",
            json!({"username": "rotated",
            "password": {"fromEnv": "FUSIONKEEP_SECRET_B", "version": 2}}),
        ),
        (
            "EntityGrant",
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "kept"},
            "permissions": []}),
        ),
        (
            "IdentityProviderLink",
            "linked",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "created"}, "identityProviderUserId": "3"}),
        ),
        (
            "IdentityProviderLink",
            "rekeyed",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "kept"}, "identityProviderUserId": "4"}),
        ),
    ]);
    format!("---\n{moved}\n{rest}")
}

/// The tenant in the first state, on a store that each death begins from.
struct Start {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Start {
    async fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = kept.path().join("store.db");
        let scene = Scene::over(folder, Some(store), SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let earliest = manifests(&[("User", "back", json!({"username": "back"}))]);
        for content in [format!("{}{earliest}", before()), before()] {
            apply(&scene, &content);
        }
        let address = scene.world.running.addr();
        Start { folder: kept, address }
    }

    async fn scene(&self) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let store = copy(self.folder.path(), folder.path());
        Scene::over(folder, Some(store), self.address).await
    }
}

/// A store, as the killed process or the ended sandbox left it.
pub fn copy(from: &Path, to: &Path) -> PathBuf {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to.join("store.db")
}

fn arguments<'a>(command: &'a str, file: &'a str) -> Vec<&'a str> {
    [&[command, "-f", file], &ARGUMENTS[..]].concat()
}

fn command(scene: &Scene, content: &str) -> std::process::Command {
    let file = scene.write("manifests.yaml", content);
    let mut command = scene.command(&arguments("apply", &file));
    command.env("FUSIONKEEP_SECRET_A", "the first one").env("FUSIONKEEP_SECRET_B", "the second one");
    command
}

fn apply(scene: &Scene, content: &str) {
    let output = command(scene, content).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

/// What stands there, and what the record says that we own.
async fn end(scene: &Scene) -> (Value, Value) {
    let plan = scene.run(&["plan", "-f", &scene.path("manifests.yaml").display().to_string(), "--prune"]);
    assert!(stdout(&plan).contains("no changes"), "{}", shown(&plan));
    let listed = scene.run(&["list", "-o", "json"]);
    let listed = serde_json::from_str(&stdout(&listed)).unwrap_or_else(|_| panic!("{}", shown(&listed)));
    (state(&scene.world).await, listed)
}

/// Stands before the sandbox and does not answer the request of this number, which the sandbox carried out; the flag says
/// that it came to that.
fn silent_at(sandbox: &str, number: usize) -> (String, Arc<AtomicBool>) {
    let (silent, requests) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let told = silent.clone();
    let url = proxy::before(sandbox, move |request| {
        let answer = request.forward();
        if requests.fetch_add(1, Ordering::SeqCst) + 1 == number {
            told.store(true, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_secs(30));
        }
        answer
    });
    (url, silent)
}

/// Kills the run at this request; false when it ended before.
async fn dies(scene: &Scene, request: usize, carried_out: bool) -> bool {
    let mut dying = command(scene, &after());
    if !carried_out {
        let rule = json!([{"fault": "latency", "milliseconds": 30_000, "route": "/api/*", "nth": request}]);
        scene.world.faults(rule).await;
        let mut child = dying.spawn().unwrap();
        let struck = scene.struck(&mut child).await;
        child.kill().unwrap();
        child.wait().unwrap();
        scene.world.faults(json!([])).await;
        return struck;
    }
    let (url, silent) = silent_at(&scene.world.running.url(), request);
    let mut child = dying.arg("--take-over").env("FUSIONKEEP_URL", url).spawn().unwrap();
    let struck = loop {
        if silent.load(Ordering::SeqCst) {
            break true;
        }
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    struck
}

async fn killed_at_every(carried_out: bool) {
    let every = std::env::var("FUSIONKEEP_KILL_EVERY").map_or(7, |every| every.parse().unwrap());
    let start = Start::new().await;
    let undisturbed = {
        let scene = start.scene().await;
        apply(&scene, &after());
        end(&scene).await
    };
    let mut deaths = 0;
    for request in (2..).step_by(every) {
        let scene = start.scene().await;
        if !dies(&scene, request, carried_out).await {
            break;
        }
        deaths += 1;
        // The URL of what stood between is the record's last.
        let next = || command(&scene, &after()).arg("--take-over").output().unwrap();
        let locked = next();
        assert!([Some(0), Some(3)].contains(&locked.status.code()), "request {request}: {}", shown(&locked));
        scene.later().await;
        let mended = next();
        assert_eq!(mended.status.code(), Some(0), "killed at request {request}: {}", shown(&mended));
        assert_eq!(end(&scene).await, undisturbed, "killed at request {request}");
    }
    assert!(deaths * every > 60, "{deaths} deaths");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_is_killed_at_any_request_leaves_what_the_next_one_mends() {
    killed_at_every(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_is_killed_after_any_commit_leaves_what_the_next_one_mends() {
    killed_at_every(true).await;
}

/// Runs the command and kills it when its n-th POST to the route has arrived and is not begun.
async fn killed_at(scene: &Scene, mut command: std::process::Command, route: &str, number: u64) {
    let rule = json!([{"fault": "latency", "milliseconds": 30_000, "method": "POST", "route": route,
        "nth": number}]);
    scene.world.faults(rule).await;
    let mut child = command.spawn().unwrap();
    assert!(scene.struck(&mut child).await, "{}", shown(&child.wait_with_output().unwrap()));
    child.kill().unwrap();
    child.wait().unwrap();
    scene.world.faults(json!([])).await;
    scene.later().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adoption_that_was_cut_off_still_takes_a_password_for_the_live_one() {
    let scene = Scene::new().await;
    let password = json!({"fromEnv": "FUSIONKEEP_SECRET_A"});
    let user = json!({"username": "adopted", "password": password});
    let file = scene.write("manifests.yaml", &manifests(&[("User", "adopted", user)]));
    let adopt = || {
        let mut command = scene.command(&["adopt", "-f", &file, "--auto-approve"]);
        command.env("FUSIONKEEP_SECRET_A", "the one that stands there");
        command
    };
    // The headers of two chains, the intent and its header; then it dies.
    killed_at(&scene, adopt(), GROUP, 5).await;
    let intended = stdout(&scene.run(&["list"]));
    assert!(intended.contains("creation not finished"), "it died in between: {intended}");
    let again = adopt().output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", shown(&again));
    assert!(!stdout(&scene.run(&["list"])).contains("not finished"), "{}", shown(&again));
    let mut plan = scene.command(&["plan", "-f", &file]);
    let plan = plan.env("FUSIONKEEP_SECRET_A", "the one that stands there").output().unwrap();
    assert!(stdout(&plan).contains("no changes: 1 object"), "{}", shown(&plan));
}

/// A run's deletion of a lambda is undone; that is killed at a request, and asked for again.
async fn undone_after_death(route: &str, number: u64, was_made: bool) {
    let scene = Scene::new().await;
    let kept = || ("User", "kept", json!({"username": "kept"}));
    let lambda = ("Lambda", "claims", json!({"type": "JWTPopulate", "body": "function populate() {}"}));
    apply(&scene, &manifests(&[lambda, kept()]));
    apply(&scene, &manifests(&[kept()]));
    let journals = || {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(scene.path("journals")).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let journal = journals()[1].display().to_string();
    killed_at(&scene, scene.command(&["undo", &journal, "--auto-approve"]), route, number).await;
    let live = scene.world.get("/api/lambda").await;
    assert_eq!(live["lambdas"].to_string().contains("claims"), was_made, "{live:#}");
    assert!(stdout(&scene.run(&["list"])).contains("creation not finished"));
    let again = scene.run(&["undo", &journal, "--auto-approve"]);
    assert_eq!(again.status.code(), Some(0), "{}", shown(&again));
    let listed = stdout(&scene.run(&["list"]));
    assert!(listed.contains("Lambda/claims") && !listed.contains("not finished"), "{listed}");
    let live = scene.world.get("/api/lambda").await;
    assert!(live["lambdas"].to_string().contains("claims"), "{live:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_was_cut_off_is_finished_by_the_next_one() {
    // The header, the intent and its header; the lambda stands there by then.
    undone_after_death(GROUP, 4, true).await;
    // The record intends the lambda, and nothing made it.
    undone_after_death("/api/lambda/{lambdaId}", 1, false).await;
}
