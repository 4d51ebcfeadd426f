//! Colours: few, and only for what a reader looks for first, whether it is well.

use anstyle::{AnsiColor, Style};

/// A colour with a meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Paint(Style);

/// It failed.
pub(crate) const WRONG: Paint = Paint(AnsiColor::Red.on_default().bold());
/// It is not what it should be yet.
pub(crate) const WAITS: Paint = Paint(AnsiColor::Yellow.on_default());
/// It is as it should be.
pub(crate) const WELL: Paint = Paint(AnsiColor::Green.on_default());

impl Paint {
    /// The text in this colour, if colours are on.
    pub(crate) fn on(self, colours: bool, text: &str) -> String {
        if colours { format!("{}{text}{}", self.0.render(), self.0.render_reset()) } else { text.to_owned() }
    }
}

/// The colour of a cell, by its column and what it says.
pub(crate) fn of(header: &str, cell: &str) -> Option<Paint> {
    if !matches!(header, "PHASE" | "STATUS" | "READY" | "LAST-PHASE" | "OUTCOME" | "TYPE") {
        return None;
    }
    match cell.split([',', '?']).next().unwrap_or_default() {
        "Failed" | "TimedOut" | "Lost" | "NotReady" | "False" => Some(WRONG),
        "Pending" | "Unknown" | "Terminating" | "Skipped" | "Warning" => Some(WAITS),
        "Running" | "Succeeded" | "Complete" | "Ready" | "True" | "Active" => Some(WELL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_columns_that_say_how_it_is_are_coloured() {
        assert_eq!(of("PHASE", "Failed"), Some(WRONG));
        assert_eq!(of("STATUS", "Ready,SchedulingDisabled"), Some(WELL));
        assert_eq!((of("NAME", "Failed"), of("READY", "2/3")), (None, None));
        assert_eq!(
            (WELL.on(false, "x").as_str(), WELL.on(true, "x").as_str()),
            ("x", "\u{1b}[32mx\u{1b}[0m")
        );
    }
}
