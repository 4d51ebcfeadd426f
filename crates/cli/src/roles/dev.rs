//! `drover dev`: server, reconciler and one local agent in one process, and what happens on screen.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use drover_manifest::Recursion;
use drover_node_agent::{RealHost, end_runs};

use super::control_plane::{ControlPlane, Setup};
use super::feed::Feed;
use super::local_agent::LocalAgent;
use super::signals::Stop;
use super::{in_process, logging};
use crate::command_line::{self, Apply, Target};
use crate::manifests::{self, Outcome};
use crate::verbs;

pub(crate) fn run(args: &command_line::Dev) -> Result<ExitCode> {
    logging::start("warn")?;
    // What is wrong with a manifest is told before anything is started or written. stdin can be read only once.
    if !args.paths.is_empty() && !args.paths.iter().any(|path| path.as_os_str() == "-") {
        let recursion = if args.recursive { Recursion::Deep } else { Recursion::Flat };
        if let Outcome::Bad(bad) = manifests::read(&args.paths, recursion)? {
            manifests::tell(&bad, "nothing was started");
            return Ok(ExitCode::FAILURE);
        }
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: &command_line::Dev) -> Result<ExitCode> {
    let mut stop = Stop::catch()?;
    let setup =
        Setup { data_dir: &args.data_dir, listen: args.listen, advertise: &[], heartbeat_interval: None };
    let mut plane = ControlPlane::start(&setup).await?;
    let client = in_process::client(&plane.server, plane.server.admin_token())?;
    // Before anything can happen, so that all of it is shown.
    let feed = Feed::begin(&client).await?;
    let agent = LocalAgent::start(&plane.server, &args.data_dir, args.node_name.as_deref()).await?;
    say(&format!(
        "Drover is at {}\nkubeconfig  {}\nnode        {}\n",
        plane.url,
        plane.kubeconfig.display(),
        agent.node_name
    ));
    let colour = std::io::stdout().is_terminal() && crate::terminal::stderr_colour();
    let feed = tokio::spawn(feed.show(colour));
    let mut code = ExitCode::SUCCESS;
    let mut failed = None;
    if args.paths.is_empty() || apply(args, &plane).await? {
        say("\nCtrl-C ends it.\n\n");
        tokio::select! {
            biased;
            () = stop.asked() => {}
            ended = plane.failed() => failed = Some(ended),
        }
    } else {
        code = ExitCode::FAILURE;
    }
    feed.abort();
    agent.stop().await?;
    // Nobody expects a first look to leave processes behind. One that was killed leaves them to its next start.
    let ended = end_runs(Arc::new(RealHost::new(PathBuf::new())), &args.data_dir.join("node")).await?;
    if ended > 0 {
        say(&format!("ended {ended} running {}\n", if ended == 1 { "process" } else { "processes" }));
    }
    match failed {
        Some(failed) => failed?,
        None => plane.stop().await?,
    }
    Ok(code)
}

/// Whoever started it may have stopped listening; that is no reason to end.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Applies the manifests as `drover apply` would; whether that went well.
async fn apply(args: &command_line::Dev, plane: &ControlPlane) -> Result<bool> {
    let apply = Apply {
        paths: args.paths.clone(),
        recursive: args.recursive,
        target: Target { kubeconfig: Some(plane.kubeconfig.clone()), ..Target::default() },
        field_manager: drover_apiserver::APPLIER.to_owned(),
        server_side: true,
        // What is given at the start is what there is to be.
        force_conflicts: true,
        ..Apply::default()
    };
    let code = tokio::task::spawn_blocking(move || verbs::apply::run(&apply)).await??;
    Ok(code == ExitCode::SUCCESS)
}
