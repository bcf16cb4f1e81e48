//! One set of manifests by three ways; the same owner from the command, from this cluster and from another one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fusionkeep::sandbox::Config;
use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::harness::Api;
use crate::scene::{RUNNER_KEY, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("ownership::examples_come_to_the_same_by_every_way", examples_come_to_the_same_by_every_way),
    ("ownership::a_set_moves_from_the_command_to_the_operator", a_set_moves_from_the_command_to_the_operator),
    ("ownership::two_clusters_do_not_share_an_owner", two_clusters_do_not_share_an_owner),
    ("ownership::another_owners_objects_are_a_conflict", another_owners_objects_are_a_conflict),
];

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");

fn kickstarted() -> Api {
    let kickstart = PathBuf::from(format!("{EXAMPLES}.kickstart.json"));
    Api::with(Config {
        api_key: Some("sandbox-key".to_owned()),
        kickstart: Some(kickstart),
        ..Config::default()
    })
}

/// What the examples declare as secrets.
const SECRETS: &str = include_str!("../../examples/quickstart/secrets.yaml");

/// Runs the command against a server.
fn fusionkeep(api: &Api, owner: &str, folder: &Path, arguments: &[&str]) -> Output {
    let journals = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
        .args(arguments)
        .arg("-f")
        .arg(folder)
        .args(["--url", &api.running.url(), "--owner", owner])
        .env("FUSIONKEEP_API_KEY", "sandbox-key")
        .env("FUSIONKEEP_KEY", RUNNER_KEY)
        .env("FUSIONKEEP_JOURNAL_DIR", journals.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Takes out what is of one server and one moment: instants, ids, and what FusionAuth makes up.
fn plain(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("Instant"));
            // Where none is declared FusionAuth makes one.
            fields.retain(|name, value| name != "clientSecret" || SECRETS.contains(&text(value)));
            fields.values_mut().for_each(|value| plain(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| plain(value, names)),
        Value::String(text) => {
            if let Some(name) = names.get(text) {
                *text = name.clone();
            } else if uuid::Uuid::parse_str(text).is_ok() {
                *text = "an id".to_owned();
            }
        }
        _ => {}
    }
}

/// All that the kinds have on a server, by name.
fn state(api: &Api) -> Vec<Value> {
    let search = json!({"search": {"queryString": "*", "numberOfResults": 500}});
    let users = list(&api.post("/api/user/search", &search).ok()["users"]);
    let entities = list(&api.post("/api/entity/search", &search).ok()["entities"]);
    let types = list(&api.get("/api/entity/type").ok()["entityTypes"]);
    let lambdas = list(&api.get("/api/lambda").ok()["lambdas"]);
    let applications = list(&api.get("/api/application").ok()["applications"]);
    let providers = list(&api.get("/api/identity-provider").ok()["identityProviders"]);
    let mut names = BTreeMap::new();
    for found in [&users, &entities, &types, &lambdas, &applications, &providers].into_iter().flatten() {
        let name =
            ["name", "email", "username"].iter().map(|field| text(&found[*field])).find(|n| !n.is_empty());
        names.insert(text(&found["id"]), name.unwrap_or_default());
    }
    let mut all = Vec::new();
    for user in &users {
        all.push(api.get(format!("/api/user/{}", text(&user["id"]))).ok()["user"].clone());
        let links = api.get(format!("/api/identity-provider/link?userId={}", text(&user["id"])));
        all.extend(list(&links.ok()["identityProviderLinks"]));
    }
    for entity in &entities {
        all.push(api.get(format!("/api/entity/{}", text(&entity["id"]))).ok()["entity"].clone());
        let search = json!({"search": {"entityId": entity["id"], "numberOfResults": 100}});
        all.extend(list(&api.post("/api/entity/grant/search", &search).ok()["grants"]));
    }
    all.extend(types);
    all.extend(lambdas);
    all.iter_mut().for_each(|value| plain(value, &names));
    // Registrations and permissions come in the order of their ids or their making.
    for value in &mut all {
        for field in ["registrations", "permissions"] {
            if let Some(items) = value.get_mut(field).and_then(Value::as_array_mut) {
                items.sort_by_key(Value::to_string);
            }
        }
    }
    all.sort_by_key(Value::to_string);
    all
}

fn examples_come_to_the_same_by_every_way(cluster: &Cluster) {
    let by_command = kickstarted();
    let untouched = state(&by_command).len();
    let output = fusionkeep(&by_command, "examples", Path::new(EXAMPLES), &["apply", "--auto-approve"]);
    assert!(output.status.success(), "{}", said(&output));
    let expected = state(&by_command);
    assert!(expected.len() > untouched + 25, "the examples are of real size: {}", expected.len());
    for (way, arguments) in [
        ("client", vec!["apply", "-f", EXAMPLES]),
        ("server", vec!["apply", "--server-side", "-f", EXAMPLES]),
    ] {
        let scene = Scene::serving(cluster, &format!("examples-{way}"), kickstarted());
        scene.instance("interval: 1h");
        let _operator = scene.operator(&[]);
        scene.wait_ready("fusionauthinstance/default");
        scene.kubectl(&arguments);
        for kind in ["entitytypes", "lambdas", "users", "entities", "entitygrants", "identityproviderlinks"] {
            let kind = format!("{kind}.fusionkeep.dev");
            scene.kubectl(&["wait", "--for=condition=Ready", "--all", &kind, "--timeout=60s"]);
        }
        let found = state(&scene.api);
        for (one, other) in expected.iter().zip(&found) {
            assert_eq!(one, other, "{way}");
        }
        assert_eq!(expected.len(), found.len(), "{way}");
        let login = json!({"loginId": "alice@example.com", "password": "quickstart-alice-7Yw2"});
        let signs_in = |api: &Api| api.post("/api/login", &login).status;
        assert_eq!(signs_in(&scene.api), signs_in(&by_command), "passwords are the same");
    }
}

/// Everything that is declared of a small set, in the scene's namespace.
fn small_set(namespace: &str) -> String {
    let objects = [
        manifest("User", "richard", "{email: richard@piedpiper.com, firstName: Richard, data: {a: {b: 1}}}"),
        manifest(
            "User",
            "secret",
            "{username: secret, password: {secretKeyRef: {name: passwords, key: one}}}",
        ),
        manifest("EntityType", "company", "{name: Company, permissions: [{name: read}]}"),
        manifest("Lambda", "claims", "{type: JWTPopulate, body: 'function populate() {}'}"),
        manifest("Entity", "raviga", "{name: Raviga, type: {name: company}}"),
        manifest("EntityGrant", "reads", "{entity: {name: raviga}, user: {name: richard}, permissions: [read]}"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: passwords, labels: {fusionkeep.dev/readable: 'true'}}\n\
         stringData: {one: a-password-of-the-set}\n"
            .to_owned(),
    ];
    objects.concat().replace("metadata: {name:", &format!("metadata: {{namespace: {namespace}, name:"))
}

const SMALL_SET: [&str; 6] = [
    "user.fusionkeep.dev/richard",
    "user.fusionkeep.dev/secret",
    "entitytype.fusionkeep.dev/company",
    "lambda.fusionkeep.dev/claims",
    "entity.fusionkeep.dev/raviga",
    "entitygrant.fusionkeep.dev/reads",
];

/// Writes to objects; the record's own are groups.
fn writes(scene: &Scene<'_>) -> Vec<String> {
    let is_write = |request: &String| {
        !request.starts_with("GET ") && !request.ends_with("/search") && !request.contains("/api/group")
    };
    scene.requests().into_iter().filter(is_write).collect()
}

fn a_set_moves_from_the_command_to_the_operator(cluster: &Cluster) {
    let scene = Scene::new(cluster, "moves");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("set.yaml"), small_set(&scene.namespace)).unwrap();
    let command = |arguments: &[&str]| fusionkeep(&scene.api, &scene.namespace, folder.path(), arguments);
    let output = command(&["apply", "--auto-approve"]);
    assert!(output.status.success(), "{}", said(&output));
    scene.forget_requests();
    // The same owner, of the operator: refused, for the command may still be at work.
    scene.instance("interval: 2s, linkInterval: 2s");
    let (success, told) = scene.try_apply(&small_set(&scene.namespace));
    assert!(success, "{told}");
    let _operator = scene.operator(&[]);
    let refused = scene.wait_reason("fusionauthinstance/default", "OtherRunner");
    assert!(refused.contains("fusionkeep.dev/take-over"), "{refused}");
    assert!(writes(&scene).is_empty(), "{:?}", scene.requests());
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/take-over=true");
    SMALL_SET.iter().for_each(|object| scene.wait_ready(object));
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert!(writes(&scene).is_empty(), "it plans nothing: {:?}", writes(&scene));
    let ids: Vec<String> = SMALL_SET[..5].iter().map(|object| scene.id(object)).collect();
    assert!(ids.iter().all(|id| !id.is_empty()));
    // From its first write on the record is the operator's, and the command is refused in turn.
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Dick, data: {a: {b: 1}}}");
    scene.until("it is applied", || scene.user("richard")["firstName"] == "Dick");
    let instance = || scene.get("fusionauthinstance/default")["metadata"]["annotations"].clone();
    scene.until("the permission is used up", || instance()["fusionkeep.dev/take-over"].is_null());
    let output = command(&["apply", "--auto-approve"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("--take-over"), "{}", said(&output));
    assert_eq!(scene.user("richard")["firstName"], "Dick");
}

