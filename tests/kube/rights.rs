//! The chart's rights: an operator with its service account does everything that it can do, and the API server's audit log
//! is held against the rules. What is granted was used, and nothing was refused.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{RUNNER_KEY, Scene, helm, manifest};

pub const TESTS: &[Test] = &[
    ("rights::one_namespace_takes_exactly_what_is_granted", one_namespace_takes_exactly_what_is_granted),
    ("rights::some_namespaces_take_exactly_what_is_granted", some_namespaces_take_exactly_what_is_granted),
    ("rights::all_namespaces_take_exactly_what_is_granted", all_namespaces_take_exactly_what_is_granted),
];

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/fusionkeep");

/// A right: `ClusterRole`, `Role/home` or `Role/served`, then verb and resource.
type Rights = BTreeSet<String>;

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn role(namespace: &str, home: &str) -> &'static str {
    if namespace == home { "Role/home" } else { "Role/served" }
}

/// What rendered roles grant, verb by verb.
fn granted(rendered: &str, home: &str) -> Rights {
    let documents: Vec<Value> = serde_saphyr::from_multiple(rendered).unwrap();
    let mut rights = Rights::new();
    for document in documents {
        let role = match document["kind"].as_str() {
            Some("ClusterRole") => "ClusterRole",
            Some("Role") => role(document["metadata"]["namespace"].as_str().unwrap(), home),
            _ => continue,
        };
        for rule in document["rules"].as_array().unwrap() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        rights.insert(format!("{role} {verb} {resource}.{group}"));
                    }
                }
            }
        }
    }
    rights
}

/// What an account used, by the role that the authorizer named, and what it was refused.
fn used(cluster: &Cluster, account: &str, home: &str) -> (Rights, Vec<String>) {
    let (mut rights, mut refused) = (Rights::new(), Vec::new());
    for event in cluster.audit().iter().filter(|event| event["user"]["username"] == account) {
        let object = &event["objectRef"];
        let text = |name: &str| object[name].as_str().unwrap_or_default();
        if text("resource").is_empty() {
            continue;
        }
        let subresource = match text("subresource") {
            "" => String::new(),
            name => format!("/{name}"),
        };
        let verb = event["verb"].as_str().unwrap();
        let what = format!("{verb} {}{subresource}.{}", text("resource"), text("apiGroup"));
        let reason = event["annotations"]["authorization.k8s.io/reason"].as_str().unwrap_or_default();
        if event["annotations"]["authorization.k8s.io/decision"] != "allow" {
            refused.push(format!("{what} in \"{}\"", text("namespace")));
        } else if reason.contains("of ClusterRole") {
            rights.insert(format!("ClusterRole {what}"));
        } else {
            rights.insert(format!("{} {what}", role(text("namespace"), home)));
        }
    }
    (rights, refused)
}

/// One of each kind.
fn objects() -> String {
    [
        manifest("EntityType", "company", "{name: Company, permissions: [{name: read}]}"),
        manifest("Entity", "raviga", "{name: Raviga, type: {name: company}}"),
        manifest(
            "Lambda",
            "claims",
            "{name: Claims, type: JWTPopulate, bodyFrom: {configMapKeyRef: {name: claims, key: claims.js}}}",
        ),
        manifest("User", "richard", "{email: richard@piedpiper.com, firstName: Richard}"),
        manifest(
            "EntityGrant",
            "reads",
            "{entity: {name: raviga}, user: {name: richard}, permissions: [read]}",
        ),
        manifest(
            "IdentityProviderLink",
            "google",
            "{identityProvider: {name: Google}, user: {name: richard}, identityProviderUserId: '1076915'}",
        ),
        // Through the administrator's instance.
        manifest(
            "User",
            "shared",
            "{username: shared, instanceRef: {kind: ClusterFusionAuthInstance, name: shared}}",
        ),
    ]
    .concat()
}

const NAMES: [&str; 7] = [
    "entitygrant.fusionkeep.dev/reads",
    "identityproviderlink.fusionkeep.dev/google",
    "entity.fusionkeep.dev/raviga",
    "entitytype.fusionkeep.dev/company",
    "lambda.fusionkeep.dev/claims",
    "user.fusionkeep.dev/richard",
    "user.fusionkeep.dev/shared",
];

fn cluster_instance(scene: &Scene<'_>) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"api-key": "sandbox-key", "runner-key": RUNNER_KEY},
        "metadata": {"name": "shared", "namespace": scene.home, "labels": {"fusionkeep.dev/readable": "true"}},
    });
    let (success, said) = scene.cluster.kubectl_with(&["apply", "-f", "-"], &secret.to_string());
    assert!(success, "{said}");
    let spec = format!(
        "{{url: '{}', owner: {}-shared, apiKey: {{secretKeyRef: {{name: shared, key: api-key}}}}, \
         runnerKey: {{secretKeyRef: {{name: shared, key: runner-key}}}}, interval: 2s, \
         allow: [{{namespaces: {{names: [{}]}}}}]}}",
        scene.api.running.url(),
        scene.namespace,
        scene.namespace
    );
    let manifest = manifest("ClusterFusionAuthInstance", "shared", &spec);
    let (success, said) = scene.cluster.kubectl_with(&["apply", "-f", "-"], &manifest);
    assert!(success, "{said}");
}

