//! Whole plans: order, unique values, risks, guards, bulk creation.

use fusionkeep::model::{Deletion, Guards, Kind, NonNull, NumberOrPercent};
use fusionkeep::reconcile::{
    Action, Desired, FUSIONAUTH_APPLICATION, Facts, KeyReference, Limits, ObjectRef, Plan, PlanContext,
    Reason, RecipientReference, Risk, assess, bulk_create, deletions, guard, import_group, is_batchable,
    needs,
};
use serde_json::{Value, json};

use super::run::{Record, apply, context, id_of, plan};
use super::server::Server;
use super::worlds::{APPLICATIONS, PROVIDER, address, bare};

fn declared(kind: Kind, name: &str, fields: Value) -> Desired {
    Desired { fields: fields.as_object().unwrap().clone(), ..bare(kind, name) }
}

fn user(name: &str, email: &str) -> Desired {
    declared(Kind::User, name, json!({ "email": email }))
}

fn entity(name: &str) -> Desired {
    Desired {
        entity_type: Some(ObjectRef::Declared(address(Kind::EntityType, "t"))),
        ..declared(Kind::Entity, name, json!({ "name": name }))
    }
}

fn grant(name: &str, entity: &str, user: &str) -> Desired {
    let entity = ObjectRef::Declared(address(Kind::Entity, entity));
    let recipient = RecipientReference::User(ObjectRef::Declared(address(Kind::User, user)));
    let fields = json!({"permissions": ["read"]});
    Desired { key: KeyReference::Grant { entity, recipient }, ..declared(Kind::EntityGrant, name, fields) }
}

fn link(name: &str, account: &str, user: &str) -> Desired {
    let key = KeyReference::Link {
        identity_provider: PROVIDER,
        identity_provider_user_id: Some(account.into()),
        user: ObjectRef::Declared(address(Kind::User, user)),
    };
    Desired { key, ..bare(Kind::IdentityProviderLink, name) }
}

fn entity_type(permissions: &[&str]) -> Desired {
    let mut desired = declared(Kind::EntityType, "t", json!({"name": "t"}));
    desired.parts = Some(permissions.iter().map(|name| ((*name).to_owned(), Default::default())).collect());
    desired
}

/// A server and a record that hold what is declared.
fn applied(declared: &[Desired]) -> (Server, Record) {
    let (mut server, mut record) = (Server::default(), Record::new());
    let planned = plan(&server, &record, declared, &context());
    apply(&mut server, &mut record, &planned);
    (server, record)
}

fn order(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(|change| change.address.to_string()).collect()
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.errors.iter().map(|problem| problem.code.as_str()).collect()
}

#[test]
fn what_is_referred_to_stands_first_and_goes_last() {
    let all =
        [grant("g", "e", "u"), link("l", "x", "u"), entity("e"), user("u", "u@x.de"), entity_type(&["read"])];
    let planned = plan(&Server::default(), &Record::new(), &all, &context());
    assert_eq!(
        order(&planned),
        ["EntityType/t", "User/u", "Entity/e", "EntityGrant/g", "IdentityProviderLink/l"]
    );
    let (server, record) = applied(&all);
    let planned = plan(&server, &record, &[], &context());
    assert_eq!(
        order(&planned),
        ["EntityGrant/g", "IdentityProviderLink/l", "User/u", "Entity/e", "EntityType/t"]
    );
    let of_type = planned.changes.last().unwrap();
    assert_eq!(of_type.depends_on, [address(Kind::Entity, "e")]);
}

#[test]
fn a_grant_waits_for_a_permission_of_a_type_it_does_not_name() {
    let (server, record) = applied(&[entity_type(&["write"]), entity("e"), user("u", "u@x.de")]);
    let all = [entity_type(&["write", "read"]), entity("e"), user("u", "u@x.de"), grant("g", "e", "u")];
    let planned = plan(&server, &record, &all, &context());
    assert_eq!(order(&planned), ["EntityType/t", "EntityGrant/g"]);
    assert_eq!(planned.changes[1].depends_on, [address(Kind::EntityType, "t")]);
}

#[test]
fn unique_values_change_hands_in_order() {
    let (mut server, mut record) = applied(&[user("b", "one@x.de"), user("c", "two@x.de")]);
    let all = [user("a", "one@x.de"), user("b", "Two@x.de"), user("c", "three@x.de")];
    let planned = plan(&server, &record, &all, &context());
    assert_eq!(order(&planned), ["User/c", "User/b", "User/a"]);
    apply(&mut server, &mut record, &planned);

    let swapped = [user("a", "three@x.de"), user("b", "two@x.de"), user("c", "one@x.de")];
    let planned = plan(&server, &record, &swapped, &context());
    assert_eq!(codes(&planned), ["unique-value-cycle"]);
    assert!(planned.errors[0].message.starts_with("User/a, User/c wait"), "{}", planned.errors[0].message);
}

