//! What a run does with values that the reader takes in several forms, and where secrets come from.

use serde_json::{Value, json};

use crate::command::place::report;
use crate::command::sandbox::{Served, serve};
use crate::command::state::user;
use crate::command::{shown, stderr};

const HEAD: &str = "apiVersion: fusionkeep.dev/v1alpha1\n";

struct Scene {
    served: Served,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let served = serve(&["--kickstart", "examples/quickstart.kickstart.json"]);
        Scene { served, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The report of a run that succeeds.
    fn done(&self, command: &str, manifests: &str) -> Value {
        let file = self.file("input.yaml", manifests);
        let approve: &[&str] = if command == "apply" { &["--auto-approve"] } else { &[] };
        let output = self.served.run(&[&[command, "-f", &file, "-o", "json"], approve].concat());
        assert_eq!(output.status.code(), Some(0), "{manifests}{}", shown(&output));
        report(&output)
    }

    fn applied(&self, manifests: &str) -> Value {
        self.done("apply", manifests)["summary"].clone()
    }

    fn changes(&self, manifests: &str) -> usize {
        self.done("plan", manifests)["changes"].as_array().unwrap().len()
    }
}

fn richard(spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "{HEAD}kind: User\nmetadata: {{ name: richard }}\nspec:\n  email: richard@example.com\n{spec}---\n"
    )
}

#[test]
fn forms_of_one_value_are_no_difference() {
    let scene = Scene::new();
    let one = "preferredLanguages: [en-US, de_DE]\nexpiry: 2030-01-01T01:00:00+01:00\nphoneNumber: +1 (303) 555-1212\ntimezone: US/Mountain";
    scene.applied(&richard(one));
    let live = user(&scene.served, "richard@example.com");
    assert_eq!(live["preferredLanguages"], json!(["en_US", "de_DE"]));
    assert_eq!(live["expiry"], 1_893_456_000_000_u64);
    let other = "preferredLanguages: [en_US, de-DE]\nexpiry: 1893456000000\nphoneNumber: \"+13035551212\"\ntimezone: US/Mountain";
    assert_eq!(scene.changes(&richard(other)), 0);
    let json = json!({
        "apiVersion": "fusionkeep.dev/v1alpha1", "kind": "User", "metadata": {"name": "richard", "namespace": "default"},
        "spec": {"email": "Richard@Example.com", "preferredLanguages": ["en_US", "de_DE"], "expiry": 1_893_456_000_000_u64, "phoneNumber": "+1-303-555-1212", "timezone": "US/Mountain"},
    });
    assert_eq!(scene.changes(&json.to_string()), 0);
    assert_eq!(
        scene.changes(&richard(&other.replace("[en_US, de-DE]", "[de-DE, en_US]"))),
        1,
        "the order is a difference"
    );
}

#[test]
fn null_removes_a_value_a_collection_or_a_key_of_data() {
    let scene = Scene::new();
    scene.applied(&richard(
        "firstName: Richard\nbirthDate: 1981-06-04\npreferredLanguages: [en]\ndata: { team: a, more: { x: 1, z: 2 } }",
    ));
    let removing =
        "firstName: ~\nbirthDate:\npreferredLanguages: Null\ndata: { team: NULL, more: { x: null, z: 2 } }";
    assert_eq!(scene.applied(&richard(removing))["update"], 1);
    let live = user(&scene.served, "richard@example.com");
    assert_eq!((&live["firstName"], &live["birthDate"]), (&Value::Null, &Value::Null));
    assert_eq!(live["preferredLanguages"], json!([]));
    assert_eq!(live["data"], json!({"more": {"z": 2}}));
    assert_eq!(scene.changes(&richard(removing)), 0);
}

#[test]
fn a_tombstone_with_orphan_lets_go_and_deletes_nothing() {
    let scene = Scene::new();
    scene.applied(&richard("firstName: Richard"));
    let tombstone = format!(
        "{HEAD}kind: User\nmetadata: {{ name: richard }}\nspec: {{ policy: {{ ensure: Absent, deletion: Orphan }} }}\n"
    );
    let summary = scene.applied(&tombstone);
    assert_eq!(summary["apiCalls"], json!({"predicted": 0, "actual": 0}));
    assert_eq!(user(&scene.served, "richard@example.com")["active"], true);
    // It is nobody's now: declared again, it is met as somebody else's.
    let file = scene.file("input.yaml", &richard("firstName: Richard"));
    let output = scene.served.run(&["plan", "-f", &file]);
    assert!(stderr(&output).contains("policy.adoption"), "{}", shown(&output));
}

/// What `validate`, `plan` and `apply` make of a user's secrets.
fn verdicts(scene: &Scene, manifests: &str) -> [Option<i32>; 3] {
    let file = scene.file("input.yaml", manifests);
    ["validate", "plan", "apply"].map(|command| {
        let approve: &[&str] = if command == "apply" { &["--auto-approve"] } else { &[] };
        scene.served.run(&[&[command, "-f", &file], approve].concat()).status.code()
    })
}

