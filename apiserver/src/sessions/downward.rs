//! The desired state on its way down: one at a time, the next after the agent stored the one before.

use std::collections::VecDeque;

use drover_wire::{Desired, MAX_DESIRED, MAX_FRAME};
use tokio::sync::OwnedSemaphorePermit;

use super::desired::{self, Sent};
use super::session::End;
use super::{Member, Sessions};

/// What the node holds, and what is on its way.
pub(super) struct Downward {
    /// The revision that the agent says it holds, where this server can know what that was.
    resume: Option<u64>,
    /// What it holds, once that is known exactly.
    held: Option<Sent>,
    /// The revision on its way, and what the node holds once it is stored.
    under_way: Option<(u64, Sent)>,
    chunks: VecDeque<Desired>,
    begun: bool,
    /// Kept until the first state has left: few nodes are brought up to date at a time.
    turn: Option<OwnedSemaphorePermit>,
}

impl Downward {
    pub(super) fn new(resume: Option<u64>, turn: OwnedSemaphorePermit) -> Self {
        Self { resume, held: None, under_way: None, chunks: VecDeque::new(), begun: false, turn: Some(turn) }
    }

    /// Whether another state may be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Whether chunks wait to be sent.
    pub(super) fn has_chunks(&self) -> bool {
        !self.chunks.is_empty()
    }

    /// Prepares what the node lacks, if it lacks anything. The first state is sent in any case, so that the agent
    /// knows its revision.
    pub(super) fn prepare(&mut self, sessions: &Sessions, member: &Member) -> Result<(), End> {
        let (view, held) = {
            let index = sessions.index();
            let held = match &self.held {
                Some(held) => Some(held.clone()),
                None => self.resume.and_then(|revision| index.held_at(&member.name, revision)),
            };
            (index.view(&member.name), held)
        };
        let planned = desired::plan(held.as_ref(), &view);
        for key in &planned.too_large {
            tracing::error!(node = member.name, key, "an object is too large for a frame and was not sent");
            sessions.0.counters.too_large.inc();
        }
        if planned.is_empty() && self.begun {
            // What stayed behind counts as sent, so that it is not tried again at every change.
            self.held = Some(planned.sent);
            return Ok(());
        }
        let (revision, full) = (planned.desired.revision, planned.desired.full);
        let chunks = planned.desired.into_chunks()?;
        if chunks.len() > MAX_DESIRED / MAX_FRAME {
            let limit = MAX_DESIRED >> 20;
            tracing::error!(node = member.name, "a desired state is over {limit} MiB and cannot be sent");
            return Err(End::later(format!("the node's desired state is over {limit} MiB")));
        }
        sessions.0.counters.desired(full);
        self.chunks = chunks.into();
        self.under_way = Some((revision, planned.sent));
        self.begun = true;
        Ok(())
    }

    /// The next chunk to send.
    pub(super) fn next_chunk(&mut self) -> Option<Desired> {
        let chunk = self.chunks.pop_front();
        if self.chunks.is_empty() {
            self.turn = None;
        }
        chunk
    }

    /// The agent stored a state.
    pub(super) fn acknowledged(&mut self, revision: u64) -> Result<(), End> {
        match self.under_way.take() {
            Some((sent, held)) if sent == revision && self.chunks.is_empty() => {
                self.held = Some(held);
                Ok(())
            }
            _ => Err(End::because(format!(
                "desired revision {revision} was acknowledged, but is not on its way"
            ))),
        }
    }
}
