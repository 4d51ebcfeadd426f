//! How the rest of the agent talks to its loop: messages in, answers and a bell out.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drover_spawn::RunState;
use drover_wire::{Accepted, Desired, NodeFacts, Report, Trigger, TriggerResult};
use tokio::sync::{Notify, mpsc, oneshot};

/// Messages that may wait for the loop.
const QUEUE: usize = 1024;

/// Why the agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The journal, or a file beside it.
    #[error("the agent's data directory cannot be used")]
    Disk(#[from] io::Error),
    /// Run directories or processes.
    #[error("a run cannot be looked at")]
    Host(#[source] io::Error),
    /// The server sent what this agent cannot use.
    #[error("the desired state cannot be taken over: {0}")]
    Refused(String),
    /// The loop is over.
    #[error("the agent has stopped")]
    Stopped,
}

/// Where the agent left off: what a session's hello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Counts the agent's starts.
    pub agent_epoch: u64,
    /// The epoch of the store that it last heard from.
    pub store_epoch: Option<String>,
    /// The desired revision that it holds, of that store and for this node.
    pub revision: Option<u64>,
    /// The uids of Runs that are not over, or whose end is still to be told; none where they are more than a hello holds.
    pub open_runs: Option<Vec<String>>,
    /// The last report that this store is known to have; none before there was one.
    pub acknowledged: Option<Accepted>,
}

/// A run whose output may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRun {
    /// Its directory, which may not exist yet.
    pub run_dir: PathBuf,
    /// Whether more output may come.
    pub open: bool,
}

/// What the loop is told.
pub(crate) enum Message {
    Standing(oneshot::Sender<Standing>),
    Welcomed(String, Accepted, oneshot::Sender<Result<(), AgentError>>),
    Desired(String, Box<Desired>, oneshot::Sender<Result<(), AgentError>>),
    Reports(Option<Accepted>, oneshot::Sender<Vec<Report>>),
    Acknowledged(u64, u64),
    Heard(Duration),
    Trigger(Trigger, oneshot::Sender<TriggerResult>),
    Find(String, oneshot::Sender<Option<FoundRun>>),
    Facts(Box<NodeFacts>),
    Look(String),
    Buried(String, Box<RunState>, bool),
}

/// Talks to a running agent. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    sender: mpsc::Sender<Message>,
    bell: Arc<Notify>,
}

/// The loop's ends of what a [`Handle`] holds.
pub(crate) fn channel() -> (Handle, mpsc::Sender<Message>, mpsc::Receiver<Message>, Arc<Notify>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let bell = Arc::new(Notify::new());
    (Handle { sender: sender.clone(), bell: Arc::clone(&bell) }, sender, receiver, bell)
}

impl Handle {
    async fn tell(&self, message: Message) -> Result<(), AgentError> {
        self.sender.send(message).await.map_err(|_| AgentError::Stopped)
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, AgentError> {
        let (answer, done) = oneshot::channel();
        self.tell(message(answer)).await?;
        done.await.map_err(|_| AgentError::Stopped)
    }

    /// Where the agent left off.
    pub async fn standing(&self) -> Result<Standing, AgentError> {
        self.ask(Message::Standing).await
    }

    /// A session with a server has begun, which has stored reports up to `accepted`. Refused where that is less than the
    /// same store had stored before.
    pub async fn welcomed(&self, store_epoch: String, accepted: Accepted) -> Result<(), AgentError> {
        self.ask(|answer| Message::Welcomed(store_epoch, accepted, answer)).await?
    }

    /// Gives the agent a desired state of this store; it is on disk when this returns.
    pub async fn desired(&self, store_epoch: &str, desired: Desired) -> Result<(), AgentError> {
        self.ask(|answer| Message::Desired(store_epoch.to_owned(), Box::new(desired), answer)).await?
    }

    /// Resolves when there may be more to report than was asked for last. One listener at a time.
    pub async fn bell(&self) {
        self.bell.notified().await;
    }

    /// The reports after this one that are not acknowledged, oldest first, at most a few. They are numbered on disk.
    pub async fn reports(&self, after: Option<Accepted>) -> Result<Vec<Report>, AgentError> {
        self.ask(|answer| Message::Reports(after, answer)).await
    }

    /// Reports up to this one are stored elsewhere; the agent forgets them.
    pub async fn acknowledged(&self, agent_epoch: u64, sequence: u64) -> Result<(), AgentError> {
        self.tell(Message::Acknowledged(agent_epoch, sequence)).await
    }

    /// The server has heard of this node since this boot time: leases count from here.
    pub async fn heard(&self, at: Duration) -> Result<(), AgentError> {
        self.tell(Message::Heard(at)).await
    }

    /// Runs a timer now. What is answered is on disk.
    pub async fn trigger(&self, trigger: Trigger) -> Result<TriggerResult, AgentError> {
        self.ask(|answer| Message::Trigger(trigger, answer)).await
    }

    /// Where a run's output is; none when this node has no such run, or no longer.
    pub async fn find_run(&self, run_uid: &str) -> Result<Option<FoundRun>, AgentError> {
        self.ask(|answer| Message::Find(run_uid.to_owned(), answer)).await
    }

    /// The host is another than the last session's hello said.
    pub async fn facts(&self, facts: NodeFacts) -> Result<(), AgentError> {
        self.tell(Message::Facts(Box::new(facts))).await
    }
}
