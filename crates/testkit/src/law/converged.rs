//! When faults stop, what is comes to be what is wanted.
//!
//! The bound is the quiet time at the end of a run, see [`crate::run::QUIET`].

use std::collections::BTreeMap;

use drover_types::Kind;

use super::{Breach, Law, Scene};
use crate::step::{Step, node_name};

/// Looks at the end alone.
pub(super) struct Converged;

impl Law for Converged {
    fn name(&self) -> &'static str {
        "when_faults_stop_what_is_comes_to_be_what_is_wanted"
    }

    fn on(&mut self, _: &Step, _: &Scene) -> Result<(), Breach> {
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
                let lives = replicas.remove(&(node.clone(), workload.clone())).unwrap_or(0);
                let down =
                    matches!(spec["service"]["restart"]["policy"].as_str(), Some("Never" | "OnFailure"));
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
            if phase == "Running" && !scene.processes.contains_key(uid) {
                return Err(format!("run {name} is Running, and nothing of it lives"));
            }
        }
        Ok(())
    }
}
