//! The server's no, pointed at in the file.

use std::collections::BTreeSet;

use drover_client::Error;
use drover_manifest::{Diagnostic, FieldPath};

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
