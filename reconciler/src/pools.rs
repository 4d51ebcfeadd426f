//! NodePools: how many nodes each has, and how many of them are Ready.

use drover_client::{Key, WorkQueue};
use drover_plan::fleet::node::count_pool;
use drover_types::Kind;
use drover_types::kinds::{Node, NodePool};

use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::queues::Which;
use crate::shared::Shared;

/// The controller of NodePools.
pub(crate) struct Pools;

impl Controller for Pools {
    type Key = Which;
    const NAME: &'static str = "pools";

    fn queue(shared: &Shared) -> &WorkQueue<Which> {
        &shared.queues.pools
    }

    fn all(shared: &Shared) -> Vec<Which> {
        shared.view.pools.list().into_iter().map(|(key, _)| Which::One(key.name)).collect()
    }

    async fn reconcile(shared: &Shared, which: &Which) -> Result<Next, Error> {
        let Which::One(name) = which else {
            for key in Self::all(shared) {
                // Full: everything is looked at again as soon as there is room.
                let _ = shared.queues.pools.add(key);
            }
            return Ok(Next::Done);
        };
        let key = Key { namespace: String::new(), name: name.clone() };
        let Some(pool) = shared.view.pools.get(&key) else { return Ok(Next::Done) };
        let (pools, nodes) = (shared.view.all_pools(), shared.view.all_nodes());
        let pools: Vec<&NodePool> = pools.iter().map(|pool| &**pool).collect();
        let nodes: Vec<&Node> = nodes.iter().map(|node| &**node).collect();
        let next = count_pool(&pool, &pools, &nodes, shared.world.clock.now());
        if pool.status.as_ref() != Some(&next) {
            let mut said = (*pool).clone();
            said.status = Some(next);
            shared.api.replace_status(Kind::NodePool, &key, &said).await?;
        }
        Ok(Next::Done)
    }
}
