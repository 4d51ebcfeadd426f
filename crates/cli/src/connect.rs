//! Finding the server, as kubectl does: `--kubeconfig`, `KUBECONFIG`, `.drover/kubeconfig`, `~/.kube/config`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use drover_client::{Client, ClientConfig, FromKubeconfig};
use drover_manifest::{Limits, decode_value, suggest};
use drover_types::{Kind, Scope};

use crate::command_line::Target;

/// A server, and the namespace meant where none is named.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Reads the kubeconfig. Nothing is dialled before the first request.
pub(crate) fn connect(target: &Target) -> Result<Connection> {
    let path = find(target)?;
    let shown = path.display();
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
    let value = decode_value(&shown.to_string(), &text, &Limits::default()).map_err(|d| anyhow!("{d}"))?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let read = |file: &Path| std::fs::read(folder.join(file));
    let config = ClientConfig::from_kubeconfig(&value, &FromKubeconfig { context: None, read: &read })
        .with_context(|| format!("{shown}"))?;
    let chosen = target.namespace.clone().or_else(|| config.namespace.clone());
    Ok(Connection {
        client: Client::from_config(&config)?,
        namespace: chosen.unwrap_or_else(|| "default".to_owned()),
    })
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

/// A kind as a user writes it.
pub(crate) fn kind(word: &str) -> Result<Kind> {
    Kind::by_user_word(word).ok_or_else(|| {
        let known = Kind::ALL.map(|k| k.names().plural);
        match suggest(word, known) {
            Some(near) => anyhow!("no kind {word:?}; did you mean {near:?}?"),
            None => anyhow!("no kind {word:?}; there are {}", known.join(", ")),
        }
    })
}

/// The path of one object.
pub(crate) fn object_path(kind: Kind, namespace: &str, name: &str) -> String {
    let namespace = (kind.names().scope == Scope::Namespaced).then(|| drover_client::segment(namespace));
    format!("{}/{}", kind.path(namespace.as_deref()), drover_client::segment(name))
}

/// Runs a verb that talks to a server.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
