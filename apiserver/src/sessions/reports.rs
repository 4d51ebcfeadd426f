//! A node's reports, stored in order, item by item. Each item is one transaction that also says how far the reports
//! are stored, so that a replay changes nothing and never brings back what was let go since.

use drover_mutants::{Mutant, active};
use drover_store::{Txn, TxnOutcome};
use drover_types::Kind;
use drover_wire::{Accepted, Report, ReportAck, ReportItem};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::counters::Outcome;
use super::marker::{self, Marker, Verdict};
use super::{Member, Sessions, assignment_report, event_report, node_facts, node_writer, run_report};
use crate::error::ApiError;
use crate::keys;
use crate::objects::{Objects, Place, store_error};

/// How often an item is tried again after another write came first.
const ATTEMPTS: usize = 32;
/// The longest object that a node may report, encoded.
const MAX_OBJECT: usize = 128 << 10;

/// Why an item is dropped: a sentence for the log.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error.to_string())
    }
}

/// What an item makes of the store; `None` where it is so already.
pub(super) type Decision = Result<Option<Txn>, Refusal>;

/// Why reports are not stored any further in this session.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Another session stores this node's reports.
    Superseded,
    /// The store does not take them now.
    Store(ApiError),
}

/// Stores the reports of one node.
pub(super) struct Clerk {
    sessions: Sessions,
    member: Member,
    marker: Marker,
    /// The revision of the marker in the store: whoever else writes it makes this clerk look again.
    marker_revision: u64,
    /// Cancelled when another session stores the node's reports.
    ending: CancellationToken,
}

/// Adds the new state of an object to a transaction, if it is not too large.
pub(super) fn put(txn: Txn, at: Place<'_>, value: &Value) -> Decision {
    let encoded = keys::encode(value);
    if encoded.len() > MAX_OBJECT {
        return Err(Refusal(format!("{} bytes, and at most {MAX_OBJECT} are allowed", encoded.len())));
    }
    Ok(Some(txn.put(at.key(), encoded)))
}

impl Clerk {
    /// Reads how far the node's reports are stored. It stores until `ending` is cancelled.
    pub(super) async fn open(
        sessions: Sessions,
        member: Member,
        ending: CancellationToken,
    ) -> Result<Self, ApiError> {
        let mut clerk = Self { sessions, member, marker: Marker::default(), marker_revision: 0, ending };
        clerk.look().await?;
        Ok(clerk)
    }

    async fn look(&mut self) -> Result<(), ApiError> {
        let key = marker::key(&self.member.uid);
        let held = self.sessions.0.objects.store.get(key.as_bytes()).await.map_err(store_error)?;
        self.marker_revision = held.as_ref().map_or(0, |held| held.mod_revision);
        self.marker = match held {
            None => Marker::default(),
            Some(held) => serde_json::from_slice(&held.value).map_err(|error| ApiError::internal(&error))?,
        };
        Ok(())
    }

    /// The last report that is stored whole.
    pub(super) fn accepted(&self) -> Accepted {
        self.marker.accepted()
    }

    /// Stores a report. Gives itself back with the acknowledgement.
    pub(super) async fn take(mut self, report: Report) -> (Self, Result<ReportAck, Stopped>) {
        let mut stored = self.store(&report).await;
        // What the session before had under way may still have reached the store after this one looked.
        if matches!(stored, Err(Stopped::Superseded)) && !self.ending.is_cancelled() {
            stored = match self.look().await {
                Ok(()) => self.store(&report).await,
                Err(error) => Err(Stopped::Store(error)),
            };
        }
        if matches!(stored, Err(Stopped::Store(_))) && active(Mutant::AckBeforeStore) {
            stored = Ok(());
        }
        let ack = ReportAck { agent_epoch: report.agent_epoch, sequence: report.sequence };
        (self, stored.map(|()| ack))
    }

    async fn store(&mut self, report: &Report) -> Result<(), Stopped> {
        let counters = self.sessions.0.counters.clone();
        let done = match self.marker.judge(report) {
            Verdict::Replayed => {
                counters.report(Outcome::Replayed);
                return Ok(());
            }
            Verdict::Stale => {
                counters.report(Outcome::Stale);
                return Ok(());
            }
            Verdict::New { done, gap } => {
                if gap {
                    // Refusing it would keep the node from ever reporting again after a restored store.
                    tracing::warn!(node = self.member.name, ?report.sequence, "reports are missing before this one");
                    counters.report(Outcome::Gap);
                }
                done
            }
        };
        for (index, item) in report.items.iter().enumerate().skip(done) {
            self.item(report, index, item).await?;
        }
        if self.marker.accepted() != self.marker.after(report, report.items.len()).accepted() {
            self.commit(Txn::new(), report, report.items.len()).await?;
        }
        counters.report(Outcome::Accepted);
        Ok(())
    }

    async fn item(&mut self, report: &Report, index: usize, item: &ReportItem) -> Result<(), Stopped> {
        for _ in 0..ATTEMPTS {
            let txn = match self.decide(item) {
                Ok(Some(txn)) => txn,
                Ok(None) => return Ok(()),
                Err(Refusal(why)) => {
                    tracing::warn!(node = self.member.name, why, "an item of a report was dropped");
                    self.sessions.0.counters.report(Outcome::Refused);
                    return Ok(());
                }
            };
            if self.commit(txn, report, index + 1).await? {
                return Ok(());
            }
        }
        Err(Stopped::Store(ApiError::unavailable("what is reported about is changed by others all the time")))
    }

    /// Commits what an item makes, and that so many items are stored. Whether it was; if not, look again.
    async fn commit(&mut self, txn: Txn, report: &Report, items: usize) -> Result<bool, Stopped> {
        let key = marker::key(&self.member.uid);
        let marker = self.marker.after(report, items);
        let encoded =
            serde_json::to_vec(&marker).map_err(|error| Stopped::Store(ApiError::internal(&error)))?;
        let txn = txn.when(key.clone(), self.marker_revision).put(key.clone(), encoded);
        match self.sessions.0.objects.commit(txn).await.map_err(Stopped::Store)? {
            TxnOutcome::Committed { revision } => {
                (self.marker, self.marker_revision) = (marker, revision);
                Ok(true)
            }
            TxnOutcome::Conflict { key: by, .. } if by == key => Err(Stopped::Superseded),
            TxnOutcome::Conflict { .. } => Ok(false),
        }
    }

    fn decide(&self, item: &ReportItem) -> Decision {
        let objects = &self.sessions.0.objects;
        match item {
            ReportItem::Run { object } => run_report::decide(objects, &self.member, object),
            ReportItem::AssignmentStatus(report) => {
                assignment_report::decide_status(objects, &self.member, report)
            }
            ReportItem::Ended(identity) => assignment_report::decide_ended(objects, &self.member, identity),
            ReportItem::Event { object } => event_report::decide(&self.sessions, &self.member, object),
            ReportItem::Node { facts } => decide_facts(objects, &self.member, facts),
        }
    }
}

fn decide_facts(objects: &Objects, member: &Member, facts: &drover_wire::NodeFacts) -> Decision {
    let at = Place { kind: Kind::Node, namespace: None, name: &member.name };
    let stored = objects.get(at)?;
    if crate::prepare::text(&stored.object, "uid") != member.uid {
        return Err(Refusal("the Node was deleted".into()));
    }
    match node_writer::changed(&stored, |node| node_facts::describe(node, facts))? {
        Some(next) => put(Txn::new().when(at.key(), stored.revision), at, &next),
        None => Ok(None),
    }
}
