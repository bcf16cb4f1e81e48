//! Looks up live what manifests refer to and do not declare, in as few requests as it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use uuid::Uuid;

use crate::fusionauth::entities;
use crate::fusionauth::users::LoginId;
use crate::fusionauth::{Client, Error};

use super::catalogue::{Catalogue, application, named};
use super::references::{Application, EntityBy, NameOrId, Named, Needs, References, UserBy};
use super::rows::uuid;

/// Look-ups under way at once; the client's own limit is what bounds requests.
const AT_ONCE: usize = 64;

/// A row of which only the id matters.
#[derive(Deserialize)]
struct WithId {
    id: Uuid,
}

/// Everything that `needs` names, as far as it exists.
///
/// # Errors
/// As any read.
pub async fn look_up(client: &Client, catalogue: &Catalogue, needs: &Needs) -> Result<References, Error> {
    let (applications, identity_providers, users, (entities, types_of_entities), types) = tokio::try_join!(
        applications(client, catalogue, needs),
        identity_providers(client, catalogue, needs),
        users(client, needs),
        find_entities(client, needs),
        async {
            if needs.entity_types.is_empty() {
                return Ok(Arc::default());
            }
            catalogue.entity_types().await
        },
    )?;
    let entity_types = types.iter().filter_map(|found| uuid(found, "id")).collect();
    Ok(References { applications, identity_providers, users, entities, types_of_entities, entity_types })
}

/// One by its id, or the list for all; the list leaves deactivated applications out, which are asked for then.
async fn applications(
    client: &Client,
    catalogue: &Catalogue,
    needs: &Needs,
) -> Result<Arc<Vec<Application>>, Error> {
    let needed = &needs.applications;
    if let (1, Some(NameOrId::Id(id))) = (needed.len(), needed.first()) {
        let found = client.application(*id).await?;
        return Ok(Arc::new(found.iter().filter_map(application).collect()));
    }
    if needed.is_empty() {
        return Ok(Arc::default());
    }
    let mut found = catalogue.applications().await?;
    for by in needed {
        if let NameOrId::Id(id) = by
            && !found.iter().any(|known| known.id == *id)
            && let Some(inactive) = client.application(*id).await?.as_ref().and_then(application)
        {
            Arc::make_mut(&mut found).push(inactive);
        }
    }
    Ok(found)
}

async fn identity_providers(
    client: &Client,
    catalogue: &Catalogue,
    needs: &Needs,
) -> Result<Arc<Vec<Named>>, Error> {
    let needed = &needs.identity_providers;
    match (needed.len(), needed.first()) {
        (1, Some(NameOrId::Id(id))) => {
            let found = client.identity_provider(*id).await?;
            Ok(Arc::new(found.iter().filter_map(named).collect()))
        }
        (0, _) => Ok(Arc::default()),
        _ => catalogue.identity_providers().await,
    }
}

async fn users(client: &Client, needs: &Needs) -> Result<BTreeMap<UserBy, Uuid>, Error> {
    let mut found = BTreeMap::new();
    let ids: Vec<Uuid> =
        needs.users.iter().filter_map(|by| if let UserBy::Id(id) = by { Some(*id) } else { None }).collect();
    if !ids.is_empty() {
        let keep = |row: WithId| found.extend([(UserBy::Id(row.id), row.id)]);
        client.users_by_ids(&ids, keep).await?;
    }
    let ask = |by: UserBy| async move {
        let user = match &by {
            UserBy::Id(_) => None,
            UserBy::Email(email) => client.user_by(LoginId::Email, email).await?,
            UserBy::Username(name) => client.user_by(LoginId::Username, name).await?,
            UserBy::PhoneNumber(number) => client.user_by(LoginId::PhoneNumber, number).await?,
        };
        Ok::<_, Error>(user.and_then(|user| uuid(&user, "id")).map(|id| (by, id)))
    };
    let named: Vec<UserBy> = needs.users.iter().filter(|by| !matches!(by, UserBy::Id(_))).cloned().collect();
    let answers: Vec<_> = stream::iter(named).map(ask).buffer_unordered(AT_ONCE).try_collect().await?;
    found.extend(answers.into_iter().flatten());
    Ok(found)
}

/// An entity as it is found by its client id, before it is read again by its id.
#[derive(Deserialize)]
struct EntityHit {
    id: Uuid,
    #[serde(default, rename = "clientId")]
    client_id: Option<String>,
    #[serde(default, rename = "type")]
    entity_type: Option<WithId>,
}

/// Entities by what they were asked for, and their types.
type FoundEntities = (BTreeMap<EntityBy, Vec<Uuid>>, BTreeMap<Uuid, Uuid>);

async fn find_entities(client: &Client, needs: &Needs) -> Result<FoundEntities, Error> {
    let mut found: BTreeMap<EntityBy, Vec<Uuid>> = BTreeMap::new();
    let mut types: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    let mut ids: Vec<Uuid> = Vec::new();
    let mut by_client_id = false;
    for by in &needs.entities {
        match by {
            EntityBy::Id(id) => ids.push(*id),
            EntityBy::ClientId(_) => by_client_id = true,
        }
    }
    if by_client_id {
        // The index lags behind what was written (wire notes §4).
        client.flush_entity_search().await?;
        let wanted = |hit: EntityHit| {
            let client_id = hit.client_id.unwrap_or_default();
            if needs.entities.contains(&EntityBy::ClientId(client_id)) {
                ids.push(hit.id);
            }
        };
        client.search_entities(&entities::all(), wanted).await?;
    }
    if ids.is_empty() {
        return Ok((found, types));
    }
    let keep = |hit: EntityHit| {
        types.extend(hit.entity_type.map(|found| (hit.id, found.id)));
        let by = [Some(EntityBy::Id(hit.id)), hit.client_id.map(EntityBy::ClientId)];
        for by in by.into_iter().flatten().filter(|by| needs.entities.contains(by)) {
            found.entry(by).or_default().push(hit.id);
        }
    };
    client.entities_by_ids(&ids, keep).await?;
    Ok((found, types))
}
