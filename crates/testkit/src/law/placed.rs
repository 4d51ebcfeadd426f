//! After the quiet time each workload is where its placement says, at its newest generation, and its status says so.

use std::collections::BTreeSet;

use drover_types::Kind;
use serde_json::Value;

use super::{Breach, Law, Scene};
use crate::scenario::ZONE;

/// Looks at the end alone.
pub(super) struct Placed;

/// Whether a node is one that a placement speaks of. What scenarios do not use is not understood.
fn matches(placement: &Value, node: &Value) -> bool {
    let zone = &node["metadata"]["labels"][ZONE];
    let wanted = &placement["nodeSelector"][ZONE];
    let expressions = placement["matchExpressions"].as_array();
    (wanted.is_null() || wanted == zone)
        && expressions.into_iter().flatten().all(|expression| {
            let named = expression["values"].as_array().is_some_and(|values| values.contains(zone));
            !named
        })
}

fn check(scene: &Scene, kind: Kind, name: &str, workload: &Value) -> Result<(), Breach> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let what = format!("{} {name}", kind.names().kind);
    if !workload["metadata"]["deletionTimestamp"].is_null() {
        return Err(format!("{what} is still being deleted"));
    }
    let generation = &workload["metadata"]["generation"];
    if workload["status"]["observedGeneration"] != *generation {
        return Err(format!("{what} is at {generation}, and its status is not: {}", workload["status"]));
    }
    let uid = text(&workload["metadata"]["uid"]);
    let of = scene
        .objects(Kind::Assignment)
        .filter(|(_, held)| held["spec"]["workloadRef"]["uid"] == uid.as_str());
    let mut held = BTreeSet::new();
    for (assignment, object) in of {
        let node = text(&object["spec"]["nodeName"]);
        if object["spec"]["workloadRef"]["generation"] != *generation {
            return Err(format!(
                "{what} is at {generation}, and assignment {assignment} is not: {}",
                object["spec"]["workloadRef"]
            ));
        }
        if !held.insert(node.clone()) {
            return Err(format!("{what} has two Assignments on {node}"));
        }
    }
    let placement = &workload["spec"]["placement"];
    let wanted: BTreeSet<String> = scene
        .objects(Kind::Node)
        .filter(|(_, node)| matches(placement, node))
        .map(|(name, _)| name.to_owned())
        .collect();
    if let Some(node) = held.difference(&wanted).next() {
        return Err(format!("{what} is on {node}, which its placement does not speak of"));
    }
    // A cordon keeps out what is not there yet.
    let open =
        |node: &&String| scene.object(Kind::Node, node).is_some_and(|n| n["spec"]["unschedulable"] != true);
    let count = placement["count"].as_u64().unwrap_or(u64::MAX);
    let lacking = wanted.difference(&held).find(open);
    if (held.len() as u64) < count
        && let Some(node) = lacking
    {
        return Err(format!("{what} is not on {node}, and on {} nodes", held.len()));
    }
    if held.len() as u64 > count {
        return Err(format!("{what} is on {} nodes, and wanted on {count}", held.len()));
    }
    let each = if kind == Kind::Service { workload["spec"]["replicas"].as_u64().unwrap_or(1) } else { 1 };
    let desired = workload["status"]["desired"].as_u64().unwrap_or(0);
    if desired != each * held.len() as u64 && placement["count"].is_null() {
        return Err(format!("{what} is on {} nodes, and its status says {desired}", held.len()));
    }
    Ok(())
}

impl Law for Placed {
    fn name(&self) -> &'static str {
        "when_faults_stop_every_workload_is_where_its_placement_says"
    }

    fn on(&mut self, _: &crate::step::Step, _: &Scene) -> Result<(), Breach> {
        Ok(())
    }

    fn at_end(&mut self, scene: &Scene) -> Result<(), Breach> {
        // A Task that is over has the nodes that it had.
        for kind in [Kind::Timer, Kind::Service] {
            scene.objects(kind).try_for_each(|(name, workload)| check(scene, kind, name, workload))?;
        }
        let uid = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        let there: BTreeSet<String> = [Kind::Timer, Kind::Task, Kind::Service]
            .into_iter()
            .flat_map(|kind| scene.objects(kind))
            .map(|(_, workload)| uid(&workload["metadata"]["uid"]))
            .collect();
        let orphan = scene
            .objects(Kind::Assignment)
            .find(|(_, assignment)| !there.contains(&uid(&assignment["spec"]["workloadRef"]["uid"])));
        match orphan {
            Some((name, _)) => Err(format!("assignment {name} is there, and its workload is gone")),
            None => Ok(()),
        }
    }
}
