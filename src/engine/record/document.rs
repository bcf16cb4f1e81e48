//! The record's JSON: entries as they are stored, under 200 bytes each.
//!
//! What repeats stands once: field sets and key ids are tables that entries point into, an id that follows from
//! the address is left out, and so is every default. Names stay readable, for whoever looks at the group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{Address, DEFAULT_NAMESPACE, Deletion, Fields, Kind, Owner, derived_id, row};
use crate::reconcile::{Entry, FieldSet, Key, Recipient, SecretFingerprint, SentSecret};

use super::RecordError;

/// By what ids are derived: entries that have the derived one need not say so.
#[derive(Clone, Debug)]
pub(super) struct Derivation {
    pub owner: Owner,
    pub tenant_id: Uuid,
}

/// Entries with the tables that they share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    field_sets: Vec<FieldSet>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    key_ids: Vec<String>,
    /// By kind, or kind and namespace: `User`, `User/team-a`.
    entries: BTreeMap<String, Vec<StoredEntry>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredEntry {
    name: String,
    /// Where it is not the id that follows from the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// The entity, and the user who holds a grant on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_grant: Option<(Uuid, Uuid)>,
    /// The entity, and the entity that holds a grant on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entity_grant: Option<(Uuid, Uuid)>,
    /// The identity provider, its user id, the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<(Uuid, String, Uuid)>,
    /// An index into `field_sets`.
    written: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deletion: Option<Deletion>,
    #[serde(default, skip_serializing_if = "is_false")]
    protected: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    adopted: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    intent: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    deactivated: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, StoredSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_from: Option<Owner>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    tenants: BTreeSet<Uuid>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSecret {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// An index into `key_ids`, and the keyed digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<(usize, String)>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The place of a value in a table, which grows by it when it is new.
fn intern<T: Ord + Clone>(table: &mut Vec<T>, places: &mut BTreeMap<T, usize>, value: &T) -> usize {
    if let Some(place) = places.get(value) {
        return *place;
    }
    table.push(value.clone());
    places.insert(value.clone(), table.len() - 1);
    table.len() - 1
}

impl Document {
    /// The stored form of some entries, in the order of their addresses.
    pub fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry>, derivation: &Derivation) -> Self {
        let mut entries: Vec<&Entry> = entries.into_iter().collect();
        entries.sort_by(|a, b| (&a.address, &a.key).cmp(&(&b.address, &b.key)));
        let mut document = Document::default();
        let (mut sets, mut key_ids) = (BTreeMap::new(), BTreeMap::new());
        for entry in entries {
            let written = intern(&mut document.field_sets, &mut sets, &entry.written);
            let secrets = entry.secrets.iter().map(|(field, sent)| {
                let fingerprint = sent.fingerprint.as_ref().map(|fingerprint| {
                    let place = intern(&mut document.key_ids, &mut key_ids, &fingerprint.key_id);
                    (place, fingerprint.digest.clone())
                });
                (field.clone(), StoredSecret { version: sent.version, fingerprint })
            });
            let secrets = secrets.collect();
            let stored = StoredEntry::new(entry, written, secrets, derivation);
            document.entries.entry(section(&entry.address)).or_default().push(stored);
        }
        document
    }

    /// The entries.
    ///
    /// # Errors
    /// An index points nowhere, or a grant or link has no key.
    pub fn decode(self, derivation: &Derivation) -> Result<Vec<Entry>, RecordError> {
        let Document { field_sets, key_ids, entries } = self;
        let mut decoded = Vec::new();
        for (section, entries) in entries {
            let (kind, namespace) = section.split_once('/').unwrap_or((&section, DEFAULT_NAMESPACE));
            let kind: Kind = kind.parse().map_err(|_| damaged("it holds an unknown kind"))?;
            for entry in entries {
                let address = Address::new(kind, namespace, &entry.name);
                decoded.push(entry.decode(address, &field_sets, &key_ids, derivation)?);
            }
        }
        Ok(decoded)
    }

    /// As the fields of a JSON object.
    ///
    /// # Errors
    /// None that can occur: the types serialise to an object.
    pub fn to_fields(&self) -> Result<Fields, RecordError> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(damaged("a document is no object")),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }

    /// From the fields of a JSON object.
    ///
    /// # Errors
    /// They are not a document's.
    pub fn from_fields(fields: Fields) -> Result<Self, RecordError> {
        // serde's message can quote values, so it is not passed on.
        serde_json::from_value(Value::Object(fields)).map_err(|_| damaged("its entries cannot be read"))
    }
}