fn two_clusters_do_not_share_an_owner(cluster: &Cluster) {
    let (scene, first) = Scene::at_work(cluster, "shared");
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: A}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    let elsewhere = Cluster::start();
    let other = Scene::new(&elsewhere, "shared");
    let spec = format!(
        "{{url: '{}', owner: {}, interval: 2s, apiKey: {{secretKeyRef: {{name: fusionauth, key: api-key}}}}, \
         runnerKey: {{secretKeyRef: {{name: fusionauth, key: runner-key}}}}}}",
        scene.api.running.url(),
        scene.namespace
    );
    other.apply("FusionAuthInstance", "default", &spec);
    other.apply("User", "erlich", "{email: e@piedpiper.com}");
    let second = other.operator(&["--allowed-urls", &scene.api.running.url()]);
    other.wait_reason("fusionauthinstance/default", "OtherRunner");
    other.wait_reason("user.fusionkeep.dev/erlich", "InstanceNotReady");
    assert!(scene.api.get("/api/user?email=e@piedpiper.com").status == 404);
    // Taken over, it is the other's, and the first one writes nothing more.
    other.annotate("fusionauthinstance/default", "fusionkeep.dev/take-over=true");
    other.wait_ready("user.fusionkeep.dev/erlich");
    scene.apply("User", "richard", "{email: r@piedpiper.com, firstName: B}");
    scene.wait_reason("fusionauthinstance/default", "OtherRunner");
    assert_eq!(scene.user("richard")["firstName"], "A");
    drop((first, second));
    elsewhere.stop();
}

