//! How far an apply is: a bar on stderr, where that is a terminal and there is much to do.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Fewer objects are done before a bar is read.
const MANY: usize = 20;

/// A bar, or nothing.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// For so many objects, each of which is checked and then sent.
    pub(super) fn new(objects: usize) -> Self {
        let shown = objects > MANY && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(2 * objects as u64), target);
        // A template that does not parse would only cost the bar its looks.
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One more step.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// Does something that writes, with the bar out of the way.
    pub(super) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.suspend(work)
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
