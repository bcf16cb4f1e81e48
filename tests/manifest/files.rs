//! Which files are read, what else stands in them, and what becomes of others' documents.

use std::path::PathBuf;

use fusionkeep::manifest::{LoadError, LoadOptions, load};

use super::{codes, diagnostics, document, folder, load_folder, load_text};

fn user(name: &str) -> String {
    document("User", name, &format!("email: {name}@example.com"))
}

fn names(folder: &tempfile::TempDir, recursive: bool) -> Vec<String> {
    let input = load_folder(folder.path(), &LoadOptions { recursive, ..LoadOptions::default() }).unwrap();
    input.objects.iter().map(|object| object.address.name.to_string()).collect()
}

#[test]
fn folders_are_read_by_name_and_deeply_on_request() {
    let json = "{\"apiVersion\": \"fusionkeep.dev/v1alpha1\", \"kind\": \"User\", \"metadata\": {\"name\": \"json\"}, \"spec\": {\"username\": \"json\"}}";
    let folder = folder(&[
        ("b.yml", &user("b")),
        ("a.yaml", &user("a")),
        ("c.json", json),
        ("d.txt", "not: [yaml"),
        (".hidden.yaml", &user("hidden")),
        ("deep/e.yaml", &user("e")),
    ]);
    assert_eq!(names(&folder, false), ["a", "b", "json"]);
    assert_eq!(names(&folder, true), ["a", "b", "json", "e"]);
    let twice = [folder.path().join("a.yaml"), folder.path().to_owned(), folder.path().join("a.yaml")];
    let input = load(&twice, &LoadOptions::default()).unwrap();
    assert_eq!(input.objects.len(), 3, "a file that is named twice is read once");
    // A file of any name may be given.
    assert!(load(&[folder.path().join("d.txt")], &LoadOptions::default()).is_err());
}

