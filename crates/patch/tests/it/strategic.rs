//! Strategic merge patch.

use drover_patch::Shape;
use drover_patch::strategic::apply;
use serde_json::{Value, json};

use crate::setting::SHAPE;

fn node() -> Shape {
    Shape::untyped().with_core_lists("Node")
}

fn check(shape: &Shape, table: &[(Value, Value, Value)]) {
    for (target, patch, expected) in table {
        let patched = apply(target, patch, shape).unwrap_or_else(|error| panic!("{patch}: {error}"));
        assert_eq!(patched, *expected, "{patch} of {target}");
    }
}

#[test]
fn conditions_are_merged_by_type_and_taints_replaced() {
    check(
        &node(),
        &[
            (
                json!({"status": {"conditions": [{"type": "A", "status": "True", "reason": "x"}, {"type": "B"}]}}),
                json!({"status": {"conditions": [{"type": "A", "status": "False"}]}}),
                json!({"status": {"conditions": [{"type": "A", "status": "False", "reason": "x"}, {"type": "B"}]}}),
            ),
            (
                json!({"status": {"conditions": [{"type": "A"}]}}),
                json!({"status": {"conditions": [{"type": "B"}]}}),
                // What is new comes first.
                json!({"status": {"conditions": [{"type": "B"}, {"type": "A"}]}}),
            ),
            (
                json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
                json!({"spec": {"taints": [{"key": "b", "effect": "NoExecute"}]}}),
                json!({"spec": {"taints": [{"key": "b", "effect": "NoExecute"}]}}),
            ),
            (
                json!({"spec": {"unschedulable": true}}),
                json!({"spec": {"unschedulable": null}}),
                json!({"spec": {}}),
            ),
            (
                json!({"spec": {}}),
                json!({"spec": {"taints": [{"key": "b", "timeAdded": null}]}}),
                json!({"spec": {"taints": [{"key": "b"}]}}),
            ),
        ],
    );
}

#[test]
fn finalizers_are_united_and_taken_out_by_value() {
    let metadata = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    check(
        &node(),
        &[
            (metadata(json!(["a"])), metadata(json!(["b", "a"])), metadata(json!(["b", "a"]))),
            (metadata(json!(["a", "b"])), metadata(json!(["c"])), metadata(json!(["c", "a", "b"]))),
            (
                metadata(json!(["a", "b"])),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}}),
                metadata(json!(["b"])),
            ),
            (
                metadata(json!(["a", "b"])),
                json!({"metadata": {
                    "$deleteFromPrimitiveList/finalizers": ["a"],
                    "$setElementOrder/finalizers": ["c", "b"],
                    "finalizers": ["c"],
                }}),
                metadata(json!(["c", "b"])),
            ),
            (
                json!({"metadata": {}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
                json!({"metadata": {}}),
            ),
        ],
    );
}

#[test]
fn owner_references_are_merged_by_uid() {
    check(
        &Shape::untyped(),
        &[(
            json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2", "name": "b"}]}}),
            json!({"metadata": {"ownerReferences": [
                {"uid": "1", "controller": true}, {"$patch": "delete", "uid": "2"},
            ]}}),
            json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "a", "controller": true}]}}),
        )],
    );
}

#[test]
fn containers_are_merged_by_name_in_the_order_that_is_given() {
    let pod = Shape::untyped().with_core_lists("Pod");
    let spec = |containers: Value| json!({"spec": {"containers": containers}});
    let held =
        spec(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]));
    check(
        &pod,
        &[
            (
                held.clone(),
                spec(json!([{"name": "b", "image": "9"}])),
                spec(
                    json!([{"name": "a", "image": "1"}, {"name": "b", "image": "9"}, {"name": "c", "image": "3"}]),
                ),
            ),
            (
                held.clone(),
                spec(json!([{"name": "d"}, {"name": "b", "$patch": "delete"}])),
                spec(json!([{"name": "d"}, {"name": "a", "image": "1"}, {"name": "c", "image": "3"}])),
            ),
            (held.clone(), spec(json!([{"$patch": "replace"}, {"name": "z"}])), spec(json!([{"name": "z"}]))),
            (
                held.clone(),
                json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}}),
                spec(
                    json!([{"name": "b", "image": "2"}, {"name": "c", "image": "3"}, {"name": "a", "image": "1"}]),
                ),
            ),
            (
                held.clone(),
                json!({"spec": {
                    "$setElementOrder/containers": [{"name": "a"}, {"name": "d"}, {"name": "b"}, {"name": "c"}],
                    "containers": [{"name": "d", "image": "4"}],
                }}),
                spec(json!([
                    {"name": "a", "image": "1"}, {"name": "d", "image": "4"}, {"name": "b", "image": "2"},
                    {"name": "c", "image": "3"},
                ])),
            ),
            (
                held.clone(),
                json!({"spec": {"$patch": "replace", "nodeName": "n"}}),
                json!({"spec": {"nodeName": "n"}}),
            ),
            (held.clone(), json!({"spec": {"$patch": "delete"}}), json!({"spec": {}})),
            (held.clone(), json!({"spec": {"$patch": "merge", "nodeName": null}}), held.clone()),
            (
                held,
                json!({"spec": {"$retainKeys": ["nodeName"], "nodeName": "n"}}),
                json!({"spec": {"nodeName": "n"}}),
            ),
        ],
    );
}

