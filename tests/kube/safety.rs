//! Attacks from within a namespace, and what is refused.

use serde_json::json;

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{RUNNER_KEY, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("safety::addresses_that_are_not_listed_are_refused", addresses_that_are_not_listed_are_refused),
    ("safety::secrets_of_others_are_not_read", secrets_of_others_are_not_read),
    ("safety::a_cluster_instance_serves_whom_it_lists", a_cluster_instance_serves_whom_it_lists),
    ("safety::one_malformed_object_stops_nobody", one_malformed_object_stops_nobody),
    ("safety::a_lost_permission_stalls_its_kind_alone", a_lost_permission_stalls_its_kind_alone),
];

fn instance(url: &str, owner: &str) -> String {
    format!(
        "{{url: '{url}', owner: {owner}, apiKey: {{secretKeyRef: {{name: fusionauth, key: api-key}}}}, \
         runnerKey: {{secretKeyRef: {{name: fusionauth, key: runner-key}}}}}}"
    )
}

fn addresses_that_are_not_listed_are_refused(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "ssrf");
    let port = scene.api.running.addr().port();
    let refused = [
        "https://169.254.169.254".to_owned(),
        "https://kubernetes.default.svc".to_owned(),
        format!("http://localhost:{port}"),
        format!("http://127.0.0.2:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        "http://127.0.0.1:1".to_owned(),
        cluster.url(),
    ];
    for (number, url) in refused.iter().enumerate() {
        scene.apply("FusionAuthInstance", &format!("bad{number}"), &instance(url, "attacker"));
    }
    for (number, url) in refused.iter().enumerate() {
        let said = scene.wait_reason(&format!("fusionauthinstance/bad{number}"), "UrlRefused");
        assert!(said.contains("allowed-urls"), "{url}: {said}");
    }
}

fn secrets_of_others_are_not_read(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "secrets");
    scene.apply_json(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unlabelled"},
        "stringData": {"password": "canary-unlabelled"},
    }));
    scene.apply(
        "User",
        "thief",
        "{email: t@x.com, password: {secretKeyRef: {name: unlabelled, key: password}}}",
    );
    let said = scene.wait_reason("user.fusionkeep.dev/thief", "Failed");
    assert!(said.contains("fusionkeep.dev/readable"), "{said}");
    // A namespace cannot even be named.
    let (accepted, said) = scene.try_apply(&manifest(
        "User",
        "other",
        "{email: o@x.com, password: {secretKeyRef: {name: x, key: y, namespace: kube-system}}}",
    ));
    assert!(!accepted && said.contains("unknown field"), "{said}");
    let everything =
        [scene.get("user.fusionkeep.dev/thief").to_string(), operator.log(), scene.events()].concat();
    assert!(!everything.contains("canary-unlabelled"));
    // The instance of another namespace cannot be named either: there is none of that name in this one.
    scene.apply("User", "elsewhere", "{email: e@x.com, instanceRef: {name: of-another-namespace}}");
    scene.wait_reason("user.fusionkeep.dev/elsewhere", "DependencyNotReady");
    // Nor may an object of another namespace be taken over by its former name.
    scene.apply("User", "mover", "{email: m@x.com}");
    scene.annotate("user.fusionkeep.dev/mover", "fusionkeep.dev/moved-from=kube-system/richard");
    scene.wait_reason("user.fusionkeep.dev/mover", "NotAllowed");
}

