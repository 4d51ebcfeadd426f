//! From values to objects: lists expanded, and the four names that every object bears.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::decode::{Document, MAX_DIAGNOSTICS};
use crate::diagnostic::{Diagnostic, Location};
use crate::field_path::FieldPath;
use crate::locate::{locate_key_within, locate_within};

/// Where a value comes from.
pub(crate) struct Origin<'a> {
    pub(crate) source_name: &'a str,
    pub(crate) index: usize,
    pub(crate) span: Range<usize>,
    pub(crate) text: &'a Arc<str>,
}

impl Origin<'_> {
    fn error(&self, location: Option<Location>, message: String) -> Diagnostic {
        let start = self.span.start;
        let location = location.unwrap_or_else(|| Location::new(self.text, start..start));
        Diagnostic::error(self.source_name, message).at(self.text, location)
    }

    fn error_at(&self, path: &FieldPath, message: String) -> Diagnostic {
        self.error(locate_within(self.text, self.span.clone(), path), message)
    }

    fn error_at_key(&self, path: &FieldPath, message: String) -> Diagnostic {
        self.error(locate_key_within(self.text, self.span.clone(), path), message)
    }
}

/// Adds the objects of one document to `found`, and what is wrong with them to `errors`.
pub(crate) fn objects(
    origin: &Origin<'_>,
    value: Value,
    found: &mut Vec<Document>,
    errors: &mut Vec<Diagnostic>,
) {
    // Lists within lists are as deep as the document may nest, no deeper.
    let mut left = vec![(FieldPath::root(), value)];
    while let Some((base, mut value)) = left.pop() {
        // Finding the place of an error reads the document again, so there must not be one for each of thousands.
        if errors.len() >= MAX_DIAGNOSTICS {
            return;
        }
        if is_list(&value) {
            match value.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => {
                    let items = items.into_iter().enumerate().rev();
                    left.extend(items.map(|(i, item)| (base.clone().key("items").index(i), item)));
                }
                Some(_) => {
                    errors.push(origin.error_at(&base.key("items"), "items must be a list".to_owned()))
                }
                None => {}
            }
            continue;
        }
        match object(origin, base, value) {
            Ok(document) => found.push(document),
            Err(mut wrong) => errors.append(&mut wrong),
        }
    }
}

fn is_list(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some("List")
        && value.get("metadata").and_then(|m| m.get("name")).is_none()
}

fn object(origin: &Origin<'_>, base: FieldPath, value: Value) -> Result<Document, Vec<Diagnostic>> {
    if !value.is_object() {
        let message = format!("an object is expected here, this is {}", article(&value));
        return Err(vec![origin.error_at(&base, message)]);
    }
    let mut errors = Vec::new();
    let mut text = |path: FieldPath, required: bool| match text_field(origin, &value, &base, &path, required)
    {
        Ok(text) => text,
        Err(error) => {
            errors.push(*error);
            None
        }
    };
    let root = FieldPath::root;
    let api_version = text(root().key("apiVersion"), true);
    let kind = text(root().key("kind"), true);
    let name = text(root().key("metadata").key("name"), true);
    let namespace = text(root().key("metadata").key("namespace"), false);
    match (api_version, kind, name) {
        (Some(api_version), Some(kind), Some(name)) if errors.is_empty() => Ok(Document {
            source_name: origin.source_name.to_owned(),
            index: origin.index,
            value,
            api_version,
            kind,
            namespace,
            name,
            span: origin.span.clone(),
            base,
            text: Arc::clone(origin.text),
        }),
        _ => Err(errors),
    }
}

fn text_field(
    origin: &Origin<'_>,
    value: &Value,
    base: &FieldPath,
    path: &FieldPath,
    required: bool,
) -> Result<Option<String>, Box<Diagnostic>> {
    let full = base.join(path);
    let mut at = Some(value);
    for segment in path.segments() {
        let crate::Segment::Key(key) = segment else { continue };
        at = match at {
            Some(Value::Object(map)) => map.get(key),
            Some(Value::Null) | None => None,
            Some(other) => {
                let message = format!("{full}: metadata must be a map, this is {}", article(other));
                return if required { Err(Box::new(origin.error_at(&full, message))) } else { Ok(None) };
            }
        };
    }
    match at {
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(Value::String(_)) if required => {
            Err(Box::new(origin.error_at(&full, format!("{full}: must not be empty"))))
        }
        Some(Value::String(_)) => Ok(None),
        None | Some(Value::Null) if required => {
            let error = origin.error_at_key(&full, format!("{full}: Required value"));
            Err(Box::new(error.help(format!("add {path}{}", example(path)))))
        }
        None | Some(Value::Null) => Ok(None),
        Some(other) => {
            let error =
                origin.error_at(&full, format!("{full}: must be a string, this is {}", article(other)));
            let written = error.location.as_ref().map(|location| &origin.text[location.span.clone()]);
            let help = match (other, written) {
                (Value::Number(_) | Value::Bool(_), Some(text)) => format!("quote it: \"{text}\""),
                _ => "write a string".to_owned(),
            };
            Err(Box::new(error.help(help)))
        }
    }
}

fn example(path: &FieldPath) -> &'static str {
    match path.to_string().as_str() {
        "apiVersion" => ", such as \"apiVersion: drover.dev/v1\"",
        "kind" => ", such as \"kind: Timer\"",
        _ => "",
    }
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