#[cfg(unix)]
#[test]
fn links_stay_in_the_folder() {
    use std::os::unix::fs::symlink;
    let outside = folder(&[("x.yaml", &user("x")), ("secret", "aws_key: [hunter2")]);
    let folder = folder(&[("a.yaml", &user("a")), ("..data/b.yaml", &user("b"))]);
    // As a ConfigMap is mounted.
    symlink("..data/b.yaml", folder.path().join("b.yaml")).unwrap();
    symlink(".", folder.path().join("loop")).unwrap();
    assert_eq!(names(&folder, true), ["a", "b"]);
    symlink(outside.path().join("secret"), folder.path().join("stolen.yaml")).unwrap();
    symlink(folder.path().join("nowhere"), folder.path().join("dangling.yaml")).unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    let Err(LoadError::Invalid(diagnostics)) =
        load_folder(folder.path(), &LoadOptions { recursive: true, ..LoadOptions::default() })
    else {
        panic!("links out of the folder are refused")
    };
    let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["unreadable", "outside", "outside"]);
    assert!(!format!("{diagnostics:?}").contains("hunter2"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_file() {
    let folder = folder(&[("a.yaml", &user("a"))]);
    std::fs::write(folder.path().join("latin.yaml"), b"a: b\nname: caf\xe9\n").unwrap();
    std::fs::write(folder.path().join("utf16.yaml"), b"\xff\xfea\0:\0").unwrap();
    let large = std::fs::File::create(folder.path().join("large.yaml")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let paths = [folder.path().to_owned(), PathBuf::from("/nowhere/at/all.yaml")];
    let Err(LoadError::Invalid(diagnostics)) = load(&paths, &LoadOptions::default()) else {
        panic!("refused")
    };
    let shown: Vec<(&str, u32, u32)> = diagnostics
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.place.as_ref().unwrap();
            (diagnostic.code, place.line, place.column)
        })
        .collect();
    assert_eq!(
        shown,
        [("unreadable", 1, 1), ("too-large", 1, 1), ("encoding", 2, 10), ("encoding", 1, 1)].map(|x| x)
    );
}

#[test]
fn nothing_of_ours_is_refused_unless_allowed() {
    let allow = LoadOptions { allow_empty: true, ..LoadOptions::default() };
    for text in [
        "",
        "# nothing\n",
        "---\n---\n",
        "apiVersion: v1\nkind: Service\nmetadata: { name: x }\n",
        "a: b\n",
        "~\n",
        "--- null\n",
    ] {
        let folder = folder(&[("m.yaml", text)]);
        let refused = load_folder(folder.path(), &LoadOptions::default());
        assert!(matches!(refused, Err(LoadError::Empty { .. })), "{text:?}: {refused:?}");
        assert!(load_folder(folder.path(), &allow).is_ok(), "{text:?}");
    }
    let folder = folder(&[("readme.md", "x")]);
    assert!(matches!(load_folder(folder.path(), &LoadOptions::default()), Err(LoadError::Empty { .. })));
    assert!(matches!(load(&[], &LoadOptions::default()), Err(LoadError::Empty { .. })));
}

#[test]
fn others_documents_are_passed_over_and_counted() {
    let text = format!(
        "{}---\napiVersion: apps/v1\nkind: Deployment\nspec: {{ a: !custom 1, b: no, c: 1, c: 2, 5: x, ? [k] : v }}\n---\nkind: User\napiVersion: other.dev/v1\n---\nvalues: yes\n---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: unused }}\ndata: {{ x: '!!' }}\n",
        user("a")
    );
    let input = load_text(&text).unwrap_or_else(|_| panic!("{:#?}", diagnostics(&text)));
    assert_eq!((input.objects.len(), input.passed_over), (1, 4));
    // Syntax, depth and expansion count in them as well.
    for (bad, code) in [
        ("a: [", "syntax"),
        (&format!("a: {}", "[".repeat(70)), "too-deep"),
        ("a: *nothing", "alias"),
        ("a: &x [*x]", "alias"),
    ] {
        let text = format!("{}---\napiVersion: apps/v1\nkind: Deployment\n{bad}\n", user("a"));
        assert_eq!(codes(&text), [(code, 9)], "{bad}");
    }
}

#[test]
fn near_misses_of_our_group_are_errors() {
    for (head, code) in [
        ("apiVersion: fusionkeep.io/v1alpha1\nkind: User", "api-version"),
        ("apiVersion: Fusionkeep.dev/v1alpha1\nkind: User", "api-version"),
        ("apiVersion: fusionkeep.dev/v1\nkind: User", "api-version"),
        ("apiVersion: fusionkeep.dev\nkind: User", "api-version"),
        ("apiVersion: fusonkeep.dev/v1alpha1\nkind: User", "api-version"),
        ("apiVersion: fusion-keep.dev/v1alpha1\nkind: Group", "api-version"),
        ("apiVersion: v1\nkind: User", "api-version"),
        ("apiVersion: v1\nkind: IdentityProviderLink", "api-version"),
        ("apiVersion: v1\nkind: user", "api-version"),
        ("apiVersion: v1\nkind: UserList", "api-version"),
        ("# neither", "missing-field"),
        ("apiVersion: fusionkeep.dev/v1alpha1\nkind:", "missing-field"),
        ("kind: User", "missing-field"),
        ("apiVersion: ~\nkind: Entity", "missing-field"),
        ("apiVersion: fusionkeep.dev/v1alpha1", "missing-field"),
        ("apiVersion: fusionkeep.dev/v1alpha1\nkind: Usr", "unknown-kind"),
        ("apiVersion: fusionkeep.dev/v1alpha1\nkind: user", "unknown-kind"),
        ("apiVersion: fusionkeep.dev/v1alpha1\nkind: Group", "unknown-kind"),
        ("apiversion: fusionkeep.dev/v1alpha1\nkind: User", "missing-field"),
        ("apiversion: fusionkeep.dev/v1alpha1\nKind: User", "unknown-field"),
        ("apiVersion: fusionkeep.dev/v1alpha1\nkind: 5", "wrong-type"),
        ("apiVersion: fusionkeep.dev/v1alpha1\nkind: [User]", "wrong-type"),
        ("apiVersion: 1\nkind: User", "wrong-type"),
        ("apiVersion: [v1]\nkind: Lambda", "wrong-type"),
    ] {
        let text = format!("{head}\nmetadata: {{ name: x }}\nspec: {{ email: a@b }}\n");
        let found = codes(&text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].0, code, "{text}");
    }
    // What has another shape is others', whatever it is.
    let others =
        "metadata: { name: x }\nusers: []\n---\nspec: {}\n---\nkind: Users\nmetadata: {}\nspec: {}\n---\n";
    assert_eq!(load_text(&format!("{others}{}", user("a"))).unwrap().passed_over, 3);
    assert_eq!(
        codes("apiVersion: fusionkeep.dev/v1alpha1\nkind:\nmetadata: { name: x }\n"),
        [("missing-field", 2)]
    );
    let hint = |text: &str| diagnostics(text).remove(0).hint.unwrap();
    assert_eq!(hint("apiVersion: fusionkeep.dev/v1alpha1\nkind: Usr"), "did you mean User?");
}

