//! Cutting a text into its documents, without parsing them.
//!
//! Each document is parsed alone afterwards, so an error in one hides no error in the next, and finding a field reads
//! one document instead of the whole file. The cut is exact: `---` and `...` at the start of a line are markers
//! everywhere in YAML, also within quotes and block scalars.

use std::ops::Range;

use serde::de::IgnoredAny;

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Yaml,
    Json,
}

/// The documents of a text as byte ranges. Pieces that hold only comments are no documents.
pub(crate) fn documents(text: &str) -> (Dialect, Vec<Range<usize>>) {
    if let Some(ranges) = json_values(text) {
        return (Dialect::Json, ranges);
    }
    (Dialect::Yaml, yaml_documents(text))
}

/// The values of a text that is JSON from end to end; none if it is something else.
fn json_values(text: &str) -> Option<Vec<Range<usize>>> {
    let marked = text.len();
    let text = text.trim_start_matches('\u{feff}');
    let mark = marked - text.len();
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut ranges = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut start = 0;
    while let Some(value) = stream.next() {
        value.ok()?;
        let end = stream.byte_offset();
        let blank = text[start..end].len() - text[start..end].trim_start().len();
        ranges.push(mark + start + blank..mark + end);
        start = end;
    }
    Some(ranges)
}

fn yaml_documents(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let (mut has_content, mut has_directive) = (false, false);
    let mut offset = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let next = offset + line.len();
        let bare = if offset == 0 { line.trim_start_matches('\u{feff}') } else { line };
        match marker(bare) {
            Some(Marker::Start(rest)) => {
                if has_content {
                    ranges.push(start..offset);
                }
                // Directives belong to the document that the marker opens.
                if has_content || !has_directive {
                    start = offset;
                }
                has_content = holds_something(rest);
                has_directive = false;
            }
            Some(Marker::End) => {
                if has_content {
                    ranges.push(start..offset);
                }
                start = next;
                (has_content, has_directive) = (false, false);
            }
            None if !has_content && bare.starts_with('%') => has_directive = true,
            None => has_content |= holds_something(bare),
        }
        offset = next;
    }
    if has_content || has_directive {
        ranges.push(start..text.len());
    }
    ranges
}

enum Marker<'a> {
    Start(&'a str),
    End,
}

fn marker(line: &str) -> Option<Marker<'_>> {
    let ends_word = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']);
    if let Some(rest) = line.strip_prefix("---").filter(|rest| ends_word(rest)) {
        return Some(Marker::Start(rest));
    }
    line.strip_prefix("...").filter(|rest| ends_word(rest)).map(|_| Marker::End)
}

fn holds_something(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        documents(text).1.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn documents_are_cut_at_markers_and_comments_are_none() {
        assert_eq!(pieces("# only\n"), Vec::<&str>::new());
        assert_eq!(pieces("---\n---\n# x\n---\na: 1\n"), ["---\na: 1\n"]);
        assert_eq!(pieces("a: 1\n---\nb: 2\n...\nc: 3\n"), ["a: 1\n", "---\nb: 2\n", "c: 3\n"]);
        assert_eq!(pieces("a: |\n  ---\n  x\n"), ["a: |\n  ---\n  x\n"]);
        assert_eq!(pieces("--- {a: 1}\n--- {b: 2}"), ["--- {a: 1}\n", "--- {b: 2}"]);
        assert_eq!(pieces("%YAML 1.2\n---\na: 1\n"), ["%YAML 1.2\n---\na: 1\n"]);
        assert_eq!(pieces("\u{feff}---\r\na: 1\r\n---\r\nb: 2\r\n").len(), 2);
    }

    #[test]
    fn json_values_may_follow_each_other() {
        assert_eq!(documents("{\"a\":1}\n{\"b\":[]} "), (Dialect::Json, vec![0..7, 8..16]));
        assert_eq!(documents("{a: 1}").0, Dialect::Yaml);
        assert_eq!(documents("\u{feff}{\"a\":1} []").1, [3..10, 11..13], "after a byte order mark");
    }
}
