//! The way out of everything: takes our finalizers off, without FusionAuth, so that objects and namespaces can go when the
//! operator cannot work any more.

use kube::api::{Api, ListParams};
use kube::{Client, Config};

use crate::model::Kind;

use super::resource::Resource;
use super::run::OperatorError;
use super::writer::Writer;

/// How many objects are listed at a time.
const PAGE: u32 = 500;

/// Takes our finalizer off every object of every kind in these namespaces, all when there are none. The names of those
/// that had it.
///
/// # Errors
/// There is no cluster, or its API server refuses.
pub async fn release_finalizers(namespaces: &[String]) -> Result<Vec<String>, OperatorError> {
    let config = Config::infer().await.map_err(Box::new)?;
    let client = Client::try_from(config)?;
    let writer = Writer::new(client.clone(), "release-finalizers", false);
    let mut released = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::PlanApproval) {
        let apis: Vec<Api<Resource>> = if namespaces.is_empty() || kind == Kind::ClusterFusionAuthInstance {
            // An instance of the cluster is not let go for the sake of one namespace.
            if !namespaces.is_empty() {
                continue;
            }
            vec![Api::all_with(client.clone(), &kind)]
        } else {
            let one = |name: &String| Api::namespaced_with(client.clone(), name, &kind);
            namespaces.iter().map(one).collect()
        };
        for api in apis {
            release(&writer, &api, kind, &mut released).await?;
        }
    }
    Ok(released)
}

async fn release(
    writer: &Writer,
    api: &Api<Resource>,
    kind: Kind,
    released: &mut Vec<String>,
) -> Result<(), OperatorError> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await?;
        for object in list.items.iter().filter(|object| object.has_finalizer()) {
            writer.finalizer(object, kind, false).await?;
            released.push(match object.namespace().is_empty() {
                true => format!("{kind}/{}", object.name()),
                false => format!("{kind}/{}/{}", object.namespace(), object.name()),
            });
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}
