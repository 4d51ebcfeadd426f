//! A process that writes as fast as it can, whatever it likes.

use crate::cluster::{Cluster, eventually, memory_kib, pid_of};

const LINE: u64 = 100_000_000;
const NOISE: u64 = 100_000_000;

#[test]
fn case_20_a_flood_of_output_is_bounded_in_memory_and_on_disk_and_the_log_says_what_was_dropped() {
    let Some(cluster) = Cluster::start(&[&[]]) else { return };
    let go = cluster.at("go");
    // One line, then binary, then a few words; then stdout is closed, and the process goes on.
    cluster.program(
        "flood",
        &format!(
            "head -c {LINE} /dev/zero | tr '\\0' x; head -c {NOISE} /dev/urandom; printf '\\nlast words\\n'; \
             exec >&-; echo 'and on' >&2; while [ ! -e '{}' ]; do sleep 0.05; done; exit 3",
            go.display()
        ),
    );
    cluster.apply(
        "apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: flood}\nspec:\n  mode: Once\n  \
         template: {retry: {limit: 0}, process: {command: [flood]}}\n",
    );
    let run = eventually("it runs", || cluster.running("flood").pop());
    let name = run["metadata"]["name"].as_str().unwrap().to_owned();
    // Two pipes, and no order between them.
    let ends = ["\nlast words\n", "and on\n"];
    eventually("all was taken from it", || {
        let log = cluster.drover(&["logs", &name, "--tail", "100"]).stdout;
        let has = |end: &str| log.windows(end.len()).any(|found| found == end.as_bytes());
        ends.iter().all(|end| has(end)).then_some(())
    });
    let log = cluster.drover(&["logs", &name]).stdout;
    let marker = log.split(|byte| *byte == b'\n').next().unwrap();
    let lost: u64 = std::str::from_utf8(marker)
        .ok()
        .and_then(|marker| marker.strip_prefix("... ")?.strip_suffix(" bytes lost ...")?.parse().ok())
        .unwrap_or_else(|| {
            panic!("no marker: {:?}", String::from_utf8_lossy(&marker[..marker.len().min(80)]))
        });
    let kept = (log.len() - marker.len() - 1) as u64;
    assert_eq!(lost + kept, LINE + NOISE + ends.concat().len() as u64);
    assert!((500_000..=1 << 20).contains(&kept), "{kept} bytes are kept");

    let child = pid_of(&run).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
    let parent = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
    for (who, pid) in [("keeper", parent.parse().unwrap()), ("agent", cluster.agent_pid(0))] {
        let peak = memory_kib(pid, "VmHWM");
        assert!(peak < 200_000, "the {who} took {peak} KiB");
    }
    let dir = cluster.at("h0/runs").join(run["metadata"]["uid"].as_str().unwrap());
    let bytes: u64 =
        std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < (1 << 20) + 100_000, "{bytes} bytes on disk");
    std::fs::write(go, "").unwrap();
    let ended = eventually("its end is known", || {
        let mut runs = cluster.runs("flood");
        runs.retain(|run| run["status"]["phase"] == "Failed");
        runs.pop()
    });
    assert_eq!(ended["status"]["exitCode"], 3);
}
