//! A workload out of the local copy, whichever kind it is.

use std::sync::Arc;

use drover_client::Key;
use drover_plan::fleet::assignment::Workload;
use drover_types::Kind;
use drover_types::kinds::{Service, Task, Timer};

use crate::api::key_of;
use crate::queues::WorkloadKey;
use crate::view::View;

/// A workload, shared with the copy.
pub(super) enum Held {
    /// A Timer.
    Timer(Arc<Timer>),
    /// A Task.
    Task(Arc<Task>),
    /// A Service.
    Service(Arc<Service>),
}

impl Held {
    /// The one of this kind and key, if there is one.
    pub(super) fn load(view: &View, kind: Kind, key: &Key) -> Option<Self> {
        match kind {
            Kind::Timer => view.timers.get(key).map(Self::Timer),
            Kind::Task => view.tasks.get(key).map(Self::Task),
            Kind::Service => view.services.get(key).map(Self::Service),
            _ => None,
        }
    }

    /// All of them.
    pub(super) fn all(view: &View) -> Vec<Self> {
        let timers = view.timers.list().into_iter().map(|(_, timer)| Self::Timer(timer));
        let tasks = view.tasks.list().into_iter().map(|(_, task)| Self::Task(task));
        let services = view.services.list().into_iter().map(|(_, service)| Self::Service(service));
        timers.chain(tasks).chain(services).collect()
    }

    /// As a plan wants it.
    pub(super) fn as_workload(&self) -> Workload<'_> {
        match self {
            Self::Timer(timer) => Workload::Timer(timer),
            Self::Task(task) => Workload::Task(task),
            Self::Service(service) => Workload::Service(service),
        }
    }

    /// Its key in the queue.
    pub(super) fn key(&self) -> WorkloadKey {
        let workload = self.as_workload();
        WorkloadKey::One(workload.kind(), key_of(workload.metadata()))
    }
}
