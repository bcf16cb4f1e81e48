//! The custom resource definitions on the real API server: they establish, refuse and explain.

use std::time::Duration;

use fusionkeep::model::{GROUP, Kind, row};
use fusionkeep::operator::definitions_as_yaml;

use serde_json::Value;

use crate::Test;
use crate::cluster::Cluster;

pub const TESTS: &[Test] = &[
    ("crds::kubectl_shows_what_a_person_asks_for", kubectl_shows_what_a_person_asks_for),
    ("crds::definitions_establish_and_explain", definitions_establish_and_explain),
    ("crds::rules_refuse_and_say_what_to_do", rules_refuse_and_say_what_to_do),
    (
        "crds::what_may_not_change_cannot_be_removed_and_added",
        what_may_not_change_cannot_be_removed_and_added,
    ),
];

/// Installs the definitions, once or again.
pub fn install(cluster: &Cluster) {
    let (success, said) =
        cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &definitions_as_yaml().unwrap());
    assert!(success, "{said}");
    for kind in Kind::ALL {
        let name = format!("crd/{}.{GROUP}", row(kind).plural);
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", &name]);
    }
    // Discovery follows establishment by a moment.
    cluster.wait_until("the kinds are served", Duration::from_secs(20), || {
        cluster.kubectl_output(&["get", "fusionkeep", "-A"]).status.success()
    });
}

fn definitions_establish_and_explain(cluster: &Cluster) {
    install(cluster);
    for kind in Kind::ALL {
        let name = format!("{}.{GROUP}", row(kind).plural);
        let conditions = cluster.kubectl(&["get", "crd", &name, "-o", "jsonpath={.status.conditions}"]);
        assert!(!conditions.contains("NonStructuralSchema"), "{kind}: {conditions}");
    }
    // Before anybody has looked at it, an object is not current to kstatus, which takes a missing status for one.
    let (success, said) =
        cluster.kubectl_with(&["create", "-f", "-"], &manifest("User", "unseen", "{username: unseen}"));
    assert!(success, "{said}");
    let observed = ["get", "user.fusionkeep.dev/unseen", "-o", "jsonpath={.status.observedGeneration}"];
    assert_eq!(cluster.kubectl(&observed), "-1");
    cluster.kubectl(&["delete", "user.fusionkeep.dev/unseen"]);
    // Every field of every kind is explained.
    for kind in Kind::ALL {
        let path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec}";
        let schema = cluster.kubectl(&["get", "crd", &format!("{}.{GROUP}", row(kind).plural), "-o", path]);
        let bare = undescribed("spec", &serde_json::from_str(&schema).unwrap());
        assert!(bare.is_empty(), "{kind}: {bare:?} say nothing to kubectl explain");
    }
    let explained = cluster.kubectl(&["explain", "users.fusionkeep.dev.spec.registrations"]);
    assert!(explained.contains("Applications the user is registered for"), "{explained}");
}

/// Fields without a description.
fn undescribed(path: &str, schema: &Value) -> Vec<String> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let of_fields = fields.flat_map(|(name, field)| {
        let path = format!("{path}.{name}");
        let own = field["description"].as_str().unwrap_or_default().trim().is_empty().then(|| path.clone());
        own.into_iter().chain(undescribed(&path, field)).collect::<Vec<_>>()
    });
    let of_items = schema.get("items").map(|items| undescribed(path, items)).unwrap_or_default();
    of_fields.chain(of_items).collect()
}

fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: fusionkeep.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn rules_refuse_and_say_what_to_do(cluster: &Cluster) {
    install(cluster);
    let refused = [
        ("User", "{firstName: A}", "a user needs an email"),
        ("User", "{email: a@b.c, nickname: x}", "unknown field"),
        ("User", "{email: a@b.c, verified: false}", "can only be declared true"),
        ("User", "{email: a@b.c, id: 1234}", "must be of type uuid"),
        (
            "User",
            "{email: a@b.c, password: {secretKeyRef: {name: s, key: k}}, initial: {password: {secretKeyRef: {name: s, key: k}}}}",
            "exclude each other",
        ),
        (
            "User",
            "{email: a@b.c, initial: {password: {secretKeyRef: {name: s, key: k}}, sendSetPasswordIdentityType: email}}",
            "write doNotSend",
        ),
        (
            "User",
            "{email: a@b.c, password: {secretKeyRef: {name: s, key: k}}, initial: {sendSetPasswordIdentityType: phone}}",
            "write doNotSend",
        ),
        (
            "IdentityProviderLink",
            "{identityProvider: {name: G}, user: {name: a}}",
            "identityProviderUserId is needed",
        ),
        (
            "IdentityProviderLink",
            "{identityProvider: {name: G}, user: {name: a}, pendingLink: null, policy: {ensure: Absent}}",
            "identityProviderUserId is needed",
        ),
        ("User", "{email: a@b.c, password: {fromEnv: FUSIONKEEP_SECRET_X}}", "use secretKeyRef"),
        (
            "User",
            "{email: a@b.c, registrations: [{application: {name: a, id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32}}]}",
            "exactly one of name, id",
        ),
        ("Lambda", "{type: JWTPopulate, bodyFile: x.js}", "body or bodyFrom"),
        ("Lambda", "{type: JWTPopulate}", "exactly one of body"),
        ("Lambda", "{type: Nothing, body: x}", "Unsupported value"),
        ("Lambda", "{type: null, body: x}", "type is needed"),
        ("EntityGrant", "{entity: {name: a}}", "exactly one of user, recipientEntity"),
        ("User", "{username: a, birthDate: 1.2.2000}", "spec.birthDate"),
        ("User", "{phoneNumber: '0123'}", "spec.phoneNumber"),
        ("FusionAuthInstance", "{url: 'https://a.example', owner: A B}", "spec.owner"),
        ("FusionAuthInstance", "{url: 'ftp://a.example', owner: a}", "spec.url"),
        ("FusionAuthInstance", "{url: 'https://a.example', owner: a, interval: soon}", "spec.interval"),
    ];
    for (kind, spec, message) in refused {
        let (success, said) =
            cluster.kubectl_with(&["apply", "--dry-run=server", "-f", "-"], &manifest(kind, "refused", spec));
        assert!(!success && said.contains(message), "{kind} {spec}: {said}");
    }
    let accepted = [
        ("User", "{email: a@b.c, mobilePhone: null, data: {a: {b: [1, null]}}}"),
        (
            "User",
            "{phoneNumber: '+13035551212', expiry: 1571786483322, registrations: [{application: {name: a}, roles: [x]}]}",
        ),
        ("User", "{username: a, expiry: '2030-01-01T00:00:00Z', policy: {deletion: Orphan}}"),
        ("User", "{username: a, phoneNumber: '+1 (303) 555-1212', birthDate: '1999-12-31'}"),
        ("User", "{username: a, phoneNumber: null, birthDate: null}"),
        // What the command takes null for, a cluster takes as well.
        ("User", "{username: a, active: null, verified: null, policy: null, initial: null, unset: null}"),
        (
            "User",
            "{username: a, policy: {deletion: null, adoption: null, drift: null, protect: null, ensure: null, approval: null}}",
        ),
        (
            "User",
            "{username: a, initial: {factor: null, sendSetPasswordIdentityType: null}, registrations: [{application: {name: a, id: null}, verified: null}]}",
        ),
        (
            "FusionAuthInstance",
            "{url: 'https://a.example', owner: a, tenantId: null, interval: null, linkInterval: null, tls: null, guards: {maxDeletes: null, allowHardDelete: null, approval: null}}",
        ),
        ("Lambda", "{type: null, policy: {ensure: Absent}}"),
        (
            "FusionAuthInstance",
            "{url: 'HTTPS://a.example:9011/base', owner: a-1, interval: 1h30m, linkInterval: 90s, tenantId: 3c219e58-ed0e-4b18-ad48-f4f92793ae32}",
        ),
        ("Lambda", "{type: JWTPopulate, body: 'function populate() {}'}"),
        ("IdentityProviderLink", "{identityProvider: {name: G}, user: {name: a}, pendingLink: {id: abc}}"),
        ("User", "{policy: {ensure: Absent}, suspend: true}"),
        (
            "User",
            "{email: a@b.c, password: {secretKeyRef: {name: s, key: k}}, initial: {sendSetPasswordIdentityType: doNotSend}}",
        ),
        (
            "User",
            "{email: a@b.c, initial: {sendSetPasswordIdentityType: email, passwordChangeRequired: true}}",
        ),
        (
            "IdentityProviderLink",
            "{identityProvider: {name: G}, user: {name: a}, identityProviderUserId: x, policy: {ensure: Absent}}",
        ),
        (
            "IdentityProviderLink",
            "{identityProvider: {name: G}, user: {name: a}, pendingLink: {id: {secretKeyRef: {name: s, key: k}}}}",
        ),
    ];
    for (kind, spec) in accepted {
        let (success, said) = cluster
            .kubectl_with(&["apply", "--dry-run=server", "-f", "-"], &manifest(kind, "accepted", spec));
        assert!(success, "{kind} {spec}: {said}");
    }
}

