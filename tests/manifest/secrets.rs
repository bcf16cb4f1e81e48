//! No secret is shown with what is wrong: not in messages, not in hints, not in source lines.

use fusionkeep::manifest::{LoadError, LoadOptions};

use super::{document, folder, load_folder};

/// Texts that stand for secrets: a word, and scalars that are refused as such.
const CANARIES: &[&str] =
    &["hunter2canary", "07654321", "7654321", "76_54_321", "76:54:32:1", "18446744073709551619", "7.65e4321"];

/// Specs in which `@` is the secret, misplaced in all ways.
const SPECS: &[(&str, &str)] = &[
    ("User", "password: @"),
    ("User", "password: \"@\""),
    ("User", "password: [@]"),
    ("User", "password: {@: x}"),
    ("User", "password: {@: 1, @: 2}"),
    ("User", "password: {fromEnv: a, fromEnv: @}"),
    ("User", "password: {fromEnv: [@]}"),
    ("User", "password: {value: @}"),
    ("User", "password: {password: @}"),
    ("User", "password: {version: @x}"),
    ("User", "password: {secretKeyRef: @}"),
    ("User", "password: {secretKeyRef: {name: a, key: b, value: @}}"),
    ("User", "password: *@"),
    ("User", "password: !@ x"),
    ("User", "password: |\n  @\nfirstName: [x]"),
    ("User", "password:\n  @\n  more: x"),
    ("User", "password:\n  - @\n  - @"),
    ("User", "password: \"@"),
    ("User", "password: \"\n@\nx"),
    ("User", "password: '@\nfirstName: x"),
    ("User", "password: @: x: y"),
    ("User", "password: {@"),
    ("User", "password: [@\nfirstName: x"),
    ("User", "password: @, firstName: ["),
    ("User", "pasword: @"),
    ("User", "passwd: {x: @}"),
    ("User", "Password: @"),
    ("User", "pass: @"),
    ("User", "secret: @"),
    ("User", "initial: { password: @, skipVerification: 5 }"),
    ("User", "initial: { skipVerification: 5, password: @ }"),
    ("User", "initial: { password: { password: @ } }"),
    ("User", "initial: { password: { salt: @, fromEnv: x } }"),
    ("User", "initial:\n  salt: @\n  factor: x"),
    ("User", "initial:\n  password:\n    fromEnv: {@: @}"),
    ("User", "{email: a@b, password: @, firstName: [x]}"),
    ("Entity", "clientSecret: @\ntype: x"),
    ("Entity", "clientSecret: >\n  @\n\n  @\ntype: x"),
    ("IdentityProviderLink", "initial: { token: @ }"),
    ("IdentityProviderLink", "token: @"),
    ("IdentityProviderLink", "pendingLink: { id: [@] }"),
    ("IdentityProviderLink", "pendingLink: { id: { @: x } }"),
    ("IdentityProviderLink", "pendingLink: { id: { fromEnv: [@] } }"),
    ("IdentityProviderLink", "pendingLink: { ids: @ }"),
    ("FusionAuthInstance", "url: x\napiKey: @"),
    ("FusionAuthInstance", "url: x\napikey: @"),
    ("FusionAuthInstance", "url: x\nrunnerKey: { fromFile: { @: x } }"),
    ("FusionAuthInstance", "url: https://user:@@host\nowner: X"),
    ("FusionAuthInstance", "url: https://user:@@host\nowner: a"),
];

/// Whole files in which `@` is the secret.
const FILES: &[(&str, &str)] = &[
    ("m.yaml", "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData:\n  password: @: x: y\n"),
    ("m.yaml", "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData:\n  password: \"@\n"),
    (
        "m.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData:\n  whatever: |\n   @\n  @\n",
    ),
    ("m.yaml", "stringData:\n  whatever: [@\nkind: Secret\napiVersion: v1\nmetadata: { name: s }\n"),
    (
        "m.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  stringData: { a: @, b: *@ }\n",
    ),
    (
        "m.json",
        "{\"apiVersion\":\"fusionkeep.dev/v1alpha1\",\"kind\":\"User\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"password\":\"@\",\"email\":5}}",
    ),
    (
        "m.json",
        "{\"apiVersion\":\"fusionkeep.dev/v1alpha1\",\"kind\":\"User\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"email\":5,\"password\":{\"@\":1,\"@\":2}}}",
    ),
    ("m.json", "{\"kind\":\"User\",\"spec\":{\"password\":\"@\" \"email\":5}}"),
    ("m.json", "{\n \"spec\": {\n  \"password\": \"@\"\n  \"email\": 5\n }\n}"),
    (
        "m.json",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"stringData\":{\"a\":\"@\",}}",
    ),
];

fn refused(name: &str, text: &str) -> String {
    let folder = folder(&[(name, text)]);
    match load_folder(folder.path(), &LoadOptions::default()) {
        Err(LoadError::Invalid(diagnostics)) => diagnostics
            .iter()
            .map(|diagnostic| {
                format!(
                    "{}\n{diagnostic:?}\n{}\n",
                    diagnostic.render(false),
                    serde_json::to_string(diagnostic).unwrap()
                )
            })
            .collect(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn no_secret_is_shown_with_what_is_wrong() {
    let mut shown_secrets = Vec::new();
    for canary in CANARIES {
        let specs = SPECS.iter().map(|(kind, spec)| {
            // Only what stands alone is the secret: e-mail addresses keep their sign.
            let spec = spec.replace("a@b", "a\u{1}b").replace('@', canary).replace('\u{1}', "@");
            let spec = spec.replace(&format!("{canary}{canary}host"), &format!("{canary}@host"));
            ("m.yaml", document(kind, "x", &spec))
        });
        let files = FILES.iter().map(|(name, text)| (*name, text.replace('@', canary)));
        for (name, text) in specs.chain(files) {
            let shown = refused(name, &text);
            if shown.contains(canary) {
                shown_secrets.push(format!("{text}\n{shown}"));
            }
        }
    }
    assert!(
        shown_secrets.is_empty(),
        "{} show it:\n{}",
        shown_secrets.len(),
        shown_secrets.join("\n=====\n")
    );
}

#[test]
fn what_is_no_secret_is_shown() {
    let shown = refused("m.yaml", &document("User", "x", "email: nothing\nusername: 5\ntimezone: Mars"));
    for text in ["\"nothing\" is no e-mail address", "  email: nothing", "quote it: \"5\"", "\"Mars\""] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
}
