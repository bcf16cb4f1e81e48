//! Which declared objects belong to the target: those of another instance are passed over and counted. Pure.

use std::collections::BTreeSet;

use crate::manifest::{Input, Instance, Object};
use crate::model::{Address, DEFAULT_NAMESPACE, InstanceKind, Kind};

use super::target::TargetError;

/// The name of the instance that objects belong to which name none, when the input has it.
const DEFAULT_INSTANCE: &str = "default";

/// Keeps the objects of the target in `input`; returns how many were another instance's.
///
/// # Errors
/// Objects name several instances, none of which the input has, and nothing chooses between them: taking one of
/// them for the target could delete people of the others.
pub fn keep_own(input: &mut Input, chosen: Option<&Address>) -> Result<usize, TargetError> {
    let instances = std::mem::take(&mut input.instances);
    let chosen = match chosen {
        Some(address) => Some(address.clone()),
        None => only_named(&input.objects, &instances)?,
    };
    let before = input.objects.len();
    input.objects.retain(|object| belongs(object, &instances, chosen.as_ref()));
    input.instances = instances;
    Ok(before - input.objects.len())
}

/// The instance that an object names, or the namespace's `default` if the input has it.
fn instance_of(object: &Object, instances: &[Instance]) -> Option<Address> {
    let namespace = &object.address.namespace;
    match object.spec.instance_ref() {
        Some(reference) => Some(match reference.kind.unwrap_or_default() {
            InstanceKind::FusionAuthInstance => {
                Address::new(Kind::FusionAuthInstance, namespace, &reference.name)
            }
            // It is cluster-scoped: a namespace in its manifest says nothing.
            InstanceKind::ClusterFusionAuthInstance => {
                Address::new(Kind::ClusterFusionAuthInstance, DEFAULT_NAMESPACE, &reference.name)
            }
        }),
        None => {
            let default = Address::new(Kind::FusionAuthInstance, namespace, DEFAULT_INSTANCE);
            instances.iter().any(|instance| instance.address == default).then_some(default)
        }
    }
}

fn belongs(object: &Object, instances: &[Instance], chosen: Option<&Address>) -> bool {
    match (instance_of(object, instances), chosen) {
        (None, _) => true,
        (Some(own), Some(chosen)) => same(&own, chosen),
        (Some(_), None) => false,
    }
}

/// `--instance NAME` names no kind when the instance is not in the input.
fn same(own: &Address, chosen: &Address) -> bool {
    own == chosen
        || own.kind == Kind::ClusterFusionAuthInstance
            && chosen.kind == Kind::ClusterFusionAuthInstance
            && own.name == chosen.name
}

/// The one instance that objects name, when the input has none itself.
fn only_named(objects: &[Object], instances: &[Instance]) -> Result<Option<Address>, TargetError> {
    let named: BTreeSet<Address> =
        objects.iter().filter_map(|object| instance_of(object, instances)).collect();
    if named.len() > 1 {
        return Err(TargetError::Several(named.into_iter().collect()));
    }
    Ok(named.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FusionAuthInstanceSpec, InstanceReference, LambdaSpec, Place, Spec};
    use std::collections::BTreeMap;

    fn place() -> Place {
        Place { file: "x.yaml".into(), line: 1, column: 1 }
    }

    fn object(namespace: &str, instance: Option<(&str, InstanceKind)>) -> Object {
        let instance_ref =
            instance.map(|(name, kind)| InstanceReference { kind: Some(kind), name: name.into() });
        Object {
            address: Address::new(Kind::Lambda, namespace, "claims"),
            place: place(),
            labels: BTreeMap::new(),
            moved_from: None,
            spec: Spec::Lambda(Box::new(LambdaSpec { instance_ref, ..LambdaSpec::default() })),
            lambda_body: None,
        }
    }

    fn instance(kind: Kind, namespace: &str, name: &str) -> Instance {
        Instance {
            address: Address::new(kind, namespace, name),
            place: place(),
            spec: FusionAuthInstanceSpec::default(),
            allow: vec![],
        }
    }

    fn kept(
        objects: Vec<Object>,
        instances: Vec<Instance>,
        chosen: Option<Address>,
    ) -> Result<usize, TargetError> {
        let mut input = Input { objects, instances, ..Input::default() };
        keep_own(&mut input, chosen.as_ref())?;
        Ok(input.objects.len())
    }

    use InstanceKind::{ClusterFusionAuthInstance as Cluster, FusionAuthInstance as Namespaced};

    #[test]
    fn objects_of_other_instances_are_passed_over() {
        let instances = || {
            vec![
                instance(Kind::FusionAuthInstance, "default", "prod"),
                instance(Kind::FusionAuthInstance, "default", "default"),
                instance(Kind::ClusterFusionAuthInstance, "default", "prod"),
            ]
        };
        let objects = || {
            vec![
                object("default", None),
                object("default", Some(("prod", Namespaced))),
                object("default", Some(("prod", Cluster))),
                object("team-a", Some(("prod", Namespaced))),
                object("team-a", None),
            ]
        };
        let prod = Address::new(Kind::FusionAuthInstance, "default", "prod");
        // Its own, and the one whose namespace has no `default`.
        assert_eq!(kept(objects(), instances(), Some(prod)), Ok(2));
        let cluster = Address::new(Kind::ClusterFusionAuthInstance, "operators", "prod");
        assert_eq!(kept(objects(), instances(), Some(cluster)), Ok(2));
        let default = Address::new(Kind::FusionAuthInstance, "default", "default");
        assert_eq!(kept(objects(), instances(), Some(default)), Ok(2));
    }

    #[test]
    fn without_an_instance_the_objects_must_agree() {
        let one = vec![object("default", None), object("default", Some(("prod", Namespaced)))];
        assert_eq!(kept(one, vec![], None), Ok(2));
        let two =
            vec![object("default", Some(("a", Namespaced))), object("default", Some(("b", Namespaced)))];
        assert!(matches!(kept(two, vec![], None), Err(TargetError::Several(_))));
    }
}
