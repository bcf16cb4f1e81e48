//! Identity providers, links and pending links (wire notes §7, §13 and the links document).

use fusionkeep::sandbox::Config;
use serde_json::{Value, json};

use super::harness::Api;

const LINK: &str = "/api/identity-provider/link";

struct World {
    api: Api,
    provider: String,
    user: String,
    tenant: String,
}

fn world() -> World {
    world_with(Config::default())
}

fn world_with(config: Config) -> World {
    let api = Api::with(config);
    let provider = json!({"identityProvider": {"type": "OpenIDConnect", "name": "Hooli"}});
    let provider = api.post("/api/identity-provider", &provider).ok()["identityProvider"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let user = api
        .post("/api/user", &json!({"user": {"email": "richard@piedpiper.com", "password": "password"}}))
        .ok();
    let text = |name: &str| user["user"][name].as_str().unwrap().to_owned();
    World { provider, user: text("id"), tenant: text("tenantId"), api }
}

impl World {
    fn link(&self, provider_user: &str) -> Value {
        json!({"identityProviderId": self.provider, "identityProviderUserId": provider_user, "userId": self.user,
               "displayName": "richard", "token": "t0ken"})
    }

    fn limit(&self, maximum: i64) {
        let patch = json!({"identityProvider": {"tenantConfiguration": {&self.tenant:
            {"limitUserLinkCount": {"enabled": true, "maximumLinks": maximum}}}}});
        self.api.merge_patch(format!("/api/identity-provider/{}", self.provider), &patch).ok();
    }

    fn pending(&self, provider_user: &str) -> String {
        let body = json!({"identityProviderId": self.provider, "identityProviderUserId": provider_user,
            "displayName": "Richard", "email": "r@hooli.com", "username": "rh", "tenantId": self.tenant});
        let made = self.api.call("POST", "/_sandbox/pending-links").anonymous().json(&body).send().ok();
        made["pendingIdPLinkId"].as_str().unwrap().to_owned()
    }
}

#[test]
fn both_request_forms_link() {
    let w = world();
    let made = w.api.post(LINK, &json!({"identityProviderLink": w.link("42")})).ok();
    let link = &made["identityProviderLink"];
    assert_eq!(link["identityProviderName"], "Hooli");
    assert_eq!(link["identityProviderType"], "OpenIDConnect");
    assert_eq!(link["tenantId"], w.tenant.as_str());
    assert_eq!(link["token"], "t0ken");
    assert_eq!(link["lastLoginInstant"], link["insertInstant"]);
    w.api.post(LINK, &w.link("43")).ok();
    w.api.post(LINK, &json!({"identityProviderLink": w.link("42")})).field_error(
        "identityProviderLink.identityProviderUserId",
        "[duplicate]identityProviderLink.identityProviderUserId",
    );
    for name in ["identityProviderId", "identityProviderUserId", "userId"] {
        let mut lacking = w.link("44");
        lacking.as_object_mut().unwrap().remove(name);
        let field = format!("identityProviderLink.{name}");
        w.api
            .post(LINK, &json!({"identityProviderLink": lacking}))
            .field_error(&field, &format!("[missing]{field}"));
    }
    let mut unknown = w.link("44");
    unknown["userId"] = json!(w.provider);
    w.api.post(LINK, &unknown).field_error("userId", "[invalid]userId");
    w.api.call("PUT", LINK).json(&w.link("42")).send().empty(405);
}

#[test]
fn old_versions_know_the_flat_form_only_and_no_provider_name() {
    let w = world_with(Config { server_version: "1.42".parse().unwrap(), ..Config::default() });
    let made = w.api.post(LINK, &w.link("42")).ok();
    assert!(made["identityProviderLink"].get("identityProviderName").is_none());
    w.api.post(LINK, &json!({"identityProviderLink": w.link("43")})).errors(400);
    w.api.get(format!("{LINK}/pending/x")).empty(404);
    // The type of the provider is answered to the request that links, and retrieved since 1.46.
    assert_eq!(made["identityProviderLink"]["identityProviderType"], "OpenIDConnect");
    let got = w.api.get(format!("{LINK}?userId={}", w.user)).ok();
    assert!(got["identityProviderLinks"][0].get("identityProviderType").is_none());
}

#[test]
fn one_link_by_key_or_an_array_by_user() {
    let w = world();
    w.api.post(LINK, &w.link("42")).ok();
    w.api.post(LINK, &w.link("43")).ok();
    let (provider, user) = (&w.provider, &w.user);
    let one = w.api.get(format!("{LINK}?identityProviderId={provider}&identityProviderUserId=42")).ok();
    assert_eq!(one["identityProviderLink"]["userId"], user.as_str());
    w.api.get(format!("{LINK}?identityProviderId={provider}&identityProviderUserId=42&userId={user}")).ok();
    w.api
        .get(format!("{LINK}?identityProviderId={provider}&identityProviderUserId=42&userId={provider}"))
        .empty(404);
    w.api.get(format!("{LINK}?identityProviderId={provider}&identityProviderUserId=4")).empty(404);
    let count = |query: String| {
        w.api.get(format!("{LINK}?{query}")).ok()["identityProviderLinks"].as_array().unwrap().len()
    };
    assert_eq!(count(format!("userId={user}")), 2);
    assert_eq!(count(format!("userId={user}&identityProviderId={provider}")), 2);
    assert_eq!(count(format!("userId={user}&identityProviderUserId=43")), 1);
    w.api.get(format!("{LINK}?identityProviderId={provider}")).errors(400);
    w.api.get(LINK).errors(400);
    w.api.get(format!("{LINK}?userId={provider}")).empty(404);
}

#[test]
fn unlinking_needs_all_three() {
    let w = world();
    w.api.post(LINK, &w.link("42")).ok();
    let (provider, user) = (&w.provider, &w.user);
    w.api.delete(format!("{LINK}?identityProviderId={provider}&identityProviderUserId=42")).errors(400);
    let all = format!("{LINK}?identityProviderId={provider}&identityProviderUserId=42&userId={user}");
    w.api.delete(&all).empty(200);
    w.api.delete(&all).empty(404);
}

#[test]
fn links_go_with_their_user_and_their_provider() {
    let w = world();
    w.api.post(LINK, &w.link("42")).ok();
    w.api.delete(format!("/api/user/{}?hardDelete=true", w.user)).empty(200);
    let key = format!("{LINK}?identityProviderId={}&identityProviderUserId=42", w.provider);
    w.api.get(&key).empty(404);
    let w = world();
    w.api.post(LINK, &w.link("42")).ok();
    w.api.delete(format!("/api/identity-provider/{}", w.provider)).empty(200);
    assert_eq!(w.api.get(format!("{LINK}?userId={}", w.user)).ok()["identityProviderLinks"], json!([]));
}

#[test]
fn the_number_of_links_can_be_limited() {
    let w = world();
    w.limit(1);
    w.api.post(LINK, &w.link("42")).ok();
    w.api.post(LINK, &w.link("43")).general_error(400, "[LinkCountExceeded]");
    let shown = w.api.get(format!("/api/identity-provider/{}", w.provider)).ok();
    let limit = &shown["identityProvider"]["tenantConfiguration"][&w.tenant]["limitUserLinkCount"];
    assert_eq!(limit["maximumLinks"], 1);
}

#[test]
fn a_pending_link_is_read_and_completed_once() {
    let w = world();
    w.limit(2);
    let pending = w.pending("77");
    let read = w.api.get(format!("{LINK}/pending/{pending}?userId={}", w.user)).ok();
    assert_eq!(read["linkCount"], 0);
    assert_eq!(read["identityProviderTenantConfiguration"]["limitUserLinkCount"]["maximumLinks"], 2);
    let link = &read["pendingIdPLink"];
    assert_eq!(
        (&link["displayName"], &link["email"], &link["username"], &link["identityProviderUserId"]),
        (&json!("Richard"), &json!("r@hooli.com"), &json!("rh"), &json!("77"))
    );
    assert_eq!(
        (&link["identityProviderName"], &link["identityProviderType"]),
        (&json!("Hooli"), &json!("OpenIDConnect"))
    );
    assert!(w.api.get(format!("{LINK}/pending/{pending}")).ok().get("linkCount").is_none());
    let body = json!({"pendingIdPLinkId": pending, "identityProviderLink": {"userId": w.user}});
    let made = w.api.post(LINK, &body).ok();
    assert_eq!(made["identityProviderLink"]["identityProviderUserId"], "77");
    w.api.post(LINK, &body).general_error(400, "[InvalidPendingIdPLinkId]");
    w.api.get(format!("{LINK}/pending/{pending}")).empty(404);
    // The flat form completes too.
    let flat = json!({"pendingIdPLinkId": w.pending("78"), "userId": w.user});
    w.api.post(LINK, &flat).ok();
    let third = json!({"pendingIdPLinkId": w.pending("79"), "userId": w.user});
    w.api.post(LINK, &third).general_error(400, "[LinkCountExceeded]");
}

#[test]
fn a_pending_link_expires() {
    let w = world();
    let pending = w.pending("77");
    w.api.advance_seconds(3_601);
    w.api.get(format!("{LINK}/pending/{pending}")).empty(404);
    let body = json!({"pendingIdPLinkId": pending, "identityProviderLink": {"userId": w.user}});
    w.api.post(LINK, &body).general_error(400, "[InvalidPendingIdPLinkId]");
}

#[test]
fn providers_are_kept_searched_and_keep_their_type() {
    let w = world();
    let path = format!("/api/identity-provider/{}", w.provider);
    let made = w.api.get(&path).ok();
    assert_eq!(made["identityProvider"]["linkingStrategy"], "LinkByEmail");
    assert_eq!(made["identityProvider"]["enabled"], false);
    let put = json!({"identityProvider": {"type": "OpenIDConnect", "name": "Renamed", "enabled": "true"}});
    assert_eq!(w.api.put(&path, &put).ok()["identityProvider"]["enabled"], true);
    w.api.put(&path, &json!({"identityProvider": {"type": "SAMLv2", "name": "x"}})).errors(400);
    w.api
        .post("/api/identity-provider", &json!({"identityProvider": {"type": "OpenIDConnect"}}))
        .field_error("identityProvider.name", "[blank]identityProvider.name");
    w.api
        .post("/api/identity-provider", &json!({"identityProvider": {"type": "Nonsense", "name": "x"}}))
        .errors(400);
    let google = w.api.post("/api/identity-provider", &json!({"identityProvider": {"type": "Google"}})).ok();
    assert_eq!(google["identityProvider"]["name"], "Google");
    assert_eq!(w.api.get("/api/identity-provider").ok()["identityProviders"].as_array().unwrap().len(), 2);
    assert_eq!(
        w.api.post("/api/identity-provider/search", &json!({"search": {"name": "ren*"}})).ok()["total"],
        1
    );
    assert_eq!(w.api.get("/api/identity-provider/search?type=Google").ok()["total"], 1);
    let of = |kind: &str| w.api.get(format!("/api/identity-provider?type={kind}"));
    let (brand, several) = (of("Google").ok(), of("OpenIDConnect").ok());
    assert_eq!(brand["identityProvider"], google["identityProvider"]);
    assert_eq!(
        (several["identityProviders"].as_array().unwrap().len(), several.get("identityProvider")),
        (1, None)
    );
    assert_eq!(of("SAMLv2").ok()["identityProviders"], json!([]));
    of("Apple").empty(404);
    of("Nonsense").field_error("type", "[invalid]type");
}
