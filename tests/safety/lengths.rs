//! How long a secret is tells something of it. Two worlds that differ in nothing but the lengths of all secrets show,
//! log, save and record the same, to the byte, but for instants, ids that are drawn, and digests under a key, whose
//! length is always one.

use std::path::Path;

use serde_json::json;

use super::canary::{API_KEY, MARK, command_at, declared, secret};
use super::scene::Scene;
use crate::command::shown;

/// Everything that one world showed or left, by what it was.
type Told = Vec<(String, String)>;

/// Longer by so much, each secret by another length, so that no sum hides it.
fn longer(pad: usize, name: &str) -> String {
    let by = if pad == 0 { 0 } else { pad + name.len() * 7 };
    secret(name).replacen(MARK, &format!("{MARK}{}", "x".repeat(by)), 1)
}

fn with_lengths(text: &str, pad: usize) -> String {
    let quoted = |text: &str| {
        let json = json!(text).to_string();
        json.trim_matches('"').to_owned()
    };
    ["password", "salt", "clientSecret", "token"]
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(&quoted(&secret(name)), &quoted(&longer(pad, name))))
}

async fn world(pad: usize) -> Told {
    let scene = Scene::new().await;
    let key = format!("{API_KEY}{}", "k".repeat(pad));
    scene.world.request("POST", "/api/api-key", json!({"apiKey": {"key": key}})).await;
    let mut told = Told::new();
    let mut run = |arguments: &[&str]| {
        let mut command = command_at(&scene, None, arguments);
        command
            .env("FUSIONKEEP_API_KEY", &key)
            .env("FUSIONKEEP_KEY", longer(pad, "runner-key-that-is-long-enough"))
            .env("FUSIONKEEP_SECRET_INITIAL", longer(pad, "initial"))
            .env("FUSIONKEEP_SECRET_PASSWORD", longer(pad, "enforced"))
            .env("FUSIONKEEP_PARALLELISM", "1");
        let output = command.output().unwrap();
        told.push((format!("{arguments:?}"), shown(&output)));
    };
    let plan = scene.path("plan.json").display().to_string();
    let record = format!("--record={}", scene.path("record.json").display());
    for level in [1, 2] {
        let text = with_lengths(&declared(level), pad);
        assert!(pad == 0 || text.contains("xxxx"), "longer secrets are declared");
        let file = scene.write("manifests.yaml", &text);
        for format in ["text", "json", "markdown"] {
            run(&["plan", "-f", &file, "-o", format]);
        }
        run(&["plan", "-f", &file, "--out", &plan]);
        run(&["apply", &plan, "-f", &file, "--auto-approve", "-o", "json"]);
        run(&["show", "User/enforced", "-f", &file]);
        run(&["show", "Entity/declared", "-o", "json"]);
    }
    let file = scene.path("manifests.yaml").display().to_string();
    run(&["adopt", "-f", &file, "--auto-approve", &record]);
    run(&["list", "-f", &file, "-o", "json"]);
    run(&["validate", "-f", &file]);
    // Refused and failing: as FusionAuth says it, and as we do.
    let broken = with_lengths(&declared(3), pad).replace("\"key\":\"salt\"", "\"key\":\"sallt\"");
    let broken = scene.write("broken.yaml", &broken);
    run(&["apply", "-f", &broken, "--auto-approve"]);
    let rule = json!([{"fault": "internalError", "method": "PATCH", "route": "/api/*"}]);
    scene.world.faults(rule).await;
    let next = scene.write("next.yaml", &with_lengths(&declared(3), pad));
    run(&["apply", "-f", &next, "--auto-approve", "-o", "json"]);
    scene.world.faults(json!([])).await;
    run(&["undo", "--auto-approve", "--max-deletes=100", "--allow-hard-delete"]);
    run(&["destroy", "--auto-approve", "--max-deletes=100", "--max-changed-users=100"]);
    told.push(("the record in groups".to_owned(), scene.world.get("/api/group").await.to_string()));
    left_in(scene.folder(), &mut told);
    told.into_iter().map(|(what, text)| (plain(&scene, &what), plain(&scene, &text))).collect()
}

/// Files that runs left: plans, journals, records.
fn left_in(folder: &Path, told: &mut Told) {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for (number, path) in paths.into_iter().enumerate() {
        if path.is_dir() {
            left_in(&path, told);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            // A journal is named by its time.
            let name = format!("{}, file {number}", folder.display());
            told.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Without what differs between any two worlds: where they are, instants, ids that are drawn, digests under a key.
fn plain(scene: &Scene, text: &str) -> String {
    let folder = scene.folder().display().to_string();
    let text = text.replace(&folder, "[FOLDER]").replace(&scene.world.running.url(), "[URL]");
    let mut plain = String::new();
    let mut word = String::new();
    // An object a line, for groups stand in the order of their ids.
    for character in text.replace('{', "\n{").chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() || "_-.:+".contains(character) {
            word.push(character);
            continue;
        }
        let drawn = ["milliseconds=", "process "].iter().any(|before| plain.ends_with(before));
        let bare = word.trim_start_matches(':');
        plain.push_str(&word[..word.len() - bare.len()]);
        plain.push_str(if drawn { "[NUMBER]" } else { known(bare).unwrap_or(bare) });
        plain.push(character);
        word.clear();
    }
    // Requests that are made at once are answered in any order.
    let mut lines: Vec<&str> = plain.lines().filter(|line| !is_left_out(line)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A journal is named by its time, and connections come and go as they like.
fn is_left_out(line: &str) -> bool {
    ["journal: ", "undoing "].iter().any(|words| line.starts_with(words)) || line.contains(" hyper_util::")
}

/// What stands for a word of a form of its own. A digest's length is part of its form.
fn known(word: &str) -> Option<&'static str> {
    let hex = || word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = || word.bytes().all(|byte| byte.is_ascii_digit());
    match word.len() {
        36 if word.parse::<uuid::Uuid>().is_ok() => Some("[ID]"),
        13 if is_number() => Some("[INSTANT]"),
        16 if hex() => Some("[KEY ID]"),
        60 if word.as_bytes()[16] == b'.' => Some("[MAC]"),
        22 => Some("[DIGEST OF 22]"),
        32 if hex() => Some("[DIGEST OF 32]"),
        43 => Some("[DIGEST OF 43]"),
        64 if hex() => Some("[DIGEST OF 64]"),
        _ if word.parse::<jiff::Timestamp>().is_ok() => Some("[TIME]"),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_tells_how_long_a_secret_is() {
    let (short, long) = (world(0).await, world(97).await);
    assert_eq!(short.len(), long.len());
    for ((what, short), (_, long)) in short.iter().zip(&long) {
        let differs = similar::TextDiff::from_lines(short, long);
        assert!(short == long, "{what} tells the length of a secret:\n{}", differs.unified_diff());
    }
    assert!(short.iter().any(|(_, text)| text.contains("TRACE") || text.contains("DEBUG")), "logs are on");
    assert!(short.iter().any(|(what, _)| what.contains("journals")), "journals are looked at");
}
