//! The sandbox is a house of its own: no type and no code of the rest of the crate.

use std::path::Path;

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn imports_nothing_of_the_crate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sandbox");
    let mut found = Vec::new();
    sources(&folder, &mut found);
    assert!(found.len() > 10, "the sources were not found");
    for (path, text) in found {
        let inner = Path::new(&path).strip_prefix(&folder).unwrap();
        // Every `super` climbs one module; mod.rs stands one higher than its neighbours.
        let depth = inner.components().count() - usize::from(inner.ends_with("mod.rs"));
        let too_high = "super::".repeat(depth + 1);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with("//") {
                continue;
            }
            let outside =
                line.replace("crate::sandbox::", "").contains("crate::") || line.contains("fusionkeep::");
            let climbs = line.contains(&too_high);
            assert!(!outside && !climbs, "{path}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn every_test_that_the_fidelity_list_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("src/sandbox/FIDELITY.md")).unwrap();
    let mut named = 0;
    for text in list.split('`').skip(1).step_by(2) {
        let Some((module, test)) = text.split_once("::") else { continue };
        let path = root.join(format!("tests/sandbox/{module}.rs"));
        if let Ok(source) = std::fs::read_to_string(&path) {
            assert!(source.contains(&format!("fn {test}(")), "{text} is not there");
            named += 1;
        }
    }
    assert!(named > 80, "{named}");
}
