//! Writes a workload's status when it says something new, and tells what turned.

use drover_plan::fleet::rollup::{self, Seen};
use drover_types::meta::Object;
use drover_types::{Condition, ConditionStatus, Kind};
use serde::Serialize;

use super::held::Held;
use crate::api::key_of;
use crate::error::Error;
use crate::events::About;
use crate::shared::Shared;

/// Rolls up what was seen and writes it if it is not what the workload says already.
pub(super) async fn write(shared: &Shared, held: &Held, seen: Seen<'_>) -> Result<(), Error> {
    match held {
        Held::Timer(timer) => {
            put(shared, (Kind::Timer, timer), rollup::timer(timer, seen), |s| &s.conditions).await
        }
        Held::Service(service) => {
            put(shared, (Kind::Service, service), rollup::service(service, seen), |s| &s.conditions).await
        }
        Held::Task(task) => {
            put(shared, (Kind::Task, task), rollup::task(task, seen), |s| &s.conditions).await
        }
    }
}

async fn put<T: Clone + Serialize, S: Clone + PartialEq + Serialize>(
    shared: &Shared,
    (kind, held): (Kind, &Object<T, S>),
    next: S,
    conditions: fn(&S) -> &[Condition],
) -> Result<(), Error> {
    if held.status.as_ref() == Some(&next) {
        return Ok(());
    }
    let mut said = held.clone();
    let before = said.status.replace(next);
    shared.api.replace_status(kind, &key_of(&said.metadata), &said).await?;
    let [before, after] = [&before, &said.status].map(|status| status.as_ref().map_or(&[][..], conditions));
    tell(shared, &About::of(kind, &said.metadata), before, after);
    Ok(())
}

fn holds(condition: &Condition, type_: &str) -> bool {
    condition.type_ == type_ && condition.status == ConditionStatus::True
}

/// Tells each thing that holds now and did not before.
fn tell(shared: &Shared, about: &About, before: &[Condition], after: &[Condition]) {
    for now in after {
        if before.iter().any(|c| holds(c, &now.type_) && c.reason == now.reason) {
            continue;
        }
        if holds(now, "Stalled") && now.reason == "TooFewNodes" {
            shared.recorder.warn(about, "TooFewNodes", &now.message);
        } else if holds(now, "Complete") {
            shared.recorder.tell(about, "TaskComplete", &now.message);
        } else if holds(now, "Failed") {
            shared.recorder.warn(about, "TaskFailed", &now.message);
        }
    }
}
