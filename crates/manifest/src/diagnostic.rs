//! One thing to tell the author of a manifest, and where it stands.

use std::fmt;
use std::ops::Range;

use serde_json::{Value, json};

/// A piece of a text: where it starts for a reader, and which bytes it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Line of the first character, from 1.
    pub line: usize,
    /// Column of the first character in characters, from 1.
    pub column: usize,
    /// The bytes covered.
    pub span: Range<usize>,
}

impl Location {
    /// The location of `span` in `text`. A span beyond the text or inside a character is moved to the nearest place
    /// that exists.
    pub fn new(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(start));
        let line_start = line_start(text, start);
        Self {
            line: text[..start].bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: text[line_start..start].chars().filter(|c| *c != '\u{feff}').count() + 1,
            span: start..end,
        }
    }
}

fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is applied.
    Error,
    /// Said, and gone on.
    Warning,
}

impl Severity {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// An error or warning that points into a source, with the fix where one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file, or `<stdin>`.
    pub source_name: String,
    /// Where in the source; none if the source as a whole is meant.
    pub location: Option<Location>,
    /// How much it matters.
    pub severity: Severity,
    /// The line the location starts in, kept so that showing it needs no second read of the file.
    pub(crate) line_text: Option<String>,
}

/// Longest piece of a line kept for showing; manifests may be one line of megabytes.
const LINE_KEPT: usize = 4096;

impl Diagnostic {
    /// An error about a source as a whole.
    pub fn error(source_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            source_name: source_name.into(),
            location: None,
            severity: Severity::Error,
            line_text: None,
        }
    }

    /// Points at a place in the source's text.
    #[must_use]
    pub fn at(mut self, text: &str, location: Location) -> Self {
        let start = line_start(text, floor(text, location.span.start));
        let line = text[start..].lines().next().unwrap_or_default();
        // A place far into a huge line is told by numbers only: there is no line worth showing.
        let within = location.span.start.saturating_sub(start) <= LINE_KEPT;
        self.line_text = within.then(|| line[..floor(line, 2 * LINE_KEPT)].to_owned());
        self.location = Some(location);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The diagnostic for machines.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "severity": self.severity.word(),
            "message": self.message,
            "source": self.source_name,
        });
        if let Some(help) = &self.help {
            object["help"] = json!(help);
        }
        if let Some(location) = &self.location {
            object["line"] = json!(location.line);
            object["column"] = json!(location.column);
            object["offset"] = json!(location.span.start);
            object["length"] = json!(location.span.len());
        }
        object
    }
}

/// One line, as a compiler's: `timers.yaml:7:9: error: …`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.source_name)?;
        if let Some(location) = &self.location {
            write!(f, "{}:{}:", location.line, location.column)?;
        }
        write!(f, " {}: {}", self.severity.word(), self.message)
    }
}

impl std::error::Error for Diagnostic {}
