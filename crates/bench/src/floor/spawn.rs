//! What starting processes costs, with nothing recorded of it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Result;

use crate::beacon::Beacons;
use crate::clock;
use crate::stats::Round;

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// `/bin/true` started and waited for, from so many threads at once: posix_spawn, as nothing is asked of the child.
pub(crate) fn true_rate(threads: usize, seconds: f64) -> Result<Round> {
    let begun = clock::mono();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            std::thread::spawn(move || {
                let mut count = 0_u64;
                while clock::seconds_since(begun) < seconds {
                    quiet(Path::new("/bin/true")).status()?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    let mut count = 0;
    for worker in workers {
        count += worker.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(Round::one("rate", count as f64 / clock::seconds_since(begun), count))
}

/// From a kill to the next first instruction: a loop that waits for a process and starts the next.
pub(crate) async fn supervise(beacon: &Path, dir: &Path, kills: usize) -> Result<Round> {
    let mut beacons = Beacons::listen(dir, "floor")?;
    let start =
        |socket: &Path| -> Result<Child> { Ok(quiet(beacon).arg(socket).args(["floor", "stay"]).spawn()?) };
    let mut child = start(&beacons.socket)?;
    beacons.next().await?;
    let mut latencies = Vec::new();
    for _ in 0..kills {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let socket = beacons.socket.clone();
        let program = beacon.to_owned();
        let mut dying = child;
        let pid = i32::try_from(dying.id())?;
        let waiter = std::thread::spawn(move || -> Result<Child> {
            dying.wait()?;
            Ok(quiet(&program).arg(&socket).args(["floor", "stay"]).spawn()?)
        });
        // Let it wait before there is something to wait for.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let killed = clock::mono();
        crate::processes::signal(pid, rustix::process::Signal::KILL);
        let seen = beacons.next().await?;
        latencies.push(seen.mono.saturating_sub(killed));
        child = waiter.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    child.kill()?;
    child.wait()?;
    Ok(Round::latencies("", latencies))
}

/// Lateness of processes started at one instant by a thread that slept until then.
pub(crate) async fn at_one_instant(beacon: &Path, dir: &Path, count: usize) -> Result<Round> {
    let mut beacons = Beacons::listen(dir, "floor")?;
    let due = clock::mono() + 200_000_000;
    let (program, socket) = (beacon.to_owned(), beacons.socket.clone());
    let starter = std::thread::spawn(move || -> Result<Vec<Child>> {
        std::thread::sleep(std::time::Duration::from_nanos(due.saturating_sub(clock::mono())));
        (0..count).map(|_| Ok(quiet(&program).arg(&socket).arg("floor").spawn()?)).collect()
    });
    let mut latencies = Vec::new();
    for _ in 0..count {
        latencies.push(beacons.next().await?.mono.saturating_sub(due));
    }
    for mut child in starter.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?? {
        child.wait()?;
    }
    Ok(Round::latencies("", latencies))
}
