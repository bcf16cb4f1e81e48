//! `apply` at a terminal: what a person answers, and Ctrl-C, which is an answer as well. The terminal is `script`'s.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use super::scene::{Scene, manifests};
use crate::command::stdout;

/// Types once the question stands there; what the terminal showed, and the exit status.
fn answered(scene: &Scene, arguments: &[&str], answer: &str) -> (String, Option<i32>) {
    let plain = scene.command(arguments);
    let quoted: Vec<String> = std::iter::once(plain.get_program())
        .chain(plain.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &format!("exec {}", quoted.join(" ")), "/dev/null"]);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(plain.get_current_dir().unwrap()).env("NO_COLOR", "1");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut shown, mut part) = (Vec::new(), [0; 1024]);
    let mut terminal = child.stdout.take().unwrap();
    let mut keys = child.stdin.take();
    loop {
        let read = terminal.read(&mut part).unwrap_or(0);
        if read == 0 {
            break;
        }
        shown.extend_from_slice(&part[..read]);
        if String::from_utf8_lossy(&shown).contains("Only \"yes\" does:")
            && let Some(mut keys) = keys.take()
        {
            keys.write_all(answer.as_bytes()).unwrap();
            keys.flush().unwrap();
            // It is held open: its end would be an answer too.
            std::mem::forget(keys);
        }
    }
    let status = child.wait().unwrap();
    (String::from_utf8_lossy(&shown).into_owned(), status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_or_ctrl_c_is_told_with_what_it_means() {
    let scene = Scene::new().await;
    let file = scene.write("manifests.yaml", &manifests(&[("User", "a", json!({"username": "a"}))]));
    let apply = ["apply", "-f", &file];
    let users = || async { scene.world.get("/api/user/search?queryString=*").await["total"].clone() };
    for (answer, exit, says) in [
        ("\u{3}", 5, "interrupted before anything was written"),
        ("no\n", 3, "not approved; nothing was written"),
        ("y\n", 3, "not approved; nothing was written"),
        ("\u{4}", 3, "not approved; nothing was written"),
    ] {
        let (shown, status) = answered(&scene, &apply, answer);
        assert_eq!(status, Some(exit), "{answer:?}: {shown}");
        assert!(shown.contains(says), "{answer:?}: {shown}");
        assert_eq!(users().await, 1, "{answer:?}");
        assert_eq!(stdout(&scene.run(&["unlock"])), "there is no lock\n");
        assert!(!scene.path("journals").exists(), "nothing to undo");
    }
    let (shown, status) = answered(&scene, &apply, "yes\n");
    assert_eq!(status, Some(0), "{shown}");
    assert_eq!(users().await, 2);
}
