//! Pages of ids that must be whole, and searches that are paged to their end.

use std::collections::HashSet;

use fusionkeep::fusionauth::{ErrorKind, Object, ServerVersion, entities, users};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Reply, Seen, Server, empty, id, reply, version};

fn ids(count: u128) -> Vec<Uuid> {
    (1..=count).map(id).collect()
}

fn rows(ids: &[Value]) -> Vec<Value> {
    ids.iter().map(|id| json!({"id": id, "email": "x@y.z"})).collect()
}

fn asked(seen: &Seen) -> &Vec<Value> {
    seen.body["search"]["ids"].as_array().unwrap()
}

/// A page of exactly these rows, as FusionAuth answers.
fn page(rows: &[Value]) -> Reply {
    reply(200, json!({"total": rows.len(), "users": rows, "expandable": ["memberships"]}))
}

async fn read(server: &Server, ids: &[Uuid]) -> Result<HashSet<Uuid>, fusionkeep::fusionauth::Error> {
    let mut found = HashSet::new();
    let row = |row: Object| {
        let id: Uuid = row["id"].as_str().unwrap().parse().unwrap();
        assert!(found.insert(id), "handed out twice");
    };
    server.client().users_by_ids(ids, row).await.map(|()| found)
}

#[tokio::test]
async fn ten_thousand_users_are_ten_requests() {
    let server = Server::start(|_, seen| page(&rows(asked(seen)))).await;
    let wanted = ids(10_000);
    let mut twice = wanted.clone();
    twice.extend(&wanted[..50]);
    assert_eq!(read(&server, &twice).await.unwrap().len(), 10_000);
    let seen = server.seen();
    assert_eq!(seen.len(), 10);
    assert_eq!(seen[0].line(), "POST /api/user/search");
    assert_eq!(seen[0].body["expand"], json!(["registrations"]));
}

#[tokio::test]
async fn a_row_is_absent_only_when_the_total_says_so() {
    let server = Server::start(|_, seen| page(&rows(&asked(seen)[1..]))).await;
    assert_eq!(read(&server, &ids(3)).await.unwrap(), HashSet::from([id(2), id(3)]));
}

#[tokio::test]
async fn a_short_page_is_read_again_and_never_absence() {
    let short = |seen: &Seen| reply(200, json!({"total": 3, "users": rows(&asked(seen)[1..])}));
    let server = Server::start(move |number, seen| match number {
        0 => short(seen),
        _ => page(&rows(asked(seen))),
    })
    .await;
    assert_eq!(read(&server, &ids(3)).await.unwrap().len(), 3);

    // What is missing is asked for again, and never shows.
    let server = Server::start(move |_, seen| short(seen)).await;
    let error = read(&server, &ids(3)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::ShortPage { total: Some(3), rows: 0 });
}

#[tokio::test]
async fn a_server_that_pages_an_answer_to_ids_is_asked_for_the_rest() {
    // At most two rows, and the last id does not exist.
    let some = |seen: &Seen| {
        let there: Vec<Value> = asked(seen).iter().filter(|asked| **asked != json!(id(5))).cloned().collect();
        reply(200, json!({"total": there.len(), "users": rows(&there[..there.len().min(2)])}))
    };
    let server = Server::start(move |_, seen| some(seen)).await;
    assert_eq!(read(&server, &ids(5)).await.unwrap(), ids(4).into_iter().collect());
    assert_eq!(server.seen().len(), 2);

    // A later answer that knows of fewer rows than the first counted proves nothing.
    for then in [|| page(&[]), || empty(404)] {
        let server = Server::start(move |number, seen| match number {
            0 => reply(200, json!({"total": 3, "users": rows(&asked(seen)[1..])})),
            _ if seen.method == "GET" => version(),
            _ => then(),
        })
        .await;
        let error = read(&server, &ids(3)).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ShortPage { total: Some(1), rows: 0 });
    }
}

