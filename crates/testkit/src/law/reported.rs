//! Every run that a host saw is reported: while it lives, and how it ended.
//!
//! It is looked at after the quiet time: by then a node has said all that it had to say. What an Assignment that moved
//! away has left unsaid stays so; that is what `failoverAfter` asks for.

use std::collections::{BTreeMap, BTreeSet};

use drover_types::Kind;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::scene::name_in;
use super::{Breach, Law, Scene};
use crate::step::{Event, Process, Step};

/// What happened so short a time before the end may not have been told yet.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(90);

/// What hosts saw, and what was ever stored of it. Runs do not stay in the store for ever.
#[derive(Default)]
pub(super) struct Reported {
    /// With when it began, or ended.
    seen: BTreeMap<String, (Process, Timestamp)>,
    known: BTreeSet<String>,
    finished: BTreeSet<String>,
}

impl Reported {
    fn stored(&mut self, run: &Value) {
        let uid = run["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if matches!(
            run["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed" | "TimedOut" | "Lost" | "Skipped")
        ) {
            self.finished.insert(uid.clone());
        }
        self.known.insert(uid);
    }
}

/// Whether the workload of a process is there and never moves.
fn stays(scene: &Scene, process: &Process) -> bool {
    [Kind::Timer, Kind::Task, Kind::Service].into_iter().any(|kind| {
        scene.object(kind, &process.workload).is_some_and(|workload| {
            workload["metadata"]["deletionTimestamp"].is_null()
                && workload["spec"]["placement"]["failoverAfter"].is_null()
        })
    })
}

impl Law for Reported {
    fn name(&self) -> &'static str {
        "every_run_that_a_host_saw_is_reported_with_its_end"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        match &step.event {
            Event::Started(process) | Event::Ended(process, _) | Event::Gone(process, _) => {
                self.seen.insert(process.run_uid.clone(), (process.clone(), scene.now));
            }
            Event::Stored { key, value: Some(_), .. } => {
                if let Some(run) = name_in(key, Kind::Run).and_then(|name| scene.object(Kind::Run, name)) {
                    self.stored(run);
                }
            }
            Event::Opened { .. } => scene.objects(Kind::Run).for_each(|(_, run)| self.stored(run)),
            _ => {}
        }
        Ok(())
    }

    fn at_end(&mut self, scene: &Scene) -> Result<(), Breach> {
        for (uid, (process, since)) in &self.seen {
            if scene.now.duration_since(*since) < ON_ITS_WAY || !stays(scene, process) {
                continue;
            }
            let lives = scene.processes.contains_key(uid);
            if !self.known.contains(uid) {
                return Err(format!("{process} on node {} was never reported", process.node));
            }
            if !lives && !self.finished.contains(uid) {
                return Err(format!("{process} on node {} is over, and was never reported so", process.node));
            }
        }
        Ok(())
    }
}
