//! What must not be sent, and what must not be said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fusionkeep::fusionauth::{Answer, Call, Idempotency};
use fusionkeep::fusionauth::{ErrorKind, Method, Purpose, WriteGate, entities, grants, lambdas, users};
use secrecy::SecretString;
use serde_json::json;

use super::{KEY, Reply, Server, empty, id, reply};

#[tokio::test]
async fn a_client_that_only_reads_sends_no_write() {
    let server = Server::start(|_, _| reply(200, json!({"total": 0, "users": [], "lambdas": []}))).await;
    let client = server.client().read_only();
    let disguised = Call::new(Method::POST, "/api/user/{userId}", vec![id(1).to_string()], Answer::Object)
        .json(json!({}))
        .idempotency(Idempotency::SafeRead);
    for call in [
        users::create(id(1), json!({"user": {}})),
        users::deactivate(id(1)),
        users::import(vec![]),
        users::verify_email(id(1)),
        grants::upsert(id(1), grants::Grantee::User(id(2)), json!({"grant": {}})),
        disguised,
    ] {
        let error = client.execute(&call).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ReadOnly, "{call:?}");
    }
    assert!(server.seen().is_empty());
    client.users_by_ids(&[id(1)], |_: fusionkeep::fusionauth::Object| {}).await.unwrap();
    client.lambdas().await.unwrap();
    client.flush_user_search().await.unwrap();
    assert_eq!(server.seen().len(), 3);
}

/// Permits a number of attempts.
struct Lease(AtomicUsize);

impl WriteGate for Lease {
    fn permit(&self, longest: Duration) -> Result<(), String> {
        assert_eq!(longest, Duration::from_secs(5));
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| "the lock is lost".to_owned())
    }
}

#[tokio::test]
async fn the_gate_is_asked_before_each_attempt_of_a_write() {
    let server = Server::start(|_, _| empty(503)).await;
    let client = server.client().with_write_gate(Arc::new(Lease(AtomicUsize::new(2))));
    let error = client.execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "that it may have been carried out is not hidden");
    assert_eq!(server.seen().len(), 2);
    let error = client.execute(&users::patch(id(1), json!({"user": {}}))).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::WriteRefused("the lock is lost".into()));
    assert_eq!(server.seen().len(), 2);
    client.user(id(1)).await.unwrap_err();
    assert_eq!(server.seen().len(), 7, "reads pass");
}

#[tokio::test]
async fn stop_ends_waits_and_lets_record_and_lock_finish() {
    let server = Server::start(|number, seen| match (seen.method.as_str(), number) {
        ("PATCH", 0) => super::with(empty(429), "retry-after", "30"),
        _ => reply(200, json!({"user": {}, "group": {}})),
    })
    .await;
    let client = server.client();
    let begun = Instant::now();
    let patch = users::patch(id(1), json!({"user": {}}));
    let (error, ()) = tokio::join!(client.execute(&patch), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.stop();
    });
    assert_eq!(error.unwrap_err().status(), Some(429));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(*client.user(id(1)).await.unwrap_err().kind(), ErrorKind::Stopped);
    client.for_purpose(Purpose::Lock).group(id(1)).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_stop_does_not_leave_a_lost_create_unrecognised() {
    let server = Server::start(|_, seen| match seen.method.as_str() {
        "POST" => Reply::Late(Duration::from_millis(80), Box::new(Reply::Drop)),
        _ => reply(200, json!({"lambda": {"id": id(1), "name": "x"}})),
    })
    .await;
    let client = server.client();
    let create = lambdas::create(id(1), json!({"lambda": {"name": "x"}}));
    let (created, ()) = tokio::join!(client.execute(&create), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.stop();
    });
    assert!(created.is_ok(), "{created:?}");
}