fn damaged(what: &str) -> RecordError {
    RecordError::Damaged { what: what.to_owned() }
}

impl StoredEntry {
    fn new(
        entry: &Entry,
        written: usize,
        secrets: BTreeMap<String, StoredSecret>,
        derivation: &Derivation,
    ) -> Self {
        let mut stored = StoredEntry {
            name: entry.address.name.to_string(),
            id: None,
            user_grant: None,
            entity_grant: None,
            link: None,
            written,
            deletion: (entry.deletion != row(entry.address.kind).deletion).then_some(entry.deletion),
            protected: entry.protected,
            adopted: entry.adopted,
            intent: entry.intent,
            deactivated: entry.deactivated_by_us,
            secrets,
            pending_email: entry.pending_email.clone(),
            taken_from: entry.taken_from.clone(),
            tenants: entry.tenants.clone(),
        };
        match entry.key.clone() {
            Key::Id(id) => {
                stored.id = Some(id).filter(|id| Some(*id) != implied_id(&entry.address, derivation))
            }
            Key::Grant { entity, recipient: Recipient::User(user) } => {
                stored.user_grant = Some((entity, user))
            }
            Key::Grant { entity, recipient: Recipient::Entity(other) } => {
                stored.entity_grant = Some((entity, other));
            }
            Key::Link { identity_provider, identity_provider_user_id, user } => {
                stored.link = Some((identity_provider, identity_provider_user_id, user));
            }
        }
        stored
    }

    fn key(&mut self, address: &Address, derivation: &Derivation) -> Option<Key> {
        let grant = |(entity, recipient)| Key::Grant { entity, recipient };
        let user = self.user_grant.map(|(entity, user)| grant((entity, Recipient::User(user))));
        let entity = self.entity_grant.map(|(entity, other)| grant((entity, Recipient::Entity(other))));
        let link = self.link.take().map(|(identity_provider, identity_provider_user_id, user)| Key::Link {
            identity_provider,
            identity_provider_user_id,
            user,
        });
        user.or(entity).or(link).or_else(|| self.id.or_else(|| implied_id(address, derivation)).map(Key::Id))
    }

    fn decode(
        mut self,
        address: Address,
        sets: &[FieldSet],
        ids: &[String],
        derivation: &Derivation,
    ) -> Result<Entry, RecordError> {
        let key = self.key(&address, derivation);
        let mut secrets = BTreeMap::new();
        for (field, stored) in self.secrets {
            let fingerprint = match stored.fingerprint {
                None => None,
                Some((place, digest)) => {
                    let key_id = ids.get(place).ok_or_else(|| damaged("a key id is missing"))?;
                    Some(SecretFingerprint { key_id: key_id.clone(), digest })
                }
            };
            secrets.insert(field, SentSecret { version: stored.version, fingerprint });
        }
        Ok(Entry {
            key: key.ok_or_else(|| damaged("a grant or link has no key"))?,
            written: sets
                .get(self.written)
                .map(Arc::clone)
                .ok_or_else(|| damaged("a field set is missing"))?,
            deletion: self.deletion.unwrap_or(row(address.kind).deletion),
            protected: self.protected,
            adopted: self.adopted,
            intent: self.intent,
            deactivated_by_us: self.deactivated,
            secrets,
            pending_email: self.pending_email,
            taken_from: self.taken_from,
            tenants: self.tenants,
            address,
        })
    }
}

