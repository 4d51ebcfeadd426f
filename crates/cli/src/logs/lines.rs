//! Output of several runs on one screen: whole lines, each behind the name of its run.

/// A line longer than this is cut into several, so that nobody's output is held without end.
const LONGEST: usize = 64 << 10;

/// The output of one run, cut into lines.
#[derive(Debug)]
pub(super) struct Lines {
    prefix: Option<Vec<u8>>,
    held: Vec<u8>,
}

impl Lines {
    /// With this before each line. Without a prefix bytes go through as they come.
    pub(super) fn new(prefix: Option<&str>) -> Self {
        Self { prefix: prefix.map(|prefix| prefix.as_bytes().to_vec()), held: Vec::new() }
    }

    /// More output came; what of it can be printed.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(prefix) = &self.prefix else { return bytes.to_vec() };
        let mut out = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = LONGEST - self.held.len();
            let end = rest.iter().take(room).position(|byte| *byte == b'\n');
            let take = end.map_or(rest.len().min(room), |at| at + 1);
            self.held.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            if end.is_some() || self.held.len() == LONGEST {
                out.extend_from_slice(prefix);
                out.append(&mut self.held);
                if end.is_none() {
                    out.push(b'\n');
                }
            }
        }
        out
    }

    /// No more comes; what is left, as a line.
    pub(super) fn finish(mut self) -> Vec<u8> {
        match (self.prefix, self.held.is_empty()) {
            (Some(mut line), false) => {
                line.append(&mut self.held);
                line.push(b'\n');
                line
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_the_bytes_come_in() {
        let mut lines = Lines::new(Some("a/r "));
        let mut out = Vec::new();
        for byte in b"one\n\ntwo\nhal" {
            out.extend(lines.push(&[*byte]));
        }
        out.extend(lines.finish());
        assert_eq!(out, b"a/r one\na/r \na/r two\na/r hal\n");
        assert!(Lines::new(Some("x")).finish().is_empty());
    }

    #[test]
    fn bare_output_is_not_touched() {
        let mut lines = Lines::new(None);
        assert_eq!(lines.push(b"\xff\0no newline"), b"\xff\0no newline");
        assert!(lines.finish().is_empty());
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_not_held() {
        let mut lines = Lines::new(Some("r "));
        let out = lines.push(&vec![b'x'; 2 * LONGEST + 5]);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert_eq!(lines.finish(), b"r xxxxx\n");
    }
}
