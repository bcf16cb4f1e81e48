//! The chart: linted, rendered, installed, upgraded and uninstalled by the real helm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Test;
use crate::assets;
use crate::cluster::Cluster;
use crate::scene::helm;

pub const TESTS: &[Test] = &[
    ("chart::it_is_linted_and_renders_as_committed", it_is_linted_and_renders_as_committed),
    ("chart::what_no_value_allows_is_refused", what_no_value_allows_is_refused),
    ("chart::the_readme_lists_every_value_with_its_default", the_readme_lists_every_value_with_its_default),
    ("chart::names_that_look_like_numbers_stay_names", names_that_look_like_numbers_stay_names),
    ("chart::the_pod_meets_the_restricted_standard", the_pod_meets_the_restricted_standard),
    (
        "chart::install_upgrade_and_uninstall_leave_the_objects",
        install_upgrade_and_uninstall_leave_the_objects,
    ),
];

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/fusionkeep");

fn render(arguments: &[&str]) -> String {
    let known = "fusionkeep.dev/v1alpha1/FusionAuthInstance";
    let fixed = ["template", "release", CHART, "--namespace", "tools", "--api-versions", known];
    helm(&[&fixed, arguments].concat())
}

/// The values files that tests render: name and path.
fn values_files() -> Vec<(String, PathBuf)> {
    let mut files: Vec<(String, PathBuf)> = std::fs::read_dir(Path::new(CHART).join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let file = path.file_name().unwrap().to_str().unwrap();
            (file.strip_suffix("-values.yaml").unwrap().to_owned(), path)
        })
        .collect();
    files.sort();
    files
}

fn is_definition(document: &Value) -> bool {
    document["kind"] == "CustomResourceDefinition"
}

fn documents(rendered: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(rendered).unwrap()
}

fn it_is_linted_and_renders_as_committed(_: &Cluster) {
    for (name, path) in values_files() {
        let path = path.to_str().unwrap();
        helm(&["lint", "--strict", CHART, "-f", path]);
        let rendered = render(&["-f", path]);
        // The definitions are generated and committed in a place of their own.
        let shown: Vec<&str> = rendered
            .split("---\n")
            .filter(|document| !document.contains("\nkind: CustomResourceDefinition\n"))
            .collect();
        insta::assert_snapshot!(format!("chart-{name}"), shown.join("---\n"));
        let definitions = documents(&rendered).into_iter().filter(is_definition).collect::<Vec<_>>();
        assert_eq!(definitions.len(), if name == "bare" { 0 } else { 9 }, "{name}");
        for definition in definitions {
            let kept = &definition["metadata"]["annotations"]["helm.sh/resource-policy"];
            assert_eq!(kept, "keep", "{}", definition["metadata"]["name"]);
        }
    }
}

fn what_no_value_allows_is_refused(_: &Cluster) {
    for wrong in [
        "replicas=3",
        "replicas=0",
        "replica=1",
        "image.tags=x",
        "image.pullPolicy=Sometimes",
        "scope.allNamespaces=false",
        "scope.namespaces={a}",
        "scope.allNamespace=false",
        "allowedUrls={auth.example.com}",
        "secrets.watched=true",
        "secrets.watch=yes",
        "log.level=loud",
        "metrics.port=80",
        "metrics.serviceMonitor.on=true",
        "metrics.serviceMonitor.enabled=true,metrics.service.enabled=false",
        "metrics.serviceMonitor.interval=often",
        "networkPolicy.egres={}",
        "podDisruptionBudget.enable=true",
        "terminationGracePeriodSeconds=0",
        "instances[0].name=x",
        "clusterInstances[0].namespace=x",
        "crds.keep=false",
    ] {
        let output = Command::new(assets::binary("helm"))
            .args(["template", "release", CHART, "--set", wrong])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{wrong} was taken");
        assert!(said.contains("values.schema.json") || said.contains("schema(s)"), "{wrong}: {said}");
    }
}

/// Each value by its path: scalars, lists and empty mappings as JSON.
fn flat(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            for (name, value) in fields {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flat(&path, value, into);
            }
        }
        None => into.push((prefix.to_owned(), value.to_string())),
    }
}

fn the_readme_lists_every_value_with_its_default(_: &Cluster) {
    let read = |name: &str| std::fs::read_to_string(Path::new(CHART).join(name)).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let mut expected = Vec::new();
    flat("", &values, &mut expected);
    expected.sort();
    let readme = read("README.md");
    let table = readme.split("\n## Values\n").nth(1).unwrap();
    let mut listed = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [value, default, meaning] = cells[..] else { panic!("three cells: {row}") };
        assert!(meaning.len() > 8, "a meaning: {row}");
        listed.push((value.trim_matches('`').to_owned(), default.trim_matches('`').to_owned()));
    }
    listed.sort();
    assert_eq!(listed, expected, "the table of the values and values.yaml");
    // Each of them is known to the schema, so that a value that is not is a slip.
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    for (path, _) in expected {
        let mut at = &schema;
        for name in path.split('.') {
            if at["properties"].is_null() {
                assert_eq!(at["type"], "object", "{path}: Kubernetes' own shape");
                break;
            }
            at = &at["properties"][name];
            assert!(at.is_object(), "{path} in values.schema.json");
        }
    }
}

