//! Each call's line and body, against the documents.

use fusionkeep::fusionauth::grants::Grantee;
use fusionkeep::fusionauth::users::LoginId;
use fusionkeep::fusionauth::{entities, entity_types, grants, groups, lambdas, links, registrations, users};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Server, empty, id, reply, version};

/// An answer that has every wrapper.
fn all() -> super::Reply {
    reply(
        200,
        json!({
            "user": {}, "registration": {}, "entity": {}, "entityType": {}, "permission": {}, "lambda": {}, "group": {},
            "identityProviderLink": {}, "grant": {}, "application": {"tenantId": id(5)}, "tenant": {}, "pendingIdPLink": {},
            "identityProvider": {}, "lambdas": [{}], "entityTypes": [{}], "grants": [{}], "tenants": [{}], "total": 1,
            "applications": [{}], "identityProviders": [{}], "identityProviderLinks": [{}]
        }),
    )
}

#[tokio::test]
async fn writes_are_sent_as_documented() {
    let server = Server::start(|_, _| all()).await;
    let client = server.client();
    let (u, a, e, t, p) = (id(1), id(2), id(3), id(4), id(5));
    let user = json!({"user": {"email": "a@b.c"}});
    let link = json!({"identityProviderLink": {"identityProviderId": p, "identityProviderUserId": "4 2", "userId": u}});
    let one = json!({"x": {}});
    let calls = [
        (users::create(u, user.clone()), format!("POST /api/user/{u}"), user.clone()),
        (users::patch(u, user.clone()), format!("PATCH /api/user/{u}"), user.clone()),
        (users::deactivate(u), format!("DELETE /api/user/{u}"), Value::Null),
        (users::hard_delete(u), format!("DELETE /api/user/{u}?hardDelete=true"), Value::Null),
        (users::reactivate(u), format!("PUT /api/user/{u}?reactivate=true"), Value::Null),
        (users::verify_email(u), "POST /api/user/verify-email".into(), json!({"userId": u})),
        (
            users::import(vec![json!({"id": u})]),
            "POST /api/user/import".into(),
            json!({"users": [{"id": u}], "validateDbConstraints": true}),
        ),
        (
            registrations::create(u, a, json!({"registration": {"roles": []}})),
            format!("POST /api/user/registration/{u}"),
            json!({"registration": {"roles": [], "applicationId": a}}),
        ),
        (
            registrations::create_with_user(u, one.clone()),
            format!("POST /api/user/registration/{u}"),
            one.clone(),
        ),
        (
            registrations::patch(u, a, one.clone()),
            format!("PATCH /api/user/registration/{u}/{a}"),
            one.clone(),
        ),
        (registrations::delete(u, a), format!("DELETE /api/user/registration/{u}/{a}"), Value::Null),
        (
            registrations::verify(u, a),
            "POST /api/user/verify-registration".into(),
            json!({"userId": u, "applicationId": a}),
        ),
        (entities::create(e, one.clone()), format!("POST /api/entity/{e}"), one.clone()),
        (entities::patch(e, one.clone()), format!("PATCH /api/entity/{e}"), one.clone()),
        (entities::delete(e), format!("DELETE /api/entity/{e}"), Value::Null),
        (entity_types::create(t, one.clone()), format!("POST /api/entity/type/{t}"), one.clone()),
        (entity_types::patch(t, one.clone()), format!("PATCH /api/entity/type/{t}"), one.clone()),
        (entity_types::delete(t), format!("DELETE /api/entity/type/{t}"), Value::Null),
        (
            entity_types::create_permission(t, p, one.clone()),
            format!("POST /api/entity/type/{t}/permission/{p}"),
            one.clone(),
        ),
        (
            entity_types::patch_permission(t, p, one.clone()),
            format!("PATCH /api/entity/type/{t}/permission/{p}"),
            one.clone(),
        ),
        (
            entity_types::delete_permission(t, p),
            format!("DELETE /api/entity/type/{t}/permission/{p}"),
            Value::Null,
        ),
        (
            grants::upsert(e, Grantee::Entity(u), json!({"grant": {"permissions": ["r"]}})),
            format!("POST /api/entity/{e}/grant"),
            json!({"grant": {"permissions": ["r"], "recipientEntityId": u}}),
        ),
        (
            grants::delete(e, Grantee::User(u)),
            format!("DELETE /api/entity/{e}/grant?userId={u}"),
            Value::Null,
        ),
        (
            grants::delete(e, Grantee::Entity(u)),
            format!("DELETE /api/entity/{e}/grant?recipientEntityId={u}"),
            Value::Null,
        ),
        (lambdas::create(e, one.clone()), format!("POST /api/lambda/{e}"), one.clone()),
        (lambdas::patch(e, one.clone()), format!("PATCH /api/lambda/{e}"), one.clone()),
        (lambdas::delete(e), format!("DELETE /api/lambda/{e}"), Value::Null),
        (links::create(link.clone()), "POST /api/identity-provider/link".into(), link),
        (
            links::complete(SecretString::from("pending"), u, p, "42"),
            "POST /api/identity-provider/link".into(),
            json!({"pendingIdPLinkId": "pending", "identityProviderLink": {"userId": u}}),
        ),
        (
            links::delete(p, "4 2+", u),
            format!(
                "DELETE /api/identity-provider/link?identityProviderId={p}&identityProviderUserId=4+2%2B&userId={u}"
            ),
            Value::Null,
        ),
        (groups::create(e, one.clone()), format!("POST /api/group/{e}"), one.clone()),
        (groups::patch(e, one.clone()), format!("PATCH /api/group/{e}"), one.clone()),
        (groups::put(e, one.clone()), format!("PUT /api/group/{e}"), one.clone()),
        (groups::delete(e), format!("DELETE /api/group/{e}"), Value::Null),
    ];
    for (call, line, body) in calls {
        assert!(call.is_write(), "{call:?}");
        client.execute(&call).await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert_eq!((seen.line(), seen.body), (line, body));
        if seen.method == "PATCH" {
            assert_eq!(seen.headers["content-type"], "application/merge-patch+json");
        }
    }
}

