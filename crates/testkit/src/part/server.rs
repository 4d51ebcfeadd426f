//! The host of store and apiserver.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use drover_apiserver::{Server, ServerOptions};
use drover_store::{ChangeKind, Commit, InlineStore, KeyValue, Observer, Store, StoreMetrics};
use drover_world::World;

use super::{Orders, live};
use crate::clock::SimClock;
use crate::disk::SimDisk;
use crate::history::History;
use crate::life::{LaterOn, Life, LifeDisk};
use crate::net::{Accept, Direction, End, Link};
use crate::seed::Seed;
use crate::step::{Event, Part};

/// Where all of it lies.
const DATA_DIR: &str = "/var/lib/drover";

/// How often somebody looks whether it is ready.
const HEALTH: Duration = Duration::from_secs(30);

/// For how many seconds something may be left of a server that crashed: requests under way have a deadline.
const GONE: u32 = 120;

/// A server that is up.
#[derive(Clone)]
struct Running {
    server: Server,
    life: Life,
}

/// What is needed to run servers, one after the other, on one disk. Cheap to clone.
#[derive(Clone)]
pub struct ServerSite {
    seed: Seed,
    history: History,
    clock: SimClock,
    disk: SimDisk,
    orders: Orders,
    running: Arc<Mutex<Option<Running>>>,
    started: Arc<tokio::sync::Notify>,
    store: Arc<Mutex<Weak<InlineStore>>>,
}

impl Accept for ServerSite {
    fn listener(&self) -> Option<Life> {
        self.running().map(|running| running.life)
    }

    fn accept(&self, end: End) {
        if let Some(running) = self.running() {
            tokio::spawn(async move { running.server.serve_connection(end).await });
        }
    }
}

impl ServerSite {
    /// A host with an empty disk, but for the certificate authority.
    pub fn new(seed: Seed, history: History, clock: SimClock, disk: SimDisk) -> Self {
        crate::authority::install(&disk, Path::new(DATA_DIR));
        Self {
            seed,
            history,
            clock,
            disk,
            orders: Orders::default(),
            running: Arc::default(),
            started: Arc::default(),
            store: Arc::default(),
        }
    }

    fn running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, running: Option<Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// The clocks of its host.
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// Its disk.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// How it is crashed.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Waits for a server that lives, also while one that has just ended is still to be put away: its life, and the tokens
    /// of administrator and reconciler.
    pub async fn up(&self) -> (Life, String, String) {
        loop {
            let started = self.started.notified();
            if let Some(Running { server, life }) = self.running()
                && !life.is_over()
            {
                return (life, server.admin_token().to_owned(), server.controller_token().to_owned());
            }
            started.await;
        }
    }

    /// Runs servers for ever. `links` are all that lead to them.
    pub async fn run(self, links: Vec<Link>) {
        for number in 0_u64.. {
            let life = self.orders.begin(&self.disk);
            let disk = self.disk.clone();
            life.at_the_end(move || disk.freeze());
            self.history.step(Part::Server, Event::Up);
            let how = live(&life, self.serve(&life, number)).await;
            let order = self.orders.take();
            if let Some(running) = self.running() {
                // It has done all it will ever do. This lets what is left of it end.
                running.server.stop();
            }
            self.set(None);
            self.history.step(Part::Server, Event::Down(how));
            for link in &links {
                if order.power {
                    // Nobody is left to say that connections are gone.
                    link.hold(Direction::Up);
                    link.hold(Direction::Down);
                    link.wake();
                } else {
                    link.cut();
                }
            }
            tokio::time::sleep(order.down).await;
            self.gone().await;
            for link in links.iter().filter(|_| order.power) {
                link.cut();
                link.release();
            }
            self.disk
                .restart(order.power.then(|| self.seed.stream(&format!("server/power/{number}"))).as_mut());
        }
    }

    /// Waits until nothing is left of a server: what SQLite does when it closes a database, it does by names, also to the
    /// files of the next one.
    async fn gone(&self) {
        let left = || self.store.lock().unwrap_or_else(PoisonError::into_inner).strong_count();
        for _ in 0..GONE {
            if left() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let what = format!("{} tasks still have the store of a server that crashed", left());
        self.history.fail("a_part_that_was_dropped_leaves_nothing_behind", what);
    }

    async fn serve(&self, life: &Life, number: u64) -> String {
        let (server, metrics) = match self.start(life, number).await {
            Ok(started) => started,
            Err(why) => return why,
        };
        self.set(Some(Running { server, life: life.clone() }));
        self.started.notify_waiters();
        loop {
            tokio::time::sleep(HEALTH).await;
            // It says that it is not ready, and whoever looks after it starts it again.
            if metrics.poisoned.load(Ordering::Relaxed) > 0 {
                return "its store takes no more writes".into();
            }
        }
    }

    async fn start(&self, life: &Life, number: u64) -> Result<(Server, Arc<StoreMetrics>), String> {
        let world = World {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(self.seed.entropy(&format!("server/{number}"))),
            blocking: Arc::new(LaterOn(life.clone())),
        };
        let store = crate::disk::open_store(&self.disk, Path::new(DATA_DIR), &world)
            .map_err(|error| format!("the store does not open: {error:?}"))?;
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&store);
        store
            .attach(Arc::new(Recorder { history: self.history.clone() }))
            .await
            .map_err(|e| e.to_string())?;
        let options = ServerOptions {
            disk: Arc::new(LifeDisk { disk: Arc::new(self.disk.clone()), life: life.clone() }),
            ..ServerOptions::new(PathBuf::from(DATA_DIR), vec!["sim".into()])
        };
        let metrics = store.metrics();
        let server = Server::start(store, world, options).await.map_err(|error| format!("{error:?}"))?;
        Ok((server, metrics))
    }
}

/// Tells the history of all that is stored.
struct Recorder {
    history: History,
}

impl Observer for Recorder {
    fn prefix(&self) -> &[u8] {
        b"/"
    }

    fn replay(&self) -> u64 {
        0
    }

    fn reset(&self, items: Vec<KeyValue>, revision: u64) {
        let items = items.into_iter().map(|item| (item.key, item.mod_revision, item.value)).collect();
        self.history.step(Part::Server, Event::Opened { revision, items });
    }

    fn committed(&self, commit: &Commit) {
        for change in commit.changes.iter().filter(|change| change.key.starts_with(b"/")) {
            let value: Option<Bytes> = match &change.kind {
                ChangeKind::Put { value } => Some(value.clone()),
                ChangeKind::Delete { .. } => None,
            };
            let (revision, key) = (commit.revision, change.key.clone());
            self.history.step(Part::Server, Event::Stored { revision, key, value });
        }
    }

    fn closed(&self) {}
}
