//! The record over the client and the sandbox: what it costs, what stands there, who may touch it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fusionkeep::engine::keys::RunnerKeys;
use fusionkeep::engine::record::{Acquire, GroupRecord, Record as _, RecordContext, RecordError, Trust};
use fusionkeep::fusionauth::{Client, Target};
use fusionkeep::model::Kind;
use fusionkeep::reconcile::{RecordUpdate, SecretFingerprint, SentSecret};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{context, entry, keys, put};
use crate::sandbox::harness::Api;

struct Fixture {
    api: Api,
    runtime: tokio::runtime::Runtime,
    client: Client,
    tenant: Uuid,
}

impl Fixture {
    fn start() -> Self {
        let api = Api::start();
        let target = Target::new(api.running.url().parse().unwrap(), api.running.api_key().to_owned().into());
        let client = Client::new(&target).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tenants = api.get("/api/tenant").ok();
        let tenant = tenants["tenants"][0]["id"].as_str().unwrap().parse().unwrap();
        Fixture { api, runtime, client, tenant }
    }

    fn context(&self) -> RecordContext {
        RecordContext { tenant_id: self.tenant, ..context("acme", "host") }
    }

    fn record(&self, context: RecordContext) -> GroupRecord {
        GroupRecord::new(&self.client, Some(self.tenant), context)
    }

    fn with_keys(&self, keys: Option<Arc<RunnerKeys>>) -> GroupRecord {
        self.record(RecordContext { keys, ..self.context() })
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn groups(&self) -> Vec<Value> {
        self.api.get("/api/group").ok()["groups"].as_array().cloned().unwrap_or_default()
    }

    /// The group whose name begins so.
    fn group(&self, prefix: &str) -> Value {
        let begins = |group: &Value| group["name"].as_str().unwrap().starts_with(prefix);
        self.groups().into_iter().find(begins).unwrap()
    }

    fn edit(&self, group: &Value, pointer: &str, value: Value) {
        let mut group = group.clone();
        *group.pointer_mut(pointer).unwrap() = value;
        let path = format!("/api/group/{}", group["id"].as_str().unwrap());
        self.api.put(path, &json!({ "group": { "name": group["name"], "data": group["data"] } })).ok();
    }
}

async fn own(record: &GroupRecord, names: impl Iterator<Item = String>, kind: Kind) {
    let held = record.acquire(&Acquire::default()).await.unwrap();
    let mut entries: Vec<_> = names.map(|name| entry("acme", kind, &name)).collect();
    for entry in &mut entries {
        // The entry's id as this sandbox's tenant derives it is not needed: any will do.
        entry.secrets.insert("password".to_owned(), SentSecret::default());
    }
    held.intend(entries.clone()).await.unwrap();
    entries.iter().for_each(|entry| held.update(put(entry)));
    held.close().await.unwrap();
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("person-with-a-usual-name-{number:05}"))
}

#[test]
fn a_run_leaves_one_header_a_chain_and_its_shards() {
    let fixture = Fixture::start();
    let record = fixture.with_keys(Some(keys("k")));
    fixture.run(async {
        assert_eq!(record.read().await.unwrap().trust, Trust::Absent);
        own(&record, names(3), Kind::User).await;
        own(&record, names(1), Kind::Lambda).await;
        let loaded = record.read().await.unwrap();
        assert_eq!((loaded.entries.len(), loaded.trust), (4, Trust::Verified));
        assert!(loaded.holder.is_none() && loaded.foreign.is_none());
        assert!(loaded.entries.iter().all(|entry| !entry.intent));
    });
    let groups = fixture.groups();
    let kinds: BTreeSet<&str> =
        groups.iter().map(|group| group["name"].as_str().unwrap().split('/').next().unwrap()).collect();
    let all = ["fusionkeep", "fusionkeep-global", "fusionkeep-global-shard", "fusionkeep-shard"];
    assert_eq!((kinds, groups.len()), (all.into(), 4));
}

#[test]
fn a_plan_of_twelve_thousand_objects_reads_it_in_at_most_twelve_requests() {
    let fixture = Fixture::start();
    let record = fixture.with_keys(Some(keys("k")));
    fixture.run(own(&record, names(12_000), Kind::User));
    fixture.run(own(&record, names(20), Kind::Lambda));
    let before = fixture.client.counts().total();
    let loaded = fixture.run(record.read()).unwrap();
    let requests = fixture.client.counts().total() - before;
    assert_eq!(loaded.entries.len(), 12_020);
    assert!(requests <= 12, "{requests}");
    for group in fixture.groups() {
        let size = group["data"].to_string().len();
        assert!(size <= 512 * 1024, "{}: {size}", group["name"]);
    }
}

