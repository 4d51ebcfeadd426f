//! v1 Events: a small set, each coalesced under a name of its own with a count.

use drover_types::API_VERSION;
use drover_types::kinds::assignment::{Assignment, WorkloadRef};
use drover_types::kinds::core::{Event, EventSource, ObjectReference};
use drover_types::meta::ObjectMeta;
use drover_wire::ReportItem;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::agent::Agent;
use crate::ledger::Change;

const COMPONENT: &str = "drover-agent";

impl Agent {
    /// Something about an Assignment's workload that people should know.
    pub(crate) fn event_of(&mut self, assignment: &Assignment, reason: &str, message: &str) {
        let namespace = assignment.metadata.namespace.clone().unwrap_or_default();
        self.event(&assignment.spec.workload_ref, &namespace, reason, message);
    }

    /// Something about a workload on this node that people should know.
    pub(crate) fn event(&mut self, workload: &WorkloadRef, namespace: &str, reason: &str, message: &str) {
        let about = ObjectReference {
            api_version: API_VERSION.into(),
            kind: workload.kind.clone(),
            namespace: namespace.to_owned(),
            name: workload.name.clone(),
            uid: workload.uid.clone(),
            ..ObjectReference::default()
        };
        self.tell_event(about, reason, message);
    }

    /// Says that reports were dropped, as often as that happens.
    pub(crate) fn tell_overflow(&mut self) {
        let dropped = self.journal.ledger().dropped;
        if dropped == self.dropped {
            return;
        }
        self.dropped = dropped;
        let message =
            format!("{dropped} reports of runs and events were dropped: too many waited for the server");
        self.tell_event(self.node(), "SpoolOverflow", &message);
    }

    /// Says that what was desired of this node is not known for now.
    pub(crate) fn tell_lost(&mut self, why: &str) {
        tracing::error!(
            why,
            "the stored desired state cannot be read; nothing is started or ended before the server has sent it again"
        );
        let message = format!(
            "the desired state on the node's disk cannot be read ({why}); until the server has sent it again, what runs \
             goes on and nothing is started or ended"
        );
        self.tell_event(self.node(), "DesiredStateLost", &message);
    }

    /// Says that the journal could not be written, once it can be again.
    pub(crate) fn tell_unwritable(&mut self, now: Timestamp) {
        let Some(since) = self.unwritable.take() else { return };
        let message = format!(
            "the node's data directory could not be written from {since:.0} to {now:.0}; nothing was started meanwhile"
        );
        self.tell_event(self.node(), "DiskUnwritable", &message);
    }

    fn node(&self) -> ObjectReference {
        ObjectReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.config.node_name.clone(),
            uid: self.config.node_uid.clone(),
            ..ObjectReference::default()
        }
    }

    fn tell_event(&mut self, about: ObjectReference, reason: &str, message: &str) {
        let now = self.world.clock.now();
        let name = self.event_name(&about, reason);
        let namespace =
            if about.namespace.is_empty() { "default".to_owned() } else { about.namespace.clone() };
        let told = format!("event/{namespace}/{name}");
        let held = self.journal.ledger().counts.of(&told);
        let first = held.map_or(Some(now), |counted| counted.first);
        let count = held.map_or(1, |counted| counted.count.saturating_add(1));
        let event = Event {
            api_version: "v1".into(),
            kind: "Event".into(),
            metadata: ObjectMeta { name, namespace: Some(namespace), ..ObjectMeta::default() },
            reason: reason.into(),
            message: message.chars().take(1024).collect(),
            type_: "Warning".into(),
            count,
            first_timestamp: first,
            last_timestamp: Some(now),
            event_time: None,
            series: None,
            related: None,
            source: EventSource { component: COMPONENT.into(), host: self.config.node_name.clone() },
            reporting_component: "drover.dev/agent".into(),
            reporting_instance: self.config.node_name.clone(),
            action: String::new(),
            involved_object: about,
        };
        let object = serde_json::to_value(&event).unwrap_or_default();
        self.stage(Change::Report(told, Box::new(ReportItem::Event { object })));
    }

    /// The same for the same reason about the same thing on the same node: `<name>.<16 hex>`.
    fn event_name(&self, about: &ObjectReference, reason: &str) -> String {
        let mut hash = Sha256::new();
        for part in [&about.uid, &self.config.node_uid, reason] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let mut name: String = about.name.chars().take(200).collect();
        name.truncate(name.trim_end_matches(['-', '.']).len());
        format!("{name}.{hex}")
    }
}
