//! Instances: which FusionAuth, as whom, with which limits. And the approvals of plans.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::declared::{never_null, null_as_absent, null_as_default};
use super::{Id, Kind, NonNull, ObjectReference, SecretSource};

/// The `spec` of an instance: the fields given, then those of both kinds. A macro for the reason of `kind_spec`.
macro_rules! instance_spec {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)* }
    ) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        $(#[$attribute])*
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $type,)*
            /// The base URL, http or https, with an optional path.
            #[schemars(extend("x-form" = "url"))]
            pub url: String,
            /// Who owns what is kept here: 1 to 63 of a to z, 0 to 9 and "-". Two owners never change one object.
            #[schemars(extend("x-form" = "owner"))]
            pub owner: String,
            /// The tenant; may be left out when there is only one.
            #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
            #[schemars(with = "Option<Id>")]
            pub tenant_id: NonNull<Id>,
            /// Limits before the first write.
            #[serde(default, deserialize_with = "null_as_default")]
            #[schemars(with = "Option<Guards>")]
            pub guards: Guards,
            /// The operator's: how often all objects are compared, such as `10m`.
            #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
            #[schemars(with = "Option<String>", extend("x-form" = "interval"))]
            pub interval: NonNull<String>,
            /// The operator's: how often links and grants are compared, such as `6h`.
            #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
            #[schemars(with = "Option<String>", extend("x-form" = "interval"))]
            pub link_interval: NonNull<String>,
            /// How the server's certificate is judged.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tls: Option<Tls>,
            /// The operator's: leave the instance and its objects alone for now.
            #[serde(default, deserialize_with = "null_as_default")]
            #[schemars(with = "Option<bool>")]
            pub suspend: bool,
        }
    };
}

instance_spec! {
    /// A FusionAuth to keep. In a cluster it is used by objects of its own namespace only.
    #[schemars(title = "FusionAuthInstance")]
    pub struct FusionAuthInstanceSpec {
        /// The source of the API key; in the command the environment has it when absent.
        #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "SecretSource")]
        pub api_key: Option<SecretSource>,
        /// The source of the runner key, from which fingerprints and signatures are made.
        #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "SecretSource")]
        pub runner_key: Option<SecretSource>,
    }
}

instance_spec! {
    /// A FusionAuth that an administrator lends to several namespaces.
    #[schemars(title = "ClusterFusionAuthInstance")]
    pub struct ClusterFusionAuthInstanceSpec {
        /// The source of the API key: a Secret in the operator's namespace.
        #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "SecretSource")]
        pub api_key: Option<SecretSource>,
        /// The source of the runner key: a Secret in the operator's namespace.
        #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "SecretSource")]
        pub runner_key: Option<SecretSource>,
        /// Who may use the instance, and for what. Nobody, when empty.
        #[serde(default, deserialize_with = "null_as_default")]
        #[schemars(with = "Option<Vec<InstanceAllow>>")]
        pub allow: Vec<InstanceAllow>,
    }
}

impl ClusterFusionAuthInstanceSpec {
    /// The fields that both kinds of instances have.
    pub fn instance(&self) -> FusionAuthInstanceSpec {
        FusionAuthInstanceSpec {
            url: self.url.clone(),
            owner: self.owner.clone(),
            tenant_id: self.tenant_id,
            api_key: self.api_key.clone(),
            runner_key: self.runner_key.clone(),
            guards: self.guards.clone(),
            interval: self.interval.clone(),
            link_interval: self.link_interval.clone(),
            tls: self.tls.clone(),
            suspend: self.suspend,
        }
    }
}

/// One entry of the list of those who may use a ClusterFusionAuthInstance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceAllow {
    /// The namespaces, by name or by label.
    pub namespaces: AllowedNamespaces,
    /// The kinds; User, Entity, EntityGrant and IdentityProviderLink when absent. A Lambda is code in every
    /// token.
    #[serde(default = "default_allowed_kinds", deserialize_with = "kinds_or_default")]
    #[schemars(with = "Option<Vec<Kind>>", extend("x-never" = [{
        "type": "array",
        "contains": { "enum": ["FusionAuthInstance", "ClusterFusionAuthInstance", "PlanApproval"] },
    }]))]
    pub kinds: Vec<Kind>,
    /// Whether their objects may adopt what exists.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub adoption: bool,
    /// Whether their objects may carry `spec.id`, and links and grants may name a user or an entity that their own
    /// namespace does not declare.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub ids: bool,
}

