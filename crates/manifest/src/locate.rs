//! From a field path to the text behind it.
//!
//! A seed walks the path and fails on purpose at the target: the parser's error then carries the place. The same
//! parser as decoding, so the two cannot disagree about what the text means.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::diagnostic::Location;
use crate::field_path::{FieldPath, Segment};
use crate::stream::documents;
use crate::strict::byte_offset;

/// The text of the value at `path` in the `document_index`-th document (from 0, empty ones not counted). A value that
/// is a block of lines is shown by its key; a path that leads nowhere by the nearest parent that exists. None only if
/// there is no such document or it does not parse.
pub fn locate(text: &str, document_index: usize, path: &FieldPath) -> Option<Location> {
    let range = documents(text).1.into_iter().nth(document_index)?;
    locate_within(text, range, path)
}

/// The text of the key at `path`; otherwise as [`locate`]. List elements have no key and are shown by their value.
pub fn locate_key(text: &str, document_index: usize, path: &FieldPath) -> Option<Location> {
    let range = documents(text).1.into_iter().nth(document_index)?;
    locate_key_within(text, range, path)
}

pub(crate) fn locate_within(text: &str, document: Range<usize>, path: &FieldPath) -> Option<Location> {
    let piece = &text[document.clone()];
    let (segments, hit) = nearest(piece, path.segments())?;
    let span = match value_span(piece, &hit) {
        // A map or list over several lines is best shown by the key that holds it.
        None => key_span(piece, segments).unwrap_or_else(|| first_line(piece, hit.offset)),
        // What was asked for does not exist: its parent's key says more than the parent's whole text.
        Some(_) if segments.len() < path.segments().len() && !segments.is_empty() => {
            key_span(piece, segments).unwrap_or_else(|| first_line(piece, hit.offset))
        }
        Some(span) => span,
    };
    Some(Location::new(text, document.start + span.start..document.start + span.end))
}

pub(crate) fn locate_key_within(text: &str, document: Range<usize>, path: &FieldPath) -> Option<Location> {
    let piece = &text[document.clone()];
    let (segments, hit) = nearest(piece, path.segments())?;
    let span = key_span(piece, segments)
        .or_else(|| value_span(piece, &hit))
        .unwrap_or_else(|| first_line(piece, hit.offset));
    Some(Location::new(text, document.start + span.start..document.start + span.end))
}

/// The longest beginning of the path that exists, and what stands there.
fn nearest<'p>(piece: &str, mut segments: &'p [Segment]) -> Option<(&'p [Segment], Hit)> {
    loop {
        match walk(piece, segments, Want::Value) {
            Walked::Hit(hit) => return Some((segments, hit)),
            Walked::Missing(reached) if reached < segments.len() => segments = &segments[..reached],
            Walked::Missing(_) | Walked::Broken => return None,
        }
    }
}

fn key_span(piece: &str, segments: &[Segment]) -> Option<Range<usize>> {
    segments.last()?;
    match walk(piece, segments, Want::Key) {
        Walked::Hit(hit) => value_span(piece, &hit),
        Walked::Missing(_) | Walked::Broken => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Key,
    Value,
}

#[derive(Debug)]
enum Walked {
    Hit(Hit),
    /// How many steps exist.
    Missing(usize),
    Broken,
}

#[derive(Debug)]
struct Hit {
    offset: usize,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Text(String),
    Null,
    Scalar,
    Collection,
}

fn walk(piece: &str, segments: &[Segment], want: Want) -> Walked {
    let trace = Trace { reached: Cell::new(0), shape: RefCell::new(None) };
    let step = Step { segments, want, trace: &trace };
    let readable = without_pairs(piece);
    match step.deserialize(serde_yaml::Deserializer::from_str(&readable)) {
        Ok(()) => Walked::Missing(trace.reached.get()),
        Err(error) => match (trace.shape.take(), error.location()) {
            (Some(shape), Some(at)) => Walked::Hit(Hit { offset: byte_offset(piece, at.index()), shape }),
            _ => Walked::Broken,
        },
    }
}

/// JSON escapes one character as a pair, `\ud83d\ude00`, which YAML refuses. Something as long stands in its place, so
/// that every other place stays where it is.
fn without_pairs(piece: &str) -> Cow<'_, str> {
    let half = |at: usize| {
        let digits = piece.get(at..at + 6).and_then(|escape| escape.strip_prefix("\\u"))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let mut copied = 0;
    for (at, _) in piece.match_indices("\\u") {
        let pair = (half(at), half(at + 6));
        if at >= copied && matches!(pair, (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff))) {
            out.push_str(&piece[copied..at]);
            out.push_str("\\u003f\\u003f");
            copied = at + 12;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(piece);
    }
    out.push_str(&piece[copied..]);
    Cow::Owned(out)
}

/// The bytes of what was hit; none if it is a block of lines or nothing at all.
fn value_span(piece: &str, hit: &Hit) -> Option<Range<usize>> {
    let start = skip_properties(piece, hit.offset);
    let rest = &piece[start..];
    let first = rest.chars().next()?;
    let flow = matches!(first, '[' | '{');
    let length = match &hit.shape {
        Shape::Collection if flow => flow_length(rest),
        Shape::Collection => return None,
        _ if matches!(first, '"' | '\'') => quoted_length(rest),
        Shape::Text(_) if matches!(first, '|' | '>') => return None,
        // A plain text of one line stands in the source as it reads.
        Shape::Text(text) if rest.starts_with(text.as_str()) => text.len(),
        Shape::Text(_) => line_length(rest),
        Shape::Null if !rest.starts_with(['~', 'n', 'N']) => return None,
        Shape::Null | Shape::Scalar => {
            rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len())
        }
    };
    (length > 0).then_some(start..start + length)
}

