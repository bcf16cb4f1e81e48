//! A report for a terminal or a log. Colours are written as ANSI sequences; the stream that it goes to takes
//! them out where they do not belong. No value can bring sequences of its own.

use std::fmt::Write;

use anstyle::{AnsiColor, Style as Ansi};

use crate::reconcile::{Action, Blame, Risk, Status};

use super::escape::{one_line, visible};
use super::value::{DiffLine, inline, is_long, line_diff};
use super::view::{
    ChangeView, FieldView, PlanView, ProblemView, Side, View, action_word, reason_words, risk_words,
};

/// The styles of the text, all in one place.
pub struct Style;

impl Style {
    pub const ADDED: Ansi = AnsiColor::Green.on_default();
    pub const REMOVED: Ansi = AnsiColor::Red.on_default();
    pub const CHANGED: Ansi = AnsiColor::Yellow.on_default();
    pub const ADOPTED: Ansi = AnsiColor::Cyan.on_default();
    pub const STRONG: Ansi = Ansi::new().bold();
    pub const FAINT: Ansi = Ansi::new().dimmed();
    pub const ERROR: Ansi = AnsiColor::Red.on_default().bold();
    pub const WARNING: Ansi = AnsiColor::Yellow.on_default().bold();
    pub const HINT: Ansi = AnsiColor::Cyan.on_default();
}

/// A plan, without its problems, which go to stderr. Empty when the run did not come to a plan.
pub fn text(view: &View<'_>) -> String {
    let Some(plan) = &view.plan else { return String::new() };
    let mut out = Out(String::new());
    header(&mut out, plan);
    risks(&mut out, plan);
    for change in &plan.changes {
        change_text(&mut out, change);
    }
    withheld(&mut out, plan);
    out.line(&summary_line(view, plan));
    out.0
}

/// What became of a plan that was shown before: what was not done, and the line that says it all.
pub fn run_text(view: &View<'_>) -> String {
    let Some(plan) = &view.plan else { return String::new() };
    let mut out = Out(String::new());
    let is_open = |change: &&ChangeView<'_>| change.status.is_some_and(|status| status != Status::Done);
    for change in plan.changes.iter().filter(is_open) {
        out.line(&change_line(change));
    }
    if let Some(why) = &plan.interrupted {
        out.line(&format!("{}The run ended early:{:#} {}", Style::WARNING, Style::WARNING, one_line(why)));
    }
    out.line(&summary_line(view, plan));
    out.0
}

/// Errors or warnings, one below the other, each with its place and hint.
pub fn problems(problems: &[ProblemView], word: &str, style: Ansi) -> String {
    let mut out = Out(String::new());
    for problem in problems {
        // Unless the message begins with it anyway.
        let address = problem.address.as_ref().filter(|address| !problem.message.starts_with(*address));
        let about = address.map(|address| format!("{}: ", one_line(address))).unwrap_or_default();
        out.line(&format!(
            "{style}{word}[{}]{style:#}: {about}{}",
            problem.code,
            indented(&problem.message, "  ")
        ));
        if let Some(source) = &problem.source {
            out.line(source);
        } else if let Some((file, line, column)) = &problem.place {
            out.line(&format!("  --> {}:{line}:{column}", one_line(file)));
        }
        if let Some(hint) = &problem.hint {
            out.line(&format!("  {}= help{:#}: {}", Style::HINT, Style::HINT, indented(hint, "  ")));
        }
    }
    out.0
}

/// A text that grows line by line.
struct Out(String);

