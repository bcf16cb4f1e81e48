//! The two streams: the result on stdout, everything else on stderr. A closed stream is an error, never a panic.

use std::io::{self, Write};

use crate::report::{Report, Style, View, markdown, text, text_problems};

use super::arguments::{ColorWhen, Format};
use super::failure::Failure;

/// Decides for the whole run where colours go: `auto` obeys `NO_COLOR`, `CLICOLOR_FORCE` and the terminal.
pub fn set_colour(when: ColorWhen) {
    match when {
        ColorWhen::Auto => anstream::ColorChoice::Auto,
        ColorWhen::Always => anstream::ColorChoice::Always,
        ColorWhen::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Whether stderr takes colours.
pub fn stderr_is_styled() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Writes a result to stdout, to the last byte.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Tells a person something on stderr. A closed stderr leaves nobody to tell, and is no reason to stop.
pub fn tell(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Tells a report's warnings and errors on stderr.
pub fn tell_problems(view: &View<'_>) {
    tell(&text_problems(&view.warnings, "warning", Style::WARNING));
    tell(&text_problems(&view.errors, "error", Style::ERROR));
}

/// Writes a report to stdout in its format.
pub fn report(view: &View<'_>, format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => result(&text(view)),
        Format::Markdown => result(&markdown(view)),
        Format::Json => json(&Report::from(view)),
    }
}

/// Writes a value to stdout as JSON for people and machines.
pub fn json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::Output(error.into()))?;
    text.push('\n');
    result(&text)
}
