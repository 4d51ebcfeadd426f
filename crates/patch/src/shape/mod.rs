//! What of a schema matters to a patch: which objects are taken apart, which are one value, and what tells the items
//! of a list from each other.
//!
//! A shape decides nothing about validity. A value that is not what its shape expects counts as one value; a member
//! that the shape does not know is taken as it comes (objects are taken apart, lists are one value).

mod core;
mod metadata;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The shape of the objects of a kind. Cheap to clone; make it once per kind.
#[derive(Clone, Debug)]
pub struct Shape {
    nodes: Arc<[Node]>,
    root: usize,
}

impl Shape {
    /// Of an object of which only the metadata is known.
    pub fn untyped() -> Self {
        let mut nodes = Nodes::new();
        let root = nodes.push(Node::Map(MapNode { fields: BTreeMap::new(), rest: UNTYPED, atomic: false }));
        nodes.into_object(root)
    }

    pub(crate) fn at(&self) -> At<'_> {
        At { nodes: &self.nodes, node: self.root }
    }
}

/// A key field of a list of objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// What an item without it has.
    pub(crate) default: Option<Value>,
}

#[derive(Clone, Debug)]
enum Node {
    /// What the value itself says: an object is taken apart, all else is one value.
    Untyped,
    /// A scalar.
    Leaf,
    Map(MapNode),
    List(ListNode),
}

#[derive(Clone, Debug)]
struct MapNode {
    /// The declared members.
    fields: BTreeMap<String, usize>,
    /// All others.
    rest: usize,
    /// Whether it is one value to an apply.
    atomic: bool,
}

#[derive(Clone, Debug)]
struct ListNode {
    kind: ListKind,
    item: usize,
    strategy: Option<Strategy>,
}

/// What a list is to an apply.
#[derive(Clone, Debug, PartialEq)]
enum ListKind {
    /// One value.
    Atomic,
    /// Scalars, each there once.
    Set,
    /// Objects, told apart by key fields.
    Map(Vec<Key>),
}

/// What a strategic merge patch does to a list, where its schema says it apart from what an apply does.
#[derive(Clone, Debug, PartialEq)]
enum Strategy {
    Values,
    Keys(Vec<Key>),
}

const UNTYPED: usize = 0;
const LEAF: usize = 1;

/// Nodes that are being put together. The first two are always the same.
struct Nodes(Vec<Node>);

impl Nodes {
    fn new() -> Self {
        Self(vec![Node::Untyped, Node::Leaf])
    }

    fn push(&mut self, node: Node) -> usize {
        self.0.push(node);
        self.0.len() - 1
    }

    /// With the members that every object has.
    fn into_object(mut self, root: usize) -> Shape {
        let metadata = metadata::object_meta(&mut self);
        let mut map = self.as_map(root);
        for (name, node) in [("apiVersion", LEAF), ("kind", LEAF), ("metadata", metadata)] {
            map.fields.insert(name.to_owned(), node);
        }
        map.atomic = false;
        let root = self.push(Node::Map(map));
        Shape { nodes: self.0.into(), root }
    }

    fn as_map(&self, node: usize) -> MapNode {
        match &self.0[node] {
            Node::Map(map) => map.clone(),
            Node::Untyped | Node::Leaf | Node::List(_) => {
                MapNode { fields: BTreeMap::new(), rest: UNTYPED, atomic: false }
            }
        }
    }
}

/// A place in a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    nodes: &'a [Node],
    node: usize,
}

/// A value as its shape has it.
pub(crate) enum View<'a, 'v> {
    /// One value.
    Leaf,
    /// An object that is taken apart.
    Map(&'v Map<String, Value>),
    /// A list that is taken apart.
    List(&'v [Value], ListView<'a>),
}

/// How a list is taken apart.
#[derive(Clone, Copy)]
pub(crate) struct ListView<'a> {
    /// The key fields; none for a set.
    pub(crate) keys: Option<&'a [Key]>,
    /// The shape of the items.
    pub(crate) item: At<'a>,
}

/// The shape of a member.
pub(crate) struct Member<'a> {
    pub(crate) shape: At<'a>,
    /// Whether the schema names it.
    pub(crate) declared: bool,
}

/// What a strategic merge patch does to a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ListPatch<'a> {
    Replace,
    Values,
    Keys(&'a [Key]),
}

impl<'a> At<'a> {
    fn go(self, node: usize) -> Self {
        Self { nodes: self.nodes, node }
    }

    fn get(self) -> &'a Node {
        &self.nodes[self.node]
    }

    pub(crate) fn view<'v>(self, value: &'v Value) -> View<'a, 'v> {
        match (self.get(), value) {
            (Node::Untyped, Value::Object(members)) => View::Map(members),
            (Node::Map(map), Value::Object(members)) if !map.atomic => View::Map(members),
            (Node::List(ListNode { kind: ListKind::Set, item, .. }), Value::Array(items)) => {
                View::List(items, ListView { keys: None, item: self.go(*item) })
            }
            (Node::List(ListNode { kind: ListKind::Map(keys), item, .. }), Value::Array(items)) => {
                View::List(items, ListView { keys: Some(keys), item: self.go(*item) })
            }
            _ => View::Leaf,
        }
    }

    pub(crate) fn member(self, name: &str) -> Member<'a> {
        match self.get() {
            Node::Map(map) => match map.fields.get(name) {
                Some(field) => Member { shape: self.go(*field), declared: true },
                None => Member { shape: self.go(map.rest), declared: false },
            },
            Node::Untyped | Node::Leaf | Node::List(_) => Member { shape: self.go(UNTYPED), declared: false },
        }
    }

    /// Whether it is an object with declared members.
    pub(crate) fn is_struct(self) -> bool {
        matches!(self.get(), Node::Map(map) if !map.fields.is_empty())
    }

    pub(crate) fn item(self) -> Self {
        match self.get() {
            Node::List(list) => self.go(list.item),
            Node::Untyped | Node::Leaf | Node::Map(_) => self.go(UNTYPED),
        }
    }

    pub(crate) fn list_patch(self) -> ListPatch<'a> {
        let Node::List(list) = self.get() else { return ListPatch::Replace };
        match (&list.strategy, &list.kind) {
            (Some(Strategy::Values), _) | (None, ListKind::Set) => ListPatch::Values,
            (Some(Strategy::Keys(keys)), _) | (None, ListKind::Map(keys)) => ListPatch::Keys(keys),
            (None, ListKind::Atomic) => ListPatch::Replace,
        }
    }
}
