//! Files to typed documents with their place. The only door to YAML.

mod diagnostic;
mod input;

pub use diagnostic::{Diagnostic, Severity};
pub use input::{Input, Instance, Object, SecretDocuments};
