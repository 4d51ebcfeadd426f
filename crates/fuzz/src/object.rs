//! Objects as the apiserver admits them: decoded, filled in, checked.

use drover_types::Kind;
use drover_types::admit::admit;
use serde_json::Value;

/// The first byte says which kind.
pub(crate) fn object(data: &[u8]) {
    let Some((which, json)) = data.split_first() else { return };
    let kind = Kind::ALL[usize::from(*which) % Kind::ALL.len()];
    let Ok(value) = serde_json::from_slice::<Value>(json) else { return };
    match admit(kind, value, None) {
        Ok(admitted) => {
            let again = admit(kind, admitted.value.clone(), None);
            let again = again.unwrap_or_else(|errors| panic!("{}: {errors:?}", admitted.value));
            assert_eq!(again.value, admitted.value, "what is stored means the same when it is read");
            assert!(again.unknown_fields.is_empty());
            let unchanged = admit(kind, admitted.value.clone(), Some(&admitted.value));
            assert!(unchanged.is_ok(), "{}: {unchanged:?}", admitted.value);
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for error in errors {
                let _ = error.to_string();
            }
        }
    }
}
