//! What `/metrics` tells of sessions.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of a report or an item of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    /// Stored.
    Accepted,
    /// Stored before.
    Replayed,
    /// Of an earlier start of the agent than the last one stored.
    Stale,
    /// An item that is not about the node, or not valid: dropped.
    Refused,
    /// One that came after others went missing.
    Gap,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReportLabels {
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DesiredLabels {
    form: &'static str,
}

/// Counters of sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sessions: Gauge,
    /// Sessions told to come back later.
    pub(crate) shed: Counter,
    /// Objects that stayed behind for being too large for a frame.
    pub(crate) too_large: Counter,
    reports: Family<ReportLabels, Counter>,
    desired: Family<DesiredLabels, Counter>,
}

impl Counters {
    /// Counters that the registry shows.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counters = Self::default();
        registry.register("sessions", "Agent sessions open", counters.sessions.clone());
        registry.register("sessions_shed", "Agents told to come back later", counters.shed.clone());
        registry.register("reports", "Reports of agents, by what became of them", counters.reports.clone());
        registry.register("desired_sent", "Desired states sent to agents", counters.desired.clone());
        registry.register(
            "desired_too_large",
            "Objects not sent for being too large for a frame",
            counters.too_large.clone(),
        );
        counters
    }

    pub(crate) fn report(&self, outcome: Outcome) {
        self.reports.get_or_create(&ReportLabels { outcome }).inc();
    }

    pub(crate) fn desired(&self, full: bool) {
        let form = if full { "full" } else { "delta" };
        self.desired.get_or_create(&DesiredLabels { form }).inc();
    }
}
