//! Files to typed documents with their place: read, judged, and resolved among each other.
//!
//! ```text
//! read (files) → yaml (trees) → document (header, de, judge; explain where something is wrong) → resolve → Input
//! ```
//!
//! Knows the model, and nothing of FusionAuth, of plans or of a cluster.

mod bodies;
mod de;
mod diagnostic;
mod document;
mod explain;
pub mod fields;
mod finding;
mod header;
mod hints;
mod input;
mod judge;
mod load;
mod locate;
mod mask;
pub mod one;
mod read;
mod resolve;
pub mod schema;
mod source;
pub mod target;
pub mod values;
pub mod yaml;

pub use crate::model::SourceLine;
pub use diagnostic::{Diagnostic, Severity, nearest, render_line, sort};
pub use header::{MOVED_FROM, is_of_our_group};
pub use input::{Input, Instance, Object, SecretDocuments, StandardInput};
pub use load::{LoadError, LoadOptions, load};
