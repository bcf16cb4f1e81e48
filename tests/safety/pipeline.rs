//! The pipeline of `examples/ci/github.yml`, its own scripts run against a sandbox, with something in the place of
//! `gh`: what is applied on merge is the plan that the pull request showed.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::scene::{API_KEY, RUNNER_KEY, Scene, manifests};
use crate::command::shown;

fn workflow() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/github.yml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn steps<'a>(workflow: &'a Value, job: &str) -> &'a Vec<Value> {
    workflow["jobs"][job]["steps"].as_array().unwrap()
}

#[test]
fn no_code_of_a_fork_meets_a_secret() {
    let workflow = workflow();
    let on: Vec<&String> = workflow["on"].as_object().unwrap().keys().collect();
    assert_eq!(on, ["pull_request", "push"]);
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        if !job.to_string().contains("secrets.") {
            continue;
        }
        let condition = job["if"].as_str().unwrap();
        let own = "github.event.pull_request.head.repo.full_name == github.repository";
        assert!(condition.contains(own) || condition == "github.event_name == 'push'", "{name}: {condition}");
        assert!(job["environment"].is_string(), "{name}: secrets stand in an environment");
        for step in steps(&workflow, name) {
            // What a pull request says is data: it stands in a variable, and in no script.
            assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{name}: {step:#}");
            let checks_out = step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout"));
            assert!(!checks_out || step["with"]["persist-credentials"] == false, "{name}: {step:#}");
        }
    }
    assert_eq!(workflow["permissions"], json!({"contents": "read"}));
    assert_eq!(workflow["defaults"]["run"]["shell"], "bash", "a pipe fails with its first part");
}

/// What `gh` is asked for here, with files in the place of GitHub.
const GH: &str = r#"#!/bin/bash
set -eu
echo "$*" >>"$GITHUB/calls"
case "$*" in
  "api repos/acme/idp/issues/7/comments --paginate"*) cat "$GITHUB/comment-id" 2>/dev/null || true ;;
  "api --method POST repos/acme/idp/issues/7/comments"*) cp comment.md "$GITHUB/comment"; echo 11 >"$GITHUB/comment-id" ;;
  "api --method PATCH repos/acme/idp/issues/comments/11"*) cp comment.md "$GITHUB/comment" ;;
  "api repos/acme/idp/commits/merged/pulls"*) echo head ;;
  "api repos/acme/idp/actions/workflows/fusionkeep.yml/runs?event=pull_request&head_sha=head"*) echo 42 ;;
  "run download 42 --repo acme/idp --name fusionkeep-plan --dir $RUNNER_TEMP") cp "$GITHUB/plan.enc" "$RUNNER_TEMP" ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"#;

struct Runner<'a> {
    scene: &'a Scene,
    workflow: Value,
}

