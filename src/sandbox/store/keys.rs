//! Which values of an object are unique and which relations it has: the emulator's database constraints (wire notes
//! §2, §4 to §7, §14). Knows objects, not requests.

use serde_json::Value;
use uuid::Uuid;

use super::{Object, Table};

/// What must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unique {
    ApiKey,
    ApplicationName,
    ChangePasswordId,
    ClientId,
    EntityTypeName,
    GenericName(Table),
    Grant,
    GroupMember,
    GroupName,
    IdentityProviderName,
    LegacyIdentifier,
    Link,
    PendingLinkId,
    TenantName,
    UserEmail,
    UserPhoneNumber,
    UserUsername,
    VerificationId,
}

/// A unique value within its scope (a tenant, or nil for the whole server).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UniqueKey {
    pub kind: Unique,
    pub scope: Uuid,
    pub value: Box<str>,
}

impl UniqueKey {
    pub fn new(kind: Unique, scope: Uuid, value: impl Into<Box<str>>) -> Self {
        Self { kind, scope, value: value.into() }
    }

    /// A key that is unique over the whole server.
    pub fn global(kind: Unique, value: impl Into<Box<str>>) -> Self {
        Self::new(kind, Uuid::nil(), value)
    }
}

/// A way from one object to those that depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    EntitiesOfType,
    GrantsOfEntity,
    GrantsToEntity,
    GrantsToUser,
    LinksOfProvider,
    LinksOfUser,
    MembersOfGroup,
    MembershipsOfUser,
    TokensOfUser,
}

/// All keys of an object.
#[derive(Debug, Default, PartialEq)]
pub struct Keys {
    pub unique: Vec<UniqueKey>,
    pub related: Vec<(Relation, Uuid)>,
}

impl Keys {
    fn unique(&mut self, kind: Unique, scope: Option<Uuid>, value: Option<&str>) {
        if let Some(value) = value {
            self.unique.push(UniqueKey::new(kind, scope.unwrap_or_default(), value));
        }
    }

    fn related(&mut self, relation: Relation, id: Option<Uuid>) {
        if let Some(id) = id {
            self.related.push((relation, id));
        }
    }

    /// The keys of an object of a table.
    pub fn of(table: Table, object: &Object) -> Self {
        let mut keys = Self::default();
        let tenant = uuid_at(object, "tenantId");
        match table {
            Table::API_KEY => keys.unique(Unique::ApiKey, None, text_at(object, "key")),
            Table::APPLICATION => {
                keys.unique(Unique::ApplicationName, tenant, folded(object, "name").as_deref());
            }
            Table::CHANGE_PASSWORD => {
                keys.unique(Unique::ChangePasswordId, None, text_at(object, "token"));
                keys.related(Relation::TokensOfUser, uuid_at(object, "userId"));
            }
            Table::VERIFICATION => {
                keys.unique(Unique::VerificationId, None, text_at(object, "token"));
                keys.related(Relation::TokensOfUser, uuid_at(object, "userId"));
            }
            Table::ENTITY => {
                keys.unique(Unique::ClientId, None, text_at(object, "clientId"));
                keys.related(Relation::EntitiesOfType, uuid_at(object, "typeId"));
            }
            Table::ENTITY_TYPE => {
                keys.unique(Unique::EntityTypeName, None, folded(object, "name").as_deref())
            }
            Table::GRANT => grant(&mut keys, object),
            Table::GROUP => keys.unique(Unique::GroupName, tenant, folded(object, "name").as_deref()),
            Table::GROUP_MEMBER => member(&mut keys, object),
            Table::IDENTITY_PROVIDER => {
                keys.unique(Unique::IdentityProviderName, tenant, folded(object, "name").as_deref());
            }
            Table::LINK => link(&mut keys, object),
            Table::PENDING_LINK => {
                keys.unique(Unique::PendingLinkId, None, text_at(object, "pendingIdPLinkId"))
            }
            Table::TENANT => keys.unique(Unique::TenantName, None, folded(object, "name").as_deref()),
            Table::USER => user(&mut keys, object),
            Table::LAMBDA => {}
            generic => {
                let name = if object.contains_key("name") { "name" } else { "_unique" };
                keys.unique(Unique::GenericName(generic), tenant, folded(object, name).as_deref());
            }
        }
        keys
    }
}

/// Unique sign-in names: e-mail lower-cased already, username without case, phone number in E.164 (wire notes §4).
fn user(keys: &mut Keys, object: &Object) {
    let tenant = uuid_at(object, "tenantId");
    keys.unique(Unique::UserEmail, tenant, text_at(object, "email"));
    keys.unique(Unique::UserUsername, tenant, folded(object, "username").as_deref());
    keys.unique(Unique::UserPhoneNumber, tenant, text_at(object, "phoneNumber"));
    keys.unique(Unique::LegacyIdentifier, tenant, text_at(object, "legacyIdentifier"));
}

fn grant(keys: &mut Keys, object: &Object) {
    let (entity, user, recipient) =
        (uuid_at(object, "entityId"), uuid_at(object, "userId"), uuid_at(object, "recipientEntityId"));
    if let Some(holder) = user.or(recipient) {
        keys.unique(Unique::Grant, entity, Some(&holder.to_string()));
    }
    keys.related(Relation::GrantsOfEntity, entity);
    keys.related(Relation::GrantsToUser, user);
    keys.related(Relation::GrantsToEntity, recipient);
}

fn member(keys: &mut Keys, object: &Object) {
    let (group, user) = (uuid_at(object, "groupId"), uuid_at(object, "userId"));
    if let Some(user) = user {
        keys.unique(Unique::GroupMember, group, Some(&user.to_string()));
    }
    keys.related(Relation::MembersOfGroup, group);
    keys.related(Relation::MembershipsOfUser, user);
}

/// Unique key of a link: identity provider, its user id, tenant (wire notes §7).
fn link(keys: &mut Keys, object: &Object) {
    let provider = uuid_at(object, "identityProviderId");
    if let (Some(provider), Some(user)) = (provider, text_at(object, "identityProviderUserId")) {
        let value = format!("{provider} {user}");
        keys.unique(Unique::Link, uuid_at(object, "tenantId"), Some(&value));
    }
    keys.related(Relation::LinksOfProvider, provider);
    keys.related(Relation::LinksOfUser, uuid_at(object, "userId"));
}

/// The string at a key, if it is one.
pub fn text_at<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// The UUID at a key, if it is one.
pub fn uuid_at(object: &Object, key: &str) -> Option<Uuid> {
    text_at(object, key).and_then(|text| Uuid::try_parse(text).ok())
}

fn folded(object: &Object, key: &str) -> Option<String> {
    text_at(object, key).map(str::to_lowercase)
}
