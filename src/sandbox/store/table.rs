//! The tables by name, and the rows of one table. Knows nothing of what the objects mean.

use std::collections::HashMap;

use uuid::Uuid;

/// A table; its name is what the database keeps, so a name must never change its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table(pub &'static str);

impl Table {
    pub const API_KEY: Self = Self("apiKey");
    pub const APPLICATION: Self = Self("application");
    pub const CHANGE_PASSWORD: Self = Self("changePassword");
    pub const ENTITY: Self = Self("entity");
    pub const ENTITY_TYPE: Self = Self("entityType");
    pub const GRANT: Self = Self("grant");
    pub const GROUP: Self = Self("group");
    pub const GROUP_MEMBER: Self = Self("groupMember");
    pub const IDENTITY_PROVIDER: Self = Self("identityProvider");
    pub const LAMBDA: Self = Self("lambda");
    pub const LINK: Self = Self("link");
    pub const PENDING_LINK: Self = Self("pendingLink");
    pub const TENANT: Self = Self("tenant");
    pub const USER: Self = Self("user");
    pub const VERIFICATION: Self = Self("verification");

    /// The tables with rules of their own; those of the generic store come on top.
    pub const TYPED: [Self; 15] = [
        Self::API_KEY,
        Self::APPLICATION,
        Self::CHANGE_PASSWORD,
        Self::ENTITY,
        Self::ENTITY_TYPE,
        Self::GRANT,
        Self::GROUP,
        Self::GROUP_MEMBER,
        Self::IDENTITY_PROVIDER,
        Self::LAMBDA,
        Self::LINK,
        Self::PENDING_LINK,
        Self::TENANT,
        Self::USER,
        Self::VERIFICATION,
    ];

    /// Whether searches see this table through the search index.
    pub fn is_indexed(self) -> bool {
        self == Self::USER || self == Self::ENTITY
    }
}

/// The rows of a table in the order of their creation; each is the object's JSON.
#[derive(Debug, Default)]
pub(super) struct Rows {
    slots: Vec<(Uuid, Option<Box<[u8]>>)>,
    places: HashMap<Uuid, u32>,
}

impl Rows {
    pub(super) fn get(&self, id: Uuid) -> Option<&[u8]> {
        let place = *self.places.get(&id)? as usize;
        self.slots.get(place)?.1.as_deref()
    }

    /// Sets a row; gives back what was there.
    pub(super) fn set(&mut self, id: Uuid, bytes: Box<[u8]>) -> Option<Box<[u8]>> {
        if let Some(place) = self.places.get(&id)
            && let Some(slot) = self.slots.get_mut(*place as usize)
        {
            return slot.1.replace(bytes);
        }
        let place = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push((id, Some(bytes)));
        self.places.insert(id, place);
        None
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<Box<[u8]>> {
        let place = self.places.remove(&id)?;
        let old = self.slots.get_mut(place as usize)?.1.take();
        if self.slots.len() > 64 && self.places.len() * 2 < self.slots.len() {
            self.compact();
        }
        old
    }

    fn compact(&mut self) {
        self.slots.retain(|slot| slot.1.is_some());
        self.slots.shrink_to_fit();
        self.places.clear();
        for (place, (id, _)) in self.slots.iter().enumerate() {
            self.places.insert(*id, u32::try_from(place).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Uuid, &[u8])> {
        self.slots.iter().filter_map(|(id, bytes)| Some((*id, bytes.as_deref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}
