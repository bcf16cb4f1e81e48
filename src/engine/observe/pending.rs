//! A pending link is read before it is completed: it says which account it is, and whether it can be completed.

use secrecy::ExposeSecret;
use serde_json::Value;

use crate::fusionauth::{Error, Object, ServerVersion};
use crate::reconcile::{Key, Problem};

use super::super::problem::At;
use super::super::rows;
use super::pairs::LinkKey;
use super::{Declaration, Observer, Sink};

impl<S: Sink> Observer<'_, S> {
    /// The key of a link that is not there: the declared one, or the pending link's. Its id at the provider is
    /// empty when the pending link's id could not be read.
    pub(super) async fn pending_key(
        &self,
        index: usize,
        sought: &Declaration,
        own: &LinkKey,
    ) -> Result<Result<Key, Box<Problem>>, Error> {
        let declared = own.subject.as_deref();
        let is_pending = sought.resolved.pending_link.is_some()
            || sought.resolved.secrets.iter().any(|secret| secret.field == "pendingIdPLinkId");
        if !is_pending {
            return Ok(Ok(own.key(declared.unwrap_or_default())));
        }
        if !self.version.at_least(1, 46) {
            return Ok(Err(Box::new(too_new(sought.at(), self.version))));
        }
        let Some(id) = self.pending.get(&index).filter(|id| !id.expose_secret().is_empty()) else {
            return Ok(Ok(own.key(declared.unwrap_or_default())));
        };
        let user = own.user.live.then_some(own.user.id);
        let pending = self.client.pending_link(id, user).await?;
        Ok(judge(sought.at(), own, pending.as_ref()))
    }
}

/// Pending links can be read since 1.46 (wire notes §7), and are not completed unread.
fn too_new(at: At<'_>, version: &ServerVersion) -> Problem {
    let (major, minor) = version.major_minor();
    let message = format!("pendingLink came with FusionAuth 1.46, and the server is {major}.{minor}");
    let hint = "declare identityProviderUserId instead, or upgrade FusionAuth to 1.46";
    at.problem("newer-than-server", message, Some(hint.to_owned()))
}

/// Whether the pending link leads to the declared link.
fn judge(at: At<'_>, own: &LinkKey, pending: Option<&Object>) -> Result<Key, Box<Problem>> {
    let problem = |code: &str, message: String, hint: &str| {
        Err(Box::new(at.problem(code, message, Some(hint.to_owned()))))
    };
    let inner = pending.and_then(|pending| pending.get("pendingIdPLink")).and_then(Value::as_object);
    let (Some(pending), Some(inner)) = (pending, inner) else {
        return problem(
            "pending-link-expired",
            "the pending link does not exist any more: it has expired or has been completed".to_owned(),
            "have the person sign in again at the identity provider, which leaves a new pending link",
        );
    };
    if rows::uuid(inner, "identityProviderId") != Some(own.identity_provider) {
        return problem(
            "pending-link-provider",
            "the pending link is one of another identity provider".to_owned(),
            "refer to the identity provider at which the person signed in",
        );
    }
    let subject = rows::text(inner, "identityProviderUserId").unwrap_or_default();
    if own.subject.as_ref().is_some_and(|declared| *declared != subject) {
        return problem(
            "pending-link-account",
            "the pending link is one of another account than identityProviderUserId".to_owned(),
            "leave identityProviderUserId out, or declare the account that signed in",
        );
    }
    let of_other = rows::uuid(inner, "userId").is_some_and(|user| user != own.user.id);
    if of_other {
        return problem(
            "pending-link-user",
            "the pending link is meant for another user".to_owned(),
            "refer to the user who signed in",
        );
    }
    if let Some((count, maximum)) = at_limit(pending) {
        return problem(
            "link-limit",
            format!("the user has {count} links to this identity provider, and the tenant allows {maximum}"),
            "unlink another account, or raise the identity provider's link limit in the tenant",
        );
    }
    Ok(own.key(&subject))
}

/// The number of links and its maximum, when there is no place for one more (wire notes §7).
fn at_limit(pending: &Object) -> Option<(u64, u64)> {
    let limit = pending.get("identityProviderTenantConfiguration")?.get("limitUserLinkCount")?;
    let enabled = limit.get("enabled").and_then(Value::as_bool).unwrap_or(false);
    let (count, maximum) = (pending.get("linkCount")?.as_u64()?, limit.get("maximumLinks")?.as_u64()?);
    (enabled && count >= maximum).then_some((count, maximum))
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::*;
    use crate::model::{Address, Kind, Place};
    use serde_json::json;
    use uuid::Uuid;

    fn code(own: &LinkKey, pending: Value) -> Result<Key, String> {
        let address = Address::new(Kind::IdentityProviderLink, "default", "x");
        let place = Place { file: "x.yaml".into(), line: 1, column: 1 };
        let at = At { address: &address, place: &place };
        judge(at, own, pending.as_object()).map_err(|problem| problem.code)
    }

    #[test]
    fn a_pending_link_is_judged_before_it_is_completed() {
        let (provider, user) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let own = |subject: Option<&str>| LinkKey {
            identity_provider: provider,
            subject: subject.map(str::to_owned),
            user: Standing { id: user, live: true },
        };
        let pending = |count: u64| {
            json!({"linkCount": count, "pendingIdPLink": {"identityProviderId": provider,
                "identityProviderUserId": "abc"},
                "identityProviderTenantConfiguration": {"limitUserLinkCount": {"enabled": true, "maximumLinks": 2}}})
        };
        assert_eq!(code(&own(None), pending(1)), Ok(own(None).key("abc")));
        assert_eq!(code(&own(Some("abc")), pending(1)), Ok(own(None).key("abc")));
        assert_eq!(code(&own(Some("x")), pending(1)), Err("pending-link-account".into()));
        assert_eq!(code(&own(None), pending(2)), Err("link-limit".into()));
        assert_eq!(code(&own(None), Value::Null), Err("pending-link-expired".into()));
        let other = LinkKey { identity_provider: user, ..own(None) };
        assert_eq!(code(&other, pending(0)), Err("pending-link-provider".into()));
    }
}
