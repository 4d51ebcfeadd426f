//! The output of a workload: of its newest runs, and of those that come.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, bail};
use drover_client::{Client, EventKind, List, ListOptions};
use drover_types::Kind;
use serde_json::Value;

use super::select::{has_started, newest};
use super::stream::{Reader, Source, Together};
use crate::connect::collection_path;
use crate::follow::{Follow, Seen};
use drover_columns::fields::{holds, list, name, text, time};

/// Whose runs are meant.
pub(crate) struct Workload {
    /// Timer, Task or Service.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// The only node that is meant.
    pub(crate) node: Option<String>,
}

/// When following is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// When the caller has enough.
    Never,
    /// When the Task, a Once one, is done and all was printed.
    WithTask,
}

impl Workload {
    fn options(&self) -> ListOptions {
        let (kind, name) = (self.kind.names().kind, &self.name);
        let node = self.node.as_ref().map(|node| format!(",spec.nodeName={node}")).unwrap_or_default();
        let field_selector = Some(format!("spec.workloadRef.kind={kind},spec.workloadRef.name={name}{node}"));
        ListOptions { field_selector, ..ListOptions::default() }
    }

    /// The newest run of each node and replica.
    pub(crate) async fn newest(&self, reader: &Reader) -> Result<Vec<Source>> {
        let path = collection_path(Kind::Run, Some(&reader.namespace));
        let runs: List<Value> = reader.client.list(&path, &self.options()).await?;
        Ok(newest(&runs.items).into_iter().map(Source::of).collect())
    }

    /// Prints the newest runs and those that come, line by line. Returns, when that is over,
    /// the Task as it was last, and whether every run could be read.
    pub(crate) async fn follow(&self, reader: Reader, ends: Ends) -> Result<(Option<Value>, bool)> {
        let reader = Arc::new(reader);
        let path = collection_path(Kind::Run, Some(&reader.namespace));
        let (found, mut runs) = Follow::begin(&reader.client, &path, self.options()).await?;
        let mut begun: BTreeSet<String> = found.iter().filter(|run| has_started(run)).map(uid).collect();
        let mut task = match ends {
            Ends::Never => None,
            Ends::WithTask => Some(self.task(&reader).await?),
        };
        // On one node, the attempts of a Task are one after the other.
        let on_one = |task: &Value| {
            let placement = |member: &str| task.pointer(&format!("/spec/placement/{member}"));
            placement("nodeName").is_some() || placement("count").is_some_and(|count| *count == 1)
        };
        let pinned = |task: &Value| self.node.is_some() || on_one(task);
        let several = !task.as_ref().and_then(|(task, _)| task.as_ref()).is_some_and(pinned);
        let mut together = Together::new(Arc::clone(&reader), several);
        newest(&found).into_iter().map(Source::of).for_each(|source| together.add(source));
        let mut over = task.as_mut().and_then(|(task, _)| task.take().filter(is_done));
        loop {
            if over.is_some() && together.is_idle() {
                return Ok((over, together.good()));
            }
            let of_task = async {
                match (&mut task, &over) {
                    (Some((_, follow)), None) => follow.next().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                seen = of_task => {
                    let seen = seen?;
                    if seen.kind == EventKind::Deleted {
                        bail!("task/{} was deleted", self.name);
                    }
                    if is_done(&seen.object) {
                        over = Some(seen.object);
                        // The watch of its runs may be behind the Task's own.
                        let last: List<Value> = reader.client.list(&path, &self.options()).await?;
                        last.items.into_iter().for_each(|run| begin(&mut together, &mut begun, &run));
                    }
                }
                seen = runs.next() => match seen? {
                    Seen { kind: EventKind::Deleted, object } => {
                        begun.remove(&uid(&object));
                    }
                    Seen { object, .. } => begin(&mut together, &mut begun, &object),
                },
                done = together.step() => done?,
            }
        }
    }

    async fn task(&self, reader: &Reader) -> Result<(Option<Value>, Follow)> {
        let options = ListOptions {
            field_selector: Some(format!("metadata.name={}", self.name)),
            ..ListOptions::default()
        };
        let path = collection_path(Kind::Task, Some(&reader.namespace));
        let (found, follow) = Follow::begin(&reader.client, &path, options).await?;
        match found.into_iter().next() {
            Some(task) => Ok((Some(task), follow)),
            None => bail!("task/{} does not exist", self.name),
        }
    }
}

fn begin(together: &mut Together, begun: &mut BTreeSet<String>, run: &Value) {
    if has_started(run) && begun.insert(uid(run)) {
        together.add(Source::of(run));
    }
}

fn uid(run: &Value) -> String {
    text(run, "/metadata/uid").to_owned()
}

fn is_done(task: &Value) -> bool {
    holds(task, "Complete") || holds(task, "Failed")
}

/// The newest call of an OnDemand Task: its child, by owner.
pub(crate) async fn newest_call(client: &Client, namespace: &str, task: &Value) -> Result<Option<String>> {
    let path = collection_path(Kind::Task, Some(namespace));
    let tasks: List<Value> = client.list(&path, &ListOptions::default()).await?;
    Ok(newest_child(&tasks.items, text(task, "/metadata/uid")))
}

fn newest_child(tasks: &[Value], owner: &str) -> Option<String> {
    let owned = |task: &&Value| {
        list(task, "/metadata/ownerReferences").iter().any(|held| text(held, "/uid") == owner)
    };
    let newest =
        tasks.iter().filter(owned).max_by_key(|task| (time(task, "/metadata/creationTimestamp"), name(task)));
    newest.map(|task| name(task).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_call_is_the_youngest_child_of_that_very_task() {
        let task = |name: &str, owner: &str, created: &str| {
            json!({"metadata": {
                "name": name, "creationTimestamp": created, "ownerReferences": [{"uid": owner}],
            }})
        };
        let tasks = [
            task("d-1", "u", "2026-08-01T11:00:00Z"),
            task("d-2", "u", "2026-08-01T11:30:00Z"),
            task("other", "v", "2026-08-01T12:00:00Z"),
        ];
        assert_eq!(newest_child(&tasks, "u").as_deref(), Some("d-2"));
        assert_eq!(newest_child(&tasks, "w"), None);
    }

    #[test]
    fn runs_are_selected_by_workload_and_node() {
        let workload = Workload { kind: Kind::Timer, name: "beat".into(), node: Some("a".into()) };
        assert_eq!(
            workload.options().field_selector.as_deref(),
            Some("spec.workloadRef.kind=Timer,spec.workloadRef.name=beat,spec.nodeName=a")
        );
    }
}
