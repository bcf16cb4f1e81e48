//! Attacks from within a namespace, and what is refused.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{RUNNER_KEY, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("safety::addresses_that_are_not_listed_are_refused", addresses_that_are_not_listed_are_refused),
    ("safety::secrets_of_others_are_not_read", secrets_of_others_are_not_read),
    ("safety::a_cluster_instance_serves_whom_it_lists", a_cluster_instance_serves_whom_it_lists),
    ("safety::one_malformed_object_stops_nobody", one_malformed_object_stops_nobody),
    ("safety::names_and_redirects_lead_nowhere", names_and_redirects_lead_nowhere),
    (
        "safety::an_instance_reads_labelled_secrets_of_its_own_namespace",
        an_instance_reads_labelled_secrets_only,
    ),
    ("safety::administration_of_fusionauth_is_not_given", administration_of_fusionauth_is_not_given),
    ("safety::a_canary_is_heard_nowhere", a_canary_is_heard_nowhere),
    (
        "safety::what_is_stored_under_an_older_schema_stops_nobody",
        what_is_stored_under_an_older_schema_stops_nobody,
    ),
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
    nothing_of_others_is_reached(&scene, &reference);
    // The list shrinks: the object is refused from then on, and its deletion lets go.
    lent("{namespaces: {names: [nobody]}}");
    scene.wait_reason("user.fusionkeep.dev/good", "NotAllowed");
    scene.kubectl(&["delete", "user.fusionkeep.dev/good", "--wait=false"]);
    scene.wait_gone("user.fusionkeep.dev/good");
    assert_eq!(scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"], true, "let go");
    assert!(!RUNNER_KEY.is_empty());
}

/// A link would be a way into another's account, a grant one to another's entity.
fn nothing_of_others_is_reached(scene: &Scene<'_>, reference: &str) {
    let provider = json!({"identityProvider": {"type": "Google", "name": "Google", "enabled": true,
        "client_id": "x", "client_secret": "y", "buttonText": "Google"}});
    scene.api.post("/api/identity-provider", &provider).ok();
    let victim = json!({"user": {"email": "victim@x.com", "password": "password"}, "skipVerification": true});
    let victim = scene.api.post("/api/user", &victim).ok()["user"]["id"].as_str().unwrap().to_owned();
    for (name, by) in [("by-mail", "email: victim@x.com".to_owned()), ("by-id", format!("id: {victim}"))] {
        let spec = format!(
            "{{identityProvider: {{name: Google}}, user: {{{by}}}, identityProviderUserId: attacker, {reference}}}"
        );
        scene.apply("IdentityProviderLink", name, &spec);
        let said = scene.wait_reason(&format!("identityproviderlink.fusionkeep.dev/{name}"), "NotAllowed");
        assert!(said.contains("user"), "{said}");
    }
    let spec = format!("{{entity: {{clientId: theirs}}, user: {{name: good}}, {reference}}}");
    scene.apply("EntityGrant", "theirs", &spec);
    scene.wait_reason("entitygrant.fusionkeep.dev/theirs", "NotAllowed");
    let links = scene.api.get(format!("/api/identity-provider/link?userId={victim}")).ok();
    assert!(!links.to_string().contains("attacker"), "{links}");
    // On one's own account a link is allowed.
    let spec = format!(
        "{{identityProvider: {{name: Google}}, user: {{name: good}}, identityProviderUserId: mine, {reference}}}"
    );
    scene.apply("IdentityProviderLink", "mine", &spec);
    scene.wait_ready("identityproviderlink.fusionkeep.dev/mine");
}

