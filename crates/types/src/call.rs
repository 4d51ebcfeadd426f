//! A call of an OnDemand Task: what the child that it makes is to do. Pure, so that the command line can check a call
//! before it is sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kinds::Task;
use crate::kinds::placement::Placement;
use crate::kinds::task::{TaskMode, TaskSpec};
use crate::kinds::template::ParamValues;
use crate::substitute::substitute;
use crate::validate::params::resolve_params;
use crate::{Duration, FieldError, FieldPath};

/// How long a finished child stays where its Task does not say: without a bound, calls would fill the store.
pub const CHILD_TTL: Duration = Duration::from_secs(24 * 3600);
/// How long a finished child is remembered for its key where its Task does not say.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest idempotency key, in bytes.
pub(crate) const MAX_KEY: usize = 1024;

/// What a caller passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TaskCall {
    /// Values of the Task's parameters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: ParamValues,
    /// The node to run on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The nodes to run on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Calls with one key are one call. Absent: what the Task's own `idempotencyKey` comes to, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// A call that may be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The child's spec.
    pub spec: TaskSpec,
    /// The key that makes a repeat the same call.
    pub key: Option<String>,
}

/// What a call of `task` makes, or everything that is wrong with it.
pub fn call(task: &Task, call: &TaskCall) -> Result<Called, Vec<FieldError>> {
    let mut errors = Vec::new();
    if task.spec.mode != Some(TaskMode::OnDemand) {
        let detail = "the task runs once by itself; only one of mode OnDemand is called";
        return Err(vec![FieldError::invalid("spec.mode".into(), "Once", detail)]);
    }
    let params = resolve_params(&task.spec, &call.params).unwrap_or_else(|found| {
        errors.extend(found);
        ParamValues::new()
    });
    let placement = place(task.spec.placement.as_ref(), call, &mut errors);
    let key = if errors.is_empty() { key_of(task, call, &params, &mut errors) } else { None };
    if !errors.is_empty() {
        return Err(errors);
    }
    let spec = TaskSpec {
        mode: Some(TaskMode::Once),
        param_values: Some(params),
        placement,
        idempotency_key: None,
        idempotency_window: key.is_some().then(|| task.spec.idempotency_window.unwrap_or(IDEMPOTENCY_WINDOW)),
        ttl_after_finished: Some(task.spec.ttl_after_finished.unwrap_or(CHILD_TTL)),
        ..task.spec.clone()
    };
    Ok(Called { spec, key })
}

/// Where the child goes: a caller narrows what the Task says, and never widens it.
fn place(own: Option<&Placement>, call: &TaskCall, errors: &mut Vec<FieldError>) -> Option<Placement> {
    let named = call.node_name.as_deref();
    if own.is_none() && named.is_none() && call.node_selector.is_empty() {
        let detail = "the task has no placement, so its caller says where: a nodeName or a nodeSelector";
        errors.push(FieldError::required("nodeName".into(), detail));
        return None;
    }
    let mut placement = own.cloned().unwrap_or_default();
    if let Some(name) = named {
        if placement.node_name.as_deref().is_some_and(|held| held != name) {
            let held = placement.node_name.as_deref().unwrap_or_default();
            let detail = format!("the task's own placement says {held:?}");
            errors.push(FieldError::invalid("nodeName".into(), name, detail));
        }
        placement.node_name = Some(name.to_owned());
        // One node was asked for; how many of them is no question any more.
        placement.count = None;
        placement.failover_after = None;
    }
    for (key, value) in &call.node_selector {
        if let Some(held) = placement.node_selector.get(key).filter(|held| *held != value) {
            let path = FieldPath::from("nodeSelector").key(key);
            let detail = format!("the task's own placement says {held:?}");
            errors.push(FieldError::invalid(path, value.as_str(), detail));
        }
        placement.node_selector.insert(key.clone(), value.clone());
    }
    Some(placement)
}

fn key_of(
    task: &Task,
    call: &TaskCall,
    params: &ParamValues,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    let path = FieldPath::from("idempotencyKey");
    let key = match (&call.idempotency_key, &task.spec.idempotency_key) {
        (Some(given), _) => given.clone(),
        (None, None) => return None,
        (None, Some(own)) => {
            let value = |name: &str| {
                params.get(name.strip_prefix("params.")?).map(|value| match value {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
            };
            match substitute(own, value) {
                Ok(key) => key,
                Err(error) => {
                    errors.push(FieldError::invalid(path, own.as_str(), error));
                    return None;
                }
            }
        }
    };
    if key.is_empty() || key.len() > MAX_KEY {
        errors.push(FieldError::invalid(path, key, format_args!("must have 1 to {MAX_KEY} bytes")));
        return None;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::task::{Param, ParamType};
    use serde_json::json;

    fn task() -> Task {
        let params = vec![Param {
            name: "invoice".into(),
            type_: Some(ParamType::Integer),
            required: Some(true),
            ..Param::default()
        }];
        let spec = TaskSpec {
            mode: Some(TaskMode::OnDemand),
            params,
            idempotency_key: Some("invoice/$(params.invoice)".into()),
            ..TaskSpec::default()
        };
        let (api_version, kind) = (crate::API_VERSION.into(), "Task".into());
        Task { api_version, kind, metadata: crate::ObjectMeta::default(), spec, status: None }
    }

    fn with(values: serde_json::Value) -> TaskCall {
        serde_json::from_value(values).unwrap()
    }

    #[test]
    fn the_key_is_made_of_the_values_or_given() {
        let called = call(&task(), &with(json!({"params": {"invoice": "7"}, "nodeName": "a"}))).unwrap();
        assert_eq!(called.key.as_deref(), Some("invoice/7"));
        assert_eq!(called.spec.param_values.unwrap()["invoice"], 7);
        assert_eq!(called.spec.mode, Some(TaskMode::Once));
        let given = with(json!({"params": {"invoice": 7}, "nodeName": "a", "idempotencyKey": "k"}));
        assert_eq!(call(&task(), &given).unwrap().key.as_deref(), Some("k"));
    }

    #[test]
    fn a_caller_must_say_where_if_the_task_does_not() {
        let errors = call(&task(), &with(json!({"params": {"invoice": 7}}))).unwrap_err();
        assert!(errors[0].to_string().starts_with("nodeName: Required value"), "{}", errors[0]);
        let errors = call(&task(), &with(json!({"nodeName": "a"}))).unwrap_err();
        assert!(errors[0].to_string().contains("params"), "{}", errors[0]);
    }

    #[test]
    fn a_caller_narrows_a_placement_and_never_widens_it() {
        let mut task = task();
        task.spec.placement = Some(Placement {
            node_selector: BTreeMap::from([("role".into(), "server".into())]),
            count: Some(1),
            ..Placement::default()
        });
        let values = json!({"invoice": 7});
        let called = call(&task, &with(json!({"params": values, "nodeName": "a"}))).unwrap();
        let placement = called.spec.placement.unwrap();
        assert_eq!((placement.node_name.as_deref(), placement.count), (Some("a"), None));
        assert_eq!(placement.node_selector["role"], "server");
        let wider = with(json!({"params": values, "nodeSelector": {"role": "vps"}}));
        assert!(call(&task, &wider).unwrap_err()[0].to_string().contains("the task's own placement"));
    }

    #[test]
    fn only_an_on_demand_task_is_called() {
        let mut task = task();
        task.spec.mode = Some(TaskMode::Once);
        assert!(call(&task, &TaskCall::default()).is_err());
    }
}
