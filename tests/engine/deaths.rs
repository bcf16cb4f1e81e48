//! A runner dies at each request of its run, whatever that is for: reading, the lock, the record, an object. It is
//! told as dead by the server: from that request on nothing of it arrives any more, or that one is still carried out
//! and nobody learns of it. The next run takes its lock over and converges to what an undisturbed one leaves, in what
//! is live and in the record. (`safety::killed` does it to the real process.)

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use super::crash::{after, assert_everything, before, earliest, verify_addresses};
use super::harness::assert_done;
use super::schedules::{Tenant, pretty_assertions};
use crate::safety::killed::copy;

/// Where each run begins: a store, of which every death has a copy.
struct Start(tempfile::TempDir);

impl Start {
    async fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let store = kept.path().join("store.db");
        let tenant = Tenant::over(tempfile::tempdir().unwrap(), 0, "adopted", Some(store)).await;
        verify_addresses(&tenant.world).await;
        for objects in [earliest(), before()] {
            let (_, outcome) = tenant.run(&objects).await.unwrap();
            assert_done(&outcome);
        }
        Start(kept)
    }

    /// With one request at a time.
    async fn tenant(&self) -> Tenant {
        let folder = tempfile::tempdir().unwrap();
        let store = copy(self.0.path(), folder.path());
        let mut tenant = Tenant::over(folder, 0, "adopted", Some(store)).await;
        tenant.parallelism = 1;
        tenant
    }
}

/// Nobody was let in in passing: not who was to be made inactive, and not who was to be closed once it was done.
async fn assert_closed(tenant: &Tenant) {
    let users = tenant.world.get("/api/user/search?queryString=*&numberOfResults=100").await;
    let made = users["users"].as_array().unwrap().iter().find(|user| user["username"] == "inactive");
    assert!(made.is_none_or(|user| user["active"] == false), "the account was open: {made:?}");
}

async fn die(start: &Start, request: usize, carried_out: bool, undisturbed: &Value) {
    let tenant = start.tenant().await;
    let gone = |from| json!({"fault": "resetBefore", "route": "/api/*", "from": from});
    let rules = match carried_out {
        true => json!([{"fault": "resetAfter", "route": "/api/*", "nth": request}, gone(request + 1)]),
        false => json!([gone(request)]),
    };
    tenant.world.faults(rules).await;
    // How it ends is the death's business; that it says no more than what was done is looked at.
    let _ended = tenant.run(&after()).await;
    tenant.world.faults(json!([])).await;
    assert_closed(&tenant).await;
    tenant.world.request("POST", "/_sandbox/clock", json!({"advanceSeconds": 1000})).await;
    for left in [None, Some(0)] {
        let (plan, outcome) = tenant.run(&after()).await.unwrap();
        assert_done(&outcome);
        assert!(
            left.is_none_or(|left| plan.changes.len() == left),
            "it has not converged: {:#?}",
            plan.changes
        );
        assert_closed(&tenant).await;
    }
    pretty_assertions(undisturbed, &tenant.whole_state().await);
}

#[test]
fn after_a_death_at_any_request_the_next_run_converges() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let failed: Vec<(usize, bool)> = runtime.block_on(async {
        let start = Start::new().await;
        let calm = start.tenant().await;
        let (plan, requests) = calm.run_counted(&after()).await;
        assert_everything(&plan);
        let undisturbed = calm.whole_state().await;
        assert!(requests.len() > 80, "{} requests", requests.len());
        // A read that was answered to nobody is one that never came. (Some come at once, in either order.)
        let writes =
            |request: usize| requests[request.saturating_sub(2)..].iter().take(3).any(|writes| *writes);
        let all = (1..=requests.len()).flat_map(|request| [(request, false), (request, true)]);
        let deaths = all.filter(|(request, carried_out)| !carried_out || writes(*request));
        let run = |(request, carried_out)| {
            let (start, undisturbed) = (&start, &undisturbed);
            async move {
                let ended =
                    AssertUnwindSafe(die(start, request, carried_out, undisturbed)).catch_unwind().await;
                ended.is_err().then_some((request, carried_out))
            }
        };
        stream::iter(deaths).map(run).buffer_unordered(4).filter_map(futures::future::ready).collect().await
    });
    assert!(
        failed.is_empty(),
        "deaths at these requests (and whether they were carried out) left something: {failed:?}"
    );
}
