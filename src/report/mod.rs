//! A plan or a run as text, JSON or Markdown, and the progress of one. Knows values that are given to it; it
//! reads nothing, decides nothing, and has no other door to a value than [`View`], where secrets and personal
//! values are masked.

mod escape;
mod explain;
mod json;
mod markdown;
mod progress;
mod text;
mod value;
mod view;

pub use escape::visible;
pub use explain::{ExplainError, explain};
pub use json::{ApiCalls, ChangeReport, FieldReport, ProblemReport, Report, SummaryReport, TargetReport};
pub use markdown::markdown;
pub use progress::Progress;
pub use text::{Style, problems as text_problems, run_text, text};
pub use view::{
    Audience, ChangeView, FieldView, PlanView, ProblemView, Side, View, WithheldView, action_word,
    reason_words, risk_words,
};

/// The version of the JSON that [`Report`] is.
pub const SCHEMA_VERSION: u32 = 1;
