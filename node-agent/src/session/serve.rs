//! A session that is on: one task that answers the server, and sends what there is to report.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_client::Message;
use drover_wire::{
    Accepted, AgentMessage, Assembler, Body, Desired, DesiredAck, Frame, NodeFacts, Ping, Pong, ServerMessage,
};
use futures_util::future::BoxFuture;

use super::open::Opened;
use super::output::Streams;
use super::{Broken, Session};
use crate::agent::RETRY;
use crate::handle::AgentError;

/// Silence of so many heartbeat intervals is the end of a session.
const SILENT_INTERVALS: u32 = 3;
/// What a server may ask for as heartbeat.
const INTERVALS: std::ops::RangeInclusive<u64> = 100..=600_000;
/// How often the host is looked at for changes that the server should know.
const FACTS: Duration = Duration::from_secs(60);
/// Pongs whose acknowledgement may come yet.
const MAX_PONGS: usize = 16;

/// A desired state on its way to the disk: its revision once it is there.
type Storing = BoxFuture<'static, Result<u64, AgentError>>;

struct Serving<'a> {
    session: &'a Session,
    opened: Opened,
    assembler: Assembler,
    storing: Option<Storing>,
    /// The last report sent in this session.
    sent: Option<Accepted>,
    /// When each pong was sent.
    pongs: BTreeMap<u64, Duration>,
    /// Since when the server has certainly heard of this node.
    heard: Duration,
    /// Whether this session's desired state is in force: only then may a lease begin again.
    confirmed: bool,
    facts: NodeFacts,
    streams: Streams,
}

/// Serves until it breaks.
pub(crate) async fn serve(session: &Session, opened: Opened) -> Broken {
    let interval = opened.welcome.heartbeat_interval_ms.clamp(*INTERVALS.start(), *INTERVALS.end());
    let patience = Duration::from_millis(interval) * SILENT_INTERVALS;
    let streams =
        Streams::new(opened.out.clone(), session.handle.clone(), session.host.clone(), session.world.clone());
    let mut serving = Serving {
        session,
        assembler: Assembler::default(),
        storing: None,
        sent: None,
        pongs: BTreeMap::new(),
        heard: opened.greeted,
        confirmed: false,
        facts: opened.facts.clone(),
        streams,
        opened,
    };
    match serving.run(patience).await {
        Ok(never) => match never {},
        Err(broken) => broken,
    }
}

enum Never {}

