//! Bodies in Kubernetes' protobuf, of a closed list of kinds: Go's typed clients write nothing else, and do not fall back
//! to JSON. Answers are JSON, which they read.
//!
//! Sources: `runtime.Unknown` of apimachinery and the `generated.proto` files of the Kubernetes API; the encoding of
//! protocol buffers, version 2. Absent: `status` of any kind, which these writes ignore anyway; kinds that are not served.

mod messages;
mod reader;

use serde_json::{Map, Value};

use crate::error::ApiError;
use messages::{Field, Message, Type};
use reader::{Item, Reader};

/// The content type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Deeper than any message of the list.
const MAX_DEPTH: usize = 16;

fn wrong(message: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("the body is not valid {MEDIA_TYPE}: {message}"))
}

/// The object in a body, as JSON.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, ApiError> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("it does not begin with \"k8s\\0\""))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut outer = Reader::new(envelope);
    while let Some((number, item)) = outer.next().map_err(wrong)? {
        match (number, item) {
            (1, Item::Bytes(type_meta)) => {
                let mut inner = Reader::new(type_meta);
                while let Some((number, item)) = inner.next().map_err(wrong)? {
                    match number {
                        1 => api_version = text(item)?,
                        2 => kind = text(item)?,
                        _ => {}
                    }
                }
            }
            (2, Item::Bytes(bytes)) => raw = bytes,
            (3 | 4, Item::Bytes([])) => {}
            (3 | 4, _) => return Err(wrong("an encoding or content type inside is not supported")),
            _ => return Err(wrong(format!("field {number} of the envelope is not known"))),
        }
    }
    let message = messages::of(&api_version, &kind).ok_or_else(|| {
        ApiError::unsupported_media_type(&format!(
            "application/json ({api_version} {kind} is not read from protobuf)"
        ))
    })?;
    let mut object = read(raw, message, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

fn text(item: Item<'_>) -> Result<String, ApiError> {
    match item {
        Item::Bytes(bytes) => String::from_utf8(bytes.to_vec()).map_err(|_| wrong("a string is not UTF-8")),
        Item::Number(_) => Err(wrong("a number stands where a string should")),
    }
}

fn read(bytes: &[u8], message: &Message, depth: usize) -> Result<Map<String, Value>, ApiError> {
    if depth > MAX_DEPTH {
        return Err(wrong("it is nested too deeply"));
    }
    let mut object = Map::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, item)) = reader.next().map_err(wrong)? {
        let field = message.field(number).ok_or_else(|| {
            wrong(format!("field {number} of {} is not known to this server", message.name))
        })?;
        match field.type_ {
            Type::Ignored => {}
            Type::Map(values) => {
                let (key, value) = entry(item, field, values)?;
                let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
            Type::List(of) => {
                let value = single(item, field, of, depth)?;
                let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            }
            // Written out even if empty, and the same as absent then.
            _ => match single(item, field, &field.type_, depth)? {
                Value::String(text) if text.is_empty() => {}
                Value::Null => {}
                value => drop(object.insert(field.name.into(), value)),
            },
        }
    }
    Ok(object)
}

fn entry(item: Item<'_>, field: &Field, values: &Type) -> Result<(String, Value), ApiError> {
    let Item::Bytes(bytes) = item else {
        return Err(wrong(format!("{} is not a map", field.name)));
    };
    let (mut key, mut value) = (String::new(), Value::String(String::new()));
    let mut reader = Reader::new(bytes);
    while let Some((number, item)) = reader.next().map_err(wrong)? {
        match number {
            1 => key = text(item)?,
            2 => value = single(item, field, values, 0)?,
            _ => return Err(wrong(format!("an entry of {} has a field {number}", field.name))),
        }
    }
    Ok((key, value))
}

