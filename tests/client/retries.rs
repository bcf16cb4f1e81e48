//! What is repeated, how often, and what is counted.

use std::time::{Duration, Instant};

use fusionkeep::fusionauth::{Client, Purpose, grants, users};
use futures::future::join_all;
use serde_json::json;

use super::{Reply, Server, empty, html, id, reply, with};

fn user() -> Reply {
    reply(200, json!({"user": {"id": id(1)}}))
}

#[tokio::test]
async fn a_read_is_repeated_over_every_transient_failure() {
    for failure in [500, 502, 503, 504, 429] {
        let server = Server::start(move |number, _| if number < 2 { empty(failure) } else { user() }).await;
        let client = server.client();
        assert!(client.user(id(1)).await.unwrap().is_some(), "{failure}");
        assert_eq!((client.counts().reads, client.counts().retries), (1, 2));
    }
    for make in [|| Reply::Drop, || html(503), || Reply::CutOff("{".into())] {
        let server = Server::start(move |number, _| if number < 2 { make() } else { user() }).await;
        assert!(server.client().user(id(1)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn repetition_ends() {
    let server = Server::start(|_, _| empty(500)).await;
    assert_eq!(server.client().user(id(1)).await.unwrap_err().status(), Some(500));
    assert_eq!(server.lines().len(), 5);
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    for status in [400, 401, 403, 405, 409, 422, 501, 512] {
        let server = Server::start(move |_, _| empty(status)).await;
        let error = server.client().execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(server.lines().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_by_all_calls() {
    let server = Server::start(|number, _| match number {
        0 => with(empty(429), "retry-after", "1"),
        _ => user(),
    })
    .await;
    let client = server.client();
    let begun = Instant::now();
    client.user(id(1)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(client.counts().retries, 1);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_an_error_at_once() {
    let server = Server::start(|_, _| with(html(503), "retry-after", "3600")).await;
    let begun = Instant::now();
    let error = server.client().user(id(1)).await.unwrap_err();
    assert_eq!(error.is_rate_limited(), Some(Some(Duration::from_secs(3600))));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_retryable_conflict_is_repeated_and_another_is_not() {
    let conflict =
        || reply(409, json!({"generalErrors": [{"code": "[retryableConflict]", "message": "again"}]}));
    let server = Server::start(move |number, _| if number == 0 { conflict() } else { user() }).await;
    server.client().execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap();
    assert_eq!(server.lines().len(), 2);
    let server = Server::start(|_, _| empty(409)).await;
    assert!(
        server.client().execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap_err().is_conflict()
    );
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn an_import_is_not_repeated_once_it_may_have_been_carried_out() {
    for make in [|| empty(500), || Reply::Drop, || empty(503)] {
        let server = Server::start(move |_, _| make()).await;
        let error = server.client().execute(&users::import(vec![json!({})])).await.unwrap_err();
        assert!(error.outcome_unknown());
        assert_eq!(server.lines().len(), 1);
    }
    let server = Server::start(|number, _| if number == 0 { empty(429) } else { empty(200) }).await;
    assert!(server.client().execute(&users::import(vec![json!({})])).await.unwrap().is_empty());
    assert_eq!(server.seen()[1].body["validateDbConstraints"], json!(true));
}

#[tokio::test]
async fn a_delete_that_was_lost_and_is_gone_has_succeeded() {
    let server = Server::start(|number, _| if number == 0 { Reply::Drop } else { empty(404) }).await;
    assert!(server.client().execute(&users::hard_delete(id(1))).await.unwrap().is_empty());
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/system/version" => super::version(),
        _ => empty(404),
    })
    .await;
    let error = server.client().execute(&users::hard_delete(id(1))).await.unwrap_err();
    assert!(error.is_not_found(), "the first answer is the caller's to judge");
}

#[tokio::test]
async fn an_upsert_is_simply_repeated() {
    let server = Server::start(|number, _| if number == 0 { Reply::Drop } else { empty(200) }).await;
    let call =
        grants::upsert(id(1), grants::Grantee::User(id(2)), json!({"grant": {"permissions": ["read"]}}));
    assert!(server.client().execute(&call).await.unwrap().is_empty());
    assert_eq!(server.seen()[1].body, json!({"grant": {"permissions": ["read"], "userId": id(2)}}));
}

#[tokio::test]
async fn requests_are_counted_by_purpose() {
    let server = Server::start(|number, _| if number == 0 { empty(500) } else { user() }).await;
    let client = server.client();
    client.user(id(1)).await.unwrap();
    client.execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap();
    client.for_purpose(Purpose::Record).user(id(1)).await.unwrap();
    client.for_purpose(Purpose::Lock).execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap();
    let counts = client.counts();
    assert_eq!((counts.reads, counts.writes, counts.record, counts.lock, counts.retries), (1, 1, 1, 1, 1));
    assert_eq!(counts.total() as usize, server.lines().len());
    assert_eq!(counts.objects(), 2);
}

#[tokio::test]
async fn parallelism_is_bounded_and_the_lock_passes_by() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let server = Server::start(|_, _| Reply::Late(Duration::from_millis(20), Box::new(user()))).await;
    let mut target = server.target();
    target.parallelism = 3;
    let client = Client::new(&target).unwrap();
    let done = AtomicUsize::new(0);
    let begun = Instant::now();
    let calls = (0..30).map(|_| async {
        client.user(id(1)).await.unwrap();
        done.fetch_add(1, Ordering::SeqCst);
    });
    let lock = client.for_purpose(Purpose::Lock);
    let renew = async {
        lock.user(id(1)).await.unwrap();
        done.load(Ordering::SeqCst)
    };
    let (_, before) = tokio::join!(join_all(calls), renew);
    assert!(begun.elapsed() >= Duration::from_millis(200), "30 calls, 3 at once, 20 ms each");
    assert!(before < 30, "the renewal waited for all others");
    assert_eq!(client.concurrency(), 3);
}

#[tokio::test]
async fn the_runs_deadline_ends_it() {
    let server = Server::start(|_, _| empty(503)).await;
    let mut target = server.target();
    target.run_deadline = Some(Duration::from_secs(30));
    target.retry.first_wait = Duration::from_secs(60);
    target.retry.longest_wait = Duration::from_secs(60);
    let begun = Instant::now();
    let error = Client::new(&target).unwrap().user(id(1)).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "the last answer says more than the deadline");
    assert_eq!(server.lines().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for a repetition that cannot begin");

    target.run_deadline = Some(Duration::ZERO);
    let error = Client::new(&target).unwrap().user(id(1)).await.unwrap_err();
    assert!(error.is_refused_here(), "{error}");
    assert_eq!(server.lines().len(), 1, "nothing was sent");
}
