//! Progress bars on stderr, when it is a terminal and nothing else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The phase of a run, and how far it has come. Cheap to clone; all clones draw
/// the same bar.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar on stderr, or nothing when stderr is no terminal or `quiet` is set.
    pub fn new(quiet: bool) -> Self {
        let hidden = quiet || !std::io::stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        // A template that does not parse leaves the usual style; there is nothing better to do about a bar.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{wide_bar}] {pos}/{len}") {
            bar.set_style(style);
        }
        Progress { bar }
    }

    /// Shows how far a phase (`reading`, `applying`) has come.
    pub fn show(&self, phase: &'static str, done: u64, total: u64) {
        if self.bar.is_hidden() {
            return;
        }
        // A bar that was taken away after one phase comes back for the next.
        if self.bar.message() != phase || self.bar.is_finished() {
            self.bar.reset();
            self.bar.set_message(phase);
            self.bar.enable_steady_tick(Duration::from_millis(120));
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Prints a line above the bar; on stderr, whether or not there is a bar.
    pub fn note(&self, line: &str) {
        self.bar.suspend(|| {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(anstream::stderr(), "{}", super::visible(line));
        });
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
