//! What every row is given: the programs, a folder on the disk that is measured, and how rounds are taken.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::contest::{self, Contestant, Outcome, Rules};
use crate::foreign::Foreign;
use crate::peer::Peers;
use crate::product::server::Server;

/// The context of a whole run.
pub(crate) struct Bench {
    pub(crate) dir: PathBuf,
    pub(crate) drover: PathBuf,
    pub(crate) beacon: PathBuf,
    pub(crate) foreign: Foreign,
    pub(crate) peers: Peers,
    pub(crate) rules: Rules,
    pub(crate) quick: bool,
    pub(crate) full: bool,
}

impl Bench {
    /// An empty folder, gone with its guard.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("d").rand_bytes(4).tempdir_in(&self.dir)?)
    }

    /// A server on a fresh data directory below `folder`.
    pub(crate) async fn server(&self, folder: &TempDir) -> Result<Server> {
        Server::start(&self.drover, &folder.path().join("server")).await
    }

    /// Lets contestants take turns.
    pub(crate) async fn contest(&self, row: &str, contestants: Vec<Contestant<'_>>) -> Result<Vec<Outcome>> {
        contest::contest(&self.foreign, self.rules, row, contestants).await
    }

    /// A number of samples, or a tenth of it where it is only to be seen that it works.
    pub(crate) fn samples(&self, number: usize) -> usize {
        if self.quick { (number / 10).max(3) } else { number }
    }

    /// A time that is measured for, or a part of it.
    pub(crate) fn lasting(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { (seconds / 4.0).max(0.5) } else { seconds })
    }
}
