//! Laws of the index, over histories of changes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::desired::{Planned, plan};
use super::*;

/// A store in small: keys, what they hold, and the index that follows.
struct World {
    index: Index,
    revision: u64,
    live: BTreeMap<String, Arc<Object>>,
    concerned: Concerned,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            index: Index::new(0),
            revision: 0,
            live: BTreeMap::new(),
            concerned: Concerned::default(),
        };
        for node in ["a", "b"] {
            world.put(Watched::Nodes, node, &json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "uid": format!("uid-{node}")},
                "spec": {}, "status": {"pool": "p"},
            }));
        }
        world
    }

    fn key(watched: Watched, name: &str) -> String {
        format!("/registry/{watched:?}/default/{name}")
    }

    fn put(&mut self, watched: Watched, name: &str, value: &Value) {
        self.revision += 1;
        let key = Self::key(watched, name);
        let previous = self.live.get(&key).cloned();
        let created = previous.as_ref().map_or(self.revision, |old| old.create_revision);
        let mut text = value.to_string();
        let at = text.find("\"metadata\":{").unwrap() + "\"metadata\":{".len();
        text.insert_str(at, &format!("\"resourceVersion\":\"{}\",", self.revision));
        let object = Arc::new(Object {
            key: key.clone().into(),
            mod_revision: self.revision,
            create_revision: created,
            bytes: text.into(),
            event: bytes::Bytes::new(),
        });
        let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Created };
        self.live.insert(key, object.clone());
        self.apply(watched, Event { revision: self.revision, kind, object, previous });
    }

    fn delete(&mut self, watched: Watched, name: &str) {
        let Some(old) = self.live.remove(&Self::key(watched, name)) else { return };
        self.revision += 1;
        let event = Event {
            revision: self.revision,
            kind: EventKind::Deleted,
            object: old.clone(),
            previous: Some(old),
        };
        self.apply(watched, event);
    }

    fn apply(&mut self, watched: Watched, event: Event) {
        self.index.apply(watched, &event, &mut self.concerned);
        self.index.reached(self.revision);
    }

    fn assign(&mut self, name: &str, uid: &str, secrets: &[&str], status: u64) {
        let from: Vec<_> = secrets.iter().map(|name| json!({"secretRef": {"name": name}})).collect();
        // A node takes the first letter of its Assignments' names.
        self.put(Watched::Assignments, name, &json!({
            "apiVersion": "drover.dev/v1", "kind": "Assignment",
            "metadata": {"name": name, "namespace": "default", "uid": uid},
            "spec": {
                "nodeName": &name[..1], "workloadRef": {"uid": format!("w-{name}")},
                "timer": {"every": "1m", "template": {"process": {"command": ["/bin/true"], "envFrom": from}}},
            },
            "status": {"restarts": status},
        }));
    }

    fn secret(&mut self, name: &str, value: u64) {
        self.put(
            Watched::Secrets,
            name,
            &json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
                "data": {"v": format!("{value:04}")},
            }),
        );
    }
}

/// What an agent has on its disk.
#[derive(Clone, Debug, Default, PartialEq)]
struct Agent {
    revision: u64,
    assignments: BTreeMap<String, Value>,
    materials: BTreeMap<MaterialRef, BTreeMap<String, String>>,
    pool: Option<PoolSettings>,
}

