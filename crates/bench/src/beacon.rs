//! The processes that are started while a start is measured: built from C without a library, they send their own clock
//! over a datagram with their first instructions.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

const SOURCE: &str = include_str!("beacon.c");
/// How long a beacon may take to be seen before a row gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the program; the machine's C compiler, which SQLite needs anyhow, is the only tool.
pub(crate) fn build(dir: &Path) -> Result<PathBuf> {
    let (source, program) = (dir.join("beacon.c"), dir.join("beacon"));
    std::fs::write(&source, SOURCE)?;
    let done = Command::new("cc")
        .args([
            "-O2",
            "-static",
            "-nostdlib",
            "-ffreestanding",
            "-fno-builtin",
            "-fno-stack-protector",
            "-s",
            "-o",
        ])
        .args([&program, &source])
        .output()
        .context("starting cc")?;
    if !done.status.success() {
        bail!("the beacon does not build: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(program)
}

/// One process said that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// CLOCK_MONOTONIC at its first instruction, in nanoseconds.
    pub(crate) mono: u64,
    /// CLOCK_REALTIME then.
    pub(crate) real: u64,
    pub(crate) pid: i32,
    /// What it was told to call itself.
    pub(crate) tag: String,
    /// Its `DROVER_SCHEDULED_TIME`, or nothing.
    pub(crate) due: String,
}

/// Where beacons report.
pub(crate) struct Beacons {
    pub(crate) socket: PathBuf,
    seen: mpsc::UnboundedReceiver<Sighting>,
    stop: Arc<AtomicBool>,
}

impl Beacons {
    /// Listens, in a thread of its own: no beacon waits for what else is measured.
    pub(crate) fn listen(dir: &Path, name: &str) -> Result<Self> {
        let socket = dir.join(format!("{name}.sock"));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixDatagram::bind(&socket).with_context(|| format!("{}", socket.display()))?;
        listener.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (tell, seen) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while !stopped.load(Ordering::Relaxed) {
                let Ok(size) = listener.recv(&mut buffer) else { continue };
                if let Some(sighting) = read(&buffer[..size])
                    && tell.send(sighting).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { socket, seen, stop })
    }

    /// The next sighting, whoever it is of.
    pub(crate) async fn next(&mut self) -> Result<Sighting> {
        let seen = tokio::time::timeout(PATIENCE, self.seen.recv()).await;
        seen.context("no process was started within a minute")?.context("the listener ended")
    }

    /// The next one by this name; others are let go.
    pub(crate) async fn tagged(&mut self, tag: &str) -> Result<Sighting> {
        loop {
            let sighting = self.next().await?;
            if sighting.tag == tag {
                return Ok(sighting);
            }
        }
    }

    /// What came so far and was not asked for.
    pub(crate) fn drain(&mut self) -> Vec<Sighting> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

impl Drop for Beacons {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn read(message: &[u8]) -> Option<Sighting> {
    let word = |at: usize| Some(u64::from_ne_bytes(message.get(at..at + 8)?.try_into().ok()?));
    let mut texts = message.get(24..)?.split(|byte| *byte == 0);
    let mut text = || Some(String::from_utf8_lossy(texts.next()?).into_owned());
    Some(Sighting {
        mono: word(0)?,
        real: word(8)?,
        pid: i32::try_from(word(16)?).ok()?,
        tag: text()?,
        due: text().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_three_words_and_two_texts() {
        let mut message = Vec::new();
        for word in [5_u64, 6, 7] {
            message.extend(word.to_ne_bytes());
        }
        message.extend(b"tag\0 2026\0");
        let seen = read(&message).unwrap();
        assert_eq!(
            (seen.mono, seen.real, seen.pid, seen.tag.as_str(), seen.due.as_str()),
            (5, 6, 7, "tag", " 2026")
        );
        assert_eq!(read(&message[..20]), None);
    }
}
