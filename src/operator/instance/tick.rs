//! An instance's tick: reads what is due in pages and has those objects reconciled that differ. What is as declared costs
//! its share of a page and nothing more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::manifest::Object;
use crate::model::{Address, Kind};

use super::batch::plan;
use super::connect::not_connected;
use super::task::Task;

/// How many objects of one kind are compared at a time.
const CHUNK: usize = 2000;

impl Task {
    pub(super) async fn tick(&mut self) {
        self.stalled_kinds.clear();
        self.tell_count();
        if self.connected.is_none() || self.declared.spec.suspend || !self.keys_stand().await {
            return;
        }
        let now = Instant::now();
        let with_links = now >= self.links_due;
        if with_links {
            self.links_due = now + self.link_interval();
        }
        if let (Some(ledger), Some(connected)) = (&mut self.ledger, &self.connected)
            && let Err(error) = ledger.refresh(&connected.record).await
        {
            return self.lost(not_connected(&error.into()));
        }
        let differing = match self.compare(with_links).await {
            Ok(differing) => differing,
            Err(error) => return self.lost(not_connected(&error)),
        };
        self.wake_held();
        if !differing.is_empty() {
            tracing::info!(objects = differing.len(), "objects differ");
        }
        let former = self.former().into_keys().filter(|former| self.known.contains_key(former));
        let others = self.unsettled.iter().cloned().chain(former).filter(|address| {
            with_links || !matches!(address.kind, Kind::EntityGrant | Kind::IdentityProviderLink)
        });
        self.wakes.objects(differing.into_iter().chain(others).collect::<BTreeSet<_>>());
    }

    /// Deletions that were held go on once those before them are an hour old.
    fn wake_held(&mut self) {
        let known = self.objects(std::iter::empty());
        let limit = self.declared.spec.guards.max_deletes.0;
        if self.deletions.passes(known, limit, Instant::now()) {
            self.wakes.objects(self.deletions.waiting().cloned());
        }
    }

    /// Secrets may have changed since they were read.
    async fn keys_stand(&mut self) -> bool {
        match self.environment.keys(&self.key, &self.declared.spec).await {
            Ok(keys) if self.connected.as_ref().is_some_and(|connected| connected.keys == keys) => true,
            Ok(_) => {
                tracing::info!("the keys changed");
                self.redial().await;
                self.connected.is_some()
            }
            Err(error) => {
                // A key that was taken away is not used any longer, though it is still known.
                self.lost(error);
                false
            }
        }
    }

    /// Plans all that is due, kind by kind, and keeps what has something to do.
    async fn compare(&mut self, with_links: bool) -> Result<Vec<Address>, crate::engine::error::Error> {
        let mut differing = Vec::new();
        let former = self.former();
        for kind in Kind::OBJECTS {
            let pair = matches!(kind, Kind::EntityGrant | Kind::IdentityProviderLink);
            if pair && !with_links {
                continue;
            }
            let is_due =
                |object: &Object| object.address.kind == kind && !former.contains_key(&object.address);
            let due: Vec<Arc<Object>> =
                self.known.values().filter(|object| is_due(object)).cloned().collect();
            for chunk in due.chunks(CHUNK) {
                let targets = chunk.iter().map(|object| object.address.clone()).collect();
                let objects = self.with_references(chunk);
                let (Some(connected), Some(ledger)) = (&self.connected, &self.ledger) else {
                    return Ok(differing);
                };
                let loaded = ledger.loaded();
                let options = self.plan_options(targets);
                let planned = plan(self.sources(connected, loaded), objects, &options).await;
                let planned = match planned {
                    Err(crate::engine::error::Error::Api(error)) if error.is_unauthorized() => {
                        self.stalled_kinds.insert(kind, super::batch::not_permitted(&error));
                        differing.extend(chunk.iter().map(|object| object.address.clone()));
                        continue;
                    }
                    other => other?,
                };
                differing.extend(planned.changes.iter().map(|change| change.address.clone()));
                differing.extend(planned.withheld.iter().map(|withheld| withheld.address.clone()));
                differing.extend(planned.errors.iter().filter_map(|problem| problem.address.clone()));
            }
        }
        Ok(differing)
    }

    /// The objects and the declared ones that they refer to.
    fn with_references(&self, objects: &[Arc<Object>]) -> Vec<Object> {
        let mut all: std::collections::BTreeMap<&Address, &Arc<Object>> = std::collections::BTreeMap::new();
        let mut next: Vec<&Arc<Object>> = objects.iter().collect();
        while let Some(object) = next.pop() {
            if all.insert(&object.address, object).is_none() {
                let references = crate::engine::references::declared(object);
                next.extend(references.iter().filter_map(|address| self.known.get(address)));
            }
        }
        all.into_values().map(|object| (**object).clone()).collect()
    }
}
