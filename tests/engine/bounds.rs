//! How many requests a plan and an apply make, as the server counts them.

use fusionkeep::engine::plan::{PlanOptions, plan};
use fusionkeep::manifest::Object;
use fusionkeep::model::Kind;
use serde_json::json;

use super::harness::{World, assert_done, object, user};

/// Users with a registration each, entities of one type, lambdas.
fn estate(users: usize, entities: usize, lambdas: usize) -> Vec<Object> {
    let mut objects = vec![object(Kind::EntityType, "company", json!({"permissions": [{"name": "read"}]}))];
    objects.extend((0..lambdas).map(|number| {
        let body = "function populate(jwt) {}";
        object(Kind::Lambda, &format!("lambda-{number}"), json!({"type": "JWTPopulate", "body": body}))
    }));
    objects.extend((0..users).map(|number| {
        user(
            &format!("user-{number}"),
            json!({"email": format!("user-{number}@example.com"),
            "data": {"number": number},
            "registrations": [{"application": {"name": "Hooli Chat"}, "roles": ["user"]}]}),
        )
    }));
    objects.extend((0..entities).map(|number| {
        object(Kind::Entity, &format!("entity-{number}"), json!({"type": {"name": "company"}}))
    }));
    objects
}

/// Creates everything, users by import, and returns the requests of a plan that changes nothing.
async fn requests_of_no_change(world: &World, objects: &[Object]) -> u64 {
    let options = PlanOptions { import_batch: Some(1000), ..PlanOptions::default() };
    let made = plan(world.sources(), objects.to_vec(), &options).await.unwrap();
    let outcome = world.apply(&made).await;
    assert_done(&outcome);
    assert_eq!(outcome.calls.actual, outcome.calls.predicted);
    world.clear_requests().await;
    let world = world.again().await;
    world.assert_unchanged(objects).await;
    // The count itself is none of the run's.
    world.requests().await
}

#[tokio::test]
async fn a_plan_of_1000_users_makes_10_requests_at_most() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    let made = requests_of_no_change(&world, &estate(1000, 100, 20)).await;
    assert!(made <= 10, "{made} requests");
}

#[tokio::test]
async fn a_plan_of_10000_users_makes_40_requests_at_most() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    let made = requests_of_no_change(&world, &estate(10_000, 1000, 100)).await;
    assert!(made <= 40, "{made} requests");
}

#[tokio::test]
async fn links_cost_a_request_a_user() {
    let world = World::new().await;
    world.identity_provider("Google Work").await;
    let mut objects = estate(500, 0, 0);
    world.application("Hooli Chat", &["user"]).await;
    objects.extend((0..1000).map(|number| {
        object(
            Kind::IdentityProviderLink,
            &format!("link-{number}"),
            json!({
            "identityProvider": {"name": "Google Work"}, "identityProviderUserId": format!("g-{number}"),
            "user": {"name": format!("user-{}", number % 500)}}),
        )
    }));
    let made = requests_of_no_change(&world, &objects).await;
    assert!(made <= 510, "{made} requests");
}

#[tokio::test]
async fn grants_cost_a_request_an_entity() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    let mut objects = estate(10, 100, 0);
    objects.extend((0..1000).map(|number| {
        object(
            Kind::EntityGrant,
            &format!("grant-{number}"),
            json!({
            "entity": {"name": format!("entity-{}", number % 100)},
            "user": {"name": format!("user-{}", number / 100)}, "permissions": ["read"]}),
        )
    }));
    let made = requests_of_no_change(&world, &objects).await;
    assert!(made <= 110, "{made} requests");
}

#[tokio::test]
async fn absent_users_are_looked_for_by_pages_and_few_by_asking() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    let objects = estate(200, 0, 0);
    world.clear_requests().await;
    let made = world.again().await.plan(&objects).await;
    assert_eq!(made.summary().create, 201);
    let requests = world.requests().await;
    assert!(requests <= 12, "{requests} requests for an empty tenant");
    world.clear_requests().await;
    world.again().await.plan(&objects[..3]).await;
    let requests = world.requests().await;
    assert!(requests <= 8, "{requests} requests for two users");
}
