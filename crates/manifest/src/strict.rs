//! One document's text as a JSON value, refusing at its exact place everything that readers understand differently.
//!
//! The value is built by a serde seed that fails where it stands: the parser's error then carries the position, so
//! no second parser with positions of its own is needed.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::decode::Limits;
use crate::stream::Dialect;

/// Why a document was refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Byte offset within the document's text.
    pub(crate) offset: usize,
}

/// Reads one document.
pub(crate) fn value(text: &str, dialect: Dialect, limits: &Limits) -> Result<Value, Refusal> {
    let budget = Budget {
        nodes: Cell::new(limits.max_nodes),
        bytes: Cell::new(limits.max_document_bytes.max(text.len())),
        depth: limits.max_depth,
        dialect,
        reason: RefCell::new(None),
    };
    let root = Node { budget: &budget, depth: 0 };
    match dialect {
        Dialect::Yaml => {
            yaml_precheck(text, limits)?;
            match root.deserialize(serde_yaml::Deserializer::from_str(text)) {
                Ok(value) => Ok(value),
                Err(error) => Err(yaml_refusal(text, &error, budget.reason.take())),
            }
        }
        Dialect::Json => {
            let mut json = serde_json::Deserializer::from_str(text);
            // Our own limit is the lower one.
            match root.deserialize(&mut json).and_then(|value| json.end().map(|()| value)) {
                Ok(value) => Ok(value),
                Err(error) => Err(json_refusal(text, &error, budget.reason.take())),
            }
        }
    }
}

/// Refuses what would cost the parser more than it is worth, or that it reports without a place.
fn yaml_precheck(text: &str, limits: &Limits) -> Result<(), Refusal> {
    for (offset, c) in text.char_indices() {
        let printable = matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..)
            && !matches!(c, '\u{fffe}' | '\u{ffff}');
        if !printable {
            return Err(Refusal {
                message: format!("the character U+{:04X} is not allowed in YAML", u32::from(c)),
                help: Some("write it as an escape within double quotes, such as \"\\x07\"".to_owned()),
                offset,
            });
        }
    }
    // The parser looks at every open bracket at every token, and has no limit of its own. Brackets in strings are
    // counted too, hence bounds far above any manifest: they stop floods, the exact depth is checked later.
    let (mut open, mut work) = (0_usize, 0_usize);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            b',' | b':' | b'?' | b'-' | b'&' | b'*' | b'!' => work += open,
            _ => {}
        }
        if open > MAX_OPEN || work > MAX_WORK {
            return Err(too_deep(limits.max_depth, offset));
        }
    }
    Ok(())
}

/// Unclosed brackets at which a text is a flood and not a manifest.
const MAX_OPEN: usize = 1000;
/// Open brackets, summed over the tokens between them.
const MAX_WORK: usize = 30_000_000;

fn too_deep(max: usize, offset: usize) -> Refusal {
    Refusal { message: format!("nested more than {max} levels deep"), help: None, offset }
}

struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
    depth: usize,
    dialect: Dialect,
    reason: RefCell<Option<(String, Option<String>)>>,
}

impl Budget {
    fn refuse<E: de::Error>(&self, message: impl Into<String>, help: Option<&str>) -> E {
        let message = message.into();
        let error = E::custom(&message);
        self.reason.replace(Some((message, help.map(str::to_owned))));
        error
    }