#[test]
fn lists_are_read_item_by_item() {
    let item = |name: &str| {
        format!(
            "- apiVersion: fusionkeep.dev/v1alpha1\n  kind: User\n  metadata: {{ name: {name} }}\n  spec: {{ username: {name} }}\n"
        )
    };
    let list = format!(
        "apiVersion: v1\nkind: List\nmetadata: {{ resourceVersion: '' }}\nitems:\n{}{}- apiVersion: v1\n  kind: Service\n",
        item("a"),
        item("b")
    );
    let input = load_text(&list).unwrap_or_else(|_| panic!("{:#?}", diagnostics(&list)));
    assert_eq!((input.objects.len(), input.passed_over), (2, 1));
    assert_eq!(input.objects[1].place.line, 10);
    let own = "apiVersion: fusionkeep.dev/v1alpha1\nkind: UserList\nitems:\n- metadata: { name: a }\n  spec: { username: a }\n";
    assert_eq!(load_text(own).unwrap().objects.len(), 1);
    for (items, expected) in
        [("items: x", "wrong-type"), ("items: [x]", "not-a-mapping"), ("items: [[]]", "not-a-mapping")]
    {
        let text = format!("apiVersion: v1\nkind: List\n{items}\n---\n{}", user("a"));
        assert_eq!(codes(&text), [(expected, 3)], "{items}");
    }
    assert_eq!(codes("- a\n- b\n"), [("not-a-mapping", 1)]);
    assert_eq!(codes("just text\n"), [("not-a-mapping", 1)]);
    assert_eq!(codes("5\n"), [("not-a-mapping", 1)]);
}

