//! JSON Patch.

use drover_patch::json_patch::{JsonPatchError, Reason, apply};
use serde_json::{Value, json};

fn patched(target: Value, patch: Value) -> Result<Value, Reason> {
    apply(&target, &patch).map_err(|error| match error {
        JsonPatchError::Operation { reason, .. } => reason,
        other => panic!("{other}"),
    })
}

#[test]
fn the_examples_of_the_rfc_hold() {
    let table = [
        (
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/baz", "value": "qux"}]),
            json!({"baz": "qux", "foo": "bar"}),
        ),
        (
            json!({"foo": ["bar", "baz"]}),
            json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
            json!({"foo": ["bar", "qux", "baz"]}),
        ),
        (
            json!({"baz": "qux", "foo": "bar"}),
            json!([{"op": "remove", "path": "/baz"}]),
            json!({"foo": "bar"}),
        ),
        (
            json!({"foo": ["a", "b", "c"]}),
            json!([{"op": "remove", "path": "/foo/1"}]),
            json!({"foo": ["a", "c"]}),
        ),
        (
            json!({"baz": "qux", "foo": "bar"}),
            json!([{"op": "replace", "path": "/baz", "value": "boo"}]),
            json!({"baz": "boo", "foo": "bar"}),
        ),
        (
            json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
            json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
            json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ),
        (
            json!({"foo": ["all", "grass", "cows", "eat"]}),
            json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
            json!({"foo": ["all", "cows", "eat", "grass"]}),
        ),
        (
            json!({"baz": "qux", "foo": ["a", 2, "c"]}),
            json!([
                {"op": "test", "path": "/baz", "value": "qux"},
                {"op": "test", "path": "/foo/1", "value": 2.0},
            ]),
            json!({"baz": "qux", "foo": ["a", 2, "c"]}),
        ),
        (
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/child", "value": {"grandchild": {}}}]),
            json!({"foo": "bar", "child": {"grandchild": {}}}),
        ),
        (
            json!({"/": 9, "~1": 10}),
            json!([{"op": "test", "path": "/~01", "value": 10}]),
            json!({"/": 9, "~1": 10}),
        ),
        (
            json!({"foo": ["bar"]}),
            json!([{"op": "add", "path": "/foo/-", "value": ["abc"]}]),
            json!({"foo": ["bar", ["abc"]]}),
        ),
        (json!({"a": 1}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), json!({"a": 1, "b": 1})),
        (json!({"a": 1}), json!([{"op": "move", "from": "/a", "path": "/a"}]), json!({"a": 1})),
        (json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {"b": 2}}]), json!({"b": 2})),
        (json!({"a": 1}), json!([{"op": "add", "path": "/a", "value": null}]), json!({"a": null})),
        (json!({"": 1}), json!([{"op": "replace", "path": "/", "value": 2}]), json!({"": 2})),
        (json!({"a": 1}), json!([]), json!({"a": 1})),
    ];
    for (target, patch, expected) in table {
        assert_eq!(apply(&target, &patch), Ok(expected), "{patch}");
    }
}

#[test]
fn a_test_with_null_passes_where_the_member_is_not_there() {
    let target = json!({"metadata": {"name": "t", "gone": null}, "list": [1]});
    let test = |path: &str, value: Value| {
        patched(target.clone(), json!([{"op": "test", "path": path, "value": value}]))
    };
    assert!(test("/metadata/finalizers", json!(null)).is_ok());
    assert!(test("/metadata/gone", json!(null)).is_ok());
    assert!(patched(target.clone(), json!([{"op": "test", "path": "/metadata/finalizers"}])).is_ok());
    assert_eq!(test("/metadata/name", json!(null)), Err(Reason::TestFailed));
    assert_eq!(test("/metadata/finalizers", json!([])), Err(Reason::Nothing("finalizers".into())));
    // The parent must be there.
    assert_eq!(test("/spec/finalizers", json!(null)), Err(Reason::Nothing("spec".into())));
    assert_eq!(test("/list/1", json!(null)), Err(Reason::Nothing("1".into())));
    assert_eq!(test("/metadata/name/x", json!(null)), Err(Reason::Nothing("x".into())));
}