    fn take<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        match (self.nodes.get().checked_sub(1), self.bytes.get().checked_sub(bytes)) {
            (Some(nodes), Some(left)) => {
                self.nodes.set(nodes);
                self.bytes.set(left);
                Ok(())
            }
            _ => Err(self.refuse(
                "the document is too large once its aliases are expanded",
                Some("split it, or write fewer aliases"),
            )),
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Node<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.budget.depth {
            let message = format!("nested more than {} levels deep", self.budget.depth);
            return Err(self.budget.refuse(message, None));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.budget.take(0)?;
        Ok(Value::Null)
    }
    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Value, E> {
        self.budget.take(0)?;
        Ok(Value::Bool(v))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Value, E> {
        self.budget.take(0)?;
        Ok(v.into())
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        self.budget.take(0)?;
        Ok(v.into())
    }
    fn visit_i128<E: de::Error>(self, v: i128) -> Result<Value, E> {
        Err(self
            .budget
            .refuse(format!("the integer {v} does not fit 64 bits"), Some("quote it if a text is meant")))
    }
    fn visit_u128<E: de::Error>(self, v: u128) -> Result<Value, E> {
        Err(self
            .budget
            .refuse(format!("the integer {v} does not fit 64 bits"), Some("quote it if a text is meant")))
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        self.budget.take(0)?;
        let number = Number::from_f64(v).ok_or_else(|| {
            self.budget.refuse("NaN and infinity are not allowed", Some("quote it if a text is meant"))
        })?;
        Ok(Value::Number(number))
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Value, E> {
        self.budget.take(v.len())?;
        Ok(Value::String(v.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.budget.take(0)?;
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.budget.take(0)?;
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key_seed(Key { budget: self.budget, seen: &map })? {
            let value = access.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(self.budget.refuse(
            "tags such as !name are not allowed",
            Some("remove the tag, or quote the value if it starts with !"),
        ))
    }
}

struct Key<'a> {
    budget: &'a Budget,
    seen: &'a Map<String, Value>,
}

impl Key<'_> {
    fn not_a_string<E: de::Error>(&self, what: &str) -> E {
        self.budget.refuse(format!("a key must be a string, this one is {what}"), Some("quote the key"))
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<String, E> {
        self.budget.take(v.len())?;
        if self.seen.contains_key(v) {
            let message = format!("the key {v:?} is given twice");
            return Err(self.budget.refuse(message, Some("remove one of the two")));
        }
        if v == "<<" && self.budget.dialect == Dialect::Yaml {
            let message = "merge keys (<<) are not supported";
            return Err(self
                .budget
                .refuse(message, Some("write the fields out, or give the whole map by an alias")));
        }
        Ok(v.to_owned())
    }
    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Err(self.not_a_string("null"))
    }
    fn visit_none<E: de::Error>(self) -> Result<String, E> {
        Err(self.not_a_string("null"))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<String, E> {
        Err(self.not_a_string("a boolean"))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<String, E> {
        Err(self.not_a_string("a number"))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<String, E> {
        Err(self.not_a_string("a number"))
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<String, E> {
        Err(self.not_a_string("a number"))
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<String, E> {
        Err(self.not_a_string("a number"))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<String, E> {
        Err(self.not_a_string("a number"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.not_a_string("a list"))
    }
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.not_a_string("a map"))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.not_a_string("tagged"))
    }
}

/// The byte offset of a place the YAML parser names: it counts bytes, and a byte order mark counts nothing.
pub(crate) fn byte_offset(text: &str, index: usize) -> usize {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut offset = (mark + index).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn yaml_refusal(text: &str, error: &serde_yaml::Error, reason: Option<(String, Option<String>)>) -> Refusal {
    let offset = error.location().map_or(0, |location| byte_offset(text, location.index()));
    if let Some((message, help)) = reason {
        return Refusal { message, help, offset };
    }
    let said = error.to_string();
    // The parser appends places that count from the document; ours count from the file.
    let message = said.split(" at line ").next().unwrap_or_default().trim();
    let at = text[offset.min(text.len())..].chars().next();
    let (message, help) = if at == Some('\t') {
        ("a tab cannot indent YAML", Some("indent with spaces"))
    } else if message.contains("repetition limit") {
        ("the document repeats aliases without end", Some("write fewer aliases"))
    } else if message.contains("mapping values are not allowed") {
        (message, Some("indent the line as its neighbours, or quote a value that holds \": \""))
    } else if message.contains("unexpected end of stream") {
        (message, Some("a quote above is not closed"))
    } else if message.contains("cannot start any token") {
        (message, Some("quote the value"))
    } else if message.contains("unknown anchor") || text[..offset].ends_with('*') {
        (message, Some("quote a value that starts with *"))
    } else if message.contains("did not find expected") {
        (message, Some("check the indentation and the quotes of this line and the one before"))
    } else {
        (message, None)
    };
    Refusal { message: format!("not valid YAML: {message}"), help: help.map(str::to_owned), offset }
}

fn json_refusal(text: &str, error: &serde_json::Error, reason: Option<(String, Option<String>)>) -> Refusal {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut offset = (line_start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    if let Some((message, help)) = reason {
        // The parser stands at the closing quote of the refused string or just behind it; the reader wants its beginning.
        let bytes = text.as_bytes();
        let closing = [offset, offset.saturating_sub(1)];
        if let Some(end) = closing.into_iter().find(|at| bytes.get(*at) == Some(&b'"')) {
            offset = string_start(text, end).unwrap_or(end);
        }
        return Refusal { message, help, offset };
    }
    let said = error.to_string();
    let message = said.split(" at line ").next().unwrap_or_default();
    Refusal { message: format!("not valid JSON: {message}"), help: None, offset }
}

/// The opening quote of the string whose closing quote stands at `end`.
fn string_start(text: &str, end: usize) -> Option<usize> {
    let mut from = end;
    loop {
        let quote = text[..from].rfind('"')?;
        let escapes = text[..quote].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(quote);
        }
        from = quote;
    }
}
