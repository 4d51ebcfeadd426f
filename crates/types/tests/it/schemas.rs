//! Every field is described: `explain`, editors and the API's own documents say what it means.

use drover_types::Kind;
use drover_types::schema::{explain, schema};
use serde_json::Value;

fn undescribed(at: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        if !member["description"].is_string() {
            found.push(format!("{at}.{name}"));
        }
    }
}

#[test]
fn every_field_of_every_kind_is_described() {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let schema = schema(kind);
        let name = kind.names().kind;
        undescribed(name, &schema, &mut found);
        for (definition, inner) in schema["$defs"].as_object().into_iter().flatten() {
            undescribed(&format!("{name}: {definition}"), inner, &mut found);
        }
        for field in explain(kind, "").unwrap().fields {
            if field.description.is_empty() {
                found.push(format!("{name}.{}", field.name));
            }
        }
    }
    assert!(found.is_empty(), "without a description: {found:?}");
}