#[test]
fn what_does_not_apply_is_refused_with_operation_and_path() {
    let target = json!({"a": {"b": 1}, "l": [1, 2]});
    let nothing = |step: &str| Reason::Nothing(step.into());
    let no_index = |step: &str| Reason::NotAnIndex(step.into());
    let table = [
        (json!({"op": "remove", "path": "/x"}), nothing("x")),
        (json!({"op": "remove", "path": ""}), Reason::Whole),
        (json!({"op": "replace", "path": "/a/c", "value": 1}), nothing("c")),
        (json!({"op": "add", "path": "/x/y", "value": 1}), nothing("x")),
        (json!({"op": "add", "path": "/a/b/c", "value": 1}), nothing("c")),
        (json!({"op": "add", "path": "/l/3", "value": 1}), nothing("3")),
        (json!({"op": "add", "path": "/l/01", "value": 1}), no_index("01")),
        (json!({"op": "add", "path": "/l/-1", "value": 1}), no_index("-1")),
        (json!({"op": "add", "path": "/l/+1", "value": 1}), no_index("+1")),
        (json!({"op": "add", "path": "/l/", "value": 1}), no_index("")),
        (
            json!({"op": "add", "path": "/l/99999999999999999999", "value": 1}),
            no_index("99999999999999999999"),
        ),
        (json!({"op": "remove", "path": "/l/-"}), no_index("-")),
        (json!({"op": "test", "path": "/l/2", "value": 1}), nothing("2")),
        (json!({"op": "test", "path": "/a", "value": {"b": 2}}), Reason::TestFailed),
        (json!({"op": "move", "from": "/a", "path": "/a/b"}), Reason::IntoItself),
        (json!({"op": "move", "from": "", "path": "/a"}), Reason::IntoItself),
        (json!({"op": "move", "from": "/x", "path": "/x"}), nothing("x")),
        (json!({"op": "copy", "from": "/x", "path": "/y"}), nothing("x")),
        (json!({"op": "copy", "path": "/y"}), Reason::Missing("from")),
        (json!({"op": "add", "path": "/y"}), Reason::Missing("value")),
        (json!({"op": "add", "value": 1}), Reason::Missing("path")),
        (json!({"op": "add", "path": 1, "value": 1}), Reason::Missing("path")),
        (json!({"op": "add", "path": "a", "value": 1}), Reason::NotAPointer("a".into())),
        (json!({"op": "add", "path": "/~2", "value": 1}), Reason::NotAPointer("/~2".into())),
        (json!({"op": "add", "path": "/~", "value": 1}), Reason::NotAPointer("/~".into())),
        (json!({"op": "merge", "path": "/a", "value": 1}), Reason::NotAnOperation),
        (json!({"path": "/a", "value": 1}), Reason::NotAnOperation),
        (json!("add"), Reason::NotAnOperation),
    ];
    for (operation, reason) in table {
        assert_eq!(patched(target.clone(), json!([operation])), Err(reason), "{operation}");
    }
    let patch =
        json!([{"op": "test", "path": "/l/0", "value": 1}, {"op": "replace", "path": "/l/9", "value": 1}]);
    let error = apply(&target, &patch).unwrap_err();
    assert_eq!(error.to_string(), "operation 1 (replace \"/l/9\"): there is nothing at \"9\"");
    assert!(!error.is_bad_request());
    assert!(apply(&target, &json!([{"op": "add"}])).unwrap_err().is_bad_request());
    assert_eq!(apply(&target, &json!({"op": "add"})), Err(JsonPatchError::NotAList));
}

