//! Agents by the thousand: real sessions in the wire's own words, driven from this one process. They keep what a node
//! keeps for a session (its revision, its unacknowledged reports) and run nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use drover_client::{Backoff, Client, Message, WebSocketReceiver, WebSocketSender};
use drover_wire::{
    AgentMessage, Assembler, Body, DesiredAck, Frame, Hello, JoinRequest, JoinResponse, NodeFacts, Pong,
    Report, ReportItem, SUBPROTOCOL, ServerMessage, WIRE_VERSION, join_path, session_path,
};
use drover_world::SystemEntropy;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock;
use crate::product::api::Api;

/// As a real agent waits before it dials again.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Joins, and first dials, under way at once.
const AT_ONCE: usize = 32;

/// What a session tells its driver.
#[derive(Clone, Debug)]
pub(crate) struct News {
    /// Which agent, from 0.
    pub(crate) node: usize,
    /// CLOCK_MONOTONIC, in nanoseconds.
    pub(crate) at: u64,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A whole desired state came.
    Desired,
    /// Every report so far is acknowledged.
    Acknowledged,
    /// The session is over; another will be opened.
    Broken,
}

/// A fleet of sessions; dropped, they end.
pub(crate) struct Fleet {
    pub(crate) names: Vec<String>,
    orders: Vec<mpsc::UnboundedSender<ReportItem>>,
    pub(crate) news: mpsc::UnboundedReceiver<News>,
    _tasks: JoinSet<()>,
}

impl Fleet {
    /// Joins so many nodes, and opens their sessions; all have their desired state when this returns.
    pub(crate) async fn open(api: &Api, count: usize) -> Result<Self> {
        let token = api.join_token().await?;
        let joining = api.client.clone().with_token(&token)?;
        let members: Vec<(String, JoinResponse)> = stream::iter(0..count)
            .map(|number| {
                let joining = joining.clone();
                async move {
                    let name = format!("node-{number}");
                    let request = JoinRequest { host_id: format!("{number:032x}"), ..JoinRequest::default() };
                    let answer = joining.create(&join_path(&name), &request).await?;
                    anyhow::Ok((name, answer))
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let (tell, news) = mpsc::unbounded_channel();
        let gate = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let mut fleet = Self { names: Vec::new(), orders: Vec::new(), news, _tasks: JoinSet::new() };
        for (node, (name, credential)) in members.into_iter().enumerate() {
            let client = Client::new(api.dial.clone(), &api.host)?.with_token(&credential.token)?;
            let (order, orders) = mpsc::unbounded_channel();
            let session = Session {
                node,
                name: name.clone(),
                uid: credential.node_uid,
                client,
                tell: tell.clone(),
                epoch: None,
                revision: None,
                sequence: 0,
                unsent: VecDeque::new(),
            };
            fleet.names.push(name);
            fleet.orders.push(order);
            fleet._tasks.spawn(session.hold(orders, gate.clone()));
        }
        fleet.all("desired states", What::Desired).await?;
        Ok(fleet)
    }

    /// Lets an agent report something.
    pub(crate) fn report(&self, node: usize, item: ReportItem) {
        // An agent that is no more has nothing to say.
        let _ = self.orders[node].send(item);
    }

    /// Waits until every agent said this at least once; when the last one did.
    pub(crate) async fn all(&mut self, what: &str, wanted: What) -> Result<u64> {
        let mut missing: std::collections::BTreeSet<usize> = (0..self.names.len()).collect();
        let mut last = clock::mono();
        while !missing.is_empty() {
            let next = tokio::time::timeout(Duration::from_secs(120), self.news.recv()).await;
            let Ok(Some(news)) = next else { bail!("{} agents never had {what}", missing.len()) };
            if news.what == wanted && missing.remove(&news.node) {
                last = news.at;
            }
        }
        Ok(last)
    }

    /// Waits until one agent says this.
    pub(crate) async fn one(&mut self, node: usize, wanted: What) -> Result<u64> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), self.news.recv()).await;
            let Ok(Some(news)) = next else { bail!("agent {node} never said {wanted:?}") };
            if news.node == node && news.what == wanted {
                return Ok(news.at);
            }
        }
    }

    /// Forgets what was said so far.
    pub(crate) fn forget(&mut self) {
        while self.news.try_recv().is_ok() {}
    }
}

/// An Event of a node about itself.
pub(crate) fn event(node: &str, name: &str) -> ReportItem {
    ReportItem::Event {
        object: serde_json::json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
            "involvedObject": {"kind": "Node", "name": node}, "reason": "Measured", "message": "a benchmark",
            "type": "Normal",
        }),
    }
}

