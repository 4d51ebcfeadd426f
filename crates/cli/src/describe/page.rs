//! The layout of a page: names on the left, values in one column, tables and blocks indented below their title.

use crate::table;
use crate::terminal::tame;
use drover_columns::fields::NONE;

/// Where values begin.
const COLUMN: usize = 20;

/// A page as it is written. Whatever comes from the server is tamed: it may hold output of anybody's process.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A name and its value; each further line of it below the first.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        let value = if value.is_empty() { NONE } else { value };
        let value = tame(value);
        let mut left = format!("{name}:");
        for line in value.lines() {
            self.0.push_str(format!("{left:<COLUMN$}{line}").trim_end());
            self.0.push('\n');
            left.clear();
        }
    }

    /// A name and its value, if there is one.
    pub(super) fn field_if(&mut self, name: &str, value: &str) {
        if !value.is_empty() && value != NONE {
            self.field(name, value);
        }
    }

    /// Text in lines, as it is, below a title.
    pub(super) fn block(&mut self, title: &str, text: &str) {
        self.0.push_str(&format!("{title}:\n"));
        self.indented(&tame(text));
    }

    /// A table below a title; `note` follows the title.
    pub(super) fn table(&mut self, title: &str, note: &str, headers: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return self.field(title, if note.is_empty() { NONE } else { note });
        }
        let note = if note.is_empty() { String::new() } else { format!(" {note}") };
        self.0.push_str(&format!("{title}:{note}\n"));
        self.indented(&table::whole(headers, rows));
    }

    fn indented(&mut self, text: &str) {
        for line in text.lines() {
            self.0.push_str(format!("  {line}").trim_end());
            self.0.push('\n');
        }
    }

    /// The whole.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column_and_move_no_cursor() {
        let mut page = Page::default();
        page.field("Name", "a\nb\u{1b}[2J");
        page.field("Empty", "");
        page.field_if("Absent", "<none>");
        page.block("Output", "x\r\n\n y\n");
        page.table("Runs", "1", &["A"], &[vec!["z".to_owned()]]);
        page.table("None", "", &["A"], &[]);
        assert_eq!(
            page.into_text(),
            "Name:               a\n                    b\\u{1b}[2J\nEmpty:              <none>\n\
             Output:\n  x\\r\n\n   y\nRuns: 1\n  A\n  z\nNone:               <none>\n"
        );
    }
}