/// Names and URLs go through YAML once more when they are rendered.
fn names_that_look_like_numbers_stay_names(_: &Cluster) {
    let rendered = documents(&render(&[
        "--set-json",
        "scope={\"allNamespaces\": false, \"namespaces\": [\"2024\", \"1e3\"]}",
        "--set-json",
        "allowedUrls=[\"https://a.example/x: y #z\"]",
        "--set-json",
        "instances=[{\"name\": \"007\", \"namespace\": \"2024\", \"spec\": {}}]",
    ]));
    let of =
        |kind: &str| -> Vec<&Value> { rendered.iter().filter(|document| document["kind"] == kind).collect() };
    let namespaces: Vec<&Value> = of("Role").iter().map(|role| &role["metadata"]["namespace"]).collect();
    assert!(namespaces.contains(&&json!("2024")) && namespaces.contains(&&json!("1e3")), "{namespaces:?}");
    let instance = &of("FusionAuthInstance")[0]["metadata"];
    assert_eq!((&instance["name"], &instance["namespace"]), (&json!("007"), &json!("2024")));
    let arguments = &of("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"];
    for expected in ["--allowed-urls=https://a.example/x: y #z", "--namespace=2024", "--namespace=1e3"] {
        assert!(arguments.as_array().unwrap().contains(&json!(expected)), "{expected}: {arguments}");
    }
}

/// The API server's own admission judges: a namespace that enforces the Pod Security Standard `restricted` takes the pod.
fn the_pod_meets_the_restricted_standard(cluster: &Cluster) {
    let namespace = format!("restricted-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]);
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let (success, said) = cluster.kubectl_with(&["apply", "-f", "-"], &object.to_string());
    assert!(success, "{said}");
    let rendered = documents(&render(&[]));
    let deployment = rendered.iter().find(|document| document["kind"] == "Deployment").unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "operator".into();
    let create = ["create", "--dry-run=server", "-n", &namespace, "-f", "-"];
    let (success, said) = cluster.kubectl_with(&create, &pod.to_string());
    assert!(success, "{said}");
    assert_eq!(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    // The judge does judge.
    pod["spec"]["securityContext"]["runAsNonRoot"] = false.into();
    let (success, said) = cluster.kubectl_with(&create, &pod.to_string());
    assert!(!success && said.contains("runAsNonRoot"), "{said}");
    // And all the rest of what is rendered is what the API server knows, ServiceMonitor aside.
    let (success, said) = cluster.kubectl_with(
        &["create", "--dry-run=server", "-n", "default", "-f", "-"],
        &render(&[
            "-n",
            "default",
            "--set",
            "crds.install=false,networkPolicy.enabled=true,podDisruptionBudget.enabled=true,replicas=2",
        ]),
    );
    assert!(success, "{said}");
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
    // A second release, of the same name, for the namespaces of another team.
    let second = ["install", "keep", CHART, "-n", "other-tools", "--create-namespace", "--set"];
    must(
        &[&second[..], &["crds.install=false,scope.allNamespaces=false,scope.namespaces={default}"]].concat(),
    );
    must(&["uninstall", "keep", "-n", "other-tools"]);
    must(&["upgrade", "keep", CHART, "-n", "tools", "--set", "replicas=2", "--set", instance]);
    let found = cluster.kubectl(&["get", "fusionauthinstance", "default", "-o", "jsonpath={.spec.url}"]);
    assert_eq!(found, "https://a.example");
    let user = "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {name: richard}\nspec: {email: r@x.com}\n";
    let (success, said) = cluster.kubectl_with(&["apply", "-f", "-"], user);
    assert!(success, "{said}");
    let definitions = || cluster.kubectl(&["get", "crds", "-o", "name"]).matches("fusionkeep.dev").count();
    assert_eq!(definitions(), 9);
    must(&["uninstall", "keep", "-n", "tools"]);
    assert_eq!(definitions(), 9, "the definitions stay");
    let gone =
        cluster.kubectl(&["get", "deployments,serviceaccounts,roles,services", "-n", "tools", "-o", "name"]);
    assert!(!gone.contains("fusionkeep"), "nothing else stays: {gone}");
    let left = cluster.kubectl(&["get", "users.fusionkeep.dev", "-o", "name"]);
    assert!(left.contains("richard"), "the definitions and their objects stay: {left}");
    must(&["install", "keep", CHART, "-n", "tools"]);
    let left = cluster.kubectl(&["get", "users.fusionkeep.dev", "-o", "name"]);
    assert!(left.contains("richard"), "the same release takes its definitions up again: {left}");
}
