//! Tenants (wire notes §2).

use serde_json::{Value, json};

/// The tenant that every installation has.
pub fn default_tenant(_now: i64) -> Value {
    json!({ "configured": true, "data": {}, "name": "Default", "state": "Active" })
}
