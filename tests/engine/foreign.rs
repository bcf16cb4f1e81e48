//! A FusionAuth that is not the sandbox: what a session makes of answers that the documents leave room for.

use fusionkeep::engine::error::Error;
use fusionkeep::engine::session::{Connection, Session};
use fusionkeep::fusionauth::ErrorKind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Reply, Server, empty, id, reply, version};

async fn connect(server: &Server, tenant_id: Option<Uuid>) -> Result<Session, Error> {
    let mut target = server.target();
    target.tenant_id = None;
    let owner = "acme".parse().unwrap();
    Session::connect(&Connection { server: target, shown_url: None, tenant_id, owner }).await
}

fn tenants(ids: &[u128]) -> Reply {
    let tenants: Vec<Value> = ids.iter().map(|n| json!({"id": id(*n), "name": format!("T{n}")})).collect();
    reply(200, json!({ "tenants": tenants }))
}

#[tokio::test]
async fn the_version_is_taken_from_the_status_where_it_stands_nowhere_else() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/status" => version(),
        "/api/tenant" => tenants(&[1]),
        _ => empty(404),
    })
    .await;
    assert_eq!(connect(&server, None).await.unwrap().version().to_string(), "1.69.0");
    let server = Server::start(|_, _| empty(404)).await;
    let error = connect(&server, None).await.unwrap_err();
    assert!(matches!(&error, Error::Api(error) if *error.kind() == ErrorKind::UnprovenBaseUrl), "{error:?}");
}

/// A key without that one permission is known to the server, which the status tells; so nothing is waited for.
#[tokio::test]
async fn a_key_that_may_not_read_the_version_waits_for_nothing() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/status" => version(),
        "/api/tenant" => tenants(&[1]),
        _ => empty(401),
    })
    .await;
    let mut target = server.target();
    target.wait_for_key = std::time::Duration::from_secs(60);
    let owner = "acme".parse().unwrap();
    let connection = Connection { server: target, shown_url: None, tenant_id: None, owner };
    let session = Session::connect(&connection).await.unwrap();
    assert_eq!(session.version().to_string(), "1.69.0");
    assert_eq!(server.lines().iter().filter(|line| line.contains("/api/system/version")).count(), 1);
    // One that is not known yet is.
    let server = Server::start(|number, seen| match seen.path.as_str() {
        "/api/status" => reply(200, json!({})),
        "/api/system/version" if number > 3 => version(),
        "/api/tenant" => tenants(&[1]),
        _ => empty(401),
    })
    .await;
    let connection = Connection { server: server.target(), ..connection };
    let mut waiting = connection.clone();
    waiting.server.wait_for_key = std::time::Duration::from_secs(60);
    assert_eq!(Session::connect(&waiting).await.unwrap().version().to_string(), "1.69.0");
}

#[tokio::test]
async fn a_given_tenant_is_refused_only_by_a_server_that_shows_tenants() {
    let start = |shown: &'static [u128]| {
        Server::start(move |_, seen| match seen.path.as_str() {
            "/api/system/version" => version(),
            "/api/tenant" => tenants(shown),
            _ => empty(404),
        })
    };
    assert!(matches!(
        connect(&start(&[1]).await, Some(id(2))).await.unwrap_err(),
        Error::UnknownTenant { .. }
    ));
    assert_eq!(connect(&start(&[]).await, Some(id(2))).await.unwrap().tenant_id(), id(2));
    assert!(matches!(connect(&start(&[]).await, None).await.unwrap_err(), Error::NoTenant));
}

#[tokio::test]
async fn a_key_that_opens_nothing_is_told_as_such() {
    let start = |version_shown: bool| {
        Server::start(move |_, seen| match seen.path.as_str() {
            "/api/status" => version(),
            "/api/system/version" if version_shown => version(),
            _ => empty(401),
        })
    };
    let error = connect(&start(false).await, None).await.unwrap_err();
    assert!(matches!(&error, Error::Api(error) if error.is_unauthorized()), "{error:?}");
    // This one opens something.
    assert!(matches!(connect(&start(true).await, None).await.unwrap_err(), Error::NoTenant));
}

#[tokio::test]
async fn the_only_tenant_is_the_default_one() {
    let start = |shown: &'static [u128]| {
        Server::start(move |_, seen| match seen.path.as_str() {
            "/api/system/version" => version(),
            "/api/tenant" => tenants(shown),
            path if path.starts_with("/api/tenant/") => reply(200, json!({"tenant": {"id": id(1)}})),
            _ => empty(404),
        })
    };
    let session = connect(&start(&[1]).await, Some(id(1))).await.unwrap();
    assert_eq!(session.default_tenant().await.unwrap(), Some(id(1)));
    let session = connect(&start(&[1, 2]).await, Some(id(1))).await.unwrap();
    assert_eq!(session.default_tenant().await.unwrap(), None, "of several it could be any");
}
