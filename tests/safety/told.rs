//! What a plan tells of what no run can do or see: what does not come back, what stays, which secrets changed and which
//! cannot be compared, and where a saved plan belongs.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::proxy;
use super::scene::{Scene, manifests};
use crate::command::place::report;
use crate::command::{shown, stderr, stdout};

const PASSWORD: &str = "FUSIONKEEP_SECRET_PASSWORD";
const CLIENT: &str = "FUSIONKEEP_SECRET_CLIENT";

fn company() -> (&'static str, &'static str, Value) {
    ("EntityType", "company", json!({}))
}

fn run(scene: &Scene, secrets: &[(&str, &str)], arguments: &[&str]) -> Output {
    scene.command(arguments).envs(secrets.iter().copied()).output().unwrap()
}

fn done(output: Output) -> Output {
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_tool_deleted_comes_back_under_its_id_and_what_does_not_is_told() {
    let scene = Scene::new().await;
    let link = json!({"identityProvider": {"name": "Google Work"}, "user": {"name": "a"}, "identityProviderUserId": "1"});
    let objects = [
        company(),
        ("Entity", "e", json!({"type": {"name": "company"}})),
        ("User", "a", json!({"username": "a"})),
        ("IdentityProviderLink", "l", link),
    ];
    let file = scene.write("manifests.yaml", &manifests(&objects));
    done(scene.run(&["apply", "-f", &file, "--auto-approve"]));
    let user = scene.world.get("/api/user?username=a").await["user"]["id"].as_str().unwrap().to_owned();
    let entities = scene.world.get("/api/entity/search?queryString=*").await;
    let entity = entities["entities"][0]["id"].as_str().unwrap().to_owned();
    scene.world.request("DELETE", &format!("/api/user/{user}?hardDelete=true"), Value::Null).await;
    scene.world.request("DELETE", &format!("/api/entity/{entity}"), Value::Null).await;
    for format in ["text", "json", "markdown"] {
        let plan = done(scene.run(&["plan", "-f", &file, "-o", format]));
        for lost in ["a password that is not declared", "a client secret that is not declared", "the token"] {
            assert!(stdout(&plan).contains(lost), "{format}: {lost}: {}", shown(&plan));
        }
    }
    let applied = done(scene.run(&["apply", "-f", &file, "--auto-approve", "-o", "json"]));
    assert_eq!(report(&applied)["summary"]["create"], 3);
    assert!(stdout(&applied).contains("cannot come back"), "{}", shown(&applied));
    assert_eq!(scene.world.get(&format!("/api/user/{user}")).await["user"]["username"], "a");
    assert_eq!(scene.world.get(&format!("/api/entity/{entity}")).await["entity"]["name"], "e");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_sent_when_it_changed_and_what_cannot_be_seen_is_told() {
    let scene = Scene::new().await;
    let declared = |more: Value| {
        let mut user = json!({"username": "a", "password": {"fromEnv": PASSWORD}});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let first = json!({"username": "b", "initial": {"password": {"fromEnv": CLIENT}}});
        let entity = json!({"type": {"name": "company"}, "clientSecret": {"fromEnv": CLIENT}});
        manifests(&[company(), ("User", "a", user), ("User", "b", first), ("Entity", "e", entity)])
    };
    let file = scene.write("manifests.yaml", &declared(json!({})));
    let values = |password, client| [(PASSWORD, password), (CLIENT, client)];
    let (first, second) = ("a-password-1", "a-password-2");
    let client = "a-client-secret-that-is-long-enough";
    let apply = ["apply", "-f", &file, "--auto-approve"];
    done(run(&scene, &values(first, client), &apply));
    let sent =
        || scene.exchanges().iter().filter(|one| one["requestBody"].to_string().contains("(secret)")).count();
    let before = sent();
    assert!(before > 0, "the log masks what was sent");
    // Another value of `initial` is no change, and an unchanged secret goes with no other field.
    let other = [(PASSWORD, first), (CLIENT, client)];
    scene.write("manifests.yaml", &declared(json!({"lastName": "Changed"})));
    done(run(&scene, &other, &apply));
    assert_eq!(sent(), before, "an unchanged secret is not sent again");
    let rotated = done(run(&scene, &values(second, client), &["plan", "-f", &file]));
    assert!(stdout(&rotated).contains("password: (changed)"), "{}", shown(&rotated));
    // By hand, in FusionAuth.
    let entities = scene.world.get("/api/entity/search?queryString=*").await;
    let path = format!("/api/entity/{}", entities["entities"][0]["id"].as_str().unwrap());
    let by_hand = json!({"entity": {"clientSecret": "a-secret-that-somebody-made-by-hand"}});
    scene.world.request("PATCH", &path, by_hand).await;
    let drifted = done(run(&scene, &values(first, client), &["plan", "-f", &file]));
    assert!(stdout(&drifted).contains("clientSecret: (changed)"), "{}", shown(&drifted));
    done(run(&scene, &values(first, client), &apply));
    let again =
        done(run(&scene, &values(first, "another-client-secret-is-compared"), &["plan", "-f", &file]));
    assert!(stdout(&again).contains("clientSecret: (changed)"), "{}", shown(&again));
    assert!(!stdout(&again).contains("User/b"), "what is sent at the creation is compared never");
    // Under another key nobody can tell, and nothing is called changed.
    let mut other = scene.command(&["plan", "-f", &file]);
    other.env("FUSIONKEEP_KEY", "another-runner-key-of-the-tests-is-as-long").envs(values(second, client));
    let other = other.output().unwrap();
    assert!(stdout(&other).contains("no changes"), "{}", shown(&other));
    assert!(stderr(&other).contains("whether password changed could not be seen"), "{}", shown(&other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fusionauth_cannot_take_away_is_told_once() {
    let scene = Scene::new().await;
    let declared = |entity: Value, user: Value| {
        let mut all = [json!({"type": {"name": "company"}}), json!({"username": "a"})];
        for (one, more) in all.iter_mut().zip([entity, user]) {
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let [entity, user] = all;
        scene.write("manifests.yaml", &manifests(&[company(), ("Entity", "e", entity), ("User", "a", user)]))
    };
    let secrets = [(PASSWORD, "a-password-1")];
    let file = declared(json!({"clientId": "ours"}), json!({"password": {"fromEnv": PASSWORD}}));
    done(run(&scene, &secrets, &["apply", "-f", &file, "--auto-approve"]));
    declared(json!({}), json!({}));
    let told = |command: &[&str]| {
        let output = done(run(&scene, &secrets, command));
        let report = report(&output);
        let warnings = report["warnings"].as_array().unwrap().clone();
        let of = |one: &Value| one["code"] == "cannot-remove";
        let mut told: Vec<String> = warnings
            .iter()
            .filter(|one| of(one))
            .map(|one| one["message"].as_str().unwrap().to_owned())
            .collect();
        told.sort();
        told
    };
    let expected = ["clientId", "password"].map(|field| {
        format!("{field} is no longer declared, and FusionAuth cannot remove it: it stays, and is let go")
    });
    assert_eq!(told(&["plan", "-f", &file, "-o", "json"]), expected);
    assert_eq!(told(&["apply", "-f", &file, "-o", "json", "--auto-approve"]), expected);
    assert_eq!(told(&["plan", "-f", &file, "-o", "json"]), [""; 0], "it is let go");
}

/// The sandbox, behind a server that says another version once it is told to.
fn upgraded(sandbox: &str, is_upgraded: Arc<AtomicBool>) -> String {
    proxy::before(sandbox, move |request| {
        let answer = request.forward();
        let asks = request.head.starts_with("GET /api/system/version");
        if !asks || !is_upgraded.load(Ordering::Relaxed) {
            return answer;
        }
        String::from_utf8(answer).unwrap().replace("1.69.0", "1.69.1").into_bytes()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_belongs_to_one_server_version_tenant_and_owner() {
    let scene = Scene::new().await;
    let later = Arc::new(AtomicBool::new(false));
    let url = upgraded(&scene.world.running.url(), later.clone());
    let tenant = scene.world.session.tenant_id().to_string();
    let second = scene.world.request("POST", "/api/tenant", json!({"tenant": {"name": "Second"}})).await;
    let second = second["tenant"]["id"].as_str().unwrap().to_owned();
    let file = scene.write("manifests.yaml", &manifests(&[("User", "a", json!({"username": "a"}))]));
    let plan = scene.path("plan.json").display().to_string();
    let at =
        |url: &str, arguments: &[&str]| scene.command(arguments).env("FUSIONKEEP_URL", url).output().unwrap();
    done(at(&url, &["plan", "-f", &file, "--out", &plan, "--tenant-id", &tenant]));
    let apply = ["apply", &plan, "--auto-approve"];
    let refused = |output: Output, says: &str| {
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        assert!(stderr(&output).contains(says), "{says}: {}", shown(&output));
    };
    refused(at(&scene.world.running.url(), &apply), &format!("it was made for {url}"));
    refused(
        at(&url, &[&apply[..], &["--tenant-id", &second]].concat()),
        &format!("it was made for the tenant {tenant}"),
    );
    refused(at(&url, &[&apply[..], &["--owner=others"]].concat()), "it is the owner safety's");
    later.store(true, Ordering::Relaxed);
    refused(at(&url, &apply), "it was made for version 1.69.0");
    later.store(false, Ordering::Relaxed);
    let users = scene.world.get("/api/user/search?queryString=*").await;
    assert_eq!(users["total"], 1, "nothing was written");
    done(at(&url, &apply));
}
