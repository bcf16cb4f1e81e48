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
}

impl Writer {
    pub fn new(client: Client, pod: &str, cluster_events: bool) -> Self {
        let reporter = Reporter { controller: "fusionkeep".to_owned(), instance: Some(pod.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter);
        Writer { client, recorder, cluster_events }
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

    /// Adds our finalizer, or takes it away, keeping others'.
    ///
    /// # Errors
    /// As `status`; a finalizer list that changed meanwhile is a conflict.
    pub async fn finalizer(&self, object: &Resource, kind: Kind, hold: bool) -> Result<(), kube::Error> {
        if object.has_finalizer() == hold {
            return Ok(());
        }
        let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|name| name != FINALIZER);
        if hold {
            finalizers.push(FINALIZER.to_owned());
        }
        // A merge-patch with the version: it replaces the list, so it must be the list that was seen.
        let patch = json!({
            "metadata": {
                "finalizers": finalizers, "uid": object.metadata.uid,
                "resourceVersion": object.metadata.resource_version,
            }
        });
        self.merge(object, kind, &patch).await
    }

    /// Removes an annotation.
    ///
    /// # Errors
    /// As `status`.
    pub async fn remove_annotation(
        &self,
        object: &Resource,
        kind: Kind,
        annotation: &str,
    ) -> Result<(), kube::Error> {
        let annotations = BTreeMap::from([(annotation, Value::Null)]);
        let patch = json!({ "metadata": { "annotations": annotations, "uid": object.metadata.uid } });
        self.merge(object, kind, &patch).await
    }

    async fn merge(&self, object: &Resource, kind: Kind, patch: &Value) -> Result<(), kube::Error> {
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api(object, kind);
        gone(api.patch_metadata(object.name(), &parameters, &Patch::Merge(patch)).await.map(drop))
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

/// At most `length` bytes, whole characters.
fn cut(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
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
