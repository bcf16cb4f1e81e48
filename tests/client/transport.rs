//! Headers, and answers that are not FusionAuth's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fusionkeep::fusionauth::{Client, Error, ErrorKind, Notice, Target, Unreachable, lambdas, users};
use secrecy::SecretString;
use serde_json::json;

use super::{KEY, Reply, Server, TENANT, empty, html, id, reply, version, with};

#[tokio::test]
async fn sends_the_raw_key_and_the_tenant_where_it_belongs() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        path if path.starts_with("/api/lambda") => reply(200, json!({"lambda": {}})),
        _ => reply(200, json!({"user": {}})),
    })
    .await;
    let client = server.client();
    client.execute(&users::patch(id(1), json!({"user": {"firstName": "R"}}))).await.unwrap();
    client.execute(&lambdas::create(id(2), json!({"lambda": {"name": "x"}}))).await.unwrap();
    client.with_tenant(None).user(id(1)).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("authorization"), Some(KEY));
    assert_eq!(seen[0].header("content-type"), Some("application/merge-patch+json"));
    assert_eq!(seen[0].header("x-fusionauth-tenantid"), Some(TENANT.to_string().as_str()));
    assert_eq!(seen[1].header("x-fusionauth-tenantid"), None);
    assert_eq!(seen[1].header("content-type"), Some("application/json"));
    assert_eq!(seen[2].header("x-fusionauth-tenantid"), None);
    assert!(seen[0].header("user-agent").unwrap().starts_with("fusionkeep/"));
}

#[tokio::test]
async fn a_base_path_is_kept() {
    let server = Server::start(|_, _| reply(200, json!({"user": {}}))).await;
    let mut target = server.target();
    target.base_url = server.url.join("/auth/").unwrap();
    Client::new(&target).unwrap().user(id(1)).await.unwrap();
    assert_eq!(server.lines(), [format!("GET /auth/api/user/{}", id(1))]);
}

#[tokio::test]
async fn an_html_page_is_never_absence_nor_success() {
    for status in [200, 404, 503] {
        let server = Server::start(move |_, _| html(status)).await;
        let client = server.client();
        let read = client.user(id(1)).await.unwrap_err();
        assert!(
            matches!(read.kind(), ErrorKind::NotJson { status: found, .. } if *found == status),
            "{read}"
        );
        assert!(read.is_unreachable());
        let delete = client.execute(&users::hard_delete(id(1))).await.unwrap_err();
        assert!(matches!(delete.kind(), ErrorKind::NotJson { .. }), "{delete}");
        assert!(!format!("{read} {read:?}").contains("canary-html"));
    }
}

#[tokio::test]
async fn another_services_404_is_not_absence() {
    let server = Server::start(|_, _| reply(404, json!({"message": "no Route matched"}))).await;
    let error = server.client().user(id(1)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotJson { status: 404, .. }), "{error}");
    // An empty object says as little as the empty body that is documented.
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/system/version" => super::version(),
        _ => reply(404, json!({})),
    })
    .await;
    assert!(server.client().user(super::id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_404_is_believed_only_under_a_proven_url() {
    let server = Server::start(|_, _| empty(404)).await;
    let error = server.client().user(id(1)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::UnprovenBaseUrl);
    assert!(error.is_unreachable() && !error.is_not_found());

    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/system/version" => version(),
        _ => empty(404),
    })
    .await;
    let client = server.client();
    assert_eq!(client.user(id(1)).await.unwrap(), None);
    assert_eq!(client.user(id(2)).await.unwrap(), None);
    assert_eq!(server.lines().len(), 3, "it is proven once");
}

#[tokio::test]
async fn a_key_without_the_version_permission_proves_the_url_by_the_status() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/system/version" => empty(401),
        "/api/status" => reply(200, json!({"status": "Ok"})),
        _ => empty(404),
    })
    .await;
    assert_eq!(server.client().user(id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn an_empty_body_where_json_is_due_is_an_error() {
    let server = Server::start(|_, _| empty(200)).await;
    let error = server.client().user(id(1)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedShape(_)), "{error}");
    let error = server.client().lambdas().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedShape(_)), "{error}");
}

