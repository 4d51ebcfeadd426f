//! The manifests of this repository: each decodes, and survives being emitted.

use std::path::{Path, PathBuf};

use drover_manifest::{
    Document, FieldPath, Limits, Recursion, Segment, decode, decode_value, emit, load_paths,
};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents(folder: &str) -> Vec<Document> {
    let limits = Limits::default();
    let sources = load_paths(&[root().join(folder)], Recursion::Deep, &mut std::io::empty(), &limits)
        .expect("manifests");
    let decoded = sources.iter().map(|source| {
        source.decode(&limits).unwrap_or_else(|errors| panic!("{}", errors[0].render(false, 100)))
    });
    decoded.flatten().collect()
}

#[test]
fn every_manifest_decodes_and_survives_being_emitted() {
    let found = documents("manifests");
    assert!(found.len() > 20, "only {} objects", found.len());
    for document in found {
        let text = emit(&document.value);
        let again = decode("emitted.yaml", &text, &Limits::default()).expect("valid YAML");
        assert_eq!(again[0].value, document.value, "{text}");
    }
}

#[test]
fn the_list_of_what_is_not_built_names_only_what_the_examples_use() {
    let path = root().join("tests/not-yet.yaml");
    let text = std::fs::read_to_string(path).expect("the list");
    let list = decode_value("not-yet.yaml", &text, &Limits::default()).expect("a list");
    let examples = documents("manifests/hosting");
    for entry in list.as_array().expect("a list") {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let (kind, field) = (text("kind").expect("a kind"), text("field").unwrap_or_default());
        assert!(text("bringsIt").is_some_and(|what| !what.is_empty()), "{entry}");
        let used = examples.iter().filter(|document| document.kind == kind).any(|document| {
            let value = at(&document.value, &FieldPath::parse(field));
            match (value, text("keysWithout")) {
                (Some(Value::Array(keys)), Some(lacking)) => {
                    keys.iter().filter_map(Value::as_str).any(|key| !key.contains(lacking))
                }
                (value, _) => value.is_some(),
            }
        });
        assert!(used, "no example uses {kind} {field}");
    }
}

fn at<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}
