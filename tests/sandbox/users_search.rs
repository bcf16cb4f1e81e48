//! Searching users on both engines (wire notes §4, §13). Each form of query is held by the unit tests of the search
//! module; here stands what goes over the wire.

use serde_json::{Value, json};

use super::harness::Api;
use super::users::user;

const FUSIONAUTH: &str = "3c219e58-ed0e-4b18-ad48-f4f92793ae32";

fn id(number: usize) -> String {
    format!("00000000-0000-0002-0000-{number:012}")
}

/// Users 1 to 5 with e-mails a@ to e@; 1 is registered as admin, 5 has no e-mail.
fn populate(api: &Api) {
    for (number, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        let email = format!("{name}@example.com");
        let data = json!({ "Company": "PiedPiper", "salary": number * 10_000 });
        user(api, &id(number), json!({ "email": email, "fullName": format!("Name {name}"), "data": data }));
    }
    user(api, &id(5), json!({ "username": "zoe", "phoneNumber": "303-555-1212", "birthDate": "1980-01-01" }));
    let registration = json!({ "registration": { "applicationId": FUSIONAUTH, "roles": ["admin"] } });
    api.post(format!("/api/user/registration/{}", id(1)), &registration).ok();
}

fn search(api: &Api, search: Value) -> Value {
    api.post("/api/user/search", &json!({ "search": search })).ok()
}

fn numbers(answer: &Value) -> Vec<usize> {
    let users = answer["users"].as_array().unwrap();
    users.iter().map(|user| user["id"].as_str().unwrap()[24..].parse().unwrap()).collect()
}

#[test]
fn by_query_and_query_string_in_both_forms() {
    let api = Api::elasticsearch();
    populate(&api);
    let nested = json!({ "bool": { "must": [{ "nested": { "path": "registrations", "query": { "bool": { "must": [
        { "match": { "registrations.applicationId": FUSIONAUTH } }, { "match": { "registrations.roles": "admin" } }] } } } }] } });
    for (query, expected) in [
        (json!({ "match": { "data.Company": "piedpiper" } }), vec![1, 2, 3, 4]),
        (json!({ "range": { "data.salary": { "gte": 30_000 } } }), vec![3, 4]),
        (nested, vec![1]),
        (json!({ "wildcard": { "phoneNumber": { "value": "*(303) 555*" } } }), vec![5]),
        (json!({ "bool": { "must_not": [{ "exists": { "field": "email" } }] } }), vec![5]),
    ] {
        assert_eq!(numbers(&search(&api, json!({ "query": query.to_string() }))), expected, "{query}");
    }
    for (text, expected) in [
        ("*", vec![1, 2, 3, 4, 5]),
        ("email:b*", vec![2]),
        ("b@example.com", vec![2]),
        ("phoneNumber:303*", vec![5]),
        ("birthDate:[1979-01-01 TO 1981-01-01]", vec![5]),
        ("fullName:\"Name a\" OR username:ZOE", vec![1, 5]),
    ] {
        assert_eq!(numbers(&search(&api, json!({ "queryString": text }))), expected, "{text}");
    }
    let by_get = api.get("/api/user/search?queryString=email%3Ab*&numberOfResults=1&startRow=0").ok();
    assert_eq!(numbers(&by_get), [2]);
    assert_eq!(by_get["expandable"], json!(["memberships", "registrations"]));
}

