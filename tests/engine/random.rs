//! Random declarations over a small world, edits of others, and random faults. All of it follows from a seed.

use fusionkeep::manifest::Object;
use fusionkeep::model::{Address, Kind};
use serde_json::{Value, json};

use super::harness::{object, user};

/// SplitMix64: the same numbers for the same seed, on every machine.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }
}

/// The user of each number and its name; the third is renamed now and then.
const USERS: u64 = 7;
const RENAMED: u64 = 3;
/// From this one on they are opened and closed by declaration, and nothing else of them changes: what is lost of a
/// change of an account that is closed at once could only be repeated by opening it again, which no run does.
const CLOSED: u64 = 6;
/// A scheme that costs a test nothing.
const QUICK: &str = "salted-md5";
/// Stands in the tenant before the first run, as somebody else's.
pub const FOREIGN: u64 = 5;

/// What an edit has to know of those before.
#[derive(Clone, Default)]
pub struct Names {
    /// Of the user who is renamed, once declared.
    renamed: Option<&'static str>,
}

impl Names {
    fn of(&self, number: u64) -> String {
        match self.renamed {
            Some(name) if number == RENAMED => name.to_owned(),
            _ => format!("user-{number}"),
        }
    }
}

/// A random declaration: what of the small world is there, and how.
pub fn manifests(random: &mut Random, names: &mut Names) -> Vec<Object> {
    let mut objects = entity_types(random);
    // The first two hand an address to each other, so they are always there.
    let users: Vec<u64> = (0..USERS).filter(|number| *number < 2 || random.chance(65)).collect();
    let holder = random.below(2);
    for number in &users {
        objects.push(person(random, names, *number, holder));
    }
    lambdas(random, &mut objects);
    let entities: Vec<u64> = (0..2).filter(|_| random.chance(70)).collect();
    for number in &entities {
        let secret = random.one_of(&["FUSIONKEEP_SECRET_A", "FUSIONKEEP_SECRET_B"]);
        let mut spec = json!({"type": {"name": "company"}, "data": {"level": random.below(3)}});
        if *number == 0 {
            spec["clientSecret"] = json!({"fromEnv": secret});
        }
        objects.push(object(Kind::Entity, &format!("entity-{number}"), spec));
    }
    for entity in &entities {
        for person in &users {
            if random.chance(30) {
                let permissions = random.one_of(&[json!([]), json!(["read"]), json!(["read", "write"])]);
                let spec = json!({"entity": {"name": format!("entity-{entity}")},
                    "user": {"name": names.of(*person)}, "permissions": permissions,
                    "data": {"level": random.below(2)}});
                objects.push(object(Kind::EntityGrant, &format!("grant-{entity}-{person}"), spec));
            }
        }
    }
    if entities.len() == 2 && random.chance(50) {
        let spec = json!({"entity": {"name": "entity-0"}, "recipientEntity": {"name": "entity-1"},
            "permissions": ["read"]});
        objects.push(object(Kind::EntityGrant, "between", spec));
    }
    for person in &users {
        if random.chance(40) {
            // One of two accounts, so that keys change.
            let spec = json!({"identityProvider": {"name": "Google Work"}, "user": {"name": names.of(*person)},
                "identityProviderUserId": format!("g-{person}-{}", random.below(2))});
            objects.push(object(Kind::IdentityProviderLink, &format!("link-{person}"), spec));
        }
    }
    objects
}

fn entity_types(random: &mut Random) -> Vec<Object> {
    let mut permissions = vec![
        json!({"name": "read", "description": format!("{}", random.below(3))}),
        json!({"name": "write", "isDefault": random.chance(50)}),
    ];
    if random.chance(50) {
        permissions.push(json!({"name": "audit"}));
    }
    let spec = json!({"data": {"level": random.below(3)}, "permissions": permissions});
    let mut objects = vec![object(Kind::EntityType, "company", spec)];
    if random.chance(50) {
        objects.push(object(Kind::EntityType, "team", json!({"permissions": [{"name": "join"}]})));
    }
    objects
}

