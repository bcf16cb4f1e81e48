//! Runners that start at any time, freeze, die, and whose requests arrive late: two never write together, and what
//! one recorded no other loses. `FUSIONKEEP_TEST_SEED` replays a seed (with `FUSIONKEEP_TEST_SEEDS=1`), more seeds
//! are tried by `FUSIONKEEP_TEST_SEEDS=1000`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fusionkeep::engine::lock::Runtime as _;
use fusionkeep::engine::record::{Acquire, Record as _, RecordError};
use fusionkeep::fusionauth::WriteGate;
use fusionkeep::model::Kind;
use fusionkeep::reconcile::Key;
use futures::future::{FutureExt, select};

use super::simulation::{Fate, REQUEST, Random, Server, Wire, World};
use super::{context, entry, put, record, wire};

/// A write on an object: who, from when, until when at the latest, and whether its runner froze meanwhile.
struct Write {
    runner: u64,
    begun: Duration,
    ended: Duration,
    frozen: bool,
}

#[derive(Default)]
struct History {
    /// Whose turn began when.
    turns: Mutex<Vec<(u64, Duration)>>,
    writes: Mutex<Vec<Write>>,
    /// Objects that were created, whether or not their runner came to say so.
    objects: Mutex<BTreeSet<Key>>,
}

/// A runner's life: take the lock, intend, write, record, let go; now and then freeze in between.
async fn live(runner: u64, wire: Wire, history: Arc<History>) {
    let (world, random) = (wire.world.clone(), &wire.fate.random);
    let record = record(&wire, context("acme", &format!("host-{runner}")));
    for round in 0..3 {
        world.sleep(random.millis(0, 60_000)).await;
        let how = Acquire { wait: random.millis(0, 900_000), ..Acquire::default() };
        let held = match record.acquire(&how).await {
            Ok(held) => held,
            Err(RecordError::Locked(_) | RecordError::Api { .. } | RecordError::LockLost(_)) => continue,
            Err(error) => panic!("runner {runner}: {error}"),
        };
        if held.gate().permit(REQUEST).is_err() {
            // It froze when it had the lock and thawed when that was over.
            continue;
        }
        history.turns.lock().unwrap().push((runner, world.elapsed()));
        let (gate, mut lost) = (held.gate(), false);
        for step in 0..1 + random.below(3) {
            let kind = if random.one_in(3) { Kind::Lambda } else { Kind::User };
            let entry = entry("acme", kind, &format!("x-{runner}-{round}-{step}"));
            if held.intend(vec![entry.clone()]).await.is_err() {
                continue;
            }
            // The create, and updates, which need no word of the record before.
            for _ in 0..1 + random.below(4) {
                lost = lost || !write(runner, &wire, &*gate, &entry.key, &history).await;
                world.sleep(random.millis(0, 60_000)).await;
            }
            held.update(put(&entry));
            if random.one_in(2) {
                let _ = held.flush().await;
            }
            // Longer than a lease, so that it must be renewed.
            world.sleep(random.millis(0, 150_000)).await;
        }
        if lost || random.one_in(8) {
            drop(held);
        } else {
            let _ = held.close().await;
        }
    }
}

/// One write on an object, as the client makes it: the gate is asked right before. False: it refused.
async fn write(runner: u64, wire: &Wire, gate: &dyn WriteGate, key: &Key, history: &History) -> bool {
    let (world, random) = (&wire.world, &wire.fate.random);
    if random.one_in(8) {
        wire.fate.freeze(world, random.millis(1_000, 400_000));
    }
    wire.fate.thaw(world).await;
    if gate.permit(REQUEST).is_err() {
        return false;
    }
    let begun = world.elapsed();
    history.objects.lock().unwrap().insert(key.clone());
    if random.one_in(8) {
        wire.fate.freeze(world, random.millis(1_000, 400_000));
    }
    let frozen = wire.fate.frozen(world);
    world.sleep(random.millis(1, REQUEST.as_millis() as u64)).await;
    let ended = world.elapsed();
    history.writes.lock().unwrap().push(Write { runner, begun, ended, frozen });
    wire.fate.thaw(world).await;
    true
}

