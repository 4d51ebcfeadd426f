//! What hangs on an object, from the server.

use anyhow::Result;
use drover_client::{Client, List, ListOptions};
use drover_types::Kind;
use serde_json::Value;

use super::Facts;
use crate::connect::collection_path;
use drover_columns::fields::{list, name, namespace, text};

/// Reads all that a page shows.
pub(crate) async fn gather(client: &Client, kind: Kind, object: Value) -> Result<Facts> {
    let uid = text(&object, "/metadata/uid").to_owned();
    let space = Some(namespace(&object)).filter(|space| !space.is_empty()).map(str::to_owned);
    let find = async |of: Kind, selector: String| -> Result<Vec<Value>> {
        let options = ListOptions { field_selector: Some(selector), ..ListOptions::default() };
        let list: List<Value> = client.list(&collection_path(of, space.as_deref()), &options).await?;
        Ok(list.items)
    };
    let mut facts = Facts::default();
    match kind {
        Kind::Timer | Kind::Task | Kind::Service => {
            facts.assignments = find(Kind::Assignment, format!("spec.workloadRef.uid={uid}")).await?;
            facts.runs = find(Kind::Run, format!("spec.workloadRef.uid={uid}")).await?;
        }
        Kind::Assignment => {
            facts.runs = find(Kind::Run, format!("spec.assignmentRef={}", name(&object))).await?;
        }
        Kind::Node => {
            facts.assignments = find(Kind::Assignment, format!("spec.nodeName={}", name(&object))).await?;
            let alive = format!("spec.nodeName={},status.phase=Running", name(&object));
            facts.runs = find(Kind::Run, alive).await?;
        }
        Kind::Namespace
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::ServiceAccount
        | Kind::Event
        | Kind::Lease
        | Kind::NodePool
        | Kind::Run => {}
    }
    if kind == Kind::Task {
        let tasks: List<Value> =
            client.list(&collection_path(Kind::Task, space.as_deref()), &ListOptions::default()).await?;
        let owned = |task: &Value| {
            list(task, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/uid") == uid)
        };
        facts.calls = tasks.items.into_iter().filter(owned).collect();
    }
    let about = format!("involvedObject.kind={},involvedObject.name={}", kind.names().kind, name(&object));
    facts.events = find(Kind::Event, about).await?;
    // Events of an earlier object of the same name are not its own.
    facts.events.retain(|event| ["", uid.as_str()].contains(&text(event, "/involvedObject/uid")));
    facts.object = object;
    Ok(facts)
}
