//! Runs whose agent cannot speak for them: unreachable while it may come back, Lost once it cannot.

use drover_client::{Key, WorkQueue};
use drover_plan::fleet::run::{RunVerdict, judge};
use drover_types::Kind;
use drover_types::kinds::run::{RunPhase, RunStatus};
use drover_types::kinds::{Assignment, Node};
use serde_json::{Value, json};

use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::shared::Shared;
use crate::view::SlimRun;

/// The controller of Runs that go on.
pub(crate) struct Runs;

impl Controller for Runs {
    type Key = Key;
    const NAME: &'static str = "runs";

    fn queue(shared: &Shared) -> &WorkQueue<Key> {
        &shared.queues.runs
    }

    fn all(shared: &Shared) -> Vec<Key> {
        shared.index.runs.open()
    }

    async fn reconcile(shared: &Shared, key: &Key) -> Result<Next, Error> {
        settle(shared, key).await
    }
}

/// Writes what is to be said of one Run.
pub(crate) async fn settle(shared: &Shared, key: &Key) -> Result<Next, Error> {
    let Some(run) = shared.view.runs.get(key) else { return Ok(Next::Done) };
    let node = shared.view.nodes.get(&Key { namespace: String::new(), name: run.0.spec.node_name.clone() });
    let assignment = shared.index.assignments.get(&assignment_of(key, &run));
    let verdict = decide(shared, &run, node.as_deref(), assignment.as_deref());
    let Some(next) = verdict.next else { return Ok(verdict.wake_at.into()) };
    if next.phase != RunPhase::Lost {
        write(shared, &run, &next).await?;
        return Ok(verdict.wake_at.into());
    }
    // That is for good: once more, on what the server has now.
    let node = shared.fresh_node(&run.0.spec.node_name).await?;
    let assignment: Option<Assignment> = shared.api.get(Kind::Assignment, &assignment_of(key, &run)).await?;
    let verdict = decide(shared, &run, node.as_ref(), assignment.as_ref());
    if let Some(next) = verdict.next {
        write(shared, &run, &next).await?;
    }
    Ok(verdict.wake_at.into())
}

fn assignment_of(key: &Key, run: &SlimRun) -> Key {
    Key { namespace: key.namespace.clone(), name: run.0.spec.assignment_ref.clone() }
}

fn decide(
    shared: &Shared,
    run: &SlimRun,
    node: Option<&Node>,
    assignment: Option<&Assignment>,
) -> RunVerdict {
    judge(&run.0, node, assignment, shared.world.clock.now())
}

/// Only what a verdict changes: the output that the copy does not have stays.
async fn write(shared: &Shared, run: &SlimRun, next: &RunStatus) -> Result<(), Error> {
    let mut change = json!({
        "conditions": serde_json::to_value(&next.conditions).map_err(Error::Encode)?,
    });
    let phase_before = run.0.status.as_ref().map(|status| status.phase);
    if phase_before != Some(next.phase) {
        change["phase"] = serde_json::to_value(next.phase).map_err(Error::Encode)?;
        change["pid"] = next.pid.map_or(Value::Null, Value::from);
        change["finishedAt"] = serde_json::to_value(next.finished_at).map_err(Error::Encode)?;
        change["reason"] = next.reason.clone().into();
        change["message"] = next.message.clone().into();
    }
    Ok(shared.api.patch_status(Kind::Run, &run.0.metadata, change).await?)
}
