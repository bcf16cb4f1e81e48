//! Custom resources to engine. Knows the engine, never the command.

mod crd;
mod status;

pub use crd::{custom_resource_definitions, definitions_as_yaml};
pub use status::{Condition, Drift, InstanceStatus, ObjectStatus, PlannedChange, RecordedOutcome};