#[test]
fn metadata_is_kubernetes() {
    let with = |metadata: &str| {
        format!(
            "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {metadata}\nspec: {{ email: a@b }}\nstatus: {{ anything: [1] }}\n"
        )
    };
    for good in [
        "{ name: a }",
        "{ name: a.b-c, namespace: team-a, labels: ~, annotations: ~ }",
        "{ name: a, namespace: ~, labels: { app.kubernetes.io/name: x, empty: '', none: } }",
        "{ name: a, uid: x, resourceVersion: '1', generation: 1, creationTimestamp: 2024-01-01T00:00:00Z, managedFields: [], selfLink: x, finalizers: [a], ownerReferences: [] }",
        "{ name: a, annotations: { fusionkeep.dev/moved-from: b } }",
        "{ name: a, annotations: { fusionkeep.dev/moved-from: team-a/b } }",
        "{ name: a, annotations: { fusionkeep.dev/allow-deletes: '3', fusionkeep.dev/reconcile: now, fusionkeep.dev/take-over: 'true', kubectl.kubernetes.io/last-applied-configuration: '{}' } }",
    ] {
        let text = with(good);
        assert!(load_text(&text).is_ok(), "{text}{:#?}", diagnostics(&text));
    }
    for (bad, code) in [
        ("{ name: A }", "name"),
        ("{ name: a_b }", "name"),
        ("{ name: '' }", "name"),
        ("{ name: 5 }", "unquoted"),
        ("{ name: ~ }", "null"),
        ("{ generateName: a- }", "unknown-field"),
        ("{ nmae: a, name: a }", "unknown-field"),
        ("~", "null"),
        ("[]", "wrong-type"),
        ("{ name: a, namespace: A }", "name"),
        ("{ name: a, namespace: a.b }", "name"),
        ("{ name: a, labels: { a: 1 } }", "unquoted"),
        ("{ name: a, labels: { a: true } }", "unquoted"),
        ("{ name: a, labels: { a: 'b c' } }", "name"),
        ("{ name: a, labels: { 'a b': c } }", "name"),
        ("{ name: a, labels: [a] }", "wrong-type"),
        ("{ name: a, annotations: { fusionkeep.dev/moved-form: b } }", "unknown-annotation"),
        ("{ name: a, annotations: { fusionkeep.io/moved-from: b } }", "unknown-annotation"),
        ("{ name: a, annotations: { fusionkeep.dev/moved-from: a } }", "moved-from"),
        ("{ name: a, annotations: { fusionkeep.dev/moved-from: B } }", "moved-from"),
        ("{ name: a, annotations: { fusionkeep.dev/moved-from: a/b/c } }", "moved-from"),
    ] {
        let text = with(bad);
        let found: Vec<&str> =
            codes(&text).into_iter().map(|(code, _)| code).filter(|code| *code != "missing-field").collect();
        assert_eq!(found, [code], "{text}");
    }
    let moved =
        load_text(&with("{ name: a, annotations: { fusionkeep.dev/moved-from: team-a/b } }")).unwrap();
    assert_eq!(moved.objects[0].moved_from.as_ref().unwrap().to_string(), "User/team-a/b");
    let cluster = "apiVersion: fusionkeep.dev/v1alpha1\nkind: ClusterFusionAuthInstance\nmetadata: { name: a, namespace: b }\nspec: { url: https://a, owner: a }\n";
    assert_eq!(codes(cluster), [("name", 3)]);
    assert_eq!(
        codes("apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: a }\n"),
        [("missing-field", 1)]
    );
    assert_eq!(codes(&format!("{}extra: 1\n", with("{ name: a }"))), [("unknown-field", 6)]);
}

#[test]
fn the_operators_own_fields_are_noted_once() {
    let drift = "email: a@b\npolicy: { drift: Report, approval: Manual }";
    let text = format!(
        "{}---\n{}",
        document("User", "a", drift),
        document("User", "b", &drift.replace("a@b", "b@b"))
    );
    let warnings = load_text(&text).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings.iter().all(|warning| warning.code == "operator-only" && warning.message.starts_with('2'))
    );
}

