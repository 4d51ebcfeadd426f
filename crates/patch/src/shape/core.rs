//! The lists of the core kinds that are told apart, whether or not a schema says so.

use super::{Key, ListKind, ListNode, Node, Nodes, Shape, UNTYPED};

/// Kind, path and key field. All other lists of these kinds are one value, `taints` and `imagePullSecrets` among them.
const LISTS: [(&str, &[&str], &str); 7] = [
    ("Namespace", &["status", "conditions"], "type"),
    ("Node", &["status", "addresses"], "type"),
    ("Node", &["status", "conditions"], "type"),
    ("Pod", &["spec", "containers"], "name"),
    ("Pod", &["spec", "initContainers"], "name"),
    ("Pod", &["status", "conditions"], "type"),
    ("ServiceAccount", &["secrets"], "name"),
];

impl Shape {
    /// With the lists of a core kind (`Node`, `Pod`, ...) told apart as every client expects. Lists that the schema
    /// tells apart itself stay as they are; of other kinds the shape stays as it is.
    #[must_use]
    pub fn with_core_lists(self, kind: &str) -> Self {
        let mut nodes = Nodes(self.nodes.to_vec());
        let mut root = self.root;
        for (_, path, key) in LISTS.iter().filter(|(of, ..)| *of == kind) {
            let keys = vec![Key { name: (*key).to_owned(), default: None }];
            root = with_list(&mut nodes, root, path, ListKind::Map(keys));
        }
        Self { nodes: nodes.0.into(), root }
    }
}

/// A copy of the node, with what is at `path` below it a list of this kind.
fn with_list(nodes: &mut Nodes, node: usize, path: &[&str], kind: ListKind) -> usize {
    let Some((name, rest)) = path.split_first() else {
        let (item, strategy) = match &nodes.0[node] {
            Node::List(list) if list.kind != ListKind::Atomic => return node,
            Node::List(list) => (list.item, list.strategy.clone()),
            Node::Untyped | Node::Leaf | Node::Map(_) => (UNTYPED, None),
        };
        return nodes.push(Node::List(ListNode { kind, item, strategy }));
    };
    let mut map = nodes.as_map(node);
    let child = map.fields.get(*name).copied().unwrap_or(map.rest);
    let child = with_list(nodes, child, rest, kind);
    map.fields.insert((*name).to_owned(), child);
    nodes.push(Node::Map(map))
}
