//! Finding the server, as kubectl does: `--kubeconfig`, `KUBECONFIG`, `.drover/kubeconfig`, `~/.kube/config`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use drover_client::{Client, ClientConfig, FromKubeconfig};
use drover_manifest::{Limits, decode_value};
use drover_types::{Kind, Scope};

use crate::command_line::Target;
use crate::failure::Interrupted;

/// A server, and the namespace meant where none is named.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Reads the kubeconfig. Nothing is dialled before the first request.
pub(crate) fn connect(target: &Target) -> Result<Connection> {
    let config = configuration(target)?;
    let chosen = target.namespace.clone().or_else(|| config.namespace.clone());
    Ok(Connection {
        client: Client::from_config(&config)?,
        namespace: chosen.unwrap_or_else(|| "default".to_owned()),
    })
}

/// Where the server is and how to be let in.
pub(crate) fn configuration(target: &Target) -> Result<ClientConfig> {
    let path = find(target)?;
    let shown = path.display();
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
    let value = decode_value(&shown.to_string(), &text, &Limits::default()).map_err(|d| anyhow!("{d}"))?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let read = |file: &Path| std::fs::read(folder.join(file));
    let options = FromKubeconfig { context: target.context.as_deref(), read: &read };
    ClientConfig::from_kubeconfig(&value, &options).with_context(|| format!("{shown}"))
}

fn find(target: &Target) -> Result<PathBuf> {
    if let Some(path) = &target.kubeconfig {
        return Ok(path.clone());
    }
    if let Some(path) = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
    let places = [Some(PathBuf::from(".drover/kubeconfig")), home];
    match places.into_iter().flatten().find(|path| path.exists()) {
        Some(path) => Ok(path),
        None => bail!("no kubeconfig: give --kubeconfig, set KUBECONFIG, or run `drover server` first"),
    }
}

/// The path of one object.
pub(crate) fn object_path(kind: Kind, namespace: &str, name: &str) -> String {
    format!("{}/{}", collection_path(kind, Some(namespace)), drover_client::segment(name))
}

/// The path of a kind's objects, in one namespace or in all.
pub(crate) fn collection_path(kind: Kind, namespace: Option<&str>) -> String {
    let namespaced = kind.names().scope == Scope::Namespaced;
    let namespace = namespace.filter(|_| namespaced).map(drover_client::segment);
    kind.path(namespace.as_deref())
}

/// Runs a verb that talks to a server, until it is done or Ctrl-C.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        tokio::select! {
            biased;
            done = work => done,
            Ok(()) = tokio::signal::ctrl_c() => Err(Interrupted.into()),
        }
    })
}
