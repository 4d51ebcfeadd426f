//! Workloads as a user writes them.

use serde_json::{Value, json};

pub(crate) fn timer(name: &str, placement: Value) -> Value {
    workload(name, json!({"every": "1h", "placement": placement, "template": template()}))
}

pub(crate) fn task(name: &str, placement: Value) -> Value {
    workload(name, json!({"mode": "Once", "placement": placement, "template": template()}))
}

pub(crate) fn service(name: &str, placement: Value) -> Value {
    workload(name, json!({"placement": placement, "template": template()}))
}

fn template() -> Value {
    json!({"process": {"command": ["/bin/true"]}})
}

fn workload(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}
