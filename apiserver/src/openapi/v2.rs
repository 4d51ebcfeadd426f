//! OpenAPI 2.0, for clients that know no newer one, or want definitions of everything in one document.

use serde_json::{Map, Value, json};

/// The type under which old kubectls ask for it.
pub(super) const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The type under which it is answered: with `@`, Go's reader of media types fails.
pub(super) const PROTOBUF_ANSWER: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// `swagger: "2.0"` and an `info` with title and version, and nothing else: with it kubectl checks nothing by itself
/// and leaves that to the server.
pub(super) const PROTOBUF: &[u8] = b"\x0a\x032.0\x12\x0c\x0a\x06Drover\x12\x02v1";

/// One document of all of version 3: their schemas as definitions. Operations are in version 3 alone.
pub(super) fn document(groups: impl Iterator<Item = Value>) -> Value {
    let mut definitions = Map::new();
    for mut group in groups {
        if let Some(schemas) = group.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
            definitions.append(schemas);
        }
    }
    let mut definitions = Value::Object(definitions);
    relocate(&mut definitions);
    json!({"swagger": "2.0", "info": super::info(), "paths": {}, "definitions": definitions})
}

fn relocate(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(name) = target.strip_prefix(super::schemas::PLACE)
            {
                *target = format!("#/definitions/{name}");
            }
            members.values_mut().for_each(relocate);
        }
        Value::Array(items) => items.iter_mut().for_each(relocate),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_document_is_a_version_and_a_title() {
        // Field 1, 3 bytes; field 2, 12 bytes, in it fields 1 and 2.
        assert_eq!(PROTOBUF.len(), 2 + 3 + 2 + 12);
        assert_eq!(PROTOBUF[6] as usize, PROTOBUF.len() - 7);
    }

    #[test]
    fn definitions_refer_to_definitions() {
        let text =
            document(super::super::group_versions().into_values().map(|kinds| super::super::v3(&kinds)));
        assert!(text["definitions"]["dev.drover.v1.Timer"]["properties"]["spec"].is_object());
        assert!(!text.to_string().contains("#/components/"));
    }
}
