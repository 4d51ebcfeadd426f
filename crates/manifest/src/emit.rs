//! YAML that readers of YAML 1.1 and 1.2 understand alike, in the order people write manifests.
//!
//! Strings that some reader takes for something else (`no`, `on`, `1.10`, `010`, `~`, dates) are quoted; several lines
//! become a block. Maps are sorted by key, with the names first.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// One document, without a marker; it ends with a newline.
pub fn emit(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block_map(&mut out, map, 0, true),
        Value::Array(list) if !list.is_empty() => block_list(&mut out, list, 0),
        Value::String(text) => {
            out.push_str(&scalar_text(text));
            out.push('\n');
        }
        other => {
            out.push_str(&flat(other));
            out.push('\n');
        }
    }
    out
}

/// Several documents as one stream, `---` between them.
pub fn emit_all<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let documents: Vec<String> = values.into_iter().map(emit).collect();
    documents.join("---\n")
}

/// The place of a key among its neighbours: what says which object it is comes first.
fn rank(key: &str, top: bool) -> usize {
    let order: &[&str] =
        if top { &["apiVersion", "kind", "metadata", "spec", "status"] } else { &["name", "namespace"] };
    order.iter().position(|known| *known == key).unwrap_or(order.len())
}

fn block_map(out: &mut String, map: &Map<String, Value>, indent: usize, top: bool) {
    let mut keys: Vec<(&String, &Value)> = map.iter().collect();
    keys.sort_by_key(|(key, _)| (rank(key, top), *key));
    for (position, (key, value)) in keys.into_iter().enumerate() {
        // The first key of a list's element stands behind the dash.
        if position > 0 || out.is_empty() || out.ends_with('\n') {
            pad(out, indent);
        }
        let key = scalar_text(key);
        if key.len() > LONGEST_SIMPLE_KEY {
            let _ = writeln!(out, "? {key}");
            pad(out, indent);
        } else {
            out.push_str(&key);
        }
        out.push(':');
        member(out, value, indent);
    }
}

/// The parser takes no key of more than 1024 characters without a question mark.
const LONGEST_SIMPLE_KEY: usize = 120;

fn member(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block_map(out, map, indent + 2, false);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            block_list(out, list, indent + 2);
        }
        Value::String(text) if is_block(text) => {
            out.push(' ');
            block_text(out, text, indent + 2);
        }
        other => {
            let _ = writeln!(out, " {}", flat(other));
        }
    }
}

fn block_list(out: &mut String, list: &[Value], indent: usize) {
    for value in list {
        pad(out, indent);
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push_str("- ");
                block_map(out, map, indent + 2, false);
            }
            other => {
                out.push('-');
                member(out, other, indent);
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn flat(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => scalar_text(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// YAML 1.1 wants a point and a sign in `1.0e+16`.
fn number_text(number: &Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// Several plain lines, with at most one newline at the end: a literal block says exactly that.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let first = body.lines().next().unwrap_or_default();
    body.contains('\n')
        && !body.ends_with('\n')
        && !first.is_empty()
        && !first.starts_with([' ', '\t'])
        && text.chars().all(|c| c == '\n' || c == '\t' || plain_char(c))
        && body.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

fn block_text(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn scalar_text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether every reader takes the bare text for this string.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if text.len() > 200 || text.ends_with([' ', ':']) || text.contains(": ") || text.contains(" #") {
        return false;
    }
    let known = |c: char| c.is_ascii_alphanumeric() || " _-./:$()=+@%^;*&|<>~".contains(c);
    if !text.chars().all(known) {
        return false;
    }
    if first.is_ascii_digit() {
        return is_quantity(text);
    }
    (first.is_ascii_alphabetic() || matches!(first, '/' | '_' | '$')) && !is_reserved(text)
}

/// Durations and sizes such as `90s`, `1h30m`, `64Ki`: no reader has a number that ends so.
fn is_quantity(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || "smhdKMGTi".contains(c))
        && text.ends_with(['s', 'm', 'h', 'd', 'i'])
}

fn is_reserved(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Characters that show, break no line and mark no order of bytes.
fn plain_char(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..)
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{200b}'..='\u{200f}'
        )
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if plain_char(c) => out.push(c),
            c if u32::from(c) <= 0xff => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
