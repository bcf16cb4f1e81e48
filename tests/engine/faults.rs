//! Runs under faults: what is repeated, what is recognised, what is told, and that the next run converges.

use fusionkeep::engine::apply::{Apply, Recheck, load_secrets};
use fusionkeep::engine::cancel::Cancel;
use fusionkeep::engine::error::{Error, Exit, exit_of_outcome};
use fusionkeep::engine::plan::{PlanOptions, plan};
use fusionkeep::engine::progress::Silent;
use fusionkeep::engine::session::Session;
use fusionkeep::manifest::Object;
use fusionkeep::model::Kind;
use fusionkeep::reconcile::{Outcome, Status};
use fusionkeep::sandbox::Config;
use serde_json::json;

use super::harness::{World, assert_done, connection, object, user};

/// One of every kind, and a second user.
fn estate() -> Vec<Object> {
    vec![
        object(Kind::EntityType, "company", json!({"permissions": [{"name": "read"}]})),
        object(Kind::Lambda, "claims", json!({"type": "JWTPopulate", "body": "function populate() {}"})),
        user(
            "richard",
            json!({"username": "richard", "data": {"a": 1},
            "registrations": [{"application": {"name": "Hooli Chat"}, "roles": ["user"]}]}),
        ),
        user("dinesh", json!({"username": "dinesh", "active": false})),
        object(Kind::Entity, "raviga", json!({"type": {"name": "company"}})),
        object(
            Kind::EntityGrant,
            "grant",
            json!({"entity": {"name": "raviga"}, "user": {"name": "richard"},
            "permissions": ["read"]}),
        ),
        object(
            Kind::IdentityProviderLink,
            "link",
            json!({"identityProvider": {"name": "Google Work"},
            "user": {"name": "richard"}, "identityProviderUserId": "42"}),
        ),
    ]
}

async fn world() -> World {
    let world = World::new().await;
    world.application("Hooli Chat", &["user"]).await;
    world.identity_provider("Google Work").await;
    world
}

fn statuses(outcome: &Outcome) -> Vec<(String, Status)> {
    outcome.changes.iter().map(|change| (change.address.to_string(), change.status)).collect()
}

#[tokio::test]
async fn transient_failures_of_any_kind_are_lived_through() {
    for (fault, note) in [
        ("tooManyRequests", "429"),
        ("resetBefore", "nothing was done"),
        ("resetAfter", "it was done"),
        ("truncate", "it was done and half told"),
        ("internalError", "500"),
        ("unavailable", "a proxy's page"),
        ("conflict", "409"),
    ] {
        let world = world().await;
        let made = world.plan(&estate()).await;
        world.faults(json!([{"fault": fault, "route": "/api/*", "nth": [1, 3, 5, 7, 9, 12, 15]}])).await;
        let outcome = world.apply(&made).await;
        world.faults(json!([])).await;
        assert_done(&outcome);
        assert!(outcome.calls.retries > 0, "{fault} ({note}) was never met");
        assert_eq!(outcome.calls.actual, outcome.calls.predicted, "{fault}");
        world.assert_unchanged(&estate()).await;
        let users = world.get("/api/user/search?queryString=*").await;
        assert_eq!(users["total"], 2, "{fault}: nothing twice");
    }
}

#[tokio::test]
async fn a_plan_reads_through_faults_and_never_takes_a_short_page_for_absence() {
    let world = world().await;
    world.converge(&estate()).await;
    for fault in ["shortPage", "truncate", "unavailable", "resetAfter", "internalError"] {
        world.faults(json!([{"fault": fault, "route": "/api/user/search", "nth": 1}])).await;
        world.assert_unchanged(&estate()).await;
        world.faults(json!([{"fault": fault, "route": "/api/user/search"}])).await;
        let failed = plan(world.sources(), estate(), &PlanOptions::default()).await;
        assert!(failed.is_err(), "{fault} for ever");
        world.faults(json!([])).await;
    }
}

