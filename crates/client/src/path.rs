//! Paths and queries, percent-encoded.

use std::fmt::Write as _;

/// One segment of a path, encoded.
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode(text, &mut encoded);
    encoded
}

/// A path with query parameters.
#[derive(Clone, Debug)]
pub struct Query {
    path: String,
    next: char,
}

impl Query {
    /// Begins with a path, which may have a query already.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), next: if path.contains('?') { '&' } else { '?' } }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.path.push(self.next);
        self.next = '&';
        encode(key, &mut self.path);
        self.path.push('=');
        encode(value, &mut self.path);
        self
    }

    /// Adds a parameter if it has a value.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The whole.
    pub fn into_path(self) -> String {
        self.path
    }
}

fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_has_a_meaning_in_a_url_is_encoded() {
        assert_eq!(segment("a/b c%é"), "a%2Fb%20c%25%C3%A9");
        let query = Query::new("/x").with("labelSelector", "a=b,c").with_some("n", None).with("watch", "1");
        assert_eq!(query.into_path(), "/x?labelSelector=a%3Db%2Cc&watch=1");
        assert_eq!(Query::new("/x?a=1").with("b", "2").into_path(), "/x?a=1&b=2");
    }
}