/// A host name that leads to an address that is never allowed, and a server that leads away.
fn names_and_redirects_lead_nowhere(cluster: &Cluster) {
    let scene = Scene::new(cluster, "leads");
    let target = scene.api.running.url();
    let by_name = format!("http://localhost:{}", scene.api.running.addr().port());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let redirecting = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (counter, location) = (asked.clone(), target.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counter.fetch_add(1, Ordering::Relaxed);
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or_default();
            let line = String::from_utf8_lossy(&buffer[..read]);
            let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let operator = scene.operator(&["--allowed-urls", &by_name, "--allowed-urls", &redirecting]);
    scene.apply("FusionAuthInstance", "named", &instance(&by_name, "attacker"));
    scene.apply("FusionAuthInstance", "redirecting", &instance(&redirecting, "attacker"));
    scene.until("the name is refused", || scene.ready("fusionauthinstance/named")["status"] == "False");
    scene.until("the redirect is refused", || {
        scene.ready("fusionauthinstance/redirecting")["status"] == "False"
    });
    assert!(asked.load(Ordering::Relaxed) > 0, "it was asked");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(scene.requests().is_empty(), "nothing has come there: {:?}", scene.requests());
    for name in ["named", "redirecting"] {
        let said = scene.ready(&format!("fusionauthinstance/{name}"));
        assert_eq!(said["status"], "False", "{said}");
        assert!(!said["message"].as_str().unwrap_or_default().is_empty(), "{said}");
    }
    assert!(!operator.log().contains("sandbox-key"));
}

fn an_instance_reads_labelled_secrets_only(cluster: &Cluster) {
    let scene = Scene::new(cluster, "keys");
    scene.kubectl(&["label", "secret", "fusionauth", "fusionkeep.dev/readable-"]);
    scene.instance("interval: 1h");
    let _operator = scene.operator(&[]);
    let said = scene.wait_reason("fusionauthinstance/default", "KeyMissing");
    assert!(said.contains("fusionkeep.dev/readable"), "{said}");
    assert!(scene.requests().is_empty(), "{:?}", scene.requests());
    scene.kubectl(&["label", "secret", "fusionauth", "fusionkeep.dev/readable=true"]);
    scene.wait_ready("fusionauthinstance/default");
    // Neither the operator's own environment nor its files, nor another namespace's Secret can be named.
    let url = scene.api.running.url();
    for (source, message) in [
        ("{fromEnv: FUSIONKEEP_API_KEY}", "secretKeyRef"),
        ("{fromFile: /var/run/secrets/kubernetes.io/serviceaccount/token}", "secretKeyRef"),
        ("{secretKeyRef: {name: x, key: y, namespace: kube-system}}", "unknown field"),
    ] {
        let spec = format!("{{url: '{url}', owner: attacker, apiKey: {source}}}");
        let (accepted, said) = scene.try_apply(&manifest("FusionAuthInstance", "bad", &spec));
        assert!(!accepted && said.contains(message), "{source}: {said}");
    }
    let (accepted, said) = scene.try_apply(&manifest(
        "User",
        "bad",
        "{username: x, instanceRef: {name: default, namespace: other}}",
    ));
    assert!(!accepted && said.contains("unknown field"), "{said}");
}

fn administration_of_fusionauth_is_not_given(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "admin");
    let administrator = "{username: boss, registrations: [{application: {id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32}, \
                         roles: [admin]}]}";
    scene.apply("User", "boss", administrator);
    scene.apply("User", "good", "{username: good}");
    let said = scene.wait_reason("user.fusionkeep.dev/boss", "Guard");
    assert!(said.contains("allowAdminRoles"), "{said}");
    scene.wait_ready("user.fusionkeep.dev/good");
    assert_eq!(scene.api.get("/api/user?username=boss").status, 404);
    // By an id of one's own choosing, it is the same.
    scene.instance("interval: 2s, guards: {allowAdminRoles: true}");
    scene.wait_ready("user.fusionkeep.dev/boss");
    let roles = scene.user("boss")["registrations"][0]["roles"].clone();
    assert_eq!(roles, json!(["admin"]));
}