#[tokio::test]
async fn reads_are_sent_as_documented() {
    let server = Server::start(|_, _| all()).await;
    let client = server.client();
    let (u, e) = (id(1), id(3));
    client.user(u).await.unwrap();
    client.user_by(LoginId::Email, "a+b@c.d").await.unwrap();
    client.user_by(LoginId::Username, "ä").await.unwrap();
    client.user_by(LoginId::PhoneNumber, "+1303").await.unwrap();
    client.registration(u, e).await.unwrap();
    assert_eq!(client.count_users().await.unwrap(), Some(1));
    client.entity(e).await.unwrap();
    client.entity_types().await.unwrap();
    client.entity_type(e).await.unwrap();
    client.grants_of_entity(e).await.unwrap();
    client.grant(e, Grantee::User(u)).await.unwrap();
    client.grants_of_user(u).await.unwrap();
    client.lambdas().await.unwrap();
    client.lambda(e).await.unwrap();
    client.links_of_user(u).await.unwrap();
    client.link(e, "42").await.unwrap();
    client.pending_link(&SecretString::from("p/1"), Some(u)).await.unwrap();
    client.applications().await.unwrap();
    client.identity_providers().await.unwrap();
    client.identity_provider(e).await.unwrap();
    client.tenants().await.unwrap();
    client.tenant(e).await.unwrap();
    client.status().await.unwrap();
    client.flush_entity_search().await.unwrap();
    assert_eq!(client.default_tenant_id().await.unwrap(), Some(id(5)));
    assert_eq!(server.seen().last().unwrap().header("x-fusionauth-tenantid"), None);
    assert_eq!(client.counts().writes, 0);
    insta::assert_snapshot!(server.lines().join("\n"), @r"
    GET /api/user/00000000-0000-0000-0000-000000000001
    GET /api/user?email=a%2Bb%40c.d
    GET /api/user?username=%C3%A4
    GET /api/user?loginId=%2B1303&loginIdTypes=phoneNumber
    GET /api/user/registration/00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000003
    POST /api/user/search
    GET /api/entity/00000000-0000-0000-0000-000000000003
    GET /api/entity/type
    GET /api/entity/type/00000000-0000-0000-0000-000000000003
    GET /api/entity/00000000-0000-0000-0000-000000000003/grant
    GET /api/entity/00000000-0000-0000-0000-000000000003/grant?userId=00000000-0000-0000-0000-000000000001
    POST /api/entity/grant/search
    GET /api/lambda
    GET /api/lambda/00000000-0000-0000-0000-000000000003
    GET /api/identity-provider/link?userId=00000000-0000-0000-0000-000000000001
    GET /api/identity-provider/link?identityProviderId=00000000-0000-0000-0000-000000000003&identityProviderUserId=42
    GET /api/identity-provider/link/pending/p%2F1?userId=00000000-0000-0000-0000-000000000001
    GET /api/application
    GET /api/identity-provider
    GET /api/identity-provider/00000000-0000-0000-0000-000000000003
    GET /api/tenant
    GET /api/tenant/00000000-0000-0000-0000-000000000003
    GET /api/status
    PUT /api/entity/search
    GET /api/application/3c219e58-ed0e-4b18-ad48-f4f92793ae32
    ");
}

#[tokio::test]
async fn what_does_not_exist_is_none() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/api/system/version" => version(),
        _ => empty(404),
    })
    .await;
    let client = server.client();
    assert_eq!(client.user_by(LoginId::Email, "a@b.c").await.unwrap(), None);
    assert_eq!(client.entity(id(1)).await.unwrap(), None);
    assert_eq!(client.grants_of_entity(id(1)).await.unwrap(), None);
    assert_eq!(client.links_of_user(id(1)).await.unwrap(), None);
    assert_eq!(client.pending_link(&SecretString::from("gone"), None).await.unwrap(), None);
    assert_eq!(client.group(id(1)).await.unwrap(), None);
    assert!(client.search_groups("x", "name ASC").await.unwrap().is_empty());
    assert!(client.lambdas().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_link_is_read_alone_and_in_an_array() {
    let link = json!({"identityProviderId": id(3), "identityProviderUserId": "42", "userId": id(1)});
    for body in [json!({"identityProviderLink": link}), json!({"identityProviderLinks": [link]})] {
        let server = Server::start(move |_, _| reply(200, body.clone())).await;
        let found = server.client().link(id(3), "42").await.unwrap();
        assert_eq!(found.map(Value::Object), Some(link.clone()));
        let found = server.client().links_of_user(id(1)).await.unwrap().unwrap();
        assert_eq!(Value::from_iter(found.into_iter().map(Value::Object)), json!([link]));
    }
    let server = Server::start(|_, _| reply(200, json!({"identityProviderLinks": []}))).await;
    assert_eq!(server.client().link(id(3), "42").await.unwrap(), None);
    let server = Server::start(|_, _| reply(200, json!({"identityProviderLinks": {}}))).await;
    server.client().link(id(3), "42").await.unwrap_err();
}