#[test]
fn a_link_and_a_grant_are_handed_over() {
    let base = [entity_type(&["read"]), entity("e"), user("u", "u@x.de"), user("v", "v@x.de")];
    let with = |more: [Desired; 2]| [base.as_slice(), more.as_slice()].concat();
    let (mut server, mut record) = applied(&with([link("l", "x", "u"), grant("g", "e", "u")]));
    let all = [
        base.as_slice(),
        &[link("a", "x", "v"), link("l", "y", "u"), grant("f", "e", "u"), grant("g", "e", "v")],
    ]
    .concat();
    let planned = plan(&server, &record, &all, &context());
    apply(&mut server, &mut record, &planned);
    assert!(
        order(&planned).iter().position(|name| name == "EntityGrant/g")
            < order(&planned).iter().position(|name| name == "EntityGrant/f")
    );
    assert_eq!(record.len(), all.len());
}

#[test]
fn a_rename_without_its_annotation_is_an_error_that_names_it() {
    let (server, record) = applied(&[user("old", "a@x.de")]);
    for prune in [true, false] {
        let context = PlanContext { prune, ..context() };
        let planned = plan(&server, &record, &[user("new", "a@x.de")], &context);
        assert_eq!(codes(&planned), ["natural-key-in-use"], "prune: {prune}");
        let hint = planned.errors[0].hint.as_deref().unwrap();
        assert!(hint.contains("fusionkeep.dev/moved-from: old"), "{hint}");
    }
    let moved = Desired { moved_from: Some(address(Kind::User, "old")), ..user("new", "a@x.de") };
    let planned = plan(&server, &record, std::slice::from_ref(&moved), &context());
    let [change] = planned.changes.as_slice() else { panic!("{planned:#?}") };
    assert_eq!((change.reason, change.calls.len()), (Reason::Renamed, 0));
    let (mut server, mut record) = (server, record);
    apply(&mut server, &mut record, &planned);
    assert_eq!(record.keys().collect::<Vec<_>>(), [&moved.address]);
    assert_eq!(record[&moved.address].key.id(), Some(id_of(&address(Kind::User, "old"))));
    assert!(plan(&server, &record, &[moved], &context()).changes.is_empty());
}

#[test]
fn one_live_object_under_two_addresses_is_an_error() {
    let twice = |name| Desired {
        explicit_id: true,
        key: KeyReference::Id(uuid::Uuid::from_u128(5)),
        ..user(name, &format!("{name}@x.de"))
    };
    let planned = plan(&Server::default(), &Record::new(), &[twice("a"), twice("b")], &context());
    // The helper resolves keys by declaration, so both stand under the declared id.
    assert_eq!(codes(&planned), ["two-addresses"]);
    assert!(planned.errors[0].message.contains("User/a and User/b"));
}

#[test]
fn what_refers_to_something_suspended_must_find_it_there() {
    let suspended = Desired { suspended: true, ..user("u", "u@x.de") };
    let all = [suspended, link("l", "x", "u")];
    let planned = plan(&Server::default(), &Record::new(), &all, &context());
    assert_eq!(codes(&planned), ["reference-not-there"]);
    let (server, record) = applied(&[user("u", "u@x.de")]);
    let planned = plan(&server, &record, &all, &context());
    assert_eq!((codes(&planned).len(), planned.suspended), (0, 1));
}

fn assessed(server: &Server, record: &Record, declared: &[Desired], facts: &Facts) -> Plan {
    let mut planned = plan(server, record, declared, &context());
    assert!(planned.errors.is_empty(), "{:#?}", planned.errors);
    assess(&mut planned, facts);
    planned
}

fn risk(server: &Server, record: &Record, declared: &[Desired], facts: &Facts) -> Risk {
    let planned = assessed(server, record, declared, facts);
    let change = planned.changes.iter().max_by_key(|change| change.risk).unwrap();
    assert_eq!(change.risk_notes.is_empty(), change.risk == Risk::Reversible);
    change.risk
}