#[test]
fn what_cannot_be_answered_is_refused_and_never_empty() {
    let api = Api::elasticsearch();
    let refused = |search: Value, field: &str, code: &str| {
        api.post("/api/user/search", &json!({ "search": search })).field_error(field, code);
    };
    refused(json!({ "query": "{\"fuzzy\":{}}" }), "search.query", "[invalid]search.query");
    refused(json!({ "query": "nonsense" }), "search.query", "[invalid]search.query");
    refused(json!({ "query": {} }), "search.query", "[couldNotConvert]search.query");
    refused(json!({ "queryString": "nmae:x" }), "search.queryString", "[invalid]search.queryString");
    refused(json!({ "ids": ["x"] }), "search.ids", "[couldNotConvert]search.ids");
    refused(json!({ "numberOfResults": -1 }), "search.numberOfResults", "[invalid]search.numberOfResults");
    refused(
        json!({ "sortFields": [{ "name": "data.x" }] }),
        "search.sortFields[0].name",
        "[invalid]search.sortFields[0].name",
    );
    refused(json!({ "startRow": 10_000 }), "search.startRow", "[invalid]search.startRow");
    api.post("/api/user/search", &json!({})).field_error("search", "[missing]search");
}

#[test]
fn the_database_engine_takes_one_term() {
    let api = Api::start();
    populate(&api);
    assert_eq!(numbers(&search(&api, json!({ "queryString": "B@EXAMPLE.com" }))), [2]);
    assert_eq!(search(&api, json!({ "queryString": "*" }))["total"], 5);
    for text in ["email:b", "name a", "b*"] {
        let refused = api.post("/api/user/search", &json!({ "search": { "queryString": text } }));
        refused.field_error("search.queryString", "[invalid]search.queryString");
    }
    let query = json!({ "search": { "query": "{\"match_all\":{}}" } });
    api.post("/api/user/search", &query).field_error("search.query", "[invalid]search.query");
    assert!(search(&api, json!({}))["nextResults"].is_null());
}

#[test]
fn ids_go_first_and_past_paging_and_index() {
    let api = Api::with(fusionkeep::sandbox::Config {
        search_engine: fusionkeep::sandbox::SearchEngine::Elasticsearch,
        index_delay: std::time::Duration::from_secs(3_600),
        ..Default::default()
    });
    populate(&api);
    let ids: Vec<String> = [3, 1, 9].map(id).to_vec();
    let found = search(&api, json!({ "ids": ids, "queryString": "email:nobody", "numberOfResults": 1 }));
    assert_eq!((numbers(&found), &found["total"]), (vec![1, 3], &json!(2)));
    assert!(found.get("nextResults").is_none());
    assert_eq!(numbers(&api.get(format!("/api/user/search?ids={}&ids={}", id(2), id(3))).ok()), [2, 3]);
    // The index sees nothing yet, until it is flushed or its time has come.
    assert_eq!(search(&api, json!({ "queryString": "*" }))["total"], 0);
    api.call("PUT", "/api/user/search").send().empty(200);
    assert_eq!(search(&api, json!({ "queryString": "*" }))["total"], 5);
    api.delete(format!("/api/user/{}?hardDelete=true", id(1))).empty(200);
    let stale = search(&api, json!({ "queryString": "*" }));
    assert_eq!((&stale["total"], numbers(&stale)), (&json!(5), vec![2, 3, 4, 5]), "counted, and gone");
    api.advance_seconds(3_601);
    assert_eq!(search(&api, json!({ "queryString": "*" }))["total"], 4);
    let many: Vec<String> = (0..10_001).map(id).collect();
    let refused = api.post("/api/user/search", &json!({ "search": { "ids": many } }));
    refused.field_error("search.ids", "[tooMany]search.ids");
}

