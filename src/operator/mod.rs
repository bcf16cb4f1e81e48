//! Custom resources to engine. Knows the engine, never the command.

mod crd;
mod status;

pub use crd::{custom_resource_definitions, definition_files, definitions_as_yaml};
pub use status::{Condition, Drift, InstanceStatus, ObjectStatus, PlannedChange, RecordedOutcome};