#[test]
fn own_kinds_use_the_keys_of_their_schema() {
    let ports = |ports: Value| json!({"spec": {"steps": [{"name": "a", "ports": ports}]}});
    check(
        &SHAPE,
        &[
            (
                ports(json!([{"port": 1}, {"port": 1, "protocol": "UDP"}])),
                ports(json!([{"port": 1, "protocol": "TCP", "note": "n"}])),
                ports(json!([{"port": 1, "protocol": "TCP", "note": "n"}, {"port": 1, "protocol": "UDP"}])),
            ),
            (
                json!({"spec": {"tags": ["a"], "args": ["1"], "limits": {"cpu": "1"}}}),
                json!({"spec": {"tags": ["b"], "args": ["2"], "limits": {"mem": "2"}}}),
                // One value to an apply is a map to this.
                json!({"spec": {"tags": ["b", "a"], "args": ["2"], "limits": {"cpu": "1", "mem": "2"}}}),
            ),
        ],
    );
}

#[test]
fn service_accounts_merge_secrets_and_replace_pull_secrets() {
    check(
        &Shape::untyped().with_core_lists("ServiceAccount"),
        &[(
            json!({"secrets": [{"name": "a"}], "imagePullSecrets": [{"name": "p"}]}),
            json!({"secrets": [{"name": "b"}], "imagePullSecrets": [{"name": "q"}]}),
            json!({"secrets": [{"name": "b"}, {"name": "a"}], "imagePullSecrets": [{"name": "q"}]}),
        )],
    );
}

#[test]
fn a_schema_may_say_how_a_list_is_patched() {
    let schema = json!({"type": "object", "properties": {
        "byKey": {
            "type": "array", "items": {"type": "object"},
            "x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "name",
        },
        "values": {"type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": "merge"},
    }});
    check(
        &Shape::from_schema(&schema, ""),
        &[(
            json!({"byKey": [{"name": "a", "x": 1}], "values": ["1"]}),
            json!({"byKey": [{"name": "a", "y": 2}], "values": ["2"]}),
            json!({"byKey": [{"name": "a", "x": 1, "y": 2}], "values": ["2", "1"]}),
        )],
    );
}

#[test]
fn no_directive_and_no_null_is_left_in_what_was_not_there_before() {
    check(
        &node(),
        &[(
            json!({}),
            json!({
                "spec": {
                    "$patch": "merge", "$retainKeys": ["a", "list"], "a": {"$patch": "replace", "b": null, "c": 1},
                    "list": [{"$patch": "delete", "x": 1}, {"$patch": "merge", "x": 2, "y": null}],
                },
                "status": {"conditions": [{"$patch": "delete", "type": "A"}, {"type": "B", "x": null}]},
            }),
            json!({
                "spec": {"a": {"c": 1}, "list": [{"x": 2}]},
                "status": {"conditions": [{"type": "B"}]},
            }),
        )],
    );
}

#[test]
fn directives_that_mean_nothing_are_refused_with_their_place() {
    let held = json!({"spec": {"a": 1}, "status": {"conditions": [{"type": "A"}]}, "metadata": {"finalizers": ["a"]}});
    let table = [
        (json!([]), ".: a strategic merge patch must be a JSON object"),
        (json!({"$patch": "explode"}), ".: $patch cannot have this value"),
        (json!({"spec": {"$patch": {"$patch": "delete"}}}), "spec: $patch cannot have this value"),
        (json!({"spec": {"$patch": null}}), "spec: $patch cannot have this value"),
        (json!({"spec": {"$retainKeys": "a"}}), "spec: $retainKeys cannot have this value"),
        (json!({"spec": {"$retainKeys": [1]}}), "spec: $retainKeys cannot have this value"),
        (json!({"spec": {"$retainKeys": ["b"], "a": 2}}), "spec: \"a\" is set and not among $retainKeys"),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}),
            "metadata: $deleteFromPrimitiveList/finalizers cannot have this value",
        ),
        (
            json!({"metadata": {"$deleteFromPrimitiveList": ["a"]}}),
            "metadata: $deleteFromPrimitiveList cannot have this value",
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": {}}}),
            "metadata: $setElementOrder/finalizers cannot have this value",
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": ["a"], "finalizers": ["b"]}}),
            "metadata.finalizers: item 0 is not where $setElementOrder has it",
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": ["a", "b"], "finalizers": ["b", "a"]}}),
            "metadata.finalizers: item 1 is not where $setElementOrder has it",
        ),
        (
            json!({"metadata": {"finalizers": [{"$patch": "replace"}]}}),
            "metadata.finalizers: item 0 is told from others by a value that is not a scalar",
        ),
        (
            json!({"status": {"conditions": [{"$patch": "delete"}]}}),
            "status.conditions: item 0 has none of the key fields of the list",
        ),
        (
            json!({"status": {"conditions": [{"type": "A"}, {"status": "x"}]}}),
            "status.conditions: item 1 has none of the key fields of the list",
        ),
        (
            json!({"status": {"conditions": ["A"]}}),
            "status.conditions: item 0 is not an object, and the list is a map by key",
        ),
        (
            json!({"status": {"conditions": [{"type": "A", "$patch": 7}]}}),
            "status.conditions: $patch cannot have this value",
        ),
        (
            json!({"status": {"conditions": [{"type": "A", "x": {}, "$retainKeys": 1}]}}),
            "status.conditions[0]: $retainKeys cannot have this value",
        ),
    ];
    for (patch, message) in table {
        assert_eq!(apply(&held, &patch, &node()).unwrap_err().to_string(), message, "{patch}");
    }
}
