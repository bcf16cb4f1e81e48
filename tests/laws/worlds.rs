//! Random declarations over a small world, and what others do to it.

use std::collections::BTreeMap;

use fusionkeep::model::{Address, Deletion, Fields, Kind, NonNull, Place, SecretSource};
use fusionkeep::reconcile::{Desired, DesiredSecret, KeyReference, ObjectRef, RecipientReference, SecretUse};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::run::id_of;

pub const APPLICATIONS: [Uuid; 2] = [Uuid::from_u128(0xa0), Uuid::from_u128(0xa1)];
pub const PROVIDER: Uuid = Uuid::from_u128(0x1d);

pub fn address(kind: Kind, name: &str) -> Address {
    Address::new(kind, "default", name)
}

/// A declaration with nothing in it.
pub fn bare(kind: Kind, name: &str) -> Desired {
    let address = address(kind, name);
    let key = KeyReference::Id(id_of(&address));
    Desired::empty(address, Place { file: "laws.yaml".into(), line: 1, column: 1 }, key)
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!(1)),
        Just(json!(1.0)),
        Just(json!("x")),
        Just(json!(false)),
        Just(json!([])),
        Just(json!([1, null, {"k": null}])),
    ]
    .boxed()
}

/// Data: `a` and `b` of any shape, `n` an object that others write into as well.
fn data() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![4 => scalar(), 1 => Just(Value::Null), 1 => Just(json!({}))];
    let any = leaf.prop_recursive(2, 6, 2, |inner| {
        btree_map("[xy.]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect()))
    });
    let shared =
        btree_map("[xy]", any.clone(), 0..3).prop_map(|map| Value::Object(map.into_iter().collect()));
    (btree_map("[ab]", any, 0..3), proptest::option::of(shared))
        .prop_map(|(mut map, shared)| {
            if let Some(shared) = shared {
                map.insert("n".to_owned(), shared);
            }
            Value::Object(map.into_iter().collect())
        })
        .boxed()
}

fn optional(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    proptest::option::of(prop_oneof![4 => value, 1 => Just(Value::Null)]).boxed()
}

fn languages() -> BoxedStrategy<Value> {
    vec(prop_oneof![Just("en-US"), Just("en_US"), Just("de"), Just("fr")], 0..3)
        .prop_map(|list| json!(list))
        .boxed()
}

fn roles() -> BoxedStrategy<Value> {
    vec(prop_oneof![Just("user"), Just("admin"), Just("user")], 0..3).prop_map(|list| json!(list)).boxed()
}

fn insert(fields: &mut Fields, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value);
    }
}

fn registration() -> BoxedStrategy<Fields> {
    (optional(roles()), proptest::option::of(data()), proptest::bool::ANY, optional(languages()))
        .prop_map(|(roles, data, verified, languages)| {
            let mut fields = Fields::new();
            insert(&mut fields, "roles", roles);
            insert(&mut fields, "data", data);
            insert(&mut fields, "preferredLanguages", languages);
            insert(&mut fields, "verified", verified.then_some(Value::Bool(true)));
            fields
        })
        .boxed()
}

fn user(name: &'static str) -> BoxedStrategy<Desired> {
    let profile = (
        prop_oneof![Just("one"), Just(" One"), Just("two")],
        optional(prop_oneof![Just(json!(" A ")), Just(json!("B")), Just(json!(""))]),
        optional(languages()),
        proptest::option::of(prop_oneof![9 => data(), 1 => Just(Value::Null)]),
        optional(Just(json!("+1 (303) 555-1212"))),
        optional(Just(json!("PENDING"))),
    );
    let state = (
        proptest::option::weighted(0.3, proptest::bool::ANY),
        proptest::bool::ANY,
        proptest::option::of(btree_map(0..2usize, registration(), 0..3)),
        proptest::option::of(0..2i64),
        prop_oneof![3 => Just(None), 1 => Just(Some(Deletion::Delete))],
    );
    (profile, state)
        .prop_map(move |(profile, (active, verified, parts, password, deletion))| {
            let (email, first, languages, data, phone, status) = profile;
            let mut desired = bare(Kind::User, name);
            let fields = &mut desired.fields;
            insert(fields, "email", Some(json!(format!("{email}-{name}@Example.com"))));
            insert(fields, "firstName", first);
            insert(fields, "preferredLanguages", languages);
            insert(fields, "data", data);
            // One user alone, for it is unique.
            insert(fields, "phoneNumber", phone.filter(|_| name == "u0"));
            insert(fields, "usernameStatus", status);
            insert(fields, "active", active.map(Value::Bool));
            insert(fields, "verified", verified.then_some(Value::Bool(true)));
            desired.parts = parts.map(|parts| {
                parts.into_iter().map(|(index, fields)| (APPLICATIONS[index].to_string(), fields)).collect()
            });
            desired.secrets.extend(password.map(|version| DesiredSecret {
                field: "password".into(),
                usage: SecretUse::Enforced,
                source: SecretSource {
                    from_env: Some("PASSWORD".into()),
                    version: Some(version),
                    ..Default::default()
                },
                may_be_empty: false,
            }));
            desired.policy.deletion = NonNull(deletion);
            desired
        })
        .boxed()
}

