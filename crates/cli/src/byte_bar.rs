//! How many bytes of a file are done: a bar on stderr, where that is a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, or nothing.
pub(crate) struct ByteBar(ProgressBar);

impl ByteBar {
    /// Of a length that is not known yet.
    pub(crate) fn new() -> Self {
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        // A template that does not parse would only cost the bar its looks.
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Says the length, if it is known.
    pub(crate) fn of(&self, length: Option<u64>) {
        if let Some(length) = length
            && self.0.length() != Some(length)
        {
            self.0.set_length(length);
        }
    }

    /// So many more are done.
    pub(crate) fn more(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