impl<'a> Runner<'a> {
    fn new(scene: &'a Scene) -> Self {
        for folder in ["bin", "github", "temp", "work/fusionauth"] {
            std::fs::create_dir_all(scene.path(folder)).unwrap();
        }
        let gh = scene.path("bin/gh");
        std::fs::write(&gh, GH).unwrap();
        std::fs::set_permissions(&gh, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fusionkeep"), scene.path("bin/fusionkeep")).unwrap();
        Runner { scene, workflow: workflow() }
    }

    fn declare(&self, last_name: &str) {
        let text = manifests(&[("User", "a", json!({"username": "a", "lastName": last_name}))]);
        self.scene.write("work/fusionauth/users.yaml", &text);
    }

    /// The job's step of this name, as the runner carries it out.
    fn step(&self, job: &str, name: &str) -> Output {
        let step = steps(&self.workflow, job).iter().find(|step| step["name"] == name).unwrap();
        let secrets: BTreeMap<&str, &str> = [
            ("${{ secrets.FUSIONAUTH_READ_KEY }}", API_KEY),
            ("${{ secrets.FUSIONAUTH_API_KEY }}", API_KEY),
            ("${{ secrets.FUSIONKEEP_KEY }}", RUNNER_KEY),
            ("${{ github.token }}", "token"),
            ("${{ github.event.pull_request.number }}", "7"),
        ]
        .into();
        let environment = step["env"].as_object().unwrap();
        let path = format!("{}:{}", self.scene.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()])
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, secrets[value.as_str().unwrap()])))
            .env("PATH", path)
            .env("HOME", self.scene.folder())
            .env("FUSIONKEEP_URL", self.scene.world.running.url())
            .env("FUSIONKEEP_OWNER", "acme-prod")
            .env("GITHUB", self.scene.path("github"))
            .env("GITHUB_REPOSITORY", "acme/idp")
            .env("GITHUB_SHA", "merged")
            .env("RUNNER_TEMP", self.scene.path("temp"))
            .env("GITHUB_STEP_SUMMARY", self.scene.path("github/summary"))
            .env("GITHUB_OUTPUT", self.scene.path("github/output"))
            .current_dir(self.scene.path("work"));
        command.output().unwrap()
    }

    fn done(&self, job: &str, name: &str) {
        let output = self.step(job, name);
        assert_eq!(output.status.code(), Some(0), "{job}, {name}: {}", shown(&output));
    }

    fn pull_request(&self) {
        self.done("plan", "Plan");
        self.done("plan", "Comment, one and always the same");
        let output = std::fs::read_to_string(self.scene.path("github/output")).unwrap();
        assert!(output.ends_with("status=0\n"), "{output}");
        // The artifact, and a machine of its own for the next job.
        std::fs::rename(self.scene.path("work/plan.enc"), self.scene.path("github/plan.enc")).unwrap();
        std::fs::remove_file(self.scene.path("temp/plan.json")).unwrap();
    }

    fn fetch(&self) {
        self.done("apply", "Fetch the plan of the pull request that was merged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_on_merge_is_the_plan_of_the_pull_request() {
    let scene = Scene::new().await;
    let runner = Runner::new(&scene);
    runner.declare("Reviewed");
    runner.pull_request();
    let comment = std::fs::read_to_string(scene.path("github/comment")).unwrap();
    assert!(comment.starts_with("<!-- fusionkeep -->\n") && comment.contains("Reviewed"), "{comment}");
    runner.pull_request();
    let calls = std::fs::read_to_string(scene.path("github/calls")).unwrap();
    assert_eq!((calls.matches("POST").count(), calls.matches("PATCH").count()), (1, 1), "{calls}");
    let kept = std::fs::read(scene.path("github/plan.enc")).unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("Reviewed"), "personal values are not for all readers");

    // What stands in main by now is not what was reviewed.
    runner.declare("Unreviewed");
    runner.fetch();
    runner.done("apply", "Apply exactly that plan");
    let user = scene.world.get("/api/user?username=a").await;
    assert_eq!(user["user"]["lastName"], "Reviewed");
    let summary = std::fs::read_to_string(scene.path("github/summary")).unwrap();
    assert!(summary.contains("Applied: 1 created"), "{summary}");

    let again = runner.step("apply", "Apply exactly that plan");
    assert_eq!(again.status.code(), Some(4), "it is stale by now: {}", shown(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_refused_is_commented_and_keeps_nothing() {
    let scene = Scene::new().await;
    let runner = Runner::new(&scene);
    let adopted = manifests(&[("User", "adopted", json!({"username": "adopted"}))]);
    scene.write("work/fusionauth/users.yaml", &adopted);
    runner.done("plan", "Plan");
    runner.done("plan", "Comment, one and always the same");
    let output = std::fs::read_to_string(scene.path("github/output")).unwrap();
    assert!(output.ends_with("status=1\n"), "{output}");
    let comment = std::fs::read_to_string(scene.path("github/comment")).unwrap();
    assert!(comment.contains("adoption"), "{comment}");
    assert!(!scene.path("work/plan.enc").exists());
    let fetched = runner.step("apply", "Fetch the plan of the pull request that was merged");
    assert_eq!(fetched.status.code(), Some(1), "{}", shown(&fetched));
    assert!(String::from_utf8_lossy(&fetched.stdout).contains("the pull request has no plan"));
}
