//! Manifests of any size.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

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

/// What reading the manifests once into types takes: the same parallel reading that plan begins with, as a process of
/// its own, the cheapest of three.
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
