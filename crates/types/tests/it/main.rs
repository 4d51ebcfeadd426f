//! The laws of admission: what is accepted, what is refused and how it is told, over every kind.

mod admission;
mod bounds;
mod mistakes;
mod not_built;
mod objects;
mod rules;
mod schemas;

use drover_types::{Kind, admit};
use serde_json::{Value, json};

/// A good Timer with this merged into its spec.
pub(crate) fn timer(spec: &Value) -> Value {
    let mut object = json!({"metadata": {"name": "t", "namespace": "hosting"},
        "spec": {"every": "1m", "template": {"process": {"command": ["true"]}}}});
    merge(&mut object["spec"], spec);
    object
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// What is said of an object that must be refused.
pub(crate) fn refusals(kind: Kind, value: Value) -> Vec<String> {
    admit(kind, value, None).expect_err("must be refused").iter().map(ToString::to_string).collect()
}

/// The same for a Task.
pub(crate) fn task(spec: &Value) -> Value {
    let mut object =
        json!({"metadata": {"name": "t"}, "spec": {"template": {"process": {"command": ["true"]}}}});
    merge(&mut object["spec"], spec);
    object
}

/// A list of so many times the same.
pub(crate) fn many(what: &Value, times: usize) -> Value {
    Value::from(vec![what.clone(); times])
}
