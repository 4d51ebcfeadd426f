//! The peers: other programs that do a part of what drover does, installed from the machine's registries into a folder
//! of their own, started on loopback in their rounds, and stopped after each.

mod etcd;
mod grpc;
mod install;
pub(crate) mod message_bus;
mod nats;
mod pm2;
mod redis;
mod runit;
mod s6;
pub(crate) mod supervision;
mod supervisord;

use std::path::Path;

use crate::contest::{Contestant, Part};
use crate::report::progress;
use crate::stats::Round;

use etcd::Etcd;
use message_bus::MessageBus;
use supervision::Supervisor;

/// A peer, or why it is not here.
type Here<T> = Result<T, String>;

/// What is installed.
pub(crate) struct Peers {
    etcd: Here<Etcd>,
    buses: Vec<(&'static str, Here<Box<dyn MessageBus>>)>,
    supervisors: Vec<(&'static str, Here<Box<dyn Supervisor>>)>,
    pub(crate) versions: Vec<(String, String)>,
}

impl Peers {
    /// None: nobody asked for them.
    pub(crate) fn none() -> Self {
        let why = || "not asked for (--peers)".to_owned();
        Self {
            etcd: Err(why()),
            buses: ["nats", "redis"].map(|name| (name, Err(why()))).into(),
            supervisors: ["runit", "s6", "pm2", "supervisord"].map(|name| (name, Err(why()))).into(),
            versions: Vec::new(),
        }
    }

    /// Installs all that can be installed below `dir`.
    pub(crate) fn install(dir: &Path) -> Self {
        progress("installing the peers");
        let mut peers = Self::none();
        let apt = install::Apt::new(dir);
        let mut get = |package: &str, shown: &str| {
            let got = apt
                .as_ref()
                .map_err(|error| format!("{error:#}"))
                .and_then(|apt| apt.get(package).map_err(|error| format!("{error:#}")));
            let said = match &got {
                Ok(installed) => installed.version.clone(),
                Err(why) => format!("absent: {why}"),
            };
            progress(&format!("{shown}: {said}"));
            peers.versions.push((shown.to_owned(), said));
            got
        };
        let etcd = get("etcd-server", "etcd");
        let nats = get("nats-server", "nats");
        let redis = get("redis-server", "redis");
        let runit = get("runit", "runit");
        let s6 = get("s6", "s6");
        let supervisord = get("supervisor", "supervisord");
        let npm = install::npm(dir, "pm2").map_err(|error| format!("{error:#}"));
        let said = npm.as_ref().map_or_else(|why| format!("absent: {why}"), |pm2| pm2.version.clone());
        progress(&format!("pm2: {said}"));
        peers.versions.push(("pm2".into(), said));
        peers.etcd = etcd.map(Etcd);
        peers.buses = vec![
            ("nats", nats.map(|it| Box::new(nats::Nats(it)) as Box<dyn MessageBus>)),
            ("redis", redis.map(|it| Box::new(redis::Redis(it)) as Box<dyn MessageBus>)),
        ];
        peers.supervisors = vec![
            ("runit", runit.map(|it| Box::new(runit::Runit(it)) as Box<dyn Supervisor>)),
            ("s6", s6.map(|it| Box::new(s6::S6(it)) as Box<dyn Supervisor>)),
            ("pm2", npm.map(|it| Box::new(pm2::Pm2(it)) as Box<dyn Supervisor>)),
            (
                "supervisord",
                supervisord.map(|it| Box::new(supervisord::Supervisord(it)) as Box<dyn Supervisor>),
            ),
        ];
        peers
    }

    /// etcd as a contestant.
    pub(crate) fn etcd<'a, F>(&'a self, mut round: impl FnMut(&'a Etcd) -> F + 'a) -> Contestant<'a>
    where
        F: Future<Output = anyhow::Result<Round>> + 'a,
    {
        match &self.etcd {
            Ok(etcd) => Contestant::new(Part::Peer, "etcd", move || round(etcd)),
            Err(why) => Contestant::absent("etcd", why),
        }
    }

    /// Every message bus as a contestant.
    pub(crate) fn buses<'a, F>(
        &'a self,
        round: impl Fn(&'a dyn MessageBus) -> F + Copy + 'a,
    ) -> impl Iterator<Item = Contestant<'a>>
    where
        F: Future<Output = anyhow::Result<Round>> + 'a,
    {
        self.buses.iter().map(move |(name, bus)| match bus {
            Ok(bus) => Contestant::new(Part::Peer, name, move || round(&**bus)),
            Err(why) => Contestant::absent(name, why),
        })
    }

    /// Every supervisor as a contestant.
    pub(crate) fn supervisors<'a, F>(
        &'a self,
        round: impl Fn(&'a dyn Supervisor) -> F + Copy + 'a,
    ) -> impl Iterator<Item = Contestant<'a>>
    where
        F: Future<Output = anyhow::Result<Round>> + 'a,
    {
        self.supervisors.iter().map(move |(name, supervisor)| match supervisor {
            Ok(supervisor) => Contestant::new(Part::Peer, name, move || round(&**supervisor)),
            Err(why) => Contestant::absent(name, why),
        })
    }
}

/// A port that nobody listens on now.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
