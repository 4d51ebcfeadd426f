//! What a write makes of an object: server-owned metadata, generation, status isolation. Pure functions.

use drover_types::{FieldError, Kind, Scope};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but status.
    Main,
    /// Status alone.
    Status,
    /// How many there are to be, and nothing else.
    Scale,
}

/// Members of metadata that a client may write.
const CLIENT_METADATA: [&str; 5] =
    ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"];

/// `metadata`, which every object here has.
pub(crate) fn metadata(object: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    object.get("metadata").and_then(Value::as_object).unwrap_or(&EMPTY)
}

pub(crate) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    metadata(object).get(member).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = metadata(object).get("finalizers").and_then(Value::as_array);
    list.map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Whether anything still keeps a deleted object.
pub(crate) fn is_held(kind: Kind, object: &Value) -> bool {
    let of_namespace =
        || object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty());
    !finalizers(object).is_empty() || (kind == Kind::Namespace && of_namespace())
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    metadata(object).contains_key("deletionTimestamp")
}

/// A name as a label value: 63 characters at most, and an end that a label may have.
pub(crate) fn label_value(name: &str) -> &str {
    name.get(..63).unwrap_or(name).trim_end_matches(['-', '.'])
}

/// `metav1.Time`: whole seconds.
pub(crate) fn time(now: Timestamp) -> Value {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string().into()
}

/// Checks that members say that they are this, and says so where they do not.
pub(crate) fn expect_type(
    members: &mut Map<String, Value>,
    api_version: &str,
    kind: &str,
) -> Result<(), ApiError> {
    for (member, expected) in [("apiVersion", api_version), ("kind", kind)] {
        let given = members.entry(member).or_insert_with(|| expected.into());
        if given != expected {
            return Err(ApiError::bad_request(format!(
                "the {member} in the data ({given}) does not match the expected one (\"{expected}\")"
            )));
        }
    }
    Ok(())
}

/// Checks that a body is an object of this kind, here, and puts what may be absent in place.
pub(crate) fn address(
    kind: Kind,
    namespace: Option<&str>,
    name: Option<&str>,
    body: &mut Value,
) -> Result<(), ApiError> {
    let Some(members) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    };
    expect_type(members, kind.api_version(), kind.names().kind)?;
    let metadata = members.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(ApiError::bad_request("metadata is not an object"));
    };
    // Empty is the same as absent.
    metadata.retain(|member, value| {
        let empty = match value {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Null => true,
            _ => false,
        };
        !(empty && member != "managedFields") && member != "selfLink"
    });
    let mut same = |member: &str, expected: &str| {
        let given = metadata.entry(member).or_insert_with(|| expected.into());
        if given == expected {
            Ok(())
        } else {
            let message =
                format!("the {member} in the data ({given}) does not match the one in the URL ({expected})");
            Err(ApiError::bad_request(message))
        }
    };
    if let Some(name) = name {
        same("name", name)?;
    }
    match (kind.names().scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => same("namespace", namespace),
        (Scope::Namespaced, None) => {
            Err(ApiError::bad_request("an empty namespace may not be set when a resource name is provided"))
        }
        (Scope::Cluster, _) if metadata.contains_key("namespace") => Err(ApiError::bad_request(format!(
            "{} is cluster-wide: metadata.namespace must be absent",
            kind.names().kind
        ))),
        (Scope::Cluster, _) => Ok(()),
    }
}

/// Fills in what the server owns of a new object.
pub(crate) fn create(kind: Kind, body: &mut Value, uid: String, now: Timestamp) {
    if kind.names().has_status
        && let Some(members) = body.as_object_mut()
    {
        members.remove("status");
        if kind == Kind::Namespace {
            members.insert("spec".into(), json!({"finalizers": ["kubernetes"]}));
            members.insert("status".into(), json!({"phase": "Active"}));
        }
    }
    own(kind, body, uid, now);
}

/// Server-owned metadata of a new object, with its status left as it is.
pub(crate) fn own(kind: Kind, body: &mut Value, uid: String, now: Timestamp) {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for member in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
        metadata.remove(member);
    }
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), time(now));
    if kind.names().has_status {
        metadata.insert("generation".into(), 1.into());
    }
}

