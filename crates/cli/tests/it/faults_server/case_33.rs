//! Clients that read a byte a second: of a watch, and of a run's output.

use std::io::Read;
use std::process::Child;

use drover_client::{Client, Request, Watch, WatchOptions};
use http::Method;
use serde_json::Value;

use super::hub::{CONFIGMAPS, Hub, config_map, revision_of, soon};
use super::slow_link::SlowLink;
use crate::cluster::{Cluster, eventually};

const SLOW: usize = 20;
/// Characters of a value: an object has two.
const VALUE: usize = 25_000;
/// What a server may take more, whoever reads slowly: its own memory of the past, whose bound that is, and room for what
/// it works on.
const FLAT: u64 = 64 << 20;
const ROOM: u64 = 64 << 20;

async fn slow_closes(client: &Client) -> usize {
    let answer = client.send(Request::new(Method::GET, "/metrics")).await;
    let text = String::from_utf8(answer.unwrap().body.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("drover_apiserver_cache_slow_closes "));
    line.unwrap().trim().parse().unwrap()
}

async fn watch(client: &Client) -> Watch {
    client.watch(CONFIGMAPS, &WatchOptions::default()).await.unwrap()
}

/// Reads a watch to its end: how many events came, each later than the one before, and whether it was told 410.
async fn rest(mut watch: Watch) -> (usize, bool) {
    let (mut count, mut revision) = (0, 0);
    loop {
        match watch.next().await {
            Ok(Some(event)) => {
                let next = revision_of(&event.object().unwrap());
                assert!(next > revision, "{next} after {revision}");
                (count, revision) = (count + 1, next);
            }
            Ok(None) => return (count, false),
            Err(error) => return (count, error.is_gone()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_33_watchers_that_read_a_byte_a_second_are_cut_with_410_and_cost_nobody_anything() {
    let hub = Hub::running();
    let client = hub.client();
    let created: Value = client.create(CONFIGMAPS, &config_map("churn", "0")).await.unwrap();
    let link = SlowLink::to(hub.port).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let through = hub.client_through(link.port);
        let mut watch = watch(&through).await;
        watch.next().await.unwrap().unwrap();
        slow.push(watch);
    }
    let mut quick = watch(&client).await;
    assert_eq!(revision_of(&quick.next().await.unwrap().unwrap().object().unwrap()), revision_of(&created));
    let before = hub.resident();
    link.slow();
    let mut written = 0;
    let path = format!("{CONFIGMAPS}/churn");
    while slow_closes(&client).await < SLOW {
        for _ in 0..20 {
            let object = config_map("churn", &format!("{written:0VALUE$}"));
            let stored: Value = client.replace(&path, &object).await.unwrap();
            let seen = soon("the quick one sees every event", quick.next()).await.unwrap().unwrap();
            assert_eq!(revision_of(&seen.object().unwrap()), revision_of(&stored));
            written += 1;
        }
        assert!(written < 5000, "{written} events wait for those who read a byte a second");
    }
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < FLAT + ROOM, "{grown} bytes more for {SLOW} slow watchers after {written} events");
    link.free();
    for watch in slow {
        let (count, told) = soon("it reads what was left for it", rest(watch)).await;
        assert!(told && count < written, "{count} of {written} events, and no 410");
    }
}

fn resident(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn case_33_readers_of_output_that_stall_hold_up_neither_the_run_nor_other_readers_nor_memory() {
    const LINES: usize = 50_000;
    const STALLED: usize = 16;
    let Some(cluster) = Cluster::start(&[&[]]) else { return };
    let here = cluster.at("").display().to_string();
    // So that all follow before there is anything to read.
    cluster.program(
        "talk",
        &format!(
            "echo begin; while [ ! -e '{here}/gate' ]; do sleep 0.05; done; \
             seq -f 'line %09.0f ..................................................' {LINES}"
        ),
    );
    cluster.apply(
        "apiVersion: drover.dev/v1\nkind: Service\nmetadata: {name: talk}\nspec:\n  restart: {policy: Never}\n  \
         template: {process: {command: [talk]}}\n",
    );
    let run = eventually("it talks", || {
        cluster.runs("talk").into_iter().find(|run| run["status"]["phase"] == "Running")
    });
    let name = run["metadata"]["name"].as_str().unwrap().to_owned();
    let follow = || {
        let mut follower = cluster.begin(&["logs", "-f", &name]);
        let mut output = follower.stdout.take().unwrap();
        let mut first = [0; 6];
        output.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"begin\n");
        (follower, output)
    };
    let stalled: Vec<_> = (0..STALLED).map(|_| follow()).collect();
    let (mut quick, mut output) = follow();
    let before = resident(&cluster.server.as_ref().unwrap().0);
    std::fs::write(cluster.at("gate"), "").unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(quick.wait().unwrap().success());
    assert_eq!(text.lines().count(), LINES, "the quick reader misses something");
    assert!(text.lines().last().unwrap().starts_with(&format!("line {LINES:09} ")));
    eventually("the run is over", || {
        cluster.runs("talk").into_iter().find(|run| run["status"]["phase"] == "Succeeded")
    });
    // All of it for each of the stalled would be over 50 MB.
    let grown = resident(&cluster.server.as_ref().unwrap().0).saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more for {STALLED} readers that stall");
    // What they left waits for them: output is paced by its reader, not dropped.
    for (index, (mut follower, mut output)) in stalled.into_iter().enumerate() {
        if index > 1 {
            follower.kill().unwrap();
            follower.wait().unwrap();
            continue;
        }
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert!(follower.wait().unwrap().success());
        assert_eq!(text.lines().count(), LINES);
    }
}
