//! The table of kinds. A later kind is a row here, its spec beside it, and its routes in `fusionauth`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{entity, entity_grant, entity_type, identity_provider_link, lambda, user};

/// Every kind of our group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    EntityType,
    Lambda,
    User,
    Entity,
    EntityGrant,
    IdentityProviderLink,
    FusionAuthInstance,
    ClusterFusionAuthInstance,
    PlanApproval,
}

impl Kind {
    /// All kinds, in the order in which objects are created.
    pub const ALL: [Kind; 9] = [
        Kind::EntityType,
        Kind::Lambda,
        Kind::User,
        Kind::Entity,
        Kind::EntityGrant,
        Kind::IdentityProviderLink,
        Kind::FusionAuthInstance,
        Kind::ClusterFusionAuthInstance,
        Kind::PlanApproval,
    ];

    /// The kinds that stand for an object in FusionAuth.
    pub const OBJECTS: [Kind; 6] = [
        Kind::EntityType,
        Kind::Lambda,
        Kind::User,
        Kind::Entity,
        Kind::EntityGrant,
        Kind::IdentityProviderLink,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::EntityType => "EntityType",
            Kind::Lambda => "Lambda",
            Kind::User => "User",
            Kind::Entity => "Entity",
            Kind::EntityGrant => "EntityGrant",
            Kind::IdentityProviderLink => "IdentityProviderLink",
            Kind::FusionAuthInstance => "FusionAuthInstance",
            Kind::ClusterFusionAuthInstance => "ClusterFusionAuthInstance",
            Kind::PlanApproval => "PlanApproval",
        }
    }

    /// "a" or "an", as it stands before the kind's name in a message.
    pub fn article(self) -> &'static str {
        if self.as_str().starts_with(['E', 'I']) { "an" } else { "a" }
    }

    /// Whether the kind stands for an object in FusionAuth; instances and approvals do not.
    pub fn is_object(self) -> bool {
        Kind::OBJECTS.contains(&self)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no kind of fusionkeep.dev")]
pub struct ParseKindError(pub String);

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParseKindError(text.to_owned()))
    }
}

/// Whether an object belongs to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Global,
    Tenant,
}

/// What becomes of an object that is no longer declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Deletion {
    Deactivate,
    Delete,
    Orphan,
}

/// Who may see a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// Printed as it is.
    Public,
    /// Masked when it comes from the server and not from the manifest, unless `--show-personal`.
    Personal,
    /// Never printed, stored or logged.
    Secret,
}

/// How a field can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// In the bodies of creates and updates.
    Body,
    /// By a call of its own (`active`, `verified`).
    OwnCall,
    /// When the object is created, never again, never compared.
    CreateOnly,
    /// When the object is created; a later difference is an error that says what one can do.
    Immutable,
    /// As `Immutable`; in the spec it is a reference, which is resolved first.
    ImmutableReference,
    /// Written, never returned (passwords).
    WriteOnly,
    /// Returned, never written.
    ReadOnly,
}

/// How two values of a field are compared, after FusionAuth's own normalisation (wire notes §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// As they are.
    Exact,
    /// Trimmed and in lower case; empty is null.
    Email,
    /// Trimmed, case kept; empty is null.
    TrimToNull,
    /// Trimmed; empty stays.
    Trim,
    /// As E.164.
    Phone,
    /// An array of locales in order, `en-US` as `en_US`, without doubles.
    Locales,
    /// An object, key by key at every depth; arrays whole and in order.
    Data,
    /// An array without order or doubles.
    Set,
    /// Text with CRLF as LF.
    LineEndings,
}

/// The first server version (major, minor) that knows a field or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since(pub u16, pub u16);

impl fmt::Display for Since {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldRule {
    /// The field's name on the wire, at the top of its object.
    pub path: &'static str,
    pub sensitivity: Sensitivity,
    pub write: Write,
    pub compare: Compare,
    pub since: Option<Since>,
}

impl FieldRule {
    pub(super) const fn new(path: &'static str, sensitivity: Sensitivity) -> Self {
        FieldRule { path, sensitivity, write: Write::Body, compare: Compare::Exact, since: None }
    }

    pub(super) const fn write(self, write: Write) -> Self {
        FieldRule { write, ..self }
    }

