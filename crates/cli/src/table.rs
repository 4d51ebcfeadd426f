//! Cells in columns, as kubectl lays them out: three spaces between, headers in capitals, nothing at the end of a
//! line.

use crate::paint;

/// Rows under headers. Its widths only grow, so that rows that come later stand below the earlier ones.
pub(crate) struct Table {
    headers: Vec<String>,
    widths: Vec<usize>,
    colours: bool,
}

/// A cell longer than this makes no column wide.
const WIDEST: usize = 80;

impl Table {
    /// A table without rows.
    pub(crate) fn new(headers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let headers: Vec<String> = headers.into_iter().map(Into::into).collect();
        let widths = headers.iter().map(|header| header.chars().count()).collect();
        Self { headers, widths, colours: false }
    }

    /// With colours where they mean something.
    pub(crate) fn coloured(mut self, colours: bool) -> Self {
        self.colours = colours;
        self
    }

    /// The line of headers.
    pub(crate) fn head(&self) -> String {
        self.line(&self.headers)
    }

    /// Makes the columns wide enough for these rows.
    pub(crate) fn fit<'a>(&mut self, rows: impl IntoIterator<Item = &'a Vec<String>>) {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(one_line(cell).chars().count().min(WIDEST));
            }
        }
    }

    /// One row, with its newline.
    pub(crate) fn line(&self, row: &[String]) -> String {
        let mut out = String::new();
        for (at, cell) in row.iter().enumerate() {
            let cell = one_line(cell);
            let paint = self.headers.get(at).and_then(|header| paint::of(header, &cell));
            match paint {
                Some(paint) => out.push_str(&paint.on(self.colours, &cell)),
                None => out.push_str(&cell),
            }
            if at + 1 < row.len() {
                let width = self.widths.get(at).copied().unwrap_or(0);
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 3));
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

/// Headers and rows, in full.
pub(crate) fn whole(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new(headers.iter().copied());
    table.fit(rows);
    let lines: String = rows.iter().map(|row| table.line(row)).collect();
    table.head() + &lines
}

/// A cell is one line, and never moves a terminal's cursor.
fn one_line(cell: &str) -> String {
    cell.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_where_their_text_does() {
        let rows = [vec!["a".to_owned(), "b\u{1b}[31m\nc".into()], vec!["größer".into(), String::new()]];
        assert_eq!(whole(&["NAME", "X"], &rows), "NAME     X\na        b [31m c\ngrößer\n");
    }
}
