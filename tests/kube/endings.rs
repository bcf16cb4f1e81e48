//! Ends that something stands in the way of: a spec that cannot be read, an instance that cannot be used, another operator
//! that uses the same one, types that the API server itself does not bear.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Scene, manifest};

pub const TESTS: &[Test] = &[
    ("endings::what_is_refused_still_goes_by_its_policy", what_is_refused_still_goes_by_its_policy),
    (
        "endings::a_deletion_waits_for_an_instance_that_cannot_be_used",
        a_deletion_waits_for_an_instance_that_cannot_be_used,
    ),
    (
        "endings::an_instance_that_two_operators_use_outlasts_both",
        an_instance_that_two_operators_use_outlasts_both,
    ),
    ("endings::what_is_gone_at_once_leaves_nobody_behind", what_is_gone_at_once_leaves_nobody_behind),
    ("endings::an_instance_does_not_wait_for_what_is_gone", an_instance_does_not_wait_for_what_is_gone),
    ("endings::a_suspended_instance_does_nothing", a_suspended_instance_does_nothing),
    ("endings::what_was_stored_with_other_types_goes", what_was_stored_with_other_types_goes),
];

fn is_active(scene: &Scene<'_>, id: &str) -> bool {
    scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"] == true
}

/// A spec that is refused keeps its policy and its instance, and these are what an end takes.
fn what_is_refused_still_goes_by_its_policy(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "refused-ends");
    let names = ["address", "annotated", "orphaned"];
    for name in names {
        scene.apply("User", name, &format!("{{email: {name}@x.com}}"));
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    let ids = names.map(|name| scene.id(&format!("user.fusionkeep.dev/{name}")));
    scene.apply("User", "address", "{email: 'no address'}");
    scene.apply("User", "orphaned", "{email: 'no address', policy: {deletion: Orphan}}");
    scene.annotate("user.fusionkeep.dev/annotated", "fusionkeep.dev/moved-form=somebody");
    for name in names {
        let said = scene.wait_reason(&format!("user.fusionkeep.dev/{name}"), "Invalid");
        // The same words as of the command.
        let expected = if name == "annotated" { "did you mean fusionkeep.dev/moved-from?" } else { "e-mail" };
        assert!(said.contains(expected), "{said}");
    }
    for name in names {
        scene.kubectl(&["delete", &format!("user.fusionkeep.dev/{name}"), "--wait=false"]);
    }
    for name in names {
        scene.wait_gone(&format!("user.fusionkeep.dev/{name}"));
    }
    assert_eq!(ids.each_ref().map(|id| is_active(&scene, id)), [false, false, true]);
}

fn a_deletion_waits_for_an_instance_that_cannot_be_used(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "waits");
    for name in ["one", "two"] {
        scene.apply("User", name, &format!("{{username: {name}}}"));
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    let ids = ["one", "two"].map(|name| scene.id(&format!("user.fusionkeep.dev/{name}")));
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/reconcil=now");
    let said = scene.wait_reason("fusionauthinstance/default", "Invalid");
    assert!(said.contains("did you mean fusionkeep.dev/reconcile?"), "{said}");
    scene.kubectl(&["delete", "user.fusionkeep.dev/one", "--wait=false"]);
    let said = scene.wait_reason("user.fusionkeep.dev/one", "InstanceNotReady");
    assert!(said.contains("FusionAuthInstance/"), "{said}");
    // A start knows no more of the instance than that it is there.
    drop(operator);
    scene.kubectl(&["delete", "user.fusionkeep.dev/two", "--wait=false"]);
    let _operator = scene.operator(&[]);
    scene.wait_reason("user.fusionkeep.dev/two", "InstanceNotReady");
    assert_eq!(ids.each_ref().map(|id| is_active(&scene, id)), [true, true]);
    scene.kubectl(&["annotate", "fusionauthinstance/default", "fusionkeep.dev/reconcil-"]);
    for name in ["one", "two"] {
        scene.wait_gone(&format!("user.fusionkeep.dev/{name}"));
    }
    assert_eq!(
        ids.each_ref().map(|id| is_active(&scene, id)),
        [false, false],
        "by the policy, and not let go"
    );
}

