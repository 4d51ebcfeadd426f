//! Ends what a stopped agent left running, for whoever is done with a host: `drover dev` at Ctrl-C. Never part of an
//! agent's own end, which leaves processes alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover_spawn::process::Signal;
use drover_spawn::{RunState, keeper_process};
use futures_util::future::join_all;

use crate::host::Host;

/// How long processes get to end by themselves.
const GRACE: Duration = Duration::from_secs(10);

/// Sends SIGTERM to the main process of every run below an agent's data directory, waits up to ten seconds, and kills
/// what is left. Returns how many runs were alive. The agent must have stopped; its next start finds how they ended.
pub async fn end_runs(host: Arc<dyn Host>, data_dir: &Path) -> io::Result<usize> {
    let runs = alive(&*host, &data_dir.join("runs"))?;
    let mut ends = Vec::new();
    for (dir, state) in &runs {
        if let Some(started) = state.started() {
            host.signal(started, Signal::TERM)?;
            ends.push(host.watch(dir)?);
        }
    }
    // Whether all have ended in time is seen below.
    let _ = tokio::time::timeout(GRACE, join_all(ends)).await;
    for (dir, state) in &runs {
        if host.look(dir)?.alive {
            let (host, state) = (Arc::clone(&host), state.clone());
            let uid = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            tokio::task::spawn_blocking(move || host.end(&uid, &state)).await??;
        }
    }
    Ok(runs.len())
}

fn alive(host: &dyn Host, runs: &Path) -> io::Result<Vec<(PathBuf, RunState)>> {
    let found = match keeper_process::list(runs) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut alive = Vec::new();
    for (dir, _) in found {
        let look = host.look(&dir)?;
        if look.alive {
            alive.push((dir, look.state));
        }
    }
    Ok(alive)
}
