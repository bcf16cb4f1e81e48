//! Live objects that are not under our ids: found by what else identifies them, and told by id.

use fusionkeep::model::Kind;
use fusionkeep::reconcile::Action;
use serde_json::{Value, json};

use super::harness::{World, object, user};

async fn existing_user(world: &World, fields: Value) -> String {
    let made = world.request("POST", "/api/user", json!({ "user": fields })).await;
    made["user"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_elses_user_is_a_conflict_that_names_the_id() {
    let world = World::new().await;
    let id = existing_user(&world, json!({"email": "richard@piedpiper.com"})).await;
    let plan = world.plan(&[user("richard", json!({"email": "Richard@piedpiper.com"}))]).await;
    assert_eq!(plan.changes, vec![]);
    assert_eq!(plan.errors.len(), 1);
    assert!(plan.errors[0].message.contains(&id), "{}", plan.errors[0].message);
}

#[tokio::test]
async fn an_equal_user_is_adopted_without_a_write() {
    let world = World::new().await;
    let id = existing_user(&world, json!({"username": "Richard", "firstName": "Richard"})).await;
    let matching = json!({"username": "richard", "firstName": "Richard", "policy": {"adoption": "Match"}});
    // The case of a username is kept, and compared.
    let plan = world.plan(&[user("richard", matching.clone())]).await;
    assert_eq!(plan.errors.len(), 1, "{plan:?}");
    let mut matching = matching;
    matching["username"] = json!("Richard");
    let plan = world.converge(&[user("richard", matching)]).await;
    assert_eq!(plan.changes[0].action, Action::Adopt);
    assert_eq!(plan.changes[0].key.id().unwrap().to_string(), id);
    assert_eq!(plan.predicted_calls(), 0);
}

#[tokio::test]
async fn many_users_are_adopted_by_pages() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(existing_user(&world, json!({"email": format!("u{number}@example.com")})).await);
    }
    let objects: Vec<_> = (0..10)
        .map(|number| {
            user(
                &format!("u{number}"),
                json!({"email": format!("u{number}@example.com"), "lastName": "New",
                "policy": {"adoption": "Override"}}),
            )
        })
        .collect();
    let plan = world.converge(&objects).await;
    assert_eq!(plan.summary().adopt, 10);
    let live = world.get(&format!("/api/user/{}", ids[7])).await;
    assert_eq!(live["user"]["lastName"], "New");
}

#[tokio::test]
async fn entities_types_and_lambdas_are_found_by_name() {
    let world = World::new().await;
    let made = world.request("POST", "/api/entity/type", json!({"entityType": {"name": "Company"}})).await;
    let type_id = made["entityType"]["id"].as_str().unwrap().to_owned();
    let body = json!({"entity": {"name": "Raviga Capital", "type": {"id": type_id}}});
    let entity = world.request("POST", "/api/entity", body).await;
    let lambda =
        json!({"lambda": {"name": "Claims", "type": "JWTPopulate", "body": "function populate() {}"}});
    let lambda = world.request("POST", "/api/lambda", lambda).await;
    let adopt = json!({"adoption": "Match"});
    let objects = [
        object(Kind::EntityType, "company", json!({"name": "Company", "policy": adopt})),
        object(
            Kind::Entity,
            "raviga",
            json!({"name": "Raviga Capital", "type": {"name": "company"}, "policy": adopt}),
        ),
        object(
            Kind::Lambda,
            "claims",
            json!({"name": "Claims", "type": "JWTPopulate",
            "body": "function populate() {}", "policy": adopt}),
        ),
    ];
    let plan = world.converge(&objects).await;
    assert_eq!((plan.summary().adopt, plan.predicted_calls()), (3, 0));
    let ids: Vec<String> = plan.changes.iter().map(|change| change.key.id().unwrap().to_string()).collect();
    for live in [&entity["entity"]["id"], &lambda["lambda"]["id"], &json!(type_id)] {
        assert!(ids.contains(&live.as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn a_write_that_meets_somebody_else_is_a_conflict_by_name() {
    let world = World::new().await;
    let objects = [user("richard", json!({"email": "richard@piedpiper.com"}))];
    let plan = world.plan(&objects).await;
    // Between plan and apply somebody else takes the address, and is deactivated.
    let id = existing_user(&world, json!({"email": "richard@piedpiper.com"})).await;
    world.request("DELETE", &format!("/api/user/{id}"), Value::Null).await;
    let outcome = world.apply(&plan).await;
    let problem = outcome.changes[0].problem.clone().unwrap();
    assert_eq!(problem.code, "adoption-conflict");
    assert!(problem.message.contains(&id) && problem.message.contains("deactivated"), "{}", problem.message);
    assert!(problem.hint.unwrap().contains("policy.adoption"));
    // Of one that is there already no policy takes over another.
    world.converge(&[user("richard", json!({"email": "richard@aviato.com"}))]).await;
    let outcome = world.apply(&world.plan(&objects).await).await;
    let problem = outcome.changes[0].problem.clone().unwrap();
    assert!(problem.message.contains(&id), "{}", problem.message);
    assert!(!problem.hint.unwrap().contains("policy.adoption"));
}

#[tokio::test]
async fn a_link_that_somebody_else_holds_is_a_conflict() {
    let world = World::new().await;
    let provider = world.identity_provider("Google Work").await;
    let other = existing_user(&world, json!({"username": "dinesh"})).await;
    let link = json!({"identityProviderLink": {"identityProviderId": provider,
        "identityProviderUserId": "42", "userId": other}});
    world.request("POST", "/api/identity-provider/link", link).await;
    let objects = [
        user("richard", json!({"username": "richard"})),
        object(
            Kind::IdentityProviderLink,
            "richard-google",
            json!({
            "identityProvider": {"id": provider}, "user": {"name": "richard"}, "identityProviderUserId": "42"}),
        ),
    ];
    let plan = world.plan(&objects).await;
    assert_eq!(plan.errors.len(), 1, "{:?}", plan.errors);
    assert!(plan.errors[0].message.contains(&other), "{}", plan.errors[0].message);
}
