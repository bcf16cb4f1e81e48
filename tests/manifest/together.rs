//! What only all manifests together can tell.

use fusionkeep::manifest::target::{Choice, Chosen, choose};

use super::{codes, diagnostics, document, load_text};

/// Kind, name and spec.
type Document<'a> = (&'a str, &'a str, &'a str);

fn all(documents: &[Document<'_>]) -> String {
    let documents: Vec<String> =
        documents.iter().map(|(kind, name, spec)| document(kind, name, spec)).collect();
    documents.join("---\n")
}

/// Sets of documents (kind, name, spec) with the codes they give.
#[test]
fn duplicates_and_references() {
    const A: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";
    let id = format!("id: {A}\nusername: a");
    let bare_id = format!("id: {A}");
    let same_id = format!("id: {}\nusername: b", A.to_uppercase());
    let company = ("EntityType", "company", "name: Company\npermissions: [{ name: read }, { name: write }]");
    let raviga = ("Entity", "raviga", "type: { name: company }\nclientId: raviga");
    let richard = ("User", "richard", "email: richard@piedpiper.com");
    let cases: Vec<(Vec<Document<'_>>, &[&str])> = vec![
        (
            vec![
                company,
                raviga,
                richard,
                (
                    "EntityGrant",
                    "g",
                    "entity: { name: raviga }\nuser: { name: richard }\npermissions: [read]",
                ),
            ],
            &[],
        ),
        (vec![richard, ("User", "richard", "username: x")], &["duplicate"]),
        (vec![("User", "a", &id), ("User", "b", &same_id)], &["duplicate"]),
        (vec![("User", "a", &id), ("EntityType", "b", &bare_id)], &[]),
        (vec![richard, ("User", "b", "email: RICHARD@piedpiper.com")], &["duplicate"]),
        (vec![("User", "a", "username: Richard"), ("User", "b", "username: richard")], &["duplicate"]),
        (
            vec![
                ("User", "a", "phoneNumber: \"+1 303-555-1212\""),
                ("User", "b", "phoneNumber: \"+13035551212\""),
            ],
            &["duplicate"],
        ),
        (vec![company, ("EntityType", "other", "name: Company")], &["duplicate"]),
        (vec![("EntityType", "company", "{}"), ("EntityType", "other", "name: company")], &["duplicate"]),
        (
            vec![company, raviga, ("Entity", "other", "type: { name: company }\nclientId: raviga")],
            &["duplicate"],
        ),
        (vec![company, raviga, ("Entity", "other", "type: { name: company }\nname: raviga")], &[]),
        (
            vec![
                ("Lambda", "a", "name: x\ntype: JWTPopulate\nbody: function populate() {}"),
                ("Lambda", "b", "name: x\ntype: JWTPopulate\nbody: function populate() {}"),
            ],
            &["duplicate"],
        ),
        (
            vec![
                richard,
                (
                    "IdentityProviderLink",
                    "a",
                    "identityProvider: { name: Google }\nuser: { name: richard }\nidentityProviderUserId: x",
                ),
                (
                    "IdentityProviderLink",
                    "b",
                    "identityProvider: { name: Google }\nuser: { email: other@x }\nidentityProviderUserId: x",
                ),
            ],
            &["duplicate"],
        ),
        (
            vec![
                richard,
                (
                    "IdentityProviderLink",
                    "a",
                    "identityProvider: { name: Google }\nuser: { name: richard }\npendingLink: { id: x }",
                ),
                (
                    "IdentityProviderLink",
                    "b",
                    "identityProvider: { name: Google }\nuser: { email: richard@piedpiper.com }\npendingLink: { id: z }",
                ),
            ],
            &["duplicate"],
        ),
        (
            vec![
                company,
                raviga,
                richard,
                ("EntityGrant", "a", "entity: { name: raviga }\nuser: { name: richard }"),
                ("EntityGrant", "b", "entity: { clientId: raviga }\nuser: { email: Richard@piedpiper.com }"),
            ],
            &["duplicate"],
        ),
        (
            vec![
                company,
                raviga,
                richard,
                ("EntityGrant", "a", "entity: { name: raviga }\nuser: { name: richard }"),
                ("EntityGrant", "b", "entity: { name: raviga }\nrecipientEntity: { clientId: other }"),
            ],
            &[],
        ),
        // References
        (
            vec![
                company,
                raviga,
                richard,
                ("EntityGrant", "g", "entity: { name: ravega }\nuser: { name: richrd }"),
            ],
            &["unresolved-reference", "unresolved-reference"],
        ),
        (
            vec![
                company,
                raviga,
                ("EntityGrant", "g", "entity: { name: raviga }\nuser: { email: a@b }\npermissions: [reed]"),
            ],
            &["unknown-permission"],
        ),
        (
            vec![
                raviga,
                ("EntityType", "company", "{}"),
                (
                    "EntityGrant",
                    "g",
                    "entity: { name: raviga }\nuser: { email: a@b }\npermissions: [anything]",
                ),
            ],
            &[],
        ),
        // Tombstones
        (vec![("EntityType", "company", "policy: { ensure: Absent }"), raviga], &["absent-reference"]),
        (
            vec![
                ("EntityType", "company", "policy: { ensure: Absent }"),
                ("Entity", "raviga", "type: { name: company }\npolicy: { ensure: Absent }"),
            ],
            &[],
        ),
        (vec![("User", "a", "email: a@b\npolicy: { ensure: Absent }"), ("User", "b", "email: a@b")], &[]),
        (
            vec![
                ("User", "richard", "policy: { ensure: Absent }"),
                (
                    "IdentityProviderLink",
                    "l",
                    "identityProvider: { name: x }\nuser: { name: richard }\nidentityProviderUserId: x",
                ),
            ],
            &["absent-reference"],
        ),
        // Instances
        (
            vec![
                ("FusionAuthInstance", "prod", "url: https://a\nowner: a"),
                ("User", "a", "email: a@b\ninstanceRef: { name: prod }"),
            ],
            &[],
        ),
        (
            vec![
                ("FusionAuthInstance", "prod", "url: https://a\nowner: a"),
                ("User", "a", "email: a@b\ninstanceRef: { name: prd }"),
            ],
            &["unresolved-reference"],
        ),
        (vec![("User", "a", "email: a@b\ninstanceRef: { name: prod }")], &[]),
        (
            vec![
                ("FusionAuthInstance", "a", "url: https://a\nowner: a"),
                ("FusionAuthInstance", "a", "url: https://b\nowner: a"),
            ],
            &["duplicate"],
        ),
        (
            vec![
                ("FusionAuthInstance", "a", "url: https://a\nowner: a"),
                ("FusionAuthInstance", "b", "url: https://b\nowner: a"),
                ("User", "u", "email: a@b\ninstanceRef: { name: a }"),
                ("User", "v", "email: a@b\ninstanceRef: { name: b }"),
            ],
            &[],
        ),
        (
            vec![
                ("FusionAuthInstance", "a", "url: https://a\nowner: a"),
                ("FusionAuthInstance", "b", "url: https://b\nowner: a"),
                ("User", "u", "email: a@b\ninstanceRef: { name: a }"),
                (
                    "IdentityProviderLink",
                    "l",
                    "identityProvider: { name: x }\nuser: { name: u }\nidentityProviderUserId: x\ninstanceRef: { name: b }",
                ),
            ],
            &["other-instance"],
        ),
        // data
        (
            vec![
                ("User", "a", "email: a@b\ndata: { level: 1 }"),
                ("User", "b", "email: b@b\ndata: { level: one }"),
                ("User", "c", "email: c@b\ndata: { level: two }"),
            ],
            &["data-type"],
        ),
        (
            vec![
                ("User", "a", "email: a@b\ndata: { x: { level: 1 } }"),
                ("User", "b", "email: b@b\ndata: { x: { level: [2, 3] }, level: { a: 1 } }"),
            ],
            &[],
        ),
        (
            vec![
                company,
                ("User", "a", "email: a@b\ndata: { level: 1 }"),
                ("Entity", "b", "type: { name: company }\ndata: { level: one }"),
            ],
            &[],
        ),
    ];
    for (documents, expected) in cases {
        let text = all(&documents);
        let found: Vec<&str> = codes(&text).into_iter().map(|(code, _)| code).collect();
        assert_eq!(found, expected, "{text}\n{:#?}", diagnostics(&text));
    }
}

#[test]
fn references_hold_within_a_namespace() {
    let in_namespace = |text: &str| text.replace("metadata: { name:", "metadata: { namespace: team-a, name:");
    let company = document("EntityType", "company", "{}");
    let raviga = document("Entity", "raviga", "type: { name: company }");
    assert!(load_text(&format!("{}---\n{}", in_namespace(&company), in_namespace(&raviga))).is_ok());
    let apart = format!("{company}---\n{}", in_namespace(&raviga));
    assert_eq!(codes(&apart), [("unresolved-reference", 11)]);
    // `default` is what absent means.
    let named = company.replace("metadata: { name:", "metadata: { namespace: default, name:");
    assert_eq!(codes(&format!("{company}---\n{named}")), [("duplicate", 9)]);
}

#[test]
fn messages_say_what_was_meant() {
    let text = all(&[
        ("EntityType", "company", "name: Company GmbH"),
        ("Entity", "a", "type: { name: compny }"),
        ("Entity", "b", "type: { name: Company GmbH }"),
        ("User", "u", "email: a@b\nfirstNam: x\ntimezone: Europe/Berln\npolicy: { adoption: match }"),
    ]);
    let hints: Vec<String> =
        diagnostics(&text).into_iter().filter_map(|diagnostic| diagnostic.hint).collect();
    assert_eq!(
        hints,
        [
            "did you mean company?",
            "references go by metadata.name: write company",
            "did you mean `firstName`?",
            "did you mean Europe/Berlin?",
            "did you mean Match?",
        ]
    );
    for (kind, spec, hint) in [
        ("Entity", "type: company", "write { name: company }"),
        ("User", "email: a@b\ninstanceRef: prod", "write { name: prod }"),
        ("EntityGrant", "entity: { clientId: x }\nuser: richard", "write { name: richard }"),
        ("EntityType", "permissions: [read]", "write { name: read }"),
        ("User", "email: a@b\nroles: [admin]", "roles belong to a registration"),
        ("Lambda", "type: JWTPopulate\nbodyFile: nothing.js", "relative to the manifest's own folder"),
    ] {
        let hints: Vec<String> = diagnostics(&document(kind, "x", spec))
            .into_iter()
            .filter_map(|diagnostic| diagnostic.hint)
            .collect();
        assert!(hints.iter().any(|told| told.contains(hint)), "{spec}: {hints:?}");
    }
}

#[test]
fn a_long_line_is_shown_in_part_with_its_own_column() {
    let long = format!("{{ email: a@b, firstName: {}, lstName: z }}", "x".repeat(5000));
    let found = diagnostics(&document("User", "x", &long)).remove(0);
    let place = found.place.clone().unwrap();
    assert_eq!((place.line, place.column), (5, 5030));
    let shown = found.to_string();
    assert!(shown.contains("m.yaml:5:5030\n"), "{shown}");
    assert!(shown.contains(", lstName: …") && shown.lines().all(|line| line.len() < 250), "{shown}");
}

#[test]
fn moves_lead_from_where_nothing_is() {
    let moved = |name: &str, from: &str| {
        document("User", name, &format!("username: {name}")).replace(
            &format!("{{ name: {name} }}"),
            &format!("{{ name: {name}, annotations: {{ fusionkeep.dev/moved-from: {from} }} }}"),
        )
    };
    assert!(load_text(&moved("a", "b")).is_ok());
    let still = format!("{}---\n{}", moved("a", "b"), document("User", "b", "username: b"));
    assert_eq!(codes(&still), [("moved-from", 3)]);
    let twice = format!("{}---\n{}", moved("a", "x"), moved("b", "x"));
    assert_eq!(codes(&twice), [("moved-from", 9)]);
}

#[test]
fn what_is_wrong_in_itself_is_judged_in_company_too() {
    let text = all(&[
        (
            "EntityType",
            "company",
            "name: Company\npermissions: [{ name: read }, { name: read }, {}]\nnmae: x",
        ),
        ("Entity", "a", "type: { name: compny }\nclientId: x\nparentId: x"),
        ("Entity", "b", "type: { name: company }\nclientId: x\nname: \"\""),
        ("EntityGrant", "g", "entity: { name: b }\nuser: { email: nothing }\npermissions: [reed]"),
        ("User", "u", "email: a@b\nfirstNam: x"),
        ("User", "u", "email: A@b"),
    ]);
    let found: Vec<(&str, u32)> = codes(&text);
    assert_eq!(
        found,
        [
            // Of the entity type: the permission twice, the one without a name, the unknown field.
            ("duplicate", 6),
            ("missing-field", 6),
            ("unknown-field", 7),
            ("unresolved-reference", 13),
            ("unknown-field", 15),
            ("duplicate", 22),
            ("invalid-value", 23),
            ("invalid-value", 30),
            ("unknown-field", 38),
            ("duplicate", 42),
        ],
        "{:#?}",
        diagnostics(&text)
    );
}

#[test]
fn what_is_declared_badly_is_declared() {
    let text = all(&[
        ("User", "richard", "email: nothing"),
        (
            "IdentityProviderLink",
            "l",
            "identityProvider: { name: x }\nuser: { name: richard }\nidentityProviderUserId: x",
        ),
    ]);
    assert_eq!(codes(&text), [("invalid-value", 5)]);
}

#[test]
fn one_run_has_one_target() {
    let user = |name: &str, reference: &str| {
        ("User".to_owned(), name.to_owned(), format!("username: {name}\n{reference}"))
    };
    let instance = |name: &str| {
        ("FusionAuthInstance".to_owned(), name.to_owned(), "url: https://a\nowner: a".to_owned())
    };
    let run = |documents: &[(String, String, String)], choice: &Choice<'_>| {
        let documents: Vec<(&str, &str, &str)> =
            documents.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        let mut input = load_text(&all(&documents)).unwrap();
        choose(&mut input, choice)
            .map(|chosen| {
                (
                    chosen,
                    input.objects.iter().map(|object| object.address.name.to_string()).collect::<Vec<_>>(),
                )
            })
            .map_err(|diagnostic| diagnostic.code)
    };
    let none = Choice::default();
    let server = Choice { server_given: true, instance: None };
    let named = |name| Choice { server_given: false, instance: Some(name) };
    let chosen = |instance, others| Chosen { instance, others };

    assert_eq!(run(&[user("u", "")], &none), Err("no-instance"));
    assert_eq!(run(&[user("u", "")], &server), Ok((chosen(None, 0), vec!["u".to_owned()])));
    assert_eq!(run(&[instance("a"), user("u", "")], &none), Ok((chosen(Some(0), 0), vec!["u".to_owned()])));
    let two = [
        instance("a"),
        instance("b"),
        user("u", "instanceRef: { name: a }"),
        user("v", "instanceRef: { name: b }"),
        user("w", ""),
    ];
    assert_eq!(run(&two, &none), Err("several-instances"));
    assert_eq!(run(&two, &named("c")), Err("unknown-instance"));
    assert_eq!(run(&two, &named("b")), Ok((chosen(Some(1), 1), vec!["v".to_owned(), "w".to_owned()])));
    assert_eq!(
        run(&two, &named("default/b")),
        Ok((chosen(Some(1), 1), vec!["v".to_owned(), "w".to_owned()]))
    );
    // The server is given and no instance declared: objects that name one instance are its, and of several one is
    // chosen; they are never taken for one target together.
    let one = [user("u", "instanceRef: { name: a }"), user("w", "")];
    assert_eq!(run(&one, &server), Ok((chosen(None, 0), vec!["u".to_owned(), "w".to_owned()])));
    let several =
        [user("u", "instanceRef: { name: a }"), user("v", "instanceRef: { name: b }"), user("w", "")];
    assert_eq!(run(&several, &server), Err("several-instances"));
    let chosen_server = |name| Choice { server_given: true, instance: Some(name) };
    let taken = Ok((chosen(None, 1), vec!["v".to_owned(), "w".to_owned()]));
    assert_eq!(run(&several, &chosen_server("b")), taken);
    assert_eq!(run(&several, &chosen_server("default/b")), taken);
    assert_eq!(run(&several, &chosen_server("c")), Err("unknown-instance"));
    assert_eq!(run(&[user("w", "")], &chosen_server("c")), Err("unknown-instance"));
    // Declared, they are judged as ever, and an instance gives owner and guards only.
    assert_eq!(run(&two, &server), Err("several-instances"));
    assert_eq!(
        run(&two, &chosen_server("b")),
        Ok((chosen(Some(1), 1), vec!["v".to_owned(), "w".to_owned()]))
    );
    let default = [instance("default"), instance("b"), user("u", ""), user("v", "instanceRef: { name: b }")];
    assert_eq!(run(&default, &named("default")), Ok((chosen(Some(0), 1), vec!["u".to_owned()])));
    assert_eq!(run(&default, &named("b")), Ok((chosen(Some(1), 1), vec!["v".to_owned()])));
}
