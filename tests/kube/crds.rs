//! The custom resource definitions on the real API server: they establish, refuse and explain.

use std::time::Duration;

use fusionkeep::model::{GROUP, Kind, row};
use fusionkeep::operator::definitions_as_yaml;

use crate::Test;
use crate::cluster::Cluster;

pub const TESTS: &[Test] = &[
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
    let explained = cluster.kubectl(&["explain", "users.fusionkeep.dev.spec.registrations"]);
    assert!(explained.contains("Applications the user is registered for"), "{explained}");
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
        ("User", "{email: a@b.c, password: {fromEnv: FUSIONKEEP_SECRET_X}}", "use secretKeyRef"),
        (
            "User",
            "{email: a@b.c, registrations: [{application: {name: a, id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32}}]}",
            "exactly one of name, id",
        ),
        ("Lambda", "{type: JWTPopulate, bodyFile: x.js}", "body or bodyFrom"),
        ("Lambda", "{type: JWTPopulate}", "exactly one of body"),
        ("Lambda", "{type: Nothing, body: x}", "Unsupported value"),
        ("EntityGrant", "{entity: {name: a}}", "exactly one of user, recipientEntity"),
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
        ("Lambda", "{type: JWTPopulate, body: 'function populate() {}'}"),
        ("IdentityProviderLink", "{identityProvider: {name: G}, user: {name: a}, pendingLink: {id: abc}}"),
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

fn what_may_not_change_cannot_be_removed_and_added(cluster: &Cluster) {
    install(cluster);
    let apply =
        |spec: &str| cluster.kubectl_with(&["apply", "-f", "-"], &manifest("Entity", "immutable", spec));
    let (success, said) = apply("{type: {name: company}, clientId: one}");
    assert!(success, "{said}");
    for changed in [
        "{type: {name: company}, clientId: two}",
        "{type: {name: company}}",
        "{type: {name: other}, clientId: one}",
    ] {
        let (success, said) = apply(changed);
        assert!(!success && said.contains("cannot change"), "{changed}: {said}");
    }
    cluster.kubectl(&["delete", "entities.fusionkeep.dev", "immutable"]);
}
