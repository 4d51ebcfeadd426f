//! Nothing runs untracked: after the quiet time each process that lives is an open Run of an Assignment that is there.

use std::collections::BTreeMap;

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// How long a process has to be there before its Run must be: a tick of the network, and a sync.
const SOON: i64 = 60;

/// When each process began.
#[derive(Default)]
pub(super) struct Tracked(BTreeMap<String, Timestamp>);

impl Law for Tracked {
    fn name(&self) -> &'static str {
        "nothing_runs_untracked"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        match &step.event {
            Event::Started(process) => {
                self.0.insert(process.run_uid.clone(), scene.now);
            }
            Event::Ended(process, _) | Event::Gone(process, _) => {
                self.0.remove(&process.run_uid);
            }
            _ => {}
        }
        Ok(())
    }

    fn at_end(&mut self, scene: &Scene) -> Result<(), Breach> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let open: BTreeMap<String, &Value> = scene
            .objects(Kind::Run)
            .filter(|(_, run)| matches!(run["status"]["phase"].as_str(), Some("Running" | "Pending")))
            .map(|(_, run)| (text(&run["metadata"]["uid"]), run))
            .collect();
        for process in scene.processes.values() {
            let since = self.0.get(&process.run_uid).copied().unwrap_or(scene.now);
            if scene.now.duration_since(since).as_secs() < SOON {
                continue;
            }
            let Some(run) = open.get(&process.run_uid) else {
                return Err(format!("{process} lives on node {}, and no open Run says so", process.node));
            };
            let namespace = text(&run["metadata"]["namespace"]);
            let assignment = format!("{namespace}/{}", text(&run["spec"]["assignmentRef"]));
            if scene.object(Kind::Assignment, &assignment).is_none() {
                return Err(format!("{process} lives on node {}, and {assignment} is gone", process.node));
            }
        }
        Ok(())
    }
}
