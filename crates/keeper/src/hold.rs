//! From the start of the child to the record of its end.

use std::io;
use std::os::fd::OwnedFd;

use drover_spawn::child::{Child, Reap, Reaped, detach, reap, start};
use drover_spawn::leash::{Leash, Pull};
use drover_spawn::order::Order;
use drover_spawn::segments::{Stream, Writer};
use drover_spawn::state::StateFile;
use drover_spawn::{Clocks, Exited, ProcessId, RunSpec, Signal, Tree, cgroup};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};

const BUFFER: usize = 64 << 10;
/// The longest wait of one round after the child's end.
const ROUND: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// How often the lease of a run that has one is looked at: the clock that a wait goes by stands still in a suspended
/// machine, and the one that leases go by does not.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// After so many rounds the exit code is recorded even though the tree or its output is not done with.
const EARLY: u32 = 10;
/// After so many it ends: what is still there is stuck in the kernel.
const GIVE_UP: u32 = 500;

pub(crate) fn run(order: Order) -> io::Result<()> {
    let bell = detach()?;
    let Order { run_dir, spec, state, line } = order;
    let state = StateFile::of(state, &run_dir)?;
    let keeper = ProcessId::current()?;
    let mut spec = match RunSpec::read_from(spec) {
        Ok(spec) => spec,
        Err(error) if line.is_wanted() => {
            return state.failed_to_start(format!("keeper: {error}"), Clocks::now());
        }
        Err(_) => return Ok(()),
    };
    let child = match start(&spec, keeper, &state, &line) {
        Ok(child) => child,
        Err(reason) => {
            // Who is not wanted leaves no trace.
            let recorded =
                if line.is_wanted() { state.failed_to_start(reason, Clocks::now()) } else { Ok(()) };
            if let Some(dir) = &spec.cgroup {
                let _ = cgroup::remove(dir);
            }
            return recorded;
        }
    };
    drop(line);
    let stdin = spec.stdin.take().unwrap_or_default();
    let output = Writer::new(run_dir, spec.output);
    let tree = Tree::of_keeper(&spec.run_uid, keeper, child.id, spec.cgroup.clone());
    let group = spec.cgroup.clone();
    let mut leash = spec.leash.take();
    let mut end = LeashEnd { main: child.id, asked: false };
    // Environment and arguments may hold secrets, and are large: not kept for the life of the run.
    drop::<RunSpec>(spec);
    let mut hold = Hold {
        child_pid: child.id.pid,
        pipes: Pipes::new(child, stdin),
        bell,
        output,
        buffer: Vec::with_capacity(BUFFER),
        ended: None,
        childless: false,
    };
    while hold.ended.is_none() {
        hold.round(leash.as_ref().map(|_| &LOOK))?;
        if let Some(leash) = leash.as_mut().filter(|_| hold.ended.is_none()) {
            end.obey(leash, &tree)?;
        }
    }
    hold.finish(&state, &tree)?;
    if let Some(dir) = &group {
        let _ = cgroup::remove(dir);
    }
    Ok(())
}

/// Ends what a lease no longer allows. An agent that lives has done so before.
struct LeashEnd {
    main: ProcessId,
    asked: bool,
}

impl LeashEnd {
    fn obey(&mut self, leash: &mut Leash, tree: &Tree) -> io::Result<()> {
        let now_ms = u64::try_from(Clocks::now().boot_ns / 1_000_000).unwrap_or(0);
        match leash.pull(now_ms) {
            Pull::Wait => self.asked = false,
            Pull::Ask if self.asked => {}
            Pull::Ask => {
                self.asked = true;
                self.main.signal(Signal::from_named_raw(leash.signal).unwrap_or(Signal::TERM))?;
            }
            Pull::Kill => {
                tree.kill_once()?;
            }
        }
        Ok(())
    }
}

struct Hold {
    child_pid: i32,
    pipes: Pipes,
    bell: OwnedFd,
    output: Writer,
    /// Filled by the kernel and never cleared by us: of what no output has reached, no page is taken.
    buffer: Vec<u8>,
    ended: Option<(Reaped, Clocks)>,
    childless: bool,
}

