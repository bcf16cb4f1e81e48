//! The YAML door: what it takes, what it refuses, and where it says so.

use fusionkeep::manifest::yaml::{Document, FaultKind, Format, read, split};
use serde_json::{Value, json};

/// Reads a whole text: for each document its value (null when it has none) and its faults with line and column.
fn documents(format: Format, text: &str) -> Vec<(Value, Vec<(FaultKind, usize)>)> {
    let parts = if format == Format::Yaml { split(text) } else { std::iter::once(0..text.len()).collect() };
    let mut documents = Vec::new();
    for part in parts {
        read(format, text, part, &mut |document: Document<'_>| {
            let value = document.tree.as_ref().map_or(Value::Null, |tree| tree.root().to_json());
            documents
                .push((value, document.faults.into_iter().map(|fault| (fault.kind, fault.at)).collect()));
        });
    }
    documents
}

fn yaml(text: &str) -> (Value, Vec<(FaultKind, usize)>) {
    let mut documents = documents(Format::Yaml, text);
    assert_eq!(documents.len(), 1, "{text:?}: {documents:?}");
    documents.remove(0)
}

fn value(text: &str) -> Value {
    let (value, faults) = yaml(text);
    assert!(faults.is_empty(), "{text:?}: {faults:?}");
    value
}

/// The only fault of a text, and its byte offset.
fn fault(text: &str) -> (FaultKind, usize) {
    let (_, mut faults) = yaml(text);
    assert_eq!(faults.len(), 1, "{text:?}: {faults:?}");
    faults.remove(0)
}

