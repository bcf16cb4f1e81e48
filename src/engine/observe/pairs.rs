//! Grants and links, which have no id of their own: read per entity and per user, once what they join is known.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::fusionauth::Error;
use crate::model::Kind;
use crate::reconcile::{Key, KeyReference, Live, ObjectRef, Recipient, RecipientReference};

use super::super::rows;
use super::{Found, Observation, Observer, Sink, Standing};

/// Reads under way at once; the client's own limit is what bounds requests.
const AT_ONCE: usize = 64;

/// A pair that is looked for.
pub(super) struct Wanted {
    pub index: usize,
    pub key: Key,
    /// The record's key, when it is another.
    pub previous: Option<Key>,
    /// Whether both sides are there already; else there can be no pair.
    pub joined: bool,
}

/// A link's key, before its id at the identity provider is known.
pub(super) struct LinkKey {
    pub identity_provider: Uuid,
    pub subject: Option<String>,
    pub user: Standing,
}

impl<S: Sink> Observer<'_, S> {
    fn standing(&self, reference: &ObjectRef) -> Option<Standing> {
        self.sink().standing(reference)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (usize, &super::Subject)> {
        self.subjects.iter().enumerate().filter(move |(_, subject)| subject.kind() == kind)
    }

    /// What it refers to failed: its own error says so, and this one only waits for it.
    fn hand_blocked(&self, index: usize) {
        self.take(index, Observation::Failed(Vec::new()));
    }

    /// One request an entity. The search of grants is not used: nothing says that it sees what was just written.
    pub(super) async fn grants(&self) -> Result<(), Error> {
        let mut wanted = Vec::new();
        for (index, subject) in self.of_kind(Kind::EntityGrant) {
            let recorded = subject.entry.as_ref().map(|entry| entry.key.clone());
            let own = match &subject.declared {
                Some(declared) => self.grant_key(&declared.resolved.key),
                None => recorded.clone().map(|key| (key, true)),
            };
            match own {
                Some((key, joined)) => {
                    let previous = recorded.filter(|recorded| *recorded != key);
                    wanted.push(Wanted { index, key, previous, joined });
                }
                None => self.hand_blocked(index),
            }
        }
        let live = self.grants_of(&keys_of(&wanted)).await?;
        self.hand_pairs(wanted, live);
        Ok(())
    }

    fn grant_key(&self, key: &KeyReference) -> Option<(Key, bool)> {
        let KeyReference::Grant { entity, recipient } = key else { return None };
        let entity = self.standing(entity)?;
        let (recipient, live) = match recipient {
            RecipientReference::User(user) => {
                let user = self.standing(user)?;
                (Recipient::User(user.id), user.live)
            }
            RecipientReference::Entity(entity) => {
                let entity = self.standing(entity)?;
                (Recipient::Entity(entity.id), entity.live)
            }
        };
        Some((Key::Grant { entity: entity.id, recipient }, entity.live && live))
    }

    /// The live grants among these keys.
    async fn grants_of(&self, keys: &HashSet<Key>) -> Result<HashMap<Key, Live>, Error> {
        let entities: BTreeSet<Uuid> = keys
            .iter()
            .filter_map(|key| if let Key::Grant { entity, .. } = key { Some(*entity) } else { None })
            .collect();
        let read = |entity: Uuid| async move {
            let grants = self.client.grants_of_entity(entity).await?.unwrap_or_default();
            Ok::<_, Error>((entity, grants))
        };
        let mut answers = stream::iter(entities).map(read).buffer_unordered(AT_ONCE);
        let mut found = HashMap::new();
        while let Some((entity, grants)) = answers.try_next().await? {
            for grant in grants {
                let live = rows::grant(entity, grant)?;
                if keys.contains(&live.key) {
                    found.insert(live.key.clone(), live);
                }
            }
        }
        Ok(found)
    }

    /// One request a user: the API has nothing better. Then one for each link that is not there, for somebody else
    /// may hold it.
    pub(super) async fn links(&self) -> Result<(), Error> {
        let mut keys: Vec<(usize, LinkKey, Option<Key>)> = Vec::new();
        let mut users: BTreeSet<Uuid> = BTreeSet::new();
        for (index, subject) in self.of_kind(Kind::IdentityProviderLink) {
            let recorded = subject.entry.as_ref().map(|entry| entry.key.clone());
            if let Some(Key::Link { user, .. }) = &recorded {
                users.insert(*user);
            }
            let own = match &subject.declared {
                Some(declared) => self.link_key(&declared.resolved.key),
                None => recorded.as_ref().and_then(recorded_link),
            };
            let Some(own) = own else {
                self.hand_blocked(index);
                continue;
            };
            if own.user.live {
                users.insert(own.user.id);
            }
            keys.push((index, own, recorded));
        }
        let links = self.links_of(users).await?;
        let links = &links;
        let settle =
            |(index, own, recorded)| async move { self.settle_link(index, own, recorded, links).await };
        stream::iter(keys).map(settle).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    fn link_key(&self, key: &KeyReference) -> Option<LinkKey> {
        let KeyReference::Link { identity_provider, identity_provider_user_id, user } = key else {
            return None;
        };
        Some(LinkKey {
            identity_provider: *identity_provider,
            subject: identity_provider_user_id.clone(),
            user: self.standing(user)?,
        })
    }

    /// Links by key. All of these users' links are kept: a pending link is satisfied by any to its provider.
    async fn links_of(&self, users: BTreeSet<Uuid>) -> Result<HashMap<Key, Live>, Error> {
        let read = |user: Uuid| async move {
            Ok::<_, Error>(self.client.links_of_user(user).await?.unwrap_or_default())
        };
        let mut answers = stream::iter(users).map(read).buffer_unordered(AT_ONCE);
        let mut found = HashMap::new();
        while let Some(links) = answers.try_next().await? {
            for link in links {
                let live = rows::link(link)?;
                found.insert(live.key.clone(), live);
            }
        }
        Ok(found)
    }

    async fn settle_link(
        &self,
        index: usize,
        own: LinkKey,
        recorded: Option<Key>,
        links: &HashMap<Key, Live>,
    ) -> Result<(), Error> {
        let held = own.subject.is_none().then(|| any_link(&own, recorded.as_ref(), links)).flatten();
        let declared = own.subject.as_ref().map(|subject| own.key(subject));
        let live = held.or_else(|| declared.as_ref().and_then(|key| links.get(key)));
        let previous_of = |key: &Key| {
            recorded.as_ref().filter(|recorded| *recorded != key).and_then(|key| links.get(key)).cloned()
        };
        if let Some(live) = live {
            let previous = previous_of(&live.key);
            self.hand_link(index, live.key.clone(), Some(live.clone()), previous, false);
            return Ok(());
        }
        let sought = self.subjects.get(index).and_then(|subject| subject.declared.as_ref());
        let Some(sought) = sought.filter(|declared| declared.is_sought) else {
            let key = declared.or(recorded).unwrap_or_else(|| own.key(""));
            self.hand_link(index, key, None, None, false);
            return Ok(());
        };
        let key = match self.pending_key(index, sought, &own).await? {
            Ok(key) => key,
            Err(problem) => {
                self.take(index, Observation::Failed(vec![*problem]));
                return Ok(());
            }
        };
        let holder = self.holder(&key).await?;
        let previous = previous_of(&key);
        let by_natural_key = holder.is_some();
        self.hand_link(index, key, holder, previous, by_natural_key);
        Ok(())
    }

    /// Whoever holds the link, unless the record does: then its own plan frees it.
    async fn holder(&self, key: &Key) -> Result<Option<Live>, Error> {
        let Key::Link { identity_provider, identity_provider_user_id, .. } = key else { return Ok(None) };
        if identity_provider_user_id.is_empty() {
            return Ok(None);
        }
        let found = self.client.link(*identity_provider, identity_provider_user_id).await?;
        let live = found.map(rows::link).transpose()?;
        let is_held = |key: &Key| self.held.is_some_and(|held| held.by_key(key).is_some());
        Ok(live.filter(|live| live.key == *key || !is_held(&live.key)))
    }

    fn hand_link(
        &self,
        index: usize,
        key: Key,
        live: Option<Live>,
        previous: Option<Live>,
        by_natural_key: bool,
    ) {
        let found = Found { key, live, previous, by_natural_key };
        self.take(index, Observation::Found(Box::new(found)));
    }

    fn hand_pairs(&self, wanted: Vec<Wanted>, mut live: HashMap<Key, Live>) {
        for Wanted { index, key, previous, joined } in wanted {
            let previous = previous.and_then(|previous| live.get(&previous).cloned());
            let found = if joined { live.remove(&key) } else { None };
            self.hand_link(index, key, found, previous, false);
        }
    }
}

impl LinkKey {
    pub(super) fn key(&self, subject: &str) -> Key {
        Key::Link {
            identity_provider: self.identity_provider,
            identity_provider_user_id: subject.to_owned(),
            user: self.user.id,
        }
    }
}

/// The record's link of this user and provider, or else any.
fn any_link<'l>(own: &LinkKey, recorded: Option<&Key>, links: &'l HashMap<Key, Live>) -> Option<&'l Live> {
    let fits = |key: &Key| {
        matches!(key, Key::Link { identity_provider, user, .. }
            if *identity_provider == own.identity_provider && *user == own.user.id)
    };
    let recorded = recorded.filter(|key| fits(key)).and_then(|key| links.get(key));
    // The least key, so that two runs do not choose differently.
    recorded.or_else(|| links.values().filter(|live| fits(&live.key)).min_by(|a, b| a.key.cmp(&b.key)))
}

fn recorded_link(key: &Key) -> Option<LinkKey> {
    match key {
        Key::Link { identity_provider, identity_provider_user_id, user } => Some(LinkKey {
            identity_provider: *identity_provider,
            subject: Some(identity_provider_user_id.clone()),
            user: Standing { id: *user, live: true },
        }),
        Key::Id(_) | Key::Grant { .. } => None,
    }
}

/// The keys that can be live: wanted ones whose sides are there, and the record's.
fn keys_of(wanted: &[Wanted]) -> HashSet<Key> {
    let own = wanted.iter().filter(|wanted| wanted.joined).map(|wanted| wanted.key.clone());
    own.chain(wanted.iter().filter_map(|wanted| wanted.previous.clone())).collect()
}