#[tokio::test]
async fn a_failed_change_blocks_what_depends_on_it_and_nothing_else() {
    let world = world().await;
    let made = world.plan(&estate()).await;
    world
        .faults(
            json!([{"fault": "internalError", "method": "POST", "route": "/api/entity/type/{entityTypeId}"}]),
        )
        .await;
    let outcome = world.apply(&made).await;
    world.faults(json!([])).await;
    for (address, status) in statuses(&outcome) {
        let expected = match address.as_str() {
            "EntityType/company" => Status::Failed,
            "Entity/raviga" | "EntityGrant/grant" => Status::Blocked,
            _ => Status::Done,
        };
        assert_eq!(status, expected, "{address}");
    }
    assert_eq!(exit_of_outcome(&outcome), Exit::Partly);
    world.converge(&estate()).await;
    world.assert_unchanged(&estate()).await;
}

#[tokio::test]
async fn a_lost_write_is_found_told_and_repeated_once() {
    let world = world().await;
    world.converge(&estate()).await;
    let mut changed = estate();
    changed[2] = user("richard", json!({"username": "richard", "data": {"a": 2}}));
    let made = world.plan(&changed).await;
    world
        .faults(json!([{"fault": "lostWrite", "method": "PATCH", "route": "/api/user/{userId}", "nth": 1}]))
        .await;
    let outcome = world.apply(&made).await;
    world.faults(json!([])).await;
    assert_done(&outcome);
    assert!(
        outcome.changes[0].notes[0].contains("lost to a concurrent write"),
        "{:?}",
        outcome.changes[0].notes
    );
    world.assert_unchanged(&changed).await;
    // One that is always lost is told as failed.
    changed[2] = user("richard", json!({"username": "richard", "data": {"a": 3}}));
    let made = world.plan(&changed).await;
    world.faults(json!([{"fault": "lostWrite", "method": "PATCH", "route": "/api/user/{userId}"}])).await;
    let outcome = world.apply(&made).await;
    assert_eq!(outcome.changes[0].status, Status::Failed);
    assert_eq!(outcome.changes[0].problem.as_ref().unwrap().code, "lost-write");
}

#[tokio::test]
async fn of_a_new_object_only_what_was_lost_is_written_again() {
    let world = world().await;
    let (one, two) = (world.application("One", &["a"]).await, world.application("Two", &["b"]).await);
    let registration = |id: &str, role: &str| json!({"application": {"id": id}, "roles": [role]});
    let registrations = [registration(&one, "a"), registration(&two, "b")];
    let objects = [user("gavin", json!({"username": "gavin", "registrations": registrations}))];
    let made = world.plan(&objects).await;
    // The second registration, which has a call of its own.
    let route = "/api/user/registration/{userId}";
    world.faults(json!([{"fault": "lostWrite", "method": "POST", "route": route, "nth": 2}])).await;
    let outcome = world.apply(&made).await;
    world.faults(json!([])).await;
    assert_done(&outcome);
    assert!(outcome.changes[0].notes[0].contains("lost to a concurrent write"), "{outcome:?}");
    assert_eq!(outcome.calls.actual, outcome.calls.predicted + 1);
    world.assert_unchanged(&objects).await;
}

#[tokio::test]
async fn a_key_that_lacks_a_permission_stops_the_kind_by_name() {
    let world = world().await;
    let made = world.plan(&estate()).await;
    let endpoints = json!({"/api/user": ["GET"], "/api/user/registration": ["GET"], "/api/user/import": ["GET"],
        "/api/user/search": ["GET", "POST"], "/api/lambda": ["GET", "POST"], "/api/entity": ["GET", "POST"],
        "/api/entity/search": ["GET", "POST"], "/api/entity/grant": ["GET", "POST"],
        "/api/entity/type": ["GET", "POST"], "/api/identity-provider/link": ["GET", "POST"],
        "/api/system/version": ["GET"], "/api/tenant": ["GET"], "/api/application": ["GET"],
        "/api/identity-provider": ["GET"]});
    let body = json!({"apiKey": {"key": "least", "permissions": {"endpoints": endpoints}}});
    world.request("POST", "/api/api-key", body).await;
    let mut least = connection(&world.running);
    least.server.api_key = "least".into();
    least.server.wait_for_key = std::time::Duration::from_millis(10);
    let session = Session::connect(&least).await.unwrap();
    let secrets = load_secrets(&made, &world.secrets).await.unwrap();
    let apply = Apply {
        plan: &made,
        session: &session,
        secrets: &secrets,
        record: None,
        keys: None,
        progress: &Silent,
        cancel: &Cancel::default(),
        recheck: Recheck::Never,
        parallelism: 1,
        journal: None,
    };
    let outcome = apply.run().await.unwrap();
    let codes: Vec<(String, Option<&str>)> = outcome
        .changes
        .iter()
        .map(|change| {
            (change.address.to_string(), change.problem.as_ref().map(|problem| problem.code.as_str()))
        })
        .collect();
    for (address, code) in codes {
        match address.as_str() {
            "User/dinesh" => assert_eq!(code, Some("not-permitted")),
            "User/richard" => assert_eq!(code, Some("kind-stopped")),
            "EntityGrant/grant" | "IdentityProviderLink/link" => assert_eq!(code, Some("blocked")),
            _ => assert_eq!(code, None, "{address}"),
        }
    }
}

