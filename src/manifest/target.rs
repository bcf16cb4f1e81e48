//! Which of the input's instances a run is about, and which objects belong to it.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::input::{Input, Object};
use crate::model::{Address, DEFAULT_NAMESPACE, InstanceKind, Kind};

/// What the command line says about the target.
#[derive(Clone, Debug, Default)]
pub struct Choice<'a> {
    /// `--sandbox` or `--url` names the server: an instance in the input gives owner and guards only.
    pub server_given: bool,
    /// `--instance [NS/]NAME`.
    pub instance: Option<&'a str>,
}

/// What a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The position of the chosen instance in `Input::instances`, if there is one.
    pub instance: Option<usize>,
    /// Objects that belong to other instances and were removed from the input.
    pub others: usize,
}

/// Chooses the target and removes the objects of other instances from the input.
///
/// # Errors
/// There is no such instance, there are several without a choice, or there is none and no server was given.
pub fn choose(input: &mut Input, choice: &Choice<'_>) -> Result<Chosen, Box<Diagnostic>> {
    let instance = instance(input, choice)?;
    let target =
        instance.and_then(|number| input.instances.get(number)).map(|instance| instance.address.clone());
    let declared: BTreeMap<Address, ()> =
        input.instances.iter().map(|instance| (instance.address.clone(), ())).collect();
    let before = input.objects.len();
    input.objects.retain(|object| belongs(object, target.as_ref(), &declared));
    Ok(Chosen { instance, others: before - input.objects.len() })
}

fn instance(input: &Input, choice: &Choice<'_>) -> Result<Option<usize>, Box<Diagnostic>> {
    let list = || {
        let mut names: Vec<String> =
            input.instances.iter().map(|instance| instance.address.to_string()).collect();
        names.sort();
        names.join(", ")
    };
    if let Some(name) = choice.instance {
        let (namespace, short) = name.split_once('/').unwrap_or((DEFAULT_NAMESPACE, name));
        let find = |kind| {
            let address = Address::new(kind, namespace, short);
            input.instances.iter().position(|instance| instance.address == address)
        };
        let found = find(Kind::FusionAuthInstance).or_else(|| find(Kind::ClusterFusionAuthInstance));
        return found.map(Some).ok_or_else(|| {
            let hint = if input.instances.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there are: {}", list())
            };
            let message = format!("no instance \"{name}\" is in the input");
            Box::new(Diagnostic::error("unknown-instance", message).hint(hint))
        });
    }
    match input.instances.len() {
        0 if choice.server_given => Ok(None),
        0 => Err(Box::new(
            Diagnostic::error("no-instance", "no target: the input has no instance")
                .hint("say --url and --owner, --sandbox, or declare a FusionAuthInstance"),
        )),
        1 => Ok(Some(0)),
        _ => Err(Box::new(
            Diagnostic::error("several-instances", format!("the input has several instances: {}", list()))
                .hint("choose one with --instance [NAMESPACE/]NAME"),
        )),
    }
}

/// Whether an object belongs to the target. Without an `instanceRef` it belongs to the instance `default` of its
/// namespace if there is one, else to the target; where no instance is declared, all belong to it.
fn belongs(object: &Object, target: Option<&Address>, declared: &BTreeMap<Address, ()>) -> bool {
    let Some(target) = target else { return declared.is_empty() };
    let of = |kind: InstanceKind, name: &str| match kind {
        InstanceKind::FusionAuthInstance => {
            Address::new(Kind::FusionAuthInstance, &object.address.namespace, name)
        }
        InstanceKind::ClusterFusionAuthInstance => {
            Address::new(Kind::ClusterFusionAuthInstance, DEFAULT_NAMESPACE, name)
        }
    };
    match object.spec.instance_ref() {
        Some(reference) => of(reference.kind.unwrap_or_default(), &reference.name) == *target,
        None => {
            let default = of(InstanceKind::FusionAuthInstance, "default");
            !declared.contains_key(&default) || default == *target
        }
    }
}
