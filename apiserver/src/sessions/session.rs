//! One session: the greeting, then one loop in which everything that can happen to it is an event.
//!
//! The loop never waits for the agent, the store or a client: what takes time is a future that it polls, and what the
//! agent does not read waits in bounded queues. An agent that is too slow loses its session, and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use drover_types::kinds::Node;
use drover_wire::{
    AgentMessage, Body, Close, Frame, Hello, ReportAck, ServerMessage, WIRE_VERSION, Welcome, WireError,
    negotiate,
};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::SplitStream;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::downward::Downward;
use super::heartbeat::Heartbeat;
use super::outgoing::{self, Outgoing, Refused, Room};
use super::registry::{Command, Handle};
use super::reports::{Clerk, Stopped};
use super::requests::Requests;
use super::upward::Upward;
use super::{Member, Sessions, node_facts};

/// One write to the socket may take so many heartbeats.
const STUCK: u32 = 3;
/// How long an agent may take to be told of the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a session ends.
#[derive(Debug)]
pub(super) struct End {
    reason: String,
    /// Whether the agent is to stay away for a while.
    later: bool,
    /// Whether anybody is there to be told.
    told: bool,
}

impl End {
    /// The agent is told why, and may come back at once.
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), later: false, told: true }
    }

    /// The agent is told to come back later.
    pub(super) fn later(reason: impl Into<String>) -> Self {
        Self { later: true, ..Self::because(reason) }
    }

    /// The agent is gone.
    fn gone(reason: impl Into<String>) -> Self {
        Self { told: false, ..Self::because(reason) }
    }
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::because(format!("the agent does not speak this wire: {error}"))
    }
}

impl From<Refused> for End {
    fn from(refused: Refused) -> Self {
        Self::because(refused.to_string())
    }
}

impl From<Stopped> for End {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Superseded => Self::because("another session stores this node's reports"),
            Stopped::Store(error) => Self::later(format!("reports cannot be stored now: {error}")),
        }
    }
}

/// Everything that can happen to a session.
enum Event {
    Stopping,
    Ended,
    Stuck,
    Beat,
    Asked(Command),
    Stored(Clerk, Result<ReportAck, Stopped>),
    Room(Option<Room>),
    Changed,
    Abandoned,
    Came(Option<Result<Message, axum::Error>>),
}

struct Session {
    sessions: Sessions,
    member: Member,
    handle: Arc<Handle>,
    commands: mpsc::Receiver<Command>,
    out: Outgoing,
    incoming: SplitStream<WebSocket>,
    beats: Interval,
    heartbeat: Heartbeat,
    downward: Downward,
    upward: Upward,
    requests: Requests,
}

/// Holds a session on a socket until it ends. `record` is the key of the credential it was opened with.
pub(super) async fn serve(sessions: Sessions, (member, record): (Member, String), socket: WebSocket) {
    let (sink, incoming) = socket.split();
    let (out, writer) = outgoing::open(sink, sessions.0.bounds.heartbeat * STUCK);
    let mut writing: BoxFuture<'static, ()> = Box::pin(writer.run());
    let end = admit(&sessions, (&member, &record), incoming, (&out, &mut writing)).await;
    tracing::info!(node = member.name, reason = end.reason, "a session ended");
    if !end.told {
        return;
    }
    let retry_after_ms = end.later.then(|| sessions.retry_after_ms());
    out.last(&ServerMessage::Close(Close { reason: shorten(end.reason), retry_after_ms }));
    // An agent that does not take it finds out by the end of the connection.
    let _ = timeout(GOODBYE, writing).await;
}

fn shorten(mut reason: String) -> String {
    let end = (0..=drover_wire::MAX_TEXT.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at));
    reason.truncate(end.unwrap_or(0));
    reason
}

type Down<'a> = (&'a Outgoing, &'a mut BoxFuture<'static, ()>);