#[test]
fn secrets_are_needed_by_apply_alone_and_are_never_empty_but_for_a_salt() {
    let scene = Scene::new();
    let secret = |values: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: s }}\nstringData: {values}\n---\n")
    };
    let from = "initial: { password: { secretKeyRef: { name: s, key: password } } }";
    let lying_elsewhere = [
        "initial: { password: { fromEnv: AWS_SECRET_ACCESS_KEY } }",
        "initial: { password: { fromEnv: FUSIONKEEP_SECRET_NOWHERE } }",
        "initial: { password: { fromFile: /etc/shadow } }",
        "password: { fromFile: ../nowhere, version: 1 }",
        from,
    ];
    for spec in lying_elsewhere {
        assert_eq!(verdicts(&scene, &richard(spec)), [Some(0), Some(0), Some(1)], "{spec}");
    }
    for values in ["{ password: '' }", "{ other: x }"] {
        let manifests = secret(values) + &richard(from);
        assert_eq!(verdicts(&scene, &manifests), [Some(0), Some(0), Some(1)], "{values}");
    }
    let gone = scene.served.exchange("GET", "/api/user?email=richard@example.com", &Value::Null);
    assert_eq!(gone.0, 404, "nothing was written");
    // An MD5 of "hashed password" without salt.
    let hash = "initial: { password: { secretKeyRef: { name: s, key: hash } }, salt: { secretKeyRef: { name: s, key: salt } }, encryptionScheme: salted-md5, factor: 1 }";
    let md5 = "{ hash: cIbeQ4odaPHuBZpqHQ0oSA==, salt: '' }";
    assert_eq!(verdicts(&scene, &(secret(md5) + &richard(hash))), [Some(0), Some(0), Some(0)]);
}

#[test]
fn a_cluster_instances_secrets_stand_in_the_namespace_default() {
    let scene = Scene::new();
    let (url, key) = (scene.served.variable("FUSIONKEEP_URL"), scene.served.variable("FUSIONKEEP_API_KEY"));
    let secret = |namespace: &str, key: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: key, namespace: {namespace} }}\nstringData: {{ key: \"{key}\" }}\n---\n"
        )
    };
    let instance = format!(
        "{HEAD}kind: ClusterFusionAuthInstance\nmetadata: {{ name: shared }}\nspec:\n  url: {url}\n  owner: acme\n  \
         apiKey: {{ secretKeyRef: {{ name: key, key: key }} }}\n---\n"
    );
    let person = format!(
        "{HEAD}kind: User\nmetadata: {{ name: a, namespace: team-a }}\nspec: {{ username: a, instanceRef: {{ kind: ClusterFusionAuthInstance, name: shared }} }}\n"
    );
    let run = |in_default: &str, in_team: &str| {
        let text = secret("default", in_default) + &secret("team-a", in_team) + &instance + &person;
        let file = scene.file("cluster.yaml", &text);
        let arguments = ["plan", "-f", &file, "--allowed-urls", &url, "--wait-for-key", "0s"];
        crate::command::fusionkeep(&arguments).output().unwrap()
    };
    let right = run(&key, "no-key-at-all");
    assert_eq!(right.status.code(), Some(0), "{}", shown(&right));
    let wrong = run("no-key-at-all", &key);
    assert_eq!(wrong.status.code(), Some(1), "{}", shown(&wrong));
}

#[test]
fn a_pending_links_id_may_be_a_secret_and_any_link_to_the_provider_satisfies_it() {
    let scene = Scene::new();
    let providers = scene.served.send("GET", "/api/identity-provider", &Value::Null);
    let provider = &providers["identityProviders"][0];
    let pending = json!({"identityProviderId": provider["id"], "identityProviderUserId": "canary-account"});
    let made = scene.served.send("POST", "/_sandbox/pending-links", &pending);
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: s }}\nstringData: {{ id: \"{}\" }}\n---\n",
        made["pendingIdPLinkId"].as_str().unwrap()
    );
    let link = |pending: &str| {
        format!(
            "{HEAD}kind: IdentityProviderLink\nmetadata: {{ name: link }}\nspec:\n  identityProvider: {{ id: {} }}\n  user: {{ name: richard }}\n  pendingLink: {{ id: {pending} }}\n",
            provider["id"].as_str().unwrap()
        )
    };
    let manifests = secret + &richard("firstName: Richard") + &link("{ secretKeyRef: { name: s, key: id } }");
    assert_eq!(scene.applied(&manifests)["create"], 2);
    let live = user(&scene.served, "richard@example.com");
    let path = format!("/api/identity-provider/link?userId={}", live["id"].as_str().unwrap());
    let links = scene.served.send("GET", &path, &Value::Null);
    assert_eq!(links["identityProviderLinks"][0]["identityProviderUserId"], "canary-account");
    assert_eq!(scene.changes(&manifests), 0);
    // Whatever pending link is declared by now: there is a link to that provider.
    assert_eq!(scene.changes(&(richard("firstName: Richard") + &link("another-one"))), 0);
}