/// The id that follows from an address; grants and links have none.
fn implied_id(address: &Address, derivation: &Derivation) -> Option<Uuid> {
    match address.kind {
        Kind::EntityGrant | Kind::IdentityProviderLink => None,
        _ => Some(derived_id(&derivation.owner, derivation.tenant_id, address)),
    }
}

fn section(address: &Address) -> String {
    match &*address.namespace {
        DEFAULT_NAMESPACE => address.kind.to_string(),
        namespace => format!("{}/{namespace}", address.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::seal::canonical;

    fn derivation() -> Derivation {
        Derivation { owner: "acme-prod".parse().unwrap(), tenant_id: Uuid::from_u128(7) }
    }

    fn entry(kind: Kind, number: usize) -> Entry {
        let address = Address::new(kind, "team-compression", &format!("person-{number:06}"));
        let id = Uuid::from_u128(number as u128);
        let key = match kind {
            Kind::EntityGrant => Key::Grant { entity: id, recipient: Recipient::User(id) },
            Kind::IdentityProviderLink => Key::Link {
                identity_provider: id,
                identity_provider_user_id: "107691503219876543210".to_owned(),
                user: id,
            },
            _ => Key::Id(implied_id(&address, &derivation()).unwrap()),
        };
        let fields = ["email", "firstName", "data.team", "registrations[3c219e58].roles"];
        let written = Arc::new(fields.iter().map(|field| (*field).to_owned()).collect());
        Entry { written, ..Entry::new(address, key, row(kind).deletion) }
    }

    fn with_everything() -> Entry {
        let fingerprint =
            SecretFingerprint { key_id: "0123456789abcdef".into(), digest: "zVS-Ci0BCnJXustybUzlwQ".into() };
        let mut entry = entry(Kind::User, 1);
        entry.key = Key::Id(Uuid::from_u128(99));
        entry.deletion = Deletion::Orphan;
        (entry.protected, entry.adopted, entry.intent, entry.deactivated_by_us) = (true, true, true, true);
        entry
            .secrets
            .insert("password".into(), SentSecret { version: Some(3), fingerprint: Some(fingerprint) });
        entry.pending_email = Some("x".into());
        entry.taken_from = Some("other".parse().unwrap());
        entry.tenants = [Uuid::from_u128(7)].into();
        entry
    }

    #[test]
    fn entries_come_back_as_they_went() {
        let mut entries: Vec<Entry> =
            Kind::OBJECTS.iter().enumerate().map(|(number, kind)| entry(*kind, number)).collect();
        entries.push(with_everything());
        let fields = Document::encode(&entries, &derivation()).to_fields().unwrap();
        let mut back = Document::from_fields(fields).unwrap().decode(&derivation()).unwrap();
        back.sort_by(|a, b| (&a.address, &a.key).cmp(&(&b.address, &b.key)));
        entries.sort_by(|a, b| (&a.address, &a.key).cmp(&(&b.address, &b.key)));
        assert_eq!(back, entries);
    }

    #[test]
    fn an_object_costs_under_200_bytes() {
        for kind in Kind::OBJECTS {
            let mut entries: Vec<Entry> = (0..1000).map(|number| entry(kind, number)).collect();
            for entry in &mut entries {
                entry.secrets = with_everything().secrets;
                if kind == Kind::User {
                    // The costliest form of an id: one of its own.
                    entry.key = Key::Id(Uuid::new_v4());
                } else {
                    entry.secrets.clear();
                }
            }
            let fields = Document::encode(&entries, &derivation()).to_fields().unwrap();
            let size = canonical(&Value::Object(fields)).len() / entries.len();
            assert!(size < 200, "{kind}: {size}");
            println!("{kind}: {size} bytes");
        }
    }

    #[test]
    fn what_points_nowhere_is_damage() {
        let mut document = Document::encode(&[with_everything()], &derivation());
        document.field_sets.clear();
        assert!(matches!(document.decode(&derivation()), Err(RecordError::Damaged { .. })));
        let mut document = Document::encode(&[with_everything()], &derivation());
        document.key_ids.clear();
        assert!(matches!(document.decode(&derivation()), Err(RecordError::Damaged { .. })));
    }
}
