//! What a keeper does, from the start of its process to the record of its end.

use std::path::PathBuf;
use std::time::Duration;

use drover_spawn::leash::Pull;
use drover_spawn::process::Signal;
use drover_spawn::segments::{Record, Stream};
use drover_spawn::state::{Event as Line, FailedToStart, STATE_FILE};
use drover_spawn::{Clocks, Exited, Leash, Outcome, ProcessId, Started};
use drover_world::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::SimHost;
use super::behaviour::Behaviour;
use crate::step::{Event, Process};

/// How often the lease of a run that has one is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How soon after the end of its process a keeper that is held up records the code.
const EARLY: Duration = Duration::from_millis(100);
/// Records of output that are kept.
const OUTPUT: usize = 64;
/// No process ends by itself later than this.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A keeper's business.
pub(super) struct Keeping {
    pub(super) host: SimHost,
    pub(super) dir: PathBuf,
    pub(super) process: Process,
    /// The keeper's and the child's.
    pub(super) ids: (ProcessId, ProcessId),
    pub(super) behaviour: Behaviour,
    pub(super) leash: Option<Leash>,
    pub(super) started: CancellationToken,
    pub(super) signals: mpsc::UnboundedReceiver<Signal>,
}

/// Holds one run, once it is wanted. Dropped where the keeper is killed.
pub(super) async fn keep(mut keeping: Keeping, told: oneshot::Receiver<()>) {
    // Getting ready and being told overlap.
    let (told, ()) = tokio::join!(told, sleep(keeping.behaviour.starts_in));
    if told.is_ok() && keeping.begin() {
        keeping.started.cancel();
        let outcome = keeping.live().await;
        keeping.end(outcome).await;
    }
    keeping.started.cancel();
    let keeper = keeping.host.lock().keepers.remove(&keeping.dir);
    if let Some(keeper) = keeper {
        keeper.ended.cancel();
    }
}

impl Keeping {
    /// `started` is on disk before the process does anything.
    fn begin(&mut self) -> bool {
        let started = Started {
            run_uid: self.process.run_uid.clone(),
            keeper: self.ids.0,
            child: self.ids.1,
            boot_id: self.host.boot_id(),
            at: self.clocks(),
            cgroup: None,
            output_pipes: Vec::new(),
        };
        if let Err(error) = self.record(&Line::Started(started)) {
            let failed = FailedToStart { reason: format!("state file: {error}"), at: self.clocks() };
            // A disk that takes neither: then nothing is known, and nothing ran.
            let _ = self.record(&Line::FailedToStart(failed));
            return false;
        }
        let uid = self.process.run_uid.clone();
        self.host.lock().children.insert(uid, (self.ids.1, self.process.clone()));
        self.host.history.step(self.host.part(), Event::Started(self.process.clone()));
        let wall_ns = self.clocks().wall_ns;
        let mut offset = 0;
        let mut records = Vec::new();
        for sequence in 0..self.behaviour.lines {
            let payload = format!("line {sequence} of {}\n", self.process.run_uid).into_bytes();
            let length = payload.len() as u64;
            records.push(Record { sequence, stream: Stream::Stdout, wall_ns, offset, payload });
            offset += length;
        }
        let mut inner = self.host.lock();
        while inner.output.len() >= OUTPUT {
            inner.output.pop_first();
        }
        inner.output.insert(self.dir.clone(), records);
        true
    }

    /// Until the process ends, by itself or not.
    async fn live(&mut self) -> Outcome {
        let by_itself = Instant::now() + self.behaviour.lives.unwrap_or(FOR_EVER);
        let mut asked: Option<Instant> = None;
        let mut look = Instant::now() + if self.leash.is_some() { LOOK } else { FOR_EVER };
        loop {
            let end = asked.map_or(by_itself, |asked| asked.min(by_itself));
            tokio::select! {
                biased;
                signal = self.signals.recv() => match signal {
                    Some(Signal::KILL) | None => return Outcome::Signal(9),
                    Some(_) => self.ask(&mut asked),
                },
                () = sleep_until(end) => {
                    return if end == by_itself { self.behaviour.outcome } else { Outcome::Signal(15) };
                }
                () = sleep_until(look) => {
                    look = Instant::now() + LOOK;
                    match self.pull() {
                        Pull::Wait => {}
                        Pull::Ask => self.ask(&mut asked),
                        Pull::Kill => return Outcome::Signal(9),
                    }
                }
            }
        }
    }

    fn ask(&self, asked: &mut Option<Instant>) {
        if let Some(ends_in) = self.behaviour.ends_in {
            asked.get_or_insert_with(|| Instant::now() + ends_in);
        }
    }

    fn pull(&mut self) -> Pull {
        let now = u64::try_from(self.host.clock.boottime().as_millis()).unwrap_or(u64::MAX);
        let Some(leash) = &mut self.leash else { return Pull::Wait };
        let (disk, file) = (self.host.disk.clone(), leash.file.clone());
        leash.pull_by(now, || String::from_utf8(disk.read(&file, 256).ok()?).ok())
    }

    async fn end(&mut self, outcome: Outcome) {
        let at = self.clocks();
        let uid = self.process.run_uid.clone();
        self.host.lock().children.remove(&uid);
        self.host.history.step(self.host.part(), Event::Ended(self.process.clone(), outcome));
        let lingers = self.behaviour.lingers;
        if lingers > EARLY {
            sleep(EARLY).await;
            // A disk that fails here may take the second one.
            let _ = self.record(&Line::Exited(exited(outcome, at, false)));
        }
        sleep(lingers).await;
        let _ = self.record(&Line::Exited(exited(outcome, at, true)));
    }

    fn record(&self, line: &Line) -> std::io::Result<()> {
        let mut file = self.host.disk.append(&self.dir.join(STATE_FILE), 0o600)?;
        file.append(&line.encode()?)?;
        file.sync()
    }

    fn clocks(&self) -> Clocks {
        let wall = self.host.clock.now().as_nanosecond();
        let boot = self.host.clock.boottime().as_nanos();
        Clocks {
            wall_ns: i64::try_from(wall).unwrap_or(i64::MAX),
            boot_ns: i64::try_from(boot).unwrap_or(i64::MAX),
        }
    }
}

fn exited(outcome: Outcome, at: Clocks, complete: bool) -> Exited {
    Exited {
        outcome,
        at,
        user_usec: 1000,
        system_usec: 500,
        max_rss_bytes: 1 << 20,
        complete,
        output_lost_bytes: 0,
        left_behind: 0,
    }
}
