//! What a node has to be told: the difference between what it holds and what it is to hold. Pure functions.
//!
//! A resume and a change within a session are the same thing here; they differ in how the caller knows what the node
//! holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use drover_store::Object;
use drover_types::kinds::{ConfigMap, Secret};
use drover_wire::{Desired, MAX_FRAME, Material, MaterialKind, MaterialRef, PoolSettings};

/// Room that a chunk needs for itself.
const OVERHEAD: usize = 2048;

/// What a node is to hold, as of one revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The store's revision.
    pub(crate) revision: u64,
    /// By uid: the revision at which anything but its status last changed, and the object.
    pub(crate) assignments: BTreeMap<String, (u64, Arc<Object>)>,
    /// The Secrets and ConfigMaps that they name and that exist.
    pub(crate) materials: BTreeMap<MaterialRef, Arc<Object>>,
    /// What its pool says.
    pub(crate) pool: PoolSettings,
}

/// What a node holds, by the revision of each thing; 0 where it may hold something that is out of date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) assignments: BTreeMap<String, u64>,
    pub(crate) materials: BTreeMap<MaterialRef, u64>,
    /// `None`: nobody knows.
    pub(crate) pool: Option<PoolSettings>,
}

/// What is to be sent, and what the node holds once it has stored that.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub(crate) desired: Desired,
    pub(crate) sent: Sent,
    /// What is too large for a frame and stays behind, by name.
    pub(crate) too_large: Vec<String>,
}

impl Planned {
    /// Whether the node has it all already.
    pub(crate) fn is_empty(&self) -> bool {
        let desired = &self.desired;
        !desired.full
            && desired.assignments.is_empty()
            && desired.removed.is_empty()
            && desired.materials.is_empty()
            && desired.dropped_materials.is_empty()
            && desired.pool.is_none()
    }
}

/// Brings a node from what it holds to what it is to hold; `None`: whatever it holds, it gets everything.
pub(crate) fn plan(held: Option<&Sent>, view: &View) -> Planned {
    let nothing = Sent::default();
    let full = held.is_none();
    let held = held.unwrap_or(&nothing);
    let mut planned = Planned {
        desired: Desired { revision: view.revision, full, ..Desired::default() },
        ..Planned::default()
    };
    plan_assignments(held, view, &mut planned);
    plan_materials(held, view, &mut planned);
    if held.pool.as_ref() != Some(&view.pool) {
        planned.desired.pool = Some(view.pool.clone());
    }
    planned.sent.pool = Some(view.pool.clone());
    planned
}

fn plan_assignments(held: &Sent, view: &View, planned: &mut Planned) {
    for (uid, (revision, object)) in &view.assignments {
        planned.sent.assignments.insert(uid.clone(), *revision);
        if held.assignments.get(uid) == Some(revision) {
            continue;
        }
        match serde_json::from_slice(&object.bytes) {
            Ok(value) if object.bytes.len() + OVERHEAD <= MAX_FRAME => {
                planned.desired.assignments.push(value)
            }
            _ => planned.too_large.push(String::from_utf8_lossy(&object.key).into_owned()),
        }
    }
    let gone = held.assignments.keys().filter(|uid| !view.assignments.contains_key(*uid));
    planned.desired.removed = gone.cloned().collect();
}

fn plan_materials(held: &Sent, view: &View, planned: &mut Planned) {
    for (reference, object) in &view.materials {
        planned.sent.materials.insert(reference.clone(), object.mod_revision);
        if held.materials.get(reference) == Some(&object.mod_revision) {
            continue;
        }
        match material(reference, object) {
            Some(material) => planned.desired.materials.push(material),
            None => {
                planned.too_large.push(String::from_utf8_lossy(&object.key).into_owned());
                // Better none, which a run reports as missing, than one that is out of date.
                if held.materials.contains_key(reference) {
                    planned.desired.dropped_materials.push(reference.clone());
                }
            }
        }
    }
    let gone = held.materials.keys().filter(|reference| !view.materials.contains_key(*reference));
    planned.desired.dropped_materials.extend(gone.cloned());
}

