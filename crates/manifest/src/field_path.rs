//! Paths to fields as error messages write them: `spec.params[1].name`, `metadata.labels[drover.dev/role]`.

use std::fmt;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A member of a map.
    Key(String),
    /// An element of a list, counted from 0.
    Index(usize),
}

/// A path from a document's root to a field; empty for the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The path of the document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path as errors print it. Keys with dots stand in brackets, with or without quotes. Never fails: paths
    /// come from messages of other programs, and a strange one leads to the nearest field that exists.
    pub fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            if let Some(bracketed) = rest.strip_prefix('[') {
                let (inside, after) = bracket(bracketed);
                segments.push(inside);
                rest = after.strip_prefix('.').unwrap_or(after);
                continue;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end > 0 {
                segments.push(Segment::Key(rest[..end].to_owned()));
            }
            rest = &rest[end..];
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
        Self(segments)
    }

    /// This path, one key further.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// This path, one list element further.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// This path followed by another.
    #[must_use]
    pub fn join(&self, tail: &FieldPath) -> Self {
        Self(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// The steps, from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

/// What stands before the closing bracket, and what follows it.
fn bracket(text: &str) -> (Segment, &str) {
    if let Some(quoted) = text.strip_prefix('"')
        && let Some(end) = quoted.find("\"]")
    {
        return (Segment::Key(quoted[..end].to_owned()), &quoted[end + 2..]);
    }
    let end = text.find(']').unwrap_or(text.len());
    let inside = &text[..end];
    let after = text.get(end + 1..).unwrap_or_default();
    match inside.parse() {
        Ok(index) => (Segment::Index(index), after),
        Err(_) => (Segment::Key(inside.to_owned()), after),
    }
}

impl From<&str> for FieldPath {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '[', ']', '/']) => write!(f, "[{key}]")?,
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_as_it_was_written() {
        for text in [
            "",
            "spec",
            "spec.params[1].name",
            "metadata.labels[drover.dev/role]",
            "spec.placement.matchExpressions[0].operator",
            "[0][1].a",
        ] {
            assert_eq!(FieldPath::parse(text).to_string(), text);
        }
    }

    #[test]
    fn brackets_hold_an_index_or_a_key() {
        let path = FieldPath::parse("a[\"b.c\"][2][d/e].f");
        let expected = FieldPath::root().key("a").key("b.c").index(2).key("d/e").key("f");
        assert_eq!(path, expected);
    }

    #[test]
    fn a_broken_path_is_no_panic() {
        for text in ["[", "]", "a[", "a[\"", "..", "a..b", "[\"]", "a]b", "ä[ö"] {
            let _ = FieldPath::parse(text).to_string();
        }
    }
}