#[tokio::test]
async fn neither_key_nor_secrets_nor_personal_values_are_said() {
    let echo = |_: usize, _: &super::Seen| {
        reply(
            400,
            json!({
                "fieldErrors": {
                    "user.email": [{"code": "[duplicate]user.email", "message": "A User with email = [canary@b.c] already exists."}],
                    "user.password": [{"code": "[tooShort]user.password", "message": "canary-password is too short"}],
                    "entity.clientSecret": [{"code": "[invalid]entity.clientSecret", "message": "canary-secret"}],
                    "canary@b.c": [{"code": "canary-password is bad", "message": "canary-password"}]
                },
                "generalErrors": [{"code": "[Exception]", "message": format!("canary-password {KEY}")}]
            }),
        )
    };
    let server = Server::start(echo).await;
    let client = server.client();
    let call = users::create(id(1), json!({"user": {"email": "canary@b.c"}}))
        .secret("/user/password", SecretString::from("canary-password"));
    let error = client.execute(&call).await.unwrap_err();
    let said = format!("{error} {error:?} {:?} {call:?} {client:?} {:?}", error.hint(), server.target());
    assert!(!said.contains("canary"), "{said}");
    assert!(said.contains("[duplicate]user.email: A User with email = (masked) already exists."), "{said}");
    assert_eq!(server.seen()[0].body["user"]["password"], json!("canary-password"));
}

#[tokio::test]
async fn errors_are_classified() {
    let general = |code: &str| json!({"generalErrors": [{"code": code, "message": "m"}], "fieldErrors": {}});
    let field = |code: &str| json!({"fieldErrors": {"user.email": [{"code": code, "message": "m"}]}});
    let bodies = vec![
        (400, general("[TenantIdRequired]")),
        (400, general("[notLicensed]")),
        (400, field("[inactive]user.email")),
        (400, general("[LinkCountExceeded]")),
        (512, general("[LambdaInvocationException]")),
        (400, field("[inUse]lambda.id")),
    ];
    let answers = bodies.clone();
    let server = Server::start(move |number, _| reply(answers[number].0, answers[number].1.clone())).await;
    let client = server.client();
    let mut errors = Vec::new();
    for _ in &bodies {
        errors.push(client.execute(&entities::patch(id(1), json!({"entity": {}}))).await.unwrap_err());
    }
    assert!(errors[0].is_tenant_id_required() && errors[0].hint().unwrap().contains("--tenant-id"));
    assert!(errors[1].is_license() && errors[1].hint().unwrap().contains("licence"));
    assert!(errors[2].is_inactive());
    assert_eq!(errors[2].is_duplicate(), Some("user.email"));
    assert!(errors[3].is_link_limit());
    assert!(errors[4].is_lambda_failure());
    assert!(errors[5].is_in_use());
    assert!(errors.iter().all(|error| !error.is_unreachable() && !error.is_retryable_safe()));
}

#[tokio::test]
async fn an_address_that_is_not_allowed_gets_no_connection() {
    use fusionkeep::fusionauth::{AddressFilter, Client, Target, Unreachable};
    let server = Server::start(|_, _| reply(200, json!({"user": {}}))).await;
    let filter =
        AddressFilter::new(|address| if address.is_loopback() { Err("loopback".into()) } else { Ok(()) });
    let port = server.url.port().unwrap();
    let mut target =
        Target::new(format!("http://localhost:{port}").parse().unwrap(), SecretString::from(KEY));
    target.environment_proxies = false;
    target.address_filter = Some(filter);
    let error = Client::new(&target).unwrap().user(id(1)).await.unwrap_err();
    let refused =
        |kind: &ErrorKind| matches!(kind, ErrorKind::Unreachable { cause: Unreachable::AddressRefused, .. });
    assert!(refused(error.kind()), "{error:?}");
    target.base_url = format!("http://127.0.0.1:{port}").parse().unwrap();
    assert!(Client::new(&target).is_err(), "as a literal too");
    assert!(server.seen().is_empty());
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_holds_no_key_no_secret_and_nothing_personal_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|number, _| match number {
        1 => empty(503),
        _ => reply(200, json!({"user": {"id": id(1), "email": "canary@b.c"}})),
    })
    .await;
    let client = server.client();
    // Tests in other threads, which have no subscriber, may just have told the event's place that nobody listens.
    client.user(id(1)).await.unwrap();
    tracing::callsite::rebuild_interest_cache();
    client.user_by(users::LoginId::Email, "canary@b.c").await.unwrap();
    let call = users::create(id(1), json!({"user": {"email": "canary@b.c"}}))
        .secret("/user/password", SecretString::from("canary-password"));
    client.execute(&call).await.unwrap();
    client.pending_link(&SecretString::from("canary-pending"), None).await.unwrap_err();
    drop(guard);
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(said.contains("/api/user/{userId}") && said.contains("status=503"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}
