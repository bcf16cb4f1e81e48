//! A create or change that FusionAuth refuses because somebody else holds the value: who that is, and what can be
//! done. The message names ids and never personal values of the server.

use serde_json::Value;
use uuid::Uuid;

use crate::fusionauth::users::LoginId;
use crate::fusionauth::{Error, Object, entities};
use crate::model::Kind;
use crate::reconcile::{Action, Change, Key, Problem, Shown};

use super::super::rows::{text, uuid};
use super::Run;

/// Who holds a value.
struct Holder {
    id: Uuid,
    inactive: bool,
}

impl Run<'_> {
    /// The conflict, when its holder can be found.
    pub(super) async fn conflict(&self, change: &Change, error: &Error) -> Option<Problem> {
        let field = error.is_duplicate().unwrap_or_default();
        let name = field.rsplit('.').next().unwrap_or_default().to_owned();
        // What cannot be looked up is told as FusionAuth said it.
        let holder = self.holder(change, &name).await.ok().flatten()?;
        let kind = change.kind();
        let state = if holder.inactive || error.is_inactive() { ", which is deactivated" } else { "" };
        let what = match name.as_str() {
            "" | "id" | "userId" | "entityId" | "lambdaId" => "the id".to_owned(),
            _ => name.clone(),
        };
        let message = format!("{what} is held by the live {kind} {}{state}", holder.id);
        let hint = match change.action {
            Action::Create => {
                "set policy.adoption to Match or Override to take that object over, or change the declaration"
            }
            // Ours is there already; another cannot be taken in its place.
            _ => "change the declaration, or free the value there first",
        };
        Some(Problem::error("adoption-conflict", message, hint).of(&change.address))
    }

    async fn holder(&self, change: &Change, field: &str) -> Result<Option<Holder>, Error> {
        let client = &self.client;
        let wanted = |path: &str| {
            change.fields.iter().find(|found| &*found.path == path).and_then(|found| match &found.after {
                Shown::Value(Value::String(value)) => Some(value.clone()),
                _ => None,
            })
        };
        let found = match (change.kind(), field) {
            (Kind::User, "email" | "username" | "phoneNumber") => {
                let by = match field {
                    "email" => LoginId::Email,
                    "username" => LoginId::Username,
                    _ => LoginId::PhoneNumber,
                };
                match wanted(field) {
                    Some(value) => client.user_by(by, &value).await?,
                    None => None,
                }
            }
            (Kind::EntityType, "name") => {
                let name = wanted(field);
                let types = client.entity_types().await?;
                types.into_iter().find(|found| text(found, "name") == name)
            }
            (Kind::Entity, "clientId") => self.entity_by_client_id(wanted(field)).await?,
            (Kind::IdentityProviderLink, _) => {
                let Key::Link { identity_provider, identity_provider_user_id, .. } = &change.key else {
                    return Ok(None);
                };
                let link = client.link(*identity_provider, identity_provider_user_id).await?;
                let user = link.as_ref().and_then(|link| uuid(link, "userId"));
                return Ok(user.map(|id| Holder { id, inactive: false }));
            }
            (kind, _) => match change.key.id() {
                Some(id) => by_id(client, kind, id).await?,
                None => None,
            },
        };
        Ok(found.as_ref().and_then(|object| {
            let inactive = object.get("active").and_then(Value::as_bool) == Some(false);
            uuid(object, "id").map(|id| Holder { id, inactive })
        }))
    }

    async fn entity_by_client_id(&self, client_id: Option<String>) -> Result<Option<Object>, Error> {
        let mut found = None;
        self.client.flush_entity_search().await?;
        let row = |row: Object| {
            if text(&row, "clientId") == client_id {
                found = uuid(&row, "id");
            }
        };
        self.client.search_entities(&entities::all(), row).await?;
        match found {
            Some(id) => self.client.entity(id).await,
            None => Ok(None),
        }
    }
}

async fn by_id(client: &crate::fusionauth::Client, kind: Kind, id: Uuid) -> Result<Option<Object>, Error> {
    match kind {
        Kind::User => client.user(id).await,
        Kind::Entity => client.entity(id).await,
        Kind::EntityType => client.entity_type(id).await,
        Kind::Lambda => client.lambda(id).await,
        _ => Ok(None),
    }
}
