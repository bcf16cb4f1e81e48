//! A runner dies at each write, before it is sent and after it was carried out; the next run converges to the same
//! state as an undisturbed one.

use std::collections::BTreeSet;

use fusionkeep::manifest::Object;
use fusionkeep::model::{Address, Deletion, Kind};
use fusionkeep::reconcile::{Action, Change, Entry, Plan, Purpose, Reason};
use serde_json::json;

use super::harness::{World, object, user};
use super::owner::{Death, OwnerRuns};
use super::state::{by_name, state};

/// What changes, with parts that come, change and go.
fn common(level: &str) -> Vec<Object> {
    let first = level == "one";
    let permissions = match first {
        true => json!([{"name": "read"}, {"name": "write"}]),
        false => json!([{"name": "read", "description": "to read"}, {"name": "audit"}]),
    };
    let chat = |roles| json!({"application": {"name": "Hooli Chat"}, "roles": roles});
    let mail = json!({"application": {"name": "Hooli Mail"}, "roles": ["user"]});
    let registrations = match first {
        true => json!([chat(json!(["user"])), mail]),
        false => json!([chat(json!(["user", "admin"]))]),
    };
    let mut kept = json!({"username": "kept", "email": "kept@example.com", "firstName": level,
        "registrations": registrations});
    if !first {
        kept["verified"] = json!(true);
    }
    let secret = if first { "FUSIONKEEP_SECRET_A" } else { "FUSIONKEEP_SECRET_B" };
    let closed =
        if first { json!({"username": "closed"}) } else { json!({"username": "closed", "active": false}) };
    vec![
        object(Kind::EntityType, "company", json!({"data": {"level": level}, "permissions": permissions})),
        user("kept", kept),
        user("closed", closed),
        object(
            Kind::Entity,
            "raviga",
            json!({"type": {"name": "company"}, "data": {"level": level}, "clientSecret": {"fromEnv": secret}}),
        ),
    ]
}

/// Who is deactivated by the second state and declared again in the third.
pub fn earliest() -> Vec<Object> {
    let mut objects = before();
    objects.push(user("back", json!({"username": "back"})));
    objects
}

pub fn before() -> Vec<Object> {
    let mut objects = common("one");
    objects.extend([
        user("leaving", json!({"username": "leaving"})),
        user("purged", json!({"username": "purged", "policy": {"deletion": "Delete"}})),
        user("old-name", json!({"username": "renamed"})),
        user(
            "rotated",
            json!({"username": "rotated", "password": {"fromEnv": "FUSIONKEEP_SECRET_A", "version": 1}}),
        ),
        object(Kind::EntityType, "outdated", json!({"permissions": [{"name": "read"}]})),
        object(Kind::Entity, "sold", json!({"type": {"name": "company"}})),
        object(
            Kind::EntityGrant,
            "revoked",
            json!({"entity": {"name": "raviga"}, "user": {"name": "rotated"}, "permissions": ["read"]}),
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

pub fn after() -> Vec<Object> {
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
            ..user(
                "new-name",
                json!({"username": "renamed", "lastName": "Moved",
            "registrations": [{"application": {"name": "Hooli Mail"}}]}),
            )
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

/// So that an address is not verified from the first, and there is something to verify.
pub async fn verify_addresses(world: &World) {
    let tenant = json!({"tenant": {"emailConfiguration": {"verifyEmail": true}}});
    world.request("PATCH", &format!("/api/tenant/{}", world.session.tenant_id()), tenant).await;
}

/// A tenant in the first state, with one user that is nobody's yet.
async fn ready() -> (World, OwnerRuns) {
    let world = World::new().await;
    world.application("Hooli Chat", &["user", "admin"]).await;
    world.application("Hooli Mail", &["user"]).await;
    world.identity_provider("Google Work").await;
    verify_addresses(&world).await;
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

/// Every kind is made, changed and taken away, by every call that there is but the completion of a pending link.
pub fn assert_everything(plan: &Plan) {
    use Kind::{Entity, EntityGrant, EntityType, IdentityProviderLink, Lambda, User};
    use Purpose as P;
    let of = |wanted: &dyn Fn(&Change) -> bool| {
        plan.changes.iter().filter(|change| wanted(change)).map(Change::kind).collect::<BTreeSet<_>>()
    };
    let all = BTreeSet::from([EntityType, Lambda, User, Entity, EntityGrant, IdentityProviderLink]);
    let with = |action: Action| of(&|change| change.action == action);
    assert_eq!(with(Action::Create), all);
    assert_eq!(with(Action::Delete), all);
    // A lambda's body is in a call of the same kind as an entity's data; what cannot change is the other two's key.
    assert_eq!(
        with(Action::Update),
        BTreeSet::from([EntityType, User, Entity, EntityGrant, IdentityProviderLink])
    );
    assert_eq!(with(Action::Adopt), BTreeSet::from([User]));
    let soft = of(&|change| change.deletion == Some(Deletion::Deactivate));
    let hard = of(&|change| change.kind() == User && change.deletion == Some(Deletion::Delete));
    assert_eq!((soft.len(), hard.len()), (1, 1));
    assert!(plan.changes.iter().any(|change| change.reason == Reason::DeclaredAgain), "reactivated");
    assert!(
        plan.changes.iter().any(|change| change.notes.iter().any(|note| note.contains("old-name"))),
        "moved"
    );
    let secrets =
        plan.changes.iter().flat_map(|change| &change.calls).filter(|call| !call.secrets.is_empty());
    assert_eq!(secrets.count(), 2, "a password and a client secret");
    let purposes =
        plan.changes.iter().flat_map(|change| &change.calls).map(|call| format!("{:?}", call.purpose));
    let expected = [
        P::Create,
        P::Import,
        P::Update,
        P::Reactivate,
        P::Deactivate,
        P::Delete,
        P::CreatePart,
        P::UpdatePart,
        P::DeletePart,
        P::Verify,
        P::Grant,
        P::Link,
        P::Unlink,
    ];
    let expected: BTreeSet<String> = expected.iter().map(|purpose| format!("{purpose:?}")).collect();
    assert_eq!(purposes.collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn after_a_death_at_any_write_the_next_run_converges() {
    let (world, runs) = ready().await;
    let plan = runs.converge(&world, &after()).await;
    runs.assert_unchanged(&world, &after()).await;
    let undisturbed = by_name(&state(&world).await);
    let entries = entries(&runs).await;
    assert_everything(&plan);
    let writes = plan.predicted_calls();
    assert!(writes > 30, "{writes} writes");
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
