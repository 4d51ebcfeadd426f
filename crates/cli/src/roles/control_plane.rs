//! Store, apiserver and reconciler of one process, started and stopped together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use drover_apiserver::{Server, ServerOptions};
use drover_node_agent::{Machine, RealMachine};
use drover_reconciler::Reconciler;
use drover_store::{Options, SqliteStore};
use drover_world::{Disk, RealDisk, World};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{in_process, kubeconfig_file};

/// Where a control plane keeps its state and how it is reached.
pub(crate) struct Setup<'a> {
    pub(crate) data_dir: &'a Path,
    pub(crate) listen: SocketAddr,
    /// Names for the leaf; the first is the one in kubeconfig. Empty: the listen address and this host's names.
    pub(crate) advertise: &'a [String],
    /// How often agents are asked for a sign of life; absent: the server's own default.
    pub(crate) heartbeat_interval: Option<Duration>,
}

/// A running control plane.
pub(crate) struct ControlPlane {
    pub(crate) server: Server,
    pub(crate) url: String,
    pub(crate) kubeconfig: PathBuf,
    stop: CancellationToken,
    reconciler: JoinHandle<()>,
    serving: JoinHandle<Result<()>>,
}

impl ControlPlane {
    /// Starts it; it answers requests when this returns.
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self> {
        let shown = setup.data_dir.display();
        if setup.data_dir.exists() && !setup.data_dir.is_dir() {
            bail!("{shown} is not a folder, and cannot be the data directory");
        }
        let no_folder = || format!("cannot use {shown} as the data directory");
        RealDisk.create_dir(setup.data_dir, 0o700).with_context(no_folder)?;
        let world = World::system();
        let random = world.clone();
        let store = SqliteStore::open(setup.data_dir, Options::new(move || random.uuid_v4().as_u128()))?;
        let listener =
            TcpListener::bind(setup.listen).await.map_err(|error| cannot_listen(setup.listen, error))?;
        let address = listener.local_addr()?;
        let names = names(setup.advertise, address);
        let mut options = ServerOptions::new(setup.data_dir, names.clone());
        if let Some(interval) = setup.heartbeat_interval {
            options.heartbeat_interval = interval;
        }
        let server = Server::start(Arc::new(store), world.clone(), options).await?;
        let url = url(names.first().map_or("localhost", String::as_str), address.port());
        let kubeconfig = kubeconfig_file::write(setup.data_dir, &url, &server)?;
        let stop = CancellationToken::new();
        let client = in_process::client(&server, server.controller_token())?;
        let reconciler = Reconciler::new(client, world, drover_reconciler::Options::default());
        let reconciler = tokio::spawn(reconciler.run(stop.clone().cancelled_owned()));
        let serving = tokio::spawn({
            let server = server.clone();
            async move { Ok(server.serve(listener).await?) }
        });
        Ok(Self { server, url, kubeconfig, stop, reconciler, serving })
    }

    /// Resolves when it serves no more, which nobody asked for.
    pub(crate) async fn failed(&mut self) -> Result<()> {
        (&mut self.serving).await?
    }

    /// Ends it: the reconciler first, then open requests.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.reconciler.await?;
        self.server.stop();
        if self.serving.is_finished() { Ok(()) } else { self.serving.await? }
    }
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program listens there, --listen chooses another address",
        _ => "",
    };
    anyhow!("cannot listen on {address}: {error}{hint}")
}

/// The names that clients reach the server by.
fn names(advertise: &[String], address: SocketAddr) -> Vec<String> {
    if !advertise.is_empty() {
        return advertise.to_vec();
    }
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names = Vec::new();
    if address.ip().is_unspecified() {
        names.push(hostname);
        names.extend(RealMachine.facts().addresses);
    } else {
        names.extend([address.ip().to_string(), hostname]);
    }
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// The URL for a name that may bring its own port.
fn url(name: &str, port: u16) -> String {
    match name.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
        Ok(std::net::IpAddr::V4(address)) => format!("https://{address}:{port}"),
        Err(_) if name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            format!("https://{name}")
        }
        Err(_) => format!("https://{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_name_brings_its_own_port_or_gets_the_listeners() {
        for (name, want) in [
            ("hub.example", "https://hub.example:7443"),
            ("hub.example:443", "https://hub.example:443"),
            ("10.0.0.1", "https://10.0.0.1:7443"),
            ("::1", "https://[::1]:7443"),
            ("[::1]:443", "https://[::1]:443"),
        ] {
            assert_eq!(url(name, 7443), want);
        }
    }

    #[test]
    fn a_server_on_one_address_is_named_by_it_first() {
        let names = names(&[], "127.0.0.1:7443".parse().unwrap());
        assert_eq!(names.first().map(String::as_str), Some("127.0.0.1"));
        assert!(names.iter().any(|name| name == "localhost"));
        assert_eq!(super::names(&["a".into()], "0.0.0.0:1".parse().unwrap()), ["a"]);
    }
}
