//! Connects manifests, API and the pure core: observe, apply, record, lock, journal.

pub mod catalogue;
pub mod declarations;
pub mod error;
pub mod journal;
pub mod keys;
pub mod lock;
pub mod lookup;
pub mod lower;
pub mod observe;
mod private_file;
pub mod problem;
pub mod progress;
pub mod record;
pub mod references;
pub mod rows;
pub mod saved;
pub mod secrets;
pub mod select;
pub mod session;
