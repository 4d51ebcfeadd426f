//! Laws over generated documents and hostile bytes.

use drover_manifest::{Diagnostic, FieldPath, Limits, decode, decode_bytes, emit, locate, locate_key};
use proptest::prelude::*;
use serde_json::{Value, json};

fn key() -> impl Strategy<Value = String> {
    let any = prop_oneof![
        4 => "[a-zA-Z][a-zA-Z0-9]{0,8}",
        1 => "[a-z.]{1,6}/[a-z]{1,4}",
        1 => any::<String>(),
        1 => "[ -~]{0,10}",
        1 => "x{110,2000}",
    ];
    any.prop_filter("merge keys are refused", |key| key != "<<")
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => any::<String>(),
        2 => "[ -~]{0,20}",
        2 => "([ -~]{0,8}\n){0,4}[ -~]{0,4}",
        1 => "[-0-9.:_xeE+]{1,8}",
        1 => prop::sample::select(vec!["no", "on", "~", "1.10", "010", "2026-01-01", "<<", "---", "...", "- ", "|", "\u{feff}", "\u{85}", "\u{2028}"])
            .prop_map(str::to_owned),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Any", "metadata": {"name": "a"}, "spec": spec})
}

/// Every leaf of a value with its path.
fn leaves(value: &Value, path: FieldPath, found: &mut Vec<(FieldPath, Value)>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| leaves(v, path.clone().key(k), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| leaves(v, path.clone().index(i), found))
        }
        other => found.push((path, other.clone())),
    }
}

fn decoded(name: &str, text: &str) -> Value {
    decode(name, text, &Limits::default()).unwrap_or_else(|e| panic!("{text}\n{}", e[0].render(false, 100)))
        [0]
    .value
    .clone()
}

/// Whether a slice of the source reads as the value.
fn reads_as(slice: &str, value: &Value) -> bool {
    decoded("x", &emit(&object(Value::Null)).replace("spec: null", &format!("spec: {slice}")))["spec"]
        == *value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn emitting_then_decoding_changes_nothing(spec in document()) {
        let value = object(spec);
        prop_assert_eq!(&decoded("x.yaml", &emit(&value)), &value);
prop_assert_eq!(&decoded("x.json", &value.to_string()), &value);
    }

    #[test]
    fn every_leaf_is_found_and_its_text_reads_as_its_value(spec in document()) {
        let value = object(spec);
        let text = emit(&value);
        let mut found = Vec::new();
        leaves(&value, FieldPath::root(), &mut found);
        for (path, leaf) in found {
            let location = locate(&text, 0, &path).expect("a location");
            prop_assert_eq!(text[..location.span.start].matches('\n').count() + 1, location.line);
            // A block of lines is shown by its key, or by its first line in a list.
let by_key = locate_key(&text, 0, &path).expect("a location");
            let block = leaf.as_str().is_some_and(|text| text.contains('\n'))
                && (by_key == location || !text[location.span.clone()].starts_with('"'));
            let slice = &text[location.span];
            if !block {
                prop_assert!(reads_as(slice, &leaf), "{} is shown as {}", path, slice);
            }
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), line in 0..99_usize) {
        check_hostile(&bytes, line);
    }

    #[test]
    fn hostile_yaml_never_panics(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", "\"", "'", "&a ", "*a", "!t ", "|", ">", "#", "---\n", "...\n", "? ", ",", "%",
            "\t", "\r", "é", "\u{feff}", "\u{85}", "1", "~", "kind", "apiVersion: v1\n", "kind: List\n", "items", "<<", "\\",
        ]), 0..60),
        width in 0..99_usize,
    ) {
        check_hostile(parts.concat().as_bytes(), width);
    }

    #[test]
    fn hostile_paths_lead_somewhere_or_nowhere(path in any::<String>(), spec in document()) {
        let text = emit(&object(spec));
        let found = locate(&text, 0, &FieldPath::parse(&path)).expect("the nearest parent");
        prop_assert!(found.span.end <= text.len());
    }
}

fn check_hostile(bytes: &[u8], width: usize) {
    let show = |errors: Vec<Diagnostic>| {
        for error in errors {
            let rendered = error.render(false, width);
            assert!(rendered.contains(&error.source_name), "{rendered}");
            error.to_json();
        }
    };
    let limits = Limits::default();
    if let Err(errors) = decode_bytes("x.yaml", bytes, &limits) {
        show(errors);
    }
    if let Err(errors) = decode_bytes("x.json", bytes, &limits) {
        show(errors);
    }
    let text = String::from_utf8_lossy(bytes);
    for path in ["", "a", "a[0]", "kind", "items[0].a"] {
        for index in 0..2 {
            let _ = locate(&text, index, &path.into());
            let _ = locate_key(&text, index, &path.into());
        }
    }
}
