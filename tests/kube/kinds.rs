//! Every kind, in every order: applied in reverse order of dependency, drifted, deleted all at once.

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Scene, manifest};

pub const TESTS: &[Test] = &[
    ("kinds::everything_in_reverse_order_converges_and_goes", everything_in_reverse_order_converges_and_goes),
    ("kinds::a_lambda_follows_its_config_map", a_lambda_follows_its_config_map),
    ("kinds::a_namespace_ends_with_everything_in_it", a_namespace_ends_with_everything_in_it),
    ("kinds::a_namespace_of_a_list_ends_too", a_namespace_of_a_list_ends_too),
    ("kinds::a_mass_deletion_is_held_until_it_is_confirmed", a_mass_deletion_is_held_until_it_is_confirmed),
    ("kinds::what_declarations_take_away_is_held_too", what_declarations_take_away_is_held_too),
    ("kinds::a_renamed_object_keeps_its_id", a_renamed_object_keeps_its_id),
    ("kinds::what_comes_late_is_used_at_once", what_comes_late_is_used_at_once),
];

const OBJECTS: [&str; 5] = [
    "entitygrant.fusionkeep.dev/reads",
    "identityproviderlink.fusionkeep.dev/google",
    "entity.fusionkeep.dev/raviga",
    "entitytype.fusionkeep.dev/company",
    "user.fusionkeep.dev/richard",
];

/// An identity provider, which is not ours to declare.
fn identity_provider(scene: &Scene<'_>) {
    let provider = json!({"identityProvider": {"type": "Google", "name": "Google", "enabled": true,
        "client_id": "x", "client_secret": "y", "buttonText": "Google"}});
    scene.api.post("/api/identity-provider", &provider).ok();
}

fn everything() -> [String; 5] {
    [
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
        manifest("Entity", "raviga", "{name: Raviga, type: {name: company}}"),
        manifest("EntityType", "company", "{name: Company, permissions: [{name: read}]}"),
        manifest("User", "richard", "{email: richard@piedpiper.com}"),
    ]
}

fn everything_in_reverse_order_converges_and_goes(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "order");
    identity_provider(&scene);
    for (number, object) in everything().iter().enumerate() {
        let (success, said) = scene.try_apply(object);
        assert!(success, "{said}");
        if number == 0 {
            let waits = scene.wait_reason(OBJECTS[0], "DependencyNotReady");
            assert!(waits.contains("Entity/") && waits.contains("User/"), "{waits}");
        }
    }
    OBJECTS.iter().for_each(|object| scene.wait_ready(object));
    let (entity, user) = (scene.id(OBJECTS[2]), scene.id(OBJECTS[4]));
    let grants = || scene.api.get(format!("/api/entity/{entity}/grant?userId={user}")).ok();
    assert_eq!(grants()["grant"]["permissions"], json!(["read"]));
    // By hand, and corrected within the link interval.
    scene.api.delete(format!("/api/entity/{entity}/grant?userId={user}"));
    scene.until("the grant is back", || {
        scene.api.get(format!("/api/entity/{entity}/grant?userId={user}")).status == 200
            && grants()["grant"]["permissions"] == json!(["read"])
    });
    scene.kubectl(&[&["delete", "--wait=false"], &OBJECTS[..]].concat());
    OBJECTS.iter().for_each(|object| scene.wait_gone(object));
    assert_eq!(scene.api.get(format!("/api/entity/{entity}")).status, 404);
    assert_eq!(scene.api.get(format!("/api/user/{user}")).ok()["user"]["active"], false);
    let links = scene.api.get(format!("/api/identity-provider/link?userId={user}")).ok();
    assert!(!links.to_string().contains("1076915"), "{links}");
}