/// Of each kind: what it needs, and a field that may not change with two values of it.
const IMMUTABLE: [(&str, &str, &str, &str, &str); 14] = [
    ("User", "username: a", "id", ID, OTHER_ID),
    ("User", "username: a", "instanceRef", "{name: one}", "{name: one, kind: ClusterFusionAuthInstance}"),
    ("EntityType", "name: a", "id", ID, OTHER_ID),
    ("EntityType", "name: a", "instanceRef", "{name: one}", "{name: two}"),
    ("Lambda", "type: JWTPopulate, body: x", "id", ID, OTHER_ID),
    ("Lambda", "policy: {ensure: Absent}", "type", "JWTPopulate", "GoogleReconcile"),
    ("Entity", "type: {name: t}", "id", ID, OTHER_ID),
    ("Entity", "type: {name: t}", "clientId", "one", "two"),
    (
        "Entity",
        "policy: {ensure: Absent}",
        "type",
        "{name: one}",
        "{id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32}",
    ),
    ("EntityGrant", "entity: {name: a}, user: {name: b}", "instanceRef", "{name: one}", "{name: two}"),
    (
        "IdentityProviderLink",
        "identityProvider: {name: a}, user: {name: b}, identityProviderUserId: c",
        "instanceRef",
        "{name: one}",
        "{name: two}",
    ),
    ("FusionAuthInstance", "url: 'https://a.example'", "owner", "one", "two"),
    ("FusionAuthInstance", "url: 'https://a.example', owner: a", "tenantId", ID, OTHER_ID),
    ("PlanApproval", "objectRef: {kind: User, name: a}", "planHash", "one", "two"),
];
const ID: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";
const OTHER_ID: &str = "4c219e58-ed0e-4b18-ad48-f4f92793ae32";

