//! The shapes of names, labels and their kin.

use std::collections::BTreeMap;

use crate::validate::bounds;
use crate::{FieldError, FieldPath};

/// A DNS-1123 label: lower-case letters, digits and `-`, at most 63.
pub fn is_dns_label(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// A DNS-1123 subdomain: labels joined by dots, at most 253 characters.
pub fn is_dns_subdomain(text: &str) -> bool {
    // A single segment may be longer than a DNS label, as in Kubernetes.
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= 253
        && text.split('.').all(|part| {
            let bytes = part.as_bytes();
            edge(bytes.first())
                && edge(bytes.last())
                && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        })
}

/// A label value, or the name part of a label key if it is not empty.
pub fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// `name` or `prefix/name`.
pub fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_dns_subdomain)
}

/// A name of an environment variable.
pub fn is_env_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.')
}

/// A key in the data of a Secret or ConfigMap.
pub fn is_data_key(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text != "."
        && !text.starts_with("..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

pub(crate) const SUBDOMAIN: &str = "must be a DNS-1123 subdomain: lower-case letters, digits, '-' and '.', starting \
                                    and ending with a letter or digit, at most 253 characters";

pub(crate) fn check_subdomain(path: FieldPath, text: &str, errors: &mut Vec<FieldError>) {
    if text.is_empty() {
        errors.push(FieldError::required(path, "name something"));
    } else if !is_dns_subdomain(text) {
        errors.push(FieldError::invalid(path, text, SUBDOMAIN));
    }
}

pub(crate) fn check_label_key(path: FieldPath, key: &str, errors: &mut Vec<FieldError>) {
    if !is_label_key(key) {
        errors.push(FieldError::invalid(
            path,
            key,
            "must be a label key: [prefix/]name, the name at most 63 of A-Za-z0-9-_.",
        ));
    }
}

pub(crate) fn check_label_value(path: FieldPath, value: &str, errors: &mut Vec<FieldError>) {
    if !is_label_value(value) {
        errors.push(FieldError::invalid(
            path,
            value,
            "must be a label value: at most 63 of A-Za-z0-9-_., a letter or digit at both ends",
        ));
    }
}

/// Labels that a node must bear.
pub(crate) fn check_selector(
    at: &FieldPath,
    labels: &BTreeMap<String, String>,
    errors: &mut Vec<FieldError>,
) {
    if bounds::fits(at, labels.len(), bounds::FEW, errors) {
        for (key, value) in labels {
            check_label_key(at.key(key), key, errors);
            check_label_value(at.key(key), value, errors);
        }
    }
}
