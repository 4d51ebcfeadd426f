//! The manifests of a real hosting company, `manifests/hosting/`: what is left of them after `tests/not-yet.yaml` is
//! taken out is good, and each thing on that list is really refused today.

use std::fs;
use std::path::{Path, PathBuf};

use drover_manifest::{Document, Limits, decode, decode_value, emit};
use serde_json::Value;

use crate::drover::drover;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents(path: &Path) -> Vec<Document> {
    decode(&path.display().to_string(), &fs::read_to_string(path).unwrap(), &Limits::default()).unwrap()
}

fn hosting() -> Vec<Document> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("manifests/hosting")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| documents(file)).collect()
}

/// One file of the acceptance set without what is on the list, as a manifest.
pub(crate) fn buildable(file: &str) -> String {
    let kept = remaining(documents(&root().join("manifests/hosting").join(file)), &not_yet());
    kept.iter().map(emit).collect::<Vec<_>>().join("---\n")
}

/// One line of the list.
#[derive(Clone)]
struct Entry {
    kind: String,
    /// The field's path; absent where the whole kind is meant.
    field: Option<String>,
    /// Only the elements of that list that lack this text.
    keys_without: Option<String>,
}

fn not_yet() -> Vec<Entry> {
    let text = fs::read_to_string(root().join("tests/not-yet.yaml")).unwrap();
    let list = decode_value("not-yet.yaml", &text, &Limits::default()).unwrap();
    let text = |entry: &Value, key: &str| entry.get(key).map(|field| field.as_str().unwrap().to_owned());
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            assert!(entry["bringsIt"].is_string(), "{entry}: bringsIt says what will build it");
            Entry {
                kind: text(entry, "kind").unwrap(),
                field: text(entry, "field"),
                keys_without: text(entry, "keysWithout"),
            }
        })
        .collect()
}

/// Takes what an entry names out of an object, and the maps that it leaves empty.
fn take(value: &mut Value, path: &str, keys_without: Option<&str>) {
    let Some(map) = value.as_object_mut() else { return };
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let Some(inner) = map.get_mut(key) else { return };
    let empty = match (rest, keys_without) {
        (Some(rest), _) => {
            take(inner, rest, keys_without);
            inner.as_object().is_some_and(serde_json::Map::is_empty)
        }
        (None, Some(text)) => {
            let keys = inner.as_array_mut().unwrap();
            keys.retain(|element| element.as_str().unwrap().contains(text));
            keys.is_empty()
        }
        (None, None) => true,
    };
    if empty {
        map.remove(key);
    }
}

fn lints(values: &[Value]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let text: Vec<String> = values.iter().map(emit).collect();
    fs::write(folder.path().join("set.yaml"), text.join("---\n")).unwrap();
    let said = drover(folder.path(), &["lint", "-f", "set.yaml"]);
    (said.code == Some(0), said.stderr)
}

/// Documents of the acceptance set without what is on the list.
fn remaining(documents: Vec<Document>, list: &[Entry]) -> Vec<Value> {
    let mut kept = Vec::new();
    for document in documents {
        let of_kind = || list.iter().filter(|entry| entry.kind == document.kind);
        if of_kind().any(|entry| entry.field.is_none()) {
            continue;
        }
        let mut value = document.value.clone();
        for entry in of_kind() {
            take(&mut value, entry.field.as_deref().unwrap(), entry.keys_without.as_deref());
        }
        kept.push(value);
    }
    kept
}

#[test]
fn what_is_built_of_the_acceptance_set_is_accepted() {
    let kept = remaining(hosting(), &not_yet());
    assert!(kept.len() >= 10, "only {} objects are left", kept.len());
    let (good, said) = lints(&kept);
    assert!(good, "{said}");
}

#[test]
fn everything_on_the_list_is_really_refused_today() {
    let list = not_yet();
    for (at, Entry { kind, field, .. }) in list.iter().enumerate() {
        let mut shorter = list.clone();
        shorter.remove(at);
        let (good, said) = lints(&remaining(hosting(), &shorter));
        assert!(!good, "{kind} {field:?} is supported: take it off tests/not-yet.yaml");
        assert!(said.contains("not built yet"), "{kind} {field:?} is refused for another reason:\n{said}");
    }
}
