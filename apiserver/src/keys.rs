//! Where objects lie in the store, and how they are encoded there.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use drover_types::{Kind, Scope};
use serde_json::Value;

/// Everything that a watch can show lies under this.
pub(crate) const ROOT: &str = "/registry/";

/// `/registry/<group or core>/<plural>/`
fn collection(kind: Kind) -> String {
    let names = kind.names();
    let group = if names.group.is_empty() { "core" } else { names.group };
    format!("{ROOT}{group}/{}/", names.plural)
}

/// What all keys of a kind, or of a kind in one namespace, begin with.
pub(crate) fn prefix(kind: Kind, namespace: Option<&str>) -> String {
    let mut prefix = collection(kind);
    if let (Scope::Namespaced, Some(namespace)) = (kind.names().scope, namespace) {
        // Writing to a String cannot fail.
        let _ = write!(prefix, "{namespace}/");
    }
    prefix
}

/// The key of one object.
pub(crate) fn key(kind: Kind, namespace: Option<&str>, name: &str) -> String {
    prefix(kind, namespace) + name
}

const METADATA: &[u8] = b"\"metadata\":{";

/// An object as it is stored: `apiVersion`, `kind` and `metadata` first, and no resourceVersion, which is the
/// revision that the write is about to get.
pub(crate) fn encode(object: &Value) -> Bytes {
    let empty = serde_json::Map::new();
    let members = object.as_object().unwrap_or(&empty);
    let mut out = BytesMut::with_capacity(512).writer();
    let mut first = true;
    let mut member = |name: &str, value: &Value| {
        let lead = if std::mem::take(&mut first) { '{' } else { ',' };
        // Neither a map with string keys nor a buffer in memory can fail to be written.
        let _ = std::io::Write::write_fmt(&mut out, format_args!("{lead}{}:{value}", Value::from(name)));
    };
    for name in ["apiVersion", "kind"] {
        if let Some(value) = members.get(name) {
            member(name, value);
        }
    }
    let mut metadata = members.get("metadata").cloned().unwrap_or_else(|| Value::Object(empty.clone()));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("resourceVersion");
    }
    member("metadata", &metadata);
    for (name, value) in members.iter().filter(|(name, _)| !is_head(name)) {
        member(name, value);
    }
    let mut out = out.into_inner();
    out.put_u8(b'}');
    out.freeze()
}

fn is_head(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

/// The stored bytes with the revision filled in as `metadata.resourceVersion`.
pub(crate) fn decorate(stored: &[u8], revision: u64) -> Bytes {
    // apiVersion and kind come from a closed list, so the first match is the member itself.
    let Some(at) = stored.windows(METADATA.len()).position(|window| window == METADATA) else {
        return Bytes::copy_from_slice(stored);
    };
    let (head, tail) = stored.split_at(at + METADATA.len());
    let mut out = BytesMut::with_capacity(stored.len() + 48);
    out.put_slice(head);
    out.put_slice(b"\"resourceVersion\":\"");
    out.put_slice(revision.to_string().as_bytes());
    out.put_u8(b'"');
    if tail.first() != Some(&b'}') {
        out.put_u8(b',');
    }
    out.put_slice(tail);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_comes_back_with_its_revision() {
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"metadata": "eA=="}, "data": {"a\"": "b"},
            "metadata": {"name": "x", "annotations": {"a": "\"metadata\":{"}, "resourceVersion": "3"},
        });
        let stored = encode(&object);
        assert!(!stored.windows(15).any(|w| w == b"resourceVersion"));
        object["metadata"]["resourceVersion"] = "17".into();
        assert_eq!(serde_json::from_slice::<Value>(&decorate(&stored, 17)).unwrap(), object);
        let bare = decorate(&encode(&json!({"kind": "K"})), 4);
        assert_eq!(&bare[..], br#"{"kind":"K","metadata":{"resourceVersion":"4"}}"#);
    }

    #[test]
    fn keys_tell_kinds_and_namespaces_apart() {
        assert_eq!(key(Kind::Timer, Some("a"), "t"), "/registry/drover.dev/timers/a/t");
        assert_eq!(key(Kind::Node, None, "n"), "/registry/core/nodes/n");
        assert_eq!(prefix(Kind::Timer, None), "/registry/drover.dev/timers/");
    }
}
