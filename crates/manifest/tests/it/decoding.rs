//! The traps of YAML, one by one: what is refused says why, and where.

use drover_manifest::{Diagnostic, Document, Limits, decode, decode_bytes, emit};
use serde_json::{Value, json};

const HEAD: &str = "apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {name: a}\n";

fn good(text: &str) -> Vec<Document> {
    decode("x.yaml", text, &Limits::default()).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"))
}

fn spec(yaml: &str) -> Value {
    good(&format!("{HEAD}spec: {yaml}\n"))[0].value["spec"].clone()
}

fn bad(text: &str) -> Diagnostic {
    let errors = decode("x.yaml", text, &Limits::default()).expect_err(text);
    assert!(errors[0].location.is_some(), "{errors:?}");
    errors.into_iter().next().expect("an error")
}

/// The message, and the piece of text it points at.
fn refused(text: &str) -> (String, String) {
    let error = bad(text);
    let span = error.location.clone().expect("a location").span;
    (error.message, text[span].to_owned())
}

#[test]
fn a_stream_holds_its_documents_in_order_and_lists_are_expanded() {
    let text = format!(
        "# head\n---\n{HEAD}---\n# nothing\n---\nkind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Secret\n  \
         metadata: {{name: s, namespace: n}}\n- {{apiVersion: v1, kind: Node, metadata: {{name: k}}}}\n"
    );
    let documents = good(&text);
    let names: Vec<_> = documents.iter().map(|d| (d.index, d.kind.as_str(), d.name.as_str())).collect();
    assert_eq!(names, [(0, "Timer", "a"), (1, "Secret", "s"), (1, "Node", "k")]);
    assert_eq!(documents[1].namespace.as_deref(), Some("n"));
    assert_eq!(documents[0].namespace, None);
    assert!(text[documents[0].span.clone()].contains("kind: Timer"));
    let location = documents[2].locate(&"metadata.name".into()).expect("a location");
    assert_eq!(&text[location.span], "k");
}

#[test]
fn words_that_look_like_other_types_stay_strings() {
    assert_eq!(
        spec("{a: no, b: on, c: yes, d: 010, e: 2026-01-01, f: 12:30:00, g: 0.1.0, h: 1e400}"),
        json!({"a": "no", "b": "on", "c": "yes", "d": "010", "e": "2026-01-01", "f": "12:30:00", "g": "0.1.0", "h": "1e400"})
    );
    assert_eq!(
        spec("{a: 1, b: 1.0, c: -3, d: true, e: ~, f: \"1.10\", g: 0x1f}"),
        json!({"a": 1, "b": 1.0, "c": -3, "d": true, "e": null, "f": "1.10", "g": 31})
    );
    assert!(spec("1")["x"].is_null());
    assert!(spec("1").is_u64() && spec("1.0").is_f64());
}

#[test]
fn a_number_where_a_name_belongs_is_shown_as_it_was_written() {
    let error = bad("apiVersion: v1\nkind: Node\nmetadata: {name: 1.10}\n");
    assert_eq!(error.help.as_deref(), Some("quote it: \"1.10\""));
    assert!(error.message.contains("metadata.name: must be a string"), "{}", error.message);
}

