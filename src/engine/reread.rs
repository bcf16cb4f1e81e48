//! Reads live objects again by their keys, in bulk: what a saved plan was computed from, and what a run wrote.
//! Only reads that see what was just written are used (wire notes §4).

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::fusionauth::{Client, Error, Object};
use crate::model::Kind;
use crate::reconcile::{Key, Live};

use super::rows;

const AT_ONCE: usize = 64;

/// Live objects by kind and key; what is missing does not exist.
pub type Lives = HashMap<(Kind, Key), Live>;

/// Reads these objects and hands each that exists to `take`, page by page.
///
/// # Errors
/// As any read.
pub async fn reread(
    client: &Client,
    wanted: impl IntoIterator<Item = (Kind, Key)>,
    mut take: impl FnMut(Kind, Live) + Send,
) -> Result<(), Error> {
    let mut by_kind: HashMap<Kind, BTreeSet<Key>> = HashMap::new();
    for (kind, key) in wanted {
        by_kind.entry(kind).or_default().insert(key);
    }
    for (kind, keys) in by_kind {
        let ids: Vec<Uuid> = keys.iter().filter_map(Key::id).collect();
        let mut incomplete = None;
        let row = |row: Object| match rows::live(kind, row) {
            Ok(live) if keys.contains(&live.key) => take(kind, live),
            Ok(_) => {}
            // Lists hold others' objects too, but one that cannot be read may be any.
            Err(error) => incomplete = Some(error),
        };
        match kind {
            Kind::User => client.users_by_ids(&ids, row).await?,
            Kind::Entity => client.entities_by_ids(&ids, row).await?,
            Kind::EntityType => client.entity_types().await?.into_iter().for_each(row),
            Kind::Lambda => client.lambdas().await?.into_iter().for_each(row),
            Kind::EntityGrant => grants(client, &keys, &mut |live| take(kind, live)).await?,
            Kind::IdentityProviderLink => links(client, &keys, &mut |live| take(kind, live)).await?,
            Kind::FusionAuthInstance | Kind::ClusterFusionAuthInstance | Kind::PlanApproval => {}
        }
        if let Some(error) = incomplete {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The same, as a map.
///
/// # Errors
/// As any read.
pub async fn reread_all(
    client: &Client,
    wanted: impl IntoIterator<Item = (Kind, Key)>,
) -> Result<Lives, Error> {
    let mut lives = Lives::new();
    reread(client, wanted, |kind, live| {
        lives.insert((kind, live.key.clone()), live);
    })
    .await?;
    Ok(lives)
}

/// One object, in one request.
///
/// # Errors
/// As any read.
pub async fn reread_one(client: &Client, kind: Kind, key: &Key) -> Result<Option<Live>, Error> {
    let object = match (kind, key) {
        (Kind::User, Key::Id(id)) => client.user(*id).await?,
        (Kind::Entity, Key::Id(id)) => client.entity(*id).await?,
        (Kind::EntityType, Key::Id(id)) => client.entity_type(*id).await?,
        (Kind::Lambda, Key::Id(id)) => client.lambda(*id).await?,
        (_, Key::Grant { entity, recipient }) => {
            let found = client.grant(*entity, super::apply::grantee(*recipient)).await?;
            return Ok(found.map(|grant| rows::grant(*entity, grant)).transpose()?);
        }
        (_, Key::Link { identity_provider, identity_provider_user_id, .. }) => {
            let found = client.link(*identity_provider, identity_provider_user_id).await?;
            return Ok(found.map(rows::link).transpose()?.filter(|live| live.key == *key));
        }
        (_, Key::Id(_)) => None,
    };
    Ok(object.map(|object| rows::live(kind, object)).transpose()?)
}

async fn grants(
    client: &Client,
    keys: &BTreeSet<Key>,
    take: &mut (dyn FnMut(Live) + Send),
) -> Result<(), Error> {
    let entities: BTreeSet<Uuid> = keys
        .iter()
        .filter_map(|key| if let Key::Grant { entity, .. } = key { Some(*entity) } else { None })
        .collect();
    let read = |entity: Uuid| async move {
        Ok::<_, Error>((entity, client.grants_of_entity(entity).await?.unwrap_or_default()))
    };
    let mut answers = stream::iter(entities).map(read).buffer_unordered(AT_ONCE);
    while let Some((entity, found)) = answers.try_next().await? {
        for grant in found {
            let live = rows::grant(entity, grant)?;
            if keys.contains(&live.key) {
                take(live);
            }
        }
    }
    Ok(())
}

async fn links(
    client: &Client,
    keys: &BTreeSet<Key>,
    take: &mut (dyn FnMut(Live) + Send),
) -> Result<(), Error> {
    let users: BTreeSet<Uuid> = keys
        .iter()
        .filter_map(|key| if let Key::Link { user, .. } = key { Some(*user) } else { None })
        .collect();
    let read =
        |user: Uuid| async move { Ok::<_, Error>(client.links_of_user(user).await?.unwrap_or_default()) };
    let mut answers = stream::iter(users).map(read).buffer_unordered(AT_ONCE);
    while let Some(found) = answers.try_next().await? {
        for link in found {
            let live = rows::link(link)?;
            if keys.contains(&live.key) {
                take(live);
            }
        }
    }
    Ok(())
}
