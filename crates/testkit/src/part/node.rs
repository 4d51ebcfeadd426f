//! A host with its agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use drover_node_agent::{NodeOptions, ServerAddress, run_node};
use drover_world::World;

use super::{Orders, ServerSite, live};
use crate::clock::SimClock;
use crate::disk::SimDisk;
use crate::history::History;
use crate::host::{Port, SimHost, SimMachine};
use crate::life::{LaterOn, Life, LifeDisk};
use crate::net::{Direction, Link, SimDial};
use crate::seed::Seed;
use crate::step::{Event, Part, node_name};

/// What is needed to run agents, one after the other, on one host. Cheap to clone.
#[derive(Clone)]
pub struct NodeSite {
    /// Where chance comes from.
    pub seed: Seed,
    /// Where steps are recorded.
    pub history: History,
    /// The number of the host.
    pub node: usize,
    /// Its clocks.
    pub clock: SimClock,
    /// Its disk.
    pub disk: SimDisk,
    /// Its processes.
    pub host: SimHost,
    /// To which server.
    pub server: ServerSite,
    /// Over which link.
    pub link: Link,
    /// What lets it join.
    pub join_token: String,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
    /// How it is crashed.
    pub orders: Orders,
}

impl NodeSite {
    /// Runs agents for ever.
    pub async fn run(self) {
        let part = Part::Node(self.node);
        for number in 0_u64.. {
            let life = self.orders.begin(&self.disk);
            self.history.step(part, Event::Up);
            let options = self.options(&life, number);
            let work = async {
                match run_node(options, std::future::pending()).await {
                    Ok(()) => "ended by itself".to_owned(),
                    Err(error) => format!("ended: {error}"),
                }
            };
            let how = live(&life, work).await;
            let order = self.orders.take();
            if order.power {
                self.disk.freeze();
            }
            self.history.step(part, Event::Down(how));
            if order.power {
                // Nobody is left to say that connections are gone.
                self.link.hold(Direction::Up);
                self.link.hold(Direction::Down);
                self.host.crash();
            } else {
                self.link.cut();
            }
            tokio::time::sleep(order.down).await;
            if order.power {
                self.disk.restart(Some(&mut self.seed.stream(&format!("{part}/power/{number}"))));
                self.clock.reboot();
                self.link.cut();
                self.link.release();
            }
        }
    }

    fn options(&self, life: &Life, number: u64) -> NodeOptions {
        let name = node_name(self.node);
        let dial =
            SimDial { life: life.clone(), link: self.link.clone(), far: Arc::new(self.server.clone()) };
        NodeOptions {
            server: ServerAddress::InProcess(Arc::new(dial)),
            node_name: name.clone(),
            data_dir: PathBuf::from("/var/lib/drover"),
            search_path: "/bin".into(),
            join_token: Some(self.join_token.clone()),
            credential: None,
            labels: self.labels.clone(),
            world: World {
                clock: Arc::new(self.clock.clone()),
                entropy: Arc::new(self.seed.entropy(&format!("{name}/{number}"))),
                blocking: Arc::new(LaterOn(life.clone())),
            },
            disk: Arc::new(LifeDisk { disk: Arc::new(self.disk.clone()), life: life.clone() }),
            host: Some(Arc::new(Port { host: self.host.clone(), life: life.clone() })),
            machine: Arc::new(SimMachine(self.host.clone())),
        }
    }
}
