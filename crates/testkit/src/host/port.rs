//! The host as one life of its agent sees it: nothing reaches it any more from one that has crashed.

use std::io;
use std::path::Path;

use drover_node_agent::{Host, Look, Output, Ready, Watch};
use drover_spawn::process::Signal;
use drover_spawn::segments::{Item, Record};
use drover_spawn::{RunSpec, RunState, SpawnError, Started};

use super::SimHost;
use super::processes::SimReady;
use crate::life::Life;

/// A host through one life.
#[derive(Clone)]
pub struct Port {
    /// The host.
    pub host: SimHost,
    /// Whose calls they are.
    pub life: Life,
}

/// A keeper that waits for this life's agent.
struct PortReady {
    keeper: SimReady,
    life: Life,
}

impl Ready for PortReady {
    fn go(self: Box<Self>) -> Result<Vec<Watch>, SpawnError> {
        self.life.operate().map_err(|error| SpawnError::Io("the agent", error))?;
        Ok(self.keeper.go())
    }
}

impl Host for Port {
    fn ready(&self, run_dir: &Path, spec: RunSpec) -> Result<Box<dyn Ready>, SpawnError> {
        self.life.operate().map_err(|error| SpawnError::Io("the agent", error))?;
        let keeper = self.host.ready(run_dir, spec)?;
        Ok(Box::new(PortReady { keeper, life: self.life.clone() }))
    }

    fn user_variables(&self, _: Option<&str>) -> io::Result<Vec<(&'static str, String)>> {
        Ok(vec![("HOME", "/root".into()), ("USER", "root".into())])
    }

    fn look(&self, run_dir: &Path) -> io::Result<Look> {
        self.life.operate()?;
        self.host.look(run_dir)
    }

    fn watch(&self, run_dir: &Path) -> io::Result<Watch> {
        self.life.operate()?;
        Ok(self.host.watch(run_dir))
    }

    fn signal(&self, started: &Started, signal: Signal) -> io::Result<()> {
        self.life.operate()?;
        self.host.signal(started, signal);
        Ok(())
    }

    fn end(&self, run_uid: &str, _: &RunState) -> io::Result<bool> {
        self.life.operate()?;
        self.host.end(run_uid);
        Ok(true)
    }

    fn tail(&self, run_dir: &Path, bytes: usize) -> io::Result<Vec<u8>> {
        self.life.operate()?;
        let all = self.host.output(run_dir);
        let text: Vec<u8> = all.into_iter().flat_map(|record| record.payload).collect();
        Ok(text[text.len().saturating_sub(bytes)..].to_vec())
    }

    fn output(&self, run_dir: &Path, from: u64) -> Box<dyn Output> {
        let records = self.host.output(run_dir).into_iter().filter(|record| record.sequence >= from);
        Box::new(Records(records.collect::<Vec<_>>().into_iter()))
    }
}

/// Records that were there when the reading began.
struct Records(std::vec::IntoIter<Record>);

impl Output for Records {
    fn next(&mut self) -> io::Result<Option<Item>> {
        Ok(self.0.next().map(Item::Record))
    }
}
