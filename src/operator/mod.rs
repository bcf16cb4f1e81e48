//! Custom resources to engine. Knows the engine, never the command.

pub mod address;
mod conditions;
mod crd;
mod http;
pub mod lease;
mod metrics;
mod resource;
mod secrets;
mod settings;
mod status;
mod writer;

pub use crd::{DefinitionError, custom_resource_definitions, definition_files, definitions_as_yaml};
pub use settings::Settings;
pub use status::{Condition, Drift, InstanceStatus, ObjectStatus, PlannedChange, RecordedOutcome};
