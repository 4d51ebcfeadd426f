//! Nodes: whether each is Ready, and which pool's settings it has.

use drover_client::{Key, WorkQueue};
use drover_plan::fleet::node::{judge, ready_condition};
use drover_types::kinds::{Node, NodePool};
use drover_types::{ConditionStatus, Kind};
use serde_json::{Value, json};

use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::events::About;
use crate::queues::Which;
use crate::shared::Shared;

/// The controller of Nodes.
pub(crate) struct Nodes;

impl Controller for Nodes {
    type Key = Which;
    const NAME: &'static str = "nodes";

    fn queue(shared: &Shared) -> &WorkQueue<Which> {
        &shared.queues.nodes
    }

    fn all(shared: &Shared) -> Vec<Which> {
        shared.view.nodes.list().into_iter().map(|(key, _)| Which::One(key.name)).collect()
    }

    async fn reconcile(shared: &Shared, which: &Which) -> Result<Next, Error> {
        let Which::One(name) = which else {
            for key in Self::all(shared) {
                // Full: everything is looked at again as soon as there is room.
                let _ = shared.queues.nodes.add(key);
            }
            return Ok(Next::Done);
        };
        let Some(node) = shared.view.nodes.get(&Key { namespace: String::new(), name: name.clone() }) else {
            return Ok(Next::Done);
        };
        let pools = shared.view.all_pools();
        let pools: Vec<&NodePool> = pools.iter().map(|pool| &**pool).collect();
        let verdict = judge(&node, &pools, shared.world.clock.now());
        let mut status = node.status.clone().unwrap_or_default();
        if verdict.apply(&mut status) {
            // The apiserver and the agent write the other members.
            let change = json!({
                "observedGeneration": status.observed_generation,
                "conditions": serde_json::to_value(&status.conditions).map_err(Error::Encode)?,
                "pool": status.pool.map_or(Value::Null, Value::from),
            });
            shared.api.patch_status(Kind::Node, &node.metadata, change).await?;
            tell(shared, &node, verdict.ready.status, &verdict.ready.message);
        }
        Ok(verdict.wake_at.into())
    }
}

fn tell(shared: &Shared, node: &Node, now: ConditionStatus, message: &str) {
    let before = ready_condition(node).map(|condition| condition.status);
    if before == Some(now) {
        return;
    }
    let about = About::of(Kind::Node, &node.metadata);
    match now {
        ConditionStatus::True => shared.recorder.tell(&about, "NodeReady", "Its agent is connected."),
        // A node that was never there did not go.
        ConditionStatus::False | ConditionStatus::Unknown if before.is_some() => {
            shared.recorder.warn(&about, "NodeOffline", message);
        }
        ConditionStatus::False | ConditionStatus::Unknown => {}
    }
}
