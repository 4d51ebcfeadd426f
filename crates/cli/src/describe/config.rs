//! Pages of the kinds that have little to tell. A Secret's values are never on one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::page::Page;
use drover_columns::fields::text;

/// Keys and how long their values are.
pub(super) fn secret(page: &mut Page, object: &Value) {
    let type_ = match text(object, "/type") {
        "" => "Opaque",
        type_ => type_,
    };
    page.field("Type", type_);
    sizes(page, object, "data");
}

/// Keys and values.
pub(super) fn config_map(page: &mut Page, object: &Value) {
    match object.get("data").filter(|data| data.as_object().is_some_and(|map| !map.is_empty())) {
        Some(data) => page.block("Data", &drover_manifest::emit(data)),
        None => page.field("Data", ""),
    }
    if object.get("binaryData").is_some() {
        sizes(page, object, "binaryData");
    }
}

fn sizes(page: &mut Page, object: &Value, member: &str) {
    let map = object.get(member).and_then(Value::as_object);
    let rows: Vec<Vec<String>> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            let size =
                BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).map_or(0, |bytes| bytes.len());
            vec![key.clone(), format!("{size} bytes")]
        })
        .collect();
    let title = if member == "data" { "Data" } else { "Binary data" };
    page.table(title, "", &["KEY", "SIZE"], &rows);
}

/// Everything but metadata and conditions, as YAML.
pub(super) fn plain(page: &mut Page, object: &Value) {
    let Some(members) = object.as_object() else { return };
    for (member, value) in members {
        let mut value = value.clone();
        if member == "status"
            && let Some(status) = value.as_object_mut()
        {
            status.remove("conditions");
        }
        let empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        if matches!(member.as_str(), "apiVersion" | "kind" | "metadata") || empty {
            continue;
        }
        let mut title = member.clone();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        match &value {
            Value::Object(_) | Value::Array(_) => page.block(&title, &drover_manifest::emit(&value)),
            Value::String(text) => page.field(&title, text),
            other => page.field(&title, &other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_shows_sizes_and_no_values() {
        let mut page = Page::default();
        secret(&mut page, &json!({"data": {"key": BASE64_STANDARD.encode("hunter2")}}));
        let said = page.into_text();
        assert_eq!(said, "Type:               Opaque\nData:\n  KEY   SIZE\n  key   7 bytes\n");
    }
}