/// Secrets that are sent, that come back, and that FusionAuth complains about.
fn a_canary_is_heard_nowhere(cluster: &Cluster) {
    let scene = Scene::new(cluster, "canary");
    let key = json!({"apiKey": {"key": "canary-api-key"}});
    scene.api.post("/api/api-key", &key).ok();
    let runner = "canary-runner-key-0123456789abcdef0123456789abcdef";
    scene.secret("fusionauth", &[("api-key", "canary-api-key"), ("runner-key", runner)]);
    scene.secret(
        "canaries",
        &[
            ("password", "canary-password"),
            ("short", "canary"),
            ("client", "canary-client-secret"),
            ("token", "canary-link-token"),
        ],
    );
    let provider = json!({"identityProvider": {"type": "Google", "name": "Google", "enabled": true,
        "client_id": "x", "client_secret": "canary-provider", "buttonText": "Google"}});
    scene.api.post("/api/identity-provider", &provider).ok();
    scene.instance("interval: 2s, linkInterval: 2s");
    let operator = scene.operator_logging("debug");
    let secret = |key: &str| format!("{{secretKeyRef: {{name: canaries, key: {key}}}}}");
    let objects = [
        manifest("EntityType", "company", "{name: Company}"),
        manifest("User", "sent", &format!("{{username: sent, password: {}}}", secret("password"))),
        manifest(
            "User",
            "initial",
            &format!("{{username: initial, initial: {{password: {}}}}}", secret("password")),
        ),
        // Too short for FusionAuth, which says so.
        manifest("User", "refused", &format!("{{username: refused, password: {}}}", secret("short"))),
        manifest(
            "User",
            "hashed",
            &format!(
                "{{username: hashed, initial: {{password: {{secretKeyRef: {{name: canaries, key: password}}, salt: {}, \
             encryptionScheme: salted-sha256, factor: 1}}}}}}",
                secret("client")
            ),
        ),
        manifest(
            "Entity",
            "raviga",
            &format!("{{name: Raviga, type: {{name: company}}, clientSecret: {}}}", secret("client")),
        ),
        manifest(
            "IdentityProviderLink",
            "google",
            &format!(
                "{{identityProvider: {{name: Google}}, user: {{name: sent}}, identityProviderUserId: '1', initial: {{token: {}}}}}",
                secret("token")
            ),
        ),
    ];
    for object in &objects {
        let (success, said) = scene.try_apply(object);
        assert!(success, "{said}");
    }
    for name in [
        "user.fusionkeep.dev/sent",
        "user.fusionkeep.dev/initial",
        "entity.fusionkeep.dev/raviga",
        "identityproviderlink.fusionkeep.dev/google",
    ] {
        scene.wait_ready(name);
    }
    scene.until("it is refused", || scene.ready("user.fusionkeep.dev/refused")["status"] == "False");
    // Changed by hand, it is corrected; FusionAuth sends the one that stands there.
    let id = scene.id("entity.fusionkeep.dev/raviga");
    let by_hand = json!({"entity": {"clientSecret": "canary-by-hand"}});
    scene.api.merge_patch(format!("/api/entity/{id}"), &by_hand).ok();
    scene.until("the client secret is corrected", || {
        scene.api.get(format!("/api/entity/{id}")).ok()["entity"]["clientSecret"] == "canary-client-secret"
    });
    scene.until("it is told", || scene.events().contains("raviga"));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let mut heard =
        vec![("log", operator.log()), ("events", scene.events()), ("metrics", scene.metrics(&operator))];
    heard.push(("events in full", scene.kubectl(&["get", "events", "-o", "json"])));
    heard.push(("objects", scene.kubectl(&["get", "fusionkeep", "-o", "json"])));
    heard.push(("record", scene.api.get("/api/group").text));
    for (place, text) in heard {
        let text = text
            .replace("\"name\":\"canaries\"", "")
            .replace("\"name\": \"canaries\"", "")
            .replace("canaries", "");
        // The names of this test's own namespace and account.
        let text = text.replace(&scene.namespace, "");
        if let Some(at) = text.find("canary") {
            panic!("{place}: {}", &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
        }
    }
}

/// Put into etcd as an earlier version, or somebody's hand, would have.
fn what_is_stored_under_an_older_schema_stops_nobody(cluster: &Cluster) {
    let (scene, mut operator) = Scene::at_work(cluster, "older");
    scene.apply("User", "good", "{username: good}");
    scene.wait_ready("user.fusionkeep.dev/good");
    let specs: [(&str, Value); 5] = [
        ("old-type", json!({"username": 7, "registrations": "none"})),
        ("old-null", Value::Null),
        ("old-list", json!([1, 2])),
        ("old-policy", json!({"username": "p", "policy": {"deletion": "Cascade"}})),
        ("old-file", json!({"username": "f", "password": {"fromFile": "/etc/passwd"}})),
    ];
    for (name, spec) in &specs {
        cluster.store(
            "users",
            &scene.namespace,
            name,
            &json!({
                "apiVersion": "fusionkeep.dev/v1alpha1", "kind": "User", "spec": spec,
                "metadata": {"name": name, "namespace": scene.namespace, "uid": uuid::Uuid::new_v4(),
                    "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
            }),
        );
    }
    scene.apply("User", "better", "{username: better}");
    scene.wait_ready("user.fusionkeep.dev/better");
    scene.apply("User", "good", "{username: good, firstName: G}");
    scene.until("others go on", || scene.user("good")["firstName"] == "G");
    for (name, _) in &specs {
        let object = format!("user.fusionkeep.dev/{name}");
        // Of what is not of the schema's types the API server writes no status; then an event says it.
        scene.until(&format!("{name} is judged"), || {
            scene.ready(&object)["reason"] == "Invalid" || scene.events().contains(&format!("Refused {name}"))
        });
        scene.kubectl(&["delete", &object, "--wait=false"]);
        scene.wait_gone(&object);
    }
    // A start finds them as a watch does.
    cluster.store(
        "users",
        &scene.namespace,
        "again",
        &json!({
            "apiVersion": "fusionkeep.dev/v1alpha1", "kind": "User", "spec": "nothing",
            "metadata": {"name": "again", "namespace": scene.namespace, "uid": uuid::Uuid::new_v4(),
                "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        }),
    );
    operator.signal("TERM");
    assert!(operator.wait().success());
    let _another = scene.operator(&[]);
    scene.apply("User", "last", "{username: last}");
    scene.wait_ready("user.fusionkeep.dev/last");
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