#[tokio::test]
async fn json_of_another_shape_is_an_error_and_not_an_empty_list() {
    let server = Server::start(|_, _| reply(200, json!({"users": [], "secret": "canary-value"}))).await;
    let error = server.client().lambdas().await.unwrap_err();
    assert!(error.to_string().contains("no array `lambdas`"), "{error}");
    assert!(!format!("{error:?}").contains("canary-value"));
    let server = Server::start(|_, _| reply(200, json!({}))).await;
    assert!(server.client().lambdas().await.unwrap().is_empty(), "FusionAuth drops nulls");
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_an_error_in_both_ways() {
    let server = Server::start(|_, _| Reply::CutOff(r#"{"user": {"id": "#.into())).await;
    let error = server.client().user(id(1)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::CutOff { status: 200 });
    let server = Server::start(|_, _| {
        let headers = vec![("content-type", "application/json".to_owned())];
        Reply::Answer { status: 200, headers, body: r#"{"user": {"id": "#.into() }
    })
    .await;
    let error = server.client().user(id(1)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::CutOff { status: 200 });
    assert_eq!(server.lines().len(), 5, "a read is repeated");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_is_not_sent_on() {
    let thief = Server::start(|_, _| reply(200, json!({"user": {}}))).await;
    let to = thief.url.join("/login?email=canary@example.com").unwrap().to_string();
    for status in [301, 302, 307, 308] {
        let to = to.clone();
        let server = Server::start(move |_, _| with(empty(status), "location", &to)).await;
        let error = server.client().user(id(1)).await.unwrap_err();
        let origin = thief.url.origin().ascii_serialization();
        assert_eq!(*error.kind(), ErrorKind::Redirect { status, to: origin });
        assert!(error.to_string().contains("key was not sent"), "{error}");
        assert!(!error.to_string().contains("canary"));
        let error = server.client().execute(&users::create(id(1), json!({"user": {}}))).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redirect { .. }));
    }
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn a_fresh_key_is_waited_for_before_the_first_success_only() {
    let server = Server::start(|number, _| match number {
        0 | 1 => empty(401),
        2 => reply(200, json!({"user": {}})),
        _ => empty(401),
    })
    .await;
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = notices.clone();
    let mut target = server.target();
    target.wait_for_key = Duration::from_secs(3);
    target.notices = Some(Arc::new(move |notice| sink.lock().unwrap().push(notice)));
    let client = Client::new(&target).unwrap();
    // A POST too: a refused key has done nothing.
    client.execute(&users::create(id(1), json!({"user": {}}))).await.unwrap();
    assert!(matches!(notices.lock().unwrap()[..], [Notice::WaitingForKey(_)]));
    let error = client.user(id(1)).await.unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(
        (error.method().map(|m| m.as_str()), error.route()),
        (Some("GET"), Some("/api/user/{userId}"))
    );
    assert!(error.hint().unwrap().contains("lacks GET on /api/user;"), "{:?}", error.hint());
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn waiting_for_a_key_ends() {
    let server = Server::start(|_, _| empty(401)).await;
    let mut target = server.target();
    target.wait_for_key = Duration::from_millis(300);
    let client = Client::new(&target).unwrap();
    assert!(client.user(id(1)).await.unwrap_err().is_unauthorized());
    let first = server.lines().len();
    assert!((2..5).contains(&first), "{first}");
    assert!(client.user(id(1)).await.unwrap_err().is_unauthorized());
    assert_eq!(server.lines().len(), first + 1, "the wait is the run's and not each call's");
}

async fn failure(url: &str, change: impl FnOnce(&mut Target)) -> Error {
    let mut target = Target::new(url.parse().unwrap(), SecretString::from(KEY));
    target.environment_proxies = false;
    target.retry.attempts = 1;
    change(&mut target);
    match Client::new(&target) {
        Ok(client) => client.user_by(users::LoginId::Email, "canary@example.com").await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_is_unreachable_says_why() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = Server::start(|_, _| empty(200)).await;
    let port = plain.url.port().unwrap();
    for (url, wanted) in [
        (format!("http://{closed}"), Unreachable::Connect),
        ("https://host.invalid".to_owned(), Unreachable::Dns),
        (format!("https://127.0.0.1:{port}"), Unreachable::Tls),
    ] {
        let error = failure(&url, |_| {}).await;
        let ErrorKind::Unreachable { cause, .. } = error.kind() else { panic!("{url}: {error:?}") };
        assert_eq!(*cause, wanted, "{url}: {error}");
        assert!(error.is_unreachable() && error.hint().is_some());
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_silent_server_times_out_and_nothing_personal_is_said() {
    let server = Server::start(|_, _| Reply::Late(Duration::from_secs(30), Box::new(empty(200)))).await;
    let error =
        failure(server.url.as_str(), |target| target.request_timeout = Duration::from_millis(50)).await;
    assert!(matches!(error.kind(), ErrorKind::NoAnswer { timeout: true, .. }), "{error:?}");
    assert!(error.is_unreachable() && error.outcome_unknown());
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn unusable_settings_are_refused_before_anything_is_sent() {
    let error = failure("http://auth.example.com", |_| {}).await;
    assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{error}");
    let error =
        failure("https://auth.example.com", |target| target.api_key = SecretString::from("a\nb")).await;
    assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{error}");
    let error = failure("https://auth.example.com", |target| target.ca_pem = Some(b"no PEM".to_vec())).await;
    assert!(error.to_string().contains("CA file"), "{error}");
}

#[tokio::test]
async fn the_servers_clock_is_kept() {
    let server = Server::start(|_, _| {
        with(reply(200, json!({"group": {"id": id(1)}})), "date", "Sun, 06 Nov 1994 08:49:37 GMT")
    })
    .await;
    let client = server.client();
    assert_eq!(client.server_now(), None);
    let (_, date) = client.group_at(id(1)).await.unwrap().unwrap();
    let at: jiff::Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
    assert_eq!(date, Some(at));
    assert!(client.server_now().unwrap() >= at);
}

#[tokio::test]
async fn the_version_is_read() {
    let server = Server::start(|number, _| match number {
        0 => version(),
        _ => reply(200, json!({"version": "<script>"})),
    })
    .await;
    assert!(server.client().system_version().await.unwrap().at_least(1, 69));
    let error = server.client().system_version().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedShape(_)), "{error}");
}
