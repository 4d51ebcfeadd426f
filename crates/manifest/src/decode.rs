//! A text, as the documents it holds.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Location};
use crate::field_path::FieldPath;
use crate::locate::{locate_key_within, locate_within};
use crate::stream::{Dialect, documents};
use crate::{identity, strict};

/// How much a text may hold. What exceeds a limit is refused before it costs memory or time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one source: a file, stdin, a request body.
    pub max_source_bytes: usize,
    /// Bytes of one document, also after its aliases are expanded.
    pub max_document_bytes: usize,
    /// Levels of maps and lists in one document.
    pub max_depth: usize,
    /// Values in one document, after its aliases are expanded.
    pub max_nodes: usize,
    /// Documents in one source, items of lists counted singly.
    pub max_documents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_source_bytes: 32 << 20,
            max_document_bytes: 3 << 20,
            max_depth: 64,
            max_nodes: 250_000,
            max_documents: 20_000,
        }
    }
}

/// After so many errors, the rest of a source is not looked at.
pub(crate) const MAX_DIAGNOSTICS: usize = 20;

/// One object of a source.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file, or `<stdin>`.
    pub source_name: String,
    /// Which document of the source it is, from 0; items of a list share their list's.
    pub index: usize,
    /// The object itself.
    pub value: Value,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`, if given.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The bytes of the source that hold the document.
    pub span: Range<usize>,
    /// Where the object lies within the document: empty, or `items[3]` in a list.
    pub(crate) base: FieldPath,
    pub(crate) text: Arc<str>,
}

impl Document {
    /// The whole text of the source.
    pub fn source_text(&self) -> &str {
        &self.text
    }

    /// Where a field's value stands in the source; the nearest parent that exists if the field does not.
    pub fn locate(&self, path: &FieldPath) -> Option<Location> {
        locate_within(&self.text, self.span.clone(), &self.base.join(path))
    }

    /// Where a field's key stands in the source; for errors about the field's presence.
    pub fn locate_key(&self, path: &FieldPath) -> Option<Location> {
        locate_key_within(&self.text, self.span.clone(), &self.base.join(path))
    }

    /// An error about a field's value, pointing at it.
    pub fn error_at(&self, path: &FieldPath, message: impl Into<String>) -> Diagnostic {
        self.error(self.locate(path), message)
    }

    /// An error about a field's presence, pointing at its key.
    pub fn error_at_key(&self, path: &FieldPath, message: impl Into<String>) -> Diagnostic {
        self.error(self.locate_key(path), message)
    }

    fn error(&self, location: Option<Location>, message: impl Into<String>) -> Diagnostic {
        let start = self.span.start;
        let location = location.unwrap_or_else(|| Location::new(&self.text, start..start));
        Diagnostic::error(&self.source_name, message).at(&self.text, location)
    }
}

/// Reads every document of a text, YAML or JSON, and expands `kind: List`. Either all documents are good, or the
/// answer is everything that is wrong with them.
pub fn decode(source_name: &str, text: &str, limits: &Limits) -> Result<Vec<Document>, Vec<Diagnostic>> {
    if text.len() > limits.max_source_bytes {
        return Err(vec![too_large(source_name, "source", text.len(), limits.max_source_bytes)]);
    }
    let shared: Arc<str> = Arc::from(text);
    let (dialect, ranges) = documents(text);
    let dialect = dialect_of(source_name, dialect);
    if ranges.len() > limits.max_documents {
        let message = format!("more than {} documents in one source", limits.max_documents);
        return Err(vec![Diagnostic::error(source_name, message).help("split the file")]);
    }
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (index, range) in ranges.into_iter().enumerate() {
        if errors.len() >= MAX_DIAGNOSTICS {
            break;
        }
        if found.len() >= limits.max_documents {
            let message = format!("more than {} objects in one source", limits.max_documents);
            errors.push(Diagnostic::error(source_name, message).help("split the file"));
            break;
        }
        let piece = &text[range.clone()];
        if piece.len() > limits.max_document_bytes {
            let location = Location::new(text, range.start..range.start);
            let error = too_large(source_name, "document", piece.len(), limits.max_document_bytes);
            errors.push(error.at(text, location));
            continue;
        }
        match strict::value(piece, dialect, limits) {
            Ok(Value::Null) => {}
            Ok(value) => {
                let origin = identity::Origin { source_name, index, span: range, text: &shared };
                identity::objects(&origin, value, &mut found, &mut errors);
            }
            Err(refusal) => errors.push(refused(source_name, text, range.start, refusal)),
        }
    }
    errors.truncate(MAX_DIAGNOSTICS);
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Reads a text of one document that is no object: a list, a configuration. As strict as [`decode`]; an empty text is
/// null.
pub fn decode_value(source_name: &str, text: &str, limits: &Limits) -> Result<Value, Box<Diagnostic>> {
    if text.len() > limits.max_document_bytes {
        return Err(Box::new(too_large(source_name, "document", text.len(), limits.max_document_bytes)));
    }
    let (dialect, ranges) = documents(text);
    match ranges.as_slice() {
        [] => Ok(Value::Null),
        [range] => strict::value(&text[range.clone()], dialect_of(source_name, dialect), limits)
            .map_err(|refusal| Box::new(refused(source_name, text, range.start, refusal))),
        [_, second, ..] => {
            let location = Location::new(text, second.start..second.start + 1);
            let error = Diagnostic::error(source_name, "one document is expected, here begins a second");
            Err(Box::new(error.at(text, location)))
        }
    }
}

fn refused(source_name: &str, text: &str, document_start: usize, refusal: strict::Refusal) -> Diagnostic {
    let start = document_start + refusal.offset;
    let location = Location::new(text, start..word_end(text, start));
    let error = Diagnostic::error(source_name, refusal.message).at(text, location);
    match refusal.help {
        Some(help) => error.help(help),
        None => error,
    }
}

/// [`decode`] for bytes that may not be text.
pub fn decode_bytes(
    source_name: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Vec<Document>, Vec<Diagnostic>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => decode(source_name, text, limits),
        Err(_) if bytes.len() > limits.max_source_bytes => {
            Err(vec![too_large(source_name, "source", bytes.len(), limits.max_source_bytes)])
        }
        Err(error) => Err(vec![not_utf8(source_name, bytes, error.valid_up_to())]),
    }
}

pub(crate) fn not_utf8(source_name: &str, bytes: &[u8], offset: usize) -> Diagnostic {
    let text = String::from_utf8_lossy(&bytes[..(offset + 64).min(bytes.len())]);
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let message = format!("not UTF-8: byte 0x{byte:02x} at offset {offset}");
    let help = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "the file is UTF-16: save it as UTF-8"
    } else {
        "save the file as UTF-8"
    };
    Diagnostic::error(source_name, message).at(&text, Location::new(&text, offset..offset + 1)).help(help)
}

fn too_large(source_name: &str, what: &str, size: usize, limit: usize) -> Diagnostic {
    Diagnostic::error(
        source_name,
        format!("the {what} is too large: {size} bytes, at most {limit} are allowed"),
    )
}

/// A file that is named JSON and is broken gets JSON's errors, not YAML's.
fn dialect_of(source_name: &str, found: Dialect) -> Dialect {
    if source_name.ends_with(".json") { Dialect::Json } else { found }
}

/// The end of the word that starts here; what is underlined when only a place is known.
fn word_end(text: &str, start: usize) -> usize {
    let rest = &text[start.min(text.len())..];
    let end = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].find([quote, '\n']).map_or(rest.len(), |end| end + 2),
        Some(first) if first.is_whitespace() => first.len_utf8(),
        _ => rest.find([':', ',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len()).max(1),
    };
    (start + end).min(text.len())
}
