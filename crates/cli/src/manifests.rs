//! From paths to admitted objects. Everything is read and checked before anything is done with it, and whatever is
//! wrong is pointed at in its file.

use std::path::PathBuf;

use anyhow::Result;
use drover_manifest::{Diagnostic, Document, FieldPath, Limits, Recursion, load_paths, suggest};
use drover_types::{FieldError, FieldErrorKind, Kind};
use serde_json::Value;

use crate::terminal;

/// An object that keeps the rules of its kind.
pub(crate) struct Manifest {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Where it came from.
    pub(crate) document: Document,
    /// The object with defaults filled in.
    pub(crate) value: Value,
}

/// What was read: every object, or everything that is wrong.
pub(crate) enum Outcome {
    /// All are good.
    Good(Vec<Manifest>),
    /// At least one is not; nothing may be done with any.
    Bad(Vec<Diagnostic>),
}

/// Reads and checks every manifest under `paths`. Errors are those of reading; what is wrong inside a manifest is
/// an [`Outcome::Bad`].
pub(crate) fn read(paths: &[PathBuf], recursion: Recursion) -> Result<Outcome> {
    let limits = Limits::default();
    let mut stdin = std::io::stdin().lock();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for source in load_paths(paths, recursion, &mut stdin, &limits)? {
        match source.decode(&limits) {
            Ok(documents) => {
                for document in documents {
                    match admit(document) {
                        Ok(manifest) => good.push(manifest),
                        Err(diagnostics) => bad.extend(diagnostics),
                    }
                }
            }
            Err(diagnostics) => bad.extend(diagnostics),
        }
    }
    bad.extend(twice(&good));
    Ok(if bad.is_empty() { Outcome::Good(good) } else { Outcome::Bad(bad) })
}

/// Shows what is wrong, each place in its file, and says what that means.
pub(crate) fn tell(found: &[Diagnostic], said: &str) {
    for diagnostic in found {
        terminal::tell(&diagnostic.render(terminal::stderr_colour(), terminal::width()));
    }
    terminal::tell(said);
}

fn admit(document: Document) -> Result<Manifest, Vec<Diagnostic>> {
    let Some(kind) = Kind::by_gvk(&document.api_version, &document.kind) else {
        return Err(vec![unknown_kind(&document)]);
    };
    let admitted = drover_types::admit(kind, document.value.clone(), None)
        .map_err(|errors| errors.iter().map(|error| point(&document, kind, error)).collect::<Vec<_>>())?;
    let unknown: Vec<_> =
        admitted.unknown_fields.iter().map(|path| unknown_field(&document, kind, path)).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    Ok(Manifest { kind, value: admitted.value, document })
}

/// The error of a field, pointing at its value, or at its key when that is what is wrong.
fn point(document: &Document, kind: Kind, error: &FieldError) -> Diagnostic {
    let path = FieldPath::parse(error.path.as_str());
    let message = error.to_string();
    let key =
        error.path.as_str().strip_suffix(']').and_then(|path| path.rsplit_once('[')).map(|(_, key)| key);
    if key.is_some_and(|key| error.message.starts_with(&format!("Invalid value: {key:?}: "))) {
        return document.error_at_key(&path, message);
    }
    match error.kind {
        FieldErrorKind::Unknown => unknown_field(document, kind, error.path.as_str()),
        FieldErrorKind::Forbidden | FieldErrorKind::Duplicate => document.error_at_key(&path, message),
        FieldErrorKind::Required
        | FieldErrorKind::Invalid
        | FieldErrorKind::NotSupported
        | FieldErrorKind::TooLong => document.error_at(&path, message),
    }
}

fn unknown_kind(document: &Document) -> Diagnostic {
    let (version, kind) = (&document.api_version, &document.kind);
    let path = FieldPath::parse("kind");
    if let Some(brings) = drover_types::not_built_kind(version, kind) {
        return document.error_at(&path, format!("{kind} is not built yet: it comes with {brings}"));
    }
    let kinds = Kind::ALL.map(|k| k.names().kind);
    let error = document.error_at(&path, format!("no kind {kind:?} in {version}"));
    match Kind::ALL.into_iter().find(|k| k.names().kind == kind) {
        Some(elsewhere) => error.help(format!("{kind} is in {}", elsewhere.api_version())),
        None => match suggest(kind, kinds) {
            Some(near) => error.help(format!("did you mean {near:?}?")),
            None => error,
        },
    }
}

fn unknown_field(document: &Document, kind: Kind, path: &str) -> Diagnostic {
    let error = document.error_at_key(&FieldPath::parse(path), format!("unknown field {path:?}"));
    let (parent, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    let Some(doc) = drover_types::schema::explain(kind, parent) else { return error };
    match suggest(leaf, doc.fields.iter().map(|field| field.name.as_str())) {
        Some(near) => error.help(format!("did you mean {near:?}?")),
        None => error,
    }
}

/// The same object twice in one go would mean that the order of files decides.
fn twice(manifests: &[Manifest]) -> Vec<Diagnostic> {
    let mut seen = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for manifest in manifests {
        let document = &manifest.document;
        let key = (manifest.kind, document.namespace.as_deref().unwrap_or("default"), &document.name);
        if let Some(first) = seen.insert(key, document) {
            let names = manifest.kind.names();
            let message = format!("{}/{} is already in {}", names.singular, document.name, first.source_name);
            found.push(
                document
                    .error_at(&FieldPath::parse("metadata.name"), message)
                    .help("give one of the two another name, or leave it out"),
            );
        }
    }
    found
}
