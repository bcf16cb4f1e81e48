//! Several owners: an object is one's.

use std::collections::BTreeSet;
use std::sync::Arc;

use fusionkeep::engine::lock::Runtime as _;
use fusionkeep::engine::record::{Acquire, GroupRecord, Record as _};
use fusionkeep::model::Kind;
use fusionkeep::reconcile::Entry;
use uuid::Uuid;

use super::simulation::{Fate, Server, World};
use super::{context, entry, put, record, wire};

/// One live object, as an owner declares it.
fn shared(owner: &str) -> Entry {
    let mut entry = entry(owner, Kind::User, "shared");
    entry.key = fusionkeep::reconcile::Key::Id(Uuid::from_u128(42));
    entry
}

struct Owners {
    world: World,
    one: GroupRecord,
    two: GroupRecord,
}

fn owners(seed: u64) -> Owners {
    let (world, server) = (World::default(), Arc::new(Server::default()));
    let one = record(&wire(&world, &server, Fate::new(seed)), context("one", "a"));
    let two = record(&wire(&world, &server, Fate::new(seed + 1)), context("two", "b"));
    Owners { world, one, two }
}

/// Claims the shared object, and says who else claims it.
async fn claim(record: &GroupRecord, owner: &str, from: Option<&str>) -> Vec<String> {
    let held = record.acquire(&Acquire::default()).await.unwrap();
    let mut entry = shared(owner);
    entry.taken_from = from.map(|from| from.parse().unwrap());
    let refused = held.intend(vec![entry.clone()]).await.unwrap();
    if refused.is_empty() {
        held.update(put(&entry));
    }
    held.close().await.unwrap();
    refused.into_iter().map(|claim| claim.owner.to_string()).collect()
}

async fn holds(record: &GroupRecord) -> bool {
    record.read().await.unwrap().entries.by_key(&shared("x").key).is_some()
}

#[test]
fn a_second_claim_is_refused_by_name() {
    let Owners { world, one, two } = owners(1);
    world.run(async move {
        assert_eq!(claim(&one, "one", None).await, Vec::<String>::new());
        assert_eq!(claim(&two, "two", None).await, ["one"]);
        assert!(holds(&one).await && !holds(&two).await, "the second withdrew");
        let keys: BTreeSet<_> = [shared("x").key].into();
        let claims = two.claims(&keys).await.unwrap();
        assert_eq!(claims.len(), 1);
        assert_eq!(claims[0].address, Some(shared("one").address));
        assert!(one.claims(&keys).await.unwrap().is_empty(), "one's own is no other's");
    });
}

#[test]
fn of_two_first_claims_at_once_at_most_one_stands() {
    let mut both_refused = 0;
    for seed in 0..200 {
        let Owners { world, one, two } = owners(seed * 2);
        let later = world.clone();
        let refused = world.run(async move {
            let start = later.sleep(std::time::Duration::from_millis(seed * 5));
            let second = async {
                start.await;
                claim(&two, "two", None).await
            };
            let (first, second) = futures::future::join(claim(&one, "one", None), second).await;
            assert!(!(holds(&one).await && holds(&two).await), "seed {seed}");
            (first.len(), second.len())
        });
        assert!(refused.0 + refused.1 > 0, "seed {seed}: both claimed it");
        both_refused += u64::from(refused == (1, 1));
    }
    assert!(both_refused > 0, "the interleaving in which both see each other was never met");
}

#[test]
fn what_is_taken_from_an_owner_is_dropped_by_that_owner() {
    let Owners { world, one, two } = owners(1);
    world.run(async move {
        assert!(claim(&one, "one", None).await.is_empty());
        assert!(claim(&two, "two", Some("one")).await.is_empty(), "adopt --from-owner");
        let seen = one.read().await.unwrap();
        assert!(seen.entries.is_empty(), "a plan sees it gone at once");
        assert_eq!(seen.taken[0].owner.as_str(), "two");
        assert_eq!(
            claim(&one, "one", Some("two")).await,
            ["two"],
            "not back while two's claim still says so"
        );
        let run = one.acquire(&Acquire::default()).await.unwrap();
        run.close().await.unwrap();
        // Two's next run finds it dropped, and the mark goes.
        let run = two.acquire(&Acquire::default()).await.unwrap();
        assert!(run.entries().iter().all(|entry| entry.taken_from.is_none()));
        run.close().await.unwrap();
        assert!(holds(&two).await && !holds(&one).await);
        assert!(claim(&one, "one", Some("two")).await.is_empty(), "now it can be taken back");
        assert!(holds(&one).await && !holds(&two).await);
    });
}
