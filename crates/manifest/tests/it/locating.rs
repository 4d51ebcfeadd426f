//! A field path leads to the text behind it, whatever style the author chose.

use drover_manifest::{FieldPath, locate, locate_key};

fn at<'t>(text: &'t str, path: &str) -> &'t str {
    &text[locate(text, 0, &FieldPath::parse(path)).unwrap_or_else(|| panic!("{path}")).span]
}

fn key<'t>(text: &'t str, path: &str) -> &'t str {
    &text[locate_key(text, 0, &FieldPath::parse(path)).unwrap_or_else(|| panic!("{path}")).span]
}

const TEXT: &str = r#"# ä comment
apiVersion: drover.dev/v1
metadata:
  labels: {drover.dev/role: server, 'virt': "kvm \" x", it's: ok}   # labels
spec:
  cron: "61 * * * *"   # every minute
  every: 60s # comment
  count: 1.10
  empty:
  nothing: ~
  "quoted key": 'it''s'
  params:
    - {name: history_id, required: true}
    - name: script
      type: string
  args: [a, "b, c", [d, {e: f}], it's, g]
  script: |
    echo hi
  folded: one
    two
  base: &base {x: 1, y: [2]}
  copy: *base
  url: https://example.com/a?b#c
"#;

#[test]
fn every_style_of_value_is_found() {
    for (path, text) in [
        ("apiVersion", "drover.dev/v1"),
        ("metadata.labels[drover.dev/role]", "server"),
        ("metadata.labels.virt", r#""kvm \" x""#),
        ("metadata.labels[it's]", "ok"),
        ("metadata.labels", r#"{drover.dev/role: server, 'virt': "kvm \" x", it's: ok}"#),
        ("spec.cron", "\"61 * * * *\""),
        ("spec.every", "60s"),
        ("spec.count", "1.10"),
        ("spec.empty", "empty"),
        ("spec.nothing", "~"),
        ("spec[quoted key]", "'it''s'"),
        ("spec.params[0]", "{name: history_id, required: true}"),
        ("spec.params[0].required", "true"),
        ("spec.params[1].type", "string"),
        ("spec.params[1]", "name: script"),
        ("spec.params", "params"),
        ("spec.args[1]", "\"b, c\""),
        ("spec.args[2]", "[d, {e: f}]"),
        ("spec.args[2][1].e", "f"),
        ("spec.args[3]", "it's"),
        ("spec.args", "[a, \"b, c\", [d, {e: f}], it's, g]"),
        ("spec.script", "script"),
        ("spec.folded", "one"),
        ("spec.base", "{x: 1, y: [2]}"),
        ("spec.base.y[0]", "2"),
        ("spec.copy.x", "1"),
        ("spec.url", "https://example.com/a?b#c"),
        ("spec", "spec"),
    ] {
        assert_eq!(at(TEXT, path), text, "{path}");
    }
}

#[test]
fn keys_are_found_for_errors_about_the_field_itself() {
    assert_eq!(key(TEXT, "spec.cron"), "cron");
    assert_eq!(key(TEXT, "spec[quoted key]"), "\"quoted key\"");
    assert_eq!(key(TEXT, "metadata.labels.virt"), "'virt'");
    assert_eq!(key(TEXT, "spec.params[1].type"), "type");
    assert_eq!(key(TEXT, "spec.params[0]"), "{name: history_id, required: true}");
}

#[test]
fn a_missing_field_leads_to_the_nearest_parent() {
    assert_eq!(at(TEXT, "spec.template.process.command[0]"), "spec");
    assert_eq!(at(TEXT, "spec.params[0].type"), "{name: history_id, required: true}");
    assert_eq!(at(TEXT, "spec.params[7].type"), "params");
    assert_eq!(at(TEXT, "metadata.name"), "metadata");
    assert_eq!(at(TEXT, "spec.cron.minute"), "cron");
    assert_eq!(at(TEXT, "nothing.here"), "apiVersion: drover.dev/v1");
    assert_eq!(at(TEXT, ""), "apiVersion: drover.dev/v1");
}

#[test]
fn lines_and_columns_count_from_one_and_in_characters() {
    let location = locate(TEXT, 0, &"spec.cron".into()).expect("a location");
    assert_eq!((location.line, location.column), (6, 9));
    let text = "a: 1\n---\n# é\nb: {ü: x, c: y}\n";
    let location = locate(text, 1, &"b.c".into()).expect("a location");
    assert_eq!((location.line, location.column), (4, 14));
    assert_eq!(locate(text, 2, &"b".into()), None);
    let marked = "\u{feff}a: x\n";
    let location = locate(marked, 0, &"a".into()).expect("a location");
    assert_eq!((&marked[location.span], location.column), ("x", 4));
}

#[test]
fn windows_lines_and_json_are_found_too() {
    assert_eq!(at("a:\r\n  b: x\r\n  c: y\r\n", "a.c"), "y");
    let json = "{\n\t\"spec\": {\"a.b\": [1, \"x\\\"y\"],\"c\":null}\n}";
    assert_eq!(at(json, "spec[a.b][1]"), "\"x\\\"y\"");
    assert_eq!(at(json, "spec.c"), "null");
    assert_eq!(key(json, "spec.c"), "\"c\"");
    let pairs = r#"{"a": "\ud83d\ude00", "\uD83D\uDE00": 1, "b": {"c": "\\ud83d"}}"#;
    assert_eq!(at(pairs, "b.c"), r#""\\ud83d""#);
    assert_eq!(at(pairs, "a"), r#""\ud83d\ude00""#);
}