/// Does everything that asks the API server for something.
fn everything(scene: &Scene<'_>) {
    let provider = json!({"identityProvider": {"type": "Google", "name": "Google", "enabled": true,
        "client_id": "x", "client_secret": "y", "buttonText": "Google"}});
    scene.api.post("/api/identity-provider", &provider).ok();
    scene.apply_json(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "claims"},
        "data": {"claims.js": "function populate(jwt, user) {}"}}));
    cluster_instance(scene);
    let (success, said) = scene.try_apply(&objects());
    assert!(success, "{said}");
    NAMES.iter().for_each(|name| scene.wait_ready(name));
    // The same thing told twice becomes one event with a count, which is a patch.
    let id = scene.id("user.fusionkeep.dev/richard");
    for _ in 0..2 {
        let by_hand = json!({"user": {"firstName": "Hand"}});
        scene.api.merge_patch(format!("/api/user/{id}"), &by_hand).ok();
        scene.until("the drift is corrected", || scene.user("richard")["firstName"] == "Richard");
        scene.wait_ready("user.fusionkeep.dev/richard");
    }
    // An annotation that does its work and goes, on both kinds of instances.
    for instance in ["fusionauthinstance/default", "clusterfusionauthinstance/shared"] {
        scene.annotate(instance, "fusionkeep.dev/take-over=true");
        scene.until("the annotation is used up", || {
            scene.get(instance)["metadata"]["annotations"]["fusionkeep.dev/take-over"].is_null()
        });
    }
    scene.kubectl(&[&["delete", "--wait=false"], &NAMES[..]].concat());
    NAMES.iter().for_each(|name| scene.wait_gone(name));
    for instance in ["fusionauthinstance/default", "clusterfusionauthinstance/shared"] {
        scene.kubectl(&["delete", "--wait=false", instance]);
        scene.wait_gone(instance);
    }
}

/// An operator with the chart's rights does everything; what it used and was refused is held against the rules.
fn holds(scope: &str) {
    // A cluster of its own: the audit log is this operator's, and what all namespaces hold is this test's.
    let cluster = Cluster::start();
    let scene =
        Scene::with_values(&cluster, "rights", true, &|namespace| scope.replace("NAMESPACE", namespace));
    let values = scope.replace("NAMESPACE", &scene.namespace);
    scene.instance("interval: 2s, linkInterval: 2s");
    let mut arguments: Vec<&str> = vec!["--leader-elect"];
    if values.contains("secrets.watch=true") {
        arguments.extend(["--watch-secrets", "--namespace", "default"]);
    }
    let mut operator = match values.contains("allNamespaces=true") {
        true => scene.operator_of_all(&arguments),
        false => scene.operator(&arguments),
    };
    scene.wait_ready("fusionauthinstance/default");
    everything(&scene);
    // Events come after statuses; and a watch is in the log when it ends.
    std::thread::sleep(Duration::from_secs(2));
    operator.signal("TERM");
    assert!(operator.wait().success());
    let rendered = helm(&[
        "template",
        &scene.namespace,
        CHART,
        "--namespace",
        &scene.home,
        "--set",
        &format!("crds.install=false,{values}"),
    ]);
    let account = format!("system:serviceaccount:{}:{}-fusionkeep", scene.home, scene.namespace);
    let granted = granted(&rendered, &scene.home);
    scene.until("the log holds every watch", || {
        let watches = |rights: &Rights| rights.iter().filter(|right| right.contains(" watch ")).count();
        watches(&used(&cluster, &account, &scene.home).0) >= watches(&granted)
    });
    let (used, refused) = used(&cluster, &account, &scene.home);
    assert!(refused.is_empty(), "refused: {refused:#?}");
    let unused: Vec<&String> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted and not needed: {unused:#?}");
    // The other way round holds by what the API server let pass; it names what the test cannot read.
    let unread: Vec<&String> = used.difference(&granted).collect();
    assert!(unread.is_empty(), "used by another rule than the chart's: {unread:#?}");
}

fn one_namespace_takes_exactly_what_is_granted(_: &Cluster) {
    holds("scope.allNamespaces=false,scope.endNamespaces=false,scope.namespaces={NAMESPACE}");
}

fn some_namespaces_take_exactly_what_is_granted(_: &Cluster) {
    holds("secrets.watch=true,scope.allNamespaces=false,scope.namespaces={NAMESPACE,default}");
}

fn all_namespaces_take_exactly_what_is_granted(_: &Cluster) {
    holds("scope.allNamespaces=true");
}
