//! Progress bars on stderr, when it is a terminal and nothing else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One bar at a time: the phase of a run, with a count when the total is known. Cheap to clone; all clones draw
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
        Progress { bar: ProgressBar::with_draw_target(None, target) }
    }

    /// Begins a phase (`observing`, `applying`) of `total` steps, or of an unknown number.
    pub fn begin(&self, phase: &str, total: Option<u64>) {
        self.bar.reset();
        match total {
            Some(total) => {
                self.bar.set_length(total);
                self.set_style("{spinner} {msg} [{wide_bar}] {pos}/{len}");
            }
            None => {
                self.bar.unset_length();
                self.set_style("{spinner} {msg} {pos}");
            }
        }
        self.bar.set_message(phase.to_owned());
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(Duration::from_millis(120));
        }
    }

    /// Sets how many steps of the phase are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Adds one done step.
    pub fn step(&self) {
        self.bar.inc(1);
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

    fn set_style(&self, template: &str) {
        // A template that does not parse leaves the former style; there is nothing better to do about a bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}
