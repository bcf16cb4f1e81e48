//! What a saved plan takes for itself and somebody else may have taken since: sign-in names, accounts at identity
//! providers, names of entity types, client ids. FusionAuth refuses the write either way; that it will is said before
//! anything is written.

use std::collections::{BTreeSet, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use uuid::Uuid;

use crate::fusionauth::{Client, Error, Object, entities};
use crate::model::Kind;
use crate::reconcile::{Change, Key, Problem, Shown};

use super::super::observe::{SignIn, holders};
use super::super::rows::{text, uuid};
use super::Apply;
use super::change::{keys_before, moved};

const AT_ONCE: usize = 64;

impl Apply<'_> {
    /// What somebody whom the plan does not speak of holds by now.
    pub(super) async fn taken(&self, client: &Client) -> Result<Vec<Problem>, Error> {
        let changes = &self.plan.changes;
        let ours: HashSet<(Kind, Key)> = changes.iter().flat_map(keys_before).collect();
        let mut problems = self.taken_sign_ins(client, &ours).await?;
        problems.extend(taken_accounts(client, changes, &ours).await?);
        for (kind, field) in [(Kind::EntityType, "name"), (Kind::Entity, "clientId")] {
            let wanted: Vec<(&Change, &str)> = wanted(changes, kind, field).collect();
            if wanted.is_empty() {
                continue;
            }
            let others = |row: &Object| uuid(row, "id").filter(|id| !ours.contains(&(kind, Key::Id(*id))));
            for (id, value) in
                all(client, kind).await?.iter().filter_map(|row| Some((others(row)?, text(row, field)?)))
            {
                let taking = wanted.iter().filter(|(_, wanted)| **wanted == *value);
                problems.extend(taking.map(|(change, _)| held(change, field, kind, id)));
            }
        }
        Ok(problems)
    }

    async fn taken_sign_ins(
        &self,
        client: &Client,
        ours: &HashSet<(Kind, Key)>,
    ) -> Result<Vec<Problem>, Error> {
        let mut taking: Vec<(&Change, SignIn)> = Vec::new();
        for field in ["email", "username", "phoneNumber"] {
            let wanted = wanted(&self.plan.changes, Kind::User, field);
            taking.extend(wanted.filter_map(|(change, text)| Some((change, SignIn::in_field(field, text)?))));
        }
        let names: HashSet<SignIn> = taking.iter().map(|(_, name)| name.clone()).collect();
        let mut problems = Vec::new();
        for (name, id) in holders(client, self.session.version(), names).await? {
            if !ours.contains(&(Kind::User, Key::Id(id))) {
                let taking = taking.iter().filter(|(_, taken)| *taken == name);
                problems.extend(taking.map(|(change, _)| held(change, name.field(), Kind::User, id)));
            }
        }
        Ok(problems)
    }
}

/// The changes that give an object another value of this field, with the value.
fn wanted<'a>(
    changes: &'a [Change],
    kind: Kind,
    field: &'a str,
) -> impl Iterator<Item = (&'a Change, &'a str)> {
    let of_kind = changes.iter().filter(move |change| change.kind() == kind && !change.calls.is_empty());
    of_kind.filter_map(move |change| {
        let found = change.fields.iter().find(|found| &*found.path == field)?;
        match &found.after {
            Shown::Value(Value::String(value)) => Some((change, value.as_str())),
            _ => None,
        }
    })
}

async fn all(client: &Client, kind: Kind) -> Result<Vec<Object>, Error> {
    if kind == Kind::EntityType {
        return client.entity_types().await.map(|types| types.to_vec());
    }
    let mut rows = Vec::new();
    client.flush_entity_search().await?;
    client.search_entities(&entities::all(), |row: Object| rows.push(row)).await?;
    Ok(rows)
}

/// Accounts at identity providers that are linked to somebody else by now.
async fn taken_accounts(
    client: &Client,
    changes: &[Change],
    ours: &HashSet<(Kind, Key)>,
) -> Result<Vec<Problem>, Error> {
    let kind = Kind::IdentityProviderLink;
    let linking = changes.iter().filter(|change| change.kind() == kind && change.fingerprint.is_none());
    let accounts: BTreeSet<(Uuid, &str)> = linking
        .clone()
        .filter_map(|change| match &change.key {
            Key::Link { identity_provider, identity_provider_user_id, .. } => {
                Some((*identity_provider, identity_provider_user_id.as_str()))
            }
            _ => None,
        })
        .filter(|(_, account)| !account.is_empty())
        .collect();
    let ask = |(provider, account): (Uuid, &str)| {
        let account = account.to_owned();
        async move {
            let link = client.link(provider, &account).await?;
            let user = link.as_ref().and_then(|link| uuid(link, "userId"));
            Ok::<_, Error>(user.map(|user| (provider, account, user)))
        }
    };
    let found: Vec<_> = stream::iter(accounts).map(ask).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut problems = Vec::new();
    for (identity_provider, identity_provider_user_id, user) in found.into_iter().flatten() {
        let holding = Key::Link { identity_provider, identity_provider_user_id, user };
        let taking =
            linking.clone().filter(|change| super::super::record::same_object(&change.key, &holding));
        if !ours.contains(&(kind, holding.clone())) {
            problems.extend(taking.map(|change| {
                moved(change, &format!("the account is linked to the live User {user} by now"))
            }));
        }
    }
    Ok(problems)
}

fn held(change: &Change, field: &str, kind: Kind, id: Uuid) -> Problem {
    moved(change, &format!("its {field} is held by the live {kind} {id} by now"))
}
