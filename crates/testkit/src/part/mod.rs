//! The parts of the cluster, each started again after every crash: server, reconciler, agents, and those who use the
//! API.

mod client;
mod node;
mod reconciler;
mod server;
mod witness;

pub use client::Caller;
pub use node::NodeSite;
pub use reconciler::ReconcilerSite;
pub use server::ServerSite;
pub use witness::watch_everything;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::disk::SimDisk;
use crate::life::Life;

/// How a part is to come down, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// It comes at a step of its disk, and not at an operation of its own.
    pub at_disk: bool,
    /// The power goes, too: what is not synced is lost, and every process of the host with it.
    pub power: bool,
    /// How long it stays down.
    pub down: Duration,
}

impl Default for Order {
    fn default() -> Self {
        Self { at_disk: false, power: false, down: Duration::from_secs(5) }
    }
}

/// The life that a part has now, and what is ordered for its end. Cheap to clone.
#[derive(Clone, Default)]
pub struct Orders(Arc<Mutex<(Option<Life>, Option<Order>)>>);

impl Orders {
    fn begin(&self, disk: &SimDisk) -> Life {
        let life = Life::new(disk.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Some(life.clone()), None);
        life
    }

    fn take(&self) -> Order {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.0 = None;
        held.1.take().unwrap_or_default()
    }

    /// What was ordered and has not come is not to come.
    pub fn spare(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(life) = held.0.as_ref().filter(|life| !life.is_over()) {
            life.disarm();
            held.1 = None;
        }
    }

    /// Crashes the part after so many operations more, if it is up and not about to; whether it is so.
    pub fn crash(&self, order: Order, operations: u64) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(life), None) = (&held.0, &held.1) else { return false };
        if order.at_disk {
            life.arm_disk(operations);
        } else {
            life.arm(operations);
        }
        held.1 = Some(order);
        true
    }
}

/// Resolves a while after the life is over, also if nothing is done in it.
async fn notice(life: &Life) {
    while life.look() {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// Runs a part until its life is over or it ends by itself; how. Whatever is left of it is dropped then.
async fn live(life: &Life, part: impl Future<Output = String>) -> String {
    let how = tokio::select! {
        biased;
        () = life.ended() => "crashed".to_owned(),
        how = part => how,
        // One that does nothing at all does not notice that its disk is frozen.
        () = notice(life) => "crashed".to_owned(),
    };
    if !life.is_over() {
        life.end();
    }
    how
}
