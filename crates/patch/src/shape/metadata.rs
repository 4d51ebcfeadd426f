//! The shape of `metadata`, which is that of every kind.

use std::collections::BTreeMap;

use super::{Key, LEAF, ListKind, ListNode, MapNode, Node, Nodes, UNTYPED};

/// Scalars of `ObjectMeta`.
const SCALARS: [&str; 11] = [
    "clusterName",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

pub(super) fn object_meta(nodes: &mut Nodes) -> usize {
    let map = |fields, rest, atomic| Node::Map(MapNode { fields, rest, atomic });
    let list = |kind, item| Node::List(ListNode { kind, item, strategy: None });
    let texts = nodes.push(map(BTreeMap::new(), LEAF, false));
    let set = nodes.push(list(ListKind::Set, LEAF));
    let owner = nodes.push(map(BTreeMap::new(), UNTYPED, true));
    let uid = vec![Key { name: "uid".into(), default: None }];
    let owners = nodes.push(list(ListKind::Map(uid), owner));
    let one = nodes.push(list(ListKind::Atomic, UNTYPED));
    let mut fields: BTreeMap<String, usize> = SCALARS.iter().map(|name| ((*name).to_owned(), LEAF)).collect();
    for (name, node) in [
        ("labels", texts),
        ("annotations", texts),
        ("finalizers", set),
        ("ownerReferences", owners),
        ("managedFields", one),
    ] {
        fields.insert(name.to_owned(), node);
    }
    nodes.push(map(fields, UNTYPED, false))
}
