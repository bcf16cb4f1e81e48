//! The pure core: normalise, diff, order, plan, guard, risk. Values in, values out: no clock, no network, no
//! async, no file.
//!
//! Desired, Live, Plan and Outcome are distinct types, so that the wrong one does not compile.
//!
//! ```text
//! Desired + Observed { Live, Entry, … } ─ plan_object ─▶ Planned ─┐
//! Entry + Live (no longer declared) ───── prune_object ▶ Planned ─┴─ assemble ─▶ Plan
//! Plan ─ needs ─▶ Needs ─ (the engine looks up) ─▶ Facts ─ assess ─▶ Plan with risks ─ guard ─▶ Problems
//! ```

mod assemble;
mod body;
mod call;
mod calls;
mod change;
mod context;
mod desired;
mod diff;
mod difference;
mod entry;
mod facts;
mod fingerprint;
mod guard;
mod import;
mod live;
mod normalise;
mod object;
mod order;
mod outcome;
mod path;
mod plan;
mod planned;
mod progress;
mod removal;
mod risk;
mod settled;
mod undo;
mod unique;
mod versions;

pub use assemble::{assemble, only_adoptions};
pub use body::Body;
pub use call::{Call, ContentType, Method, Purpose, SecretSlot};
pub use calls::repair;
pub use context::{Observed, PlanContext};
pub use desired::{
    Desired, DesiredSecret, Key, KeyReference, ObjectRef, Recipient, RecipientReference, SecretUse,
};
pub use entry::{Claim, Entry, FieldSet, RecordUpdate, SecretComparison, SecretFingerprint, SentSecret};
pub use facts::{Facts, HeldAlong, Limits, Needs};
pub use fingerprint::{digest, stale, stands, unmet};
pub use guard::{deletions, guard, losses};
pub use import::{ImportGroup, bulk_create, import_group, is_batchable};

pub use live::Live;
pub use object::{claimed_when_found, plan_object};
pub use outcome::{CallCounts, ChangeOutcome, Outcome, Status};
pub use plan::{
    Action, Blame, Change, FieldChange, Fingerprint, Plan, Problem, Reason, Risk, SCHEMA_VERSION, Shown,
    Summary, Target, Withheld,
};
pub use planned::{Planned, Unique, Verdict};
pub use removal::prune_object;
pub use risk::{FUSIONAUTH_APPLICATION, assess, needs};
pub use undo::{Undoing, undo};
