//! The calls a change is made of: data, which a saved plan carries and the engine sends.

use crate::model::SecretSource;
use serde::{Deserialize, Serialize};

use super::Body;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContentType {
    #[serde(rename = "application/json")]
    Json,
    /// RFC 7396, since FusionAuth 1.39 (wire notes §3).
    #[serde(rename = "application/merge-patch+json")]
    MergePatch,
}

/// What a call is for. It decides how a repeat is made safe and what a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Create with the client's id: after a lost response the object is read and compared.
    Create,
    /// Create through import, for inactive users and hashes; recognised by id.
    Import,
    Update,
    Reactivate,
    Deactivate,
    Delete,
    CreatePart,
    UpdatePart,
    DeletePart,
    /// Administrative verification of a user or a registration.
    Verify,
    /// Upsert of a grant.
    Grant,
    Link,
    CompletePendingLink,
    Unlink,
}

/// A place in a body where a secret belongs; the engine fills it in just before sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSlot {
    /// A JSON pointer into the body.
    pub pointer: String,
    pub source: SecretSource,
    #[serde(default)]
    pub may_be_empty: bool,
}

/// One API call on an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub purpose: Purpose,
    pub method: Method,
    /// The route with placeholders, for counting and for judging a 401: `/api/user/{userId}`.
    pub route: String,
    /// The path with its values, percent-encoded.
    pub path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    pub content_type: ContentType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretSlot>,
    /// The part that the call is about: an application's id of a registration, a permission's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}
