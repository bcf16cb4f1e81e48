//! fusionkeep keeps a FusionAuth instance as its YAML declares it.
//!
//! Data flows one way and does not go back:
//!
//! ```text
//! load → resolve → observe → diff → plan → guard → apply → record
//! ```
//!
//! | step | module | knows |
//! |---|---|---|
//! | what can be declared | [`model`] | serde and schemars, nothing else |
//! | load, resolve | [`manifest`] | files, YAML, the model |
//! | diff, plan, guard | [`reconcile`] | values in, values out: no clock, network or async |
//! | the API | [`fusionauth`] | HTTP; the only door to FusionAuth |
//! | observe, apply, record | [`engine`] | connects all of the above |
//! | telling it | [`report`] | a plan or a run as text, JSON or Markdown |
//! | front ends | [`cli`], `operator` | the engine; not each other |
//! | the emulator | [`sandbox`] | nothing of this crate |

pub mod cli;
pub mod engine;
pub mod fusionauth;
pub mod manifest;
pub mod model;
#[cfg(feature = "operator")]
pub mod operator;
pub mod reconcile;
pub mod report;
pub mod sandbox;
