//! Typed documents: what each kind takes and what it refuses, and where it says so.

use super::{codes, diagnostics, document, load_text};

/// The first line of `spec` in what `document` makes.
const SPEC: u32 = 5;

/// (kind, spec) that are good.
pub const GOOD: &[(&str, &str)] = &[
    ("User", "email: a@b"),
    ("User", "username: x"),
    ("User", "phoneNumber: \"+13035551212\""),
    ("User", "email: ü@例え.jp\nfirstName: ~\nlastName:\npolicy:\nunset:\nsuspend:\ninitial:\n"),
    ("User", "email: a@b\nid: 0F9F7A56-45B6-4AB7-B3E2-9A2B3C4D5E6F"),
    ("User", "email: a@b\nmobilePhone: any text\nbirthDate: 2000-02-29\nexpiry: 2030-01-01T00:00:00Z"),
    ("User", "email: a@b\nexpiry: 1893456000000"),
    ("User", "email: a@b\npreferredLanguages: [en_US, en-US, de]\ntimezone: US/Mountain"),
    ("User", "email: a@b\nactive: true\nverified: true\nusernameStatus: ACTIVE"),
    ("User", "email: a@b\ndata: { a: { b: [1, 2.5, null], c: true, d: \"no\" }, 2024-01-01: 2024-01-01 }"),
    (
        "User",
        "email: a@b\ninitial:\n  password: { fromEnv: FUSIONKEEP_SECRET_X }\n  passwordChangeRequired: true",
    ),
    ("User", "email: a@b\ninitial:\n  password: { fromEnv: ~, secretKeyRef: { name: a, key: b } }"),
    (
        "User",
        "email: a@b\ninitial:\n  password: { fromFile: a, version: 2 }\n  salt: { fromFile: b }\n  encryptionScheme: salted-sha256\n  factor: 1",
    ),
    ("User", "email: a@b\npassword: { fromFile: x, version: 3, encryptionScheme: bcrypt, factor: 10 }"),
    (
        "User",
        "email: a@b\nregistrations:\n- application: { name: A, id: ~ }\n  roles: []\n- application: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }\n  roles: ~\n  verified: true",
    ),
    ("User", "email: a@b\nregistrations: []\nunset: [mobilePhone, data.team, firstName]"),
    ("User", "email: a@b\nregistrations: ~"),
    ("User", "email: a@b\npolicy: { deletion: Deactivate, adoption: Match, drift: Correct, protect: true }"),
    ("User", "policy: { ensure: Absent }"),
    // Null removes an optional value, or says nothing where FusionAuth has none.
    (
        "User",
        "email: a@b\nactive: ~\nverified:\npolicy: { deletion: ~, adoption: ~, drift: ~, protect: ~, ensure: ~, approval: ~ }",
    ),
    (
        "User",
        "email: a@b\ninitial: { skipVerification: ~, sendSetPasswordIdentityType: ~, legacyIdentifier: ~, factor: ~ }\nregistrations: [{ application: { name: A }, verified: ~ }]",
    ),
    ("User", "email: a@b\npassword: { fromFile: x, version: ~, encryptionScheme: ~, factor: ~ }"),
    ("User", "email: a@b\ninitial: { sendSetPasswordIdentityType: email, skipVerification: true }"),
    ("User", "email: a@b\ninitial: { sendSetPasswordIdentityType: doNotSend, password: { fromFile: x } }"),
    ("EntityType", "{}"),
    (
        "EntityType",
        "name: Company\npermissions: [{ name: read, isDefault: true }, { name: write, description: ~ }]\njwtConfiguration: { enabled: true, timeToLiveInSeconds: 60 }",
    ),
    ("EntityType", "policy: { ensure: Absent }\nunset: [jwtConfiguration.timeToLiveInSeconds]"),
    ("Lambda", "type: JWTPopulate\nbody: function populate(jwt) {}"),
    ("Lambda", "type: SCIMGroupRequestConverter\nbody: |\n  function convert(a) {}\nbodyFile: ~"),
    ("Lambda", "policy: { ensure: Absent }"),
    ("Lambda", "policy: { ensure: Absent }\ntype: ~"),
    (
        "Entity",
        "type: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }\nclientId: x\nclientSecret: { fromEnv: FUSIONKEEP_SECRET_X }",
    ),
    ("Entity", "policy: { ensure: Absent }"),
    ("EntityGrant", "entity: { clientId: x }\nuser: { email: a@b }\npermissions: [read]"),
    ("EntityGrant", "entity: { clientId: x }\nrecipientEntity: { clientId: z }\nuser: ~\npermissions: []"),
    (
        "IdentityProviderLink",
        "identityProvider: { name: Google }\nuser: { email: a@b }\nidentityProviderUserId: \"107\"",
    ),
    (
        "IdentityProviderLink",
        "identityProvider: { name: Google }\nuser: { email: a@b }\npendingLink: { id: abc }",
    ),
    (
        "IdentityProviderLink",
        "identityProvider: { name: Google }\nuser: { email: a@b }\npendingLink: { id: { fromEnv: FUSIONKEEP_SECRET_X } }\ninitial: { displayName: x, token: { fromFile: x } }",
    ),
    ("FusionAuthInstance", "url: https://auth.example.com/x\nowner: acme-prod"),
    (
        "FusionAuthInstance",
        "url: http://localhost:9011\nowner: a\ntenantId: 3c219e58-ed0e-4b18-ad48-f4f92793ae32\napiKey: { fromEnv: FUSIONKEEP_API_KEY }\nguards: { maxDeletes: 5, maxChangedUsers: \"20%\" }\ninterval: 1h30m\nlinkInterval: 6h\ntls: { caBundle: x }",
    ),
    (
        "FusionAuthInstance",
        "url: https://a\nowner: a\ntenantId: ~\ninterval: ~\nlinkInterval: ~\ntls: ~\nguards: { maxDeletes: ~, maxChangedUsers: ~, allowHardDelete: ~, allowAdminRoles: ~, approval: ~ }",
    ),
    (
        "ClusterFusionAuthInstance",
        "url: https://a\nowner: a\nallow: [{ namespaces: { names: [x], selector: ~ }, kinds: ~, adoption: ~, ids: ~ }]",
    ),
    (
        "ClusterFusionAuthInstance",
        "url: https://a\nowner: a\nallow: [{ namespaces: { names: [x] }, kinds: [User] }, { namespaces: { selector: { matchLabels: { a: b } } } }]",
    ),
];

