//! Grants: there is no PATCH, POST replaces the whole grant (wire notes §5).

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::Fields;
use crate::reconcile::difference::tree;
use crate::reconcile::{Call, Method, Purpose, Recipient};

use super::routes::Route;
use super::{Making, recipient_field};

/// The whole grant: what is live with our changes in it, so that others' `data` keys and, when none are declared,
/// the permissions stay as they are.
pub(super) fn grant(making: Making<'_>, entity: Uuid, recipient: Recipient) -> Call {
    let mut grant = Fields::new();
    if let Some(live) = making.live {
        for name in ["permissions", "data"] {
            if let Some(value) = live.fields.get(name) {
                grant.insert(name.to_owned(), value.clone());
            }
        }
    }
    let mut grant = Value::Object(grant);
    json_patch::merge(&mut grant, &Value::Object(tree(&making.difference.fields)));
    if let Value::Object(grant) = &mut grant {
        let (name, id) = recipient_field(recipient);
        grant.insert(name.to_owned(), id.to_string().into());
    }
    Route::grant(entity).call(Purpose::Grant, Method::Post).json(json!({ "grant": grant }))
}
