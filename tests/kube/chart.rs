//! The chart: linted, rendered, installed, upgraded and uninstalled by the real helm.

use std::process::{Command, Stdio};

use crate::Test;
use crate::assets;
use crate::cluster::Cluster;
use crate::scene::helm;

pub const TESTS: &[Test] = &[
    ("chart::it_is_linted_and_renders_what_values_ask_for", it_is_linted_and_renders_what_values_ask_for),
    (
        "chart::install_upgrade_and_uninstall_leave_the_objects",
        install_upgrade_and_uninstall_leave_the_objects,
    ),
];

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/fusionkeep");

fn render(values: &str) -> String {
    helm(&[
        "template",
        "release",
        CHART,
        "--namespace",
        "tools",
        "--set",
        values,
        "--api-versions",
        "fusionkeep.dev/v1alpha1/FusionAuthInstance",
    ])
}

fn it_is_linted_and_renders_what_values_ask_for(_: &Cluster) {
    helm(&["lint", "--strict", CHART]);
    helm(&["lint", "--strict", CHART, "--set", "scope.allNamespaces=false,scope.namespaces={a,b}"]);
    let plain = render("replicas=1");
    assert_eq!(plain.matches("kind: CustomResourceDefinition").count(), 9);
    assert_eq!(plain.matches("helm.sh/resource-policy: keep").count(), 9);
    for hardened in [
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "RuntimeDefault",
        "drop: [ALL]",
        "--leader-elect",
    ] {
        assert!(plain.contains(hardened), "{hardened} in\n{plain}");
    }
    assert!(!plain.contains("\"*\"") && !plain.contains("- '*'"), "no wildcard in the rules");
    let cases = [
        ("crds.install=false", "kind: CustomResourceDefinition", false),
        ("metrics.serviceMonitor.enabled=true", "kind: ServiceMonitor", true),
        ("podDisruptionBudget.enabled=true", "kind: PodDisruptionBudget", true),
        ("networkPolicy.enabled=true", "kind: NetworkPolicy", true),
        ("rbac.create=false", "kind: ClusterRole", false),
        ("serviceAccount.create=false", "kind: ServiceAccount\nmetadata", false),
        ("secrets.watch=true", "--watch-secrets", true),
        ("secrets.requireLabel=false", "--secrets-without-label", true),
        ("allowedUrls={https://auth.example.com}", "--allowed-urls=https://auth.example.com", true),
        (
            "instances[0].name=default,instances[0].namespace=team,instances[0].spec.url=https://a,instances[0].spec.owner=o",
            "kind: FusionAuthInstance\nmetadata:\n  name: default\n  namespace: team",
            true,
        ),
    ];
    for (values, text, there) in cases {
        assert_eq!(render(values).contains(text), there, "{values}: {text}");
    }
    let scoped = render("scope.allNamespaces=false,scope.namespaces={a,b}");
    assert_eq!(scoped.matches("kind: RoleBinding").count(), 3, "one a namespace, and its own");
    let wrong = Command::new(assets::binary("helm"))
        .args(["template", "release", CHART, "--set", "replicas=3"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!wrong.status.success(), "the schema of the values refuses three replicas");
}

fn install_upgrade_and_uninstall_leave_the_objects(_: &Cluster) {
    // A cluster of its own: definitions that another test installed are not this release's.
    let cluster = Cluster::start();
    let kubeconfig = cluster.kubeconfig();
    let run = |arguments: &[&str]| {
        let output = Command::new(assets::binary("helm"))
            .args(arguments)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let must = |arguments: &[&str]| {
        let (success, said) = run(arguments);
        assert!(success, "helm {arguments:?}: {said}");
        said
    };
    let instance = "instances[0].name=default,instances[0].namespace=default,instances[0].spec.url=https://a.example,\
                    instances[0].spec.owner=me";
    let (success, said) =
        run(&["install", "keep", CHART, "-n", "tools", "--create-namespace", "--set", instance]);
    assert!(!success && said.contains("then upgrade with them"), "{said}");
    let notes = must(&["install", "keep", CHART, "-n", "tools", "--create-namespace"]);
    assert!(notes.contains("The next step is an instance"), "{notes}");
    must(&["upgrade", "keep", CHART, "-n", "tools", "--set", "replicas=2", "--set", instance]);
    let found = cluster.kubectl(&["get", "fusionauthinstance", "default", "-o", "jsonpath={.spec.url}"]);
    assert_eq!(found, "https://a.example");
    let user = "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {name: richard}\nspec: {email: r@x.com}\n";
    let (success, said) = cluster.kubectl_with(&["apply", "-f", "-"], user);
    assert!(success, "{said}");
    must(&["uninstall", "keep", "-n", "tools"]);
    let left = cluster.kubectl(&["get", "users.fusionkeep.dev", "-o", "name"]);
    assert!(left.contains("richard"), "the definitions and their objects stay: {left}");
}