/// Two releases, each for a namespace of its own, use one ClusterFusionAuthInstance: it holds until both are done with it.
fn an_instance_that_two_operators_use_outlasts_both(cluster: &Cluster) {
    let (one, other) = (Scene::new(cluster, "lends"), Scene::new(cluster, "lends"));
    let name = one.namespace.as_str();
    let instance = format!("clusterfusionauthinstance/{name}");
    let url = one.api.running.url();
    let key = |key: &str| format!("{{secretKeyRef: {{name: fusionauth, key: {key}}}}}");
    let spec = format!(
        "{{url: '{url}', owner: {name}, apiKey: {}, runnerKey: {}, interval: 2s, allow: [{{namespaces: {{names: ['{name}', '{}']}}}}]}}",
        key("api-key"),
        key("runner-key"),
        other.namespace
    );
    one.apply("ClusterFusionAuthInstance", name, &spec);
    let operators = [&one, &other].map(|scene| scene.operator(&["--allowed-urls", &url]));
    for scene in [&one, &other] {
        let reference = format!("{{kind: ClusterFusionAuthInstance, name: '{name}'}}");
        let user = format!("{{username: '{}', instanceRef: {reference}}}", scene.namespace);
        scene.apply("User", "user", &user);
    }
    // Each in its own turn: they share the lock, which is let go half a minute after the last write.
    for scene in [&one, &other] {
        scene.wait_ready("user.fusionkeep.dev/user");
    }
    let finalizers = || one.get(&instance)["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    assert_eq!(finalizers().len(), 2, "{:?}", finalizers());
    let id = other.id("user.fusionkeep.dev/user");
    one.kubectl(&["delete", &instance, "--wait=false"]);
    one.wait_reason(&instance, "InUse");
    one.kubectl(&["delete", "user.fusionkeep.dev/user", "--wait=false"]);
    one.wait_gone("user.fusionkeep.dev/user");
    one.until("the first one is done with it", || finalizers().len() == 1);
    std::thread::sleep(Duration::from_secs(3));
    assert!(finalizers()[0].as_str().unwrap().contains(&other.namespace), "{:?}", finalizers());
    other.kubectl(&["delete", "user.fusionkeep.dev/user", "--wait=false"]);
    other.wait_gone("user.fusionkeep.dev/user");
    one.wait_gone(&instance);
    assert!(!is_active(&one, &id), "by its policy, and not let go");
    drop(operators);
}

/// Deleted before the finalizer is on them, objects are gone without a turn of their own: nothing is created for them then.
fn what_is_gone_at_once_leaves_nobody_behind(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "brief");
    scene.instance("interval: 2s, guards: {maxDeletes: 1000}");
    scene.wait_ready("fusionauthinstance/default");
    let users = format!("/apis/fusionkeep.dev/v1alpha1/namespaces/{}/users", scene.namespace);
    std::thread::scope(|threads| {
        for thread in 0..6 {
            let users = &users;
            threads.spawn(move || {
                for number in 0..30 {
                    let name = format!("brief-{thread}-{number}");
                    let object = json!({"apiVersion": "fusionkeep.dev/v1alpha1", "kind": "User",
                        "metadata": {"name": name}, "spec": {"username": name}});
                    cluster.create_and_delete(users, &object);
                }
            });
        }
    });
    scene.until("all objects are gone", || {
        scene.kubectl(&["get", "users.fusionkeep.dev", "-o", "name"]).is_empty()
    });
    // One that comes now is served after all of them.
    scene.apply("User", "last", "{username: last}");
    scene.wait_ready("user.fusionkeep.dev/last");
    let search = json!({"search": {"queryString": "*", "numberOfResults": 500}});
    let found = scene.api.post("/api/user/search", &search).ok();
    let left: Vec<&Value> = found["users"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|user| {
            user["active"] == true && user["username"].as_str().unwrap_or_default().starts_with("brief")
        })
        .map(|user| &user["username"])
        .collect();
    assert!(left.is_empty(), "nobody declares {left:?}");
}

/// Objects that went without the operator's doing: before they had a finalizer, or after somebody took it off.
fn an_instance_does_not_wait_for_what_is_gone(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "vanished");
    let body = "bodyFrom: {configMapKeyRef: {name: nowhere, key: x}}";
    scene.apply("Lambda", "waits", &format!("{{name: W, type: JWTPopulate, {body}}}"));
    scene.wait_reason("lambda.fusionkeep.dev/waits", "DependencyNotReady");
    scene.apply("User", "released", "{username: released}");
    scene.wait_ready("user.fusionkeep.dev/released");
    for object in ["lambda.fusionkeep.dev/waits", "user.fusionkeep.dev/released"] {
        scene.kubectl(&["patch", object, "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#]);
        scene.kubectl(&["delete", object, "--wait=false"]);
        scene.wait_gone(object);
    }
    scene.kubectl(&["delete", "fusionauthinstance/default", "--wait=false"]);
    scene.wait_gone("fusionauthinstance/default");
}

fn a_suspended_instance_does_nothing(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "rests");
    for name in ["kept", "deleted", "orphaned"] {
        let policy = if name == "orphaned" { "Orphan" } else { "Deactivate" };
        scene.apply(
            "User",
            name,
            &format!("{{username: {name}, firstName: A, policy: {{deletion: {policy}}}}}"),
        );
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    let ids = ["kept", "deleted", "orphaned"].map(|name| scene.id(&format!("user.fusionkeep.dev/{name}")));
    scene.instance("interval: 1s, suspend: true");
    scene.wait_reason("fusionauthinstance/default", "Suspended");
    scene.forget_requests();
    scene.api.merge_patch(format!("/api/user/{}", ids[0]), &json!({"user": {"firstName": "Hand"}})).ok();
    scene.apply("User", "new", "{username: new}");
    scene.wait_reason("user.fusionkeep.dev/new", "InstanceSuspended");
    for name in ["deleted", "orphaned"] {
        scene.kubectl(&["delete", &format!("user.fusionkeep.dev/{name}"), "--wait=false"]);
    }
    scene.wait_gone("user.fusionkeep.dev/orphaned");
    scene.wait_reason("user.fusionkeep.dev/deleted", "Suspended");
    std::thread::sleep(Duration::from_secs(3));
    let by_operator = scene.requests().into_iter().filter(|request| !request.starts_with("PATCH")).count();
    assert_eq!(by_operator, 0, "{:?}", scene.requests());
    assert_eq!(
        scene.ready("user.fusionkeep.dev/kept")["status"],
        "True",
        "it is as declared, as far as is known"
    );
    assert!(!operator.log().contains("cannot be used"), "it was asked for: {}", operator.log());
    scene.instance("interval: 1s");
    scene.wait_ready("user.fusionkeep.dev/new");
    scene.wait_gone("user.fusionkeep.dev/deleted");
    scene.until("the drift is corrected", || scene.user("kept")["firstName"] == "A");
    assert_eq!(ids.each_ref().map(|id| is_active(&scene, id)), [true, false, true]);
}

/// The commands of the chart's README for what the API server lets nobody change.
fn way_out(name: &str) -> String {
    const README: &str = include_str!("../../charts/fusionkeep/README.md");
    let (_, section) = README.split_once("\n## When an object cannot be changed\n").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.replace("richard", name)
}

fn stored(scene: &Scene<'_>, resource: &str, kind: &str, name: &str, spec: &Value) {
    let object = json!({
        "apiVersion": "fusionkeep.dev/v1alpha1", "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": scene.namespace, "uid": uuid::Uuid::new_v4(), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["fusionkeep.dev/keep"]},
    });
    scene.cluster.store(resource, &scene.namespace, name, &object);
}

