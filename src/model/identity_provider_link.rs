//! A link between a user and an account at an identity provider.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::declared::null_as_absent;
use super::kind::{Deletion, FieldRule, KindRow, Scope, Sensitivity, Write};
use super::spec::kind_spec;
use super::{Kind, NonNull, Reference, SecretSource, UserReference};

kind_spec! {
    /// A link between a user and an account at an identity provider. Its key never changes.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[schemars(
        title = "IdentityProviderLink",
        extend("x-any-of" = ["identityProviderUserId", "pendingLink"]),
    )]
    pub struct IdentityProviderLinkSpec {
        /// The identity provider, by live name or by id.
        pub identity_provider: Reference,
        /// The user.
        pub user: UserReference,
        /// The account's id at the identity provider. With `pendingLink` it may be left out.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        #[schemars(extend("x-form" = "filled"))]
        pub identity_provider_user_id: NonNull<String>,
        /// Sent when the link is created, never again, never compared: a login overwrites both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub initial: Option<IdentityProviderLinkInitial>,
        /// The pending link that a login left, to be completed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pending_link: Option<PendingLink>,
    }
}

/// What is sent when a link is created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProviderLinkInitial {
    /// A name for people to know the account by.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<String>", extend("x-form" = "filled"))]
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
    #[schemars(extend("x-form" = "filled"))]
    pub id: PendingLinkId,
}

/// A pending link's id, or a source of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "x-secret" = true))]
pub enum PendingLinkId {
    Plain(String),
    Source(SecretSource),
}

// Not derived: serde's untagged enums swallow unknown fields and lose the place of what does not fit.
impl<'de> Deserialize<'de> for PendingLinkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PendingLinkIdVisitor)
    }
}

struct PendingLinkIdVisitor;

impl<'de> Visitor<'de> for PendingLinkIdVisitor {
    type Value = PendingLinkId;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id or a source of it")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PendingLinkId, E> {
        Ok(PendingLinkId::Plain(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PendingLinkId, A::Error> {
        SecretSource::deserialize(MapAccessDeserializer::new(map)).map(PendingLinkId::Source)
    }
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
