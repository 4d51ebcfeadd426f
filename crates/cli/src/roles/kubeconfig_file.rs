//! The administrator's kubeconfig, beside the store.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drover_apiserver::Server;
use drover_world::{Disk, RealDisk};
use serde_json::json;

/// Writes `kubeconfig` into the data directory. The admin token is in it, so only its owner may read it.
pub(crate) fn write(data_dir: &Path, url: &str, server: &Server) -> Result<PathBuf> {
    let path = data_dir.join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "drover",
        "clusters": [{"name": "drover", "cluster": {"server": url, "certificate-authority": "ca.crt"}}],
        "users": [{"name": "admin", "user": {"token": server.admin_token()}}],
        "contexts": [{"name": "drover", "context": {"cluster": "drover", "user": "admin"}}],
    });
    RealDisk
        .write_atomic(&path, drover_manifest::emit(&config).as_bytes(), 0o600)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
