//! Files of up to 4 MiB that are made to be slow or large: each is judged within 2 s and 300 MiB, errors and all.

use std::process::Command;
use std::time::Duration;

use crate::process;

const SIZE: usize = 4 << 20;
const HEAD: &str = "apiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: { name: x }\nspec:\n";
const LONGEST: Duration = Duration::from_secs(2);
const MOST_MEMORY: f64 = 300.0;

pub fn measure() {
    println!("\n| hostile file | MB | s | CPU s | peak MiB | |\n|---|---|---|---|---|---|");
    for (name, extension, text) in files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("file.{extension}"));
        std::fs::write(&path, &text).unwrap();
        let cost =
            process::run(Command::new(env!("CARGO_BIN_EXE_fusionkeep")).arg("validate").arg("-f").arg(&path));
        assert!(!cost.stderr.contains("panicked"), "{name}: {}", cost.stderr);
        let kept = cost.time <= LONGEST && cost.peak <= MOST_MEMORY;
        println!(
            "| {name} | {:.1} | {:.2} | {:.2} | {:.0} | {} |",
            text.len() as f64 / 1e6,
            cost.time.as_secs_f64(),
            cost.processor.as_secs_f64(),
            cost.peak,
            if kept { "" } else { "EXCEEDS" }
        );
    }
}

/// `unit` as often as it fits between `begin` and `end`.
fn filled(begin: &str, unit: impl Fn(usize) -> String, end: &str) -> String {
    let mut text = begin.to_owned();
    for number in 0.. {
        let next = unit(number);
        if text.len() + next.len() + end.len() > SIZE {
            break;
        }
        text.push_str(&next);
    }
    text + end
}

fn files() -> Vec<(&'static str, &'static str, String)> {
    let data = format!("{HEAD}  email: a@b.c\n  data:\n");
    let flow = format!("{HEAD}  data: ");
    let document = |number: usize, spec: &str| {
        format!(
            "---\napiVersion: fusionkeep.dev/v1alpha1\nkind: User\nmetadata: {{ name: u{number} }}\nspec: {spec}\n"
        )
    };
    let bomb = |levels: usize| {
        let level = |number: usize| match number {
            0 => "    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
            _ => {
                format!("    a{number}: &a{number} [{}]\n", vec![format!("*a{}", number - 1); 10].join(", "))
            }
        };
        (0..levels).map(level).collect::<String>()
    };
    vec![
        ("flow nesting", "yaml", filled(&flow, |_| "[".to_owned(), "")),
        (
            "block nesting",
            "yaml",
            filled(&data, |number| format!("{}a:\n", " ".repeat(4 + number % 3_000)), ""),
        ),
        ("nested documents", "yaml", filled("", |_| format!("--- {}\n", "[".repeat(63)), "")),
        ("alias bomb", "yaml", format!("{data}{}", bomb(9))),
        ("aliases", "yaml", filled(&format!("{data}    a: &a 1\n    b: ["), |_| "*a,".to_owned(), "]\n")),
        ("anchors", "yaml", filled(&format!("{data}    b: ["), |number| format!("&a{number} 1,"), "]\n")),
        (
            "merge keys",
            "yaml",
            filled(
                &format!("{data}    a: &a {{x: 1}}\n"),
                |number| format!("    k{number}: {{<<: *a}}\n"),
                "",
            ),
        ),
        ("keys", "yaml", filled(&data, |number| format!("    k{number}: 1\n"), "")),
        ("one key, again and again", "yaml", filled(&data, |_| "    k: 1\n".to_owned(), "")),
        ("unknown fields", "yaml", filled(HEAD, |number| format!("  k{number}: 1\n"), "")),
        ("ambiguous scalars", "yaml", filled(&format!("{data}    b:\n"), |_| "    - no\n".to_owned(), "")),
        (
            "ambiguous scalars on one line",
            "yaml",
            filled(&format!("{data}    b: ["), |_| "no,".to_owned(), "]\n"),
        ),
        ("wrong items", "yaml", filled(&format!("{HEAD}  registrations: ["), |_| "1,".to_owned(), "]\n")),
        (
            "wrong registrations",
            "yaml",
            filled(&format!("{HEAD}  registrations:\n"), |_| "  - {x: 1}\n".to_owned(), ""),
        ),
        (
            "one plain scalar",
            "yaml",
            filled(&format!("{HEAD}  firstName: "), |_| "abcdefgh".to_owned(), "\n"),
        ),
        (
            "one quoted scalar with escapes",
            "yaml",
            filled(&format!("{HEAD}  firstName: \""), |_| "\\u00e9".to_owned(), "\"\n"),
        ),
        (
            "one block scalar",
            "yaml",
            filled(&format!("{HEAD}  firstName: |\n"), |_| "    x\n".to_owned(), ""),
        ),
        ("an open quote", "yaml", filled(&format!("{HEAD}  firstName: \""), |_| "a b\n".to_owned(), "")),
        ("empty documents", "yaml", filled("", |_| "---\n".to_owned(), "")),
        (
            "documents without a name",
            "yaml",
            filled("", |_| "---\nkind: User\napiVersion: fusionkeep.dev/v1alpha1\n".to_owned(), ""),
        ),
        ("the same document", "yaml", filled("", |_| document(0, "{ email: a@b.c }"), "")),
        ("documents with errors", "yaml", filled("", |number| document(number, "{ emial: no }"), "")),
        ("documents that break off", "yaml", filled("", |_| "---\na: [\n".to_owned(), "")),
        (
            "references that lead nowhere",
            "yaml",
            filled(
                "",
                |number| {
                    format!(
                        "---\napiVersion: fusionkeep.dev/v1alpha1\nkind: EntityGrant\nmetadata: {{ name: g{number} }}\nspec: {{ entity: {{ name: e{number} }}, user: {{ name: u{number} }}, permissions: [a] }}\n"
                    )
                },
                "",
            ),
        ),
        ("one e-mail many times", "yaml", filled("", |number| document(number, "{ email: a@b.c }"), "")),
        ("a List", "yaml", filled("apiVersion: v1\nkind: List\nitems:\n", |_| "- {}\n".to_owned(), "")),
        ("comments", "yaml", filled(HEAD, |_| "#\n".to_owned(), "")),
        ("blanks", "yaml", filled(HEAD, |_| " \n".to_owned(), "")),
        ("tabs", "yaml", filled(HEAD, |_| "\t".to_owned(), "")),
        ("carriage returns", "yaml", filled(HEAD, |_| "\r".to_owned(), "")),
        ("question marks", "yaml", filled("", |_| "? ".to_owned(), "")),
        ("dashes", "yaml", filled("", |_| "- ".to_owned(), "")),
        ("colons", "yaml", filled("", |_| ": ".to_owned(), "")),
        ("braces", "yaml", filled("", |_| "{}".to_owned(), "")),
        ("tags", "yaml", filled(&format!("{data}    b: ["), |_| "!x 1,".to_owned(), "]\n")),
        (
            "other alphabets on one line",
            "yaml",
            filled(&format!("{data}    b: ["), |_| "é: no,".to_owned(), "]\n"),
        ),
        ("JSON nesting", "json", filled("{\"a\":", |_| "[".to_owned(), "")),
        ("JSON keys", "json", filled("{", |number| format!("\"k{number}\":1,"), "\"z\":1}")),
        ("JSON documents", "json", filled("", |_| "{}".to_owned(), "")),
        ("JSON text", "json", filled("{\"a\":\"", |_| "\\u00e9".to_owned(), "\"}")),
    ]
}
