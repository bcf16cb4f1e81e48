//! Writes to the API server: statuses and annotations by server-side apply and merge-patch under our own field manager,
//! finalizers, events. Nothing is written that stands there already.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::{API_VERSION, Kind};

use super::crd::immutable;
use super::resource::{FINALIZER, Resource};

/// Our field manager.
pub const MANAGER: &str = "fusionkeep";
/// The longest note of an event, in bytes (events.k8s.io allows 1 kB).
const LONGEST_NOTE: usize = 1000;

/// Writes to the API server.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    recorder: Recorder,
    /// Events of cluster-scoped objects stand in the namespace `default`, which a scoped operator may not write.
    cluster_events: bool,
    /// By which this operator holds a ClusterFusionAuthInstance, which others may use too.
    cluster_finalizer: String,
}

impl Writer {
    pub fn new(client: Client, pod: &str, cluster_events: bool, cluster_finalizer: String) -> Self {
        let reporter = Reporter { controller: "fusionkeep".to_owned(), instance: Some(pod.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter);
        Writer { client, recorder, cluster_events, cluster_finalizer }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The API of an object's kind and namespace.
    pub fn api(&self, object: &Resource, kind: Kind) -> Api<Resource> {
        match object.metadata.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        }
    }

    /// Applies a status; the version of the object then. An object that is gone meanwhile needs none.
    ///
    /// # Errors
    /// The API server refuses or cannot be reached.
    pub async fn status<S: Serialize + Sync>(
        &self,
        object: &Resource,
        kind: Kind,
        status: &S,
    ) -> Result<Option<String>, kube::Error> {
        let patch = json!({
            "apiVersion": API_VERSION,
            "kind": kind.as_str(),
            // The uid keeps the status from a namesake that came after the object.
            "metadata": { "name": object.name(), "uid": object.metadata.uid },
            "status": status,
        });
        let parameters = PatchParams::apply(MANAGER).force();
        let api = self.api(object, kind);
        let answer = api.patch_status(object.name(), &parameters, &Patch::Apply(&patch)).await;
        gone(answer.map(|object| object.metadata.resource_version))
    }

    /// Adds our finalizer, or takes it away, keeping others'. Whether the object is still there: of one that is gone nothing
    /// may be begun, for nobody would end it.
    ///
    /// # Errors
    /// As `status`; a finalizer list that changed meanwhile is a conflict.
    pub async fn finalizer(&self, object: &Resource, kind: Kind, hold: bool) -> Result<bool, kube::Error> {
        let finalizer = match kind {
            Kind::ClusterFusionAuthInstance => self.cluster_finalizer.as_str(),
            _ => FINALIZER,
        };
        if object.has_finalizer(finalizer) == hold {
            return Ok(true);
        }
        let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|name| name != finalizer);
        if hold {
            finalizers.push(finalizer.to_owned());
        }
        self.finalizers(object, kind, finalizers).await
    }

