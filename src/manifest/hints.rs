//! What to write instead of fields that FusionAuth has and a manifest has not.

use crate::model::Kind;

/// Fields that FusionAuth fills itself.
const READ_ONLY: &[&str] = &[
    "insertInstant",
    "lastUpdateInstant",
    "lastLoginInstant",
    "connectorId",
    "uniqueUsername",
    "identities",
    "verifiedInstant",
    "passwordLastUpdateInstant",
    "passwordChangeReason",
    "breachedPasswordLastCheckedInstant",
    "breachedPasswordStatus",
    "cleanSpeakId",
    "identityProviderName",
    "identityProviderType",
];

/// Fields of a user that are sent when it is created only.
const INITIAL: &[&str] = &[
    "passwordChangeRequired",
    "sendSetPasswordIdentityType",
    "skipVerification",
    "skipRegistrationVerification",
    "disableDomainBlock",
    "legacyIdentifier",
    "salt",
];

/// What to say about a field that is not declarable at `path` (`spec`, `spec.registrations[0]`).
pub fn for_unknown_field(kind: Kind, path: &str, name: &str) -> Option<&'static str> {
    if !path.starts_with("spec") {
        return for_head(path, name);
    }
    let hint = match (kind, path, name) {
        (_, _, "tenantId") => {
            "the tenant is the instance's: `tenantId` of a FusionAuthInstance, or --tenant-id"
        }
        (Kind::User, "spec", "memberships" | "groups" | "groupIds") => {
            "group memberships cannot be declared; they will be a kind of their own"
        }
        (Kind::User, "spec", _) if name.starts_with("twoFactor") => {
            "two-factor methods are the person's own and cannot be declared"
        }
        (Kind::User, "spec", "roles") => {
            "roles belong to a registration: `registrations: [{ application: { name: … }, roles: [ … ] }]`"
        }
        (Kind::User, "spec", "sendSetPasswordEmail") => {
            "write `initial: { sendSetPasswordIdentityType: email }`"
        }
        (Kind::User, "spec", _) if INITIAL.contains(&name) => {
            "it is sent when the user is created only: write it under `initial`"
        }
        (Kind::User, "spec", "encryptionScheme" | "factor") => "write it under `password` or `initial`",
        (Kind::User, "spec", "applicationId") | (Kind::User, _, "applicationId") => {
            "write a reference: `application: { id: … }` or `application: { name: … }`"
        }
        (Kind::User, _, "authenticationToken" | "token" | "tokens") => {
            "registration tokens cannot be declared"
        }
        (Kind::User, _, "id" | "cleanSpeakId") => "FusionAuth makes it; it cannot be declared",
        (Kind::Entity, "spec", "entityTypeId" | "typeId" | "entityType") => {
            "write a reference: `type: { name: … }` or `type: { id: … }`"
        }
        (Kind::Entity, "spec", "parentId") => "FusionAuth does not document it; it cannot be declared",
        (Kind::EntityGrant, "spec", "entityId") => {
            "write a reference: `entity: { name: … }` or `entity: { id: … }`"
        }
        (Kind::EntityGrant, "spec", "recipientEntityId") => {
            "write a reference: `recipientEntity: { name: … }` or `recipientEntity: { id: … }`"
        }
        (Kind::EntityGrant | Kind::IdentityProviderLink, "spec", "userId") => {
            "write a reference: `user: { name: … }` or `user: { id: … }`"
        }
        (Kind::EntityGrant | Kind::IdentityProviderLink, "spec", "id") => {
            "its key is its pair; it has no id of its own"
        }
        (Kind::IdentityProviderLink, "spec", "identityProviderId") => {
            "write a reference: `identityProvider: { name: … }` or `identityProvider: { id: … }`"
        }
        (Kind::IdentityProviderLink, "spec", "displayName" | "token") => {
            "a login overwrites it, so it is sent when the link is created only: write it under `initial`"
        }
        (Kind::IdentityProviderLink, "spec", "data") => "a link's data is FusionAuth's own",
        (Kind::IdentityProviderLink, "spec", "pendingIdPLinkId" | "pendingLinkId") => {
            "write `pendingLink: { id: … }`"
        }
        (Kind::Lambda, "spec", "enabled") => {
            "FusionAuth no longer has it; a lambda runs where something refers to it"
        }
        _ if path.ends_with("secretKeyRef") && name == "namespace" => {
            "a secret is read in the object's own namespace only"
        }
        _ if READ_ONLY.contains(&name) => "FusionAuth writes it; it cannot be declared",
        _ => return None,
    };
    Some(hint)
}

fn for_head(path: &str, name: &str) -> Option<&'static str> {
    match (path, name) {
        ("metadata", "generateName") => Some("an object that is kept has a `name`"),
        ("", "sops") => Some("the file is still encrypted by SOPS: decrypt it first (`sops decrypt`)"),
        ("", "data" | "stringData") => Some("what is declared stands under `spec`"),
        _ => None,
    }
}
