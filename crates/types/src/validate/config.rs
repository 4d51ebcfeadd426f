//! Secret and ConfigMap: keys, base64, size, immutability.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Rules, bounds, names};
use crate::kinds::{ConfigMap, Secret};
use crate::{FieldError, FieldPath, ObjectMeta};

const LIMIT: usize = 1 << 20;

impl Rules for Secret {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn fill_defaults(&mut self) {
        // A key that cannot be stays where its author wrote it, for the error to point there.
        let (good, bad) =
            std::mem::take(&mut self.string_data).into_iter().partition(|(key, _)| names::is_data_key(key));
        self.string_data = bad;
        let good: BTreeMap<String, String> = good;
        self.data.extend(good.into_iter().map(|(key, text)| (key, STANDARD.encode(text))));
        self.type_.get_or_insert_with(|| "Opaque".into());
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let keys = self.data.len() + self.string_data.len();
        if !bounds::fits(&"data".into(), keys, bounds::KEYS, errors) {
            return;
        }
        let mut total = 0;
        for key in self.string_data.keys() {
            check_key(&FieldPath::from("stringData").key(key), key, errors);
        }
        for (key, value) in &self.data {
            let at = FieldPath::from("data").key(key);
            check_key(&at, key, errors);
            total += check_base64(at, value, errors);
        }
        check_total(total, errors);
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        if self.type_ != old.type_ {
            errors.push(FieldError::forbidden("type".into(), "field is immutable"));
        }
        check_immutable(old.immutable, self.immutable, self.data != old.data, errors);
    }
}

impl Rules for ConfigMap {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let keys = self.data.len() + self.binary_data.len();
        if !bounds::fits(&"data".into(), keys, bounds::KEYS, errors) {
            return;
        }
        let mut total = 0;
        for (key, value) in &self.data {
            check_key(&FieldPath::from("data").key(key), key, errors);
            total += value.len();
        }
        for (key, value) in &self.binary_data {
            let at = FieldPath::from("binaryData").key(key);
            check_key(&at, key, errors);
            if self.data.contains_key(key) {
                errors.push(FieldError::duplicate(at.clone(), key.as_str()));
            }
            total += check_base64(at, value, errors);
        }
        check_total(total, errors);
    }

    fn check_update(&self, old: &Self, errors: &mut Vec<FieldError>) {
        let changed = self.data != old.data || self.binary_data != old.binary_data;
        check_immutable(old.immutable, self.immutable, changed, errors);
    }
}

fn check_key(at: &FieldPath, key: &str, errors: &mut Vec<FieldError>) {
    if !names::is_data_key(key) {
        errors.push(FieldError::invalid(at.clone(), key, "a key has 1 to 253 of A-Za-z0-9-_."));
    }
}

/// The value is never printed: it may be a secret that was not encoded.
fn check_base64(at: FieldPath, value: &str, errors: &mut Vec<FieldError>) -> usize {
    match STANDARD.decode(value) {
        Ok(bytes) => bytes.len(),
        Err(_) => {
            let detail = "is not base64 with padding; write text under stringData";
            errors.push(FieldError::invalid(at, "***", detail));
            0
        }
    }
}

fn check_total(total: usize, errors: &mut Vec<FieldError>) {
    if total > LIMIT {
        let detail = format_args!("{total} bytes, and at most {LIMIT} are allowed").to_string();
        errors.push(FieldError::too_long("data".into(), detail));
    }
}

fn check_immutable(old: Option<bool>, new: Option<bool>, changed: bool, errors: &mut Vec<FieldError>) {
    if old != Some(true) {
        return;
    }
    if changed {
        errors.push(FieldError::forbidden("data".into(), "field is immutable when `immutable` is set"));
    }
    if new != Some(true) {
        errors.push(FieldError::forbidden("immutable".into(), "cannot be taken back"));
    }
}
