//! A custom resource as the API server holds it. Spec and status are kept as JSON text and judged where they are used, so
//! that one object of an older schema, or one that was edited in etcd, never stops a watch or keeps others from being read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Resource as KubeResource;
use kube::api::ObjectMeta;
use kube::core::DynamicResourceScope;
use kube::runtime::reflector::ObjectRef;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::manifest::is_of_our_group;
use crate::model::{Address, GROUP, Kind, VERSION, row};

/// Reconcile now: any value, acted on once.
pub const RECONCILE: &str = "fusionkeep.dev/reconcile";
/// Where the object stood before it was renamed.
pub const MOVED_FROM: &str = "fusionkeep.dev/moved-from";
/// On an instance: go on although another runner wrote the record.
pub const TAKE_OVER: &str = "fusionkeep.dev/take-over";
/// On an instance: that many held deletions go on.
pub const ALLOW_DELETES: &str = "fusionkeep.dev/allow-deletes";
/// Holds an object until its deletion policy is done.
pub const FINALIZER: &str = "fusionkeep.dev/keep";
/// Before the name of an operator, in the finalizer by which it holds an instance that several operators may use.
const FINALIZER_OF: &str = "fusionkeep.dev/keep.";
/// kubectl's own copy of the manifest, which nobody here needs.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One object of any of our kinds.
#[derive(Clone, Debug, Deserialize)]
pub struct Resource {
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// JSON text.
    #[serde(default = "null", deserialize_with = "text")]
    pub spec: Arc<str>,
    /// JSON text; `null` when there is none yet.
    #[serde(default = "null", deserialize_with = "text")]
    status: Arc<str>,
}

fn null() -> Arc<str> {
    "null".into()
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    // Through a value: what the API server sends is JSON whatever it says.
    Ok(Value::deserialize(deserializer)?.to_string().into())
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            metadata: &'a ObjectMeta,
            spec: &'a RawValue,
        }
        let spec: &RawValue = serde_json::from_str(&self.spec).map_err(serde::ser::Error::custom)?;
        Whole { metadata: &self.metadata, spec }.serialize(serializer)
    }
}

impl KubeResource for Resource {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.as_str().into()
    }

    fn group(_: &Kind) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &Kind) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        row(*kind).plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Resource {
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Empty for what stands in no namespace.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn address(&self, kind: Kind) -> Address {
        Address::new(kind, self.namespace(), self.name())
    }

    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        self.metadata.labels.clone().unwrap_or_default()
    }

    pub fn is_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Annotations of our group.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let all = self.metadata.annotations.iter().flatten();
        all.filter(|(name, _)| is_of_our_group(name))
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect()
    }

    pub fn has_finalizer(&self, finalizer: &str) -> bool {
        self.metadata.finalizers.iter().flatten().any(|name| name == finalizer)
    }

    /// The finalizers of this program, whichever operator put them there.
    pub fn our_finalizers(&self) -> Vec<&str> {
        let all = self.metadata.finalizers.iter().flatten().map(String::as_str);
        all.filter(|name| *name == FINALIZER || name.starts_with(FINALIZER_OF)).collect()
    }

    /// The status, or an empty one where there is none or it is not ours to understand.
    pub fn status<T: DeserializeOwned + Default>(&self) -> T {
        // An array would fill a struct's fields in order.
        let fields: Option<serde_json::Map<String, Value>> = serde_json::from_str(&self.status).ok();
        fields.and_then(|fields| serde_json::from_value(Value::Object(fields)).ok()).unwrap_or_default()
    }

    /// The spec as JSON; null when there is none.
    pub fn spec_value(&self) -> Value {
        serde_json::from_str(&self.spec).unwrap_or_default()
    }

    /// Drops what only costs memory.
    pub fn slim(&mut self) {
        slim(&mut self.metadata);
    }
}

/// The finalizer by which the operator of a release holds what it shares with others: a ClusterFusionAuthInstance may be
/// used by several operators, each for the objects of its own namespaces. A namespace's name holds no ".", so that no two
/// releases have one name.
pub fn finalizer_of(namespace: &str, release: &str) -> String {
    const LONGEST: usize = 63;
    let name = format!("keep.{namespace}.{release}");
    if name.len() <= LONGEST {
        return format!("{GROUP}/{name}");
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hash: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{FINALIZER_OF}{hash}")
}

/// Drops what only costs memory.
pub fn slim(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = metadata.annotations.as_mut() {
        annotations.remove(LAST_APPLIED);
    }
}

/// The reference to an object by its address.
pub fn object_ref(address: &Address) -> ObjectRef<Resource> {
    let reference = ObjectRef::new_with(&address.name, address.kind);
    if address.namespace.is_empty() { reference } else { reference.within(&address.namespace) }
}

/// What a reconcile depends on of an object: its own status is not among it, so that writing it does not begin another.
pub fn relevant(object: &Resource) -> Option<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    object.metadata.generation.hash(&mut hasher);
    object.is_deleted().hash(&mut hasher);
    // One that nobody knows is among it: the object is refused for it.
    let annotations = object.metadata.annotations.iter().flatten();
    annotations.filter(|(name, _)| is_of_our_group(name)).for_each(|annotation| annotation.hash(&mut hasher));
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::status::ObjectStatus;

    #[test]
    fn anything_with_metadata_can_be_held() {
        for text in [
            r#"{"metadata":{"name":"a"}}"#,
            r#"{"metadata":{"name":"a"},"spec":"no object","status":[1]}"#,
            r#"{"metadata":{"name":"a"},"spec":{"x":1.0,"y":null},"status":{"conditions":{}}}"#,
        ] {
            let resource: Resource = serde_json::from_str(text).unwrap();
            assert_eq!(resource.name(), "a");
            assert_eq!(resource.status::<ObjectStatus>(), ObjectStatus::default());
        }
        let resource: Resource = serde_json::from_str(r#"{"metadata":{},"spec":{"x":null}}"#).unwrap();
        assert_eq!(resource.spec_value(), serde_json::json!({"x": null}));
    }

    #[test]
    fn each_release_has_a_finalizer_of_its_own() {
        assert_eq!(finalizer_of("tools", "fusionkeep"), "fusionkeep.dev/keep.tools.fusionkeep");
        let (one, other) =
            (finalizer_of(&"a".repeat(63), "fusionkeep"), finalizer_of(&"b".repeat(63), "fusionkeep"));
        assert_ne!(one, other);
        for name in [one, other] {
            assert!(name.strip_prefix("fusionkeep.dev/").is_some_and(|name| name.len() <= 63), "{name}");
            let resource = serde_json::json!({"metadata": {"finalizers": ["others.example/x", name]}});
            let resource: Resource = serde_json::from_value(resource).unwrap();
            assert_eq!(resource.our_finalizers(), [&name]);
            assert!(resource.has_finalizer(&name) && !resource.has_finalizer(FINALIZER));
        }
    }

    #[test]
    fn an_annotation_of_ours_begins_a_reconcile_and_others_do_not() {
        let with = |annotations: serde_json::Value| {
            let resource = serde_json::json!({"metadata": {"annotations": annotations}});
            relevant(&serde_json::from_value(resource).unwrap())
        };
        let none = with(serde_json::json!({}));
        assert_eq!(with(serde_json::json!({"example.com/x": "1"})), none);
        assert_ne!(with(serde_json::json!({"fusionkeep.dev/reconcile": "1"})), none);
        assert_ne!(with(serde_json::json!({"fusionkeep.dev/reconcil": "1"})), none);
    }
}
