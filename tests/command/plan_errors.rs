//! What only the target can tell of a manifest: each error at its field, with its line, in every format, and nothing
//! is written.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::command::place::{KICKSTART, Place, report};
use crate::command::{fusionkeep, run, shown, stderr, stdout};

/// (file, what is replaced, by what, code, the line as written from the place on, a part of message or hint).
const CASES: &[(&str, &str, &str, &str, &str, &str)] = &[
    (
        "users.yaml",
        "roles: [admin, operator]",
        "roles: [admin, opertor]",
        "unknown-role",
        "opertor]",
        "\"operator\"?",
    ),
    (
        "users.yaml",
        "application: { name: Grid Console }",
        "application: { name: Grid Konsole }",
        "unresolved-reference",
        "Grid Konsole }",
        "\"Grid Console\"?",
    ),
    (
        "links.yaml",
        "identityProvider: { name: ",
        "identityProvider: { name: No such ",
        "unresolved-reference",
        "No such ",
        "the identity provider \"No such ",
    ),
    (
        "entities.yaml",
        "name: Meter South 2\n  type: { name: meter }",
        "name: Meter South 2\n  type: { name: company }",
        "immutable-field",
        "type: { name: company }",
        "cannot change in FusionAuth: it is ",
    ),
    (
        "lambdas.yaml",
        "type: JWTPopulate",
        "type: GoogleReconcile",
        "immutable-field",
        "GoogleReconcile",
        "it is \"JWTPopulate\", ",
    ),
    (
        "users.yaml",
        "email: alice@example.com",
        "id: 5f0c2a51-6a0e-4f53-9f43-8a1f4b1f7a01\n  email: alice@example.com",
        "immutable-field",
        "5f0c2a51",
        "the id of a User cannot change: it is ",
    ),
];

#[test]
fn what_the_target_refuses_is_told_at_its_field() {
    let original = Place::applied();
    let sandbox = original.sandbox();
    for (file, from, to, code, written, said) in CASES {
        let place = Place::new();
        let folder = place.edited(file, from, to);
        let text = std::fs::read_to_string(place.path("quickstart").join(file)).unwrap();
        let changed = text.find(to).unwrap();
        let at = changed + text[changed..].find(written).unwrap();
        let line = text[..at].matches('\n').count() + 1;
        let column = text[..at].rsplit('\n').next().unwrap().chars().count() + 1;
        for (command, format) in [("plan", "text"), ("plan", "json"), ("plan", "markdown"), ("apply", "json")]
        {
            let mut arguments = vec![command, "-f", &folder, &sandbox, "-o", format];
            arguments.extend(if command == "apply" { Some("--auto-approve") } else { None });
            let output = run(&arguments);
            assert_eq!(output.status.code(), Some(1), "{to}: {}", shown(&output));
            let place = format!("{file}:{line}:{column}\n");
            assert!(stderr(&output).contains(&place), "{to}: no {place}{}", shown(&output));
            assert!(stderr(&output).contains(said), "{to}: no {said}\n{}", shown(&output));
            let shown_line = text.lines().nth(line - 1).unwrap();
            assert!(stderr(&output).contains(&format!(" | {shown_line}\n")), "{to}: {}", shown(&output));
            if format == "json" {
                let report = report(&output);
                let error = &report["errors"][0];
                assert_eq!(
                    (&error["code"], &error["line"], &error["column"]),
                    (&json!(code), &json!(line), &json!(column))
                );
            }
        }
    }
    let after = original.quickstart("plan", &["--detailed-exitcode"]);
    assert_eq!(after.status.code(), Some(0), "nothing was written: {}", shown(&after));
}

#[test]
fn people_entities_and_permissions_that_are_not_there_are_told_at_their_field() {
    let place = Place::applied();
    let file = place.write(
        "new.yaml",
        "apiVersion: fusionkeep.dev/v1alpha1
kind: EntityGrant
metadata: { name: one }
spec:
  entity: { clientId: nothing }
  user: { username: nobody }
  permissions: [read]
---
apiVersion: fusionkeep.dev/v1alpha1
kind: EntityGrant
metadata: { name: two }
spec:
  entity: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }
  recipientEntity: { clientId: nothing }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: IdentityProviderLink
metadata: { name: three }
spec:
  identityProvider: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }
  user: { email: nobody@example.com }
  identityProviderUserId: \"1\"
",
    );
    let report = report(&run(&["plan", "-f", &file, &place.sandbox(), "-o", "json"]));
    let errors = report["errors"].as_array().unwrap();
    let mut told: Vec<(u64, u64)> = errors
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["column"].as_u64().unwrap()))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(5, 23), (6, 21), (13, 17), (14, 32), (20, 27), (21, 18)], "{errors:#?}");
    // The same from standard input, which cannot be read again; only what held Secrets was not kept.
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: { name: one }\nstringData: { key: value }\n";
    for (text, at) in [(text.clone(), told), (format!("{text}{secret}"), vec![(2, 7); 2])] {
        let report = self::report(&given(&text, &["plan", "-f", "-", &place.sandbox(), "-o", "json"]));
        let errors = report["errors"].as_array().unwrap();
        let line = |error: &Value| (error["line"].as_u64().unwrap(), error["column"].as_u64().unwrap());
        let mut told: Vec<(u64, u64)> = errors.iter().map(line).collect();
        told.sort_unstable();
        assert_eq!(told[..at.len()], at, "{errors:#?}");
        assert!(errors.iter().all(|error| error["file"] == "-"), "{errors:#?}");
    }
}

/// Runs with this as its standard input.
fn given(text: &str, arguments: &[&str]) -> Output {
    let mut command = fusionkeep(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_missing_secret_is_told_at_its_field() {
    let place = Place::new();
    let text = "apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: one }
spec:
  email: one@example.com
  initial:
    password: { fromEnv: FUSIONKEEP_SECRET_NOWHERE }
";
    let file = place.write("new.yaml", text);
    let sandbox = place.sandbox();
    let output = run(&["apply", "-f", &file, &sandbox, KICKSTART, "--auto-approve"]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(stderr(&output).contains("new.yaml:7:5\n"), "{}", shown(&output));
    assert!(
        stderr(&output).contains("7 |     password: …"),
        "what stands under a secret is masked: {}",
        shown(&output)
    );
    let output = given(text, &["apply", "-f", "-", &sandbox, KICKSTART, "--auto-approve"]);
    assert!(stderr(&output).contains("-:7:5\n"), "{}", shown(&output));
    let plan = run(&["plan", "-f", &file, &sandbox, "-o", "json"]);
    assert_eq!(self::report(&plan)["summary"]["create"], 1, "nothing was written: {}", shown(&plan));
    assert!(!stdout(&plan).contains("NOWHERE"));
}
