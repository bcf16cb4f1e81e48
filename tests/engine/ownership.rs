//! What a record makes possible: removal of what is no longer declared, pruning, renaming, rotation.

use fusionkeep::engine::plan::PlanOptions;
use fusionkeep::manifest::Object;
use fusionkeep::model::{Address, Kind};
use fusionkeep::reconcile::Action;
use serde_json::json;

use super::harness::{World, object, user};
use super::owner::{Death, OwnerRuns};

#[tokio::test]
async fn what_we_wrote_and_no_longer_declare_goes_and_what_others_set_stays() {
    let world = World::new().await;
    let runs = OwnerRuns::new();
    let first = [user(
        "richard",
        json!({"username": "richard", "firstName": "Richard", "lastName": "Hendricks",
        "data": {"ours": 1, "also": 2}}),
    )];
    let made = runs.converge(&world, &first).await;
    let path = format!("/api/user/{}", made.changes[0].key.id().unwrap());
    world.request("PATCH", &path, json!({"user": {"data": {"theirs": 3}, "mobilePhone": "1"}})).await;
    runs.assert_unchanged(&world, &first).await;
    let second =
        [user("richard", json!({"username": "richard", "lastName": "Hendricks", "data": {"ours": 1}}))];
    runs.converge(&world, &second).await;
    let live = world.get(&path).await;
    assert_eq!(live["user"]["data"], json!({"ours": 1, "theirs": 3}));
    assert_eq!(live["user"]["mobilePhone"], "1");
    assert_eq!(live["user"].get("firstName"), None);
    runs.assert_unchanged(&world, &second).await;
}

#[tokio::test]
async fn what_is_no_longer_declared_waits_for_prune() {
    let world = World::new().await;
    let runs = OwnerRuns::new();
    let both =
        [user("richard", json!({"username": "richard"})), user("dinesh", json!({"username": "dinesh"}))];
    let made = runs.converge(&world, &both).await;
    let dinesh =
        made.changes.iter().find(|change| &*change.address.name == "dinesh").unwrap().key.id().unwrap();
    let cautious = PlanOptions { prune: false, ..OwnerRuns::options() };
    let plan = runs.plan(&world, &both[..1], &cautious).await;
    assert_eq!((plan.changes.len(), plan.withheld.len()), (0, 1));
    let plan = runs.converge(&world, &both[..1]).await;
    assert_eq!(plan.changes[0].action, Action::Delete);
    let live = world.get(&format!("/api/user/{dinesh}")).await;
    assert_eq!(live["user"]["active"], false, "people are deactivated, not deleted");
    // Declared again, the same person is reactivated.
    runs.converge(&world, &both).await;
    assert_eq!(world.get(&format!("/api/user/{dinesh}")).await["user"]["active"], true);
    runs.assert_unchanged(&world, &both).await;
}

#[tokio::test]
async fn a_renamed_object_keeps_its_id() {
    let world = World::new().await;
    let runs = OwnerRuns::new();
    let made = runs.converge(&world, &[user("richard", json!({"username": "richard"}))]).await;
    let renamed = Object {
        moved_from: Some(Address::new(Kind::User, "default", "richard")),
        ..user("hendricks", json!({"username": "richard"}))
    };
    runs.converge(&world, std::slice::from_ref(&renamed)).await;
    let entries = runs.entries().await;
    let entry = entries.by_address(&renamed.address).unwrap();
    assert_eq!(entry.key, made.changes[0].key);
    assert_eq!(entries.len(), 1);
    // The annotation may go once the record knows the new name.
    runs.assert_unchanged(&world, &[user("hendricks", json!({"username": "richard"}))]).await;
}

