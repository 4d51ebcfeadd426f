//! A bad network: a TCP proxy in front of the server that does to one connection after the other what it is told.
//!
//! It knows nothing of what it carries. What it does depends on the scripts, a seed, and how the bytes come in.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cluster::PORT;
use crate::lan::{HUB, Lan};

/// The most bytes of one chunk.
const CHUNK: usize = 4096;
/// So many chunks of a slow connection are late, then it is cut.
const LATE_CHUNKS: usize = 20;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A bit of each chunk is flipped. One alone may mean nothing: TLS looks at half of the version in a record's head.
    Corrupt,
    /// Chunks come twice.
    Duplicate,
    /// A chunk changes places with the next.
    Reorder,
    /// Half a chunk arrives, then the connection is cut.
    Truncate,
    /// Nothing arrives any more, either way, and nobody is told: half open.
    Silent,
    /// Nothing arrives any more this way, and nobody is told.
    OneWay,
    /// Every chunk is late, then the connection is cut.
    Slow,
}

impl Fault {
    /// Whether the proxy leaves the end of the connection to those who hold it.
    pub(crate) fn is_left_to_the_ends(self) -> bool {
        !matches!(self, Self::Truncate | Self::Slow)
    }
}

/// The direction of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From agents to the server.
    Up,
    /// From the server to agents.
    Down,
}

/// What is to become of a connection, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    pub(crate) fault: Fault,
    pub(crate) way: Way,
    /// After so many chunks this way.
    pub(crate) after: usize,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    Agent,
    Server,
    Proxy,
}

struct Shared {
    scripts: Mutex<VecDeque<Script>>,
    done: Mutex<Vec<(Script, EndedBy)>>,
    open: Mutex<Vec<Arc<Pair>>>,
    random: Mutex<u64>,
    stop: AtomicBool,
}

impl Shared {
    /// The next connection gets this script. One that came while another had it has none, and may well stay: it is cut.
    fn give_back(&self, script: Script) {
        let mut waiting = self.scripts.lock().unwrap();
        waiting.push_front(script);
        self.cut_those_without_a_script();
    }

    /// To be called with `scripts` locked: whoever comes meanwhile is open by then, or gets one.
    fn cut_those_without_a_script(&self) {
        for pair in self.open.lock().unwrap().iter().filter(|pair| pair.script.is_none()) {
            pair.end(EndedBy::Proxy);
        }
    }

    /// A number below `bound`: splitmix64.
    fn below(&self, bound: usize) -> usize {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// A connection through the proxy.
struct Pair {
    agent: TcpStream,
    server: TcpStream,
    script: Option<Script>,
    struck: AtomicBool,
    /// Nothing passes any more.
    silent: AtomicBool,
    ended: Mutex<Option<EndedBy>>,
}

impl Pair {
    fn end(&self, by: EndedBy) {
        self.ended.lock().unwrap().get_or_insert(by);
        let _ = self.agent.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// The proxy; when it goes, so do its connections.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    /// Where it listens, at the server's address.
    pub(crate) port: u16,
}

impl Proxy {
    /// Starts one in the server's namespace, which passes everything on until it is given scripts.
    pub(crate) fn start(lan: &Lan, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            scripts: Mutex::default(),
            done: Mutex::default(),
            open: Mutex::default(),
            random: Mutex::new(seed),
            stop: AtomicBool::new(false),
        });
        let (space, serving) = (lan.hub_space(), Arc::clone(&shared));
        let (told, port) = std::sync::mpsc::channel();
        // The namespace is the thread's, and that of the threads that it starts.
        std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let listener = TcpListener::bind((HUB, 0)).unwrap();
            told.send(listener.local_addr().unwrap().port()).unwrap();
            for agent in listener.incoming() {
                if serving.stop.load(Ordering::SeqCst) {
                    return;
                }
                // A server that is down refuses; the agent finds out by the end of its connection.
                let Ok(agent) = agent else { continue };
                let Ok(server) = TcpStream::connect((HUB, PORT)) else { continue };
                carry(&serving, agent, server);
            }
        });
        Self { shared, port: port.recv().unwrap() }
    }

    /// Gives these scripts to the connections that come, and cuts those that have none.
    pub(crate) fn play(&self, scripts: impl IntoIterator<Item = Script>) {
        let mut waiting = self.shared.scripts.lock().unwrap();
        waiting.extend(scripts);
        self.shared.cut_those_without_a_script();
    }

    /// The scripts that were played out, in this order, and who ended each connection.
    pub(crate) fn played(&self) -> Vec<(Script, EndedBy)> {
        self.shared.done.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for pair in self.shared.open.lock().unwrap().iter() {
            pair.end(EndedBy::Proxy);
        }
    }
}

fn carry(shared: &Arc<Shared>, agent: TcpStream, server: TcpStream) {
    let _ = agent.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let mut waiting = shared.scripts.lock().unwrap();
    let script = waiting.pop_front();
    let pair = Arc::new(Pair {
        agent,
        server,
        script,
        struck: AtomicBool::new(false),
        silent: AtomicBool::new(false),
        ended: Mutex::new(None),
    });
    shared.open.lock().unwrap().push(Arc::clone(&pair));
    drop(waiting);
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        std::thread::scope(|scope| {
            scope.spawn(|| pump(&shared, &pair, Way::Up));
            scope.spawn(|| pump(&shared, &pair, Way::Down));
        });
        shared.open.lock().unwrap().retain(|open| !Arc::ptr_eq(open, &pair));
        let Some(script) = pair.script else { return };
        if pair.struck.load(Ordering::SeqCst) {
            let by = pair.ended.lock().unwrap().unwrap();
            shared.done.lock().unwrap().push((script, by));
        } else {
            // It ended before its time came.
            shared.give_back(script);
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "a slow network takes real time")]
fn pump(shared: &Shared, pair: &Pair, way: Way) {
    let (mut from, mut to, by) = match way {
        Way::Up => (&pair.agent, &pair.server, EndedBy::Agent),
        Way::Down => (&pair.server, &pair.agent, EndedBy::Server),
    };
    let script = pair.script.filter(|script| script.way == way);
    let mut held: Option<Vec<u8>> = None;
    let mut buffer = [0; CHUNK];
    for count in 0.. {
        let size = 1 + shared.below(CHUNK);
        let chunk = match from.read(&mut buffer[..size]) {
            Ok(read) if read > 0 => &mut buffer[..read],
            _ => return pair.end(by),
        };
        let due = script.filter(|script| count >= script.after);
        let mut out = chunk.to_vec();
        if let Some(Script { fault, after, .. }) = due {
            let first = !pair.struck.swap(true, Ordering::SeqCst);
            match fault {
                Fault::Corrupt => out[shared.below(chunk.len())] ^= 1 << shared.below(8),
                Fault::Duplicate => out.extend_from_slice(chunk),
                Fault::Reorder if first => {
                    held = Some(out);
                    continue;
                }
                Fault::Reorder => out.extend(held.take().into_iter().flatten()),
                Fault::Truncate => {
                    let _ = to.write_all(&out[..out.len() / 2]);
                    return pair.end(EndedBy::Proxy);
                }
                Fault::Silent => pair.silent.store(true, Ordering::SeqCst),
                Fault::OneWay => continue,
                Fault::Slow if count >= after + LATE_CHUNKS => return pair.end(EndedBy::Proxy),
                Fault::Slow => std::thread::sleep(Duration::from_millis(5 + shared.below(40) as u64)),
            }
        }
        if pair.silent.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&out).is_err() {
            let by = if way == Way::Up { EndedBy::Server } else { EndedBy::Agent };
            return pair.end(by);
        }
    }
}
