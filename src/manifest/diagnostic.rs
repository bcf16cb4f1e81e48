//! Errors and warnings about manifests, each with its place.

use serde::Serialize;

use crate::model::{Address, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One error or warning. Its text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// A stable word: `unknown-field`, `duplicate-key`, `unresolved-reference`, ….
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub place: Option<Place>,
    pub address: Option<Address>,
}