impl Agent {
    fn store(&mut self, planned: Planned) {
        let desired = planned.desired;
        if desired.full {
            *self = Self::default();
        }
        self.revision = desired.revision;
        for uid in desired.removed {
            self.assignments.remove(&uid);
        }
        for mut object in desired.assignments {
            // Its own status and the version of the object mean nothing to it.
            object["status"] = Value::Null;
            object["metadata"]["resourceVersion"] = Value::Null;
            self.assignments.insert(object["metadata"]["uid"].as_str().unwrap().into(), object);
        }
        for reference in desired.dropped_materials {
            self.materials.remove(&reference);
        }
        self.materials.extend(desired.materials.into_iter().map(|m| (m.reference(), m.data)));
        self.pool = desired.pool.or(self.pool.take());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Assign { name: usize, uid: usize, secrets: Vec<usize>, status: u64 },
    Unassign { name: usize },
    Secret { name: usize, value: u64 },
    Unsecret { name: usize },
    Pool { lanes: u32 },
}

const NAMES: [&str; 4] = ["a1", "a2", "b1", "b2"];
const SECRETS: [&str; 3] = ["s", "t", "u"];

fn step() -> impl Strategy<Value = Step> {
    let secrets = proptest::collection::vec(0..SECRETS.len(), 0..3);
    prop_oneof![
        4 => (0..NAMES.len(), 0_usize..2, secrets, 0_u64..3)
            .prop_map(|(name, uid, secrets, status)| Step::Assign { name, uid, secrets, status }),
        1 => (0..NAMES.len()).prop_map(|name| Step::Unassign { name }),
        2 => (0..SECRETS.len(), 0_u64..9).prop_map(|(name, value)| Step::Secret { name, value }),
        1 => (0..SECRETS.len()).prop_map(|name| Step::Unsecret { name }),
        1 => (1_u32..4).prop_map(|lanes| Step::Pool { lanes }),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Assign { name, uid, secrets, status } => {
            let name = NAMES[*name];
            let secrets: Vec<_> = secrets.iter().map(|index| SECRETS[*index]).collect();
            let uid = format!("{name}-{uid}");
            let key = World::key(Watched::Assignments, name);
            // Another uid is another object, which comes after the end of the first.
            if world.live.get(&key).is_some_and(|old| {
                serde_json::from_slice::<Value>(&old.bytes).unwrap()["metadata"]["uid"] != uid.as_str()
            }) {
                world.delete(Watched::Assignments, name);
            }
            world.assign(name, &uid, &secrets, *status);
        }
        Step::Unassign { name } => world.delete(Watched::Assignments, NAMES[*name]),
        Step::Secret { name, value } => world.secret(SECRETS[*name], *value),
        Step::Unsecret { name } => world.delete(Watched::Secrets, SECRETS[*name]),
        Step::Pool { lanes } => world.put(
            Watched::Pools,
            "p",
            &json!({
                "apiVersion": "drover.dev/v1", "kind": "NodePool", "metadata": {"name": "p"},
                "spec": {"lanes": {"l": lanes}},
            }),
        ),
    }
}

fn full(world: &World, node: &str) -> Agent {
    let mut agent = Agent::default();
    agent.store(plan(None, &world.index.view(node)));
    agent
}

#[test]
fn a_secret_deleted_in_an_absence_is_dropped_also_where_what_named_it_was_changed() {
    let mut world = World::new();
    world.assign("a2", "a2-1", &["s"], 0);
    world.secret("s", 0);
    let mut agent = full(&world, "a");
    assert_eq!(agent.materials.len(), 1);
    world.delete(Watched::Secrets, "s");
    world.assign("a2", "a2-1", &["s", "s"], 0);
    let held = world.index.held_at("a", agent.revision).unwrap();
    agent.store(plan(Some(&held), &world.index.view("a")));
    assert_eq!(agent, full(&world, "a"));
    assert_eq!(agent.materials.len(), 0);
}

proptest! {
    #[test]
    fn a_delta_after_any_absence_equals_the_full_state(
        before in proptest::collection::vec(step(), 0..20),
        absence in proptest::collection::vec(step(), 0..20),
    ) {
        let mut world = World::new();
        before.iter().for_each(|step| take(&mut world, step));
        let mut agent = full(&world, "a");
        absence.iter().for_each(|step| take(&mut world, step));
        let held = world.index.held_at("a", agent.revision).unwrap();
        let planned = plan(Some(&held), &world.index.view("a"));
        prop_assert!(!planned.desired.full);
        agent.store(planned);
        prop_assert_eq!(agent, full(&world, "a"));
    }

    #[test]
    fn whoever_is_concerned_is_told_and_what_was_sent_is_exact(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut world = World::new();
        let first = plan(None, &world.index.view("a"));
        let mut sent = first.sent.clone();
        let mut agent = Agent::default();
        agent.store(first);
        for step in &steps {
            world.concerned = Concerned::default();
            take(&mut world, step);
            let planned = plan(Some(&sent), &world.index.view("a"));
            prop_assert!(planned.is_empty() || world.concerned.nodes.contains("a"), "{:?}", planned.desired);
            sent = planned.sent.clone();
            agent.store(planned);
            prop_assert_eq!(&agent, &full(&world, "a"));
        }
    }
}

#[test]
fn a_status_is_no_news_to_its_node() {
    let mut world = World::new();
    world.assign("a1", "u", &["s"], 0);
    world.concerned = Concerned::default();
    world.assign("a1", "u", &["s"], 1);
    assert_eq!(world.concerned, Concerned::default());
    world.assign("a1", "u", &["t"], 1);
    assert!(world.concerned.nodes.contains("a"));
}

#[test]
fn a_node_gets_only_the_secrets_that_its_own_assignments_name() {
    let mut world = World::new();
    for secret in SECRETS {
        world.secret(secret, 1);
    }
    world.assign("a1", "u1", &["s"], 0);
    world.assign("b1", "u2", &["t"], 0);
    let names = |node| -> Vec<_> {
        world.index.view(node).materials.into_keys().map(|reference| reference.name).collect()
    };
    assert_eq!((names("a"), names("b")), (vec!["s".to_owned()], vec!["t".to_owned()]));
}

#[test]
fn a_node_that_came_back_under_its_name_inherits_nothing() {
    let mut world = World::new();
    world.secret("s", 1);
    world.assign("a1", "u1", &["s"], 0);
    world.delete(Watched::Nodes, "a");
    assert_eq!(world.concerned.gone, BTreeSet::from([("a".to_owned(), "uid-a".to_owned())]));
    assert!(world.index.view("a").assignments.is_empty());
    world.put(
        Watched::Nodes,
        "a",
        &json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "uid": "another"}, "spec": {},
        }),
    );
    assert!(world.index.hosts("a", "another"));
    let view = world.index.view("a");
    assert!(view.assignments.is_empty() && view.materials.is_empty());
    world.assign("a2", "u2", &[], 0);
    assert_eq!(world.index.view("a").assignments.len(), 1);
}

#[test]
fn a_past_that_is_not_kept_means_everything_anew() {
    let mut world = World::new();
    let index = Index::new(100);
    assert_eq!(index.held_at("a", 99), None);
    assert_eq!(world.index.held_at("a", world.revision + 1), None, "nobody knows the future");
    let seen = world.revision;
    for round in 0..=LOG {
        world.assign("a1", &format!("u{round}"), &[], 0);
        world.delete(Watched::Assignments, "a1");
    }
    assert_eq!(world.index.held_at("a", seen), None);
    assert!(world.index.held_at("a", world.revision).is_some());
    assert!(world.index.order.len() <= LOG && world.index.log["a"].len() <= LOG);
}
