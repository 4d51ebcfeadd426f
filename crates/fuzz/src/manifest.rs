//! Manifests: YAML and JSON as people write them.

use drover_manifest::{FieldPath, Limits, decode, decode_bytes, emit};

pub(crate) fn manifest(data: &[u8]) {
    // Small limits are reached by small inputs.
    let limits = Limits { max_document_bytes: 64 << 10, max_nodes: 5_000, ..Limits::default() };
    match decode_bytes("input.yaml", data, &limits) {
        Ok(documents) => {
            for document in documents {
                for path in ["", "metadata.name", "spec.template.process.command[0]"] {
                    let path = FieldPath::parse(path);
                    let _ = document.locate(&path);
                    let _ = document.locate_key(&path);
                }
                let text = emit(&document.value);
                let again = decode("again.yaml", &text, &Limits::default());
                let again = again.unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
                let values: Vec<_> = again.iter().map(|document| &document.value).collect();
                assert_eq!(values, [&document.value], "{text}");
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for error in errors {
                for width in [20, 80] {
                    let _ = error.render(false, width);
                }
            }
        }
    }
}
