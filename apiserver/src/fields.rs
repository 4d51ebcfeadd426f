//! Field selectors: a closed list of fields per kind, compared as text.

use drover_types::selector::{FieldTerm, parse_fields};
use drover_types::{Kind, Scope};
use serde_json::Value;

use crate::error::ApiError;
use crate::events::Face;

/// Requirements on fields, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<FieldTerm>);

fn supported(kind: Kind, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && kind.names().scope == Scope::Namespaced) {
        return true;
    }
    match kind {
        Kind::Event => matches!(
            path,
            "involvedObject.kind"
                | "involvedObject.namespace"
                | "involvedObject.name"
                | "involvedObject.uid"
                | "involvedObject.apiVersion"
                | "involvedObject.resourceVersion"
                | "involvedObject.fieldPath"
                | "reason"
                | "type"
                | "source"
                | "reportingComponent"
        ),
        Kind::Secret => path == "type",
        Kind::Node => path == "spec.unschedulable",
        Kind::Namespace => path == "status.phase",
        Kind::Assignment => {
            matches!(
                path,
                "spec.nodeName" | "spec.workloadRef.kind" | "spec.workloadRef.name" | "spec.workloadRef.uid"
            )
        }
        Kind::Run => matches!(
            path,
            "spec.nodeName"
                | "spec.workloadRef.kind"
                | "spec.workloadRef.name"
                | "spec.workloadRef.uid"
                | "spec.assignmentRef"
                | "status.phase"
        ),
        Kind::ConfigMap
        | Kind::ServiceAccount
        | Kind::Lease
        | Kind::Timer
        | Kind::Task
        | Kind::Service
        | Kind::NodePool => false,
    }
}

impl FieldSelector {
    pub(crate) fn parse(kind: Kind, text: &str, face: Face) -> Result<Self, ApiError> {
        let mut terms = parse_fields(text)
            .map_err(|error| ApiError::bad_request(format!("invalid field selector {text:?}: {error}")))?;
        for term in &mut terms {
            term.path = face.stored_path(&term.path);
        }
        match terms.iter().find(|term| !supported(kind, &term.path)) {
            Some(term) => Err(ApiError::bad_request(format!("field label not supported: {}", term.path))),
            None => Ok(Self(terms)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|term| (text_at(object, &term.path) == term.value) == term.equal)
    }
}

fn text_at(object: &Value, path: &str) -> String {
    // An Event's `source` is its component, which newer clients call by another name.
    if path == "source" {
        let source = text_at(object, "source.component");
        return if source.is_empty() { text_at(object, "reportingComponent") } else { source };
    }
    let found = path.split('.').try_fold(object, |at, name| at.get(name));
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        // Absent reads as a Go zero value does: false for the one boolean field, else empty.
        _ if path == "spec.unschedulable" => "false".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terms_are_compared_as_text_and_unknown_fields_refused() {
        let run =
            json!({"metadata": {"name": "r"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
        let table = [
            ("metadata.name=r,metadata.name=r", true),
            ("spec.nodeName==n,status.phase!=Failed", true),
            ("status.phase!=Running", false),
            ("metadata.namespace=", true),
            ("", true),
        ];
        for (text, expected) in table {
            assert_eq!(
                FieldSelector::parse(Kind::Run, text, Face::Stored).unwrap().matches(&run),
                expected,
                "{text}"
            );
        }
        let error = FieldSelector::parse(Kind::Run, "spec.bogus=1", Face::Stored).unwrap_err();
        assert_eq!(error.status().message, "field label not supported: spec.bogus");
        assert!(FieldSelector::parse(Kind::Node, "metadata.name", Face::Stored).is_err());
        let free = FieldSelector::parse(Kind::Node, "spec.unschedulable=false", Face::Stored).unwrap();
        assert!(free.matches(&json!({})));
    }
}
