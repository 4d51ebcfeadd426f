//! `timers/X/trigger`: asks the agents of a Timer's nodes to run it now, and tells what each said.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use drover_types::kinds::Assignment;
use drover_types::{API_VERSION, Kind};
use drover_wire::MAX_NAME;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Sessions;
use super::registry::Command;
use crate::error::ApiError;
use crate::json::Decoded;
use crate::keys;
use crate::objects::Place;
use crate::prepare;

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Nodes asked at once.
const AT_ONCE: usize = 256;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Wish {
    node_name: Option<String>,
    request_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    kind: &'static str,
    api_version: &'static str,
    nodes: Vec<NodeAnswer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeAnswer {
    node_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl Wish {
    fn read(body: Option<Decoded>) -> Result<Self, ApiError> {
        let Some(body) = body else { return Ok(Self::default()) };
        if let Some(path) = body.duplicates.first() {
            return Err(ApiError::bad_request(format!("duplicate field \"{path}\"")));
        }
        let wish: Self = serde_json::from_value(body.value)
            .map_err(|error| ApiError::bad_request(format!("the trigger cannot be read: {error}")))?;
        if wish.request_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_NAME) {
            return Err(ApiError::bad_request(format!("requestId: must have 1 to {MAX_NAME} bytes")));
        }
        Ok(wish)
    }
}

impl Sessions {
    /// Runs a Timer now, on one of its nodes or on all.
    pub(super) async fn trigger(
        &self,
        namespace: &str,
        timer: &str,
        body: Option<Decoded>,
    ) -> Result<Response, ApiError> {
        let wish = Wish::read(body)?;
        let objects = &self.0.objects;
        let held = objects.get(Place { kind: Kind::Timer, namespace: Some(namespace), name: timer })?;
        let mut targets = self.assignments_of(namespace, prepare::text(&held.object, "uid"));
        if let Some(only) = &wish.node_name {
            targets.retain(|assignment| assignment.spec.node_name == *only);
        }
        if targets.is_empty() {
            let place = wish.node_name.map_or(String::new(), |node| format!(" on node {node:?}"));
            let detail = format!("it has no Assignment{place}: it is placed nowhere yet, or nothing matches");
            return Err(ApiError::conflict_because(Kind::Timer, timer, &detail));
        }
        let request_id = wish.request_id.unwrap_or_else(|| objects.world.uuid_v4().to_string());
        let mut nodes: Vec<_> = stream::iter(targets)
            .map(|assignment| self.trigger_on(assignment, &request_id))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        nodes.sort_by(|a, b| a.node_name.cmp(&b.node_name));
        let answer = Answer { kind: "TriggerResponse", api_version: API_VERSION, nodes };
        Ok(axum::Json(answer).into_response())
    }

    /// The Assignments of a workload that are not going.
    fn assignments_of(&self, namespace: &str, workload: &str) -> Vec<Assignment> {
        let prefix = keys::prefix(Kind::Assignment, Some(namespace));
        let (_, objects) = self.0.objects.cache.snapshot(prefix.as_bytes());
        objects
            .iter()
            // Most are of other workloads: a look at the bytes spares their decoding.
            .filter(|object| object.bytes.windows(workload.len()).any(|window| window == workload.as_bytes()))
            .filter_map(|object| serde_json::from_slice::<Assignment>(&object.bytes).ok())
            .filter(|assignment| assignment.spec.workload_ref.uid == workload)
            .filter(|assignment| assignment.metadata.deletion_timestamp.is_none())
            .collect()
    }

    async fn trigger_on(&self, assignment: Assignment, request_id: &str) -> NodeAnswer {
        let node = assignment.spec.node_name;
        let refused =
            |node_name: String, why: &str| NodeAnswer { node_name, run: None, refused: Some(why.into()) };
        let Some(handle) = self.0.registry.get(&node) else {
            return refused(node, "the node has no session with the server");
        };
        let (answer, answered) = oneshot::channel();
        let command = Command::Trigger {
            request_id: request_id.to_owned(),
            assignment_uid: assignment.metadata.uid,
            answer,
        };
        let asked = async {
            handle.commands.send(command).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(result)) => NodeAnswer { node_name: node, run: result.run, refused: result.refused },
            Ok(None) => refused(node, "the session ended before the node answered; the run may have started"),
            Err(_) => refused(node, "the node did not answer in time; the run may have started"),
        }
    }
}
