//! `drover server`: apiserver and reconciler on a store, and an agent for the server's own host.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::control_plane::{ControlPlane, Setup};
use super::local_agent::LocalAgent;
use super::signals::Stop;
use super::{logging, settled};
use crate::command_line;

pub(crate) fn run(args: &command_line::Server) -> Result<ExitCode> {
    if args.tls_cert.is_some() || args.tls_key.is_some() {
        bail!("--tls-cert and --tls-key are not built yet: the server shows a leaf of its own CA");
    }
    logging::start("info")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: &command_line::Server) -> Result<ExitCode> {
    let mut stop = Stop::catch()?;
    let setup = Setup {
        data_dir: &args.data_dir,
        listen: args.listen,
        advertise: &args.advertise,
        heartbeat_interval: Some(args.heartbeat_interval.to_std()),
    };
    let mut plane = ControlPlane::start(&setup).await?;
    let agent = if args.no_agent {
        None
    } else {
        Some(LocalAgent::start(&plane.server, &args.data_dir, args.node_name.as_deref()).await?)
    };
    // Whoever started the server may have stopped listening to it; that is no reason to end.
    let told = format!("listening on {}\nkubeconfig  {}\n", plane.url, plane.kubeconfig.display());
    let _ = std::io::stdout().write_all(told.as_bytes());
    settled::later();
    let failed = tokio::select! {
        biased;
        () = stop.asked() => None,
        failed = plane.failed() => Some(failed),
    };
    if let Some(agent) = agent {
        agent.stop().await?;
    }
    match failed {
        Some(failed) => failed?,
        None => plane.stop().await?,
    }
    Ok(ExitCode::SUCCESS)
}
