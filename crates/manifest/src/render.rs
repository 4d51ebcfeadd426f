//! Diagnostics for people: the line, a caret below the part that is meant, the fix. Without colour the output depends
//! on the diagnostic and the width alone, so goldens can hold it.

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Severity};

/// Narrower than this, a cut line says nothing.
const MIN_WIDTH: usize = 40;

struct Paint {
    on: bool,
}

impl Paint {
    fn code(&self, code: &'static str) -> &'static str {
        if self.on { code } else { "" }
    }
    fn severity(&self, severity: Severity) -> &'static str {
        self.code(match severity {
            Severity::Error => "\u{1b}[1;31m",
            Severity::Warning => "\u{1b}[1;33m",
        })
    }
    fn bold(&self) -> &'static str {
        self.code("\u{1b}[1m")
    }
    fn frame(&self) -> &'static str {
        self.code("\u{1b}[1;34m")
    }
    fn off(&self) -> &'static str {
        self.code("\u{1b}[0m")
    }
}

impl Diagnostic {
    /// The diagnostic as a terminal of `width` columns shows it; it ends with a newline. Control characters of the
    /// source never reach the terminal.
    pub fn render(&self, color: bool, width: usize) -> String {
        let paint = Paint { on: color };
        let mut out = String::new();
        let (tone, bold, frame, off) =
            (paint.severity(self.severity), paint.bold(), paint.frame(), paint.off());
        let word = self.severity.word();
        let message = tame(&self.message);
        let name = tame(&self.source_name);
        let _ = writeln!(out, "{tone}{word}{off}{bold}: {message}{off}");
        let Some(location) = &self.location else {
            let _ = writeln!(out, " {frame}-->{off} {name}");
            self.write_help(&mut out, 1, &paint);
            return out;
        };
        let number = location.line.to_string();
        let gutter = number.len() + 1;
        let pad = " ".repeat(gutter);
        let _ = writeln!(
            out,
            "{:gutter$}{frame}-->{off} {name}:{}:{}",
            "",
            location.line,
            location.column,
            gutter = gutter - 1
        );
        if let Some(line) = &self.line_text {
            let room = width.max(MIN_WIDTH).saturating_sub(gutter + 3);
            let shown = show(line, location.column - 1, location.span.len(), room);
            let _ = writeln!(out, "{pad}{frame}|{off}");
            let _ = writeln!(out, "{frame}{number} |{off} {}", shown.text);
            let _ = writeln!(
                out,
                "{pad}{frame}|{off} {}{tone}{}{off}",
                " ".repeat(shown.before),
                "^".repeat(shown.marked)
            );
        }
        self.write_help(&mut out, gutter, &paint);
        out
    }

    fn write_help(&self, out: &mut String, gutter: usize, paint: &Paint) {
        let Some(help) = &self.help else { return };
        let (frame, bold, off) = (paint.frame(), paint.bold(), paint.off());
        if self.line_text.is_some() {
            let _ = writeln!(out, "{:gutter$}{frame}|{off}", "");
        }
        let _ = writeln!(out, "{:gutter$}{frame}={off} {bold}help{off}: {}", "", tame(help));
    }
}

struct Shown {
    text: String,
    /// Columns before the mark, and the mark's own.
    before: usize,
    marked: usize,
}