#[test]
fn scalars_are_what_every_reader_says() {
    for (text, expected) in [
        ("a: text", json!({"a": "text"})),
        ("a: 'no'", json!({"a": "no"})),
        ("a: \"1e3\"", json!({"a": "1e3"})),
        ("a: |\n  no\n", json!({"a": "no\n"})),
        ("a: |\n  no", json!({"a": "no"})),
        ("a: >-\n  no\n", json!({"a": "no"})),
        ("a: 2024-02-30", json!({"a": "2024-02-30"})),
        ("a: 2001-12-14t21:59:43.10-05:00", json!({"a": "2001-12-14t21:59:43.10-05:00"})),
        ("a: [~, null, Null, NULL, {b: }]", json!({"a": [null, null, null, null, {"b": null}]})),
        ("a:", json!({"a": null})),
        ("a: [true, True, FALSE]", json!({"a": [true, true, false]})),
        ("a: [1, -2, 0x10, 1.5]", json!({"a": [1, -2, 16, 1.5]})),
        ("2024-01-01: x", json!({"2024-01-01": "x"})),
        ("\"1\": x", json!({"1": "x"})),
        ("a: !!str 12", json!({"a": "12"})),
        ("a: !!str no", json!({"a": "no"})),
        ("a: !!int \"12\"", json!({"a": 12})),
        ("a: !!float 1", json!({"a": 1.0})),
        ("a: !!null ''", json!({"a": null})),
        ("a: !!bool 'true'", json!({"a": true})),
        ("a: !!map {b: !!seq [c]}", json!({"a": {"b": ["c"]}})),
        ("a: !<tag:yaml.org,2002:str> 5", json!({"a": "5"})),
        ("%TAG ! tag:yaml.org,2002:\n---\na: !str 5", json!({"a": "5"})),
        ("%YAML 1.2\n---\na: b", json!({"a": "b"})),
        ("\u{feff}a: b", json!({"a": "b"})),
        ("a: \"\\u00e9\\ud83d\\ude00\"", json!({"a": "é😀"})),
        ("a: x\u{a0}y", json!({"a": "x\u{a0}y"})),
        ("a: \"x\u{feff}\"", json!({"a": "x\u{feff}"})),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn ambiguous_scalars_are_faults_as_value_and_as_key() {
    for scalar in ["no", "on", "y", "0755", "0o17", "1_000", "12:30:45", "1e3", "Off", "0b1", "=", "+.5"] {
        for (text, at) in [
            (format!("data: {{x: [{scalar}]}}"), 11),
            (format!("data:\n  x: {scalar}\n"), 11),
            (format!("{scalar}: x"), 0),
            (format!("{{{scalar}: x}}"), 1),
        ] {
            let (kind, place) = fault(&text);
            assert!(matches!(kind, FaultKind::AmbiguousScalar { .. }), "{text:?}: {kind:?}");
            assert_eq!(place, at, "{text:?}");
        }
    }
    // "<<" is a merge key as key only.
    assert!(matches!(fault("a: <<").0, FaultKind::AmbiguousScalar { key: false, .. }));
}

#[test]
fn keys_are_strings() {
    for text in ["1: x", "true: x", "~: x", ": x", "1.5: x", "{null: x}", "? 5\n: x", "a: &k 1\nb: {*k : x}"]
    {
        assert_eq!(fault(text).0, FaultKind::KeyNotString, "{text:?}");
    }
    for text in ["[a]: x", "? {a: b}\n: x", "? - a\n: x"] {
        assert_eq!(fault(text).0, FaultKind::KeyNotScalar, "{text:?}");
    }
    assert_eq!(value("a: &k x\nb: {*k : 1}"), json!({"a": "x", "b": {"x": 1}}));
}

#[test]
fn duplicate_keys_are_faults_however_they_are_written() {
    for (text, at, first) in [
        ("a: 1\nb: 2\na: 3", 10, 0),
        ("{a: 1, 'a': 2}", 7, 1),
        ("x:\n  \"a\": 1\n  a: 2\n", 14, 5),
        ("a: &k a\n*k : 1", 8, 0),
        ("{<<: {a: 1}, <<: {b: 1}}", 13, 1),
        ("a: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1\nh: 1\ni: 1\nj: 1\nk: 1\nl: 1\nm: 1\nc: 2\n", 65, 10),
    ] {
        assert_eq!(fault(text), (FaultKind::DuplicateKey { first }, at), "{text:?}");
    }
    assert_eq!(yaml("{a: 1, a: 2, a: 3, b: 1, b: 2}").1.len(), 3);
    assert_eq!(value("{a: 1, A: 2}"), json!({"a": 1, "A": 2}));
}

#[test]
fn merge_keys_merge() {
    for (text, expected) in [
        ("a: &a {x: 1, w: 2}\nb: {<<: *a, w: 3}", json!({"a": {"x": 1, "w": 2}, "b": {"x": 1, "w": 3}})),
        (
            "a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*a, *b]}",
            json!({"a": {"x": 1}, "b": {"x": 2, "z": 3}, "c": {"x": 1, "z": 3}}),
        ),
        ("b: {<<: {x: 1}, w: 2}", json!({"b": {"x": 1, "w": 2}})),
        (
            "a: &a {x: 1}\nb: &b {<<: *a, w: 2}\nc: {<<: *b, z: 3}",
            json!({"a": {"x": 1}, "b": {"x": 1, "w": 2}, "c": {"x": 1, "w": 2, "z": 3}}),
        ),
        ("b: {\"<<\": {x: 1}}", json!({"b": {"<<": {"x": 1}}})),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
    for text in ["a: {<<: 1}", "a: {<<: x}", "a: {<<: ~}", "a: {<<: [1]}"] {
        assert_eq!(fault(text).0, FaultKind::MergeNotMapping, "{text:?}");
    }
}

#[test]
fn tags_other_than_the_standard_ones_are_faults() {
    for text in [
        "a: !foo 1",
        "a: !!binary aGk=",
        "a: !!python/object:x {}",
        "a: !foo [1]",
        "!foo\na: 1",
        "a: !!set {b}",
        "a: !!timestamp 2024-01-01",
        "a: ! 1",
    ] {
        assert_eq!(fault(text).0, FaultKind::UnknownTag, "{text:?}");
    }
    for text in
        ["a: !!int x", "a: !!bool 1", "a: !!null x", "a: !!map [1]", "a: !!seq {b: 1}", "a: !!int 1.5"]
    {
        assert!(matches!(fault(text).0, FaultKind::TagMismatch { .. }), "{text:?}");
    }
    assert!(matches!(fault("a: !!int 0755").0, FaultKind::AmbiguousScalar { .. }));
}

#[test]
fn anchors_and_aliases_hold_within_their_document() {
    assert_eq!(value("a: &x [1, 2]\nb: *x"), json!({"a": [1, 2], "b": [1, 2]}));
    assert_eq!(value("a: &x 1\nb: &x 2\nc: *x"), json!({"a": 1, "b": 2, "c": 2}));
    assert_eq!(fault("a: *name"), (FaultKind::UnknownAlias { known: None }, 3));
    assert_eq!(fault("a: &names 1\nb: *name").0, FaultKind::UnknownAlias { known: Some("names".to_owned()) });
    assert_eq!(fault("a: &x [*x]"), (FaultKind::AliasToItself, 7));
    assert_eq!(fault("a: &x {b: {c: *x}}").0, FaultKind::AliasToItself);
    let (_, faults) = documents(Format::Yaml, "a: &x 1\n---\nb: *x\n").remove(1);
    assert_eq!(faults.len(), 1, "anchors end with their document");
}

#[test]
fn many_aliases_are_no_bomb_and_a_bomb_is_one() {
    let mut users =
        String::from("base: &base {roles: [user, admin], data: {team: compression, level: 3}}\nitems:\n");
    for number in 0..10_000 {
        users.push_str(&format!("- {{<<: *base, email: user{number}@example.com, more: *base}}\n"));
    }
    assert!(yaml(&users).1.is_empty());
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for number in 1..20 {
        let previous = format!("*a{}, ", number - 1).repeat(9);
        laughs.push_str(&format!("a{number}: &a{number} [{previous}]\n"));
    }
    assert_eq!(fault(&laughs).0, FaultKind::Expansion);
    // The same by merge keys, by one long text and by few lines.
    let mut merges =
        format!("a: &a {{{}}}\nitems:\n", (0..5000).map(|key| format!("k{key}: 1, ")).collect::<String>());
    merges.push_str(&"- {<<: *a}\n".repeat(20_000));
    assert_eq!(fault(&merges).0, FaultKind::Expansion);
    let text = format!("a: &a \"{}\"\nitems:\n{}", "x".repeat(100_000), "- *a\n".repeat(10_000));
    assert_eq!(fault(&text).0, FaultKind::Expansion);
}

#[test]
fn sixty_four_containers_are_the_limit() {
    let flow = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(yaml(&format!("a: {}", flow(63))).1.is_empty());
    assert_eq!(fault(&format!("a: {}", flow(64))), (FaultKind::TooDeep, 66));
    let block =
        |depth: usize| (0..depth).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>();
    assert!(yaml(&block(64)).1.is_empty());
    assert_eq!(fault(&block(65)).0, FaultKind::TooDeep);
    // Aliases count with what they name.
    assert!(yaml(&format!("a: &a {}\nb: {{c: *a}}", flow(62))).1.is_empty());
    assert_eq!(fault(&format!("a: &a {}\nb: {{c: *a}}", flow(63))).0, FaultKind::TooDeep);
    for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        assert_eq!(fault(&text).0, FaultKind::TooDeep);
        let json = documents(Format::Json, &"[".repeat(100_000)).remove(0).1;
        assert_eq!(json[0].0, FaultKind::TooDeep);
    }
}

#[test]
fn numbers_that_lose_digits_are_faults() {
    assert_eq!(value("a: 9223372036854775807"), json!({"a": i64::MAX}));
    assert_eq!(value("a: 1.5e+10"), json!({"a": 1.5e10}));
    for text in
        ["a: 18446744073709551615", "a: .inf", "a: -.INF", "a: .nan", "a: 0.1234567890123456789012345"]
    {
        assert_eq!(fault(text).0, FaultKind::Unrepresentable, "{text:?}");
    }
}

#[test]
fn syntax_errors_have_a_place_and_end_at_the_next_document() {
    let read = documents(Format::Yaml, "a: [1\n---\nb: 2\n---\nc: \"x\n--- # here\nd: 4\n");
    let faults: Vec<usize> = read.iter().map(|(_, faults)| faults.len()).collect();
    assert_eq!(faults, [1, 0, 1, 0]);
    assert_eq!(read[1].0, json!({"b": 2}));
    assert_eq!(read[3].0, json!({"d": 4}));
    for text in [
        "a: b: c",
        "a: [",
        "a: {b",
        "a: 'x",
        "a:\n\tb: c",
        "a: b\n c: d\n",
        "- a\nb: c",
        "a: \"\\q\"",
        "a: @b",
        "a: `b",
        "%YAML 2.0\n---\na: b",
        "a: &",
        "{a: b}}",
        "a: |x\n",
        "key: [a, b}",
        "a: \u{0}",
        "a: \u{feff}b",
    ] {
        let (_, faults) = yaml(text);
        assert_eq!(faults.len(), 1, "{text:?}: {faults:?}");
        assert!(faults[0].0.is_fatal(), "{text:?}: {faults:?}");
    }
}

#[test]
fn a_byte_order_mark_stands_at_the_very_start_only() {
    for text in [
        "a: 1\n\u{feff}---\nb: 2\n",
        "\u{feff}\u{feff}a: 1",
        "---\na: 1\n---\n\u{feff}b: 1\n",
        "a: b\u{feff}c",
    ] {
        let faults: Vec<_> =
            documents(Format::Yaml, text).into_iter().flat_map(|(_, faults)| faults).collect();
        assert_eq!(faults.len(), 1, "{text:?}: {faults:?}");
        assert_eq!(faults[0].0, FaultKind::ByteOrderMark, "{text:?}");
    }
    let json = documents(Format::Json, "\u{feff}{}\u{feff}");
    assert_eq!(json.len(), 2);
    assert_eq!(json[1].1.len(), 1);
}

#[test]
fn json_is_strict_and_has_its_own_types() {
    let json_value = |text: &str| {
        let mut read = documents(Format::Json, text);
        assert_eq!(read.len(), 1, "{text:?}");
        let (value, faults) = read.remove(0);
        assert!(faults.is_empty(), "{text:?}: {faults:?}");
        value
    };
    assert_eq!(
        json_value(r#" {"a": [1, -2.5, 1e3, true, null, "no", "\u00e9\n"], "b": {}} "#),
        json!({"a": [1, -2.5, 1000.0, true, null, "no", "é\n"], "b": {}})
    );
    assert_eq!(documents(Format::Json, "{\"a\": 1}{\"b\": 2}\n{}").len(), 3);
    for (text, at) in [
        ("{a: 1}", 1),
        ("{\"a\": 'b'}", 6),
        ("{\"a\": 1,}", 8),
        ("[1, 2,]", 6),
        ("{\"a\" 1}", 5),
        ("{\"a\": 01}", 6),
        ("{\"a\": 1.}", 6),
        ("{\"a\": .5}", 6),
        ("{\"a\": +1}", 6),
        ("{\"a\": tru}", 6),
        ("{\"a\": trueish}", 10),
        ("{\"a\": \"x\ny\"}", 8),
        ("{\"a\": \"\\q\"}", 6),
        ("{\"a\": \"\\ud800\"}", 6),
        ("{\"a\": 1", 7),
        ("# c\n{}", 0),
        ("{\"a\": NaN}", 6),
        ("[1}", 2),
        ("{\"a\": 1]", 7),
        ("{\"a\": \"x", 6),
        ("[1 2]", 3),
        ("{\"a\":1 \"b\":2}", 7),
    ] {
        let faults: Vec<_> =
            documents(Format::Json, text).into_iter().flat_map(|(_, faults)| faults).collect();
        assert_eq!(faults.len(), 1, "{text:?}: {faults:?}");
        assert!(matches!(faults[0].0, FaultKind::Syntax { .. }), "{text:?}: {faults:?}");
        assert_eq!(faults[0].1, at, "{text:?}");
    }
    let faults = documents(Format::Json, "{\"a\": 1, \"b\": 2, \"a\": 3}").remove(0).1;
    assert_eq!(faults, [(FaultKind::DuplicateKey { first: 1 }, 17)]);
    let faults = documents(Format::Json, "{\"a\": 18446744073709551615, \"b\": 1e999}").remove(0).1;
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().all(|(kind, _)| *kind == FaultKind::Unrepresentable));
}

fn numbered(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn hostile_files_end_quickly() {
    let size = 1 << 18;
    let fill = |piece: &str| piece.repeat(size / piece.len());
    let started = std::time::Instant::now();
    for text in [
        fill("- *a\n"),
        fill("- y\n"),
        fill("a: 1\n"),
        fill("? "),
        fill("- !x a\n"),
        format!("a: {}", fill("1")),
        format!("a: \"{}", fill("\\x41")),
        format!("[{}", fill("[],")),
        fill("--- a\n"),
        fill("%TAG !a! b\n"),
        fill("{a: "),
        format!("a: |\n{}", fill("   \n")),
        fill("\r"),
        fill("&a "),
        format!("{}: x", fill("k")),
        fill("a: &a b\n"),
        format!("a: &a {{ x: 1 }}\nb: {{ {} }}", fill("<<: *a , ")),
        numbered(size / 20, |number| format!("- &b{number:06} 1\n"))
            + &numbered(size / 20, |number| format!("- *a{number:06}\n")),
    ] {
        documents(Format::Yaml, &text);
        documents(Format::Json, &text);
    }
    // Without optimisation, and beside other tests: the bound is loose, but a quadratic reader would take minutes.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// Whatever JSON says, both readers read alike.
    #[test]
    fn json_reads_as_serde_json_reads_it(text in "\\PC{0,40}", number in proptest::num::i64::ANY, float in -1e15f64..1e15) {
        let expected = json!({"text": text, "list": [number, {"float": float}], text.clone(): null});
        let written = expected.to_string();
        let read = documents(Format::Json, &written).remove(0);
        proptest::prop_assert!(read.1.is_empty(), "{:?}", read.1);
        proptest::prop_assert_eq!(read.0, expected);
    }

    /// Any text ends in documents or faults, never in a panic.
    #[test]
    fn nothing_panics(text in "[-a:{}\\[\\],&*!|>'\"%#\\\\ \n\t0-9<~\u{feff}é]{0,60}") {
        documents(Format::Yaml, &text);
        documents(Format::Json, &text);
    }
}
