//! While nothing has broken yet, each tick is dealt with at its time: none is missed, late or left out.
//!
//! Where things break, what is caught up depends on policy, outage and clock; then the other laws of ticks hold. Timers
//! that tick by a zone with summer time are left to the tests of the schedule.

use drover_types::Kind;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Breach, Law, Scene};
use crate::step::Step;

/// How much later than its tick a status may say so: it is reported within a second, over a network that works.
const SLACK: SignedDuration = SignedDuration::from_secs(20);

/// Needs no memory: what is known is in the status.
pub(super) struct Punctual;

/// How far apart ticks are at most.
fn period(timer: &Value) -> Option<SignedDuration> {
    let utc = timer["timeZone"].as_str().is_none_or(|zone| zone == "UTC");
    let text = match (timer["every"].as_str(), timer["cron"].as_str()) {
        (Some(every), _) => every,
        (_, Some("*/10 * * * *")) if utc => "10m",
        (_, Some("7,37 * * * *")) if utc => "30m",
        (_, Some("@hourly")) if utc => "1h",
        _ => return None,
    };
    text.parse().ok()
}

fn check(scene: &Scene, name: &str, assignment: &Value) -> Result<(), Breach> {
    let (metadata, spec, status) = (&assignment["metadata"], &assignment["spec"], &assignment["status"]);
    let timer = &spec["timer"];
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(period), Some(made)) = (period(timer), time(&metadata["creationTimestamp"])) else {
        return Ok(());
    };
    // One that was changed may have been suspended for some of the time.
    if metadata["generation"] != 1 || timer["suspend"] == true || !metadata["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let since = time(&status["lastScheduleTime"]).unwrap_or(made);
    let passed = scene.now.duration_since(since);
    if passed > period + SLACK {
        return Err(format!("{name} ticks every {period:#}, and last did {passed:#} ago: {status}"));
    }
    if status["skipped"].as_u64().unwrap_or(0) > 0
        && timer["catchUp"] == "All"
        && timer["startingDeadline"].is_null()
        && timer["concurrencyPolicy"] == "Allow"
    {
        return Err(format!("{name} skipped ticks, and nothing was missed: {status}"));
    }
    Ok(())
}

impl Law for Punctual {
    fn name(&self) -> &'static str {
        "while_nothing_breaks_no_tick_is_missed"
    }

    fn on(&mut self, _: &Step, _: &Scene) -> Result<(), Breach> {
        Ok(())
    }

    fn in_full(&mut self, scene: &Scene) -> Result<(), Breach> {
        if scene.faults > 0 {
            return Ok(());
        }
        scene.objects(Kind::Assignment).try_for_each(|(name, assignment)| check(scene, name, assignment))
    }
}
