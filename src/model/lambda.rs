//! A lambda: JavaScript that FusionAuth runs in tokens, logins and provisioning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{Compare, Deletion, FieldRule, KindRow, Scope, Sensitivity, Since, Write};
use super::spec::kind_spec;
use super::{Declared, Id, Kind, NonNull};

kind_spec! {
    /// JavaScript that FusionAuth runs when it makes a token, reconciles a login or provisions a user.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(
    title = "Lambda",
    extend(
        "x-exactly-one-of-unless-absent" = ["body", "bodyFile", "bodyFrom"],
        "x-required-unless-absent" = ["type"],
    )
)]
    pub struct LambdaSpec {
        /// The id in FusionAuth; derived from owner, tenant, namespace and name when absent.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        pub id: NonNull<Id>,
        /// FusionAuth's name; `metadata.name` when absent.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        #[schemars(extend("x-form" = "filled"))]
        pub name: NonNull<String>,
        /// The type, which decides when FusionAuth calls it and by which function name. It cannot change.
        #[serde(rename = "type")]
        pub lambda_type: Option<LambdaType>,
        /// The source text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-form" = "filled"))]
        pub body: Option<String>,
        /// The file with the source text, relative to the manifest (the command only).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-form" = "filled"))]
        pub body_file: Option<String>,
        /// The key of a ConfigMap with the source text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub body_from: Option<BodySource>,
        /// Whether FusionAuth writes what the lambda logs to its event log.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub debug: Declared<bool>,
        /// The JavaScript engine (FusionAuth 1.35).
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub engine_type: Declared<EngineType>,
    }
}

/// A source text that stands elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BodySource {
    /// The key of a `v1/ConfigMap` in the object's own namespace.
    pub config_map_key_ref: ConfigMapKeyRef,
}

/// A key of a `v1/ConfigMap`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// The name of the ConfigMap.
    #[schemars(extend("x-form" = "filled"))]
    pub name: String,
    /// The key in the ConfigMap.
    #[schemars(extend("x-form" = "filled"))]
    pub key: String,
}

/// The JavaScript engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EngineType {
    GraalJS,
    Nashorn,
}

/// When FusionAuth calls a lambda, by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum LambdaType {
    AppleReconcile,
    ClientCredentialsJWTPopulate,
    EpicGamesReconcile,
    ExternalJWTReconcile,
    FacebookReconcile,
    GoogleReconcile,
    HYPRReconcile,
    JWTPopulate,
    LDAPConnectorReconcile,
    LinkedInReconcile,
    LoginValidation,
    MFARequirement,
    NintendoReconcile,
    OpenIDReconcile,
    SAMLv2Populate,
    SAMLv2Reconcile,
    // The vendor's pages write the SCIM names without "Server"; the wire has it (wire notes §6).
    #[serde(alias = "SCIMGroupRequestConverter")]
    SCIMServerGroupRequestConverter,
    #[serde(alias = "SCIMGroupResponseConverter")]
    SCIMServerGroupResponseConverter,
    #[serde(alias = "SCIMUserRequestConverter")]
    SCIMServerUserRequestConverter,
    #[serde(alias = "SCIMUserResponseConverter")]
    SCIMServerUserResponseConverter,
    SelfServiceRegistrationValidation,
    SonyPSNReconcile,
    SteamReconcile,
    TwitchReconcile,
    TwitterReconcile,
    UserInfoPopulate,
    XboxReconcile,
}

impl LambdaType {
    /// The first server version (major, minor) with this type (lambdas document; wire notes §6). Types whose
    /// version is not known are taken to be as old as the client's oldest server.
    pub fn since(self) -> Since {
        match self {
            LambdaType::LoginValidation => Since(1, 53),
            LambdaType::SelfServiceRegistrationValidation => Since(1, 43),
            LambdaType::NintendoReconcile
            | LambdaType::SCIMServerGroupRequestConverter
            | LambdaType::SCIMServerGroupResponseConverter
            | LambdaType::SCIMServerUserRequestConverter
            | LambdaType::SCIMServerUserResponseConverter => Since(1, 36),
            _ => Since(1, 0),
        }
    }

    /// The function that FusionAuth calls (wire notes §6).
    pub fn function_name(self) -> &'static str {
        match self {
            LambdaType::JWTPopulate
            | LambdaType::ClientCredentialsJWTPopulate
            | LambdaType::SAMLv2Populate
            | LambdaType::UserInfoPopulate => "populate",
            LambdaType::SCIMServerGroupRequestConverter
            | LambdaType::SCIMServerGroupResponseConverter
            | LambdaType::SCIMServerUserRequestConverter
            | LambdaType::SCIMServerUserResponseConverter => "convert",
            LambdaType::SelfServiceRegistrationValidation | LambdaType::LoginValidation => "validate",
            LambdaType::MFARequirement => "checkRequired",
            _ => "reconcile",
        }
    }
}

use Sensitivity::Public;

const FIELDS: &[FieldRule] = &[
    FieldRule::new("name", Public),
    FieldRule::new("type", Public).write(Write::Immutable),
    FieldRule::new("body", Public).compare(Compare::LineEndings),
    FieldRule::new("debug", Public),
    FieldRule::new("engineType", Public),
];

pub(super) const ROW: KindRow = KindRow {
    kind: Kind::Lambda,
    plural: "lambdas",
    route: "/api/lambda",
    wrapper: "lambda",
    scope: Scope::Global,
    order: 1,
    deletion: Deletion::Delete,
    fields: FIELDS,
    part: None,
    natural_key: "name and type, when unique",
};
