//! Calls on the kinds with the plain shape: an id in the path, a wrapper in the body (entity types with their
//! permissions, lambdas, entities; wire notes §5, §6).

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::Fields;
use crate::reconcile::difference::{PartAction, PartDifference, tree};
use crate::reconcile::{Call, Live, Method, Purpose};

use super::routes::Route;
use super::{Making, patch, slots, wrap};

pub(super) fn create(making: Making<'_>, id: Uuid) -> Vec<Call> {
    let kind = making.desired.address.kind;
    let mut fields = tree(&making.difference.fields);
    fields.extend(making.desired.initial.clone());
    if !making.difference.parts.is_empty() {
        // Inline on create; later they have an API of their own.
        let parts = making.difference.parts.iter();
        let permissions = parts.map(|(name, part)| Value::Object(permission(making, name, part)));
        fields.insert("permissions".to_owned(), permissions.collect());
    }
    let body = wrap(kind, fields);
    let mut call = Route::object(kind, id).call(Purpose::Create, Method::Post).json(body);
    call.secrets = slots(&making.difference.secrets, crate::model::row(kind).wrapper);
    vec![call]
}

pub(super) fn update(making: Making<'_>, id: Uuid) -> Vec<Call> {
    let mut calls: Vec<Call> =
        patch(making, Route::object(making.desired.address.kind, id)).into_iter().collect();
    let parts = making.difference.parts.iter();
    calls.extend(parts.filter_map(|(name, part)| update_permission(making, id, name, part)));
    calls
}

/// The id of a live permission. FusionAuth has no update of a permission by its name (wire notes §5).
pub(in crate::reconcile) fn permission_id(live: Option<&Live>, name: &str) -> Option<Uuid> {
    live?.parts.get(name)?.get("id")?.as_str()?.parse().ok()
}

/// A new permission: its fields, its name, and its id when one is declared.
fn permission(making: Making<'_>, name: &str, part: &PartDifference) -> Fields {
    let mut fields = tree(&part.fields);
    fields.insert("name".to_owned(), name.into());
    if let Some(id) = declared_permission_id(making, name) {
        fields.insert("id".to_owned(), id.to_string().into());
    }
    fields
}

fn declared_permission_id(making: Making<'_>, name: &str) -> Option<Uuid> {
    making.desired.parts.as_ref()?.get(name)?.get("id")?.as_str()?.parse().ok()
}

fn update_permission(making: Making<'_>, id: Uuid, name: &str, part: &PartDifference) -> Option<Call> {
    let call = match part.action {
        PartAction::Create => {
            let route = match declared_permission_id(making, name) {
                Some(permission) => Route::permission(id, permission),
                None => Route::permissions(id),
            };
            let mut fields = permission(making, name, part);
            fields.remove("id");
            route.call(Purpose::CreatePart, Method::Post).json(json!({ "permission": fields }))
        }
        PartAction::Update => Route::permission(id, permission_id(making.live, name)?)
            .call(Purpose::UpdatePart, Method::Patch)
            .merge_patch(json!({ "permission": tree(&part.fields) })),
        PartAction::Delete => match permission_id(making.live, name) {
            Some(permission) => Route::permission(id, permission),
            None => Route::permissions(id).query("name", name),
        }
        .call(Purpose::DeletePart, Method::Delete),
    };
    Some(call.of_part(name))
}
