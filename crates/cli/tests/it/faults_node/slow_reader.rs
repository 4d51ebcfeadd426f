//! Somebody who follows a log and does not read.

use std::io::Read;

use crate::cluster::{Cluster, eventually, memory_kib};

const LINES: usize = 700_000;
const MAX_GROWTH_KIB: u64 = 24 << 10;

#[test]
fn case_33_a_reader_of_a_byte_now_and_then_costs_the_node_no_memory_and_holds_nobody_up() {
    let Some(cluster) = Cluster::start(&[&[]]) else { return };
    let go = cluster.at("go");
    cluster
        .program("spill", &format!("seq -f 'line %.0f of a long, long output' {LINES}; exec sleep 100000"));
    cluster.program("later", &format!("while [ ! -e '{}' ]; do sleep 0.05; done; echo heard", go.display()));
    cluster.apply(
        "apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: spill}\nspec:\n  mode: Once\n  \
         template: {output: {maxBytes: 64Mi}, process: {command: [spill]}}\n---\n\
         apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: later}\nspec:\n  mode: Once\n  \
         template: {process: {command: [later]}}\n",
    );
    let run = |name: &'static str| {
        let found = eventually("it runs", || cluster.running(name).pop());
        found["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let (spill, later) = (run("spill"), run("later"));
    let last = format!("line {LINES} of a long, long output\n");
    eventually("all is written", || {
        (cluster.drover(&["logs", &spill, "--tail", "1"]).stdout == last.as_bytes()).then_some(())
    });
    let server = cluster.server.as_ref().unwrap().0.id();
    let memory = || [memory_kib(cluster.agent_pid(0), "VmRSS"), memory_kib(server, "VmRSS")];
    let before = memory();
    let mut slow: Vec<_> = (0..4).map(|_| cluster.begin(&["logs", "-f", &spill])).collect();
    let mut others = cluster.begin(&["logs", "-f", &later]);
    let mut read_a_byte = |count: usize| {
        for reader in &mut slow {
            let mut bytes = vec![0; count];
            reader.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
        }
    };
    read_a_byte(1);
    // Somebody else reads all of it meanwhile, from end to end.
    let whole = cluster.good(&["logs", &spill]);
    assert_eq!(whole.lines().count(), LINES);
    read_a_byte(1);
    std::fs::write(go, "").unwrap();
    let mut heard = String::new();
    others.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert!(others.wait().unwrap().success());
    assert_eq!(heard, "heard\n");
    read_a_byte(1);
    for ((who, before), after) in ["agent", "server"].into_iter().zip(before).zip(memory()) {
        assert!(after < before + MAX_GROWTH_KIB, "the {who} grew from {before} to {after} KiB");
    }
    for mut reader in slow {
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}
