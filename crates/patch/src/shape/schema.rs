//! A shape from a JSON schema, as OpenAPI documents, schemars and custom resource definitions write them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Key, LEAF, ListKind, ListNode, MapNode, Node, Nodes, Shape, Strategy, UNTYPED};

/// Schemas in each other that are followed; what is deeper is taken as it comes.
const MAX_DEPTH: usize = 200;
/// Schemas of one kind that are followed.
const MAX_NODES: usize = 50_000;

impl Shape {
    /// From the schema at a JSON pointer (`""` is the whole document, `/components/schemas/x` one of OpenAPI's).
    /// References lead into the document. The shape of `metadata` is built in, whatever the schema says of it.
    ///
    /// What it reads: `type`, `properties`, `additionalProperties`, `items`, `default` of key fields, `$ref`, `allOf`
    /// and `anyOf` or `oneOf` with one branch that is not null, and the extensions `x-kubernetes-list-type`,
    /// `-list-map-keys`, `-map-type`, `-preserve-unknown-fields`, `-int-or-string`, `-patch-strategy` and
    /// `-patch-merge-key`. What it cannot read is taken as it comes.
    pub fn from_schema(document: &Value, pointer: &str) -> Self {
        let mut builder = Builder { document, nodes: Nodes::new(), known: BTreeMap::new() };
        let root = document.pointer(pointer).map_or(UNTYPED, |schema| builder.build(schema, 0));
        builder.nodes.into_object(root)
    }
}

struct Builder<'a> {
    document: &'a Value,
    nodes: Nodes,
    /// Nodes of what references lead to. One that is not complete yet is a node too: that is how a schema refers to
    /// itself.
    known: BTreeMap<&'a str, usize>,
}

impl<'a> Builder<'a> {
    fn build(&mut self, schema: &'a Value, depth: usize) -> usize {
        if depth > MAX_DEPTH || self.nodes.0.len() > MAX_NODES {
            return UNTYPED;
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return LEAF;
        }
        let says_itself = schema.get("type").is_some()
            || schema.get("properties").is_some()
            || schema.get("additionalProperties").is_some();
        if says_itself {
            return self.own(schema, depth);
        }
        let node = if let Some(pointer) = reference(schema) {
            self.follow(pointer, depth)
        } else {
            match branches(schema).as_slice() {
                [] if schema.get("enum").is_some() || schema.get("const").is_some() => LEAF,
                [] => UNTYPED,
                [one] => self.build(one, depth + 1),
                many => {
                    let nodes: Vec<_> = many.iter().map(|branch| self.build(branch, depth + 1)).collect();
                    if nodes.iter().all(|node| *node == LEAF) { LEAF } else { UNTYPED }
                }
            }
        };
        self.extended(node, schema)
    }

    fn follow(&mut self, pointer: &'a str, depth: usize) -> usize {
        if let Some(node) = self.known.get(pointer) {
            return *node;
        }
        let Some(schema) = self.document.pointer(pointer) else { return UNTYPED };
        let node = self.nodes.push(Node::Untyped);
        self.known.insert(pointer, node);
        let built = self.build(schema, depth + 1);
        // A scalar keeps the node by which it is known for one.
        if built == LEAF {
            self.known.insert(pointer, LEAF);
        }
        self.nodes.0[node] = self.nodes.0[built].clone();
        if built == LEAF { LEAF } else { node }
    }

