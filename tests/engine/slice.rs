//! Every kind once around: create, no change, change, delete.

use fusionkeep::model::Kind;
use fusionkeep::reconcile::Action;
use serde_json::json;

use super::harness::{World, object, user};

#[tokio::test]
async fn a_user_is_created_once_and_then_unchanged() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user", "admin"]).await;
    let richard = |first: &str, roles: &[&str]| {
        user(
            "richard",
            json!({
                "email": "Richard@PiedPiper.com", "firstName": first, "data": {"team": "compression"},
                "registrations": [{"application": {"name": "Hooli Chat"}, "roles": roles}],
                "initial": {"password": {"fromEnv": "FUSIONKEEP_SECRET_R"}, "passwordChangeRequired": true},
            }),
        )
    };
    let first = [richard("Richard", &["user"])];
    let plan = world.converge(&first).await;
    assert_eq!(plan.summary().create, 1);
    world.assert_unchanged(&first).await;
    let second = [richard("Dick", &["user", "admin"])];
    let plan = world.converge(&second).await;
    assert_eq!(plan.changes[0].action, Action::Update);
    world.assert_unchanged(&second).await;
}

#[tokio::test]
async fn every_kind_goes_once_around() {
    let world = World::new().await;
    world.identity_provider("Google Work").await;
    let objects = |level: &str| {
        vec![
            object(
                Kind::EntityType,
                "company",
                json!({"name": "Company", "data": {"level": level},
                "permissions": [{"name": "read", "isDefault": true}, {"name": "write", "description": level}]}),
            ),
            object(
                Kind::Lambda,
                "claims",
                json!({"name": "Claims", "type": "JWTPopulate",
                "body": format!("function populate(jwt) {{ jwt.level = '{level}'; }}")}),
            ),
            user("richard", json!({"username": "richard", "lastName": level, "verified": true})),
            object(
                Kind::Entity,
                "raviga",
                json!({"name": "Raviga", "type": {"name": "company"},
                "clientSecret": {"fromEnv": "FUSIONKEEP_SECRET_E"}, "data": {"level": level}}),
            ),
            object(
                Kind::EntityGrant,
                "richard-raviga",
                json!({"entity": {"name": "raviga"},
                "user": {"name": "richard"}, "permissions": ["write", "read"], "data": {"level": level}}),
            ),
            object(
                Kind::IdentityProviderLink,
                "richard-google",
                json!({
                "identityProvider": {"name": "Google Work"}, "user": {"name": "richard"},
                "identityProviderUserId": "1076915", "initial": {"displayName": "R"}}),
            ),
        ]
    };
    let plan = world.converge(&objects("one")).await;
    assert_eq!(plan.summary().create, 6);
    world.assert_unchanged(&objects("one")).await;
    let plan = world.converge(&objects("two")).await;
    assert_eq!(plan.summary().update, 5, "a link has nothing to change");
    world.assert_unchanged(&objects("two")).await;
}