fn single(item: Item<'_>, field: &Field, type_: &Type, depth: usize) -> Result<Value, ApiError> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    Ok(match (type_, item) {
        (Type::Text, item) => text(item)?.into(),
        (Type::Bytes, Item::Bytes(bytes)) => BASE64_STANDARD.encode(bytes).into(),
        // A negative number is written as its two's complement in 64 bits.
        (Type::Integer, Item::Number(number)) => number.cast_signed().into(),
        (Type::Bool, Item::Number(number)) => (number != 0).into(),
        (Type::Time { micro }, Item::Bytes(bytes)) => time(bytes, *micro)?,
        (Type::Json, Item::Bytes(bytes)) => {
            let mut reader = Reader::new(bytes);
            match reader.next().map_err(wrong)? {
                Some((1, Item::Bytes(raw))) => {
                    serde_json::from_slice(raw).map_err(|error| wrong(format!("{}: {error}", field.name)))?
                }
                _ => Value::Null,
            }
        }
        (Type::Message(message), Item::Bytes(bytes)) => Value::Object(read(bytes, message(), depth + 1)?),
        _ => return Err(wrong(format!("{} has the wrong type", field.name))),
    })
}

/// Seconds and nanoseconds since 1970; null if there are none.
fn time(bytes: &[u8], micro: bool) -> Result<Value, ApiError> {
    let (mut seconds, mut nanos, mut given) = (0, 0, false);
    let mut reader = Reader::new(bytes);
    while let Some((number, item)) = reader.next().map_err(wrong)? {
        given = true;
        match (number, item) {
            (1, Item::Number(number)) => seconds = number.cast_signed(),
            (2, Item::Number(number)) => nanos = i32::try_from(number.cast_signed()).map_err(wrong)?,
            _ => return Err(wrong("a time has a part that is not known")),
        }
    }
    if !given {
        return Ok(Value::Null);
    }
    let at = jiff::Timestamp::new(seconds, if micro { nanos } else { 0 }).map_err(wrong)?;
    Ok(if micro { format!("{at:.6}") } else { at.to_string() }.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A field with bytes in it.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(content);
        out
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, raw), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn a_secret_is_read_with_its_maps_in_base64() {
        let label = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let metadata = [bytes(1, b"s"), bytes(2, b""), bytes(8, b""), bytes(11, &label)].concat();
        let data = [bytes(1, b"key"), bytes(2, b"\x00\xff")].concat();
        let raw = [bytes(1, &metadata), bytes(2, &data), bytes(3, b"Opaque"), vec![5 << 3, 1]].concat();
        assert_eq!(
            decode(&body("v1", "Secret", &raw)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"a": "b"}},
                "data": {"key": "AP8="}, "type": "Opaque", "immutable": true,
            })
        );
    }

    #[test]
    fn times_and_numbers_keep_their_value() {
        let time =
            [vec![1 << 3], vec![0x80, 0x80, 0x80, 0x80, 0x06], vec![2 << 3, 0x80, 0xb5, 0x18]].concat();
        let transitions = vec![5 << 3, 7];
        let spec = [bytes(1, b"me"), bytes(4, &time), transitions].concat();
        let lease = decode(&body("coordination.k8s.io/v1", "Lease", &bytes(2, &spec))).unwrap();
        assert_eq!(
            lease["spec"],
            json!({"holderIdentity": "me", "renewTime": "2021-01-14T08:25:36.000400Z", "leaseTransitions": 7})
        );
        let negative = [vec![1 << 3], vec![0xff; 9], vec![1]].concat();
        let options = decode(&body("v1", "DeleteOptions", &negative)).unwrap();
        assert_eq!(options["gracePeriodSeconds"], -1);
    }

    #[test]
    fn what_is_not_known_or_torn_is_refused_and_never_dropped() {
        let code = |bytes: &[u8]| decode(bytes).unwrap_err().code();
        assert_eq!(code(b"{}"), 400);
        assert_eq!(code(&body("v1", "Pod", b"")), 415);
        assert_eq!(code(&body("v1", "Secret", &bytes(15, b"x"))), 400);
        assert_eq!(code(&body("v1", "Secret", &bytes(1, b"\x0a\x7fshort"))), 400);
        assert_eq!(code(&body("v1", "Secret", &bytes(1, &bytes(1, b"\xff")))), 400);
        let whole = body("v1", "Namespace", &bytes(1, &bytes(1, b"x")));
        for end in 0..whole.len() {
            // Torn anywhere, it is refused, or is the part of it that stood before: never a panic.
            let _ = decode(&whole[..end]);
        }
        assert!(decode(&whole).is_ok());
    }
}