fn a_lambda_follows_its_config_map(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "lambda");
    let map = |body: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "claims"}, "data": {"claims.js": body}});
    scene.apply(
        "Lambda",
        "claims",
        "{name: Claims, type: JWTPopulate, bodyFrom: {configMapKeyRef: {name: claims, key: claims.js}}}",
    );
    scene.wait_reason("lambda.fusionkeep.dev/claims", "DependencyNotReady");
    scene.apply_json(&map("function populate(jwt, user) { jwt.a = 1; }"));
    scene.wait_ready("lambda.fusionkeep.dev/claims");
    let id = scene.id("lambda.fusionkeep.dev/claims");
    let body = || -> Value { scene.api.get(format!("/api/lambda/{id}")).ok()["lambda"]["body"].clone() };
    assert!(body().as_str().unwrap().contains("jwt.a = 1"));
    scene.apply_json(&map("function populate(jwt, user) { jwt.a = 2; }"));
    scene.until("the body follows", || body().as_str().unwrap().contains("jwt.a = 2"));
    scene.until("it is told as an update", || scene.events().contains("Updated claims"));
}

fn a_namespace_ends_with_everything_in_it(cluster: &Cluster) {
    namespace_ends(cluster, Scene::apart(cluster, "ends"));
}

/// The namespace's own Role goes with it: what the operator may do must not hang on that alone.
fn a_namespace_of_a_list_ends_too(cluster: &Cluster) {
    namespace_ends(cluster, Scene::listed(cluster, "listed"));
}

fn namespace_ends(cluster: &Cluster, scene: Scene<'_>) {
    scene.instance("interval: 2s");
    let _operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    identity_provider(&scene);
    let (success, said) = scene.try_apply(&everything().concat());
    assert!(success, "{said}");
    OBJECTS.iter().for_each(|object| scene.wait_ready(object));
    cluster.kubectl(&["delete", "namespace", &scene.namespace, "--wait=false"]);
    scene.until("the namespace ends", || {
        !cluster.kubectl_output(&["get", "namespace", &scene.namespace]).status.success()
    });
}

fn a_mass_deletion_is_held_until_it_is_confirmed(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "mass");
    let users: Vec<String> = (0..14).map(|n| format!("u{n}")).collect();
    let all: String =
        users.iter().map(|name| manifest("User", name, &format!("{{username: {name}}}"))).collect();
    let (success, said) = scene.try_apply(&all);
    assert!(success, "{said}");
    for name in &users {
        scene.wait_ready(&format!("user.fusionkeep.dev/{name}"));
    }
    scene.kubectl(&["delete", "users.fusionkeep.dev", "--all", "--wait=false"]);
    let count = || scene.kubectl(&["get", "users.fusionkeep.dev", "-o", "name"]).lines().count();
    scene.until("some are held", || {
        scene.kubectl(&["get", "users.fusionkeep.dev", "-o", "wide"]).contains("DeletionHeld")
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    let held = count();
    // What came first may have passed, ten at most; the rest is held until a person says the number.
    assert!((4..=14).contains(&held), "{held}");
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/allow-deletes=2");
    scene.until("two go on", || count() == held - 2);
    scene.until("the permission is used up", || {
        scene.get("fusionauthinstance/default")["metadata"]["annotations"]["fusionkeep.dev/allow-deletes"]
            .is_null()
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(count(), held - 2);
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/allow-deletes=20");
    scene.until("all are gone", || count() == 0);
}

/// Tombstones, and registrations that are no longer declared: a slip of a template takes as much away as a deletion does.
fn what_declarations_take_away_is_held_too(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "losses");
    let application = json!({"application": {"name": "Chat", "roles": [{"name": "user"}]}});
    scene.api.post("/api/application", &application).ok();
    let names: Vec<String> = (0..12).map(|n| format!("u{n}")).collect();
    let apply = |fields: &str| {
        let all: String = names
            .iter()
            .map(|name| manifest("User", name, &format!("{{username: {name}, {fields}}}")))
            .collect();
        let (success, said) = scene.try_apply(&all);
        assert!(success, "{said}");
    };
    let user = |name: &String| format!("user.fusionkeep.dev/{name}");
    let waits = |reason: &str| {
        let reasons = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].reason}";
        scene.kubectl(&["get", "users.fusionkeep.dev", "-o", reasons]).matches(reason).count()
    };
    apply("registrations: [{application: {name: Chat}, roles: [user]}]");
    names.iter().for_each(|name| scene.wait_ready(&user(name)));
    let ids: Vec<String> = names.iter().map(|name| scene.id(&user(name))).collect();
    let live = |id: &String| scene.api.get(format!("/api/user/{id}")).ok()["user"].clone();
    let registered = || ids.iter().filter(|id| live(id)["registrations"][0]["roles"][0] == "user").count();
    let active = || ids.iter().filter(|id| live(id)["active"] == true).count();
    apply("firstName: A");
    scene.until("what is too much is held", || waits("DeletionHeld") >= 2);
    std::thread::sleep(std::time::Duration::from_secs(3));
    let held = waits("DeletionHeld");
    assert!(held >= 2 && registered() == held, "{held} are held, {} are registered", registered());
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/allow-deletes=1");
    scene.until("one goes on", || registered() == held - 1);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(registered(), held - 1, "one, and no more");
    // Declared again as it was, nothing waits any more.
    apply("registrations: [{application: {name: Chat}, roles: [user]}]");
    names.iter().for_each(|name| scene.wait_ready(&user(name)));
    apply("registrations: [{application: {name: Chat}, roles: [user]}], policy: {ensure: Absent}");
    scene.until("tombstones are held", || waits("DeletionHeld") >= 2);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // How many went before depends on how many came at once; within the hour no more than ten go, and the one allowed.
    let open = active();
    let gone = (names.len() - held + 1) + (names.len() - open);
    assert!(gone <= 11, "{gone} of this hour's deletions");
    // A permission counts down, and nothing is left of it when it is taken back.
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/allow-deletes=20");
    scene.until("all are gone", || active() == 0);
    let left = || {
        scene.get("fusionauthinstance/default")["metadata"]["annotations"]["fusionkeep.dev/allow-deletes"]
            .clone()
    };
    let rest = (20 - open).to_string();
    scene.until("what is left of it is written", || left() == rest.as_str());
    scene.kubectl(&["annotate", "fusionauthinstance/default", "fusionkeep.dev/allow-deletes-"]);
    scene.apply("User", "late", "{username: late}");
    scene.wait_ready("user.fusionkeep.dev/late");
    scene.apply("User", "late", "{username: late, policy: {ensure: Absent}}");
    scene.wait_reason("user.fusionkeep.dev/late", "DeletionHeld");
}

