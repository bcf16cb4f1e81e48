//! The end of an object: by its deletion policy, held, or let go. What it takes is read from the stored spec by itself, so
//! that an object whose spec is refused for another reason ends by its policy too.

use std::time::Duration;

use kube::runtime::controller::Action;

use crate::model::{Deletion, Kind, Policy};

use super::conditions::Verdict;
use super::instance::{Answer, InstanceKey, Item, Permit, Work};
use super::objects::{Ended, Told, Turn, uses};
use super::resource::{FINALIZER, Resource};
use super::wake::On;
use super::writer::is_unwritable;

/// Between attempts at an object that the API server lets nobody change.
const STUCK: Duration = Duration::from_secs(300);

/// What an object's end depends on.
pub(super) struct Parting {
    pub(super) instance: InstanceKey,
    pub(super) policy: Policy,
    pub(super) suspended: bool,
}

impl Parting {
    /// None where it cannot be told: nothing is deleted by a guess.
    pub(super) fn of(resource: &Resource, kind: Kind) -> Option<Self> {
        let spec = resource.spec_value();
        let fields = spec.as_object()?;
        let policy = match fields.get("policy").filter(|policy| !policy.is_null()) {
            Some(policy) => serde_json::from_value(policy.clone()).ok()?,
            None => Policy::default(),
        };
        let suspended = fields.get("suspend").is_some_and(|suspend| suspend == true);
        Some(Parting { instance: uses(resource, kind)?, policy, suspended })
    }
}

impl Turn<'_> {
    /// Ends an object by its deletion policy.
    pub(super) async fn delete(&self, permit: Option<Permit>) -> Ended {
        if !self.resource.has_finalizer(FINALIZER) {
            self.gone();
            return Ok(("Deleted", Action::await_change()));
        }
        let Some(parting) = Parting::of(self.resource, self.kind) else {
            return self.let_go("its policy or its instance cannot be read").await;
        };
        let instance = &parting.instance;
        let terminating = self.context.is_terminating(&self.address.namespace);
        self.context.wakes.wait(On::Instance(instance.clone()), self.address);
        self.context.wakes.wait(On::Namespace(self.address.namespace.clone()), self.address);
        let Some(handle) = self.context.instances.used_by(instance, self.address) else {
            return self.delete_without(instance, terminating).await;
        };
        if self.may_use(instance).is_err() {
            handle.forget(self.address.clone());
            return self.let_go("it may not use its instance any more").await;
        }
        if parting.suspended && !terminating {
            return self.hold("Suspended", "the deletion waits: spec.suspend".to_owned()).await;
        }
        let orphan = parting.policy.deletion(self.kind) == Deletion::Orphan;
        let work = Work::Delete { policy: parting.policy };
        let mut permit = self.permitted(permit, &handle).await;
        let answer = handle.ask(Item { address: self.address.clone(), work }, &mut permit).await;
        match answer {
            Answer::Gone { changed } => self.ended(changed).await,
            // A namespace that ends takes everything along; what cannot be deleted any more is let go.
            other if terminating => self.let_go(&format!("its namespace ends; {}", other.word())).await,
            Answer::Unavailable { .. } if handle.state().key_missing => {
                self.let_go("the instance has no key any more").await
            }
            Answer::Suspended if orphan => self.let_go("its instance is suspended").await,
            other => self.deletion_waits(other).await,
        }
    }

    /// There is no way to the instance: it is gone, has not had its first turn, or is none that can be used.
    async fn delete_without(&self, instance: &InstanceKey, terminating: bool) -> Ended {
        if self.context.stores.get(&instance.address()).is_none() {
            return self.let_go("its instance is gone").await;
        }
        self.context.wakes.told(instance);
        if self.context.instances.has_had_a_turn(instance) {
            if terminating {
                return self.let_go("its namespace ends; its instance cannot be used").await;
            }
            let message = format!("the deletion waits for {instance}, which cannot be used");
            self.tell(&Verdict::reconciling("InstanceNotReady", message), Told::nothing()).await?;
        }
        Ok(("InstanceNotReady", Action::await_change()))
    }

    async fn ended(&self, changed: bool) -> Ended {
        if changed {
            self.context.writer.event(self.resource, self.kind, "Deleted", "by its deletion policy").await;
            self.log("Deleted");
        }
        self.leave("Deleted").await
    }

    async fn deletion_waits(&self, answer: Answer) -> Ended {
        let again = || Action::requeue(self.context.backoff.next(self.address));
        match answer {
            Answer::Held { message } => self.hold("DeletionHeld", message).await,
            Answer::Unavailable { reason, message } => {
                let message = format!("the deletion waits: {message}");
                self.tell(&Verdict::reconciling(reason, message), Told::nothing()).await?;
                Ok(("InstanceNotReady", again()))
            }
            Answer::Refused { message, .. } => {
                let message = format!("the deletion waits: {message}");
                let told = Told::new("Refused", message.clone());
                self.tell(&Verdict::stalled("DeletionRefused", message), told).await?;
                Ok(("Refused", again()))
            }
            Answer::Failed { message } | Answer::Dependency { message, .. } => {
                let message = format!("the deletion is tried again: {message}");
                let told = Told::new("Failed", message.clone());
                self.tell(&Verdict::reconciling("Failed", message), told).await?;
                Ok(("Failed", again()))
            }
            _ => self.hold("Suspended", "the deletion waits: its instance is suspended".to_owned()).await,
        }
    }

    async fn hold(&self, reason: &'static str, message: String) -> Ended {
        let told =
            if reason == "DeletionHeld" { Told::new("Refused", message.clone()) } else { Told::nothing() };
        self.tell(&Verdict::stalled(reason, message), told).await?;
        Ok(("DeletionHeld", Action::await_change()))
    }

    /// Lets the live object stand as it is. Its id is in the log, for whoever wants it back.
    async fn let_go(&self, why: &str) -> Ended {
        let status = self.status();
        let id = status.id.as_deref().unwrap_or("unknown");
        tracing::warn!(object = %self.address, instance = self.instance(), id, why, "let go: the live object stays as it is");
        self.leave("LetGo").await
    }

    /// Takes the finalizer off: all that was to be done is done.
    async fn leave(&self, word: &'static str) -> Ended {
        match self.context.writer.finalizer(self.resource, self.kind, false).await {
            Err(error) if is_unwritable(&error) => {
                let uid = self.resource.metadata.uid.as_deref().unwrap_or_default();
                if self.context.is_stuck(uid) {
                    let way_out = "its finalizer cannot be taken off: the API server takes no change of what was stored with \
                                   other types; the chart's README tells the way out";
                    tracing::error!(object = %self.address, instance = self.instance(), %error, way_out, "it cannot go");
                    self.context.writer.event(self.resource, self.kind, "Failed", way_out).await;
                }
                Ok(("Failed", Action::requeue(STUCK)))
            }
            answer => {
                answer?;
                self.gone();
                Ok((word, Action::await_change()))
            }
        }
    }

    pub(super) fn gone(&self) {
        self.context.backoff.reset(self.address);
        self.context.object_is_gone(self.address);
    }
}
