//! `drover server`: the apiserver on its store.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use drover_apiserver::{Server, ServerOptions};
use drover_store::{Options, SqliteStore};
use drover_world::World;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::command_line;

pub(crate) fn run(args: &command_line::Server) -> Result<ExitCode> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&args.data_dir)
        .with_context(|| format!("cannot make {}", args.data_dir.display()))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: &command_line::Server) -> Result<ExitCode> {
    let world = World::system();
    let random = world.clone();
    let store = SqliteStore::open(&args.data_dir, Options::new(move || random.uuid_v4().as_u128()))?;
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let mut names = args.advertise.clone();
    if names.is_empty() {
        names.extend([address.ip().to_string(), "localhost".to_owned()]);
    }
    let options = ServerOptions::new(&args.data_dir, names.clone());
    let server = Server::start(Arc::new(store), world, options).await?;
    let host = if names[0].contains(':') { format!("[{}]", names[0]) } else { names[0].clone() };
    let url = format!("https://{host}:{}", address.port());
    let kubeconfig = args.data_dir.join("kubeconfig");
    write_kubeconfig(&kubeconfig, &url, &server)?;
    // Whoever started the server may have stopped listening to it; that is no reason to end.
    let told = format!("listening on {url}\nkubeconfig  {}\n", kubeconfig.display());
    let _ = std::io::stdout().write_all(told.as_bytes());
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopper = server.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopper.stop();
    });
    server.serve(listener).await?;
    Ok(ExitCode::SUCCESS)
}

/// The admin token is in it, so only its owner may read it.
fn write_kubeconfig(path: &Path, url: &str, server: &Server) -> Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "drover",
        "clusters": [{"name": "drover", "cluster": {"server": url, "certificate-authority": "ca.crt"}}],
        "users": [{"name": "admin", "user": {"token": server.admin_token()}}],
        "contexts": [{"name": "drover", "context": {"cluster": "drover", "user": "admin"}}],
    });
    let next = path.with_extension("next");
    let shown = || format!("cannot write {}", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)
        .with_context(shown)?;
    file.write_all(drover_manifest::emit(&config).as_bytes()).with_context(shown)?;
    file.sync_all().with_context(shown)?;
    fs::rename(&next, path).with_context(shown)
}
