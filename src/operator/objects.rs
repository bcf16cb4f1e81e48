//! The reconcile of one object: judged, its instance found, its turn asked for, its status told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::controller::Action;

use crate::engine::references;
use crate::manifest::one::{Stored, Typed, stored};
use crate::manifest::{Diagnostic, Object};
use crate::model::{Address, InstanceKind, InstanceReference, Kind, SecretSource, Spec};

use super::conditions::{Verdict, conditions, drift, remember, was_ready};
use super::context::Context;
use super::instance::{Answer, Handle, InstanceKey, Item, Permit, Wanted, Work};
use super::resource::{MOVED_FROM, RECONCILE, Resource};
use super::secrets::config_map_text;
use super::status::{ObjectStatus, PlannedChange};
use super::wake::On;
use super::writer::is_unwritable;
use super::{allow, vanished};

/// The API server refused or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReconcileError(#[from] pub(super) Box<kube::Error>);

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        ReconcileError(Box::new(error))
    }
}

/// Reconciles one object.
///
/// # Errors
/// The API server refuses or cannot be reached.
pub async fn reconcile(
    kind: Kind,
    resource: Arc<Resource>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let began = Instant::now();
    // What an object refers to must have been seen before it is called missing.
    context.wait_until_seen().await;
    let address = resource.address(kind);
    context.metrics.queued(kind);
    let ended = one_turn(kind, &address, resource, &context).await;
    context.metrics.unqueued(kind);
    let word = match &ended {
        Ok((word, _)) => word,
        Err(_) => "Error",
    };
    context.metrics.reconciled(kind, word, began.elapsed());
    ended.map(|(_, action)| action)
}

/// One turn, begun when the instance lets the object in: until then next to nothing is held for it.
async fn one_turn(
    kind: Kind,
    address: &Address,
    mut resource: Arc<Resource>,
    context: &Arc<Context>,
) -> Ended {
    let handle = uses(&resource, kind).and_then(|instance| context.instances.handle(&instance));
    let mut permit = None;
    if let Some(handle) = handle {
        drop(resource);
        permit = Some(handle.enter(kind).await);
        // It may have changed, or ended, while it waited.
        let Some(newest) = context.stores.get(address) else {
            return Ok(("Superseded", Action::await_change()));
        };
        resource = newest;
    }
    // Boxed, so that an object that waits does not hold the room for all that follows.
    Box::pin(async move { Turn { kind, address, resource: &resource, context }.run(permit).await }).await
}

/// An error of the API server: tried again by itself, with patience.
pub fn after_error(kind: Kind, resource: &Resource, error: &ReconcileError, context: &Context) -> Action {
    let address = resource.address(kind);
    let conflict = matches!(&*error.0, kube::Error::Api(status) if status.code == 409);
    if !conflict {
        let instance = uses(resource, kind).map(|instance| instance.to_string());
        tracing::warn!(object = %address, instance, %error, "the API server refuses");
    }
    Action::requeue(context.backoff.next(&address))
}

pub(super) type Ended = Result<(&'static str, Action), ReconcileError>;

/// One object's turn.
pub(super) struct Turn<'a> {
    pub(super) kind: Kind,
    pub(super) address: &'a Address,
    pub(super) resource: &'a Resource,
    pub(super) context: &'a Arc<Context>,
}

