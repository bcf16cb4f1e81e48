//! Objects that are not under their own ids, looked for by what else identifies them: by asking one by one or by
//! paging through all, whichever takes fewer requests. The write stays the judge.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::fusionauth::users::{self, LoginId};
use crate::fusionauth::{Client, Error, Object, ServerVersion, entities};
use crate::model::Kind;
use crate::reconcile::Desired;

use super::super::record::Entries;
use super::super::rows;
use super::{Declaration, Hits, Observer, Sink, Subject};

/// Rows of a page of a search, for reckoning.
const PAGE: u64 = 500;
/// Fewer look-ups than this are made without asking how many users there are.
const FEW: usize = 3;
const AT_ONCE: usize = 64;

/// A sign-in name in the form in which FusionAuth compares it (wire notes §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SignIn {
    Email(String),
    Username(String),
    PhoneNumber(String),
}

impl SignIn {
    /// Of the field of that name.
    pub fn in_field(field: &str, text: &str) -> Option<Self> {
        match field {
            "email" => SignIn::email(text),
            "username" => SignIn::username(text),
            "phoneNumber" => SignIn::phone(text),
            _ => None,
        }
    }

    /// The field in which it stands.
    pub fn field(&self) -> &'static str {
        match self {
            SignIn::Email(_) => "email",
            SignIn::Username(_) => "username",
            SignIn::PhoneNumber(_) => "phoneNumber",
        }
    }

    fn email(text: &str) -> Option<Self> {
        filled(text.trim().to_lowercase()).map(SignIn::Email)
    }

    fn username(text: &str) -> Option<Self> {
        filled(text.trim().to_lowercase()).map(SignIn::Username)
    }

    fn phone(text: &str) -> Option<Self> {
        let number: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        filled(number).map(SignIn::PhoneNumber)
    }

    fn of(desired: &Desired) -> Vec<Self> {
        let text = |name: &str| desired.fields.get(name).and_then(Value::as_str);
        let names = [
            text("email").and_then(SignIn::email),
            text("username").and_then(SignIn::username),
            text("phoneNumber").and_then(SignIn::phone),
        ];
        names.into_iter().flatten().collect()
    }
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserHit {
    id: Uuid,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    phone_number: Option<String>,
}

