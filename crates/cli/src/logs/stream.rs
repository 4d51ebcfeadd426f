//! Reading the output of runs and putting it on stdout.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use drover_client::{Client, Error};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::lines::Lines;
use super::output::Output;
use super::request::LogQuery;
use crate::terminal;
use drover_columns::fields::{name, text};

/// Streams opened ahead of the one that is printed.
const AHEAD: usize = 8;
/// Runs followed at once; more wait until one of these is over.
const MOST: usize = 100;
/// Chunks of output that wait to be printed.
const WAITING: usize = 64;

/// Whether lines bear the name of their run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Where there are several runs.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Prefix {
    fn is_on(self, several: bool) -> bool {
        match self {
            Self::Auto => several,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// A run, by where it is and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its node.
    pub(crate) node: String,
    /// Its name.
    pub(crate) run: String,
}

impl Source {
    /// Of a Run object.
    pub(crate) fn of(run: &Value) -> Self {
        Self { node: text(run, "/spec/nodeName").to_owned(), run: name(run).to_owned() }
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.node, self.run)
    }
}

/// What all sources have in common.
pub(crate) struct Reader {
    /// The server.
    pub(crate) client: Client,
    /// Where the runs are.
    pub(crate) namespace: String,
    /// How much of each is wanted.
    pub(crate) query: LogQuery,
    /// Whether lines bear the name of their run.
    pub(crate) prefix: Prefix,
}

impl Reader {
    async fn open(&self, source: &Source) -> Result<Output, Error> {
        Output::open(&self.client, &self.namespace, &source.run, &self.query).await
    }

    fn lines(&self, source: &Source, several: bool) -> Lines {
        let prefix = self.prefix.is_on(several).then(|| format!("{} ", source.shown()));
        Lines::new(prefix.as_deref())
    }

    /// Prints one after another, each as far as it goes. Says which could not be read; whether all could.
    pub(crate) async fn print_all(&self, sources: &[Source]) -> Result<bool> {
        let several = sources.len() > 1;
        let opened = sources.iter().map(|source| async move { (source, self.open(source).await) });
        let mut opened = stream::iter(opened).buffered(AHEAD);
        let mut good = true;
        while let Some((source, stream)) = opened.next().await {
            let done = match stream {
                Ok(stream) => print(stream, self.lines(source, several)).await,
                Err(error) => Err(error.into()),
            };
            match done {
                Ok(()) => {}
                Err(error) if error.is::<crate::failure::StdoutClosed>() => return Err(error),
                Err(error) if !several => return Err(error),
                Err(error) => {
                    good = false;
                    complain(source, &error);
                }
            }
        }
        Ok(good)
    }
}

fn complain(source: &Source, error: &anyhow::Error) {
    terminal::tell(&format!("{}: {}", source.shown(), terminal::tame(&format!("{error:#}"))));
}

async fn print(mut stream: Output, mut lines: Lines) -> Result<()> {
    while let Some(bytes) = stream.next().await? {
        terminal::write(&lines.push(&bytes))?;
    }
    terminal::write(&lines.finish())
}

/// Many runs at once, each as it is written.
pub(super) struct Together {
    reader: Arc<Reader>,
    several: bool,
    tasks: JoinSet<(Source, Result<()>)>,
    waiting: VecDeque<Source>,
    out: mpsc::Sender<Vec<u8>>,
    chunks: mpsc::Receiver<Vec<u8>>,
    good: bool,
}

impl Together {
    /// `several`: whether runs may come that are not one after the other.
    pub(super) fn new(reader: Arc<Reader>, several: bool) -> Self {
        let (out, chunks) = mpsc::channel(WAITING);
        Self { reader, several, tasks: JoinSet::new(), waiting: VecDeque::new(), out, chunks, good: true }
    }

    /// Begins with one more run, or lines it up.
    pub(super) fn add(&mut self, source: Source) {
        if self.tasks.len() < MOST {
            return self.start(source);
        }
        if self.waiting.is_empty() {
            terminal::tell(&format!(
                "more than {MOST} runs: the others are shown as these end; --node chooses"
            ));
        }
        self.waiting.push_back(source);
    }

    fn start(&mut self, source: Source) {
        let (reader, out, several) = (Arc::clone(&self.reader), self.out.clone(), self.several);
        self.tasks.spawn(async move {
            let done = follow(&reader, (&source, several), &out).await;
            (source, done)
        });
    }

    /// Whether no run is being followed.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.waiting.is_empty() && self.chunks.is_empty()
    }

    /// Whether every run could be read.
    pub(super) fn good(&self) -> bool {
        self.good
    }

    /// Prints what comes next, or notes that a run is over. Never returns while there is nothing to do. Dropping
    /// the future loses nothing.
    pub(super) async fn step(&mut self) -> Result<()> {
        tokio::select! {
            biased;
            Some(chunk) = self.chunks.recv() => terminal::write(&chunk),
            Some(ended) = self.tasks.join_next() => {
                let (source, done) = ended.context("a run's output was lost")?;
                if let Err(error) = done {
                    self.good = false;
                    complain(&source, &error);
                }
                if let Some(next) = self.waiting.pop_front() {
                    self.start(next);
                }
                Ok(())
            }
            else => std::future::pending().await,
        }
    }
}

/// One run's output, into the channel that is printed.
async fn follow(
    reader: &Reader,
    (source, several): (&Source, bool),
    out: &mpsc::Sender<Vec<u8>>,
) -> Result<()> {
    let mut stream = reader.open(source).await?;
    let mut lines = reader.lines(source, several);
    while let Some(bytes) = stream.next().await? {
        let whole = lines.push(&bytes);
        if !whole.is_empty() {
            out.send(whole).await.context("nobody prints")?;
        }
    }
    let rest = lines.finish();
    if !rest.is_empty() {
        out.send(rest).await.context("nobody prints")?;
    }
    Ok(())
}