impl Turn<'_> {
    async fn run(&self, permit: Option<Permit>) -> Ended {
        if self.resource.is_deleted() {
            return self.delete(permit).await;
        }
        let object = match self.typed() {
            Ok(object) => object,
            Err(message) => return self.invalid(message).await,
        };
        let instance = self.instance_of(&object);
        // An object that is suspended is left as it is, its status too.
        if object.spec.suspend() {
            self.context.forget(self.address);
            return Ok(("Suspended", Action::await_change()));
        }
        self.keep(object, &instance, permit).await
    }

    /// The object as the engine knows it.
    fn typed(&self) -> Result<Object, String> {
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
        let object = match typed {
            Ok(Typed::Object(object)) => *object,
            Ok(Typed::Instance(_)) => return Err("it is no object".to_owned()),
            Err(errors) => return Err(told(&errors)),
        };
        refuse_outside(&object)?;
        Ok(object)
    }

    fn instance_of(&self, object: &Object) -> InstanceKey {
        key_of(object.spec.instance_ref(), &self.address.namespace)
    }

    pub(super) fn status(&self) -> ObjectStatus {
        self.context.written.status(self.address, self.resource)
    }

    /// What cannot be read cannot be reconciled; nothing is done to what stands live.
    async fn invalid(&self, message: String) -> Ended {
        let told = Told::new("Refused", message.clone());
        match self.tell(&Verdict::stalled("Invalid", message.clone()), told).await {
            // The API server itself writes no status of what is not of the schema's types: of an object that was edited
            // in etcd, or is older than its definition. An event can be written still.
            Err(error) if is_unwritable(&error.0) => {
                tracing::warn!(object = %self.address, instance = self.instance(), %error, "its status cannot be written");
                self.context.writer.event(self.resource, self.kind, "Refused", &message).await;
            }
            told => told?,
        }
        Ok(("Refused", Action::await_change()))
    }

    /// The permit, for an instance that was not there yet when the turn began.
    pub(super) async fn permitted(&self, permit: Option<Permit>, handle: &Handle) -> Permit {
        match permit {
            Some(permit) => permit,
            None => handle.enter(self.kind).await,
        }
    }

    /// Reconciles an object that is to be.
    async fn keep(&self, mut object: Object, instance: &InstanceKey, permit: Option<Permit>) -> Ended {
        self.context.wakes.wait(On::Instance(instance.clone()), self.address);
        if let Err(message) = self.stays_inside(&object).and_then(|()| self.may_use(instance)) {
            self.tell(&Verdict::stalled("NotAllowed", message.clone()), Told::new("Refused", message))
                .await?;
            return Ok(("Refused", Action::await_change()));
        }
        let Some(handle) = self.context.instances.used_by(instance, self.address) else {
            return self.without_instance(instance).await;
        };
        let mut permit = self.permitted(permit, &handle).await;
        // Before the first write: what is created must not be lost by a deletion that comes in between.
        if !self.context.writer.finalizer(self.resource, self.kind, true).await? {
            self.gone();
            return Ok(("Superseded", Action::await_change()));
        }
        if let Err(message) = self.fill_body(&mut object).await {
            self.tell(&Verdict::reconciling("DependencyNotReady", message), Told::nothing()).await?;
            return Ok(("DependencyNotReady", Action::requeue(self.context.backoff.next(self.address))));
        }
        let references = match self.references(&object) {
            Ok(references) => references,
            Err(missing) => return self.depend(missing).await,
        };
        let wanted = Wanted {
            references,
            was_ready: was_ready(&self.status(), self.resource.generation()),
            approved: self.context.approvals(self.address),
            object: Arc::new(object),
        };
        let item = Item { address: self.address.clone(), work: Work::Apply(Box::new(wanted)) };
        let answer = handle.ask(item, &mut permit).await;
        if !self.is_there() {
            vanished::end(self.context, self.kind, self.resource);
            return Ok(("Superseded", Action::await_change()));
        }
        self.answered(answer, &handle).await
    }

    async fn without_instance(&self, instance: &InstanceKey) -> Ended {
        // It may be one of the cluster, of which nobody here has made use.
        self.context.wakes.told(instance);
        let is_there = self.context.stores.get(&instance.address()).is_some();
        // At a start objects can come before their instance, whose first turn wakes them. What was as declared is so
        // until the contrary is seen.
        let was_ready = was_ready(&self.status(), self.resource.generation());
        if !is_there || (self.context.instances.has_had_a_turn(instance) && !was_ready) {
            let verdict = Verdict::reconciling("DependencyNotReady", format!("waits for {instance}"));
            self.tell(&verdict, Told::nothing()).await?;
        }
        Ok(("DependencyNotReady", Action::await_change()))
    }

    /// The object takes nothing over from another namespace.
    fn stays_inside(&self, object: &Object) -> Result<(), String> {
        match &object.moved_from {
            Some(former) if former.namespace != self.address.namespace => {
                Err(format!("{MOVED_FROM} names another namespace, whose objects are not this one's"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the object may use the instance.
    pub(super) fn may_use(&self, instance: &InstanceKey) -> Result<(), String> {
        if instance.kind == InstanceKind::FusionAuthInstance {
            return Ok(());
        }
        self.context.wakes.wait(On::Namespace(self.address.namespace.clone()), self.address);
        let Some(allowed) = self.context.allow_list(instance) else { return Ok(()) };
        let labels = self.context.namespace_labels(&self.address.namespace);
        let used = allow::Use { address: self.address, spec: &self.resource.spec_value() };
        allow::judge(&allowed, &used, &labels).map_err(|why| format!("{instance} refuses it: {why}"))
    }

    async fn fill_body(&self, object: &mut Object) -> Result<(), String> {
        self.wait_for_secrets(object);
        let Spec::Lambda(spec) = &object.spec else { return Ok(()) };
        let Some(source) = &spec.body_from else { return Ok(()) };
        let reference = &source.config_map_key_ref;
        let namespace = &self.address.namespace;
        self.context
            .wakes
            .wait(On::ConfigMap(namespace.clone(), reference.name.as_str().into()), self.address);
        let client = self.context.writer.client();
        let text = config_map_text(client, namespace, reference).await.map_err(|error| error.to_string())?;
        if text.trim().is_empty() {
            return Err(format!(
                "the key \"{}\" of the ConfigMap \"{}\" is empty",
                reference.key, reference.name
            ));
        }
        object.lambda_body = Some(text);
        Ok(())
    }

    /// Where Secrets are watched, a change of one that the object names is seen at once.
    fn wait_for_secrets(&self, object: &Object) {
        let Ok(spec) = serde_json::to_value(&object.spec) else { return };
        let mut names = BTreeSet::new();
        secret_names(&spec, &mut names);
        for name in names {
            let on = On::Secret(self.address.namespace.clone(), name.into());
            self.context.wakes.wait(on, self.address);
        }
    }

    /// The declared objects that this one refers to, however far; or those that are not there, or go.
    fn references(&self, object: &Object) -> Result<Vec<Arc<Object>>, Vec<Address>> {
        let mut found: Vec<Arc<Object>> = Vec::new();
        let mut seen = BTreeSet::from([self.address.clone()]);
        let mut missing = Vec::new();
        let mut next = references::declared(object);
        while let Some(address) = next.pop() {
            if !seen.insert(address.clone()) {
                continue;
            }
            let resource = self.context.stores.get(&address).filter(|resource| !resource.is_deleted());
            let turn = resource.as_ref().map(|resource| Turn {
                kind: address.kind,
                address: &address,
                resource,
                context: self.context,
            });
            match turn.and_then(|turn| turn.typed().ok()) {
                Some(object) => {
                    next.extend(references::declared(&object));
                    found.push(Arc::new(object));
                }
                None => missing.push(address),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(missing) }
    }

    async fn depend(&self, missing: Vec<Address>) -> Ended {
        let names: Vec<String> = missing.iter().map(Address::to_string).collect();
        let message = format!("waits for {}", names.join(", "));
        self.answer_dependency(missing, message).await
    }

    async fn answer_dependency(&self, on: Vec<Address>, message: String) -> Ended {
        for address in &on {
            self.context.wakes.wait(On::Object(address.clone()), self.address);
        }
        self.tell(&Verdict::reconciling("DependencyNotReady", message), Told::nothing()).await?;
        // Its arrival wakes this object; should it have arrived in between, the wait is short.
        let action = Action::requeue(self.context.backoff.next(self.address).max(Duration::from_secs(2)));
        Ok(("DependencyNotReady", action))
    }

    /// Tells the answer, and says when to come again.
    async fn answered(&self, answer: Answer, handle: &Handle) -> Ended {
        let word = answer.word();
        let action = match answer {
            Answer::Unchanged { id } => {
                self.ready(Told { id, ..Told::nothing() }).await?;
                Action::await_change()
            }
            Answer::Changed(change) => {
                if change.drift {
                    self.context.metrics.drifted(self.kind);
                }
                let mut message = change.paths.join(", ");
                for note in &change.notes {
                    message = if message.is_empty() { note.clone() } else { format!("{message}; {note}") };
                }
                let id = change.id.clone();
                self.ready(Told { id, ..Told::new(change.outcome(), message) }).await?;
                Action::await_change()
            }
            Answer::Drifted { id, paths } => {
                self.context.metrics.drifted(self.kind);
                let message = format!("others changed {}", paths.join(", "));
                let told = Told { id, drift: paths, ..Told::new("DriftDetected", message) };
                let verdict = Verdict::new(
                    super::conditions::Progress::Ready,
                    "DriftDetected",
                    "policy.drift is Report",
                );
                self.tell(&verdict, told).await?;
                self.context.backoff.reset(self.address);
                Action::await_change()
            }
            Answer::AwaitsApproval { id, hash, diff } => {
                let message = format!("a PlanApproval of {hash} lets it go on");
                let told = Told { id, plan: Some(PlannedChange { hash, diff }), ..Told::nothing() };
                self.tell(&Verdict::reconciling("AwaitsApproval", message), told).await?;
                Action::await_change()
            }
            Answer::Dependency { on, message } => return self.answer_dependency(on, message).await,
            Answer::Refused { reason, message } => {
                let told = Told::new("Refused", message.clone());
                self.tell(&Verdict::stalled(reason, message), told).await?;
                Action::await_change()
            }
            Answer::Failed { message } => {
                let told = Told::new("Failed", message.clone());
                self.tell(&Verdict::reconciling("Failed", message), told).await?;
                Action::requeue(self.context.backoff.next(self.address))
            }
            Answer::Unavailable { reason, message } => {
                self.tell_waiting(reason, message).await?;
                drop(handle.state());
                Action::await_change()
            }
            Answer::Suspended => {
                self.tell_waiting("InstanceSuspended", "its instance is suspended".to_owned()).await?;
                Action::await_change()
            }
            // What is declared takes more away than the guard lets pass.
            Answer::Held { message } => {
                let told = Told::new("Refused", message.clone());
                self.tell(&Verdict::stalled("DeletionHeld", message), told).await?;
                Action::await_change()
            }
            Answer::Gone { .. } => Action::await_change(),
        };
        Ok((word, action))
    }

    /// It waits for its instance. What was as declared is so until the contrary is seen.
    async fn tell_waiting(&self, reason: &'static str, message: String) -> Result<(), ReconcileError> {
        if was_ready(&self.status(), self.resource.generation()) {
            return Ok(());
        }
        self.tell(&Verdict::reconciling(reason, message), Told::nothing()).await
    }

    async fn ready(&self, told: Told) -> Result<(), ReconcileError> {
        self.context.backoff.reset(self.address);
        let absent = self.resource.spec_value()["policy"]["ensure"] == "Absent";
        let message = if absent { "ended, as declared" } else { "live and as declared" };
        self.tell(&Verdict::ready(message), told).await?;
        self.context.wakes.happened(&On::Object(self.address.clone()));
        Ok(())
    }

    /// The name of the object's instance, for the log.
    pub(super) fn instance(&self) -> Option<String> {
        uses(self.resource, self.kind).map(|instance| instance.to_string())
    }

    pub(super) fn log(&self, outcome: &str) {
        tracing::info!(object = %self.address, instance = self.instance(), outcome, "reconciled");
    }

    /// Writes the status once, if it is another, and the event that goes with it.
    pub(super) async fn tell(&self, verdict: &Verdict, told: Told) -> Result<(), ReconcileError> {
        let before = self.status();
        let generation = self.resource.generation();
        let now = Timestamp::now().to_string();
        let mut outcomes = before.outcomes.clone();
        if let Some(outcome) = told.outcome {
            remember(&mut outcomes, outcome, &told.message, &now);
        }
        let news = outcomes != before.outcomes;
        let status = ObjectStatus {
            observed_generation: Some(generation),
            conditions: conditions(&before.conditions, verdict, generation, &now),
            instance: uses(self.resource, self.kind).map(|instance| instance.name.to_string()),
            id: told.id.or_else(|| before.id.clone()),
            last_handled_reconcile_at: self.resource.annotation(RECONCILE).map(str::to_owned),
            drift: drift(before.drift.as_ref(), told.drift, &now),
            plan: told.plan,
            outcomes,
        };
        if status != before {
            let version = self.context.writer.status(self.resource, self.kind, &status).await?;
            self.context.written.put(self.address, version.as_deref(), status);
        }
        if let Some(outcome) = told.outcome.filter(|_| news) {
            self.log(outcome);
            self.context.writer.event(self.resource, self.kind, outcome, &told.message).await;
        }
        Ok(())
    }
}

/// What is wrong with an object, as a status says it.
pub fn told(errors: &[Diagnostic]) -> String {
    let told = errors.iter().map(|error| match &error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message.clone(),
    });
    told.collect::<Vec<_>>().join(". ")
}

fn key_of(reference: Option<&InstanceReference>, namespace: &Arc<str>) -> InstanceKey {
    let kind = reference.and_then(|reference| reference.kind).unwrap_or_default();
    let name = reference.map_or("default", |reference| &reference.name);
    let namespace = match kind {
        InstanceKind::FusionAuthInstance => namespace.clone(),
        InstanceKind::ClusterFusionAuthInstance => "".into(),
    };
    InstanceKey { kind, namespace, name: name.into() }
}

/// The instance that a stored object uses, as far as its spec can be read.
pub fn uses(resource: &Resource, kind: Kind) -> Option<InstanceKey> {
    let spec = resource.spec_value();
    let reference = spec.get("instanceRef").filter(|reference| !reference.is_null());
    let reference: Option<InstanceReference> = match reference {
        Some(reference) => Some(serde_json::from_value(reference.clone()).ok()?),
        None => None,
    };
    Some(key_of(reference.as_ref(), &resource.address(kind).namespace))
}

/// What is told beside the verdict.
pub(super) struct Told {
    outcome: Option<&'static str>,
    message: String,
    id: Option<String>,
    drift: Vec<String>,
    plan: Option<PlannedChange>,
}

impl Told {
    pub(super) fn nothing() -> Self {
        Told { outcome: None, message: String::new(), id: None, drift: Vec::new(), plan: None }
    }

    pub(super) fn new(outcome: &'static str, message: impl Into<String>) -> Self {
        Told { outcome: Some(outcome), message: message.into(), ..Told::nothing() }
    }
}

/// The definitions refuse these; an object that was stored before they did is refused here.
fn refuse_outside(object: &Object) -> Result<(), String> {
    if let Spec::Lambda(spec) = &object.spec
        && spec.body_file.is_some()
    {
        return Err("bodyFile would read the operator's own files; use body or bodyFrom".to_owned());
    }
    match serde_json::to_value(&object.spec) {
        Ok(spec) if reads_the_operators_own(&spec) => {
            Err("fromEnv and fromFile would read the operator's own; use secretKeyRef".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whether a secret's source stands anywhere in a spec that is not a Secret. `data` is FusionAuth's, with any keys.
fn reads_the_operators_own(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(fields) => fields.iter().any(|(name, value)| {
            let own = matches!(name.as_str(), "fromEnv" | "fromFile") && !value.is_null();
            own || (name != "data" && reads_the_operators_own(value))
        }),
        serde_json::Value::Array(items) => items.iter().any(reads_the_operators_own),
        _ => false,
    }
}

/// Names of Secrets anywhere in a spec.
fn secret_names(value: &serde_json::Value, names: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            let source: Option<SecretSource> =
                object.get("secretKeyRef").and_then(|_| serde_json::from_value(value.clone()).ok());
            names.extend(source.and_then(|source| source.secret_key_ref).map(|reference| reference.name));
            object.values().for_each(|value| secret_names(value, names));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| secret_names(value, names)),
        _ => {}
    }
}
