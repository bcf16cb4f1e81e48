//! A report as Markdown for a comment on a pull request. Whatever comes from a manifest or a server is hostile
//! there: it can break no table or fence, mention nobody and bring no HTML.

use std::fmt::Write;

use crate::reconcile::{Action, Risk, Status};

use super::escape::{fenced, markdown_code, markdown_text, visible};
use super::text::summary_line;
use super::value::{DiffLine, inline, is_long, line_diff};
use super::view::{
    ChangeView, FieldView, PlanView, ProblemView, Side, View, action_word, reason_words, risk_words,
};

/// GitHub refuses comments over 65,536 characters, GitLab over 1,000,000. What comes after this many is counted
/// instead of shown.
const ROOM: usize = 60_000;

/// The whole report.
pub fn markdown(view: &View<'_>) -> String {
    let mut out = String::new();
    match &view.plan {
        Some(plan) => plan_markdown(&mut out, view, plan),
        None if view.errors.is_empty() => out.push_str("### fusionkeep: no errors\n"),
        None => out.push_str("### fusionkeep: errors\n"),
    }
    problems(&mut out, "Errors", &view.errors);
    problems(&mut out, "Warnings", &view.warnings);
    out
}

fn plan_markdown(out: &mut String, view: &View<'_>, plan: &PlanView<'_>) {
    let title = if plan.calls.is_some() { "run" } else { "plan" };
    push(out, &format!("### fusionkeep {title}\n\n**{}**\n", markdown_text(&summary_line(view, plan))));
    push(
        out,
        &format!(
            "Target {}, tenant `{}`, FusionAuth {}, owner `{}`\n",
            markdown_code(&plan.target.url),
            plan.target.tenant_id,
            markdown_text(&plan.target.server_version),
            plan.owner
        ),
    );
    if !plan.changes.is_empty() {
        table(out, plan);
        details(out, plan);
    }
    if !plan.withheld.is_empty() {
        push(out, "**Withheld**\n");
        for withheld in &plan.withheld {
            list_item(
                out,
                &format!("{}: {}", markdown_code(&withheld.address), markdown_text(&withheld.why)),
            );
        }
        out.push('\n');
    }
}

fn table(out: &mut String, plan: &PlanView<'_>) {
    out.push_str("| | object | action | why | risk |\n|---|---|---|---|---|\n");
    let mut left = plan.changes.len();
    for change in &plan.changes {
        if out.len() > ROOM / 2 {
            push(out, &format!("\n… and {left} more changes.\n"));
            return;
        }
        left -= 1;
        let risk = if change.risk == Risk::Reversible {
            String::new()
        } else {
            let notes = change.risk_notes.iter().map(|note| format!("; {}", markdown_text(note)));
            format!("**{}**{}", risk_words(change.risk), notes.collect::<String>())
        };
        let end = match change.status {
            None | Some(Status::Done) => "",
            Some(Status::Failed) => " **failed**",
            Some(Status::Blocked) => " **blocked**",
            Some(Status::Stale) => " **stale**",
            Some(Status::NotStarted) => " **not started**",
        };
        push_line(
            out,
            &format!(
                "| {} | {} | {}{end} | {}{} | {risk} |",
                sign(change.action),
                markdown_code(&change.address),
                action_word(change.action, change.deletion, change.reason),
                reason_words(change.reason),
                change.notes.iter().map(|note| format!("; {}", markdown_text(note))).collect::<String>(),
            ),
        );
    }
    out.push('\n');
}

fn details(out: &mut String, plan: &PlanView<'_>) {
    out.push_str("<details><summary>Fields</summary>\n\n");
    let mut left_out = 0;
    for change in plan.changes.iter().filter(|change| !change.fields.is_empty()) {
        let block = fenced("diff", &change_diff(change));
        if out.len() + block.len() > ROOM {
            left_out += 1;
            continue;
        }
        push_line(out, &markdown_code(&change.address));
        out.push('\n');
        push_line(out, &block);
    }
    if left_out > 0 {
        push(out, &format!("… the fields of {left_out} more changes are in the text and JSON output.\n"));
    }
    out.push_str("</details>\n\n");
}

fn change_diff(change: &ChangeView<'_>) -> String {
    let mut diff = String::new();
    for field in &change.fields {
        field_diff(&mut diff, field);
    }
    diff
}

fn field_diff(diff: &mut String, field: &FieldView<'_>) {
    let path = super::escape::one_line(field.path);
    if let (Side::Value(before), Side::Value(after)) = (&field.before, &field.after)
        && let (Some(before), Some(after), true) =
            (before.as_str(), after.as_str(), is_long(before) || is_long(after))
    {
        push_line(diff, &format!("  {path}:"));
        for line in line_diff(before, after) {
            match line {
                DiffLine::Removed(text) => push_line(diff, &format!("-   {text}")),
                DiffLine::Added(text) => push_line(diff, &format!("+   {text}")),
                DiffLine::Kept(text) => push_line(diff, format!("    {text}").trim_end()),
                DiffLine::Gap(count) => push_line(diff, &format!("    … {count} more")),
            }
        }
        return;
    }
    for (sign, side) in [('-', &field.before), ('+', &field.after)] {
        match side {
            Side::Absent => {}
            Side::Secret => push_line(diff, &format!("{sign} {path}: (secret)")),
            Side::Masked => push_line(diff, &format!("{sign} {path}: (personal)")),
            Side::Value(value) if is_long(value) => {
                push_line(diff, &format!("{sign} {path}:"));
                for line in value.as_str().unwrap_or_default().lines() {
                    push_line(diff, &format!("{sign}   {}", visible(line)));
                }
            }
            Side::Value(value) => push_line(diff, &format!("{sign} {path}: {}", inline(value))),
        }
    }
}

fn problems(out: &mut String, title: &str, problems: &[ProblemView]) {
    if problems.is_empty() {
        return;
    }
    push(out, &format!("**{title}**\n"));
    let mut left = problems.len();
    for problem in problems {
        if out.len() > ROOM {
            list_item(out, &format!("… and {left} more"));
            break;
        }
        left -= 1;
        let mut item = format!("`{}` ", problem.code);
        if let Some((file, line, column)) = &problem.place {
            item.push_str(&markdown_code(&format!("{file}:{line}:{column}")));
            item.push(' ');
        }
        if let Some(address) = &problem.address {
            item.push_str(&markdown_code(address));
            item.push(' ');
        }
        item.push_str(&markdown_text(&problem.message));
        if let Some(hint) = &problem.hint {
            item.push_str(" — ");
            item.push_str(&markdown_text(hint));
        }
        list_item(out, &item);
    }
    out.push('\n');
}

fn sign(action: Action) -> &'static str {
    match action {
        Action::Create => "`+`",
        Action::Update => "`~`",
        Action::Delete => "`-`",
        Action::Adopt => "`=`",
    }
}

fn list_item(out: &mut String, item: &str) {
    push_line(out, &format!("- {item}"));
}

fn push_line(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{line}");
}

/// A paragraph.
fn push(out: &mut String, paragraph: &str) {
    push_line(out, paragraph);
}
