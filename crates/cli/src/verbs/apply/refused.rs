//! The server's no, pointed at in the file.

use std::collections::BTreeSet;

use drover_client::{ApiError, Cause, Error};
use drover_manifest::{Diagnostic, FieldPath};
use serde_json::Value;

use super::apply_set::PART_OF;
use super::send::Done;
use crate::manifests::Manifest;

/// Whether all that stands in the way is a namespace which the same set makes.
pub(super) fn lacks_namespace(error: &Error, made: &BTreeSet<&str>) -> bool {
    let details = error.api().filter(|_| error.is_not_found()).and_then(|api| api.status.details.as_ref());
    details.is_some_and(|details| details.kind == "namespaces" && made.contains(details.name.as_str()))
}

/// What the server has against a manifest. An error that is no answer of the server comes back as it is.
pub(super) fn diagnostics(manifest: &Manifest, error: Error) -> Result<Vec<Diagnostic>, Error> {
    let Some(api) = error.api() else { return Err(error) };
    if !matches!(api.status.code, 400 | 403 | 404 | 409 | 413 | 422) {
        return Err(error);
    }
    let document = &manifest.document;
    if let Some(conflicts) = conflicts(manifest, api) {
        return Ok(conflicts);
    }
    let causes = api.status.details.as_ref().map_or(&[][..], |details| &details.causes);
    let pointed: Vec<Diagnostic> = causes
        .iter()
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| {
            // Some servers repeat the field in the message.
            let message = match cause.message.strip_prefix(&cause.field) {
                Some(_) => cause.message.clone(),
                None => format!("{}: {}", cause.field, cause.message),
            };
            document.error_at(&FieldPath::parse(&cause.field), message)
        })
        .collect();
    if !pointed.is_empty() {
        return Ok(pointed);
    }
    let missing = error.is_not_found() && api.status.details.as_ref().is_some_and(|d| d.kind == "namespaces");
    let field = if missing { "metadata.namespace" } else { "metadata.name" };
    let found = document.error_at(&FieldPath::parse(field), api.status.message.clone());
    Ok(vec![if missing {
        found.help("create the namespace first, or add it to what is applied")
    } else {
        found
    }])
}

/// Fields that others own, each with whose it is and the ways out.
fn conflicts(manifest: &Manifest, api: &ApiError) -> Option<Vec<Diagnostic>> {
    let causes = &api.status.details.as_ref()?.causes;
    let of_owners = causes.iter().filter(|cause| cause.reason == "FieldManagerConflict");
    let point = |cause: &Cause| {
        let owner = cause.message.split('"').nth(1).unwrap_or("another manager");
        let path = owned_path(&cause.field, &manifest.document.value);
        manifest.document.error_at(&path, format!("{}: {}", cause.field.trim_start_matches('.'), cause.message)).help(
            format!(
                "leave the field to {owner:?} by deleting it here, set it to the value that is there, or take it over \
                 with --force-conflicts"
            ),
        )
    };
    let found: Vec<_> = of_owners.map(point).collect();
    (!found.is_empty()).then_some(found)
}

/// A path as owners have it, `.spec.env[name="A"].value`, as one into a document, `spec.env[0].value`.
fn owned_path(text: &str, document: &Value) -> FieldPath {
    let (mut path, mut at, mut rest) = (FieldPath::root(), Some(document), text);
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return path;
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let Some((keys, after)) = inside.split_once(']') else { return path };
            let items = at.and_then(Value::as_array);
            let Some(index) = items.and_then(|items| items.iter().position(|item| is_item(keys, item)))
            else {
                return path;
            };
            path = path.index(index);
            at = items.and_then(|items| items.get(index));
            rest = after;
            continue;
        }
        // A key may have dots in it: the longest one that is there.
        let members = at.and_then(Value::as_object);
        let ends = |key: &str| {
            rest.strip_prefix(key).is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
        };
        let key = members
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
            .filter(|key| ends(key))
            .max_by_key(|key| key.len());
        let Some(key) = key else { return path };
        path = path.key(key.as_str());
        at = members.and_then(|members| members.get(key));
        rest = &rest[key.len()..];
    }
}

/// Whether `name="A",port=80` or `="A"` or `3` is this item.
fn is_item(keys: &str, item: &Value) -> bool {
    keys.split(',').all(|pair| match pair.split_once('=') {
        Some(("", value)) => text_of(item) == value,
        Some((key, value)) => item.get(key).is_some_and(|held| text_of(held) == value),
        None => false,
    })
}

/// A value as it stands in an owner's path: JSON.
fn text_of(value: &Value) -> String {
    value.to_string()
}

/// That an object belongs to another apply set: two that prune it would never agree.
pub(super) fn of_another_set(manifest: &Manifest, done: &Done, set: &str) -> Option<Diagnostic> {
    let held = done.live.as_ref()?.pointer("/metadata/labels")?.get(PART_OF)?.as_str()?;
    (held != set).then(|| {
        let message = format!("is part of another apply set, {held}");
        manifest
            .document
            .error_at(&FieldPath::parse("metadata.name"), message)
            .help(format!("take it out of that set first, or drop its label {PART_OF}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_path_of_an_owner_leads_into_the_document() {
        let document = json!({
            "metadata": {"labels": {"a.b/c": "x", "a": "y"}},
            "spec": {"env": [{"name": "B"}, {"name": "A", "value": "1"}], "tags": ["x", "y"]},
        });
        for (owned, expected) in [
            (".metadata.labels.a.b/c", FieldPath::parse("metadata.labels").key("a.b/c")),
            (".metadata.labels.a", FieldPath::parse("metadata.labels.a")),
            (".spec.env[name=\"A\"].value", FieldPath::parse("spec.env[1].value")),
            (".spec.tags[=\"y\"]", FieldPath::parse("spec.tags[1]")),
            (".spec.env[name=\"Z\"].value", FieldPath::parse("spec.env")),
            (".spec.gone", FieldPath::parse("spec")),
            ("[", FieldPath::root()),
        ] {
            assert_eq!(owned_path(owned, &document), expected, "{owned}");
        }
    }
}
