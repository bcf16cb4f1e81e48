//! A runner that dies at any request of its run, before or after that one was carried out, leaves nothing that
//! nobody knows of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fusionkeep::engine::lock::Runtime as _;
use fusionkeep::engine::record::{Acquire, Record as _};
use fusionkeep::model::Kind;
use fusionkeep::reconcile::{Key, RecordUpdate};
use futures::future::{FutureExt, select};

use super::simulation::{Fate, Server, Wire, World};
use super::{context, entry, put, record, wire};

type Objects = Arc<Mutex<BTreeSet<Key>>>;

/// A run that intends, creates, records, deletes and lets go. Objects are created and deleted at once, by a server
/// that loses nothing.
async fn run(wire: Wire, objects: Objects) {
    let record = record(&wire, context("acme", "host"));
    let held = record.acquire(&Acquire::default()).await.unwrap();
    let (user, lambda) = (entry("acme", Kind::User, "new"), entry("acme", Kind::Lambda, "new"));
    held.intend(vec![user.clone(), lambda.clone()]).await.unwrap();
    for entry in [&user, &lambda] {
        objects.lock().unwrap().insert(entry.key.clone());
        held.update(put(entry));
    }
    held.flush().await.unwrap();
    let old = entry("acme", Kind::User, "old");
    objects.lock().unwrap().remove(&old.key);
    held.update(RecordUpdate::Remove(old.key));
    held.close().await.unwrap();
}

/// A world in which an earlier run owns one user.
fn before() -> (World, Arc<Server>, Objects) {
    let (world, server, objects) = (World::default(), Arc::new(Server::default()), Objects::default());
    let old = entry("acme", Kind::User, "old");
    objects.lock().unwrap().insert(old.key.clone());
    let record = record(&wire(&world, &server, Fate::new(1)), context("acme", "earlier"));
    world.run(async move {
        let held = record.acquire(&Acquire::default()).await.unwrap();
        held.intend(vec![old.clone()]).await.unwrap();
        held.update(put(&old));
        held.close().await.unwrap();
    });
    (world, server, objects)
}

#[test]
fn dying_at_any_request_leaves_nothing_unknown() {
    let (world, server, objects) = before();
    let undisturbed = wire(&world, &server, Fate::new(2));
    world.run(run(undisturbed.clone(), objects));
    let requests = undisturbed.fate.requests();
    assert!(requests > 20, "{requests}");
    for at in 1..=requests {
        for carried_out in [false, true] {
            die_at(at, carried_out);
        }
    }
}

fn die_at(at: u64, carried_out: bool) {
    let what = format!("died at request {at}, carried out: {carried_out}");
    let (world, server, objects) = before();
    let mut fate = Fate::new(2);
    fate.dies_at = Some((at, carried_out));
    let wire = wire(&world, &server, fate);
    let (clock, fate) = (world.clone(), wire.fate.clone());
    let death = async move {
        while !fate.is_dead() {
            clock.sleep(Duration::from_millis(50)).await;
        }
    };
    let dying = run(wire, objects.clone());
    world.run(async move { drop(select(dying.boxed(), death.boxed()).await) });

    let next = record(&super::wire(&world, &server, Fate::new(3)), context("acme", "next"));
    let known = objects.lock().unwrap().clone();
    let names = server.clone();
    world.run(async move {
        let how = Acquire { wait: Duration::from_secs(200), ..Acquire::default() };
        let held = next.acquire(&how).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        for key in &known {
            assert!(held.entries().by_key(key).is_some(), "{what}: an object is known to nobody");
        }
        held.close().await.unwrap();
        let loaded = next.read().await.unwrap();
        assert!(loaded.holder.is_none(), "{what}");
        // A header for each chain, and the shards that they list, each of which holds something.
        let names = names.names();
        let shards = names.iter().filter(|name| name.contains("shard")).count();
        let scopes: BTreeSet<bool> =
            loaded.entries.iter().map(|entry| entry.address.kind == Kind::Lambda).collect();
        assert_eq!((names.len() - shards, shards), (2, scopes.len()), "{what}: {names:?}");
    });
}

#[test]
fn a_flush_that_nobody_waits_for_loses_nothing() {
    for waited in (0..1500).step_by(20) {
        let (world, server, _) = before();
        let record = record(&wire(&world, &server, Fate::new(5)), context("acme", "host"));
        let (clock, names) = (world.clone(), server.clone());
        world.run(async move {
            let held = record.acquire(&Acquire::default()).await.unwrap();
            let (first, second) = (entry("acme", Kind::User, "first"), entry("acme", Kind::User, "second"));
            held.intend(vec![first.clone()]).await.unwrap();
            held.update(put(&first));
            drop(select(held.flush(), clock.sleep(Duration::from_millis(waited))).await);
            held.update(put(&second));
            held.close().await.unwrap();
            let loaded = record.read().await.unwrap();
            assert_eq!(loaded.entries.len(), 3, "waited {waited} ms");
            assert!(loaded.entries.iter().all(|entry| !entry.intent), "waited {waited} ms");
            let names = names.names();
            assert_eq!(names.len(), 3, "waited {waited} ms: {names:?}");
        });
    }
}
