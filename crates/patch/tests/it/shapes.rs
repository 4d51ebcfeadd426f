//! Shapes from schemas, by what an apply takes apart.

use drover_patch::apply::apply;
use drover_patch::fields::Path;
use drover_patch::managers::Managers;
use drover_patch::{Endpoint, Request, Shape};
use serde_json::{Value, json};

use crate::setting::at;

/// The paths that a configuration claims under a schema.
fn claims(shape: &Shape, spec: Value) -> Vec<String> {
    let endpoint = Endpoint::Whole;
    let request = Request { shape, manager: "m", api_version: "v1", endpoint, force: false, now: at(0) };
    let object =
        apply(None, json!({"apiVersion": "v1", "kind": "K", "spec": spec}), &request).unwrap().into_object();
    let managers = Managers::of(&object);
    managers.iter().flat_map(|(_, owned)| owned.fields.paths()).map(|path| Path::to_string(&path)).collect()
}

fn of_spec(spec: Value) -> Shape {
    Shape::from_schema(&json!({"type": "object", "properties": {"spec": spec}}), "")
}

#[test]
fn without_a_schema_objects_are_taken_apart_and_lists_are_not() {
    let paths = claims(&Shape::untyped(), json!({"a": {"b": 1, "c": {}}, "l": [{"x": 1}], "n": null}));
    assert_eq!(paths, [".spec", ".spec.a", ".spec.l", ".spec.n", ".spec.a.b", ".spec.a.c"]);
}

#[test]
fn references_are_followed_through_all_of_and_any_of_in_both_kinds_of_documents() {
    let list = json!({
        "type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "description": "A set.",
    });
    for (place, reference) in [("$defs", "#/$defs/l"), ("components", "#/components/schemas/l")] {
        for use_of in [
            json!({"$ref": reference}),
            json!({"$ref": reference, "description": "beside"}),
            json!({"allOf": [{"$ref": reference}], "default": []}),
            json!({"anyOf": [{"$ref": reference}, {"type": "null"}]}),
            json!({"oneOf": [{"type": "null"}, {"$ref": reference}]}),
        ] {
            let definitions =
                if place == "$defs" { json!({"l": list}) } else { json!({"schemas": {"l": list}}) };
            let kind = json!({
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {"tags": use_of}}},
            });
            let document = if place == "$defs" {
                let mut kind = kind;
                kind[place] = definitions;
                kind
            } else {
                let mut definitions = definitions;
                definitions["schemas"]["k"] = kind;
                json!({"components": definitions})
            };
            let pointer = if place == "$defs" { "" } else { "/components/schemas/k" };
            let shape = Shape::from_schema(&document, pointer);
            assert_eq!(claims(&shape, json!({"tags": ["a"]})), [".spec.tags[=\"a\"]"], "{document}");
        }
    }
}

#[test]
fn extensions_beside_a_reference_count() {
    let document = json!({
        "$defs": {
            "Items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
            "Item": {"type": "object", "properties": {
                "id": {"anyOf": [{"$ref": "#/$defs/Id"}, {"type": "null"}]}, "x": {"type": "string"},
            }},
            "Id": {"type": "string", "default": "main"},
            "Block": {"type": "object", "properties": {"a": {"type": "string"}}},
        },
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {
            "items": {
                "$ref": "#/$defs/Items", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["x", "id"],
            },
            "plain": {"$ref": "#/$defs/Items"},
            "block": {"$ref": "#/$defs/Block", "x-kubernetes-map-type": "atomic"},
            "open": {"$ref": "#/$defs/Block"},
            "any": {"x-kubernetes-map-type": "atomic"},
        }}},
    });
    let shape = Shape::from_schema(&document, "");
    let spec = json!({
        "items": [{"x": "1"}], "plain": [{"x": "1"}], "block": {"a": "1"}, "open": {"a": "1"}, "any": {"z": {"y": 1}},
    });
    assert_eq!(
        claims(&shape, spec),
        [
            ".spec.any",
            ".spec.block",
            ".spec.plain",
            ".spec.items[id=\"main\",x=\"1\"]",
            ".spec.items[id=\"main\",x=\"1\"].x",
            ".spec.open.a",
        ]
    );
}

#[test]
fn a_schema_that_refers_to_itself_is_followed_as_far_as_a_value_goes() {
    let document = json!({
        "$defs": {
            "Tree": {"type": "object", "properties": {
                "name": {"type": "string"},
                "children": {
                    "type": "array", "items": {"$ref": "#/$defs/Tree"},
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                },
            }},
            "Loop": {"$ref": "#/$defs/Pool"}, "Pool": {"allOf": [{"$ref": "#/$defs/Loop"}]},
        },
        "type": "object",
        "properties": {"spec": {"$ref": "#/$defs/Tree"}, "status": {"$ref": "#/$defs/Loop"}},
    });
    let shape = Shape::from_schema(&document, "");
    let spec = json!({"children": [{"name": "a", "children": [{"name": "b", "children": []}]}]});
    assert_eq!(
        claims(&shape, spec),
        [
            ".spec.children[name=\"a\"]",
            ".spec.children[name=\"a\"].name",
            ".spec.children[name=\"a\"].children[name=\"b\"]",
            ".spec.children[name=\"a\"].children[name=\"b\"].name",
        ]
    );
}

#[test]
fn the_schemas_of_the_kinds_make_shapes_that_name_their_members() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        let shape = Shape::from_schema(&schema, "");
        if schema["properties"].get("spec").is_some() {
            // A declared member that leads to others is none itself; an unknown one is.
            let paths = claims(&shape, json!({"unknown": {"x": 1}}));
            assert_eq!(paths, [".spec.unknown", ".spec.unknown.x"], "{}", schema["title"]);
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn scalars_of_every_spelling_are_one_value() {
    let shape = of_spec(json!({"type": "object", "properties": {
        "quantity": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "word": {"oneOf": [{"const": "A", "type": "string"}, {"const": "B"}]},
        "closed": {"enum": ["a"]},
        "maybe": {"type": ["integer", "null"]},
        "list": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        "keyless": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"},
    }}));
    let spec = json!({
        "quantity": "1", "either": 1, "word": "A", "closed": "a", "maybe": 1, "list": ["a"], "keyless": [{"a": 1}],
    });
    let names = ["closed", "either", "keyless", "list", "maybe", "quantity", "word"];
    assert_eq!(claims(&shape, spec), names.map(|name| format!(".spec.{name}")));
}

#[test]
fn schemas_that_make_no_sense_make_a_shape_all_the_same() {
    for document in [
        json!(null),
        json!(true),
        json!([]),
        json!({"$ref": "#/nowhere"}),
        json!({"$ref": "http://elsewhere"}),
        json!({"type": "array", "items": true}),
        json!({"type": 5, "properties": [], "allOf": {}, "anyOf": [5]}),
        json!({"properties": {"spec": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [1]}}}),
    ] {
        let shape = Shape::from_schema(&document, "");
        assert!(claims(&shape, json!({"a": 1})).iter().any(|path| path.starts_with(".spec")), "{document}");
    }
    let mut deep = json!({"type": "string"});
    for _ in 0..1_000 {
        let mut around = json!({"type": "object", "properties": {"spec": null}});
        around["properties"]["spec"] = deep;
        deep = around;
    }
    let shape = Shape::from_schema(&deep, "");
    assert_eq!(claims(&shape, json!({"spec": {"x": 1}})), [".spec.spec.x"]);
}