#[test]
fn body_files_stay_under_the_given_folder() {
    let lambda = |path: &str| document("Lambda", "x", &format!("type: JWTPopulate\nbodyFile: {path}"));
    let base = folder(&[
        ("in/m.yaml", &lambda("../lib/a.js")),
        ("lib/a.js", "function populate(jwt) {}\n"),
        ("in/deep/m.yaml", &lambda("../../lib/a.js")),
    ]);
    let options = LoadOptions { recursive: true, ..LoadOptions::default() };
    let both = load(&[base.path().to_owned()], &options);
    assert!(matches!(both, Err(LoadError::Invalid(_))), "two lambdas of one name");
    std::fs::remove_dir_all(base.path().join("in/deep")).unwrap();
    let input = load(&[base.path().to_owned()], &options).unwrap();
    assert_eq!(input.objects[0].lambda_body.as_deref(), Some("function populate(jwt) {}\n"));
    // `..` within the folder is fine, out of it is not.
    let Err(LoadError::Invalid(diagnostics)) = load(&[base.path().join("in")], &options) else {
        panic!("refused")
    };
    assert_eq!(diagnostics[0].code, "outside");
    let Err(LoadError::Invalid(diagnostics)) = load(&[base.path().join("in/m.yaml")], &options) else {
        panic!("refused")
    };
    assert_eq!((diagnostics[0].code, diagnostics[0].place.as_ref().unwrap().line), ("outside", 6));
    for (path, code) in [("/etc/passwd", "outside"), (".", "unreadable"), ("nothing.js", "unreadable")] {
        let folder = folder(&[("m.yaml", &lambda(path))]);
        let Err(LoadError::Invalid(diagnostics)) = load_folder(folder.path(), &options) else {
            panic!("{path}")
        };
        assert_eq!(diagnostics[0].code, code, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn body_files_that_are_links_are_judged_where_they_lead() {
    let outside = folder(&[("x.js", "function populate() {}")]);
    let folder = folder(&[("m.yaml", &document("Lambda", "x", "type: JWTPopulate\nbodyFile: x.js"))]);
    std::os::unix::fs::symlink(outside.path().join("x.js"), folder.path().join("x.js")).unwrap();
    let Err(LoadError::Invalid(diagnostics)) = load_folder(folder.path(), &LoadOptions::default()) else {
        panic!("refused")
    };
    assert_eq!(diagnostics[0].code, "outside");
}

#[test]
fn bodies_come_from_config_maps_of_the_namespace() {
    let lambda = document(
        "Lambda",
        "x",
        "type: JWTPopulate\nbodyFrom: { configMapKeyRef: { name: claims, key: claims.js } }",
    );
    let map = |metadata: &str, data: &str| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\ndata: {data}\n")
    };
    let good = format!("{lambda}{}", map("{ name: claims }", "{ claims.js: 'function populate() {}' }"));
    let input = load_text(&good).unwrap_or_else(|_| panic!("{:#?}", diagnostics(&good)));
    assert_eq!(input.objects[0].lambda_body.as_deref(), Some("function populate() {}"));
    assert_eq!(input.passed_over, 0);
    for (map, code) in [
        (
            map("{ name: claims, namespace: other }", "{ claims.js: 'function populate() {}' }"),
            "unresolved-reference",
        ),
        (map("{ name: claims }", "{ claim.js: 'function populate() {}' }"), "unresolved-reference"),
        (map("{ name: claims }", "{ claims.js: 'function populate() {}', a: 1 }"), "unquoted"),
        (map("{ name: claims }", "{ claims.js: 'function populate() {}', a: '1', a: '2' }"), "duplicate-key"),
        (map("{ name: claims }", "{ claims.js: '' }"), "invalid-value"),
    ] {
        let text = format!("{lambda}{map}");
        let found: Vec<&str> = codes(&text).into_iter().map(|(code, _)| code).collect();
        assert_eq!(found, [code], "{text}");
    }
    // Which of two is meant cannot be told.
    assert_eq!(
        codes(&format!("{good}{}", map("{ name: claims }", "{ claims.js: 'function populate() {}' }"))),
        [("ambiguous-reference", 6)]
    );
}

#[test]
fn secrets_are_judged_when_something_refers_to_them() {
    let user = document(
        "User",
        "x",
        "email: a@b\ninitial: { password: { secretKeyRef: { name: s, key: password } } }",
    );
    let secret = |name: &str, rest: &str| {
        format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\n{rest}\n")
    };
    let good = format!("{user}{}", secret("s", "data: { password: aHVudGVyMg== }\nstringData: { other: x }"));
    let input = load_text(&good).unwrap_or_else(|_| panic!("{:#?}", diagnostics(&good)));
    let values = &input.secrets[&("default".to_owned(), "s".to_owned())];
    assert_eq!(secrecy::ExposeSecret::expose_secret(&values["password"]), b"hunter2");
    for (rest, code) in [
        ("data: { password: hunter2 }", "base64"),
        ("data: { password: aHVudGVyMg==, password: aHVudGVyMg== }", "duplicate-key"),
        ("stringData: { password: 5 }", "unquoted"),
        ("stringData: { password: no }", "ambiguous-scalar"),
        ("data: [hunter2]", "wrong-type"),
        // Ciphertext is never sent as if it were the secret.
        ("data: { password: 'ENC[AES256_GCM,data:hunter2]' }\nsops: { version: 3.9.0 }", "encrypted"),
        ("stringData: { password: 'ENC[AES256_GCM,data:hunter2]' }\nsops: { version: 3.9.0 }", "encrypted"),
    ] {
        let used = format!("{user}{}", secret("s", rest));
        let found: Vec<&str> = codes(&used).into_iter().map(|(code, _)| code).collect();
        assert_eq!(found, [code], "{used}");
        let shown: String = diagnostics(&used).iter().map(|diagnostic| diagnostic.render(false)).collect();
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
        let twice = format!("{good}{}", secret("s", "stringData: { password: x }"));
        assert_eq!(codes(&twice).len(), 1, "{twice}");
        let unused = format!("{user}{}", secret("other", rest));
        assert!(load_text(&unused).is_ok(), "{unused}");
    }
}

#[test]
fn what_sops_encrypted_is_to_be_decrypted_first() {
    let text = format!("{}sops: {{ version: 3.9.0 }}\n", document("User", "x", "email: a@b"));
    let diagnostic = diagnostics(&text).remove(0);
    assert_eq!((diagnostic.code, diagnostic.place.unwrap().line), ("unknown-field", 6));
    assert!(diagnostic.hint.unwrap().contains("sops decrypt"));
    let map = |rest: &str| {
        let lambda =
            document("Lambda", "x", "type: JWTPopulate\nbodyFrom: { configMapKeyRef: { name: c, key: k } }");
        format!(
            "{lambda}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: c }}\ndata: {{ k: 'function populate() {{}}' }}\n{rest}"
        )
    };
    assert!(codes(&map("")).is_empty());
    assert!(codes(&map("sops: { version: 3.9.0 }\n")).contains(&("encrypted", 12)));
}

/// A pipe to which nobody writes would be waited for without end; what a shell's `<(…)` opens is read.
#[cfg(unix)]
#[test]
fn pipes_are_read_where_somebody_writes() {
    let folder = folder(&[("a.yaml", &user("a"))]);
    let pipe = folder.path().join("pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe, folder.path().to_owned()] {
        let Err(LoadError::Invalid(diagnostics)) = load(&[path], &LoadOptions::default()) else {
            panic!("refused")
        };
        assert_eq!(diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), ["unreadable"]);
    }
    let script = "\"$0\" validate -f <(cat a.yaml) -f <(echo '{}')";
    let output = std::process::Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_fusionkeep")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn all_errors_of_all_files_are_told_at_once() {
    let folder = folder(&[
        (
            "a.yaml",
            &format!(
                "{}---\nb: [\n---\n{}",
                document("User", "a", "emial: x\nfirstName: 5\ndata: { a: no }"),
                document("User", "c", "email: nothing")
            ),
        ),
        (
            "b.json",
            "{\"apiVersion\": \"fusionkeep.dev/v1alpha1\", \"kind\": \"User\", \"metadata\": {\"name\": \"j\"}, \"spec\": {\"email\": 5}}\n{,}",
        ),
        (
            "c.yaml",
            &document("EntityGrant", "g", "entity: { name: nothing }\nuser: { name: c }\npermissions: [5]"),
        ),
    ]);
    let Err(LoadError::Invalid(diagnostics)) = load_folder(folder.path(), &LoadOptions::default()) else {
        panic!("refused")
    };
    let told: Vec<(String, u32, &str)> = diagnostics
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.place.as_ref().unwrap();
            (place.file.rsplit('/').next().unwrap().to_owned(), place.line, diagnostic.code)
        })
        .collect();
    let told: Vec<(&str, u32, &str)> =
        told.iter().map(|(file, line, code)| (file.as_str(), *line, *code)).collect();
    assert_eq!(
        told,
        [
            ("a.yaml", 5, "unknown-field"),
            ("a.yaml", 6, "unquoted"),
            ("a.yaml", 7, "ambiguous-scalar"),
            ("a.yaml", 9, "syntax"),
            ("a.yaml", 15, "invalid-value"),
            ("b.json", 1, "unquoted"),
            ("b.json", 2, "syntax"),
            ("c.yaml", 5, "unresolved-reference"),
            ("c.yaml", 7, "unquoted"),
        ]
    );
}