/// Edited in etcd while they carry the finalizer. The API server takes no change of what its rules cannot read.
fn what_was_stored_with_other_types_goes(_: &Cluster) {
    // A cluster of its own: the way out takes a definition's rules away for a while.
    let cluster = Cluster::start();
    let (scene, operator) = Scene::at_work(&cluster, "types");
    let mendable: [(&str, &str, &str, Value); 9] = [
        ("users", "User", "number", json!({"username": 5})),
        ("users", "User", "null", Value::Null),
        ("users", "User", "list", json!({"username": "x", "registrations": "none"})),
        ("users", "User", "rule", json!({"username": "x", "password": {"fromFile": "/etc/passwd"}})),
        ("entitytypes", "EntityType", "type", json!({"permissions": 7})),
        ("lambdas", "Lambda", "lambda", json!({"type": "JWTPopulate", "body": 3})),
        ("entities", "Entity", "entity", json!({"type": {"name": "company"}, "clientSecret": "x"})),
        ("entitygrants", "EntityGrant", "grant", json!({"entity": 5, "user": [1]})),
        (
            "identityproviderlinks",
            "IdentityProviderLink",
            "link",
            json!({"identityProvider": "G", "user": "x"}),
        ),
    ];
    for (resource, kind, name, spec) in &mendable {
        stored(&scene, resource, kind, name, spec);
        scene.kubectl(&["delete", &format!("{resource}.fusionkeep.dev/{name}"), "--wait=false"]);
    }
    for (resource, _, name, _) in &mendable {
        scene.wait_gone(&format!("{resource}.fusionkeep.dev/{name}"));
    }
    // What no change can be made of at all is told once, and stops nobody.
    let stuck = [("text", json!("nothing")), ("id", json!({"username": "x", "id": 7}))];
    for (name, spec) in &stuck {
        stored(&scene, "users", "User", name, spec);
        scene.kubectl(&["delete", &format!("user.fusionkeep.dev/{name}"), "--wait=false"]);
    }
    for (name, _) in &stuck {
        scene.until("it is told", || scene.events().contains(&format!("Failed {name} ")));
    }
    scene.apply("User", "good", "{username: good}");
    scene.wait_ready("user.fusionkeep.dev/good");
    let told = operator.log().lines().filter(|line| line.contains("it cannot go")).count();
    assert_eq!(told, stuck.len(), "once each");
    drop(operator);
    let output = Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
        .args(["operator", "release-finalizers", "--namespace", &scene.namespace])
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("/good") && said.contains("/text keeps its finalizer"), "{said}");
    for (name, _) in &stuck {
        let commands =
            way_out(name).replace("fusionkeep crds", &format!("{} crds", env!("CARGO_BIN_EXE_fusionkeep")));
        let typed =
            format!("kubectl() {{ command kubectl --namespace {} \"$@\"; }}\n{commands}", scene.namespace);
        let (success, said) = crate::readme::typed(&cluster, &typed);
        assert!(success, "{typed}\n{said}");
        scene.wait_gone(&format!("user.fusionkeep.dev/{name}"));
    }
    let (accepted, said) = scene.try_apply(&manifest("User", "bad", "{firstName: A}"));
    assert!(!accepted && said.contains("a user needs an email"), "the rules stand again: {said}");
}
