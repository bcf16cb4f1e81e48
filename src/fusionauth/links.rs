//! Links of users to identity providers (wire notes §7). There is no list of all links: they are read user by user.
//! Answers hold tokens in the clear.

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Object;
use super::call::{Answer, Call, Idempotency, Recovery, Select};
use super::client::Client;
use super::error::Error;

const LINK: &str = "/api/identity-provider/link";
const PENDING: &str = "/api/identity-provider/link/pending/{pendingLinkId}";
const WRAPPER: &str = "identityProviderLink";

/// Links a user. `body` is `{"identityProviderLink": {identityProviderId, identityProviderUserId, userId, …}}`. An answer
/// that says the link exists is checked: a link of that very user is a success, another user's is an error.
#[must_use]
pub fn create(body: Value) -> Call {
    let text = |name: &str| {
        body.pointer(&format!("/{WRAPPER}/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (provider, subject) = (text("identityProviderId"), text("identityProviderUserId"));
    Call::new(Method::POST, LINK, vec![], Answer::Wrapper(WRAPPER))
        .json(body)
        .idempotency(Idempotency::RecognisedCreate(recovery(provider, subject)))
}

fn recovery(provider: String, subject: String) -> Recovery {
    Recovery {
        route: LINK,
        parameters: vec![],
        query: vec![("identityProviderId", provider), ("identityProviderUserId", subject)],
        select: Select::Wrapper(WRAPPER),
        wrapper: WRAPPER,
        on_first_duplicate: true,
    }
}

/// Completes a pending link for a user. `provider` and `subject` are those of the pending link, which was read before: by
/// them the link is recognised after a lost response.
#[must_use]
pub fn complete(pending_id: SecretString, user_id: Uuid, provider: Uuid, subject: &str) -> Call {
    Call::new(Method::POST, LINK, vec![], Answer::Wrapper(WRAPPER))
        .json(json!({ WRAPPER: { "userId": user_id } }))
        .secret("/pendingIdPLinkId", pending_id)
        .idempotency(Idempotency::RecognisedCreate(recovery(provider.to_string(), subject.to_owned())))
}

/// Removes a link. All three parts of its key are needed.
#[must_use]
pub fn delete(provider: Uuid, subject: &str, user_id: Uuid) -> Call {
    Call::new(Method::DELETE, LINK, vec![], Answer::EmptyOrJson)
        .query("identityProviderId", provider.to_string())
        .query("identityProviderUserId", subject)
        .query("userId", user_id.to_string())
}

impl Client {
    /// All links of a user; `None` when there is no such user.
    ///
    /// # Errors
    /// As any read.
    pub async fn links_of_user(&self, user_id: Uuid) -> Result<Option<Vec<Object>>, Error> {
        let call = Call::get(LINK, vec![], Answer::Object).query("userId", user_id.to_string());
        super::client::absent(self.run(&call, links).await)
    }

    /// The link of this subject of an identity provider, whichever user holds it.
    ///
    /// # Errors
    /// As any read.
    pub async fn link(&self, provider: Uuid, subject: &str) -> Result<Option<Object>, Error> {
        let call = Call::get(LINK, vec![], Answer::Object)
            .query("identityProviderId", provider.to_string())
            .query("identityProviderUserId", subject);
        let mut found = super::client::absent(self.run(&call, links).await)?.unwrap_or_default();
        // It is unique in its tenant (wire notes §7).
        Ok(found.pop())
    }

    /// A pending link (since 1.46): `{pendingIdPLink, linkCount, identityProviderTenantConfiguration}`; `None` when it does
    /// not exist or has expired.
    ///
    /// # Errors
    /// As any read.
    pub async fn pending_link(
        &self,
        pending_id: &SecretString,
        user_id: Option<Uuid>,
    ) -> Result<Option<Object>, Error> {
        let parameters = vec![pending_id.expose_secret().to_owned()];
        let mut call = Call::get(PENDING, parameters, Answer::Wrapper("pendingIdPLink"));
        if let Some(user_id) = user_id {
            call = call.query("userId", user_id.to_string());
        }
        let whole = |response: &super::Response| {
            response.object("pendingIdPLink")?;
            response.parse::<Object>()
        };
        super::client::absent(self.run(&call, whole).await)
    }
}

/// The links of an answer. Which requests are answered with one and which with an array, the documents tell by words
/// alone (wire notes §13), so each form is read wherever links are due.
fn links(response: &super::Response) -> Result<Vec<Object>, Error> {
    match response.object(WRAPPER) {
        Ok(one) => Ok(vec![one]),
        Err(_) => response.objects("identityProviderLinks"),
    }
}