#[tokio::test]
async fn without_a_licence_the_run_stops_with_a_hint() {
    let world = World::with(Config { unlicensed: true, ..Config::default() }).await;
    let objects =
        [object(Kind::EntityType, "company", json!({})), user("richard", json!({"username": "richard"}))];
    match plan(world.sources(), objects.to_vec(), &PlanOptions::default()).await {
        Err(error) => assert!(error.hint().unwrap().contains("licence"), "{error}"),
        Ok(made) => {
            let outcome = world.apply(&made).await;
            assert!(outcome.interrupted.unwrap().contains("licence"));
        }
    }
}

#[tokio::test]
async fn an_ended_run_finishes_what_is_in_flight_and_tells_the_rest() {
    let world = world().await;
    let objects: Vec<Object> = (0..20)
        .map(|number| user(&format!("u{number}"), json!({"username": format!("u{number}")})))
        .collect();
    let made = world.plan(&objects).await;
    world.faults(json!([{"fault": "latency", "milliseconds": 300, "method": "POST"}])).await;
    let cancel = Cancel::default();
    let secrets = load_secrets(&made, &world.secrets).await.unwrap();
    let apply = Apply {
        plan: &made,
        session: &world.session,
        secrets: &secrets,
        record: None,
        keys: None,
        progress: &Silent,
        cancel: &cancel,
        recheck: Recheck::Never,
        parallelism: 4,
        journal: None,
    };
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        cancel.cancel("SIGTERM");
    };
    let (outcome, ()) = tokio::join!(apply.run(), stop);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.interrupted.as_deref(), Some("SIGTERM"));
    let (done, open) = (outcome.count(Status::Done), outcome.count(Status::NotStarted));
    assert!(done > 0 && open > 0 && done + open == 20, "{done} done, {open} not started");
    world.faults(json!([])).await;
    let users = world.get("/api/user/search?queryString=*&numberOfResults=100").await;
    assert_eq!(users["total"], done, "what is told is what was done");
    assert_eq!(exit_of_outcome(&outcome), Exit::Partly);
}

#[tokio::test]
async fn a_plan_that_is_stale_writes_nothing_and_names_the_field() {
    let world = world().await;
    world.converge(&estate()).await;
    let mut changed = estate();
    changed[2] = user("richard", json!({"username": "richard", "firstName": "Richard", "data": {"a": 2}}));
    let made = world.plan(&changed).await;
    let id = made.changes[0].key.id().unwrap();
    // A change of what the plan does not touch makes nothing stale.
    world.request("PATCH", &format!("/api/user/{id}"), json!({"user": {"lastName": "Hendricks"}})).await;
    let again = world.plan(&changed).await;
    assert_eq!(again.changes[0].fingerprint, made.changes[0].fingerprint);
    world.request("PATCH", &format!("/api/user/{id}"), json!({"user": {"firstName": "Dick"}})).await;
    match world.try_apply(&made, Recheck::Before).await {
        Err(Error::Stale(problems)) => {
            assert!(problems[0].message.contains("firstName"), "{}", problems[0].message);
        }
        other => panic!("{other:?}"),
    }
    let live = world.get(&format!("/api/user/{id}")).await;
    assert_eq!(live["user"]["data"]["a"], 1);
}