/// Greets an agent, waits for its turn and lets it in.
async fn admit(
    sessions: &Sessions,
    (member, record): (&Member, &str),
    mut incoming: SplitStream<WebSocket>,
    down: Down<'_>,
) -> End {
    let hello = match timeout(sessions.0.bounds.handshake, hello(&mut incoming)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(end)) => return end,
        Err(_) => return End::because("no hello came in time"),
    };
    if hello.node_name != member.name {
        return End::because(format!(
            "the hello is of node {:?}, the credential of another",
            hello.node_name
        ));
    }
    let Ok(turn) = sessions.turn().await else {
        sessions.0.counters.shed.inc();
        return End::later("the server is busy letting others in");
    };
    let Ok((handle, commands)) = sessions.0.registry.enter(&member.name, &member.uid) else {
        sessions.0.counters.shed.inc();
        return End::later("the server holds as many sessions as it may");
    };
    sessions.0.counters.sessions.inc();
    let same = is_same(sessions, member, &hello);
    let downward = Downward::new(hello.desired_revision.filter(|_| same), turn);
    let end = match begin(sessions, (member, record), &handle, (&hello, down.0)).await {
        Err(end) => end,
        Ok(clerk) => {
            let mut session = Session {
                sessions: sessions.clone(),
                member: member.clone(),
                handle: handle.clone(),
                commands,
                out: down.0.clone(),
                incoming,
                beats: beats(sessions.0.bounds.heartbeat),
                heartbeat: Heartbeat::default(),
                downward,
                upward: Upward::new(clerk),
                requests: Requests::default(),
            };
            session.hold(down.1).await
        }
    };
    sessions.0.counters.sessions.dec();
    if sessions.0.registry.leave(&handle) {
        sessions.disconnected(member).await;
    }
    end
}

/// The first message.
async fn hello(incoming: &mut SplitStream<WebSocket>) -> Result<Hello, End> {
    loop {
        let bytes = match incoming.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Text(_))) => return Err(End::because("a text message is not of this wire")),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::gone("it left before its hello")),
        };
        return match Frame::decode(bytes)?.message()? {
            AgentMessage::Hello(hello) => Ok(*hello),
            _ => Err(End::because("the first message is not a hello")),
        };
    }
}

/// Whether an agent comes with what it was told by this very store, as this very node.
fn is_same(sessions: &Sessions, member: &Member, hello: &Hello) -> bool {
    hello.store_epoch.as_ref() == Some(&sessions.0.objects.epoch)
        && hello.node_uid.as_ref() == Some(&member.uid)
}

/// Says in the Node that its agent is here, and welcomes it.
async fn begin(
    sessions: &Sessions,
    (member, record): (&Member, &str),
    handle: &Handle,
    (hello, out): (&Hello, &Outgoing),
) -> Result<Clerk, End> {
    let wire = negotiate(WIRE_VERSION, hello.wire)?;
    let trouble =
        |error: crate::error::ApiError| End::later(format!("the session cannot begin now: {error}"));
    if !sessions.is_current(&member.name, record).await.map_err(trouble)? {
        return Err(End::because("the node has another credential by now"));
    }
    let clerk =
        Clerk::open(sessions.clone(), member.clone(), handle.ending.clone()).await.map_err(trouble)?;
    // What a node has of this store, this store once had.
    let known = sessions.0.objects.cache.revision();
    let ahead = hello.desired_revision.is_some_and(|seen| seen > known)
        || hello.acknowledged.is_some_and(|seen| seen > clerk.accepted());
    if ahead && is_same(sessions, member, hello) {
        tracing::error!(
            node = member.name,
            seen = hello.desired_revision,
            known,
            "a node has seen later states of this store: the data directory holds an older copy that was not made by \
             `drover restore`. Nodes refuse it; stop this server, make a backup of the copy with `drover backup \
             --data-dir` and restore that, or a better one"
        );
        return Err(End::later(
            "the server's store is older than what this node has seen of it: it is a copy that was not made by `drover \
             restore`",
        ));
    }
    if hello.store_epoch.as_ref().is_some_and(|epoch| *epoch != sessions.0.objects.epoch)
        && let Some(open) = &hello.open_runs
    {
        sessions.lose_all_but(&member.name, open).await.map_err(trouble)?;
    }
    let now = sessions.0.objects.world.clock.now();
    let greet = |node: &mut Node| {
        node_facts::greet(node, hello);
        let session = node_facts::session(&sessions.0.server_id, true, now);
        node.status.get_or_insert_default().session = Some(session);
    };
    let here = sessions.write_node(member, || !handle.ending.is_cancelled(), greet).await.map_err(trouble)?;
    if !here {
        return Err(End::because(if handle.ending.is_cancelled() {
            handle.why()
        } else {
            "the Node was deleted"
        }));
    }
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    out.send(&ServerMessage::Welcome(Welcome {
        wire,
        node_uid: member.uid.clone(),
        store_epoch: sessions.0.objects.epoch.clone(),
        heartbeat_interval_ms: millis(sessions.0.bounds.heartbeat),
        offline_after_ms: sessions.index().pool(&member.name).offline_after_ms,
        accepted: clerk.accepted(),
    }))?;
    tracing::info!(node = member.name, agent = hello.agent_version, "a session began");
    Ok(clerk)
}

