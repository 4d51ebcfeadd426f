//! Writes a workload's status when it says something new, and tells what turned.

use drover_plan::fleet::assignment::Workload;
use drover_plan::fleet::rollup::{self, Seen};
use drover_types::{Condition, ConditionStatus, Kind};

use super::held::Held;
use crate::api::key_of;
use crate::error::Error;
use crate::events::About;
use crate::shared::Shared;

/// Rolls up what was seen and writes it if it is not what the workload says already.
pub(super) async fn write(shared: &Shared, held: &Held, seen: Seen<'_>) -> Result<(), Error> {
    let api = &shared.api;
    match held {
        Held::Timer(timer) => {
            let next = rollup::timer(timer, seen);
            if timer.status.as_ref() == Some(&next) {
                return Ok(());
            }
            let mut said = (**timer).clone();
            let before = said.status.replace(next).map(|s| s.conditions).unwrap_or_default();
            api.replace_status(Kind::Timer, &key_of(&said.metadata), &said).await?;
            let after = said.status.iter().flat_map(|s| &s.conditions);
            tell(shared, Workload::Timer(&said), &before, after);
        }
        Held::Service(service) => {
            let next = rollup::service(service, seen);
            if service.status.as_ref() == Some(&next) {
                return Ok(());
            }
            let mut said = (**service).clone();
            let before = said.status.replace(next).map(|s| s.conditions).unwrap_or_default();
            api.replace_status(Kind::Service, &key_of(&said.metadata), &said).await?;
            let after = said.status.iter().flat_map(|s| &s.conditions);
            tell(shared, Workload::Service(&said), &before, after);
        }
        Held::Task(task) => {
            let next = rollup::task(task, seen);
            if task.status.as_ref() == Some(&next) {
                return Ok(());
            }
            let mut said = (**task).clone();
            let before = said.status.replace(next).map(|s| s.conditions).unwrap_or_default();
            api.replace_status(Kind::Task, &key_of(&said.metadata), &said).await?;
            let after = said.status.iter().flat_map(|s| &s.conditions);
            tell(shared, Workload::Task(&said), &before, after);
        }
    }
    Ok(())
}

fn holds(condition: &Condition, type_: &str) -> bool {
    condition.type_ == type_ && condition.status == ConditionStatus::True
}

/// Tells each thing that holds now and did not before.
fn tell<'a>(
    shared: &Shared,
    workload: Workload<'_>,
    before: &[Condition],
    after: impl Iterator<Item = &'a Condition>,
) {
    let about = About::of(workload.kind(), workload.metadata());
    for now in after {
        if before.iter().any(|c| holds(c, &now.type_) && c.reason == now.reason) {
            continue;
        }
        if holds(now, "Stalled") && now.reason == "TooFewNodes" {
            shared.recorder.warn(&about, "TooFewNodes", &now.message);
        } else if holds(now, "Complete") {
            shared.recorder.tell(&about, "TaskComplete", &now.message);
        } else if holds(now, "Failed") {
            shared.recorder.warn(&about, "TaskFailed", &now.message);
        }
    }
}