impl Serving<'_> {
    async fn run(&mut self, patience: Duration) -> Result<Never, Broken> {
        // What waited for a session goes first.
        self.report().await?;
        let silence = tokio::time::sleep(patience);
        tokio::pin!(silence);
        let mut facts = tokio::time::interval(FACTS);
        loop {
            tokio::select! {
                biased;
                // Cancel-safe: a message is taken whole or not at all.
                message = self.opened.socket.next() => {
                    silence.as_mut().reset(tokio::time::Instant::now() + patience);
                    // A socket that takes nothing any more is as dead as a silent one.
                    let heard = self.receive(message?);
                    tokio::time::timeout(patience, heard).await.map_err(|_| Broken::Silent(patience))??;
                }
                stored = stored(&mut self.storing) => {
                    self.storing = None;
                    self.stored(stored?).await?;
                }
                () = self.session.handle.bell() => self.report().await?,
                () = &mut silence => return Err(Broken::Silent(patience)),
                _ = facts.tick() => self.look_at_host().await?,
            }
        }
    }

    async fn receive(&mut self, message: Option<Message>) -> Result<(), Broken> {
        let bytes = match message {
            Some(Message::Binary(bytes)) => bytes,
            Some(Message::Alive) => return Ok(()),
            Some(Message::Text(_)) => return Err(Broken::Protocol("it sent text")),
            Some(Message::Close { reason, .. }) => {
                return Err(Broken::Closed { reason, retry_after: None });
            }
            None => return Err(Broken::Gone),
        };
        let size = bytes.len();
        let frame = Frame::decode(bytes)?;
        match &frame.body {
            Body::Control(_) => self.control(frame.message()?, size).await,
            Body::Credit(credit) => Ok(self.streams.credit(frame.stream, *credit)?),
            Body::End(_) => {
                self.streams.end(frame.stream);
                Ok(())
            }
            // Output goes one way.
            Body::Data(_) => Err(Broken::Protocol("it sent data on a stream of output")),
        }
    }

    async fn control(&mut self, message: ServerMessage, size: usize) -> Result<(), Broken> {
        match message {
            ServerMessage::Welcome(_) => Err(Broken::Protocol("it welcomed twice")),
            ServerMessage::Desired(chunk) => self.desired(*chunk, size),
            ServerMessage::ReportAck(ack) => {
                let stored = Accepted { agent_epoch: ack.agent_epoch, sequence: ack.sequence };
                if self.sent < Some(stored) {
                    // It would be forgotten untold, and a later session refused as one with an older store.
                    return Err(Broken::Protocol("it acknowledged a report that was not sent"));
                }
                Ok(self.session.handle.acknowledged(ack.agent_epoch, ack.sequence).await?)
            }
            ServerMessage::Ping(ping) => self.ping(&ping).await,
            ServerMessage::OpenLogs(open) => {
                self.streams.open(open);
                Ok(())
            }
            ServerMessage::Trigger(trigger) => {
                let result = self.session.handle.trigger(trigger).await?;
                self.opened.out.message(&AgentMessage::TriggerResult(result)).await
            }
            ServerMessage::Close(close) => {
                let retry_after = close.retry_after_ms.map(Duration::from_millis);
                Err(Broken::Closed { reason: close.reason, retry_after })
            }
        }
    }

    async fn ping(&mut self, ping: &Ping) -> Result<(), Broken> {
        if let Some(at) = self.pongs.get(&ping.acknowledged).copied() {
            self.heard = self.heard.max(at);
            self.pongs.retain(|nonce, _| *nonce > ping.acknowledged);
            self.renew().await?;
        }
        // Before it leaves: the server cannot have heard it earlier.
        self.pongs.insert(ping.nonce, self.session.world.clock.boottime());
        while self.pongs.len() > MAX_PONGS {
            self.pongs.pop_first();
        }
        self.opened.out.message(&AgentMessage::Pong(Pong { nonce: ping.nonce })).await
    }

    /// Leases begin again, but not by a state that may be out of date: it may name what has moved elsewhere.
    async fn renew(&mut self) -> Result<(), Broken> {
        if self.confirmed {
            self.session.handle.heard(self.heard).await?;
        }
        Ok(())
    }

    fn desired(&mut self, chunk: Desired, size: usize) -> Result<(), Broken> {
        if self.storing.is_some() {
            return Err(Broken::Protocol("it sent a desired state before the last was acknowledged"));
        }
        let Some(whole) = self.assembler.push(chunk, size)? else { return Ok(()) };
        let (handle, epoch) = (self.session.handle.clone(), self.opened.welcome.store_epoch.clone());
        self.storing = Some(Box::pin(async move {
            let revision = whole.revision;
            // A disk that takes nothing is no reason to leave the server: what was told before stays in force.
            while let Err(error) = handle.desired(&epoch, whole.clone()).await {
                let AgentError::Disk(error) = error else { return Err(error) };
                tracing::error!(%error, "a new desired state cannot be stored; it is tried again");
                tokio::time::sleep(RETRY).await;
            }
            Ok(revision)
        }));
        Ok(())
    }

    async fn stored(&mut self, revision: u64) -> Result<(), Broken> {
        self.opened.out.message(&AgentMessage::DesiredAck(DesiredAck { revision })).await?;
        self.confirmed = true;
        self.renew().await
    }

    async fn report(&mut self) -> Result<(), Broken> {
        for report in self.session.handle.reports(self.sent).await? {
            self.sent = Some(Accepted { agent_epoch: report.agent_epoch, sequence: report.sequence });
            self.opened.out.message(&AgentMessage::Report(report)).await?;
        }
        Ok(())
    }

    async fn look_at_host(&mut self) -> Result<(), Broken> {
        let machine = self.session.machine.clone();
        let facts = self.session.world.blocking(move || machine.facts()).await;
        let Ok(facts) = facts else { return Ok(()) };
        if facts != self.facts {
            self.facts = facts.clone();
            self.session.handle.facts(facts).await?;
        }
        Ok(())
    }
}

/// Resolves when what is being stored is; never while nothing is.
async fn stored(storing: &mut Option<Storing>) -> Result<u64, AgentError> {
    match storing {
        Some(storing) => storing.await,
        None => std::future::pending().await,
    }
}