fn lambdas(random: &mut Random, objects: &mut Vec<Object>) {
    match random.below(4) {
        0 => {}
        1 => {
            let spec = json!({"type": "JWTPopulate", "policy": {"ensure": "Absent"}});
            objects.push(object(Kind::Lambda, "claims", spec));
        }
        _ => {
            let body = format!("function populate() {{ return {}; }}", random.below(2));
            let spec = json!({"type": "JWTPopulate", "debug": random.chance(50), "body": body});
            objects.push(object(Kind::Lambda, "claims", spec));
        }
    }
}

fn person(random: &mut Random, names: &mut Names, number: u64, holder: u64) -> Object {
    if number >= CLOSED {
        let spec = json!({"username": format!("person-{number}"), "lastName": "Closed", "active": random.chance(50)});
        return user(&names.of(number), spec);
    }
    let mut spec = json!({"username": format!("person-{number}"), "data": {"level": random.below(3)}});
    if random.chance(70) {
        spec["lastName"] = json!(format!("{}", random.below(3)));
    }
    if number == holder {
        spec["email"] = json!("shared@example.com");
    }
    let mut registrations = Vec::new();
    for application in ["Hooli Chat", "Hooli Mail"] {
        if random.chance(40) {
            let roles = random.one_of(&[json!(["user"]), json!(["user", "admin"])]);
            registrations.push(json!({"application": {"name": application}, "roles": roles}));
        }
    }
    spec["registrations"] = json!(registrations);
    match random.below(8) {
        0 | 1 => spec["active"] = json!(true),
        3 => spec["verified"] = json!(true),
        4 => {
            spec["initial"] = json!({"password": {"fromEnv": "FUSIONKEEP_SECRET_A"}, "encryptionScheme": QUICK, "factor": 1})
        }
        _ => {}
    }
    let mut moved_from = None;
    match number {
        1 => {
            let version = 1 + random.below(2);
            let from = random.one_of(&["FUSIONKEEP_SECRET_A", "FUSIONKEEP_SECRET_B"]);
            spec["password"] =
                json!({"fromEnv": from, "version": version, "encryptionScheme": QUICK, "factor": 1});
            spec.as_object_mut().unwrap().remove("initial");
        }
        2 => spec["policy"] = json!({"deletion": "Orphan", "adoption": "Override"}),
        4 => spec["policy"] = json!({"deletion": "Delete"}),
        FOREIGN => spec["policy"] = json!({"adoption": "Override"}),
        RENAMED => {
            let before = names.renamed;
            let name = random.one_of(&["user-3", "renamed-3"]);
            names.renamed = Some(name);
            moved_from = before
                .filter(|before| *before != name)
                .map(|before| Address::new(Kind::User, "default", before));
        }
        _ => {}
    }
    Object { moved_from, ..user(&names.of(number), spec) }
}

/// Fault rules of a run: some at random, now and then a server that is gone from some request on.
pub fn faults(random: &mut Random) -> Value {
    let names = [
        "tooManyRequests",
        "internalError",
        "unavailable",
        "gatewayTimeout",
        "conflict",
        "resetBefore",
        "resetAfter",
        "truncate",
        "shortPage",
        "lostWrite",
        "latency",
    ];
    let mut rules = Vec::new();
    for name in names {
        if random.chance(40) {
            let mut rule =
                json!({"fault": name, "route": "/api/*", "share": random.one_of(&[0.02, 0.1, 0.3])});
            match name {
                "tooManyRequests" | "unavailable" => rule["retryAfter"] = json!(0),
                // Only an update can be lost to another.
                "lostWrite" => rule["method"] = json!("PATCH"),
                "latency" => rule["milliseconds"] = json!(3),
                // Only a search has pages.
                "shortPage" => rule["route"] = json!("*/search"),
                _ => {}
            }
            rules.push(rule);
        }
    }
    if random.chance(30) {
        let fault = random.one_of(&["resetBefore", "resetAfter", "unavailable", "internalError"]);
        rules.push(json!({"fault": fault, "route": "/api/*", "from": 5 + random.below(80)}));
    }
    Value::Array(rules)
}