/// What is written when `body` replaces `old`: server-owned metadata stays, and the part the write is not about.
pub(crate) fn replace(kind: Kind, part: Part, old: &Value, body: Value) -> Result<Value, ApiError> {
    let name = text(old, "name");
    let next = match part {
        Part::Status => {
            let mut next = old.clone();
            if let Some(members) = next.as_object_mut() {
                match body.get("status") {
                    Some(status) => members.insert("status".into(), status.clone()),
                    None => members.remove("status"),
                };
            }
            next
        }
        Part::Main | Part::Scale => {
            let mut next = body;
            if kind.names().has_status
                && let Some(members) = next.as_object_mut()
            {
                match old.get("status") {
                    Some(status) => members.insert("status".into(), status.clone()),
                    None => members.remove("status"),
                };
            }
            // A manifest of a namespace has no spec. What is in the namespace is held by it until the end.
            if kind == Kind::Namespace && !is_deleting(old) {
                next["spec"] = old.get("spec").cloned().unwrap_or_else(|| json!({}));
            }
            let mut meta = metadata(old).clone();
            for member in CLIENT_METADATA {
                match next.get("metadata").and_then(|metadata| metadata.get(member)) {
                    Some(value) => meta.insert(member.into(), value.clone()),
                    // Field ownership that a client does not send is kept.
                    None if member == "managedFields" => None,
                    None => meta.remove(member),
                };
            }
            next["metadata"] = Value::Object(meta);
            next
        }
    };
    if is_deleting(old) {
        let held = finalizers(old);
        if let Some(added) = finalizers(&next).into_iter().find(|f| !held.contains(f)) {
            let error = FieldError::forbidden(
                "metadata.finalizers".into(),
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizer {added:?}"
                ),
            );
            return Err(ApiError::invalid(kind, name, &[error]));
        }
    }
    Ok(next)
}

/// Counts a change of spec. To be called with the object as it will be stored: a body that leaves a default out
/// changes nothing.
pub(crate) fn count_generation(kind: Kind, old: &Value, next: &mut Value) {
    if spec_of(kind, next) != spec_of(kind, old) && kind.names().has_status {
        let generation = metadata(old).get("generation").and_then(Value::as_i64).unwrap_or(0);
        next["metadata"]["generation"] = (generation + 1).into();
    }
}

/// Everything that is not metadata and not status.
fn spec_of(kind: Kind, object: &Value) -> Map<String, Value> {
    let mut members = object.as_object().cloned().unwrap_or_default();
    members.remove("metadata");
    if kind.names().has_status {
        members.remove("status");
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer() -> Value {
        json!({
            "apiVersion": "drover.dev/v1", "kind": "Timer",
            "metadata": {"name": "t", "namespace": "default", "uid": "u", "generation": 3, "finalizers": ["a/b"]},
            "spec": {"every": "1m"}, "status": {"desired": 1},
        })
    }

    #[test]
    fn only_a_change_of_spec_counts_as_a_generation() {
        let old = timer();
        let mut body = timer();
        body["metadata"]["labels"] = json!({"a": "b"});
        body["metadata"]["uid"] = "forged".into();
        body["status"] = json!({"desired": 9});
        let counted = |body: &Value| {
            let mut next = replace(Kind::Timer, Part::Main, &old, body.clone()).unwrap();
            count_generation(Kind::Timer, &old, &mut next);
            next
        };
        let next = counted(&body);
        assert_eq!(next["metadata"]["generation"], 3);
        assert_eq!(next["metadata"]["uid"], "u");
        assert_eq!(next["status"], old["status"]);
        body["spec"]["every"] = "2m".into();
        assert_eq!(counted(&body)["metadata"]["generation"], 4);
        let status = replace(Kind::Timer, Part::Status, &old, body).unwrap();
        assert_eq!(status["spec"], old["spec"]);
        assert_eq!(status["metadata"], old["metadata"]);
        assert_eq!(status["status"]["desired"], 9);
    }

    #[test]
    fn finalizers_of_a_deleting_object_only_go() {
        let mut old = timer();
        old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let mut body = timer();
        body["metadata"]["finalizers"] = json!(["a/b", "c/d"]);
        assert_eq!(replace(Kind::Timer, Part::Main, &old, body.clone()).unwrap_err().code(), 422);
        body["metadata"]["finalizers"] = json!([]);
        assert!(!is_held(Kind::Timer, &replace(Kind::Timer, Part::Main, &old, body).unwrap()));
    }

    #[test]
    fn a_body_that_belongs_elsewhere_is_refused() {
        let mut body = timer();
        assert!(address(Kind::Timer, Some("default"), Some("t"), &mut body).is_ok());
        for (namespace, name) in [(Some("other"), "t"), (Some("default"), "x"), (None, "t")] {
            assert_eq!(address(Kind::Timer, namespace, Some(name), &mut body).unwrap_err().code(), 400);
        }
        assert_eq!(address(Kind::Task, Some("default"), None, &mut body).unwrap_err().code(), 400);
    }
}
