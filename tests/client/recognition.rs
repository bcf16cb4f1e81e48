//! Creates after a lost response: found again, never done twice, never mistaken.

use fusionkeep::fusionauth::{ErrorKind, entity_types, groups, links, registrations, users};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Reply, Server, empty, id, reply, version};

fn duplicate(field: &str) -> Reply {
    reply(
        400,
        json!({"fieldErrors": {field: [{"code": format!("[duplicate]{field}"), "message": "exists"}]}}),
    )
}

fn create() -> fusionkeep::fusionauth::Call {
    users::create(id(1), json!({"user": {"email": "A@b.c", "firstName": "R"}}))
        .secret("/user/password", SecretString::from("hunter2"))
}

/// A server on which the user exists as `user` once it was POSTed, and whose first POST is answered by `first`.
async fn committed(first: fn() -> Reply, user: Value) -> Server {
    Server::start(move |number, seen| match (seen.method.as_str(), number) {
        ("POST", 0) => first(),
        ("POST", _) => duplicate("user.id"),
        _ => reply(200, json!({ "user": user })),
    })
    .await
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_not_repeated() {
    for first in
        [|| Reply::Drop, || Reply::CutOff("{\"user\"".into()), || empty(500), || empty(502), || empty(504)]
    {
        let server =
            committed(first, json!({"id": id(1), "email": "a@b.c", "firstName": "R", "active": true})).await;
        let client = server.client();
        let user = client.execute(&create()).await.unwrap().parse::<serde_json::Value>().unwrap();
        assert_eq!(user["user"]["email"], json!("a@b.c"));
        assert_eq!(server.lines(), [format!("POST /api/user/{}", id(1)), format!("GET /api/user/{}", id(1))]);
        assert_eq!((client.counts().writes, client.counts().retries), (1, 1));
    }
}

#[tokio::test]
async fn a_create_that_was_not_committed_is_repeated() {
    let server = Server::start(|number, seen| match (seen.method.as_str(), number) {
        ("POST", 0) => Reply::Drop,
        ("POST", _) => reply(200, json!({"user": {"id": id(1)}})),
        (_, _) if seen.path == "/api/system/version" => version(),
        _ => empty(404),
    })
    .await;
    server.client().execute(&create()).await.unwrap();
    let posts: Vec<Value> =
        server.seen().iter().filter(|seen| seen.method == "POST").map(|s| s.body.clone()).collect();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0], posts[1]);
    assert_eq!(posts[0]["user"]["password"], json!("hunter2"));
}

#[tokio::test]
async fn a_create_that_commits_after_the_look_up_is_still_recognised() {
    let server = Server::start(|number, seen| match (seen.method.as_str(), number) {
        ("POST", 0) => Reply::Drop,
        ("POST", _) => duplicate("user.email"),
        ("GET", 1) => empty(404),
        _ => reply(200, json!({"user": {"id": id(1), "email": "a@b.c"}})),
    })
    .await;
    server.client().execute(&create()).await.unwrap();
}

#[tokio::test]
async fn a_duplicate_at_the_first_attempt_is_somebody_elses() {
    let server = committed(|| duplicate("user.email"), json!({"id": id(1), "email": "a@b.c"})).await;
    let error = server.client().execute(&create()).await.unwrap_err();
    assert_eq!(error.is_duplicate(), Some("user.email"));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn what_is_found_must_be_what_was_sent() {
    let server = committed(|| Reply::Drop, json!({"id": id(1), "email": "other@b.c"})).await;
    let error = server.client().execute(&create()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::CreateDiffers { field: "email".into() });
}

#[tokio::test]
async fn a_look_up_that_fails_leaves_the_outcome_unknown() {
    let server = Server::start(|number, _| if number == 0 { Reply::Drop } else { empty(500) }).await;
    let error = server.client().execute(&create()).await.unwrap_err();
    assert!(error.outcome_unknown() && error.method().unwrap() == "POST", "{error}");
}

#[tokio::test]
async fn a_user_with_a_registration_counts_when_both_are_there() {
    let call = || {
        let registration = json!({"applicationId": id(7), "roles": ["user"]});
        registrations::create_with_user(
            id(1),
            json!({"user": {"email": "a@b.c"}, "registration": registration}),
        )
    };
    let both = json!({"email": "a@b.c", "registrations": [{"applicationId": id(7), "roles": ["user"]}]});
    let server = committed(|| Reply::Drop, both).await;
    server.client().execute(&call()).await.unwrap();
    let server = committed(|| Reply::Drop, json!({"email": "a@b.c", "registrations": []})).await;
    let error = server.client().execute(&call()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::CreateDiffers { field: "registrations".into() });
}

#[tokio::test]
async fn a_permission_is_found_in_its_entity_type() {
    let server = Server::start(|number, seen| match (seen.method.as_str(), number) {
        ("POST", 0) => Reply::Drop,
        _ => {
            reply(200, json!({"entityType": {"permissions": [{"id": id(8)}, {"id": id(9), "name": "read"}]}}))
        }
    })
    .await;
    let call = entity_types::create_permission(id(1), id(9), json!({"permission": {"name": "read"}}));
    let answer = server.client().execute(&call).await.unwrap().parse::<serde_json::Value>().unwrap();
    assert_eq!(answer["permission"]["id"], json!(id(9)));
}

#[tokio::test]
async fn of_two_that_create_a_group_only_its_writer_has_won() {
    let call = || groups::create(id(1), json!({"group": {"name": "g", "data": {"holder": "me"}}}));
    for (holder, won) in [("me", true), ("another", false)] {
        let server = Server::start(move |_, seen| match seen.method.as_str() {
            "POST" => Reply::Drop,
            _ => reply(200, json!({"group": {"id": id(1), "name": "g", "data": {"holder": holder}}})),
        })
        .await;
        let result = server.client().execute(&call()).await;
        assert_eq!(result.is_ok(), won, "{result:?}");
    }
}

#[tokio::test]
async fn a_link_that_exists_is_judged_by_its_holder() {
    let body = json!({"identityProviderLink": {
        "identityProviderId": id(3), "identityProviderUserId": "42", "userId": id(1), "displayName": "new"}});
    for (first, holder, works, in_array) in [
        (duplicate as fn(&str) -> Reply, id(1), true, false),
        (|_: &str| empty(409), id(1), true, false),
        (duplicate, id(2), false, false),
        (duplicate, id(1), true, true),
        (duplicate, id(2), false, true),
    ] {
        let server = Server::start(move |_, seen| match seen.method.as_str() {
            "POST" => first("identityProviderLink"),
            _ => {
                let link =
                    json!({"identityProviderId": id(3), "identityProviderUserId": "42", "userId": holder});
                reply(
                    200,
                    match in_array {
                        true => json!({ "identityProviderLinks": [link] }),
                        false => json!({ "identityProviderLink": link }),
                    },
                )
            }
        })
        .await;
        let result = server.client().execute(&links::create(body.clone())).await;
        assert_eq!(result.is_ok(), works, "{result:?}");
        if let Err(error) = result {
            assert_eq!(*error.kind(), ErrorKind::CreateDiffers { field: "userId".into() });
        }
        let asked =
            format!("GET /api/identity-provider/link?identityProviderId={}&identityProviderUserId=42", id(3));
        assert_eq!(server.lines()[1], asked);
    }
}