fn another_owners_objects_are_a_conflict(cluster: &Cluster) {
    let scene = Scene::new(cluster, "owners");
    let folder = tempfile::tempdir().unwrap();
    let spec = "{email: r@piedpiper.com, id: 5f1a7c1e-5b0a-4c57-9d43-0c0f7f3c2a11, firstName: Theirs}";
    std::fs::write(folder.path().join("set.yaml"), manifest("User", "richard", spec)).unwrap();
    let output = fusionkeep(&scene.api, "somebody-else", folder.path(), &["apply", "--auto-approve"]);
    assert!(output.status.success(), "{}", said(&output));
    scene.instance("interval: 2s");
    let _operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    for policy in ["Never", "Override"] {
        let ours = spec.replace("Theirs", &format!("Ours, policy: {{adoption: {policy}}}"));
        scene.apply("User", "richard", &ours);
        let told = scene.wait_reason("user.fusionkeep.dev/richard", "Conflict");
        if policy == "Override" {
            scene.until("the owner is named", || {
                scene.ready("user.fusionkeep.dev/richard")["message"].to_string().contains("somebody-else")
            });
        } else {
            assert!(!told.is_empty());
        }
    }
    let live = scene.api.get("/api/user/5f1a7c1e-5b0a-4c57-9d43-0c0f7f3c2a11").ok();
    assert_eq!(live["user"]["firstName"], "Theirs");
    // And the other one sees ours.
    scene.apply("User", "erlich", "{email: e@piedpiper.com, id: 6f1a7c1e-5b0a-4c57-9d43-0c0f7f3c2a11}");
    scene.wait_ready("user.fusionkeep.dev/erlich");
    let spec =
        "{email: e@piedpiper.com, id: 6f1a7c1e-5b0a-4c57-9d43-0c0f7f3c2a11, policy: {adoption: Override}}";
    std::fs::write(folder.path().join("set.yaml"), manifest("User", "theirs", spec)).unwrap();
    let output = fusionkeep(&scene.api, "somebody-else", folder.path(), &["plan"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&scene.namespace), "the owner is named: {}", said(&output));
}