fn beats(every: Duration) -> Interval {
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

impl Session {
    /// Goes on until the session ends. The socket is written by `writing`.
    async fn hold(&mut self, writing: &mut BoxFuture<'static, ()>) -> End {
        let mut done = self.downward.prepare(&self.sessions, &self.member);
        loop {
            if let Err(end) = done {
                return end;
            }
            done = match self.next(writing).await {
                Event::Stopping => Err(End::later("the server stops")),
                Event::Ended => Err(End::because(self.handle.why())),
                Event::Stuck => Err(End::gone("its socket broke or took nothing for too long")),
                Event::Beat => self.beat(),
                Event::Asked(command) => self.requests.ask(command, &self.out, &self.handle.abandoned),
                Event::Stored(clerk, stored) => self.stored(clerk, stored),
                Event::Room(room) => self.send_chunk(room),
                Event::Changed => self.downward.prepare(&self.sessions, &self.member),
                Event::Abandoned => self.requests.sweep(&self.out),
                Event::Came(message) => self.came(message),
            };
        }
    }

    /// What happens next. Every branch may be dropped and asked again. What an agent sends comes last, so that a
    /// flood of it holds nothing else up.
    async fn next(&mut self, writing: &mut BoxFuture<'static, ()>) -> Event {
        tokio::select! {
            biased;
            () = self.sessions.0.stop.cancelled() => Event::Stopping,
            () = self.handle.ending.cancelled() => Event::Ended,
            () = writing => Event::Stuck,
            _ = self.beats.tick() => Event::Beat,
            Some(command) = self.commands.recv() => Event::Asked(command),
            (clerk, stored) = self.upward.stored() => Event::Stored(clerk, stored),
            room = self.out.room(), if self.downward.has_chunks() => Event::Room(room),
            () = self.handle.bell.notified(), if self.downward.is_idle() => Event::Changed,
            () = self.handle.abandoned.notified() => Event::Abandoned,
            message = self.incoming.next() => Event::Came(message),
        }
    }

    fn beat(&mut self) -> Result<(), End> {
        let ping =
            self.heartbeat.beat().ok_or_else(|| End::because("two pings in a row were not answered"))?;
        Ok(self.out.send(&ServerMessage::Ping(ping))?)
    }

    fn stored(&mut self, clerk: Clerk, stored: Result<ReportAck, Stopped>) -> Result<(), End> {
        self.upward.go_on(clerk);
        Ok(self.out.send(&ServerMessage::ReportAck(stored?))?)
    }

    fn send_chunk(&mut self, room: Option<Room>) -> Result<(), End> {
        let (Some(room), Some(chunk)) = (room, self.downward.next_chunk()) else { return Ok(()) };
        Ok(room.send(&ServerMessage::Desired(Box::new(chunk)))?)
    }

    fn came(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let frame = match message {
            Some(Ok(Message::Binary(bytes))) => Frame::decode(bytes)?,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Text(_))) => return Err(End::because("a text message is not of this wire")),
            Some(Ok(Message::Close(_))) => return Err(End::gone("the agent closed it")),
            Some(Err(error)) => return Err(End::gone(format!("the connection broke: {error}"))),
            None => return Err(End::gone("the connection ended")),
        };
        match &frame.body {
            Body::Control(_) => self.told(frame.message()?),
            Body::Data(bytes) => self.requests.data(frame.stream, bytes),
            // Nothing is sent up to an agent's streams yet, so there is nothing to have credit for.
            Body::Credit(_) => Ok(()),
            Body::End(status) => self.requests.ended(frame.stream, status.clone()),
        }
    }

    fn told(&mut self, message: AgentMessage) -> Result<(), End> {
        match message {
            AgentMessage::Hello(_) => Err(End::because("a second hello")),
            AgentMessage::Report(report) => self.upward.push(report),
            AgentMessage::DesiredAck(ack) => self.downward.acknowledged(ack.revision),
            AgentMessage::TriggerResult(result) => {
                self.requests.answered(&result);
                Ok(())
            }
            AgentMessage::Pong(pong) => {
                self.heartbeat.pong(pong.nonce);
                Ok(())
            }
        }
    }
}
