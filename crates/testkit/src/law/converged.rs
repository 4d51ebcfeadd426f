//! When faults stop, what is comes to be what is wanted.
//!
//! The bound is the quiet time at the end of a run, see [`crate::run::QUIET`].

use std::collections::BTreeMap;

use drover_types::Kind;
use jiff::{SignedDuration, Timestamp};

use super::{Breach, Law, Scene};
use crate::step::{Event, Step, node_name};

/// How long ago a process may have ended that is not started again, or not reported: what waits for its restart, waits
/// for half a minute at most.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(90);

/// Looks at the end alone, and remembers when processes ended: of each replica, and of each run.
#[derive(Default)]
pub(super) struct Converged {
    replicas: BTreeMap<(String, String), Timestamp>,
    runs: BTreeMap<String, Timestamp>,
}

impl Converged {
    fn is_under_way<K: Ord>(of: &BTreeMap<K, Timestamp>, what: &K, now: Timestamp) -> bool {
        of.get(what).is_some_and(|at| now.duration_since(*at) < UNDER_WAY)
    }
}

impl Law for Converged {
    fn name(&self) -> &'static str {
        "when_faults_stop_what_is_comes_to_be_what_is_wanted"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        if let Event::Ended(process, _) | Event::Gone(process, _) = &step.event
            && scene.quiet
        {
            self.runs.insert(process.run_uid.clone(), scene.now);
            if process.replica.is_some() {
                self.replicas.insert((node_name(process.node), process.workload.clone()), scene.now);
            }
        }
        Ok(())
    }

    fn at_end(&mut self, scene: &Scene) -> Result<(), Breach> {
        for (name, node) in scene.objects(Kind::Node) {
            let conditions = node["status"]["conditions"].as_array();
            let ready = conditions
                .into_iter()
                .flatten()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            if !ready {
                return Err(format!("node {name} is not Ready: {}", node["status"]));
            }
        }
        let mut replicas: BTreeMap<(String, String), u64> = BTreeMap::new();
        for process in scene.processes.values().filter(|process| process.replica.is_some()) {
            *replicas.entry((node_name(process.node), process.workload.clone())).or_default() += 1;
        }
        for (name, assignment) in scene.objects(Kind::Assignment) {
            if assignment["metadata"]["deletionTimestamp"].is_string() {
                return Err(format!("assignment {name} is still being deleted"));
            }
            let (spec, status) = (&assignment["spec"], &assignment["status"]);
            if status["observedGeneration"] != assignment["metadata"]["generation"] {
                return Err(format!("assignment {name} was not taken over by its node: {status}"));
            }
            if spec["service"].is_object() && spec["evicted"] != true {
                let namespace = assignment["metadata"]["namespace"].as_str().unwrap_or_default();
                let workload =
                    format!("{namespace}/{}", spec["workloadRef"]["name"].as_str().unwrap_or_default());
                let node = spec["nodeName"].as_str().unwrap_or_default().to_owned();
                let wanted = spec["service"]["replicas"].as_u64().unwrap_or(1);
                let whose = (node.clone(), workload.clone());
                let lives = replicas.remove(&whose).unwrap_or(0);
                let down = Self::is_under_way(&self.replicas, &whose, scene.now);
                let policy = spec["service"]["restart"]["policy"].as_str();
                let down = down || matches!(policy, Some("Never" | "OnFailure"));
                if lives > wanted || (lives < wanted && !down) {
                    return Err(format!("{workload} has {lives} of {wanted} processes on {node}: {status}"));
                }
            }
        }
        if let Some(((node, workload), count)) = replicas.first_key_value() {
            return Err(format!("{workload} has {count} processes on {node}, where it has no assignment"));
        }
        for (name, run) in scene.objects(Kind::Run) {
            let phase = run["status"]["phase"].as_str().unwrap_or_default();
            let uid = run["metadata"]["uid"].as_str().unwrap_or_default();
            let ended = Self::is_under_way(&self.runs, &uid.to_owned(), scene.now);
            if phase == "Running" && !scene.processes.contains_key(uid) && !ended {
                return Err(format!("run {name} is Running, and nothing of it lives"));
            }
        }
        Ok(())
    }
}