#[test]
fn what_was_edited_is_refused_and_rebuilt_only_by_adopt() {
    for (prefix, pointer, value) in [
        ("fusionkeep/", "/data/revision", json!(7)),
        ("fusionkeep/", "/data/state", json!("held")),
        ("fusionkeep/", "/data/shards", json!([])),
        ("fusionkeep-shard/", "/data/entries/User/0/name", json!("somebody-else")),
    ] {
        let fixture = Fixture::start();
        let record = fixture.with_keys(Some(keys("k")));
        fixture.run(own(&record, names(2), Kind::User));
        fixture.edit(&fixture.group(prefix), pointer, value);
        let refused = fixture.run(record.read()).unwrap_err();
        assert!(
            matches!(refused, RecordError::WrongSeal | RecordError::Damaged { .. }),
            "{pointer}: {refused}"
        );
        assert!(refused.is_refusal() && refused.hint().unwrap().contains("adopt"));
        assert!(fixture.run(record.acquire(&Acquire::default())).is_err(), "{pointer}");
        fixture.api.advance_seconds(200);
        fixture.run(async {
            let how = Acquire { rebuild: true, ..Acquire::default() };
            let held = record.acquire(&how).await.unwrap();
            assert!(held.entries().is_empty(), "nothing of it is trusted");
            held.intend(vec![entry("acme", Kind::User, "declared")]).await.unwrap();
            held.close().await.unwrap();
            assert_eq!(record.read().await.unwrap().entries.len(), 1, "{pointer}");
        });
        let count =
            fixture.groups().iter().filter(|group| !group["name"].to_string().contains("global")).count();
        assert_eq!(count, 2, "{pointer}: nothing of the old record is left");
    }
}

#[test]
fn a_person_added_to_an_unsigned_record_gains_nothing_under_a_key() {
    let fixture = Fixture::start();
    // Whoever may write groups can write a record without a key: with a key it is refused.
    fixture.run(own(&fixture.with_keys(None), names(2), Kind::User));
    let record = fixture.with_keys(Some(keys("k")));
    fixture.run(async {
        assert_eq!(record.read().await.unwrap().trust, Trust::Unsigned);
        let refused = record.acquire(&Acquire::default()).await.err().unwrap();
        assert!(matches!(refused, RecordError::NotSigned), "{refused}");
        let held = record.acquire(&Acquire { rebuild: true, ..Acquire::default() }).await.unwrap();
        assert!(held.entries().is_empty(), "nothing of it is trusted: it could name anybody");
        held.close().await.unwrap();
        assert_eq!(record.read().await.unwrap().trust, Trust::Verified);
    });
}

#[test]
fn a_signed_record_is_written_only_by_a_key_that_verifies_it() {
    let fixture = Fixture::start();
    fixture.run(own(&fixture.with_keys(Some(keys("k"))), names(2), Kind::User));
    for other in [None, Some(keys("x"))] {
        let record = fixture.with_keys(other);
        fixture.run(async {
            let loaded = record.read().await.unwrap();
            assert!(matches!(loaded.trust, Trust::Unverified(_)) && loaded.entries.len() == 2);
            for rebuild in [false, true] {
                let refused = record.acquire(&Acquire { rebuild, ..Acquire::default() }).await.err().unwrap();
                assert!(matches!(refused, RecordError::NotVerified { .. }), "{refused}");
            }
            assert!(matches!(record.unlock().await, Ok(None)), "a released lock is nobody's");
        });
    }
}

#[test]
fn another_runner_or_url_needs_take_over() {
    let fixture = Fixture::start();
    fixture.run(own(&fixture.with_keys(Some(keys("k"))), names(1), Kind::User));
    let mut cluster = fixture.context();
    cluster.runner.id = "cluster-uid".to_owned();
    let mut elsewhere = fixture.context();
    elsewhere.url = "https://other.example.com".to_owned();
    for context in [cluster, elsewhere] {
        let record = fixture.record(context);
        fixture.run(async {
            assert!(record.read().await.unwrap().foreign.is_some(), "a warning in a plan");
            let how = Acquire::default();
            let refused = record.acquire(&how).await.err().unwrap();
            assert!(matches!(refused, RecordError::Foreign(_)) && refused.is_refusal(), "{refused}");
            record.acquire(&Acquire { take_over: true, ..how }).await.unwrap().close().await.unwrap();
            assert!(record.read().await.unwrap().foreign.is_none());
        });
    }
}

#[test]
fn a_second_runner_is_told_who_is_at_work_and_waits_if_asked() {
    let fixture = Fixture::start();
    let (first, second) = (fixture.with_keys(Some(keys("k"))), fixture.with_keys(Some(keys("k"))));
    fixture.run(async {
        let held = first.acquire(&Acquire::default()).await.unwrap();
        let refused = second.acquire(&Acquire::default()).await.err().unwrap();
        assert!(refused.to_string().contains("\"command\" on host, since "), "{refused}");
        assert!(refused.to_string().ends_with(" unless it is renewed"), "{refused}");
        assert!(refused.is_refusal(), "exit status 3");
        let how = Acquire { wait: Duration::from_secs(20), ..Acquire::default() };
        let waiting = second.acquire(&how);
        let finishing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            held.close().await.unwrap();
        };
        let (held, ()) = futures::future::join(waiting, finishing).await;
        held.unwrap().close().await.unwrap();
    });
}