/// (kind, spec, code, line within `spec` from 1) that are bad in exactly one way.
pub const BAD: &[(&str, &str, &str, u32)] = &[
    // Fields
    ("User", "emial: a@b\nemail: a@b", "unknown-field", 1),
    ("User", "email: a@b\nregistrations:\n- application: { name: x }\n  rolse: [a]", "unknown-field", 4),
    ("User", "email: a@b\ninitial: { pasword: { fromEnv: X } }", "unknown-field", 2),
    ("User", "email: a@b\npolicy: { deletions: Delete }", "unknown-field", 2),
    ("User", "email: a@b\nmemberships: []", "unknown-field", 2),
    ("User", "email: a@b\ntwoFactor: {}", "unknown-field", 2),
    ("User", "email: a@b\ninsertInstant: 1", "unknown-field", 2),
    ("User", "email: a@b\npasswordChangeRequired: true", "unknown-field", 2),
    (
        "User",
        "email: a@b\nregistrations:\n- applicationId: 3c219e58-ed0e-4b18-ad48-f4f92793ae32\n  application: { name: x }",
        "unknown-field",
        3,
    ),
    ("Entity", "type: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }\nentityTypeId: x", "unknown-field", 2),
    ("EntityGrant", "entity: { clientId: x }\nuser: { email: a@b }\nuserId: x", "unknown-field", 3),
    ("Lambda", "type: JWTPopulate\nbody: function populate() {}\nenabled: true", "unknown-field", 3),
    (
        "EntityGrant",
        "entity: { clientId: x }\nuser: { email: a@b }\nid: 3c219e58-ed0e-4b18-ad48-f4f92793ae32",
        "unknown-field",
        3,
    ),
    ("FusionAuthInstance", "url: https://a\nowner: a\napiKey: { fromEnv: X, key: z }", "unknown-field", 3),
    // Types
    ("User", "email: 12", "unquoted", 1),
    ("User", "email: true", "unquoted", 1),
    ("User", "email: a@b\nphoneNumber: +13035551212", "unquoted", 2),
    ("User", "email: a@b\nfirstName: 1.5", "unquoted", 2),
    ("User", "email: [a@b]", "wrong-type", 1),
    ("User", "email: { a: b }", "wrong-type", 1),
    ("User", "email: a@b\nactive: \"true\"", "wrong-type", 2),
    ("User", "email: a@b\nactive: 1", "wrong-type", 2),
    ("User", "email: a@b\ndata: [1]", "wrong-type", 2),
    ("User", "email: a@b\ndata: x", "wrong-type", 2),
    ("User", "email: a@b\nregistrations: { application: { name: x } }", "wrong-type", 2),
    ("User", "email: a@b\nregistrations: [x]", "wrong-type", 2),
    ("User", "email: a@b\nregistrations:\n- application: x", "wrong-type", 3),
    ("User", "email: a@b\nregistrations:\n- application: { name: 5 }", "unquoted", 3),
    ("User", "email: a@b\npreferredLanguages: en", "wrong-type", 2),
    ("User", "email: a@b\nunset: mobilePhone", "wrong-type", 2),
    ("User", "email: a@b\nexpiry: 1.5", "unquoted", 2),
    ("User", "email: a@b\npassword: { fromFile: x, version: \"1\" }", "wrong-type", 2),
    ("User", "email: a@b\npassword: { fromFile: x, factor: 1.5 }", "wrong-type", 2),
    ("User", "email: a@b\ninitial: { factor: \"10\" }", "wrong-type", 2),
    ("User", "email: a@b\npassword: { fromFile: x, factor: -1 }", "invalid-value", 2),
    ("EntityType", "jwtConfiguration: { timeToLiveInSeconds: 1.5 }", "wrong-type", 1),
    ("EntityType", "jwtConfiguration: { timeToLiveInSeconds: 60.0 }", "wrong-type", 1),
    ("User", "[]", "wrong-type", 0),
    ("User", "x", "wrong-type", 0),
    // Null
    ("User", "email: a@b\nid: ~", "null", 2),
    ("User", "email: a@b\npassword: ~", "null", 2),
    ("User", "email: a@b\nid:", "null", 2),
    ("Lambda", "type: ~\nbody: function populate() {}", "null", 1),
    ("Lambda", "body: function populate() {}\ntype:", "null", 2),
    ("User", "email: a@b\ninitial:\n  password: { fromFile: b }\n  salt: ~", "null", 4),
    (
        "User",
        "email: a@b\ninitial:\n  password: { password: { fromFile: b }, encryptionScheme: x, salt: ~ }",
        "null",
        3,
    ),
    ("Entity", "type: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }\nclientSecret: ~", "null", 2),
    ("FusionAuthInstance", "url: https://a\nowner: a\napiKey: ~", "null", 3),
    ("FusionAuthInstance", "url: https://a\nowner: a\nrunnerKey: ~", "null", 3),
    ("User", "email: a@b\ninitial: { password: ~ }", "null", 2),
    ("User", "email: a@b\nregistrations:\n- application: ~", "null", 3),
    ("User", "email: ~", "missing-field", 0),
    ("EntityType", "permissions: [{ name: ~ }]", "null", 1),
    ("FusionAuthInstance", "url: ~\nowner: a", "null", 1),
    // Missing
    ("User", "firstName: x", "missing-field", 0),
    ("User", "email: a@b\nregistrations:\n- roles: [a]", "missing-field", 3),
    ("Lambda", "body: function populate() {}", "missing-field", 0),
    ("Lambda", "type: JWTPopulate", "missing-field", 0),
    ("Lambda", "type: JWTPopulate\nbody: ~", "missing-field", 2),
    ("Entity", "name: x", "missing-field", 0),
    ("EntityGrant", "user: { email: a@b }", "missing-field", 0),
    ("EntityGrant", "entity: { clientId: x }", "missing-field", 0),
    ("EntityType", "permissions: [{ description: x }]", "missing-field", 1),
    ("IdentityProviderLink", "identityProvider: { name: x }\nuser: { email: a@b }", "missing-field", 0),
    ("IdentityProviderLink", "user: { email: a@b }\nidentityProviderUserId: x", "missing-field", 0),
    ("FusionAuthInstance", "owner: a", "missing-field", 0),
    ("FusionAuthInstance", "url: https://a", "missing-field", 0),
    // One-ofs
    (
        "User",
        "email: a@b\nregistrations:\n- application: { name: x, id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }",
        "one-of",
        3,
    ),
    ("User", "email: a@b\nregistrations:\n- application: {}", "missing-field", 3),
    ("User", "email: a@b\nregistrations:\n- application: { name: ~ }", "missing-field", 3),
    ("User", "email: a@b\npassword: { fromEnv: A, fromFile: b }", "one-of", 2),
    ("User", "email: a@b\npassword: { version: 1 }", "missing-field", 2),
    ("Lambda", "type: JWTPopulate\nbody: function populate() {}\nbodyFile: x.js", "one-of", 3),
    (
        "EntityGrant",
        "entity: { clientId: x }\nuser: { email: a@b }\nrecipientEntity: { clientId: z }",
        "one-of",
        3,
    ),
    ("EntityGrant", "entity: { clientId: x }\nuser: { email: a@b, username: c }", "one-of", 2),
    ("User", "email: a@b\npassword: { fromFile: x }\ninitial: { password: { fromFile: x } }", "one-of", 2),
    (
        "User",
        "email: a@b\ninitial: { sendSetPasswordIdentityType: email, password: { fromFile: x } }",
        "one-of",
        2,
    ),
    // Secrets
    ("User", "email: a@b\npassword: hunter2", "plain-secret", 2),
    ("User", "email: a@b\ninitial: { password: hunter2 }", "plain-secret", 2),
    (
        "Entity",
        "type: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }\nclientSecret: hunter2",
        "plain-secret",
        2,
    ),
    ("FusionAuthInstance", "url: https://a\nowner: a\napiKey: hunter2", "plain-secret", 3),
    ("User", "email: a@b\npassword: { hunter2: x, fromEnv: A }", "unknown-field", 2),
    ("User", "email: a@b\npassword: { secretKeyRef: { name: a, key: b, namespace: c } }", "unknown-field", 2),
    ("User", "email: a@b\ninitial:\n  salt: { fromFile: b }\n  encryptionScheme: x", "missing-field", 3),
    (
        "User",
        "email: a@b\ninitial:\n  password: { fromFile: b }\n  salt: { fromFile: b }",
        "missing-field",
        4,
    ),
    // Values
    ("User", "email: a", "invalid-value", 1),
    ("User", "email: \" a@b\"", "invalid-value", 1),
    ("User", "email: \"a@b \"", "invalid-value", 1),
    ("User", "email: |\n  a@b", "invalid-value", 1),
    ("User", "email: a@b\nfullName: |-\n  x\nbirthDate: >- # why\n\n  soon", "invalid-value", 4),
    ("User", "username: |-\n\nphoneNumber: \"+13035551212\"", "invalid-value", 1),
    ("User", "email: a@b@c", "invalid-value", 1),
    ("User", "email: \"a b@c\"", "invalid-value", 1),
    ("User", "email: \"a@b\\u0007\"", "invalid-value", 1),
    ("User", "email: a@b\nparentEmail: x", "invalid-value", 2),
    ("User", "phoneNumber: 303-555-1212", "invalid-value", 1),
    ("User", "phoneNumber: \"+1\"", "invalid-value", 1),
    ("User", "username: \" \"", "invalid-value", 1),
    ("User", "email: a@b\nid: x", "invalid-value", 2),
    ("User", "email: a@b\nid: 3c219e58ed0e4b18ad48f4f92793ae32", "invalid-value", 2),
    ("User", "email: a@b\nid: \"{3c219e58-ed0e-4b18-ad48-f4f92793ae32}\"", "invalid-value", 2),
    ("User", "email: a@b\npreferredLanguages: [en_US, xx_YY]", "invalid-value", 2),
    ("User", "email: a@b\npreferredLanguages: [iw_IL]", "invalid-value", 2),
    (
        "User",
        "email: a@b\npreferredLanguages: [en, en, en, en, en, en, en, en, en, en, en, en, en, en, en, en, en, en, en, en, en]",
        "invalid-value",
        2,
    ),
    ("User", "email: a@b\ntimezone: Mars/Olympus", "invalid-value", 2),
    ("User", "email: a@b\nbirthDate: 2001-02-29", "invalid-value", 2),
    ("User", "email: a@b\nbirthDate: 2001-2-9", "invalid-value", 2),
    ("User", "email: a@b\nexpiry: 2030-01-01", "invalid-value", 2),
    ("User", "email: a@b\nexpiry: 2030-01-01T00:00:00", "invalid-value", 2),
    ("User", "email: a@b\nexpiry: soon", "invalid-value", 2),
    ("User", "email: a@b\nverified: false", "invalid-value", 2),
    ("User", "email: a@b\nregistrations:\n- application: { name: x }\n  verified: false", "invalid-value", 4),
    ("User", "email: a@b\nregistrations:\n- application: { name: x }\n  timezone: x", "invalid-value", 4),
    ("User", "email: a@b\nusernameStatus: active", "invalid-value", 2),
    ("User", "email: a@b\npolicy: { deletion: Remove }", "invalid-value", 2),
    ("User", "email: a@b\npolicy: { ensure: Absent, protect: true }", "invalid-value", 2),
    ("EntityGrant", "entity: { clientId: x }\nrecipientEntity: { clientId: x }", "invalid-value", 2),
    ("EntityType", "policy: { deletion: Deactivate }", "invalid-value", 1),
    ("EntityType", "name: \"\"", "invalid-value", 1),
    ("EntityType", "jwtConfiguration: { timeToLiveInSeconds: 0 }", "invalid-value", 1),
    ("EntityType", "permissions: [{ name: read }, { name: read }]", "duplicate", 1),
    ("Lambda", "type: JWTpopulate\nbody: function populate() {}", "invalid-value", 1),
    ("Lambda", "type: JWTPopulate\nbody: \"  \"", "invalid-value", 2),
    ("Lambda", "type: JWTPopulate\nbody: function reconcile() {}", "function-name", 2),
    ("Lambda", "type: JWTPopulate\nbody: function populate() {}\nengineType: V8", "invalid-value", 3),
    (
        "User",
        "email: a@b\nregistrations:\n- application: { name: x }\n- application: { name: x }",
        "duplicate",
        4,
    ),
    ("FusionAuthInstance", "url: a\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: ftp://a\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: http:a\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: https:///a\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: https://a?b\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: https://a#b\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: https://u:p@a\nowner: a", "invalid-value", 1),
    ("FusionAuthInstance", "url: https://a\nowner: Acme", "invalid-value", 2),
    ("FusionAuthInstance", "url: https://a\nowner: \"\"", "invalid-value", 2),
    ("FusionAuthInstance", "url: https://a\nowner: a\nguards: { maxDeletes: -1 }", "invalid-value", 3),
    ("FusionAuthInstance", "url: https://a\nowner: a\nguards: { maxDeletes: \"20\" }", "invalid-value", 3),
    ("FusionAuthInstance", "url: https://a\nowner: a\nguards: { maxDeletes: \"120%\" }", "invalid-value", 3),
    ("FusionAuthInstance", "url: https://a\nowner: a\ninterval: 10", "unquoted", 3),
    ("FusionAuthInstance", "url: https://a\nowner: a\ninterval: 1d", "invalid-value", 3),
    // unset
    ("User", "email: a@b\nunset: [id]", "unset", 2),
    ("User", "email: a@b\nunset: [password]", "unset", 2),
    ("User", "email: a@b\nunset: [mobilPhone]", "unset", 2),
    ("User", "email: a@b\nunset: [policy]", "unset", 2),
    ("User", "email: a@b\nunset: [email]", "unset", 2),
    ("User", "email: a@b\nfirstName: ~\nunset: [firstName]", "unset", 3),
    ("User", "email: a@b\ndata: { team: x }\nunset: [data.team]", "unset", 3),
    ("User", "email: a@b\ndata: { team: x }\nunset: [data]", "unset", 3),
    ("User", "email: a@b\nunset: [firstName.x]", "unset", 2),
    ("User", "email: a@b\nunset: [data.]", "unset", 2),
    ("EntityType", "unset: [jwtConfiguration.nothing]", "unset", 1),
    (
        "IdentityProviderLink",
        "identityProvider: { name: x }\nuser: { email: a@b }\nidentityProviderUserId: x\nunset: [identityProviderUserId]",
        "unset",
        4,
    ),
    // Scalars
    ("User", "email: a@b\nfirstName: no", "ambiguous-scalar", 2),
    ("User", "email: a@b\ndata: { a: 0755 }", "ambiguous-scalar", 2),
    ("User", "email: a@b\ndata: { on: 1 }", "ambiguous-scalar", 2),
    ("User", "email: a@b\ndata: { a: 18446744073709551615 }", "number", 2),
    ("User", "email: a@b\ndata: { 1: a }", "key", 2),
    ("User", "email: a@b\nemail: a@b", "duplicate-key", 2),
    ("User", "email: a@b\ndata: { a: !x 1 }", "tag", 2),
    // References
    ("Entity", "type: { name: nothing }", "unresolved-reference", 1),
    ("EntityGrant", "entity: { name: nothing }\nuser: { email: a@b }", "unresolved-reference", 1),
    ("EntityGrant", "entity: { clientId: x }\nuser: { name: nobody }", "unresolved-reference", 2),
    (
        "IdentityProviderLink",
        "identityProvider: { name: x }\nuser: { name: nobody }\nidentityProviderUserId: x",
        "unresolved-reference",
        2,
    ),
    ("EntityGrant", "entity: { clientId: x }\nuser: { email: x }", "invalid-value", 2),
    (
        "Lambda",
        "type: JWTPopulate\nbodyFrom: { configMapKeyRef: { name: a, key: b } }",
        "unresolved-reference",
        2,
    ),
    ("Lambda", "type: JWTPopulate\nbodyFile: nothing.js", "unreadable", 2),
];

