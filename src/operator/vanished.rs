//! Objects that went past their finalizer. The API server decides on a deletion by the version that it read first, so that a
//! finalizer which arrives at the same moment holds nothing: the object is gone, and what was created for it is nobody's.
//! Such an object ends by its policy all the same, by what was seen of it last. One whose finalizer was taken off is
//! another matter: whoever did that wants FusionAuth left as it is.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Kind;

use super::context::{Backoff, Context, instance_key};
use super::instance::{Answer, Item, Work};
use super::objects::Turn;
use super::parting::Parting;
use super::resource::{FINALIZER, Resource};

/// How often it is tried: there is no object any more that could say that it waits.
const ATTEMPTS: usize = 12;

/// An object was seen to be gone: nobody waits for it any more. One without a finalizer goes without a turn of its own.
pub fn seen(context: &Arc<Context>, kind: Kind, resource: &Resource) {
    context.object_is_gone(&resource.address(kind));
    if !kind.is_object() {
        let key = instance_key(kind, resource);
        context.instances.remove(&key);
        context.wakes.instance(&key);
        return;
    }
    if !resource.has_finalizer(FINALIZER) {
        return;
    }
    end(context, kind, resource);
}

/// Ends, beside the reconciles, what was done for an object that is gone.
pub fn end(context: &Arc<Context>, kind: Kind, resource: &Resource) {
    let (context, resource) = (context.clone(), resource.clone());
    // It ends with the process at the latest; a lost lease lets it write nothing.
    tokio::spawn(async move {
        let address = resource.address(kind);
        Turn { kind, address: &address, resource: &resource, context: &context }.end_vanished().await;
    });
}

impl Turn<'_> {
    /// Whether it is still this object that stands in the cluster.
    pub(super) fn is_there(&self) -> bool {
        let found = self.context.stores.get(self.address);
        found.is_some_and(|found| found.metadata.uid == self.resource.metadata.uid)
    }

    async fn end_vanished(&self) {
        // For the waits between attempts alone: the object's own has gone with it.
        let backoff = Backoff::default();
        for _ in 0..ATTEMPTS {
            // A namesake that came after it goes on with the same live object.
            if self.context.stores.get(self.address).is_some_and(|found| !found.is_deleted()) {
                return;
            }
            match self.ask_to_end().await {
                Ok(changed) => {
                    if changed {
                        self.log("Deleted");
                    }
                    self.context.object_is_gone(self.address);
                    return;
                }
                Err(Some(why)) => {
                    tracing::debug!(object = %self.address, why, "gone past its finalizer; its end is tried again");
                }
                Err(None) => break,
            }
            tokio::time::sleep(backoff.next(self.address).max(Duration::from_secs(1))).await;
        }
        self.context.object_is_gone(self.address);
        let id = self.status().id;
        tracing::warn!(
            object = %self.address,
            instance = self.instance(),
            id,
            "gone past its finalizer, and not ended: the live object, if there is one, stays as it is"
        );
    }

    /// Whether something was deleted; else why not yet, or nothing when it will not be.
    async fn ask_to_end(&self) -> Result<bool, Option<String>> {
        let parting = Parting::of(self.resource, self.kind).ok_or(None)?;
        let handle = self.context.instances.handle(&parting.instance).ok_or(None)?;
        if self.may_use(&parting.instance).is_err() || parting.suspended {
            return Err(None);
        }
        let mut permit = handle.enter(self.kind).await;
        let work = Work::Delete { policy: parting.policy };
        match handle.ask(Item { address: self.address.clone(), work }, &mut permit).await {
            Answer::Gone { changed } => Ok(changed),
            Answer::Unavailable { message, .. }
            | Answer::Failed { message }
            | Answer::Held { message }
            | Answer::Dependency { message, .. } => Err(Some(message)),
            _ => Err(None),
        }
    }
}
