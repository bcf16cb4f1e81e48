//! The record and its lock: the protocol in a simulated world, and over the sandbox; files; saved plans, journals.

mod claims;
mod crashes;
mod files;
mod interleavings;
mod sandbox;
mod simulation;

use std::sync::Arc;

use fusionkeep::engine::keys::RunnerKeys;
use fusionkeep::engine::record::{GroupRecord, RecordContext, Runner, Stores};
use fusionkeep::model::{Address, Deletion, Kind, derived_id};
use fusionkeep::reconcile::{Entry, Key, RecordUpdate};
use secrecy::SecretSlice;
use uuid::Uuid;

use simulation::{Fate, Server, Wire, World};

const TENANT: Uuid = Uuid::from_u128(0x7e4a);

fn keys(letter: &str) -> Arc<RunnerKeys> {
    Arc::new(RunnerKeys::parse(&SecretSlice::from(letter.repeat(40).into_bytes())).unwrap())
}

fn context(owner: &str, host: &str) -> RecordContext {
    RecordContext {
        owner: owner.parse().unwrap(),
        tenant_id: TENANT,
        url: "https://auth.example.com".to_owned(),
        runner: Runner { id: "command".to_owned(), host: host.to_owned() },
        keys: Some(keys("k")),
    }
}

fn wire(world: &World, server: &Arc<Server>, fate: Fate) -> Wire {
    Wire { world: world.clone(), server: server.clone(), fate: Arc::new(fate) }
}

/// A record over a wire; both chains go over the same.
fn record(wire: &Wire, context: RecordContext) -> GroupRecord {
    let stores = || Stores { locks: Arc::new(wire.clone()), shards: Arc::new(wire.clone()) };
    GroupRecord::over(stores(), Some(stores()), context, Arc::new(wire.world.clone()))
}

fn entry(owner: &str, kind: Kind, name: &str) -> Entry {
    let address = Address::new(kind, "default", name);
    let key = Key::Id(derived_id(&owner.parse().unwrap(), TENANT, &address));
    let mut entry = Entry::new(address, key, Deletion::Delete);
    entry.written = Arc::new(["name".to_owned()].into());
    entry
}

fn put(entry: &Entry) -> RecordUpdate {
    RecordUpdate::Put { entry: Box::new(entry.clone()), replaces: None }
}
