//! Nothing is Succeeded without an exit code, and an exit code is the one that the host saw.

use std::collections::BTreeMap;

use drover_spawn::Outcome;
use drover_types::Kind;
use serde_json::Value;

use super::scene::name_in;
use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// How processes ended, by run uid.
#[derive(Default)]
pub(super) struct ExitCode(BTreeMap<String, Outcome>);

impl ExitCode {
    fn run(&self, run: &Value) -> Result<(), Breach> {
        let status = &run["status"];
        let uid = run["metadata"]["uid"].as_str().unwrap_or_default();
        let phase = status["phase"].as_str().unwrap_or_default();
        let code = status["exitCode"].as_i64();
        let seen = self.0.get(uid);
        if phase == "Succeeded" && code != Some(0) {
            return Err(format!("run {uid} is Succeeded with exit code {code:?}"));
        }
        if let Some(code) = code
            && seen.is_none_or(|seen| !matches!(seen, Outcome::Code(own) if i64::from(*own) == code))
        {
            return Err(format!("run {uid} is {phase} with exit code {code}, and its host saw {seen:?}"));
        }
        if phase == "Failed" && matches!(seen, Some(Outcome::Code(0))) {
            return Err(format!("run {uid} is Failed, and exited with 0"));
        }
        Ok(())
    }
}

impl Law for ExitCode {
    fn name(&self) -> &'static str {
        "nothing_is_succeeded_without_the_exit_code_that_its_host_saw"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        match &step.event {
            Event::Ended(process, outcome) => {
                self.0.insert(process.run_uid.clone(), *outcome);
                Ok(())
            }
            Event::Stored { key, value: Some(_), .. } => match name_in(key, Kind::Run) {
                Some(name) => scene.object(Kind::Run, name).map_or(Ok(()), |run| self.run(run)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn in_full(&mut self, scene: &Scene) -> Result<(), Breach> {
        scene.objects(Kind::Run).try_for_each(|(_, run)| self.run(run))
    }
}
