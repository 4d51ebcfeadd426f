//! A Run that is finished stays as it ended, and a Run is never another one.

use std::collections::BTreeMap;

use drover_types::Kind;
use serde_json::Value;

use super::scene::name_in;
use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// What each Run was last, by the name of the object: its uid and its phase.
#[derive(Default)]
pub(super) struct Finished(BTreeMap<String, (String, String)>);

fn is_final(phase: &str) -> bool {
    // Lost is what is not known: a node that comes back after all knows better.
    matches!(phase, "Succeeded" | "Failed" | "TimedOut" | "Skipped")
}

impl Finished {
    fn look(&mut self, name: &str, run: &Value) -> Result<(), Breach> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (uid, phase) = (text(&run["metadata"]["uid"]), text(&run["status"]["phase"]));
        if let Some((held, before)) = self.0.get(name)
            && *held == uid
            && is_final(before)
            && *before != phase
        {
            return Err(format!("run {name} ({uid}) was {before}, and is {phase}"));
        }
        self.0.insert(name.to_owned(), (uid, phase));
        Ok(())
    }
}

impl Law for Finished {
    fn name(&self) -> &'static str {
        "a_run_that_is_finished_stays_as_it_ended"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        let Event::Stored { key, value, .. } = &step.event else { return Ok(()) };
        let Some(name) = name_in(key, Kind::Run) else { return Ok(()) };
        match (value, scene.object(Kind::Run, name)) {
            (Some(_), Some(run)) => self.look(name, run),
            _ => {
                self.0.remove(name);
                Ok(())
            }
        }
    }

    fn in_full(&mut self, scene: &Scene) -> Result<(), Breach> {
        scene.objects(Kind::Run).try_for_each(|(name, run)| self.look(name, run))
    }
}