/// Cuts a line to `room` columns around the marked part.
fn show(line: &str, skip: usize, span_bytes: usize, room: usize) -> Shown {
    let mut cells = Vec::new();
    let (mut mark_start, mut mark_end) = (None, None);
    let mut span_left = span_bytes;
    for (chars, c) in line.chars().filter(|c| *c != '\u{feff}').enumerate() {
        if chars == skip {
            mark_start = Some(cells.len());
        }
        match c {
            '\t' => cells.extend([(' ', 1); 4]),
            c if hidden(c) => cells.push(('\u{fffd}', 1)),
            c => cells.push((c, columns(c))),
        }
        if chars >= skip && span_left > 0 {
            span_left = span_left.saturating_sub(c.len_utf8());
            mark_end = Some(cells.len());
        }
    }
    let start = mark_start.unwrap_or(cells.len());
    let end = mark_end.unwrap_or(start).max(start);
    let wide = |range: &[(char, usize)]| range.iter().map(|cell| cell.1).sum::<usize>();
    let (mut from, mut to) = (0, cells.len());
    if wide(&cells) > room {
        // A third of the room for what stands before the mark.
        from = start;
        while from > 0 && wide(&cells[from - 1..start]) <= room / 3 {
            from -= 1;
        }
        to = from;
        while to < cells.len() && wide(&cells[from..=to]) + 2 <= room {
            to += 1;
        }
    }
    let mut text = String::new();
    if from > 0 {
        text.push('…');
    }
    text.extend(cells[from..to].iter().map(|cell| cell.0));
    if to < cells.len() {
        text.push('…');
    }
    let end = end.min(to).max(start);
    Shown {
        text: text.trim_end().to_owned(),
        before: wide(&cells[from..start.min(to).max(from)]) + usize::from(from > 0),
        marked: wide(&cells[start..end.max(start)]).max(1),
    }
}

/// Columns a terminal gives a character: two for East Asian wide ones, by their blocks.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Characters that move the cursor or reorder text instead of showing something.
fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn tame(text: &str) -> String {
    text.chars().map(|c| if hidden(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Location;

    fn sample(text: &str, part: &str) -> Diagnostic {
        let start = text.find(part).expect("part is in the text");
        let location = Location::new(text, start..start + part.len());
        Diagnostic::error("timers.yaml", "spec.cron: minute 61 is out of range 0-59").at(text, location)
    }

    #[test]
    fn the_caret_stands_below_the_part_that_is_meant() {
        let text = "kind: Timer\nspec:\n  cron: \"61 * * * *\"\n";
        let golden = "\
error: spec.cron: minute 61 is out of range 0-59
 --> timers.yaml:3:9
  |
3 |   cron: \"61 * * * *\"
  |         ^^^^^^^^^^^^
  |
  = help: use a minute from 0 to 59
";
        let diagnostic = sample(text, "\"61 * * * *\"").help("use a minute from 0 to 59");
        assert_eq!(diagnostic.render(false, 80), golden);
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret_and_fits() {
        let text = format!("a: [{} here, {}]", "x, ".repeat(100), "y, ".repeat(100));
        let rendered = sample(&text, "here").render(false, 60);
        let lines: Vec<&str> = rendered.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 60), "{rendered}");
        let caret = lines[4].chars().position(|c| c == '^').expect("a caret");
        let shown: String = lines[3].chars().skip(caret).take(4).collect();
        assert_eq!(shown, "here", "{rendered}");
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_caret_in_place() {
        let rendered = sample("\t日本: here", "here").render(false, 80);
        let lines: Vec<&str> = rendered.lines().collect();
        assert_eq!(lines[3], "1 |     日本: here");
        assert_eq!(lines[4], format!("  | {}^^^^", " ".repeat(10)));
    }

    #[test]
    fn escape_sequences_of_a_source_never_reach_the_terminal() {
        let text = "a: \u{1b}[31mred\u{202e}";
        let diagnostic = sample(text, "red");
        assert!(!diagnostic.render(false, 80).contains(['\u{1b}', '\u{202e}']));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let diagnostic = sample("a: b\nc: d\n", "d").help("fix it");
        let mut plain = diagnostic.render(true, 80);
        for code in ["\u{1b}[1;31m", "\u{1b}[1;34m", "\u{1b}[1m", "\u{1b}[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, diagnostic.render(false, 80));
    }

    #[test]
    fn machines_get_the_same_place() {
        let json = sample("a: b\nc: d\n", "d").to_json();
        assert_eq!(json["line"], 2);
        assert_eq!(json["column"], 4);
        assert_eq!(json["offset"], 8);
        assert_eq!(json["length"], 1);
        assert_eq!(json["source"], "timers.yaml");
    }
}
