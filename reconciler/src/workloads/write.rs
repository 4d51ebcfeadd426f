//! Carries out a plan: deletes, then updates and creates; before each, a second look at nodes taken for silent.

use drover_client::Key;
use drover_plan::fleet::assignment::{Workload, is_for};
use drover_plan::fleet::node::unknown_since;
use drover_plan::fleet::placement::{Action, Plan};
use drover_types::Kind;
use drover_types::kinds::Assignment;
use futures_util::{StreamExt as _, stream};

use super::Loaded;
use crate::api::{Deleted, key_of};
use crate::error::Error;
use crate::events::About;
use crate::shared::Shared;

/// More changes than this at once are told in one Event.
const TOLD_ONE_BY_ONE: usize = 5;

/// Does what a plan says. Stops where every further write would fail alike; else one failure does not keep back the
/// others, and the first is returned.
pub(super) async fn carry_out(
    shared: &Shared,
    workload: Workload<'_>,
    plan: &Plan,
    loaded: &Loaded,
) -> Result<(), Error> {
    let (deletes, writes): (Vec<&Action>, Vec<&Action>) =
        plan.actions.iter().partition(|action| matches!(action, Action::Delete { .. }));
    let writer = Writer { shared, workload, loaded };
    if plan.actions.is_empty() {
        return Ok(());
    }
    for node in &plan.silent {
        still_silent(shared, node).await?;
    }
    let deleted = writer.run(deletes).await?;
    if writes.iter().any(|action| matches!(action, Action::Create(_))) {
        for node in &plan.silent {
            still_silent(shared, node).await?;
        }
    }
    let written = writer.run(writes).await?;
    writer.tell(&deleted, &written);
    Ok(())
}

/// A node that came back meanwhile may run what was about to be placed elsewhere.
async fn still_silent(shared: &Shared, name: &str) -> Result<(), Error> {
    let Some(node) = shared.fresh_node(name).await? else { return Ok(()) };
    if unknown_since(&node).is_none() { Err(Error::NodeSpoke(name.to_owned())) } else { Ok(()) }
}

struct Writer<'a> {
    shared: &'a Shared,
    workload: Workload<'a>,
    loaded: &'a Loaded,
}

/// What one write came to, to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Created { node: String },
    Deleted { node: String, reason: &'static str },
}