#[test]
fn a_million_operations_are_refused_before_the_first() {
    let failing = json!({"op": "test", "path": "/a", "value": 1});
    let patch = Value::Array(vec![Value::Null; 1_000_000]);
    assert_eq!(apply(&json!({}), &patch), Err(JsonPatchError::TooManyOperations(1_000_000)));
    let patch = Value::Array(vec![failing; 10_001]);
    assert_eq!(apply(&json!({}), &patch), Err(JsonPatchError::TooManyOperations(10_001)));
    let patch = Value::Array(vec![json!({"op": "test", "path": "/a", "value": null}); 10_000]);
    assert_eq!(apply(&json!({}), &patch), Ok(json!({})));
}

#[test]
fn copies_of_copies_end_at_a_bound() {
    let mut operations = Vec::new();
    for i in 0..100 {
        operations.push(json!({"op": "copy", "from": "", "path": format!("/c{i}")}));
    }
    let refused = patched(json!({"a": "x".repeat(100)}), Value::Array(operations));
    assert!(matches!(refused, Err(Reason::TooLarge | Reason::TooDeep)), "{refused:?}");
    let mut operations = vec![json!({"op": "add", "path": "/l", "value": ["x".repeat(1000)]})];
    operations.extend((0..40).map(|_| json!({"op": "copy", "from": "/l", "path": "/l/-"})));
    let refused = patched(json!({}), Value::Array(operations));
    assert!(matches!(refused, Err(Reason::TooLarge)), "{refused:?}");
}

#[test]
fn no_patch_nests_deeper_than_what_is_read_again() {
    let operations = (0..10_000).map(|_| json!({"op": "add", "path": "/a", "value": 1})).collect::<Vec<_>>();
    assert_eq!(patched(json!({}), Value::Array(operations)), Ok(json!({"a": 1})));
    // Each puts what there is one level deeper.
    let mut operations = Vec::new();
    for _ in 0..5_000 {
        operations.push(json!({"op": "move", "from": "/a", "path": "/b"}));
        operations.push(json!({"op": "add", "path": "/a", "value": {}}));
        operations.push(json!({"op": "move", "from": "/b", "path": "/a/b"}));
    }
    operations.truncate(9_999);
    assert_eq!(patched(json!({"a": 1}), Value::Array(operations)), Err(Reason::TooDeep));
    let deepest = "/a".repeat(127);
    let mut value = json!(1);
    for _ in 0..126 {
        value = json!({"a": value});
    }
    let target = json!({"a": value});
    let add = json!([{"op": "replace", "path": deepest, "value": 2}]);
    let patched_text = apply(&target, &add).unwrap().to_string();
    assert!(serde_json::from_str::<Value>(&patched_text).is_ok());
    let deeper = json!([{"op": "replace", "path": deepest, "value": {"a": 1}}]);
    assert!(apply(&target, &deeper).is_err());
}

#[test]
fn shifting_a_long_list_again_and_again_ends_at_a_bound() {
    let long = json!({"l": vec![0; 99_000]});
    let operations: Vec<_> = (0..10_000).map(|_| json!({"op": "add", "path": "/l/0", "value": 1})).collect();
    assert_eq!(patched(long.clone(), Value::Array(operations)), Err(Reason::TooMuchWork));
    let operations: Vec<_> = (0..5_000)
        .flat_map(|_| {
            [
                json!({"op": "move", "from": "/l", "path": "/m"}),
                json!({"op": "move", "from": "/m", "path": "/l"}),
            ]
        })
        .collect();
    assert_eq!(patched(long, Value::Array(operations)), Err(Reason::TooMuchWork));
}

#[test]
fn what_a_message_quotes_is_short() {
    let long = "x".repeat(10_000);
    let error = apply(&json!({}), &json!([{"op": long, "path": long}])).unwrap_err();
    assert!(error.to_string().len() < 1_000);
    let error = apply(&json!({}), &json!([{"op": "remove", "path": format!("/{long}")}])).unwrap_err();
    assert!(error.to_string().len() < 1_000);
}
