//! What is referred to and not declared: found live, or an error before anything is written.

use fusionkeep::engine::plan::{PlanOptions, plan};
use fusionkeep::engine::select::Selection;
use fusionkeep::model::Kind;
use fusionkeep::reconcile::Plan;
use fusionkeep::sandbox::Config;
use serde_json::{Value, json};

use super::harness::{World, object, user};

fn codes(plan: &Plan) -> Vec<&str> {
    plan.errors.iter().map(|problem| problem.code.as_str()).collect()
}

#[tokio::test]
async fn unknown_applications_and_roles_are_errors_with_a_suggestion() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user", "admin"]).await;
    let with = |application: &str, role: &str| {
        [user(
            "richard",
            json!({"username": "richard",
            "registrations": [{"application": {"name": application}, "roles": [role]}]}),
        )]
    };
    let plan = world.plan(&with("Holi Chat", "user")).await;
    assert_eq!(codes(&plan), ["unresolved-reference"]);
    assert_eq!(plan.errors[0].hint.as_deref(), Some("did you mean \"Hooli Chat\"?"));
    let plan = world.plan(&with("Hooli Chat", "usr")).await;
    assert_eq!(codes(&plan), ["unknown-role"]);
    assert_eq!(plan.errors[0].hint.as_deref(), Some("did you mean \"user\"?"));
}

/// A universal application and one of the tenant may share a name, and so may identity providers.
#[tokio::test]
async fn a_name_of_two_objects_is_ambiguous_and_an_id_is_not() {
    let world = World::new().await;
    let ours = world.application("Hooli Chat", &[]).await;
    let universal =
        json!({"application": {"name": "Hooli Chat", "universalConfiguration": {"universal": true}}});
    world.request("POST", "/api/application", universal).await;
    let provider = world.identity_provider("Google Work").await;
    let tenants = world.request("GET", "/api/tenant", Value::Null).await;
    let other = json!({"identityProvider": {"name": "Google Work", "type": "OpenIDConnect", "enabled": true,
        "tenantId": tenants["tenants"][0]["id"], "oauth2": {"client_id": "x", "issuer": "https://idp.example.com"}}});
    world.request("POST", "/api/identity-provider", other).await;
    let objects = |application: Value, provider: Value| {
        [
            user("richard", json!({"username": "richard", "registrations": [{"application": application}]})),
            object(
                Kind::IdentityProviderLink,
                "link",
                json!({"identityProvider": provider, "user": {"name": "richard"}, "identityProviderUserId": "42"}),
            ),
        ]
    };
    let plan = world.plan(&objects(json!({"name": "Hooli Chat"}), json!({"name": "Google Work"}))).await;
    assert_eq!(codes(&plan), ["ambiguous-reference", "ambiguous-reference"]);
    for (problem, id) in plan.errors.iter().zip([&ours, &provider]) {
        assert!(problem.message.contains(id) && problem.message.contains("2 objects"), "{problem:?}");
        assert_eq!(problem.hint.as_deref(), Some("refer to it by id"));
    }
    world.converge(&objects(json!({"id": ours}), json!({"id": provider}))).await;
}

#[tokio::test]
async fn undeclared_people_and_entities_are_looked_up() {
    let world = World::new().await;
    world.identity_provider("Google Work").await;
    for name in ["richard", "dinesh"] {
        let body = json!({"user": {"username": name, "email": format!("{name}@piedpiper.com")}});
        world.request("POST", "/api/user", body).await;
    }
    let made = world
        .request(
            "POST",
            "/api/entity/type",
            json!({"entityType": {"name": "Company",
        "permissions": [{"name": "read"}]}}),
        )
        .await;
    let body = json!({"entity": {"name": "Raviga", "clientId": "raviga-client",
        "type": {"id": made["entityType"]["id"]}}});
    world.request("POST", "/api/entity", body).await;
    let objects = [
        object(
            Kind::IdentityProviderLink,
            "one",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"email": "Richard@PiedPiper.com"}, "identityProviderUserId": "1"}),
        ),
        object(
            Kind::EntityGrant,
            "two",
            json!({"entity": {"clientId": "raviga-client"},
            "user": {"username": "dinesh"}, "permissions": ["read"]}),
        ),
    ];
    world.converge(&objects).await;
    world.assert_unchanged(&objects).await;
    let missing = [
        object(
            Kind::IdentityProviderLink,
            "one",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"email": "nobody@piedpiper.com"}, "identityProviderUserId": "1"}),
        ),
        object(
            Kind::EntityGrant,
            "two",
            json!({"entity": {"clientId": "nothing"},
            "user": {"username": "nobody"}, "permissions": ["read"]}),
        ),
        object(Kind::Entity, "three", json!({"type": {"name": "nothing"}})),
    ];
    let plan = world.plan(&missing).await;
    assert_eq!(codes(&plan), ["unresolved-reference"; 4]);
    assert_eq!(plan.changes, vec![]);
}