/// Steps over `&anchor` and `!tag`.
fn skip_properties(piece: &str, mut at: usize) -> usize {
    while piece[at..].starts_with(['&', '!']) {
        let rest = &piece[at..];
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let gap = rest[word..].len() - rest[word..].trim_start_matches([' ', '\t']).len();
        at += word + gap;
    }
    at
}

fn first_line(piece: &str, offset: usize) -> Range<usize> {
    offset..offset + line_length(&piece[offset..])
}

fn line_length(rest: &str) -> usize {
    let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
    line.find(" #").map_or(line, |comment| &line[..comment]).trim_end().len()
}

/// Length of a quoted text including its quotes.
fn quoted_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match (bytes[0], bytes[at]) {
            (b'"', b'\\') => at += 1,
            (b'\'', b'\'') if bytes.get(at + 1) == Some(&b'\'') => at += 1,
            (quote, byte) if quote == byte => return at + 1,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// Length of a flow map or list including its brackets.
fn flow_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    // Quotes count only where a value may begin: `it's` is plain text.
    let mut fresh = true;
    while at < bytes.len() {
        match bytes[at] {
            b'[' | b'{' => (depth, fresh) = (depth + 1, true),
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' | b'\'' if fresh => {
                at += quoted_length(&rest[at..]);
                fresh = false;
                continue;
            }
            b'#' if at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                at += rest[at..].find('\n').unwrap_or(rest.len() - at);
                continue;
            }
            b',' | b':' => fresh = true,
            byte if byte.is_ascii_whitespace() => {}
            _ => fresh = false,
        }
        at += 1;
    }
    rest.len()
}

struct Trace {
    reached: Cell<usize>,
    shape: RefCell<Option<Shape>>,
}

impl Trace {
    fn hit<E: de::Error>(&self, shape: Shape) -> E {
        self.shape.replace(Some(shape));
        E::custom("found")
    }
}

#[derive(Clone, Copy)]
struct Step<'a> {
    segments: &'a [Segment],
    want: Want,
    trace: &'a Trace,
}

impl<'a> Step<'a> {
    /// At the target, or at a scalar that the path goes on below.
    fn arrive<E: de::Error>(self, shape: Shape) -> Result<(), E> {
        if self.segments.is_empty() { Err(self.trace.hit(shape)) } else { Ok(()) }
    }

    fn next(self) -> Step<'a> {
        self.trace.reached.set(self.trace.reached.get() + 1);
        Step { segments: &self.segments[1..], ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.arrive(Shape::Null)
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.arrive(Shape::Scalar)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.arrive(Shape::Scalar)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.arrive(Shape::Scalar)
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.arrive(Shape::Scalar)
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.arrive(Shape::Scalar)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.arrive(Shape::Scalar)
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<(), E> {
        self.arrive(Shape::Text(v.to_owned()))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.trace.hit(Shape::Collection))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let wanted = match self.segments.first() {
            None => return Err(self.trace.hit(Shape::Collection)),
            Some(Segment::Index(index)) => Some(*index),
            Some(Segment::Key(key)) => key.parse().ok(),
        };
        let mut at = 0;
        loop {
            if Some(at) == wanted {
                // Counted only once the element is known to exist.
                let before = self.trace.reached.get();
                match seq.next_element_seed(self.next())? {
                    Some(()) => {}
                    None => self.trace.reached.set(before),
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let number;
        let wanted = match self.segments.first() {
            None => return Err(self.trace.hit(Shape::Collection)),
            Some(Segment::Key(key)) => key.as_str(),
            Some(Segment::Index(index)) => {
                number = index.to_string();
                &number
            }
        };
        let fails = self.want == Want::Key && self.segments.len() == 1;
        while let Some(matches) = map.next_key_seed(KeyStep { wanted, fails, trace: self.trace })? {
            if matches {
                map.next_value_seed(self.next())?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

struct KeyStep<'a> {
    wanted: &'a str,
    fails: bool,
    trace: &'a Trace,
}

impl<'de> DeserializeSeed<'de> for KeyStep<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyStep<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<bool, E> {
        let matches = v == self.wanted;
        if matches && self.fails {
            return Err(self.trace.hit(Shape::Text(v.to_owned())));
        }
        Ok(matches)
    }
}
