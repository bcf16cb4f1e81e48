//! What a process shows of its secrets without meaning to: in the list of processes, and in a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fusionkeep::engine::keys::RunnerKeys;
use fusionkeep::engine::secrets::{CommandSecrets, SecretValues};
use fusionkeep::fusionauth::{Answer, Call, Client, Method, SecretField, Target};
use fusionkeep::manifest::{LoadOptions, load};
use fusionkeep::model::{SecretKeyRef, SecretSource};
use secrecy::{SecretSlice, SecretString};
use serde_json::json;

use super::canary::{API_KEY, assert_absent, command_at, declared, scene, secret};
use crate::command::shown;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_processes_shows_no_secret() {
    let scene = scene().await;
    let file = scene.write("manifests.yaml", &declared(1));
    scene
        .world
        .faults(json!([{"fault": "latency", "milliseconds": 1000, "method": "POST", "route": "/api/user/*"}]))
        .await;
    let mut command = command_at(&scene, None, &["apply", "-f", &file, "--auto-approve"]);
    let mut child = command.spawn().unwrap();
    assert!(scene.struck(&mut child).await);
    let threads = Path::new("/proc").join(child.id().to_string()).join("task");
    let mut read = 0;
    for thread in std::fs::read_dir(threads).unwrap() {
        for file in ["cmdline", "comm", "status"] {
            let text = std::fs::read(thread.as_ref().unwrap().path().join(file)).unwrap();
            assert!(!text.is_empty());
            assert_absent(file, &String::from_utf8_lossy(&text));
            read += 1;
        }
    }
    assert!(read >= 6, "{read}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

/// What a panic over a value says: the value as `Debug` writes it.
fn panic_over<T: std::fmt::Debug>(value: T) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(|| panic!("{value:?}")));
    *panicked.unwrap_err().downcast::<String>().unwrap()
}

#[tokio::test]
async fn a_panic_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, declared(1)).unwrap();
    let input = load(&[file], &LoadOptions::default()).unwrap();
    let text = panic_over(&input.objects);
    assert!(text.contains("canaries"), "objects are shown: {text}");
    assert_absent("a panic over objects", &text);
    assert_absent("a panic over Secret documents", &panic_over(&input.secrets));

    let resolver = CommandSecrets::new(globset::GlobSet::empty(), Vec::new(), input.secrets.clone());
    let mut values = SecretValues::default();
    let reference = SecretKeyRef { name: "canaries".into(), key: "password".into() };
    let source = SecretSource { secret_key_ref: Some(reference), ..SecretSource::default() };
    let value = values.load(&resolver, &"default".into(), &source, false).await.unwrap();
    assert_absent("a panic over a resolver", &panic_over(&resolver));
    assert_absent("a panic over values", &panic_over(&values));

    let field = SecretField { pointer: "/user/password".to_owned(), value: value.clone() };
    assert_absent("a panic over a secret field", &panic_over(&field));
    let mut call = Call::new(Method::POST, "/api/user", Vec::new(), Answer::EmptyOrJson);
    call = call.json(json!({"user": {"username": secret("in-the-body")}}));
    call.secrets.push(field);
    assert_absent("a panic over a call", &panic_over(&call));

    let url = "http://127.0.0.1:9".parse().unwrap();
    let target = Target::new(url, SecretString::from(API_KEY));
    assert_absent("a panic over a client", &panic_over(Client::new(&target).unwrap()));
    assert_absent("a panic over a target", &panic_over(&target));
    let key = SecretSlice::from(secret("runner-key-that-is-long-enough").into_bytes());
    assert_absent("a panic over runner keys", &panic_over(RunnerKeys::parse(&key).unwrap()));
}