fn default_allowed_kinds() -> Vec<Kind> {
    vec![Kind::User, Kind::Entity, Kind::EntityGrant, Kind::IdentityProviderLink]
}

fn kinds_or_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Kind>, D::Error> {
    Option::deserialize(deserializer).map(|kinds| kinds.unwrap_or_else(default_allowed_kinds))
}

/// Namespaces by name or by label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["names", "selector"]))]
pub struct AllowedNamespaces {
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form-of-items" = "namespace"))]
    pub names: Option<Vec<String>>,
    /// Labels that a namespace must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Labels that a namespace must carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels with their values.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub match_labels: BTreeMap<String, String>,
}

/// Limits that are judged before the first write. In the command an instance can only tighten them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    /// The most deletions of one run, a number or a percentage of what is owned; over 10 and over 20 % when
    /// absent.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<NumberOrPercent>")]
    pub max_deletes: NonNull<NumberOrPercent>,
    /// The most users changed by one run, a number or a percentage; over 10 and over 50 % when absent.
    /// Creations do not count.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<NumberOrPercent>")]
    pub max_changed_users: NonNull<NumberOrPercent>,
    /// Whether people may be deleted for good.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub allow_hard_delete: NonNull<bool>,
    /// Whether roles of FusionAuth's own application may be given.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub allow_admin_roles: NonNull<bool>,
    /// The operator's: `Manual` holds each change until a PlanApproval names its hash.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<ApprovalMode>")]
    pub approval: NonNull<ApprovalMode>,
}

/// Whether changes wait for a PlanApproval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalMode {
    #[default]
    Automatic,
    Manual,
}

/// How the server's certificate is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Certificates (PEM) to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
}

/// The approval of one plan of one object; applies exactly that plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "PlanApproval")]
pub struct PlanApprovalSpec {
    /// The object, in the approval's namespace.
    pub object_ref: ObjectReference,
    /// The hash of the plan, from the object's status.
    pub plan_hash: String,
}

/// A number, or a percentage such as `"20%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberOrPercent {
    Number(u64),
    /// 0 to 100.
    Percent(u8),
}

impl NumberOrPercent {
    /// The number that is allowed out of `total`; percentages are rounded down.
    pub fn of(self, total: u64) -> u64 {
        match self {
            NumberOrPercent::Number(number) => number,
            NumberOrPercent::Percent(percent) => total.saturating_mul(percent.into()) / 100,
        }
    }
}

/// Text that is neither a number nor a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a number nor a percentage such as 20%")]
pub struct ParseNumberOrPercentError(String);

impl FromStr for NumberOrPercent {
    type Err = ParseNumberOrPercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseNumberOrPercentError(text.to_owned());
        if let Some(percent) = text.strip_suffix('%') {
            let percent: u8 = percent.parse().map_err(|_| error())?;
            if percent > 100 { Err(error()) } else { Ok(NumberOrPercent::Percent(percent)) }
        } else {
            text.parse().map(NumberOrPercent::Number).map_err(|_| error())
        }
    }
}

impl fmt::Display for NumberOrPercent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberOrPercent::Number(number) => number.fmt(formatter),
            NumberOrPercent::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

struct NumberOrPercentVisitor;

impl Visitor<'_> for NumberOrPercentVisitor {
    type Value = NumberOrPercent;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number from 0, or a percentage such as \"20%\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<NumberOrPercent, E> {
        Ok(NumberOrPercent::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<NumberOrPercent, E> {
        u64::try_from(number)
            .map(NumberOrPercent::Number)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<NumberOrPercent, E> {
        match text.parse() {
            Ok(percent @ NumberOrPercent::Percent(_)) => Ok(percent),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for NumberOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrPercentVisitor)
    }
}

impl Serialize for NumberOrPercent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            NumberOrPercent::Number(number) => serializer.serialize_u64(*number),
            NumberOrPercent::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl JsonSchema for NumberOrPercent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NumberOrPercent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^(100|[0-9]{1,2})%$" },
            ],
            "x-kubernetes-int-or-string": true,
        })
    }
}