#[test]
fn a_lock_left_by_a_dead_run_is_succeeded_after_its_lease_or_unlocked() {
    let fixture = Fixture::start();
    let (dead, next) = (fixture.with_keys(Some(keys("k"))), fixture.with_keys(Some(keys("k"))));
    fixture.run(async {
        drop(dead.acquire(&Acquire::default()).await.unwrap());
        assert!(matches!(next.acquire(&Acquire::default()).await, Err(RecordError::Locked(_))));
        let holder = next.unlock().await.unwrap().unwrap();
        assert_eq!(holder.host, "host");
        assert!(next.unlock().await.unwrap().is_none());
        drop(next.acquire(&Acquire::default()).await.unwrap());
    });
    fixture.api.advance_seconds(149);
    fixture.run(async {
        assert!(matches!(dead.acquire(&Acquire::default()).await, Err(RecordError::Locked(_))));
    });
    fixture.api.advance_seconds(10);
    fixture.run(async {
        dead.acquire(&Acquire::default()).await.unwrap().close().await.unwrap();
    });
}

#[test]
fn a_key_without_groups_is_told_what_to_give_it() {
    let fixture = Fixture::start();
    let record = {
        let mut target =
            Target::new(fixture.api.running.url().parse().unwrap(), "no-such-key".to_owned().into());
        target.wait_for_key = Duration::ZERO;
        GroupRecord::new(&Client::new(&target).unwrap(), None, fixture.context())
    };
    let refused = fixture.run(record.read()).unwrap_err();
    assert!(refused.hint().unwrap().contains("--record FILE"), "{refused}: {:?}", refused.hint());
}

#[test]
fn runs_of_all_tenants_share_the_record_of_global_kinds() {
    let fixture = Fixture::start();
    let other = fixture.api.post("/api/tenant", &json!({ "tenant": { "name": "Other" } })).ok();
    let other: Uuid = other["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let first = fixture.with_keys(Some(keys("k")));
    let second = fixture.record(RecordContext { tenant_id: other, ..fixture.context() });
    let mut lambda = entry("acme", Kind::Lambda, "claims");
    let user = entry("acme", Kind::User, "richard");
    fixture.run(async {
        for (record, tenant) in [(&first, fixture.tenant), (&second, other)] {
            let held = record.acquire(&Acquire::default()).await.unwrap();
            lambda.tenants.insert(tenant);
            held.intend(vec![lambda.clone(), user.clone()]).await.unwrap();
            held.update(put(&lambda));
            held.close().await.unwrap();
        }
        let seen = first.read().await.unwrap();
        assert_eq!(
            seen.entries.by_key(&lambda.key).unwrap().tenants,
            BTreeSet::from([fixture.tenant, other])
        );
        let held = second.acquire(&Acquire::default()).await.unwrap();
        held.update(RecordUpdate::Remove(user.key.clone()));
        held.close().await.unwrap();
        assert!(
            first.read().await.unwrap().entries.by_key(&user.key).is_some(),
            "tenant kinds are each tenant's"
        );
    });
}

#[test]
fn a_lost_record_is_told_from_a_first_run() {
    let fixture = Fixture::start();
    let record = fixture.with_keys(None);
    let user = entry("acme", Kind::User, "richard");
    let loaded = fixture.run(record.read()).unwrap();
    assert!(loaded.refuse_if_lost([]).is_ok(), "a first run");
    let lost = loaded.refuse_if_lost([&user.address]).unwrap_err();
    assert!(matches!(lost, RecordError::Lost { objects: 1 }) && lost.is_refusal());
    fixture.run(own(&record, names(1), Kind::User));
    assert!(
        fixture.run(record.read()).unwrap().refuse_if_lost([&user.address]).is_ok(),
        "a squatted id, for the plan to judge"
    );
}

/// Secrets are known to the record by keyed fingerprints alone.
#[test]
fn no_secret_stands_in_the_record() {
    const CANARY: &str = "canary-5eCr3t-value";
    let fixture = Fixture::start();
    let keys = keys("k");
    let record = fixture.with_keys(Some(keys.clone()));
    let mut user = entry("acme", Kind::User, "richard");
    let of = fusionkeep::engine::keys::SecretOf { kind: Kind::User, key: &user.key, field: "password" };
    let fingerprint: Option<SecretFingerprint> = keys.fingerprint(of, CANARY.as_bytes());
    user.secrets.insert("password".into(), SentSecret { version: None, fingerprint });
    fixture.run(async {
        let held = record.acquire(&Acquire::default()).await.unwrap();
        held.intend(vec![user.clone()]).await.unwrap();
        held.update(put(&user));
        held.close().await.unwrap();
        let back = record.read().await.unwrap();
        let known = back.entries.by_key(&user.key).unwrap().secrets["password"].fingerprint.clone().unwrap();
        let compare = |value: &str| keys.compare(&known, of, value.as_bytes());
        assert_eq!(compare(CANARY), fusionkeep::reconcile::SecretComparison::Equal);
        assert_eq!(compare("other"), fusionkeep::reconcile::SecretComparison::Changed);
    });
    let all = Value::from(fixture.groups()).to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, CANARY.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!all.contains(CANARY) && !all.contains(&hex) && !all.contains(&"k".repeat(40)));
}
