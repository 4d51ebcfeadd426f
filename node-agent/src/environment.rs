//! The environment of a run, and `$(NAME)` in its command and values.
//!
//! A script goes to its shell untouched, unless it is, as a whole, one `$(params.x)`: parameters reach it as
//! `DROVER_PARAM_<NAME>`.

use std::collections::BTreeMap;

use drover_types::kinds::template::{Process, ValueFrom};
use drover_types::substitute::{UnknownName, substitute, whole_param};
use drover_wire::MaterialKind;

use crate::ledger::{CauseKey, Claim};
use crate::materials::Materials;

/// Why a run cannot be given what its template names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigMissing {
    #[error("{kind} {name:?} is not on this node")]
    Object { kind: &'static str, name: String },
    #[error("{kind} {name:?} has no key {key:?}")]
    Key { kind: &'static str, name: String, key: String },
    #[error("the value of {0} is not UTF-8 and cannot be an environment variable")]
    NotText(String),
    #[error(transparent)]
    Name(#[from] UnknownName),
    #[error("unknown field path {0:?}")]
    Field(String),
}

/// Names and values of one run.
pub(crate) struct Names<'a> {
    claim: &'a Claim,
    node_name: &'a str,
}

impl<'a> Names<'a> {
    pub(crate) fn new(claim: &'a Claim, node_name: &'a str) -> Self {
        Self { claim, node_name }
    }

    fn get(&self, name: &str) -> Option<String> {
        let claim = self.claim;
        Some(match name {
            "NODE_NAME" | "node.name" => self.node_name.to_owned(),
            "NAMESPACE" => claim.namespace.clone(),
            "WORKLOAD" => claim.workload.name.clone(),
            "REPLICA" => claim.replica.unwrap_or(0).to_string(),
            "run.uid" => claim.run_uid.clone(),
            "run.name" => claim.run_name.clone(),
            _ => {
                if let Some(label) = name.strip_prefix("node.labels.") {
                    return claim.node_labels.get(label).cloned();
                }
                text_of(claim.params.get(name.strip_prefix("params.")?)?)
            }
        })
    }

    /// Substitutes every `$(NAME)` of a text.
    pub(crate) fn substitute(&self, text: &str) -> Result<String, ConfigMissing> {
        Ok(substitute(text, |name| self.get(name))?)
    }

    /// A script as the shell gets it: untouched, unless it is, as a whole, one parameter.
    pub(crate) fn script(&self, script: &str) -> Result<String, ConfigMissing> {
        match whole_param(script) {
            Some(param) => self.substitute(&format!("$(params.{param})")),
            None => Ok(script.to_owned()),
        }
    }

    fn field(&self, path: &str) -> Result<String, ConfigMissing> {
        let quoted = |prefix: &str| path.strip_prefix(prefix).and_then(|rest| rest.strip_suffix("']"));
        match path {
            "metadata.name" => Ok(self.claim.run_name.clone()),
            "metadata.namespace" => Ok(self.claim.namespace.clone()),
            "metadata.uid" => Ok(self.claim.run_uid.clone()),
            "spec.nodeName" => Ok(self.node_name.to_owned()),
            _ => match quoted("node.labels['") {
                Some(label) => Ok(self.claim.node_labels.get(label).cloned().unwrap_or_default()),
                None => Err(ConfigMissing::Field(path.to_owned())),
            },
        }
    }
}

/// A parameter as text: strings bare, everything else as JSON.
fn text_of(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The whole environment: `base`, which every run of a user has, then `envFrom`, then `env`; a later name wins.
pub(crate) fn build(
    names: &Names<'_>,
    process: &Process,
    materials: &Materials,
    base: &[(&'static str, String)],
) -> Result<Vec<(String, String)>, ConfigMissing> {
    let claim = names.claim;
    let mut env: BTreeMap<String, String> =
        base.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut put = |name: &str, value: String| env.insert(name.to_owned(), value);
    for source in &process.env_from {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let (kind, reference) = match (&source.secret_ref, &source.config_map_ref) {
            (Some(reference), _) => (MaterialKind::Secret, reference),
            (None, Some(reference)) => (MaterialKind::ConfigMap, reference),
            (None, None) => continue,
        };
        match materials.all(kind, &claim.namespace, &reference.name) {
            Some(all) => {
                for (key, value) in all {
                    put(&format!("{prefix}{key}"), text(&reference.name, key, value)?);
                }
            }
            None if reference.optional == Some(true) => {}
            None => return Err(ConfigMissing::Object { kind: word(kind), name: reference.name.clone() }),
        }
    }
    for variable in &process.env {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(from)) => resolve(names, from, materials)?,
            (Some(value), None) => Some(names.substitute(value)?),
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            put(&variable.name, value);
        }
    }
    for (name, value) in &claim.params {
        put(&format!("DROVER_PARAM_{}", name.to_uppercase()), text_of(value));
    }
    put("DROVER_NODE_NAME", names.node_name.to_owned());
    put("DROVER_NAMESPACE", claim.namespace.clone());
    put("DROVER_WORKLOAD", claim.workload.name.clone());
    put("DROVER_RUN_NAME", claim.run_name.clone());
    put("DROVER_RUN_UID", claim.run_uid.clone());
    put("DROVER_ATTEMPT", claim.attempt.to_string());
    if let Some(replica) = claim.replica {
        put("DROVER_REPLICA", replica.to_string());
    }
    if let CauseKey::Tick(time) = claim.cause {
        put("DROVER_SCHEDULED_TIME", time.to_string());
    }
    Ok(env.into_iter().collect())
}

fn word(kind: MaterialKind) -> &'static str {
    match kind {
        MaterialKind::Secret => "Secret",
        MaterialKind::ConfigMap => "ConfigMap",
        MaterialKind::SharedVar => "SharedVar",
    }
}

fn text(name: &str, key: &str, value: Vec<u8>) -> Result<String, ConfigMissing> {
    String::from_utf8(value).map_err(|_| ConfigMissing::NotText(format!("{name}/{key}")))
}

fn resolve(
    names: &Names<'_>,
    from: &ValueFrom,
    materials: &Materials,
) -> Result<Option<String>, ConfigMissing> {
    if let Some(field) = &from.field_ref {
        return names.field(&field.field_path).map(Some);
    }
    let (kind, reference) = match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(reference), _) => (MaterialKind::Secret, reference),
        (None, Some(reference)) => (MaterialKind::ConfigMap, reference),
        (None, None) => return Ok(None),
    };
    let optional = reference.optional == Some(true);
    let Some(mut all) = materials.all(kind, &names.claim.namespace, &reference.name) else {
        let missing = ConfigMissing::Object { kind: word(kind), name: reference.name.clone() };
        return if optional { Ok(None) } else { Err(missing) };
    };
    match all.remove(reference.key.as_str()) {
        Some(value) => text(&reference.name, &reference.key, value).map(Some),
        None if optional => Ok(None),
        None => Err(ConfigMissing::Key {
            kind: word(kind),
            name: reference.name.clone(),
            key: reference.key.clone(),
        }),
    }
}
