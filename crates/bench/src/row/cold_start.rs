//! P12: from a process start to the first answer, and a restart with a thousand agents that come back.

use std::time::Duration;

use anyhow::Result;
use drover_client::ListOptions;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::clock;
use crate::contest::{Contestant, Part};
use crate::floor;
use crate::load::agents::{Fleet, What, event};
use crate::product::objects::{ASSIGNMENTS, CONFIG_MAPS, EVENTS, TIMERS, config_map, create_all, timer};
use crate::product::server::Server;
use crate::report::{Goal, Row, Unit};
use crate::stats::Round;
use crate::wait;

const AGENTS: usize = 1000;
const OBJECTS: usize = 10_000;

pub(crate) async fn take(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let outcomes = bench
        .contest(
            "P12, start",
            vec![
                Contestant::new(Part::Ours, "drover server", move || starts(bench)),
                bench.peers.etcd(move |etcd| async move { etcd.cold_start(bench).await }),
            ],
        )
        .await?;
    for (key, what, goal) in [
        ("first", "process start to first answer over TLS: a new data directory", None),
        ("empty", "the same, started before, empty", Some(50.0)),
        ("loaded", "the same, 10,000 objects of 1 KiB", Some(300.0)),
    ] {
        let row = Row::of("P12", what, Unit::Millis, (&outcomes, key)).class("after a SIGKILL");
        rows.push(goal.into_iter().fold(row, |row, goal| row.goal(Goal::AtMost(goal))));
    }
    let (agents, seconds) = (bench.samples(AGENTS), bench.lasting(2.0).as_secs_f64());
    let outcomes = bench
        .contest(
            "P12, restart",
            vec![
                Contestant::new(Part::Ours, "drover server, agents dial as real ones do", move || {
                    restart(bench, agents)
                }),
                Contestant::new(Part::Floor, "TLS handshakes, 32 at once, alone", move || {
                    floor::handshake::rate(32, seconds)
                }),
            ],
        )
        .await?;
    let what = format!("SIGKILL and restart under {agents} agents: all resynced after the start");
    rows.push(
        Row::of("P12", &what, Unit::Millis, (&outcomes, "resynced")).class("TLS").goal(Goal::AtMost(2000.0)),
    );
    rows.push(Row::of(
        "P12",
        "the same, all that was to be reported is stored",
        Unit::Millis,
        (&outcomes, "stored"),
    ));
    rows.push(
        Row::of("P12", "the same, reports lost", Unit::Count, (&outcomes, "lost")).goal(Goal::AtMost(0.0)),
    );
    rows.push(Row::of("P12", "TLS handshakes of this machine", Unit::PerSecond, (&outcomes, "rate")));
    Ok(rows)
}

async fn starts(bench: &Bench) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let (dir, millis) = (server.data_dir.clone(), |server: &Server| server.ready_after as f64 / 1e6);
    let mut round = Round::one("first", millis(&server), 1);
    server.kill();
    let server = Server::start(&bench.drover, &dir).await?;
    round.set("empty", millis(&server));
    let maps = (0..OBJECTS).map(|number| config_map(&format!("c{number}"), ""));
    create_all(&server.api, CONFIG_MAPS, maps, 8).await?;
    server.kill();
    let server = Server::start(&bench.drover, &dir).await?;
    round.set("loaded", millis(&server));
    server.stop()?;
    Ok(round)
}

async fn restart(bench: &Bench, agents: usize) -> Result<Round> {
    let folder = bench.folder()?;
    let server = bench.server(&folder).await?;
    let (dir, address) = (server.data_dir.clone(), server.address().to_owned());
    let mut fleet = Fleet::open(&server.api, agents).await?;
    let everywhere = timer("everywhere", json!({"cron": "0 0 1 1 *"}), &["/bin/true"]);
    create_all(&server.api, TIMERS, std::iter::once(everywhere), 1).await?;
    wait::until("an Assignment per node", || async { Ok(server.count(ASSIGNMENTS).await? >= agents as u64) })
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.forget();
    server.kill();
    fleet.all("a broken session", What::Broken).await?;
    for node in 0..agents {
        fleet.report(node, event(&fleet.names[node], &format!("while-away-{node}")));
    }
    let begun = clock::mono();
    let server = Server::start_on(&bench.drover, &dir, &address).await?;
    let (mut resynced, mut stored) = (begun, begun);
    let mut missing = [agents, agents];
    let mut seen = vec![[false; 2]; agents];
    while missing != [0, 0] {
        let next = tokio::time::timeout(Duration::from_secs(120), fleet.news.recv()).await;
        let Ok(Some(news)) = next else { anyhow::bail!("{missing:?} of {agents} agents never came back") };
        let (which, last) = match news.what {
            What::Desired => (0, &mut resynced),
            What::Acknowledged => (1, &mut stored),
            What::Broken => continue,
        };
        if !std::mem::replace(&mut seen[news.node][which], true) {
            missing[which] -= 1;
            *last = news.at;
        }
    }
    let events: Vec<Value> = server.api.client.list(EVENTS, &ListOptions::default()).await?.items;
    let kept = events
        .iter()
        .filter(|event| {
            event["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("while-away-"))
        })
        .count();
    drop(fleet);
    server.stop()?;
    let mut round = Round::one("resynced", clock::ms(begun, resynced), agents as u64);
    round.set("stored", clock::ms(begun, stored));
    round.set("lost", agents.saturating_sub(kept) as f64);
    Ok(round)
}
