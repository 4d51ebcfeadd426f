//! Reading members of an object that may lack any of them: a status that nobody wrote yet, a newer server's kind.

use jiff::Timestamp;
use serde_json::Value;

/// What is shown for something that is not there.
pub const NONE: &str = "<none>";

/// The text at a JSON pointer; empty if there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a JSON pointer, or [`NONE`].
pub fn text_or_none(object: &Value, pointer: &str) -> String {
    match text(object, pointer) {
        "" => NONE.to_owned(),
        text => text.to_owned(),
    }
}

/// The integer at a JSON pointer.
pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

/// The integer at a JSON pointer; `-` if nobody has counted yet.
pub fn count(object: &Value, pointer: &str) -> String {
    number(object, pointer).map_or_else(|| "-".to_owned(), |n| n.to_string())
}

/// `2/3`, of two counts; `-` if nobody has counted yet.
pub fn ratio(object: &Value, part: &str, whole: &str) -> String {
    match (number(object, part), number(object, whole)) {
        (None, None) => "-".to_owned(),
        (part, whole) => format!("{}/{}", part.unwrap_or(0), whole.unwrap_or(0)),
    }
}

/// `2/3 ready`, of two counts.
pub fn share(object: &Value, (part, whole): (&str, &str), of: &str) -> String {
    match ratio(object, part, whole).as_str() {
        "-" => "not counted yet".to_owned(),
        ratio => format!("{ratio} {of}"),
    }
}

/// The instant at a JSON pointer.
pub fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// The list at a JSON pointer; empty if there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The members of the map at a JSON pointer, as `a=b`, in order of key.
pub fn pairs(object: &Value, pointer: &str) -> Vec<String> {
    let Some(map) = object.pointer(pointer).and_then(Value::as_object) else { return Vec::new() };
    map.iter()
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        })
        .collect()
}

/// A condition of an object, by type; upper and lower case are the same.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|held| text(held, "/type").eq_ignore_ascii_case(type_))
}

/// Whether a condition is True.
pub fn holds(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|held| text(held, "/status") == "True")
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}
