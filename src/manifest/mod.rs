//! Files to typed documents with their place. The only door to YAML.

mod de;
mod diagnostic;
mod input;
pub mod yaml;

pub use diagnostic::{Diagnostic, Severity, SourceLine, nearest, sort};
pub use input::{Input, Instance, Object, SecretDocuments};
