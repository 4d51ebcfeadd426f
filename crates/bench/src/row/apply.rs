//! P1b: `drover apply` of 500 objects, as a user waits for it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::product::objects::config_map;
use crate::product::server::Server;
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;

const OBJECTS: usize = 500;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let outcomes = bench
        .contest(
            "P1b",
            vec![Contestant::new(Part::Ours, "drover apply, process start to exit", move || async move {
                let folder = bench.folder()?;
                let server = bench.server(&folder).await?;
                let file = folder.path().join("objects.yaml");
                std::fs::write(&file, documents())?;
                let created = apply(bench, &server, &file)?;
                let mut round = Round::one("create", created, OBJECTS as u64);
                round.set("unchanged", apply(bench, &server, &file)?);
                server.stop()?;
                Ok(round)
            })],
        )
        .await?;
    let row = |key, what, goal| {
        Row::of("P1b", what, Unit::Millis, (&outcomes, key)).class("synced; TLS").goal(Goal::AtMost(goal))
    };
    Ok(vec![
        row("create", "apply of 500 ConfigMaps of 1 KiB, all new", 150.0),
        row("unchanged", "the same again, nothing changed", 60.0),
    ])
}

/// JSON is YAML.
fn documents() -> String {
    (0..OBJECTS).map(|number| format!("---\n{}\n", config_map(&format!("c{number}"), ""))).collect()
}

/// Milliseconds from before the process starts until it has ended.
pub(crate) fn apply(bench: &Bench, server: &Server, file: &Path) -> Result<f64> {
    let begun = clock::mono();
    let output = Command::new(&bench.drover)
        .arg("apply")
        .arg("-f")
        .arg(file)
        .arg("--kubeconfig")
        .arg(server.kubeconfig())
        .stdin(Stdio::null())
        .output()?;
    let took = clock::ms(begun, clock::mono());
    if !output.status.success() {
        bail!("drover apply failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(took)
}