impl Out {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn indented(text: &str, indent: &str) -> String {
    visible(text.trim_end()).replace('\n', &format!("\n{indent}"))
}

fn header(out: &mut Out, plan: &PlanView<'_>) {
    out.line(&format!(
        "{}FusionAuth {} at {}, tenant {}, owner {}{}",
        Style::STRONG,
        one_line(&plan.target.server_version),
        one_line(&plan.target.url),
        plan.target.tenant_id,
        plan.owner,
        Style::STRONG.render_reset()
    ));
    out.line("");
}

fn risks(out: &mut Out, plan: &PlanView<'_>) {
    let risky: Vec<&ChangeView<'_>> =
        plan.changes.iter().filter(|change| change.risk != Risk::Reversible).collect();
    if risky.is_empty() {
        return;
    }
    out.line(&format!("{}Risks, highest first:{:#}", Style::WARNING, Style::WARNING));
    for change in risky {
        let notes = if change.risk_notes.is_empty() {
            String::new()
        } else {
            format!(" ({})", one_line(&change.risk_notes.join("; ")))
        };
        out.line(&format!("  ! {}: {}{notes}", one_line(&change.address), risk_words(change.risk)));
    }
    out.line("");
}

fn sign(action: Action) -> (char, Ansi) {
    match action {
        Action::Create => ('+', Style::ADDED),
        Action::Update => ('~', Style::CHANGED),
        Action::Delete => ('-', Style::REMOVED),
        Action::Adopt => ('=', Style::ADOPTED),
    }
}

fn change_line(change: &ChangeView<'_>) -> String {
    let (sign, style) = sign(change.action);
    let end = match change.status {
        None | Some(Status::Done) => String::new(),
        Some(Status::Failed) => format!("  {}FAILED{:#}", Style::ERROR, Style::ERROR),
        Some(Status::Blocked) => format!("  {}blocked{:#}", Style::WARNING, Style::WARNING),
        Some(Status::Stale) => format!("  {}STALE{:#}", Style::ERROR, Style::ERROR),
        Some(Status::NotStarted) => format!("  {}not started{:#}", Style::WARNING, Style::WARNING),
    };
    let id =
        change.id.as_ref().map(|id| format!(" {}{id}{:#}", Style::FAINT, Style::FAINT)).unwrap_or_default();
    format!(
        "  {style}{sign} {}{style:#}{id}: {} ({}){end}",
        one_line(&change.address),
        action_word(change.action, change.deletion, change.reason),
        reason_words(change.reason),
    )
}

fn change_text(out: &mut Out, change: &ChangeView<'_>) {
    out.line(&change_line(change));
    for note in &change.notes {
        out.line(&format!("      {}{}{:#}", Style::FAINT, one_line(note), Style::FAINT));
    }
    for field in &change.fields {
        field_text(out, field);
    }
}

fn field_text(out: &mut Out, field: &FieldView<'_>) {
    let path = one_line(field.path);
    let shown = |side: &Side| match side {
        Side::Absent => String::new(),
        Side::Value(value) => inline(value),
        Side::Secret => "(secret)".to_owned(),
        Side::Masked => "(personal)".to_owned(),
    };
    let (sign, style) = match (&field.before, &field.after) {
        (Side::Absent, _) => ('+', Style::ADDED),
        (_, Side::Absent) => ('-', Style::REMOVED),
        _ => ('~', Style::CHANGED),
    };
    let head = format!("      {style}{sign}{style:#} {path}");
    match (&field.before, &field.after) {
        (Side::Absent, Side::Value(value)) | (Side::Value(value), Side::Absent) if is_long(value) => {
            out.line(&format!("{head}:"));
            for line in value.as_str().unwrap_or_default().lines() {
                out.line(&format!("          {style}{sign} {}{style:#}", visible(line)));
            }
        }
        (Side::Value(before), Side::Value(after)) if is_long(before) || is_long(after) => {
            match (before.as_str(), after.as_str()) {
                (Some(before), Some(after)) => diff_text(out, &head, before, after),
                _ => out.line(&format!("{head}: {} → {}", inline(before), inline(after))),
            }
        }
        (Side::Absent, Side::Absent) => out.line(&head),
        (Side::Absent, side) | (side, Side::Absent) => out.line(&format!("{head}: {}", shown(side))),
        (Side::Secret, Side::Secret) => out.line(&format!("{head}: (changed)")),
        (before, after) => out.line(&format!("{head}: {} → {}", shown(before), shown(after))),
    }
}

fn diff_text(out: &mut Out, head: &str, before: &str, after: &str) {
    out.line(&format!("{head}:"));
    for line in line_diff(before, after) {
        match line {
            DiffLine::Removed(text) => {
                out.line(&format!("          {}- {text}{:#}", Style::REMOVED, Style::REMOVED))
            }
            DiffLine::Added(text) => {
                out.line(&format!("          {}+ {text}{:#}", Style::ADDED, Style::ADDED))
            }
            DiffLine::Kept(text) => out.line(format!("            {text}").trim_end()),
            DiffLine::Gap(count) => {
                out.line(&format!("          {}… {count} more{:#}", Style::FAINT, Style::FAINT));
            }
        }
    }
}

fn withheld(out: &mut Out, plan: &PlanView<'_>) {
    if plan.changes.iter().any(|change| !change.fields.is_empty()) || !plan.withheld.is_empty() {
        out.line("");
    }
    if plan.withheld.is_empty() {
        return;
    }
    out.line(&format!("{}Withheld:{:#}", Style::WARNING, Style::WARNING));
    for withheld in &plan.withheld {
        let (sign, style) = sign(withheld.action);
        out.line(&format!(
            "  {style}{sign} {}{style:#}: {}",
            one_line(&withheld.address),
            one_line(&withheld.why)
        ));
        for field in &withheld.fields {
            field_text(out, field);
        }
    }
    out.line("");
}

/// The one line that says it all.
pub(super) fn summary_line(view: &View<'_>, plan: &PlanView<'_>) -> String {
    let summary = plan.summary;
    let errors = view.errors.len();
    if let Some(calls) = plan.calls {
        return run_line(plan, calls.actual);
    }
    if errors > 0 {
        let guard = view.errors.iter().all(|error| error.blame == Blame::Guard);
        let verb = if guard { "refused" } else { "cannot be applied" };
        return format!("Plan {verb}: {errors} {}.", if errors == 1 { "error" } else { "errors" });
    }
    let mut withheld = String::new();
    for (count, word) in [(summary.withheld, "withheld"), (summary.suspended, "suspended")] {
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(withheld, ", {count} {word}");
        }
    }
    if plan.changes.is_empty() && summary.unchanged == 0 {
        return format!("no changes{withheld}.");
    }
    if plan.changes.is_empty() {
        return format!("no changes: {} as declared{withheld}.", objects(summary.unchanged));
    }
    format!(
        "Plan: {} to create, {} to update, {} to delete, {} to adopt; {} unchanged{withheld}; {} predicted.",
        summary.create,
        summary.update,
        summary.delete,
        summary.adopt,
        summary.unchanged,
        api_calls(plan.predicted_calls),
    )
}

fn run_line(plan: &PlanView<'_>, actual: u64) -> String {
    let mut line = format!(
        "Applied: {} created, {} updated, {} deleted, {} adopted; {} unchanged",
        plan.done(Action::Create),
        plan.done(Action::Update),
        plan.done(Action::Delete),
        plan.done(Action::Adopt),
        plan.summary.unchanged,
    );
    for (count, word) in [
        (plan.summary.withheld, "withheld"),
        (plan.summary.suspended, "suspended"),
        (plan.count(Status::Failed), "failed"),
        (plan.count(Status::Stale), "stale"),
        (plan.count(Status::Blocked), "blocked"),
        (plan.count(Status::NotStarted), "not started"),
    ] {
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(line, ", {count} {word}");
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(line, "; {} predicted, {actual} made.", api_calls(plan.predicted_calls));
    line
}

fn objects(count: u64) -> String {
    if count == 1 { "1 object is".to_owned() } else { format!("{count} objects are") }
}

fn api_calls(count: u64) -> String {
    if count == 1 { "1 API call".to_owned() } else { format!("{count} API calls") }
}