fn simulate(seed: u64) -> (usize, usize) {
    let world = World::default();
    let server = Arc::new(Server::default());
    let history = Arc::new(History::default());
    let random = Random::new(seed);
    let mut lives = Vec::new();
    for runner in 0..3 {
        let mut fate = Fate::new(random.next());
        fate.left_over = if random.one_in(2) { 20 } else { 0 };
        fate.freezes = if random.one_in(2) { 30 } else { 0 };
        fate.dies_at = random.one_in(4).then(|| (1 + random.below(60), random.one_in(2)));
        let wire = wire(&world, &server, fate);
        let (world, dead) = (world.clone(), wire.fate.clone());
        let death = async move {
            while !dead.is_dead() {
                world.sleep(Duration::from_secs(1)).await;
            }
        };
        let life = live(runner, wire, history.clone());
        lives.push(async move { drop(select(life.boxed(), death.boxed()).await) });
    }
    world.run(futures::future::join_all(lives));
    check_turns(seed, &history);
    check_record(seed, &world, &server, &history);
    (history.turns.lock().unwrap().len(), history.writes.lock().unwrap().len())
}

fn check_turns(seed: u64, history: &History) {
    let turns = history.turns.lock().unwrap();
    for write in history.writes.lock().unwrap().iter() {
        let Write { runner, begun, ended, frozen } = *write;
        let turn =
            turns.iter().filter(|(who, from)| *who == runner && *from <= begun).map(|(_, from)| *from).max();
        let turn = turn.expect("a write without a turn");
        for (other, from) in turns.iter().filter(|(other, _)| *other != runner) {
            let after = *from > turn;
            assert!(
                !(after && begun >= *from),
                "seed {seed}: runner {runner} began a write at {begun:?} in its turn of {turn:?}; \
                 runner {other} had the lock since {from:?}"
            );
            assert!(
                !(after && !frozen && ended > *from),
                "seed {seed}: a write of runner {runner} was still on its way at {ended:?}, when runner {other} had \
                 the lock since {from:?}"
            );
        }
    }
}

/// Whatever happened: the next run reads a whole record that holds every object, and leaves nothing else behind.
fn check_record(seed: u64, world: &World, server: &Arc<Server>, history: &Arc<History>) {
    let last = wire(world, server, Fate::new(seed));
    let record = record(&last, context("acme", "last"));
    let objects = history.objects.lock().unwrap().clone();
    let (later, server) = (world.clone(), server.clone());
    world.run(async move {
        later.sleep(Duration::from_secs(1000)).await;
        let how = Acquire { wait: Duration::from_secs(1000), ..Acquire::default() };
        let held = record.acquire(&how).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for key in &objects {
            assert!(held.entries().by_key(key).is_some(), "seed {seed}: {key:?} is known to nobody");
        }
        held.close().await.unwrap();
        let names = server.names();
        let headers = names.iter().filter(|name| !name.contains("shard")).count();
        assert_eq!(headers, 2, "seed {seed}: {names:?}");
        let loaded = record.read().await.unwrap();
        assert!(loaded.holder.is_none(), "seed {seed}: the lock was not released");
    });
}

#[test]
fn two_runners_never_write_together_and_nothing_is_lost() {
    let first: u64 = std::env::var("FUSIONKEEP_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let count: u64 = std::env::var("FUSIONKEEP_TEST_SEEDS").map_or(60, |count| count.parse().unwrap());
    let (mut turns, mut writes) = (0, 0);
    for seed in first..first + count {
        let (more_turns, more_writes) = simulate(seed);
        (turns, writes) = (turns + more_turns, writes + more_writes);
    }
    // The simulation itself must be worth something: runners do get their turns.
    assert!(turns as u64 > 2 * count && writes as u64 > 4 * count, "{turns} turns, {writes} writes");
}
