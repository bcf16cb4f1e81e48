//! Which of the input's instances a run is about, and which objects belong to it.

use std::collections::BTreeSet;

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
    let before = input.objects.len();
    let instance = if choice.server_given && input.instances.is_empty() {
        if let Some(target) = undeclared(input, choice)? {
            input.objects.retain(|object| named(object).is_none_or(|named| named == target));
        }
        None
    } else {
        let number = instance(input, choice)?;
        let target = input.instances.get(number).map(|instance| instance.address.clone());
        let declared: BTreeSet<Address> =
            input.instances.iter().map(|instance| instance.address.clone()).collect();
        input.objects.retain(|object| belongs(object, target.as_ref(), &declared));
        Some(number)
    };
    Ok(Chosen { instance, others: before - input.objects.len() })
}

/// The instance that the objects name, where none is declared and the server is given besides (`--url`, as a pipeline
/// does whose instances stand in a cluster). A run has one target: objects of several are not taken for it together.
fn undeclared(input: &Input, choice: &Choice<'_>) -> Result<Option<Address>, Box<Diagnostic>> {
    let names: BTreeSet<Address> = input.objects.iter().filter_map(named).collect();
    let list = || names.iter().map(Address::to_string).collect::<Vec<_>>().join(", ");
    if let Some(name) = choice.instance {
        let found = names.iter().find(|address| is_called(address, name)).cloned();
        return found.map(Some).ok_or_else(|| {
            let hint = if names.is_empty() {
                "no instance is declared, and no object names one".to_owned()
            } else {
                format!("the objects name: {}", list())
            };
            unknown_instance(name, hint)
        });
    }
    if names.len() > 1 {
        let message = format!("the objects belong to several instances: {}", list());
        let hint = "choose one with --instance [NAMESPACE/]NAME; the others' objects are then passed over";
        return Err(Box::new(Diagnostic::error("several-instances", message).hint(hint)));
    }
    Ok(names.into_iter().next())
}

/// The instance that an object names.
fn named(object: &Object) -> Option<Address> {
    let reference = object.spec.instance_ref()?;
    Some(of(object, reference.kind.unwrap_or_default(), &reference.name))
}

/// The instance of a name, as an object means it.
fn of(object: &Object, kind: InstanceKind, name: &str) -> Address {
    match kind {
        InstanceKind::FusionAuthInstance => {
            Address::new(Kind::FusionAuthInstance, &object.address.namespace, name)
        }
        InstanceKind::ClusterFusionAuthInstance => {
            Address::new(Kind::ClusterFusionAuthInstance, DEFAULT_NAMESPACE, name)
        }
    }
}

/// Whether `--instance [NS/]NAME` means this instance.
fn is_called(address: &Address, name: &str) -> bool {
    let (namespace, short) = name.split_once('/').unwrap_or((DEFAULT_NAMESPACE, name));
    *address.namespace == *namespace && *address.name == *short
}

fn unknown_instance(name: &str, hint: String) -> Box<Diagnostic> {
    let message = format!("no instance \"{name}\" is in the input");
    Box::new(Diagnostic::error("unknown-instance", message).hint(hint))
}

/// The position of the chosen one of the declared instances.
fn instance(input: &Input, choice: &Choice<'_>) -> Result<usize, Box<Diagnostic>> {
    let list = || {
        let mut names: Vec<String> =
            input.instances.iter().map(|instance| instance.address.to_string()).collect();
        names.sort();
        names.join(", ")
    };
    if let Some(name) = choice.instance {
        let find = |kind| {
            input
                .instances
                .iter()
                .position(|instance| instance.address.kind == kind && is_called(&instance.address, name))
        };
        let found = find(Kind::FusionAuthInstance).or_else(|| find(Kind::ClusterFusionAuthInstance));
        return found.ok_or_else(|| {
            let hint = if input.instances.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there are: {}", list())
            };
            unknown_instance(name, hint)
        });
    }
    match input.instances.len() {
        0 => Err(Box::new(
            Diagnostic::error("no-instance", "no target: the input has no instance")
                .hint("say --url and --owner, --sandbox, or declare a FusionAuthInstance"),
        )),
        1 => Ok(0),
        _ => Err(Box::new(
            Diagnostic::error("several-instances", format!("the input has several instances: {}", list()))
                .hint("choose one with --instance [NAMESPACE/]NAME"),
        )),
    }
}

/// Whether an object belongs to the target. Without an `instanceRef` it belongs to the instance `default` of its
/// namespace if there is one, else to the target.
fn belongs(object: &Object, target: Option<&Address>, declared: &BTreeSet<Address>) -> bool {
    match named(object) {
        Some(named) => Some(&named) == target,
        None => {
            let default = of(object, InstanceKind::FusionAuthInstance, "default");
            !declared.contains(&default) || Some(&default) == target
        }
    }
}