impl Writer<'_> {
    async fn run(&self, actions: Vec<&Action>) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        let mut failed = None;
        let writes: Vec<_> = actions.into_iter().map(|action| self.write(action)).collect();
        let mut writes = stream::iter(writes).buffer_unordered(self.shared.options.parallel_writes.max(1));
        while let Some(written) = writes.next().await {
            match written {
                Ok(one) => told.push(one),
                Err(error) if error.is_general() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(told), Err)
    }

    async fn write(&self, action: &Action) -> Result<Told, Error> {
        match action {
            Action::Create(assignment) => self.create(assignment).await,
            Action::Update(assignment) => {
                let key = key_of(&assignment.metadata);
                let next = self.shared.api.replace(Kind::Assignment, &key, assignment).await?;
                self.shared.index.assignments.assume(next);
                Ok(Told::Nothing)
            }
            Action::Delete { name, uid, reason } => self.delete(name, uid, reason).await,
        }
    }

    async fn create(&self, assignment: &Assignment) -> Result<Told, Error> {
        let namespace = assignment.metadata.namespace.clone().unwrap_or_default();
        let (api, index) = (&self.shared.api, &self.shared.index);
        index.assignments.ask(assignment);
        match api.create(Kind::Assignment, &namespace, assignment).await {
            Ok(made) => {
                index.assignments.assume(made);
                Ok(Told::Created { node: assignment.spec.node_name.clone() })
            }
            // Made before, by this process or by one that was killed.
            Err(error) if error.is_already_exists() => self.recognise(assignment).await,
            // The namespace is going, or gone, and the workload with it.
            Err(error) if error.api().is_some() && index.graph.is_terminating(&namespace) => {
                index.assignments.refused(assignment);
                Ok(Told::Nothing)
            }
            Err(error) => {
                let error = Error::from(error);
                if !error.is_general() {
                    index.assignments.refused(assignment);
                    self.tell_failure(&assignment.spec.node_name, &error);
                }
                Err(error)
            }
        }
    }

    async fn recognise(&self, wanted: &Assignment) -> Result<Told, Error> {
        let key = key_of(&wanted.metadata);
        self.shared.index.assignments.refused(wanted);
        let Some(found) = self.shared.api.get::<Assignment>(Kind::Assignment, &key).await? else {
            // Its end wakes nobody for this workload.
            return Err(Error::Freed(key.name));
        };
        if found.spec.workload_ref.uid != wanted.spec.workload_ref.uid {
            let error = Error::Namesake(key.name);
            self.tell_failure(&wanted.spec.node_name, &error);
            return Err(error);
        }
        self.shared.index.assignments.assume(found);
        Ok(Told::Nothing)
    }

    async fn delete(&self, name: &str, uid: &str, reason: &'static str) -> Result<Told, Error> {
        let namespace = self.workload.metadata().namespace.clone().unwrap_or_default();
        let key = Key { namespace, name: name.to_owned() };
        let Some(held) = self.loaded.assignments.iter().find(|a| a.metadata.uid == uid) else {
            return Ok(Told::Nothing);
        };
        let node = held.spec.node_name.clone();
        if reason == "NodeDeleted"
            && let Some(found) = self.shared.fresh_node(&node).await?
            && is_for(held, &found)
            && found.metadata.deletion_timestamp.is_none()
        {
            return Err(Error::NodeSpoke(node));
        }
        match self.shared.api.delete(Kind::Assignment, &key, uid).await? {
            Deleted::Gone => self.shared.index.assignments.forget(&key, uid),
            Deleted::Held(object) => {
                // What cannot be read is shown by the watch, or not at all.
                if let Ok(object) = serde_json::from_value(object) {
                    self.shared.index.assignments.assume(object);
                }
            }
        }
        Ok(Told::Deleted { node, reason })
    }

    fn about(&self) -> About {
        About::of(self.workload.kind(), self.workload.metadata())
    }

    fn tell_failure(&self, node: &str, error: &Error) {
        let message = format!("The Assignment for node {node} could not be made: {error}");
        self.shared.recorder.warn(&self.about(), "FailedCreate", &message);
    }

    fn tell(&self, deleted: &[Told], written: &[Told]) {
        let moved: Vec<&str> = nodes_where(deleted, |reason| reason == "NodeUnreachable");
        let left: Vec<&str> = nodes_where(deleted, |reason| reason != "NodeUnreachable");
        let mut came: Vec<&str> = written
            .iter()
            .filter_map(|told| match told {
                Told::Created { node } => Some(node.as_str()),
                Told::Nothing | Told::Deleted { .. } => None,
            })
            .collect();
        came.sort_unstable();
        let recorder = &self.shared.recorder;
        if !moved.is_empty() {
            let message = format!("Moved from {}, unreachable, to {}.", moved.join(", "), came.join(", "));
            recorder.warn(&self.about(), "AssignmentMoved", &message);
        } else if came.len() > TOLD_ONE_BY_ONE {
            let message = format!("Assigned to {} more nodes.", came.len());
            recorder.tell(&self.about(), "AssignmentCreated", &message);
        } else {
            for node in came {
                recorder.tell(&self.about(), "AssignmentCreated", &format!("Assigned to node {node}."));
            }
        }
        if left.len() > TOLD_ONE_BY_ONE {
            let message = format!("Taken from {} nodes.", left.len());
            recorder.tell(&self.about(), "AssignmentDeleted", &message);
        } else {
            for told in deleted {
                if let Told::Deleted { node, reason } = told
                    && *reason != "NodeUnreachable"
                {
                    let message = format!("Taken from node {node}: {reason}.");
                    recorder.tell(&self.about(), "AssignmentDeleted", &message);
                }
            }
        }
    }
}

fn nodes_where(told: &[Told], wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut nodes: Vec<&str> = told
        .iter()
        .filter_map(|told| match told {
            Told::Deleted { node, reason } if wanted(reason) => Some(node.as_str()),
            Told::Nothing | Told::Created { .. } | Told::Deleted { .. } => None,
        })
        .collect();
    nodes.sort_unstable();
    nodes
}