#[tokio::test]
async fn imports_in_batches_survive_a_duplicate_and_a_lost_answer() {
    for fault in [None, Some("resetAfter"), Some("internalError")] {
        let world = World::new().await;
        let objects: Vec<Object> = (0..25)
            .map(|number| user(&format!("u{number}"), json!({"email": format!("u{number}@example.com")})))
            .collect();
        let options = PlanOptions { import_batch: Some(10), ..PlanOptions::default() };
        let made = plan(world.sources(), objects.to_vec(), &options).await.unwrap();
        assert_eq!(made.predicted_calls(), 3);
        let taken = json!({"user": {"email": "u7@example.com"}});
        if fault.is_none() {
            world.request("POST", "/api/user", taken).await;
        }
        if let Some(fault) = fault {
            world.faults(json!([{"fault": fault, "route": "/api/user/import", "nth": 1}])).await;
        }
        let outcome = world.apply(&made).await;
        let failed: Vec<String> = statuses(&outcome)
            .into_iter()
            .filter(|(_, status)| *status != Status::Done)
            .map(|(address, _)| address)
            .collect();
        let expected: Vec<&str> = if fault.is_none() { vec!["User/u7"] } else { vec![] };
        assert_eq!(failed, expected, "{fault:?}");
        let total = world.get("/api/user/search?queryString=*").await["total"].clone();
        assert_eq!(total, 25, "{fault:?}");
    }
}

/// FusionAuth wants one import after the other (wire notes §4), whether they are batches or somebody inactive alone.
#[tokio::test]
async fn imports_never_run_beside_each_other() {
    const LATENCY: u64 = 60;
    let world = World::new().await;
    let person = |number: usize| {
        let spec = json!({"email": format!("u{number}@example.com"), "active": !number.is_multiple_of(5)});
        user(&format!("u{number}"), spec)
    };
    let objects: Vec<Object> = (0..20).map(person).collect();
    let options = PlanOptions { import_batch: Some(4), ..PlanOptions::default() };
    let made = plan(world.sources(), objects, &options).await.unwrap();
    let imports = made.predicted_calls();
    assert!(imports >= 5, "{imports}");
    world.faults(json!([{"fault": "latency", "milliseconds": LATENCY, "route": "/api/user/import"}])).await;
    let begun = std::time::Instant::now();
    let outcome = world.apply(&made).await;
    assert!(begun.elapsed().as_millis() >= u128::from(LATENCY) * u128::from(imports), "side by side");
    assert!(statuses(&outcome).into_iter().all(|(_, status)| status == Status::Done));
    let active = world.get("/api/user/search?queryString=*&numberOfResults=100").await;
    let active = active["users"].as_array().unwrap().iter().filter(|user| user["active"] == true).count();
    assert_eq!(active, 16, "each as it is declared");
}

#[tokio::test]
async fn server_and_tenant_are_settled_before_anything_else() {
    let old = Config { server_version: "1.44.0".parse().unwrap(), ..Config::default() };
    let running = fusionkeep::sandbox::Sandbox::start(old).unwrap();
    let error = Session::connect(&connection(&running)).await.unwrap_err();
    assert!(matches!(error, Error::OldServer(_)), "{error}");
    let world = World::new().await;
    world.request("POST", "/api/tenant", json!({"tenant": {"name": "Second"}})).await;
    let error = Session::connect(&connection(&world.running)).await.unwrap_err();
    assert!(error.to_string().contains("Second"), "{error}");
    let mut named = connection(&world.running);
    named.tenant_id = Some(uuid::Uuid::nil());
    let error = Session::connect(&named).await.unwrap_err();
    assert!(matches!(error, Error::UnknownTenant { .. }), "{error}");
    let mut wrong = connection(&world.running);
    wrong.server.base_url = format!("{}/nothing", world.running.url()).parse().unwrap();
    let error = Session::connect(&wrong).await.unwrap_err();
    assert!(!matches!(error, Error::UnknownTenant { .. }), "{error}");
}

/// The operator moves plans and runs between threads.
#[test]
fn plans_and_runs_can_be_sent() {
    fn sent<T: Send>(_: &T) {}
    fn check<'a>(world: &'a World, objects: &'a [Object], options: &'a PlanOptions, apply: Apply<'a>) {
        sent(&plan(world.sources(), objects.to_vec(), options));
        sent(&apply.run());
    }
    let _ = check;
}
