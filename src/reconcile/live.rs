//! What FusionAuth has of one object.

use std::collections::BTreeMap;

use crate::model::Fields;

use super::Key;

/// One live object, as the API returned it, cut to what planning needs. It may hold personal values, and the
/// client secret of an entity only as a comparison's result, never as text that could be printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub key: Key,
    /// The object's fields by wire name, as returned, without its parts and without secrets.
    pub fields: Fields,
    /// Registrations by application id, permissions by name.
    pub parts: BTreeMap<String, Fields>,
    /// Users: whether they may sign in. True for all other kinds.
    pub active: bool,
    /// Compared secrets, by field: whether the declared value equals the live one. Absent: could not be seen.
    pub secrets_equal: BTreeMap<String, bool>,
}
