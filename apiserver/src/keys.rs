//! Where objects lie in the store, and how they are encoded there.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use drover_store::{Encoded, EventKind, Object};
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

/// The part of an object's key that all of its kind share.
pub(crate) fn collection_of(key: &[u8]) -> Option<&[u8]> {
    let rest = key.strip_prefix(ROOT.as_bytes())?;
    let mut slashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    slashes.nth(1).map(|end| &rest[..end])
}

const METADATA: &[u8] = b"\"metadata\":{";
const REVISION: &[u8] = b"\"resourceVersion\":\"";

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

/// The word of a watch for an event.
pub(crate) fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Created => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    }
}

const TYPE: &str = "{\"type\":\"";
const OBJECT: &str = "\",\"object\":";
const END: &str = "}\n";

/// The line that tells a watcher of an object.
pub(crate) fn line(word: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(object.len() + word.len() + 32);
    for part in [TYPE.as_bytes(), word.as_bytes(), OBJECT.as_bytes(), object, END.as_bytes()] {
        out.put_slice(part);
    }
    out.freeze()
}

/// The line for an object as it is in the cache, where it is of the event that made it so: the cache's own bytes.
pub(crate) fn added(held: &Object) -> Bytes {
    if held.mod_revision == held.create_revision {
        held.event.clone()
    } else {
        line(word(EventKind::Created), &held.bytes)
    }
}

/// What is served of an object: its stored bytes with the revision filled in as `metadata.resourceVersion`, and,
/// around them in the same buffer, the line that tells every watcher of it.
pub(crate) fn encoded(kind: EventKind, stored: &[u8], revision: u64) -> Encoded {
    let mut out = BytesMut::with_capacity(stored.len() + 96);
    for part in [TYPE, word(kind), OBJECT] {
        out.put_slice(part.as_bytes());
    }
    let start = out.len();
    put_with_revision(&mut out, stored, revision);
    let end = out.len();
    out.put_slice(END.as_bytes());
    let event = out.freeze();
    Encoded { bytes: event.slice(start..end), event }
}

fn put_with_revision(out: &mut BytesMut, stored: &[u8], revision: u64) {
    // apiVersion and kind come from a closed list, so the first match is the member itself.
    let Some(at) = stored.windows(METADATA.len()).position(|window| window == METADATA) else {
        out.put_slice(stored);
        return;
    };
    let (head, tail) = stored.split_at(at + METADATA.len());
    out.put_slice(head);
    out.put_slice(REVISION);
    out.put_slice(revision.to_string().as_bytes());
    out.put_u8(b'"');
    if tail.first() != Some(&b'}') {
        out.put_u8(b',');
    }
    out.put_slice(tail);
}

/// Served bytes as if they had been written at another revision.
pub(crate) fn at_revision(served: &[u8], revision: u64) -> Bytes {
    // It stands first in metadata, which stands before everything that a client wrote.
    let Some(at) = served.windows(REVISION.len()).position(|window| window == REVISION) else {
        return Bytes::copy_from_slice(served);
    };
    let (head, tail) = served.split_at(at + REVISION.len());
    let mut out = BytesMut::with_capacity(served.len() + 20);
    out.put_slice(head);
    out.put_slice(revision.to_string().as_bytes());
    let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    out.put_slice(&tail[digits..]);
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
        let served = encoded(EventKind::Modified, &stored, 17);
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        assert_eq!(read(&served.bytes), object);
        assert_eq!(read(&served.event), json!({"type": "MODIFIED", "object": object}));
        object["metadata"]["resourceVersion"] = "2000".into();
        assert_eq!(read(&at_revision(&served.bytes, 2000)), object);
        let bare = encoded(EventKind::Created, &encode(&json!({"kind": "K"})), 4);
        assert_eq!(&bare.bytes[..], br#"{"kind":"K","metadata":{"resourceVersion":"4"}}"#);
    }

    #[test]
    fn an_event_is_one_buffer_with_its_object() {
        let served = encoded(EventKind::Deleted, b"{\"metadata\":{}}", 1);
        let event = served.event.as_ptr_range();
        assert!(event.contains(&served.bytes.as_ptr()));
        assert_eq!(served.event, line("DELETED", &served.bytes));
    }

    #[test]
    fn keys_tell_kinds_and_namespaces_apart() {
        assert_eq!(key(Kind::Timer, Some("a"), "t"), "/registry/drover.dev/timers/a/t");
        assert_eq!(key(Kind::Node, None, "n"), "/registry/core/nodes/n");
        assert_eq!(prefix(Kind::Timer, None), "/registry/drover.dev/timers/");
        assert_eq!(collection_of(b"/registry/core/nodes/n"), Some(&b"core/nodes"[..]));
        assert_eq!(collection_of(b"/registry/drover.dev/timers/a/t"), Some(&b"drover.dev/timers"[..]));
        assert_eq!(collection_of(b"/tombstones/tasks/a/t"), None);
    }
}
