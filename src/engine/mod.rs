//! Connects manifests, API and the pure core: observe, apply, record, lock, journal.
//!
//! ```text
//! objects ─ resolve, lower ─▶ Desired ─┐                    ┌─ facts ─┐
//!                     record ─▶ Entry ─┼─ observe, compare ─▶ Plan ────┴─▶ apply ─▶ Outcome
//!                     server ─▶ Live ──┘
//! ```

pub mod apply;
pub mod cancel;
pub mod catalogue;
pub mod compare;
pub mod declarations;
pub mod doctor;
pub mod error;
pub mod facts;
pub mod grant_permissions;
pub mod journal;
pub mod keys;
pub mod lock;
pub mod lookup;
pub mod lower;
pub mod observe;
mod parallel;
pub mod plan;
mod private_file;
pub mod problem;
pub mod progress;
pub mod record;
pub mod references;
pub mod reread;
pub mod resolve;
pub mod rows;
pub mod saved;
pub mod secrets;
pub mod select;
pub mod session;
pub mod undo;
