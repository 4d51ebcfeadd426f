//! stdout and stderr: what is written where, in which colours, and what becomes of a reader that went away.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

use crate::failure::StdoutClosed;
use crate::paint;

/// Columns used where the terminal does not say.
const WIDTH: usize = 100;

/// Whether stderr may be coloured: a terminal, and `NO_COLOR` (<https://no-color.org>) unset or empty.
pub(crate) fn stderr_colour() -> bool {
    io::stderr().is_terminal() && colour_is_welcome()
}

/// Whether stdout may be coloured.
pub(crate) fn stdout_colour() -> bool {
    io::stdout().is_terminal() && colour_is_welcome()
}

fn colour_is_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal, from `COLUMNS`.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|n| *n >= 40).unwrap_or(WIDTH)
}

/// Writes data to stdout, byte for byte, and does not wait for more of it.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes text to stdout.
pub(crate) fn print(text: &str) -> Result<()> {
    write(text.as_bytes())
}

/// Writes to stdout what was changed. The change goes on also if nobody reads it any more.
pub(crate) fn report(text: &str) -> Result<()> {
    match print(text) {
        Err(error) if error.is::<StdoutClosed>() => Ok(()),
        done => done,
    }
}

/// Says something on stderr. If nobody listens, nothing is lost but talk.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says on stderr what went wrong.
pub(crate) fn complain(what: &str) {
    let word = paint::WRONG.on(stderr_colour(), "error:");
    tell(&format!("{word} {}", tame(what)));
}

/// A reader that has enough, as `head`, closes the pipe: that is an end, not a failure.
fn written(done: io::Result<()>) -> Result<()> {
    done.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => StdoutClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write to stdout"),
    })
}

/// The text without what would move a terminal's cursor or change its colours: it came from someone else.
pub(crate) fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
