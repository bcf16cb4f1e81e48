//! The schema files: made from the types, and agreeing with the reader.

use std::path::Path;

use fusionkeep::manifest::schema;

/// `FUSIONKEEP_BLESS=1 cargo test` writes the files anew.
#[test]
fn the_committed_files_are_the_generated_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, text) in schema::files() {
        let path = folder.join(&name);
        if std::env::var_os("FUSIONKEEP_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "schemas/{name} is not what the types say: FUSIONKEEP_BLESS=1 cargo test");
    }
}

#[test]
fn every_schema_is_a_schema() {
    for (name, text) in schema::files() {
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

mod agreement {
    use std::collections::HashMap;
    use std::sync::LazyLock;

    use fusionkeep::manifest::{Diagnostic, LoadError, LoadOptions, schema, yaml};
    use fusionkeep::model::Kind;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::manifest::documents::{BAD, GOOD, TOGETHER};
    use crate::manifest::{document, folder, load_folder};

    /// The schema of any document.
    static ALL: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        jsonschema::validator_for(&serde_json::from_str(&schema::files()["all.json"]).unwrap()).unwrap()
    });

    static VALIDATORS: LazyLock<HashMap<Kind, jsonschema::Validator>> = LazyLock::new(|| {
        Kind::ALL.map(|kind| (kind, jsonschema::validator_for(schema::of(kind)).unwrap())).into()
    });

    /// A good document as JSON.
    fn good(index: usize) -> (Kind, Value) {
        let (kind, spec) = GOOD[index];
        let text = document(kind, "x", spec);
        let mut value = Value::Null;
        yaml::read(yaml::Format::Yaml, &text, 0..text.len(), &mut |document| {
            value = document.tree.unwrap().root().to_json();
        });
        (kind.parse().unwrap(), value)
    }

    /// Paths of everything in a value, except within free data.
    fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(entries) if !at.ends_with("/data") => {
                entries.iter().for_each(|(key, value)| paths(value, &format!("{at}/{key}"), all));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| paths(value, &format!("{at}/{index}"), all));
            }
            _ => {}
        }
    }

    /// Changes one thing: another value, a field more, a field less.
    fn change(document: &mut Value, place: usize, what: usize) {
        let mut all = Vec::new();
        paths(document, "", &mut all);
        let path = &all[place % all.len()];
        let values = [
            Value::Null,
            json!(true),
            json!(5),
            json!(1.5),
            json!("zzz"),
            json!([]),
            json!({}),
            json!([5]),
            json!({"zzz": 1}),
            json!("Absent"),
            json!("3c219e58-ed0e-4b18-ad48-f4f92793ae32"),
            json!({"name": "x"}),
            json!([{"name": "x"}]),
            json!("20%"),
            json!({"fromEnv": "X"}),
            json!(-1),
        ];
        match what % (values.len() + 2) {
            0 => {
                if let Some(Value::Object(entries)) = document.pointer_mut(path) {
                    entries.insert("zzz".to_owned(), Value::Null);
                }
            }
            1 => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", ""));
                if let Some(Value::Object(entries)) = document.pointer_mut(parent) {
                    entries.remove(name);
                }
            }
            other => {
                if let Some(value) = document.pointer_mut(path) {
                    *value = values[other - 2].clone();
                }
            }
        }
    }

    /// What no schema of one document can tell: the reader's code, what its message says, and why.
    const BEYOND: &[(&str, &str, &str)] = &[
        ("unresolved-reference", "", "another document"),
        ("unreadable", "", "another file"),
        ("unset", "is both declared and unset", "two places of a document that name each other"),
        ("duplicate", "", "two items of a list with one key"),
        ("wrong-type", "is an integer, but this is a number", "60.0, which JSON Schema takes for an integer"),
        ("invalid-value", "an entity cannot hold a grant on itself", "two equal parts of a document"),
        ("invalid-value", "is no day", "the calendar"),
        ("invalid-value", "is no instant", "the calendar"),
        ("invalid-value", "is no known locale", "the list of languages and regions"),
        ("invalid-value", "is no known time zone", "the list of time zones"),
        ("invalid-value", "it is no URL", "ports, addresses and international names"),
    ];

    /// What is wrong with a document, for the reader; nothing when it is taken.
    fn read(document: &Value) -> Vec<Diagnostic> {
        let folder = folder(&[("m.json", &document.to_string())]);
        match load_folder(folder.path(), &LoadOptions { allow_empty: true, ..LoadOptions::default() }) {
            Ok(_) => Vec::new(),
            Err(LoadError::Invalid(diagnostics)) => {
                diagnostics.into_iter().filter(Diagnostic::is_error).collect()
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn is_beyond(diagnostic: &Diagnostic) -> bool {
        BEYOND
            .iter()
            .any(|(code, message, _)| diagnostic.code == *code && diagnostic.message.contains(message))
    }

    /// What the reader takes, the schema takes; what the reader refuses, the schema refuses if a schema can.
    fn disagreement(kind: Kind, document: &Value) -> Option<String> {
        let found = read(document);
        let refused =
            VALIDATORS[&kind].iter_errors(document).map(|error| error.to_string()).collect::<Vec<_>>();
        if found.is_empty() && !refused.is_empty() {
            return Some(format!("the reader takes what the schema refuses: {document:#}\n{refused:#?}"));
        }
        if ALL.is_valid(document) != refused.is_empty() {
            return Some(format!("all.json and the schema of {kind} differ: {document:#}"));
        }
        let told = found.iter().filter(|diagnostic| !is_beyond(diagnostic)).collect::<Vec<_>>();
        (refused.is_empty() && !told.is_empty())
            .then(|| format!("the schema takes what the reader refuses: {document:#}\n{told:#?}"))
    }

    /// As JSON, unless it is refused for what only YAML can write.
    fn as_json(kind: &str, spec: &str) -> Option<Value> {
        let text = document(kind, "x", spec);
        let mut value = None;
        yaml::read(yaml::Format::Yaml, &text, 0..text.len(), &mut |document| {
            if document.faults.is_empty() {
                value = document.tree.map(|tree| tree.root().to_json());
            }
        });
        value
    }

    #[test]
    fn schema_and_reader_agree_on_what_is_good_and_bad() {
        let bad = BAD.iter().map(|(kind, spec, ..)| (*kind, *spec));
        let together = TOGETHER.iter().map(|(kind, spec, _)| (*kind, *spec));
        let all: Vec<(&str, &str)> = GOOD.iter().copied().chain(bad).chain(together).collect();
        let documents =
            all.iter().filter_map(|(kind, spec)| Some((kind.parse().unwrap(), as_json(kind, spec)?)));
        let documents: Vec<(Kind, Value)> = documents.collect();
        assert!(documents.len() + 8 >= all.len(), "{} of {} can be JSON", documents.len(), all.len());
        let wrong: Vec<String> =
            documents.iter().filter_map(|(kind, document)| disagreement(*kind, document)).collect();
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
        // Each class is there for a reason.
        let found: Vec<Diagnostic> = documents.iter().flat_map(|(_, document)| read(document)).collect();
        for (code, message, why) in BEYOND {
            let is_needed = found.iter().any(|found| found.code == *code && found.message.contains(message));
            assert!(is_needed, "{code} {message} ({why})");
        }
    }

    /// (kind, whether it is good, specs): what needs or excludes what, and the forms of values.
    const SIDES: &[(&str, bool, &[&str])] = &[
        (
            "User",
            true,
            &[
                "email: a@b\nsuspend: true",
                "email: a@b\nunset: [data, data.a.b, firstName, registrations, phoneNumber]",
                "policy: { ensure: Absent }\nsuspend: true",
                "policy: { ensure: Absent }\nemail: ~",
                "policy: { ensure: Absent }\nid: 3c219e58-ed0e-4b18-ad48-f4f92793ae32\nfirstName: x",
                "policy: { ensure: Present }\nusername: x",
                "email: ~\nusername: ~\nphoneNumber: \"+49 30 123456\"",
                "email: a@b\npassword: { fromFile: x }\ninitial: { passwordChangeRequired: true }",
                "email: a@b\npassword: { fromFile: x }\ninitial: ~",
                "email: a@b\npassword: { fromFile: x }\ninitial: { sendSetPasswordIdentityType: doNotSend }",
                "email: a@b\npassword: { fromFile: x }\ninitial: { sendSetPasswordIdentityType: ~ }",
                "phoneNumber: \"+13035551212\"\ninitial: { sendSetPasswordIdentityType: phone }",
                "email: a@b\ninitial: { password: { fromFile: x }, encryptionScheme: bcrypt, factor: 0 }",
                "email: a@b\ninitial: { password: { password: { fromFile: x }, salt: { fromFile: s }, encryptionScheme: z } }",
                "email: a@b\ninitial: { password: { password: { fromFile: x }, salt: { fromFile: s } }, encryptionScheme: z }",
                "email: a@b\ninitial: { salt: { fromFile: s }, password: { fromFile: x, encryptionScheme: z, factor: 3 } }",
                "email: a@b\ninitial: { factor: ~, password: { fromFile: x, factor: 3 } }",
                "email: a@b\nverified: true\nregistrations: [{ application: { name: x }, verified: ~ }]",
                "email: a@b\npolicy: { ensure: Absent, protect: false }",
                "email: a@b\npolicy: { ensure: Present, protect: true, deletion: Deactivate }",
                "email: a@b\nexpiry: 2030-01-31T12:00:00.5+01:00",
                "email: a@b\nexpiry: \"2030-01-31 12:00Z\"",
                "email: a@b\npreferredLanguages: [de-DE, zh_Hant_TW, es_419]",
                "email: \"ü@例え.jp\"",
            ],
        ),
        (
            "User",
            false,
            &[
                "suspend: true",
                "email: a@b\nunset: [data..b]",
                "email: a@b\nunset: [active]",
                "email: a@b\nunset: [\"\"]",
                "firstName: x",
                "policy: { ensure: Present }",
                "policy: { ensure: ~ }",
                "policy: ~",
                "email: ~\nusername: ~\nphoneNumber: ~",
                "email: a@b\npassword: { fromFile: x }\ninitial: { password: { fromEnv: X } }",
                "policy: { ensure: Absent }\npassword: { fromFile: x }\ninitial: { password: { fromEnv: X } }",
                "email: a@b\npassword: { fromFile: x }\ninitial: { sendSetPasswordIdentityType: email }",
                "email: a@b\ninitial: { password: { fromFile: x }, sendSetPasswordIdentityType: phone }",
                "email: a@b\ninitial: { salt: { fromFile: s } }",
                "email: a@b\ninitial: { salt: { fromFile: s }, encryptionScheme: z }",
                "email: a@b\ninitial: { salt: { fromFile: s }, password: { fromFile: x } }",
                "email: a@b\ninitial: { salt: { fromFile: s }, password: { fromFile: x }, encryptionScheme: ~ }",
                "email: a@b\ninitial: { password: { password: { fromFile: x }, salt: { fromFile: s } } }",
                "email: a@b\ninitial: { salt: { fromFile: s }, password: { password: { fromFile: x }, salt: { fromFile: s }, encryptionScheme: z } }",
                "email: a@b\ninitial: { encryptionScheme: z, password: { fromFile: x, encryptionScheme: z } }",
                "email: a@b\ninitial: { factor: 1, password: { fromFile: x, factor: 1 } }",
                "email: a@b\ninitial: { password: { fromFile: x }, factor: -1 }",
                "email: a@b\ninitial: { password: { fromFile: x, encryptionScheme: \" \" } }",
                "email: a@b\ninitial: { legacyIdentifier: \"\" }",
                "email: a@b\npassword: { fromEnv: \"\" }",
                "email: a@b\npassword: { secretKeyRef: { name: a, key: \"\" } }",
                "email: a@b\nverified: false",
                "email: a@b\npolicy: { ensure: Absent, protect: true }",
                "email: a@b\nregistrations: [{ application: { name: \" \" } }]",
                "email: a@b\nregistrations: [{ application: { name: x }, roles: [\"\"] }]",
                "email: a@b\nbirthDate: 2000-13-01",
                "email: a@b\nphoneNumber: \"+1234567890123456\"",
                "email: a@b\ninstanceRef: { name: Prod }",
                "email: a@b\nexpiry: 2030-01-31T12:00",
            ],
        ),
        (
            "IdentityProviderLink",
            true,
            &[
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: \"1\"\npendingLink: ~",
                "identityProvider: { name: x }\nuser: { username: z }\npendingLink: { id: z }",
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: \"1\"\npendingLink: { id: z }",
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: \"1\"\npolicy: { ensure: Absent }",
                "identityProvider: { name: x }\nuser: { username: z }\npendingLink: { id: z }\npolicy: { ensure: Absent }",
            ],
        ),
        (
            "IdentityProviderLink",
            false,
            &[
                "identityProvider: { name: x }\nuser: { username: z }",
                "identityProvider: { name: x }\nuser: { username: z }\npendingLink: ~",
                "identityProvider: { name: x }\nuser: { username: z }\npendingLink: {}",
                "identityProvider: { name: x }\nuser: { username: z }\npolicy: { ensure: Absent }",
                "identityProvider: { name: x }\nuser: { username: z }\nsuspend: true",
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: a\nunset: [\"\"]",
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: \" \"",
                "identityProvider: { name: x }\nuser: { username: z }\npendingLink: { id: \"\" }",
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: a\ninitial: { displayName: \"\" }",
                "identityProvider: { name: x }\nuser: { username: z }\nidentityProviderUserId: a\npolicy: { deletion: Deactivate }",
            ],
        ),
        (
            "EntityType",
            true,
            &["suspend: true", "policy: { deletion: Orphan }", "permissions: [{ name: a b }]"],
        ),
        (
            "EntityType",
            false,
            &[
                "permissions: [{ name: \"\" }]",
                "policy: { deletion: Deactivate }",
                "jwtConfiguration: { timeToLiveInSeconds: -5 }",
                "jwtConfiguration: { timeToLiveInSeconds: 1.5 }",
            ],
        ),
        ("Lambda", true, &["policy: { ensure: Absent }\nsuspend: true\nname: x"]),
        (
            "Lambda",
            false,
            &["suspend: true", "type: JWTPopulate\nbodyFile: \"\"", "type: JWTPopulate\nbody: \"\\n\""],
        ),
        ("Entity", true, &["policy: { ensure: Absent }\nsuspend: true\nclientId: x"]),
        ("Entity", false, &["suspend: true", "policy: { ensure: Absent }\nclientId: \"\""]),
        (
            "EntityGrant",
            true,
            &["entity: { clientId: x }\nuser: { phoneNumber: \"+4930123456\" }\npolicy: { ensure: Absent }"],
        ),
        (
            "EntityGrant",
            false,
            &[
                "policy: { ensure: Absent }",
                "entity: { clientId: \"\" }\nuser: { email: a@b }",
                "entity: { clientId: x }\nuser: { email: a }",
                "entity: { clientId: x }\nuser: { phoneNumber: x }",
                "entity: { clientId: x }\nuser: { email: a@b }\npermissions: [\"\"]",
            ],
        ),
        (
            "FusionAuthInstance",
            true,
            &[
                "url: HTTPS://a:9011/x@y\nowner: a-1\ninterval: 0h1m",
                "url: http://[::1]:9011\nowner: \"1\"",
                "url: https://a\nowner: a\nguards: { maxDeletes: \"100%\" }",
            ],
        ),
        (
            "FusionAuthInstance",
            false,
            &[
                "url: https://a\nowner: a\ninterval: 0s",
                "url: https://a\nowner: a\ninterval: \"\"",
                "url: \"https://a b\"\nowner: a",
                "url: https://a@b\nowner: a",
                "url: https://a\nowner: a_b",
                "url: https://a\nowner: a\napiKey: { fromEnv: \" \" }",
                "url: https://a\nowner: a\nguards: { maxDeletes: \"101%\" }",
            ],
        ),
        (
            "ClusterFusionAuthInstance",
            false,
            &[
                "url: https://a\nowner: a\nallow: [{ namespaces: { names: [A] } }]",
                "url: https://a\nowner: a\nallow: [{ namespaces: { names: [a] }, kinds: [PlanApproval] }]",
                "url: https://a\nowner: a\nallow: [{ namespaces: {} }]",
            ],
        ),
    ];

    #[test]
    fn schema_and_reader_agree_on_each_side() {
        let mut wrong = Vec::new();
        for (kind, good, specs) in SIDES {
            for spec in *specs {
                let document = as_json(kind, spec).unwrap_or_else(|| panic!("{spec}"));
                let kind = kind.parse().unwrap();
                let (reader, schema) = (read(&document).is_empty(), VALIDATORS[&kind].is_valid(&document));
                if (reader, schema) != (*good, *good) {
                    wrong.push(format!(
                        "{kind} is good: {good}, reader: {reader}, schema: {schema}\n{spec}\n"
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    }

    /// What stands in a file beside our objects, and what only looks like it.
    #[test]
    fn schema_and_reader_agree_on_what_is_others() {
        let (ours, user) =
            ("fusionkeep.dev/v1alpha1", json!({"metadata": {"name": "x"}, "spec": {"username": "x"}}));
        let sides = [
            (true, "v1", "Secret", json!({"metadata": {"name": "s"}, "data": {"a": "!"}})),
            (true, "v1", "ConfigMap", json!({"metadata": {"name": "s"}})),
            (true, "apps/v1", "Deployment", json!({"spec": {"replicas": 1}})),
            (true, "other.dev/v1", "User", json!({})),
            (true, "v1", "List", json!({"items": [{"apiVersion": "v1", "kind": "Service"}]})),
            (true, ours, "UserList", json!({"items": [user]})),
            (true, "", "", json!({"resources": ["a.yaml"]})),
            (true, "", "", json!({"metadata": {}, "spec": []})),
            (true, "", "Service", json!({"metadata": {}, "spec": {}})),
            (false, "", "", user.clone()),
            (false, "", "User", json!({})),
            (false, ours, "", user.clone()),
            (false, ours, "UserList", json!({"items": "x"})),
            (false, ours, "Usr", user.clone()),
            (false, ours, "user", user.clone()),
            (false, "fusionkeep.dev/v1", "User", user.clone()),
            (false, "fusionkeep.io/v1alpha1", "User", user.clone()),
            (false, "FusionKeep.dev/v1alpha1", "User", user.clone()),
            (false, "v1", "User", user.clone()),
            (false, "v1", "UserList", json!({"items": []})),
        ];
        for (good, version, kind, mut document) in sides {
            for (field, text) in [("apiVersion", version), ("kind", kind)] {
                if !text.is_empty() {
                    document[field] = json!(text);
                }
            }
            let verdicts = (read(&document).is_empty(), ALL.is_valid(&document));
            assert_eq!(verdicts, (good, good), "(reader, schema) of {document:#}");
        }
    }

    /// Documents of a text, with their kinds.
    fn documents(text: &str) -> Vec<(String, Value)> {
        let mut documents = Vec::new();
        yaml::read(yaml::Format::Yaml, text, 0..text.len(), &mut |document| {
            let value = document.tree.unwrap().root().to_json();
            documents.push((value["kind"].as_str().unwrap().to_owned(), value));
        });
        documents
    }

    /// Each fits the schema that its file names for editors, and so does what the README shows.
    #[test]
    fn every_example_fits_the_schema_that_it_names() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut kinds = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(root.join("examples/quickstart")).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let named =
                text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
            let schema = std::fs::read_to_string(path.parent().unwrap().join(named)).unwrap();
            let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
            for (kind, document) in documents(&text) {
                for validator in [&validator, &ALL] {
                    let errors: Vec<_> =
                        validator.iter_errors(&document).map(|error| error.to_string()).collect();
                    assert!(errors.is_empty(), "{}: {errors:#?}\n{document:#}", path.display());
                }
                kinds.insert(kind);
            }
        }
        let all = ["Entity", "EntityGrant", "EntityType", "IdentityProviderLink", "Lambda", "Secret", "User"];
        assert_eq!(kinds.iter().collect::<Vec<_>>(), all);
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        let yaml = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let cluster = readme.split("<<END\n").skip(1).map(|rest| rest.split("\nEND\n").next().unwrap());
        let shown: Vec<_> = yaml.chain(cluster).flat_map(documents).collect();
        assert!(shown.len() >= 3, "{shown:#?}");
        for (_, document) in shown {
            assert!(ALL.is_valid(&document), "{document:#}");
            assert!(read(&document).is_empty(), "{document:#}");
        }
    }

    /// (kind, good, `metadata`).
    const HEADS: &[(&str, bool, &str)] = &[
        (
            "User",
            true,
            r#"{"name": "a-1.b", "namespace": "team-a", "labels": {"app.io/part-of": "A_b.c", "x": null}}"#,
        ),
        (
            "User",
            true,
            r#"{"name": "x", "annotations": {"fusionkeep.dev/moved-from": "y", "other.io/x": "any text"}}"#,
        ),
        ("ClusterFusionAuthInstance", true, r#"{"name": "x", "namespace": null}"#),
        ("User", false, r#"{"name": "A"}"#),
        ("User", false, r#"{"name": "a_b"}"#),
        ("User", false, r#"{"name": "a..b"}"#),
        ("User", false, r#"{"name": ""}"#),
        ("User", false, r#"{"name": "x", "namespace": "a.b"}"#),
        ("User", false, r#"{"name": "x", "labels": {"a b": "c"}}"#),
        ("User", false, r#"{"name": "x", "labels": {"a": "b c"}}"#),
        ("User", false, r#"{"name": "x", "annotations": {"fusionkeep.dev/move-from": "y"}}"#),
        ("User", false, r#"{"name": "x", "annotations": {"/x": "y"}}"#),
        ("ClusterFusionAuthInstance", false, r#"{"name": "x", "namespace": "default"}"#),
    ];

    #[test]
    fn schema_and_reader_agree_on_metadata() {
        for (kind, good, metadata) in HEADS {
            let spec = if *kind == "User" { "email: a@b" } else { "url: https://a\nowner: a" };
            let mut document = as_json(kind, spec).unwrap();
            document["metadata"] = serde_json::from_str(metadata).unwrap();
            let kind = kind.parse().unwrap();
            let verdicts = (read(&document).is_empty(), VALIDATORS[&kind].is_valid(&document));
            assert_eq!(verdicts, (*good, *good), "(reader, schema) of {document:#}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn schema_and_reader_agree(
            index in 0..GOOD.len(),
            changes in proptest::collection::vec((0usize..200, 0usize..18), 0..3),
        ) {
            let (kind, mut document) = good(index);
            for (place, what) in changes {
                change(&mut document, place, what);
            }
            // What is not said to be this kind is judged by another schema, or by none.
            prop_assume!(document["kind"] == kind.as_str() && document["apiVersion"] == "fusionkeep.dev/v1alpha1");
            let disagreement = disagreement(kind, &document);
            prop_assert!(disagreement.is_none(), "{}", disagreement.unwrap_or_default());
        }
    }
}
