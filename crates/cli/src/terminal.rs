//! What is known of the terminal on stderr: colour and width.

use std::io::IsTerminal;

/// Columns used where the terminal does not say.
const WIDTH: usize = 100;

/// Whether stderr may be coloured: a terminal, and `NO_COLOR` (<https://no-color.org>) unset or empty.
pub(crate) fn stderr_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

/// Columns of the terminal, from `COLUMNS`.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|n| *n >= 40).unwrap_or(WIDTH)
}
