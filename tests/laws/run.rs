//! What the engine does, without network, clock or record storage: observe, plan, apply, remember.

use std::collections::{BTreeMap, BTreeSet};

use fusionkeep::model::{Address, Kind, Owner};
use fusionkeep::reconcile::{
    Call, Change, Desired, Entry, Key, KeyReference, Live, Observed, Plan, PlanContext, Planned, Reason,
    RecordUpdate, SecretComparison, Target, Undoing, assemble, plan_object, prune_object, stale,
};
use serde_json::Value;
use uuid::Uuid;

use super::server::Server;

pub const TENANT: Uuid = Uuid::from_u128(0x7e);

pub type Record = BTreeMap<Address, Entry>;

/// What a call sends.
pub fn body(call: &Call) -> Option<Value> {
    call.body.as_ref().map(|body| body.value().unwrap())
}

pub fn context() -> PlanContext {
    PlanContext {
        owner: owner(),
        tenant_id: TENANT,
        server_version: (1, 69),
        prune: true,
        adoption: None,
        take_from: None,
    }
}

pub fn owner() -> Owner {
    "laws".parse().unwrap()
}

pub fn target() -> Target {
    Target { url: "sandbox:laws".into(), tenant_id: TENANT, server_version: "1.69.0".into() }
}

/// The id that stands for a derived one.
pub fn id_of(address: &Address) -> Uuid {
    Uuid::new_v5(&TENANT, address.to_string().as_bytes())
}

/// Plans all declarations against the server.
pub fn plan(server: &Server, record: &Record, declared: &[Desired], context: &PlanContext) -> Plan {
    let mut planned: Vec<Planned> =
        declared.iter().map(|desired| observe(server, record, declared, desired, context)).collect();
    let spoken_for: BTreeSet<&Address> = declared
        .iter()
        .flat_map(|desired| [Some(&desired.address), desired.moved_from.as_ref()])
        .flatten()
        .collect();
    for entry in record.values().filter(|entry| !spoken_for.contains(&entry.address)) {
        let live = server.get(entry.address.kind, &entry.key);
        planned.push(prune_object(entry, live, Reason::Pruned, context));
    }
    assemble(target(), owner(), planned)
}

fn observe(
    server: &Server,
    record: &Record,
    declared: &[Desired],
    desired: &Desired,
    context: &PlanContext,
) -> Planned {
    let kind = desired.address.kind;
    let entry = record.get(&desired.address).or_else(|| record.get(desired.moved_from.as_ref()?));
    let stands = |address: &Address| -> Option<Uuid> {
        let at = declared.iter().find(|desired| desired.address == *address)?;
        let entry = record.get(address).or_else(|| record.get(at.moved_from.as_ref()?));
        let held = entry.and_then(|entry| entry.key.id());
        let declared_id = match &at.key {
            KeyReference::Id(id) => Some(*id),
            _ => None,
        };
        held.or_else(|| natural(server, record, at).and_then(|live| live.key.id())).or(declared_id)
    };
    let declared_key = desired.key.resolve(&stands).expect("references resolve");
    let mut key = match entry {
        Some(entry) if entry.key.id().is_some() => entry.key.clone(),
        _ => declared_key,
    };
    let held: BTreeSet<&Key> = record
        .values()
        .filter(|other| other.address.kind == kind && entry != Some(other))
        .map(|entry| &entry.key)
        .collect();
    let mut live =
        server.get(kind, &key).or_else(|| holder(server, &key)).filter(|live| !held.contains(&live.key));
    if live.is_none() && key.id().is_some() {
        live = natural(server, record, desired);
        if let Some(live) = live {
            key = live.key.clone();
        }
    }
    let previous = entry.filter(|entry| entry.key != key).and_then(|entry| server.get(kind, &entry.key));
    let observed = Observed {
        key,
        live,
        previous,
        entry,
        claim: None,
        entity_type: desired.entity_type.as_ref().map(|of| of.resolve(&stands).expect("type")),
        secrets: secrets(desired, entry),
    };
    plan_object(desired, &observed, context)
}

/// Here the value of a secret is its version.
fn secrets(desired: &Desired, entry: Option<&Entry>) -> BTreeMap<String, SecretComparison> {
    let compare = |secret: &fusionkeep::reconcile::DesiredSecret| match entry
        .and_then(|entry| entry.secrets.get(&secret.field))
    {
        None => SecretComparison::NeverSent,
        Some(sent) if sent.version == secret.source.version => SecretComparison::Equal,
        Some(_) => SecretComparison::Changed,
    };
    desired.secrets.iter().map(|secret| (secret.field.clone(), compare(secret))).collect()
}