#[test]
fn a_duplicate_key_is_shown_at_its_second_place() {
    let text = format!("{HEAD}spec:\n  every: 5s\n  splay: 1s\n  \"every\": 6s\n");
    let error = bad(&text);
    let location = error.location.clone().expect("a location");
    assert_eq!((location.line, location.column), (7, 3));
    assert_eq!(&text[location.span], "\"every\"");
    let golden = "\
error: the key \"every\" is given twice
 --> x.yaml:7:3
  |
7 |   \"every\": 6s
  |   ^^^^^^^
  |
  = help: remove one of the two
";
    assert_eq!(error.render(false, 80), golden);
    // In flow maps, in JSON and behind wide characters as well.
    let (message, at) = refused("apiVersion: v1\nkind: é\nmetadata: {name: ü, name: b}\n");
    assert_eq!((message.as_str(), at.as_str()), ("the key \"name\" is given twice", "name"));
    let json = r#"{"apiVersion": "v1", "kind": "N", "metadata": {"name": "ä", "na\u006de" : "y"}}"#;
    assert_eq!(refused(json), ("the key \"name\" is given twice".to_owned(), r#""na\u006de""#.to_owned()));
}

#[test]
fn keys_that_are_no_strings_are_refused() {
    for (key, what) in [
        ("1", "a number"),
        ("1.5", "a number"),
        ("true", "a boolean"),
        ("~", "null"),
        ("[a]", "a list"),
        ("{a: b}", "a map"),
    ] {
        let (message, at) = refused(&format!("{HEAD}spec:\n  ? {key}\n  : x\n"));
        assert_eq!(message, format!("a key must be a string, this one is {what}"));
        assert!(key.starts_with(&at[..1]), "{at}");
    }
    // `no` and `on` are strings, and so good keys.
    assert_eq!(spec("{no: 1, on: 2}"), json!({"no": 1, "on": 2}));
}

#[test]
fn merge_keys_tags_and_what_json_lacks_are_refused() {
    let cases = [
        ("{<<: {a: 1}}", "merge keys (<<) are not supported", "<<"),
        ("!secret x", "tags such as !name are not allowed", "!secret"),
        ("[.nan]", "NaN and infinity are not allowed", ".nan"),
        ("[-.inf]", "NaN and infinity are not allowed", "-.inf"),
        (
            "123456789012345678901234567890",
            "the integer 123456789012345678901234567890 does not fit 64 bits",
            "123456789012345678901234567890",
        ),
    ];
    for (yaml, message, at) in cases {
        assert_eq!(refused(&format!("{HEAD}spec: {yaml}\n")), (message.to_owned(), at.to_owned()));
    }
}

#[test]
fn anchors_work_and_alias_bombs_do_not() {
    assert_eq!(spec("{a: &x [1, 2], b: *x}"), json!({"a": [1, 2], "b": [1, 2]}));
    let mut bomb = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(bad(&bomb).message.contains("too large once its aliases are expanded"));
    // Few aliases of much text are as bad as many of little.
    let long = format!("{HEAD}a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
    assert!(bad(&long).message.contains("too large once its aliases are expanded"));
    let (message, _) = refused(&format!("{HEAD}spec: &a [*a]\n"));
    assert!(message.contains("nested more than 64") || message.contains("repeats"), "{message}");
}

#[test]
fn deep_nesting_is_refused_in_every_form() {
    let flow = format!("{HEAD}spec: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let maps = format!("{HEAD}spec: {}{}\n", "{a: ".repeat(10_000), "}".repeat(10_000));
    let dashes = format!("{HEAD}spec:\n  {}x\n", "- ".repeat(10_000));
    let mut block = format!("{HEAD}spec:\n");
    for level in 1..300 {
        block.push_str(&format!("{}a:\n", " ".repeat(level)));
    }
    let json = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for text in [flow, maps, dashes, block, json] {
        let error = bad(&text);
        assert_eq!(error.message, "nested more than 64 levels deep");
    }
    let fits = format!("{}1{}", "[".repeat(63), "]".repeat(63));
    assert_eq!(good(&format!("{HEAD}spec: {fits}\n")).len(), 1);
}

#[test]
fn ten_mebibytes_are_refused_before_they_are_parsed() {
    let text = format!("{HEAD}spec: \"{}\"\n", "x".repeat(10 << 20));
    assert!(bad(&text).message.contains("the document is too large: 10485"));
    let limits = Limits { max_source_bytes: 1 << 20, ..Limits::default() };
    let errors = decode("x.yaml", &text, &limits).expect_err("too large");
    assert!(errors[0].message.contains("the source is too large"));
}

#[test]
fn floods_of_brackets_and_anchors_are_refused_cheaply() {
    let flood = format!("{HEAD}spec: {}", "[".repeat(3_000_000));
    assert_eq!(bad(&flood).message, "nested more than 64 levels deep");
    let wide = format!("{HEAD}spec: {}{}", "[".repeat(990), "a,".repeat(1_400_000));
    assert_eq!(bad(&wide).message, "nested more than 64 levels deep");
    let values = format!("{HEAD}spec: [{}]\n", "1,".repeat(1_000_000));
    assert!(bad(&values).message.contains("too large"));
}

#[test]
fn floods_of_documents_and_of_errors_are_cut_off() {
    let errors = decode("x.yaml", &"--- ~\n".repeat(30_000), &Limits::default()).expect_err("a flood");
    assert_eq!(errors[0].message, "more than 20000 documents in one source");
    let items = "- {kind: A}\n".repeat(2_000);
    let errors =
        decode("x.yaml", &format!("kind: List\nitems:\n{items}"), &Limits::default()).expect_err("errors");
    assert_eq!(errors.len(), 20);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_offset() {
    let mut bytes = b"apiVersion: v1\nkind: \xc3\xa9\nmetadata: {name: ".to_vec();
    let offset = bytes.len();
    bytes.extend(b"\xff}\n");
    let errors = decode_bytes("x.yaml", &bytes, &Limits::default()).expect_err("not text");
    assert_eq!(errors[0].message, format!("not UTF-8: byte 0xff at offset {offset}"));
    assert_eq!(errors[0].location.as_ref().map(|l| (l.line, l.column)), Some((3, 18)));
    // A character cut in two at the end.
    let errors = decode_bytes("x.yaml", b"a: \xe6\x97", &Limits::default()).expect_err("torn");
    assert!(errors[0].message.contains("offset 3"), "{}", errors[0].message);
    let errors = decode_bytes("x.yaml", b"\xff\xfea\0", &Limits::default()).expect_err("UTF-16");
    assert!(errors[0].help.as_deref().expect("a help").contains("UTF-16"));
}

#[test]
fn broken_syntax_points_at_the_place_and_says_the_fix() {
    let tab = bad(&format!("{HEAD}spec:\n\tevery: 5s\n"));
    assert_eq!(tab.message, "not valid YAML: a tab cannot indent YAML");
    assert_eq!(tab.location.map(|l| (l.line, l.column)), Some((5, 1)));
    let colon = bad(&format!("{HEAD}spec:\n  script: echo a: b\n"));
    assert!(colon.help.expect("a help").contains("quote a value"));
    assert_eq!(colon.location.map(|l| l.line), Some(5));
    let quote = bad(&format!("{HEAD}spec: \"abc\n"));
    assert_eq!(quote.help.as_deref(), Some("a quote above is not closed"));
    let star = bad(&format!("{HEAD}spec:\n  a: *.example.com\n"));
    assert!(star.help.expect("a help").contains("starts with *"));
    let control = bad(&format!("{HEAD}spec: \u{7}\n"));
    assert_eq!(control.message, "the character U+0007 is not allowed in YAML");
    let json = decode("x.json", "{\"a\": 1,\n \"b\": }", &Limits::default()).expect_err("broken");
    assert!(json[0].message.starts_with("not valid JSON: "), "{}", json[0].message);
    assert_eq!(json[0].location.as_ref().map(|l| l.line), Some(2));
}

#[test]
fn every_document_with_an_error_is_told_at_once() {
    let text = format!(
        "{HEAD}---\nkind: Timer\nkind: Task\n---\nkind: Timer\nmetadata: {{}}\n---\n- 1\n---\na: [\n"
    );
    let errors = decode("x.yaml", &text, &Limits::default()).expect_err("errors");
    let said: Vec<String> = errors.iter().map(|e| e.to_string()).collect();
    assert_eq!(said[0], "x.yaml:6:1: error: the key \"kind\" is given twice");
    assert_eq!(said[1], "x.yaml:8:1: error: apiVersion: Required value");
    assert_eq!(said[2], "x.yaml:9:1: error: metadata.name: Required value");
    assert_eq!(said[3], "x.yaml:11:1: error: an object is expected here, this is a list");
    assert!(said[4].contains("not valid YAML"), "{}", said[4]);
    assert_eq!(said.len(), 5);
}

#[test]
fn json_is_read_as_json() {
    let text = "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\n\t\"metadata\":{\"name\":\"\\ud83d\\ude00\"}}";
    assert_eq!(good(text)[0].name, "😀");
    let marked = "\u{feff}{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}";
    let documents = decode("x.json", marked, &Limits::default()).expect("a byte order mark is no content");
    assert_eq!(&marked[documents[0].locate(&"metadata.name".into()).expect("a location").span], "\"a\"");
}

#[test]
fn emitted_text_is_read_alike_by_old_and_new_readers() {
    let value = json!({
        "spec": {"words": ["no", "on", "y", "~", "null", "1.10", "010", "0x1f", "1e3", "2026-01-01", "12:30", "", " a", "a ",
            "-", "*x", "&x", "#x", "a: b", "a #b", "%x", "5s", "64Ki", "$(NODE_NAME)", "/bin/sh", "é", "0.1.0", "<<", ".5", "1_000"],
            "script": "set -eu\n\necho hi\n  more\n", "strip": "a\nb", "odd": " a\nb", "cr": "a\r\nb", "empty": {}, "none": [],
            "list": [{"value": 1, "name": "b"}, [1, [2]], "a\nb\n"]},
        "status": {}, "data": {"no": 1.5, "big": 1e300},
        "metadata": {"labels": {"drover.dev/role": "x"}, "name": "a"},
        "kind": "Timer", "apiVersion": "drover.dev/v1",
    });
    let golden = "\
apiVersion: drover.dev/v1
kind: Timer
metadata:
  name: a
  labels:
    drover.dev/role: x
spec:
  cr: \"a\\r\\nb\"
  empty: {}
  list:
    - name: b
      value: 1
    -
      - 1
      -
        - 2
    - |
      a
      b
  none: []
  odd: \" a\\nb\"
  script: |
    set -eu

    echo hi
      more
  strip: |-
    a
    b
  words:
    - \"no\"
    - \"on\"
    - \"y\"
    - \"~\"
    - \"null\"
    - \"1.10\"
    - \"010\"
    - \"0x1f\"
    - \"1e3\"
    - \"2026-01-01\"
    - \"12:30\"
    - \"\"
    - \" a\"
    - \"a \"
    - \"-\"
    - \"*x\"
    - \"&x\"
    - \"#x\"
    - \"a: b\"
    - \"a #b\"
    - \"%x\"
    - 5s
    - 64Ki
    - $(NODE_NAME)
    - /bin/sh
    - \"é\"
    - \"0.1.0\"
    - \"<<\"
    - \".5\"
    - \"1_000\"
status: {}
data:
  big: 1.0e+300
  \"no\": 1.5
";
    assert_eq!(emit(&value), golden);
    assert_eq!(good(golden)[0].value, value);
}