#[test]
fn what_is_good_is_taken() {
    for (kind, spec) in GOOD {
        let text = document(kind, "x", spec);
        let input = load_text(&text).unwrap_or_else(|_| panic!("{text}\n{:#?}", diagnostics(&text)));
        assert_eq!(input.objects.len() + input.instances.len(), 1, "{text}");
        assert!(input.warnings.is_empty(), "{text}\n{:#?}", input.warnings);
    }
}

#[test]
fn what_is_bad_is_refused_at_its_line() {
    let mut wrong = Vec::new();
    for (kind, spec, code, line) in BAD {
        let text = document(kind, "x", spec);
        let line = if *line == 0 { SPEC - 1 } else { SPEC + line - 1 };
        let found = codes(&text);
        let line_of_scalar_spec = found == [(*code, line + 1)] && !spec.contains(':');
        if found != [(*code, line)] && !line_of_scalar_spec {
            let shown: String =
                diagnostics(&text).iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
            wrong.push(format!("{kind}\n{text}expected {code} at {line}, found {found:?}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// What is written without a value is pointed at by its key, one of several by the last, a list's item by itself.
#[test]
fn what_is_wrong_is_pointed_at() {
    for (kind, spec, line, column) in [
        ("User", "email: a@b\nid:", 6, 3),
        ("User", "email: a@b\nid: ~", 6, 7),
        ("User", "{ email: a@b, id: }", 5, 17),
        ("Lambda", "bodyFile: x.js\ntype: JWTPopulate\nbody: x", 7, 3),
        (
            "User",
            "email: a@b\nregistrations: [{ application: { name: x, id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 } }]",
            6,
            45,
        ),
        ("User", "email: a@b\ndata: { a: { <<: [{ b: 1 }, x] } }", 6, 31),
        ("User", "email: >-\n\n  nobody", 5, 10),
    ] {
        let text = document(kind, "x", spec);
        let found: Vec<(u32, u32)> = diagnostics(&text)
            .iter()
            .filter(|diagnostic| diagnostic.is_error() && diagnostic.code != "unreadable")
            .filter_map(|diagnostic| diagnostic.place.as_ref())
            .map(|place| (place.line, place.column))
            .collect();
        assert_eq!(found, [(line, column)], "{text}");
    }
    let moved = |name: &str, from: &str| {
        format!(
            "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata:\n  name: {name}\n  annotations:\n    fusionkeep.dev/moved-from: {from}\nspec: {{ username: {name} }}\n---\n"
        )
    };
    let text = moved("aa", "cc") + &moved("bb", "cc");
    assert_eq!(codes(&text), [("moved-from", 14)]);
}

/// A message names the field that it speaks of.
#[test]
fn messages_name_the_field() {
    for (kind, spec, field) in [
        ("User", "email: a", "`spec.email`"),
        (
            "User",
            "email: a@b\nregistrations: [{ application: { name: x }, timezone: z }]",
            "`spec.registrations[0].timezone`",
        ),
        ("User", "email: a@b\npreferredLanguages: [de, xx]", "`spec.preferredLanguages[1]`"),
        (
            "EntityType",
            "jwtConfiguration: { timeToLiveInSeconds: 0 }",
            "`spec.jwtConfiguration.timeToLiveInSeconds`",
        ),
        ("FusionAuthInstance", "url: https://a\nowner: a\ninterval: 1d", "`spec.interval`"),
        (
            "User",
            "email: a@b\ninitial: { sendSetPasswordIdentityType: email, password: { fromFile: x } }",
            "`sendSetPasswordIdentityType`",
        ),
    ] {
        let text = document(kind, "x", spec);
        let message = diagnostics(&text).remove(0).message;
        assert!(message.contains(field), "{message}");
    }
    let active = diagnostics(&document("User", "x", "email: a@b\nactive: yes")).remove(0);
    assert_eq!(active.hint.as_deref(), Some("quote it: \"yes\", or write true"));
}

/// (kind, what is written beside the rest of a good spec, what the hint says).
const NOT_DECLARABLE: &[(&str, &str, &str)] = &[
    ("User", "memberships: []", "group memberships cannot be declared"),
    ("User", "groups: [a]", "group memberships cannot be declared"),
    ("User", "twoFactor: { methods: [] }", "two-factor methods are the person's own"),
    ("User", "twoFactorEnabled: true", "two-factor methods are the person's own"),
    (
        "User",
        "registrations: [{ application: { name: x }, authenticationToken: x }]",
        "tokens cannot be declared",
    ),
    ("User", "registrations: [{ application: { name: x }, tokens: {} }]", "tokens cannot be declared"),
    ("User", "registrations: [{ application: { name: x }, id: x }]", "FusionAuth makes it"),
    ("User", "registrations: [{ application: { name: x }, applicationId: x }]", "application: { id: … }"),
    ("User", "verified: false", "takes no verification back"),
    ("User", "registrations: [{ application: { name: x }, verified: false }]", "takes no verification back"),
    ("User", "insertInstant: 1", "FusionAuth writes it"),
    ("User", "lastUpdateInstant: 1", "FusionAuth writes it"),
    ("User", "lastLoginInstant: 1", "FusionAuth writes it"),
    ("User", "connectorId: x", "FusionAuth writes it"),
    ("User", "identities: []", "FusionAuth writes it"),
    ("User", "uniqueUsername: x", "FusionAuth writes it"),
    ("User", "tenantId: x", "the tenant is the instance's"),
    ("User", "applicationId: x", "write a reference"),
    ("User", "salt: { fromEnv: X }", "under `initial`"),
    ("User", "encryptionScheme: x", "under `password` or `initial`"),
    ("Entity", "entityTypeId: x", "type: { name: … }"),
    ("Entity", "parentId: x", "cannot be declared"),
    ("Entity", "tenantId: x", "the tenant is the instance's"),
    ("EntityGrant", "userId: x", "user: { name: … }"),
    ("EntityGrant", "entityId: x", "entity: { name: … }"),
    ("EntityGrant", "recipientEntityId: x", "recipientEntity: { name: … }"),
    ("IdentityProviderLink", "userId: x", "user: { name: … }"),
    ("IdentityProviderLink", "identityProviderId: x", "identityProvider: { name: … }"),
    ("IdentityProviderLink", "displayName: x", "under `initial`"),
    ("IdentityProviderLink", "token: x", "under `initial`"),
    ("IdentityProviderLink", "lastLoginInstant: 1", "FusionAuth writes it"),
    ("IdentityProviderLink", "data: {}", "FusionAuth's own"),
    ("IdentityProviderLink", "pendingIdPLinkId: x", "pendingLink: { id: … }"),
    ("User", "passwordChangeReason: Expired", "FusionAuth writes it"),
    ("Lambda", "enabled: true", "no longer has it"),
    ("Lambda", "insertInstant: 1", "FusionAuth writes it"),
];

/// What cannot be declared is refused at its place, with what to do instead.
#[test]
fn what_cannot_be_declared_says_why() {
    for (kind, what, says) in NOT_DECLARABLE {
        let good = match *kind {
            "User" => "username: x",
            "Lambda" => "type: JWTPopulate\nbody: function populate() {}",
            "Entity" => "type: { id: 3c219e58-ed0e-4b18-ad48-f4f92793ae32 }",
            "EntityGrant" => "entity: { clientId: x }\nuser: { email: a@b }",
            _ => "identityProvider: { name: x }\nuser: { email: a@b }\nidentityProviderUserId: x",
        };
        let text = document(kind, "x", &format!("{good}\n{what}"));
        let found = diagnostics(&text);
        let told: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
        assert_eq!(told.len(), 1, "{text}{told:#?}");
        assert!(told[0].hint.as_ref().is_some_and(|hint| hint.contains(says)), "{text}{told:#?}");
        assert_eq!(told[0].place.as_ref().unwrap().line as usize, text.lines().count(), "{text}{told:#?}");
    }
}

/// Kind, spec, and the codes with the lines of the spec at which they stand.
pub type Together = (&'static str, &'static str, &'static [(&'static str, u32)]);

/// What is missing, or is no value of its type, beside values that are wrong in themselves.
pub const TOGETHER: &[Together] = &[
    (
        "Entity",
        "name: x\nid: why\nparent: { id: z }",
        &[("missing-field", 0), ("invalid-value", 2), ("unknown-field", 3)],
    ),
    ("Entity", "type: 5\nid: why", &[("wrong-type", 1), ("invalid-value", 2)]),
    ("EntityGrant", "user: { email: x }", &[("missing-field", 0), ("invalid-value", 1)]),
    ("IdentityProviderLink", "user: { email: x }", &[("missing-field", 0), ("invalid-value", 1)]),
    (
        "User",
        "email: a\nregistrations:\n- roles: [a]\n- application: { id: x }",
        &[("missing-field", 3), ("invalid-value", 1), ("invalid-value", 4)],
    ),
    ("EntityType", "id: x\npermissions: [{ id: y }]", &[("missing-field", 2), ("invalid-value", 1)]),
    ("FusionAuthInstance", "owner: \"a b\"", &[("missing-field", 0), ("invalid-value", 1)]),
    ("Lambda", "body: function populate() {}\nid: x", &[("missing-field", 0), ("invalid-value", 2)]),
];

#[test]
fn what_is_missing_hides_nothing_else() {
    let mut wrong = Vec::new();
    for (kind, spec, expected) in TOGETHER {
        let text = document(kind, "x", spec);
        let found = codes(&text);
        let stands = |(code, line): &(&str, u32)| {
            let line = if *line == 0 { SPEC - 1 } else { SPEC + line - 1 };
            found.contains(&(*code, line))
        };
        if !expected.iter().all(stands) || found.iter().any(|(code, _)| *code == "unresolved-reference") {
            let shown: String =
                diagnostics(&text).iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
            wrong.push(format!("{kind}\n{text}expected {expected:?}, found {found:?}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
