//! A runner dies at each write, before it is sent and after it was carried out; the next run converges to the same
//! state as an undisturbed one.

use fusionkeep::manifest::Object;
use fusionkeep::model::{Address, Kind};
use fusionkeep::reconcile::Entry;
use serde_json::json;

use super::harness::{World, object, user};
use super::owner::{Death, OwnerRuns};
use super::state::{by_name, state};

fn common(level: &str) -> Vec<Object> {
    vec![
        object(
            Kind::EntityType,
            "company",
            json!({"data": {"level": level}, "permissions": [{"name": "read"}]}),
        ),
        user(
            "kept",
            json!({"username": "kept", "firstName": level,
            "registrations": [{"application": {"name": "Hooli Chat"}, "roles": ["user"]}]}),
        ),
        object(Kind::Entity, "raviga", json!({"type": {"name": "company"}, "data": {"level": level}})),
    ]
}

/// Who is deactivated by the second state and declared again in the third.
fn earliest() -> Vec<Object> {
    let mut objects = before();
    objects.push(user("back", json!({"username": "back"})));
    objects
}

fn before() -> Vec<Object> {
    let mut objects = common("one");
    objects.extend([
        user("leaving", json!({"username": "leaving"})),
        user("purged", json!({"username": "purged", "policy": {"deletion": "Delete"}})),
        user("old-name", json!({"username": "renamed"})),
        user(
            "rotated",
            json!({"username": "rotated", "password": {"fromEnv": "FUSIONKEEP_SECRET_A", "version": 1}}),
        ),
        object(Kind::Lambda, "old", json!({"type": "JWTPopulate", "body": "function populate() {}"})),
        object(
            Kind::EntityGrant,
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "kept"},
            "permissions": ["read"], "data": {"a": 1}}),
        ),
        object(
            Kind::IdentityProviderLink,
            "unlinked",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "kept"}, "identityProviderUserId": "1"}),
        ),
        object(
            Kind::IdentityProviderLink,
            "rekeyed",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "kept"}, "identityProviderUserId": "2"}),
        ),
    ]);
    objects
}

fn after() -> Vec<Object> {
    let mut objects = common("two");
    objects.extend([
        object(Kind::EntityType, "team", json!({"permissions": [{"name": "lead"}, {"name": "join"}]})),
        object(Kind::Entity, "compression", json!({"type": {"name": "team"}})),
        object(Kind::Lambda, "new", json!({"type": "JWTPopulate", "body": "function populate() { }"})),
        user("back", json!({"username": "back", "lastName": "Again"})),
        user(
            "created",
            json!({"username": "created", "verified": true,
            "registrations": [{"application": {"name": "Hooli Chat"}}]}),
        ),
        user("inactive", json!({"username": "inactive", "active": false})),
        user(
            "adopted",
            json!({"username": "adopted", "lastName": "Ours", "policy": {"adoption": "Override"}}),
        ),
        Object {
            moved_from: Some(Address::new(Kind::User, "default", "old-name")),
            ..user("new-name", json!({"username": "renamed", "lastName": "Moved"}))
        },
        user(
            "rotated",
            json!({"username": "rotated", "password": {"fromEnv": "FUSIONKEEP_SECRET_B", "version": 2}}),
        ),
        object(
            Kind::EntityGrant,
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "kept"},
            "permissions": [], "data": {"a": 2}}),
        ),
        object(
            Kind::EntityGrant,
            "between",
            json!({"entity": {"name": "compression"},
            "recipientEntity": {"name": "raviga"}, "permissions": ["join"]}),
        ),
        object(
            Kind::IdentityProviderLink,
            "linked",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "created"}, "identityProviderUserId": "3"}),
        ),
        object(
            Kind::IdentityProviderLink,
            "rekeyed",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "kept"}, "identityProviderUserId": "4"}),
        ),
    ]);
    objects
}

/// A tenant in the first state, with one user that is nobody's yet.
async fn ready() -> (World, OwnerRuns) {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    world.identity_provider("Google Work").await;
    let runs = OwnerRuns::new();
    runs.converge(&world, &earliest()).await;
    runs.converge(&world, &before()).await;
    let id = "00000000-0000-4000-8000-00000000000a";
    world.request("POST", &format!("/api/user/{id}"), json!({"user": {"username": "adopted"}})).await;
    (world, runs)
}

/// What the record holds of each object but the ids: they depend on the tenant.
async fn entries(runs: &OwnerRuns) -> Vec<String> {
    let shown = |entry: &Entry| {
        let written: Vec<String> = entry
            .written
            .iter()
            .map(|path| path.split_once('[').map_or(path.as_str(), |at| at.0).to_owned())
            .collect();
        let secrets: Vec<_> = entry
            .secrets
            .iter()
            .map(|(name, sent)| (name, sent.version, sent.fingerprint.is_some()))
            .collect();
        format!(
            "{} {written:?} {:?} {:?}",
            entry.address,
            (entry.deletion, entry.adopted, entry.intent, entry.deactivated_by_us),
            secrets
        )
    };
    let mut all: Vec<String> = runs.entries().await.iter().map(shown).collect();
    all.sort();
    all
}

#[tokio::test]
async fn after_a_death_at_any_write_the_next_run_converges() {
    let (world, runs) = ready().await;
    let plan = runs.converge(&world, &after()).await;
    runs.assert_unchanged(&world, &after()).await;
    let undisturbed = by_name(&state(&world).await);
    let entries = entries(&runs).await;
    let writes = plan.predicted_calls();
    assert!(writes > 20, "{writes} writes");
    for number in 1..=writes {
        for death in [Death::Before(number), Death::After(number)] {
            let (world, runs) = ready().await;
            let plan = runs.plan(&world, &after(), &OwnerRuns::options()).await;
            runs.apply(&world, &plan, death).await;
            runs.converge(&world, &after()).await;
            runs.assert_unchanged(&world, &after()).await;
            assert_eq!(by_name(&state(&world).await), undisturbed, "{death:?}");
            assert_eq!(self::entries(&runs).await, entries, "{death:?}");
        }
    }
}