#[test]
fn sorting_and_pages() {
    let api = Api::elasticsearch();
    populate(&api);
    let sorted = |field: Value| numbers(&search(&api, json!({ "queryString": "*", "sortFields": [field] })));
    assert_eq!(sorted(json!({ "name": "email", "order": "desc" })), [4, 3, 2, 1, 5]);
    assert_eq!(sorted(json!({ "name": "email", "order": "asc", "missing": "_first" })), [5, 1, 2, 3, 4]);
    assert_eq!(sorted(json!({ "name": "registrations.roles" }))[0], 1);
    let by_get = "/api/user/search?queryString=*&sortFields[0].name=email&sortFields[0].order=desc&sortFields[0].missing=_first";
    assert_eq!(numbers(&api.get(by_get).ok()), [5, 4, 3, 2, 1]);
    let page = search(&api, json!({ "queryString": "*", "startRow": 2, "numberOfResults": 2 }));
    assert_eq!((numbers(&page), &page["total"]), (vec![3, 4], &json!(5)));
    // With the token of a page the next one follows; it goes with nothing else.
    let mut found = Vec::new();
    let mut answer = search(
        &api,
        json!({ "queryString": "*", "numberOfResults": 2, "sortFields": [{ "name": "email", "order": "desc" }] }),
    );
    while let Some(token) = answer["nextResults"].as_str().map(str::to_owned) {
        found.extend(numbers(&answer));
        let both = json!({ "search": { "nextResults": token, "queryString": "*" } });
        api.post("/api/user/search", &both).field_error("search.nextResults", "[invalid]search.nextResults");
        answer = search(&api, json!({ "nextResults": token, "numberOfResults": 2 }));
    }
    assert_eq!((found, numbers(&answer)), (vec![4, 3, 2, 1, 5], vec![]));
}

#[test]
fn twenty_five_rows_by_default_and_expansion() {
    let api = Api::elasticsearch();
    populate(&api);
    let users: Vec<Value> =
        (100..130).map(|n| json!({ "username": format!("u{n}"), "active": true })).collect();
    api.post("/api/user/import", &json!({ "users": users })).empty(200);
    assert_eq!(search(&api, json!({ "queryString": "*" }))["users"].as_array().unwrap().len(), 25);
    let one = |expand: Value| {
        let body = json!({ "search": { "ids": [id(1)] }, "expand": expand });
        api.post("/api/user/search", &body).ok()["users"][0].clone()
    };
    let all = search(&api, json!({ "ids": [id(1)] }))["users"][0].clone();
    assert!(all["registrations"][0]["roles"] == json!(["admin"]) && all["memberships"].is_array());
    assert!(one(json!(["registrations"])).get("memberships").is_none());
    assert!(one(json!([])).get("registrations").is_none());
    let wrong = json!({ "search": {}, "expand": ["friends"] });
    api.post("/api/user/search", &wrong).field_error("expand", "[invalid]expand");
}

#[test]
fn totals_are_capped_unless_accurate() {
    let api = Api::elasticsearch();
    let users: Vec<Value> =
        (0..10_050).map(|n| json!({ "username": format!("u{n}"), "active": true })).collect();
    api.post("/api/user/import", &json!({ "users": users })).empty(200);
    assert_eq!(search(&api, json!({ "queryString": "*", "numberOfResults": 1 }))["total"], 10_000);
    let accurate = search(&api, json!({ "queryString": "*", "numberOfResults": 1, "accurateTotal": true }));
    assert_eq!(accurate["total"], 10_050);
}

#[test]
fn searches_stay_in_their_tenant() {
    let api = Api::elasticsearch();
    populate(&api);
    let tenant =
        api.post("/api/tenant", &json!({ "tenant": { "name": "Other" } })).ok()["tenant"]["id"].clone();
    let scoped = |search: Value| {
        let body = json!({ "search": search });
        api.call("POST", "/api/user/search").tenant(tenant.as_str().unwrap()).json(&body).send()
    };
    assert_eq!(scoped(json!({ "queryString": "*" })).ok()["total"], 0);
    assert_eq!(scoped(json!({ "ids": [id(1)] })).ok()["total"], 0);
    let text = format!("tenantId:{}", tenant.as_str().unwrap());
    scoped(json!({ "queryString": text })).field_error("search.queryString", "[invalid]search.queryString");
    assert_eq!(search(&api, json!({ "queryString": text }))["total"], 0);
    assert_eq!(search(&api, json!({ "queryString": "*" }))["total"], 5);
}
