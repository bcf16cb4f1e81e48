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

/// What became of the objects that had a finalizer of ours, by name.
#[derive(Debug, Default)]
pub struct Released {
    pub released: Vec<String>,
    /// With what the API server said. The others were not kept waiting.
    pub refused: Vec<(String, String)>,
}

/// Takes our finalizers off every object of every kind in these namespaces, all when there are none.
///
/// # Errors
/// There is no cluster, or its API server cannot be asked.
pub async fn release_finalizers(namespaces: &[String]) -> Result<Released, OperatorError> {
    let config = Config::infer().await.map_err(Box::new)?;
    let client = Client::try_from(config)?;
    let writer = Writer::new(client.clone(), "release-finalizers", false, String::new());
    let mut released = Released::default();
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
    released: &mut Released,
) -> Result<(), OperatorError> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await?;
        for object in list.items.iter().filter(|object| !object.our_finalizers().is_empty()) {
            let name = match object.namespace().is_empty() {
                true => format!("{kind}/{}", object.name()),
                false => format!("{kind}/{}/{}", object.namespace(), object.name()),
            };
            match writer.release(object, kind).await {
                Ok(()) => released.released.push(name),
                Err(kube::Error::Api(status)) => released.refused.push((name, status.message)),
                Err(error) => return Err(error.into()),
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}
