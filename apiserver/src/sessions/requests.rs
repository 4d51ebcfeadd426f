//! What clients ask of a node through its session: triggers that wait for an answer, and streams of output.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use drover_wire::{EndStatus, Frame, ServerMessage, Trigger, TriggerResult};
use tokio::sync::{Notify, oneshot};

use super::log_stream::{self, LogSource, LogStream, LogWish};
use super::outgoing::Outgoing;
use super::registry::Command;
use super::session::End;

/// The most streams of one session.
const MAX_STREAMS: usize = 64;
/// The most triggers that wait for one agent.
const MAX_TRIGGERS: usize = 256;

/// What waits for the agent.
#[derive(Default)]
pub(super) struct Requests {
    /// The last stream id given out.
    last: u32,
    streams: BTreeMap<u32, LogSource>,
    triggers: BTreeMap<String, Vec<oneshot::Sender<TriggerResult>>>,
}

impl Requests {
    /// Passes a client's request on.
    pub(super) fn ask(&mut self, command: Command, out: &Outgoing, left: &Arc<Notify>) -> Result<(), End> {
        match command {
            Command::Trigger { request_id, assignment_uid, answer } => {
                self.triggers.retain(|_, waiting| {
                    waiting.retain(|answer| !answer.is_closed());
                    !waiting.is_empty()
                });
                if self.triggers.len() >= MAX_TRIGGERS {
                    let refused = Some(format!("{MAX_TRIGGERS} triggers wait for this node already"));
                    // Whoever asked may have left.
                    let _ = answer.send(TriggerResult { request_id, run: None, refused });
                    return Ok(());
                }
                self.triggers.entry(request_id.clone()).or_default().push(answer);
                out.send(&ServerMessage::Trigger(Trigger { request_id, assignment_uid }))?;
            }
            Command::Log { wish, answer } => {
                let opened = self.open(wish, out, left)?;
                // Whoever asked may have left: then its end is dropped here, and rings.
                let _ = answer.send(opened);
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        wish: LogWish,
        out: &Outgoing,
        left: &Arc<Notify>,
    ) -> Result<Result<LogStream, String>, End> {
        if self.streams.len() >= MAX_STREAMS || self.last == u32::MAX {
            return Ok(Err(format!("{MAX_STREAMS} outputs are being read through its session already")));
        }
        self.last += 1;
        out.send(&ServerMessage::OpenLogs(wish.open(self.last)))?;
        let (source, stream) = log_stream::open(self.last, out.clone(), left.clone());
        self.streams.insert(self.last, source);
        Ok(Ok(stream))
    }

    /// An agent's answer to a trigger. One that nobody waits for any more is dropped.
    pub(super) fn answered(&mut self, result: &TriggerResult) {
        for answer in self.triggers.remove(&result.request_id).into_iter().flatten() {
            let _ = answer.send(result.clone());
        }
    }

    /// Bytes of a stream. A client that left may still get some.
    pub(super) fn data(&mut self, stream: u32, bytes: &Bytes) -> Result<(), End> {
        match self.known(stream)? {
            Some(source) => Ok(source.received(bytes)?),
            None => Ok(()),
        }
    }

    /// The end of a stream.
    pub(super) fn ended(&mut self, stream: u32, status: Option<EndStatus>) -> Result<(), End> {
        if let Some(source) = self.known(stream)? {
            source.ended(status);
            self.streams.remove(&stream);
        }
        Ok(())
    }

    fn known(&self, stream: u32) -> Result<Option<&LogSource>, End> {
        if stream > self.last {
            return Err(End::because(format!("stream {stream} was never opened")));
        }
        Ok(self.streams.get(&stream))
    }

    /// Ends the streams that their clients left.
    pub(super) fn sweep(&mut self, out: &Outgoing) -> Result<(), End> {
        let left = self.streams.iter().filter(|(_, source)| source.is_abandoned());
        let left: Vec<u32> = left.map(|(stream, _)| *stream).collect();
        for stream in left {
            self.streams.remove(&stream);
            out.frame(Frame::end(stream, None).encode()?)?;
        }
        Ok(())
    }
}
