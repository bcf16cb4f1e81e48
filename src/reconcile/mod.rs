//! The pure core: normalise, diff, order, plan, guard, risk. Values in, values out: no clock, no network, no
//! async, no file.
//!
//! Desired, Live, Plan and Outcome are distinct types, so that the wrong one does not compile.

mod call;
mod desired;
mod live;
mod outcome;
mod plan;

pub use call::{Call, ContentType, Method, Purpose, SecretSlot};
pub use desired::{
    Desired, DesiredSecret, Key, KeyReference, ObjectRef, Recipient, RecipientReference, SecretUse,
};
pub use live::Live;
pub use outcome::{CallCounts, ChangeOutcome, Outcome, Status};
pub use plan::{
    Action, Blame, Change, FieldChange, Fingerprint, Plan, Problem, Reason, Risk, SCHEMA_VERSION, Shown,
    Summary, Target, Withheld,
};