/// Our ends of the child's pipes; each none when it is done with.
struct Pipes {
    stdin: Option<OwnedFd>,
    input: Vec<u8>,
    fed: usize,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Pipes {
    fn new(child: Child, input: Vec<u8>) -> Self {
        Self { stdin: child.stdin, input, fed: 0, stdout: Some(child.stdout), stderr: Some(child.stderr) }
    }

    /// Gives the child as much of its input as it takes now.
    fn feed(&mut self) {
        while let Some(fd) = &self.stdin {
            match write(fd, &self.input[self.fed..]) {
                Ok(count) if self.fed + count < self.input.len() => self.fed += count,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                // All given, or nobody is left to read it.
                Ok(_) | Err(_) => {
                    self.stdin = None;
                    self.input = Vec::new();
                }
            }
        }
    }
}

impl Hold {
    /// Waits for something to do and does it.
    fn round(&mut self, timeout: Option<&Timespec>) -> io::Result<()> {
        let mut wait = vec![PollFd::new(&self.bell, PollFlags::IN)];
        let pipes = [&self.pipes.stdout, &self.pipes.stderr];
        wait.extend(pipes.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        wait.extend(self.pipes.stdin.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
        match poll(&mut wait, timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let rang = !wait[0].revents().is_empty();
        drop(wait);
        self.pipes.feed();
        self.take(Stream::Stdout);
        self.take(Stream::Stderr);
        if rang {
            while read(&self.bell, &mut [0; 64]).is_ok_and(|count| count > 0) {}
            self.reap_all()?;
        }
        Ok(())
    }

    fn reap_all(&mut self) -> io::Result<()> {
        loop {
            match reap()? {
                Reap::Ended(reaped) if reaped.pid == self.child_pid && self.ended.is_none() => {
                    self.ended = Some((reaped, Clocks::now()));
                }
                Reap::Ended(_) => {}
                Reap::Running => return Ok(()),
                Reap::NoChildren => {
                    self.childless = true;
                    return Ok(());
                }
            }
        }
    }

    /// Stores one buffer of a stream; whether there was something.
    fn take(&mut self, stream: Stream) -> bool {
        let slot = match stream {
            Stream::Stdout => &mut self.pipes.stdout,
            Stream::Stderr => &mut self.pipes.stderr,
        };
        let Some(fd) = slot else { return false };
        self.buffer.clear();
        match read(&*fd, spare_capacity(&mut self.buffer)) {
            Ok(count) if count > 0 => {
                self.output.write(stream, Clocks::now().wall_ns, &self.buffer);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Ok(_) | Err(_) => {
                *slot = None;
                false
            }
        }
    }

    fn is_done(&self) -> bool {
        self.childless && self.pipes.stdout.is_none() && self.pipes.stderr.is_none()
    }

    /// The child has ended: takes the output that is still in the pipes, ends what it left behind, records the end.
    fn finish(&mut self, state: &StateFile, tree: &Tree) -> io::Result<()> {
        let Some((reaped, at)) = self.ended else { return Ok(()) };
        self.pipes.stdin = None;
        // What the child itself wrote is in the pipes by now, and a pipe holds sixteen buffers at the very most.
        for _ in 0..16 {
            let (out, err) = (self.take(Stream::Stdout), self.take(Stream::Stderr));
            if !out && !err {
                break;
            }
        }
        let mut rounds = 0;
        while !self.is_done() && rounds < GIVE_UP {
            if rounds == EARLY {
                let _ = self.output.sync();
                state.exited(self.record(reaped, at, None))?;
            }
            // Without a child of our own, by the rule of subreapers, nothing of the tree is left.
            if !self.childless {
                tree.kill_once()?;
            }
            self.round(Some(&ROUND))?;
            self.reap_all()?;
            rounds += 1;
        }
        // A disk that fails here has failed before, and the code matters more.
        let _ = self.output.sync();
        let left = if self.childless { 0 } else { tree.members().map_or(1, |members| members.len()) };
        state.exited(self.record(reaped, at, Some(left)))
    }

    fn record(&self, reaped: Reaped, at: Clocks, left: Option<usize>) -> Exited {
        Exited {
            outcome: reaped.outcome,
            at,
            user_usec: reaped.user_usec,
            system_usec: reaped.system_usec,
            max_rss_bytes: reaped.max_rss_bytes,
            complete: left.is_some(),
            output_lost_bytes: self.output.lost_bytes(),
            left_behind: left.unwrap_or(0).try_into().unwrap_or(u32::MAX),
        }
    }
}