/// A Secret or ConfigMap as it travels; `None` if it does not fit.
fn material(reference: &MaterialRef, object: &Object) -> Option<Material> {
    let data = match reference.kind {
        MaterialKind::Secret => serde_json::from_slice::<Secret>(&object.bytes).ok()?.data,
        MaterialKind::ConfigMap => {
            let map: ConfigMap = serde_json::from_slice(&object.bytes).ok()?;
            let mut data = map.binary_data;
            data.extend(map.data.into_iter().map(|(key, text)| (key, BASE64_STANDARD.encode(text))));
            data
        }
        // Nothing names one yet.
        MaterialKind::SharedVar => return None,
    };
    let size: usize = data.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
    (size + OVERHEAD <= MAX_FRAME).then(|| Material {
        kind: reference.kind,
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
        resource_version: object.mod_revision.to_string(),
        data,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn object(revision: u64, value: &serde_json::Value) -> Arc<Object> {
        Arc::new(Object {
            key: "k".into(),
            mod_revision: revision,
            create_revision: 1,
            bytes: value.to_string().into(),
            event: Bytes::new(),
        })
    }

    fn reference(kind: MaterialKind, name: &str) -> MaterialRef {
        MaterialRef { kind, namespace: "default".into(), name: name.into() }
    }

    fn view() -> View {
        let assignment = |uid: &str| object(5, &json!({"metadata": {"uid": uid}}));
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eA=="}});
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "x"}});
        View {
            revision: 9,
            assignments: BTreeMap::from([
                ("u1".into(), (5, assignment("u1"))),
                ("u2".into(), (7, assignment("u2"))),
            ]),
            materials: BTreeMap::from([
                (reference(MaterialKind::Secret, "s"), object(6, &secret)),
                (reference(MaterialKind::ConfigMap, "c"), object(8, &config)),
            ]),
            pool: PoolSettings { offline_after_ms: 60_000, ..PoolSettings::default() },
        }
    }

    #[test]
    fn a_node_that_holds_nothing_known_gets_everything() {
        let planned = plan(None, &view());
        let desired = &planned.desired;
        assert!(desired.full && !planned.is_empty());
        assert_eq!((desired.revision, desired.assignments.len(), desired.materials.len()), (9, 2, 2));
        assert_eq!(desired.pool, Some(view().pool));
        // Both kinds travel in base64.
        let values: Vec<_> = desired.materials.iter().flat_map(|material| material.data.values()).collect();
        assert_eq!(values, ["eA==", "eA=="]);
        assert!(plan(Some(&planned.sent), &view()).is_empty(), "what was sent is not sent again");
    }

    #[test]
    fn only_what_differs_travels() {
        let mut held = plan(None, &view()).sent;
        held.assignments.insert("u1".into(), 4);
        held.assignments.insert("gone".into(), 0);
        held.materials.insert(reference(MaterialKind::Secret, "s"), 0);
        held.materials.insert(reference(MaterialKind::Secret, "unused"), 3);
        let planned = plan(Some(&held), &view());
        let desired = planned.desired;
        assert!(!desired.full);
        assert_eq!(desired.assignments, [json!({"metadata": {"uid": "u1"}})]);
        assert_eq!(desired.removed, ["gone"]);
        assert_eq!(desired.materials.len(), 1);
        assert_eq!(desired.materials[0].resource_version, "6");
        assert_eq!(desired.dropped_materials, [reference(MaterialKind::Secret, "unused")]);
        assert_eq!(desired.pool, None);
    }

    #[test]
    fn a_value_over_a_frame_stays_behind_and_says_so() {
        let mut view = view();
        let large = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "x".repeat(900 << 10)}});
        let name = reference(MaterialKind::ConfigMap, "c");
        let held = plan(None, &view).sent;
        view.materials.insert(name.clone(), object(10, &large));
        let planned = plan(Some(&held), &view);
        assert_eq!((planned.too_large.len(), planned.desired.materials.len()), (1, 0));
        assert_eq!(planned.desired.dropped_materials, [name]);
        assert!(plan(Some(&planned.sent), &view).is_empty(), "it is not tried again and again");
    }
}