    /// Takes away every finalizer of this program, keeping others'.
    ///
    /// # Errors
    /// As `finalizer`.
    pub async fn release(&self, object: &Resource, kind: Kind) -> Result<(), kube::Error> {
        let ours = object.our_finalizers();
        let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|name| !ours.contains(&name.as_str()));
        self.finalizers(object, kind, finalizers).await.map(drop)
    }

    async fn finalizers(
        &self,
        object: &Resource,
        kind: Kind,
        finalizers: Vec<String>,
    ) -> Result<bool, kube::Error> {
        let fewer = finalizers.len() < object.metadata.finalizers.as_ref().map_or(0, Vec::len);
        match self.patch_finalizers(object, kind, finalizers.clone()).await {
            // An object that was edited in etcd to other types: as it stands no change of it is taken, for the rules of its
            // definition cannot be evaluated. What goes is given a spec that bears them, in the same breath.
            Err(error) if fewer && object.is_deleted() && is_unwritable(&error) => {
                let patch = json!([
                    { "op": "test", "path": "/metadata/uid", "value": object.metadata.uid },
                    { "op": "test", "path": "/metadata/resourceVersion", "value": object.metadata.resource_version },
                    { "op": "replace", "path": "/metadata/finalizers", "value": finalizers },
                    { "op": "add", "path": "/spec", "value": last_spec(kind, &object.spec_value()) },
                ]);
                // The first error is the one that tells what is wrong with the object.
                let mended = serde_json::from_value(patch).map(Patch::<Value>::Json);
                let Ok(patch) = mended else { return Err(error) };
                let answer = self.api(object, kind).patch_metadata(object.name(), &manager(), &patch).await;
                is_there(answer).map_err(|_| error)
            }
            answer => answer,
        }
    }

    async fn patch_finalizers(
        &self,
        object: &Resource,
        kind: Kind,
        finalizers: Vec<String>,
    ) -> Result<bool, kube::Error> {
        // A merge-patch with the version: it replaces the list, so it must be the list that was seen.
        let patch = json!({
            "metadata": {
                "finalizers": finalizers, "uid": object.metadata.uid,
                "resourceVersion": object.metadata.resource_version,
            }
        });
        self.merge(object, kind, &patch).await
    }

    /// Writes what is left of an annotation, or removes it.
    ///
    /// # Errors
    /// As `status`; an annotation that a person changed meanwhile is a conflict.
    pub async fn annotation(
        &self,
        object: &Resource,
        kind: Kind,
        annotation: &str,
        left: Option<&str>,
    ) -> Result<(), kube::Error> {
        let annotations = BTreeMap::from([(annotation, left)]);
        // With the version: a number that a person has just written must not be overwritten.
        let patch = json!({
            "metadata": {
                "annotations": annotations, "uid": object.metadata.uid,
                "resourceVersion": object.metadata.resource_version,
            }
        });
        self.merge(object, kind, &patch).await.map(drop)
    }

    async fn merge(&self, object: &Resource, kind: Kind, patch: &Value) -> Result<bool, kube::Error> {
        let api = self.api(object, kind);
        is_there(api.patch_metadata(object.name(), &manager(), &Patch::Merge(patch)).await)
    }

    /// Tells a person. An event that cannot be written stops nothing.
    pub async fn event(&self, object: &Resource, kind: Kind, reason: &str, note: &str) {
        if object.metadata.namespace.is_none() && !self.cluster_events {
            return;
        }
        let warning = matches!(reason, "Refused" | "Failed" | "DriftDetected");
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(cut(note, LONGEST_NOTE).to_owned()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let regarding: ObjectReference = object.object_ref(&kind);
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::warn!(%error, object = %object.address(kind), "an event was not written");
        }
    }
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// Whether the API server cannot take a change of an object as it stands: its field manager fails (500), or a rule of the
/// definition cannot be evaluated or does not bear what stands there (422).
pub fn is_unwritable(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 422 | 500))
}

/// The spec of an object at its very end, valid whatever stood there: a tombstone that names nothing, with the fields that
/// may not change as they are.
fn last_spec(kind: Kind, spec: &Value) -> Value {
    let nothing = json!({ "name": "nothing" });
    let mut last = match kind {
        Kind::FusionAuthInstance | Kind::ClusterFusionAuthInstance => {
            json!({ "url": "https://nothing.invalid" })
        }
        Kind::EntityGrant => json!({ "entity": nothing, "user": nothing }),
        Kind::IdentityProviderLink => {
            json!({ "identityProvider": nothing, "user": nothing, "identityProviderUserId": "nothing" })
        }
        _ => json!({}),
    };
    if kind.is_object() {
        last["policy"] = json!({ "ensure": "Absent" });
    }
    for (field, _) in immutable(kind) {
        if let Some(value) = spec.get(field) {
            last[*field] = value.clone();
        }
    }
    last
}

/// At most `length` bytes, whole characters.
fn cut(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Whether the object was there to be changed.
fn is_there<T>(answer: Result<T, kube::Error>) -> Result<bool, kube::Error> {
    gone(answer.map(|_| true))
}

/// An object that is gone needs nothing more; so does one whose place was taken by a namesake (the uid differs).
fn gone<T: Default>(answer: Result<T, kube::Error>) -> Result<T, kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(T::default()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn notes_end_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 3), "");
    }
}
