//! A generation's header, and the names and ids of the groups that a chain is made of.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::engine::keys::RunnerKeys;
use crate::model::{Fields, Owner, Scope, generation_id};

use super::document::Derivation;
use super::{Holder, RecordError, Trust, policy, seal};

/// Whether somebody runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum LockState {
    Held,
    Released,
}

/// A shard that a header lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShardRef {
    pub id: Uuid,
    /// Of the shard's canonical JSON. The header's seal covers it, and so the shard.
    pub checksum: String,
}

/// Places as text: `ID CHECKSUM`, empty where there is no shard. No null, which FusionAuth may drop from `data`
/// (wire notes §13).
mod places {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::ShardRef;

    pub(super) fn serialize<S: Serializer>(
        places: &[Option<ShardRef>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(places.iter().map(|place| match place {
            Some(ShardRef { id, checksum }) => format!("{id} {checksum}"),
            None => String::new(),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Option<ShardRef>>, D::Error> {
        let place = |text: String| match text.split_once(' ') {
            None if text.is_empty() => Ok(None),
            None => Err(D::Error::custom("no shard")),
            Some((id, checksum)) => {
                let id = id.parse().map_err(D::Error::custom)?;
                Ok(Some(ShardRef { id, checksum: checksum.to_owned() }))
            }
        };
        Vec::<String>::deserialize(deserializer)?.into_iter().map(place).collect()
    }
}

/// What stands in a generation's `data`. Which entries it lists never changes; its state and renewals do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub version: u64,
    pub owner: Owner,
    pub generation: u64,
    pub state: LockState,
    /// Its expiry is for people: what counts is the group's `lastUpdateInstant`.
    pub holder: Holder,
    /// The run that wrote it: by this a run knows its own after a lost response.
    pub run: Uuid,
    /// Counts renewals, so that each one changes something.
    pub renewal: u64,
    /// How long after `lastUpdateInstant` it may be succeeded though it is held, in milliseconds.
    pub succeeded_after: u64,
    pub url: String,
    /// Counts changes of entries.
    pub revision: u64,
    pub entries: usize,
    /// The shards, by a hash of the live object; none where no object falls.
    #[serde(with = "places")]
    pub shards: Vec<Option<ShardRef>>,
    /// Owners from whom entries were taken that those owners may not have dropped yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taken_from: BTreeSet<Owner>,
    /// Shards that no header lists may be left behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub litter: bool,
}

impl Header {
    /// Whether it may be succeeded at `now`, by the server's clock. Both runners' longest requests count: the
    /// holder's may still be on their way, and ours decides how late we act on what we saw.
    pub fn is_over(&self, last_update: i64, now: i64, ours: Duration) -> bool {
        let grace = self.succeeded_after.max(ours.as_millis() as u64);
        self.state == LockState::Released || now.saturating_sub(last_update) > grace as i64
    }

    pub fn to_fields(&self, place: &str, keys: Option<&RunnerKeys>) -> Result<Fields, RecordError> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut fields)) => {
                seal::seal(&mut fields, place, keys);
                Ok(fields)
            }
            Ok(_) => Err(damaged("a header is no object")),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }

    pub fn from_fields(
        fields: &Fields,
        place: &str,
        keys: Option<&RunnerKeys>,
    ) -> Result<(Self, Trust), RecordError> {
        policy::check_version(fields)?;
        let trust = seal::check(fields, place, keys)?;
        // serde's message can quote values, so it is not passed on.
        let header = serde_json::from_value(Value::Object(fields.clone()));
        header.map(|header| (header, trust)).map_err(|_| damaged("its header cannot be read"))
    }
}

fn damaged(what: &str) -> RecordError {
    RecordError::Damaged { what: what.to_owned() }
}

/// The groups of one scope: their names and ids.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pub scope: Scope,
    pub owner: Owner,
    /// The run's tenant.
    pub tenant_id: Uuid,
}

impl Naming {
    fn prefix(&self) -> &'static str {
        match self.scope {
            Scope::Tenant => "fusionkeep",
            Scope::Global => "fusionkeep-global",
        }
    }

    /// The chain of the global kinds stands in the default tenant, beside that tenant's own: it counts as nil's.
    fn tenant(&self) -> Uuid {
        match self.scope {
            Scope::Tenant => self.tenant_id,
            Scope::Global => Uuid::nil(),
        }
    }

    /// Finds the headers of all owners.
    pub fn all_headers(&self) -> String {
        format!("{}/*", self.prefix())
    }

    /// Finds the owner's shards.
    pub fn all_shards(&self) -> String {
        format!("{}-shard/{}/*", self.prefix(), self.owner)
    }

    pub fn header_name(&self, generation: u64) -> String {
        format!("{}/{}/{generation}", self.prefix(), self.owner)
    }

    pub fn header_id(&self, generation: u64) -> Uuid {
        generation_id(&self.owner, self.tenant(), generation)
    }

    /// The owner and generation of a header's group, if it is one: a name alone could be anybody's.
    pub fn parse_header(&self, name: &str, id: Uuid) -> Option<(Owner, u64)> {
        let (owner, number) = name.strip_prefix(self.prefix())?.strip_prefix('/')?.split_once('/')?;
        let (owner, number): (Owner, u64) = (owner.parse().ok()?, number.parse().ok()?);
        (generation_id(&owner, self.tenant(), number) == id).then_some((owner, number))
    }

    /// The id of a shard that a run writes under a generation to come: never used twice.
    pub fn shard_id(&self, generation: u64, run: Uuid, count: u64) -> Uuid {
        Uuid::new_v5(&self.header_id(generation), format!("shard {run} {count}").as_bytes())
    }

    pub fn shard_name(&self, generation: u64, id: Uuid) -> String {
        format!("{}-shard/{}/{generation}/{id}", self.prefix(), self.owner)
    }

    /// The generation under which a shard of this owner was written.
    pub fn parse_shard(&self, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(self.prefix())?.strip_prefix("-shard/")?;
        let (generation, _) = rest.strip_prefix(self.owner.as_str())?.strip_prefix('/')?.split_once('/')?;
        generation.parse().ok()
    }

    /// The same chain of another owner.
    pub fn of(&self, owner: &Owner) -> Naming {
        Naming { owner: owner.clone(), ..self.clone() }
    }

    pub fn derivation(&self) -> Derivation {
        Derivation { owner: self.owner.clone(), tenant_id: self.tenant_id }
    }

    /// The seal's place: a header cannot be moved to another group.
    pub fn place(&self, generation: u64) -> String {
        format!("group {}", self.header_id(generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_read_back() {
        let owner: Owner = "acme-prod".parse().unwrap();
        for scope in [Scope::Tenant, Scope::Global] {
            let naming = Naming { scope, owner: owner.clone(), tenant_id: Uuid::from_u128(1) };
            let id = naming.header_id(12);
            assert_eq!(naming.parse_header(&naming.header_name(12), id), Some((owner.clone(), 12)));
            assert_eq!(naming.parse_header(&naming.header_name(13), id), None, "an id of another name");
            assert_eq!(naming.parse_header("fusionkeep/x", id), None);
            let shard = naming.shard_id(12, Uuid::nil(), 0);
            assert_eq!(naming.parse_shard(&naming.shard_name(12, shard)), Some(12));
            assert_ne!(shard, naming.shard_id(13, Uuid::nil(), 0));
            assert!(naming.shard_name(u64::MAX, shard).len() + 63 <= 191, "wire notes §14");
        }
    }
}