fn a_cluster_instance_serves_whom_it_lists(cluster: &Cluster) {
    let scene = Scene::new(cluster, "lent");
    let name = scene.namespace.clone();
    let lent = |allow: &str| {
        let spec = instance(&scene.api.running.url(), &name).trim_end_matches('}').to_owned();
        scene.apply(
            "ClusterFusionAuthInstance",
            &name,
            &format!("{spec}}}}}, interval: 2s, allow: [{allow}]}}"),
        );
    };
    lent(&format!("{{namespaces: {{names: ['{name}']}}}}"));
    let _operator = scene.operator(&[]);
    let reference = format!("instanceRef: {{kind: ClusterFusionAuthInstance, name: '{name}'}}");
    scene.apply("User", "good", &format!("{{email: g@x.com, {reference}}}"));
    scene.wait_ready("user.fusionkeep.dev/good");
    let id = scene.id("user.fusionkeep.dev/good");
    scene.apply(
        "Lambda",
        "code",
        &format!("{{name: C, type: JWTPopulate, body: 'function populate() {{}}', {reference}}}"),
    );
    let said = scene.wait_reason("lambda.fusionkeep.dev/code", "NotAllowed");
    assert!(said.contains("Lambda"), "{said}");
    scene.apply(
        "User",
        "id",
        &format!("{{email: i@x.com, id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32, {reference}}}"),
    );
    scene.wait_reason("user.fusionkeep.dev/id", "NotAllowed");
    scene.apply("User", "adopts", &format!("{{email: a@x.com, policy: {{adoption: Match}}, {reference}}}"));
    scene.wait_reason("user.fusionkeep.dev/adopts", "NotAllowed");
    // The list shrinks: the object is refused from then on, and its deletion lets go.
    lent("{namespaces: {names: [nobody]}}");
    scene.wait_reason("user.fusionkeep.dev/good", "NotAllowed");
    scene.kubectl(&["delete", "user.fusionkeep.dev/good", "--wait=false"]);
    scene.wait_gone("user.fusionkeep.dev/good");
    assert_eq!(scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"], true, "let go");
    assert!(!RUNNER_KEY.is_empty());
}

fn one_malformed_object_stops_nobody(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "malformed");
    // The definition of an older version let it pass; what is judged here is what it holds.
    scene.apply("User", "bad", "{email: 'no address'}");
    scene.apply("User", "good", "{email: g@x.com}");
    scene.wait_ready("user.fusionkeep.dev/good");
    let said = scene.wait_reason("user.fusionkeep.dev/bad", "Invalid");
    assert!(said.contains("e-mail"), "{said}");
    scene.kubectl(&["delete", "user.fusionkeep.dev/bad", "--wait=false"]);
    scene.wait_gone("user.fusionkeep.dev/bad");
}

fn a_lost_permission_stalls_its_kind_alone(cluster: &Cluster) {
    let scene = Scene::new(cluster, "denied");
    let endpoints = [
        "/api/user",
        "/api/user/search",
        "/api/group",
        "/api/group/search",
        "/api/tenant",
        "/api/application",
        "/api/system/version",
        "/api/status",
    ];
    let all = json!(["GET", "POST", "PUT", "PATCH", "DELETE"]);
    let endpoints: serde_json::Map<String, serde_json::Value> =
        endpoints.iter().map(|endpoint| ((*endpoint).to_owned(), all.clone())).collect();
    let key = json!({"apiKey": {"key": "least-key", "permissions": {"endpoints": endpoints}}});
    scene.api.post("/api/api-key", &key).ok();
    scene.secret("fusionauth", &[("api-key", "least-key"), ("runner-key", RUNNER_KEY)]);
    scene.instance("interval: 1h");
    let lambdas: String = (0..5)
        .map(|n| {
            let spec = format!("{{name: L{n}, type: JWTPopulate, body: 'function populate() {{}}'}}");
            manifest("Lambda", &format!("l{n}"), &spec)
        })
        .collect();
    let (success, said) = scene.try_apply(&lambdas);
    assert!(success, "{said}");
    let _operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    for n in 0..5 {
        let said = scene.wait_reason(&format!("lambda.fusionkeep.dev/l{n}"), "KeyLacksPermission");
        assert!(said.contains("/api/lambda"), "{said}");
    }
    scene.apply("User", "good", "{email: g@x.com}");
    scene.wait_ready("user.fusionkeep.dev/good");
    let calls = scene.requests().iter().filter(|request| request.contains("/api/lambda")).count();
    assert!(calls <= 3, "the kind stops once, not object by object: {:?}", scene.requests());
}
