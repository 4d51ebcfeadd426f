//! How long the lists of an object may be: far above any need, and low enough that no check of them takes long and no
//! answer about them is large.

use crate::{Duration, FieldError, FieldPath};

pub(crate) const ARGUMENTS: usize = 4096;
pub(crate) const VARIABLES: usize = 1000;
pub(crate) const MUTEXES: usize = 16;
pub(crate) const PARAMS: usize = 100;
pub(crate) const VALUES: usize = 1000;
pub(crate) const LABELS: usize = 1000;
pub(crate) const KEYS: usize = 10_000;
/// Everything that is counted on fingers: requirements, tolerations, taints, owners, finalizers.
pub(crate) const FEW: usize = 100;

/// Whether a list is short enough to be looked at item by item; says so if it is not.
pub(crate) fn fits(at: &FieldPath, count: usize, most: usize, errors: &mut Vec<FieldError>) -> bool {
    if count > most {
        let detail = format_args!("{count} items, and at most {most} are allowed").to_string();
        errors.push(FieldError::too_long(at.clone(), detail));
    }
    count <= most
}

/// A wait and its bound, as `retry` and `restart` have them; `usual` is the bound where none is given.
pub(crate) fn check_backoff(
    at: &FieldPath,
    first: Option<Duration>,
    max: Option<Duration>,
    usual: Duration,
    errors: &mut Vec<FieldError>,
) {
    match (first, max) {
        (Some(first), Some(max)) if max < first => {
            let detail = "must not be below backoff";
            errors.push(FieldError::invalid(at.child("maxBackoff"), max.to_string(), detail));
        }
        (Some(first), None) if first > usual => {
            let detail = format_args!("is above maxBackoff, which is {usual} where it is absent; set it too");
            errors.push(FieldError::invalid(at.child("backoff"), first.to_string(), detail));
        }
        _ => {}
    }
}
