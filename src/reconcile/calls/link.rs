//! Links between users and accounts at identity providers (wire notes §7).

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::Fields;
use crate::reconcile::{Call, DesiredSecret, Method, Purpose};

use super::routes::Route;
use super::{Making, slots};

const PENDING: &str = "pendingIdPLinkId";

/// An account at an identity provider and the user whose it is: a link's key.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub identity_provider: Uuid,
    /// The provider's id of the account.
    pub id: &'a str,
    pub user: Uuid,
}

/// The link, by its own fields or by the pending link that a login left.
pub(super) fn create(making: Making<'_>, account: Account<'_>) -> Call {
    let (by_source, secrets): (Vec<DesiredSecret>, Vec<DesiredSecret>) =
        making.difference.secrets.iter().cloned().partition(|secret| secret.field == PENDING);
    if making.desired.pending_link.is_some() || !by_source.is_empty() {
        let mut body = json!({ "identityProviderLink": { "userId": account.user } });
        if let (Some(id), Value::Object(body)) = (&making.desired.pending_link, &mut body) {
            body.insert(PENDING.to_owned(), id.clone().into());
        }
        let mut call = Route::link().call(Purpose::CompletePendingLink, Method::Post).json(body);
        call.secrets = by_source
            .iter()
            .map(|secret| crate::reconcile::SecretSlot {
                pointer: format!("/{PENDING}"),
                source: secret.source.clone(),
                may_be_empty: secret.may_be_empty,
            })
            .collect();
        return call;
    }
    let mut link = Fields::new();
    link.extend(making.desired.initial.clone());
    link.insert("identityProviderId".to_owned(), account.identity_provider.to_string().into());
    link.insert("identityProviderUserId".to_owned(), account.id.into());
    link.insert("userId".to_owned(), account.user.to_string().into());
    let mut call =
        Route::link().call(Purpose::Link, Method::Post).json(json!({ "identityProviderLink": link }));
    call.secrets = slots(&secrets, "identityProviderLink");
    call
}

/// Unlinking needs all three (wire notes §7).
pub(super) fn delete(account: Account<'_>) -> Call {
    Route::link()
        .query("identityProviderId", account.identity_provider.to_string())
        .query("identityProviderUserId", account.id)
        .query("userId", account.user.to_string())
        .call(Purpose::Unlink, Method::Delete)
}
