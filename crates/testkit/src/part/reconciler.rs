//! The reconciler, which lives in the server's process: it goes with it, and crashes alone too.

use std::sync::Arc;

use drover_client::Client;
use drover_reconciler::{Options, Reconciler};
use drover_world::World;

use super::{Orders, ServerSite, live};
use crate::disk::SimDisk;
use crate::history::History;
use crate::life::LaterOn;
use crate::net::{Link, SimDial};
use crate::seed::Seed;
use crate::step::{Event, Part};

/// What is needed to run reconcilers one after the other. Cheap to clone.
#[derive(Clone)]
pub struct ReconcilerSite {
    /// Where chance comes from.
    pub seed: Seed,
    /// Where steps are recorded.
    pub history: History,
    /// Beside which server.
    pub server: ServerSite,
    /// Over which link to it.
    pub link: Link,
    /// How it is crashed.
    pub orders: Orders,
}

impl ReconcilerSite {
    /// Runs reconcilers for ever.
    pub async fn run(self) {
        for number in 0_u64.. {
            let (server, _, token) = self.server.up().await;
            let life = self.orders.begin(&SimDisk::default());
            self.history.step(Part::Reconciler, Event::Up);
            let world = World {
                clock: Arc::new(self.server.clock().clone()),
                entropy: Arc::new(self.seed.entropy(&format!("reconciler/{number}"))),
                blocking: Arc::new(LaterOn(life.clone())),
            };
            let dial =
                SimDial { life: life.clone(), link: self.link.clone(), far: Arc::new(self.server.clone()) };
            let client = Client::new(Arc::new(dial), "sim").and_then(|client| client.with_token(&token));
            let work = async {
                let client = match client {
                    Ok(client) => client.with_entropy(Arc::clone(&world.entropy)),
                    Err(error) => return error.to_string(),
                };
                let reconciler = Reconciler::new(client, world.clone(), Options::default());
                tokio::select! {
                    biased;
                    () = server.ended() => "the server crashed".to_owned(),
                    () = reconciler.run(std::future::pending()) => "ended by itself".to_owned(),
                }
            };
            let how = live(&life, work).await;
            let order = self.orders.take();
            self.history.step(Part::Reconciler, Event::Down(how));
            self.link.cut();
            if !server.is_over() {
                tokio::time::sleep(order.down).await;
            }
        }
    }
}
