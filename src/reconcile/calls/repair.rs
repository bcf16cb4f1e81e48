//! The calls that write again what a concurrent write undid. A patch is sent as it was: what it wrote and nobody can
//! read, a secret, was lost with the rest. A create is not sent twice: the object is there, and FusionAuth would refuse a
//! second one.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::{Fields, Kind};
use crate::reconcile::difference::insert;
use crate::reconcile::path::FieldPath;
use crate::reconcile::{Call, Change, Key, Live, Method, Purpose, Shown, unmet};

use super::routes::Route;
use super::{user, wrap, wrapped};

/// What is to be sent so that the live object is as the change wrote it. Grants are upserts and links have nothing but
/// their key: of those the change's own calls.
pub fn repair(change: &Change, live: &Live) -> Vec<Call> {
    let Key::Id(id) = &change.key else { return change.calls.clone() };
    let mut repair = Repair { change, id: *id, live, own: Fields::new(), calls: Vec::new() };
    let lost = unmet(change, live);
    for field in change.fields.iter().filter(|field| lost.iter().any(|path| **path == *field.path)) {
        let after = match &field.after {
            Shown::Value(after) => after.clone(),
            Shown::Absent => Value::Null,
            Shown::Secret => continue,
        };
        if let Some(path) = FieldPath::parse(&field.path) {
            repair.field(&path, after);
        }
    }
    repair.into_calls()
}

struct Repair<'a> {
    change: &'a Change,
    id: Uuid,
    live: &'a Live,
    /// Of the object itself, for one patch.
    own: Fields,
    calls: Vec<Call>,
}

impl Repair<'_> {
    fn field(&mut self, path: &FieldPath, after: Value) {
        let verified = path.inner() == ["verified"];
        match path.part_key() {
            None if verified => self.calls.push(user::verify(self.id)),
            None if path.inner() == ["active"] => self.calls.push(self.activity(&after)),
            None => insert(&mut self.own, path.inner(), after),
            Some(part) if verified => self.calls.push(user::verify_registration(self.id, part)),
            Some(part) if path.is_part() => self.calls.extend(self.part(part, after)),
            Some(part) => {
                let mut fields = Fields::new();
                insert(&mut fields, path.inner(), after);
                self.calls.extend(self.patch(part, fields));
            }
        }
    }

    fn activity(&self, after: &Value) -> Call {
        match after {
            Value::Bool(false) => Route::user(self.id).call(Purpose::Deactivate, Method::Delete),
            _ => Route::user(self.id).query("reactivate", "true").call(Purpose::Reactivate, Method::Put),
        }
    }

    /// A part as a whole: it is made, brought to what was written, or deleted.
    fn part(&self, part: &str, after: Value) -> Option<Call> {
        match (after, self.live.parts.contains_key(part)) {
            (Value::Object(mut fields), true) => {
                fields.remove("id");
                self.patch(part, fields)
            }
            (Value::Object(fields), false) => Some(self.create(part, fields)),
            _ => self.delete(part),
        }
    }

    fn create(&self, part: &str, mut fields: Fields) -> Call {
        let (route, body) = if self.change.kind() == Kind::User {
            fields.insert("applicationId".to_owned(), part.into());
            (Route::registrations(self.id), json!({ "registration": fields }))
        } else {
            let declared = fields.remove("id").and_then(|id| id.as_str()?.parse().ok());
            let route = declared.map(|id| Route::permission(self.id, id));
            fields.insert("name".to_owned(), part.into());
            (route.unwrap_or_else(|| Route::permissions(self.id)), json!({ "permission": fields }))
        };
        route.call(Purpose::CreatePart, Method::Post).of_part(part).json(body)
    }

    /// The patch of the change itself, of the object or of one part.
    fn planned(&self, purpose: Purpose, part: Option<&str>) -> Option<Call> {
        let is_it = |call: &&Call| call.purpose == purpose && call.part.as_deref() == part;
        self.change.calls.iter().find(is_it).cloned()
    }

    fn patch(&self, part: &str, fields: Fields) -> Option<Call> {
        if let Some(planned) = self.planned(Purpose::UpdatePart, Some(part)) {
            return Some(planned).filter(|planned| !self.calls.contains(planned));
        }
        let (route, body) = if self.change.kind() == Kind::User {
            (Route::registration(self.id, part), json!({ "registration": fields }))
        } else {
            let id = wrapped::permission_id(Some(self.live), part)?;
            (Route::permission(self.id, id), json!({ "permission": fields }))
        };
        Some(route.call(Purpose::UpdatePart, Method::Patch).of_part(part).merge_patch(body))
    }

    fn delete(&self, part: &str) -> Option<Call> {
        let route = if self.change.kind() == Kind::User {
            Route::registration(self.id, part)
        } else {
            Route::permission(self.id, wrapped::permission_id(Some(self.live), part)?)
        };
        Some(route.call(Purpose::DeletePart, Method::Delete).of_part(part))
    }

    /// An inactive user refuses everything but being opened, so that comes first, and closing the account last.
    fn into_calls(mut self) -> Vec<Call> {
        if !self.own.is_empty() {
            let kind = self.change.kind();
            let planned = self.planned(Purpose::Update, None);
            let patch = |fields| {
                Route::object(kind, self.id)
                    .call(Purpose::Update, Method::Patch)
                    .merge_patch(wrap(kind, fields))
            };
            let own = std::mem::take(&mut self.own);
            self.calls.insert(0, planned.unwrap_or_else(|| patch(own)));
        }
        self.calls.sort_by_key(|call| match call.purpose {
            Purpose::Reactivate => 0,
            Purpose::Deactivate => 2,
            _ => 1,
        });
        self.calls
    }
}
