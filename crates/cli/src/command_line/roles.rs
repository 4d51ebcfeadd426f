//! Arguments of the roles that run until they are told to stop.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use drover_types::Duration;

#[derive(Args)]
pub(crate) struct Dev {
    /// Manifests to apply once it runs: a file or a folder; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read folders below folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Where all state is kept
    #[arg(long, env = "DROVER_DATA_DIR", default_value = ".drover")]
    pub(crate) data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, env = "DROVER_LISTEN", default_value = "127.0.0.1:7443")]
    pub(crate) listen: SocketAddr,
    /// This host's name as a node; its hostname without it
    #[arg(long, env = "DROVER_NODE_NAME")]
    pub(crate) node_name: Option<String>,
}

#[derive(Args)]
pub(crate) struct Server {
    /// Where the store, the CA and the admin token are kept
    #[arg(long, env = "DROVER_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, env = "DROVER_LISTEN", default_value = "127.0.0.1:7443")]
    pub(crate) listen: SocketAddr,
    /// A name or address by which clients reach it; may be given several times. Default: the listen address, the
    /// hostname, every local address
    #[arg(long, value_name = "HOST[:PORT]", value_parser = advertised)]
    pub(crate) advertise: Vec<String>,
    /// Do not run an agent for this host
    #[arg(long)]
    pub(crate) no_agent: bool,
    /// This host's name as a node; its hostname without it
    #[arg(long, env = "DROVER_NODE_NAME", conflicts_with = "no_agent")]
    pub(crate) node_name: Option<String>,
    /// How often each agent is asked for a sign of life, 100ms to 10m; two that it leaves unanswered end its session
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = heartbeat)]
    pub(crate) heartbeat_interval: Duration,
    /// Certificate to show instead of the own one (not built yet)
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key (not built yet)
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) tls_key: Option<PathBuf>,
}

/// What agents go by, too: outside of it the two would not agree on when a session is over.
fn heartbeat(text: &str) -> Result<Duration, String> {
    let interval: Duration = text.parse().map_err(|error| format!("{error}"))?;
    match interval.as_millis() {
        100..=600_000 => Ok(interval),
        _ => Err("it is from 100ms to 10m".to_owned()),
    }
}

/// A name or address that can stand in a URL and in a certificate, and a port or none.
fn advertised(text: &str) -> Result<String, String> {
    let is_name = |host: &str| {
        let label = |label: &str| {
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
            label.len() <= 63
                && edge(label.chars().next())
                && edge(label.chars().last())
                && label.chars().all(inner)
        };
        host.len() <= 253 && host.split('.').all(label)
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let good = if text.parse::<IpAddr>().is_ok() {
        true
    } else if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        host.parse::<Ipv6Addr>().is_ok() && rest.strip_prefix(':').is_some_and(is_port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => is_name(host) && is_port(port),
            None => is_name(text),
        }
    };
    if good {
        Ok(text.to_owned())
    } else {
        Err("expected a host name or address, and a port if need be".into())
    }
}

#[derive(Args)]
pub(crate) struct Agent {
    /// URL of the server
    #[arg(long, env = "DROVER_SERVER", value_name = "URL")]
    pub(crate) server: String,
    /// Join token, needed once; better in DROVER_TOKEN or --token-file, which no process list shows
    #[arg(long, env = "DROVER_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// File that holds the join token
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Where the agent keeps its state and what it runs
    #[arg(long, env = "DROVER_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// This host's name as a node; its hostname without it
    #[arg(long, env = "DROVER_NODE_NAME")]
    pub(crate) node_name: Option<String>,
    /// Label of a node that joins for the first time, as far as the token allows it; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::advertised;

    #[test]
    fn what_is_advertised_can_stand_in_a_url_and_in_a_certificate() {
        for good in ["hub", "hub.example:443", "10.0.0.1", "10.0.0.1:7443", "::1", "[2001:db8::1]:7443"] {
            assert_eq!(advertised(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "https://hub", "hub:0", "hub:99999", "a b", "hub.", "-hub", "[::1]", "[hub]:1", "a:b:1"]
        {
            assert!(advertised(bad).is_err(), "{bad:?}");
        }
    }
}
