//! What the record asks of groups (wire notes §14), and FusionAuth as what answers.
//!
//! A trait, so that the protocol above it can be run against a store whose delays, losses and orders a test
//! decides.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;
use uuid::Uuid;

use crate::fusionauth::{Client, Error, ErrorKind, Method, Object, Purpose, groups};
use crate::model::Fields;

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub id: Uuid,
    pub name: String,
    pub data: Fields,
    /// `lastUpdateInstant`, in milliseconds by the server's clock.
    pub last_update: i64,
}

/// How a create ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Created,
    /// The id or the name is taken.
    Exists,
}

/// Groups of one tenant.
pub trait GroupStore: Send + Sync {
    /// The groups whose name matches, `*` standing for anything. Perhaps more than match.
    fn search<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>>;
    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Group>, Error>>;
    /// Only one of several creates of one id can succeed.
    fn create<'a>(&'a self, id: Uuid, name: &'a str, data: Fields) -> BoxFuture<'a, Result<Created, Error>>;
    /// Replaces name and data, and so moves `last_update`. False: there is no such group.
    fn replace<'a>(&'a self, id: Uuid, name: &'a str, data: Fields) -> BoxFuture<'a, Result<bool, Error>>;
    /// Deletes it, if it is there.
    fn delete(&self, id: Uuid) -> BoxFuture<'_, Result<(), Error>>;
    /// The server's clock, in milliseconds; none when its answers do not say.
    fn server_now(&self) -> Option<i64>;
    /// The longest that one request can take.
    fn longest_request(&self) -> Duration;
}

/// Groups in FusionAuth, in the tenant of the client.
#[derive(Clone, Debug)]
pub struct ClientGroups {
    client: Client,
}

impl ClientGroups {
    pub fn new(client: &Client, purpose: Purpose) -> Self {
        ClientGroups { client: client.for_purpose(purpose) }
    }

    async fn created(&self, id: Uuid, name: &str, data: Fields) -> Result<Created, Error> {
        match self.client.execute(&groups::create(id, body(name, data))).await {
            Ok(_) => Ok(Created::Created),
            Err(error) if error.is_duplicate().is_some() || error.is_conflict() => Ok(Created::Exists),
            Err(error) if matches!(error.kind(), ErrorKind::CreateDiffers { .. }) => Ok(Created::Exists),
            Err(error) => Err(error),
        }
    }
}

fn body(name: &str, data: Fields) -> Value {
    // Not by `json!`, which would copy a shard.
    let group = [("name".to_owned(), name.into()), ("data".to_owned(), Value::Object(data))];
    let group = Value::Object(group.into_iter().collect());
    Value::Object([("group".to_owned(), group)].into_iter().collect())
}

fn group(mut object: Object) -> Option<Group> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let (id, name) = (text("id")?.parse().ok()?, text("name")?.to_owned());
    let last_update = object.get("lastUpdateInstant").and_then(Value::as_i64)?;
    let data = match object.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Fields::new(),
    };
    Some(Group { id, name, data, last_update })
}

fn group_or_error(object: Object) -> Result<Group, Error> {
    group(object).ok_or_else(|| {
        let kind = ErrorKind::UnexpectedShape("a group without id, name or lastUpdateInstant".to_owned());
        Error::new(&Method::GET, "/api/group/{groupId}", kind)
    })
}

impl GroupStore for ClientGroups {
    fn search<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>> {
        // The newest first, so that no page boundary hides it.
        let found = self.client.search_groups(name, "insertInstant DESC");
        async { found.await?.into_iter().map(group_or_error).collect() }.boxed()
    }

    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Group>, Error>> {
        async move { self.client.group(id).await?.map(group_or_error).transpose() }.boxed()
    }

    fn create<'a>(&'a self, id: Uuid, name: &'a str, data: Fields) -> BoxFuture<'a, Result<Created, Error>> {
        self.created(id, name, data).boxed()
    }

    fn replace<'a>(&'a self, id: Uuid, name: &'a str, data: Fields) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            match self.client.execute(&groups::put(id, body(name, data))).await {
                Ok(_) => Ok(true),
                Err(error) if error.is_not_found() => Ok(false),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn delete(&self, id: Uuid) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            match self.client.execute(&groups::delete(id)).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn server_now(&self) -> Option<i64> {
        self.client.server_now().map(jiff::Timestamp::as_millisecond)
    }

    fn longest_request(&self) -> Duration {
        self.client.longest_attempt(&groups::delete(Uuid::nil()))
    }
}