#[tokio::test]
async fn a_repeated_row_does_not_fill_a_page() {
    let server = Server::start(|_, seen| {
        let mut rows = rows(&asked(seen)[1..]);
        rows.extend(rows.first().cloned());
        page(&rows)
    })
    .await;
    let error = read(&server, &ids(3)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ShortPage { .. }), "{error}");

    let server = Server::start(|_, seen| {
        let mut rows = rows(asked(seen));
        rows.push(rows[0].clone());
        reply(200, json!({"total": 3, "users": rows}))
    })
    .await;
    assert_eq!(read(&server, &ids(3)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_missing_total_proves_no_absence() {
    // The users document shows no total: what is missing is asked for by its id then, and only a 404 is absence.
    let start = |missing: fn() -> Reply| {
        Server::start(move |_, seen| match seen.method.as_str() {
            "POST" => reply(200, json!({"users": rows(&asked(seen)[2..])})),
            _ if seen.path.ends_with(&id(1).to_string()) => missing(),
            _ => reply(200, json!({"user": {"id": id(2), "email": "x@y.z"}})),
        })
    };
    let server = start(|| empty(404)).await;
    assert_eq!(read(&server, &ids(4)).await.unwrap(), HashSet::from([id(2), id(3), id(4)]));
    assert_eq!(server.seen().len(), 3);

    for answer in [|| empty(503), || reply(200, json!({})), || super::html(404)] {
        let server = start(answer).await;
        read(&server, &ids(4)).await.unwrap_err();
    }
    let server = Server::start(|_, seen| reply(200, json!({"users": rows(asked(seen))}))).await;
    assert_eq!(read(&server, &ids(3)).await.unwrap().len(), 3, "nothing is missing");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_empty_page_may_leave_its_list_out_or_say_null() {
    for body in [json!({"total": 0}), json!({"total": 0, "users": null}), json!({"total": 0, "users": []})] {
        let server = Server::start(move |_, _| reply(200, body.clone())).await;
        assert!(read(&server, &ids(2)).await.unwrap().is_empty());
    }
    // Rows that are announced and left out are missing.
    for body in [json!({"total": 2}), json!({"total": 2, "users": null})] {
        let server = Server::start(move |_, _| reply(200, body.clone())).await;
        let error = read(&server, &ids(2)).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ShortPage { total: Some(2), rows: 0 });
    }
    let groups = |body: Value| async move {
        let server = Server::start(move |_, _| reply(200, body.clone())).await;
        server.client().search_groups("fusionkeep/*", "name ASC").await
    };
    for body in [json!({"total": 0}), json!({"groups": null, "total": 0}), json!({}), json!({"groups": []})] {
        assert!(groups(body).await.unwrap().is_empty());
    }
    for body in [json!({"total": 1}), json!({"group": {}}), json!({"groups": {}})] {
        groups(body).await.unwrap_err();
    }
}

#[tokio::test]
async fn without_a_total_pages_are_read_until_nothing_is_new() {
    // A server that gives at most three rows a page, and says no total.
    let server = Server::start(|_, seen| {
        let start = seen.body["search"]["startRow"].as_u64().unwrap();
        let rows: Vec<Value> = (start..(start + 3).min(7)).map(|n| json!({"id": id(n.into())})).collect();
        reply(200, json!({"entities": rows, "groups": rows}))
    })
    .await;
    let count = server.client().search_entities(&entities::all(), |_: Object| {}).await.unwrap();
    assert_eq!(count, 7);
    assert_eq!(server.client().search_groups("fusionkeep/*", "name ASC").await.unwrap().len(), 7);
    // One that does not page at all ends too.
    let server = Server::start(|_, _| {
        let rows = [json!({"id": id(1)}), json!({"id": id(2)})];
        reply(200, json!({"entities": rows, "groups": rows}))
    })
    .await;
    assert_eq!(server.client().search_entities(&entities::all(), |_: Object| {}).await.unwrap(), 2);
    assert_eq!(server.client().search_groups("fusionkeep/*", "name ASC").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_without_a_flush_has_nothing_to_flush() {
    for status in [404, 405] {
        let server = Server::start(move |_, seen| match seen.path.as_str() {
            "/api/system/version" => version(),
            _ => empty(status),
        })
        .await;
        server.client().flush_entity_search().await.unwrap();
    }
    let server = Server::start(|_, _| empty(401)).await;
    assert!(server.client().flush_user_search().await.unwrap_err().is_unauthorized());
}

#[tokio::test]
async fn rows_that_nobody_asked_for_are_an_error() {
    let server = Server::start(|_, _| page(&rows(&[json!(id(99))]))).await;
    assert!(matches!(read(&server, &ids(3)).await.unwrap_err().kind(), ErrorKind::UnexpectedShape(_)));
}

#[tokio::test]
async fn a_404_of_a_search_is_no_hits_once_the_url_is_proven() {
    let server = Server::start(|_, _| empty(404)).await;
    assert!(read(&server, &ids(3)).await.unwrap_err().is_unreachable());
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/system/version" => version(),
        _ => empty(404),
    })
    .await;
    assert!(read(&server, &ids(3)).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_ids_are_no_requests() {
    let server = Server::start(|_, _| empty(500)).await;
    assert!(read(&server, &[]).await.unwrap().is_empty());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_page_whose_rows_are_malformed_hands_out_nothing() {
    let server =
        Server::start(|_, _| reply(200, json!({"total": 1, "users": [{"id": "canary-not-an-id"}]}))).await;
    let error = read(&server, &ids(1)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

/// Serves `total` entities by place.
fn paged(seen: &Seen, total: u64) -> Reply {
    let search = &seen.body["search"];
    let start = search["startRow"].as_u64().unwrap();
    let count = search["numberOfResults"].as_u64().unwrap();
    let rows: Vec<Value> = (start..(start + count).min(total)).map(|n| json!({"id": id(n.into())})).collect();
    reply(200, json!({"total": total, "entities": rows}))
}

#[tokio::test]
async fn a_search_is_paged_to_its_end() {
    let server = Server::start(|_, seen| paged(seen, 1_234)).await;
    let mut found = 0;
    let count = server.client().search_entities(&entities::all(), |_: Object| found += 1).await.unwrap();
    assert_eq!((count, found), (1_234, 1_234));
    let search = &server.seen()[2].body["search"];
    assert_eq!(search["queryString"], json!("*"));
    assert_eq!(search["startRow"], json!(1_000));
    assert_eq!(search["accurateTotal"], json!(true));
    assert_eq!(search["sortFields"][0], json!({"name": "insertInstant", "order": "asc"}));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn beyond_the_window_the_token_leads_on() {
    let server = Server::start(|_, seen| {
        let search = &seen.body["search"];
        let start = match search["nextResults"].as_str() {
            Some(token) => {
                assert!(search.get("queryString").is_none() && search.get("sortFields").is_none());
                assert!(search.get("startRow").is_none());
                token.parse().unwrap()
            }
            None => search["startRow"].as_u64().unwrap(),
        };
        assert!(search.get("nextResults").is_some() || start + 500 <= 10_000, "a search engine refuses this");
        let rows: Vec<Value> =
            (start..(start + 500).min(10_700)).map(|n| json!({"id": id(n.into())})).collect();
        reply(200, json!({"total": 10_700, "users": rows, "nextResults": (start + 500).to_string()}))
    })
    .await;
    let count =
        server.client().search_users(&users::all(&ServerVersion::new(1, 69, 0)), |_: Object| {}).await;
    assert_eq!(count.unwrap(), 10_700);
}

#[tokio::test]
async fn a_search_that_stops_before_its_total_is_an_error() {
    let server = Server::start(|number, seen| match number {
        0 => paged(seen, 700),
        _ => reply(200, json!({"total": 700, "entities": []})),
    })
    .await;
    let error = server.client().search_entities(&entities::all(), |_: Object| {}).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::ShortPage { total: Some(700), rows: 500 });
}

#[tokio::test]
async fn groups_are_searched_by_name_and_paged() {
    let server = Server::start(|_, seen| {
        let search = &seen.body["search"];
        let start = search["startRow"].as_u64().unwrap();
        let rows: Vec<Value> = (start..(start + 500).min(600)).map(|n| json!({"id": id(n.into())})).collect();
        reply(200, json!({"total": 600, "groups": rows}))
    })
    .await;
    let found = server.client().search_groups("fusionkeep/acme/*", "insertInstant DESC").await.unwrap();
    assert_eq!(found.len(), 600);
    let search = &server.seen()[0].body["search"];
    assert_eq!(
        (&search["name"], &search["orderBy"]),
        (&json!("fusionkeep/acme/*"), &json!("insertInstant DESC"))
    );
}
