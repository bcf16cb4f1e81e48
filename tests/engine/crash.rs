//! A runner dies at each write, before it is sent and after it was carried out; the next run converges to the same
//! state as an undisturbed one.

use fusionkeep::manifest::Object;
use fusionkeep::model::{Address, Kind};
use serde_json::{Value, json};

use super::harness::{World, object, user};
use super::owner::{Death, OwnerRuns};

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

/// Everything that is live, without instants and ids that the server chose.
async fn state(world: &World) -> Value {
    let users = world.get("/api/user/search?queryString=*&numberOfResults=100").await;
    let mut all = Vec::new();
    for user in users["users"].as_array().unwrap() {
        let links =
            world.get(&format!("/api/identity-provider/link?userId={}", user["id"].as_str().unwrap())).await;
        all.push(json!({"user": user, "links": links["identityProviderLinks"]}));
    }
    let entities = world.get("/api/entity/search?queryString=*&numberOfResults=100").await;
    for entity in entities["entities"].as_array().unwrap() {
        let grants = world.get(&format!("/api/entity/{}/grant", entity["id"].as_str().unwrap())).await;
        let type_id = entity["type"]["id"].clone();
        let mut entity = entity.clone();
        for name in ["type", "clientSecret"] {
            entity.as_object_mut().unwrap().remove(name);
        }
        all.push(json!({"entity": entity, "type": type_id, "grants": grants["grants"]}));
    }
    for (path, key) in [("/api/lambda", "lambdas"), ("/api/entity/type", "entityTypes")] {
        all.extend(world.get(path).await[key].as_array().unwrap().iter().cloned());
    }
    let mut all: Vec<Value> = all.into_iter().map(plain).collect();
    all.sort_by_key(Value::to_string);
    Value::Array(all)
}

/// Without what differs from run to run: instants, and ids below the top that the server made.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let moves = |name: &str| {
                name.ends_with("Instant")
                    || matches!(name, "tenantId" | "applicationId" | "identityProviderId" | "permissions")
            };
            let kept = fields.into_iter().filter(|(name, _)| !moves(name));
            let kept = kept.filter(|(name, value)| name != "id" || is_ours(value));
            Value::Object(kept.map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        other => other,
    }
}

/// Derived ids are UUIDs of version 5.
fn is_ours(id: &Value) -> bool {
    id.as_str().and_then(|id| id.parse::<uuid::Uuid>().ok()).is_some_and(|id| id.get_version_num() == 5)
}

/// Derived ids depend on the tenant, which each sandbox chooses; names do not.
fn by_name(state: &Value) -> Value {
    fn strip(value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .filter(|(name, _)| {
                        !matches!(name.as_str(), "id" | "userId" | "clientId" | "type" | "recipientEntityId")
                    })
                    .map(|(name, value)| (name.clone(), strip(value)))
                    .collect(),
            ),
            Value::Array(items) => Value::Array(items.iter().map(strip).collect()),
            other => other.clone(),
        }
    }
    let mut state = strip(state);
    if let Value::Array(items) = &mut state {
        items.sort_by_key(Value::to_string);
    }
    state
}

#[tokio::test]
async fn after_a_death_at_any_write_the_next_run_converges() {
    let (world, runs) = ready().await;
    let plan = runs.converge(&world, &after()).await;
    runs.assert_unchanged(&world, &after()).await;
    let undisturbed = by_name(&state(&world).await);
    let entries = runs.entries().await.len();
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
            assert_eq!(runs.entries().await.len(), entries, "{death:?}");
        }
    }
}
