//! Assignments whose Node is gone: they are deleted, and no longer wait for an agent that will never report.

use drover_client::{Key, WorkQueue};
use drover_plan::fleet::assignment::is_for;
use drover_plan::fleet::garbage;
use drover_types::Kind;
use drover_types::kinds::Assignment;
use serde_json::json;

use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::runs;
use crate::shared::Shared;

/// The controller of Assignments that go.
pub(crate) struct Assignments;

impl Controller for Assignments {
    type Key = Key;
    const NAME: &'static str = "assignments";

    fn queue(shared: &Shared) -> &WorkQueue<Key> {
        &shared.queues.assignments
    }

    fn all(shared: &Shared) -> Vec<Key> {
        shared.index.assignments.keys()
    }

    async fn reconcile(shared: &Shared, key: &Key) -> Result<Next, Error> {
        let Some(held) = shared.index.assignments.get(key) else { return Ok(Next::Done) };
        if held.metadata.uid.is_empty() {
            // Only asked for so far. If it was made, the watch shows it and this is asked again.
            return Ok(Next::Done);
        }
        let name = &held.spec.node_name;
        let node = shared.view.nodes.get(&Key { namespace: String::new(), name: name.clone() });
        if node.is_some_and(|node| is_for(&held, &node)) {
            return Ok(Next::Done);
        }
        let node = shared.fresh_node(name).await?;
        if node.as_ref().is_some_and(|node| is_for(&held, node)) {
            // The copy is late; the node's arrival wakes nobody for this.
            return Ok(Next::Done);
        }
        // What a Task came to on a node outlives the node.
        if held.status.as_ref().is_some_and(|status| status.outcome.is_some())
            && held.metadata.deletion_timestamp.is_none()
        {
            return Ok(Next::Done);
        }
        for run in shared.index.runs.open_of_assignment(key) {
            runs::settle(shared, &run).await?;
        }
        leave(shared, key, &held, node.as_ref()).await?;
        Ok(Next::Done)
    }
}

async fn leave(
    shared: &Shared,
    key: &Key,
    held: &Assignment,
    node: Option<&drover_types::kinds::Node>,
) -> Result<(), Error> {
    if held.metadata.deletion_timestamp.is_none() {
        shared.api.delete(Kind::Assignment, key, &held.metadata.uid).await?;
        return Ok(());
    }
    if let Some(finalizers) = garbage::release(held, node) {
        let change = json!({"metadata": {"finalizers": finalizers}});
        shared.api.patch(Kind::Assignment, &held.metadata, change).await?;
    }
    Ok(())
}