fn what_may_not_change_cannot_be_removed_and_added(cluster: &Cluster) {
    install(cluster);
    for (number, (kind, rest, field, one, other)) in IMMUTABLE.iter().enumerate() {
        let resource = format!("{}.{GROUP}", kind.to_lowercase());
        let name = format!("immutable{number}");
        let with = |value: &str| manifest(kind, &name, &format!("{{{rest}, {field}: {value}}}"));
        let without = manifest(kind, &name, &format!("{{{rest}}}"));
        let client = |manifest: &str| cluster.kubectl_with(&["apply", "-f", "-"], manifest);
        let server = |manifest: &str| {
            cluster.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], manifest)
        };
        let (success, said) = client(&with(one));
        assert!(success, "{kind}.{field}: {said}");
        let patch = |kind: &str, patch: &str| {
            let output = cluster.kubectl_output(&["patch", &resource, &name, "--type", kind, "-p", patch]);
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            (output.status.success(), said)
        };
        let tries = [
            client(&with(other)),
            client(&without),
            server(&with(other)),
            cluster.kubectl_with(&["replace", "-f", "-"], &without),
            patch("merge", &format!("{{\"spec\": {{\"{field}\": null}}}}")),
            patch("json", &format!("[{{\"op\": \"remove\", \"path\": \"/spec/{field}\"}}]")),
            // A whole spec at a time is no way round it either.
            patch("merge", "{\"spec\": null}"),
        ];
        for (success, said) in tries {
            let told = said.contains(&format!("{field} cannot change")) || said.contains("Required value");
            assert!(!success && told, "{kind}.{field}: {said}");
        }
        cluster.kubectl(&["delete", &resource, &name]);
        // Nor can it be added later, where it may be left out at first.
        let (success, _) = client(&without);
        if success {
            let (success, said) = client(&with(one));
            assert!(!success && said.contains(&format!("{field} cannot change")), "{kind}.{field}: {said}");
            cluster.kubectl(&["delete", &resource, &name]);
        }
    }
}

/// Columns, short names and the category; an object of the namespace's default instance names it too.
fn kubectl_shows_what_a_person_asks_for(cluster: &Cluster) {
    let (scene, _operator) = crate::scene::Scene::at_work(cluster, "columns");
    scene.apply("User", "richard", "{username: richard}");
    scene.wait_ready("user.fusionkeep.dev/richard");
    let line = |arguments: &[&str]| {
        let shown = scene.kubectl(arguments);
        let (head, row) = shown.split_once('\n').unwrap_or_default();
        let split = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        (split(head), split(row))
    };
    let (head, row) = line(&["get", "fauser"]);
    assert_eq!(head, ["NAME", "READY", "INSTANCE", "ID", "AGE"]);
    assert_eq!(row[..4], ["richard", "True", "default", &scene.id("user.fusionkeep.dev/richard")]);
    let (head, row) = line(&["get", "fauser", "-o", "wide"]);
    assert_eq!(head, ["NAME", "READY", "INSTANCE", "ID", "REASON", "MESSAGE", "AGE"]);
    assert!(row.contains(&"AsDeclared".to_owned()), "{row:?}");
    let (head, row) = line(&["get", "fainstance"]);
    assert_eq!(head, ["NAME", "READY", "URL", "OWNER", "AGE"]);
    assert_eq!(row[..4], ["default", "True", &scene.api.running.url(), &scene.namespace]);
    // The status is one manager's, by server-side apply, and nothing else is.
    let json = ["get", "fauser", "richard", "--show-managed-fields", "-o", "json"];
    let shown: Value = serde_json::from_str(&scene.kubectl(&json)).unwrap();
    let managers = shown["metadata"]["managedFields"].as_array().unwrap();
    let of_status: Vec<&Value> = managers.iter().filter(|of| !of["fieldsV1"]["f:status"].is_null()).collect();
    assert_eq!(of_status.len(), 1, "{managers:?}");
    let of_status = of_status[0];
    assert_eq!(
        (&of_status["manager"], &of_status["operation"], &of_status["subresource"]),
        (&"fusionkeep".into(), &"Apply".into(), &"status".into())
    );
    let all = scene.kubectl(&["get", "fusionkeep", "-o", "name"]);
    assert!(all.contains("user.fusionkeep.dev/richard") && all.contains("/default"), "{all}");
    for kind in Kind::ALL {
        let crd = format!("{}.{GROUP}", fusionkeep::model::row(kind).plural);
        let path = "jsonpath={.spec.names.shortNames[0]} {.spec.names.categories[0]}";
        let names = cluster.kubectl(&["get", "crd", &crd, "-o", path]);
        assert!(names.starts_with("fa") && names.ends_with(" fusionkeep"), "{kind}: {names}");
    }
}