    fn own(&mut self, schema: &'a Value, depth: usize) -> usize {
        let node = match type_of(schema) {
            Some("array") => {
                let item = schema.get("items").map_or(UNTYPED, |items| self.build(items, depth + 1));
                self.nodes.push(Node::List(ListNode { kind: ListKind::Atomic, item, strategy: None }))
            }
            Some("object") | None => {
                let declared = schema["properties"].as_object();
                let rest = match &schema["additionalProperties"] {
                    rest @ Value::Object(_) => self.build(rest, depth + 1),
                    _ => UNTYPED,
                };
                if declared.is_none_or(Map::is_empty) && rest == UNTYPED {
                    UNTYPED
                } else {
                    let mut fields = BTreeMap::new();
                    for (name, field) in declared.into_iter().flatten() {
                        fields.insert(name.clone(), self.build(field, depth + 1));
                    }
                    self.nodes.push(Node::Map(MapNode { fields, rest, atomic: false }))
                }
            }
            Some(_) => LEAF,
        };
        self.extended(node, schema)
    }

    /// The node with what the extensions beside it say.
    fn extended(&mut self, node: usize, schema: &'a Value) -> usize {
        let atomic = schema["x-kubernetes-map-type"] == "atomic";
        match self.nodes.0[node].clone() {
            Node::Map(map) if atomic => self.nodes.push(Node::Map(MapNode { atomic, ..map })),
            Node::Untyped if atomic => {
                self.nodes.push(Node::Map(MapNode { fields: BTreeMap::new(), rest: UNTYPED, atomic }))
            }
            Node::List(list) => {
                let kind = self.list_kind(schema);
                let strategy = self.strategy(schema);
                if kind.is_none() && strategy.is_none() {
                    return node;
                }
                let kind = kind.unwrap_or(list.kind);
                let strategy = strategy.or(list.strategy);
                self.nodes.push(Node::List(ListNode { kind, item: list.item, strategy }))
            }
            Node::Map(_) | Node::Untyped | Node::Leaf => node,
        }
    }

    fn list_kind(&self, schema: &'a Value) -> Option<ListKind> {
        match schema["x-kubernetes-list-type"].as_str()? {
            "set" => Some(ListKind::Set),
            "map" => {
                let names = schema["x-kubernetes-list-map-keys"].as_array();
                let names = names.into_iter().flatten().filter_map(Value::as_str);
                let keys: Vec<_> = names.map(|name| self.key(schema, name)).collect();
                // A map without keys tells nothing apart.
                (!keys.is_empty()).then_some(ListKind::Map(keys))
            }
            _ => Some(ListKind::Atomic),
        }
    }

    fn strategy(&self, schema: &'a Value) -> Option<Strategy> {
        let strategy = schema["x-kubernetes-patch-strategy"].as_str()?;
        if !strategy.split(',').any(|word| word == "merge") {
            return None;
        }
        Some(match schema["x-kubernetes-patch-merge-key"].as_str() {
            Some(name) => Strategy::Keys(vec![self.key(schema, name)]),
            None => Strategy::Values,
        })
    }

    /// A key field of the items of a list, with the default that the schema of the items has for it.
    fn key(&self, list: &'a Value, name: &str) -> Key {
        let list = self.target(list);
        let field = &self.target(&list["items"])["properties"][name];
        let default = field.get("default").or_else(|| self.target(field).get("default"));
        Key { name: name.to_owned(), default: default.cloned() }
    }

    /// The schema behind references and optionality.
    fn target(&self, schema: &'a Value) -> &'a Value {
        let mut at = schema;
        // A schema that refers to itself ends here too.
        for _ in 0..16 {
            if at.get("items").is_some() || at.get("properties").is_some() {
                break;
            }
            at = match (reference(at), branches(at).as_slice()) {
                (Some(pointer), _) => self.document.pointer(pointer).unwrap_or(&Value::Null),
                (None, [one]) => one,
                (None, _) => return at,
            };
        }
        at
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix('#')
}

/// What a schema may be instead, without null.
fn branches(schema: &Value) -> Vec<&Value> {
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| schema[name].as_array());
    lists.flatten().filter(|branch| type_of(branch) != Some("null")).collect()
}

/// The type that is not null.
fn type_of(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(name) => Some(name),
        Value::Array(names) => {
            let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
            names.iter().copied().find(|name| *name != "null").or(names.first().copied())
        }
        _ => None,
    }
}
