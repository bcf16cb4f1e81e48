//! The reconcile of an instance: judged, its task told, its status and that of its key told.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use kube::runtime::controller::Action;

use crate::manifest::one::{Stored, Typed, stored};
use crate::model::{Kind, SecretSource};

use super::conditions::{Verdict, conditions};
use super::context::{Context, instance_key};
use super::instance::{CONNECTING, Declared, InstanceKey, State};
use super::objects::ReconcileError;
use super::resource::{ALLOW_DELETES, FINALIZER, RECONCILE, Resource, TAKE_OVER};
use super::status::InstanceStatus;

/// Reconciles one instance.
///
/// # Errors
/// The API server refuses or cannot be reached.
pub async fn reconcile(
    kind: Kind,
    resource: Arc<Resource>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let began = Instant::now();
    context.wait_until_seen().await;
    let turn = Turn { kind, key: instance_key(kind, &resource), resource: &resource, context: &context };
    // Boxed, as objects' turns are: a controller reserves the room of its largest reconcile for each.
    let ended = Box::pin(turn.run()).await;
    if context.instances.had_a_turn(&turn.key) {
        context.wakes.instance(&turn.key);
    }
    let (up, down) = context.instances.count();
    context.metrics.instances(up, down);
    let word = if ended.is_ok() { "Reconciled" } else { "Error" };
    context.metrics.reconciled(kind, word, began.elapsed());
    ended.map(|()| Action::await_change())
}

struct Turn<'a> {
    kind: Kind,
    key: InstanceKey,
    resource: &'a Resource,
    context: &'a Context,
}

impl Turn<'_> {
    async fn run(&self) -> Result<(), ReconcileError> {
        let instance = match self.typed() {
            Ok(instance) => instance,
            Err(message) => return self.invalid(message).await,
        };
        let going = self.resource.is_deleted();
        if going && !self.has_users() {
            return self.end().await;
        }
        if !going && self.is_left_to_others() {
            return Ok(());
        }
        if !going {
            self.context.writer.finalizer(self.resource, self.kind, true).await?;
        }
        let allow_deletes = self.allow_deletes().await;
        let declared = Declared {
            spec: instance.spec,
            allow_deletes,
            take_over: self.resource.annotation(TAKE_OVER).is_some(),
            reconcile: self.resource.annotation(RECONCILE).map(str::to_owned),
        };
        let (handle, changed) = self.context.instances.declare(&self.key, declared, instance.allow, going);
        if changed {
            self.context.wakes.instance(&self.key);
        }
        let state = handle.state();
        // A number that a person has written since is another one.
        if let Some((_, left)) = state.deletes_left.filter(|(count, _)| allow_deletes == Some(*count)) {
            let left = (left > 0).then(|| left.to_string());
            self.context.writer.annotation(self.resource, self.kind, ALLOW_DELETES, left.as_deref()).await?;
        }
        if state.taken_over && self.resource.annotation(TAKE_OVER).is_some() {
            self.context.writer.annotation(self.resource, self.kind, TAKE_OVER, None).await?;
        }
        let verdict = match (going, self.context.instances.users(&self.key)) {
            (true, users) => Verdict::reconciling(
                "InUse",
                format!("the deletion waits until no object uses it; {users} do"),
            ),
            (false, _) => state.verdict.clone(),
        };
        self.tell(&verdict, &state).await
    }

    /// The number of deletions that a person lets pass; a text that is none is told.
    async fn allow_deletes(&self) -> Option<u64> {
        let text = self.resource.annotation(ALLOW_DELETES)?;
        let count = text.trim().parse().ok();
        if count.is_none() {
            let note = format!("{ALLOW_DELETES} is the number of deletions that may go on");
            tracing::warn!(instance = %self.key, note, "an annotation is not understood");
            self.context.writer.event(self.resource, self.kind, "Refused", &note).await;
        }
        count
    }

    fn typed(&self) -> Result<crate::manifest::Instance, String> {
        let labels = self.resource.labels();
        let annotations = self.resource.annotations();
        let typed = stored(&Stored {
            kind: self.kind,
            namespace: self.resource.namespace(),
            name: self.resource.name(),
            labels: &labels,
            annotations: &annotations,
            spec: &self.resource.spec,
        });
        match typed {
            Ok(Typed::Instance(instance)) => {
                let sources = [&instance.spec.api_key, &instance.spec.runner_key];
                if sources.into_iter().flatten().any(reads_the_operators_own) {
                    return Err("in a cluster keys come from a secretKeyRef".to_owned());
                }
                Ok(*instance)
            }
            Ok(Typed::Object(_)) => Err("it is no instance".to_owned()),
            Err(errors) => Err(super::objects::told(&errors)),
        }
    }

    async fn invalid(&self, message: String) -> Result<(), ReconcileError> {
        self.context.instances.remove(&self.key);
        if self.resource.is_deleted() {
            return self.end().await;
        }
        let verdict = Verdict::stalled("Invalid", message);
        let state = State::unknown(verdict.clone());
        self.tell(&verdict, &state).await
    }

    /// Whether an object still uses it. What is known by reconciles is asked first; all objects only when that is none.
    fn has_users(&self) -> bool {
        if self.context.instances.is_used(&self.key, |address| self.context.stores.get(address).is_some()) {
            return true;
        }
        Kind::OBJECTS.into_iter().any(|kind| {
            self.context.stores.all(kind).any(|object| {
                object.has_finalizer(FINALIZER)
                    && super::objects::uses(&object, kind).as_ref() == Some(&self.key)
            })
        })
    }

    /// An instance of the cluster of which no object here makes use: other operators may serve other namespaces, and two
    /// of them would write its status in turn.
    fn is_left_to_others(&self) -> bool {
        let is_lent = self.kind == Kind::ClusterFusionAuthInstance && !self.context.serves_all;
        let is_used = || {
            self.context.instances.is_declared(&self.key)
                || Kind::OBJECTS.into_iter().any(|kind| {
                    self.context
                        .stores
                        .all(kind)
                        .any(|object| super::objects::uses(&object, kind).as_ref() == Some(&self.key))
                })
        };
        is_lent && !is_used()
    }

    async fn end(&self) -> Result<(), ReconcileError> {
        self.context.instances.remove(&self.key);
        self.context.writer.finalizer(self.resource, self.kind, false).await?;
        self.context.wakes.instance(&self.key);
        Ok(())
    }

    async fn tell(&self, verdict: &Verdict, state: &State) -> Result<(), ReconcileError> {
        let before: InstanceStatus = self.resource.status();
        // The first attempt has not ended: what was known last is still the best answer.
        if verdict.reason == CONNECTING && before.observed_generation == Some(self.resource.generation()) {
            return Ok(());
        }
        let generation = self.resource.generation();
        let now = Timestamp::now().to_string();
        let status = InstanceStatus {
            observed_generation: Some(generation),
            conditions: conditions(&before.conditions, verdict, generation, &now),
            server_version: state.server_version.clone().or_else(|| before.server_version.clone()),
            tenant_id: state.tenant_id.clone().or_else(|| before.tenant_id.clone()),
            last_handled_reconcile_at: self.resource.annotation(RECONCILE).map(str::to_owned),
            // At a start objects have not been counted yet.
            objects: state.objects.and_then(|count| i64::try_from(count).ok()).or(before.objects),
        };
        if status != before {
            self.context.writer.status(self.resource, self.kind, &status).await?;
        }
        Ok(())
    }
}

fn reads_the_operators_own(source: &SecretSource) -> bool {
    source.from_env.is_some() || source.from_file.is_some()
}