/// Whoever has the account of a link.
fn holder<'a>(server: &'a Server, key: &Key) -> Option<&'a Live> {
    let account = |key: &Key| match key {
        Key::Link { identity_provider, identity_provider_user_id, .. } => {
            Some((*identity_provider, identity_provider_user_id.clone()))
        }
        _ => None,
    };
    let wanted = account(key)?;
    server.of(Kind::IdentityProviderLink).find(|live| account(&live.key).as_ref() == Some(&wanted))
}

/// A live object that is not ours and has a unique value of the declaration.
fn natural<'a>(server: &'a Server, record: &Record, desired: &Desired) -> Option<&'a Live> {
    let kind = desired.address.kind;
    let name = match kind {
        Kind::User => "email",
        Kind::EntityType => "name",
        _ => return None,
    };
    let fold = |value: Option<&Value>| value.and_then(Value::as_str).map(|text| text.trim().to_lowercase());
    let wanted = fold(desired.fields.get(name))?;
    server
        .of(kind)
        .filter(|live| !record.values().any(|entry| entry.address.kind == kind && entry.key == live.key))
        .find(|live| fold(live.fields.get(name)) == Some(wanted.clone()))
}

/// Applies a plan in its order. A call that the server refuses is a fault of the plan.
pub fn apply(server: &mut Server, record: &mut Record, plan: &Plan) {
    assert!(plan.errors.is_empty(), "{:#?}", plan.errors);
    let mut done: BTreeSet<&Address> = BTreeSet::new();
    for change in &plan.changes {
        for before in &change.depends_on {
            assert!(done.contains(before), "{} waits for {before}, which comes later", change.address);
        }
        let live = server.get(change.kind(), &change.key).cloned();
        assert_eq!(stale(change, live.as_ref()), Vec::<String>::new(), "{}", change.address);
        for call in &change.calls {
            if let Err(refusal) = server.call(call) {
                panic!("{refusal}\n{call:#?}\nof {change:#?}");
            }
        }
        remember(record, &change.record);
        done.insert(&change.address);
    }
    for update in &plan.records {
        remember(record, update);
    }
}

/// What a journal holds of one change.
#[derive(Debug)]
pub struct Journalled {
    pub change: Change,
    pub before: Option<Live>,
    pub held: Option<Entry>,
}

/// What a journal would hold of a plan, written before its first write.
pub fn journal(server: &Server, record: &Record, plan: &Plan) -> Vec<Journalled> {
    let of = |change: &Change| {
        let replaced = match &change.record {
            RecordUpdate::Put { replaces, .. } => replaces.clone(),
            RecordUpdate::Remove(_) => None,
        };
        let key = replaced.unwrap_or(change.key.clone());
        let held = record.values().find(|entry| entry.address.kind == change.kind() && entry.key == key);
        Journalled {
            change: change.clone(),
            before: server.get(change.kind(), &key).cloned(),
            held: held.cloned(),
        }
    };
    plan.changes.iter().map(of).collect()
}

/// The plan that undoes a journal.
pub fn undo(server: &Server, record: &Record, journal: &[Journalled], context: &PlanContext) -> Plan {
    let undoing: Vec<Undoing<'_>> = journal
        .iter()
        .map(|journalled| Undoing {
            change: &journalled.change,
            before: journalled.before.as_ref(),
            held: journalled.held.as_ref(),
            recorded: record.values().find(|entry| {
                entry.address.kind == journalled.change.kind() && entry.key == journalled.change.key
            }),
            live: server.get(journalled.change.kind(), &journalled.change.key),
            live_under_old_key: journalled
                .before
                .as_ref()
                .filter(|before| before.key != journalled.change.key)
                .and_then(|before| server.get(journalled.change.kind(), &before.key)),
            recorded_under_old_key: None,
        })
        .collect();
    assemble(target(), owner(), fusionkeep::reconcile::undo(&undoing, context))
}

pub fn remember(record: &mut Record, update: &RecordUpdate) {
    match update {
        RecordUpdate::Put { entry, replaces } => {
            let kind = entry.address.kind;
            record.retain(|address, held| {
                address.kind != kind || (held.key != entry.key && Some(&held.key) != replaces.as_ref())
            });
            record.insert(entry.address.clone(), (**entry).clone());
        }
        RecordUpdate::Remove(key) => record.retain(|_, held| held.key != *key),
    }
}

/// Asserts that nothing is left to do.
pub fn assert_settled(server: &Server, record: &Record, declared: &[Desired], context: &PlanContext) {
    let again = plan(server, record, declared, context);
    assert!(again.errors.is_empty(), "{:#?}", again.errors);
    assert!(again.changes.is_empty(), "not settled: {:#?}", again.changes);
    assert!(again.records.is_empty(), "the record is not settled: {:#?}", again.records);
}