#[tokio::test]
async fn an_enforced_password_is_sent_when_it_changes_and_never_else() {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    let runs = OwnerRuns::new();
    let with = |variable: &str| {
        [user(
            "richard",
            json!({"username": "richard", "password": {"fromEnv": variable},
            "registrations": [{"application": {"name": "Hooli Chat"}}]}),
        )]
    };
    runs.converge(&world, &with("FUSIONKEEP_SECRET_ONE")).await;
    runs.assert_unchanged(&world, &with("FUSIONKEEP_SECRET_ONE")).await;
    let plan = runs.converge(&world, &with("FUSIONKEEP_SECRET_TWO")).await;
    assert_eq!(*plan.changes[0].fields[0].path, *"password");
    runs.assert_unchanged(&world, &with("FUSIONKEEP_SECRET_TWO")).await;
    let applications = world.get("/api/application").await;
    let application = applications["applications"]
        .as_array()
        .unwrap()
        .iter()
        .find(|application| application["name"] == "Hooli Chat")
        .unwrap()["id"]
        .clone();
    let login = json!({"loginId": "richard", "password": "value of FUSIONKEEP_SECRET_TWO",
        "applicationId": application});
    world.request("POST", "/api/login", login).await;
    let entries = format!("{:?}", runs.entries().await);
    assert!(!entries.contains("value of"), "no value stands in the record");
}

#[tokio::test]
async fn a_client_secret_that_was_changed_by_hand_is_drift() {
    let world = World::new().await;
    let objects = [
        object(Kind::EntityType, "company", json!({})),
        object(
            Kind::Entity,
            "raviga",
            json!({"type": {"name": "company"},
            "clientSecret": {"fromEnv": "FUSIONKEEP_SECRET_C"}}),
        ),
    ];
    let made = world.converge(&objects).await;
    world.assert_unchanged(&objects).await;
    let path = format!("/api/entity/{}", made.changes[1].key.id().unwrap());
    world.request("PATCH", &path, json!({"entity": {"clientSecret": "by hand"}})).await;
    let plan = world.plan(&objects).await;
    let shown = serde_json::to_string(&plan).unwrap();
    assert!(shown.contains("clientSecret") && !shown.contains("by hand") && !shown.contains("value of"));
    world.apply(&plan).await;
    assert_eq!(world.get(&path).await["entity"]["clientSecret"], "value of FUSIONKEEP_SECRET_C");
    world.assert_unchanged(&objects).await;
}

#[tokio::test]
async fn a_lost_record_is_refused() {
    let world = World::new().await;
    let objects = [user("richard", json!({"username": "richard"}))];
    OwnerRuns::new().converge(&world, &objects).await;
    let runs = OwnerRuns::new();
    let loaded = fusionkeep::engine::record::Loaded::default();
    let sources =
        fusionkeep::engine::plan::Sources { record: Some((&loaded, &runs.record)), ..world.sources() };
    let lost = fusionkeep::engine::plan::plan(sources, objects.to_vec(), &OwnerRuns::options()).await;
    assert!(lost.unwrap_err().to_string().contains("the record is lost"));
}

#[tokio::test]
async fn everything_an_owner_holds_can_be_destroyed() {
    let world = World::new().await;
    let runs = OwnerRuns::new();
    let objects = [
        object(Kind::EntityType, "company", json!({"permissions": [{"name": "read"}]})),
        object(Kind::Entity, "raviga", json!({"type": {"name": "company"}})),
        user("richard", json!({"username": "richard"})),
        object(
            Kind::EntityGrant,
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "richard"}}),
        ),
    ];
    runs.converge(&world, &objects).await;
    let options = PlanOptions { destroy: true, ..OwnerRuns::options() };
    let plan = runs.plan(&world, &[], &options).await;
    assert_eq!(plan.summary().delete, 4, "{:?}", plan.errors);
    let outcome = runs.apply(&world, &plan, super::owner::Death::Never).await;
    super::harness::assert_done(&outcome);
    let owned = runs.entries().await;
    assert_eq!(owned.iter().filter(|entry| entry.counts_as_owned()).count(), 0);
}

