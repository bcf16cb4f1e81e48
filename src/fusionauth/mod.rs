//! The only door to the FusionAuth API: HTTP, retries, limits, counting, and one file an API family.
//!
//! It speaks the wire's raw JSON objects and knows nothing of manifests, plans or records; what the objects mean, and how
//! they are normalised and compared, is the engine's. Facts about the wire come from the project's wire notes, cited as
//! "wire notes §n".
//!
//! Writes are data: each family has functions that make a [`Call`], and [`Client::execute`] sends it. Reads are methods of
//! [`Client`].

mod address;
mod api_errors;
mod body;
mod call;
mod client;
mod concurrency;
mod counts;
mod error;
mod recognise;
mod response;
mod retry;
mod row;
mod search;
mod target;
mod transport;
mod version;

pub mod applications;
pub mod entities;
pub mod entity_types;
pub mod grants;
pub mod groups;
pub mod identity_providers;
pub mod lambdas;
pub mod links;
pub mod registrations;
pub mod system;
pub mod tenants;
pub mod users;

pub use address::AddressFilter;
pub use api_errors::{ApiErrors, FieldError, GeneralError};
pub use call::{Answer, Call, ContentType, Idempotency, Recovery, SecretField, Select};
pub use client::{Client, WriteGate};
pub use counts::{Counts, Purpose};
pub use error::{Error, ErrorKind, Unreachable};
pub use reqwest::Method;
pub use response::Response;
pub use retry::RetryPolicy;
pub use row::Row;
pub use search::{PAGE_OF_IDS, Query};
pub use target::{Exchange, ExchangeSink, Notice, NoticeSink, Target};
pub use version::ServerVersion;

/// A raw object of the wire, as FusionAuth sent it.
pub type Object = serde_json::Map<String, serde_json::Value>;