#[test]
fn each_risk_has_its_class() {
    let lambda =
        |body: &str| declared(Kind::Lambda, "f", json!({"name": "f", "type": "JWTPopulate", "body": body}));
    let with = |roles: Value, application: &str| {
        let mut user = user("u", "u@x.de");
        user.parts =
            Some([(application.to_owned(), json!({ "roles": roles }).as_object().unwrap().clone())].into());
        user
    };
    let chat = APPLICATIONS[0].to_string();
    let base = [with(json!(["a", "b"]), &chat), lambda("1"), entity_type(&["read"]), link("l", "x", "u")];
    let (server, record) = applied(&base);
    let id = id_of(&address(Kind::User, "u"));
    let f = id_of(&address(Kind::Lambda, "f"));
    let facts = Facts {
        now: 1_000,
        lambda_uses: [(f, vec!["application \"Chat\"".to_owned()])].into(),
        permission_grants: [((id_of(&address(Kind::EntityType, "t")), "read".to_owned()), 3)].into(),
        without_password: [id].into(),
        links: [(id, 1)].into(),
        ..Facts::default()
    };
    let judge = |replaced: usize, desired: Option<Desired>, facts: &Facts| {
        let mut declared = base.to_vec();
        match desired {
            Some(desired) => declared[replaced] = desired,
            None => drop(declared.remove(replaced)),
        }
        risk(&server, &record, &declared, facts)
    };
    let with_user = |fields: Value| {
        let mut desired = with(json!(["a", "b"]), &chat);
        desired.fields.extend(fields.as_object().unwrap().clone());
        Some(desired)
    };
    let admin = with(json!(["a", "b"]), &chat);
    let mut admin = Some(admin);
    if let Some(parts) = admin.as_mut().and_then(|admin| admin.parts.as_mut()) {
        parts.insert(
            FUSIONAUTH_APPLICATION.to_string(),
            json!({"roles": ["admin"]}).as_object().unwrap().clone(),
        );
    }
    assert_eq!(judge(0, admin, &facts), Risk::GivesAdministration);
    assert_eq!(judge(0, with_user(json!({"active": false})), &facts), Risk::DeactivatesPerson);
    assert_eq!(judge(0, with_user(json!({"expiry": 999})), &facts), Risk::DeactivatesPerson);
    assert_eq!(judge(0, with_user(json!({"expiry": 1_001})), &facts), Risk::Reversible);
    assert_eq!(judge(0, with_user(json!({"email": "v@x.de"})), &facts), Risk::BreaksSignIn);
    assert_eq!(judge(0, with_user(json!({"firstName": "V"})), &facts), Risk::Reversible);
    assert_eq!(judge(0, Some(with(json!(["a"]), &chat)), &facts), Risk::BreaksSignIn);
    assert_eq!(judge(0, Some(with(json!(["a", "b", "c"]), &chat)), &facts), Risk::Reversible);
    assert_eq!(judge(0, Some(user("u", "u@x.de")), &facts), Risk::BreaksSignIn);
    assert_eq!(judge(1, Some(lambda("2")), &facts), Risk::BreaksSignIn);
    assert_eq!(judge(1, Some(lambda("2")), &Facts::default()), Risk::Reversible);
    assert_eq!(judge(1, None, &facts), Risk::DeletesInUse);
    assert_eq!(judge(2, Some(entity_type(&[])), &facts), Risk::DeletesInUse);
    assert_eq!(judge(3, None, &facts), Risk::BreaksSignIn, "the last link of a user without a password");
    assert_eq!(judge(3, None, &Facts { links: [(id, 2)].into(), ..facts.clone() }), Risk::Reversible);
    assert_eq!(judge(3, Some(link("l", "y", "u")), &Facts::default()), Risk::BreaksSignIn);

    let all = plan(&server, &record, &[], &context());
    let needs = needs(&all);
    assert_eq!(needs.lambdas, [f].into());
    assert_eq!(needs.users, [id].into());
    assert_eq!(needs.entity_types.len(), 1);
}

fn refusals(plan: &Plan, facts: &Facts, limits: &Limits) -> Vec<String> {
    guard(plan, facts, limits).into_iter().map(|problem| problem.code).collect()
}

