//! What judging a plan needs to know of the server, looked up only where a planned change asks for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::fusionauth::{Client, Error, Object, entities};
use crate::reconcile::{Facts, HeldAlong, Key, Needs, Recipient};

use super::record::Entries;
use super::rows::uuid;
use super::session::Session;
use super::{catalogue::Catalogue, references::Named};

const AT_ONCE: usize = 64;

/// Where facts come from.
pub struct Looking<'a> {
    pub session: &'a Session,
    pub catalogue: &'a Catalogue,
    /// Entities that are ours.
    pub own: &'a HashSet<Uuid>,
    pub record: Option<&'a Entries>,
}

#[derive(Deserialize)]
struct EntityRow {
    id: Uuid,
    #[serde(default, rename = "type")]
    entity_type: Option<TypeRow>,
}

#[derive(Deserialize)]
struct TypeRow {
    id: Option<Uuid>,
}

impl Looking<'_> {
    fn client(&self) -> &Client {
        self.session.client()
    }

    /// The answers to `needs`, put into `facts`.
    ///
    /// # Errors
    /// As any read.
    pub async fn answer(&self, needs: &Needs, facts: &mut Facts) -> Result<(), Error> {
        if !needs.lambdas.is_empty() {
            facts.lambda_uses = self.lambda_uses(&needs.lambdas).await?;
        }
        let types_of_permissions = needs.permissions.iter().map(|(id, _)| *id);
        let types_of_cascades = self.types_in(&needs.cascades).await?;
        let types: BTreeSet<Uuid> = needs
            .entity_types
            .iter()
            .copied()
            .chain(types_of_permissions)
            .chain(types_of_cascades.iter().copied())
            .collect();
        let entities = self.entities_of(&types).await?;
        for id in &needs.entity_types {
            let foreign = entities.get(id).into_iter().flatten().filter(|id| !self.own.contains(id)).count();
            facts.foreign_entities.insert(*id, foreign as u64);
        }
        for (id, name) in &needs.permissions {
            let grants =
                self.grants_naming(entities.get(id).map(Vec::as_slice).unwrap_or_default(), name).await?;
            facts.permission_grants.insert((*id, name.clone()), grants);
        }
        for key in &needs.cascades {
            facts.cascades.insert(key.clone(), self.cascade(key, &entities).await?);
        }
        facts.held_along = self.held_along(&needs.cascades, &entities);
        self.users(&needs.users, facts).await
    }

    async fn lambda_uses(&self, lambdas: &BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, Vec<String>>, Error> {
        let (applications, tenants, providers) = tokio::try_join!(
            self.catalogue.applications(),
            self.catalogue.tenants(),
            self.catalogue.identity_providers(),
        )?;
        let mut uses: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        let mut note = |what: &str, name: &str, used: &BTreeSet<Uuid>| {
            for id in used.intersection(lambdas) {
                uses.entry(*id).or_default().push(format!("{what} \"{name}\""));
            }
        };
        applications.iter().for_each(|found| note("application", &found.name, &found.lambdas));
        tenants.iter().for_each(|Named { name, lambdas, .. }| note("tenant", name, lambdas));
        providers.iter().for_each(|Named { name, lambdas, .. }| note("identity provider", name, lambdas));
        Ok(uses)
    }

    /// The entity types among objects that are deleted: their entities go with them.
    async fn types_in(&self, keys: &BTreeSet<Key>) -> Result<BTreeSet<Uuid>, Error> {
        if keys.is_empty() {
            return Ok(BTreeSet::new());
        }
        let types = self.catalogue.entity_types().await?;
        let ids: BTreeSet<Uuid> = types.iter().filter_map(|found| uuid(found, "id")).collect();
        Ok(keys.iter().filter_map(Key::id).filter(|id| ids.contains(id)).collect())
    }

    /// The entities of each type, by one search for all: no criterion is read alike by both engines.
    async fn entities_of(&self, types: &BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, Vec<Uuid>>, Error> {
        let mut found: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        if types.is_empty() {
            return Ok(found);
        }
        self.client().flush_entity_search().await?;
        let row = |row: EntityRow| {
            if let Some(id) = row.entity_type.and_then(|found| found.id).filter(|id| types.contains(id)) {
                found.entry(id).or_default().push(row.id);
            }
        };
        self.client().search_entities(&entities::all(), row).await?;
        Ok(found)
    }

    async fn grants_of(&self, entities: &[Uuid]) -> Result<Vec<Object>, Error> {
        let read = |id: Uuid| async move {
            Ok::<_, Error>(self.client().grants_of_entity(id).await?.unwrap_or_default())
        };
        let answers = stream::iter(entities.iter().copied()).map(read).buffer_unordered(AT_ONCE);
        Ok(answers.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
    }

    async fn grants_naming(&self, entities: &[Uuid], permission: &str) -> Result<u64, Error> {
        let names = |grant: &&Object| {
            let permissions = grant.get("permissions").and_then(Value::as_array).into_iter().flatten();
            permissions.filter_map(Value::as_str).any(|name| name == permission)
        };
        Ok(self.grants_of(entities).await?.iter().filter(names).count() as u64)
    }

    /// What FusionAuth deletes along with an object (wire notes §4, §5).
    async fn cascade(&self, key: &Key, entities: &BTreeMap<Uuid, Vec<Uuid>>) -> Result<u64, Error> {
        let Some(id) = key.id() else { return Ok(0) };
        if let Some(of_type) = entities.get(&id) {
            return Ok((of_type.len() + self.grants_of(of_type).await?.len()) as u64);
        }
        if let Some(user) = self.client().user(id).await? {
            let registrations = user.get("registrations").and_then(Value::as_array).map_or(0, Vec::len);
            let links = self.client().links_of_user(id).await?.map_or(0, |links| links.len());
            let grants = match self.client().grants_of_user(id).await {
                Ok(grants) => grants.len(),
                // Without a licence for entities there are no grants.
                Err(error) if error.is_license() => 0,
                Err(error) => return Err(error),
            };
            return Ok((registrations + links + grants) as u64);
        }
        Ok(self.client().grants_of_entity(id).await?.map_or(0, |grants| grants.len()) as u64)
    }

    /// What the record holds of that: the entities of a type, and the grants and links of whatever goes.
    fn held_along(
        &self,
        deleted: &BTreeSet<Key>,
        entities: &BTreeMap<Uuid, Vec<Uuid>>,
    ) -> BTreeMap<Key, Vec<HeldAlong>> {
        // By what goes: whose deletion takes it along.
        let mut going: HashMap<Uuid, BTreeSet<&Key>> = HashMap::new();
        for (key, id) in deleted.iter().filter_map(|key| Some((key, key.id()?))) {
            let of_type = entities.get(&id).into_iter().flatten().copied();
            for id in of_type.chain([id]) {
                going.entry(id).or_default().insert(key);
            }
        }
        let mut along: BTreeMap<Key, Vec<HeldAlong>> = BTreeMap::new();
        for entry in self.record.into_iter().flat_map(Entries::iter) {
            let hangs_on = match &entry.key {
                Key::Id(id) => [Some(*id), None],
                Key::Grant { entity, recipient: Recipient::User(other) | Recipient::Entity(other) } => {
                    [Some(*entity), Some(*other)]
                }
                Key::Link { user, .. } => [Some(*user), None],
            };
            let by: BTreeSet<&Key> =
                hangs_on.iter().flatten().filter_map(|id| going.get(id)).flatten().copied().collect();
            for key in by.into_iter().filter(|key| **key != entry.key) {
                let (address, protected) = (entry.address.clone(), entry.protected);
                let held = HeldAlong { address, key: entry.key.clone(), protected };
                along.entry(key.clone()).or_default().push(held);
            }
        }
        along
    }

    async fn users(&self, users: &BTreeSet<Uuid>, facts: &mut Facts) -> Result<(), Error> {
        let read = |id: Uuid| async move {
            let client = self.client();
            let (user, links) = tokio::try_join!(client.user(id), client.links_of_user(id))?;
            Ok::<_, Error>((id, user, links.map_or(0, |links| links.len())))
        };
        let answers = stream::iter(users.iter().copied()).map(read).buffer_unordered(AT_ONCE);
        for (id, user, links) in answers.try_collect::<Vec<_>>().await? {
            facts.links.insert(id, links as u64);
            // A password is optional since 1.59, and since then its instant is absent without one (wire notes §4).
            let has_password = !self.session.version().at_least(1, 59)
                || user.is_some_and(|user| user.contains_key("passwordLastUpdateInstant"));
            if !has_password {
                facts.without_password.insert(id);
            }
        }
        Ok(())
    }
}