/// `moved-from`: a rename in one commit, applied first and pruned afterwards, as GitOps tools do it.
fn a_renamed_object_keeps_its_id(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "renamed");
    scene.apply("User", "dick", "{email: r@x.com, firstName: Dick}");
    scene.wait_ready("user.fusionkeep.dev/dick");
    let id = scene.id("user.fusionkeep.dev/dick");
    let renamed = manifest("User", "richard", "{email: r@x.com, firstName: Richard}")
        .replace("name: richard", "name: richard, annotations: {fusionkeep.dev/moved-from: dick}");
    let (success, said) = scene.try_apply(&renamed);
    assert!(success, "{said}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    assert_eq!(scene.id("user.fusionkeep.dev/richard"), id);
    // Until the former one is pruned, several looks at both find the new one as it is.
    let said = scene.wait_reason("user.fusionkeep.dev/dick", "DeclaredTwice");
    assert!(said.contains("/richard was moved from it"), "{said}");
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(scene.ready("user.fusionkeep.dev/richard")["status"], "True");
    scene.kubectl(&["delete", "user.fusionkeep.dev/dick", "--wait=false"]);
    scene.wait_gone("user.fusionkeep.dev/dick");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let live = scene.api.get(format!("/api/user/{id}")).ok()["user"].clone();
    assert_eq!((&live["active"], &live["firstName"]), (&json!(true), &json!("Richard")), "{live}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    // Applied and pruned in the same breath.
    let again = renamed.replace("richard", "rich").replace("moved-from: dick", "moved-from: richard");
    let (success, said) = scene.try_apply(&again);
    assert!(success, "{said}");
    scene.kubectl(&["delete", "user.fusionkeep.dev/richard", "--wait=false"]);
    scene.wait_gone("user.fusionkeep.dev/richard");
    scene.wait_ready("user.fusionkeep.dev/rich");
    assert_eq!(scene.id("user.fusionkeep.dev/rich"), id);
    assert_eq!(scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"], true);
    // The annotation may go when it has done its work.
    scene.kubectl(&["annotate", "user.fusionkeep.dev/rich", "fusionkeep.dev/moved-from-"]);
    scene.apply("User", "rich", "{email: r@x.com, firstName: Rich}");
    scene.until("it is kept under its new name", || scene.user("rich")["firstName"] == "Rich");
    assert_eq!(scene.id("user.fusionkeep.dev/rich"), id);
}

/// What an object waits for wakes it, however long it has waited; and what cannot be is not tried again and again.
fn what_comes_late_is_used_at_once(cluster: &Cluster) {
    let scene = Scene::new(cluster, "late");
    scene.instance("interval: 1h, linkInterval: 1h");
    let operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    scene.apply("Entity", "raviga", "{name: Raviga, type: {name: company}}");
    scene.wait_reason("entity.fusionkeep.dev/raviga", "DependencyNotReady");
    let theirs = json!({"user": {"username": "theirs", "password": "password"}});
    scene.api.post("/api/user", &theirs).ok();
    scene.apply("User", "theirs", "{username: theirs}");
    scene.wait_reason("user.fusionkeep.dev/theirs", "Conflict");
    scene.forget_requests();
    // By then its own next attempt would be half a minute away.
    std::thread::sleep(std::time::Duration::from_secs(20));
    assert!(scene.requests().is_empty(), "neither is tried meanwhile: {:?}", scene.requests());
    let events = scene.events();
    assert_eq!(events.matches("Refused theirs").count(), 1, "{events}");
    let applied = std::time::Instant::now();
    scene.apply("EntityType", "company", "{name: Company}");
    scene.wait_ready("entity.fusionkeep.dev/raviga");
    assert!(applied.elapsed() < std::time::Duration::from_secs(8), "{:?}", applied.elapsed());
    served_and_logged(&scene, &operator);
}

/// Probes, metrics of every family, and a log of JSON lines that name object and instance.
fn served_and_logged(scene: &Scene<'_>, operator: &crate::scene::Operator) {
    let address = operator.metrics().unwrap();
    let curl = |path: &str| {
        let arguments = ["-sS", "-w", "\n%{http_code} %{content_type}", &format!("http://{address}{path}")];
        let output = std::process::Command::new("curl").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(curl("/healthz").contains("\n200 "), "{}", curl("/healthz"));
    assert!(curl("/readyz").contains("\n200 "), "{}", curl("/readyz"));
    let metrics = curl("/metrics");
    assert!(metrics.contains("200 application/openmetrics-text; version=1.0.0"), "{metrics}");
    for line in [
        "fusionkeep_reconciles_total{kind=\"Entity\",outcome=\"Created\"} 1",
        "fusionkeep_reconciles_total{kind=\"User\",outcome=\"Refused\"} ",
        "fusionkeep_reconcile_duration_seconds_bucket{le=\"0.005\",kind=\"User\"}",
        "fusionkeep_queue_depth{kind=\"User\"} 0",
        "fusionkeep_fusionauth_requests_total{method=\"POST\",route=\"/api/entity/type/{entityTypeId}\",status=\"200\"} 1",
        "fusionkeep_instances{state=\"up\"} 1",
        "fusionkeep_instances{state=\"down\"} 0",
        "fusionkeep_leader 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    for unbounded in [&scene.namespace, "raviga", "theirs", "127.0.0.1"] {
        assert!(!metrics.contains(unbounded), "{unbounded} is a label's value in {metrics}");
    }
    let lines: Vec<Value> =
        operator.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let created = lines.iter().find(|line| line["outcome"] == "Created").unwrap();
    assert_eq!(created["instance"], format!("FusionAuthInstance/{}/default", scene.namespace), "{created}");
    let of_objects: Vec<&Value> = lines.iter().filter(|line| line["message"] == "reconciled").collect();
    assert!(of_objects.iter().all(|line| line["object"].is_string() && line["instance"].is_string()));
}
