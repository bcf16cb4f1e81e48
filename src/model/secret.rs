//! Where secrets come from. No type here ever holds a secret's value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NonNull;
use super::declared::{never_null, null_as_absent};

/// A key of a `v1/Secret` in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(extend("x-form" = "filled"))]
    pub name: String,
    /// The key in the Secret.
    #[schemars(extend("x-form" = "filled"))]
    pub key: String,
}

/// A source of a secret: exactly one of `fromEnv`, `fromFile` and `secretKeyRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["fromEnv", "fromFile", "secretKeyRef"], "x-secret" = true))]
pub struct SecretSource {
    /// The environment variable that holds the value (the command only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub from_env: Option<String>,
    /// The file that holds the value, under a `--secrets-dir` (the command only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub from_file: Option<String>,
    /// The key of a Secret that holds the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Raise it to have the value sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// An enforced password: a source, and how FusionAuth is to hash it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["fromEnv", "fromFile", "secretKeyRef"], "x-secret" = true))]
pub struct Password {
    /// The environment variable that holds the password (the command only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub from_env: Option<String>,
    /// The file that holds the password, under a `--secrets-dir` (the command only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub from_file: Option<String>,
    /// The key of a Secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Raise it to have the password sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The scheme by which FusionAuth hashes the password.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<String>", extend("x-form" = "filled"))]
    pub encryption_scheme: NonNull<String>,
    /// The scheme's factor, usually its number of iterations.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<i64>", extend("x-least" = 0))]
    pub factor: NonNull<i64>,
}

impl Password {
    pub fn source(&self) -> SecretSource {
        SecretSource {
            from_env: self.from_env.clone(),
            from_file: self.from_file.clone(),
            secret_key_ref: self.secret_key_ref.clone(),
            version: self.version,
        }
    }
}

/// A password that is sent when the user is created: a source (`fromEnv`, `fromFile`, `secretKeyRef`), or
/// `password` with a source of its own beside `salt`, `encryptionScheme` and `factor`. With `salt` the value is
/// a hash already and the user is created through import; without it scheme and factor say how plain text is to
/// be hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-exactly-one-of" = ["fromEnv", "fromFile", "secretKeyRef", "password"], "x-secret" = true))]
pub struct InitialPassword {
    /// The environment variable that holds the password (the command only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub from_env: Option<String>,
    /// The file that holds the password, under a `--secrets-dir` (the command only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "filled"))]
    pub from_file: Option<String>,
    /// The key of a Secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A number beside the source; the password of an existing user is never sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The source of the password or of its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// The source of the hash's salt; it may be empty.
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub salt: Option<SecretSource>,
    /// The scheme of the hash, or the one by which FusionAuth hashes plain text.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<String>", extend("x-form" = "filled"))]
    pub encryption_scheme: NonNull<String>,
    /// The scheme's factor, usually its number of iterations.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<i64>", extend("x-least" = 0))]
    pub factor: NonNull<i64>,
}

impl InitialPassword {
    /// The source of the password or of its hash, in whichever form it was written.
    pub fn source(&self) -> SecretSource {
        self.password.clone().unwrap_or_else(|| SecretSource {
            from_env: self.from_env.clone(),
            from_file: self.from_file.clone(),
            secret_key_ref: self.secret_key_ref.clone(),
            version: self.version,
        })
    }
}