#[test]
fn deletions_are_counted_with_what_goes_along() {
    let people: Vec<Desired> =
        (0..12).map(|index| user(&format!("u{index}"), &format!("u{index}@x.de"))).collect();
    let base = [people.as_slice(), &[entity_type(&["read"]), entity("e"), grant("g", "e", "u0")]].concat();
    let (server, record) = applied(&base);
    let facts = Facts { owned: 15, owned_users: 12, ..Facts::default() };
    let planned = plan(&server, &record, &people, &context());
    assert_eq!(deletions(&planned, &facts), 3);
    assert_eq!(refusals(&planned, &facts, &Limits::default()), [""; 0]);
    // Ten grants of others on the entity: with our own one, which the plan deletes by itself, eleven go along.
    let e = fusionkeep::reconcile::Key::Id(id_of(&address(Kind::Entity, "e")));
    let facts = Facts { cascades: [(e, 11)].into(), ..facts };
    assert_eq!(deletions(&planned, &facts), 13);
    let problems = guard(&planned, &facts, &Limits::default());
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("13 objects") && problems[0].message.contains("15"));
    assert!(problems[0].hint.as_deref().unwrap().contains("--max-deletes 13"));
    let allowed = Limits { max_deletes: Some(NumberOrPercent::Number(13)), ..Limits::default() };
    assert_eq!(refusals(&planned, &facts, &allowed), [""; 0]);
    // The instance tightens, and never loosens.
    let tight = Guards { max_deletes: NonNull(Some(NumberOrPercent::Percent(20))), ..Guards::default() };
    assert_eq!(refusals(&planned, &facts, &Limits { instance: tight, ..allowed }), ["max-deletes"]);
    let loose = Guards { max_deletes: NonNull(Some(NumberOrPercent::Number(100))), ..Guards::default() };
    assert_eq!(refusals(&planned, &facts, &Limits { instance: loose, ..Limits::default() }), ["max-deletes"]);

    let none = plan(&server, &record, &base[12..14], &context());
    let codes = refusals(&none, &facts, &Limits::default());
    assert_eq!(codes, ["max-deletes", "max-changed-users"]);
}

#[test]
fn people_and_administration_are_guarded() {
    let mut hard = user("u", "u@x.de");
    hard.policy.deletion = NonNull(Some(Deletion::Delete));
    let mut safe = user("s", "s@x.de");
    safe.policy.protect = NonNull(Some(true));
    let (server, record) = applied(&[hard, safe, entity_type(&[])]);
    let planned = plan(&server, &record, &[], &context());
    let t = id_of(&address(Kind::EntityType, "t"));
    let facts = Facts { owned: 3, owned_users: 2, foreign_entities: [(t, 4)].into(), ..Facts::default() };
    assert_eq!(
        refusals(&planned, &facts, &Limits::default()),
        ["protected", "hard-delete", "foreign-entities"]
    );
    let allowed = Limits {
        allow_hard_delete: true,
        allow_foreign_entities: true,
        allow_admin_roles: true,
        ..Limits::default()
    };
    assert_eq!(refusals(&planned, &facts, &allowed), ["protected"]);
    let forbids = Guards { allow_hard_delete: NonNull(Some(false)), ..Guards::default() };
    let limits = Limits { instance: forbids, ..allowed.clone() };
    assert_eq!(refusals(&planned, &facts, &limits), ["protected", "hard-delete"]);

    let mut admin = user("a", "a@x.de");
    let roles = json!({"roles": ["admin"]}).as_object().unwrap().clone();
    admin.parts = Some([(FUSIONAUTH_APPLICATION.to_string(), roles)].into());
    let planned = plan(&Server::default(), &Record::new(), &[admin], &context());
    assert_eq!(refusals(&planned, &Facts::default(), &Limits::default()), ["admin-roles"]);
    assert_eq!(refusals(&planned, &Facts::default(), &allowed), [""; 0]);
}

#[test]
fn new_users_go_in_batches() {
    let mut people: Vec<Desired> =
        (0..7).map(|index| user(&format!("u{index}"), &format!("u{index}@x.de"))).collect();
    people[0].parts = Some(APPLICATIONS.iter().map(|id| (id.to_string(), Default::default())).collect());
    people[1].options.insert("sendSetPasswordIdentityType".into(), "email".into());
    people[2].fields.insert("active".into(), false.into());
    people[3].initial.insert("encryptionScheme".into(), "bcrypt".into());
    let mut planned = plan(&Server::default(), &Record::new(), &people, &context());
    assert_eq!(planned.predicted_calls(), 8);
    bulk_create(&mut planned, 4);
    let imports: Vec<_> = planned.changes.iter().filter(|change| is_batchable(change)).collect();
    assert_eq!(imports.len(), 6, "who gets a message is created alone");
    let told = planned.warnings.iter().find(|warning| warning.code == "bulk-create").unwrap();
    assert!(told.message.contains("users are created through import"), "{}", told.message);
    // Five of one group in two calls, one of another, one create.
    assert_eq!(planned.predicted_calls(), 4);
    let groups = imports.iter().flat_map(|change| &change.calls).map(import_group).collect::<Vec<_>>();
    assert_eq!(groups.iter().filter(|group| **group == groups[0]).count(), 5);
    let body = imports[0].calls[0].body.as_ref().unwrap().value().unwrap();
    let registrations = &body["users"][0]["registrations"];
    assert_eq!(registrations.as_array().unwrap().len(), 2);

    let (mut server, mut record) = (Server::default(), Record::new());
    apply(&mut server, &mut record, &planned);
    assert!(plan(&server, &record, &people, &context()).changes.is_empty());
    assert!(planned.changes.iter().all(|change| change.action == Action::Create));
}
