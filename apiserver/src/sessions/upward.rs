//! Reports on their way into the store: one at a time, in order, few waiting.

use std::collections::VecDeque;

use drover_wire::{Report, ReportAck};
use futures_util::future::BoxFuture;

use super::reports::{Clerk, Stopped};
use super::session::End;

/// The most reports that an agent may send ahead of their acknowledgement.
const IN_FLIGHT: usize = 8;

/// The clerk and its queue.
pub(super) struct Upward {
    waiting: VecDeque<Report>,
    /// Absent while it works.
    clerk: Option<Clerk>,
    working: Option<BoxFuture<'static, (Clerk, Result<ReportAck, Stopped>)>>,
}

impl Upward {
    pub(super) fn new(clerk: Clerk) -> Self {
        Self { waiting: VecDeque::new(), clerk: Some(clerk), working: None }
    }

    /// A report came.
    pub(super) fn push(&mut self, report: Report) -> Result<(), End> {
        if self.waiting.len() + usize::from(self.working.is_some()) >= IN_FLIGHT {
            return Err(End::because(format!("more than {IN_FLIGHT} reports were sent ahead")));
        }
        self.waiting.push_back(report);
        self.start();
        Ok(())
    }

    fn start(&mut self) {
        if let Some(clerk) = self.clerk.take() {
            match self.waiting.pop_front() {
                Some(report) => self.working = Some(Box::pin(clerk.take(report))),
                None => self.clerk = Some(clerk),
            }
        }
    }

    /// Waits until the report in hand is stored, for ever if there is none. Safe to drop and call again.
    pub(super) async fn stored(&mut self) -> (Clerk, Result<ReportAck, Stopped>) {
        match &mut self.working {
            Some(working) => working.await,
            None => std::future::pending().await,
        }
    }

    /// The clerk is back.
    pub(super) fn go_on(&mut self, clerk: Clerk) {
        self.working = None;
        self.clerk = Some(clerk);
        self.start();
    }
}
