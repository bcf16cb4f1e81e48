//! Single objects: what is called, what is withheld, what is refused.

use fusionkeep::model::{Adoption, Deletion, Ensure, Fields, Kind, NonNull, SecretSource};
use fusionkeep::reconcile::{
    Action, Call, Change, Claim, ContentType, Desired, DesiredSecret, Entry, Key, KeyReference, Live, Method,
    Observed, PlanContext, Planned, Purpose, Reason, RecordUpdate, SecretComparison, SecretUse, SentSecret,
    Shown, Verdict, digest, plan_object, prune_object, repair, stale,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run::{body, context, id_of};
use super::worlds::{APPLICATIONS, address, bare};

fn fields(value: Value) -> Fields {
    value.as_object().unwrap().clone()
}

fn declared(kind: Kind, name: &str, of: Value) -> Desired {
    Desired { fields: fields(of), ..bare(kind, name) }
}

fn live(kind: Kind, name: &str, of: Value) -> Live {
    Live {
        key: Key::Id(id_of(&address(kind, name))),
        fields: fields(of),
        parts: Default::default(),
        active: true,
        secrets_equal: Default::default(),
    }
}

fn held(kind: Kind, name: &str, written: &[&str]) -> Entry {
    let address = address(kind, name);
    let key = Key::Id(id_of(&address));
    let written: std::collections::BTreeSet<String> = written.iter().map(ToString::to_string).collect();
    Entry { written: written.into(), ..Entry::new(address, key, Deletion::Deactivate) }
}

fn observed<'a>(desired: &Desired, live: Option<&'a Live>, entry: Option<&'a Entry>) -> Observed<'a> {
    Observed {
        key: live.map(|live| live.key.clone()).unwrap_or(Key::Id(id_of(&desired.address))),
        live,
        previous: None,
        entry,
        claim: None,
        entity_type: None,
        secrets: Default::default(),
    }
}

fn planned(desired: &Desired, live: Option<&Live>, entry: Option<&Entry>) -> Planned {
    plan_object(desired, &observed(desired, live, entry), &context())
}

fn change(planned: &Planned) -> &Change {
    planned.change().unwrap_or_else(|| panic!("no change: {planned:#?}"))
}

fn error(planned: &Planned) -> (&str, &str) {
    assert_eq!(planned.verdict, Verdict::Failed);
    let [problem] = planned.errors.as_slice() else { panic!("{:#?}", planned.errors) };
    assert!(problem.hint.is_some() && problem.address.is_some());
    (&problem.code, &problem.message)
}

fn steps(calls: &[Call]) -> Vec<String> {
    let query =
        |call: &Call| call.query.iter().map(|(name, value)| format!("?{name}={value}")).collect::<String>();
    calls.iter().map(|call| format!("{:?} {}{}", call.method, call.route, query(call))).collect()
}

fn secret(field: &str, usage: SecretUse, version: Option<i64>) -> DesiredSecret {
    DesiredSecret {
        field: field.into(),
        usage,
        source: SecretSource { from_env: Some("SECRET".into()), version, ..Default::default() },
        may_be_empty: field == "salt",
    }
}

fn with_registration(mut desired: Desired, index: usize, of: Value) -> Desired {
    let parts = desired.parts.get_or_insert_with(Default::default);
    parts.insert(APPLICATIONS[index].to_string(), fields(of));
    desired
}

#[test]
fn a_user_and_one_registration_are_one_call() {
    let mut desired =
        declared(Kind::User, "a", json!({"email": " A@x.de", "verified": true, "data": {"k": null}}));
    desired = with_registration(desired, 1, json!({"roles": ["b", "a", "a"], "verified": true}));
    desired = with_registration(desired, 0, json!({}));
    desired.initial = fields(json!({"passwordChangeRequired": true}));
    desired.options = fields(json!({"skipRegistrationVerification": true, "disableDomainBlock": true}));
    desired.secrets.push(secret("password", SecretUse::Initial, None));
    let planned = planned(&desired, None, None);
    let change = change(&planned);
    assert_eq!(
        steps(&change.calls),
        [
            "Post /api/user/registration/{userId}",
            "Post /api/user/registration/{userId}",
            "Post /api/user/verify-registration"
        ]
    );
    let [first, second, verify] = change.calls.as_slice() else { panic!() };
    assert_eq!(
        body(first),
        Some(json!({
            "user": {"email": "a@x.de", "passwordChangeRequired": true},
            "registration": {"applicationId": APPLICATIONS[0]},
            "skipVerification": true, "skipRegistrationVerification": true, "disableDomainBlock": true
        }))
    );
    assert_eq!(first.secrets[0].pointer, "/user/password");
    assert_eq!(
        body(second),
        Some(json!({
            "registration": {"applicationId": APPLICATIONS[1], "roles": ["a", "b"]},
            "skipRegistrationVerification": true
        }))
    );
    assert_eq!(verify.part, Some(APPLICATIONS[1].to_string()));
    assert_eq!((change.action, change.reason), (Action::Create, Reason::Missing));
    let Some(intent) = change.intent() else { panic!() };
    assert!(intent.intent && intent.written.contains("email"));
}

#[test]
fn inactive_users_and_hashes_come_in_by_import() {
    let mut desired = declared(Kind::User, "a", json!({"email": "a@x.de", "active": false}));
    desired.initial = fields(json!({"encryptionScheme": "bcrypt", "factor": 10}));
    desired.secrets = vec![secret("password", SecretUse::Initial, None)];
    let plain = planned(&desired, None, None);
    let sent = body(&change(&plain).calls[0]).unwrap();
    assert_eq!((&sent["encryptionScheme"], &sent["factor"]), (&json!("bcrypt"), &json!(10)));
    assert_eq!(sent["users"][0]["active"], json!(false));
    assert_eq!(sent["validateDbConstraints"], json!(true));

    desired.fields.remove("active");
    desired.secrets.push(secret("salt", SecretUse::Initial, None));
    let hashed = planned(&desired, None, None);
    let call = &change(&hashed).calls[0];
    let sent = body(call).unwrap();
    assert_eq!(call.purpose, Purpose::Import);
    assert_eq!(sent.get("encryptionScheme"), None);
    assert_eq!(sent["users"][0]["encryptionScheme"], json!("bcrypt"));
    assert_eq!(sent["users"][0]["active"], json!(true));
    let pointers: Vec<&str> = call.secrets.iter().map(|slot| slot.pointer.as_str()).collect();
    assert_eq!(pointers, ["/users/0/password", "/users/0/salt"]);
    assert!(call.secrets[1].may_be_empty);
}

#[test]
fn an_update_has_the_least_body() {
    let desired = with_registration(
        declared(
            Kind::User,
            "a",
            json!({"email": "a@x.de", "firstName": "New", "data": {"a": {"b": 2}, "gone": null}}),
        ),
        0,
        json!({"roles": ["user"]}),
    );
    let mut live = live(
        Kind::User,
        "a",
        json!({"email": "a@x.de", "firstName": "Old", "lastName": "X", "data": {"a": {"b": 1, "c": 1}, "gone": 1}}),
    );
    live.parts.insert(
        APPLICATIONS[0].to_string(),
        fields(json!({"roles": ["user", "added by hand"], "data": {"k": 1}})),
    );
    let entry = held(Kind::User, "a", &["email", "firstName"]);
    let planned = planned(&desired, Some(&live), Some(&entry));
    let [user, registration] = change(&planned).calls.as_slice() else { panic!("{planned:#?}") };
    assert_eq!(
        body(user),
        Some(json!({"user": {"firstName": "New", "data": {"a": {"b": 2}, "gone": null}}}))
    );
    assert_eq!((user.method, user.content_type), (Method::Patch, ContentType::MergePatch));
    assert_eq!(body(registration), Some(json!({"registration": {"roles": ["user"]}})));
    assert_eq!(
        registration.path,
        format!("/api/user/registration/{}/{}", id_of(&desired.address), APPLICATIONS[0])
    );
    let paths: Vec<&str> = change(&planned).fields.iter().map(|field| &*field.path).collect();
    let roles = format!("registrations[{}].roles", APPLICATIONS[0]);
    assert_eq!(paths, ["data.a.b", "data.gone", "firstName", &roles]);
}

#[test]
fn a_registration_that_is_no_longer_declared_waits_for_prune() {
    let desired = declared(Kind::User, "a", json!({"email": "a@x.de"}));
    let part = format!("registrations[{}]", APPLICATIONS[0]);
    let mut live = live(Kind::User, "a", json!({"email": "a@x.de"}));
    live.parts
        .insert(APPLICATIONS[0].to_string(), fields(json!({"roles": ["user"], "tokens": {"t": "secret"}})));
    let entry = held(Kind::User, "a", &["email", &part]);
    let careful = PlanContext { prune: false, ..context() };
    let waiting = plan_object(&desired, &observed(&desired, Some(&live), Some(&entry)), &careful);
    assert_eq!(waiting.verdict, Verdict::Withheld);
    assert_eq!(waiting.withheld[0].action, Action::Delete);
    assert_eq!(waiting.withheld[0].fields[0].before, Shown::Value(json!({"roles": ["user"]})), "no tokens");
    let deleted = planned(&desired, Some(&live), Some(&entry));
    assert_eq!(steps(&change(&deleted).calls), ["Delete /api/user/registration/{userId}/{applicationId}"]);
    assert_eq!(change(&deleted).reason, Reason::NoLongerDeclared);
    // One that was adopted because it was equal is let go.
    let adopted = held(Kind::User, "a", &["email"]);
    assert_eq!(planned(&desired, Some(&live), Some(&adopted)).verdict, Verdict::Unchanged);
}

#[test]
fn an_inactive_user_is_never_opened_in_passing() {
    let of = json!({"email": "a@x.de", "firstName": "New"});
    let inactive = Live { active: false, ..live(Kind::User, "a", json!({"email": "a@x.de"})) };
    let entry = Entry { secrets: Default::default(), ..held(Kind::User, "a", &["email"]) };
    let plan = |of: &Value, entry: &Entry| {
        planned(&declared(Kind::User, "a", of.clone()), Some(&inactive), Some(entry))
    };

    let others = plan(&of, &entry);
    assert_eq!(others.verdict, Verdict::Withheld);
    assert_eq!(*others.withheld[0].fields[0].path, *"firstName");
    let closed = plan(&json!({"email": "a@x.de", "firstName": "New", "active": false}), &entry);
    assert_eq!(closed.verdict, Verdict::Withheld);

    let opened = plan(&json!({"email": "a@x.de", "firstName": "New", "active": true}), &entry);
    assert_eq!(
        steps(&change(&opened).calls),
        ["Put /api/user/{userId}?reactivate=true", "Patch /api/user/{userId}"]
    );
    assert_eq!(body(&change(&opened).calls[0]), None);

    let ours = Entry { deactivated_by_us: true, ..entry };
    let again = plan(&of, &ours);
    assert_eq!(change(&again).reason, Reason::DeclaredAgain);
    assert_eq!(change(&again).calls[0].purpose, Purpose::Reactivate);
    let RecordUpdate::Put { entry, .. } = &change(&again).record else { panic!() };
    assert!(!entry.deactivated_by_us);
}

#[test]
fn adoption_goes_by_its_policy() {
    let mut desired = declared(Kind::User, "a", json!({"email": "a@x.de", "firstName": "New"}));
    let stranger = Live {
        key: Key::Id(Uuid::from_u128(7)),
        ..live(Kind::User, "a", json!({"email": "A@x.de", "firstName": "Old", "lastName": "Private"}))
    };
    let never = planned(&desired, Some(&stranger), None);
    let (code, message) = error(&never);
    assert_eq!(code, "adoption-conflict");
    assert!(
        message.contains("00000000-0000-0000-0000-000000000007") && message.contains("a@x.de"),
        "{message}"
    );
    assert!(!message.contains("Private"));

    desired.policy.adoption = NonNull(Some(Adoption::Match));
    let mismatch = planned(&desired, Some(&stranger), None);
    assert_eq!(error(&mismatch).0, "adoption-mismatch");
    assert!(error(&mismatch).1.contains("firstName"));

    desired.policy.adoption = NonNull(Some(Adoption::Override));
    let taken = planned(&desired, Some(&stranger), None);
    assert_eq!(change(&taken).action, Action::Adopt);
    assert_eq!(body(&change(&taken).calls[0]), Some(json!({"user": {"firstName": "New"}})));
    let RecordUpdate::Put { entry, .. } = &change(&taken).record else { panic!() };
    assert_eq!(entry.key, stranger.key);
    assert!(entry.adopted && entry.written.contains("firstName") && !entry.written.contains("email"));

    // An intent of our own is no adoption: the response of a create was lost.
    let intent = Entry { intent: true, ..held(Kind::User, "a", &["email", "firstName"]) };
    let found = live(Kind::User, "a", json!({"email": "a@x.de", "firstName": "New"}));
    let recovered = planned(&desired, Some(&found), Some(&intent));
    let Verdict::Record(RecordUpdate::Put { entry, .. }) = &recovered.verdict else {
        panic!("{recovered:#?}")
    };
    assert!(!entry.intent);
}

#[test]
fn a_claim_of_another_owner_is_a_conflict_until_it_is_taken() {
    let desired = declared(Kind::User, "a", json!({"email": "a@x.de"}));
    let found = live(Kind::User, "a", json!({"email": "a@x.de"}));
    let claim = Claim { owner: "others".parse().unwrap(), address: None, key: found.key.clone() };
    let observed = Observed { claim: Some(&claim), ..observed(&desired, Some(&found), None) };
    let conflict = plan_object(&desired, &observed, &context());
    assert_eq!(error(&conflict).0, "claimed-by-another-owner");
    assert!(error(&conflict).1.contains("others"));
    let taking = PlanContext {
        adoption: Some(Adoption::Match),
        take_from: Some("others".parse().unwrap()),
        ..context()
    };
    let taken = plan_object(&desired, &observed, &taking);
    let RecordUpdate::Put { entry, .. } = &change(&taken).record else { panic!() };
    assert_eq!(entry.taken_from, Some("others".parse().unwrap()));
    let later = Observed { entry: Some(entry), ..observed };
    assert_eq!(plan_object(&desired, &later, &context()).verdict, Verdict::Unchanged);
}

#[test]
fn what_cannot_change_says_what_from_and_to() {
    let lambda = declared(Kind::Lambda, "f", json!({"name": "f", "type": "GoogleReconcile", "body": "x"}));
    let found = live(Kind::Lambda, "f", json!({"name": "f", "type": "JWTPopulate", "body": "x"}));
    let entry = held(Kind::Lambda, "f", &[]);
    let refused = planned(&lambda, Some(&found), Some(&entry));
    let (code, message) = error(&refused);
    assert_eq!(code, "immutable-field");
    assert!(message.contains("JWTPopulate") && message.contains("GoogleReconcile"), "{message}");

    let entity = declared(Kind::Entity, "e", json!({"name": "e"}));
    let found =
        live(Kind::Entity, "e", json!({"name": "e", "type": {"id": Uuid::from_u128(1)}, "clientId": "c"}));
    let entry = held(Kind::Entity, "e", &[]);
    let other_type =
        Observed { entity_type: Some(Uuid::from_u128(2)), ..observed(&entity, Some(&found), Some(&entry)) };
    assert_eq!(error(&plan_object(&entity, &other_type, &context())).0, "immutable-field");

    let explicit = Desired { explicit_id: true, key: KeyReference::Id(Uuid::from_u128(3)), ..entity };
    assert!(error(&planned(&explicit, Some(&found), Some(&entry))).1.contains("id"));
}

#[test]
fn what_is_newer_than_the_server_is_named_with_its_version() {
    let old = PlanContext { server_version: (1, 52), ..context() };
    let user = declared(Kind::User, "a", json!({"email": "a@x.de", "phoneNumber": "+13035551212"}));
    let refused = plan_object(&user, &observed(&user, None, None), &old);
    assert_eq!(error(&refused).0, "newer-than-server");
    assert!(error(&refused).1.contains("1.59"));
    let lambda = declared(Kind::Lambda, "f", json!({"name": "f", "type": "LoginValidation", "body": "x"}));
    assert!(error(&plan_object(&lambda, &observed(&lambda, None, None), &old)).1.contains("1.53"));
    let removed = declared(Kind::User, "a", json!({"email": "a@x.de", "phoneNumber": null}));
    assert!(plan_object(&removed, &observed(&removed, None, None), &old).errors.is_empty());
}

#[test]
fn a_link_that_somebody_else_holds_is_a_conflict_by_name() {
    let key =
        |user| Key::Link { identity_provider: Uuid::nil(), identity_provider_user_id: "x".into(), user };
    let [mine, theirs] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let mut desired = bare(Kind::IdentityProviderLink, "l");
    desired.policy.adoption = NonNull(Some(Adoption::Override));
    let found = Live { key: key(theirs), ..live(Kind::IdentityProviderLink, "l", json!({})) };
    let at = Observed { key: key(mine), ..observed(&desired, Some(&found), None) };
    let refused = plan_object(&desired, &at, &context());
    assert_eq!(error(&refused).0, "link-held-by-another-user");
    assert!(error(&refused).1.contains(&theirs.to_string()));
    // Our own goes over: unlink, then link.
    let entry = Entry::new(desired.address.clone(), key(theirs), Deletion::Delete);
    let moving = Observed { entry: Some(&entry), previous: Some(&found), ..at };
    let moved = plan_object(&desired, &moving, &context());
    let purposes: Vec<Purpose> = change(&moved).calls.iter().map(|call| call.purpose).collect();
    assert_eq!(purposes, [Purpose::Unlink, Purpose::Link]);
    assert_eq!(change(&moved).reason, Reason::KeyChanged);
    // Unlinked and not linked again: the record intends the new one.
    let Some(RecordUpdate::Put { entry: half, replaces }) = change(&moved).record_after(Some(&entry), 1)
    else {
        panic!()
    };
    assert!(half.intent && replaces == Some(key(theirs)) && half.key == key(mine));
}

#[test]
fn a_pending_link_is_completed_once() {
    let key = Key::Link {
        identity_provider: Uuid::nil(),
        identity_provider_user_id: "x".into(),
        user: Uuid::from_u128(1),
    };
    let mut desired = bare(Kind::IdentityProviderLink, "l");
    desired.secrets.push(secret("pendingIdPLinkId", SecretUse::Initial, None));
    let at = Observed { key: key.clone(), ..observed(&desired, None, None) };
    let planned = plan_object(&desired, &at, &context());
    let call = &change(&planned).calls[0];
    assert_eq!(call.purpose, Purpose::CompletePendingLink);
    assert_eq!(body(call), Some(json!({"identityProviderLink": {"userId": Uuid::from_u128(1)}})));
    assert_eq!(call.secrets[0].pointer, "/pendingIdPLinkId");
    let found = Live { key: key.clone(), ..live(Kind::IdentityProviderLink, "l", json!({})) };
    let entry = Entry::new(desired.address.clone(), key, Deletion::Delete);
    let there = Observed { live: Some(&found), entry: Some(&entry), ..at };
    assert_eq!(plan_object(&desired, &there, &context()).verdict, Verdict::Unchanged);
}

#[test]
fn a_password_is_sent_when_its_version_or_its_value_changed() {
    use SecretComparison::{Changed, Equal, NeverSent, NoKey, NoRecord, NoValue, OtherKey};
    let found = live(Kind::User, "a", json!({"email": "a@x.de"}));
    let sent = |recorded: Option<Option<i64>>, version: Option<i64>, comparison| {
        let mut desired = declared(Kind::User, "a", json!({"email": "a@x.de"}));
        desired.initial = fields(json!({"factor": 7}));
        desired.secrets.push(secret("password", SecretUse::Enforced, version));
        let mut entry = held(Kind::User, "a", &["email"]);
        if let Some(version) = recorded {
            entry.secrets.insert("password".into(), SentSecret { version, fingerprint: None });
        }
        let mut observed = observed(&desired, Some(&found), Some(&entry));
        observed.secrets.insert("password".into(), comparison);
        let planned = plan_object(&desired, &observed, &context());
        if let Some(change) = planned.change() {
            assert_eq!(
                body(&change.calls[0]),
                Some(json!({"user": {"factor": 7}})),
                "how it is hashed goes along"
            );
            assert_eq!(change.fields[0].after, Shown::Secret);
        }
        (planned.change().is_some(), !planned.warnings.is_empty())
    };
    assert_eq!(sent(None, None, NeverSent), (true, false));
    assert_eq!(sent(Some(None), None, Changed), (true, false));
    assert_eq!(sent(Some(None), None, Equal), (false, false));
    assert_eq!(sent(Some(Some(1)), Some(2), Equal), (true, false), "raised on purpose");
    assert_eq!(sent(Some(None), Some(1), Equal), (false, false), "a version that is new on an equal value");
    assert_eq!(sent(Some(Some(1)), Some(2), NoKey), (true, false));
    assert_eq!(sent(Some(Some(1)), Some(1), NoKey), (false, false));
    assert_eq!(sent(Some(None), None, NoKey), (false, true));
    assert_eq!(sent(Some(None), None, NoValue), (false, true));
    assert_eq!(sent(Some(Some(1)), Some(1), OtherKey), (false, true), "another key is never a change");
    assert_eq!(sent(None, None, NoRecord), (false, true));
}

#[test]
fn an_email_change_that_waits_is_not_repeated() {
    let desired = declared(Kind::User, "a", json!({"email": "New@x.de"}));
    let found = live(Kind::User, "a", json!({"email": "old@x.de"}));
    let waiting =
        Entry { pending_email: Some(digest(&json!("new@x.de"))), ..held(Kind::User, "a", &["email"]) };
    let pending = planned(&desired, Some(&found), Some(&waiting));
    assert_eq!(pending.verdict, Verdict::Withheld);
    assert!(pending.withheld[0].why.contains("verification"));
    let other = declared(Kind::User, "a", json!({"email": "newer@x.de"}));
    assert_eq!(change(&planned(&other, Some(&found), Some(&waiting))).calls.len(), 1);
    let arrived = live(Kind::User, "a", json!({"email": "new@x.de"}));
    let Verdict::Record(RecordUpdate::Put { entry, .. }) =
        planned(&desired, Some(&arrived), Some(&waiting)).verdict
    else {
        panic!()
    };
    assert_eq!(entry.pending_email, None);
}

#[test]
fn a_grant_is_written_whole_with_what_others_keep_in_it() {
    let key = Key::Grant {
        entity: Uuid::from_u128(1),
        recipient: fusionkeep::reconcile::Recipient::User(Uuid::from_u128(2)),
    };
    let desired = declared(Kind::EntityGrant, "g", json!({"data": {"ours": 2}}));
    let found = Live {
        key: key.clone(),
        ..live(Kind::EntityGrant, "g", json!({"permissions": ["read"], "data": {"ours": 1, "theirs": 3}}))
    };
    let entry = Entry::new(desired.address.clone(), key.clone(), Deletion::Delete);
    let at = Observed { key, ..observed(&desired, Some(&found), Some(&entry)) };
    let planned = plan_object(&desired, &at, &context());
    assert_eq!(
        body(&change(&planned).calls[0]),
        Some(
            json!({"grant": {"permissions": ["read"], "data": {"ours": 2, "theirs": 3}, "userId": Uuid::from_u128(2)}})
        )
    );
    let mut moved = found.clone();
    moved.fields["data"]["theirs"] = json!(4);
    assert_eq!(
        stale(change(&planned), Some(&moved)),
        ["data"],
        "a whole write must not lose what came since"
    );
}

#[test]
fn tombstones_protection_and_suspension() {
    let mut desired = declared(Kind::User, "a", json!({"email": "a@x.de"}));
    let found = live(Kind::User, "a", json!({"email": "a@x.de"}));
    let entry = held(Kind::User, "a", &["email"]);
    desired.suspended = true;
    assert_eq!(planned(&desired, Some(&found), Some(&entry)).verdict, Verdict::Suspended);
    desired.suspended = false;
    desired.policy.ensure = NonNull(Some(Ensure::Absent));
    let careful = PlanContext { prune: false, ..context() };
    let gone = plan_object(&desired, &observed(&desired, Some(&found), Some(&entry)), &careful);
    assert_eq!(change(&gone).reason, Reason::Tombstone);
    assert_eq!(steps(&change(&gone).calls), ["Delete /api/user/{userId}"]);
    assert_eq!(
        planned(&desired, Some(&found), None).verdict,
        Verdict::Nothing,
        "what the record does not hold stays"
    );
    desired.policy.deletion = NonNull(Some(Deletion::Orphan));
    let let_go = planned(&desired, Some(&found), Some(&entry));
    assert!(change(&let_go).calls.is_empty());
    assert_eq!(change(&let_go).record, RecordUpdate::Remove(entry.key.clone()));
}

#[test]
fn a_pruned_object_goes_by_its_recorded_policy() {
    let entry = held(Kind::User, "a", &["email"]);
    let found = live(Kind::User, "a", json!({"email": "a@x.de"}));
    let careful = PlanContext { prune: false, ..context() };
    assert_eq!(prune_object(&entry, Some(&found), Reason::Pruned, &careful).verdict, Verdict::Withheld);
    let pruned = prune_object(&entry, Some(&found), Reason::Pruned, &context());
    let RecordUpdate::Put { entry: left, .. } = &change(&pruned).record else { panic!() };
    assert!(left.deactivated_by_us && !left.counts_as_owned());
    let opened = prune_object(left, Some(&found), Reason::Pruned, &context());
    assert_eq!(opened.verdict, Verdict::Record(RecordUpdate::Remove(entry.key.clone())), "theirs to decide");
    let gone = prune_object(&entry, None, Reason::Pruned, &context());
    assert_eq!(gone.verdict, Verdict::Record(RecordUpdate::Remove(entry.key.clone())));

    // A global object goes with the last tenant that declares it.
    let mut shared = held(Kind::EntityType, "t", &["name"]);
    shared.deletion = Deletion::Delete;
    shared.tenants = [context().tenant_id, Uuid::from_u128(99)].into();
    let found = live(Kind::EntityType, "t", json!({"name": "t"}));
    let kept = prune_object(&shared, Some(&found), Reason::Pruned, &context());
    let Verdict::Record(RecordUpdate::Put { entry: left, .. }) = kept.verdict else { panic!("{kept:#?}") };
    assert_eq!(left.tenants, [Uuid::from_u128(99)].into());
}

#[test]
fn only_what_a_change_touches_makes_it_stale() {
    let desired = declared(Kind::User, "a", json!({"email": "a@x.de", "firstName": "New"}));
    let found = live(Kind::User, "a", json!({"email": "a@x.de", "firstName": "Old", "lastLoginInstant": 1}));
    let entry = held(Kind::User, "a", &["email"]);
    let planned = planned(&desired, Some(&found), Some(&entry));
    let change = change(&planned);
    let moved = |name: &str, value: Value| {
        let mut moved = found.clone();
        moved.fields.insert(name.into(), value);
        stale(change, Some(&moved))
    };
    assert_eq!(moved("lastLoginInstant", json!(2)), [""; 0]);
    assert_eq!(moved("lastName", json!("X")), [""; 0]);
    assert_eq!(moved("firstName", json!(" Old ")), [""; 0], "normalised");
    assert_eq!(moved("firstName", json!("New")), [""; 0], "there already");
    assert_eq!(moved("firstName", json!("Other")), ["firstName"]);
    assert_eq!(stale(change, Some(&Live { active: false, ..found.clone() })), ["active"]);
    assert_eq!(stale(change, None), ["key"]);
}

#[test]
fn half_a_change_claims_half() {
    let desired = with_registration(
        declared(Kind::User, "a", json!({"email": "a@x.de", "firstName": "New"})),
        0,
        json!({"roles": ["user"]}),
    );
    let found = live(Kind::User, "a", json!({"email": "a@x.de", "timezone": "Europe/Berlin"}));
    let entry = held(Kind::User, "a", &["email", "timezone"]);
    let planned = planned(&desired, Some(&found), Some(&entry));
    let change = change(&planned);
    assert_eq!(change.calls.len(), 2);
    assert_eq!(change.record_after(Some(&entry), 0), None);
    let Some(RecordUpdate::Put { entry: half, .. }) = change.record_after(Some(&entry), 1) else { panic!() };
    assert_eq!(half.written.iter().map(String::as_str).collect::<Vec<_>>(), ["email", "firstName"]);
    let Some(RecordUpdate::Put { entry: whole, .. }) = change.record_after(Some(&entry), 2) else { panic!() };
    assert!(whole.written.contains(&format!("registrations[{}].roles", APPLICATIONS[0])));
}

#[test]
fn what_a_concurrent_write_undid_of_a_new_object_is_patched_and_not_created_twice() {
    let mut desired = declared(Kind::User, "a", json!({"email": "a@x.de", "data": {"k": {"x": 1}}}));
    let (one, two) = (APPLICATIONS[0].to_string(), APPLICATIONS[1].to_string());
    let roles = |role: &str| fields(json!({ "roles": [role] }));
    desired.parts = Some([(one.clone(), roles("user")), (two.clone(), roles("user"))].into());
    let planned = planned(&desired, None, None);
    let change = change(&planned);
    let of = |data: Value, parts: &[(&str, &str)]| {
        let mut live = live(Kind::User, "a", json!({"email": "a@x.de", "data": data}));
        live.parts = parts.iter().map(|(id, role)| ((*id).to_owned(), roles(role))).collect();
        live
    };
    let as_written = of(json!({"k": {"x": 1, "theirs": 2}}), &[(&one, "user"), (&two, "user")]);
    assert_eq!(repair(change, &as_written), vec![]);
    let calls = repair(change, &of(json!({"theirs": 1}), &[(&one, "admin")]));
    let sent: Vec<_> = calls.iter().map(|call| (call.method, call.purpose, body(call).unwrap())).collect();
    assert_eq!(
        sent,
        [
            (Method::Patch, Purpose::Update, json!({"user": {"data": {"k": {"x": 1}}}})),
            (Method::Patch, Purpose::UpdatePart, json!({"registration": {"roles": ["user"]}})),
            (
                Method::Post,
                Purpose::CreatePart,
                json!({"registration": {"applicationId": two, "roles": ["user"]}})
            ),
        ]
    );
}

#[test]
fn what_another_owner_holds_is_not_made_in_its_absence() {
    let desired = declared(Kind::User, "a", json!({"email": "a@x.de"}));
    let claim = Claim { owner: "two".parse().unwrap(), address: None, key: Key::Id(id_of(&desired.address)) };
    let observed = Observed { claim: Some(&claim), ..observed(&desired, None, None) };
    let planned = plan_object(&desired, &observed, &context());
    assert_eq!(error(&planned).0, "claimed-by-another-owner");
    assert!(error(&planned).1.contains("not there"), "it cannot be adopted: {:?}", planned.errors);
    let taking = PlanContext { take_from: Some("two".parse().unwrap()), ..context() };
    let planned = plan_object(&desired, &observed, &taking);
    let RecordUpdate::Put { entry, .. } = &change(&planned).record else { panic!("{planned:#?}") };
    assert_eq!(entry.taken_from.as_ref().map(|owner| owner.as_str()), Some("two"));
}

#[test]
fn a_mail_that_an_older_server_would_not_send_is_an_error() {
    let sends = |how: &str, version: (u16, u16)| {
        let mut desired = declared(Kind::User, "a", json!({"email": "a@x.de"}));
        desired.options = fields(json!({ "sendSetPasswordIdentityType": how }));
        let context = PlanContext { server_version: version, ..context() };
        plan_object(&desired, &observed(&desired, None, None), &context)
    };
    assert_eq!(error(&sends("email", (1, 58))).0, "newer-than-server");
    assert_eq!(sends("email", (1, 59)).errors, vec![]);
    assert_eq!(sends("doNotSend", (1, 58)).errors, vec![], "which is what it does");
}
