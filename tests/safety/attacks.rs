//! Who may edit a manifest, or write in the tenant, gains neither the pipeline's credentials nor an object that is
//! not the owner's. (A manifest's URL and a redirect: `command::key`; an altered plan: `command::lifecycle`.)

use serde_json::{Value, json};

use super::scene::{API_KEY, RUNNER_KEY, Scene, manifests};
use crate::command::shown;

fn with_password(source: Value) -> String {
    manifests(&[("User", "a", json!({"username": "a", "initial": {"password": source}}))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pipelines_own_credentials_are_no_secrets_of_a_manifest() {
    let scene = Scene::new().await;
    std::fs::create_dir(scene.path("secrets")).unwrap();
    let key = scene.write("api.key", API_KEY);
    std::os::unix::fs::symlink(&key, scene.path("secrets/innocent")).unwrap();
    std::os::unix::fs::symlink(scene.folder(), scene.path("secrets/folder")).unwrap();
    let secrets = scene.path("secrets").display().to_string();
    let inside = |name: &str| json!({"fromFile": format!("{secrets}/{name}")});
    for source in [
        json!({"fromEnv": "FUSIONKEEP_API_KEY"}),
        json!({"fromEnv": "FUSIONKEEP_KEY"}),
        json!({"fromEnv": "HOME"}),
        json!({"fromFile": key}),
        inside("innocent"),
        inside("folder/api.key"),
        inside("../api.key"),
        json!({"fromFile": "/proc/self/environ"}),
    ] {
        let file = scene.write("user.yaml", &with_password(source.clone()));
        for allowed in [&["--allow-env=FUSIONKEEP_*"][..], &[]] {
            let dir = format!("--secrets-dir={secrets}");
            let output = scene.run(&[&["apply", "-f", &file, "--auto-approve", &dir][..], allowed].concat());
            assert_eq!(output.status.code(), Some(1), "{source}: {}", shown(&output));
            assert!(!shown(&output).contains(API_KEY) && !shown(&output).contains(RUNNER_KEY), "{source}");
        }
    }
    let users = scene.world.get("/api/user/search?queryString=*").await;
    assert_eq!(users["total"], 1, "nobody was created: {users:#}");
    let sent = scene.exchanges().iter().any(|line| line["requestBody"].to_string().contains(API_KEY));
    assert!(!sent, "it was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_another_keys_holder_deletes_nobody() {
    let scene = Scene::new().await;
    let victim =
        json!({"username": "adopted", "id": super::scene::id(5), "policy": {"adoption": "Override"}});
    let mallory = scene.write("mallory.yaml", &manifests(&[("User", "victim", victim)]));
    let other = |arguments: &[&str]| {
        let mut command = scene.command(arguments);
        command.env("FUSIONKEEP_KEY", "the-key-of-somebody-who-may-write-groups").output().unwrap()
    };
    // Somebody else signs a record of this owner, with a person in it.
    let claimed = other(&["apply", "-f", &mallory, "--auto-approve"]);
    assert_eq!(claimed.status.code(), Some(0), "{}", shown(&claimed));
    let ours = scene.write("ours.yaml", &manifests(&[("User", "a", json!({"username": "a"}))]));
    for arguments in [
        &["apply", "-f", &ours, "--auto-approve", "--prune"][..],
        &["destroy", "--auto-approve", "--max-deletes=100"],
        &["adopt", "-f", &ours, "--auto-approve"],
    ] {
        let output = scene.run(arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", shown(&output));
    }
    let user = scene.world.get(&format!("/api/user/{}", super::scene::id(5))).await;
    assert_eq!(user["user"]["active"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_squatted_derived_id_is_not_taken_for_ours() {
    let scene = Scene::new().await;
    let file =
        scene.write("user.yaml", &manifests(&[("User", "a", json!({"username": "a", "lastName": "Ours"}))]));
    let plan = scene.path("plan.json").display().to_string();
    let planned = scene.run(&["plan", "-f", &file, "--out", &plan]);
    assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
    let saved = std::fs::read_to_string(&plan).unwrap();
    let at = saved.find("/api/user/").unwrap() + "/api/user/".len();
    let id = saved[at..].chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect::<String>();
    let id = if id.len() == 36 { id } else { id_in(&saved) };
    // Whoever knows the encoding can guess the id, and stands there first.
    let squatter = json!({"user": {"username": "squatter", "lastName": "Squatter"}});
    scene.world.request("POST", &format!("/api/user/{id}"), squatter).await;
    for arguments in [
        &["apply", &plan, "--auto-approve"][..],
        &["apply", "-f", &file, "--auto-approve"],
        &["apply", "-f", &file, "--auto-approve", "--prune"],
        &["destroy", "--auto-approve", "--max-deletes=100"],
    ] {
        let output = scene.run(arguments);
        let refused = output.status.code() != Some(0) || arguments[0] == "destroy";
        assert!(refused, "{arguments:?}: {}", shown(&output));
    }
    let user = scene.world.get(&format!("/api/user/{id}")).await;
    assert_eq!(user["user"]["lastName"], "Squatter");
    assert_eq!(user["user"]["active"], true);
}

/// The id that the plan gives the one user that it creates.
fn id_in(saved: &str) -> String {
    let at = saved.find("/api/user/").unwrap();
    let uuid = |text: &&str| text.len() == 36 && text.parse::<uuid::Uuid>().is_ok();
    saved[at..].split(['"', '/', '\\']).find(uuid).unwrap().to_owned()
}
