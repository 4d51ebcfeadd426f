//! The objects that rows are made with.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::api::Api;

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const TASKS: &str = "/apis/drover.dev/v1/namespaces/default/tasks";
pub(crate) const TIMERS: &str = "/apis/drover.dev/v1/namespaces/default/timers";
pub(crate) const SERVICES: &str = "/apis/drover.dev/v1/namespaces/default/services";
pub(crate) const RUNS: &str = "/apis/drover.dev/v1/namespaces/default/runs";
pub(crate) const ASSIGNMENTS: &str = "/apis/drover.dev/v1/namespaces/default/assignments";
pub(crate) const EVENTS: &str = "/api/v1/namespaces/default/events";
pub(crate) const NODES: &str = "/api/v1/nodes";

/// What an object holds in all rows about the store, as peers' values do.
pub(crate) const VALUE_BYTES: usize = 1024;

/// A ConfigMap of [`VALUE_BYTES`], with a mark at the beginning of its value.
pub(crate) fn config_map(name: &str, mark: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"value": value(mark)}})
}

/// A mark, and as much after it as makes [`VALUE_BYTES`].
pub(crate) fn value(mark: &str) -> String {
    format!("{mark:x<VALUE_BYTES$}")
}

/// A Task that runs a command once.
pub(crate) fn task(name: &str, command: &[&str]) -> Value {
    workload("Task", name, json!({"template": {"process": {"command": command}}}))
}

/// A Service of one replica.
pub(crate) fn service(name: &str, command: &[&str]) -> Value {
    workload("Service", name, json!({"replicas": 1, "template": {"process": {"command": command}}}))
}

/// A Timer: `when` is the part of its spec that says so.
pub(crate) fn timer(name: &str, when: Value, command: &[&str]) -> Value {
    let mut spec = when;
    spec["template"] = json!({"process": {"command": command}});
    workload("Timer", name, spec)
}

fn workload(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "drover.dev/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
        "spec": spec})
}

/// A beacon's command.
pub(crate) fn beacon<'a>(program: &'a Path, socket: &'a Path, tag: &'a str, stay: bool) -> Vec<&'a str> {
    let path = |path: &'a Path| path.to_str().unwrap_or_default();
    let mut command = vec![path(program), path(socket), tag];
    if stay {
        command.push("stay");
    }
    command
}

/// Creates objects over so many connections at once, each as fast as it is answered.
pub(crate) async fn create_all(
    api: &Api,
    path: &'static str,
    objects: impl Iterator<Item = Value> + Send + 'static,
    connections: usize,
) -> Result<()> {
    let queue = Arc::new(Mutex::new(objects));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (queue, mut connection) = (queue.clone(), api.connect().await?);
        workers.spawn(async move {
            while let Some(object) = take(&queue) {
                connection.call(Method::POST, path, Bytes::from(object.to_string())).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}

fn take<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().ok()?.next()
}
