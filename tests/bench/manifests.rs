//! Manifests of any size.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fusionkeep::model::{EntitySpec, EntityTypeSpec, LambdaSpec, UserSpec};
use serde::Deserialize;

use crate::process::{self, Cost};

const HEAD: &str = "apiVersion: fusionkeep.dev/v1alpha1\n";

fn user(number: usize, first_name: &str) -> String {
    format!(
        "---\n{HEAD}kind: User\nmetadata:\n  name: user-{number}\nspec:\n  email: user-{number}@example.com\n  \
         firstName: {first_name}\n  lastName: Number {number}\n  preferredLanguages: [en_US, fr]\n  timezone: \
         America/Denver\n  data:\n    team: compression\n    seat: {number}\n    badges: [one, two]\n  registrations:\n    \
         - application: {{ name: Bench }}\n      roles: [user]\n      data: {{ plan: free }}\n"
    )
}

/// Writes the manifests; `variant` is the first name of one user in a hundred. Returns their bytes.
pub fn write(folder: &Path, users: usize, variant: &str) -> usize {
    std::fs::create_dir_all(folder).unwrap();
    let mut text = String::new();
    for number in 0..users {
        text.push_str(&user(number, if number % 100 == 0 { variant } else { "Somebody" }));
    }
    let mut others = format!(
        "{HEAD}kind: EntityType\nmetadata: {{ name: device }}\nspec:\n  permissions: [{{ name: read }}, {{ name: write }}]\n"
    );
    for number in 0..users / 10 {
        let _ = write!(
            others,
            "---\n{HEAD}kind: Entity\nmetadata: {{ name: device-{number} }}\nspec:\n  type: {{ name: device }}\n  data: {{ serial: \"{number}\" }}\n"
        );
    }
    for number in 0..users / 100 {
        let _ = write!(
            others,
            "---\n{HEAD}kind: Lambda\nmetadata: {{ name: claims-{number} }}\nspec:\n  type: JWTPopulate\n  body: |\n    \
             function populate(jwt, user, registration) {{\n      jwt.number = {number};\n    }}\n"
        );
    }
    std::fs::write(folder.join("users.yaml"), &text).unwrap();
    std::fs::write(folder.join("others.yaml"), &others).unwrap();
    text.len() + others.len()
}

/// A manifest's spec, and nothing around it.
#[derive(Deserialize)]
#[serde(tag = "kind", content = "spec")]
#[allow(dead_code)]
enum Manifest {
    EntityType(Box<EntityTypeSpec>),
    Entity(Box<EntitySpec>),
    Lambda(Box<LambdaSpec>),
    User(Box<UserSpec>),
}

/// What the library takes to read the manifests once into types, on one thread, with nothing judged or resolved; the
/// quickest of three.
pub fn bare_reading(folder: &Path) -> Duration {
    let read = || {
        // Its budget is for input of strangers.
        let options = serde_saphyr::options! { budget: None };
        let start = Instant::now();
        for name in ["others.yaml", "users.yaml"] {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let manifests: Vec<Manifest> =
                serde_saphyr::from_multiple_with_options(&text, options.clone()).unwrap();
            std::hint::black_box(manifests);
        }
        start.elapsed()
    };
    (0..3).map(|_| read()).min().unwrap()
}

/// What `validate` takes: the same parallel reading and judging that plan begins with, as a process of its own, the
/// quickest of three.
pub fn reading(folder: &Path) -> Cost {
    let read = || {
        let cost = process::run(
            Command::new(env!("CARGO_BIN_EXE_fusionkeep")).arg("validate").arg("-f").arg(folder),
        );
        assert!(cost.success, "the manifests are valid: {}", cost.stderr);
        cost
    };
    read();
    (0..3).map(|_| read()).min_by_key(|cost| cost.time).unwrap()
}