    pub(super) const fn compare(self, compare: Compare) -> Self {
        FieldRule { compare, ..self }
    }

    pub(super) const fn since(self, since: Since) -> Self {
        FieldRule { since: Some(since), ..self }
    }

    /// Whether the declared value goes to the wire as it stands in the spec. Secrets do not: a spec holds
    /// their sources. Neither do references, which are resolved first.
    pub fn on_wire(&self) -> bool {
        self.sensitivity != Sensitivity::Secret
            && matches!(self.write, Write::Body | Write::OwnCall | Write::Immutable)
    }
}

/// Objects inside an object that are compared one by one: registrations, an entity type's permissions.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The array's name in the spec and on the wire.
    pub field: &'static str,
    /// The wire name of the field by which its elements are told apart.
    pub key: &'static str,
    pub fields: &'static [FieldRule],
}

/// One kind in the table.
#[derive(Clone, Copy, Debug)]
pub struct KindRow {
    pub kind: Kind,
    /// The plural of the custom resource.
    pub plural: &'static str,
    /// The API route of the collection.
    pub route: &'static str,
    /// The key under which bodies carry the object.
    pub wrapper: &'static str,
    pub scope: Scope,
    /// Lower is created first and deleted last.
    pub order: u8,
    /// The default of `policy.deletion`.
    pub deletion: Deletion,
    pub fields: &'static [FieldRule],
    pub part: Option<Part>,
    /// What a live object that is not ours is found by, for messages.
    pub natural_key: &'static str,
}

/// Instances and approvals are not objects in FusionAuth; their row says so by having no fields.
const NO_OBJECT: KindRow = KindRow {
    kind: Kind::FusionAuthInstance,
    plural: "fusionauthinstances",
    route: "",
    wrapper: "",
    scope: Scope::Global,
    order: 0,
    deletion: Deletion::Orphan,
    fields: &[],
    part: None,
    natural_key: "",
};

static INSTANCE: KindRow = NO_OBJECT;
static CLUSTER_INSTANCE: KindRow =
    KindRow { kind: Kind::ClusterFusionAuthInstance, plural: "clusterfusionauthinstances", ..NO_OBJECT };
static PLAN_APPROVAL: KindRow = KindRow { kind: Kind::PlanApproval, plural: "planapprovals", ..NO_OBJECT };

/// The row of a kind.
pub fn row(kind: Kind) -> &'static KindRow {
    match kind {
        Kind::EntityType => &entity_type::ROW,
        Kind::Lambda => &lambda::ROW,
        Kind::User => &user::ROW,
        Kind::Entity => &entity::ROW,
        Kind::EntityGrant => &entity_grant::ROW,
        Kind::IdentityProviderLink => &identity_provider_link::ROW,
        Kind::FusionAuthInstance => &INSTANCE,
        Kind::ClusterFusionAuthInstance => &CLUSTER_INSTANCE,
        Kind::PlanApproval => &PLAN_APPROVAL,
    }
}

/// The rule of a field by its path (`email`, `data.team`, `registrations[…].roles`), by its outermost known
/// name; none for a field that the table does not know.
pub fn field_rule(kind: Kind, path: &str) -> Option<&'static FieldRule> {
    let row = row(kind);
    let head = |path: &str| path.split(['.', '[']).next().unwrap_or_default().to_owned();
    let name = head(path);
    if let Some(part) = row.part.as_ref().filter(|part| part.field == name) {
        let inner = path.split_once("].").map(|(_, inner)| head(inner))?;
        return part.fields.iter().find(|rule| rule.path == inner);
    }
    row.fields.iter().find(|rule| rule.path == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_by_path() {
        let rule = |kind, path| field_rule(kind, path).map(|rule| rule.path);
        assert_eq!(rule(Kind::User, "data.team"), Some("data"));
        assert_eq!(rule(Kind::User, "registrations[3c219e58].roles"), Some("roles"));
        assert_eq!(rule(Kind::EntityType, "permissions[read].description"), Some("description"));
        assert_eq!(rule(Kind::User, "nothing"), None);
        assert!(Kind::ALL.iter().all(|kind| row(*kind).kind == *kind));
    }
}
