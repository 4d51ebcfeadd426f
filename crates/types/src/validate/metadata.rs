//! Metadata, the same for every kind.

use crate::kind::Scope;
use crate::validate::{bounds, names};
use crate::{FieldError, FieldPath, Kind, ObjectMeta};

const ANNOTATIONS_LIMIT: usize = 256 * 1024;

pub(crate) fn check(kind: Kind, meta: &ObjectMeta, errors: &mut Vec<FieldError>) {
    let at = FieldPath::from("metadata");
    check_name(kind, meta, errors);
    match (kind.names().scope, &meta.namespace) {
        (Scope::Cluster, Some(_)) => {
            errors.push(FieldError::forbidden(at.child("namespace"), "this kind is cluster-wide"));
        }
        (Scope::Namespaced, Some(ns)) if !names::is_dns_label(ns) => {
            errors.push(FieldError::invalid(at.child("namespace"), ns.as_str(), NAMESPACE));
        }
        (Scope::Namespaced | Scope::Cluster, _) => {}
    }
    let labels = at.child("labels");
    let few = bounds::fits(&labels, meta.labels.len(), bounds::LABELS, errors);
    for (key, value) in meta.labels.iter().filter(|_| few) {
        names::check_label_key(labels.key(key), key, errors);
        names::check_label_value(labels.key(key), value, errors);
    }
    let annotations = at.child("annotations");
    let few = bounds::fits(&annotations, meta.annotations.len(), bounds::KEYS, errors);
    for key in meta.annotations.keys().filter(|_| few) {
        // Keys compare in lower case in Kubernetes too: old clients write capitals in the prefix.
        names::check_label_key(annotations.key(key), &key.to_ascii_lowercase(), errors);
    }
    let bytes: usize = meta.annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > ANNOTATIONS_LIMIT {
        let detail = format!("{bytes} bytes, and at most {ANNOTATIONS_LIMIT} are allowed");
        errors.push(FieldError::too_long(annotations, detail));
    }
    let list = at.child("finalizers");
    if bounds::fits(&list, meta.finalizers.len(), bounds::FEW, errors) {
        for (i, finalizer) in meta.finalizers.iter().enumerate() {
            names::check_label_key(list.index(i), finalizer, errors);
        }
    }
    check_owners(kind, meta, errors);
}

const NAMESPACE: &str = "must be a DNS-1123 label: lower-case letters, digits and '-', at most 63 characters";

fn check_name(kind: Kind, meta: &ObjectMeta, errors: &mut Vec<FieldError>) {
    let at = FieldPath::from("metadata.name");
    if meta.name.is_empty() {
        match &meta.generate_name {
            None => errors.push(FieldError::required(at, "name or generateName is required")),
            // Five characters follow; `x` stands for them.
            Some(prefix) if kind == Kind::Namespace && !names::is_dns_label(&format!("{prefix}xxxxx")) => {
                let at = "metadata.generateName".into();
                errors.push(FieldError::invalid(at, prefix.as_str(), NAMESPACE));
            }
            Some(prefix) if !names::is_dns_subdomain(&format!("{prefix}xxxxx")) => {
                let at = "metadata.generateName".into();
                errors.push(FieldError::invalid(at, prefix.as_str(), names::SUBDOMAIN));
            }
            Some(_) => {}
        }
    } else if kind == Kind::Namespace {
        if !names::is_dns_label(&meta.name) {
            errors.push(FieldError::invalid(at, meta.name.as_str(), NAMESPACE));
        }
    } else {
        names::check_subdomain(at, &meta.name, errors);
    }
}

fn check_owners(kind: Kind, meta: &ObjectMeta, errors: &mut Vec<FieldError>) {
    let list = FieldPath::from("metadata.ownerReferences");
    if !bounds::fits(&list, meta.owner_references.len(), bounds::FEW, errors) {
        return;
    }
    for (i, owner) in meta.owner_references.iter().enumerate() {
        let at = list.index(i);
        let members = [
            ("apiVersion", &owner.api_version),
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ];
        for (member, value) in members {
            if value.is_empty() {
                errors.push(FieldError::required(at.child(member), "must not be empty"));
            }
        }
        let same_uid = !meta.uid.is_empty() && owner.uid == meta.uid;
        let same_name = !meta.name.is_empty() && owner.kind == kind.names().kind && owner.name == meta.name;
        if same_uid || (same_name && meta.uid.is_empty()) {
            errors.push(FieldError::invalid(
                at.child("uid"),
                owner.uid.as_str(),
                "an object cannot own itself",
            ));
        }
    }
    let mut controllers =
        meta.owner_references.iter().enumerate().filter(|(_, o)| o.controller == Some(true));
    controllers.next();
    if let Some((i, _)) = controllers.next() {
        let detail = "only one owner may be the controller";
        errors.push(FieldError::invalid(list.index(i).child("controller"), true, detail));
    }
}