struct Session {
    node: usize,
    name: String,
    uid: String,
    client: Client,
    tell: mpsc::UnboundedSender<News>,
    epoch: Option<String>,
    revision: Option<u64>,
    sequence: u64,
    /// Reports that are not acknowledged.
    unsent: VecDeque<Report>,
}

impl Session {
    async fn hold(
        mut self,
        mut orders: mpsc::UnboundedReceiver<ReportItem>,
        gate: Arc<tokio::sync::Semaphore>,
    ) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY, Arc::new(SystemEntropy));
        let mut first = gate.acquire_owned().await.ok();
        loop {
            let revision = self.revision;
            let _ended = self.serve(&mut orders, &mut first).await;
            if orders.is_closed() {
                return;
            }
            if self.revision != revision {
                backoff.reset();
            }
            self.say(What::Broken);
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    fn say(&self, what: What) {
        let _ = self.tell.send(News { node: self.node, at: clock::mono(), what });
    }

    async fn serve(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<ReportItem>,
        first: &mut Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<()> {
        let (mut sender, mut receiver) =
            self.client.open_websocket(&session_path(&self.name), &[SUBPROTOCOL]).await?.split();
        tell(&mut sender, &AgentMessage::Hello(Box::new(self.hello()))).await?;
        let ServerMessage::Welcome(welcome) = hear(&mut receiver).await? else { bail!("no welcome") };
        self.epoch = Some(welcome.store_epoch);
        while self.unsent.front().is_some_and(|report| report.sequence <= welcome.accepted.sequence) {
            self.unsent.pop_front();
        }
        for report in &self.unsent {
            tell(&mut sender, &AgentMessage::Report(report.clone())).await?;
        }
        if self.unsent.is_empty() && self.sequence > 0 {
            self.say(What::Acknowledged);
        }
        let mut assembler = Assembler::default();
        loop {
            let message = tokio::select! {
                biased;
                message = hear(&mut receiver) => message?,
                Some(item) = orders.recv() => {
                    self.sequence += 1;
                    let report = Report { agent_epoch: 1, sequence: self.sequence, items: vec![item] };
                    self.unsent.push_back(report.clone());
                    tell(&mut sender, &AgentMessage::Report(report)).await?;
                    continue;
                }
            };
            match message {
                ServerMessage::Desired(chunk) => {
                    if let Some(whole) = assembler.push(*chunk, 1)? {
                        let ack = DesiredAck { revision: whole.revision };
                        self.revision = Some(whole.revision);
                        self.say(What::Desired);
                        *first = None;
                        tell(&mut sender, &AgentMessage::DesiredAck(ack)).await?;
                    }
                }
                ServerMessage::ReportAck(ack) => {
                    while self.unsent.front().is_some_and(|report| report.sequence <= ack.sequence) {
                        self.unsent.pop_front();
                    }
                    if self.unsent.is_empty() {
                        self.say(What::Acknowledged);
                    }
                }
                ServerMessage::Ping(ping) => {
                    tell(&mut sender, &AgentMessage::Pong(Pong { nonce: ping.nonce })).await?;
                }
                ServerMessage::Close(close) => bail!("closed: {}", close.reason),
                ServerMessage::Welcome(_) | ServerMessage::OpenLogs(_) | ServerMessage::Trigger(_) => {}
            }
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            wire: WIRE_VERSION,
            node_name: self.name.clone(),
            node_uid: Some(self.uid.clone()),
            boot_id: "bench".into(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            store_epoch: self.epoch.clone(),
            desired_revision: self.revision,
            agent_epoch: 1,
            open_runs: Some(Vec::new()),
            acknowledged: None,
            labels: std::collections::BTreeMap::new(),
            facts: NodeFacts {
                os: "Debian GNU/Linux 12".into(),
                kernel: "6.1.0".into(),
                arch: "x86_64".into(),
                cpus: 2,
                memory_bytes: 4 << 30,
                hostname: self.name.clone(),
                ..NodeFacts::default()
            },
        }
    }
}

async fn tell(sender: &mut WebSocketSender, message: &AgentMessage) -> Result<()> {
    Ok(sender.send(Frame::control(message)?.encode()?).await?)
}

async fn hear(receiver: &mut WebSocketReceiver) -> Result<ServerMessage> {
    loop {
        match receiver.next().await? {
            Some(Message::Binary(bytes)) => {
                let frame = Frame::decode(bytes)?;
                if let Body::Control(_) = frame.body {
                    return Ok(frame.message()?);
                }
            }
            Some(Message::Alive | Message::Text(_)) => {}
            Some(Message::Close { .. }) | None => bail!("the connection ended"),
        }
    }
}
