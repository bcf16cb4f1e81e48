//! A link between a user and an account at an identity provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{Deletion, FieldRule, KindRow, Scope, Sensitivity, Write};
use super::{InstanceReference, Kind, NonNull, Policy, Reference, SecretSource, UserReference};

/// A link between a user and an account at an identity provider. Its key never changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "IdentityProviderLink")]
pub struct IdentityProviderLinkSpec {
    /// The identity provider, by live name or by id.
    pub identity_provider: Reference,
    /// The user.
    pub user: UserReference,
    /// The account's id at the identity provider. With `pendingLink` it may be left out.
    #[serde(default, skip_serializing_if = "NonNull::is_absent")]
    pub identity_provider_user_id: NonNull<String>,
    /// Sent when the link is created, never again, never compared: a login overwrites both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<IdentityProviderLinkInitial>,
    /// The pending link that a login left, to be completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_link: Option<PendingLink>,
    /// What fusionkeep may do with the object.
    #[serde(default)]
    pub policy: Policy,
    /// The instance the object belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_ref: Option<InstanceReference>,
    /// Leave the object alone for now.
    #[serde(default)]
    pub suspend: bool,
    /// Paths of fields to remove, such as `data.team`.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// What is sent when a link is created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProviderLinkInitial {
    /// A name for people to know the account by.
    #[serde(default, skip_serializing_if = "NonNull::is_absent")]
    pub display_name: NonNull<String>,
    /// The source of the identity provider's token.
    #[serde(default, skip_serializing_if = "NonNull::is_absent")]
    pub token: NonNull<SecretSource>,
}

/// A pending link that a login left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingLink {
    /// The pending link's id, or a source of it.
    pub id: PendingLinkId,
}

/// A pending link's id, or a source of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub enum PendingLinkId {
    Plain(String),
    Source(SecretSource),
}

impl Default for PendingLinkId {
    fn default() -> Self {
        PendingLinkId::Plain(String::new())
    }
}

use Sensitivity::{Personal, Secret};

const FIELDS: &[FieldRule] = &[
    FieldRule::new("identityProviderUserId", Personal).write(Write::Immutable),
    FieldRule::new("displayName", Personal).write(Write::CreateOnly),
    FieldRule::new("token", Secret).write(Write::CreateOnly),
];

pub(super) const ROW: KindRow = KindRow {
    kind: Kind::IdentityProviderLink,
    plural: "identityproviderlinks",
    route: "/api/identity-provider/link",
    wrapper: "identityProviderLink",
    scope: Scope::Tenant,
    order: 3,
    deletion: Deletion::Delete,
    fields: FIELDS,
    part: None,
    natural_key: "identityProvider and identityProviderUserId",
};
