//! Which fields can be owned, and which of them a write through an endpoint is about.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use crate::fields::{Element, FieldSet};
use crate::managers::{ManagerId, Operation};
use crate::shape::Shape;

/// Where a write comes in, and so which part of the object it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// An object of a kind without a status subresource: all of it.
    Whole,
    /// An object of a kind that has one: everything but `status`.
    Main,
    /// `/status`: `status` and nothing else.
    Status,
    /// Another subresource, by name. All of the object; what may change through it is the server's to say.
    Other(&'a str),
}

/// Who writes what, how and when.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The shape of the objects of the kind.
    pub shape: &'a Shape,
    /// The field manager: the parameter `fieldManager`, or for writes that are no applies, without it, the product in
    /// `User-Agent`. At most 128 bytes; to refuse more is the server's.
    pub manager: &'a str,
    /// `group/version` of the endpoint.
    pub api_version: &'a str,
    /// Where the write comes in.
    pub endpoint: Endpoint<'a>,
    /// Whether an apply takes fields from other managers. Without meaning for other writes.
    pub force: bool,
    /// Now.
    pub now: Timestamp,
}

impl Request<'_> {
    pub(crate) fn id(&self, operation: Operation) -> ManagerId {
        let manager = if self.manager.is_empty() { "unknown" } else { self.manager };
        self.id_of(manager, operation)
    }

    pub(crate) fn id_of(&self, manager: &str, operation: Operation) -> ManagerId {
        ManagerId {
            manager: manager.to_owned(),
            operation,
            api_version: (operation == Operation::Update).then(|| self.api_version.to_owned()),
            subresource: match self.endpoint {
                Endpoint::Whole | Endpoint::Main => String::new(),
                Endpoint::Status => STATUS.into(),
                Endpoint::Other(name) => name.to_owned(),
            },
        }
    }

    /// Of these fields, those that can be owned and that the write is about.
    pub(crate) fn own(&self, fields: FieldSet) -> FieldSet {
        let mut fields = fields.difference(&NEVER_OWNED);
        match self.endpoint {
            Endpoint::Whole | Endpoint::Other(_) => {}
            Endpoint::Main => fields.remove(&Element::field(STATUS)),
            Endpoint::Status => fields.retain_only(&Element::field(STATUS)),
        }
        fields
    }

    /// A configuration without what the endpoint leaves aside and what the server writes itself.
    pub(crate) fn leave_aside(&self, config: &mut Value) {
        let Some(members) = config.as_object_mut() else { return };
        match self.endpoint {
            Endpoint::Whole | Endpoint::Other(_) => {}
            Endpoint::Main => {
                members.remove(STATUS);
            }
            Endpoint::Status => members.retain(|name, _| name == STATUS),
        }
        if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !SERVER_WRITTEN.contains(&name.as_str()));
        }
    }
}

const STATUS: &str = "status";

/// Members of metadata that no configuration sets.
const SERVER_WRITTEN: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What nobody owns. Where it leads to other fields, those can be owned.
pub(crate) static NEVER_OWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    const METADATA: [&str; 9] = [
        "clusterName",
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    let mut set = FieldSet::new();
    for name in ["apiVersion", "kind", "metadata"] {
        set.insert(&[Element::field(name)]);
    }
    for name in METADATA {
        set.insert(&[Element::field("metadata"), Element::field(name)]);
    }
    set
});

/// Lays `metadata.managedFields` aside.
pub(crate) fn without_managed_fields(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// Puts `metadata.managedFields` in place; null for none.
pub(crate) fn with_managed_fields(mut object: Value, list: Value) -> Value {
    let empty = list.as_array().is_none_or(Vec::is_empty);
    if let Some(members) = object.as_object_mut()
        && !empty
    {
        let metadata = members.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("managedFields".into(), list);
        }
    }
    object
}
