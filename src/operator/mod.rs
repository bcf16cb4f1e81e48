//! Custom resources to engine. Knows the engine, never the command.
//!
//! ```text
//! watch ─▶ store ─▶ controller of a kind ─▶ objects::reconcile ─▶ the instance's task ─▶ engine: plan, apply
//!                       ▲      ▲                    │                     │
//!                       │      └── wake ◀───────────┼─────────────────────┘ tick: what differs
//!                       └── backoff                 └─▶ status, events, finalizers
//! ```

pub mod address;
mod allow;
mod approval;
mod conditions;
mod context;
mod crd;
mod http;
mod instance;
mod instances;
pub mod lease;
mod metrics;
mod objects;
mod parting;
mod release;
mod resource;
mod run;
mod secrets;
mod settings;
mod status;
mod vanished;
mod wake;
mod writer;

pub use crd::{DefinitionError, custom_resource_definitions, definition_files, definitions_as_yaml};
pub use release::{Released, release_finalizers};
pub use run::{OperatorError, run};
pub use settings::Settings;
pub use status::{Condition, Drift, InstanceStatus, ObjectStatus, PlannedChange, RecordedOutcome};