#[tokio::test]
async fn a_grant_names_permissions_that_its_entitys_type_has() {
    let world = World::new().await;
    let made = world
        .request(
            "POST",
            "/api/entity/type",
            json!({"entityType": {"name": "Company",
        "permissions": [{"name": "read"}]}}),
        )
        .await;
    let type_id = made["entityType"]["id"].clone();
    let grant = |permission: &str| {
        [
            object(Kind::Entity, "raviga", json!({"type": {"id": type_id}})),
            user("richard", json!({"username": "richard"})),
            object(
                Kind::EntityGrant,
                "grant",
                json!({"entity": {"name": "raviga"}, "user": {"name": "richard"},
                "permissions": [permission]}),
            ),
        ]
    };
    let plan = world.plan(&grant("reed")).await;
    assert_eq!(codes(&plan), ["unknown-permission"]);
    assert_eq!(plan.errors[0].hint.as_deref(), Some("did you mean \"read\"?"));
    world.converge(&grant("read")).await;
}

#[tokio::test]
async fn a_subset_is_planned_with_what_it_refers_to_read_and_left_alone() {
    let world = World::new().await;
    let objects = [
        object(Kind::EntityType, "company", json!({"permissions": [{"name": "read"}]})),
        object(Kind::Entity, "raviga", json!({"type": {"name": "company"}})),
        user("richard", json!({"username": "richard"})),
        object(
            Kind::EntityGrant,
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "richard"},
            "permissions": ["read"]}),
        ),
    ];
    let only = |names: &[usize]| PlanOptions {
        selection: Selection {
            targets: names.iter().map(|index| objects[*index].address.clone()).collect(),
            labels: None,
        },
        ..PlanOptions::default()
    };
    let made = plan(world.sources(), objects.to_vec(), &only(&[3])).await.unwrap();
    assert_eq!(codes(&made), ["reference-outside-selection"]);
    for selected in [vec![0, 1], vec![2], vec![3]] {
        let made = plan(world.sources(), objects.to_vec(), &only(&selected)).await.unwrap();
        assert_eq!(made.changes.len(), selected.len(), "{:?}", made.errors);
        world.apply(&made).await;
    }
    world.assert_unchanged(&objects).await;
}

#[tokio::test]
async fn a_subset_knows_what_it_refers_to_by_id() {
    let world = World::new().await;
    world.identity_provider("Google Work").await;
    let id = super::harness::id(9);
    let objects = [
        user("richard", json!({"id": id, "username": "richard"})),
        object(
            Kind::IdentityProviderLink,
            "link",
            json!({"identityProvider": {"name": "Google Work"}, "user": {"id": id}, "identityProviderUserId": "42"}),
        ),
    ];
    let selection = Selection { targets: [objects[1].address.clone()].into(), labels: None };
    let only_the_link = PlanOptions { selection, ..PlanOptions::default() };
    let made = plan(world.sources(), objects.to_vec(), &only_the_link).await.unwrap();
    assert_eq!(codes(&made), ["reference-outside-selection"]);
    world.converge(&objects[..1]).await;
    let made = plan(world.sources(), objects.to_vec(), &only_the_link).await.unwrap();
    assert_eq!((codes(&made), made.changes.len()), (vec![], 1));
    world.apply(&made).await;
    world.assert_unchanged(&objects).await;
}

#[tokio::test]
async fn pending_links_are_read_and_completed() {
    let world = World::new().await;
    let provider = world.identity_provider("Google Work").await;
    let pending = json!({"identityProviderId": provider, "identityProviderUserId": "42"});
    let made = world.request("POST", "/_sandbox/pending-links", pending).await;
    let id = made["pendingIdPLinkId"].as_str().unwrap();
    let objects = |id: &str| {
        [
            user("richard", json!({"username": "richard"})),
            object(
                Kind::IdentityProviderLink,
                "link",
                json!({"identityProvider": {"name": "Google Work"},
                "user": {"name": "richard"}, "pendingLink": {"id": id}}),
            ),
        ]
    };
    let plan = world.plan(&objects("nothing-like-it")).await;
    assert_eq!(codes(&plan), ["pending-link-expired"]);
    let old = World::with(Config { server_version: "1.45.0".parse().unwrap(), ..Config::default() }).await;
    old.identity_provider("Google Work").await;
    let plan = old.plan(&objects(id)).await;
    assert_eq!(codes(&plan), ["newer-than-server"], "it cannot be read there, which is no expiry");
    world.converge(&objects(id)).await;
    // It has been used up, and the link satisfies the declaration.
    world.assert_unchanged(&objects(id)).await;
}
