//! Which Secrets and ConfigMaps a template names: what has to travel to a node beside an Assignment.
//!
//! Absent: other sources of values. A template that names one is refused at its admission.

use std::collections::BTreeSet;

use crate::Kind;
use crate::kinds::assignment::AssignmentSpec;
use crate::kinds::template::Template;

/// A Secret or ConfigMap of the template's own namespace, by kind and name.
pub type Reference<'a> = (Kind, &'a str);

/// What `env` and `envFrom` take values from, each once, optional ones too.
pub fn references(template: &Template) -> BTreeSet<Reference<'_>> {
    let process = &template.process;
    let mut found = BTreeSet::new();
    for source in process.env.iter().filter_map(|variable| variable.value_from.as_ref()) {
        found.extend(source.secret_key_ref.iter().map(|key| (Kind::Secret, key.name.as_str())));
        found.extend(source.config_map_key_ref.iter().map(|key| (Kind::ConfigMap, key.name.as_str())));
    }
    for source in &process.env_from {
        found.extend(source.secret_ref.iter().map(|all| (Kind::Secret, all.name.as_str())));
        found.extend(source.config_map_ref.iter().map(|all| (Kind::ConfigMap, all.name.as_str())));
    }
    found
}

impl AssignmentSpec {
    /// The template of the workload, whichever of the three it is.
    pub fn template(&self) -> Option<&Template> {
        let timer = self.timer.as_ref().map(|timer| &timer.template);
        let task = self.task.as_ref().map(|task| &task.template);
        timer.or(task).or(self.service.as_ref().map(|service| &service.template))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_source_of_a_value_is_named_once() {
        let spec: AssignmentSpec = serde_json::from_value(json!({
            "nodeName": "n", "workloadRef": {},
            "timer": {"every": "1m", "template": {"process": {
                "command": ["/bin/true"],
                "env": [
                    {"name": "A", "value": "plain"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "b"}}},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "c", "optional": true}}},
                    {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "d"}}},
                    {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "c"}}],
            }}},
        }))
        .unwrap();
        let expected = [(Kind::Secret, "all"), (Kind::Secret, "s"), (Kind::ConfigMap, "c")];
        assert_eq!(references(spec.template().unwrap()), BTreeSet::from(expected));
        assert_eq!(AssignmentSpec::default().template(), None);
    }
}