impl UserHit {
    fn names(&self) -> impl Iterator<Item = SignIn> {
        let names = [
            self.email.as_deref().and_then(SignIn::email),
            self.username.as_deref().and_then(SignIn::username),
            self.phone_number.as_deref().and_then(SignIn::phone),
        ];
        names.into_iter().flatten()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntityHit {
    id: Uuid,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    entity_type: Option<TypeOfHit>,
}

#[derive(Deserialize)]
struct TypeOfHit {
    id: Option<Uuid>,
}

/// The users who hold these sign-in names.
///
/// # Errors
/// As any read.
pub async fn holders(
    client: &Client,
    version: &ServerVersion,
    names: HashSet<SignIn>,
) -> Result<Vec<(SignIn, Uuid)>, Error> {
    let mut held = Vec::new();
    let count = match names.len() {
        0..=FEW => None,
        _ => client.count_users().await?,
    };
    // The count, the flush and the pages.
    if count.is_some_and(|count| 1 + count.div_ceil(PAGE) < names.len() as u64) {
        client.flush_user_search().await?;
        let row = |hit: UserHit| {
            held.extend(hit.names().filter(|name| names.contains(name)).map(|name| (name, hit.id)));
        };
        match client.search_users(&users::all(version), row).await {
            // A server that cannot list its users in this order can be asked for each.
            Err(error) if error.status() == Some(400) => held.clear(),
            listed => return listed.map(|_| held),
        }
    }
    let ask = |name: SignIn| async move {
        let found = match &name {
            SignIn::Email(email) => client.user_by(LoginId::Email, email).await?,
            SignIn::Username(username) => client.user_by(LoginId::Username, username).await?,
            SignIn::PhoneNumber(number) => client.user_by(LoginId::PhoneNumber, number).await?,
        };
        Ok::<_, Error>(found.and_then(|user| rows::uuid(&user, "id")).map(|id| (name, id)))
    };
    let found: Vec<_> = stream::iter(names).map(ask).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

impl<S: Sink> Observer<'_, S> {
    /// Ids that are spoken for: an object under one of them is not found by name.
    pub(super) fn spoken_for(&self, kind: Kind) -> HashSet<Uuid> {
        let own = self.subjects.iter().filter(|subject| subject.kind() == kind).filter_map(Subject::id);
        let held = self.held.into_iter().flat_map(Entries::iter).filter_map(|entry| entry.key.id());
        own.chain(held).collect()
    }

    /// The declarations among these subjects that are to be found.
    fn sought<'s>(&'s self, absent: &'s [usize]) -> impl Iterator<Item = (usize, &'s Declaration)> {
        absent.iter().filter_map(|index| {
            let declared = self.subjects.get(*index)?.declared.as_ref()?;
            declared.is_sought.then_some((*index, declared))
        })
    }

    pub(super) async fn users_by_natural_key(&self, absent: &[usize]) -> Result<Hits, Error> {
        let mut wanted: HashMap<SignIn, Vec<usize>> = HashMap::new();
        for (index, declared) in self.sought(absent) {
            // Signing in by phone number came with 1.59 (wire notes §4).
            let known =
                |name: &SignIn| !matches!(name, SignIn::PhoneNumber(_)) || self.version.at_least(1, 59);
            for name in declared.read(SignIn::of).into_iter().flatten().filter(known) {
                wanted.entry(name).or_default().push(index);
            }
        }
        let mut hits = Hits::new();
        if wanted.is_empty() {
            return Ok(hits);
        }
        let spoken_for = self.spoken_for(Kind::User);
        for (name, id) in holders(self.client, self.version, wanted.keys().cloned().collect()).await? {
            if !spoken_for.contains(&id) {
                for index in wanted.get(&name).into_iter().flatten() {
                    hits.entry(*index).or_default().insert(id);
                }
            }
        }
        Ok(hits)
    }

    /// By client id where one is declared, else by type and name where that is unique. Searching for one entity
    /// takes no fewer requests than a page of all, and only all is read alike by both engines.
    pub(super) async fn entities_by_natural_key(&self, absent: &[usize]) -> Result<Hits, Error> {
        let mut by_client_id: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_name: HashMap<(Uuid, String), Vec<usize>> = HashMap::new();
        for (index, declared) in self.sought(absent) {
            let Some((client_id, name, entity_type)) = declared.read(|desired| {
                let text = |name: &str| desired.fields.get(name).and_then(Value::as_str).map(str::to_owned);
                (text("clientId"), text("name"), desired.entity_type.clone())
            }) else {
                continue;
            };
            let standing = entity_type.and_then(|found| self.sink().standing(&found));
            match (client_id, name, standing) {
                (Some(client_id), ..) => by_client_id.entry(client_id).or_default().push(index),
                // A type that does not exist yet has no entities.
                (None, Some(name), Some(standing)) if standing.live => {
                    by_name.entry((standing.id, name)).or_default().push(index);
                }
                _ => {}
            }
        }
        if by_client_id.is_empty() && by_name.is_empty() {
            return Ok(Hits::new());
        }
        let spoken_for = self.spoken_for(Kind::Entity);
        let mut found_by_client_id = Hits::new();
        let mut found_by_name = Hits::new();
        self.client.flush_entity_search().await?;
        let row = |hit: EntityHit| {
            if spoken_for.contains(&hit.id) {
                return;
            }
            let client_id = hit.client_id.as_ref().and_then(|client_id| by_client_id.get(client_id));
            for index in client_id.into_iter().flatten() {
                found_by_client_id.entry(*index).or_default().insert(hit.id);
            }
            let named = hit.entity_type.and_then(|found| found.id).map(|id| (id, hit.name));
            for index in named.and_then(|named| by_name.get(&named)).into_iter().flatten() {
                found_by_name.entry(*index).or_default().insert(hit.id);
            }
        };
        self.client.search_entities(&entities::all(), row).await?;
        // Names are not unique (wire notes §5): several of one name are nobody's in particular.
        found_by_name.retain(|_, ids| ids.len() == 1);
        found_by_client_id.extend(found_by_name);
        Ok(found_by_client_id)
    }

    /// An entity type by its name, a lambda by name and type when they are unique.
    pub(super) fn listed_by_name<'o>(
        &self,
        index: usize,
        all: &'o [Object],
        taken: &HashSet<Uuid>,
    ) -> Option<&'o Object> {
        let absent = [index];
        let (_, declared) = self.sought(&absent).next()?;
        let names = match declared.address.kind {
            Kind::Lambda => &["name", "type"][..],
            _ => &["name"][..],
        };
        let fields: Vec<(&str, Value)> = declared.read(|desired| {
            let field = |name: &&'static str| Some((*name, desired.fields.get(*name)?.clone()));
            names.iter().map(field).collect::<Option<_>>()
        })??;
        let same = |object: &&Object| {
            let free = rows::uuid(object, "id").is_some_and(|id| !taken.contains(&id));
            free && fields.iter().all(|(name, value)| object.get(*name) == Some(value))
        };
        let mut hits = all.iter().filter(same);
        hits.next().filter(|_| hits.next().is_none())
    }
}
