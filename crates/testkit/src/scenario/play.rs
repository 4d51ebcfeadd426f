//! Does what is written, each deed at its time.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::JoinSet;

use super::{Act, Deed, Where, Who, Whose};
use crate::clock::Origin;
use crate::disk::SimDisk;
use crate::history::History;
use crate::net::{Direction, Link, Quality};
use crate::part::{Caller, NodeSite, Order, ReconcilerSite, ServerSite};
use crate::step::{Event, Part};

/// A disk with less room than this is full to whoever writes.
const NO_ROOM: u64 = 0;

/// All that deeds are done to. Cheap to clone.
#[derive(Clone)]
pub struct Stage {
    /// When the run began.
    pub origin: Origin,
    /// Where steps are recorded.
    pub history: History,
    /// Host of store and apiserver.
    pub server: ServerSite,
    /// The reconciler.
    pub reconciler: ReconcilerSite,
    /// All nodes.
    pub nodes: Vec<NodeSite>,
    /// Who calls the API.
    pub caller: Caller,
    /// The link of those who do.
    pub clients: Link,
    /// The link of the witness.
    pub witness: Link,
}

impl Stage {
    fn link(&self, which: Where) -> &Link {
        match which {
            Where::Node(node) => &self.nodes[node].link,
            Where::Reconciler => &self.reconciler.link,
            Where::Witness => &self.witness,
            Where::Client => &self.clients,
        }
    }

    fn disk(&self, whose: Whose) -> &SimDisk {
        match whose {
            Whose::Server => self.server.disk(),
            Whose::Node(node) => &self.nodes[node].disk,
        }
    }

    /// Everything works again, and goes on doing so.
    pub fn quiet(&self) {
        self.history.step(Part::World, Event::Quiet);
        self.server.orders().spare();
        self.reconciler.orders.spare();
        let links = [&self.clients, &self.witness, &self.reconciler.link];
        for link in self.nodes.iter().map(|node| &node.link).chain(links) {
            link.set_quality(Quality::near());
            link.set_refusing(false);
            link.release();
        }
        for node in &self.nodes {
            node.orders.spare();
            node.clock.put_right();
            node.disk.set_capacity(None);
            node.disk.fail_syncs(0);
        }
        self.server.disk().set_capacity(None);
        self.server.disk().fail_syncs(0);
    }

    fn fault(&self, what: String) {
        self.history.step(Part::World, Event::Fault(what));
    }
}

/// Does everything, and waits until the last has begun. What still lasts at the end goes with the tasks that are
/// returned.
pub async fn play(stage: &Stage, acts: &[Act]) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for act in acts {
        tokio::time::sleep(act.at.saturating_sub(stage.origin.elapsed())).await;
        while tasks.try_join_next().is_some() {}
        tasks.spawn(perform(stage.clone(), act.deed.clone()));
    }
    tasks
}

async fn perform(stage: Stage, deed: Deed) {
    if let Deed::Call { method, path, body } = &deed {
        // What became of it is in the history.
        let _ = stage.caller.call(method, path, body).await;
        return;
    }
    let what = deed.to_string();
    match deed {
        Deed::Call { .. } => {}
        Deed::Crash { who, power, at_disk, after, down } => {
            let order = Order { at_disk, power, down };
            let orders = match who {
                Who::Server => stage.server.orders(),
                Who::Reconciler => &stage.reconciler.orders,
                Who::Node(node) => &stage.nodes[node].orders,
            };
            if orders.crash(order, after) {
                stage.fault(what);
            }
        }
        Deed::Step { node, millis, time } => {
            stage.fault(what);
            let clock = &stage.nodes[node].clock;
            clock.step(SignedDuration::from_millis(millis));
            tokio::time::sleep(time).await;
            clock.put_right();
            stage.fault(format!("the wall clock of {} is right again", Part::Node(node)));
        }
        Deed::Suspend { node, time } => {
            stage.fault(what);
            stage.nodes[node].clock.suspend(time);
        }
        Deed::Cut(link) => {
            stage.fault(what);
            stage.link(link).cut();
        }
        Deed::Hold { link, direction, time } => {
            stage.fault(what);
            for way in [Direction::Up, Direction::Down] {
                if direction.is_none_or(|only| only == way) {
                    stage.link(link).hold(way);
                }
            }
            tokio::time::sleep(time).await;
            stage.link(link).release();
            stage.fault(format!("{link:?} is released"));
        }
        Deed::Refuse { link, time } => {
            stage.fault(what);
            let link = stage.link(link);
            link.set_refusing(true);
            link.cut();
            tokio::time::sleep(time).await;
            link.set_refusing(false);
        }
        Deed::Slow { link, delay, bandwidth, piece, time } => {
            stage.fault(what);
            let delay = Duration::from_millis(delay);
            let link = stage.link(link);
            link.set_quality(Quality { delay, jitter: delay, bandwidth, piece });
            tokio::time::sleep(time).await;
            link.set_quality(Quality::near());
        }
        Deed::Damage(link, direction) => {
            if stage.link(link).damage(direction) {
                stage.fault(what);
            }
        }
        Deed::KillKeeper { node, which } => {
            if stage.nodes[node].host.kill_keeper(which) {
                stage.fault(what);
            }
        }
        Deed::Full { whose, time } => {
            stage.fault(what);
            stage.disk(whose).set_capacity(Some(NO_ROOM));
            tokio::time::sleep(time).await;
            stage.disk(whose).set_capacity(None);
            stage.fault(format!("{whose:?} has room again"));
        }
        Deed::FailSyncs { whose, count } => {
            stage.fault(what);
            stage.disk(whose).fail_syncs(count);
        }
    }
}