#[tokio::test]
async fn tombstones_delete_what_is_ours_and_nothing_else() {
    let world = World::new().await;
    world.identity_provider("Google Work").await;
    let runs = OwnerRuns::new();
    let body = json!({"user": {"username": "dinesh"}});
    let dinesh = world.request("POST", "/api/user", body).await["user"]["id"].as_str().unwrap().to_owned();
    let link = |policy: serde_json::Value| {
        object(
            Kind::IdentityProviderLink,
            "link",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"username": "dinesh"}, "identityProviderUserId": "1", "policy": policy}),
        )
    };
    let gone = json!({"ensure": "Absent"});
    let somebody_elses = user("dinesh", json!({"username": "dinesh", "policy": gone}));
    runs.converge(&world, &[link(json!({}))]).await;
    let plan = runs.converge(&world, &[link(gone.clone()), somebody_elses]).await;
    assert_eq!(plan.summary().delete, 1);
    assert_eq!(world.get(&format!("/api/user/{dinesh}")).await["user"]["active"], true);
    runs.converge(&world, &[link(json!({}))]).await;
    // Who held the link is gone, and the link with them: the tombstone has nothing left to do.
    world.request("DELETE", &format!("/api/user/{dinesh}?hardDelete=true"), serde_json::Value::Null).await;
    runs.converge(&world, &[link(gone.clone())]).await;
    assert_eq!(runs.entries().await.len(), 0);
    runs.assert_unchanged(&world, &[link(gone)]).await;
}

#[tokio::test]
async fn what_is_not_selected_is_never_pruned() {
    let world = World::new().await;
    let runs = OwnerRuns::new();
    let both =
        [user("richard", json!({"username": "richard"})), user("dinesh", json!({"username": "dinesh"}))];
    runs.converge(&world, &both).await;
    let only = |targets: &[usize]| PlanOptions {
        selection: fusionkeep::engine::select::Selection {
            targets: targets.iter().map(|index| both[*index].address.clone()).collect(),
            labels: None,
        },
        ..OwnerRuns::options()
    };
    let plan = runs.plan(&world, &both[..1], &only(&[0])).await;
    assert_eq!((plan.changes.len(), plan.withheld.len()), (0, 0));
    let plan = runs.plan(&world, &both[..1], &only(&[1])).await;
    assert_eq!(plan.summary().delete, 1, "--prune goes with --target");
    let labels = fusionkeep::engine::select::Selection {
        labels: Some("team=a".parse().unwrap()),
        ..Default::default()
    };
    let options = PlanOptions { selection: labels, ..OwnerRuns::options() };
    let plan = runs.plan(&world, &[], &options).await;
    assert_eq!(plan.changes, vec![], "and never with labels");
}

#[tokio::test]
async fn what_somebody_else_deleted_first_is_deleted() {
    let world = World::new().await;
    let runs = OwnerRuns::new();
    let provider = world.identity_provider("Google Work").await;
    let objects = [
        object(Kind::Lambda, "claims", json!({"type": "JWTPopulate", "body": "function populate() {}"})),
        user("richard", json!({"username": "richard", "policy": {"deletion": "Delete"}})),
        user("dinesh", json!({"username": "dinesh"})),
        object(
            Kind::IdentityProviderLink,
            "link",
            json!({"identityProvider": {"id": provider}, "user": {"name": "dinesh"},
            "identityProviderUserId": "42"}),
        ),
    ];
    let made = runs.converge(&world, &objects).await;
    let plan = runs.plan(&world, &objects[2..3], &OwnerRuns::options()).await;
    assert_eq!(plan.changes.len(), 3);
    let id = |name: &str| {
        made.changes.iter().find(|change| &*change.address.name == name).and_then(|change| change.key.id())
    };
    let link = format!(
        "/api/identity-provider/link?identityProviderId={provider}&identityProviderUserId=42&userId={}",
        id("dinesh").unwrap()
    );
    let paths = [
        format!("/api/lambda/{}", id("claims").unwrap()),
        format!("/api/user/{}?hardDelete=true", id("richard").unwrap()),
        link,
    ];
    for path in paths {
        world.request("DELETE", &path, serde_json::Value::Null).await;
    }
    let outcome = runs.apply(&world, &plan, Death::Never).await;
    super::harness::assert_done(&outcome);
    assert_eq!(outcome.calls.actual, outcome.calls.predicted);
    runs.assert_unchanged(&world, &objects[2..3]).await;
    assert_eq!(runs.entries().await.iter().count(), 1);
}
