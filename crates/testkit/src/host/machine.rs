//! The host itself, as its agent asks about it.

use std::any::Any;
use std::io;
use std::path::Path;

use drover_node_agent::{LockError, Machine};
use drover_wire::NodeFacts;

use super::SimHost;
use crate::step::node_name;

/// A simulated host's identity.
#[derive(Clone)]
pub struct SimMachine(pub SimHost);

impl Machine for SimMachine {
    fn boot_id(&self) -> io::Result<String> {
        Ok(self.0.boot_id())
    }

    fn facts(&self) -> NodeFacts {
        let node = self.0.node();
        NodeFacts {
            os: "Sim".into(),
            kernel: "1".into(),
            arch: "x86_64".into(),
            cpus: 2,
            memory_bytes: 1 << 30,
            hostname: node_name(node),
            addresses: vec![format!("10.0.{}.{}", node / 250, node % 250 + 1)],
            tzdb_version: "bundled".into(),
        }
    }

    fn lock(&self, _: &Path) -> Result<Box<dyn Any + Send>, LockError> {
        // One life at a time is what the run sees to.
        Ok(Box::new(()))
    }
}