fn entity_type(name: &'static str) -> BoxedStrategy<Desired> {
    let permission = (
        optional(Just(json!("text"))),
        optional(proptest::bool::ANY.prop_map(Value::Bool)),
        proptest::option::of(data()),
    );
    let permissions = btree_map(prop_oneof![Just("write"), Just("own.er]")], permission, 0..3);
    (permissions, proptest::option::of(data()), optional(proptest::bool::ANY.prop_map(Value::Bool)))
        .prop_map(move |(permissions, data, enabled)| {
            let mut desired = bare(Kind::EntityType, name);
            insert(&mut desired.fields, "name", Some(json!(name)));
            insert(&mut desired.fields, "data", data);
            insert(
                &mut desired.fields,
                "jwtConfiguration",
                enabled.map(|enabled| json!({ "enabled": enabled })),
            );
            let mut parts: BTreeMap<String, Fields> = permissions
                .into_iter()
                .map(|(name, (description, default, data))| {
                    let mut fields = Fields::new();
                    insert(&mut fields, "description", description);
                    insert(&mut fields, "isDefault", default);
                    insert(&mut fields, "data", data);
                    (name.to_owned(), fields)
                })
                .collect();
            // Always there, for grants name it.
            parts.entry("read".to_owned()).or_default();
            desired.parts = Some(parts);
            desired
        })
        .boxed()
}

fn entity(name: &'static str) -> BoxedStrategy<Desired> {
    (proptest::option::of(data()), prop_oneof![Just("one"), Just("two")])
        .prop_map(move |(data, label)| {
            let mut desired = bare(Kind::Entity, name);
            insert(&mut desired.fields, "name", Some(json!(label)));
            insert(&mut desired.fields, "data", data);
            desired.entity_type = Some(ObjectRef::Declared(address(Kind::EntityType, "t0")));
            desired
        })
        .boxed()
}

fn lambda(name: &'static str) -> BoxedStrategy<Desired> {
    let body =
        prop_oneof![Just("function populate(){}\r\n"), Just("function populate(){}\n"), Just("// empty")];
    (body, optional(proptest::bool::ANY.prop_map(Value::Bool)))
        .prop_map(move |(body, debug)| {
            let mut desired = bare(Kind::Lambda, name);
            insert(&mut desired.fields, "name", Some(json!(name)));
            insert(&mut desired.fields, "type", Some(json!("JWTPopulate")));
            insert(&mut desired.fields, "body", Some(json!(body)));
            insert(&mut desired.fields, "debug", debug);
            desired
        })
        .boxed()
}

/// Whose grants and links refer only to what is declared beside them.
fn dependents() -> BoxedStrategy<Vec<Desired>> {
    let grant = (
        prop_oneof![Just("e0"), Just("e1")],
        prop_oneof![Just(Some("u0")), Just(Some("u1")), Just(None)],
        optional(Just(json!(["read"]))),
        proptest::option::of(data()),
    );
    let link = (prop_oneof![Just("alpha"), Just("beta")], prop_oneof![Just("u0"), Just("u1")]);
    (proptest::option::of(grant), proptest::option::of(link))
        .prop_map(|(grant, link)| {
            let mut all = Vec::new();
            let declared = |kind, name| ObjectRef::Declared(address(kind, name));
            if let Some((entity, user, permissions, data)) = grant {
                let mut desired = bare(Kind::EntityGrant, "g0");
                let recipient = match user {
                    Some(user) => RecipientReference::User(declared(Kind::User, user)),
                    None => RecipientReference::Entity(declared(Kind::Entity, "e1")),
                };
                desired.key = KeyReference::Grant { entity: declared(Kind::Entity, entity), recipient };
                insert(&mut desired.fields, "permissions", permissions);
                insert(&mut desired.fields, "data", data);
                all.push(desired);
            }
            if let Some((account, user)) = link {
                let mut desired = bare(Kind::IdentityProviderLink, "l0");
                desired.key = KeyReference::Link {
                    identity_provider: PROVIDER,
                    identity_provider_user_id: Some(account.to_owned()),
                    user: declared(Kind::User, user),
                };
                all.push(desired);
            }
            all
        })
        .boxed()
}

/// A whole input. What others refer to is always in it; the rest comes and goes.
pub fn input() -> BoxedStrategy<Vec<Desired>> {
    let base = (user("u0"), user("u1"), entity_type("t0"), entity("e0"), entity("e1"));
    let rest = (
        proptest::option::of(user("u2")),
        proptest::option::of(entity("e2")),
        proptest::option::of(lambda("f0")),
    );
    (base, rest, dependents())
        .prop_map(|((u0, u1, t0, e0, e1), (u2, e2, f0), dependents)| {
            let mut all = vec![u0, u1, t0, e0, e1];
            all.extend([u2, e2, f0].into_iter().flatten());
            all.extend(dependents);
            all
        })
        .boxed()
}

/// What others keep in an object: never declared by any input.
pub fn others_write(fields: &mut Fields) {
    let data = fields.entry("data").or_insert_with(|| json!({}));
    if let Value::Object(data) = data {
        data.insert("theirs".to_owned(), json!({"deep": [1, {"er": null}]}));
        let shared = data.entry("n").or_insert_with(|| json!({}));
        if let Value::Object(shared) = shared {
            shared.insert("theirs".to_owned(), json!("kept"));
        }
    }
}
